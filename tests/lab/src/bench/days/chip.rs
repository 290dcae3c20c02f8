// SPDX-License-Identifier: GPL-2.0-or-later
//! A switch's table of any size, as far as time and room go: each operation takes the bus for what
//! it costs on a QCA8337, and an entry forwards from the instant at which it is written.

use super::connections::Connections;
use crate::bench::mdio::TRANSFER_S;
use flowtabled::core::hardware::{Ended, Work};
use hw_drivers::table::{Entry, Error, Progress, Resource, Sight};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

/// Transfers of each operation, as `cargo xtask bench mdio` counts them. A client's first entry
/// takes some 120 more, once.
const INSERT: f64 = 31.0;
const VERIFY: f64 = 39.0;
const REMOVE: f64 = 29.0;
const SEEN: f64 = 28.6;
const ALIVE: f64 = 62.0;
/// Entries that a call of a sweep sees: 102 transfers, and what was begun.
const AT_ONCE: usize = 4;

/// What is in an entry.
#[derive(Debug, Clone, Copy)]
struct Held {
    id: u32,
    /// What the connection had carried when a sweep looked last.
    looked: u64,
}

/// The table.
#[derive(Debug)]
pub struct Chip {
    capacity: usize,
    entries: BTreeMap<u32, Held>,
    last: u32,
    sweep_from: u32,
}

impl Chip {
    /// An empty one with so many entries.
    pub fn new(capacity: usize) -> Chip {
        Chip { capacity, entries: BTreeMap::new(), last: 0, sweep_from: 0 }
    }

    /// Time that taking an entry out and putting another one in takes.
    pub fn change() -> Duration {
        time(INSERT + VERIFY + REMOVE)
    }

    /// Begins an operation at an instant; how it ends, and how long that takes.
    pub fn perform(
        &mut self,
        work: Work,
        now: Duration,
        connections: &mut Connections,
    ) -> (Ended, Duration) {
        let (ended, transfers) = match work {
            Work::SetUp(_) => (Ended::SetUp(Ok(Progress::Done)), 0.0),
            Work::Disable => (Ended::Disabled(Ok(Progress::Done)), 0.0),
            Work::Alive => (Ended::Alive(Ok(())), ALIVE),
            Work::Insert { id, .. } => {
                let inserted = self.insert(id, millis(now + time(INSERT)), connections);
                (Ended::Inserted(id, inserted), INSERT)
            }
            Work::Verify { id, entry } => {
                let there = self.entries.contains_key(&entry.0);
                let result = if there { Ok(()) } else { Err(Error::NoEntry(entry)) };
                (Ended::Verified(id, entry, result), VERIFY)
            }
            Work::Remove { id, entry } => {
                let gone = self.entries.remove(&entry.0).map(drop);
                connections.leave(id, millis(now + time(REMOVE)));
                (Ended::Removed(id, entry, gone.ok_or(Error::NoEntry(entry))), REMOVE)
            }
            Work::Sweep => {
                let (seen, progress) = self.sweep(millis(now), connections);
                let transfers = SEEN * seen.len() as f64;
                (Ended::Swept(seen, Ok(progress)), transfers)
            }
        };
        (ended, time(transfers))
    }

    fn insert(&mut self, id: u32, at_ms: u64, flows: &mut Connections) -> Result<Entry, Error> {
        if self.entries.len() >= self.capacity {
            return Err(Error::Full(Resource::Flows));
        }
        flows.enter(id, at_ms);
        self.last = self.last.wrapping_add(1);
        let looked = flows.get(id).map_or(0, |live| live.traffic.total(at_ms));
        self.entries.insert(self.last, Held { id, looked });
        Ok(Entry(self.last))
    }

    fn sweep(&mut self, at_ms: u64, connections: &Connections) -> (Vec<Sight>, Progress) {
        let from = (Bound::Excluded(self.sweep_from), Bound::Unbounded);
        let mut seen = Vec::new();
        for (number, held) in self.entries.range_mut(from).take(AT_ONCE) {
            let carried = connections.get(held.id).map(|live| live.traffic.total(at_ms));
            let hit = carried.is_some_and(|carried| carried > held.looked);
            held.looked = carried.unwrap_or(held.looked);
            seen.push(Sight { entry: Entry(*number), hit, counted: None });
            self.sweep_from = *number;
        }
        if seen.len() < AT_ONCE {
            self.sweep_from = 0;
            return (seen, Progress::Done);
        }
        (seen, Progress::More)
    }
}

fn time(transfers: f64) -> Duration {
    Duration::from_secs_f64(transfers * TRANSFER_S)
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
