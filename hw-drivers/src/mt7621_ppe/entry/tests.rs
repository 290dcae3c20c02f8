// SPDX-License-Identifier: GPL-2.0-or-later
use super::*;
use proptest::prelude::*;

/// The flow of the sheet's example, TCP out of GDM1 to the switch's port 4.
fn example() -> Words {
    let mut words = [0; WORDS];
    words[0] = 0x2141_1234;
    words[1] = 0xc0a8_0164;
    words[2] = 0xcb00_710a;
    words[3] = 40000 << 16 | 443;
    words[4] = 0x007f_f037;
    words[5] = 0xc633_6402;
    words[6] = 0xcb00_710a;
    words[7] = 40000 << 16 | 443;
    words[11] = 0x0010_0000;
    words[12] = 0x0200_0000;
    words[13] = 0x0003_0000;
    words[14] = 0x0200_0000;
    words[15] = 0x0002_0000;
    words
}

#[test]
fn a_bound_entry_is_read_and_written() {
    let entry = FoeEntry::of(&example());
    assert_eq!(entry.ib1.state(), State::Bound);
    assert_eq!(
        (entry.ib1.kind(), entry.ib1.udp(), entry.ib1.fixed()),
        (Kind::V4Five, false, false)
    );
    assert_eq!((entry.ib1.time(), entry.ib1.layers(), entry.ib1.vlan_tag()), (0x1234, 1, false));
    let ends =
        |[source, destination]: [&str; 2]| [source.parse().unwrap(), destination.parse().unwrap()];
    let original = ends(["192.168.1.100:40000", "203.0.113.10:443"]);
    let new = ends(["198.51.100.2:40000", "203.0.113.10:443"]);
    assert_eq!(entry.content, Content::V4 { original, new });
    assert_eq!((entry.ib2.port(), entry.ib2.queue(), entry.ib2.group()), (1, 7, 0x1f));
    assert_eq!(entry.ib2, Ib2::output(1, 7, 0x1f));
    assert_eq!(entry.l2.etype, 1 << 4);
    assert_eq!(entry.l2.destination, Mac([2, 0, 0, 0, 0, 3]));
    assert_eq!(entry.l2.source, Mac([2, 0, 0, 0, 0, 2]));
    assert_eq!(entry.words(), Some(example()));
}

#[test]
fn an_unbound_entry_counts_packets() {
    let ib1 = Ib1(0x5005_dc42);
    assert_eq!((ib1.state(), ib1.udp()), (State::Unbound, true));
    assert_eq!((ib1.unbound_packets(), ib1.unbound_time()), (0x05dc, 0x42));
}

#[test]
fn idle_time_wraps_with_the_clock() {
    assert_eq!(idle_s(0x0005, Ib1(0x2000_7ffe)), 7);
    assert_eq!(idle_s(0x8005, Ib1(0x2000_0005)), 0);
    assert_eq!(idle_s(0xffff, Ib1(0x2000_0000)), 0x7fff);
}

#[test]
fn tunnels_are_read_and_not_written() {
    let mut words = [0; WORDS];
    words[0] = 2 << 28 | 3 << 25;
    (words[1], words[2], words[3]) = (0x0a00_0001, 0x0a00_0002, 5 << 16 | 6);
    (words[4], words[11], words[12]) = (0x2001_0db8, 9, 0xb800_1234);
    words[14] = 0x20;
    let entry = FoeEntry::of(&words);
    let Content::DsLite { ends, tunnel, flow_label, class } = entry.content else {
        panic!("{entry:?}");
    };
    assert_eq!(ends[1], "10.0.0.2:6".parse().unwrap());
    assert_eq!(tunnel, ["2001:db8::".parse::<Ipv6Addr>().unwrap(), "::9".parse().unwrap()]);
    assert_eq!((flow_label, class, entry.ib2.port()), (0x1234, 0xb8, 1));
    assert_eq!(entry.words(), None);

    words[0] = 2 << 28 | 7 << 25;
    (words[10], words[12]) = (0xc633_6401, 0x40b8_abcd);
    let entry = FoeEntry::of(&words);
    let Content::SixRd { tunnel, checksum, dscp, ttl, .. } = entry.content else {
        panic!("{entry:?}");
    };
    assert_eq!(tunnel[0], Ipv4Addr::new(198, 51, 100, 1));
    assert_eq!((checksum, dscp, ttl), (0xabcd, 0xb8, 0x40));
    assert_eq!(entry.words(), None);
}

fn l2() -> impl Strategy<Value = L2> {
    any::<(u16, [u16; 2], [u8; 6], [u8; 6], u16)>().prop_map(|(etype, vlans, to, from, pppoe)| L2 {
        etype,
        vlans,
        destination: Mac(to),
        source: Mac(from),
        pppoe,
    })
}

fn content() -> impl Strategy<Value = (Kind, Content)> {
    let v4 = any::<(u32, u16)>().prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port));
    let v6 = any::<(u128, u16)>().prop_map(|(ip, port)| SocketAddrV6::new(ip.into(), port, 0, 0));
    prop_oneof![
        ([v4.clone(), v4.clone()], [v4.clone(), v4])
            .prop_map(|(original, new)| (Kind::V4Five, Content::V4 { original, new })),
        any::<([u32; 2], u8, [u32; 2])>().prop_map(|(original, protocol, new)| {
            let [original, new] = [original, new].map(|ends| ends.map(Ipv4Addr::from));
            (Kind::V4Three, Content::V4Three { original, protocol, new })
        }),
        [v6.clone(), v6].prop_map(|ends| (Kind::V6Five, Content::V6(ends))),
        any::<([u128; 2], u8)>().prop_map(|(ends, protocol)| {
            let ends = ends.map(Ipv6Addr::from);
            (Kind::V6Three, Content::V6Three { ends, protocol })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (kind, content) in content(), l2 in l2(), udp: bool, ib2: u32, time in 0u16..0x8000,
        layers in 0u8..5, tag: bool,
    ) {
        let ib1 = Ib1::binding(kind, udp)
            .with_time(time)
            .with_layers(layers)
            .with_vlan_tag(tag)
            .with_state(State::Bound);
        let entry = FoeEntry { ib1, content, ib2: Ib2(ib2), l2 };
        let words = entry.words().unwrap();
        prop_assert_eq!(FoeEntry::of(&words), entry);
        prop_assert_eq!((ib1.time(), ib1.layers(), ib1.vlan_tag()), (time, layers, tag));
    }

    #[test]
    fn any_words_are_read(words: [u32; WORDS]) {
        let entry = FoeEntry::of(&words);
        if let Some(written) = entry.words() {
            prop_assert_eq!(FoeEntry::of(&written), entry);
        }
    }
}
