// SPDX-License-Identifier: GPL-2.0-or-later
//! Addresses, neighbours, look-ups and IPsec policies of the running kernel, each test in a
//! network namespace of its own. Bridges that filter VLANs are in the captures of the lab.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use std::net::IpAddr;

use fixture::namespace::{in_namespace, run};
use flowtabled::core::topology::Answer;
use flowtabled::daemon::surroundings::Surroundings;
use flowtabled::netlink::message::Messages;
use flowtabled::netlink::prefix::Prefix;
use flowtabled::netlink::route::{
    self, Address, AddressEvent, Event, FdbEntry, FilterChange, FilterEvent, LinkEvent, Lookup,
    Mac, Neighbour, NeighbourEvent, Qdisc, QueueEvent, Route, RouteChange, RouteKind,
    NETLINK_ROUTE,
};
use flowtabled::netlink::socket::Socket;
use flowtabled::netlink::xfrm::{self, Direction};

const STATION: Mac = Mac::new([2, 0, 0, 0, 0, 9]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A LAN bridge with one port, and two uplinks.
fn router() {
    for line in [
        "ip link set lo up",
        "ip link add br-lan type bridge",
        "ip link add lan0 type veth peer name lan0-peer",
        "ip link set lan0 master br-lan",
        "ip link add wan0 type veth peer name wan0-peer",
        "ip link add wan1 type veth peer name wan1-peer",
    ] {
        run(line);
    }
    for device in ["br-lan", "lan0", "lan0-peer", "wan0", "wan0-peer", "wan1", "wan1-peer"] {
        run(&format!("ip link set {device} up"));
    }
    run("ip address add 192.168.1.1/24 dev br-lan");
    run("ip address add 203.0.113.1/24 dev wan0");
    run("ip address add 198.51.100.1/24 dev wan1");
}

fn socket(groups: &[u32]) -> Socket {
    Socket::open(NETLINK_ROUTE, groups, "open").unwrap()
}

fn index_of(name: &str) -> u32 {
    let links = route::links(&mut socket(&[])).unwrap();
    links.iter().find(|link| link.name == name).unwrap().index
}

#[test]
fn addresses_and_stations_are_listed() {
    in_namespace("addresses_and_stations_are_listed", || {
        router();
        run("ip address add 10.0.0.1 peer 10.9.9.9/32 dev wan1");
        run("ip address add fd00:1::1/64 dev br-lan nodad");
        run("ip neighbour add 192.168.1.9 lladdr 02:00:00:00:00:09 dev br-lan nud permanent");
        run("ip neighbour add fd00:1::9 lladdr 02:00:00:00:00:09 dev br-lan nud reachable");
        run("ip neighbour add 192.168.1.8 lladdr 02:00:00:00:00:08 dev br-lan nud noarp");
        run("bridge fdb add 02:00:00:00:00:09 dev lan0 master static");
        let (lan, port, wan) = (index_of("br-lan"), index_of("lan0"), index_of("wan1"));

        let addresses = route::addresses(&mut socket(&[])).unwrap();
        let plain = |address, prefix| Address { index: lan, address, prefix, peer: None };
        assert!(addresses.contains(&plain(ip("192.168.1.1"), 24)), "{addresses:?}");
        assert!(addresses.contains(&plain(ip("fd00:1::1"), 64)), "{addresses:?}");
        let (address, peer) = (ip("10.0.0.1"), Some(ip("10.9.9.9")));
        let expected = Address { index: wan, address, prefix: 32, peer };
        assert!(addresses.contains(&expected), "{addresses:?}");

        let mut neighbours = route::neighbours(&mut socket(&[])).unwrap();
        neighbours.retain(|neighbour| !neighbour.address.to_string().starts_with("fe80"));
        neighbours.sort();
        let expected = ["192.168.1.9", "fd00:1::9"];
        let known = |text| Neighbour { index: lan, address: ip(text), mac: STATION };
        assert_eq!(neighbours, expected.map(known));

        let (entries, whole) = route::fdb(socket(&[]), 1000).unwrap();
        let station = FdbEntry { port, bridge: Some(lan), mac: STATION, vlan: None, own: false };
        assert!(entries.contains(&station), "{entries:?}");
        let own = entries.iter().find(|entry| entry.own && entry.port == port).unwrap();
        assert_eq!(own.bridge, Some(lan));
        assert!(whole);
        assert_eq!(route::fdb(socket(&[]), entries.len()).unwrap(), (entries.clone(), true));
        let cut = entries.len() - 1;
        assert_eq!(route::fdb(socket(&[]), cut).unwrap(), (entries[..cut].to_vec(), false));

        let mut asked = socket(&[]);
        let mut at = |mac, bridge, vlan| route::station(&mut asked, (mac, bridge, vlan));
        assert_eq!(at(STATION, lan, None).unwrap(), Some(station));
        assert_eq!(at(STATION, lan, Some(20)).unwrap(), None, "the bridge filters no VLANs");
        assert_eq!(at(Mac::new([2, 0, 0, 0, 0, 7]), lan, None).unwrap(), None);
        assert!(at(STATION, port, None).is_err(), "no bridge");
    });
}

#[test]
fn the_way_depends_on_mark_sender_and_rules() {
    in_namespace("the_way_depends_on_mark_sender_and_rules", || {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        router();
        run("ip route add default via 203.0.113.2");
        run("ip rule add fwmark 7 table 100");
        run("ip route add default via 198.51.100.2 table 100");
        run("ip route add blackhole 192.0.2.0/28");
        run("ip route add prohibit 192.0.2.16/28");
        run("ip route add unreachable 192.0.2.32/28");
        run("ip address add fd00:1::1/64 dev br-lan nodad");
        run("ip address add fd00:2::1/64 dev wan0 nodad");
        run("ip address add fd00:3::1/64 dev wan1 nodad");
        run("ip -6 route add default via fd00:2::2");
        run("ip -6 rule add fwmark 7 table 100");
        run("ip -6 route add default via fd00:3::2 table 100");
        run("ip -6 route add blackhole 2001:db8:1::/48");
        run("ip -6 route add prohibit 2001:db8:1::/48 table 100");
        let (lan, wan0, wan1) = (index_of("br-lan"), index_of("wan0"), index_of("wan1"));
        let mut socket = socket(&[]);
        let mut way = |question: Lookup| route::lookup(&mut socket, &question).unwrap();

        let forward = |mark| Lookup {
            from: Some(ip("192.168.1.9")),
            to: ip("192.0.2.200"),
            input: Some(lan),
            mark,
        };
        for (mark, output, gateway) in [(0, wan0, "203.0.113.2"), (7, wan1, "198.51.100.2")] {
            let expected = Route {
                output: Some(output),
                gateway: Some(ip(gateway)),
                kind: RouteKind::Unicast,
            };
            assert_eq!(way(forward(mark)), expected);
            let own = Lookup { from: None, input: None, ..forward(mark) };
            assert_eq!(way(own), expected);
        }
        for (mark, device, gateway) in [(0, "wan0", "fd00:2::2"), (7, "wan1", "fd00:3::2")] {
            let (from, to) = (Some(ip("fd00:1::9")), ip("2001:db8::1"));
            let route = way(Lookup { from, to, input: Some(lan), mark });
            let expected = (Some(index_of(device)), Some(ip(gateway)), RouteKind::Unicast);
            assert_eq!((route.output, route.gateway, route.kind), expected);
            let own = Lookup { from, to: ip("fd00:1::1"), input: Some(lan), mark };
            assert_eq!(way(own).kind, RouteKind::Local);
            let (from, to) = (None, ip("2001:db8:1::1"));
            assert_eq!(way(Lookup { from, to, input: None, mark }), Route::NONE);
        }
        let to = |text| Lookup { to: ip(text), ..forward(0) };
        assert_eq!(way(to("203.0.113.1")).kind, RouteKind::Local);
        let on_link = way(to("203.0.113.9"));
        assert_eq!((on_link.output, on_link.gateway), (Some(wan0), None));
        assert_eq!(way(to("203.0.113.255")).kind, RouteKind::Broadcast);
        // Dropped by a route, without any route, by the check of the sender, by no such packet.
        for question in [
            to("192.0.2.1"),
            to("192.0.2.17"),
            to("192.0.2.33"),
            Lookup { from: Some(ip("127.0.0.1")), ..forward(0) },
            Lookup { from: Some(ip("fd00::1")), ..forward(0) },
        ] {
            let route = way(question);
            assert_eq!((route.kind, route.output), (RouteKind::Unreachable, None), "{question:?}");
        }
        // About the question, not about the packet.
        let error = route::lookup(&mut socket, &Lookup { input: Some(9999), ..forward(0) });
        assert_eq!(error.unwrap_err().errno(), Some(libc::ENODEV));
    });
}

/// As for a transparent proxy, and for an address that all hosts of a prefix answer to.
#[test]
fn any_address_can_be_the_routers() {
    in_namespace("any_address_can_be_the_routers", || {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        router();
        run("ip route add local 198.18.0.0/15 dev lo");
        run("ip rule add fwmark 1 table 100");
        run("ip route add local default dev lo table 100");
        let (lan, wan) = (index_of("br-lan"), index_of("wan0"));
        let mut surroundings = Surroundings::open().unwrap();
        let from = Some(ip("192.168.1.9"));
        let to = |text| Lookup { from, to: ip(text), input: Some(lan), mark: 0 };
        assert_eq!(surroundings.ask(&to("198.18.0.1")), Answer::NotAsked, "no turn, no budget");
        surroundings.renew_budget();
        assert_eq!(surroundings.ask(&to("198.18.0.1")), Answer::Router);
        assert_eq!(surroundings.ask(&Lookup { mark: 1, ..to("203.0.113.9") }), Answer::Router);
        assert_eq!(surroundings.ask(&to("203.0.113.9")), Answer::Behind(wan));
        assert_eq!(surroundings.ask(&to("203.0.113.255")), Answer::Nowhere);
        assert_eq!(surroundings.ask(&to("192.0.2.1")), Answer::Nowhere, "no route");
        let gone = Lookup { input: Some(9999), ..to("203.0.113.9") };
        assert_eq!(surroundings.ask(&gone), Answer::Nowhere, "no such device");
    });
}

#[test]
fn one_socket_hears_of_everything() {
    in_namespace("one_socket_hears_of_everything", || {
        // The kernel's own addresses come late and bring routes with them.
        std::fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
        router();
        run("ip route add default via 203.0.113.2");
        let (lan, port, wan) = (index_of("br-lan"), index_of("lan0"), index_of("wan1"));
        let mut socket = socket(&[
            route::RTNLGRP_LINK,
            route::RTNLGRP_NEIGH,
            route::RTNLGRP_IPV4_IFADDR,
            route::RTNLGRP_IPV6_IFADDR,
            route::RTNLGRP_IPV4_ROUTE,
            route::RTNLGRP_IPV4_RULE,
            route::RTNLGRP_IPV6_ROUTE,
            route::RTNLGRP_IPV6_RULE,
            route::RTNLGRP_NEXTHOP,
        ]);
        let address = |text| Address { index: lan, address: ip(text), prefix: 24, peer: None };
        let to_prefix = Event::Routes(RouteChange::To("192.0.2.0/24".parse().unwrap()));
        let neighbour = ip("192.168.1.9");
        let known = Neighbour { index: lan, address: neighbour, mac: STATION };
        let entry = FdbEntry { port, bridge: Some(lan), mac: STATION, vlan: None, own: false };
        let on_neighbour = Event::Neighbour;
        for (line, expected) in [
            (
                "ip address add 10.0.0.1/24 dev br-lan",
                Event::Address(AddressEvent::New(address("10.0.0.1"))),
            ),
            (
                "ip address del 10.0.0.1/24 dev br-lan",
                Event::Address(AddressEvent::Gone(address("10.0.0.1"))),
            ),
            (
                "ip neighbour add 192.168.1.9 lladdr 02:00:00:00:00:09 dev br-lan",
                on_neighbour(NeighbourEvent::New(known)),
            ),
            (
                "ip neighbour del 192.168.1.9 dev br-lan",
                on_neighbour(NeighbourEvent::Lost { index: lan, address: neighbour }),
            ),
            (
                "bridge fdb add 02:00:00:00:00:09 dev lan0 master static",
                on_neighbour(NeighbourEvent::FdbNew(entry)),
            ),
            (
                "bridge fdb del 02:00:00:00:00:09 dev lan0 master",
                on_neighbour(NeighbourEvent::FdbGone(entry)),
            ),
            ("ip route add 192.0.2.0/24 via 203.0.113.3", to_prefix),
            ("ip rule add fwmark 9 table 100", Event::Routes(RouteChange::Any)),
            ("ip -6 rule add fwmark 9 table 100", Event::Routes(RouteChange::Any)),
            ("ip nexthop add id 5 via 203.0.113.4 dev wan0", Event::Routes(RouteChange::Any)),
        ] {
            socket.discard_stale();
            run(line);
            await_event(&mut socket, &expected);
        }
        socket.discard_stale();
        run("ip link del wan1");
        await_event(&mut socket, &Event::Link(LinkEvent::Gone(wan)));
    });
}

/// What the kernel tells of filters: whether they redirect, and what has become of them.
#[test]
fn filters_tell_whether_they_redirect() {
    in_namespace("filters_tell_whether_they_redirect", || {
        router();
        run("tc qdisc add dev wan0 handle ffff: ingress");
        run("tc qdisc add dev wan1 root handle 1: htb");
        let (index, target) = (index_of("wan0"), index_of("wan1"));
        let mut socket = socket(&[route::RTNLGRP_TC]);
        let redirect = "u32 match u32 0 0 action mirred egress redirect dev wan1";
        let copy = "u32 match u32 0 0 action mirred egress mirror dev wan1";
        for (line, expected) in [
            (format!("add dev wan0 parent ffff: prio 1 {redirect}"), (true, FilterChange::Added)),
            (format!("add dev wan0 parent ffff: prio 2 {copy}"), (false, FilterChange::Added)),
            (
                format!("replace dev wan0 parent ffff: prio 1 handle 800::800 {redirect}"),
                (true, FilterChange::Replaced),
            ),
            (
                "del dev wan0 parent ffff: prio 1 handle 800::800 u32".to_owned(),
                (true, FilterChange::Gone),
            ),
            ("del dev wan0 parent ffff: prio 2".to_owned(), (false, FilterChange::Gone)),
        ] {
            socket.discard_stale();
            run(&format!("tc filter {line}"));
            let (redirects, change) = expected;
            let event =
                FilterEvent { index: Some(index), redirect: redirects.then_some(target), change };
            await_event(&mut socket, &Event::Queue(QueueEvent::Filter(event)));
        }
        // Those of what goes out are none of ours: the next event is that of another.
        socket.discard_stale();
        run(&format!("tc filter add dev wan1 parent 1: prio 1 {copy}"));
        run("tc qdisc del dev wan0 ingress");
        let datagram = socket.receive_within("wait for an event").unwrap();
        let mut events = Messages::new(datagram).map(|message| route::parse(&message.unwrap()));
        assert!(events.all(|event| event.unwrap().is_none()));
        let gone = Qdisc { index, kind: "ingress".into(), limits: None };
        await_event(&mut socket, &Event::Queue(QueueEvent::Gone(gone)));
    });
}

/// Reads until the event comes; the socket's own time-out ends a wait for nothing.
fn await_event(socket: &mut Socket, expected: &Event) {
    loop {
        let datagram = socket.receive_within("wait for an event").expect("the event comes");
        let messages = Messages::new(datagram).map(Result::unwrap);
        let events: Vec<_> = messages.map(|message| route::parse(&message).unwrap()).collect();
        if events.iter().flatten().any(|event| event == expected) {
            return;
        }
    }
}

#[test]
fn ipsec_policies_in_the_order_of_the_kernel() {
    in_namespace("ipsec_policies_in_the_order_of_the_kernel", || {
        assert_eq!(xfrm::policies(10).unwrap(), []);
        for line in [
            "ip xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out priority 200 \
             tmpl src 203.0.113.1 dst 203.0.113.2 proto esp reqid 1 mode tunnel",
            "ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/16 dir out priority 200",
            "ip xfrm policy add src 10.1.0.5/32 dst 10.2.0.0/16 dir out priority 100",
            "ip xfrm policy add src 10.2.0.0/16 dst 10.1.0.0/16 dir fwd priority 300",
        ] {
            run(line);
        }
        let policies = xfrm::policies(10).unwrap();
        let seen: Vec<_> = policies.iter().map(|p| (p.priority, p.source.length())).collect();
        assert_eq!(seen, [(100, 32), (200, 16), (200, 24), (300, 16)]);
        assert_eq!(policies[1].source, Prefix::new(ip("10.1.0.0"), 16));

        let decides = |source: &str| {
            let mut of_way = policies.iter().filter(|p| p.direction == Direction::Out);
            let (source, destination) = ((ip(source), 50000), (ip("10.2.0.9"), 443));
            of_way.find(|policy| policy.matches(source, destination, 6)).map(|p| p.transforms)
        };
        assert_eq!(decides("10.1.0.9"), Some(true), "the older of two");
        assert_eq!(decides("10.1.0.5"), Some(false), "exempt");
        assert_eq!(decides("10.3.0.5"), None);
        assert_eq!(xfrm::policies(2).unwrap(), policies[..2], "those that decide first");
    });
}

/// Of two policies of equal priority the older decides: asked of the kernel with packets.
#[test]
fn the_order_of_policies_is_the_kernels() {
    in_namespace("the_order_of_policies_is_the_kernels", || {
        router();
        let wide = "src 198.51.100.0/24 dst 198.51.100.0/24 dir out priority 200";
        let narrow = "src 198.51.100.0/25 dst 198.51.100.0/25 dir out priority 200";
        let socket = std::net::UdpSocket::bind("198.51.100.1:0").unwrap();
        for (older, younger, blocked) in [
            (format!("{wide} action block"), narrow.to_owned(), true),
            (narrow.to_owned(), format!("{wide} action block"), false),
            (wide.to_owned(), format!("{narrow} action block"), false),
        ] {
            run(&format!("ip xfrm policy add {older}"));
            run(&format!("ip xfrm policy add {younger}"));
            let first = xfrm::policies(10).unwrap()[0].source.length();
            assert_eq!(first, if older.contains("/25") { 25 } else { 24 });
            let sent = socket.send_to(b"x", "198.51.100.9:9");
            assert_eq!(sent.is_err_and(|e| e.raw_os_error() == Some(libc::EPERM)), blocked);
            run("ip xfrm policy flush");
        }
    });
}
