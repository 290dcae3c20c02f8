// SPDX-License-Identifier: GPL-2.0-or-later
//! Random rules come and go; frames are compared with what the set of rules says about them.

use super::rig::*;
use hw_drivers::flow::Mac;
use hw_drivers::mt7530::{Action, Error, Match, Rule, RuleId};
use hw_drivers::table::FlowTable;
use hw_simulators::mt7530::{Loss, CPU};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Few values, so that rules meet, share patterns and are met.
const ADDRESSES: [[u8; 4]; 3] = [[10, 0, 0, 1], [10, 0, 1, 1], [192, 168, 0, 1]];
const PORTS: [u16; 2] = [53, 443];
const MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])];

fn network() -> impl Strategy<Value = Option<(Ipv4Addr, u8)>> {
    let one = (0..3usize, prop_oneof![Just(32u8), Just(24), Just(8)]);
    prop::option::weighted(0.4, one.prop_map(|(index, length)| (ADDRESSES[index].into(), length)))
}

fn port() -> impl Strategy<Value = Option<u16>> {
    prop::option::weighted(0.3, prop::sample::select(&PORTS[..]))
}

fn mac() -> impl Strategy<Value = Option<Mac>> {
    prop::option::weighted(0.15, prop::sample::select(&MACS[..]))
}

fn rule() -> impl Strategy<Value = Rule> {
    let ports = prop::sample::select(&[1u8, 2, 3, 0x43][..]);
    let protocol = prop::option::weighted(0.7, prop::sample::select(&[6u8, 17][..]));
    let kind = prop::option::weighted(0.1, prop::sample::select(&[0x0800u16, 0x86dd][..]));
    let action = prop_oneof![
        3 => Just(Action::Drop),
        2 => (1u8..8).prop_map(Action::Priority),
        1 => Just(Action::ToCpu),
        1 => Just(Action::Rate(15_625)),
    ];
    let fields = (ports, mac(), kind, network(), network(), protocol, port(), port());
    (fields, action).prop_map(|(fields, action)| {
        let (ports, source_mac, ether_type, source, destination, protocol, from, to) = fields;
        let what = Match {
            source_mac,
            ether_type,
            source,
            destination,
            protocol,
            source_port: from,
            destination_port: to,
            ..Match::on(ports)
        };
        Rule { what, action }
    })
}

fn sample() -> impl Strategy<Value = Sample> {
    let address = || 0..4usize;
    let port = || prop::sample::select(&[53u16, 443, 9][..]);
    (0..2u8, 0..2usize, any::<bool>(), address(), address(), port(), port(), 0..8u8).prop_map(
        |(ingress, mac, is_tcp, from, to, source, destination, odd)| {
            let text = |index: usize, port: u16| match ADDRESSES.get(index) {
                _ if odd == 0 => format!("[2001:db8::{index}]:{port}"),
                Some([a, b, c, d]) => format!("{a}.{b}.{c}.{d}:{port}"),
                None => format!("172.16.0.1:{port}"),
            };
            let [from, to] = [text(from, source), text(to, destination)];
            let mut frame = if is_tcp { tcp(&from, &to) } else { udp(&from, &to) };
            frame.source = MACS[mac];
            frame.packet.options = odd == 1;
            Sample { port: ingress, frame, later: odd == 2 }
        },
    )
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Rule),
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => rule().prop_map(Step::Insert),
        1 => any::<usize>().prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 1..40)
}

fn check(switch: &Switch, rules: &BTreeMap<RuleId, Rule>, sample: &Sample) {
    let meant: Vec<_> = rules.values().filter(|rule| sample.matches(&rule.what)).collect();
    let actions: Vec<_> = meant.iter().map(|rule| rule.action).collect();
    assert!(actions.windows(2).all(|pair| pair[0] == pair[1]), "two that differ: {meant:?}");
    let what = format!("{sample:?} under {meant:?}");
    match actions.first() {
        None => assert_eq!(sample.fate(switch), sample.untouched(), "{what}"),
        Some(Action::Drop) => assert_eq!(sample.observe(switch).loss, Some(Loss::Rule), "{what}"),
        Some(Action::Priority(priority)) => {
            assert_eq!(sample.fate(switch).map(|fate| fate.1), Some(*priority), "{what}");
        }
        Some(Action::ToCpu) => {
            assert_eq!(sample.fate(switch).map(|fate| fate.0), Some(vec![CPU]), "{what}");
        }
        Some(Action::Rate(_)) => {
            let observed = sample.observe(switch);
            assert!(observed.rule.is_some() && observed.loss != Some(Loss::Rule), "{what}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn rules_come_and_go(
        steps in steps(),
        samples in prop::collection::vec(sample(), 24),
        world in prop::sample::select(worlds()),
    ) {
        let (mut driver, switch) = ready(world);
        let mut rules = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(rule) => match driver.insert_rule(&rule) {
                    Ok(id) => {
                        finish(&mut driver);
                        prop_assert_eq!(rules.insert(id, rule), None);
                    }
                    Err(Error::Exists(id)) => prop_assert_eq!(rules.get(&id), Some(&rule)),
                    Err(Error::Overlaps(id)) => {
                        let other = &rules[&id];
                        let rate = matches!(rule.action, Action::Rate(_));
                        prop_assert!(rate || other.action != rule.action);
                        prop_assert!(other.what.ports & rule.what.ports != 0);
                    }
                    Err(Error::FullPatterns { needed, free }) => {
                        prop_assert!(needed > free && free == 64 - driver.patterns_used());
                    }
                    Err(Error::FullRules) => prop_assert_eq!(rules.len(), 32),
                    Err(Error::Inexpressible(_)) => {}
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                },
                Step::Remove(number) if !rules.is_empty() => {
                    let id = *rules.keys().nth(number % rules.len()).unwrap();
                    rules.remove(&id);
                    remove(&mut driver, id);
                }
                Step::Remove(_) => {}
            }
            prop_assert_eq!(driver.rules().collect::<BTreeMap<_, _>>(), rules.clone());
            for sample in &samples {
                check(&switch, &rules, sample);
            }
        }
        prop_assert_eq!(driver.alive(), Ok(()));
        disable(&mut driver);
        for sample in &samples {
            check(&switch, &BTreeMap::new(), sample);
        }
    }
}
