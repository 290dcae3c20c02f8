// SPDX-License-Identifier: GPL-2.0-or-later
//! Flows on the fast path that conntrack shows on the classic one.
//!
//! The kernel takes conntrack's mark away when it lets go of a flow, and again when it frees what
//! it has let go of. When the connection was offloaded anew in between (into the table that has
//! replaced the one before, for example), the second time takes the mark of the living flow. From
//! then on it is shown as classic, and before Linux 6.14 conntrack's timeout runs out while it
//! carries packets: a UDP mapping is lost. Only a new table mends it, and only when the connection
//! is kept off it until the old one is freed.
//!
//! They give themselves away: every packet on the classic path puts the timeout back, so a
//! connection that carries packets while its time to expire stands still carries them elsewhere.

use crate::netlink::conntrack::entry::Entry;
use crate::netlink::conntrack::status::IPS_FIXED_TIMEOUT;

/// Suspects kept. With offload on, few classic connections carry anything for long.
const SUSPECTS_MAX: usize = 1024;
/// Conntrack tells the timeout in whole seconds, and a list takes its time.
const SAME_MS: u32 = 1500;
/// What is carried so long after a suspect's time to expire was first seen would have moved it by
/// more than [`SAME_MS`].
const CERTAIN_MS: u32 = 3500;
/// Connections found that are told of at once.
const FOUND_MAX: usize = 256;
/// Suspects that have carried nothing for so long make room.
const QUIET_MS: u32 = 120_000;

/// What a list says about a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// When this list began, and the one that saw the connection before.
    pub listed_ms: [u32; 2],
    /// When the connection was seen to have carried something last.
    pub active_ms: u32,
}

/// A connection on the classic path.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    id: u32,
    /// When it will expire, and since when that is known.
    expires_ms: u32,
    since_ms: u32,
    /// The list that saw it last.
    seen_ms: u32,
}

/// Connections under suspicion, by id.
#[derive(Debug, Default)]
pub(super) struct Unshown {
    suspects: Vec<Suspect>,
    found: Vec<u32>,
}

impl Unshown {
    /// A connection that is shown on the classic path, and was known before.
    pub fn observe(&mut self, entry: &Entry, sight: Sight) {
        let [now_ms, before_ms] = sight.listed_ms;
        let active = sight.active_ms == now_ms;
        let quiet = now_ms.wrapping_sub(sight.active_ms) >= QUIET_MS;
        let Some(timeout_s) = entry.timeout_s else { return };
        if quiet || !entry.is_assured() || entry.status & IPS_FIXED_TIMEOUT != 0 {
            return;
        }
        let expires_ms = now_ms.wrapping_add(timeout_s.wrapping_mul(1000));
        let fresh = Suspect { id: entry.id, expires_ms, since_ms: now_ms, seen_ms: now_ms };
        match self.suspects.binary_search_by_key(&entry.id, |suspect| suspect.id) {
            Err(place) if active && self.suspects.len() < SUSPECTS_MAX => {
                self.suspects.insert(place, fresh);
            }
            Err(_) => (),
            Ok(place) => {
                let Some(suspect) = self.suspects.get_mut(place) else { return };
                let moved_ms = expires_ms.wrapping_sub(suspect.expires_ms).cast_signed();
                if moved_ms.unsigned_abs() > SAME_MS {
                    *suspect = fresh;
                    return;
                }
                suspect.seen_ms = now_ms;
                let known_ms = before_ms.wrapping_sub(suspect.since_ms).cast_signed();
                let room = self.found.len() < FOUND_MAX;
                if active && known_ms >= CERTAIN_MS.cast_signed() && room {
                    self.found.push(entry.id);
                }
            }
        }
    }

    /// The list that began then is complete: who was not in it is no suspect any more.
    pub fn end(&mut self, now_ms: u32) {
        self.suspects.retain(|suspect| suspect.seen_ms == now_ms);
    }

    /// Conntrack's ids of those found since this was asked last.
    pub fn take(&mut self) -> Vec<u32> {
        let found = std::mem::take(&mut self.found);
        self.suspects.retain(|suspect| !found.contains(&suspect.id));
        found
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Unshown::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::table::tests::{entry, poll};
    use crate::core::flows::table::{FlowTable, FLOWS_MAX};
    use crate::netlink::conntrack::status::IPS_OFFLOAD;
    use proptest::prelude::*;

    const TIMEOUT_S: u32 = 120;

    /// A table's verdicts on a connection that had carried so many bytes and was to expire in so
    /// many seconds, list by list.
    fn verdicts(lists: &[(u32, u64, u32)], status: u32) -> Vec<usize> {
        let mut table = FlowTable::new(FLOWS_MAX);
        let look = |&(now_ms, bytes, timeout_s): &(u32, u64, u32)| {
            let mut entry = entry(1, bytes);
            (entry.timeout_s, entry.status) = (Some(timeout_s), entry.status | status);
            poll(&mut table, now_ms.into(), &[entry]);
            table.take_unshown().len()
        };
        lists.iter().map(look).collect()
    }

    const LISTS: [(u32, u64, u32); 5] =
        [(0, 1000, 90), (2000, 2000, 88), (4000, 3000, 86), (6000, 4000, 84), (8000, 5000, 82)];

    #[test]
    fn what_carries_packets_while_its_timeout_runs_is_found() {
        assert_eq!(verdicts(&LISTS, 0), [0, 0, 0, 0, 1]);
        let slowly = (0..4).map(|n| (n * 30_000, u64::from(n + 1) * 1000, 99 - 30 * n));
        assert_eq!(verdicts(&slowly.collect::<Vec<_>>(), 0), [0, 0, 0, 1]);
    }

    #[test]
    fn what_is_offloaded_or_has_a_fixed_timeout_is_not() {
        assert_eq!(verdicts(&LISTS, IPS_OFFLOAD), [0; 5]);
        assert_eq!(verdicts(&LISTS, IPS_FIXED_TIMEOUT), [0; 5]);
    }

    #[test]
    fn what_carries_nothing_is_not() {
        let mut lists = LISTS;
        lists.iter_mut().skip(2).for_each(|list| list.1 = 2000);
        assert_eq!(verdicts(&lists, 0), [0; 5]);
    }

    #[test]
    fn suspicion_ends_with_the_connection_and_is_bounded() {
        let mut table = FlowTable::new(FLOWS_MAX);
        let many = 2 * SUSPECTS_MAX as u32;
        for round in 1..4u32 {
            let entries: Vec<_> = (0..many).map(|id| entry(id, u64::from(round) * 1000)).collect();
            poll(&mut table, u64::from(round) * 2000, &entries);
        }
        assert_eq!(table.unshown.suspects.len(), SUSPECTS_MAX);
        poll(&mut table, 8000, &[]);
        assert_eq!(table.unshown.suspects.len(), 0);
    }

    proptest! {
        /// Whatever the pattern of packets on the classic path and of the lists, nothing is found.
        #[test]
        fn the_classic_path_is_above_suspicion(
            packets in prop::collection::vec(1u32..9000, 1..60),
            lists in prop::collection::vec((1500u32..9000, 0u32..900), 1..30),
        ) {
            let mut at = 0;
            let times: Vec<u32> = packets.iter().map(|pause| { at += pause; at }).collect();
            let mut table = FlowTable::new(FLOWS_MAX);
            let mut begun = 10_000;
            for (pause, late) in lists {
                begun += pause;
                // The list names this connection some time after it has begun.
                let now = begun + late;
                let before: Vec<u32> = times.iter().copied().filter(|time| *time <= now).collect();
                let last = before.last().copied().unwrap_or(0);
                let expires = last + TIMEOUT_S * 1000;
                let mut entry = entry(1, 100 * before.len() as u64);
                entry.timeout_s = Some(expires.saturating_sub(now) / 1000);
                poll(&mut table, begun.into(), &[entry]);
                prop_assert!(table.take_unshown().is_empty());
            }
        }
    }
}
