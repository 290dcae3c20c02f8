// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages of nf_tables: what was read can be sent, and is read again as the same.
#![no_main]

use flowtabled::core::diff::{difference, removal, replacement, Surplus};
use flowtabled::core::plan::Class;
use flowtabled::netlink::message::{Message, Messages};
use flowtabled::netlink::nftables::event::NftEvent;
use flowtabled::netlink::nftables::generation::Generation;
use flowtabled::netlink::nftables::query::Snapshot;
use flowtabled::netlink::nftables::{Batch, Chain, Command, Flowtable, Rule, Set, Table};
use flowtabled_fuzz::messages;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

/// An element that is sent lives one tick at least.
const LEAST: Duration = Duration::from_millis(10);

/// nft's limit for a comment, without its end.
const COMMENT: usize = 127;

fn send(command: Command, check: impl Fn(&[Message<'_>])) {
    let batch = Batch::new(vec![command]).finish(1, Some(7), true);
    let messages: Vec<Message> =
        Messages::new(batch.bytes()).map(|message| message.expect("our own framing")).collect();
    check(&messages[1..messages.len() - 1]);
}

fn flowtable(flowtable: Flowtable) {
    send(Command::RemoveDevices(flowtable.clone()), |_| ());
    let wanted = Flowtable { handle: 0, ..flowtable };
    send(Command::AddFlowtable(wanted.clone()), |sent| {
        assert_eq!(Flowtable::parse(&sent[0]).expect("our own flowtable"), wanted);
    });
}

fn chain(chain: Chain) {
    send(Command::AddChain(chain.clone()), |sent| {
        // Ours accept.
        let wanted = Chain { accepts: true, ..chain.clone() };
        assert_eq!(Chain::parse(&sent[0]).expect("our own chain"), wanted);
    });
}

fn rule(rule: Rule) {
    send(Command::DeleteRule(rule.clone()), |_| ());
    let short = rule.comment.len() <= COMMENT;
    send(Command::AddRule(rule.clone()), |sent| {
        let again = Rule::parse(&sent[0]).expect("our own rule");
        assert!(!short || again.same_as(&rule), "{again:?}\n{rule:?}");
    });
}

fn set(mut set: Set, message: &Message<'_>) {
    let _ = set.parse_elements(message);
    for (_, element) in set.elements.iter_mut() {
        element.expires = element.expires.map(|left| left.max(LEAST));
    }
    // No set of ours has both, and what rules fill expires.
    set.expiring &= set.fields.is_empty();
    set.dynamic &= set.fields.is_empty();
    set.expiring |= set.dynamic;
    send(Command::RemoveElements(set.clone()), |_| ());
    send(Command::AddSet(set.clone()), |sent| {
        let mut again = Set::parse(&sent[0]).expect("our own set");
        for message in &sent[1..] {
            again.parse_elements(message).expect("our own elements");
        }
        assert_eq!(again, set);
    });
}

/// What the daemon makes of a table that it finds: it recognises its own classes and removes them.
fn find(snapshot: &Snapshot) {
    for table in &snapshot.tables {
        let _ = Class::standing(snapshot, table).map(|class| replacement(&class));
    }
    let _ = difference(snapshot, &[], &|_| Surplus::Stale);
    let _ = removal(snapshot);
}

fuzz_target!(|data: &[u8]| {
    let mut snapshot = Snapshot::default();
    messages(data, |message| {
        let _ = NftEvent::parse(message).map(|event| event.table().cloned());
        let _ = (Generation::parse(message), Flowtable::parse_users(message));
        if let Ok(table) = Table::parse(message) {
            snapshot.tables.push(table.clone());
            send(Command::AddTable(table.clone()), |sent| {
                assert_eq!(Table::parse(&sent[0]).expect("our own table"), table);
            });
        }
        if let Ok(found) = Flowtable::parse(message) {
            snapshot.flowtables.push(found.clone());
            flowtable(found);
        }
        if let Ok(found) = Chain::parse(message) {
            snapshot.chains.push(found.clone());
            chain(found);
        }
        if let Ok(found) = Rule::parse(message) {
            snapshot.rules.push(found.clone());
            rule(found);
        }
        if let Ok(found) = Set::parse(message) {
            snapshot.sets.push(found.clone());
            set(found, message);
        }
    });
    find(&snapshot);
});
