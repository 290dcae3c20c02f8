// SPDX-License-Identifier: GPL-2.0-or-later
//! More ends of connections than the daemon's socket holds: the whole daemon as a process, and the
//! conntrack of the kernel that runs the tests, in a namespace of its own.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use fixture::broker::{Broker, Kind};
use fixture::eventually;
use fixture::flows::{in_kernel, Caller};
use fixture::namespace::{in_namespace, run};
use fixture::router::Router;
use flowtabled::netlink::conntrack::tuple::IPPROTO_UDP;
use flowtabled::netlink::conntrack::{Conntrack, NewEntry, Tuple};

/// Connections that are there at first.
const STANDING: u16 = 300;
/// Those of them whose ends are lost.
const LOST: u16 = 100;
/// Those that end when the kernel delivers again.
const HEARD: u16 = 10;
/// Connections that begin while ends are lost.
const NEW: u16 = 50;
/// Connections made and ended at once.
const BATCH: u16 = 500;
/// By then some must have been lost: the socket asks for a megabyte, and each takes a few hundred bytes.
const BATCHES: u32 = 200;
/// Connections with real packets: the first half ends before any end is lost.
const TALKERS: usize = 8;
/// The group of ends among those that /proc/net/netlink shows: 1 << (NFNLGRP_CONNTRACK_DESTROY - 1).
const GROUPS: &str = "00000004";

/// A namespace whose kernel follows, counts and tells of the connections in it.
fn follow_connections() -> Conntrack {
    run("ip link set lo up");
    run("nft add table inet follow");
    run("nft add chain inet follow output { type filter hook output priority 0 ; }");
    run("nft add rule inet follow output ct state new accept");
    for (name, value) in [("acct", "1"), ("events", "1"), ("udp_timeout", "600")] {
        fs::write(format!("/proc/sys/net/netfilter/nf_conntrack_{name}"), value).unwrap();
    }
    Conntrack::open().unwrap()
}

fn entries(host: u8, numbers: std::ops::Range<u16>) -> Vec<NewEntry> {
    let entry = |number| {
        let source = (IpAddr::from([192, 168, 1, host]), 1024 + number);
        let server = (IpAddr::from([203, 0, 113, 9]), 53);
        NewEntry::new(Tuple::new(IPPROTO_UDP, source, server).unwrap(), 600)
    };
    numbers.map(entry).collect()
}

fn of(socket: &UdpSocket) -> NewEntry {
    let end = |address: SocketAddr| (address.ip(), address.port());
    let (from, to) = (socket.local_addr().unwrap(), socket.peer_addr().unwrap());
    NewEntry::new(Tuple::new(IPPROTO_UDP, end(from), end(to)).unwrap(), 600)
}

/// Messages that the kernel could not deliver to the one socket that asks for ends.
fn drops() -> u64 {
    let table = fs::read_to_string("/proc/net/netlink").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found: Vec<u64> =
        rows.filter(|row| row[3] == GROUPS).map(|row| row[8].parse().unwrap()).collect();
    let [drops] = found.as_slice() else { panic!("{} sockets: {table}", found.len()) };
    *drops
}

fn descriptors(router: &Router) -> usize {
    fs::read_dir(format!("/proc/{}/fd", router.child.id())).unwrap().count()
}

/// Returns when it does not read any more.
fn stop_running(router: &Router) {
    router.signal("STOP");
    let path = format!("/proc/{}/stat", router.child.id());
    eventually("it is stopped", || fs::read_to_string(&path).unwrap().contains(") T "));
}

#[test]
fn the_flows_are_the_kernels_again_after_ends_were_lost() {
    in_namespace("the_flows_are_the_kernels_again_after_ends_were_lost", || {
        let mut conntrack = follow_connections();
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        let talkers: [UdpSocket; TALKERS] = std::array::from_fn(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(listener.local_addr().unwrap()).unwrap();
            socket
        });
        let talk = |talkers: &[UdpSocket]| {
            for (length, socket) in (100..).zip(talkers) {
                socket.send(&vec![0; length]).unwrap();
            }
        };
        let (early, late) = talkers.split_at(TALKERS / 2);
        let standing = entries(2, 0..STANDING);
        conntrack.create_all(&standing).unwrap();
        talk(&talkers);

        let router = Router::start("flood");
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["status"]).status.success());
        let mut caller = Caller::new(&router.socket());
        let known = in_kernel(&mut conntrack);
        assert_eq!(known.len(), usize::from(STANDING) + TALKERS);
        assert_eq!(caller.flows(), known);
        assert_eq!((caller.polling("overruns"), drops()), (0, 0));
        let open = descriptors(&router);

        stop_running(&router);
        talk(early);
        conntrack.end_all(&early.iter().map(of).collect::<Vec<_>>()).unwrap();
        assert_eq!(drops(), 0, "these are told");
        let flood = entries(3, 0..BATCH);
        let mut batches = 0;
        while drops() == 0 {
            assert!(batches < BATCHES, "the kernel loses nothing");
            conntrack.create_all(&flood).unwrap();
            conntrack.end_all(&flood).unwrap();
            batches += 1;
        }
        let dropped = drops();
        let (lost, rest) = standing.split_at(usize::from(LOST));
        conntrack.end_all(lost).unwrap();
        assert_eq!(drops(), dropped + u64::from(LOST), "none of these is told");
        conntrack.create_all(&entries(4, 0..NEW)).unwrap();
        talk(late);
        router.signal("CONT");

        let now = in_kernel(&mut conntrack);
        assert_eq!(now.len(), usize::from(STANDING - LOST + NEW) + TALKERS / 2);
        assert!(known.iter().any(|(flow, bytes)| now.get(flow).is_some_and(|now| now != bytes)));
        eventually("the flows are the kernel's", || caller.flows() == now);
        assert_eq!(caller.polling("overruns"), 1);
        assert_eq!(caller.polling("ended_unseen"), u64::from(LOST), "those told before were read");
        assert_eq!(descriptors(&router), open);

        let told = caller.polling("events");
        conntrack.end_all(&rest[..usize::from(HEARD)]).unwrap();
        let now = told + u64::from(HEARD);
        eventually("ends are heard again", || caller.polling("events") == now);
        assert_eq!(caller.polling("ended_unseen"), u64::from(LOST));
        assert_eq!(caller.polling("overruns"), 1);
        eventually("they are gone", || caller.flows() == in_kernel(&mut conntrack));
        let (code, log) = router.stop();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("panic"), "{log}");
    });
}
