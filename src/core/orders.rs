// SPDX-License-Identifier: GPL-2.0-or-later
//! What callers want done to single flows: hand them back to the classic path and keep them there,
//! let them return, watch them.
//!
//! An order waits until a transaction has carried it out; each transaction carries out all that
//! wait. One that races with another program's changes is made again, so an order is either done
//! or its caller hears that it was not.

mod bypass;

pub use bypass::Bypass;

use litemap::LiteMap;
use std::time::{Duration, Instant};

use super::control::{Control, Effect};
use super::diff::{difference, replacement};
use super::marks::{self, Mark, Marks};
use super::plan::{Class, SET_BYPASS};
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::{Command, Counted, Set};

/// Connections that are kept on the classic path at once. One transaction puts all of them into two
/// tables: a datagram of 230 kB, for which even an unprivileged send buffer has room.
pub const BYPASS_MAX: usize = 4096;
/// Connections watched at once: each costs every leaked packet the longer a look-up.
pub const WATCHED_MAX: usize = 64;
/// How long a connection is watched after it was last asked about.
pub const WATCH: Duration = Duration::from_secs(60);
/// A watch that ends within this is prolonged when it is asked about again.
const WATCH_RENEWED: Duration = Duration::from_secs(30);
/// What keeps a connection on the classic path for so long still does when the transaction comes.
const HOLDS: Duration = Duration::from_secs(5);
/// Other programs that never pause for so long are not waited out: the caller gives up by then.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ticket of orders whose end nobody waits for.
pub const NOBODY: u32 = 0;
/// Those of nobody that wait at once: as many as there are watches. The bus bounds the others.
const OF_NOBODY_MAX: usize = WATCHED_MAX;

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// All flows return to the classic path, and may leave it with their next packet.
    Flush,
    /// Connections stay on the classic path for a time.
    Bypass {
        /// Conntrack's ids; none when they are only handed back.
        ids: Vec<u32>,
        /// How long; with zero they are only handed back.
        duration: Duration,
        /// The tables whose flowtables have some of them.
        tables: Vec<String>,
        /// Some of them are offloaded, and may be in any table.
        anywhere: bool,
        /// Those that were on the classic path, but may be offloaded before the transaction.
        unsettled: Vec<u32>,
    },
    /// Connections that were kept on the classic path may leave it.
    Release {
        /// Conntrack's ids; `None` for all.
        ids: Option<Vec<u32>>,
    },
    /// Packets of a connection that are offloaded, yet on the classic path, are counted.
    Watch {
        /// Conntrack's id.
        id: u32,
    },
}

impl Order {
    /// Connections are not offloaded for a time; those that are stay so.
    pub(super) fn keep_away(ids: Vec<u32>, duration: Duration) -> Order {
        let (tables, unsettled) = (Vec::new(), Vec::new());
        Order::Bypass { ids, duration, tables, anywhere: false, unsettled }
    }
}

/// What carrying an order out has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Connections that stay on the classic path because of it.
    pub bypassed: usize,
    /// Connections that may leave it.
    pub released: usize,
    /// Tables were made anew, so their flows were handed back.
    pub handed_back: bool,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderError {
    /// More than [`BYPASS_MAX`] or [`WATCHED_MAX`] connections.
    TooMany,
    /// The transaction was refused or never came about; `last_error` has the words.
    Failed,
}

/// An order that waits.
#[derive(Debug)]
pub(super) struct Pending {
    ticket: u32,
    order: Order,
    until: Instant,
}

/// An order's ticket and how it ended.
pub(super) type Outcome = (u32, Result<Done, OrderError>);

/// What the next transaction does.
#[derive(Debug)]
pub(super) struct Transaction {
    pub commands: Vec<Command>,
    /// Something was not as wanted, besides what orders ask for.
    pub repairs: bool,
    /// firewall4's own offloading is taken out of the way.
    pub takes: bool,
    /// How the orders end once it is committed.
    pub outcomes: Vec<Outcome>,
    /// What the sets hold then.
    pub marks: Marks,
}

/// What the orders that wait change.
#[derive(Debug, Default)]
struct Changes {
    marks: Marks,
    /// Keys of the elements that are made, changed or taken out: bypassed and watched.
    touched: [Vec<Vec<u8>>; 2],
    /// Tables that are made anew.
    replaced: Vec<String>,
    /// The table of a flow was told by what is wanted, and not by what there is.
    foretold: bool,
}

impl Control {
    /// Orders wait for the next survey, which is one for all of them. Those of nobody are dropped where
    /// too many wait, as they may while other programs never pause.
    pub(super) fn take_orders(&mut self, orders: Vec<(u32, Order)>, now: Instant) -> Vec<Effect> {
        let before = self.orders.len();
        for (ticket, order) in orders {
            if ticket == NOBODY && !self.has_room_for(&order) {
                continue;
            }
            self.orders.push(Pending { ticket, order, until: now + PATIENCE });
        }
        let new = self.orders.len() > before;
        new.then_some(Effect::Survey).into_iter().collect()
    }

    fn has_room_for(&self, order: &Order) -> bool {
        let of_nobody = || self.orders.iter().filter(|pending| pending.ticket == NOBODY);
        of_nobody().count() < OF_NOBODY_MAX && of_nobody().all(|pending| pending.order != *order)
    }

    /// The commands for what differs and for the orders that wait.
    pub(super) fn transaction(&self, snapshot: &Snapshot, now: Instant) -> Transaction {
        let made = |table: &str| snapshot.tables.iter().any(|entry| entry.name == table);
        let names = self.wanted.iter().map(|class| class.flowtable.table.name.clone());
        let tables: Vec<String> = names.filter(|table| made(table)).collect();
        let mut changes = Changes { marks: self.marks.clone(), ..Changes::default() };
        let outcomes = changes.take(&self.orders, &tables, self.wanted.is_empty(), now);
        let filled = |class: &Class| changes.marks.fill(class, now);
        let classes: Vec<Class> = self.wanted.iter().map(filled).collect();
        let mut commands = difference(snapshot, &classes, &|name| self.surplus(name));
        let repairs = !commands.is_empty();
        changes.replaced.extend(self.newly_shaped(&commands));
        for class in classes.iter().filter(|class| made(&class.flowtable.table.name)) {
            let table = &class.flowtable.table;
            let made_anew = |c: &Command| matches!(c, Command::DeleteTable(gone) if gone == table);
            if commands.iter().any(made_anew) {
                continue;
            }
            let stale = self.evictions.are_due(&table.name, now);
            changes.carry_out(snapshot, class, stale, &mut commands);
        }
        let taking = self.takeover_commands(snapshot);
        let takes = !taking.is_empty();
        commands.extend(taking);
        Transaction { commands, repairs, takes, outcomes, marks: changes.marks }
    }

    /// The commands for stale flows and for the orders that wait, which leave everything else as it
    /// stands. The tables are made anew from the snapshot and not from what is wanted, which the
    /// kernel refuses, nor from what was committed once, which a new daemon does not know and which
    /// names devices that have gone since.
    pub(super) fn as_it_stands(&self, snapshot: &Snapshot, now: Instant) -> Transaction {
        let tables = || snapshot.tables.iter().filter(|table| !self.others.contains(&table.name));
        let classes: Vec<Option<Class>> =
            tables().map(|table| Class::standing(snapshot, table)).collect();
        let mut changes =
            Changes { marks: self.marks.clone(), foretold: true, ..Changes::default() };
        let outcomes = if classes.is_empty() || classes.iter().any(Option::is_none) {
            let failed = |order: &Pending| (order.ticket, Err(OrderError::Failed));
            self.orders.iter().map(failed).collect()
        } else {
            let names: Vec<String> = tables().map(|table| table.name.clone()).collect();
            changes.take(&self.orders, &names, false, now)
        };
        let mut commands = Vec::new();
        for (table, class) in tables().zip(classes) {
            let stale = self.evictions.are_due_as_it_stands(&table.name, now);
            match class.map(|class| changes.marks.fill(&class, now)) {
                Some(class) => changes.carry_out(snapshot, &class, stale, &mut commands),
                // The classic path is right, if slow; a stale flow may be dead.
                None if stale => commands.push(Command::DeleteTable(table.clone())),
                None => (),
            }
        }
        let marks = changes.marks;
        Transaction { commands, repairs: false, takes: false, outcomes, marks }
    }

    /// No order waits any more.
    pub(super) fn finish_orders(&mut self, outcomes: Vec<Outcome>) -> Vec<Effect> {
        self.orders.clear();
        outcomes.into_iter().map(|(ticket, outcome)| Effect::Done(ticket, outcome)).collect()
    }

    /// What waits cannot be carried out.
    pub(super) fn give_up_orders(&mut self) -> Vec<Effect> {
        let failed = |order: Pending| Effect::Done(order.ticket, Err(OrderError::Failed));
        self.orders.drain(..).map(failed).collect()
    }

    /// Orders that have waited too long cannot be carried out.
    pub(super) fn give_up_old_orders(&mut self, now: Instant) -> Vec<Effect> {
        let waits = |order: &Pending| order.until > now;
        let (waiting, old) = std::mem::take(&mut self.orders).into_iter().partition(waits);
        self.orders = old;
        let effects = self.give_up_orders();
        self.orders = waiting;
        effects
    }

    /// Conntrack's ids of the connections that are kept on the classic path, or will be by the orders
    /// that wait; sorted.
    pub fn kept_away(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.marks.bypassed.keys().copied().collect();
        for pending in &self.orders {
            if let Order::Bypass { ids: more, .. } = &pending.order {
                ids.extend(more);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// How long a connection is still kept on the classic path; `None` when it is not.
    pub fn bypassed(&self, id: u32, now: Instant) -> Option<Duration> {
        let mark = self.marks.bypassed.get(&id).filter(|_| self.has_tables())?;
        mark.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// How many connections are kept on the classic path; `None` before the first survey.
    pub fn bypassed_count(&self, now: Instant) -> Option<usize> {
        self.snapshot.as_ref()?;
        let ends = self.marks.bypassed.values().filter(|_| self.has_tables());
        Some(ends.filter(|mark| mark.until > now).count())
    }

    /// A connection is watched, and will be for so long that this need not be prolonged.
    pub fn watch_lasts(&self, id: u32, now: Instant) -> bool {
        let lasts = |mark: &Mark| mark.until > now + WATCH_RENEWED;
        self.watched(id, now).is_some() && self.marks.watched.get(&id).is_some_and(lasts)
    }

    /// Packets of a connection that were offloaded, yet on the classic path, since it is watched;
    /// `None` when it is not. As of the last survey.
    pub fn watched(&self, id: u32, now: Instant) -> Option<u64> {
        let watched = self.marks.watched.get(&id).filter(|_| self.has_tables())?;
        watched.counted.filter(|_| watched.until > now).map(|counted| counted.packets)
    }
}

impl Changes {
    /// Takes the orders that wait, with these tables of ours; `off` when there are to be none.
    fn take(
        &mut self,
        orders: &[Pending],
        tables: &[String],
        off: bool,
        now: Instant,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for Pending { ticket, order, .. } in orders {
            let outcome = match order {
                // It may wait for tables that will be there again.
                Order::Release { .. } => self.order(order, tables, now),
                _ if off => Ok(Done::default()),
                _ => self.order(order, tables, now),
            };
            outcomes.push((*ticket, outcome));
        }
        outcomes
    }

    /// Commands that make a table anew when its flows are stale or are to be handed back, or else
    /// bring the elements touched into its sets.
    fn carry_out(
        &self,
        snapshot: &Snapshot,
        class: &Class,
        stale: bool,
        commands: &mut Vec<Command>,
    ) {
        let table = &class.flowtable.table;
        if stale || self.replaced.contains(&table.name) {
            commands.retain(|command| command.table() != table);
            commands.extend(replacement(class));
        } else {
            self.elements(snapshot, class, commands);
        }
    }

    fn order(&mut self, order: &Order, made: &[String], now: Instant) -> Result<Done, OrderError> {
        match order {
            Order::Flush => Ok(self.hand_back(made, |_| true)),
            Order::Bypass { ids, duration, tables, anywhere, unsettled } => {
                let mut anywhere = *anywhere || (self.foretold && !tables.is_empty());
                if !duration.is_zero() {
                    // No set lets go of a flow that was offloaded since the list.
                    anywhere |= unsettled.iter().any(|id| !self.holds(*id, now));
                    self.bypass(ids, now, *duration)?;
                }
                let done = self.hand_back(made, |table| anywhere || tables.contains(table));
                Ok(Done { bypassed: if duration.is_zero() { 0 } else { ids.len() }, ..done })
            }
            Order::Release { ids } => Ok(self.release(ids.as_deref(), now)),
            Order::Watch { id } => self.watch(*id, now),
        }
    }

    fn hand_back(&mut self, made: &[String], chosen: impl Fn(&String) -> bool) -> Done {
        let before = self.replaced.len();
        self.replaced.extend(made.iter().filter(|table| chosen(table)).cloned());
        Done { handed_back: self.replaced.len() > before, ..Done::default() }
    }

    /// A connection is kept on the classic path already, and will be until the transaction.
    fn holds(&self, id: u32, now: Instant) -> bool {
        self.marks.bypassed.get(&id).is_some_and(|mark| mark.until > now + HOLDS)
    }

    fn bypass(&mut self, ids: &[u32], now: Instant, duration: Duration) -> Result<(), OrderError> {
        let mut bypassed = self.marks.bypassed.clone();
        bypassed.retain(|_, mark| mark.until > now);
        let mark = Mark { until: now + duration, counted: None };
        bypassed.extend(ids.iter().map(|id| (*id, mark)));
        if bypassed.len() > BYPASS_MAX {
            return Err(OrderError::TooMany);
        }
        self.marks.bypassed = bypassed;
        let [touched, _] = &mut self.touched;
        touched.extend(ids.iter().map(|id| marks::key(*id)));
        Ok(())
    }

    fn release(&mut self, ids: Option<&[u32]>, now: Instant) -> Done {
        let ids: Vec<u32> = match ids {
            Some(ids) => ids.to_vec(),
            None => self.marks.bypassed.keys().copied().collect(),
        };
        let [touched, _] = &mut self.touched;
        let mut released = 0;
        for id in ids {
            let Some(mark) = self.marks.bypassed.remove(&id) else { continue };
            touched.push(marks::key(id));
            released += usize::from(mark.until > now);
        }
        Done { released, ..Done::default() }
    }

    fn watch(&mut self, id: u32, now: Instant) -> Result<Done, OrderError> {
        self.marks.watched.retain(|_, watched| watched.until > now);
        let counted = match self.marks.watched.get(&id) {
            Some(watched) if watched.until > now + WATCH_RENEWED => return Ok(Done::default()),
            Some(watched) => watched.counted,
            None if self.marks.watched.len() >= WATCHED_MAX => return Err(OrderError::TooMany),
            None => Some(Counted::default()),
        };
        self.marks.watched.insert(id, Mark { until: now + WATCH, counted });
        let [_, touched] = &mut self.touched;
        touched.push(marks::key(id));
        Ok(Done::default())
    }

    /// Commands that bring the elements touched into the sets of a table that stays, unless the
    /// sets are made anew anyway.
    fn elements(&self, snapshot: &Snapshot, class: &Class, commands: &mut Vec<Command>) {
        for set in class.sets.iter().filter(|set| set.expiring && !set.dynamic) {
            let same = |other: &Set| other.table == set.table && other.name == set.name;
            let anew = |command: &Command| matches!(command, Command::AddSet(new) if same(new));
            let Some(actual) = snapshot.sets.iter().find(|set| same(set)) else { continue };
            if commands.iter().any(anew) {
                continue;
            }
            let [bypassed, watched] = &self.touched;
            let keys = if set.name == SET_BYPASS { bypassed } else { watched };
            let touched = |of: &Set| {
                let mut elements = LiteMap::new();
                let of_key = |key: &Vec<u8>| Some((key.clone(), *of.elements.get(key)?));
                elements.extend(keys.iter().filter_map(of_key));
                Set { elements, ..set.clone() }
            };
            // Kernels before 6.12 do not change the time of an element that is there.
            let (gone, new) = (touched(actual), touched(set));
            if !gone.elements.is_empty() {
                commands.push(Command::RemoveElements(gone));
            }
            if !new.elements.is_empty() {
                commands.push(Command::AddElements(new));
            }
        }
    }
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "orders_waiting_tests.rs"]
mod waiting_tests;
