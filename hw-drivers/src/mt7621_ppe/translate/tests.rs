// SPDX-License-Identifier: GPL-2.0-or-later
use super::*;
use crate::flow::Pppoe;

const LAN: Side =
    Side::ethernet(SWITCH_PORT_0 + 4, 1, Mac([2, 0, 0, 0, 1, 1]), Mac([2, 0, 0, 0, 0, 1]));
const WAN: Side = Side::ethernet(2, 2, Mac([2, 0, 0, 0, 2, 1]), Mac([2, 0, 0, 0, 0, 2]));

fn flow(original: [&str; 2], reply: [&str; 2]) -> Flow {
    let tuple = |[source, destination]: [&str; 2]| Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    };
    let (original, reply) = (tuple(original), tuple(reply));
    Flow { protocol: Protocol::Tcp, original, reply, opener: LAN, answerer: WAN }
}

fn masqueraded() -> Flow {
    flow(["192.168.1.100:40000", "203.0.113.10:443"], ["203.0.113.10:443", "198.51.100.2:40000"])
}

fn routed() -> Flow {
    let ends = ["[2001:db8:1::100]:40000", "[2001:db8:2::10]:443"];
    flow(ends, [ends[1], ends[0]])
}

#[test]
fn both_directions_of_a_masqueraded_flow() {
    let [out, back] = translate(&masqueraded(), [0x1f; 2]).unwrap();
    let text = |ends: [std::net::SocketAddrV4; 2]| ends.map(|end| end.to_string());
    let Content::V4 { original, new } = out.content else { panic!("{out:?}") };
    assert_eq!(text(original), ["192.168.1.100:40000", "203.0.113.10:443"]);
    assert_eq!(text(new), ["198.51.100.2:40000", "203.0.113.10:443"]);
    let Content::V4 { original, new } = back.content else { panic!("{back:?}") };
    assert_eq!(text(original), ["203.0.113.10:443", "198.51.100.2:40000"]);
    assert_eq!(text(new), ["203.0.113.10:443", "192.168.1.100:40000"]);
    // To GDM2, plain.
    assert_eq!((out.ib1.0, out.ib2.0), (0x2140_0000, 0x007f_f051));
    assert_eq!((out.l2.etype, out.l2.destination), (0x0800, WAN.neighbour));
    // To the switch's port 4: the values that Linux writes.
    assert_eq!((back.ib1.0, back.ib2.0), (0x2141_0000, 0x007f_f037));
    assert_eq!((back.l2.etype, back.l2.source), (0x0010, LAN.router));
}

#[test]
fn tags_and_sessions() {
    let mut flow = masqueraded();
    flow.opener.tagged = true;
    flow.answerer.tagged = true;
    let peer = Mac([2, 0, 0, 0, 2, 9]);
    flow.answerer.pppoe = Some(Pppoe { session: 0x1234, peer });
    flow.protocol = Protocol::Udp;
    let [out, back] = translate(&flow, [1, 2]).unwrap();
    assert_eq!(out.ib1.0, 0x6000_0000 | 1 << 24 | 1 << 22 | 1 << 20 | 1 << 19 | 1 << 16);
    assert_eq!((out.l2.etype, out.l2.vlans, out.l2.pppoe), (0x8864, [2, 0], 0x1234));
    assert_eq!((out.l2.destination, out.ib2.group(), back.ib2.group()), (peer, 1, 2));
    assert_eq!((back.l2.etype, back.l2.vlans), (0x0110, [1, 0]));
    assert_eq!((back.ib1.layers(), back.ib1.vlan_tag()), (1, false));
}

#[test]
fn what_the_engine_cannot_is_refused() {
    let part = |change: &dyn Fn(&mut Flow)| {
        let mut flow = masqueraded();
        change(&mut flow);
        check(&flow, 1500)
    };
    assert_eq!(part(&|_| {}), Ok(()));
    assert_eq!(part(&|flow| flow.opener.port = 3), Err(Part::Port(3)));
    assert_eq!(part(&|flow| flow.opener.port = 14), Err(Part::Port(14)));
    assert_eq!(part(&|flow| flow.answerer.mtu = 1499), Err(Part::Mtu(1499)));
    assert_eq!(part(&|flow| flow.answerer.neighbour = Mac([0; 6])), Err(Part::Neighbour));
    assert_eq!(part(&|flow| flow.answerer.neighbour.0[0] = 3), Err(Part::Neighbour));
    let tagged =
        |vlan| move |flow: &mut Flow| (flow.opener.tagged, flow.opener.vlan) = (true, vlan);
    assert_eq!(part(&tagged(4095)), Err(Part::Vlan(4095)));
    assert_eq!(part(&tagged(0)), Err(Part::Vlan(0)));
    let session = Pppoe { session: 1, peer: Mac([2, 0, 0, 0, 2, 9]) };
    let pppoe = |mtu| {
        move |flow: &mut Flow| (flow.answerer.pppoe, flow.answerer.mtu) = (Some(session), mtu)
    };
    assert_eq!(part(&pppoe(1492)), Ok(()));
    assert_eq!(part(&pppoe(1491)), Err(Part::Mtu(1491)));
    let multicast = Ipv4Addr::new(224, 0, 0, 1);
    let to_group = |flow: &mut Flow| flow.original.destination.set_ip(multicast.into());
    assert_eq!(part(&to_group), Err(Part::Address(multicast)));
}

#[test]
fn ipv6_is_routed_and_not_translated() {
    let [out, back] = translate(&routed(), [0x1f; 2]).unwrap();
    assert_eq!((out.ib1.kind(), out.l2.etype), (Kind::V6Five, 0x86dd));
    let Content::V6(ends) = back.content else { panic!("{back:?}") };
    assert_eq!(SocketAddr::V6(ends[1]), routed().original.source);
    let mut nat = routed();
    nat.reply.destination.set_port(1);
    assert_eq!(check(&nat, 1500), Err(Part::Translation(Translation::Source)));
    let mut mixed = routed();
    mixed.original = masqueraded().original;
    assert_eq!(check(&mixed, 1500), Err(Part::Family));
}
