// SPDX-License-Identifier: GPL-2.0-or-later
//! The nf_tables objects that should exist, from the settings, the devices and what the kernel
//! and the hardware are able to do.
//!
//! Each class of flows that may have to be handed back on its own is a table of its own with its
//! own flowtable: deleting that table returns exactly that class to the classic path.

mod both_ways;
mod class;

use crate::core::device_names::DeviceNames;

use super::devices::{Coverage, Device};
use super::glob;
use super::policy::chain::Share;
use super::policy::Places;
use super::reason::Reason;
use super::settings::{Mode, Partition, Settings};
use crate::netlink::nftables::{Family, Table};
use class::Members;

pub(super) use class::SET_OFF;

pub use class::{leak_key, Class, CHAIN, SET_BYPASS, SET_LEAKED, SET_WATCHED};

/// Table of the flows that the kernel forwards in software.
pub const TABLE_SOFTWARE: &str = "flowtabled";
/// Table of the flows that may go to hardware.
pub const TABLE_HARDWARE: &str = "flowtabled_hw";
/// How the table of a partition begins; its name follows.
pub const TABLE_PARTITION: &str = "flowtabled_p_";
/// Name of the flowtable in each table.
pub const FLOWTABLE: &str = "ft";

/// Behind priority 0, where firewalls filter: only packets that every filter has accepted reach
/// it, so blocked traffic is never offloaded.
const PRIORITY_SOFTWARE: i32 = 10;
/// Before the software table: a connection goes into the first flowtable that takes it.
const PRIORITY_HARDWARE: i32 = 9;
/// Of the first partition; the others follow, all before the hardware table.
const PRIORITY_PARTITION: i32 = 1;
/// Partitions: each is a chain that every packet on the classic path passes, and they have the
/// priorities between the firewall's and [`PRIORITY_HARDWARE`].
pub const PARTITIONS_MAX: usize = 8;

/// True for the tables that are ours by name, whether they are wanted or not.
pub fn is_ours(table: &Table) -> bool {
    table.family == Family::Inet && is_our_name(&table.name)
}

/// True for the names of tables that are ours when they are of family inet.
pub fn is_our_name(name: &str) -> bool {
    is_ordinary(name) || name.starts_with(TABLE_PARTITION)
}

/// True for the tables that flows go into unless the configuration says otherwise.
pub fn is_ordinary(name: &str) -> bool {
    matches!(name, TABLE_SOFTWARE | TABLE_HARDWARE)
}

/// The classes that should exist, in the order in which packets meet them. `places` are where the
/// rules' zones and patterns are, `capable` the devices that accept hardware offload, `refused`
/// those that the kernel does not let into any flowtable at present.
pub fn wanted(
    settings: &Settings,
    devices: &[Device],
    places: &Places,
    capable: &DeviceNames,
    refused: &DeviceNames,
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
    let mut classes = Vec::new();
    for (priority, partition) in (PRIORITY_PARTITION..).zip(&settings.partitions) {
        let Some((hooked, between)) = members(partition, &covered) else { continue };
        let share = Share { partition: Some(&partition.name), rest: between.is_some() };
        let table = format!("{TABLE_PARTITION}{}", partition.name);
        // A flowtable with the hardware flag has only devices that take it.
        let hardware = partition.hardware && hooked.iter().all(|device| in_hardware(device));
        let part =
            Members { priority, hardware, hooked: &hooked, between, ..Members::new(&table, share) };
        let mut class = class::build(settings, places, part, &off);
        class.flowtable.priority = partition.priority.unwrap_or(settings.priority);
        class.flowtable.counter = partition.counter.unwrap_or(settings.counter);
        classes.push(class);
    }
    let rest = Share { partition: None, rest: true };
    let in_hardware = Members {
        priority: PRIORITY_HARDWARE,
        hardware: true,
        hooked: &hardware,
        ..Members::new(TABLE_HARDWARE, rest)
    };
    if software.is_empty() {
        classes.push(class::build(settings, places, Members { last: true, ..in_hardware }, &off));
        return classes;
    }
    if !hardware.is_empty() {
        let between = Some(only_above(&hardware, &software));
        classes.push(class::build(settings, places, Members { between, ..in_hardware }, &off));
    }
    let all = Members {
        priority: PRIORITY_SOFTWARE,
        hooked: &covered,
        last: true,
        ..Members::new(TABLE_SOFTWARE, rest)
    };
    classes.push(class::build(settings, places, all, &off));
    classes
}

/// The devices of a partition, and the names between which flows go into it if that is by devices;
/// `None` when none of its devices is there.
fn members<'a>(
    partition: &Partition,
    covered: &[&'a Device],
) -> Option<(Vec<&'a Device>, Option<DeviceNames>)> {
    if partition.devices.is_empty() {
        return Some((covered.to_vec(), None));
    }
    let named = |name: &String| partition.devices.iter().any(|glob| glob::matches(glob, name));
    let is_member = |device: &&&Device| named(&device.name) || device.upper.iter().any(named);
    let (inside, outside): (Vec<&Device>, Vec<&Device>) = covered.iter().partition(is_member);
    if inside.is_empty() {
        return None;
    }
    let between = only_above(&inside, &outside);
    Some((inside, Some(between)))
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
fn only_above(some: &[&Device], others: &[&Device]) -> DeviceNames {
    let names = |device: &&Device| {
        std::iter::once(device.name.clone()).chain(device.upper.iter().cloned()).collect::<Vec<_>>()
    };
    let excluded: DeviceNames = others.iter().flat_map(names).collect();
    some.iter().flat_map(names).filter(|name| !excluded.contains(name)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::class::{SET_HARDWARE, SET_PROTOCOLS};
    use super::*;
    use crate::netlink::nftables::Expression;

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

    fn names(list: &[&str]) -> DeviceNames {
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
        let none = DeviceNames::new();
        assert!(wanted(&asking_for(Mode::Classic), &devices, &Places::default(), &none, &none)
            .is_empty());
        assert!(
            wanted(&asking_for(Mode::Software), &[], &Places::default(), &none, &none).is_empty()
        );
        let disabled = Settings { enabled: false, ..asking_for(Mode::Software) };
        assert!(wanted(&disabled, &devices, &Places::default(), &none, &none).is_empty());
        let refused = names(&["lan0"]);
        assert!(wanted(&asking_for(Mode::Software), &devices, &Places::default(), &none, &refused)
            .is_empty());
    }

    #[test]
    fn software_is_one_table_with_all_devices() {
        let devices = [device("wan0", &[], true), device("lan0", &[], false)];
        let classes = wanted(
            &asking_for(Mode::Software),
            &devices,
            &Places::default(),
            &names(&["wan0"]),
            &DeviceNames::new(),
        );
        assert_eq!(hooked(&classes), [pair(TABLE_SOFTWARE, "lan0 wan0")]);
        let first = classes[0].rules.iter().filter(|rule| rule.chain == CHAIN);
        assert_eq!(first.count(), 3);
        assert!(!classes[0].flowtable.hardware);
    }

    #[test]
    fn hardware_is_one_table_when_every_device_can() {
        let devices = [device("wan0", &[], true), device("lan0", &[], true)];
        let capable = names(&["wan0", "lan0"]);
        let classes = wanted(
            &asking_for(Mode::Hardware),
            &devices,
            &Places::default(),
            &capable,
            &DeviceNames::new(),
        );
        assert_eq!(hooked(&classes), [pair(TABLE_HARDWARE, "lan0 wan0")]);
        assert!(classes[0].flowtable.hardware);
        let sets: Vec<&str> = classes[0].sets.iter().map(|set| set.name.as_str()).collect();
        assert_eq!(
            sets,
            [SET_PROTOCOLS, SET_BYPASS, "asked", "answered", "greeted", SET_LEAKED, SET_WATCHED]
        );
    }

    #[test]
    fn hardware_falls_back_to_software_when_none_can() {
        let devices = [device("wan0", &[], true), device("lan0", &[], true)];
        let none = DeviceNames::new();
        let classes =
            wanted(&asking_for(Mode::Hardware), &devices, &Places::default(), &none, &none);
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
        let none = DeviceNames::new();
        let classes =
            wanted(&asking_for(Mode::Software), &devices, &Places::default(), &none, &none);
        assert_eq!(hooked(&classes), [pair(TABLE_SOFTWARE, "lan1")]);
        let off = ["br-guest", "guest1", "lan2", "wg0"];
        assert_eq!(keys(&classes[0], SET_OFF), off, "br-lan has a covered port");
        let lookup = Expression::Lookup { set: SET_OFF.into(), inverted: true };
        let lookups = classes[0].rules[2].expressions.iter().filter(|entry| **entry == lookup);
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
        let classes = wanted(
            &asking_for(Mode::Hardware),
            &devices,
            &Places::default(),
            &capable,
            &DeviceNames::new(),
        );
        assert_eq!(
            hooked(&classes),
            [
                pair(TABLE_HARDWARE, "lan1 lan2 swp1 wan0"),
                pair(TABLE_SOFTWARE, "forced lan1 lan2 swp1 wan0 wlan0"),
            ]
        );
        let chosen = ["br-lan", "lan1", "lan2", "swp1", "wan0"];
        assert_eq!(keys(&classes[0], SET_HARDWARE), chosen);
        let taker = |input, output| classes.iter().position(|class| class.takes(input, output));
        assert_eq!(taker("br-lan", "wan0"), Some(0));
        assert_eq!(taker("br-guest", "wan0"), Some(1));
        let first = classes[0].rules.iter().filter(|rule| rule.chain == CHAIN);
        assert_eq!(first.count(), 2, "only the software table counts leaks");
        assert!(classes.iter().all(|class| class.sets.iter().any(|set| set.name == SET_BYPASS)));
    }
}
