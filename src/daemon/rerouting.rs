// SPDX-License-Identifier: GPL-2.0-or-later
//! Finding out which tables hold flows that a change of routes is about.
//!
//! Flows that are known are asked where they were before the change. The list that follows moves
//! them to where they are now, and brings those that no list has named yet: where these were nobody
//! knows, so they may be in any table.

use std::time::Instant;

use super::knowledge::Knowledge;
use crate::core::control::{Control, DEBOUNCE};
use crate::core::evict::{concerned, Cause, Tables, Whereabouts};
use crate::core::flows::table::FlowTable;
use crate::core::flows::Flow;
use crate::core::topology::moves::Rerouted;
use crate::netlink::Error;

/// A change under examination.
#[derive(Debug)]
struct Check {
    rerouted: Rerouted,
    /// When the list began, in the table's time.
    begun_ms: u64,
    /// The tables whose flowtables had the hardware flag.
    hardware: Vec<String>,
}

/// Flows of which nobody knows where they were, but for the tables of those in hardware.
struct Anywhere(Vec<String>);

impl Whereabouts for Anywhere {
    fn tables(&self) -> Vec<String> {
        Vec::new()
    }

    fn in_hardware(&self) -> Vec<String> {
        self.0.clone()
    }

    fn table(&self, _: &Flow) -> Option<String> {
        None
    }

    fn is_only_in(&self, _: &Flow, _: &Tables) -> bool {
        false
    }
}

/// What is known about changes of routes.
#[derive(Debug, Default)]
pub(super) struct Rerouting {
    /// When the list for a change is to begin.
    due: Option<Instant>,
    check: Option<Check>,
    checked: Option<Instant>,
    found: Tables,
}

impl Rerouting {
    /// When a list of flows is wanted.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes over what has changed. Lists are made no more often than flows are handed back.
    pub fn note(&mut self, table: &mut FlowTable, offloading: bool, now: Instant) {
        let topology = table.topology_mut();
        if topology.rerouted().is_empty() {
            return;
        }
        if !offloading || topology.rerouted().is_any() {
            topology.take_rerouted();
            self.due = None;
            if offloading {
                self.found = Tables::All;
            }
            return;
        }
        let pause = self.checked.map_or(now, |checked| checked + Cause::Routes.pause());
        self.due.get_or_insert((now + DEBOUNCE).max(pause));
    }

    /// A list is about to begin.
    pub fn begin(&mut self, table: &mut FlowTable, control: &Control, now: Instant, now_ms: u64) {
        self.due = None;
        let rerouted = table.topology_mut().take_rerouted();
        if rerouted.is_empty() {
            return;
        }
        self.checked = Some(now);
        let ledger = table.ledger();
        let knowledge = Knowledge { control, ledger, policies: &[], switches: None, now };
        self.found.add(concerned(&rerouted, table.flows(now_ms), &knowledge));
        self.check =
            Some(Check { rerouted, begun_ms: now_ms, hardware: control.tables_in_hardware() });
    }

    /// The list has ended.
    pub fn end(&mut self, table: &FlowTable, result: &Result<(), Error>, now_ms: u64) {
        let Some(Check { rerouted, begun_ms, hardware }) = self.check.take() else { return };
        if result.is_err() {
            return self.found.add(Tables::All);
        }
        let flows = table.flows(now_ms).filter(|flow| flow.first_ms >= begun_ms);
        self.found.add(concerned(&rerouted, flows, &Anywhere(hardware)));
    }

    /// The tables found since this was asked last.
    pub fn take_found(&mut self) -> Tables {
        std::mem::take(&mut self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::table::tests::{entry, poll, table_of};
    use crate::netlink::conntrack::entry::Entry;
    use crate::netlink::conntrack::status::IPS_OFFLOAD;
    use crate::netlink::route::RouteChange;

    /// What a list finds that began after so many days, in which there are these flows; the first of
    /// them has been there from the beginning.
    fn found(days: u64, ids: &[u32]) -> Tables {
        const DAY_MS: u64 = 86_400_000;
        let offloaded = |id: &u32| {
            let entry = entry(*id, 0);
            Entry { status: entry.status | IPS_OFFLOAD, ..entry }
        };
        let mut table = table_of(&[offloaded(&ids[0])]);
        (1..days).for_each(|day| poll(&mut table, day * DAY_MS, &[offloaded(&ids[0])]));
        let mut rerouted = Rerouted::default();
        rerouted.note(RouteChange::To("0.0.0.0/0".parse().unwrap()));
        let begun_ms = days * DAY_MS;
        let check = Some(Check { rerouted, begun_ms, hardware: Vec::new() });
        poll(&mut table, begun_ms, &ids.iter().map(offloaded).collect::<Vec<_>>());
        let mut rerouting = Rerouting { check, ..Rerouting::default() };
        rerouting.end(&table, &Ok(()), begun_ms + 500);
        rerouting.take_found()
    }

    #[test]
    fn only_flows_that_began_with_the_list_may_be_anywhere() {
        for days in [1, 24, 26, 48, 52, 99] {
            assert_eq!(found(days, &[1]), Tables::None, "after {days} days");
            assert_eq!(found(days, &[1, 2]), Tables::All, "after {days} days");
        }
    }
}
