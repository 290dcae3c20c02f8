// SPDX-License-Identifier: GPL-2.0-or-later
//! What the loop does for switches: tells them what has changed around them, and gives them a little
//! of each turn.

use std::time::Instant;

use super::Daemon;
use crate::core::evict::Tables;
use crate::core::explain::Facts;
use crate::core::flows::Flow;
use crate::core::hardware::Whereabouts;
use crate::core::topology::moves::Moves;
use crate::daemon::flow_poll::FlowPoll;
use crate::daemon::knowledge::Knowledge;

impl Daemon {
    /// A turn's work on switches.
    pub(super) fn on_switches(&mut self) {
        let now = Instant::now();
        if self.switches.configure(self.control.switches(), now) {
            self.around_switches = None;
        }
        if self.switches.is_empty() {
            self.tell_flows();
            if let Some(flows) = &mut self.flows {
                flows.set_picking(false);
            }
            return;
        }
        if let Some(flows) = &mut self.flows {
            for id in flows.take_ended() {
                self.switches.release(id, now);
            }
            let wanted = self.control.wants_switches();
            let around = (wanted, flows.table().topology().version());
            if self.around_switches != Some(around) {
                self.around_switches = Some(around);
                self.switches.set_networks(flows.table().topology(), wanted, now);
            }
            flows.set_picking(self.switches.wants() > 0);
        }
        self.consider(now);
        self.switches.work(now);
        self.tell_flows();
    }

    /// Offers the flows of a list to the switches.
    pub(super) fn pick_for_switches(&mut self) {
        let (wanted, now) = (self.switches.wants(), Instant::now());
        if let Some(flows) = self.flows.as_ref().filter(|_| wanted > 0) {
            self.switches.pick(flows.pick(wanted, now), flows.list_begun(now), now);
        }
    }

    fn consider(&mut self, now: Instant) {
        let Some(flows) = &mut self.flows else { return };
        let (table, around) = flows.with_surroundings();
        let (control, ledger) = (&self.control, table.ledger());
        let knowledge = Knowledge { control, ledger, policies: &[], switches: None, now };
        let about = |flow: &Flow| {
            let table = Facts::table(&knowledge, flow);
            let all = knowledge.chains(flow);
            let barred = control.kept_from_switches(table.as_deref(), all);
            let devices = knowledge.devices(flow).map(|name| name.map(str::to_owned));
            Whereabouts { devices, table, barred }
        };
        self.switches.consider(table.topology(), &about, &mut |lookup| around.route(lookup), now);
    }

    /// Flows of these tables leave the switches, before the tables are made anew.
    pub(super) fn hand_back(&mut self, tables: &Tables) {
        if !self.switches.is_empty() {
            self.switches.hand_back(tables, Instant::now());
            self.tell_flows();
        }
    }

    /// Stations have moved.
    pub(super) fn move_in_switches(&mut self, moves: &Moves) {
        if !self.switches.is_empty() {
            self.switches.moved(moves, Instant::now());
            self.tell_flows();
        }
    }

    fn tell_flows(&mut self) {
        let held = self.switches.take_held(Instant::now());
        if let (Some(flows), Some(held)) = (&mut self.flows, held) {
            FlowPoll::set_switched(flows, held);
            self.changed = true;
        }
    }
}
