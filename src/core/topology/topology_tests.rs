// SPDX-License-Identifier: GPL-2.0-or-later
//! Locating flows on a router with a bridge, a VLAN and two ways out.

use super::*;
use crate::core::links::tests::link;
use crate::core::plan::tests::device;
use crate::netlink::conntrack::tuple::Tuple;
use crate::netlink::route::{FdbEntry, Neighbour};

const BR_LAN: u32 = 2;
const LAN1: u32 = 3;
const WAN: u32 = 5;
const WAN_VLAN: u32 = 6;
const GUEST: u32 = 7;
const PPP: u32 = 8;

/// MAC address of the client on the first port.
pub const MAC: Mac = Mac::new([2, 0, 0, 0, 0, 1]);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn own(index: u32, text: &str, prefix: u8) -> Address {
    Address { index, address: address(text), prefix, peer: None }
}

fn neighbour(text: &str, mac: Mac) -> Neighbour {
    Neighbour { index: BR_LAN, address: address(text), mac }
}

/// A bridge `br-lan` with the port `lan1`, a guest device, and `wan.7` on `wan`.
pub fn router() -> Topology {
    let mut links = Links::default();
    links.replace(vec![
        Link { kind: "bridge".into(), ..link(BR_LAN, "br-lan") },
        Link { master: Some(BR_LAN), ..link(LAN1, "lan1") },
        link(WAN, "wan"),
        Link { kind: "vlan".into(), lower: Some(WAN), vlan_id: Some(7), ..link(WAN_VLAN, "wan.7") },
        link(GUEST, "guest"),
        Link { kind: "ppp".into(), ..link(PPP, "pppoe-wan") },
    ]);
    let devices =
        [device("wan.7", &["pppoe-wan"], true), device("wan", &["wan.7", "pppoe-wan"], true)];
    let mut topology = Topology::default();
    let uplinks = ["wan.7", "pppoe-wan"].map(str::to_owned).into_iter().collect();
    topology.set_devices(&links, &devices, &uplinks);
    topology.set_addresses(vec![
        own(BR_LAN, "192.168.1.1", 24),
        own(BR_LAN, "fd00:1::1", 64),
        own(GUEST, "10.0.0.1", 24),
        own(WAN_VLAN, "203.0.113.1", 24),
    ]);
    topology.set_neighbours(vec![neighbour("192.168.1.2", MAC), neighbour("fd00:1::2", MAC)]);
    let station = FdbEntry { port: LAN1, bridge: Some(BR_LAN), mac: MAC, vlan: None, own: false };
    topology.set_stations(vec![station], 0, &[]);
    topology
}

fn flow(from: &str, to: &str, answers_from: &str, answers_to: &str) -> Entry {
    let orig = Tuple::new(6, (address(from), 1), (address(to), 2)).unwrap();
    let reply = Tuple::new(6, (address(answers_from), 2), (address(answers_to), 1)).unwrap();
    Entry { orig, reply, ..crate::core::flows::table::tests::entry(1, 0) }
}

fn never(lookup: &Lookup) -> Answer {
    panic!("asked {lookup:?}")
}

#[test]
fn a_masqueraded_flow_needs_no_routing() {
    let masqueraded = flow("192.168.1.2", "198.51.100.9", "198.51.100.9", "203.0.113.1");
    let location = router().locate(&masqueraded, &mut never);
    assert_eq!(location.opener, Point::Behind(BR_LAN));
    assert_eq!(location.answerer, Point::Behind(WAN_VLAN));
    let client = Client { address: address("192.168.1.2"), mac: Some(MAC), answers: false };
    assert_eq!(location.client, Some(client));
}

#[test]
fn a_forwarded_port_has_the_server_for_client() {
    let called = flow("198.51.100.9", "203.0.113.1", "192.168.1.2", "198.51.100.9");
    let location = router().locate(&called, &mut never);
    assert_eq!(location.opener, Point::Behind(WAN_VLAN));
    assert_eq!(location.answerer, Point::Behind(BR_LAN));
    assert!(location.client.unwrap().answers);
}

#[test]
fn a_hairpin_stays_inside() {
    // The client calls the router's outer address, and is translated to the router's inner one.
    let hairpin = flow("192.168.1.7", "203.0.113.1", "192.168.1.2", "192.168.1.1");
    let location = router().locate(&hairpin, &mut never);
    assert_eq!(location.opener, Point::Behind(BR_LAN));
    assert_eq!(location.answerer, Point::Behind(BR_LAN));
}

#[test]
fn the_router_itself_is_no_client() {
    let own = flow("203.0.113.1", "198.51.100.9", "198.51.100.9", "203.0.113.1");
    let location = router().locate(&own, &mut |lookup| {
        assert_eq!((lookup.from, lookup.input), (None, None));
        Answer::Behind(WAN_VLAN)
    });
    assert_eq!(location.opener, Point::Router);
    assert_eq!(location.answerer, Point::Behind(WAN_VLAN));
    assert_eq!(location.client, None);
}

#[test]
fn what_is_routed_to_the_router_is_there() {
    let proxied = flow("192.168.1.2", "198.51.100.9", "198.51.100.9", "192.168.1.2");
    let location = router().locate(&proxied, &mut |_| Answer::Router);
    assert_eq!(location.answerer, Point::Router);
    assert_eq!(location.client.unwrap().address, address("192.168.1.2"));
}

#[test]
fn who_calls_all_calls_no_client() {
    let announced = flow("192.168.1.1", "192.168.1.255", "192.168.1.255", "192.168.1.1");
    let location = router().locate(&announced, &mut never);
    assert_eq!((location.opener, location.answerer), (Point::Router, Point::Unknown));
    assert_eq!(location.client, None);
}

#[test]
fn routing_is_asked_as_the_packets_would_come() {
    let mut topology = router();
    let mut six = flow("fd00:1::2", "2001:db8::9", "2001:db8::9", "fd00:1::2");
    six.mark = 0x100;
    let mut asked = Vec::new();
    let mut ask = |lookup: &Lookup| {
        asked.push(*lookup);
        Answer::Behind(PPP)
    };
    for _ in 0..2 {
        let location = topology.locate(&six, &mut ask);
        assert_eq!(location.answerer, Point::Behind(PPP));
        assert_eq!(location.client.unwrap().mac, Some(MAC));
    }
    let from = Some(address("fd00:1::2"));
    let to = address("2001:db8::9");
    assert_eq!(asked, [Lookup { from, to, input: Some(BR_LAN), mark: 0x100 }], "once");
    topology.routes_changed(RouteChange::Any);
    let location = topology.locate(&six, &mut |_| Answer::NotAsked);
    assert_eq!(location.answerer, Point::NotAsked);
    assert!(location.client.is_some(), "that much is known");
}

#[test]
fn chains_lead_down_to_the_port() {
    let topology = router();
    assert_eq!(topology.chain(BR_LAN, Some(MAC)), ["br-lan", "lan1"]);
    assert_eq!(topology.chain(BR_LAN, None), ["br-lan"]);
    assert_eq!(topology.chain(WAN_VLAN, None), ["wan.7", "wan"]);
    assert_eq!(topology.chain(PPP, None), ["pppoe-wan", "wan.7", "wan"]);
    assert_eq!(topology.chain(99, None), Vec::<String>::new());
}

/// Those of a bridge with VLANs are asked for by their own and, as the bridge may not filter, by none.
#[test]
fn clients_that_a_list_leaves_out_are_found_by_their_neighbours() {
    let mut topology = router();
    let known = FdbEntry { port: LAN1, bridge: Some(BR_LAN), mac: MAC, vlan: None, own: false };
    let stranger = FdbEntry { mac: Mac::new([2, 0, 0, 0, 0, 9]), ..known };
    assert_eq!(topology.clients_beyond(&[known]), []);
    assert_eq!(topology.clients_beyond(&[stranger]), [(MAC, BR_LAN, None)], "each once");
    let mut links = topology.links().clone();
    let vlan =
        Link { kind: "vlan".into(), lower: Some(BR_LAN), vlan_id: Some(20), ..link(30, "x") };
    links.replace(links.iter().cloned().chain([vlan]).collect());
    topology.set_devices(&links, &[], &DeviceNames::default());
    let new = Mac::new([2, 0, 0, 0, 0, 2]);
    let at = |index, mac| Neighbour { index, ..neighbour("192.168.1.3", mac) };
    topology.set_neighbours(vec![at(30, new), at(WAN, Mac::new([2, 0, 0, 0, 0, 3]))]);
    let expected = [(MAC, BR_LAN, None), (new, BR_LAN, None), (new, BR_LAN, Some(20))];
    assert_eq!(topology.clients_beyond(&[]), expected);
}

#[test]
fn only_what_moves_a_flow_makes_a_new_version() {
    let mut topology = router();
    let version = topology.version();
    topology.set_neighbours(vec![neighbour("192.168.1.2", MAC)]);
    topology.set_stations(Vec::new(), 0, &[]);
    topology.address(AddressEvent::New(own(BR_LAN, "192.168.1.1", 24)));
    assert_eq!(topology.version(), version);
    topology.set_neighbours(vec![neighbour("192.168.1.2", Mac::new([2, 0, 0, 0, 0, 2]))]);
    assert_ne!(topology.version(), version);
}
