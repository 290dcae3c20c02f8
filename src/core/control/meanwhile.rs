// SPDX-License-Identifier: GPL-2.0-or-later
//! What the control loop does while the kernel refuses what is wanted, or nobody knows what that is:
//! after a start with a faulty configuration, or while the devices cannot be listed.
//!
//! Everything wanted is one transaction, so what is refused of it holds up the rest. That may wait
//! as long as the refusal lasts, but stale flows may not: they are dead, or go where the firewall
//! forbids. So the tables that stand are made anew as they stand. Neither the fault nor the pause
//! before the next try depends on how that ends.

use std::time::Instant;

use super::{commit, Control, Effect, Tables, Transaction, DEBOUNCE, VANISHED_MAX};
use crate::netlink::{Error, Refusal};

impl Control {
    /// What is wanted waits from now on. What does not have to wait for it is done at once when it
    /// waits for the first time; if that cannot be done either, it is given up or put off.
    pub(super) fn hold(&mut self, now: Instant) -> Vec<Effect> {
        let new = !std::mem::replace(&mut self.held, true);
        let waits = !self.orders.is_empty() || self.evictions.any_due_as_it_stands(now);
        if new && waits {
            return vec![Effect::Survey];
        }
        self.put_off(now)
    }

    fn put_off(&mut self, now: Instant) -> Vec<Effect> {
        self.evictions.put_off(now);
        if let Some(due) = self.evictions.next(now) {
            self.look_by(due);
        }
        self.give_up_orders()
    }

    /// Compares nothing: hands back what is stale, and carries orders out.
    pub(super) fn decide_meanwhile(&mut self, now: Instant) -> Vec<Effect> {
        let Some(snapshot) = &self.snapshot else { return self.put_off(now) };
        let Transaction { commands, outcomes, marks, .. } = self.as_it_stands(snapshot, now);
        let generation = snapshot.generation;
        let anew = Tables::made_anew(&commands, &snapshot.tables);
        if commands.is_empty() {
            self.evictions.forget_due(true, now);
            self.marks = marks;
            return self.finish_orders(outcomes);
        }
        self.takeover.under_way = false;
        self.repairing = false;
        self.as_it_stands = true;
        self.outcomes = outcomes;
        self.evictions.begin(anew, true, now);
        commit(commands, generation)
    }

    /// The kernel refuses that too.
    pub(super) fn not_done_meanwhile(&mut self, error: &Error, now: Instant) -> Vec<Effect> {
        // Somebody was faster, or a device has just gone, as in `not_committed`.
        let vanished = error.errno() == Some(libc::ENOENT) && self.vanished < VANISHED_MAX;
        self.vanished += u32::from(vanished);
        if vanished || error.errno() == Some(libc::ERESTART) {
            self.look_by(now + DEBOUNCE);
            return self.give_up_old_orders(now);
        }
        if matches!(error, Error::Refused(refusal) if self.is_anothers(refusal)) {
            return vec![Effect::Survey];
        }
        let mut effects = self.put_off(now);
        let words = error.to_string();
        let known = self.fault.as_ref().is_some_and(|fault| fault.detail == words);
        if !known {
            effects.extend(self.evictions.refused(words));
        }
        effects
    }

    /// A table of our name may be another program's: what stands beside it does not wait for it.
    /// True when this has not been known.
    pub(super) fn is_anothers(&mut self, refusal: &Refusal) -> bool {
        let Refusal { errno, table, .. } = refusal;
        let new = *errno == libc::EPERM && !table.is_empty() && !self.others.contains(table);
        if new {
            self.others.push(table.clone());
        }
        new
    }
}
