// SPDX-License-Identifier: GPL-2.0-or-later
//! One of our tables with everything in it.

use crate::core::device_names::DeviceNames;
use std::fmt;

use super::both_ways::{greeting, Taking};
use super::FLOWTABLE;
use crate::core::devices::Device;
use crate::core::policy::chain::{Share, CHAIN_DECIDE, CHAIN_TAKE};
use crate::core::policy::Places;
use crate::core::settings::Settings;
use crate::netlink::conntrack::tuple::{IPPROTO_GRE, IPPROTO_TCP, IPPROTO_UDP};
use crate::netlink::conntrack::{IPS_ASSURED, IPS_HW_OFFLOAD, IPS_OFFLOAD};
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::set::ifname_key;
use crate::netlink::nftables::{
    Chain, ChainHook, CtKey, Expression, Flowtable, KeyType, MetaKey, Rule, Set, Table, Verdict,
    CT_STATE_ESTABLISHED,
};

/// Name of the base chain in each table. Not `offload`, which nft reserves and could not read back.
pub const CHAIN: &str = "forward";
/// Set of the connections that stay on the classic path, in each table.
pub const SET_BYPASS: &str = "bypass";
/// Set of the connections whose leaked packets are counted one by one.
pub const SET_WATCHED: &str = "watched";
/// Set of the offload bits; its elements count the packets of offloaded flows on the classic path.
pub const SET_LEAKED: &str = "leaked";

const LEAK_COMMENT: &str = "offloaded, yet on the classic path";
const GREETING_COMMENT: &str = "answered for the first time";
const OFFLOAD_COMMENT: &str = "established and accepted";
pub(super) const SET_PROTOCOLS: &str = "protocols";
/// Devices between which flows go into the hardware table.
pub(super) const SET_HARDWARE: &str = "hw_devices";
/// Devices between which flows go into a partition.
const SET_DEVICES: &str = "devices";
/// Devices whose flows stay on the classic path.
pub const SET_OFF: &str = "off_devices";

/// One of our tables with everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its flowtable, which also names the table.
    pub flowtable: Flowtable,
    /// Its chains, the one on the forward hook first.
    pub chains: Vec<Chain>,
    /// Its sets.
    pub sets: Vec<Set>,
    /// The rules of the chains, those of each in order.
    pub rules: Vec<Rule>,
    /// The partition that it is, by its name in the configuration.
    partition: Option<String>,
    /// It is for flows that no rule sends anywhere.
    rest: bool,
}

/// What makes a class different from the others.
pub(super) struct Members<'a> {
    /// Its table.
    pub table: &'a str,
    /// The flows that it is for.
    pub share: Share<'a>,
    /// Priority of its chain on the forward hook.
    pub priority: i32,
    /// Its flowtable has the hardware flag.
    pub hardware: bool,
    /// The devices of its flowtable.
    pub hooked: &'a [&'a Device],
    /// Names between which flows go into it; `None` for all.
    pub between: Option<DeviceNames>,
    /// It is the last that a packet meets, and so the one that sees every packet.
    pub last: bool,
}

impl<'a> Members<'a> {
    /// None yet, in a table for a share of the flows.
    pub fn new(table: &'a str, share: Share<'a>) -> Members<'a> {
        Members {
            table,
            share,
            priority: 0,
            hardware: false,
            hooked: &[],
            between: None,
            last: false,
        }
    }
}

/// The key of [`SET_LEAKED`] for flows in hardware, or in software only.
pub fn leak_key(hardware: bool) -> Vec<u8> {
    let bits = if hardware { IPS_OFFLOAD | IPS_HW_OFFLOAD } else { IPS_OFFLOAD };
    bits.to_ne_bytes().to_vec()
}

/// The table, with the rules if there are any. Flows from and to the devices `off` stay out.
pub(super) fn build(
    settings: &Settings,
    places: &Places,
    members: Members<'_>,
    off: &DeviceNames,
) -> Class {
    let Members { share, priority, hardware, between, last, .. } = members;
    let table = Table::inet(members.table);
    let mut names: Vec<String> = members.hooked.iter().map(|device| device.name.clone()).collect();
    names.sort();
    let rule = |expressions, comment: &str| Rule {
        table: table.clone(),
        chain: CHAIN.into(),
        expressions,
        comment: comment.into(),
        handle: 0,
    };
    let base = Chain {
        table: table.clone(),
        name: CHAIN.into(),
        hook: Some(ChainHook::forward(priority)),
        accepts: true,
    };
    let devices_set = if share.partition.is_some() { SET_DEVICES } else { SET_HARDWARE };
    let (mut gate, mut sets) =
        gate(&table, off, between.as_ref().map(|names| (devices_set, names)));
    let goto = |chain: &str| Expression::Verdict(Verdict::Goto(chain.into()));
    let taking = Taking::into(&table, FLOWTABLE);
    let mut chains = vec![base];
    chains.extend(taking.chains);
    sets.extend(taking.sets);
    let mut rules = Vec::new();
    if last {
        // Here and nowhere else, so that nothing is counted twice.
        let leaked = Set::of(&table, SET_LEAKED, KeyType::CtStatus, [false, true].map(leak_key));
        sets.push(Set { counting: true, ..leaked });
        sets.push(marks(&table, SET_WATCHED, true));
        rules.push(rule(leak_rule(), LEAK_COMMENT));
    }
    if settings.policy.is_empty() {
        // A partition without devices of its own is for what rules send there.
        if share.rest {
            gate.push(goto(CHAIN_TAKE));
            rules.push(rule(greeting(), GREETING_COMMENT));
            rules.push(rule(gate, OFFLOAD_COMMENT));
        }
    } else {
        rules.push(rule(greeting(), GREETING_COMMENT));
        gate.push(goto(CHAIN_DECIDE));
        rules.push(rule(gate, OFFLOAD_COMMENT));
        let built = settings.policy.build(places, &table, share);
        chains.extend(built.chains);
        sets.extend(built.sets);
        rules.extend(built.rules);
    }
    rules.extend(taking.rules);
    let flowtable = Flowtable {
        table,
        name: FLOWTABLE.into(),
        priority: settings.priority,
        devices: names,
        hardware,
        counter: settings.counter,
        handle: 0,
    };
    let partition = share.partition.map(str::to_owned);
    Class { flowtable, chains, sets, rules, partition, rest: share.rest }
}

/// What a packet must pass before anything else is asked, with the sets for it.
fn gate(
    table: &Table,
    off: &DeviceNames,
    between: Option<(&str, &DeviceNames)>,
) -> (Vec<Expression>, Vec<Set>) {
    let names_set = |name: &str, names: &DeviceNames| {
        Set::of(table, name, KeyType::Ifname, names.iter().filter_map(|name| ifname_key(name)))
    };
    // What the kernel refuses of them (GRE that is translated) only ends its rule.
    let protocols = [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_GRE].map(|protocol| vec![protocol]);
    let mut sets = vec![
        Set::of(table, SET_PROTOCOLS, KeyType::InetProto, protocols),
        marks(table, SET_BYPASS, false),
    ];
    // Cheapest refusals first: most packets that come here belong to new or short connections.
    let mut gate = Vec::new();
    gate.extend(Expression::ct_has(CtKey::State, CT_STATE_ESTABLISHED));
    gate.extend(Expression::ct_has(CtKey::Status, IPS_ASSURED));
    gate.extend(Expression::ct_id_not_in(SET_BYPASS));
    gate.extend(Expression::meta_in(MetaKey::L4Proto, SET_PROTOCOLS));
    if !off.is_empty() {
        sets.push(names_set(SET_OFF, off));
        gate.extend(Expression::meta_not_in(MetaKey::InputName, SET_OFF));
        gate.extend(Expression::meta_not_in(MetaKey::OutputName, SET_OFF));
    }
    if let Some((set, forwarding)) = between {
        sets.push(names_set(set, forwarding));
        gate.extend(Expression::meta_in(MetaKey::InputName, set));
        gate.extend(Expression::meta_in(MetaKey::OutputName, set));
    }
    (gate, sets)
}

/// What is in it is no part of the plan: see `core::marks`.
fn marks(table: &Table, name: &str, counting: bool) -> Set {
    Set { expiring: true, counting, ..Set::of(table, name, KeyType::CtId, []) }
}

/// Packets of flows that are not offloaded leave at the first comparison. The others are counted by
/// the elements of the sets that they are looked up in.
fn leak_rule() -> Vec<Expression> {
    let mut leak = Expression::ct_has(CtKey::Status, IPS_OFFLOAD).to_vec();
    leak.extend(Expression::ct_bits_in(CtKey::Status, IPS_OFFLOAD | IPS_HW_OFFLOAD, SET_LEAKED));
    leak.extend(Expression::ct_id_in(SET_WATCHED));
    leak
}

impl Class {
    /// True when flows between these devices, as the forward hook sees them, can go into its
    /// flowtable, whatever the rules say.
    pub fn takes(&self, input: &str, output: &str) -> bool {
        let set = |name: &str| self.sets.iter().find(|set| set.name == name);
        let [Some(input), Some(output)] = [input, output].map(ifname_key) else { return false };
        let off = set(SET_OFF).is_some_and(|off| {
            off.elements.contains_key(&input) || off.elements.contains_key(&output)
        });
        let chosen = set(SET_HARDWARE).or(set(SET_DEVICES)).is_none_or(|chosen| {
            chosen.elements.contains_key(&input) && chosen.elements.contains_key(&output)
        });
        chosen && !off
    }

    /// True for a partition.
    pub fn is_partition(&self) -> bool {
        self.partition.is_some()
    }

    /// A table of ours as it stands, to be made again; `None` when the snapshot does not say all of
    /// it, as when somebody else has put rules into it.
    pub fn standing(snapshot: &Snapshot, table: &Table) -> Option<Class> {
        let mut flowtables = snapshot.flowtables.iter().filter(|entry| entry.table == *table);
        let flowtable = flowtables.next().filter(|_| flowtables.next().is_none())?.clone();
        let chains = snapshot.chains.iter().filter(|entry| entry.table == *table);
        let sets = snapshot.sets.iter().filter(|entry| entry.table == *table);
        let rules = snapshot.rules.iter().filter(|entry| entry.table == *table);
        let unknown = |entry: &Expression| matches!(entry, Expression::Other { .. });
        if !chains.clone().all(|chain| chain.accepts)
            || rules.clone().flat_map(|rule| &rule.expressions).any(unknown)
        {
            return None;
        }
        Some(Class {
            flowtable,
            chains: chains.cloned().collect(),
            sets: sets.cloned().collect(),
            rules: rules.cloned().collect(),
            partition: None,
            rest: false,
        })
    }

    /// True for a partition that has the flows between its devices.
    pub fn chooses_by_devices(&self) -> bool {
        self.partition.is_some() && self.rest
    }

    /// True when it is for the flows that rules send into this partition, or nowhere.
    pub fn is_for(&self, partition: Option<&str>) -> bool {
        match partition {
            Some(_) => self.partition.as_deref() == partition,
            None => self.rest,
        }
    }
}

impl fmt::Display for Class {
    /// In the words of `nft list table`, for people who check what would be made.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flowtable = &self.flowtable;
        writeln!(f, "{} {{", flowtable.table)?;
        writeln!(f, "\tflowtable {} {{", flowtable.name)?;
        writeln!(f, "\t\thook ingress priority {}", flowtable.priority)?;
        writeln!(f, "\t\tdevices = {{ {} }}", flowtable.devices.join(", "))?;
        if flowtable.hardware {
            writeln!(f, "\t\tflags offload")?;
        }
        if flowtable.counter {
            writeln!(f, "\t\tcounter")?;
        }
        writeln!(f, "\t}}")?;
        for chain in &self.chains {
            writeln!(f, "\tchain {} {{", chain.name)?;
            if let Some(hook) = chain.hook {
                let priority = hook.priority;
                writeln!(f, "\t\ttype filter hook forward priority {priority}; policy accept;")?;
            }
            for rule in self.rules.iter().filter(|rule| rule.chain == chain.name) {
                self.summary(rule, f)?;
            }
            writeln!(f, "\t}}")?;
        }
        write!(f, "}}")
    }
}

impl Class {
    /// A rule by its comment, the sets of ranges that it looks into and what it ends with.
    fn summary(&self, rule: &Rule, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\t\t#")?;
        if !rule.comment.is_empty() {
            write!(f, " {}", rule.comment)?;
        }
        for expression in &rule.expressions {
            match expression {
                Expression::Lookup { set, .. } => {
                    let ranges = |entry: &&Set| entry.name == *set && !entry.fields.is_empty();
                    if let Some(set) = self.sets.iter().find(ranges) {
                        write!(f, " @{} ({} entries)", set.name, set.elements.len())?;
                    }
                }
                Expression::Verdict(verdict) if rule.chain != CHAIN => write!(f, ": {verdict}")?,
                Expression::FlowOffload { .. } if rule.chain != CHAIN => {
                    write!(f, " {expression}")?
                }
                _ => (),
            }
        }
        writeln!(f)
    }
}
