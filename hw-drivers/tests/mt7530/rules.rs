// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules do what they say, share patterns, and find the limits of the chip.

use super::rig::*;
use hw_drivers::flow::Mac;
use hw_drivers::mt7530::{
    Action, Error, Inexpressible, Match, Mt7530, Rule, RuleId, Settings, MAX_RULES,
};
use hw_drivers::table;
use hw_simulators::mt7530::{Loss, Options, CPU};
use hw_simulators::Chip;
use std::net::Ipv4Addr;
use std::time::Duration;

fn connection(number: u16) -> Match {
    Match {
        source: Some((Ipv4Addr::new(10, number as u8, 1, 1 + number as u8), 32)),
        destination: Some((Ipv4Addr::new(172, 16 + number as u8, 2, number as u8), 32)),
        protocol: Some(6 + 11 * (number % 2) as u8),
        source_port: Some(1000 + number),
        destination_port: Some(2000 + number),
        ..Match::on(0x7f)
    }
}

#[test]
fn each_field_is_looked_at() {
    let base = Sample::new(1, tcp("10.1.2.3:1000", "192.168.1.2:443"));
    let fields = [
        Match { source_mac: Some(base.frame.source), ..Match::on(2) },
        Match { destination_mac: Some(base.frame.destination), ..Match::on(2) },
        Match { ether_type: Some(0x0800), ..Match::on(2) },
        Match { source: v4("10.1.2.3"), ..Match::on(2) },
        Match { source: v4("10.0.0.0/15"), ..Match::on(2) },
        Match { destination: v4("192.168.1.2"), ..Match::on(2) },
        Match { destination: v4("192.168.1.0/25"), ..Match::on(2) },
        Match { protocol: Some(6), ..Match::on(2) },
        Match { protocol: Some(6), source_port: Some(1000), ..Match::on(2) },
        Match { protocol: Some(6), destination_port: Some(443), ..Match::on(2) },
    ];
    let mut others = vec![
        Sample::new(2, base.frame.clone()),
        Sample::new(1, udp("10.1.2.3:1000", "192.168.1.2:443")),
        Sample::new(1, tcp("10.2.2.3:1000", "192.168.1.2:443")),
        Sample::new(1, tcp("10.1.2.4:1000", "192.168.1.2:443")),
        Sample::new(1, tcp("10.1.2.3:1001", "192.168.1.2:443")),
        Sample::new(1, tcp("10.1.2.3:1000", "192.168.1.130:443")),
        Sample::new(1, tcp("10.1.2.3:1000", "192.168.1.2:80")),
        Sample::new(1, tcp("[fd00::1]:1000", "[fd00::2]:443")),
        Sample { later: true, ..base.clone() },
        // The words where IPv4 has its addresses.
        Sample::new(1, tcp("[fd00::c0a8:102]:1", "[fd00::c0a8:102]:2")),
        Sample::new(1, tcp("[fd00:0:a01:203:c0a8:102::]:1000", "[fd00::1]:443")),
    ];
    let mut other_mac = base.clone();
    other_mac.frame.source = Mac([2, 0, 0, 0, 1, 1]);
    others.push(other_mac.clone());
    other_mac.frame.destination = Mac([4, 0, 0, 0, 0, 0x99]);
    others.push(other_mac);
    let mut options = base.clone();
    options.frame.packet.options = true;
    others.push(options);
    for world in worlds() {
        let (mut driver, switch) = ready(world);
        for what in fields {
            let id = insert(&mut driver, &drop_of(what));
            assert_eq!(base.observe(&switch).loss, Some(Loss::Rule), "{what:?}");
            for other in &others {
                let dropped = other.observe(&switch).loss == Some(Loss::Rule);
                assert_eq!(dropped, other.matches(&what), "{what:?} {other:?}");
            }
            remove(&mut driver, id);
            assert_eq!(base.fate(&switch), base.untouched());
        }
    }
}

/// A request for an address has no IP header, whatever the chip takes for one.
#[test]
fn other_frames_are_not_mistaken_for_ipv4() {
    let arp = [
        &[0xff; 6][..],
        &[2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 1, 2, 3],
        &[0, 0, 0, 0, 0, 0, 192, 168, 1, 2],
    ]
    .concat();
    for base_of_others in [true, false] {
        let (mut driver, switch) = ready(Options { base_of_others, ..Options::default() });
        // The words of the request where IPv4 has its source.
        let what = Match { source: v4("0.1.10.1"), ..Match::on(2) };
        insert(&mut driver, &drop_of(what));
        assert_eq!(switch.with(|switch| switch.observe(1, &arp)).loss, None);
        let what = Match { ether_type: Some(0x0806), ..Match::on(2) };
        insert(&mut driver, &drop_of(what));
        assert_eq!(switch.with(|switch| switch.observe(1, &arp)).loss, Some(Loss::Rule));
    }
}

#[test]
fn tags_do_not_hide_an_address() {
    let (mut driver, switch) = ready(Options::default());
    insert(&mut driver, &drop_of(Match { source: v4("10.0.0.1"), ..Match::on(1) }));
    let mut sample = Sample::new(0, udp("10.0.0.1:1", "10.0.0.2:2"));
    sample.frame.tags = vec![7];
    assert_eq!(sample.observe(&switch).loss, Some(Loss::Rule));
}

#[test]
fn a_priority_chooses_the_queue() {
    for world in worlds() {
        let zero = world.priority_zero_counts;
        let (mut driver, switch) = ready(world);
        let sample = Sample::new(2, udp("10.0.0.1:5060", "10.0.0.2:5060"));
        for priority in 0..8 {
            let what = Match { protocol: Some(17), source_port: Some(5060), ..Match::on(4) };
            let id = insert(&mut driver, &Rule { what, action: Action::Priority(priority) });
            let wanted = if priority == 0 && !zero { OWN } else { priority };
            assert_eq!(sample.fate(&switch).unwrap().1, wanted);
            remove(&mut driver, id);
        }
        assert_eq!(sample.fate(&switch), sample.untouched());
    }
}

#[test]
fn traps_go_to_the_processor_only_if_allowed() {
    let (mut driver, switch) = ready(Options::default());
    let rule =
        Rule { what: Match { destination: v4("10.0.0.2"), ..Match::on(1) }, action: Action::ToCpu };
    insert(&mut driver, &rule);
    let sample = Sample::new(0, udp("10.0.0.1:1", "10.0.0.2:2"));
    assert_eq!(sample.fate(&switch).unwrap().0, [CPU]);
    let mut careful = Mt7530::new(switch.clone(), Settings::default());
    set_up(&mut careful);
    let refused = careful.insert_rule(&rule);
    assert_eq!(refused, Err(Error::Inexpressible(Inexpressible::ToCpu)));
}

#[test]
fn a_rate_is_kept_to() {
    let (mut driver, mut switch) = ready(Options::default());
    let what = Match { source: v4("10.0.0.0/8"), ..Match::on(1) };
    let id = insert(&mut driver, &Rule { what, action: Action::Rate(16) });
    let mut sample = Sample::new(0, udp("10.0.0.1:1", "10.0.0.2:2"));
    sample.frame.packet.payload = vec![0; 1200];
    let free = Sample::new(0, udp("11.0.0.1:1", "10.0.0.2:2"));
    let (bits, mut passed) = (sample.bytes().len() as u32 * 8, 0);
    for _ in 0..4000 {
        switch.pass(Duration::from_millis(1));
        passed += if sample.fate(&switch).is_some() { bits } else { 0 };
        assert!(free.fate(&switch).is_some());
    }
    let (wanted, burst) = (4 * 16 * 64_000, 2 * 1522 * 8);
    assert!(passed >= wanted - bits && passed <= wanted + burst, "{passed} bits of {wanted}");
    remove(&mut driver, id);
    assert!((0..100).all(|_| sample.fate(&switch) == sample.untouched()));
}

/// Rules that differ in one port have all other patterns in common.
#[test]
fn equal_patterns_are_shared_until_the_last_rule_goes() {
    let (mut driver, switch) = ready(Options::default());
    let rule = |number| {
        let what = Match { destination_port: Some(number), ..connection(0) };
        drop_of(what)
    };
    let sample =
        |number: u16| Sample::new(3, tcp("10.0.1.1:1000", &format!("172.16.2.0:{number}")));
    let dropped = |number| sample(number).observe(&switch).loss == Some(Loss::Rule);
    let ids: Vec<_> = (1..=MAX_RULES as u16)
        .map(|number| {
            let id = insert(&mut driver, &rule(number));
            assert_eq!(driver.patterns_used(), 8 + usize::from(number));
            id
        })
        .collect();
    assert!((1..=32).all(dropped) && !dropped(33));
    assert_eq!(driver.insert_rule(&rule(33)), Err(Error::FullRules));
    for (number, id) in (1..).zip(&ids) {
        remove(&mut driver, *id);
        let left = MAX_RULES - usize::from(number);
        assert_eq!(driver.patterns_used(), if left == 0 { 0 } else { 8 + left });
        assert!((1..=32).all(|other| dropped(other) == (other > number)));
    }
    assert_eq!(driver.patterns_used(), 0);
}

/// Connections that have nothing in common but version, fragment and protocol: ten of them.
#[test]
fn the_limit_of_patterns_is_told_precisely() {
    let (mut driver, switch) = ready(Options::default());
    for number in 0..8 {
        insert(&mut driver, &drop_of(connection(number)));
    }
    // Two protocols, version, fragment; six of its own for each connection.
    assert_eq!(driver.patterns_used(), 4 + 8 * 6);
    insert(&mut driver, &drop_of(connection(8)));
    insert(&mut driver, &drop_of(connection(9)));
    assert_eq!(driver.patterns_used(), 64);
    let before = switch.with(|switch| switch.transfers());
    let refused = driver.insert_rule(&drop_of(connection(10)));
    assert_eq!(refused, Err(Error::FullPatterns { needed: 6, free: 0 }));
    let two = Match { protocol: Some(6), destination: v4("172.18.0.0/16"), ..Match::on(0x7f) };
    let three = Match { ether_type: Some(0x88cc), ..Match::on(0x3f) };
    insert(&mut driver, &drop_of(two));
    assert_eq!(
        driver.insert_rule(&drop_of(three)),
        Err(Error::FullPatterns { needed: 1, free: 0 })
    );
    assert!(switch.with(|switch| switch.transfers()) > before);
    remove(&mut driver, RuleId(4));
    assert_eq!(driver.patterns_used(), 58);
    let refused = driver.insert_rule(&drop_of(connection(11)));
    assert!(refused.is_ok(), "six are free and six needed");
}

#[test]
fn what_is_refused_touches_no_register() {
    let (mut driver, switch) = ready(Options::default());
    let first = drop_of(Match { source: v4("10.0.0.0/8"), ..Match::on(3) });
    let id = insert(&mut driver, &first);
    let before = switch.with(|switch| switch.transfers());
    let refused = |driver: &mut Mt7530<Switch>, rule: Rule| driver.insert_rule(&rule).unwrap_err();
    let priority = Action::Priority(5);
    let overlaps =
        Rule { what: Match { destination: v4("10.0.0.1"), ..Match::on(2) }, action: priority };
    assert_eq!(refused(&mut driver, first), Error::Exists(id));
    assert_eq!(refused(&mut driver, overlaps), Error::Overlaps(id));
    let port = Rule { what: Match { ports: 0x80, ..first.what }, action: priority };
    assert_eq!(refused(&mut driver, port), Error::Inexpressible(Inexpressible::Port(7)));
    assert_eq!(driver.remove_rule(RuleId(9)), Err(Error::NoRule(RuleId(9))));
    assert_eq!(driver.remove_rule(RuleId(200)), Err(Error::NoRule(RuleId(200))));
    assert_eq!(switch.with(|switch| switch.transfers()), before);
    let elsewhere = Rule { what: Match { ports: 4, ..overlaps.what }, action: priority };
    driver.insert_rule(&elsewhere).unwrap();
    assert_eq!(refused(&mut driver, overlaps), Error::Busy);
    assert_eq!(driver.remove_rule(id), Err(Error::Busy));
    assert_eq!(driver.audit(), Err(Error::Busy));
}

/// Somebody else has written to the ACL: the audit says so and puts it right.
#[test]
fn an_audit_finds_and_mends() {
    use hw_drivers::table::Progress;
    use hw_simulators::mt7530::Table;
    let (mut driver, switch) = ready(Options::default());
    let what = Match { source: v4("10.0.0.0/8"), ..Match::on(0x7f) };
    insert(&mut driver, &drop_of(what));
    let sweep = |driver: &mut Mt7530<Switch>| {
        let mut wrong = 0;
        loop {
            match driver.audit() {
                Ok(Progress::Done) => return wrong,
                Ok(_) => {}
                Err(Error::Chip(table::Error::Mismatch { .. })) => wrong += 1,
                Err(error) => panic!("{error}"),
            }
        }
    };
    assert_eq!(sweep(&mut driver), 0);
    let places = [(Table::Pattern, 0), (Table::Mask, 0), (Table::Action, 0), (Table::Rate, 7)];
    for (table, index) in places {
        let before = switch.with(|switch| switch.entry(table, index));
        switch.with(|switch| switch.set_entry(table, index, [before[0] ^ 0x10, before[1]]));
        assert_eq!(sweep(&mut driver), 1, "{table:?}");
        assert_eq!(switch.with(|switch| switch.entry(table, index)), before);
    }
}
