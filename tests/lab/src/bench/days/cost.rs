// SPDX-License-Identifier: GPL-2.0-or-later
//! What following so many connections costs the daemon's decisions alone: heap, and processor time
//! for each entry of a list and each end. A peer takes turns that only keeps counters in a hash map.

use super::clients::{Clients, Population};
use super::connections::Connections;
use super::replay::{ask, topology, LIST_MS};
use crate::bench::figure::median;
use flowtabled::core::flows::table::FlowTable;
use flowtabled::core::hardware::{SETTLED, WORTHWHILE};
use flowtabled::netlink::conntrack::entry::{Counters, Entry};
use flowtabled::netlink::conntrack::Tuple;
use flowtabled::sys::clock::cpu_time;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;

/// The evening begins so long before the first list.
const EARLIER_MS: u64 = 20 * 60_000;
const EVENING: u64 = 20;
/// Lists of which the first is not counted, because everything is new to it.
const LISTS: usize = 13;

/// A connection of the peer: what it had carried at the last list, and the sums of all.
type Known = HashMap<(Tuple, u16), [Option<Counters>; 2]>;

/// What it costs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Connections in the last list.
    pub flows: usize,
    /// Bytes of heap after it, without and with the most during it.
    pub heap: usize,
    /// The peer's.
    pub peer_heap: usize,
    /// Nanoseconds for an entry of a list, and the peer's.
    pub entry_ns: [f64; 2],
    /// Nanoseconds for an end, and the peer's.
    pub end_ns: [f64; 2],
    /// Nanoseconds a flow for finding those that a switch of 1024 entries could take.
    pub pick_ns: f64,
    /// Flows that were not kept, and those that were.
    pub left_out: usize,
}

/// An evening as it goes on.
struct Evening {
    opened: std::iter::Peekable<Clients>,
    connections: Connections,
}

impl Evening {
    fn new(clients: u32) -> Evening {
        let lasts_ms = EARLIER_MS + LIST_MS * 1000;
        let population = Population { clients, from_hour: EVENING, lasts_ms, seed: 1 };
        let opened = Clients::new(population).peekable();
        Evening { opened, connections: Connections::default() }
    }

    /// Everything up to an instant; the ends that the kernel tells.
    fn pass(&mut self, until_ms: u64) -> Vec<Entry> {
        let mut ends = Vec::new();
        loop {
            let begins_ms = self.opened.peek().map(|opened| opened.traffic.begins_ms);
            let changes_ms = self.connections.next_change_ms();
            let next_ms = [begins_ms, changes_ms].into_iter().flatten().min();
            if next_ms.is_none_or(|next_ms| next_ms >= until_ms) {
                return ends;
            }
            if begins_ms == next_ms {
                let opened = self.opened.next();
                if let Some(opened) = &opened {
                    self.connections.begin(opened);
                }
            } else if let Some(ended) = self.connections.change() {
                ends.push(ended.entry);
            }
        }
    }

    fn list(&self, at_ms: u64) -> Vec<Entry> {
        self.connections.iter().map(|live| live.entry(at_ms)).collect()
    }
}

/// Heap, and nanoseconds for each entry and each end, a list at a time.
#[derive(Default)]
struct Side {
    heap: usize,
    entry_ns: Vec<f64>,
    end_ns: Vec<f64>,
}

impl Side {
    /// Has it follow the ends and a list; the first one is not timed.
    fn follow(
        &mut self,
        heap: &impl Fn() -> usize,
        (ended, list): (&[Entry], &[Entry]),
        [end, observe]: [&mut dyn FnMut(); 2],
    ) {
        let before = heap();
        let [end_ns, list_ns] = [timed(end), timed(observe)];
        self.heap = (self.heap + heap()).saturating_sub(before);
        self.end_ns.push(end_ns / ended.len().max(1) as f64);
        self.entry_ns.push(list_ns / list.len().max(1) as f64);
    }
}

/// Measures with so many clients and room for so many flows; `heap` tells how many bytes the
/// program has.
pub fn measure(clients: u32, limit: usize, heap: impl Fn() -> usize) -> Cost {
    let mut evening = Evening::new(clients);
    let before = heap();
    let mut table = new_table(limit);
    let mut ours = Side { heap: heap() - before, ..Side::default() };
    let (mut peer, mut theirs) = (Known::new(), Side::default());
    let mut picks = Vec::new();
    let mut cost = Cost::default();
    for number in 0..LISTS {
        let at_ms = EARLIER_MS + LIST_MS * number as u64;
        let ended = evening.pass(at_ms);
        let list = evening.list(at_ms);
        let both = (ended.as_slice(), list.as_slice());
        // The two closures take turns with the table.
        let shared = RefCell::new(&mut table);
        ours.follow(
            &heap,
            both,
            [
                &mut || {
                    let mut table = shared.borrow_mut();
                    ended.iter().for_each(|end| table.destroyed(end, at_ms, &mut ask));
                },
                &mut || observe(&mut shared.borrow_mut(), &list, at_ms),
            ],
        );
        picks.push(timed_pick(&table, at_ms) / list.len().max(1) as f64);
        let shared = RefCell::new(&mut peer);
        theirs.follow(
            &heap,
            both,
            [
                &mut || {
                    let mut peer = shared.borrow_mut();
                    for end in &ended {
                        peer.remove(&(end.orig, end.zone));
                    }
                },
                &mut || keep(&mut shared.borrow_mut(), &list),
            ],
        );
        (cost.flows, cost.left_out) = (list.len(), list.len() - table.len().min(list.len()));
    }
    let later = |times: &[f64]| median(times.get(1..).unwrap_or_default());
    [cost.heap, cost.peer_heap] = [ours.heap, theirs.heap];
    cost.entry_ns = [later(&ours.entry_ns), later(&theirs.entry_ns)];
    cost.end_ns = [later(&ours.end_ns), later(&theirs.end_ns)];
    cost.pick_ns = median(&picks);
    cost
}

/// What [`count`] does with each list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Nothing.
    Nothing,
    /// The daemon's table.
    Ours,
    /// The peer.
    Peer,
}

/// Makes so many lists, for somebody who counts instructions; the number of their entries.
pub fn count(counted: Counted, clients: u32, lists: usize) -> usize {
    let mut evening = Evening::new(clients);
    let mut table = new_table(usize::MAX);
    let mut peer = Known::new();
    let mut entries = 0;
    evening.pass(EARLIER_MS);
    // The same connections over and over: what differs between runs is the number of lists.
    let list = evening.list(EARLIER_MS);
    for number in 0..lists {
        let at_ms = EARLIER_MS + LIST_MS * number as u64;
        match counted {
            Counted::Nothing => (),
            Counted::Ours => observe(&mut table, &list, at_ms),
            Counted::Peer => keep(&mut peer, &list),
        }
        entries += black_box(&list).len();
    }
    entries
}

fn new_table(limit: usize) -> FlowTable {
    let mut table = FlowTable::new(limit);
    *table.topology_mut() = topology();
    // The first list only tells where counters stand.
    table.begin(0);
    table.end(true);
    table
}

fn observe(table: &mut FlowTable, list: &[Entry], at_ms: u64) {
    table.begin(at_ms);
    list.iter().for_each(|entry| table.observe(entry, &mut ask));
    table.end(true);
}

fn keep(peer: &mut Known, list: &[Entry]) {
    for entry in list {
        peer.insert((entry.orig, entry.zone), [entry.counters_orig, entry.counters_reply]);
    }
}

fn timed_pick(table: &FlowTable, at_ms: u64) -> f64 {
    let settled_ms = SETTLED.as_millis() as u32;
    timed(|| drop(black_box(table.pick(at_ms, WORTHWHILE, settled_ms, 2048))))
}

/// Nanoseconds of the processor.
fn timed(mut act: impl FnMut()) -> f64 {
    let before = cpu_time();
    act();
    cpu_time().saturating_sub(before).as_nanos() as f64
}
