// SPDX-License-Identifier: GPL-2.0-or-later
//! The netlink codecs against the running kernel, in a network namespace of their own.
//!
//! Each test runs itself again under `unshare`, so nothing of the machine is touched and nothing
//! is left behind. Flowtables need the lab's kernels; everything else is here.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use std::time::Duration;

use fixture::namespace::{in_namespace, run};
use flowtabled::netlink::nftables::event::NftEvent;
use flowtabled::netlink::nftables::{
    Chain, ChainHook, Command, Counted, CtKey, Direction, Element, Expression, Flowtable, KeyType,
    MetaKey, Nftables, Rule, Set, Table, Verdict, NETLINK_NETFILTER, NFNLGRP_NFTABLES,
};
use flowtabled::netlink::route::{self, Link, NETLINK_ROUTE};
use flowtabled::netlink::socket::Socket;
use flowtabled::netlink::{message::Messages, Error};

fn table() -> Table {
    Table::inet("flowtabled_test")
}

fn set(key_type: KeyType, name: &str, elements: &[&[u8]]) -> Set {
    Set::of(&table(), name, key_type, elements.iter().map(|key| key.to_vec()))
}

/// A set of connections that expire, each after so many seconds, with counts that begin at these.
fn marks(name: &str, elements: &[(u32, u64)], counted: Option<Counted>) -> Set {
    let element = |(id, seconds): &(u32, u64)| {
        let expires = Some(Duration::from_secs(*seconds));
        (id.to_be_bytes().to_vec(), Element { expires, counted })
    };
    Set {
        expiring: true,
        counting: counted.is_some(),
        elements: elements.iter().map(element).collect(),
        ..set(KeyType::CtId, name, &[])
    }
}

fn chain() -> Chain {
    Chain {
        table: table(),
        name: "forward".into(),
        hook: Some(ChainHook::forward(10)),
        accepts: true,
    }
}

fn rule(expressions: Vec<Expression>) -> Rule {
    Rule {
        table: table(),
        chain: "forward".into(),
        expressions,
        comment: "one rule".into(),
        handle: 0,
    }
}

fn every_expression() -> Vec<Expression> {
    let mut list = Expression::ct_has(CtKey::State, 2).to_vec();
    list.extend(Expression::ct_has(CtKey::Status, 4));
    list.extend(Expression::meta_in(MetaKey::L4Proto, "protocols"));
    list.extend(Expression::meta_in(MetaKey::InputName, "devices"));
    list.push(Expression::meta(MetaKey::OutputName));
    list.push(Expression::Lookup { set: "devices".into(), inverted: true });
    list.push(Expression::counter());
    list.extend(Expression::ct_id_not_in("bypass"));
    list.extend(Expression::ct_bits_in(CtKey::Status, 0xc000, "leaked"));
    list.extend(Expression::ct_id_in("watched"));
    list.extend(Expression::ct_id_into("seen", 10_000));
    list
}

#[test]
fn what_is_sent_is_read_back() {
    in_namespace("what_is_sent_is_read_back", || {
        let mut nftables = Nftables::open().unwrap();
        let before = nftables.snapshot(&|entry| *entry == table()).unwrap();
        assert!(before.tables.is_empty());
        let protocols = set(KeyType::InetProto, "protocols", &[&[6], &[17]]);
        let devices = set(KeyType::Ifname, "devices", &[b"lan0\0\0\0\0\0\0\0\0\0\0\0\0"]);
        let count = Counted { packets: 7, bytes: 1 << 33 };
        let bits = 0x4000u32.to_ne_bytes();
        let mut leaked = Set { counting: true, ..set(KeyType::CtStatus, "leaked", &[&bits]) };
        leaked.elements.iter_mut().for_each(|(_, element)| element.counted = Some(count));
        let seen = Set::dynamic(&table(), "seen", KeyType::CtId);
        let wanted = rule(every_expression());
        let commands = vec![
            Command::AddTable(table()),
            Command::AddSet(protocols.clone()),
            Command::AddSet(devices.clone()),
            Command::AddSet(marks("bypass", &[(1, 600), (0xfeff_0000, 86_400)], None)),
            Command::AddSet(marks("watched", &[(1, 60)], Some(count))),
            Command::AddSet(leaked.clone()),
            Command::AddSet(seen.clone()),
            Command::AddChain(chain()),
            Command::AddRule(wanted.clone()),
        ];
        nftables.commit(commands, before.generation).unwrap();
        let after = nftables.snapshot(&|entry| *entry == table()).unwrap();
        assert_eq!(after.tables, [table()]);
        assert_eq!(after.chains, [chain()]);
        assert_eq!(after.rules.len(), 1);
        assert!(after.rules[0].same_as(&wanted), "{:?}", after.rules[0]);
        assert_eq!(after.sets.len(), 6);
        assert!(after.sets.contains(&protocols) && after.sets.contains(&devices));
        assert!(after.sets.contains(&leaked) && after.sets.contains(&seen));
        let left = |name: &str| {
            let set = after.sets.iter().find(|set| set.name == name).unwrap();
            assert!(set.expiring && set.key_type == KeyType::CtId);
            let seconds = |(key, element): (&Vec<u8>, &Element)| {
                let left = element.expires.unwrap().as_millis().div_ceil(1000);
                (u32::from_be_bytes(key.as_slice().try_into().unwrap()), left, element.counted)
            };
            set.elements.iter().map(seconds).collect::<Vec<_>>()
        };
        assert_eq!(left("bypass"), [(1, 600, None), (0xfeff_0000, 86_400, None)]);
        assert_eq!(left("watched"), [(1, 60, Some(count))]);

        let more = set(KeyType::InetProto, "protocols", &[&[47]]);
        let commands = vec![
            Command::AddElements(more.clone()),
            Command::RemoveElements(set(KeyType::InetProto, "protocols", &[&[6]])),
            Command::FlushChain(chain()),
            Command::DeleteSet(devices),
            Command::DeleteSet(marks("watched", &[], Some(count))),
            Command::DeleteSet(leaked),
            Command::RemoveElements(marks("bypass", &[(1, 0)], None)),
            // Taken out and put in again, because not every kernel changes the time in place.
            Command::RemoveElements(marks("bypass", &[(0xfeff_0000, 0)], None)),
            Command::AddElements(marks("bypass", &[(0xfeff_0000, 30)], None)),
        ];
        nftables.commit(commands, after.generation).unwrap();
        let last = nftables.snapshot(&|entry| *entry == table()).unwrap();
        assert!(last.rules.is_empty());
        assert!(last.sets.contains(&set(KeyType::InetProto, "protocols", &[&[17], &[47]])));
        let bypass = last.sets.iter().find(|set| set.name == "bypass").unwrap();
        let left: Vec<_> = bypass.elements.values().map(|element| element.expires).collect();
        assert!(matches!(left[..], [Some(left)] if left <= Duration::from_secs(30)), "{left:?}");
    });
}

#[test]
fn what_is_read_can_be_sent_again() {
    in_namespace("what_is_read_can_be_sent_again", || {
        let mut nftables = Nftables::open().unwrap();
        let look = |nftables: &mut Nftables| nftables.snapshot(&|entry| *entry == table()).unwrap();
        let generation = nftables.generation().unwrap();
        let count = Counted { packets: 7, bytes: 1 << 33 };
        // An address and a port, each field padded to four bytes.
        let range = [[198, 18, 0, 0], [0, 80, 0, 0], [198, 18, 0, 9], [0, 99, 0, 0]].concat();
        let inner = Chain { name: "decide".into(), hook: None, ..chain() };
        let goto = Expression::Verdict(Verdict::Goto("decide".into()));
        let last = [Expression::goes(Direction::Reply).as_slice(), &[goto]].concat();
        let counter = Expression::Counter { packets: 3, bytes: 200 };
        let commands = vec![
            Command::AddTable(table()),
            Command::AddSet(set(KeyType::InetProto, "protocols", &[&[6], &[17]])),
            Command::AddSet(set(KeyType::Ifname, "devices", &[b"lan0\0\0\0\0\0\0\0\0\0\0\0\0"])),
            Command::AddSet(marks("bypass", &[(1, 600)], None)),
            Command::AddSet(marks("watched", &[(1, 60)], Some(count))),
            Command::AddSet(Set { counting: true, ..set(KeyType::CtStatus, "leaked", &[]) }),
            Command::AddSet(Set::dynamic(&table(), "seen", KeyType::CtId)),
            Command::AddSet(Set::of_ranges(
                &table(),
                "ranges",
                &[KeyType::Ipv4, KeyType::Port],
                [range],
            )),
            Command::AddChain(chain()),
            Command::AddChain(inner.clone()),
            Command::AddRule(rule(every_expression())),
            Command::AddRule(rule(last)),
            Command::AddRule(Rule { chain: inner.name, ..rule(vec![counter]) }),
        ];
        nftables.commit(commands, generation).unwrap();
        let read = look(&mut nftables);
        let mut again = vec![Command::DeleteTable(table()), Command::AddTable(table())];
        again.extend(read.sets.iter().cloned().map(Command::AddSet));
        again.extend(read.chains.iter().cloned().map(Command::AddChain));
        again.extend(read.rules.iter().cloned().map(Command::AddRule));
        nftables.commit(again, read.generation).unwrap();
        let mut made = look(&mut nftables);
        assert_eq!(made.generation, read.generation + 1);
        assert_eq!(made.chains, read.chains);
        assert_eq!(made.rules.len(), 3);
        assert!(made
            .rules
            .iter()
            .zip(&read.rules)
            .all(|(new, old)| new.expressions == old.expressions));
        for (new, old) in made.sets.iter_mut().zip(&read.sets) {
            for ((_, element), before) in new.elements.iter_mut().zip(old.elements.values()) {
                assert!(element.expires <= before.expires, "{element:?} {before:?}");
                element.expires = before.expires;
            }
        }
        assert_eq!(made.sets, read.sets);
        assert_eq!(made.sets.len(), 7);
    });
}

#[test]
fn a_stale_generation_changes_nothing() {
    in_namespace("a_stale_generation_changes_nothing", || {
        let mut nftables = Nftables::open().unwrap();
        let stale = nftables.generation().unwrap();
        nftables.commit(vec![Command::AddTable(table())], stale).unwrap();
        let error = nftables.commit(vec![Command::DeleteTable(table())], stale).unwrap_err();
        assert_eq!(error.errno(), Some(libc::ERESTART), "{error}");
        assert_eq!(nftables.snapshot(&|entry| *entry == table()).unwrap().tables, [table()]);
    });
}

#[test]
fn a_refusal_names_its_object_and_undoes_the_rest() {
    in_namespace("a_refusal_names_its_object_and_undoes_the_rest", || {
        let mut nftables = Nftables::open().unwrap();
        let generation = nftables.generation().unwrap();
        let commands = vec![
            Command::AddTable(table()),
            Command::AddRule(rule(vec![Expression::counter()])),
            Command::AddChain(chain()),
        ];
        let Err(Error::Refused(refusal)) = nftables.commit(commands, generation) else {
            panic!("a rule without its chain was taken");
        };
        assert_eq!(refusal.errno, libc::ENOENT);
        assert!(refusal.object.contains("rule \"one rule\" of chain forward"), "{refusal}");
        assert_eq!(refusal.culprit.as_deref(), Some("forward"));
        assert!(nftables.snapshot(&|entry| *entry == table()).unwrap().tables.is_empty());
    });
}

#[test]
fn a_dry_run_leaves_nothing() {
    in_namespace("a_dry_run_leaves_nothing", || {
        let mut nftables = Nftables::open().unwrap();
        let generation = nftables.generation().unwrap();
        nftables.check(vec![Command::AddTable(table()), Command::AddChain(chain())]).unwrap();
        assert!(nftables.check(vec![Command::AddChain(chain())]).is_err());
        assert!(nftables.snapshot(&|entry| *entry == table()).unwrap().tables.is_empty());
        assert_eq!(nftables.generation().unwrap(), generation);
    });
}

#[test]
fn a_device_that_does_not_exist_is_named() {
    in_namespace("a_device_that_does_not_exist_is_named", || {
        let mut nftables = Nftables::open().unwrap();
        let flowtable = Flowtable {
            table: table(),
            name: "ft".into(),
            priority: 0,
            devices: vec!["nobody0".into()],
            hardware: false,
            counter: false,
            handle: 0,
        };
        let commands = vec![Command::AddTable(table()), Command::AddFlowtable(flowtable)];
        match nftables.check(commands) {
            // Linux 6.16 waits for the name; kernels without flowtables refuse the family.
            Ok(()) => (),
            Err(Error::Refused(refusal)) => {
                assert!(refusal.object.contains("flowtable ft of table inet flowtabled_test"));
            }
            Err(other) => panic!("{other}"),
        }
    });
}

#[test]
fn events_name_the_table_and_its_author() {
    in_namespace("events_name_the_table_and_its_author", || {
        let groups = [NFNLGRP_NFTABLES];
        let mut events = Socket::open(NETLINK_NETFILTER, &groups, "watch").unwrap();
        let mut nftables = Nftables::open().unwrap();
        let generation = nftables.generation().unwrap();
        nftables.commit(vec![Command::AddTable(table())], generation).unwrap();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let datagram = events.receive_within("wait for events").unwrap();
            for message in Messages::new(datagram).map(Result::unwrap) {
                assert_eq!(message.port, nftables.port());
                seen.push(NftEvent::parse(&message).unwrap());
            }
        }
        assert_eq!(seen[0], NftEvent::Chains(Table::inet("flowtabled_test")));
        let NftEvent::Generation(end) = &seen[1] else { panic!("{seen:?}") };
        assert_eq!(end.id, generation + 1);
        assert!(!end.program.is_empty());
    });
}

#[test]
fn devices_and_what_they_stand_on() {
    in_namespace("devices_and_what_they_stand_on", || {
        run("ip link add lan0 type veth peer name lan0-peer");
        run("ip link add br-lan type bridge");
        run("ip link set lan0 master br-lan");
        let mut socket = Socket::open(NETLINK_ROUTE, &[], "list").unwrap();
        let links = route::links(&mut socket).unwrap();
        let named = |name: &str| -> &Link { links.iter().find(|link| link.name == name).unwrap() };
        let bridge = named("br-lan");
        assert_eq!((bridge.kind.as_str(), bridge.master, bridge.lower), ("bridge", None, None));
        let port = named("lan0");
        assert_eq!((port.kind.as_str(), port.master), ("veth", Some(bridge.index)));
        assert_eq!(port.lower, Some(named("lan0-peer").index));
        assert!(named("lo").loopback && !port.loopback);
    });
}
