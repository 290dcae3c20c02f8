// SPDX-License-Identifier: GPL-2.0-or-later
//! Next hops, and how a routed frame leaves: port, MAC addresses, VLAN tag, PPPoE session.

use super::*;

const PEER: Mac = Mac([2, 0, 0, 0, 9, 9]);

/// From the server to a host of the LAN, that is, from a network routed to without translation.
fn routed(to: Ipv4Addr) -> Frame {
    let mut frame = inbound();
    frame.packet.destination = (to, 80).into();
    frame
}

#[test]
fn without_translation_packets_are_only_routed() {
    let mut rig = Rig::translating(Options::default());
    let (port, frame) = rig.one(5, &routed(HOST));
    assert_eq!((port, frame.destination, frame.source), (1, HOST_MAC, LAN_ROUTER));
    assert_eq!(frame.packet.destination, (HOST, 80).into());
    assert_eq!(frame.packet.ttl, 63);
    // Such packets come from outside, unless LAN and WAN are to be kept apart.
    rig.write(0x0418, 1);
    assert_eq!(rig.chip.receive(5, &routed(HOST).emit()), []);
    assert_eq!(rig.one(5, &inbound()).0, 1);
    // Within the LAN there is nothing to be kept apart, and nothing to be translated.
    let mut within = routed(HOST);
    within.packet.source = (Ipv4Addr::new(192, 168, 1, 7), 80).into();
    assert_eq!(rig.one(5, &within).0, 1);
}

#[test]
fn a_packet_without_next_hop_is_the_processors_or_lost() {
    let unknown = Ipv4Addr::new(192, 168, 1, 5);
    let mut rig = Rig::translating(Options::default());
    assert!(rig.bypasses(5, &routed(unknown)));
    // A host of IPv6 whose address ends alike is another one.
    let words = host_words(unknown.into(), HOST_MAC, 1, 2, 1 << 15);
    assert!(rig.command(&words, 0, HOSTS, ADD).is_some());
    assert!(rig.bypasses(5, &routed(unknown)));
    let mut rig = Rig::translating(Options { lost_hosts_to_cpu: false, ..Options::default() });
    assert_eq!(rig.chip.receive(5, &routed(unknown).emit()), []);
    // So it is with a connection whose host is gone.
    let key = [HOST.into(), 0, 0, 0, 0, 0, 0];
    assert!(rig.command(&key, 0, HOSTS, DEL).is_some());
    assert_eq!(rig.chip.receive(5, &inbound().emit()), []);
    assert_eq!(rig.one(1, &outbound()).0, 5);
}

#[test]
fn the_rule_names_the_next_hop_of_the_world_outside() {
    let mut rig = Rig::translating(Options::default());
    let enabled = rig.read(0x0030);
    rig.write(0x0030, enabled & !2);
    assert!(rig.bypasses(1, &outbound()));
    // Without a rule the destination itself is looked for.
    rig.host(SERVER, PEER, 5, 0);
    let (port, frame) = rig.one(1, &outbound());
    assert_eq!((port, frame.destination), (5, PEER));
    rig.write(0x0030, enabled);
    assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
    // A rule whose host is gone has no other.
    let key = [GATEWAY.into(), 0, 0, 0, 0, 0, 0];
    assert!(rig.command(&key, 0, HOSTS, DEL).is_some());
    assert!(rig.bypasses(1, &outbound()));
}

#[test]
fn rules_may_drop_copy_redirect_and_count() {
    for (command, ports) in [(7, vec![]), (3, vec![0]), (1, vec![5, 0]), (0, vec![5])] {
        let mut rig = Rig::translating(Options::default());
        rig.write(0x5a078, command << 6 | 1 << 14 | 6 << 9);
        rig.write(0x09f0, 1 << 6);
        let outs = rig.chip.receive(1, &outbound().emit());
        assert_eq!(outs.iter().map(|out| out.port).collect::<Vec<_>>(), ports);
        assert_eq!(rig.read(0x1c030), 1);
        rig.write(0x09f8, 1 << 6);
        assert_eq!(rig.read(0x1c030), 0);
    }
}

#[test]
fn hosts_have_actions_and_may_be_the_router_itself() {
    let words = |port, own: u32, action| {
        let mut words = host_words(HOST.into(), HOST_MAC, port, 2, 0);
        words[5] |= own << 31;
        words[6] = words[6] & !3 | action;
        words
    };
    for (port, own, action, expected) in [
        (1, 0, 3, vec![1]),
        (7, 0, 3, vec![]),
        (1, 1, 3, vec![0]),
        (1, 0, 1, vec![0]),
        (1, 0, 2, vec![1, 0]),
    ] {
        let mut rig = Rig::translating(Options::default());
        assert!(rig.command(&words(port, own, action), 0, HOSTS, ADD).is_some());
        let outs = rig.chip.receive(5, &inbound().emit());
        assert_eq!(outs.iter().map(|out| out.port).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn traffic_keeps_a_host_fresh() {
    let mut rig = Rig::translating(Options::default());
    let mut words = host_words(HOST.into(), HOST_MAC, 1, 2, 0);
    words[6] = words[6] & !0x7000 | 6 << 12;
    assert!(rig.command(&words, 0, HOSTS, ADD).is_some());
    // One step each 6 s.
    rig.write(0x0e00, 1 << 8 | 3);
    let age = |rig: &Rig| {
        rig.chip.host_entries().iter().find(|host| host.address == HOST).map(|host| host.age)
    };
    rig.chip.pass(Duration::from_secs(12));
    assert_eq!(age(&rig), Some(4));
    rig.one(5, &inbound());
    assert_eq!(age(&rig), Some(6));
}

#[test]
fn hosts_are_counted() {
    let mut rig = Rig::translating(Options::default());
    rig.host(HOST, HOST_MAC, 1, 1 << 6 | 12 << 2);
    let bytes = u32::try_from(inbound().emit().len()).unwrap() + 4;
    for _ in 0..2 {
        rig.one(5, &inbound());
    }
    assert_eq!([rig.read(0x2b060), rig.read(0x2b064)], [2, 2 * bytes]);
    assert_eq!(rig.read(0x2b060), 0);
}

/// The lookup copy decides what comes in, the edit copy what goes out.
#[test]
fn copies_of_an_interface_that_disagree_show() {
    let mut rig = Rig::translating(Options::default());
    rig.write(0x2050, 0x0102_0304);
    let (_, frame) = rig.one(1, &outbound());
    assert_eq!(frame.source, Mac([2, 0xbb, 1, 2, 3, 4]));
    assert_eq!(rig.one(5, &inbound()).0, 1);
    let mut rig = Rig::translating(Options::default());
    rig.write(0x5a950, 0x0102_0304);
    assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
    assert!(rig.bypasses(5, &inbound()));
}

/// The VLAN of a frame that leaves is the interface's lowest and the host's offset.
#[test]
fn tags_are_the_ports_matter() {
    let tagged = |mut frame: Frame, tags: &[u16]| {
        frame.tags = tags.to_vec();
        frame
    };
    for options in models() {
        for (mode, bare, with_tag) in
            [(0, vec![], vec![6]), (1, vec![], vec![]), (2, vec![6], vec![6]), (3, vec![], vec![1])]
        {
            let mut rig = Rig::translating(options.clone());
            // Interface 5 has VLANs from 2 on; offset 4.
            let mut words = host_words(GATEWAY.into(), GATEWAY_MAC, 5, 4 << 3 | 5, 0).to_vec();
            if options.model == Model::Ar8327 {
                words = vec![words[0], words[4], words[5], words[6]];
            }
            assert!(rig.command(&words, 0, HOSTS, ADD).is_some());
            rig.write(0x0c80, mode << 20);
            let found = rig.one(1, &outbound()).1;
            assert_eq!(found, tagged(outbound_translated(), &bare), "mode {mode}");
            let found = rig.one(1, &tagged(outbound(), &[1])).1;
            assert_eq!(found, tagged(outbound_translated(), &with_tag), "mode {mode}");
        }
    }
}

#[test]
fn priorities_stay() {
    let mut rig = Rig::translating(Options::default());
    let mut tagged = Frame { tags: vec![1], ..outbound() }.emit();
    tagged[14] |= 0xa0;
    let out = rig.chip.receive(1, &tagged).remove(0).bytes;
    assert_eq!(out[12..16], [0x81, 0, 0xa0, 2]);
}

#[test]
fn the_member_bitmap_may_hold_for_routed_frames() {
    for (member_filter, bypass, members, passes) in [
        (MemberFilter::Bridged, 0, 0x01, true),
        (MemberFilter::Routed, 0, 0x01, false),
        (MemberFilter::Routed, 2, 0x01, false),
        (MemberFilter::Routed, 0, 0x21, true),
        (MemberFilter::RoutedUnlessBypassed, 0, 0x01, false),
        (MemberFilter::RoutedUnlessBypassed, 2, 0x01, true),
    ] {
        let mut rig = Rig::translating(Options { member_filter, ..Options::default() });
        rig.write(0x0418, bypass);
        rig.write(0x066c, 4 << 16 | members);
        let outs = rig.chip.receive(1, &outbound().emit());
        assert_eq!(outs.len(), usize::from(passes), "{member_filter:?} {bypass} {members:#x}");
        assert!(outs.iter().all(|out| out.port == 5));
    }
}

/// Session 0x1234 on the WAN's side, of number 4.
fn with_session(options: Options) -> Rig {
    let mut rig = Rig::translating(options);
    let acks = rig.read(0x0214);
    rig.write(0x0214, acks | 1 << 25);
    rig.write(0x5f010, 1 << 16 | 0x1234);
    rig.write(0x2240, 0x1234);
    rig.host(GATEWAY, GATEWAY_MAC, 5, 1 << 11 | 4 << 7);
    rig
}

fn in_session(mut frame: Frame, session: u16) -> Frame {
    frame.pppoe = Some(session);
    frame
}

#[test]
fn sessions_are_put_on_and_taken_off() {
    for options in models() {
        let mut rig = with_session(options);
        let expected = in_session(outbound_translated(), 0x1234);
        assert_eq!(rig.one(1, &outbound()), (5, expected));
        assert_eq!(rig.one(5, &in_session(inbound(), 0x1234)), (1, inbound_translated()));
        assert!(rig.bypasses(5, &in_session(inbound(), 0x1235)));
        // What is not IP stays a matter of the session's end.
        let mut control = in_session(inbound(), 0x1234).emit();
        control[20..22].copy_from_slice(&[0xc0, 0x21]);
        let out = Out { port: 0, bytes: control.clone() };
        assert_eq!(rig.chip.receive(5, &control), [out]);
    }
}

/// Either side of the session's tables, and either switch.
#[test]
fn sessions_want_all_that_belongs_to_them() {
    for (register, value, on, off) in
        [(0x5f010, 0x1234, true, false), (0x0214, 0, true, false), (0x0c00, 2, false, false)]
    {
        let mut rig = with_session(Options::default());
        rig.write(register, value);
        let (_, frame) = rig.one(1, &outbound());
        assert_eq!(frame.pppoe.is_some(), on, "{register:#x}");
        let taken = !rig.bypasses(5, &in_session(inbound(), 0x1234));
        assert_eq!(taken, off, "{register:#x}");
    }
    let mut rig = with_session(Options::default());
    rig.write(0x2240, 0x4321);
    assert_eq!(rig.one(1, &outbound()).1.pppoe, Some(0x4321));
    assert_eq!(rig.one(5, &in_session(inbound(), 0x1234)).0, 1);
}

#[test]
fn ipv6_is_routed_by_host_entries() {
    let mut rig = Rig::translating(Options::default());
    let (from, to) = ("[2001:db8::9]:443", "[fd00::1:2:3:4]:80");
    let mut frame = inbound();
    frame.packet = Packet::new(Protocol::Tcp, from.parse().unwrap(), to.parse().unwrap());
    assert!(rig.bypasses(5, &frame));
    let mut words = host_words(0x0003_0004, HOST_MAC, 1, 2, 1 << 15);
    words[1..4].copy_from_slice(&[0x0001_0002, 0, 0xfd00_0000]);
    assert!(rig.command(&words, 0, HOSTS, ADD).is_some());
    let address = rig.chip.host_entries().iter().find_map(|host| match host.address {
        std::net::IpAddr::V6(address) => Some(address),
        std::net::IpAddr::V4(_) => None,
    });
    assert_eq!(address, Some("fd00::1:2:3:4".parse().unwrap()));
    let (port, found) = rig.one(5, &frame);
    let expected = Frame { destination: HOST_MAC, source: LAN_ROUTER, ..frame.clone() };
    let packet = Packet { ttl: 63, ..frame.packet.clone() };
    assert_eq!((port, found), (1, Frame { packet, ..expected }));
    let mut hop_by_hop = frame.clone();
    hop_by_hop.packet.options = true;
    assert!(rig.bypasses(5, &hop_by_hop));
    // The interface has to be for IPv6.
    rig.write(0x5a958, 1 << 8);
    assert!(rig.bypasses(5, &frame));
}
