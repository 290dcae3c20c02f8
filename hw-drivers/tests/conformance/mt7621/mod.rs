// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7621's packet engine in the suite: two MACs, and the switch behind the first of them.

mod board;

use crate::line::{Line, Spot, Trouble};
use crate::rig::Rig;
use board::Board;
use hw_drivers::flow::{Flow, Mac, Pppoe, Protocol, Side, Translation, Tuple};
use hw_drivers::mt7621_ppe::direct::{Direct, DirectAccess, Options as Driver, Unseen};
use hw_drivers::mt7621_ppe::entry::{self, Words};
use hw_drivers::mt7621_ppe::hash;
use hw_drivers::mt7621_ppe::registers as reg;
use hw_drivers::mt7621_ppe::translate::{translate, SWITCH_PORT_0};
use hw_drivers::table::{Network, Part};
use hw_simulators::mt7621_ppe::{CacheModel, Mt7621Ppe, Options as Chip};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

/// The engine, with or without the switch.
pub enum Mt7621<const SWITCH: bool> {}

/// Options of both sides, named by what is unusual.
#[derive(Clone)]
pub struct Options {
    name: &'static str,
    chip: Chip,
    driver: Driver,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "variant: {}", self.name)
    }
}

const USUAL: &str = "usual";
const FREE: &str = "free entries taken";

type Change = fn(&mut Chip, &mut Driver);

/// Every single thing that nobody has confirmed, and options of the driver. Another hash (`twist`)
/// is not here: with it the driver offloads nothing, which has a test of its own.
const DEVIATIONS: &[(&str, Change)] = &[
    (FREE, |_, driver| driver.unseen = Unseen::TakeFree),
    ("no cache", |chip, _| chip.cache = CacheModel::None),
    ("a hit writes all of word 0", |chip, _| chip.writes_whole_word = true),
    ("crossing entries can be used", |chip, _| chip.crossing_breaks = false),
    ("the odd way first", |chip, _| chip.upper_way_first = true),
    ("the odd way first, free entries taken", |chip, driver| {
        chip.upper_way_first = true;
        driver.unseen = Unseen::TakeFree;
    }),
    ("sessions beyond the length limit", |chip, _| chip.mtu_counts_pppoe = false),
    ("counting, counters stay on read", |_, driver| driver.counting = true),
    ("counting, counters clear on read", |chip, driver| {
        chip.account_clears = true;
        driver.counting = true;
    }),
    ("stores in another order", |chip, _| chip.unordered = Some(1)),
    ("stores in a third order", |chip, _| chip.unordered = Some(7919)),
];

const ENTRIES: usize = hash::ENTRIES as usize;
const CLEAR: u32 = reg::CACHE_CTL_CLEAR;
const GDM1: u32 = reg::GDM_FORWARD[0];
/// Checksums of received frames are checked: the kernel's to change.
const GDM_CHECKS: u32 = 7 << 20;
/// The account group of the kernel's entries.
const KERNEL: u8 = 0x1f;
/// The switch's port with a way to the Internet.
const SWITCH_WAN: u8 = SWITCH_PORT_0 + 4;
/// The number of the flow that an operation of the suite is about.
const SUBJECT: u32 = 2;

impl<const SWITCH: bool> Rig for Mt7621<SWITCH> {
    type Chip = Board;
    type Table = Direct<Line<Board>>;
    type Options = Options;

    /// A step of the timestamps. TCP is given up after seven, unbound entries after three.
    const SWEEP: Duration = Duration::from_secs(1);
    const LONG_STRIDE: usize = 3;
    const TROUBLES: &'static [Trouble] = Trouble::OF_MEMORY;
    const TELLS: bool = false;
    const ENDS_AT_FIN: bool = true;
    const LOOKS_FOR_ROUTER: bool = false;

    fn variants() -> Vec<Options> {
        let chip = Chip { switch_on_gdm1: SWITCH, ..Chip::default() };
        let usual = Options { name: USUAL, chip, driver: Driver::default() };
        // It is the same engine; with the switch every third deviation is enough.
        let chosen =
            DEVIATIONS.iter().enumerate().filter(|(place, _)| !SWITCH || place.is_multiple_of(3));
        let deviations = chosen.map(|(_, (name, change))| {
            let mut options = Options { name, ..usual.clone() };
            change(&mut options.chip, &mut options.driver);
            options
        });
        std::iter::once(usual.clone()).chain(deviations).collect()
    }

    fn chip(options: &Options) -> Board {
        Board::new(Mt7621Ppe::new(options.chip.clone()), SWITCH)
    }

    fn prepare(chip: &mut Board) {
        chip.ppe.start_as_kernel();
    }

    fn table(options: &Options, line: Line<Board>) -> Self::Table {
        Direct::new(line, DirectAccess::KernelKeepsOff, options.driver)
    }

    fn network(number: u32) -> Network {
        Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public: vec![public(number)] }
    }

    fn flow(network: u32, number: u32) -> Flow {
        let host = 2 + (number % 5) as u8;
        flow::<SWITCH>(network, number, host, Mac([2, 0, 0, 1, 0, host]))
    }

    fn lonely(number: u32) -> Flow {
        let [high, low] = (number as u16).to_be_bytes();
        let host = 100 + (number % 100) as u8;
        flow::<SWITCH>(0, 40_000 + number, host, Mac([2, 0, 0, 3, high, low]))
    }

    fn refused() -> Vec<(Flow, Part)> {
        let mut refused = Vec::new();
        let mut add = |part, number, change: &dyn Fn(&mut Flow)| {
            let mut flow = Self::flow(0, number);
            change(&mut flow);
            refused.push((flow, part));
        };
        for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
            add(Part::Address(address), 0, &|flow| flow.original.source.set_ip(address.into()));
        }
        add(Part::Mtu(1400), 0, &|flow| flow.answerer.mtu = 1400);
        add(Part::Mtu(1491), 2, &|flow| flow.answerer.mtu = 1491);
        // Its port towards the processor, and beyond the switch.
        for port in [0, 3, SWITCH_PORT_0 - 1, SWITCH_PORT_0 + 6] {
            add(Part::Port(port), 0, &|flow| flow.opener.port = port);
        }
        add(Part::Translation(Translation::Source), 4, &|flow| {
            flow.reply.destination.set_port(9);
        });
        add(Part::Neighbour, 0, &|flow| flow.answerer.router = Mac([3, 0, 0, 0, 0, 1]));
        add(Part::Neighbour, 2, &|flow| {
            let pppoe = flow.answerer.pppoe.as_mut().expect("a flow into a session");
            pppoe.peer = Mac([0xff; 6]);
        });
        refused
    }

    fn never_collides(_: &Options) -> bool {
        false
    }

    fn about_room(options: &Options) -> bool {
        [USUAL, FREE].contains(&options.name)
    }

    fn held(chip: &Board) -> Vec<u32> {
        let (mut bound, mut fixed) = (0, 0);
        for index in 0..ENTRIES {
            let info = chip.ppe.word(index, 0);
            // In force is a FIN, too.
            bound += info >> 29 & 1;
            fixed += info >> 31;
        }
        vec![bound, fixed, chip.ppe.register(reg::CACHE_CTL) & CLEAR]
    }

    fn footprint(chip: &Board) -> Vec<u32> {
        // Forwarding, configuration, the table, ages and rates, lengths, the cache.
        let registers = [
            0x0500, 0x1500, 0x0e00, 0x0e04, 0x0e1c, 0x0e20, 0x0e28, 0x0e38, 0x0e3c, 0x0e40, 0x0f0c,
            0x0f10, 0x0f20,
        ];
        // Whoever was stopped between setting and clearing that bit clears it with the next call.
        let engine = |register| if register == reg::CACHE_CTL { CLEAR } else { 0 };
        registers.map(|register| chip.ppe.register(register) & !engine(register)).to_vec()
    }

    /// Set-up and disable read thousands of entries that are like others.
    fn counts(spot: Spot) -> bool {
        match spot {
            Spot::Word(at) => telling::<SWITCH>()[(at / entry::ENTRY_BYTES) as usize],
            Spot::Register(_) | Spot::Transfer(_) => true,
        }
    }

    /// Every shared register is read twice before it is changed, so nothing excuses.
    fn excuses(_: Spot, _: Trouble) -> bool {
        false
    }

    fn intrude(chip: &mut Board) {
        let found = chip.ppe.register(GDM1);
        chip.ppe.set_register(GDM1, found ^ GDM_CHECKS);
        // It takes an entry out beside ours, and so clears the cache.
        let [even, _] = ways(&Self::flow(0, SUBJECT));
        let beside = (even + 2..).find(|index| chip.ppe.word(*index, 0) == 0);
        chip.ppe.kernel_binds(beside.expect("a free entry"), &[0; entry::WORDS]);
    }

    fn overrun(chip: &mut Board) {
        let flow = Self::flow(0, SUBJECT);
        let own = at_once(chip, &words(&flow)[0]);
        let [even, odd] = ways(&flow);
        let index = own.unwrap_or(if hash::crosses(even as u16) { odd } else { even });
        chip.ppe.kernel_binds(index, &words(&rival::<SWITCH>())[0]);
    }

    fn rival() -> Option<Flow> {
        Some(rival::<SWITCH>())
    }

    fn retreat(chip: &mut Board) {
        for index in chip.ppe.bound_entries() {
            let group = entry::FoeEntry::of(&chip.ppe.entry(index)).ib2.group();
            if group == KERNEL {
                chip.ppe.kernel_binds(index, &[0; entry::WORDS]);
            }
        }
    }

    fn rebind(chip: &mut Board) {
        chip.ppe.start_as_kernel();
    }

    fn corrupt(chip: &mut Board, flow: &Flow, part: u32) -> bool {
        let v4: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15];
        let v6: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 17, 18, 19];
        let meant = if flow.is_v4() { v4 } else { v6 };
        let words = &words(flow)[part as usize % 2];
        let index = at_once(chip, words).expect("the flow is in");
        let mut changed = chip.ppe.entry(index);
        let part = part as usize / 2;
        // Of word 0: layers, session, kind of tag, cache, TTL, type, state, protocol, STATIC.
        let bits = [16, 19, 20, 22, 24, 25, 28, 29, 30, 31];
        match (bits.get(part), part.checked_sub(bits.len()).map(|word| meant.get(word))) {
            (Some(bit), _) => changed[0] ^= 1 << bit,
            // Bit 23 is one of the account group, which never becomes the kernel's by it.
            (_, Some(Some(word))) => changed[*word] ^= 1 << 23 | 1 << (word % 16),
            (_, Some(None)) if part == bits.len() + meant.len() => changed = [0; entry::WORDS],
            _ => return false,
        }
        chip.ppe.kernel_binds(index, &changed);
        true
    }
}

/// Entries of both directions as the kernel would make them.
fn words(flow: &Flow) -> [Words; 2] {
    let entries = translate(flow, [KERNEL; 2]).expect("a flow that can be expressed");
    entries.map(|entry| entry.words().expect("a layout that is written"))
}

/// Both places of the original direction.
fn ways(flow: &Flow) -> [usize; 2] {
    let even = hash::bucket(&words(flow)[0]).expect("a hash");
    [even, even | 1].map(usize::from)
}

/// Where an entry for the same packets is, in whatever state but free.
fn at_once(chip: &Board, words: &Words) -> Option<usize> {
    let even = usize::from(hash::bucket(words)?);
    let tuple = if entry::Ib1(words[0]).kind() == entry::Kind::V4Five { 1..4 } else { 1..10 };
    [even, even | 1].into_iter().find(|index| {
        let found = chip.ppe.entry(*index);
        found[0] >> 28 & 3 != 0 && found[tuple.clone()] == words[tuple.clone()]
    })
}

/// For each entry whether it may be one of the first flows', or is one of the first that cross
/// 1024 bytes: one fixed by the kernel, one by the driver.
fn telling<const SWITCH: bool>() -> &'static [bool] {
    static ENTRIES_TELLING: [LazyLock<Vec<bool>>; 2] =
        [LazyLock::new(telling_of::<false>), LazyLock::new(telling_of::<true>)];
    &ENTRIES_TELLING[usize::from(SWITCH)]
}

fn telling_of<const SWITCH: bool>() -> Vec<bool> {
    let mut telling = vec![false; ENTRIES];
    for flow in (0..8).map(|number| Mt7621::<SWITCH>::flow(0, number)) {
        for even in words(&flow).iter().filter_map(hash::bucket).map(usize::from) {
            (telling[even], telling[even | 1]) = (true, true);
        }
    }
    (telling[12], telling[115]) = (true, true);
    telling
}

/// A flow whose original direction is where that of the suite's subject is.
fn rival<const SWITCH: bool>() -> Flow {
    static NUMBERS: LazyLock<[u32; 2]> =
        LazyLock::new(|| [rival_number::<false>(), rival_number::<true>()]);
    flow::<SWITCH>(0, NUMBERS[usize::from(SWITCH)], 9, Mac([2, 0, 0, 4, 0, 9]))
}

fn rival_number<const SWITCH: bool>() -> u32 {
    let wanted = ways(&Mt7621::<SWITCH>::flow(0, SUBJECT));
    let rival =
        |number: &u32| ways(&flow::<SWITCH>(0, *number, 9, Mac([2, 0, 0, 4, 0, 9]))) == wanted;
    (0..50_000).rev().find(rival).expect("a flow in the same place")
}

fn public(network: u32) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, 1 + network as u8)
}

/// What a number of a flow means, by its last three bits.
const TAGGED: [bool; 8] = [false, true, false, false, false, true, true, false];
const SESSION: [bool; 8] = [false, false, true, false, false, true, false, true];
const TAGGED_OUTSIDE: [bool; 8] = [false, false, false, false, false, false, true, true];
const OUT_BY_SWITCH: [bool; 8] = [false, false, true, true, false, false, true, false];

/// A flow of a host. Odd numbers are UDP. Of eight three are translated at their source and one
/// at its destination, two are IPv6, one is routed, and one is translated at both.
fn flow<const SWITCH: bool>(network: u32, number: u32, host: u8, neighbour: Mac) -> Flow {
    let kind = number as usize % 8;
    let inside = Side {
        port: if SWITCH { SWITCH_PORT_0 + host % 4 } else { 1 },
        vlan: if TAGGED[kind] { 3 } else { 1 },
        tagged: TAGGED[kind],
        neighbour,
        router: Mac([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        pppoe: None,
    };
    let gateway = Mac([2, 0, 0, 2, 0, 1]);
    let pppoe = SESSION[kind].then_some(Pppoe { session: 0x1234, peer: gateway });
    let outside = Side {
        port: if SWITCH && OUT_BY_SWITCH[kind] { SWITCH_WAN } else { 2 },
        vlan: if TAGGED_OUTSIDE[kind] { 7 } else { 2 },
        tagged: TAGGED_OUTSIDE[kind],
        neighbour: gateway,
        router: Mac([2, 0, 0, 0, 0, 2]),
        mtu: if pppoe.is_some() { 1492 } else { 1500 },
        pppoe,
    };
    let protocol = if number % 2 == 1 { Protocol::Udp } else { Protocol::Tcp };
    // Servers all over the world, so that flows are all over the table.
    let [a, b, c, _] = number.wrapping_mul(0x9e37_79b1).to_be_bytes();
    let port = 10_000 + number as u16;
    let (private, remote): (IpAddr, IpAddr) = if matches!(kind, 4 | 7) {
        let [private, remote] = [u128::from(host), u128::from_be_bytes([a; 16]) >> 64];
        let near = 0xfd00_0000_0000_0000 + u128::from(network);
        let far = 0x2001_0db8_0000_0000 + u128::from(u32::from_be_bytes([0, a, b, c]));
        (Ipv6Addr::from(near << 64 | private).into(), Ipv6Addr::from(far << 64 | remote).into())
    } else {
        let near = Ipv4Addr::new(192, 168, 1 + 2 * network as u8, host);
        (near.into(), Ipv4Addr::new(203, a, b, c).into())
    };
    let (private, remote) = (SocketAddr::new(private, port), SocketAddr::new(remote, 443));
    let public = SocketAddr::from((public(network), port ^ 0x8000));
    let out = Tuple { source: private, destination: remote };
    let (original, reply) = match kind {
        // Opened from the Internet, to a port that is forwarded.
        3 => (
            Tuple { source: remote, destination: public },
            Tuple { source: private, destination: remote },
        ),
        4 | 6 | 7 => (out, out.inverse()),
        5 => {
            let known = SocketAddr::from(([192, 0, 2, b], 80));
            (
                Tuple { source: private, destination: known },
                Tuple { source: remote, destination: public },
            )
        }
        _ => (out, Tuple { source: remote, destination: public }),
    };
    let (opener, answerer) = if kind == 3 { (outside, inside) } else { (inside, outside) };
    Flow { protocol, original, reply, opener, answerer }
}

mod plain {
    use super::Mt7621;
    crate::conformance!(Mt7621<false>, usual: 3, stride: 97, sequences: 6);
}
mod switch {
    use super::Mt7621;
    crate::conformance!(Mt7621<true>, usual: 11, stride: 97, sequences: 6);
}
