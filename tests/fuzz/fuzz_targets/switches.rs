// SPDX-License-Identifier: GPL-2.0-or-later
//! What comes from switches: words of table entries, answers of the kernel's MDIO bus, and chips
//! that lie. The first byte of an input chooses.
//!
//! A chip that lies is one of the simulators behind a bus that changes some of the words read, or
//! lets transfers time out. The drivers may report any error but a fault of their own, and once the
//! lies have ended they can be set up again.
#![no_main]

use flowtabled_fuzz::Bytes;
use hw_drivers::bus::execute::{execute, Transfer};
use hw_drivers::bus::netlink::fuzz::{parse, Endian, Reply};
use hw_drivers::bus::{self, Bus, Failure, Fault, Outcome, Transaction};
use hw_drivers::flow::{Flow, Mac, Protocol, Side, Tuple};
use hw_drivers::mt7530::{Action, Dump, Match, Mt7530, Rule, RuleId, Scope, Settings};
use hw_drivers::mt7621_ppe::direct::{Direct, DirectAccess, Options as DirectOptions, Unseen};
use hw_drivers::mt7621_ppe::entry::{Content, FoeEntry, WORDS};
use hw_drivers::mt7621_ppe::hash;
use hw_drivers::mt7621_ppe::memory::Memory;
use hw_drivers::qca8337::host::Host;
use hw_drivers::qca8337::napt::Napt;
use hw_drivers::qca8337::nat::Nat;
use hw_drivers::qca8337::private::Base;
use hw_drivers::qca8337::{Model, Options, Qca8337};
use hw_drivers::table::{Entry, Error, FlowTable, Network, Progress};
use hw_simulators::{mt7530, mt7621_ppe, qca8337, Chip};
use libfuzzer_sys::fuzz_target;
use std::cell::OnceCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Most things asked of a driver in one input.
const STEPS: usize = 24;
/// Most calls until a driver is set up: some hundred are usual.
const CALLS: usize = 10_000;

/// What is different from the truth, and after how many more transfers.
#[derive(Debug, Clone, Copy)]
struct Lie {
    after: u8,
    /// Bits that are wrong; none lets the transfer time out.
    flip: u16,
}

#[derive(Debug, Clone, Default)]
struct Lies {
    waiting: Vec<Lie>,
    count: u8,
}

impl Lies {
    fn of(input: &mut Bytes<'_>) -> Lies {
        let count = input.u8() % 16;
        let lie = |_| Lie { after: input.u8(), flip: input.u16() };
        let mut waiting: Vec<Lie> = (0..count).map(lie).collect();
        waiting.reverse();
        Lies { waiting, count: 0 }
    }

    /// The lie of this transfer.
    fn next(&mut self) -> Option<u16> {
        let lie = self.waiting.last()?;
        if self.count < lie.after {
            self.count += 1;
            return None;
        }
        self.count = 0;
        self.waiting.pop().map(|lie| lie.flip)
    }
}

/// A chip behind lies.
#[derive(Debug, Clone)]
struct Liar<C> {
    chip: C,
    lies: Lies,
}

impl<C: Bus> Liar<C> {
    fn single(&mut self, transfer: Transfer) -> Result<u16, Fault> {
        let mut transaction = Transaction::new();
        let slot = match transfer {
            Transfer::Read(at) | Transfer::Poll { at, .. } => transaction.read(at),
            Transfer::Write(at, value) => transaction.write(at, value),
        };
        let slot = slot.expect("one transfer");
        match self.chip.run(&transaction) {
            Ok(outcome) => Ok(outcome.get(slot).expect("its value")),
            Err(bus::Error::Failed(Failure { fault, .. })) => Err(fault),
            Err(error) => panic!("{error}"),
        }
    }
}

impl<C: Bus> Bus for Liar<C> {
    fn atomic(&self) -> bool {
        true
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, bus::Error> {
        execute(transaction, |transfer| match self.lies.next() {
            Some(0) => Err(Fault::TimedOut),
            flip => Ok(self.single(transfer)? ^ flip.unwrap_or(0)),
        })
    }
}

/// The memory of the MT7621 does not time out; it does not answer, which reads as ones.
impl<C: Memory> Memory for Liar<C> {
    fn read(&mut self, register: u32) -> u32 {
        let value = self.chip.read(register);
        lied(self.lies.next(), value)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.chip.write(register, value);
    }

    fn table(&self) -> u32 {
        self.chip.table()
    }

    fn read_word(&mut self, at: u32) -> u32 {
        let value = self.chip.read_word(at);
        lied(self.lies.next(), value)
    }

    fn write_word(&mut self, at: u32, value: u32) {
        self.chip.write_word(at, value);
    }

    fn barrier(&mut self) {
        self.chip.barrier();
    }
}

fn lied(lie: Option<u16>, value: u32) -> u32 {
    match lie {
        Some(0) => u32::MAX,
        flip => value ^ u32::from(flip.unwrap_or(0)).rotate_left(value & 16),
    }
}

fn network() -> Network {
    let public = vec![Ipv4Addr::new(198, 51, 100, 1)];
    Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public }
}

/// One of a few flows, so that inputs come back to the same; some that no chip can express.
fn flow(input: &mut Bytes<'_>) -> Flow {
    let (host, number, odd) = (input.u8() % 6, u16::from(input.u8() % 8), input.u8());
    let socket = |ip: [u8; 4], port| SocketAddr::from((ip, port));
    let source = match odd & 0x0f {
        1 => "[fd00::1]:1".parse().expect("an address"),
        2 => socket([10, 0, 0, host], 1),
        _ => socket([192, 168, 1, 2 + host], 10_000 + number),
    };
    let remote = socket([203, 0, 113, 9], 443);
    let public = socket([198, 51, 100, 1 + (odd >> 7)], 20_000 + number);
    let mac = |vlan: u8, last: u8| Mac([2, 0, 0, 0, vlan, last]);
    let side = |port, vlan: u8, last| Side::ethernet(port, vlan.into(), mac(1, last), mac(0, vlan));
    Flow {
        protocol: if odd & 0x10 == 0 { Protocol::Tcp } else { Protocol::Udp },
        original: Tuple { source, destination: remote },
        reply: Tuple { source: remote, destination: public },
        opener: side(1 + (odd >> 5 & 3), 1, host),
        answerer: side(5, 2, 200),
    }
}

fn judge<T>(result: Result<T, Error>) -> Result<T, Error> {
    if let Err(error) = &result {
        assert!(!matches!(error, Error::Driver(_)), "{error}");
        assert!(!error.to_string().is_empty());
    }
    result
}

/// One thing asked of a driver.
fn step<T: FlowTable>(
    driver: &mut T,
    live: &mut Vec<Entry>,
    input: &mut Bytes<'_>,
    pass: fn(&mut T, Duration),
) {
    let progress = |driver: &mut T, result| {
        if let Ok(Progress::Wait(time)) = judge(result) {
            pass(driver, time);
        }
    };
    match input.u8() % 16 {
        0..=5 => {
            let flow = flow(input);
            let expressible = driver.check(&flow);
            match judge(driver.insert(&flow)) {
                Ok(entry) => {
                    assert!(expressible.is_ok());
                    live.retain(|known| *known != entry);
                    live.push(entry);
                }
                Err(Error::NotExpressible(part)) => {
                    assert_eq!(expressible, Err(Error::NotExpressible(part)));
                }
                Err(_) => (),
            }
        }
        6 | 7 => {
            let at = usize::from(input.u8());
            if let Some(entry) = live.get(at % live.len().max(1)).copied() {
                if judge(driver.remove(entry)).is_ok() {
                    live.retain(|known| *known != entry);
                }
            }
        }
        8 | 9 => {
            let at = usize::from(input.u8());
            let entry = live.get(at % live.len().max(1)).copied().unwrap_or(Entry(at as u32));
            let _ = judge(driver.verify(entry));
        }
        10 | 11 => {
            let result = driver.sweep(&mut |_| ());
            progress(driver, result);
        }
        12 => drop(judge(driver.alive())),
        13 => pass(driver, Duration::from_secs(input.u8().into())),
        14 => {
            let result = driver.disable();
            progress(driver, result);
        }
        _ => {
            let result = driver.set_up(&network());
            progress(driver, result);
        }
    }
    let most = driver.capabilities().entries;
    assert!(driver.used() <= most, "{} of {most}", driver.used());
}

fn finish<T: FlowTable>(driver: &mut T, pass: fn(&mut T, Duration)) {
    for _ in 0..CALLS {
        match driver.set_up(&network()).expect("the chip says the truth") {
            Progress::Done => return,
            Progress::More => (),
            Progress::Wait(time) => pass(driver, time),
        }
    }
    panic!("no end of setting up");
}

type Qca = Qca8337<Liar<qca8337::Qca8337>>;
type Mt = Mt7530<Liar<mt7530::Mt7530>>;
type Ppe = Direct<Liar<mt7621_ppe::Mt7621Ppe>>;

fn pass_qca(driver: &mut Qca, time: Duration) {
    driver.bus_mut().chip.pass(time);
}

fn pass_mt(driver: &mut Mt, time: Duration) {
    driver.bus_mut().chip.pass(time);
}

/// Its clock does not matter here.
fn pass_ppe(_: &mut Ppe, _: Duration) {}

fn liar<C>(chip: C) -> Liar<C> {
    Liar { chip, lies: Lies::default() }
}

thread_local! {
    static QCA: [OnceCell<Qca>; 2] = const { [OnceCell::new(), OnceCell::new()] };
    static MT: OnceCell<Mt> = const { OnceCell::new() };
}

fn qca(input: &mut Bytes<'_>, again: bool) {
    let model = [Model::Qca8337, Model::Ar8327][usize::from(input.u8() & 1)];
    let mut driver = QCA.with(|ready| {
        let ready = &ready[usize::from(model == Model::Ar8327)];
        let made = ready.get_or_init(|| {
            let chip = match model {
                Model::Qca8337 => qca8337::Options::of(qca8337::Model::Qca8337),
                Model::Ar8327 => qca8337::Options::of(qca8337::Model::Ar8327),
            };
            let bus = liar(qca8337::Qca8337::new(chip));
            let mut driver = Qca8337::new(bus, model, Options::default());
            finish(&mut driver, pass_qca);
            driver
        });
        made.clone()
    });
    driver.bus_mut().lies = Lies::of(input);
    let mut live = Vec::new();
    for _ in 0..STEPS {
        if input.0.is_empty() {
            break;
        }
        step(&mut driver, &mut live, input, pass_qca);
    }
    if again {
        driver.bus_mut().lies = Lies::default();
        driver.bus_mut().chip.pass(Duration::from_secs(1));
        finish(&mut driver, pass_qca);
        assert_eq!(driver.used(), 0);
    }
}

fn rule(input: &mut Bytes<'_>) -> Rule {
    let some = input.u8();
    let mut what = Match::on(input.u8() & 0x7f);
    let bit = |number: u8| some >> number & 1 != 0;
    what.source_mac = bit(0).then(|| Mac(input.array()));
    what.destination_mac = bit(1).then(|| Mac(input.array()));
    what.ether_type = bit(2).then(|| input.u16());
    what.source = bit(3).then(|| (Ipv4Addr::from(input.u32()), input.u8() % 34));
    what.destination = bit(4).then(|| (Ipv4Addr::from(input.u32()), input.u8() % 34));
    what.protocol = bit(5).then(|| if input.u8() & 1 == 0 { 6 } else { 17 });
    what.source_port = bit(6).then(|| input.u16());
    what.destination_port = bit(7).then(|| input.u16());
    let action = match input.u8() % 4 {
        0 => Action::Drop,
        1 => Action::Priority(input.u8() % 9),
        2 => Action::Rate(input.u16()),
        _ => Action::ToCpu,
    };
    Rule { what, action }
}

fn mt7530_step(driver: &mut Mt, rules: &mut Vec<RuleId>, input: &mut Bytes<'_>) {
    match input.u8() % 12 {
        0..=2 => match driver.insert_rule(&rule(input)) {
            Ok(id) => rules.push(id),
            Err(error) => assert!(!error.to_string().is_empty()),
        },
        3 => drop(rules.pop().map(|id| driver.remove_rule(id))),
        4 | 5 => drop(driver.advance()),
        6 => drop(driver.audit()),
        7 => drop(judge(driver.station(Mac(input.array()), Scope::Shared(input.u8())))),
        8 => {
            let mut dump = Dump::default();
            let _ = judge(driver.dump_stations(&mut dump, &mut |_| ()));
        }
        9 => drop(judge(driver.vlan(input.u16() & 0xfff))),
        10 => drop(judge(driver.find_vlans())),
        _ => drop(judge(driver.counters(input.u8()))),
    }
    assert!(driver.patterns_used() <= hw_drivers::mt7530::MAX_PATTERNS);
}

fn mt(input: &mut Bytes<'_>, again: bool) {
    let mut driver = MT.with(|ready| {
        let made = ready.get_or_init(|| {
            let bus = liar(mt7530::Mt7530::new(mt7530::Options::default()));
            let mut driver = Mt7530::new(bus, Settings { ports: 0x7f, trap: true });
            finish(&mut driver, pass_mt);
            driver
        });
        made.clone()
    });
    driver.bus_mut().lies = Lies::of(input);
    let (mut live, mut rules) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        if input.0.is_empty() {
            break;
        }
        if input.u8() & 3 == 0 {
            step(&mut driver, &mut live, input, pass_mt);
        } else {
            mt7530_step(&mut driver, &mut rules, input);
        }
    }
    let _ = driver.rules().count();
    if again {
        driver.bus_mut().lies = Lies::default();
        finish(&mut driver, pass_mt);
    }
}

/// Its table is large: the set-up, which reads all of it, is part of the input.
fn ppe(input: &mut Bytes<'_>) {
    let unseen = if input.u8() & 1 == 0 { Unseen::Refuse } else { Unseen::TakeFree };
    let options = DirectOptions { unseen, counting: true };
    let mut memory = liar(mt7621_ppe::Mt7621Ppe::started(mt7621_ppe::Options::default()));
    memory.lies = Lies::of(input);
    let mut driver = Direct::new(memory, DirectAccess::KernelKeepsOff, options);
    for _ in 0..64 {
        if !matches!(driver.set_up(&network()), Ok(Progress::More)) {
            break;
        }
    }
    let mut live = Vec::new();
    for _ in 0..STEPS {
        if input.0.is_empty() {
            break;
        }
        step(&mut driver, &mut live, input, pass_ppe);
        for entry in &live {
            let _ = (driver.indices(*entry), driver.idle_s(*entry));
        }
    }
}

fn words(input: &mut Bytes<'_>) {
    let seven: [u32; 7] = std::array::from_fn(|_| input.u32());
    let address = input.u32();
    for base in [None, Some(Base::block(address)), Some(Base::comb(address))] {
        let napt = Napt::decode(&seven, base);
        let again = napt.encode(base).expect("an address that an entry holds");
        assert_eq!(Napt::decode(&again, base), napt);
        let nat = Nat::decode(&seven, base);
        let again = nat.encode(base).expect("an address that an entry holds");
        assert_eq!(Nat::decode(&again, base), nat);
    }
    for model in [Model::Qca8337, Model::Ar8327] {
        if let Some(host) = Host::decode(&seven, model) {
            assert_eq!(Host::decode(&host.encode(model), model), Some(host));
        }
    }
    let twenty: [u32; WORDS] = std::array::from_fn(|_| input.u32());
    let entry = FoeEntry::of(&twenty);
    let bucket = hash::bucket(&twenty);
    assert!(bucket.is_none_or(|index| u32::from(index) < hash::ENTRIES && index & 1 == 0));
    match entry.words() {
        Some(again) => assert_eq!(FoeEntry::of(&again), entry),
        None => assert!(!matches!(entry.content, Content::V4 { .. } | Content::V6(_))),
    }
}

/// Whatever comes from the kernel in answer to a program.
fn answer(data: &[u8]) {
    for endian in [Endian::Little, Endian::Big] {
        for family in [None, Some(0x1c)] {
            let mut reply = Reply::default();
            let whole = parse(endian, family, 1, data, &mut reply);
            assert!(reply.error.is_none_or(|errno| errno > 0));
            assert!(reply.acknowledged.is_none_or(|errno| errno >= 0));
            // Once more: after the acknowledgement nothing is read.
            if whole.is_ok() && reply.acknowledged.is_some() {
                let before = reply.clone();
                assert!(parse(endian, family, 1, data, &mut reply).is_ok());
                assert_eq!(reply, before);
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let (mut input, again) = (Bytes(rest), choice & 0xf0 == 0xf0);
    match choice & 7 {
        0 | 1 => words(&mut input),
        2 | 3 => answer(rest),
        4 | 5 => qca(&mut input, again),
        6 => mt(&mut input, again),
        _ => ppe(&mut input),
    }
});
