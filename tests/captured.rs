// SPDX-License-Identifier: GPL-2.0-or-later
//! The netlink codecs on bytes of three real kernels (`tests/captured`, made in the lab).
//!
//! The captures hold what a kernel answers about the daemon's own tables, so the strongest check
//! is the daemon's: between what was read and what was wanted there must be no difference.

// The captures are from little-endian machines, and netlink uses the host's order.
#![cfg(target_endian = "little")]
// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use flowtabled::core::devices::{Coverage, Device};
use flowtabled::core::diff::difference;
use flowtabled::core::plan::{self, Class};
use flowtabled::core::settings::{Mode, Settings};
use flowtabled::netlink::conntrack::entry::Entry;
use flowtabled::netlink::conntrack::tuple::{IPPROTO_TCP, IPPROTO_UDP};
use flowtabled::netlink::conntrack::{
    stats, Counters, CtEvent, Filter, Masked, Tuple, IPS_OFFLOAD,
};
use flowtabled::netlink::ext_ack::Ack;
use flowtabled::netlink::message::{Message, Messages};
use flowtabled::netlink::nftables::event::NftEvent;
use flowtabled::netlink::nftables::generation::Generation;
use flowtabled::netlink::nftables::query::Snapshot;
use flowtabled::netlink::nftables::{Batch, Chain, Command, Flowtable, Rule, Set, Table};
use flowtabled::netlink::route::{self, Event, Link, LinkEvent};

const CAPTURES: [(&str, &str); 3] = [
    ("6.1", include_str!("captured/6.1.txt")),
    ("6.12", include_str!("captured/6.12.txt")),
    ("7.2", include_str!("captured/7.2.txt")),
];

/// One captured message.
struct Captured {
    name: String,
    kind: u16,
    flags: u16,
    payload: Vec<u8>,
}

impl Captured {
    fn message(&self) -> Message<'_> {
        let Captured { kind, flags, payload, .. } = self;
        Message { kind: *kind, flags: *flags, sequence: 1, port: 0, payload }
    }
}

fn capture(text: &str) -> Vec<Captured> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |word: &str| u16::from_str_radix(word, 16).unwrap();
            let digits = words[3].as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            Captured {
                name: words[0].to_owned(),
                kind: number(words[1]),
                flags: number(words[2]),
                payload: digits.map(byte).collect(),
            }
        })
        .collect()
}

fn each<T>(
    all: &[Captured],
    name: &str,
    parse: impl Fn(&Message<'_>) -> Result<T, netlink_packet_core::DecodeError>,
) -> Vec<T> {
    let of_name = all.iter().filter(|captured| captured.name == name);
    of_name.map(|captured| parse(&captured.message()).unwrap()).collect()
}

fn snapshot(all: &[Captured]) -> Snapshot {
    let mut sets = each(all, "set", Set::parse);
    for captured in all.iter().filter(|captured| captured.name == "element") {
        sets[0].parse_elements(&captured.message()).unwrap();
    }
    Snapshot {
        generation: each(all, "generation", Generation::parse)[0].id,
        tables: each(all, "table", Table::parse),
        flowtables: each(all, "flowtable", Flowtable::parse),
        chains: each(all, "chain", Chain::parse),
        sets,
        rules: each(all, "rule", Rule::parse),
    }
}

fn wanted() -> Vec<Class> {
    let device = |name: &str| Device {
        name: name.into(),
        ifindex: None,
        kind: String::new(),
        zones: Vec::new(),
        upper: Vec::new(),
        coverage: Coverage::Covered { hardware: false },
    };
    let settings = Settings { requested: Mode::Software, ..Settings::default() };
    let devices = [device("lan0"), device("wan0")];
    plan::wanted(&settings, &devices, &BTreeSet::new(), &BTreeSet::new())
}

#[test]
fn what_kernels_keep_is_what_was_wanted() {
    for (kernel, text) in CAPTURES {
        let read = snapshot(&capture(text));
        assert_eq!(difference(&read, &wanted(), &|_| true), [], "Linux {kernel}");
        assert_ne!(read.flowtables[0].handle, 0);
        assert_ne!(read.generation, 0);
        assert_eq!(read.rules.len(), 2);

        // The check can fail: each part that is damaged is noticed.
        for damage in [
            |s: &mut Snapshot| drop(s.flowtables[0].devices.pop()),
            |s: &mut Snapshot| s.flowtables[0].counter = false,
            |s: &mut Snapshot| s.chains[0].hook = None,
            |s: &mut Snapshot| drop(s.sets[0].elements.pop_first()),
            |s: &mut Snapshot| drop(s.rules[1].expressions.remove(4)),
            |s: &mut Snapshot| s.rules.reverse(),
        ] {
            let mut damaged = read.clone();
            damage(&mut damaged);
            assert_ne!(difference(&damaged, &wanted(), &|_| true), [], "Linux {kernel}");
        }
    }
}

/// The other way: what we would send for the objects that a kernel returned, read again.
#[test]
fn captured_objects_survive_being_sent() {
    for (kernel, text) in CAPTURES {
        let read = snapshot(&capture(text));
        let mut commands = vec![
            Command::AddTable(read.tables[0].clone()),
            Command::AddFlowtable(read.flowtables[0].clone()),
            Command::AddSet(read.sets[0].clone()),
            Command::AddChain(read.chains[0].clone()),
        ];
        commands.extend(read.rules.iter().cloned().map(Command::AddRule));
        let batch = Batch::new(commands).finish(1, None, true);
        let messages: Vec<Message> = Messages::new(batch.bytes()).map(Result::unwrap).collect();
        // Begin, table, flowtable, set, its elements, chain, two rules, end.
        assert_eq!(messages.len(), 9);
        assert_eq!(Table::parse(&messages[1]).unwrap(), read.tables[0]);
        let flowtable = Flowtable { handle: 0, ..read.flowtables[0].clone() };
        assert_eq!(Flowtable::parse(&messages[2]).unwrap(), flowtable, "Linux {kernel}");
        let mut set = Set::parse(&messages[3]).unwrap();
        set.parse_elements(&messages[4]).unwrap();
        assert_eq!(set, read.sets[0]);
        assert_eq!(Chain::parse(&messages[5]).unwrap(), read.chains[0]);
        for (sent, rule) in messages[6..8].iter().zip(&read.rules) {
            assert!(Rule::parse(sent).unwrap().same_as(rule), "Linux {kernel}");
        }
    }
}

#[test]
fn network_devices_stand_on_one_another() {
    for (kernel, text) in CAPTURES {
        let all = capture(text);
        let parse = |captured: &Captured| match route::parse(&captured.message()) {
            Ok(Some(Event::Link(LinkEvent::New(link)))) => link,
            other => panic!("Linux {kernel}: {other:?}"),
        };
        let links: Vec<Link> = all.iter().filter(|c| c.name == "link").map(parse).collect();
        let named = |name: &str| links.iter().find(|link| link.name == name).unwrap();
        assert!(named("lo").loopback);
        assert_eq!(named("br-lan").kind, "bridge");
        assert_eq!(named("lan0").master, Some(named("br-lan").index));
        assert_eq!(named("wan0").master, None);
        let vlan = named("wan0.7");
        assert_eq!((vlan.kind.as_str(), vlan.lower), ("vlan", Some(named("wan0").index)));
        assert!(!vlan.lower_elsewhere);
    }
}

#[test]
fn offloaded_connections_show_their_state() {
    for (kernel, text) in CAPTURES {
        let mut entries: Vec<Entry> =
            each(&capture(text), "conntrack", Entry::parse).into_iter().flatten().collect();
        // Lists have no order.
        entries.sort_by_key(|entry| entry.orig.family());
        let [tcp, udp] = entries[..] else { panic!("Linux {kernel}: {entries:?}") };
        for entry in [tcp, udp] {
            assert!(entry.is_offloaded() && !entry.is_hw_offloaded());
            assert!(entry.is_assured() && entry.seen_reply() && !entry.dying());
            assert!(!entry.dst_nat());
            assert_eq!((entry.mark, entry.zone), (0, 0));
            assert_eq!((entry.timeout_s, entry.tcp_state), (None, None), "left out by the kernel");
            assert_eq!((entry.start_ns, entry.stop_ns), (None, None));
            assert!(!entry.has_helper && !entry.has_seq_adj && !entry.has_master);
        }
        // The client's port and the id are all that differs between the kernels.
        let (tcp_port, udp_port, ids) = match kernel {
            "6.1" => (0xc300, 0x97d8, (0xdd8f_e7f5, 0xe751_974f)),
            "6.12" => (0xa8c4, 0x9a74, (0xd338_5a08, 0x0e53_db5a)),
            _ => (0xb722, 0xb027, (0xebc4_23c8, 0xc10a_3678)),
        };
        assert_eq!((tcp.id, udp.id), ids, "Linux {kernel}");
        assert_eq!(tcp.orig.to_string(), format!("192.168.1.2:{tcp_port} -> 203.0.113.2:80 tcp"));
        let expected = format!("[fd00:1::2]:{udp_port} -> [fd00:2::2]:53 udp");
        assert_eq!(udp.orig.to_string(), expected);
        // IPv4 leaves with the router's address, IPv6 with its own.
        let address = |text: &str, port| (text.parse().unwrap(), port);
        let (server, client) = (address("203.0.113.2", 80), address("192.168.1.2", tcp_port));
        assert_eq!(Some(tcp.orig), Tuple::new(IPPROTO_TCP, client, server));
        let outside = address("203.0.113.1", tcp_port);
        assert_eq!(Some(tcp.reply), Tuple::new(IPPROTO_TCP, server, outside));
        assert_eq!((udp.orig.protocol, udp.reply), (IPPROTO_UDP, udp.orig.inverse()));
        // For both it was decided whether to translate: confirmed, both ways, assured.
        assert_eq!((tcp.status, udp.status), (IPS_OFFLOAD | 0x19e, IPS_OFFLOAD | 0x18e));
        assert!(tcp.src_nat() && !udp.src_nat());
        let counters = |packets, bytes| Some(Counters { packets, bytes });
        assert_eq!(
            (tcp.counters_orig, tcp.counters_reply),
            (counters(16, 5960), counters(12, 5752))
        );
        assert_eq!(
            (udp.counters_orig, udp.counters_reply),
            (counters(15, 8400), counters(15, 8400))
        );

        let offloaded = Filter { status: Some(Masked::set(IPS_OFFLOAD)), ..Filter::default() };
        let classic = Filter { status: Some(Masked::clear(IPS_OFFLOAD)), ..Filter::default() };
        assert!(offloaded.matches(&tcp) && !classic.matches(&tcp));

        let stats = each(&capture(text), "conntrack-stats", stats::parse_entries);
        assert_eq!(stats, [Some(0)], "Linux {kernel}: taken in an empty namespace");
    }
}

#[test]
fn refusals_carry_what_the_kernel_gives() {
    for (kernel, text) in CAPTURES {
        let all = capture(text);
        let ack = |name: &str| {
            let captured = all.iter().find(|captured| captured.name == name).unwrap();
            Ack::parse(&captured.message()).unwrap()
        };
        assert_eq!(ack("refused-hardware").errno, libc::EOPNOTSUPP, "Linux {kernel}");
        let device = ack("refused-device");
        let (errno, pointed) = match kernel {
            // 6.1 says that a device is missing, 6.12 also which, 7.2 waits for the name.
            "6.1" => (libc::ENOENT, false),
            "6.12" => (libc::ENOENT, true),
            _ => (0, false),
        };
        assert_eq!((device.errno, device.offset.is_some()), (errno, pointed), "Linux {kernel}");
    }
}

/// Every capture cut short anywhere: an error or less content, never a panic.
#[test]
fn shortened_messages_are_survived() {
    for (_, text) in CAPTURES {
        for captured in capture(text) {
            for length in 0..captured.payload.len() {
                let payload = &captured.payload[..length];
                let message = Message { payload, ..captured.message() };
                let _ = (Table::parse(&message), Flowtable::parse(&message));
                let _ = (Chain::parse(&message), Rule::parse(&message), Set::parse(&message));
                let _ = (Generation::parse(&message), NftEvent::parse(&message));
                let _ = (route::parse(&message), Entry::parse(&message), CtEvent::parse(&message));
                let _ = (stats::parse_entries(&message), Ack::parse(&message));
            }
        }
    }
}
