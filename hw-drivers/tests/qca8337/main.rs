// SPDX-License-Identifier: GPL-2.0-or-later
//! What only the QCA8337 and AR8327 have: how their driver shares hosts, ports and a gateway between
//! flows, and what it leaves to the kernel. Against the simulator of the chip.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use hw_drivers::bus::trace::{Asked, Ended, TraceBus};
use hw_drivers::bus::{Done, Op};
use hw_drivers::flow::{Flow, Mac, Pppoe, Protocol, Side, Tuple};
use hw_drivers::qca8337::{Model, Options, Qca8337};
use hw_drivers::table::{Error, FlowTable, Network, Part, Progress, Resource};
use hw_simulators::frame::{Frame, Packet};
use hw_simulators::qca8337::{self as chip, Qca8337 as Chip};
use hw_simulators::{Chip as _, Out, Shared};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

mod silent;

type Driver = Qca8337<Shared<Chip>>;

const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

fn network() -> Network {
    Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public: vec![PUBLIC] }
}

fn side(port: u8, vlan: u16, last: u8) -> Side {
    Side::ethernet(port, vlan, Mac([2, 0, 0, 0, 1, last]), Mac([2, 0, 0, 0, 0, vlan as u8]))
}

/// Connection `number` of a host, out.
fn flow(host: u8, number: u16) -> Flow {
    let socket = |ip: [u8; 4], port| SocketAddr::from((ip, port));
    let private = socket([192, 168, 1, host], 10_000 + number);
    let (remote, public) =
        (socket([203, 0, 113, 9], 443), SocketAddr::from((PUBLIC, 20_000 + number)));
    Flow {
        protocol: Protocol::Tcp,
        original: Tuple { source: private, destination: remote },
        reply: Tuple { source: remote, destination: public },
        opener: side(1, 1, host),
        answerer: side(5, 2, 200),
    }
}

fn finish(chip: &mut Shared<Chip>, mut step: impl FnMut() -> Result<Progress, Error>) -> u32 {
    for calls in 1.. {
        match step().unwrap() {
            Progress::Done => return calls,
            Progress::More => {}
            Progress::Wait(time) => chip.pass(time),
        }
    }
    0
}

fn ready() -> (Driver, Shared<Chip>) {
    let mut chip = Shared::new(Chip::default());
    let mut driver = Qca8337::new(chip.clone(), Model::Qca8337, Options::default());
    finish(&mut chip, || driver.set_up(&network()));
    (driver, chip)
}

/// The value of mask word 4 of the rule, then ports and next hop.
fn rule(chip: &Shared<Chip>) -> [u32; 3] {
    let (mask, value, result) = (0x5_9010 + 95 * 0x20, 0x5_8010 + 95 * 0x20, 0x5_a004 + 95 * 0x10);
    chip.with(|chip| {
        [chip.register(mask), chip.register(value) & 0x7f, chip.register(result) >> 17 & 0x7f]
    })
}

fn host_of(chip: &Shared<Chip>, last: u8) -> Option<chip::HostEntry> {
    let address = Ipv4Addr::new(192, 168, 1, last);
    chip.with(|chip| chip.host_entries().into_iter().find(|host| host.address == address))
}

/// Bits that a register had stay, those that the engine needs come and go, and ACL_EN is as found.
#[test]
fn the_kernels_registers_come_back() {
    for classifier in [0, 2] {
        let mut chip = Shared::new(Chip::default());
        let found = [
            (0x0030, 0x1 | classifier),
            (0x0214, 0x0400_0000),
            (0x0418, 0x2),
            (0x0620, 0x0a02_00f0),
            (0x0c00, 0x2),
            (0x0c80, 0x0033_0000),
            (0x0e0c, 0x0055_1e1e),
        ];
        chip.with(|chip| found.map(|(at, value)| chip.set_register(at, value)));
        let mut driver = Qca8337::new(chip.clone(), Model::Qca8337, Options::default());
        finish(&mut chip, || driver.set_up(&network()));
        let mut session = flow(2, 0);
        session.answerer.mtu = 1492;
        session.answerer.pppoe = Some(Pppoe { session: 7, peer: session.answerer.neighbour });
        driver.insert(&session).unwrap();
        let during = chip.with(|chip| found.map(|(at, _)| chip.register(at)));
        assert_eq!(during, [0x7, 0x0600_0000, 0x3, 0x0a00_04f0, 0x3, 0x0013_0010, 0x0055_0000]);
        // Set up once more, what was found is still what the kernel had.
        finish(&mut chip, || driver.set_up(&network()));
        finish(&mut chip, || driver.disable());
        let after = chip.with(|chip| found.map(|(at, _)| chip.register(at)));
        assert_eq!(after, found.map(|(_, value)| value));
    }
}

/// Identify, off, flush, clear, shared registers, private range, public address, on: each stage's
/// registers before those of the next.
#[test]
fn set_up_is_in_order() {
    let mut chip = Shared::new(Chip::default());
    let mut driver = Qca8337::new(TraceBus::new(chip.clone()), Model::Qca8337, Options::default());
    finish(&mut chip, || driver.set_up(&network()));
    let mut page = 0;
    let mut written = Vec::new();
    for record in driver.bus().records() {
        let (at, value) = match (record.asked, record.ended) {
            (Asked::Op(Op::Write { at, value }), _) => (at, value),
            (Asked::Op(Op::Modify { at, clear, set }), Ended::Done(Done { value, .. })) => {
                (at, value & !clear | set)
            }
            _ => continue,
        };
        match (at.phy(), at.register()) {
            (0x18, 0) => page = u32::from(value),
            (phy @ 0x10..=0x17, register) if register % 2 == 1 => {
                let register =
                    page << 9 | u32::from(phy & 7) << 6 | u32::from(register & 0x1e) << 1;
                written.push(register);
            }
            _ => {}
        }
    }
    let wanted = [
        0x0e00, 0x0e38, 0x0030, 0x5_9bf0, 0x0e58, 0x5_aa04, 0x5_aaf4, 0x2_f040, 0x0e58, 0x5_a908,
        0x5_a978, 0x5_f000, 0x0620, 0x0c00, 0x0e0c, 0x0418, 0x0474, 0x0470, 0x2100, 0x2_f000,
        0x2_f040, 0x5_aa00, 0x5_aa04, 0x0e38, 0x0e00, 0x0030,
    ];
    let mut rest = written.iter();
    for register in wanted {
        assert!(rest.any(|at| *at == register), "{register:#x} is not in its place: {written:x?}");
    }
    assert_eq!(rest.next(), None);
    assert_eq!(chip.with(|chip| chip.register(0x0e38)), 0x015f_01cb);
    assert_eq!(chip.with(|chip| chip.ignored_commands()), 0);
}

#[test]
fn another_chip_is_left_alone() {
    let mut chip = Shared::new(Chip::new(chip::Options::of(chip::Model::Ar8327)));
    let before = chip.with(|chip| [0x30, 0xe00, 0xe38, 0x620].map(|at| chip.register(at)));
    let mut driver = Qca8337::new(chip.clone(), Model::Qca8337, Options::default());
    assert_eq!(driver.set_up(&network()), Err(Error::WrongChip(0x1204)));
    assert_eq!(driver.disable(), Err(Error::WrongChip(0x1204)));
    assert_eq!(chip.with(|chip| [0x30, 0xe00, 0xe38, 0x620].map(|at| chip.register(at))), before);
    // Nor is one that has no such engine, although it says the same: no flush succeeds.
    let plain = chip::Options { engine: false, ..chip::Options::of(chip::Model::Ar8327) };
    chip = Shared::new(Chip::new(plain));
    let mut driver = Qca8337::new(chip.clone(), Model::Ar8327, Options::default());
    assert_eq!(driver.set_up(&network()), Ok(Progress::More));
    assert!(matches!(driver.set_up(&network()), Err(Error::Mismatch { at: 0x0e58, .. })));
    assert_eq!(chip.with(|chip| chip.register(0x30)) & 4, 0);
}

/// Every public address is valid in both of its places.
#[test]
fn all_public_addresses_are_valid() {
    let mut chip = Shared::new(Chip::default());
    let mut driver = Qca8337::new(chip.clone(), Model::Qca8337, Options::default());
    let public = (1..=16).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect();
    let network = Network { public, ..network() };
    finish(&mut chip, || driver.set_up(&network));
    let valid = |at| chip.with(|chip| chip.register(at));
    assert_eq!(valid(0x2_f040), 0xffff);
    assert_eq!((0..16).filter(|index| valid(0x5_aa04 + 16 * index) == 1).count(), 16);
    assert_eq!((valid(0x2_f03c), valid(0x21f0)), (0xc633_6410, 0xc633_6410));
}

/// A host is in the chip once, for as long as it has flows; so is the gateway.
#[test]
fn neighbours_are_shared() {
    let (mut driver, chip) = ready();
    let first = driver.insert(&flow(2, 0)).unwrap();
    let second = driver.insert(&flow(2, 1)).unwrap();
    let third = driver.insert(&flow(3, 2)).unwrap();
    assert_eq!(chip.with(|chip| chip.host_entries().len()), 3);
    driver.remove(first).unwrap();
    assert!(host_of(&chip, 2).is_some());
    driver.remove(second).unwrap();
    assert!(host_of(&chip, 2).is_none());
    assert_eq!(rule(&chip)[0], 0xc2);
    driver.remove(third).unwrap();
    assert_eq!(chip.with(|chip| chip.host_entries().len()), 0);
    assert_eq!(rule(&chip)[0] & 7, 0);
    assert_eq!(chip.with(|chip| [0x5_a908, 0x5_a918].map(|at| chip.register(at))), [0, 0]);
}

/// What a new flow says of a host that others have too holds for those as well, and the rule
/// follows to its new port.
#[test]
fn a_host_that_moves_takes_its_flows_along() {
    let (mut driver, chip) = ready();
    let old = driver.insert(&flow(2, 0)).unwrap();
    assert_eq!(rule(&chip)[1], 0b10);
    let mut moved = flow(2, 1);
    moved.opener = Side { port: 3, vlan: 9, router: Mac([2, 0, 0, 0, 0, 9]), ..side(3, 9, 77) };
    driver.insert(&moved).unwrap();
    let host = host_of(&chip, 2).unwrap();
    assert_eq!((host.port, host.mac), (3, Mac([2, 0, 0, 0, 1, 77])));
    assert_eq!(rule(&chip)[1], 0b1000);
    assert_eq!(driver.verify(old), Ok(()));
    assert_eq!(chip.with(|chip| chip.host_entries().len()), 2);
}

/// All flows leave by one gateway; another one has to wait until no flow needs the first.
#[test]
fn there_is_one_gateway() {
    let (mut driver, chip) = ready();
    let old = driver.insert(&flow(2, 0)).unwrap();
    let mut other = flow(3, 1);
    other.answerer.neighbour = Mac([2, 0, 0, 0, 1, 201]);
    assert_eq!(driver.insert(&other), Err(Error::Full(Resource::Rules)));
    assert!(host_of(&chip, 3).is_none());
    driver.remove(old).unwrap();
    driver.insert(&other).unwrap();
    let [_, _, next] = rule(&chip);
    let gateway = chip.with(|chip| {
        chip.host_entries().into_iter().find(|host| host.index == next as usize).unwrap()
    });
    assert_eq!(gateway.mac, Mac([2, 0, 0, 0, 1, 201]));
}

/// The rule leads to the gateway; only flows may be sent there by it.
#[test]
fn what_is_no_flow_is_the_processors() {
    let (mut driver, mut chip) = ready();
    let mut session = flow(2, 0);
    driver.insert(&session).unwrap();
    let remote = session.original.destination;
    session.original.source.set_port(9);
    for source in [session.original.source, "192.168.7.7:10000".parse().unwrap()] {
        let packet = Packet::new(Protocol::Tcp, source, remote);
        let (destination, source) = (session.opener.router, session.opener.neighbour);
        let bytes = Frame { destination, source, tags: vec![], pppoe: None, packet }.emit();
        assert_eq!(chip.receive(1, &bytes), [Out { port: chip.cpu_port(), bytes }]);
    }
}

/// The classifier tells the LAN by its ports, the interfaces by its VLANs, and both only once.
#[test]
fn flows_that_contradict_others_are_refused() {
    let (mut driver, chip) = ready();
    driver.insert(&flow(2, 0)).unwrap();
    let refused = |change: &dyn Fn(&mut Flow)| {
        let mut flow = flow(3, 1);
        change(&mut flow);
        flow
    };
    let before = chip.with(|chip| chip.transfers());
    let router = refused(&|flow| flow.opener.router = Mac([2, 9, 9, 9, 9, 9]));
    assert_eq!(driver.insert(&router), Err(Error::NotExpressible(Part::Vlan(1))));
    let tagged = refused(&|flow| flow.opener.tagged = true);
    assert_eq!(driver.insert(&tagged), Err(Error::NotExpressible(Part::Port(1))));
    assert_eq!(chip.with(|chip| chip.transfers()), before);
}

/// Eight VLANs in all: seven of the LAN beside the gateway's.
#[test]
fn interfaces_run_out() {
    let (mut driver, _) = ready();
    for vlan in 11..18 {
        let mut flow = flow(vlan as u8, vlan);
        flow.opener.vlan = vlan;
        flow.opener.router = Mac([2, 0, 0, 0, 0, 1]);
        driver.insert(&flow).unwrap();
    }
    assert_eq!(driver.insert(&flow(2, 0)), Err(Error::Full(Resource::Interfaces)));
    assert_eq!(driver.used(), 7);
}

/// An engine that does not finish within one transaction, but within the next.
#[test]
fn a_slow_engine_is_waited_for() {
    for (reads, done) in [(2_500, true), (u32::MAX, false)] {
        let (mut driver, chip) = ready();
        driver.insert(&flow(2, 0)).unwrap();
        chip.with(|chip| chip.set_busy_reads(reads));
        let inserted = driver.insert(&flow(2, 1));
        assert_eq!(inserted.is_ok(), done, "{inserted:?}");
        assert!(done || matches!(inserted, Err(Error::Stuck(_))));
        // What such an engine would do with half of a command nobody knows: it is off.
        assert_eq!(driver.alive().is_ok(), done);
    }
}

/// A command whose end nobody has seen keeps the engine busy when the next one comes.
#[test]
fn an_unfinished_command_is_waited_for() {
    let (_, mut chip) = ready();
    chip.with(|chip| {
        chip.set_busy_reads(700);
        // FLUSH of basic NAT, by a program that has died.
        chip.set_register(0x0e58, 0x8000_0021);
    });
    let mut driver = Qca8337::new(chip.clone(), Model::Qca8337, Options::default());
    finish(&mut chip, || driver.set_up(&network()));
    driver.insert(&flow(2, 0)).unwrap();
    assert_eq!(chip.with(|chip| chip.ignored_commands()), 0);
}

/// The answer of a command that was given up comes late, and not over the image of the next.
#[test]
fn a_late_answer_does_no_harm() {
    let (mut driver, chip) = ready();
    let entries = [0, 1].map(|number| driver.insert(&flow(2, number)).unwrap());
    chip.with(|chip| chip.set_busy_reads(u32::MAX));
    assert!(matches!(driver.verify(entries[0]), Err(Error::Stuck(_))));
    chip.with(|chip| chip.set_busy_reads(20));
    driver.remove(entries[1]).unwrap();
    assert_eq!(driver.verify(entries[0]), Ok(()));
    assert_eq!(chip.with(|chip| chip.napt_entries().len()), 1);
}

/// A hit is an age that has risen, or is fresh.
#[test]
fn ages_are_hits() {
    let (mut driver, mut chip) = ready();
    let entry = driver.insert(&flow(2, 0)).unwrap();
    let hit = |driver: &mut Driver| {
        let mut seen = Vec::new();
        while driver.sweep(&mut |sight| seen.push(sight)).unwrap() != Progress::Done {}
        assert_eq!(seen.iter().map(|sight| sight.entry).collect::<Vec<_>>(), [entry]);
        seen[0].hit
    };
    assert!(!hit(&mut driver));
    let index = chip.with(|chip| chip.napt_entries()[0].index);
    let age = |chip: &Shared<Chip>, age| chip.with(|chip| chip.set_napt_age(index, age));
    for (next, wanted) in [(14, true), (10, false), (6, false), (7, true), (7, false), (1, false)] {
        assert!(age(&chip, next));
        assert_eq!(hit(&mut driver), wanted, "age {next}");
    }
    chip.pass(Duration::from_secs(3600));
    assert!(!hit(&mut driver));
}

/// An engine that takes longer than two commands in one transaction may wait.
#[test]
fn a_slow_engine_is_swept() {
    for reads in [300, 2_500] {
        let (mut driver, chip) = ready();
        let entries: Vec<_> = (0..3).map(|n| driver.insert(&flow(2, n)).unwrap()).collect();
        chip.with(|chip| chip.set_busy_reads(reads));
        let mut seen = Vec::new();
        while driver.sweep(&mut |sight| seen.push(sight.entry)).unwrap() != Progress::Done {}
        assert_eq!(seen, entries);
        assert_eq!(chip.with(|chip| chip.ignored_commands()), 0);
    }
}

/// Something that happens to a chip.
type Change = Box<dyn Fn(&mut Chip)>;

/// What flows share is read back when the first of them is verified, and from then on now and
/// again. Whatever is not as it was written, flows do not go by it for long.
#[test]
fn what_flows_share_is_looked_at_in_turn() {
    let host = |last| {
        move |chip: &mut Chip| {
            let hosts = chip.host_entries();
            let found = hosts.iter().find(|host| host.mac == Mac([2, 0, 0, 0, 1, last])).unwrap();
            assert!(chip.lose_host(found.index));
        }
    };
    let turn = |register| {
        move |chip: &mut Chip| {
            chip.set_register(register, chip.register(register) ^ 0x10);
        }
    };
    // Two neighbours and the gateway, a word of each interface, and of the rule.
    let (mask, result) = (0x5_9000 + 95 * 0x20, 0x5_a004 + 95 * 0x10);
    let changes: [Change; 7] = [
        Box::new(host(2)),
        Box::new(host(3)),
        Box::new(host(200)),
        Box::new(turn(0x5_a904)),
        Box::new(turn(0x5_a914)),
        Box::new(turn(mask)),
        Box::new(turn(result)),
    ];
    for (number, change) in changes.iter().enumerate() {
        for proved in [false, true] {
            let (mut driver, chip) = ready();
            let entries = [2, 3].map(|last| driver.insert(&flow(last, last.into())).unwrap());
            if proved {
                entries.iter().for_each(|entry| driver.verify(*entry).unwrap());
            }
            chip.with(|chip| change(chip));
            if !proved {
                let verified = entries.map(|entry| driver.verify(entry));
                assert!(verified.iter().any(Result::is_err), "change {number}: {verified:?}");
                continue;
            }
            let noticed = (0..6).find(|_| driver.alive().is_err());
            assert!(noticed.is_some(), "change {number} is not noticed");
            assert_eq!(driver.alive(), Err(Error::NotReady));
            assert_eq!(chip.with(|chip| chip.register(0x30)) & 4, 0, "change {number}: it is on");
        }
    }
}

/// Set-up, sweep and the end are in pieces that leave the bus to others after 5 ms, of 26 us each
/// transfer; no other call takes it for more than 10.
#[test]
fn no_call_takes_the_bus_for_long() {
    for model in [Model::Qca8337, Model::Ar8327] {
        let simulated = match model {
            Model::Qca8337 => chip::Model::Qca8337,
            Model::Ar8327 => chip::Model::Ar8327,
        };
        let chip = Shared::new(Chip::new(chip::Options::of(simulated)));
        let mut driver = Qca8337::new(TraceBus::new(chip.clone()), model, Options::default());
        let mut longest = [0; 2];
        let mut pass = chip.clone();
        let public = (1..=16).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect();
        let network = Network { public, ..network() };
        let mut call =
            |driver: &mut Qca8337<TraceBus<Shared<Chip>>>, piece: bool, step: Step<'_>| {
                let before = driver.bus().transfers();
                let progress = step(driver).unwrap();
                let made = driver.bus().transfers() - before;
                longest[usize::from(piece)] = made.max(longest[usize::from(piece)]);
                if let Progress::Wait(time) = progress {
                    pass.pass(time);
                }
                progress
            };
        while call(&mut driver, true, &mut |driver| driver.set_up(&network)) != Progress::Done {}
        for number in 0..40 {
            // Each has a neighbour of its own, and every eighth a port.
            let mut flow = flow(10 + number as u8, number);
            flow.opener.port = 1 + number as u8 / 8 % 4;
            let mut entry = None;
            call(&mut driver, false, &mut |driver| {
                entry = Some(driver.insert(&flow)?);
                Ok(Progress::Done)
            });
            call(&mut driver, false, &mut |driver| {
                driver.verify(entry.unwrap()).map(|()| Progress::Done)
            });
        }
        while call(&mut driver, true, &mut |driver| driver.sweep(&mut |_| ())) != Progress::Done {}
        call(&mut driver, false, &mut |driver| driver.alive().map(|()| Progress::Done));
        while call(&mut driver, true, &mut |driver| driver.disable()) != Progress::Done {}
        let [other, piece] = longest;
        assert!(piece > 90 && other > 90, "{model:?}: {longest:?}");
        assert!(piece <= 200 && other <= 380, "{model:?}: {longest:?}");
    }
}

type Step<'a> = &'a mut dyn FnMut(&mut Qca8337<TraceBus<Shared<Chip>>>) -> Result<Progress, Error>;
