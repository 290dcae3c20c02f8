// SPDX-License-Identifier: GPL-2.0-or-later
//! The entries of one set, none of which meets another.
//!
//! They are sorted by the lower bound of one field, an address if there is one, so that those that
//! a further one meets are found without looking at all: a list of addresses has a thousand.

use std::ops::Range;

use super::key::{overlap, Key, Kind};

/// Boxes of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    keys: Vec<Key>,
    /// For each key the highest upper bound of the first part up to there.
    reach: Vec<Vec<u8>>,
    /// Where the fields are in a bound, the one that the keys are sorted by first.
    parts: Vec<Range<usize>>,
}

impl Entries {
    /// None yet, of this kind.
    pub fn new(kind: &Kind) -> Entries {
        Entries { keys: Vec::new(), reach: Vec::new(), parts: kind.parts() }
    }

    /// The boxes.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// True without boxes.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Lower and upper bound of the part that the keys are sorted by.
    fn lead<'a>(&self, key: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let (low, high) = key.split_at_checked(key.len() / 2).unwrap_or_default();
        let part = self.parts.first().cloned().unwrap_or_default();
        (low.get(part.clone()).unwrap_or_default(), high.get(part).unwrap_or_default())
    }

    /// A box that has something in common with this one, and where it is.
    pub fn meeting(&self, key: &[u8], but: &[usize]) -> Option<(usize, &Key)> {
        let mut near = self.near(key);
        near.find(|(place, entry)| overlap(&self.parts, key, entry) && !but.contains(place))
    }

    /// The boxes that may have something in common with this one: all that are looked at.
    pub(super) fn near<'a, 'k>(
        &'a self,
        key: &'k [u8],
    ) -> impl Iterator<Item = (usize, &'a Key)> + use<'a, 'k> {
        let (low, high) = self.lead(key);
        let end = self.keys.partition_point(|entry| self.lead(entry).0 <= high);
        let before = self.keys.iter().zip(&self.reach).enumerate().take(end).rev();
        let near = before.take_while(move |(_, (_, reach))| reach.as_slice() >= low);
        near.map(|(place, (entry, _))| (place, entry))
    }

    /// Puts a box in the place of those that are part of it.
    pub fn replace(&mut self, parts: &[usize], key: Key) {
        let mut place = 0..;
        self.keys.retain(|_| place.next().is_none_or(|place| !parts.contains(&place)));
        let (low, high) = self.lead(&key);
        let (low, high) = (low.to_vec(), high.to_vec());
        let place = self.keys.partition_point(|entry| self.lead(entry).0 < low.as_slice());
        self.keys.insert(place, key);
        if parts.is_empty() {
            let before = place.checked_sub(1).and_then(|before| self.reach.get(before));
            let reach =
                before.map_or_else(|| high.clone(), |before| before.clone().max(high.clone()));
            self.reach.insert(place, reach);
            let behind = self.reach.iter_mut().skip(place + 1);
            behind.take_while(|reach| **reach < high).for_each(|reach| reach.clone_from(&high));
        } else {
            self.reach = self.reaches();
        }
    }

    fn reaches(&self) -> Vec<Vec<u8>> {
        let mut farthest = Vec::new();
        let reach = |key: &Key| {
            let high = self.lead(key).1;
            if high > farthest.as_slice() {
                farthest = high.to_vec();
            }
            farthest.clone()
        };
        self.keys.iter().map(reach).collect()
    }
}
