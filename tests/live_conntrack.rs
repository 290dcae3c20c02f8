// SPDX-License-Identifier: GPL-2.0-or-later
//! The conntrack codec and handle against the running kernel, in a network namespace of their own.
//!
//! Offloaded entries need the lab's kernels (their bytes are in `tests/captured`); everything else
//! is here.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, UdpSocket};

use fixture::namespace::{in_namespace, run};
use flowtabled::netlink::conntrack::status::{IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY};
use flowtabled::netlink::conntrack::tuple::{IPPROTO_TCP, IPPROTO_UDP};
use flowtabled::netlink::conntrack::{
    Change, Conntrack, CtEvent, Entry, Family, Filter, Icmp, Masked, NewEntry, TcpState, Tuple,
    NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE,
};
use flowtabled::netlink::message::Messages;
use flowtabled::netlink::nftables::{
    Chain, ChainHook, Command, CtKey, Expression, Nftables, Rule, Table, NETLINK_NETFILTER,
};
use flowtabled::netlink::socket::Socket;
use flowtabled::netlink::Error;

const BOTH_WAYS: u32 = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED;
const HOUR: u32 = 3600;

fn tuple(protocol: u8, source: (&str, u16), destination: (&str, u16)) -> Tuple {
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };
    Tuple::new(protocol, (address(source.0), source.1), (address(destination.0), destination.1))
        .unwrap()
}

fn ping(source: &str, destination: &str, kind: u8) -> Tuple {
    let addresses = tuple(0, (source, 0), (destination, 0)).addresses;
    Tuple::icmp_between(addresses, Icmp { id: 77, kind, code: 0 })
}

/// IPv4 and IPv6; TCP, UDP and ICMP; with and without mark, zone and translation.
fn kinds() -> Vec<NewEntry> {
    let new = |tuple| NewEntry::new(tuple, HOUR);
    let tcp4 = tuple(IPPROTO_TCP, ("192.168.1.2", 5000), ("1.2.3.4", 80));
    let udp4 = tuple(IPPROTO_UDP, ("192.168.1.2", 5001), ("1.2.3.4", 53));
    let tcp6 = tuple(IPPROTO_TCP, ("fd00::2", 5000), ("2001:db8::1", 443));
    let udp6 = tuple(IPPROTO_UDP, ("fd00::2", 5001), ("2001:db8::1", 53));
    vec![
        NewEntry {
            reply: tuple(IPPROTO_TCP, ("1.2.3.4", 80), ("203.0.113.9", 61_000)),
            status: BOTH_WAYS,
            tcp_state: Some(TcpState::Established),
            ..new(tcp4)
        },
        NewEntry { mark: 0x1234, ..new(udp4) },
        NewEntry { zone: 5, mark: 0x34, ..new(udp4) },
        new(ping("192.168.1.2", "1.2.3.4", 8)),
        NewEntry { zone: 7, tcp_state: Some(TcpState::SynSent), ..new(tcp6) },
        NewEntry { status: IPS_CONFIRMED | IPS_SEEN_REPLY, ..new(udp6) },
        new(ping("fd00::2", "2001:db8::1", 128)),
    ]
}

/// The entry is the one that was asked for.
fn assert_same(entry: &Entry, wanted: &NewEntry) {
    assert_eq!((entry.orig, entry.reply), (wanted.orig, wanted.reply));
    assert_eq!((entry.zone, entry.mark), (wanted.zone, wanted.mark), "{}", entry.orig);
    assert_eq!(entry.status, wanted.status, "{}: {:#x}", entry.orig, entry.status);
    assert_eq!(entry.tcp_state, wanted.tcp_state, "{}", entry.orig);
    assert!((HOUR - 60..=HOUR).contains(&entry.timeout_s.unwrap()), "{entry:?}");
    assert!(!entry.has_helper && !entry.has_seq_adj && !entry.has_master);
}

/// A rule that looks at connections makes the namespace follow them.
fn follow_connections() {
    let table = Table::inet("flowtabled_test");
    let chain = Chain {
        table: table.clone(),
        name: "offload".into(),
        hook: Some(ChainHook::forward(10)),
        accepts: true,
    };
    let rule = Rule {
        table: table.clone(),
        chain: "offload".into(),
        expressions: Expression::ct_has(CtKey::State, 2).to_vec(),
        comment: "follow".into(),
        handle: 0,
    };
    let mut nftables = Nftables::open().unwrap();
    let generation = nftables.generation().unwrap();
    let commands = vec![Command::AddTable(table), Command::AddChain(chain), Command::AddRule(rule)];
    nftables.commit(commands, generation).unwrap();
}

fn set_sysctl(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/netfilter/{name}"), value).expect(name);
}

#[test]
fn every_kind_of_entry_is_made_and_found() {
    in_namespace("every_kind_of_entry_is_made_and_found", || {
        let mut conntrack = Conntrack::open().unwrap();
        conntrack.create_all(&kinds()).unwrap();
        assert_eq!(conntrack.list(&Filter::default()).unwrap().len(), kinds().len());
        let mut ids = HashSet::new();
        for wanted in kinds() {
            let entry = conntrack.get(&wanted.orig, wanted.zone).unwrap().expect("by original");
            assert_same(&entry, &wanted);
            let by_reply = conntrack.get(&wanted.reply, wanted.zone).unwrap().expect("by reply");
            assert_eq!(by_reply.id, entry.id);
            assert_eq!((entry.counters_orig, entry.start_ns), (None, None), "not accounted");
            assert!(ids.insert(entry.id));
            assert!(conntrack.get(&wanted.orig, 99).unwrap().is_none(), "in another zone");
        }
    });
}

#[test]
fn each_part_of_a_filter_chooses() {
    in_namespace("each_part_of_a_filter_chooses", || {
        let mut conntrack = Conntrack::open().unwrap();
        conntrack.create_all(&kinds()).unwrap();
        let any = Filter::default();
        let filters = [
            (Filter { family: Some(Family::V4), ..any }, 4),
            (Filter { family: Some(Family::V6), ..any }, 3),
            (Filter { status: Some(Masked::set(IPS_ASSURED)), ..any }, 1),
            (Filter { status: Some(Masked::set(IPS_SEEN_REPLY)), ..any }, 2),
            (Filter { status: Some(Masked::clear(IPS_SEEN_REPLY)), ..any }, 5),
            (Filter { mark: Some(Masked { value: 0x34, mask: 0xff }), ..any }, 2),
            (Filter { mark: Some(Masked { value: 0, mask: u32::MAX }), ..any }, 5),
            (Filter { zone: Some(0), ..any }, 5),
            (Filter { zone: Some(5), ..any }, 1),
            (Filter { zone: Some(6), ..any }, 0),
            (
                Filter {
                    family: Some(Family::V6),
                    status: Some(Masked::clear(IPS_SEEN_REPLY)),
                    mark: Some(Masked::clear(u32::MAX)),
                    zone: Some(7),
                },
                1,
            ),
        ];
        for (filter, count) in filters {
            let entries = conntrack.list(&filter).unwrap();
            assert_eq!(entries.len(), count, "{filter:?}");
            assert!(entries.iter().all(|entry| filter.matches(entry)), "{filter:?}");
        }
    });
}

#[test]
fn timeout_and_mark_are_changed() {
    in_namespace("timeout_and_mark_are_changed", || {
        let mut conntrack = Conntrack::open().unwrap();
        let wanted = NewEntry { zone: 3, mark: 0xab00, ..kinds()[1] };
        conntrack.create(&wanted).unwrap();
        let mark = Some(Masked { value: 0xffff, mask: 0x00f0 });
        let change = Change { timeout_s: Some(100), mark };
        conntrack.update(&wanted.orig, 3, change).unwrap();
        let entry = conntrack.get(&wanted.orig, 3).unwrap().unwrap();
        assert_eq!(entry.mark, 0xabf0);
        assert!((90..=100).contains(&entry.timeout_s.unwrap()), "{entry:?}");

        // Bits outside the mask stay, whatever the value says.
        let change = Change { mark: Some(Masked::clear(0x0ff0)), ..Change::default() };
        conntrack.update(&wanted.reply, 3, change).unwrap();
        assert_eq!(conntrack.get(&wanted.orig, 3).unwrap().unwrap().mark, 0xa000);

        let error = conntrack.update(&wanted.orig, 0, change).unwrap_err();
        let Error::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!(refusal.errno, libc::ENOENT);
        let expected = "change conntrack entry 192.168.1.2:5001 -> 1.2.3.4:53 udp";
        assert_eq!(refusal.object, expected);
    });
}

#[test]
fn one_entry_is_deleted_and_no_other() {
    in_namespace("one_entry_is_deleted_and_no_other", || {
        let mut conntrack = Conntrack::open().unwrap();
        conntrack.create_all(&kinds()).unwrap();
        let all = conntrack.list(&Filter::default()).unwrap();
        for entry in &all {
            let error = conntrack.delete(&entry.orig, entry.zone, entry.id ^ 1).unwrap_err();
            assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");
            assert!(error.to_string().contains(&entry.orig.to_string()), "{error}");
            let error = conntrack.delete(&entry.orig, 99, entry.id).unwrap_err();
            assert!(error.to_string().contains("in zone 99"), "{error}");
        }
        let absent = tuple(IPPROTO_TCP, ("10.9.9.9", 1), ("10.9.9.8", 2));
        assert!(conntrack.delete(&absent, 0, 0).is_err());
        assert_eq!(conntrack.list(&Filter::default()).unwrap().len(), all.len());

        for (deleted, entry) in all.iter().enumerate() {
            conntrack.delete(&entry.orig, entry.zone, entry.id).unwrap();
            assert!(conntrack.get(&entry.orig, entry.zone).unwrap().is_none());
            let left: BTreeSet<u32> =
                conntrack.list(&Filter::default()).unwrap().iter().map(|e| e.id).collect();
            assert_eq!(left, all[deleted + 1..].iter().map(|e| e.id).collect());
        }
    });
}

#[test]
fn a_batch_names_the_entry_that_is_refused() {
    in_namespace("a_batch_names_the_entry_that_is_refused", || {
        let mut conntrack = Conntrack::open().unwrap();
        let numbered =
            |port| NewEntry::new(tuple(IPPROTO_UDP, ("10.0.0.1", port), ("10.0.0.2", 53)), HOUR);
        conntrack.create_all(&(1..=1000).map(numbered).collect::<Vec<_>>()).unwrap();
        assert_eq!(conntrack.list(&Filter::default()).unwrap().len(), 1000);
        // All but the last exist; the errors come back in order.
        let again: Vec<NewEntry> = (801..=1001).map(numbered).collect();
        let error = conntrack.create_all(&again).unwrap_err();
        let Error::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!(refusal.errno, libc::EEXIST);
        assert_eq!(refusal.object, "make conntrack entry 10.0.0.1:801 -> 10.0.0.2:53 udp");
        assert_eq!(conntrack.list(&Filter::default()).unwrap().len(), 1001);
        conntrack.create_all(&[]).unwrap();
    });
}

/// The next event of a group that was joined.
fn next_event(socket: &mut Socket, author: u32) -> CtEvent {
    let datagram = socket.receive_within("wait for events").unwrap();
    let messages: Vec<_> = Messages::new(datagram).map(Result::unwrap).collect();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].port, author);
    CtEvent::parse(&messages[0]).unwrap().expect("an event")
}

#[test]
fn events_tell_of_the_whole_life() {
    in_namespace("events_tell_of_the_whole_life", || {
        let groups = [NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY];
        let mut socket = Socket::open(NETLINK_NETFILTER, &groups, "watch").unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        let port = conntrack.port();
        for wanted in kinds() {
            conntrack.create(&wanted).unwrap();
            let CtEvent::New(new) = next_event(&mut socket, port) else { panic!("not new") };
            assert_same(&new, &wanted);

            let change = Change { mark: Some(Masked::set(0x8000)), ..Change::default() };
            conntrack.update(&wanted.orig, wanted.zone, change).unwrap();
            let CtEvent::Updated(updated) = next_event(&mut socket, port) else {
                panic!("not updated")
            };
            assert_eq!((updated.id, updated.mark), (new.id, wanted.mark | 0x8000));
            assert_eq!((updated.orig, updated.zone), (new.orig, new.zone));

            conntrack.delete(&wanted.orig, wanted.zone, new.id).unwrap();
            let event = next_event(&mut socket, port);
            let CtEvent::Destroyed(end) = event else { panic!("{event:?}") };
            assert_eq!((end.id, end.orig, end.zone), (new.id, new.orig, new.zone));
            assert_eq!(end.mark, wanted.mark | 0x8000);
            assert!(end.dying());
        }
    });
}

#[test]
fn traffic_is_counted_where_accounting_is_on() {
    in_namespace("traffic_is_counted_where_accounting_is_on", || {
        run("ip link set lo up");
        follow_connections();
        set_sysctl("nf_conntrack_events", "1");
        let groups = [NFNLGRP_CONNTRACK_DESTROY];
        let mut events = Socket::open(NETLINK_NETFILTER, &groups, "watch").unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        for accounting in ["0", "1"] {
            set_sysctl("nf_conntrack_acct", accounting);
            set_sysctl("nf_conntrack_timestamp", accounting);
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            let server = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.send_to(&[0; 100], server.local_addr().unwrap()).unwrap();
            client.send_to(&[0; 100], server.local_addr().unwrap()).unwrap();
            server.send_to(&[0; 10], client.local_addr().unwrap()).unwrap();

            let end = |socket: &UdpSocket| {
                (IpAddr::from([127, 0, 0, 1]), socket.local_addr().unwrap().port())
            };
            let orig = Tuple::new(IPPROTO_UDP, end(&client), end(&server)).unwrap();
            let entry = conntrack.get(&orig, 0).unwrap().expect("the connection is followed");
            assert!(entry.seen_reply() && !entry.src_nat() && !entry.dst_nat());
            assert!(entry.timeout_s.is_some());
            let carried = entry.counters_orig.zip(entry.counters_reply);
            match accounting {
                "0" => assert_eq!((carried, entry.start_ns), (None, None)),
                _ => {
                    let (orig, reply) = carried.expect("counters");
                    assert_eq!((orig.packets, orig.bytes), (2, 2 * 128));
                    assert_eq!((reply.packets, reply.bytes), (1, 38));
                }
            }
            conntrack.delete(&orig, 0, entry.id).unwrap();
            let event = next_event(&mut events, conntrack.port());
            let CtEvent::Destroyed(last) = event else { panic!("{event:?}") };
            assert_eq!(last.counters_orig.zip(last.counters_reply), carried, "final counts");
            match accounting {
                "0" => assert_eq!((last.start_ns, last.stop_ns), (None, None)),
                _ => {
                    assert_eq!(last.start_ns, entry.start_ns);
                    assert!(last.start_ns.unwrap() <= last.stop_ns.unwrap());
                }
            }
        }
    });
}
