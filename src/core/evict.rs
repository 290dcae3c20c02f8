// SPDX-License-Identifier: GPL-2.0-or-later
//! What a change around the flowtables makes stale, and handing it back to the classic path.
//!
//! An offloaded flow keeps what was decided when it was offloaded: that the firewall accepted it,
//! where its packets leave, to which MAC address and how long they may be. When one of these changes
//! the tables that may hold such a flow are made anew, one debounce later: all that changes together
//! is handed back together. A flow that is still right is offloaded again with its next packet.

mod stale;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use log::Level;

use super::control::{Control, Effect, DEBOUNCE};
use super::orders::{Order, NOBODY};
use crate::netlink::nftables::event::NftEvent;
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::Table;

pub use stale::{concerned, Tables, Whereabouts};

/// A table that is replaced within the pause is freed long before.
const APART: Duration = Duration::from_secs(4);
/// The log is told of a cause that goes on this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Tables of others whose chains have changed, between two surveys; with more all are suspect.
const SUSPECTS_MAX: usize = 16;

/// Why flows are handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Rules, chains or sets of another program that forwarded packets pass.
    Firewall,
    /// Routes, rules or addresses.
    Routes,
    /// A client is behind another port of its bridge.
    Roaming,
    /// A neighbour has another MAC address.
    Neighbour,
    /// A device's MTU or bridge is another one, or it is gone or switched off.
    Device,
    /// The daemon's own configuration.
    Settings,
    /// Conntrack shows flows on the classic path that take the fast one.
    Unshown,
    /// The daemon has found tables of the one before it, and nobody has watched meanwhile.
    Restart,
}

impl Cause {
    /// All causes, in the order of their discriminants.
    pub const ALL: [Cause; 8] = [
        Cause::Firewall,
        Cause::Routes,
        Cause::Roaming,
        Cause::Neighbour,
        Cause::Device,
        Cause::Settings,
        Cause::Unshown,
        Cause::Restart,
    ];

    /// The time between two evictions for this cause: what never pauses (a program that fills a set
    /// of addresses, a routing protocol, a bridge with a loop) costs each flow two classic packets
    /// in it, of the hundreds that a busy one has, and a change that comes meanwhile waits for its
    /// end. So it is the shorter the worse the flows are off that wait: they are dead, or take the
    /// old way, or go on although the firewall has changed.
    pub const fn pause(self) -> Duration {
        match self {
            Cause::Roaming | Cause::Neighbour | Cause::Device => Duration::from_millis(500),
            Cause::Routes => Duration::from_secs(1),
            Cause::Firewall | Cause::Settings | Cause::Unshown | Cause::Restart => {
                Duration::from_secs(2)
            }
        }
    }

    /// Tables that are made anew as they stand let go of these flows for good: not of those that only
    /// the new configuration keeps out, which would come back by the old one.
    fn is_settled_as_it_stands(self) -> bool {
        self != Cause::Settings
    }

    /// The code used on the bus.
    pub fn code(self) -> &'static str {
        match self {
            Cause::Firewall => "firewall",
            Cause::Routes => "routes",
            Cause::Roaming => "roaming",
            Cause::Neighbour => "neighbour",
            Cause::Device => "device",
            Cause::Settings => "settings",
            Cause::Unshown => "unshown",
            Cause::Restart => "restart",
        }
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Cause::Firewall => "the firewall's rules have changed",
            Cause::Routes => "routes, rules or addresses have changed",
            Cause::Roaming => "a client has moved to another port",
            Cause::Neighbour => "a neighbour has another MAC address",
            Cause::Device => "a device has changed",
            Cause::Settings => "the configuration has changed",
            Cause::Unshown => "the kernel does not show some that are offloaded",
            Cause::Restart => "what changed while no daemon was running is not known",
        }
    }
}

/// Evictions so far, as `status` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Transactions that handed flows back because of a change.
    pub count: u32,
    /// Cause of the last one, and seconds since.
    pub last: Option<(Cause, u64)>,
}

/// What waits for one cause.
#[derive(Debug, Default)]
struct Waiting {
    tables: Tables,
    /// When it is to be done.
    due: Option<Instant>,
    /// The transaction under way does it.
    running: bool,
    /// When it was done last.
    done: Option<Instant>,
    told: Option<Instant>,
}

/// What is to be handed back.
#[derive(Debug, Default)]
pub(super) struct Evictions {
    waiting: [Waiting; Cause::ALL.len()],
    /// Tables of others that had no chain in the way of forwarded packets, but may have by now.
    suspects: Vec<Table>,
    /// What the transaction under way makes anew, for whatever reason.
    anew: Tables,
    /// It makes the tables anew as they stand, not as they should be.
    as_it_stands: bool,
    /// What the log was told of the refusal of such a transaction.
    told: Option<String>,
    count: u32,
    last: Option<(Cause, Instant)>,
}

impl Evictions {
    /// Flows of these tables are stale; returns when they will be handed back.
    fn add(&mut self, cause: Cause, tables: Tables, now: Instant) -> Option<Instant> {
        let waiting = self.waiting.get_mut(cause as usize)?;
        if tables.is_none() {
            return None;
        }
        waiting.tables.add(tables);
        let pause = waiting.done.map_or(now, |done| done + cause.pause());
        let due = (now + DEBOUNCE).max(pause);
        Some(*waiting.due.get_or_insert(due))
    }

    /// Is this table to be made anew by now?
    pub fn are_due(&self, table: &str, now: Instant) -> bool {
        self.waiting.iter().any(|waiting| waiting.is_due(now) && waiting.tables.have(table))
    }

    /// Likewise, when it is made anew as it stands because the kernel refuses what should be. Which
    /// table has a flow was told by what should be, so those that have flows behind a route may be
    /// any.
    pub fn are_due_as_it_stands(&self, table: &str, now: Instant) -> bool {
        let mut due = self.due_as_it_stands(now);
        due.any(|(cause, waiting)| cause == Cause::Routes || waiting.tables.have(table))
    }

    /// Something is due that does not have to wait for what the kernel refuses.
    pub fn any_due_as_it_stands(&self, now: Instant) -> bool {
        self.due_as_it_stands(now).next().is_some()
    }

    fn due_as_it_stands(&self, now: Instant) -> impl Iterator<Item = (Cause, &Waiting)> {
        let all = Cause::ALL.into_iter().zip(&self.waiting);
        all.filter(move |(cause, waiting)| cause.is_settled_as_it_stands() && waiting.is_due(now))
    }

    /// A transaction does what is due; it makes these tables anew, be it only as they stand.
    pub fn begin(&mut self, anew: Tables, as_it_stands: bool, now: Instant) {
        (self.anew, self.as_it_stands) = (anew, as_it_stands);
        for (cause, waiting) in Cause::ALL.into_iter().zip(&mut self.waiting) {
            let can = !as_it_stands || cause.is_settled_as_it_stands();
            waiting.running = can && waiting.is_due(now);
        }
    }

    /// What is due could not be done, and is tried again a pause later.
    pub fn put_off(&mut self, now: Instant) {
        for (cause, waiting) in Cause::ALL.into_iter().zip(&mut self.waiting) {
            waiting.running = false;
            if cause.is_settled_as_it_stands() && waiting.is_due(now) {
                waiting.due = Some(now + cause.pause());
            }
        }
    }

    /// A transaction with the tables as they stand was refused; a line for the log, once.
    pub fn refused(&mut self, words: String) -> Option<Effect> {
        if self.told.as_ref() == Some(&words) {
            return None;
        }
        let line = format!("flows cannot be handed back: {words}");
        self.told = Some(words);
        Some(Effect::Log(Level::Error, line))
    }

    /// It was committed. Returns the lines for the log.
    pub fn finish(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut any = false;
        let anew = std::mem::take(&mut self.anew);
        let as_it_stands = std::mem::take(&mut self.as_it_stands);
        self.told = None;
        for (cause, waiting) in Cause::ALL.into_iter().zip(&mut self.waiting) {
            if !std::mem::take(&mut waiting.running) {
                // What waits for its time has been done along with something else.
                let done = match cause {
                    Cause::Settings => !as_it_stands,
                    // See above: its tables are those of the plan.
                    Cause::Routes => !as_it_stands || anew == Tables::All,
                    _ => true,
                };
                if done && waiting.tables.remove(&anew) {
                    waiting.due = None;
                }
                continue;
            }
            any = true;
            (waiting.tables, waiting.due, waiting.done) = (Tables::None, None, Some(now));
            self.last = Some((cause, now));
            let long_ago = |told: Instant| now.saturating_duration_since(told) >= TOLD_EVERY;
            if waiting.told.is_none_or(long_ago) {
                waiting.told = Some(now);
                let line = format!("flows are handed back: {}", cause.text());
                effects.push(Effect::Log(Level::Info, line));
            }
        }
        self.count = self.count.saturating_add(u32::from(any));
        effects
    }

    /// There is no table of ours that what is due could be in, be it only of those that stand.
    pub fn forget_due(&mut self, as_it_stands: bool, now: Instant) {
        for (cause, waiting) in Cause::ALL.into_iter().zip(&mut self.waiting) {
            let can = !as_it_stands || cause.is_settled_as_it_stands();
            if can && waiting.is_due(now) {
                (waiting.tables, waiting.due) = (Tables::None, None);
            }
        }
    }

    /// When what is not due yet will be.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.waiting.iter().filter_map(|waiting| waiting.due).filter(|due| *due > now).min()
    }
}

impl Waiting {
    fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

impl Control {
    /// How often flows were handed back because of a change, and why the last time.
    pub(super) fn evicted(&self, now: Instant) -> Evicted {
        let Evictions { count, last, .. } = &self.evictions;
        let ago = |(cause, then)| (cause, now.saturating_duration_since(then).as_secs());
        Evicted { count: *count, last: last.map(ago) }
    }

    /// Flows of these tables are stale.
    pub(super) fn evict(&mut self, cause: Cause, tables: Tables, now: Instant) {
        if let Some(due) = self.evictions.add(cause, tables, now) {
            self.look_by(due);
        }
    }

    /// The first look at the kernel. Tables that are there already are those of a daemon that was
    /// killed: rules and routes may have changed since, and nobody has told it.
    pub(super) fn adopt(&mut self, snapshot: &Snapshot, now: Instant) {
        if self.snapshot.is_none() && !snapshot.tables.is_empty() {
            let asked = now.checked_sub(DEBOUNCE).unwrap_or(now);
            self.evict(Cause::Restart, Tables::All, asked);
        }
    }

    /// These flows are offloaded, but not shown. They stay away until the tables that they are in are
    /// freed: offloaded anew before that they would be lost sight of again.
    pub(super) fn unshown(&mut self, ids: Vec<u32>, now: Instant) -> Vec<Effect> {
        self.evict(Cause::Unshown, Tables::All, now);
        self.take_orders(vec![(NOBODY, Order::keep_away(ids, APART))], now)
    }

    /// Another program has changed something of nf_tables. Which tables have a chain in the way is
    /// known from the last survey; one that gets its first is looked at by the next.
    pub(super) fn others_changed(&mut self, event: NftEvent, now: Instant) {
        if !self.heeds_firewall() {
            return;
        }
        let chains = matches!(event, NftEvent::Chains(_));
        let (NftEvent::Chains(table) | NftEvent::Rules(table)) = event else { return };
        let Some(snapshot) = &self.snapshot else { return };
        if snapshot.filtering.contains(&table) {
            self.evict(Cause::Firewall, Tables::All, now);
        } else if chains && self.offloads() && !self.evictions.suspects.contains(&table) {
            if self.evictions.suspects.len() >= SUSPECTS_MAX {
                return self.evict(Cause::Firewall, Tables::All, now);
            }
            self.evictions.suspects.push(table);
            self.look_by(now + DEBOUNCE);
        }
    }

    /// What other programs have changed was lost.
    pub(super) fn others_unknown(&mut self, now: Instant) {
        if self.heeds_firewall() {
            self.evict(Cause::Firewall, Tables::All, now);
        }
    }

    fn heeds_firewall(&self) -> bool {
        self.settings.as_ref().is_none_or(|settings| settings.evict_on_reload)
    }

    /// Looks whether a chain that is new stands in the way: the survey has waited for it already.
    pub(super) fn judge_suspects(&mut self, snapshot: &Snapshot, now: Instant) {
        let mut suspects = std::mem::take(&mut self.evictions.suspects).into_iter();
        if suspects.any(|table| snapshot.filtering.contains(&table)) {
            let asked = now.checked_sub(DEBOUNCE).unwrap_or(now);
            self.evict(Cause::Firewall, Tables::All, asked);
        }
    }
}
