// SPDX-License-Identifier: GPL-2.0-or-later
//! What each command makes of the kernel's tables.

use crate::core::takeover::TABLE;
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::{Command, Set};

/// Carries one command out.
pub fn apply(kernel: &mut Snapshot, command: &Command) {
    match command {
        Command::AddTable(table) => kernel.tables.push(table.clone()),
        Command::DeleteTable(table) => {
            kernel.tables.retain(|entry| entry != table);
            kernel.flowtables.retain(|entry| entry.table != *table);
            kernel.chains.retain(|entry| entry.table != *table);
            kernel.sets.retain(|entry| entry.table != *table);
            kernel.rules.retain(|entry| entry.table != *table);
        }
        Command::AddFlowtable(new) => {
            let same = |entry: &&mut crate::netlink::nftables::Flowtable| {
                entry.table == new.table && entry.name == new.name
            };
            match kernel.flowtables.iter_mut().find(same) {
                Some(old) => {
                    old.counter = new.counter;
                    old.devices.extend(new.devices.clone());
                    old.devices.sort();
                }
                None => kernel.flowtables.push(new.clone()),
            }
            if let Some(found) = kernel.beside.as_mut().filter(|_| new.table.name == TABLE) {
                found.flowtable = new.clone();
            }
        }
        Command::RemoveDevices(gone) => {
            for entry in kernel.flowtables.iter_mut().filter(|entry| entry.table == gone.table) {
                entry.devices.retain(|name| !gone.devices.contains(name));
            }
        }
        Command::AddChain(chain) => kernel.chains.push(chain.clone()),
        Command::FlushChain(chain) => kernel.rules.retain(|rule| rule.table != chain.table),
        Command::AddSet(set) => kernel.sets.push(set.clone()),
        Command::DeleteSet(set) => {
            kernel.sets.retain(|entry| entry.table != set.table || entry.name != set.name);
        }
        Command::AddElements(new) => {
            for (key, element) in &new.elements {
                // Kernels before 6.12 leave an element that is there as it is.
                set_of(kernel, new).elements.entry(key.clone()).or_insert(*element);
            }
        }
        Command::RemoveElements(gone) => {
            let set = set_of(kernel, gone);
            for key in gone.elements.keys() {
                assert!(set.elements.remove(key).is_some(), "there is no such element");
            }
        }
        Command::AddRule(rule) => kernel.rules.push(rule.clone()),
        Command::DeleteRule(rule) => {
            let found = kernel.beside.as_mut().unwrap();
            let before = found.rules.len();
            found.rules.retain(|entry| entry.handle != rule.handle);
            assert_eq!(found.rules.len(), before - 1, "there is no such rule");
            found.users -= 1;
        }
        Command::DeleteFlowtable(gone) => {
            assert_eq!(kernel.beside.as_ref().unwrap().users, 0, "EBUSY");
            kernel.flowtables.retain(|entry| entry != gone);
        }
        other => panic!("not expected here: {other}"),
    }
}

fn set_of<'a>(kernel: &'a mut Snapshot, set: &Set) -> &'a mut Set {
    let same = |entry: &&mut Set| entry.table == set.table && entry.name == set.name;
    kernel.sets.iter_mut().find(same).unwrap()
}
