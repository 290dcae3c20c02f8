// SPDX-License-Identifier: GPL-2.0-or-later
//! Which flows deserve the entries of a switch when there are fewer of them than flows.
//!
//! Bytes a second count: an entry saves the processor what its flow would have cost. A flow in
//! hardware is known by the rate that it had before, and by whether packets meet it; one that
//! carries nothing any more is the first to go. To change places costs bus time and a moment on the
//! slower path, so a newcomer has to be a good deal better than the weakest, which has had its time.

use std::cmp::Reverse;
use std::time::Duration;

/// Slower flows are not worth an entry, not even a free one: at some seventeen packets a second, a
/// third of them acknowledgements, it takes ten to twenty seconds until the processor has saved
/// what the bus costs it, 2.5 ms for an entry that comes and goes and 0.7 ms for each sweep.
pub const WORTHWHILE: u64 = 16 * 1024;
/// Younger flows may be over before they are in hardware.
pub const SETTLED: Duration = Duration::from_secs(5);
/// An entry is kept for so long at least, unless nothing meets it.
const STAY: Duration = Duration::from_secs(20);
/// A newcomer displaces the weakest when it is faster by this factor.
const BETTER: u64 = 2;
/// Entries that change hands at once, so that a storm of new flows does not turn the table over.
pub const CHANGES_MAX: usize = 64;

/// What the choice weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Slower flows, in bytes a second, are not taken.
    pub worthwhile: u64,
    /// Younger flows are not.
    pub settled: Duration,
    /// An entry that packets meet is kept for so long.
    pub stay: Duration,
    /// By which factor a newcomer has to be faster.
    pub better: u64,
    /// Entries that change hands at once.
    pub changes_max: usize,
}

impl Rules {
    /// Those of the daemon; others are for measurements.
    pub const USUAL: Rules = Rules {
        worthwhile: WORTHWHILE,
        settled: SETTLED,
        stay: STAY,
        better: BETTER,
        changes_max: CHANGES_MAX,
    };
}

/// A flow that could be in hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Conntrack's id.
    pub id: u32,
    /// Bytes a second, both directions.
    pub rate: u64,
    /// Time since it was seen first.
    pub age: Duration,
}

/// A flow that has an entry, or is to get one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Conntrack's id.
    pub id: u32,
    /// Bytes a second, as far as is known.
    pub rate: u64,
    /// Time since it got the entry.
    pub since: Duration,
    /// Packets meet it.
    pub busy: bool,
}

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Flows that are to get an entry, the best first.
    pub insert: Vec<u32>,
    /// Flows that are to give theirs up.
    pub remove: Vec<u32>,
}

/// Chooses among `candidates`, none of which is a holder, for a table with room for `capacity`.
pub fn choose(
    rules: &Rules,
    holders: &[Holder],
    candidates: &[Candidate],
    capacity: usize,
) -> Changes {
    let worthy = |candidate: &&Candidate| {
        candidate.rate >= rules.worthwhile && candidate.age >= rules.settled
    };
    let mut best: Vec<&Candidate> = candidates.iter().filter(worthy).collect();
    // By the id too, so that equals do not change places from one list to the next.
    best.sort_unstable_by_key(|candidate| (Reverse(candidate.rate), candidate.id));
    let mut best = best.into_iter();
    let room = capacity.saturating_sub(holders.len());
    let mut changes = Changes {
        insert: best.by_ref().take(room).map(|candidate| candidate.id).collect(),
        remove: Vec::new(),
    };
    let leaves = |holder: &&Holder| !holder.busy || holder.since >= rules.stay;
    let mut weakest: Vec<&Holder> = holders.iter().filter(leaves).collect();
    weakest.sort_unstable_by_key(|holder| (holder.worth(), holder.id));
    for (holder, candidate) in weakest.into_iter().zip(best).take(rules.changes_max) {
        if candidate.rate < holder.worth().saturating_mul(rules.better) {
            break;
        }
        changes.remove.push(holder.id);
        changes.insert.push(candidate.id);
    }
    changes
}

impl Holder {
    fn worth(&self) -> u64 {
        if self.busy {
            self.rate
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn choose(holders: &[Holder], candidates: &[Candidate], capacity: usize) -> Changes {
        super::choose(&Rules::USUAL, holders, candidates, capacity)
    }

    const LONG: Duration = Duration::from_secs(100);

    fn candidate(id: u32, rate: u64) -> Candidate {
        Candidate { id, rate, age: LONG }
    }

    fn holder(id: u32, rate: u64) -> Holder {
        Holder { id, rate, since: LONG, busy: true }
    }

    #[test]
    fn the_fastest_come_first_and_no_more_than_there_is_room_for() {
        let candidates = [candidate(1, WORTHWHILE), candidate(2, 9 * WORTHWHILE)];
        let changes = choose(&[], &candidates, 8);
        assert_eq!(changes.insert, [2, 1]);
        assert_eq!(choose(&[], &candidates, 1).insert, [2]);
        assert_eq!(choose(&[], &candidates, 0), Changes::default());
    }

    #[test]
    fn the_slow_and_the_young_are_not_worth_it() {
        let young = Candidate { age: SETTLED - Duration::from_millis(1), ..candidate(1, u64::MAX) };
        let changes = choose(&[], &[young, candidate(2, WORTHWHILE - 1)], 8);
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn a_newcomer_has_to_be_a_good_deal_better() {
        let full = [holder(1, 10 * WORTHWHILE), holder(2, 20 * WORTHWHILE)];
        let against = |rate| choose(&full, &[candidate(3, rate)], 2);
        assert_eq!(against(20 * WORTHWHILE - 1), Changes::default());
        let changes = against(20 * WORTHWHILE);
        assert_eq!(changes, Changes { insert: vec![3], remove: vec![1] });
        let new = [Holder { since: STAY - Duration::from_millis(1), ..full[0] }, full[1]];
        assert_eq!(choose(&new, &[candidate(3, 30 * WORTHWHILE)], 2), Changes::default());
    }

    #[test]
    fn what_nothing_meets_goes_at_once() {
        let idle = Holder { busy: false, since: Duration::ZERO, ..holder(1, u64::MAX) };
        let changes = choose(&[idle, holder(2, 1)], &[candidate(3, WORTHWHILE)], 2);
        assert_eq!(changes, Changes { insert: vec![3], remove: vec![1] });
    }

    proptest! {
        /// There is always room for what is inserted, nobody gains a place by being worse, and the
        /// same question has the same answer.
        #[test]
        fn entries_are_never_promised_twice(
            rates in prop::collection::vec(0u64..50 * WORTHWHILE, 0..40),
            offers in prop::collection::vec(0u64..50 * WORTHWHILE, 0..200),
            spare in 0usize..20,
        ) {
            let holders: Vec<Holder> =
                (0u32..).zip(&rates).map(|(id, rate)| holder(id, *rate)).collect();
            let candidates: Vec<Candidate> =
                (1000u32..).zip(&offers).map(|(id, rate)| candidate(id, *rate)).collect();
            let capacity = holders.len() + spare;
            let changes = choose(&holders, &candidates, capacity);
            prop_assert!(holders.len() - changes.remove.len() + changes.insert.len() <= capacity);
            prop_assert!(changes.remove.len() <= CHANGES_MAX);
            let rate = |id: u32| offers[id as usize - 1000];
            let slowest = changes.insert.iter().map(|id| rate(*id)).min();
            let passed = candidates.iter().filter(|c| !changes.insert.contains(&c.id));
            if let (Some(slowest), Some(best)) = (slowest, passed.map(|c| c.rate).max()) {
                prop_assert!(best <= slowest);
            }
            for id in &changes.remove {
                prop_assert!(slowest >= Some(2 * rates[*id as usize]));
            }
            prop_assert_eq!(choose(&holders, &candidates, capacity), changes);
        }
    }
}
