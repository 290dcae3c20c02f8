// SPDX-License-Identifier: GPL-2.0-or-later
//! What flows carried, added up by state: totals that never go backwards, and a ring of rates for
//! the last ten minutes.

use std::collections::VecDeque;
use std::time::Duration;

use super::FlowState;
use crate::netlink::conntrack::entry::Counters;

/// Ten minutes at the quickest poll.
pub const SAMPLES_MAX: usize = 300;
/// How far back the ring goes.
pub const HISTORY: Duration = Duration::from_secs(600);

/// A number for each state.
pub type ByState = [Counters; 3];

/// What was carried between two polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When the later poll ended, in milliseconds since the daemon started.
    pub at_ms: u32,
    /// Milliseconds between the two.
    pub span_ms: u32,
    /// Packets and bytes of both directions, by state.
    pub carried: ByState,
}

/// Totals and history.
#[derive(Debug, Default)]
pub struct Account {
    totals: ByState,
    /// Carried since the last sample.
    current: ByState,
    last_ms: Option<u32>,
    samples: VecDeque<Sample>,
    /// Packets of assured connections that came and went between two polls, by whatever path: they
    /// may have been offloaded.
    pub unseen: u64,
    /// Flows that ended between two polls without telling what they carried last.
    pub ended_unseen: u64,
}

impl Account {
    /// Adds what a flow carried on a path.
    pub fn add(&mut self, state: FlowState, carried: Counters) {
        for sum in [&mut self.totals, &mut self.current] {
            if let Some(entry) = sum.get_mut(state as usize) {
                *entry = entry.plus(carried);
            }
        }
    }

    /// Ends a poll: what was added since the last one becomes a sample.
    pub fn sample(&mut self, now_ms: u32) {
        let carried = std::mem::take(&mut self.current);
        if let Some(last_ms) = self.last_ms.replace(now_ms) {
            let span_ms = now_ms.wrapping_sub(last_ms);
            self.samples.push_back(Sample { at_ms: now_ms, span_ms, carried });
        }
        let age = |sample: &Sample| u128::from(now_ms.wrapping_sub(sample.at_ms));
        while self.samples.len() > SAMPLES_MAX
            || self.samples.front().is_some_and(|first| age(first) > HISTORY.as_millis())
        {
            self.samples.pop_front();
        }
    }

    /// Everything since the daemon started, by state.
    pub fn totals(&self) -> ByState {
        self.totals
    }

    /// The samples of the last ten minutes, the oldest first.
    pub fn history(&self) -> impl ExactSizeIterator<Item = &Sample> {
        self.samples.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_hold_what_came_between_two_polls() {
        let mut account = Account::default();
        let carried = |bytes| Counters { packets: 1, bytes };
        account.add(FlowState::Software, carried(100));
        account.sample(1000);
        assert_eq!(account.history().count(), 0, "nothing to compare the first poll with");
        account.add(FlowState::Software, carried(50));
        account.add(FlowState::Classic, carried(7));
        account.sample(3000);
        let sample = *account.history().next().unwrap();
        assert_eq!((sample.at_ms, sample.span_ms), (3000, 2000));
        assert_eq!(sample.carried.map(|counters| counters.bytes), [7, 50, 0]);
        assert_eq!(account.totals().map(|counters| counters.bytes), [7, 150, 0]);
    }

    #[test]
    fn the_ring_is_bounded_in_number_and_time() {
        let mut account = Account::default();
        (0..1000).for_each(|tick| account.sample(tick * 1000));
        assert_eq!(account.history().count(), SAMPLES_MAX);
        account.sample(2_000_000);
        assert_eq!(account.history().count(), 1);
    }
}
