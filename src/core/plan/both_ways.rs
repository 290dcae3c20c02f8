// SPDX-License-Identifier: GPL-2.0-or-later
//! The chain that offloads a flow: with the first packet of one direction that comes here after one
//! of the other has.
//!
//! A flowtable takes both directions of a flow together, whichever one packet belongs to. So while
//! a rule of the firewall drops what one end sends, a packet of the other end, which is accepted as
//! part of an established connection, would put the flow into the flowtable, and past that rule.
//! Such a packet is on its way more often than not when tables are made anew because of a rule. Only
//! one of each direction, accepted since the table was made, shows that the flow may pass.

use crate::core::policy::chain::{CHAIN_SEEN, CHAIN_TAKE};
use crate::netlink::conntrack::tuple::IPPROTO_TCP;
use crate::netlink::conntrack::IPS_ASSURED;
use crate::netlink::nftables::{
    Chain, CtKey, Direction, Expression, KeyType, MetaKey, Rule, Set, Table, Verdict,
    CT_STATE_ESTABLISHED,
};

/// The connections of which a packet of the original direction was accepted a short time ago.
const SET_ASKED: &str = "asked";
/// Those of which one of the reply direction was.
const SET_ANSWERED: &str = "answered";
/// Those whose answer to the first packet was: with the third one TCP is ready to be offloaded.
/// They are not among the others, so that an attack by connections that are never completed fills
/// no other set.
const SET_GREETED: &str = "greeted";
/// How long that counts: longer than a packet and its answer are on their way, and as one end may
/// send all the time and the other only now and then, the time begins again with each packet.
const TIMEOUT_MS: u64 = 10_000;

/// The chain, and one that only remembers, with their rules, and the sets that these use.
#[derive(Debug)]
pub(super) struct Taking {
    pub chains: [Chain; 2],
    pub rules: Vec<Rule>,
    pub sets: [Set; 3],
}

/// A rule for packets that are not ready for the chain yet: remembers the answer to TCP's first.
pub(super) fn greeting() -> Vec<Expression> {
    let mut expressions = Expression::ct_lacks(CtKey::Status, IPS_ASSURED).to_vec();
    expressions.extend(Expression::ct_has(CtKey::State, CT_STATE_ESTABLISHED));
    expressions.extend(Expression::meta_is(MetaKey::L4Proto, IPPROTO_TCP));
    expressions.extend(Expression::goes(Direction::Reply));
    expressions.extend(Expression::ct_id_into(SET_GREETED, TIMEOUT_MS));
    expressions
}

impl Taking {
    /// For a flowtable of a table.
    pub fn into(table: &Table, flowtable: &str) -> Taking {
        let rule = |chain: &str, expressions, comment: &str| {
            let (chain, comment) = (chain.to_owned(), comment.to_owned());
            Rule { table: table.clone(), chain, expressions, comment, handle: 0 }
        };
        let offload = |direction, other_set: &str| {
            let mut expressions = Expression::goes(direction).to_vec();
            expressions.extend(Expression::ct_id_in(other_set));
            expressions.push(Expression::FlowOffload { flowtable: flowtable.to_owned() });
            // A flow that the kernel does not take only ends the rule.
            expressions.push(Expression::Verdict(Verdict::Accept));
            rule(CHAIN_TAKE, expressions, "accepted both ways")
        };
        let remember = |direction, set: &str| {
            let mut expressions = Expression::goes(direction).to_vec();
            expressions.extend(Expression::ct_id_into(set, TIMEOUT_MS));
            rule(CHAIN_SEEN, expressions, "accepted this way")
        };
        let goto = Expression::Verdict(Verdict::Goto(CHAIN_SEEN.into()));
        let rules = vec![
            offload(Direction::Original, SET_ANSWERED),
            offload(Direction::Original, SET_GREETED),
            offload(Direction::Reply, SET_ASKED),
            rule(CHAIN_TAKE, vec![goto], ""),
            remember(Direction::Original, SET_ASKED),
            remember(Direction::Reply, SET_ANSWERED),
        ];
        let chains = [CHAIN_TAKE, CHAIN_SEEN].map(|name| {
            let (table, name) = (table.clone(), name.to_owned());
            Chain { table, name, hook: None, accepts: true }
        });
        let sets = [SET_ASKED, SET_ANSWERED, SET_GREETED];
        let sets = sets.map(|name| Set::dynamic(table, name, KeyType::CtId));
        Taking { chains, rules, sets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The directions of packets with which the flow is offloaded, of some that come one by one.
    fn offloaded(taking: &Taking, packets: &[Direction]) -> Vec<usize> {
        ready(taking, Vec::new(), packets)
    }

    /// The same with connections in these sets before.
    fn ready<'a>(
        taking: &'a Taking,
        mut filled: Vec<&'a str>,
        packets: &[Direction],
    ) -> Vec<usize> {
        let mut offloaded = Vec::new();
        for (number, packet) in packets.iter().enumerate() {
            for rule in &taking.rules {
                let mut goes_on = true;
                for expression in rule.expressions.iter() {
                    goes_on &= match expression {
                        Expression::Cmp { value, .. } => *value == [packet.number()],
                        Expression::Lookup { set, .. } => filled.contains(&set.as_str()),
                        _ => true,
                    };
                    match expression {
                        Expression::Update { set, .. } if goes_on => filled.push(set),
                        Expression::FlowOffload { .. } if goes_on => offloaded.push(number),
                        _ => (),
                    }
                }
            }
        }
        offloaded
    }

    #[test]
    fn one_direction_alone_is_never_offloaded() {
        let taking = Taking::into(&Table::inet("t"), "ft");
        let [asks, answers] = [Direction::Original, Direction::Reply];
        assert_eq!(offloaded(&taking, &[asks; 5]), [0; 0]);
        assert_eq!(offloaded(&taking, &[answers; 5]), [0; 0]);
        assert_eq!(offloaded(&taking, &[asks, asks, answers])[..1], [2]);
        assert_eq!(offloaded(&taking, &[answers, asks])[..1], [1]);
        let [Expression::Update { set, .. }] = &greeting()[11..] else {
            panic!("{:?}", greeting())
        };
        assert_eq!(ready(&taking, vec![set], &[asks])[..], [0], "TCP's third packet");
        assert_eq!(ready(&taking, vec![set], &[answers])[..], [0; 0]);
        for set in taking.sets {
            assert!(set.dynamic && set.expiring, "{}", set.name);
        }
    }
}
