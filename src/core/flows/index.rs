// SPDX-License-Identifier: GPL-2.0-or-later
//! Positions of records by hash: open addressing with four bytes a slot.
//!
//! The keys stay in the records, so that a flow costs its record and five to seven bytes here; a
//! `HashMap` would hold each key a second time. Twelve bits of the hash stand beside the position,
//! so that seldom a record has to be looked at that is not the one sought; others say in which slot
//! the search begins, of any number of slots: doubling them would leave up to three in five empty.

/// No record.
const EMPTY: u32 = u32::MAX;
/// Where a slot holds the position, which is less; the rest is from the hash.
const POSITION: u32 = (1 << POSITION_BITS) - 1;
const POSITION_BITS: u32 = 20;
/// Smallest number of slots.
const SLOTS_MIN: usize = 64;

/// Slots with linear probing. The caller compares keys and supplies hashes of 32 bits.
#[derive(Debug)]
pub(super) struct Index {
    slots: Vec<u32>,
    used: usize,
}

impl Index {
    pub(super) fn new() -> Index {
        Index { slots: vec![EMPTY; SLOTS_MIN], used: 0 }
    }

    /// The position whose record `is` the one sought.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let alike = self.probe(hash).filter(|(_, slot)| (slot ^ held(hash, 0)) & !POSITION == 0);
        alike.map(|(_, slot)| slot & POSITION).find(|&position| is(position))
    }

    /// Adds a position that is not there yet; `hash_of` hashes the record at a position.
    pub(super) fn insert(&mut self, hash: u64, position: u32, hash_of: impl Fn(u32) -> u64) {
        // At most four fifths full, or probing gets long.
        if (self.used + 1) * 5 > self.slots.len() * 4 {
            self.rebuild(self.slots.len() / 4 * 5, hash_of);
        }
        self.place(hash, position);
        self.used += 1;
    }

    /// Takes a position out.
    pub(super) fn remove(&mut self, hash: u64, position: u32, hash_of: impl Fn(u32) -> u64) {
        let Some(mut hole) = self.slot_of(hash, position) else { return };
        self.used -= 1;
        // What follows without a gap moves back into the hole, unless it would get before its own
        // first slot; so no marks of deleted slots are needed.
        let mut next = self.wrapped(hole + 1);
        loop {
            let moved = self.slot(next);
            if moved == EMPTY {
                break;
            }
            let home = self.home(hash_of(moved & POSITION));
            if self.distance(home, next) >= self.distance(hole, next) {
                self.set(hole, moved);
                hole = next;
            }
            next = self.wrapped(next + 1);
        }
        self.set(hole, EMPTY);
        if self.slots.len() > SLOTS_MIN && self.used * 5 < self.slots.len() * 2 {
            self.rebuild((self.slots.len() / 5 * 4).max(SLOTS_MIN), hash_of);
        }
    }

    /// The record at `from` is now at `to`.
    pub(super) fn relocate(&mut self, hash: u64, from: u32, to: u32) {
        if let Some(slot) = self.slot_of(hash, from) {
            self.set(slot, held(hash, to));
        }
    }

    fn slot_of(&self, hash: u64, position: u32) -> Option<usize> {
        let sought = held(hash, position);
        self.probe(hash).find(|&(_, held)| held == sought).map(|(slot, _)| slot)
    }

    /// Occupied slots from the first that `hash` may be in to the next gap.
    fn probe(&self, hash: u64) -> impl Iterator<Item = (usize, u32)> + '_ {
        let first = self.home(hash);
        (0..self.slots.len())
            .map(move |step| self.wrapped(first + step))
            .map(|slot| (slot, self.slot(slot)))
            .take_while(|&(_, held)| held != EMPTY)
    }

    fn rebuild(&mut self, slots: usize, hash_of: impl Fn(u32) -> u64) {
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots]);
        for held in old.into_iter().filter(|&held| held != EMPTY) {
            let position = held & POSITION;
            self.place(hash_of(position), position);
        }
    }

    fn place(&mut self, hash: u64, position: u32) {
        let mut slot = self.home(hash);
        while self.slot(slot) != EMPTY {
            slot = self.wrapped(slot + 1);
        }
        self.set(slot, held(hash, position));
    }

    /// The first slot that a hash may be in: hashes in order, spread over the slots.
    fn home(&self, hash: u64) -> usize {
        ((u64::from(hash as u32) * self.slots.len() as u64) >> 32) as usize
    }

    /// The slots are a ring; `slot` is less than once round beyond the last.
    fn wrapped(&self, slot: usize) -> usize {
        slot.checked_sub(self.slots.len()).unwrap_or(slot)
    }

    /// Slots from one to another, forwards.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.checked_sub(from).unwrap_or(to + self.slots.len() - from)
    }

    fn slot(&self, slot: usize) -> u32 {
        self.slots.get(slot).copied().unwrap_or(EMPTY)
    }

    fn set(&mut self, slot: usize, held: u32) {
        if let Some(entry) = self.slots.get_mut(slot) {
            *entry = held;
        }
    }
}

/// What a slot holds for a position. The upper half of the hash says where it is, so the rest is
/// from the lower.
fn held(hash: u64, position: u32) -> u32 {
    (hash as u32) << POSITION_BITS | position
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map, with a hash so bad that probing and moving back really happen.
        #[test]
        fn behaves_like_a_map(steps in proptest::collection::vec((any::<bool>(), 0u32..120), 1..400)) {
            let hash_of = |position: u32| u64::from(position / 7).wrapping_mul(0xf000_0001);
            let mut index = Index::new();
            let mut map = BTreeMap::new();
            for (add, position) in steps {
                if add && !map.contains_key(&position) {
                    index.insert(hash_of(position), position, hash_of);
                    map.insert(position, ());
                } else if !add {
                    index.remove(hash_of(position), position, hash_of);
                    map.remove(&position);
                }
                let found = index.find(hash_of(position), |found| found == position);
                prop_assert_eq!(found.is_some(), map.contains_key(&position));
            }
            for position in 0..120 {
                let found = index.find(hash_of(position), |found| found == position);
                prop_assert_eq!(found.is_some(), map.contains_key(&position));
            }
        }
    }

    #[test]
    fn it_shrinks_again() {
        let hash_of = |position: u32| u64::from(position).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut index = Index::new();
        (0..10_000).for_each(|position| index.insert(hash_of(position), position, hash_of));
        assert!((12_500..16_000).contains(&index.slots.len()), "{} slots", index.slots.len());
        (0..10_000).for_each(|position| index.remove(hash_of(position), position, hash_of));
        assert_eq!((index.used, index.slots.len()), (0, SLOTS_MIN));
    }
}
