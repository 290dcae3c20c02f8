// SPDX-License-Identifier: GPL-2.0-or-later
//! The table of flows fed by the running kernel's conntrack, in a network namespace of its own.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use fixture::eventually;
use fixture::namespace::{in_namespace, run};
use flowtabled::core::control::Control;
use flowtabled::daemon::flow_poll::{FlowPoll, Progress};
use flowtabled::netlink::conntrack::tuple::IPPROTO_UDP;
use flowtabled::netlink::conntrack::{Conntrack, NewEntry, Tuple};
use flowtabled::netlink::route::{self, NETLINK_ROUTE};
use flowtabled::netlink::socket::Socket;
use flowtabled::netlink::Error;

fn list(flows: &mut FlowPoll) {
    list_at(flows, Instant::now());
}

fn list_at(flows: &mut FlowPoll, now: Instant) {
    flows.start(&Control::new(now), now).unwrap();
    eventually("the list is complete", || match flows.on_lists(now) {
        Progress::Done(result) => {
            result.unwrap();
            true
        }
        Progress::Waiting | Progress::More => false,
    });
}

/// The end of a connection is known before a later one with the same addresses is: otherwise what
/// the first one carried would be counted when it is missed and again when its end is read.
#[test]
fn ends_come_before_the_lists_that_follow_them() {
    in_namespace("ends_come_before_the_lists_that_follow_them", || {
        let host = |last| IpAddr::from([192, 168, 1, last]);
        let tuple = Tuple::new(IPPROTO_UDP, (host(2), 5000), (host(3), 53)).unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        let mut flows = FlowPoll::open(Instant::now()).unwrap();
        flows.look(Instant::now());
        list(&mut flows);
        conntrack.create(&NewEntry::new(tuple, 600)).unwrap();
        list(&mut flows);
        assert_eq!(flows.table().len(), 1);

        let first = conntrack.get(&tuple, 0).unwrap().unwrap().id;
        conntrack.delete(&tuple, 0, first).unwrap();
        conntrack.create(&NewEntry::new(tuple, 600)).unwrap();
        list(&mut flows);
        while flows.on_ends(Instant::now()).unwrap() {}
        // Conntrack gives the same id when it uses the same memory again.
        let shown: Vec<u32> = flows.table().flows(0).map(|flow| flow.id).collect();
        assert_eq!(shown, [conntrack.get(&tuple, 0).unwrap().unwrap().id], "the live one");
        let polling = flows.polling();
        assert_eq!((polling.lists, polling.failed), (3, 0));
        assert_eq!((polling.events, polling.ended_unseen), (1, 0));
        assert_eq!(polling.last.unwrap().entries, 1);
    });
}

/// Many ends at once are read in turns, and the list waits for them.
#[test]
fn a_list_waits_for_all_the_ends_before_it() {
    const FLOWS: u16 = 200;
    const PER_TURN: u64 = 64;
    in_namespace("a_list_waits_for_all_the_ends_before_it", || {
        let host = |last| IpAddr::from([192, 168, 1, last]);
        let tuple = |port| Tuple::new(IPPROTO_UDP, (host(2), 1024 + port), (host(3), 53)).unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        let mut flows = FlowPoll::open(Instant::now()).unwrap();
        flows.look(Instant::now());
        list(&mut flows);
        let new = |port| NewEntry::new(tuple(port), 600);
        conntrack.create_all(&(0..FLOWS).map(new).collect::<Vec<_>>()).unwrap();
        list(&mut flows);
        let all: Vec<_> = flows.table().flows(0).map(|flow| (flow.orig, flow.id)).collect();
        let now = Instant::now();
        flows.start(&Control::new(now), now).unwrap();
        // The kernel has made the list; what it names ends while it waits to be read.
        for (orig, id) in &all {
            conntrack.delete(orig, 0, *id).unwrap();
        }
        let mut turns = 0;
        while matches!(flows.on_lists(now), Progress::More) {
            turns += 1;
            assert_eq!(flows.polling().events, (turns * PER_TURN).min(FLOWS.into()));
        }
        assert!(
            turns > u64::from(FLOWS) / PER_TURN,
            "the first part of the list comes behind them"
        );
        let polling = flows.polling();
        assert_eq!((polling.lists, polling.failed), (3, 0));
        assert_eq!((polling.events, polling.ended_unseen), (u64::from(FLOWS), 0));
        assert_eq!(flows.table().len(), 0, "none comes back");
    });
}

/// The kernel drops what it cannot deliver and says so once. What it had told before still counts, and
/// is read in turns.
#[test]
fn lost_ends_are_found_out_by_the_next_lists() {
    const FLOWS: u16 = 6000;
    in_namespace("lost_ends_are_found_out_by_the_next_lists", || {
        let host = |last| IpAddr::from([192, 168, 1, last]);
        let tuple = |port| Tuple::new(IPPROTO_UDP, (host(2), 1024 + port), (host(3), 53)).unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        let mut flows = FlowPoll::open(Instant::now()).unwrap();
        flows.look(Instant::now());
        list(&mut flows);
        let new = |port| NewEntry::new(tuple(port), 600);
        conntrack.create_all(&(0..FLOWS).map(new).collect::<Vec<_>>()).unwrap();
        list(&mut flows);
        let all: Vec<_> = flows.table().flows(0).map(|flow| (flow.orig, flow.id)).collect();
        assert_eq!(all.len(), usize::from(FLOWS));
        for (orig, id) in all {
            conntrack.delete(&orig, 0, id).unwrap();
        }
        assert!(flows.on_ends(Instant::now()).unwrap(), "more than one turn is waiting");
        assert_eq!(flows.polling().overruns, 1);
        while flows.on_ends(Instant::now()).unwrap() {}
        assert!(flows.polling().events > 64, "what waited was told before the loss");
        list(&mut flows);
        list(&mut flows);
        let polling = flows.polling();
        assert!(flows.table().is_empty());
        assert!(polling.ended_unseen > 0);
        assert_eq!(polling.events + polling.ended_unseen, u64::from(FLOWS));
    });
}

/// The loop has other things to do while a routing daemon loads its table.
#[test]
fn a_flood_of_routes_is_taken_in_turns() {
    const ROUTES: u32 = 200;
    const PER_TURN: u32 = 64;
    in_namespace("a_flood_of_routes_is_taken_in_turns", || {
        run("ip link set lo up");
        let mut flows = FlowPoll::open(Instant::now()).unwrap();
        flows.look(Instant::now());
        list(&mut flows);
        while flows.on_changes(Instant::now()) {}
        let batch = std::env::temp_dir().join(format!("flowtabled-routes-{}", std::process::id()));
        let route =
            |number| format!("route add 10.9.{}.{}/32 dev lo\n", number / 256, number % 256);
        std::fs::write(&batch, (0..ROUTES).map(route).collect::<String>()).unwrap();
        run(&format!("ip -batch {}", batch.display()));
        std::fs::remove_file(&batch).unwrap();
        let mut turns = 0;
        while flows.on_changes(Instant::now()) {
            turns += 1;
        }
        assert_eq!(turns, ROUTES / PER_TURN);
    });
}

/// Stations that somebody invents fill the kernel's tables and the socket that tells of them: no
/// route is lost by that, and a client that moves meanwhile is found.
#[test]
fn a_flood_of_stations_hides_neither_routes_nor_moves() {
    const CLIENT: &str = "02:00:00:00:00:09";
    in_namespace("a_flood_of_stations_hides_neither_routes_nor_moves", || {
        std::fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
        run("ip link add br-lan type bridge");
        run("ip link add lan0 type veth peer name lan0-peer");
        run("ip link add lan1 type veth peer name lan1-peer");
        for line in ["lan0 master br-lan up", "lan1 master br-lan up", "br-lan up"] {
            run(&format!("ip link set {line}"));
        }
        run(&format!("bridge fdb add {CLIENT} dev lan0 master static"));
        run(&format!("ip neighbour add 192.168.1.9 lladdr {CLIENT} dev br-lan nud permanent"));

        let start = Instant::now();
        let control = Control::new(start);
        let mut flows = FlowPoll::open(start).unwrap();
        flows.set_offloading(true, true, start).unwrap();
        list(&mut flows);
        let read = |flows: &mut FlowPoll| {
            while flows.on_changes(start) {}
            while flows.on_stations(start) {}
        };
        read(&mut flows);
        flows.take_rerouted();
        assert!(flows.take_moves().is_empty());
        let quiet = flows.deadline(start);

        // Each time more than the daemon keeps, and more than the socket holds; the client is among
        // them, and the kernel names it last.
        for (round, to, left) in [(0, "lan1", "lan0"), (1, "lan0", "lan1")] {
            flood(round, &format!("fdb replace {CLIENT} dev {to} master static"));
            read(&mut flows);
            assert!(flows.take_rerouted().is_none(), "no route was lost");
            assert!(flows.take_moves().is_empty(), "the word of it was lost");
            // The second time comes no sooner than a second after the first.
            let due = flows.deadline(start).unwrap();
            assert!(due >= start + Duration::from_secs(round));
            assert!(matches!(flows.on_timer(&control, due), Progress::Waiting));
            assert_eq!(flows.take_moves().ports, [index_of(left)]);
            assert_eq!(flows.deadline(start), quiet);
        }

        // The kernel tells again.
        run("ip neighbour replace 192.168.1.9 lladdr 02:00:00:00:00:08 dev br-lan nud permanent");
        read(&mut flows);
        assert_eq!(flows.take_moves().neighbours, [index_of("br-lan")]);
    });
}

/// Invented stations at a bridge's port, with another line of `bridge` in their midst.
fn flood(round: u64, between: &str) {
    const STATIONS: usize = 12_000;
    let station = |number: usize| {
        let [.., high, low] = number.to_be_bytes();
        format!("fdb add 02:00:00:{round:02x}:{high:02x}:{low:02x} dev lan0 master static")
    };
    let mut lines: Vec<String> = (0x100..STATIONS).map(station).collect();
    lines.insert(STATIONS / 2, between.to_owned());
    let batch = std::env::temp_dir().join(format!("flowtabled-fdb-{}", std::process::id()));
    std::fs::write(&batch, lines.join("\n")).unwrap();
    run(&format!("bridge -batch {}", batch.display()));
    std::fs::remove_file(&batch).unwrap();
}

fn index_of(name: &str) -> u32 {
    let mut socket = Socket::open(NETLINK_ROUTE, &[], "list devices").unwrap();
    let links = route::links(&mut socket).unwrap();
    links.iter().find(|link| link.name == name).unwrap().index
}

/// Quick while somebody looks, slow with offload, none otherwise; the clock is the test's.
#[test]
fn the_poll_period_follows_the_need() {
    in_namespace("the_poll_period_follows_the_need", || {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let control = Control::new(start);
        let mut flows = FlowPoll::open(start).unwrap();
        assert_eq!(flows.deadline(at(0)), None);

        flows.set_offloading(true, true, at(0)).unwrap();
        assert_eq!(flows.deadline(at(0)), Some(at(0)), "the first list is due");
        flows.start(&control, at(0)).unwrap();
        assert_eq!(flows.deadline(at(0)), Some(at(5)), "given up then");
        assert!(matches!(
            flows.on_timer(&control, at(5)),
            Progress::Done(Err(Error::Timeout { .. }))
        ));
        assert_eq!((flows.polling().failed, flows.polling().last), (1, None));
        list_at(&mut flows, at(10));
        assert_eq!(flows.deadline(at(10)), Some(at(30)));

        flows.look(at(20));
        assert_eq!(flows.polling().interval_s, Some(20), "before that look");
        assert_eq!(flows.deadline(at(20)), Some(at(12)), "due already");
        list_at(&mut flows, at(20));
        assert_eq!(flows.deadline(at(34)), Some(at(22)));
        assert!(flows.is_recent(at(22)) && !flows.is_recent(at(23)));
        flows.look(at(21));
        assert_eq!(flows.polling().interval_s, Some(2));
        assert_eq!(flows.deadline(at(36)), Some(at(40)), "nobody has looked for 15 seconds");

        flows.set_offloading(false, true, at(36)).unwrap();
        assert_eq!(flows.deadline(at(36)), None);
        flows.look(at(50));
        assert_eq!(flows.polling().interval_s, None);
        assert_eq!(flows.deadline(at(50)), Some(at(50)));
    });
}

/// A busy router takes its time for a list of many flows; only one that stands still is given up.
#[test]
fn a_list_that_goes_on_is_not_given_up() {
    const FLOWS: u16 = 12_000;
    const SLOW: Duration = Duration::from_secs(4);
    in_namespace("a_list_that_goes_on_is_not_given_up", || {
        let host = |last| IpAddr::from([192, 168, 1, last]);
        let tuple = |port| Tuple::new(IPPROTO_UDP, (host(2), 1024 + port), (host(3), 53)).unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        let new = |port| NewEntry::new(tuple(port), 600);
        conntrack.create_all(&(0..FLOWS).map(new).collect::<Vec<_>>()).unwrap();
        let start = Instant::now();
        let mut flows = FlowPoll::open(start).unwrap();
        flows.look(start);
        let control = Control::new(start);
        flows.start(&control, start).unwrap();
        let mut now = start;
        let mut turns = 0;
        while !matches!(flows.on_lists(now), Progress::Done(Ok(()))) {
            turns += 1;
            now += SLOW;
            assert!(matches!(flows.on_timer(&control, now), Progress::Waiting), "turn {turns}");
        }
        assert!(turns >= 3, "{turns} turns are no longer than the patience with one");
        assert_eq!(flows.table().len(), usize::from(FLOWS));

        // The kernel waits for us to read; we do not.
        now += SLOW;
        flows.start(&control, now).unwrap();
        assert!(matches!(flows.on_timer(&control, now + SLOW), Progress::Waiting));
        let end = flows.on_timer(&control, now + SLOW + SLOW);
        assert!(matches!(end, Progress::Done(Err(Error::Timeout { .. }))), "{end:?}");
    });
}
