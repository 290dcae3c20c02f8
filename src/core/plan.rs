// SPDX-License-Identifier: GPL-2.0-or-later
//! The nf_tables objects that should exist, from the settings, the devices and what the kernel
//! and the hardware are able to do.
//!
//! Each class of flows that may have to be handed back on its own is a table of its own with its
//! own flowtable: deleting that table returns exactly that class to the classic path.

use std::collections::BTreeSet;
use std::fmt;

use super::devices::{Coverage, Device};
use super::reason::Reason;
use super::settings::{Mode, Settings};
use crate::netlink::conntrack::tuple::{IPPROTO_GRE, IPPROTO_TCP, IPPROTO_UDP};
use crate::netlink::conntrack::{IPS_ASSURED, IPS_HW_OFFLOAD, IPS_OFFLOAD};
use crate::netlink::nftables::expression::CT_STATE_ESTABLISHED;
use crate::netlink::nftables::set::ifname_key;
use crate::netlink::nftables::{
    Chain, ChainHook, CtKey, Expression, Flowtable, KeyType, MetaKey, Rule, Set, Table,
};

/// Table of the flows that the kernel forwards in software.
pub const TABLE_SOFTWARE: &str = "flowtabled";
/// Table of the flows that may go to hardware.
pub const TABLE_HARDWARE: &str = "flowtabled_hw";
/// Name of the flowtable in each table.
pub const FLOWTABLE: &str = "ft";
/// Name of the chain in each table. Not `offload`, which nft reserves and could not read back.
pub const CHAIN: &str = "forward";
/// Set of the connections that stay on the classic path, in each table.
pub const SET_BYPASS: &str = "bypass";
/// Set of the connections whose leaked packets are counted one by one.
pub const SET_WATCHED: &str = "watched";
/// Set of the offload bits; its elements count the packets of offloaded flows on the classic path.
pub const SET_LEAKED: &str = "leaked";

const LEAK_COMMENT: &str = "offloaded, yet on the classic path";
const OFFLOAD_COMMENT: &str = "established both ways and accepted";
const SET_PROTOCOLS: &str = "protocols";
const SET_DEVICES: &str = "hw_devices";
pub(super) const SET_OFF: &str = "off_devices";

/// Behind priority 0, where firewalls filter: only packets that every filter has accepted reach
/// it, so blocked traffic is never offloaded.
const PRIORITY_SOFTWARE: i32 = 10;
/// Before the software table: a connection goes into the first flowtable that takes it.
const PRIORITY_HARDWARE: i32 = 9;

/// One of our tables with everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its flowtable, which also names the table.
    pub flowtable: Flowtable,
    /// Its chain on the forward hook.
    pub chain: Chain,
    /// Its sets.
    pub sets: Vec<Set>,
    /// The rules of the chain, in order.
    pub rules: Vec<Rule>,
}

/// The tables that are ours by name, whether they exist or not.
pub fn our_tables() -> [Table; 2] {
    [Table::inet(TABLE_HARDWARE), Table::inet(TABLE_SOFTWARE)]
}

/// The key of [`SET_LEAKED`] for flows in hardware, or in software only.
pub fn leak_key(hardware: bool) -> Vec<u8> {
    let bits = if hardware { IPS_OFFLOAD | IPS_HW_OFFLOAD } else { IPS_OFFLOAD };
    bits.to_ne_bytes().to_vec()
}

/// The classes that should exist. `capable` are the devices that accept hardware offload,
/// `refused` those that the kernel does not let into any flowtable at present.
pub fn wanted(
    settings: &Settings,
    devices: &[Device],
    capable: &BTreeSet<String>,
    refused: &BTreeSet<String>,
) -> Vec<Class> {
    if !settings.enabled || settings.requested == Mode::Classic {
        return Vec::new();
    }
    let covered: Vec<&Device> = devices
        .iter()
        .filter(|device| matches!(device.coverage, Coverage::Covered { .. }))
        .filter(|device| !refused.contains(&device.name))
        .collect();
    if covered.is_empty() {
        return Vec::new();
    }
    let in_hardware = |device: &Device| {
        settings.requested >= Mode::Hardware
            && may_offload(device)
            && capable.contains(&device.name)
    };
    let (hardware, software): (Vec<&Device>, Vec<&Device>) =
        covered.iter().partition(|device| in_hardware(device));
    let off: Vec<&Device> = devices
        .iter()
        .filter(|device| {
            matches!(
                device.coverage,
                Coverage::Off(Reason::DeviceOverride | Reason::DeviceShaped, _)
            )
        })
        .collect();
    // Kernels before 6.19 offload one direction of a flow when only one of its devices is listed.
    let mut off = only_above(&off, &covered);
    // What is shaped above a device that carries other traffic too is known by its own name.
    off.extend(shaped(devices));
    if software.is_empty() {
        return vec![class(settings, true, &hardware, &off, None)];
    }
    let mut classes = Vec::new();
    if !hardware.is_empty() {
        let forwarding = only_above(&hardware, &software);
        classes.push(class(settings, true, &hardware, &off, Some(forwarding)));
    }
    classes.push(class(settings, false, &covered, &off, None));
    classes
}

/// Names of the devices that a shaper is in charge of.
pub(super) fn shaped(devices: &[Device]) -> impl Iterator<Item = String> + '_ {
    let is = |device: &&Device| matches!(device.coverage, Coverage::Off(Reason::DeviceShaped, _));
    devices.iter().filter(is).map(|device| device.name.clone())
}

/// True when the user lets the device offload to hardware.
pub fn may_offload(device: &Device) -> bool {
    device.coverage == Coverage::Covered { hardware: true }
}

/// The names by which the forward hook sees packets of `some` devices and of no `others`: a bridge
/// with one port of each kind belongs to neither.
fn only_above(some: &[&Device], others: &[&Device]) -> BTreeSet<String> {
    let names = |device: &&Device| {
        std::iter::once(device.name.clone()).chain(device.upper.iter().cloned()).collect::<Vec<_>>()
    };
    let excluded: BTreeSet<String> = others.iter().flat_map(names).collect();
    some.iter().flat_map(names).filter(|name| !excluded.contains(name)).collect()
}

fn class(
    settings: &Settings,
    hardware: bool,
    devices: &[&Device],
    off: &BTreeSet<String>,
    between: Option<BTreeSet<String>>,
) -> Class {
    let table = Table::inet(if hardware { TABLE_HARDWARE } else { TABLE_SOFTWARE });
    let priority = if hardware { PRIORITY_HARDWARE } else { PRIORITY_SOFTWARE };
    let mut names: Vec<String> = devices.iter().map(|device| device.name.clone()).collect();
    names.sort();
    let names_set = |name: &str, names: &BTreeSet<String>| {
        Set::of(&table, name, KeyType::Ifname, names.iter().map(|name| ifname_key(name)))
    };
    // What is in it is no part of the plan: see `marks`.
    let marks = |name: &str, counting| Set {
        expiring: true,
        counting,
        ..Set::of(&table, name, KeyType::CtId, [])
    };
    // What the kernel refuses of them (GRE that is translated) only ends its rule.
    let protocols = [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_GRE].map(|protocol| vec![protocol]);
    let mut sets = vec![
        Set::of(&table, SET_PROTOCOLS, KeyType::InetProto, protocols),
        marks(SET_BYPASS, false),
    ];
    // Cheapest refusals first: most packets that come here belong to new or short connections.
    let mut offload = Vec::new();
    offload.extend(Expression::ct_has(CtKey::State, CT_STATE_ESTABLISHED));
    offload.extend(Expression::ct_has(CtKey::Status, IPS_ASSURED));
    offload.extend(Expression::ct_id_not_in(SET_BYPASS));
    offload.extend(Expression::meta_in(MetaKey::L4Proto, SET_PROTOCOLS));
    if !off.is_empty() {
        sets.push(names_set(SET_OFF, off));
        offload.extend(Expression::meta_not_in(MetaKey::InputName, SET_OFF));
        offload.extend(Expression::meta_not_in(MetaKey::OutputName, SET_OFF));
    }
    if let Some(forwarding) = &between {
        sets.push(names_set(SET_DEVICES, forwarding));
        offload.extend(Expression::meta_in(MetaKey::InputName, SET_DEVICES));
        offload.extend(Expression::meta_in(MetaKey::OutputName, SET_DEVICES));
    }
    offload.push(Expression::FlowOffload { flowtable: FLOWTABLE.into() });
    let rule = |expressions, comment: &str| Rule {
        table: table.clone(),
        chain: CHAIN.into(),
        expressions,
        comment: comment.into(),
        handle: 0,
    };
    let mut rules = Vec::new();
    // In the table that sees every packet, so that nothing is counted twice.
    if between.is_none() {
        let leaked = Set::of(&table, SET_LEAKED, KeyType::CtStatus, [false, true].map(leak_key));
        sets.push(Set { counting: true, ..leaked });
        sets.push(marks(SET_WATCHED, true));
        rules.push(rule(leak_rule(), LEAK_COMMENT));
    }
    rules.push(rule(offload, OFFLOAD_COMMENT));
    Class {
        flowtable: Flowtable {
            table: table.clone(),
            name: FLOWTABLE.into(),
            priority: settings.priority,
            devices: names,
            hardware,
            counter: settings.counter,
            handle: 0,
        },
        chain: Chain {
            table: table.clone(),
            name: CHAIN.into(),
            hook: Some(ChainHook::forward(priority)),
            accepts: true,
        },
        sets,
        rules,
    }
}

impl Class {
    /// True when its rules let flows between these devices, as the forward hook sees them, into
    /// its flowtable, unless a class before it takes them.
    pub fn takes(&self, input: &str, output: &str) -> bool {
        let set = |name: &str| self.sets.iter().find(|set| set.name == name);
        let [input, output] = [input, output].map(ifname_key);
        let off = set(SET_OFF).is_some_and(|off| {
            off.elements.contains_key(&input) || off.elements.contains_key(&output)
        });
        let chosen = set(SET_DEVICES).is_none_or(|chosen| {
            chosen.elements.contains_key(&input) && chosen.elements.contains_key(&output)
        });
        chosen && !off
    }
}

/// Packets of flows that are not offloaded leave at the first comparison. The others are counted by
/// the elements of the sets that they are looked up in.
fn leak_rule() -> Vec<Expression> {
    let mut leak = Expression::ct_has(CtKey::Status, IPS_OFFLOAD).to_vec();
    leak.extend(Expression::ct_bits_in(CtKey::Status, IPS_OFFLOAD | IPS_HW_OFFLOAD, SET_LEAKED));
    leak.extend(Expression::ct_id_in(SET_WATCHED));
    leak
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
        writeln!(f, "\tchain {} {{", self.chain.name)?;
        if let Some(hook) = self.chain.hook {
            writeln!(f, "\t\ttype filter hook forward priority {}; policy accept;", hook.priority)?;
        }
        for rule in &self.rules {
            writeln!(f, "\t\t# {}", rule.comment)?;
        }
        writeln!(f, "\t}}")?;
        write!(f, "}}")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A covered device directly in a zone.
    pub fn device(name: &str, upper: &[&str], hardware: bool) -> Device {
        Device {
            name: name.into(),
            ifindex: Some(1),
            kind: String::new(),
            zones: vec!["lan".into()],
            upper: upper.iter().map(|name| (*name).into()).collect(),
            coverage: Coverage::Covered { hardware },
        }
    }

    /// Settings that ask for `mode`.
    pub fn asking_for(mode: Mode) -> Settings {
        Settings { requested: mode, ..Settings::default() }
    }

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn hooked(classes: &[Class]) -> Vec<(String, String)> {
        let line =
            |class: &Class| (class.flowtable.table.name.clone(), class.flowtable.devices.join(" "));
        classes.iter().map(line).collect()
    }

    fn pair(table: &str, devices: &str) -> (String, String) {
        (table.into(), devices.into())
    }

    /// The device names in a set.
    fn keys(class: &Class, set: &str) -> Vec<String> {
        let set = class.sets.iter().find(|entry| entry.name == set).unwrap();
        let name = |key: &Vec<u8>| String::from_utf8(key.clone()).unwrap();
        set.elements.keys().map(|key| name(key).trim_end_matches('\0').to_owned()).collect()
    }

    #[test]
    fn nothing_when_off_disabled_or_without_devices() {
        let devices = [device("lan0", &[], true)];
        let none = BTreeSet::new();
        assert!(wanted(&asking_for(Mode::Classic), &devices, &none, &none).is_empty());
        assert!(wanted(&asking_for(Mode::Software), &[], &none, &none).is_empty());
        let disabled = Settings { enabled: false, ..asking_for(Mode::Software) };
        assert!(wanted(&disabled, &devices, &none, &none).is_empty());
        let refused = names(&["lan0"]);
        assert!(wanted(&asking_for(Mode::Software), &devices, &none, &refused).is_empty());
    }

    #[test]
    fn software_is_one_table_with_all_devices() {
        let devices = [device("wan0", &[], true), device("lan0", &[], false)];
        let classes =
            wanted(&asking_for(Mode::Software), &devices, &names(&["wan0"]), &BTreeSet::new());
        assert_eq!(hooked(&classes), [pair(TABLE_SOFTWARE, "lan0 wan0")]);
        assert_eq!(classes[0].rules.len(), 2);
        assert!(!classes[0].flowtable.hardware);
    }

    #[test]
    fn hardware_is_one_table_when_every_device_can() {
        let devices = [device("wan0", &[], true), device("lan0", &[], true)];
        let capable = names(&["wan0", "lan0"]);
        let classes = wanted(&asking_for(Mode::Hardware), &devices, &capable, &BTreeSet::new());
        assert_eq!(hooked(&classes), [pair(TABLE_HARDWARE, "lan0 wan0")]);
        assert!(classes[0].flowtable.hardware);
        let sets: Vec<&str> = classes[0].sets.iter().map(|set| set.name.as_str()).collect();
        assert_eq!(sets, [SET_PROTOCOLS, SET_BYPASS, SET_LEAKED, SET_WATCHED]);
    }

    #[test]
    fn hardware_falls_back_to_software_when_none_can() {
        let devices = [device("wan0", &[], true), device("lan0", &[], true)];
        let none = BTreeSet::new();
        let classes = wanted(&asking_for(Mode::Hardware), &devices, &none, &none);
        assert_eq!(hooked(&classes), [pair(TABLE_SOFTWARE, "lan0 wan0")]);
    }

    #[test]
    fn devices_switched_off_are_left_out_of_both_directions() {
        let off = |name: &str, upper: &[&str]| Device {
            coverage: Coverage::Off(Reason::DeviceOverride, name.into()),
            ..device(name, upper, true)
        };
        let devices = [
            device("lan1", &["br-lan"], true),
            off("lan2", &["br-lan"]),
            off("wg0", &[]),
            off("guest1", &["br-guest"]),
        ];
        let none = BTreeSet::new();
        let classes = wanted(&asking_for(Mode::Software), &devices, &none, &none);
        assert_eq!(hooked(&classes), [pair(TABLE_SOFTWARE, "lan1")]);
        let off = ["br-guest", "guest1", "lan2", "wg0"];
        assert_eq!(keys(&classes[0], SET_OFF), off, "br-lan has a covered port");
        let lookup = Expression::Lookup { set: SET_OFF.into(), inverted: true };
        let lookups = classes[0].rules[1].expressions.iter().filter(|entry| **entry == lookup);
        assert_eq!(lookups.count(), 2);
    }

    #[test]
    fn mixed_chooses_by_the_names_that_the_forward_hook_sees() {
        let devices = [
            device("lan1", &["br-lan"], true),
            device("lan2", &["br-lan"], true),
            device("wan0", &[], true),
            device("wlan0", &["br-guest"], true),
            device("swp1", &["br-guest"], true),
            device("forced", &[], false),
        ];
        let capable = names(&["lan1", "lan2", "wan0", "swp1", "forced"]);
        let classes = wanted(&asking_for(Mode::Hardware), &devices, &capable, &BTreeSet::new());
        assert_eq!(
            hooked(&classes),
            [
                pair(TABLE_HARDWARE, "lan1 lan2 swp1 wan0"),
                pair(TABLE_SOFTWARE, "forced lan1 lan2 swp1 wan0 wlan0"),
            ]
        );
        let chosen = ["br-lan", "lan1", "lan2", "swp1", "wan0"];
        assert_eq!(keys(&classes[0], SET_DEVICES), chosen);
        let taker = |input, output| classes.iter().position(|class| class.takes(input, output));
        assert_eq!(taker("br-lan", "wan0"), Some(0));
        assert_eq!(taker("br-guest", "wan0"), Some(1));
        assert_eq!(classes[0].rules.len(), 1, "only the software table counts leaks");
        assert!(classes.iter().all(|class| class.sets.iter().any(|set| set.name == SET_BYPASS)));
    }
}
