// SPDX-License-Identifier: GPL-2.0-or-later
use super::*;
use proptest::prelude::*;

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn sample() -> Frame {
    Frame {
        destination: Mac([2, 0, 0, 0, 0, 1]),
        source: Mac([2, 0, 0, 0, 0, 2]),
        tags: vec![],
        pppoe: None,
        packet: Packet::new(Protocol::Udp, socket("192.0.2.1:1"), socket("198.51.100.2:2")),
    }
}

/// Guards against an emitter and a parser that are wrong in the same way.
#[test]
fn a_udp_frame_byte_by_byte() {
    let mut frame = sample();
    frame.packet.payload = vec![0xab];
    #[rustfmt::skip]
    let expected = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00,
        0x45, 0, 0, 29, 0, 0, 0x40, 0, 64, 17, 0x4e, 0x99,
        192, 0, 2, 1, 198, 51, 100, 2,
        0, 1, 0, 2, 0, 9, 0x68, 0xa1, 0xab,
    ];
    assert_eq!(frame.emit(), expected);
}

#[test]
fn tags_and_session_come_in_front() {
    let mut frame = sample();
    frame.tags = vec![7, 0x123];
    frame.pppoe = Some(0xbeef);
    let bytes = frame.emit();
    let length = u16::try_from(frame.packet.length() + 2).unwrap().to_be_bytes();
    let mut head = vec![0x81, 0, 0, 7, 0x81, 0, 1, 0x23, 0x88, 0x64, 0x11, 0, 0xbe, 0xef];
    head.extend(length);
    head.extend([0, 0x21, 0x45]);
    assert_eq!(bytes[12..12 + head.len()], head);
    let link = Link::parse(&bytes).unwrap();
    assert_eq!((link.ethertype, link.payload), (ETHERTYPE_PPPOE_SESSION, 22));
    assert_eq!(link.tags, [7, 0x123]);
}

#[test]
fn link_of_any_frame() {
    let mut arp = vec![0xff; 6];
    arp.extend([2, 0, 0, 0, 0, 9, 0x88, 0xa8, 0x60, 5, 0x08, 0x06, 0, 1]);
    let link = Link::parse(&arp).unwrap();
    assert_eq!((link.tags, link.ethertype, link.payload), (vec![5], 0x0806, 18));
    assert!(Frame::parse(&arp).is_none());
    let mut four = arp[..12].to_vec();
    four.extend([0x81, 0, 0, 1].repeat(4));
    four.extend([8, 0]);
    assert!(Link::parse(&four).is_none());
}

#[test]
fn padding_does_not_matter_and_later_fragments_are_no_frames() {
    let frame = sample();
    let mut bytes = frame.emit();
    bytes.resize(60, 0x55);
    assert_eq!(Frame::parse(&bytes).as_ref(), Some(&frame));
    // Offset 1 in place of the flag, checksum put right.
    bytes[20..22].copy_from_slice(&[0x00, 0x01]);
    bytes[24..26].copy_from_slice(&[0, 0]);
    let checksum = !sum(&bytes[14..34]);
    bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
    assert!(Frame::parse(&bytes).is_none());
}

#[test]
fn no_checksum_is_a_right_one_for_udp_over_ipv4_alone() {
    let mut frame = sample();
    frame.packet.unchecked = true;
    let bytes = frame.emit();
    assert_eq!(bytes[40..42], [0, 0]);
    assert_eq!(Frame::parse(&bytes), Some(frame.clone()));
    frame.packet.source = socket("[2001:db8::1]:1");
    frame.packet.destination = socket("[2001:db8::2]:2");
    let mut bytes = frame.emit();
    assert!(Frame::checksums_ok(&bytes));
    bytes[60..62].copy_from_slice(&[0, 0]);
    assert!(!Frame::checksums_ok(&bytes));
}

prop_compose! {
    fn frames()(
        macs in any::<([u8; 6], [u8; 6])>(),
        tags in prop::collection::vec(0u16..0x1000, 0..=MAX_TAGS),
        pppoe in any::<Option<u16>>(),
        addresses in prop_oneof![
            any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
            any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        ],
        ports in any::<(u16, u16)>(),
        tcp in any::<bool>(),
        ttl in any::<u8>(),
        (syn, fin, rst, ack) in any::<(bool, bool, bool, bool)>(),
        (fragment, options, unchecked) in any::<(bool, bool, bool)>(),
        payload in prop::collection::vec(any::<u8>(), 0..40),
    ) -> Frame {
        let v4 = addresses.0.is_ipv4();
        Frame {
            destination: Mac(macs.0),
            source: Mac(macs.1),
            tags,
            pppoe,
            packet: Packet {
                protocol: if tcp { Protocol::Tcp } else { Protocol::Udp },
                source: SocketAddr::new(addresses.0, ports.0),
                destination: SocketAddr::new(addresses.1, ports.1),
                ttl,
                flags: if tcp { TcpFlags { syn, fin, rst, ack } } else { TcpFlags::default() },
                fragment,
                options,
                unchecked: unchecked && !tcp && v4,
                payload,
            },
        }
    }
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(frame in frames()) {
        prop_assert_eq!(Frame::parse(&frame.emit()), Some(frame));
    }

    /// No prefix is a frame.
    #[test]
    fn a_cut_frame_is_none(frame in frames(), cut in any::<prop::sample::Index>()) {
        let bytes = frame.emit();
        prop_assert_eq!(Frame::parse(&bytes[..cut.index(bytes.len())]), None);
    }

    /// A flipped bit in the payload is shown by the checksum, one in a MAC address by the frame.
    #[test]
    fn a_flipped_bit_shows(frame in frames(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = frame.emit();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let parsed = Frame::parse(&bytes);
        let transport = bytes.len() - frame.packet.payload.len();
        if at >= transport && !frame.packet.unchecked {
            prop_assert_eq!(parsed, None);
        } else if at < 12 {
            prop_assert_ne!(parsed, Some(frame));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), head in 0..5usize) {
        let mut bytes = bytes;
        let types: [&[u8]; 5] =
            [&[], &[8, 0, 0x45], &[0x86, 0xdd, 0x60], &[0x88, 0x64, 0x11, 0], &[0x81, 0]];
        for (byte, value) in bytes.iter_mut().skip(12).zip(types[head]) {
            *byte = *value;
        }
        Frame::parse(&bytes);
        Link::parse(&bytes);
        Frame::checksums_ok(&bytes);
    }
}
