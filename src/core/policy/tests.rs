// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules mean what is written, and what they are compiled to means the same.

use std::net::IpAddr;

use litemap::LiteMap;
use proptest::prelude::*;

use super::chain::{Built, Share};
use super::interpreter::{offloads, Packet};
use super::*;
use crate::core::links::tests::link;
use crate::core::links::Links;
use crate::core::settings::{Settings, Zone};
use crate::netlink::nftables::{Direction, Table};

/// The router: `lan` is br-lan, `guest` br-guest, `wan` wan0; wg0 is in no zone.
fn places(policy: &Policy) -> Places {
    let zone = |name: &str, device: &str| Zone {
        name: name.into(),
        devices: vec![device.into()],
        ..Zone::default()
    };
    let mut links = Links::default();
    links.replace(vec![link(2, "br-lan"), link(3, "br-guest"), link(4, "wan0"), link(5, "wg0")]);
    let zones = vec![zone("lan", "br-lan"), zone("guest", "br-guest"), zone("wan", "wan0")];
    Places::resolve(&Settings { policy: policy.clone(), zones, ..Settings::default() }, &links)
}

const ORDINARY: Share<'_> = Share { partition: None, rest: true };
const BY_RULES: Share<'_> = Share { partition: Some("a"), rest: false };
const BY_DEVICES: Share<'_> = Share { partition: Some("b"), rest: true };

fn build(policy: &Policy, places: &Places, share: Share<'_>) -> Built {
    policy.build(places, &Table::inet("t"), share)
}

fn subject(packet: &Packet) -> Subject<'_> {
    let [input, output] = &packet.devices;
    Subject {
        source: packet.source[0],
        destination: packet.source[1],
        protocol: packet.protocol,
        mark: Some(packet.mark),
        dscp: Some(packet.dscp),
        input: Some(input),
        output: Some(output),
    }
}

/// What the rules, read one after the other, let into a table.
fn judged(policy: &Policy, places: &Places, share: Share<'_>, packet: &Packet) -> bool {
    let verdict = policy.judge(&subject(packet), places);
    assert!(verdict.certain);
    match verdict.rule.map(|rule| &rule.action) {
        None => share.rest,
        Some(Action::Bypass) => false,
        Some(Action::Offload { min_packets, min_bytes, table }) => {
            let here = match table {
                Some(table) => share.partition == Some(table),
                None => share.rest,
            };
            here && packet.packets >= *min_packets && packet.bytes >= *min_bytes
        }
    }
}

/// Both ways of finding out, for all tables and both directions.
fn agreed(policy: &Policy, packet: &Packet) -> [bool; 3] {
    let places = places(policy);
    [ORDINARY, BY_RULES, BY_DEVICES].map(|share| {
        let built = build(policy, &places, share);
        let expected = judged(policy, &places, share, packet);
        for direction in [Direction::Original, Direction::Reply] {
            let packet = Packet { direction, ..packet.clone() };
            let found = offloads(&built, &packet);
            assert_eq!(found, expected, "{:?} {packet:?} {share:?}", policy.rules());
        }
        expected
    })
}

fn packet() -> Packet {
    Packet {
        direction: Direction::Original,
        source: [("192.168.1.2".parse().unwrap(), 40_000), ("203.0.113.2".parse().unwrap(), 443)],
        protocol: 6,
        mark: 0x12,
        dscp: 46,
        devices: ["br-lan".into(), "wan0".into()],
        packets: 100,
        bytes: 10_000,
    }
}

fn packet6() -> Packet {
    let source = [("fd00:1::2".parse().unwrap(), 40_000), ("fd00:2::2".parse().unwrap(), 443)];
    Packet { source, ..packet() }
}

fn bypass() -> Rule {
    Rule::all("x", Action::Bypass)
}

fn prefixes(list: &[&str]) -> Vec<Prefix> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn each_option_matches_what_it_says() {
    let zone = |name: &str| Some(name.to_owned());
    let mark = |value, mask| Some(Mark { value, mask });
    // The rule, and whether it matches the packets of IPv4 and of IPv6 above.
    let cases = [
        (bypass(), [true, true]),
        (Rule { src_ip: prefixes(&["192.168.1.2"]), ..bypass() }, [true, false]),
        (Rule { src_ip: prefixes(&["192.168.0.0/16", "fd00:1::/64"]), ..bypass() }, [true, true]),
        (Rule { src_ip: prefixes(&["203.0.113.2", "fd00:2::2"]), ..bypass() }, [false, false]),
        (Rule { dest_ip: prefixes(&["203.0.113.2", "fd00:2::/32"]), ..bypass() }, [true, true]),
        (Rule { dest_ip: prefixes(&["0.0.0.0/0"]), ..bypass() }, [true, false]),
        (Rule { src_port: vec![(40_000, 40_000)], ..bypass() }, [true, true]),
        (Rule { src_port: vec![(443, 443)], ..bypass() }, [false, false]),
        (Rule { dest_port: vec![(1, 79), (400, 500)], ..bypass() }, [true, true]),
        (Rule { dest_port: vec![(1, 442), (444, 65_535)], ..bypass() }, [false, false]),
        (Rule { protocols: (6, 6), ..bypass() }, [true, true]),
        (Rule { protocols: WITH_PORTS, ..bypass() }, [true, true]),
        (Rule { protocols: (47, 47), ..bypass() }, [false, false]),
        (Rule { protocols: (17, 17), ..bypass() }, [false, false]),
        (Rule { protocols: (17, 17), dest_port: vec![(443, 443)], ..bypass() }, [false, false]),
        (Rule { dscp: vec![0, 46], ..bypass() }, [true, true]),
        (Rule { dscp: vec![45, 47], ..bypass() }, [false, false]),
        (Rule { mark: mark(0x12, u32::MAX), ..bypass() }, [true, true]),
        (Rule { mark: mark(0x02, 0x0f), ..bypass() }, [true, true]),
        (Rule { mark: mark(0x12, 0xf3), ..bypass() }, [true, true]),
        (Rule { mark: mark(0x01, 0x0f), ..bypass() }, [false, false]),
        (Rule { src: zone("lan"), ..bypass() }, [true, true]),
        (Rule { dest: zone("wan"), ..bypass() }, [true, true]),
        (Rule { src: zone("lan"), dest: zone("wan"), ..bypass() }, [true, true]),
        (Rule { src: zone("wan"), dest: zone("lan"), ..bypass() }, [false, false]),
        (Rule { src: zone("guest"), ..bypass() }, [false, false]),
        (Rule { src: zone("nowhere"), ..bypass() }, [false, false]),
        (Rule { device: Some("br-*".into()), ..bypass() }, [true, true]),
        (Rule { device: Some("wan?".into()), ..bypass() }, [true, true]),
        (Rule { device: Some("wg0".into()), ..bypass() }, [false, false]),
        (Rule { device: Some("wg0".into()), src: zone("lan"), ..bypass() }, [false, false]),
    ];
    for (rule, matches) in cases {
        let policy = Policy::new(vec![rule.clone()]).unwrap();
        for (packet, matches) in [packet(), packet6()].iter().zip(matches) {
            assert_eq!(agreed(&policy, packet), [!matches, false, !matches], "{rule:?}");
        }
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let web = |action| Rule { dest_port: vec![(443, 443)], ..Rule::all("web", action) };
    let all = |action| Rule::all("all", action);
    let decided = |rules: &[Rule]| agreed(&Policy::new(rules.to_vec()).unwrap(), &packet());
    assert_eq!(decided(&[web(Action::OFFLOAD), all(Action::Bypass)]), [true, false, true]);
    assert_eq!(decided(&[web(Action::Bypass), all(Action::OFFLOAD)]), [false; 3]);
    assert_eq!(decided(&[all(Action::Bypass), web(Action::OFFLOAD)]), [false; 3]);
    let into = |table: &str| Action::Offload {
        min_packets: 0,
        min_bytes: 0,
        table: Some(table.to_owned()),
    };
    assert_eq!(decided(&[web(into("a")), all(into("b"))]), [false, true, false]);
    assert_eq!(decided(&[all(into("b")), web(into("a"))]), [false, false, true]);
}

#[test]
fn thresholds_are_reached_and_not_passed() {
    let wait = |min_packets, min_bytes| {
        let action = Action::Offload { min_packets, min_bytes, table: None };
        agreed(&Policy::new(vec![Rule::all("wait", action)]).unwrap(), &packet())[0]
    };
    assert!(wait(0, 0) && wait(100, 0) && wait(0, 10_000) && wait(100, 10_000));
    assert!(!wait(101, 0) && !wait(0, 10_001) && !wait(100, 10_001) && !wait(101, 10_000));
    assert!(!wait(u64::MAX, 0));
}

#[test]
fn what_is_unknown_leaves_the_verdict_open() {
    let voice = Rule { dscp: vec![46], ..Rule::all("voice", Action::Bypass) };
    let lan = Rule { src: Some("lan".into()), ..Rule::all("lan", Action::OFFLOAD) };
    let policy = Policy::new(vec![voice, lan]).unwrap();
    let (packet, places) = (packet(), places(&policy));
    let verdict = |subject: Subject<'_>| {
        let verdict = policy.judge(&subject, &places);
        (verdict.rule.map(|rule| rule.name.as_str()), verdict.certain)
    };
    let known = subject(&packet);
    assert_eq!(verdict(known), (Some("voice"), true));
    assert_eq!(verdict(Subject { dscp: Some(0), ..known }), (Some("lan"), true));
    assert_eq!(verdict(Subject { dscp: None, ..known }), (Some("voice"), false));
    let nowhere = Subject { dscp: Some(0), input: None, ..known };
    assert_eq!(verdict(nowhere), (Some("lan"), false));
    let foreign = Subject { dscp: Some(0), input: Some("wg0"), ..known };
    assert_eq!(verdict(foreign), (None, true));
}

#[test]
fn an_offloaded_flow_was_sent_somewhere() {
    let into = |table: Option<&str>| Action::Offload {
        min_packets: 0,
        min_bytes: 0,
        table: table.map(str::to_owned),
    };
    let marked =
        |action| Rule { mark: Some(Mark { value: 1, mask: 1 }), ..Rule::all("marked", action) };
    let sent = |rules: &[Rule]| {
        let policy = Policy::new(rules.to_vec()).unwrap();
        let (packet, places) = (packet(), places(&policy));
        let subject = Subject { mark: None, dscp: None, ..subject(&packet) };
        policy.partition(&subject, &places).map(|table| table.map(str::to_owned))
    };
    assert_eq!(sent(&[]), Some(None));
    assert_eq!(sent(&[Rule::all("all", into(Some("a")))]), Some(Some("a".into())));
    assert_eq!(sent(&[marked(into(Some("a")))]), None, "or into the ordinary tables");
    assert_eq!(sent(&[marked(Action::Bypass)]), Some(None), "it is offloaded, so not by this rule");
    let same = [marked(into(Some("a"))), Rule::all("all", into(Some("a")))];
    assert_eq!(sent(&same), Some(Some("a".into())));
    let only = [marked(into(Some("a"))), Rule::all("rest", Action::Bypass)];
    assert_eq!(sent(&only), Some(Some("a".into())));
}

fn address(number: u32) -> Prefix {
    Prefix::new(IpAddr::from((0x0a00_0000 + number).to_be_bytes()), 32)
}

#[test]
fn a_thousand_rules_of_one_kind_cost_as_much_as_one() {
    let rule = |number: u16| Rule {
        src_ip: vec![address(u32::from(number))],
        dest_port: vec![(number, number)],
        ..bypass()
    };
    let size = |rules: Vec<Rule>| {
        let policy = Policy::new(rules).unwrap();
        let built = build(&policy, &places(&policy), ORDINARY);
        (built.chains.len(), built.rules.len(), built.sets.len())
    };
    assert_eq!(size(vec![rule(1)]), size((1..=1000).map(rule).collect()));
    // Neither do rules between that are about something else.
    let mixed = |number: u16| {
        let action = if number.is_multiple_of(2) { Action::Bypass } else { Action::OFFLOAD };
        Rule { action, ..rule(number) }
    };
    assert_eq!(size(vec![mixed(1), mixed(2)]), size((1..=1000).map(mixed).collect()));
}

#[test]
fn ranges_of_one_field_are_one_set() {
    let ports = |first, last| Rule { dest_port: vec![(first, last)], ..bypass() };
    let rules =
        vec![ports(80, 90), ports(85, 100), ports(10, 85), ports(500, 600), ports(550, 560)];
    let policy = Policy::new(rules).unwrap();
    let [group] = policy.groups() else { panic!("{:?}", policy.groups()) };
    assert_eq!(group.entries.iter().count(), 2);
}

#[test]
fn no_flow_slips_through_while_the_kernel_fills_the_sets() {
    let port = |port, action| Rule { dest_port: vec![(port, port)], ..Rule::all("x", action) };
    let source = Rule { src_ip: prefixes(&["10.0.0.0/8"]), ..bypass() };
    let policy = Policy::new(vec![port(80, Action::OFFLOAD), port(443, Action::Bypass), source]);
    let policy = policy.unwrap();
    let places = places(&policy);
    let complete = build(&policy, &places, ORDINARY);
    assert!(complete.sets.len() > 2, "{:?}", complete.sets);
    let other =
        Packet { source: [packet().source[0], ("203.0.113.2".parse().unwrap(), 81)], ..packet() };
    for filled in 0..=complete.sets.len() {
        let mut built = build(&policy, &places, ORDINARY);
        for set in &mut built.sets[filled..] {
            set.elements = LiteMap::new();
        }
        assert!(!offloads(&built, &packet()), "{filled} sets are filled");
        assert_eq!(offloads(&built, &other), filled == complete.sets.len(), "{filled}");
    }
    // Without sets of ranges there is nothing to wait for.
    let plain = Policy::new(vec![Rule { protocols: (17, 17), ..bypass() }]).unwrap();
    assert!(build(&plain, &places, ORDINARY).sets.is_empty());
}

#[test]
fn what_overlaps_in_part_gets_a_further_set() {
    let rule = |prefix: &str, first, last| Rule {
        src_ip: prefixes(&[prefix]),
        dest_port: vec![(first, last)],
        ..bypass()
    };
    let policy = Policy::new(vec![rule("10.0.0.0/8", 80, 80), rule("10.1.0.0/16", 1, 99)]).unwrap();
    assert_eq!(policy.groups().len(), 2);
    let inside = Policy::new(vec![rule("10.0.0.0/8", 1, 99), rule("10.1.0.0/16", 80, 80)]).unwrap();
    assert_eq!(inside.groups().len(), 1);
    assert_eq!(inside.groups()[0].entries.iter().count(), 1);
}

#[test]
fn there_are_bounds() {
    let many = |count: u32| (0..count).map(|number| address(2 * number)).collect::<Vec<_>>();
    let entries = |first: u32, second: u32| {
        let rules = [many(first), many(second)];
        let rule = |src_ip| Rule { src_ip, ..bypass() };
        Policy::new(rules.map(rule).to_vec()).map(|policy| policy.groups().len())
    };
    assert_eq!(entries(2047, 1), Ok(1));
    assert_eq!(entries(2047, 2), Err((1, TooMany::Entries)));
    let ports: Vec<_> = (0..60).map(|port| (2 * port, 2 * port)).collect();
    let product = Rule { src_ip: many(40), dest_port: ports, ..bypass() };
    assert_eq!(Policy::new(vec![product]).unwrap_err(), (0, TooMany::Entries));
    // Refused before they are told apart, which would take minutes.
    assert_eq!(entries(200_000, 1), Err((0, TooMany::Entries)));
    let turns = |count: u64| {
        let action = |number| Action::Offload { min_packets: number, min_bytes: 0, table: None };
        Policy::new((1..=count).map(|number| Rule::all("x", action(number))).collect())
    };
    assert_eq!(turns(64).unwrap().groups().len(), 64);
    assert_eq!(turns(65).unwrap_err(), (64, TooMany::Groups));
    let same = |count| Policy::new(vec![bypass(); count]);
    assert_eq!(same(layers::RULES_MAX).unwrap().groups().len(), 1);
    assert_eq!(same(layers::RULES_MAX + 1).unwrap_err(), (layers::RULES_MAX, TooMany::Rules));
    for (what, bound) in [
        (TooMany::Rules, layers::RULES_MAX),
        (TooMany::Entries, layers::ENTRIES_MAX),
        (TooMany::Groups, layers::GROUPS_MAX),
    ] {
        assert!(what.accepted().contains(&bound.to_string()));
    }
}

/// Few values, so that rules and packets meet often and in part.
fn any_address() -> impl Strategy<Value = IpAddr> {
    (any::<bool>(), 0u8..8).prop_map(|(v4, last)| match v4 {
        true => IpAddr::from([10, 0, 0, last]),
        false => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)]),
    })
}

fn any_prefixes() -> impl Strategy<Value = Vec<Prefix>> {
    let prefix = (any_address(), 0u8..4).prop_map(|(address, missing)| {
        Prefix::new(address, if address.is_ipv4() { 32 } else { 128 } - missing)
    });
    prop_oneof![Just(Vec::new()), prop::collection::vec(prefix, 1..3)]
}

fn any_ports() -> impl Strategy<Value = Vec<(u16, u16)>> {
    let range = (0u16..8, 0u16..4).prop_map(|(first, more)| (first, first + more));
    prop_oneof![Just(Vec::new()), prop::collection::vec(range, 1..3)]
}

fn any_zone() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.3, "lan|guest|wan")
}

fn any_action() -> impl Strategy<Value = Action> {
    let table = prop::option::weighted(0.4, "a|b");
    let offload = (0u64..3, 0u64..3, table).prop_map(|(min_packets, min_bytes, table)| {
        Action::Offload { min_packets, min_bytes, table }
    });
    prop_oneof![Just(Action::Bypass), Just(Action::OFFLOAD), offload]
}

prop_compose! {
    fn any_rule()(
        (src, dest) in (any_zone(), any_zone()),
        (src_ip, dest_ip) in (any_prefixes(), any_prefixes()),
        (src_port, dest_port) in (any_ports(), any_ports()),
        protocols in prop::sample::select(vec![(6, 6), (17, 17), (47, 47), WITH_PORTS, ALL_PROTOCOLS, ALL_PROTOCOLS]),
        dscp in prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0u8..3, 1..3)],
        mark in prop::option::weighted(0.2, (0u32..4, 1u32..4)),
        device in prop::option::weighted(0.2, "br-\\*|wan0|\\*g\\*"),
        action in any_action(),
    ) -> Rule {
        let mark = mark.map(|(value, mask)| Mark { value: value & mask, mask });
        Rule {
            src, dest, src_ip, dest_ip, src_port, dest_port, protocols, dscp, mark, device,
            ..Rule::all("any", action)
        }
    }
}

prop_compose! {
    fn any_packet()(
        (source, destination) in (any_address(), any_address())
            .prop_filter("of one family", |(one, two)| one.is_ipv4() == two.is_ipv4()),
        ports in [0u16..12, 0u16..12],
        protocol in prop::sample::select(vec![6, 17, 47]),
        (mark, dscp) in (0u32..8, 0u8..4),
        devices in ["br-lan|br-guest|wan0|wg0", "br-lan|br-guest|wan0|wg0"],
        (packets, bytes) in (0u64..4, 0u64..4),
    ) -> Packet {
        let [from, to] = ports;
        let direction = Direction::Original;
        let source = [(source, from), (destination, to)];
        Packet { direction, source, protocol, mark, dscp, devices, packets, bytes }
    }
}

#[test]
fn a_partition_is_searched_for_not_looked_through() {
    let into = |table: &str| Action::Offload {
        min_packets: 0,
        min_bytes: 0,
        table: Some(table.to_owned()),
    };
    // As many rules as there may be, all of addresses or all of ports, in two kinds.
    let by_address = |number: u16| Rule {
        src_ip: vec![address(u32::from(number))],
        ..Rule::all("x", if number.is_multiple_of(2) { into("a") } else { Action::Bypass })
    };
    let by_port = |number: u16| Rule {
        dest_port: vec![(2 * number, 2 * number)],
        ..Rule::all("x", into("b"))
    };
    let rules: Vec<Rule> = (0..512).map(by_address).chain((0..512).map(by_port)).collect();
    assert_eq!(rules.len(), layers::RULES_MAX);
    let policy = Policy::new(rules).unwrap();
    let places = places(&policy);
    let mut packet = packet();
    for (last, port, expected) in
        [(9, 81, None), (8, 81, Some("a")), (8, 80, Some("a")), (9, 80, None), (77, 80, None)]
    {
        let source = address(last).address();
        packet.source = [(source, 40_000), ("203.0.113.2".parse().unwrap(), port)];
        let subject = Subject { mark: None, dscp: None, ..subject(&packet) };
        assert_eq!(policy.partition(&subject, &places), Some(expected), "{last} {port}");
        let looked_at =
            |group: &Group| group.entries.near(&judge::whereabouts(&group.kind, &subject)).count();
        let looked_at: usize = policy.groups().iter().map(looked_at).sum();
        assert!(policy.groups().len() <= 4 && looked_at <= 4, "{looked_at}");
    }
    packet.source[0].0 = "10.9.9.9".parse().unwrap();
    let subject = Subject { mark: None, dscp: None, ..subject(&packet) };
    assert_eq!(policy.partition(&subject, &places), Some(Some("b")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_partition_is_the_one_that_the_rules_name(
        rules in prop::collection::vec(any_rule(), 0..7),
        packets in prop::collection::vec((any_packet(), any::<[bool; 4]>()), 8),
    ) {
        let policy = Policy::new(rules).unwrap();
        let places = places(&policy);
        for (packet, [mark, dscp, input, output]) in &packets {
            let known = subject(packet);
            let subject = Subject {
                mark: known.mark.filter(|_| *mark),
                dscp: known.dscp.filter(|_| *dscp),
                input: known.input.filter(|_| *input),
                output: known.output.filter(|_| *output),
                ..known
            };
            let matches = |rule| judge::matches(rule, &subject, &places);
            let by_rules = policy.rules().iter().map(|rule| (matches(rule), &rule.action));
            let expected = judge::sent_to(by_rules);
            assert_eq!(policy.destination(&subject, &places), expected, "{:?} {subject:?}", policy.rules());
        }
    }

    #[test]
    fn compiled_rules_do_what_the_first_match_does(
        rules in prop::collection::vec(any_rule(), 0..7),
        packets in prop::collection::vec(any_packet(), 8),
    ) {
        let policy = Policy::new(rules).unwrap();
        for packet in &packets {
            agreed(&policy, packet);
        }
    }
}
