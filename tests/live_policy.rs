// SPDX-License-Identifier: GPL-2.0-or-later
//! Compiled rules against the running kernel: it takes them, and keeps what it was told.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use fixture::namespace::in_namespace;
use flowtabled::core::links::Links;
use flowtabled::core::policy::chain::{Built, Share, CHAIN_SEEN, CHAIN_TAKE};
use flowtabled::core::policy::{Action, Mark, Places, Policy, Rule};
use flowtabled::core::settings::{Settings, Zone};
use flowtabled::netlink::nftables::{Chain, Command, Expression, Nftables, Rule as NftRule, Table};
use flowtabled::netlink::prefix::Prefix;

fn table() -> Table {
    Table::inet("flowtabled_p_test")
}

fn prefixes(list: &[&str]) -> Vec<Prefix> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

/// Rules by every option, and by all together.
fn rules() -> Vec<Rule> {
    let all = |name: &str| Rule::all(name, Action::Bypass);
    let mark = Some(Mark { value: 0x10, mask: 0xf0 });
    let wait = Action::Offload { min_packets: 100, min_bytes: 1 << 40, table: None };
    let everything = Rule {
        src: Some("lan".into()),
        dest: Some("wan".into()),
        src_ip: prefixes(&["10.0.0.0/8", "fd00::/16"]),
        dest_ip: prefixes(&["0.0.0.0/0", "::/0"]),
        src_port: vec![(0, 65_535)],
        dest_port: vec![(80, 90), (443, 443)],
        protocols: (6, 6),
        dscp: vec![0, 46, 63],
        mark,
        device: Some("lo".into()),
        ..all("everything")
    };
    vec![
        Rule { src_ip: prefixes(&["192.168.0.0/16", "10.1.2.3"]), ..all("source") },
        Rule { dest_ip: prefixes(&["fd00:1::/64"]), action: wait, ..all("destination") },
        Rule { dest_port: vec![(1, 99), (1000, 1100)], ..all("port") },
        Rule { dscp: vec![46], ..all("dscp") },
        Rule { mark: Some(Mark { value: 7, mask: u32::MAX }), ..all("mark") },
        Rule { src: Some("lan".into()), protocols: (17, 17), ..all("zone") },
        Rule { device: Some("l*".into()), ..all("device") },
        everything,
        Rule { action: Action::OFFLOAD, ..all("the rest") },
    ]
}

fn build(rules: Vec<Rule>) -> Built {
    let policy = Policy::new(rules).unwrap();
    let zone =
        |name: &str| Zone { name: name.into(), devices: vec!["lo".into()], ..Zone::default() };
    let zones = vec![zone("lan"), zone("wan")];
    let settings = Settings { policy: policy.clone(), zones, ..Settings::default() };
    let places = Places::resolve(&settings, &Links::default());
    let share = Share { partition: None, rest: true };
    let mut built = policy.build(&places, &table(), share);
    // A flowtable needs the lab's kernels.
    for name in [CHAIN_TAKE, CHAIN_SEEN] {
        let chain = name.to_owned();
        built.chains.push(Chain { table: table(), name: chain.clone(), hook: None, accepts: true });
        let (expressions, comment) = (vec![Expression::counter()], String::new());
        built.rules.push(NftRule { table: table(), chain, expressions, comment, handle: 0 });
    }
    built
}

fn commands(built: &Built) -> Vec<Command> {
    let mut commands = vec![Command::AddTable(table())];
    commands.extend(built.sets.iter().cloned().map(Command::AddSet));
    commands.extend(built.chains.iter().cloned().map(Command::AddChain));
    commands.extend(built.rules.iter().cloned().map(Command::AddRule));
    commands
}

fn is_kept(built: &Built) {
    let mut nftables = Nftables::open().unwrap();
    let generation = nftables.generation().unwrap();
    nftables.commit(commands(built), generation).unwrap();
    let read = nftables.snapshot(&|entry| *entry == table()).unwrap();
    assert_eq!(read.chains, built.chains);
    assert_eq!(read.rules.len(), built.rules.len());
    for (rule, wanted) in read.rules.iter().zip(&built.rules) {
        assert!(rule.same_as(wanted), "{rule:?}\n{wanted:?}");
    }
    assert_eq!(read.sets.len(), built.sets.len());
    for wanted in &built.sets {
        let set = read.sets.iter().find(|set| set.name == wanted.name).unwrap();
        assert_eq!(set, wanted);
    }
}

#[test]
fn rules_by_every_option_are_kept() {
    in_namespace("rules_by_every_option_are_kept", || {
        let built = build(rules());
        let fields = built.sets.iter().map(|set| set.fields.len()).max();
        assert_eq!(fields, Some(7), "a set with every field");
        is_kept(&built);
    });
}

#[test]
fn as_many_entries_as_there_may_be_are_taken() {
    in_namespace("as_many_entries_as_there_may_be_are_taken", || {
        let rule = |number: u16| Rule {
            src_ip: prefixes(&[
                &format!("fd00:{number:x}::/32"),
                &format!("10.0.{}.{}", number >> 8, number & 255),
            ]),
            dest_ip: prefixes(&["fd01::/16", "172.16.0.0/12"]),
            dest_port: vec![(number, 40_000 - number)],
            ..Rule::all("many", Action::Bypass)
        };
        is_kept(&build((1..=1024).map(rule).collect()));
    });
}
