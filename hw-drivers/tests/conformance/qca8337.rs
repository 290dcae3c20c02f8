// SPDX-License-Identifier: GPL-2.0-or-later
//! QCA8337 and AR8327 in the suite: plain Ethernet towards the Internet, and PPPoE in a VLAN.

use crate::line::{Line, Spot, Trouble};
use crate::rig::Rig;
use hw_drivers::bus::{Address, Bus, Transaction};
use hw_drivers::flow::{Flow, Mac, Pppoe, Protocol, Side, Translation, Tuple};
use hw_drivers::qca8337 as driver;
use hw_drivers::qca8k_page::PageAfter;
use hw_drivers::table::{Network, Part};
use hw_simulators::qca8337::{
    AgedOut, Bypass, CounterMemory, Duplicate, Ingress, KernelDriver, Latch, Learning,
    MemberFilter, Model, NaptKey, Next, Options as Chip, Qca8337, ZeroAge, PORTS,
};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// A chip with one kind of way to the Internet.
pub enum Qca<const AR8327: bool, const PPPOE: bool> {}

/// Options of both sides, named by what is unusual.
#[derive(Clone)]
pub struct Options {
    name: &'static str,
    chip: Chip,
    driver: driver::Options,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "variant: {}", self.name)
    }
}

const PORT_WAN: u8 = 5;
/// The LAN port whose frames have tags.
const PORT_TAGGED: u8 = 3;

/// The VLAN towards the Internet.
const fn wan_vlan(pppoe: bool) -> u16 {
    if pppoe {
        7
    } else {
        2
    }
}

const USUAL: &str = "usual";

type Change = fn(&mut Chip, &mut driver::Options);

/// Every single thing that nobody has confirmed, and options of the driver.
const DEVIATIONS: &[(&str, Change)] = &[
    ("page of no importance, not readable", |chip, driver| {
        chip.page_readable = false;
        chip.kernel = KernelDriver::Ar8216;
        driver.page_after = PageAfter::Any;
    }),
    ("page settles for one transfer", |chip, _| chip.page_settles = 1),
    ("latch of the register", |chip, _| chip.latch = Latch::OfRegister),
    ("never busy", |chip, _| chip.busy_reads = 0),
    ("long busy", |chip, _| chip.busy_reads = 100),
    ("status at the first read", |chip, _| chip.status_needs_second_read = false),
    ("flush at once", |chip, _| chip.flush_time = Duration::ZERO),
    ("NEXT wraps", |chip, _| chip.next = Next::Wraps),
    ("two ways", |chip, _| chip.napt_ways = 2),
    ("all ways", |chip, _| chip.napt_ways = 1024),
    ("duplicates replaced", |chip, _| chip.napt_duplicate = Duplicate::Replaced),
    ("duplicates twice", |chip, _| chip.napt_duplicate = Duplicate::Second),
    ("override", |_, driver| driver.override_entries = true),
    ("override of aged entries", |chip, driver| {
        chip.override_takes_aged = true;
        driver.override_entries = true;
    }),
    ("translation in the key", |chip, _| chip.napt_key = NaptKey::WithTranslation),
    ("age 0 is fresh", |chip, _| chip.zero_age = ZeroAge::Fresh),
    ("eight ways for hosts", |chip, _| chip.host_ways = 8),
    ("hosts twice refused", |chip, _| chip.host_duplicate = Duplicate::Refused),
    ("hosts twice", |chip, _| chip.host_duplicate = Duplicate::Second),
    ("deleted hosts not found", |chip, _| chip.deleted_hosts_found = false),
    ("learning harmless", |chip, _| chip.learning = Learning::Harmless),
    ("learning disturbs commands", |chip, _| chip.learning = Learning::DisturbsCommand),
    ("aged out vanishes", |chip, _| {
        chip.aged_out = AgedOut::Vanishes;
        chip.napt_age_step = 1;
    }),
    ("aged out does not forward", |chip, _| {
        chip.aged_forwards = false;
        chip.napt_age_step = 1;
    }),
    ("counters stay on read", |chip, _| chip.counters_clear_on_read = false),
    ("counters apart", |chip, _| chip.counter_memory = CounterMemory::Apart),
    ("ingress from the LAN", |chip, driver| {
        chip.ingress = Ingress::FromPrivate;
        driver.outward = driver::Outward::Ingress;
    }),
    ("counts without FCS", |chip, _| chip.counted_overhead = 0),
    ("nothing bypasses", |chip, _| {
        chip.bypass = Bypass { fragments: false, options: false, ttl: false, tcp_flags: false };
    }),
    ("TCP flags bypass", |chip, _| chip.bypass.tcp_flags = true),
    ("member bitmaps hold, and are open", |chip, _| {
        chip.member_filter = MemberFilter::Routed;
        chip.layer2.members = [0x7f; PORTS];
    }),
    ("source NAT forced", |_, driver| driver.force_source_nat = true),
    ("four counters", |_, driver| driver.counters = 4),
    ("sweeps of one", |_, driver| driver.sweep = 1),
];

impl<const AR8327: bool, const PPPOE: bool> Rig for Qca<AR8327, PPPOE> {
    type Chip = Qca8337;
    type Table = driver::Qca8337<Line<Qca8337>>;
    type Options = Options;

    /// A step of ageing, so that no entry looks fresh for want of time.
    const SWEEP: Duration = Duration::from_secs(28);
    const LONG_STRIDE: usize = 11;
    const TROUBLES: &'static [Trouble] = Trouble::OF_A_BUS;
    const TELLS: bool = true;
    const ENDS_AT_FIN: bool = false;
    const LOOKS_FOR_ROUTER: bool = true;

    fn variants() -> Vec<Options> {
        let mut chip = Chip::of(if AR8327 { Model::Ar8327 } else { Model::Qca8337 });
        chip.layer2.pvid[usize::from(PORT_WAN)] = wan_vlan(PPPOE);
        let usual = Options { name: USUAL, chip, driver: driver::Options::default() };
        // The chips have one engine; with the others it is enough to see every third deviation.
        let chosen = |place: &usize| match (AR8327, PPPOE) {
            (false, false) => true,
            (true, _) => place.is_multiple_of(3),
            (false, true) => place % 3 == 1,
        };
        let chosen = DEVIATIONS.iter().enumerate().filter(|(place, _)| chosen(place));
        let deviations = chosen.map(|(_, (name, change))| {
            let mut options = Options { name, ..usual.clone() };
            change(&mut options.chip, &mut options.driver);
            options
        });
        std::iter::once(usual.clone()).chain(deviations).collect()
    }

    fn chip(options: &Options) -> Qca8337 {
        Qca8337::new(options.chip.clone())
    }

    fn prepare(chip: &mut Qca8337) {
        // The kernel's driver has a look at port 1, so that a page is in force.
        chip.kernel_read(0x0080);
    }

    fn table(options: &Options, line: Line<Qca8337>) -> Self::Table {
        let model = if AR8327 { driver::Model::Ar8327 } else { driver::Model::Qca8337 };
        driver::Qca8337::new(line, model, options.driver)
    }

    fn network(number: u32) -> Network {
        let public = vec![public(number, 0), public(number, 1)];
        Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public }
    }

    fn flow(network: u32, number: u32) -> Flow {
        let host = 2 + (number % 5) as u8;
        flow::<PPPOE>(network, number, host, Mac([2, 0, 0, 1, 0, host]))
    }

    fn lonely(number: u32) -> Flow {
        let host = 100 + (number % 150) as u8;
        let [high, low] = (number as u16).to_be_bytes();
        flow::<PPPOE>(0, 40_000 + number, host, Mac([2, 0, 0, 3, high, low]))
    }

    fn refused() -> Vec<(Flow, Part)> {
        let good = Self::flow(0, 0);
        let mut refused = Vec::new();
        let mut add = |part, change: &dyn Fn(&mut Flow)| {
            let mut flow = good;
            change(&mut flow);
            refused.push((flow, part));
        };
        add(Part::PublicAddress(public(1, 0)), &|flow| {
            flow.reply.destination.set_ip(public(1, 0).into());
        });
        add(Part::Translation(Translation::None), &|flow| flow.reply = flow.original.inverse());
        add(Part::Translation(Translation::Both), &|flow| {
            flow.original.destination = "203.0.113.200:80".parse().unwrap();
        });
        add(Part::Address(Ipv4Addr::new(192, 168, 2, 2)), &|flow| {
            flow.original.source.set_ip(Ipv4Addr::new(192, 168, 2, 2).into());
        });
        add(Part::Vlan(wan_vlan(PPPOE)), &|flow| flow.opener.vlan = wan_vlan(PPPOE));
        add(Part::Pppoe, &|flow| {
            flow.opener.pppoe = Some(Pppoe { session: 3, peer: flow.opener.neighbour });
        });
        refused
    }

    fn never_collides(options: &Options) -> bool {
        options.chip.napt_ways == 1024
    }

    fn about_room(options: &Options) -> bool {
        let usual = Chip::default();
        let Chip { napt_ways, napt_duplicate, override_takes_aged, .. } = options.chip;
        let room = (napt_ways, napt_duplicate, override_takes_aged);
        room != (usual.napt_ways, usual.napt_duplicate, usual.override_takes_aged)
            || options.name == USUAL
    }

    fn held(chip: &Qca8337) -> Vec<u32> {
        let count = |entries: u32, register: &dyn Fn(u32) -> u32, mask: u32| {
            (0..entries).filter(|entry| chip.register(register(*entry)) & mask != 0).count() as u32
        };
        vec![
            chip.napt_entries().len() as u32,
            chip.host_entries().len() as u32,
            chip.nat_entries().len() as u32,
            // Interfaces, public addresses, sessions, rules.
            count(8, &|entry| 0x5_a908 + 16 * entry, 0x300),
            count(16, &|entry| 0x5_aa04 + 16 * entry, 1),
            count(16, &|entry| 0x5_f000 + 4 * entry, 0x3_0000),
            count(96, &|entry| 0x5_9010 + 32 * entry, 7),
        ]
    }

    fn footprint(chip: &Qca8337) -> Vec<u32> {
        // Register and the bits of it that are the engine's: what both use is compared but for
        // those.
        let shared = [
            (0x0030, 0x6),
            (0x003c, 0),
            (0x0078, 0),
            (0x0098, 0),
            (0x009c, 0),
            (0x0214, 1 << 25),
            (0x0620, 1 << 17 | 1 << 16 | 1 << 10),
            (0x0624, 0),
            (0x0c00, 0x3),
            (0x0e0c, 0x7f_7f7f),
        ];
        let ports = (0..7).flat_map(|port| {
            [(0x007c + 4 * port, 0), (0x0420 + 8 * port, 0), (0x0660 + 12 * port, 0)]
        });
        let page = chip.options().page_readable.then(|| chip.page().into());
        let registers = shared.into_iter().chain(ports);
        page.into_iter()
            .chain(registers.map(|(register, engine)| chip.register(register) & !engine))
            .collect()
    }

    fn excuses(spot: Spot, trouble: Trouble) -> bool {
        spot == Spot::Transfer(Address::truncated(0x18, 0)) || trouble.misread()
    }

    fn intrude(chip: &mut Qca8337) {
        // Module MIB, the hash of stations, the frame size, and the last page is another one.
        // To take over the bus takes it longer than the chip needs for a page that was put back.
        for _ in 0..chip.options().page_settles {
            let mut pause = Transaction::new();
            pause.read(Address::truncated(0, 2)).expect("fits");
            chip.run(&pause).expect("a read");
        }
        let turned = [(0x0030, 1), (0x0620, 0x10_0000), (0x0078, 0x1000)];
        for (register, bits) in turned {
            let value = chip.kernel_read(register);
            chip.kernel_write(register, value ^ bits);
        }
        let page = if chip.register(0x0078) & 0x1000 == 0 { 0x1000 } else { 0x0c70 };
        chip.kernel_read(page);
    }

    fn rebind(chip: &mut Qca8337) {
        chip.kernel_binds();
    }

    fn corrupt(chip: &mut Qca8337, flow: &Flow, part: u32) -> bool {
        let (private, remote) = ends(flow);
        let entries = chip.napt_entries();
        let met = |entry: &&hw_simulators::qca8337::NaptEntry| {
            SocketAddr::from(entry.private) == private && SocketAddr::from(entry.remote) == remote
        };
        let index = entries.iter().find(met).expect("the flow is in").index;
        let bits = [0, 4, 11, 16, 20, 23, 26, 31];
        // The age is not compared: traffic and time change it.
        let words = 4;
        let place = part as usize;
        if place < words * bits.len() {
            let (word, bit) = (place / bits.len(), bits[place % bits.len()]);
            let (word, bit) = if AR8327 && word == 3 { (3, bit % 12) } else { (word, bit) };
            return chip.flip_napt(index, word, 1 << bit);
        }
        let hosts: Vec<_> = chip.host_entries();
        let neighbours = [flow.opener.neighbour, flow.answerer.neighbour];
        let host = |which: usize| {
            let found = hosts.iter().find(|host| host.mac == neighbours[which]);
            found.expect("the neighbour is in the table").index
        };
        match place - words * bits.len() {
            0 => chip.lose_napt(index),
            1 => chip.lose_host(host(0)),
            2 => chip.lose_host(host(1)),
            _ => false,
        }
    }
}

fn public(network: u32, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, 1 + network as u8 * 16 + number)
}

/// The end in the LAN and the one in the Internet.
fn ends(flow: &Flow) -> (SocketAddr, SocketAddr) {
    match flow.translation() {
        Translation::Destination => (flow.reply.source, flow.original.source),
        _ => (flow.original.source, flow.original.destination),
    }
}

/// A flow of a host. Odd numbers are UDP, every fourth is opened from the Internet, every eighth
/// uses the second public address.
fn flow<const PPPOE: bool>(network: u32, number: u32, host: u8, neighbour: Mac) -> Flow {
    let port = 1 + host % 4;
    let inside = Side {
        port,
        vlan: if port == PORT_TAGGED { 3 } else { 1 },
        tagged: port == PORT_TAGGED,
        neighbour,
        router: if port == PORT_TAGGED { Mac([2, 0, 0, 0, 0, 3]) } else { Mac([2, 0, 0, 0, 0, 1]) },
        mtu: 1500,
        pppoe: None,
    };
    let gateway = Mac([2, 0, 0, 2, 0, 1]);
    let outside = Side {
        port: PORT_WAN,
        vlan: wan_vlan(PPPOE),
        tagged: PPPOE,
        neighbour: gateway,
        router: Mac([2, 0, 0, 0, 0, 2]),
        mtu: if PPPOE { 1492 } else { 1500 },
        pppoe: PPPOE.then_some(Pppoe { session: 0x1234, peer: gateway }),
    };
    let port = 10_000 + number as u16;
    let private = SocketAddr::from(([192, 168, 1, host], port));
    let remote = SocketAddr::from(([203, 0, 113, 5], 443));
    let address = public(network, u8::from(number % 8 >= 6));
    let public = SocketAddr::from((address, port ^ 0x8000));
    let protocol = if number % 2 == 1 { Protocol::Udp } else { Protocol::Tcp };
    let (original, reply, opener, answerer) = if number % 4 == 3 {
        (
            Tuple { source: remote, destination: public },
            Tuple { source: private, destination: remote },
            outside,
            inside,
        )
    } else {
        (
            Tuple { source: private, destination: remote },
            Tuple { source: remote, destination: public },
            inside,
            outside,
        )
    };
    Flow { protocol, original, reply, opener, answerer }
}

mod plain {
    use super::Qca;
    crate::conformance!(Qca<false, false>, usual: 1, stride: 97, sequences: 6);
}
mod pppoe {
    use super::Qca;
    crate::conformance!(Qca<false, true>, usual: 1, stride: 97, sequences: 6);
}
mod ar8327 {
    use super::Qca;
    crate::conformance!(Qca<true, false>, usual: 1, stride: 97, sequences: 6);
}
