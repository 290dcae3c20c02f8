// SPDX-License-Identifier: GPL-2.0-or-later
//! A quarter of an hour of a simulated evening: the selection for switches is as good as
//! docs/simulation.md says, no byte is lost or counted twice, and memory stays in its bounds.

use lab::bench::days::cost;
use lab::bench::days::shares::{Place, Table};
use lab::bench::days::{clients::Population, replay::Outcome};
use stats_alloc::{StatsAlloc, INSTRUMENTED_SYSTEM};
use std::alloc::System;
use std::sync::{Mutex, PoisonError};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
/// What one test allocates must not be counted by the other.
static ALONE: Mutex<()> = Mutex::new(());

const EVENING: Place = Place {
    name: "evening",
    population: Population { clients: 10, from_hour: 20, lasts_ms: 15 * 60_000, seed: 1 },
};
/// Fewer than there are fast flows.
const ENTRIES: usize = 8;

fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

#[test]
fn the_selection_is_nearly_as_good_as_knowing_the_future() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let table = Table::of(&EVENING, ENTRIES);
    let [ours, oracle, random, lru] = table.shares();
    assert!(ours >= 0.85 * oracle, "{ours} of {oracle}");
    assert!(ours >= 1.5 * random.max(lru), "{ours}, random {random}, LRU {lru}");
    let saved = table.outcomes().map(Outcome::saved);
    assert!(saved.iter().skip(2).all(|other| saved[0] > *other), "{saved:?}");
    for outcome in table.outcomes() {
        let paths = outcome.paths;
        assert_eq!(paths.classic + paths.software + paths.hardware, outcome.drawn);
        assert_eq!(outcome.drawn, table.ours.drawn, "the same trace");
    }
    let accounted: u64 = table.ours.accounted.iter().sum();
    assert_eq!(accounted + table.ours.paths.hardware, table.ours.drawn);
}

#[test]
fn memory_follows_the_number_of_flows_up_to_its_bound() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let all = cost::measure(30, usize::MAX, heap);
    assert!(all.flows > 1000 && all.left_out == 0, "{all:?}");
    // The table grows by 1024 records of 96 bytes at a time; clients and history are the rest.
    assert!(all.heap <= 120 * (all.flows + 1024) + 96 * 1024, "{all:?}");
    let few = cost::measure(30, 256, heap);
    assert_eq!((few.flows, few.left_out), (all.flows, all.flows - 256));
    assert!(few.heap < all.heap, "{few:?} {all:?}");
}
