// SPDX-License-Identifier: GPL-2.0-or-later
//! Connections of a router with a bridge, a VLAN and a session, as its switch sees them.

use super::*;
use crate::core::devices::Device;
use crate::core::flows::table::tests::{entry, table_of};
use crate::core::links::tests::link;
use crate::core::links::Links;
use crate::core::plan::tests::device;
use crate::core::settings::{SwitchDriver, SwitchPort, SwitchWay};
use crate::netlink::route::{Address, FdbEntry, Neighbour};

const BR_LAN: u32 = 2;
const LAN1: u32 = 3;
pub const WAN: u32 = 5;
const WAN_VLAN: u32 = 6;
const PPP: u32 = 8;
const CLIENT: Mac = Mac::new([2, 0, 0, 0, 0, 1]);
const GATEWAY: Mac = Mac::new([2, 0, 0, 0, 0, 9]);
const PEER: flow::Mac = flow::Mac([2, 0, 0, 0, 0, 0xac]);

fn router_mac(index: u32) -> Mac {
    Mac::new([2, 0xff, 0, 0, 0, index as u8])
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `br-lan` with the port `lan1`; `wan`, `wan.7` on it, and a session on that.
pub fn topology() -> Topology {
    let ether = |index, name| Link { mac: Some(router_mac(index)), mtu: 1500, ..link(index, name) };
    let mut links = Links::default();
    links.replace(vec![
        Link { kind: "bridge".into(), ..ether(BR_LAN, "br-lan") },
        Link { master: Some(BR_LAN), ..ether(LAN1, "lan1") },
        ether(WAN, "wan"),
        Link {
            kind: "vlan".into(),
            lower: Some(WAN),
            vlan_id: Some(7),
            ..ether(WAN_VLAN, "wan.7")
        },
        Link { kind: "ppp".into(), mtu: 1492, ..link(PPP, "pppoe-wan") },
    ]);
    let devices: [Device; 2] =
        [device("wan.7", &["pppoe-wan"], true), device("wan", &["wan.7", "pppoe-wan"], true)];
    let mut topology = Topology::default();
    let uplinks = ["wan", "wan.7", "pppoe-wan"].map(str::to_owned).into_iter().collect();
    topology.set_devices(&links, &devices, &uplinks);
    let own = |index, text, prefix| Address { index, address: address(text), prefix, peer: None };
    topology.set_addresses(vec![
        own(BR_LAN, "192.168.1.1", 24),
        own(BR_LAN, "fd00:1::1", 64),
        own(WAN, "203.0.113.1", 24),
        own(PPP, "198.51.100.7", 32),
    ]);
    let known = |index, text, mac| Neighbour { index, address: address(text), mac };
    topology.set_neighbours(vec![
        known(BR_LAN, "192.168.1.2", CLIENT),
        known(WAN, "203.0.113.254", GATEWAY),
    ]);
    let station =
        FdbEntry { port: LAN1, bridge: Some(BR_LAN), mac: CLIENT, vlan: None, own: false };
    topology.set_stations(vec![station], 0, &[]);
    topology
}

pub fn switch(ports: &[(&str, u8, u16)]) -> SwitchSettings {
    let port = |(device, port, vlan): &(&str, u8, u16)| SwitchPort {
        device: (*device).into(),
        port: *port,
        vlan: *vlan,
    };
    SwitchSettings {
        name: "sw".into(),
        driver: SwitchDriver::Qca8337,
        way: Some(SwitchWay::Bus("mdio".into())),
        force: false,
        ports: ports.iter().map(port).collect(),
        private: None,
    }
}

/// A masqueraded TCP connection of the client to a far address.
pub fn web() -> Flow {
    let tuple = |source: &str, destination: &str| {
        let (from, to) = ((address(source), 40_000), (address(destination), 443));
        tuple::Tuple::new(IPPROTO_TCP, from, to).unwrap()
    };
    let flow = table_of(&[entry(1, 0)]).flows(0).next().unwrap();
    let orig = tuple("192.168.1.2", "8.8.8.8");
    Flow { orig, reply: tuple("203.0.113.1", "8.8.8.8").inverse(), zone: 0, ..flow }
}

pub fn via_gateway(lookup: &Lookup) -> Option<Route> {
    assert_eq!((lookup.to, lookup.input), (address("8.8.8.8"), Some(BR_LAN)));
    let gateway = Some(address("203.0.113.254"));
    Some(Route { output: Some(WAN), gateway, kind: RouteKind::Unicast })
}

fn resolve(
    topology: &Topology,
    ports: &[(&str, u8, u16)],
    devices: [&str; 2],
    ask: &mut AskRoute<'_>,
) -> Result<(flow::Flow, [Attachment; 2]), Unresolved> {
    let sessions = [Session { device: "wan.7".into(), pppoe: Pppoe { session: 5, peer: PEER } }];
    let switch = switch(ports);
    let around = Surroundings { switch: &switch, topology, sessions: &sessions };
    around.resolve(&web(), devices.map(Some), ask)
}

#[test]
fn a_client_behind_a_bridge_and_the_world_behind_the_gateway() {
    let ports = [("lan1", 2, 1), ("wan", 5, 2)];
    let found = resolve(&topology(), &ports, ["br-lan", "wan"], &mut via_gateway);
    let (flow, ends) = found.unwrap();
    let side = |port, vlan, neighbour: Mac, router| Side {
        port,
        vlan,
        tagged: false,
        neighbour: flow::Mac(neighbour.bytes()),
        router: flow::Mac(router_mac(router).bytes()),
        mtu: 1500,
        pppoe: None,
    };
    assert_eq!(flow.opener, side(2, 1, CLIENT, BR_LAN));
    assert_eq!(flow.answerer, side(5, 2, GATEWAY, WAN));
    let (near, far) =
        (Attachment { routed: BR_LAN, port: LAN1 }, Attachment { routed: WAN, port: WAN });
    assert_eq!(ends, [near, far]);
    assert_eq!(flow.original.source.to_string(), "192.168.1.2:40000");
    assert_eq!(flow.reply.destination.to_string(), "203.0.113.1:40000");
    assert_eq!(flow.translation(), flow::Translation::Source);
}

#[test]
fn a_session_on_a_vlan() {
    let ports = [("lan1", 2, 1), ("wan", 5, 2)];
    let topology = topology();
    let never = &mut |_: &Lookup| -> Option<Route> { panic!("a session has one other end") };
    let (flow, ends) = resolve(&topology, &ports, ["br-lan", "pppoe-wan"], never).unwrap();
    let far = flow.answerer;
    assert_eq!((far.vlan, far.tagged, far.mtu, far.neighbour), (7, true, 1492, PEER));
    assert_eq!(far.pppoe, Some(Pppoe { session: 5, peer: PEER }));
    assert_eq!(far.router, flow::Mac(router_mac(WAN_VLAN).bytes()));
    assert_eq!(ends[1], Attachment { routed: PPP, port: WAN });
}

#[test]
fn what_is_missing_is_named() {
    let ports = [("lan1", 2, 1), ("wan", 5, 2)];
    let all = topology();
    let told = |found: Result<(flow::Flow, _), Unresolved>| found.unwrap_err().to_string();
    let mut nowhere = |_: &Lookup| Some(Route::NONE);
    let to_far = ["br-lan", "wan"];
    assert_eq!(
        told(resolve(&all, &ports, to_far, &mut nowhere)),
        "routing sends packets to 8.8.8.8 elsewhere"
    );
    let mut silent = |_: &Lookup| None;
    assert!(resolve(&all, &ports, to_far, &mut silent).is_err());
    let mut other = |lookup: &Lookup| {
        Some(Route { gateway: Some(address("203.0.113.9")), ..via_gateway(lookup)? })
    };
    assert_eq!(
        told(resolve(&all, &ports, to_far, &mut other)),
        "no MAC address known for 203.0.113.9"
    );
    assert_eq!(
        told(resolve(&all, &[("wan", 5, 2)], to_far, &mut via_gateway)),
        "br-lan lan1 is no port of the switch"
    );
    assert_eq!(
        told(resolve(&all, &ports, ["gone", "wan"], &mut via_gateway)),
        "192.168.1.2 is behind no known device"
    );
    let switch = switch(&ports);
    let around = Surroundings { switch: &switch, topology: &all, sessions: &[] };
    let devices = [Some("br-lan"), Some("pppoe-wan")];
    let mut ask = via_gateway;
    let unknown = around.resolve(&web(), devices, &mut ask).map(|(flow, _)| flow);
    assert_eq!(unknown, Err(Unresolved::Session("pppoe-wan".into())));
    let zoned = Flow { zone: 1, ..web() };
    assert_eq!(around.resolve(&zoned, devices, &mut ask), Err(Unresolved::Zone));
}

#[test]
fn a_vlan_of_a_bridge_is_not_guessed_at() {
    let mut topology = topology();
    let mut links = topology.links().clone();
    links.replace(
        links
            .iter()
            .cloned()
            .chain([Link {
                kind: "vlan".into(),
                lower: Some(BR_LAN),
                vlan_id: Some(10),
                mac: Some(router_mac(9)),
                ..link(9, "br-lan.10")
            }])
            .collect(),
    );
    topology.set_devices(&links, &[], &["wan".to_owned()].into_iter().collect());
    let own = Address { index: 9, address: address("192.168.1.1"), prefix: 24, peer: None };
    topology.set_addresses(vec![own]);
    topology.set_neighbours(vec![
        Neighbour { index: 9, address: address("192.168.1.2"), mac: CLIENT },
        Neighbour { index: WAN, address: address("203.0.113.254"), mac: GATEWAY },
    ]);
    let ports = [("lan1", 2, 1), ("wan", 5, 2)];
    let ask: &mut AskRoute<'_> = &mut |_: &Lookup| {
        let gateway = Some(address("203.0.113.254"));
        Some(Route { output: Some(WAN), gateway, kind: RouteKind::Unicast })
    };
    let found = resolve(&topology, &ports, ["br-lan.10", "wan"], ask);
    assert_eq!(found.unwrap_err(), Unresolved::BridgeVlan("br-lan.10".into()));
}

#[test]
fn the_networks_are_those_on_top_of_the_ports() {
    let topology = topology();
    let network = |ports: &[(&str, u8, u16)], private| {
        let switch = SwitchSettings { private, ..switch(ports) };
        Surroundings { switch: &switch, topology: &topology, sessions: &[] }.network()
    };
    let lan = (Ipv4Addr::new(192, 168, 1, 0), 24);
    let public = vec![Ipv4Addr::new(198, 51, 100, 7), Ipv4Addr::new(203, 0, 113, 1)];
    let both = [("lan1", 2, 1), ("wan", 5, 2)];
    assert_eq!(network(&both, None), Some(Network { private: lan, public: public.clone() }));
    let other = (Ipv4Addr::new(10, 0, 0, 0), 8);
    assert_eq!(network(&both, Some(other)), Some(Network { private: other, public }));
    assert_eq!(network(&[("lan1", 2, 1)], None), None, "no public address");
    assert_eq!(network(&[("wan", 5, 2)], None), None, "no LAN");
}
