// SPDX-License-Identifier: GPL-2.0-or-later
//! Which flows the driver has put into the table, and where. At most two for each four entries
//! of the table, so it needs no limit of its own.

use super::super::entry::Words;
use super::account::Count;
use crate::flow::{Flow, Protocol, Tuple};
use crate::table::Entry;
use litemap::LiteMap;

/// One direction.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Entry of the table; `None` when another flow has it now.
    pub index: Option<u16>,
    /// What was written.
    pub words: Words,
    /// The timestamp of the last sweep.
    pub time: u16,
    /// Its counters, if it has a group of its own.
    pub count: Option<Count>,
}

/// A flow: original direction, reply.
#[derive(Debug, Clone)]
pub struct Held {
    tuples: [(Protocol, Tuple); 2],
    /// Its directions.
    pub slots: [Slot; 2],
    /// The account groups that are its own.
    pub groups: Option<[u8; 2]>,
}

/// All flows.
#[derive(Debug, Clone, Default)]
pub struct Book {
    flows: LiteMap<u32, Held>,
    by_index: LiteMap<u16, u32>,
    by_tuple: LiteMap<(Protocol, Tuple), u32>,
    next: u32,
}

impl Book {
    /// Flows.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// The flow that has one of this flow's tuples.
    pub fn find(&self, flow: &Flow) -> Option<Entry> {
        tuples(flow).iter().find_map(|tuple| self.by_tuple.get(tuple)).map(|number| Entry(*number))
    }

    /// A flow by its number.
    pub fn get(&mut self, Entry(number): Entry) -> Option<&mut Held> {
        self.flows.get_mut(&number)
    }

    /// Takes a flow in; who had its entries before, and lost them, has them no more.
    pub fn add(&mut self, flow: &Flow, slots: [Slot; 2], groups: Option<[u8; 2]>) -> Entry {
        while self.flows.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = number.wrapping_add(1);
        for index in slots.iter().filter_map(|slot| slot.index) {
            let before = self.by_index.insert(index, number);
            let Some(held) = before.and_then(|before| self.flows.get_mut(&before)) else {
                continue;
            };
            for slot in held.slots.iter_mut().filter(|slot| slot.index == Some(index)) {
                slot.index = None;
            }
        }
        let tuples = tuples(flow);
        self.by_tuple.extend(tuples.map(|tuple| (tuple, number)));
        self.flows.insert(number, Held { tuples, slots, groups });
        Entry(number)
    }

    /// Strikes a flow out.
    pub fn strike(&mut self, Entry(number): Entry) -> Option<Held> {
        let held = self.flows.remove(&number)?;
        for tuple in &held.tuples {
            self.by_tuple.remove(tuple);
        }
        for index in held.slots.iter().filter_map(|slot| slot.index) {
            self.by_index.remove(&index);
        }
        Some(held)
    }

    /// Numbers of flows from `from` on, in their order.
    pub fn numbers(&self, from: u32, limit: usize) -> Vec<u32> {
        let first = self.flows.find_index(&from).unwrap_or_else(|place| place);
        self.flows.iter().skip(first).take(limit).map(|(number, _)| *number).collect()
    }
}

fn tuples(flow: &Flow) -> [(Protocol, Tuple); 2] {
    [flow.original, flow.reply].map(|tuple| (flow.protocol, tuple))
}
