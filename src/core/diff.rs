// SPDX-License-Identifier: GPL-2.0-or-later
//! The difference between what exists and what should: the commands of one transaction, none when
//! they agree.
//!
//! What can be changed in place is, so that running flows stay offloaded. What the kernel cannot
//! change (the hardware flag, a hook) replaces a whole table; so does a device that is taken out
//! while it still exists, because its flows would go on by the fast path, and a change of the rules,
//! which may want other flows there. A device that is only needed no more stays until the table is
//! replaced for another reason.

use super::plan::{is_ours, Class};
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::{Chain, Command, Flowtable, Rule, Set, Table};

/// The kernel takes at most this many devices in one message (NFT_FLOWTABLE_DEVICE_MAX is 256).
const DEVICES_PER_MESSAGE: usize = 255;

/// What a device is that a flowtable hooks and does not have to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surplus {
    /// It does not exist any more, nor do its flows.
    Gone,
    /// Its flows are right where they are.
    Idle,
    /// Its flows are to end.
    Stale,
}

/// Commands that turn `actual` into `wanted`; `surplus` tells of the name of a device what it is
/// where it is not wanted.
pub fn difference(
    actual: &Snapshot,
    wanted: &[Class],
    surplus: &dyn Fn(&str) -> Surplus,
) -> Vec<Command> {
    let mut commands = Vec::new();
    // What a class takes over for itself is in tables behind it.
    let mut claimed = Vec::new();
    for class in wanted {
        let table = &class.flowtable.table;
        match actual.tables.contains(table) {
            false => create(class, &mut commands),
            true if holds(actual, table, &claimed) => commands.extend(replacement(class)),
            true => update(actual, class, surplus, &mut commands),
        }
        claimed.extend(claims(actual, class));
    }
    let is_wanted = |table: &Table| wanted.iter().any(|class| class.flowtable.table == *table);
    let others = actual.tables.iter().filter(|table| is_ours(table) && !is_wanted(table));
    commands.extend(others.cloned().map(Command::DeleteTable));
    commands
}

/// Devices that a class gets and whose flows it takes before other classes do: those that come
/// into hardware, and those of a partition.
fn claims(actual: &Snapshot, class: &Class) -> Vec<String> {
    let takes = match class.is_partition() {
        true => class.chooses_by_devices(),
        false => class.flowtable.hardware,
    };
    if !takes {
        return Vec::new();
    }
    let table = &class.flowtable.table;
    let old = actual.flowtables.iter().find(|flowtable| flowtable.table == *table);
    let new = |name: &&String| !old.is_some_and(|old| old.devices.contains(name));
    class.flowtable.devices.iter().filter(new).cloned().collect()
}

/// The table's flowtable hooks one of these devices. What it has of their flows stays there as long
/// as they carry packets, whatever another table would do with them.
fn holds(actual: &Snapshot, table: &Table, names: &[String]) -> bool {
    let mut flowtables = actual.flowtables.iter().filter(|entry| entry.table == *table);
    flowtables.any(|flowtable| flowtable.devices.iter().any(|name| names.contains(name)))
}

/// Commands that make the table of a class anew, so that its flows return to the classic path with
/// their addresses kept; unless something keeps them there, they are offloaded again with their
/// next packet.
pub fn replacement(class: &Class) -> Vec<Command> {
    let mut commands = vec![Command::DeleteTable(class.flowtable.table.clone())];
    create(class, &mut commands);
    commands
}

/// Commands that remove everything of ours and nothing else.
pub fn removal(actual: &Snapshot) -> Vec<Command> {
    difference(actual, &[], &|_| Surplus::Stale)
}

fn create(class: &Class, commands: &mut Vec<Command>) {
    commands.push(Command::AddTable(class.flowtable.table.clone()));
    add_devices(&class.flowtable, class.flowtable.devices.clone(), commands);
    commands.extend(class.sets.iter().cloned().map(Command::AddSet));
    commands.extend(class.chains.iter().cloned().map(Command::AddChain));
    commands.extend(class.rules.iter().cloned().map(Command::AddRule));
}

fn add_devices(flowtable: &Flowtable, devices: Vec<String>, commands: &mut Vec<Command>) {
    let with = |devices: &[String]| {
        Command::AddFlowtable(Flowtable { devices: devices.to_vec(), ..flowtable.clone() })
    };
    if devices.is_empty() {
        commands.push(with(&[]));
    }
    commands.extend(devices.chunks(DEVICES_PER_MESSAGE).map(with));
}

fn update(
    actual: &Snapshot,
    class: &Class,
    surplus: &dyn Fn(&str) -> Surplus,
    commands: &mut Vec<Command>,
) {
    let table = &class.flowtable.table;
    let leaves = |flowtable: &&Flowtable| {
        let names = only_in(flowtable, &class.flowtable);
        !names.iter().any(|name| surplus(name) == Surplus::Stale)
    };
    match replaceable(actual, class).filter(leaves) {
        Some(flowtable) => {
            let mut gone = only_in(flowtable, &class.flowtable);
            gone.retain(|name| surplus(name) == Surplus::Gone);
            update_flowtable(flowtable, &class.flowtable, &gone, commands);
            update_rules(actual, class, commands);
        }
        None => {
            commands.push(Command::DeleteTable(table.clone()));
            create(class, commands);
        }
    }
}

/// The existing flowtable, when everything that cannot be changed in place is as wanted.
fn replaceable<'a>(actual: &'a Snapshot, class: &Class) -> Option<&'a Flowtable> {
    let table = &class.flowtable.table;
    let mut flowtables = actual.flowtables.iter().filter(|entry| entry.table == *table);
    let flowtable = flowtables.next()?;
    let alone = flowtables.next().is_none();
    let same = flowtable.name == class.flowtable.name
        && flowtable.hardware == class.flowtable.hardware
        && flowtable.priority == class.flowtable.priority;
    (alone && same && same_chains(actual, class) && same_policy(actual, class)).then_some(flowtable)
}

fn same_chains(actual: &Snapshot, class: &Class) -> bool {
    let chains = || actual.chains.iter().filter(|chain| chain.table == class.flowtable.table);
    chains().count() == class.chains.len() && chains().all(|chain| class.chains.contains(chain))
}

/// What the configuration's rules became is as wanted: chains without a hook, and sets of ranges.
fn same_policy(actual: &Snapshot, class: &Class) -> bool {
    let table = &class.flowtable.table;
    let chains = class.chains.iter().filter(|chain| chain.hook.is_none());
    let sets = class.sets.iter().filter(|set| !set.fields.is_empty());
    let same = |wanted: &Set, set: &Set| wanted.elements.keys().eq(set.elements.keys());
    chains.into_iter().all(|chain| same_rules(actual, class, chain))
        && sets.into_iter().all(|wanted| {
            let mut actual = actual.sets.iter().filter(|set| set.table == *table);
            actual.any(|set| set.same_kind(wanted) && same(wanted, set))
        })
}

fn same_rules(actual: &Snapshot, class: &Class, chain: &Chain) -> bool {
    let of = |rule: &&Rule| rule.table == chain.table && rule.chain == chain.name;
    let rules: Vec<&Rule> = actual.rules.iter().filter(of).collect();
    let wanted: Vec<&Rule> = class.rules.iter().filter(of).collect();
    rules.len() == wanted.len()
        && rules.iter().zip(wanted).all(|(rule, wanted)| rule.same_as(wanted))
}

fn only_in(these: &Flowtable, those: &Flowtable) -> Vec<String> {
    these.devices.iter().filter(|name| !those.devices.contains(name)).cloned().collect()
}

fn update_flowtable(
    actual: &Flowtable,
    wanted: &Flowtable,
    gone: &[String],
    commands: &mut Vec<Command>,
) {
    for devices in gone.chunks(DEVICES_PER_MESSAGE) {
        let surplus = Flowtable { devices: devices.to_vec(), ..wanted.clone() };
        commands.push(Command::RemoveDevices(surplus));
    }
    let missing = only_in(wanted, actual);
    if !missing.is_empty() || actual.counter != wanted.counter {
        add_devices(wanted, missing, commands);
    }
}

fn update_rules(actual: &Snapshot, class: &Class, commands: &mut Vec<Command>) {
    let table = &class.flowtable.table;
    let sets: Vec<&Set> = actual.sets.iter().filter(|set| set.table == *table).collect();
    let same_rules = class.chains.iter().all(|chain| same_rules(actual, class, chain));
    let same_sets = class.sets.iter().all(|wanted| sets.iter().any(|set| set.same_kind(wanted)));
    if same_rules && same_sets {
        for set in sets {
            match class.sets.iter().find(|wanted| wanted.name == set.name) {
                Some(wanted) => update_elements(set, wanted, commands),
                None => commands.push(Command::DeleteSet((*set).clone())),
            }
        }
        return;
    }
    // Rules refer to sets, so they go first and come last. The flowtable keeps its flows.
    commands.extend(class.chains.iter().cloned().map(Command::FlushChain));
    commands.extend(sets.into_iter().cloned().map(Command::DeleteSet));
    commands.extend(class.sets.iter().cloned().map(Command::AddSet));
    commands.extend(class.rules.iter().cloned().map(Command::AddRule));
}

fn update_elements(actual: &Set, wanted: &Set, commands: &mut Vec<Command>) {
    // Who is in it is not decided here, and ends by itself.
    if wanted.expiring {
        return;
    }
    let only_in = |these: &Set, those: &Set| {
        let mut elements = these.elements.clone();
        elements.retain(|key, _| !those.elements.contains_key(key));
        elements
    };
    let (surplus, missing) = (only_in(actual, wanted), only_in(wanted, actual));
    let with = |elements| Set { elements, ..wanted.clone() };
    if !surplus.is_empty() {
        commands.push(Command::RemoveElements(with(surplus)));
    }
    if !missing.is_empty() {
        commands.push(Command::AddElements(with(missing)));
    }
}

/// What a kernel holds that did exactly what it was told.
#[cfg(test)]
pub(super) fn snapshot_of(wanted: &[Class]) -> Snapshot {
    let tables = wanted.iter().map(|class| class.flowtable.table.clone()).collect();
    Snapshot {
        generation: 1,
        tables,
        flowtables: wanted.iter().map(|class| class.flowtable.clone()).collect(),
        chains: wanted.iter().flat_map(|class| class.chains.clone()).collect(),
        filtering: Vec::new(),
        sets: wanted.iter().flat_map(|class| class.sets.clone()).collect(),
        rules: wanted.iter().flat_map(|class| class.rules.clone()).collect(),
        beside: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::core::device_names::DeviceNames;

    use super::*;

    /// The difference on a router whose devices have all gone.
    fn changes(actual: &Snapshot, wanted: &[Class]) -> Vec<Command> {
        difference(actual, wanted, &|_| Surplus::Gone)
    }

    use crate::core::plan::tests::{asking_for, device};
    use crate::core::plan::{wanted, SET_BYPASS, SET_LEAKED, TABLE_HARDWARE, TABLE_SOFTWARE};
    use crate::core::policy::Places;
    use crate::core::settings::Mode;
    use crate::netlink::nftables::{Counted, Element};

    fn software(devices: &[&str]) -> Vec<Class> {
        let devices: Vec<_> = devices.iter().map(|name| device(name, &[], true)).collect();
        let none = DeviceNames::new();
        wanted(&asking_for(Mode::Software), &devices, &Places::default(), &none, &none)
    }

    fn hardware(devices: &[&str]) -> Vec<Class> {
        let list: Vec<_> = devices.iter().map(|name| device(name, &[], true)).collect();
        let capable = devices.iter().map(|name| (*name).to_owned()).collect();
        wanted(
            &asking_for(Mode::Hardware),
            &list,
            &Places::default(),
            &capable,
            &DeviceNames::new(),
        )
    }

    fn lines(commands: &[Command]) -> Vec<String> {
        commands.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_kernel_gets_everything_and_then_nothing() {
        let wanted = software(&["lan0", "wan0"]);
        let commands = changes(&Snapshot::default(), &wanted);
        assert_eq!(commands.len(), 21, "{:?}", lines(&commands));
        assert_eq!(changes(&snapshot_of(&wanted), &wanted), []);
    }

    #[test]
    fn counts_and_marks_make_no_difference() {
        let wanted = software(&["lan0"]);
        let mut actual = snapshot_of(&wanted);
        let named = |name: &str| actual.sets.iter().position(|set| set.name == name).unwrap();
        let (bypass, leaked) = (named(SET_BYPASS), named(SET_LEAKED));
        let counted = Some(Counted { packets: 5, bytes: 320 });
        actual.sets[bypass].elements.insert(vec![1; 4], Element::default());
        actual.sets[leaked].elements.iter_mut().for_each(|(_, element)| element.counted = counted);
        assert_eq!(changes(&actual, &wanted), []);
        let (first, _) = actual.sets[leaked].elements.first().unwrap();
        let first = first.clone();
        actual.sets[leaked].elements.remove(&first);
        assert!(matches!(changes(&actual, &wanted)[..], [Command::AddElements(_)]));
        actual.sets[bypass].expiring = false;
        assert!(matches!(changes(&actual, &wanted)[0], Command::FlushChain(_)));
    }

    #[test]
    fn devices_come_and_go_in_place() {
        let actual = snapshot_of(&software(&["lan0", "wan0"]));
        let commands = changes(&actual, &software(&["lan1", "wan0"]));
        assert_eq!(
            lines(&commands),
            [
                "take devices { lan0 } out of flowtable ft of table inet flowtabled",
                "add flowtable ft of table inet flowtabled devices { lan1 }",
            ]
        );
    }

    #[test]
    fn a_device_taken_out_while_it_exists_ends_its_flows() {
        let actual = snapshot_of(&software(&["lan0", "wan0"]));
        let commands = difference(&actual, &software(&["wan0"]), &|_| Surplus::Stale);
        assert!(matches!(commands[0], Command::DeleteTable(_)), "{:?}", lines(&commands));
        let gone = changes(&actual, &software(&["wan0"]));
        assert!(matches!(gone[..], [Command::RemoveDevices(_)]), "{:?}", lines(&gone));
    }

    #[test]
    fn a_device_that_is_not_needed_stays_until_the_table_is_made_anew() {
        let actual = snapshot_of(&software(&["br-lan", "lan0", "wan0"]));
        let with = |wanted: &[Class]| {
            difference(&actual, wanted, &|name| match name {
                "br-lan" => Surplus::Idle,
                _ => Surplus::Gone,
            })
        };
        assert_eq!(with(&software(&["lan0", "wan0"])), []);
        let commands = with(&software(&["wan0"]));
        let expected = "take devices { lan0 } out of flowtable ft of table inet flowtabled";
        assert_eq!(lines(&commands), [expected]);
        let mut other = software(&["lan0", "wan0"]);
        other[0].flowtable.priority += 1;
        let commands = with(&other);
        assert!(matches!(commands[0], Command::DeleteTable(_)));
        assert!(lines(&commands).iter().all(|line| !line.contains("br-lan")));
    }

    #[test]
    fn a_counter_flag_is_changed_in_place() {
        let mut actual = snapshot_of(&software(&["lan0"]));
        actual.flowtables[0].counter = false;
        let commands = changes(&actual, &software(&["lan0"]));
        assert!(matches!(&commands[..], [Command::AddFlowtable(ft)] if ft.devices.is_empty()));
    }

    #[test]
    fn the_hardware_flag_moves_flows_to_the_other_table() {
        let actual = snapshot_of(&software(&["lan0"]));
        let commands = changes(&actual, &hardware(&["lan0"]));
        assert!(matches!(&commands[0], Command::AddTable(table) if table.name == TABLE_HARDWARE));
        let last = commands.last().unwrap();
        assert!(matches!(last, Command::DeleteTable(table) if table.name == TABLE_SOFTWARE));
    }

    #[test]
    fn a_device_that_comes_into_hardware_takes_its_flows_along() {
        let devices: Vec<_> = ["lan0", "lan1", "wan0"].map(|name| device(name, &[], true)).into();
        let mixed = |capable: &[&str]| {
            let capable = capable.iter().map(|name| (*name).to_owned()).collect();
            let places = Places::default();
            wanted(&asking_for(Mode::Hardware), &devices, &places, &capable, &DeviceNames::new())
        };
        let stale = |_: &str| Surplus::Stale;
        let replaced = |actual: &[Class], wanted: &[Class]| -> Vec<String> {
            let commands = difference(&snapshot_of(actual), wanted, &stale);
            let deleted = commands.iter().filter_map(|command| match command {
                Command::DeleteTable(table) => Some(table.name.clone()),
                _ => None,
            });
            deleted.collect()
        };
        assert_eq!(replaced(&mixed(&[]), &mixed(&["lan0", "wan0"])), [TABLE_SOFTWARE]);
        let two = mixed(&["lan0", "wan0"]);
        assert_eq!(replaced(&mixed(&["lan0"]), &two), [TABLE_SOFTWARE]);
        assert_eq!(replaced(&two, &mixed(&["lan0"])), [TABLE_HARDWARE], "and out of it");
        assert!(difference(&snapshot_of(&two), &two, &stale).is_empty());
    }

    #[test]
    fn foreign_rules_in_our_chain_are_swept_without_losing_flows() {
        let wanted = software(&["lan0"]);
        let mut actual = snapshot_of(&wanted);
        let extra = Rule { comment: "someone's".into(), ..actual.rules[0].clone() };
        actual.rules.push(extra);
        let commands = changes(&actual, &wanted);
        assert!(matches!(commands[0], Command::FlushChain(_)));
        let keeps_flows = |command: &Command| !matches!(command, Command::DeleteTable(_));
        assert!(commands.iter().all(keeps_flows), "{:?}", lines(&commands));
    }

    #[test]
    fn a_moved_hook_replaces_the_table_in_one_transaction() {
        let wanted = software(&["lan0"]);
        let mut actual = snapshot_of(&wanted);
        actual.chains[0].hook = None;
        let commands = changes(&actual, &wanted);
        assert!(matches!(commands[0], Command::DeleteTable(_)));
        assert_eq!(commands.len(), 22);
    }

    #[test]
    fn removal_takes_only_what_is_there() {
        assert_eq!(removal(&Snapshot::default()), []);
        let commands = removal(&snapshot_of(&software(&["lan0"])));
        assert_eq!(lines(&commands), ["delete table inet flowtabled"]);
    }

    #[test]
    fn many_devices_are_split() {
        let names: Vec<String> = (0..300).map(|n| format!("d{n:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let commands = changes(&Snapshot::default(), &software(&names));
        let counts: Vec<usize> = commands
            .iter()
            .filter_map(|command| match command {
                Command::AddFlowtable(flowtable) => Some(flowtable.devices.len()),
                _ => None,
            })
            .collect();
        assert_eq!(counts, [255, 45]);
    }
}
