// SPDX-License-Identifier: GPL-2.0-or-later
//! The rules as sets and chains of one table.
//!
//! Behind the gate, which lets through what could be offloaded, a packet goes through the chain
//! `decide`: a rule or four for each group, whatever the number of its entries. A rule ends with
//! the packet accepted, in the chain that waits for a threshold, or in the chain that offloads,
//! which every table has.
//!
//! Addresses and ports are read from conntrack and not from the packet, so that they are the same
//! in both directions. Devices are not in conntrack: what goes in by a zone comes back by it, so
//! each direction has a rule of its own.
//!
//! A set of ranges is empty for the packets that come while a transaction begins to apply: the
//! kernel starts the new rules in nf_tables_commit() and fills these sets after that, one after the
//! other, in nft_set_commit_update(). A flow that went into the flowtable then would stay there,
//! whatever rule is about it. So the first rule of `decide` sends everything back to the classic path
//! until the set that is filled last has its entry.

use super::key::{Family, Field, Kind};
use super::{Action, Group, Places, Policy};
use crate::netlink::conntrack::tuple::{IPPROTO_GRE, IPPROTO_TCP};
use crate::netlink::nftables::set::ifname_key;
use crate::netlink::nftables::{
    Chain, CtKey, Direction, Expression, KeyType, MetaKey, Register, Rule, Set, Table, Verdict,
    NFPROTO_IPV4, NFPROTO_IPV6,
};

/// The chain of the rules. Not `policy`, which nft reserves and could not read back.
pub const CHAIN_DECIDE: &str = "decide";
/// The chain that offloads, which is not made here.
pub const CHAIN_TAKE: &str = "take";
/// The chain that remembers which way packets of a flow have come, which is not made here either.
pub const CHAIN_SEEN: &str = "seen";
/// The last of the sets of ranges. Its one entry is met by all that passes the gate.
pub(super) const SET_COMPLETE: &str = "complete";

/// Which flows a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share<'a> {
    /// Those that rules send into the partition of this name.
    pub partition: Option<&'a str>,
    /// Those that no rule sends anywhere.
    pub rest: bool,
}

/// What the rules add to a table.
#[derive(Debug)]
pub struct Built {
    /// Chains without a hook.
    pub chains: Vec<Chain>,
    /// Sets that they look into.
    pub sets: Vec<Set>,
    /// Their rules.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// The sets and chains of `table`, which is for a share of the flows; what is to be offloaded
    /// goes to [`CHAIN_TAKE`].
    pub fn build(&self, places: &Places, table: &Table, share: Share<'_>) -> Built {
        let mut builder = Builder { table, places, waits: Vec::new(), sets: Vec::new() };
        let mut rules = Vec::new();
        for (number, group) in self.groups().iter().enumerate() {
            let verdict = builder.verdict(&group.action, share);
            let matching = builder.matching(group, number);
            for mut expressions in matching {
                expressions.push(Expression::Verdict(verdict.clone()));
                rules.push(builder.rule(CHAIN_DECIDE, expressions, &comment(group)));
            }
        }
        if !builder.sets.is_empty() {
            rules.insert(0, builder.incomplete());
        }
        if share.rest {
            rules.push(builder.rule(CHAIN_DECIDE, vec![goto(CHAIN_TAKE)], "no rule matches"));
        }
        let mut chains = vec![builder.chain(CHAIN_DECIDE)];
        for (number, (min_packets, min_bytes)) in builder.waits.iter().enumerate() {
            let name = wait_chain(number);
            for (key, count) in [(CtKey::Packets, *min_packets), (CtKey::Bytes, *min_bytes)] {
                if count > 0 {
                    let mut expressions = Expression::ct_less(key, count).to_vec();
                    expressions.push(goto(CHAIN_SEEN));
                    rules.push(builder.rule(&name, expressions, "too few so far"));
                }
            }
            rules.push(builder.rule(&name, vec![goto(CHAIN_TAKE)], ""));
            chains.push(builder.chain(&name));
        }
        Built { chains, sets: builder.sets, rules }
    }
}

fn goto(chain: &str) -> Expression {
    Expression::Verdict(Verdict::Goto(chain.to_owned()))
}

fn wait_chain(number: usize) -> String {
    format!("wait_{number}")
}

/// By which options its rules match, for those who read the table.
fn comment(group: &Group) -> String {
    let action = match &group.action {
        Action::Bypass => "bypass".to_owned(),
        Action::Offload { table: Some(table), .. } => format!("offload into {table}"),
        Action::Offload { .. } => "offload".to_owned(),
    };
    let Kind { src, dest, device, protocol, .. } = &group.kind;
    let places = [("src", src.is_some()), ("dest", dest.is_some()), ("device", device.is_some())];
    let mut words: Vec<&str> = places.iter().filter(|(_, is)| *is).map(|(word, _)| *word).collect();
    words.extend(group.kind.fields().map(Field::option));
    words.extend(protocol.map(|_| Field::Protocol.option()));
    match words.as_slice() {
        [] => format!("{action} all"),
        words => format!("{action} by {}", words.join(", ")),
    }
}

struct Builder<'a> {
    table: &'a Table,
    places: &'a Places,
    /// Thresholds that have a chain.
    waits: Vec<(u64, u64)>,
    sets: Vec<Set>,
}

impl Builder<'_> {
    fn chain(&self, name: &str) -> Chain {
        Chain { table: self.table.clone(), name: name.to_owned(), hook: None, accepts: true }
    }

    fn rule(&self, chain: &str, expressions: Vec<Expression>, comment: &str) -> Rule {
        let (chain, comment) = (chain.to_owned(), comment.to_owned());
        Rule { table: self.table.clone(), chain, expressions, comment, handle: 0 }
    }

    /// The rule for packets that come before all sets are filled, with the set that tells.
    fn incomplete(&mut self) -> Rule {
        let bound = |protocol: u8| [[protocol, 0, 0, 0]; 2].concat();
        let entry = [bound(IPPROTO_TCP), bound(IPPROTO_GRE)].concat();
        // The kernel has sets of ranges for two fields or more.
        let fields = [KeyType::InetProto; 2];
        self.sets.push(Set::of_ranges(self.table, SET_COMPLETE, &fields, [entry]));
        let expressions = vec![
            Expression::Meta(MetaKey::L4Proto, Register::behind(0)),
            Expression::Meta(MetaKey::L4Proto, Register::behind(4)),
            Expression::Lookup { set: SET_COMPLETE.to_owned(), inverted: true },
            Expression::Verdict(Verdict::Accept),
        ];
        self.rule(CHAIN_DECIDE, expressions, "the sets are being filled")
    }

    /// What becomes of the packets of a group in this table.
    fn verdict(&mut self, action: &Action, share: Share<'_>) -> Verdict {
        let Action::Offload { min_packets, min_bytes, table } = action else {
            return Verdict::Accept;
        };
        let here = match table {
            Some(table) => share.partition == Some(table.as_str()),
            None => share.rest,
        };
        let wait = (*min_packets, *min_bytes);
        if !here {
            return Verdict::Accept;
        }
        if wait == (0, 0) {
            return Verdict::Goto(CHAIN_TAKE.into());
        }
        let known = self.waits.iter().position(|entry| *entry == wait);
        let number = known.unwrap_or_else(|| {
            self.waits.push(wait);
            self.waits.len() - 1
        });
        Verdict::Goto(wait_chain(number))
    }

    /// The conditions of a group: any of these lists of expressions.
    fn matching(&mut self, group: &Group, number: usize) -> Vec<Vec<Expression>> {
        let kind = &group.kind;
        let directions: &[Option<Direction>] = match (&kind.src, &kind.dest) {
            (None, None) => &[None],
            _ => &[Some(Direction::Original), Some(Direction::Reply)],
        };
        let device = kind.device.as_ref().map(|pattern| self.pattern_set(pattern));
        let sides: &[MetaKey] = match device {
            Some(_) => &[MetaKey::InputName, MetaKey::OutputName],
            None => &[MetaKey::InputName],
        };
        let fields = self.lookup(group, number);
        let mut matching = Vec::new();
        for direction in directions {
            let mut zones = Vec::new();
            if let Some(direction) = direction {
                zones.extend(Expression::goes(*direction));
                let (from, to) = match direction {
                    Direction::Original => (MetaKey::InputName, MetaKey::OutputName),
                    Direction::Reply => (MetaKey::OutputName, MetaKey::InputName),
                };
                for (zone, side) in [(&kind.src, from), (&kind.dest, to)] {
                    if let Some(zone) = zone {
                        zones.extend(Expression::meta_in(side, &self.zone_set(zone)));
                    }
                }
            }
            for side in sides {
                let mut expressions = zones.clone();
                if let Some(set) = &device {
                    expressions.extend(Expression::meta_in(*side, set));
                }
                expressions.extend_from_slice(&fields);
                matching.push(expressions);
            }
        }
        matching
    }

    fn zone_set(&mut self, zone: &str) -> String {
        let name = format!("zone_{zone}");
        let members = self.places.zone(zone).into_iter().flat_map(|names| names.iter());
        self.add_names(name, members.filter_map(|name| ifname_key(name)).collect())
    }

    fn pattern_set(&mut self, pattern: &str) -> String {
        let found = self.places.pattern(pattern);
        let number = found.map_or(usize::MAX, |(number, _)| number);
        let members = found.into_iter().flat_map(|(_, names)| names.iter());
        let keys = members.filter_map(|name| ifname_key(name)).collect();
        self.add_names(format!("device_{number}"), keys)
    }

    fn add_names(&mut self, name: String, keys: Vec<Vec<u8>>) -> String {
        if !self.sets.iter().any(|set| set.name == name) {
            self.sets.push(Set::of(self.table, &name, KeyType::Ifname, keys));
        }
        name
    }

    /// Loads the fields and looks them up in the set of a group.
    fn lookup(&mut self, group: &Group, number: usize) -> Vec<Expression> {
        let kind = &group.kind;
        let protocol = kind.protocol.map(|number| Expression::meta_is(MetaKey::L4Proto, number));
        let mut expressions: Vec<Expression> = protocol.into_iter().flatten().collect();
        let types: Vec<KeyType> = kind.fields().map(|field| kind.key_type(field)).collect();
        if types.is_empty() {
            return expressions;
        }
        if kind.fields().any(|field| field == Field::Dscp) {
            let family = match kind.family {
                Some(Family::V6) => NFPROTO_IPV6,
                _ => NFPROTO_IPV4,
            };
            expressions.extend(Expression::meta_is(MetaKey::NfProto, family));
        }
        for (field, start, _) in kind.layout() {
            load(kind, field, Register::behind(start), &mut expressions);
        }
        let name = format!("match_{number}");
        expressions.push(Expression::is_in(&name));
        let entries = group.entries.iter().cloned();
        self.sets.push(Set::of_ranges(self.table, &name, &types, entries));
        expressions
    }
}

fn load(kind: &Kind, field: Field, register: Register, expressions: &mut Vec<Expression>) {
    let address = match kind.family {
        Some(Family::V6) => CtKey::SourceV6,
        _ => CtKey::SourceV4,
    };
    let (original, reply) = (Some(Direction::Original), Some(Direction::Reply));
    let masked = |mask: Vec<u8>| {
        let xor = vec![0; mask.len()];
        Expression::Bitwise { register, mask, xor }
    };
    match field {
        Field::Protocol => expressions.push(Expression::Meta(MetaKey::L4Proto, register)),
        Field::SrcIp => expressions.push(Expression::Ct(address, original, register)),
        Field::SrcPort => expressions.push(Expression::Ct(CtKey::SourcePort, original, register)),
        // The end that answers sends the replies.
        Field::DestIp => expressions.push(Expression::Ct(address, reply, register)),
        Field::DestPort => expressions.push(Expression::Ct(CtKey::SourcePort, reply, register)),
        Field::Dscp => {
            let (offset, mask) = match kind.family {
                Some(Family::V6) => (0, vec![0x0f, 0xc0]),
                _ => (1, vec![0xfc]),
            };
            let length = mask.len() as u32;
            expressions.extend([Expression::Network { offset, length, register }, masked(mask)]);
        }
        Field::Mark => {
            expressions.push(Expression::Ct(CtKey::Mark, None, register));
            if kind.mark_mask != u32::MAX {
                expressions.push(masked(kind.mark_mask.to_ne_bytes().to_vec()));
            }
            expressions.push(Expression::HostToNetwork { register, length: 4 });
        }
    }
}
