// SPDX-License-Identifier: GPL-2.0-or-later
//! The netlink codecs on bytes of three real kernels (`tests/captured`, made in the lab).
//!
//! The captures hold what a kernel answers about the daemon's own tables, so the strongest check
//! is the daemon's: between what was read and what was wanted there must be no difference.

// The captures are from little-endian machines, and netlink uses the host's order.
#![cfg(target_endian = "little")]
// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use flowtabled::core::device_names::DeviceNames;
use std::time::Duration;

use flowtabled::core::devices::{Coverage, Device};
use flowtabled::core::diff::{difference, Surplus};
use flowtabled::core::plan::{self, Class};
use flowtabled::core::policy::Places;
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
use flowtabled::netlink::nftables::{
    Batch, Chain, Command, Counted, Element, Flowtable, Rule, Set, Table,
};
use flowtabled::netlink::prefix::Prefix;
use flowtabled::netlink::route::{
    self, Address, AddressEvent, Event, FdbEntry, Link, LinkEvent, Neighbour, NeighbourEvent,
    Route, RouteKind,
};
use flowtabled::netlink::xfrm::{Direction, Policy, Ports};

/// Errors as the captures have them, by the numbers of x86; MIPS has its own for these two.
const EOPNOTSUPP: i32 = 95;
const EHOSTUNREACH: i32 = 113;

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

/// The elements of a set follow it.
fn sets(all: &[Captured]) -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    for captured in all {
        match captured.name.as_str() {
            "set" => sets.push(Set::parse(&captured.message()).unwrap()),
            "element" => sets.last_mut().unwrap().parse_elements(&captured.message()).unwrap(),
            _ => (),
        }
    }
    sets
}

fn snapshot(all: &[Captured]) -> Snapshot {
    let sets = sets(all);
    Snapshot {
        generation: each(all, "generation", Generation::parse)[0].id,
        tables: each(all, "table", Table::parse),
        flowtables: each(all, "flowtable", Flowtable::parse),
        chains: each(all, "chain", Chain::parse),
        sets,
        rules: each(all, "rule", Rule::parse),
        ..Snapshot::default()
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
    plan::wanted(&settings, &devices, &Places::default(), &DeviceNames::new(), &DeviceNames::new())
}

#[test]
fn what_kernels_keep_is_what_was_wanted() {
    for (kernel, text) in CAPTURES {
        let captured = capture(text);
        assert_eq!(each(&captured, "flowtable", Flowtable::parse_users), [3], "Linux {kernel}");
        let read = snapshot(&captured);
        assert_eq!(difference(&read, &wanted(), &|_| Surplus::Stale), [], "Linux {kernel}");
        assert_ne!(read.flowtables[0].handle, 0);
        assert_ne!(read.generation, 0);
        assert_eq!(read.rules.len(), 9);

        // The check can fail: each part that is damaged is noticed.
        for damage in [
            |s: &mut Snapshot| drop(s.flowtables[0].devices.pop()),
            |s: &mut Snapshot| s.flowtables[0].counter = false,
            |s: &mut Snapshot| s.chains[0].hook = None,
            |s: &mut Snapshot| {
                let (first, _) = s.sets[0].elements.first().unwrap();
                let first = first.clone();
                s.sets[0].elements.remove(&first);
            },
            |s: &mut Snapshot| drop(s.rules[2].expressions.remove(4)),
            |s: &mut Snapshot| s.rules.reverse(),
        ] {
            let mut damaged = read.clone();
            damage(&mut damaged);
            assert_ne!(difference(&damaged, &wanted(), &|_| Surplus::Stale), [], "Linux {kernel}");
        }
    }
}

/// What the daemon puts into its sets at run time: the key is conntrack's id as on the wire.
#[test]
fn elements_expire_and_count() {
    for (kernel, text) in CAPTURES {
        let read = snapshot(&capture(text));
        let set = |name: &str| read.sets.iter().find(|set| set.name == name).unwrap();
        let counted = Some(Counted { packets: 7, bytes: 700 });
        for (name, counted) in [(plan::SET_BYPASS, None), (plan::SET_WATCHED, counted)] {
            let set = set(name);
            assert!(set.expiring, "Linux {kernel}");
            assert_eq!(set.counting, counted.is_some());
            let element = set.elements[&0xdead_beef_u32.to_be_bytes().to_vec()];
            assert_eq!(element.counted, counted);
            let ten_minutes = Duration::from_secs(600);
            let left = element.expires.unwrap();
            assert!(left <= ten_minutes && left > ten_minutes / 2, "Linux {kernel}: {left:?}");
        }
        let leaked = set(plan::SET_LEAKED);
        assert!(!leaked.expiring && leaked.counting);
        assert!([false, true]
            .map(plan::leak_key)
            .iter()
            .all(|key| { leaked.elements[key] == Element { expires: None, counted } }));
        assert!(!set("protocols").counting && !set("protocols").expiring);
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
            Command::AddChain(read.chains[0].clone()),
        ];
        commands.extend(read.sets.iter().cloned().map(Command::AddSet));
        commands.extend(read.rules.iter().cloned().map(Command::AddRule));
        let batch = Batch::new(commands).finish(1, None, true);
        let messages: Vec<Message> = Messages::new(batch.bytes()).map(Result::unwrap).collect();
        // Begin, table, flowtable, chain, four sets, each with its elements, three without, nine
        // rules, end.
        assert_eq!(messages.len(), 25);
        assert_eq!(Table::parse(&messages[1]).unwrap(), read.tables[0]);
        let flowtable = Flowtable { handle: 0, ..read.flowtables[0].clone() };
        assert_eq!(Flowtable::parse(&messages[2]).unwrap(), flowtable, "Linux {kernel}");
        assert_eq!(Chain::parse(&messages[3]).unwrap(), read.chains[0]);
        for (sent, set) in messages[4..12].chunks(2).zip(&read.sets) {
            let mut again = Set::parse(&sent[0]).unwrap();
            again.parse_elements(&sent[1]).unwrap();
            assert_eq!(again, *set, "Linux {kernel}");
        }
        for (sent, set) in messages[12..15].iter().zip(&read.sets[4..]) {
            assert!(set.dynamic, "Linux {kernel}");
            assert_eq!(Set::parse(sent).unwrap(), *set, "Linux {kernel}");
        }
        for (sent, rule) in messages[15..24].iter().zip(&read.rules) {
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

/// What the messages of a name are about.
fn events(all: &[Captured], name: &str) -> Vec<Event> {
    let of_name = all.iter().filter(|captured| captured.name == name);
    of_name.filter_map(|captured| route::parse(&captured.message()).unwrap()).collect()
}

fn index_of(all: &[Captured], name: &str) -> u32 {
    let index = events(all, "device").into_iter().find_map(|event| match event {
        Event::Link(LinkEvent::New(link)) if link.name == name => Some(link.index),
        _ => None,
    });
    index.unwrap()
}

#[test]
fn addresses_with_and_without_a_peer() {
    for (kernel, text) in CAPTURES {
        let all = capture(text);
        let addresses: Vec<Address> = events(&all, "address")
            .into_iter()
            .map(|event| match event {
                Event::Address(AddressEvent::New(address)) => address,
                other => panic!("Linux {kernel}: {other:?}"),
            })
            .collect();
        let (lan, ppp) = (index_of(&all, "br-lan"), index_of(&all, "ppp0"));
        let address = |index, address: &str, prefix, peer: Option<&str>| Address {
            index,
            address: address.parse().unwrap(),
            prefix,
            peer: peer.map(|peer| peer.parse().unwrap()),
        };
        for expected in [
            address(lan, "192.168.1.1", 24, None),
            address(lan, "fd00:1::1", 64, None),
            address(ppp, "10.0.0.1", 32, Some("10.9.9.9")),
            address(ppp, "fd00:9::1", 128, Some("fd00:9::9")),
            address(index_of(&all, "lo"), "127.0.0.1", 8, None),
        ] {
            let found = addresses.iter().find(|address| address.address == expected.address);
            assert_eq!(found, Some(&expected), "Linux {kernel}");
        }
    }
}

#[test]
fn stations_on_links_and_behind_ports() {
    for (kernel, text) in CAPTURES {
        let all = capture(text);
        let (bridge, port) = (index_of(&all, "br-lan"), index_of(&all, "lan0"));
        let mac = |last: u8| route::Mac::new([2, 0, 0, 0, 0, last]);
        let event = |expected: NeighbourEvent| Event::Neighbour(expected);
        let neighbours = events(&all, "neighbour");
        for (address, known) in [
            ("192.168.1.2", true),
            ("fd00:1::2", true),
            ("192.168.1.3", false), // failed
            ("192.168.1.4", false), // noarp
        ] {
            let (index, address) = (bridge, address.parse().unwrap());
            let expected = match known {
                true => NeighbourEvent::New(Neighbour { index, address, mac: mac(2) }),
                false => NeighbourEvent::Lost { index, address },
            };
            assert!(neighbours.contains(&event(expected)), "Linux {kernel}: {neighbours:?}");
        }

        // The port's own address is in the bridge's table with and without the VLAN.
        let mut entries = events(&all, "fdb");
        entries.retain(|event| {
            let Event::Neighbour(NeighbourEvent::FdbNew(entry)) = event else {
                panic!("Linux {kernel}: {event:?}")
            };
            entry.bridge == Some(bridge) && entry.port == port
        });
        let entry = |last, vlan, own| {
            let entry = FdbEntry { port, bridge: Some(bridge), mac: mac(last), vlan, own };
            event(NeighbourEvent::FdbNew(entry))
        };
        // By hand, learnt, and its own.
        let expected = [
            entry(0x02, Some(7), false),
            entry(0x0b, Some(7), false),
            entry(0x0a, Some(7), true),
            entry(0x0a, None, true),
        ];
        assert_eq!(entries.len(), expected.len(), "Linux {kernel}: {entries:?}");
        assert!(expected.iter().all(|entry| entries.contains(entry)), "Linux {kernel}");
    }
}

#[test]
fn lookups_follow_marks_and_rules() {
    for (kernel, text) in CAPTURES {
        let all = capture(text);
        let answer = |name: &str| {
            let captured = all.iter().find(|captured| captured.name == name).unwrap();
            Route::parse(&captured.message()).unwrap()
        };
        let way = |device: &str, gateway: &str| {
            let (output, gateway) = (Some(index_of(&all, device)), gateway.parse().ok());
            Some(Route { output, gateway, kind: RouteKind::Unicast })
        };
        assert_eq!(answer("lookup-default"), way("wan0", "203.0.113.2"), "Linux {kernel}");
        assert_eq!(answer("lookup-forward"), way("wan0", "203.0.113.2"), "Linux {kernel}");
        assert_eq!(answer("lookup-marked"), way("ppp0", "10.9.9.9"), "Linux {kernel}");
        assert_eq!(answer("lookup-via6"), way("ppp0", "fd00:9::9"), "Linux {kernel}");
        assert_eq!(answer("lookup6-default"), way("br-lan", "fd00:1::2"), "Linux {kernel}");
        let local = answer("lookup-local").unwrap();
        assert_eq!((local.kind, local.output), (RouteKind::Local, Some(index_of(&all, "lo"))));

        for (name, errno) in [
            ("lookup-blackhole", libc::EINVAL),
            ("lookup-prohibit", libc::EACCES),
            ("lookup-spoofed", libc::EINVAL),
            ("lookup6-unreachable", EHOSTUNREACH),
        ] {
            assert_eq!(answer(name), None);
            let captured = all.iter().find(|captured| captured.name == name).unwrap();
            assert_eq!(Ack::parse(&captured.message()).unwrap().errno, errno, "Linux {kernel}");
        }
        // A copy for one destination, which changes nothing.
        assert_eq!(events(&all, "lookup-default"), []);
        for name in ["route", "fib-rule"] {
            let changes = events(&all, name);
            assert!(
                changes.len() > 3 && changes.iter().all(|event| matches!(event, Event::Routes(_)))
            );
        }
    }
}

#[test]
fn ipsec_policies_tell_whose_packets_they_transform() {
    let prefix = |text: &str, bits| Prefix::new(text.parse().unwrap(), bits);
    let any = Ports { port: 0, mask: 0 };
    let out = Policy {
        source: prefix("10.1.0.0", 16),
        destination: prefix("10.2.0.0", 16),
        protocol: 0,
        source_port: any,
        destination_port: any,
        interface: None,
        if_id: 0,
        mark: (0, 0),
        direction: Direction::Out,
        priority: 200,
        transforms: true,
    };
    for (kernel, text) in CAPTURES {
        let policies = each(&capture(text), "policy", |message| {
            Policy::parse(message).map(|policy| policy.unwrap())
        });
        // The newest first, as the kernel lists them.
        let expected = [
            Policy {
                source: prefix("10.1.0.6", 32),
                interface: Some(1),
                priority: 50,
                transforms: false, // blocks
                ..out
            },
            Policy { source: prefix("10.1.0.5", 32), priority: 100, transforms: false, ..out },
            Policy {
                source: prefix("fd00:1::", 64),
                destination: prefix("fd00:2::1", 128),
                protocol: 6,
                source_port: Ports { port: 1000, mask: 0xffff },
                destination_port: Ports { port: 443, mask: 0xffff },
                if_id: 7,
                mark: (5, 15),
                direction: Direction::In,
                priority: 0,
                ..out
            },
            Policy {
                source: out.destination,
                destination: out.source,
                direction: Direction::Forward,
                transforms: false, // may
                ..out
            },
            out,
        ];
        assert_eq!(policies, expected, "Linux {kernel}");
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
        assert_eq!(ack("refused-hardware").errno, EOPNOTSUPP, "Linux {kernel}");
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
                let _ = (Route::parse(&message), Policy::parse(&message));
            }
        }
    }
}
