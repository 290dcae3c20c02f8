// SPDX-License-Identifier: GPL-2.0-or-later
//! Packets built here and read again; and one that a Linux host sent.

use super::*;

/// A DNS question as a packet socket had it on a wire whose sender computed the checksums itself.
const QUESTION: &str = "45000039d8dc400040114dd30a0000020a000003c0a800350025af86\
                        abcd01000001000000000000076578616d706c6503636f6d0000010001";

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let pair = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    hex.chunks(2).map(pair).collect()
}

fn ends(v6: bool) -> (SocketAddr, SocketAddr) {
    match v6 {
        true => ("[fd00:1::2]:40000".parse().unwrap(), "[fd00:2::2]:7001".parse().unwrap()),
        false => ("192.168.1.2:40000".parse().unwrap(), "203.0.113.2:7001".parse().unwrap()),
    }
}

/// Built packets as they would arrive: the kernel fills in the checksum of IPv4 headers.
fn arrived(v6: bool, payload: &[u8], shape: &Shape) -> Vec<Packet> {
    let (from, to) = ends(v6);
    let built = build(from, to, payload, shape);
    let finished = built.into_iter().map(|mut bytes| {
        if !v6 {
            let header_len = usize::from(bytes[0] & 0xf) * 4;
            let checksum = !sum(&[&bytes[..header_len]]);
            bytes.splice(10..12, checksum.to_be_bytes());
        }
        bytes
    });
    finished.map(|bytes| Packet::parse(&bytes).unwrap()).collect()
}

#[test]
fn the_sum_of_rfc_1071() {
    assert_eq!(sum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), 0xddf2);
}

#[test]
fn what_is_built_is_read_again() {
    for v6 in [false, true] {
        let shape = Shape { ttl: 9, ..Shape::default() };
        let [packet] = &arrived(v6, b"payload", &shape)[..] else { panic!("one packet") };
        assert_eq!((packet.source, packet.destination), ends(v6));
        assert_eq!((packet.ttl, packet.options, packet.fragment), (9, false, None));
        assert_eq!(&packet.body[8..], b"payload");
        assert!(packet.right());
    }
}

#[test]
fn options_and_their_size() {
    for v6 in [false, true] {
        let shape = Shape { options: true, ..Shape::default() };
        let (from, to) = ends(v6);
        let built = build(from, to, &[7; 100], &shape);
        assert_eq!(built[0].len(), 100 + overhead(v6, &shape));
        let [packet] = &arrived(v6, &[7; 100], &shape)[..] else { panic!("one packet") };
        assert!(packet.options && packet.right());
        assert_eq!(packet.destination, to);
    }
}

#[test]
fn fragments_are_put_together() {
    for v6 in [false, true] {
        let shape = Shape { fragments: true, ..Shape::default() };
        let mut packets = arrived(v6, &[7; 1000], &shape);
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0].fragment, Some((0, true)));
        assert_eq!(packets[1].source.port(), 0, "a later fragment shows no ports");
        packets.reverse();
        let body = reassemble(&packets).unwrap();
        assert_eq!(&body[8..], [7; 1000]);
        let (from, to) = ends(v6);
        assert_eq!(transport_right(from.ip(), to.ip(), UDP, &body), Some(true));
        packets.pop();
        assert_eq!(reassemble(&packets), None);
    }
}

#[test]
fn any_changed_byte_is_noticed() {
    let good = bytes(QUESTION);
    assert!(Packet::parse(&good).unwrap().right());
    for at in 8..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(Packet::parse(&bad).is_none_or(|packet| !packet.right()), "byte {at}");
    }
}

#[test]
fn cut_packets_are_none() {
    let good = bytes(QUESTION);
    for len in 0..good.len() {
        assert_eq!(Packet::parse(&good[..len]), None, "{len} bytes");
    }
}

#[test]
fn icmp_errors_name_the_packet_that_they_are_about() {
    let quoted = bytes(QUESTION);
    let mut body = vec![3, 4, 0, 0, 0, 0, 0x05, 0x78];
    body.extend(&quoted[..28]);
    let checksum = !sum(&[&body]);
    body.splice(2..4, checksum.to_be_bytes());
    let router = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 0));
    let mut packet = Packet {
        source: router,
        destination: "10.0.0.2:0".parse().unwrap(),
        ttl: 64,
        tos: 0xc0,
        options: false,
        fragment: None,
        protocol: ICMP,
        body,
        header_right: true,
    };
    let error = packet.icmp_error().unwrap();
    assert_eq!(error.text, "too big 1400");
    assert_eq!(error.source, "10.0.0.2:49320".parse().unwrap());
    assert_eq!(error.destination, "10.0.0.3:53".parse().unwrap());
    packet.body[6] ^= 1;
    assert_eq!(packet.icmp_error(), None, "its checksum is wrong");
}
