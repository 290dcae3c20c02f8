// SPDX-License-Identifier: GPL-2.0-or-later
//! Translation: both directions of NAPT, its modes, public addresses, NAT, hits and counters.

use super::*;

fn udp(mut frame: Frame) -> Frame {
    frame.packet = Packet { protocol: Protocol::Udp, flags: Default::default(), ..frame.packet };
    frame
}

#[test]
fn one_entry_serves_both_directions() {
    for options in models() {
        let mut rig = Rig::translating(options);
        assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
        assert_eq!(rig.one(5, &inbound()), (1, inbound_translated()));
        // The same by UDP is another connection.
        assert!(rig.bypasses(1, &udp(outbound())) && rig.bypasses(5, &udp(inbound())));
        let mut words = rig.connection(40000, 443);
        words[3] |= if rig.chip.options().model == Model::Qca8337 { 1 << 22 } else { 1 << 2 };
        assert!(rig.command(&words, 0, NAPT, ADD).is_some());
        assert_eq!(rig.one(1, &udp(outbound())), (5, udp(outbound_translated())));
        assert_eq!(rig.one(5, &udp(inbound())), (1, udp(inbound_translated())));
    }
}

/// A chip that is loaded with what another one holds forwards as that does, whatever hash put the
/// entries where they are.
#[test]
fn tables_can_be_loaded() {
    let from = Rig::translating(Options::default());
    let mut words = from.connection(40000, 443);
    words[2] = words[2] & 0xffff_0000 | 6000;
    let mut to = Rig::bring_up(Options::default());
    assert!(to.chip.place_host(100, host_words(HOST.into(), HOST_MAC, 1, 2, 0)));
    assert!(to.chip.place_host(101, host_words(GATEWAY.into(), GATEWAY_MAC, 5, 5, 0)));
    to.default_route(7, 101);
    assert!(to.bypasses(1, &outbound()));
    assert!(to.chip.place_napt(1023, words) && !to.chip.place_napt(1024, words));
    let mut translated = outbound_translated();
    translated.packet.source.set_port(6000);
    assert_eq!(to.one(1, &outbound()), (5, translated));
    assert_eq!(to.chip.napt_entries()[0].index, 1023);
}

#[test]
fn udp_without_checksum_stays_without() {
    let mut rig = Rig::translating(Options::default());
    let mut words = rig.connection(40000, 443);
    words[3] |= 1 << 22;
    assert!(rig.command(&words, 0, NAPT, ADD).is_some());
    let mut frame = udp(outbound());
    frame.packet.unchecked = true;
    assert!(rig.one(1, &frame).1.packet.unchecked);
}

#[test]
fn an_entry_that_is_gone_forwards_nothing() {
    for options in models() {
        let mut rig = Rig::translating(options);
        let words = rig.connection(40000, 443);
        assert!(rig.command(&words, 0, NAPT, DEL).is_some());
        assert!(rig.bypasses(1, &outbound()) && rig.bypasses(5, &inbound()));
    }
}

/// Full cone: the translated port alone. Restricted: also the remote address. Symmetric: also
/// its port.
#[test]
fn the_mode_says_what_a_packet_from_outside_must_match() {
    let (mut other_port, mut other_host) = (inbound(), inbound());
    other_port.packet.source.set_port(80);
    other_host.packet.source.set_ip(Ipv4Addr::new(203, 0, 113, 11).into());
    for (mode, port, host) in
        [(0, true, true), (1, true, false), (2, false, false), (3, false, false)]
    {
        let mut rig = Rig::translating(Options::default());
        rig.write(0x0e38, 0x015f_01c3 | mode << 2);
        assert_eq!(rig.one(5, &inbound()), (1, inbound_translated()));
        assert_eq!(rig.one(5, &other_port).0 == 1, port, "mode {mode}");
        assert_eq!(rig.one(5, &other_host).0 == 1, host, "mode {mode}");
    }
}

/// Each copy of a public address has its stage, so one that is missing or other shows.
#[test]
fn copies_of_a_public_address_that_disagree_show() {
    for options in models() {
        let offload = if options.model == Model::Qca8337 { 0x2f000 } else { 0x2a000 };
        let other = Ipv4Addr::new(198, 51, 100, 99);
        let set = |register, value| {
            let mut rig = Rig::translating(options.clone());
            rig.write(register, value);
            rig
        };
        let mut edit = set(0x2100 + 16 * 3, other.into());
        let (port, frame) = edit.one(1, &outbound());
        assert_eq!((port, frame.packet.source), (5, (other, 5000).into()));
        assert_eq!(edit.one(5, &inbound()), (1, inbound_translated()));

        let mut engine = set(offload + 4 * 3, other.into());
        assert_eq!(engine.one(1, &outbound()), (5, outbound_translated()));
        assert!(engine.bypasses(5, &inbound()));

        let mut bitmap = set(offload + 0x40, 0);
        assert!(bitmap.bypasses(1, &outbound()) && bitmap.bypasses(5, &inbound()));

        for mut lookup in [set(0x5aa00 + 16 * 3, other.into()), set(0x5aa04 + 16 * 3, 0)] {
            assert_eq!(lookup.one(1, &outbound()), (5, outbound_translated()));
            assert!(lookup.bypasses(5, &inbound()));
        }
    }
}

#[test]
fn private_addresses_are_those_of_the_range() {
    let mut rig = Rig::translating(Options::default());
    for (register, value) in [(0x0470, 0x0a00_0000), (0x0474, 0)] {
        let kept = rig.read(register);
        rig.write(register, value);
        // The source is none of the LAN's, so nothing is to be translated: it is only routed.
        let (port, frame) = rig.one(1, &outbound());
        assert_eq!((port, frame.packet.source), (5, (HOST, 40000).into()));
        rig.write(register, kept);
        assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
    }
}

/// Twelve bits are in the entry; the rest is the base for what comes in and its copy for what
/// goes out.
#[test]
fn the_base_of_private_addresses_and_its_copy() {
    let mut rig = Rig::translating(Options::of(Model::Ar8327));
    assert_eq!(rig.chip.napt_entries()[0].private, (HOST, 40000));
    rig.write(0x0e5c, 0x0a000);
    assert_eq!(rig.chip.napt_entries()[0].private, (Ipv4Addr::new(10, 0, 1, 100), 40000));
    assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
    // Nobody has that address, so the packet has no next hop.
    assert!(rig.bypasses(5, &inbound()));
    // A comb of networks: 192.160.0.0/12 with .1. as the third byte.
    rig.write(0x0418, 1 << 28 | 0xc0a01);
    rig.write(0x0e5c, 0xc0a01);
    let mut words = rig.connection(40000, 443);
    words[2] = 0x864 << 20 | words[2] & 0xfffff;
    assert!(rig.command(&words, 0, NAPT, ADD).is_some());
    assert!(rig.chip.napt_entries().iter().any(|entry| entry.private == (HOST, 40000)));
    assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
}

#[test]
fn the_default_rule_forces_the_translation_if_it_says_so() {
    let mut rig = Rig::translating(Options::default());
    // From outside of the private range only a forced packet is looked up, and found nothing.
    let mut foreign = outbound();
    foreign.packet.source.set_ip(Ipv4Addr::new(10, 9, 9, 9).into());
    assert_eq!(rig.one(1, &foreign).0, 5);
    let result = rig.read(0x5a074);
    rig.write(0x5a074, result | 1 << 14);
    assert!(rig.bypasses(1, &foreign));
    assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
    rig.write(0x5a074, result | 2 << 14);
    assert!(rig.bypasses(1, &outbound()));
}

/// Twelve bits of an address are those of many: only the private ones are looked up.
#[test]
fn a_forced_translation_is_for_private_addresses() {
    let mut rig = Rig::translating(Options::of(Model::Ar8327));
    let result = rig.read(0x5a074);
    rig.write(0x5a074, result | 1 << 14);
    let mut foreign = outbound();
    foreign.packet.source.set_ip(Ipv4Addr::new(10, 0, 1, 100).into());
    assert!(rig.bypasses(1, &foreign));
    assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
}

#[test]
fn actions_of_an_entry() {
    for (options, place) in models().into_iter().zip([20, 0]) {
        for (action, ports) in [(0, vec![5, 4]), (1, vec![0]), (2, vec![5, 0]), (3, vec![5])] {
            let mut rig = Rig::translating(options.clone());
            let control = rig.read(0x0620);
            rig.write(0x0620, control & !0xf0 | 4 << 4);
            let mut words = rig.connection(40000, 443);
            assert!(rig.command(&words, 0, NAPT, DEL).is_some());
            words[3] = words[3] & !(3 << place) | action << place;
            assert!(rig.command(&words, 0, NAPT, ADD).is_some());
            let outs = rig.chip.receive(1, &outbound().emit());
            assert_eq!(outs.iter().map(|out| out.port).collect::<Vec<_>>(), ports);
            for out in outs.iter().filter(|out| out.port != 5) {
                assert_eq!(out.bytes, outbound().emit());
            }
        }
    }
}

#[test]
fn traffic_keeps_an_entry_fresh() {
    let age = |rig: &Rig| rig.chip.napt_entries()[0].age;
    for (port, frame) in [(1, outbound()), (5, inbound())] {
        let mut rig = Rig::translating(Options::default());
        rig.chip.pass(Duration::from_secs(56));
        assert_eq!(age(&rig), 6);
        rig.one(port, &frame);
        assert_eq!(age(&rig), 0xe);
        rig.chip.pass(Duration::from_secs(28 * 4));
        assert_eq!(age(&rig), 1);
        let wanted = [0, 0, 0, 0, 1, 0, 0];
        assert_eq!(rig.scan(&wanted, 1 << 18, NAPT, 1023).len(), 1);
        rig.one(port, &frame);
        assert_eq!(age(&rig), 0xe);
    }
}

#[test]
fn ages_fall_when_a_period_is_full() {
    let mut rig = Rig::translating(Options::default());
    for (seconds, age) in [(14, 0xe), (13, 0xe), (1, 0xa), (27, 0xa), (1, 6)] {
        rig.chip.pass(Duration::from_secs(seconds));
        assert_eq!(rig.chip.napt_entries()[0].age, age);
    }
    assert_eq!(rig.chip.now(), Duration::from_secs(56));
}

#[test]
fn an_aged_out_entry_may_forward_no_more() {
    let mut rig = Rig::translating(Options { aged_forwards: false, ..Options::default() });
    assert_eq!(rig.one(5, &inbound()).0, 1);
    rig.chip.pass(Duration::from_secs(28 * 4));
    assert_eq!(rig.chip.napt_entries()[0].age, 1);
    assert!(rig.bypasses(5, &inbound()) && rig.bypasses(1, &outbound()));
    let mut gone = Rig::translating(Options { aged_out: AgedOut::Vanishes, ..Options::default() });
    gone.chip.pass(Duration::from_secs(28 * 4));
    assert_eq!(gone.chip.napt_used(), 0);
    assert!(gone.bypasses(5, &inbound()));
}

/// Counter 2 of the connection: packets and bytes of either direction, the checksum included.
#[test]
fn counters_count_what_is_translated() {
    for (clears, place) in [(true, 24), (false, 24)] {
        let options = Options { counters_clear_on_read: clears, ..Options::default() };
        let mut rig = Rig::translating(options);
        let mut words = rig.connection(40000, 443);
        assert!(rig.command(&words, 0, NAPT, DEL).is_some());
        words[3] |= 1 << 27 | 2 << place;
        assert!(rig.command(&words, 0, NAPT, ADD).is_some());
        let length = u32::try_from(outbound().emit().len()).unwrap() + 4;
        for _ in 0..3 {
            rig.one(1, &outbound());
        }
        rig.one(5, &inbound());
        let counts = [0, 4, 8, 12].map(|offset| rig.read(0x2b020 + offset));
        assert_eq!(counts, [1, length, 3, 3 * length]);
        rig.one(1, &outbound());
        assert_eq!(rig.read(0x2b028), if clears { 1 } else { 4 });
        // Misses are nobody's.
        let mut missed = outbound();
        missed.packet.source.set_port(1);
        assert!(rig.bypasses(1, &missed));
        assert_eq!(rig.read(0x2b028), if clears { 0 } else { 4 });
    }
    let mut rig = Rig::translating(Options::of(Model::Ar8327));
    let mut words = rig.connection(40000, 443);
    assert!(rig.command(&words, 0, NAPT, DEL).is_some());
    words[3] |= 1 << 7 | 7 << 4;
    assert!(rig.command(&words, 0, NAPT, ADD).is_some());
    rig.one(1, &outbound());
    assert_eq!(rig.chip.register(0x2b078), 1);
}

/// A port forward without NAPT entry: the ports of a range keep their numbers.
#[test]
fn nat_entries_translate_addresses() {
    for options in models() {
        let mut rig = Rig::translating(options.clone());
        let words = match options.model {
            Model::Qca8337 => [PUBLIC.into(), 0x6405_1f40, 0x3ec0_a801, 0xe, 0, 0, 0],
            Model::Ar8327 => [PUBLIC.into(), 0x6405_1f40, 0xe3e1, 0, 0, 0, 0],
        };
        assert!(rig.command(&words, 9 << 8, NAT, ADD).is_some());
        let (mut from, mut back) = (inbound(), outbound());
        from.packet.destination.set_port(8004);
        back.packet.source.set_port(8004);
        let (port, found) = rig.one(5, &from);
        assert_eq!((port, found.packet.destination), (1, (HOST, 8004).into()));
        let (port, found) = rig.one(1, &back);
        assert_eq!((port, found.packet.source), (5, (PUBLIC, 8004).into()));
        let counts = [0, 8].map(|offset| rig.chip.register(0x2b060 + offset));
        assert_eq!(counts, [1, 1]);
        from.packet.destination.set_port(8005);
        assert!(rig.bypasses(5, &from));
        from.packet.destination.set_port(8004);
        rig.write(0x0e38, 0x015f_01c9);
        assert!(rig.bypasses(5, &from));
    }
}

/// Until the command has ended nothing is forwarded by the entry, and until it is deleted
/// everything still is.
#[test]
fn entries_take_effect_when_their_command_has_ended() {
    let mut rig = Rig::translating(Options::default());
    let words = rig.connection(40000, 443);
    for (at, word) in (0x0e80..).step_by(4).zip(words) {
        rig.write(at, word);
    }
    rig.write(0x0e58, 1 << 31 | DEL);
    assert_eq!(rig.one(1, &outbound()).0, 5);
    for _ in 0..3 {
        rig.read(0x0e58);
    }
    assert!(rig.bypasses(1, &outbound()));
}

proptest! {
    /// Whatever a packet carries, the one that leaves has right checksums and only what is to
    /// differ does.
    #[test]
    fn translated_packets_are_sound(
        payload in prop::collection::vec(any::<u8>(), 0..64),
        ttl in 2u8..,
        is_udp in any::<bool>(),
        back in any::<bool>(),
    ) {
        let mut rig = Rig::translating(Options { busy_reads: 0, ..Options::default() });
        if is_udp {
            let mut words = rig.connection(40000, 443);
            words[3] |= 1 << 22;
            prop_assert!(rig.command(&words, 0, NAPT, ADD).is_some());
        }
        let (port, frame, to, expected) = if back {
            (5, inbound(), 1, inbound_translated())
        } else {
            (1, outbound(), 5, outbound_translated())
        };
        let dress = |frame: Frame, ttl| {
            let mut frame = if is_udp { udp(frame) } else { frame };
            frame.packet.payload.clone_from(&payload);
            frame.packet.ttl = ttl;
            frame
        };
        let found = rig.one(port, &dress(frame, ttl));
        prop_assert_eq!(found, (to, dress(expected, ttl - 1)));
    }
}
