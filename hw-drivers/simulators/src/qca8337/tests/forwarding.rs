// SPDX-License-Identifier: GPL-2.0-or-later
//! What the engine leaves alone, and the way that takes through the switch.

use super::*;
use crate::frame::TcpFlags;

#[test]
fn with_any_switch_off_the_processor_gets_everything() {
    for options in models() {
        for (register, value) in [(0x0030, 1), (0x0030, 3), (0x0e00, 0), (0x0e38, 0), (0x0e38, 2)] {
            let mut rig = Rig::translating(options.clone());
            assert_eq!(rig.one(1, &outbound()).0, 5);
            rig.write(register, value);
            assert!(rig.bypasses(1, &outbound()), "{register:#x} {value:#x}");
            assert!(rig.bypasses(5, &inbound()), "{register:#x} {value:#x}");
        }
    }
}

#[test]
fn misses_go_to_the_processor_or_are_dropped() {
    for options in models() {
        let mut rig = Rig::translating(options);
        let (mut out, mut back) = (outbound(), inbound());
        out.packet.source.set_port(40001);
        back.packet.destination.set_port(5001);
        assert!(rig.bypasses(1, &out) && rig.bypasses(5, &back));
        let control = rig.read(0x0620);
        rig.write(0x0620, control | 1 << 17);
        for (port, frame) in [(1, out), (5, back)] {
            assert_eq!(rig.chip.receive(port, &frame.emit()), []);
        }
        assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
    }
}

/// Who writes FORWARD_CTL0 has to keep what the kernel has set there.
#[test]
fn without_a_processors_port_misses_are_lost() {
    let mut rig = Rig::translating(Options::default());
    let control = rig.read(0x0620);
    rig.write(0x0620, control & !(1 << 10));
    let mut missed = outbound();
    missed.packet.source.set_port(40001);
    assert_eq!(rig.chip.receive(1, &missed.emit()), []);
    assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
}

#[test]
fn only_frames_to_the_router_in_its_vlan_are_routed() {
    let mut rig = Rig::translating(Options::default());
    let mut frame = outbound();
    frame.destination = WAN_ROUTER;
    assert!(rig.bypasses(1, &frame));
    // Of VLAN 1, tagged: its own; of VLAN 2: none of that MAC address.
    let mut frame = outbound();
    frame.tags = vec![1];
    assert_eq!(rig.one(1, &frame).0, 5);
    frame.tags = vec![2];
    assert!(rig.bypasses(1, &frame));
    // A port in the other VLAN, which is what keeps LAN and WAN apart.
    rig.write(0x0420 + 8, 0x0002_0002);
    assert!(rig.bypasses(1, &outbound()));
    // Both addresses are in the VLAN's range of the WAN's interface.
    let mut back = inbound();
    back.tags = vec![9];
    rig.write(0x0420 + 8, 0x0001_0001);
    let (port, found) = rig.one(5, &back);
    assert_eq!((port, found.tags), (1, vec![1]));
    back.tags = vec![10];
    assert!(rig.bypasses(5, &back));
    rig.write(0x5a928, 1 << 9);
    assert!(rig.bypasses(1, &outbound()));
}

#[test]
fn what_bypasses_is_an_option() {
    let mut fragment = outbound();
    fragment.packet.fragment = true;
    let mut options = outbound();
    options.packet.options = true;
    let mut dying = outbound();
    dying.packet.ttl = 0;
    let flagged = |flags| {
        let mut frame = outbound();
        frame.packet.flags = flags;
        frame
    };
    let none = TcpFlags::default();
    let flags = [
        TcpFlags { syn: true, ..none },
        TcpFlags { fin: true, ack: true, ..none },
        TcpFlags { rst: true, ..none },
    ]
    .map(flagged);
    let off = Bypass { fragments: false, options: false, ttl: false, tcp_flags: false };
    for (bypass, kind) in [
        (off, 9),
        (Bypass { fragments: true, ..off }, 0),
        (Bypass { options: true, ..off }, 1),
        (Bypass { ttl: true, ..off }, 2),
        (Bypass { tcp_flags: true, ..off }, 3),
    ] {
        let mut rig = Rig::translating(Options { bypass, ..Options::default() });
        let frames = [&fragment, &options, &dying].into_iter().zip(0..);
        for (frame, number) in frames.chain(flags.iter().map(|frame| (frame, 3))) {
            let outs = rig.chip.receive(1, &frame.emit());
            assert_eq!(outs.len(), 1);
            assert_eq!(outs[0].port == 0, number == kind, "{bypass:?} {number}");
            // It must not have begun anew at 255.
            if number == 2 && kind != 2 {
                assert_eq!(Frame::parse(&outs[0].bytes).unwrap().packet.ttl, 0);
            }
        }
        assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
    }
}

#[test]
fn what_is_no_packet_is_the_processors() {
    let mut rig = Rig::translating(Options::default());
    let good = outbound().emit();
    let arp = [&good[..12], &[8, 6], &good[14..]].concat();
    let mut wrong = good.clone();
    wrong[24] ^= 1;
    let cut = good[..30].to_vec();
    for bytes in [arp, wrong, cut] {
        assert_eq!(rig.chip.receive(1, &bytes), [Out { port: 0, bytes }]);
    }
    assert_eq!(rig.chip.receive(1, &good[..13]), []);
    assert_eq!(rig.chip.receive(7, &good), []);
}

/// A wrong checksum above IP is the receiver's to find, also after the translation.
#[test]
fn a_wrong_checksum_stays_wrong() {
    let mut rig = Rig::translating(Options::default());
    let mut bytes = outbound().emit();
    *bytes.last_mut().unwrap() ^= 1;
    let outs = rig.chip.receive(1, &bytes);
    assert_eq!(outs[0].port, 5);
    assert!(!Frame::checksums_ok(&outs[0].bytes));
    let mut last = outs[0].bytes.clone();
    *last.last_mut().unwrap() ^= 1;
    assert_eq!(Frame::parse(&last), Some(outbound_translated()));
}

#[test]
fn padding_of_the_wire_is_kept_to_its_least_length() {
    let mut rig = Rig::translating(Options::default());
    let mut short = outbound();
    short.packet.payload = vec![];
    let mut bytes = short.emit();
    assert_eq!(rig.chip.receive(1, &bytes)[0].bytes.len(), 54);
    bytes.resize(64, 0xaa);
    let out = rig.chip.receive(1, &bytes).remove(0).bytes;
    assert_eq!((out.len(), &out[54..]), (60, &[0; 6][..]));
}

/// As qca8k leaves it, a port sees the processor only; with another map frames are bridged.
#[test]
fn the_rest_is_bridged_within_the_bitmap() {
    let mut rig = Rig::new(Options::default());
    let mut frame = outbound();
    frame.destination = Mac([0xff; 6]);
    assert!(rig.bypasses(1, &frame));
    // Ports 0 to 4 may see each other; broadcasts go everywhere; port 2 learns.
    for port in 1..5 {
        rig.write(0x0660 + 12 * port, 4 << 16 | 0x1f | 1 << 20);
    }
    rig.write(0x0624, 0x017f_0101);
    let ports = |outs: Vec<Out>| outs.iter().map(|out| out.port).collect::<Vec<_>>();
    assert_eq!(ports(rig.chip.receive(1, &frame.emit())), [0, 2, 3, 4]);
    // Of an address that nobody has shown only the processor may know.
    frame.destination = GATEWAY_MAC;
    assert!(rig.bypasses(1, &frame));
    frame.destination = HOST_MAC;
    frame.source = GATEWAY_MAC;
    let outs = rig.chip.receive(2, &frame.emit());
    assert_eq!(outs, [Out { port: 1, bytes: frame.emit() }]);
    // Out of the processor's port to wherever it likes, and back with a tag if the port has one.
    frame.destination = Mac([2, 2, 2, 2, 2, 2]);
    assert_eq!(ports(rig.chip.receive(0, &frame.emit())), [1, 2, 3, 4, 5, 6]);
    rig.write(0x0424 + 8, 2 << 12);
    frame.destination = HOST_MAC;
    let outs = rig.chip.receive(0, &frame.emit());
    assert_eq!((outs.len(), outs[0].port), (1, 1));
    let tagged = Frame::parse(&outs[0].bytes).unwrap();
    assert_eq!(tagged, Frame { tags: vec![1], ..frame.clone() });
    rig.write(0x0424 + 8, 1 << 12);
    let outs = rig.chip.receive(0, &tagged.emit());
    assert_eq!(Frame::parse(&outs[0].bytes), Some(frame.clone()));
    rig.chip.reset();
    assert!(rig.chip.receive(0, &frame.emit()).len() > 1);
}
