// SPDX-License-Identifier: GPL-2.0-or-later
//! Places for entries, in sets that a hash chooses. The chip's hash and its number of ways are
//! not known; that a key has few places, and so the table is full early, is what matters.

use super::options::Next;
use std::ops::Range;

/// An entry as it is in the data words; of AR8327 the last three are 0.
pub(super) type Words = [u32; 7];

/// The places.
#[derive(Debug, Clone)]
pub(super) struct Store {
    places: Vec<Option<Words>>,
    ways: usize,
}

impl Store {
    /// `size` empty places; sets have `ways` of them, as far as that divides `size`.
    pub(super) fn new(size: usize, ways: usize) -> Store {
        let ways = ways.clamp(1, size);
        let ways = if size.is_multiple_of(ways) { ways } else { 1 };
        Store { places: vec![None; size], ways }
    }

    /// The places for a key with this hash.
    pub(super) fn set(&self, hash: u32) -> Range<usize> {
        let sets = self.places.len() / self.ways;
        let first = usize::try_from(hash).unwrap_or(0) % sets * self.ways;
        first..first + self.ways
    }

    /// The first place among `within` whose entry is `wanted`.
    pub(super) fn find(
        &self,
        within: Range<usize>,
        wanted: impl Fn(&Words) -> bool,
    ) -> Option<usize> {
        let places = self.places.get(within.clone())?;
        let found = places.iter().position(|place| place.as_ref().is_some_and(&wanted))?;
        Some(within.start + found)
    }

    /// A place among `within` for a new entry: one that is empty or whose entry is `free`,
    /// looked for from where the hash points, so that indices are in no order.
    pub(super) fn room(
        &self,
        within: Range<usize>,
        hash: u32,
        free: impl Fn(&Words) -> bool,
    ) -> Option<usize> {
        let start = usize::try_from(hash >> 16).unwrap_or(0) % within.len().max(1);
        let order = (within.start + start..within.end).chain(within.start..within.start + start);
        order.into_iter().find(|index| match self.places.get(*index) {
            Some(Some(words)) => free(words),
            Some(None) => true,
            None => false,
        })
    }

    /// The next entry that is `wanted`, after the index given.
    pub(super) fn next(
        &self,
        after: usize,
        next: Next,
        wanted: impl Fn(&Words) -> bool,
    ) -> Option<usize> {
        let size = self.places.len();
        let start = (after + 1) % size;
        let found = self.find(start..size, &wanted);
        match next {
            Next::EndsAtLast => found,
            Next::Wraps => found.or_else(|| self.find(0..start, &wanted)),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&Words> {
        self.places.get(index)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Words> {
        self.places.get_mut(index)?.as_mut()
    }

    /// Puts an entry in its place; false if there is no such place.
    pub(super) fn put(&mut self, index: usize, entry: Option<Words>) -> bool {
        match self.places.get_mut(index) {
            Some(place) => {
                *place = entry;
                true
            }
            None => false,
        }
    }

    /// Takes out what is `unwanted`.
    pub(super) fn clear(&mut self, unwanted: impl Fn(&Words) -> bool) {
        for place in &mut self.places {
            if place.as_ref().is_some_and(&unwanted) {
                *place = None;
            }
        }
    }

    /// Gives each entry to `change`, and takes it out if that says false.
    pub(super) fn retain(&mut self, mut change: impl FnMut(&mut Words) -> bool) {
        for place in &mut self.places {
            if place.as_mut().is_some_and(|words| !change(words)) {
                *place = None;
            }
        }
    }

    /// Entries with their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Words)> {
        self.places.iter().enumerate().filter_map(|(index, place)| Some((index, place.as_ref()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

/// A hash of our own (the mixing of Jenkins' one-at-a-time hash).
pub(super) fn hash(words: &[u32]) -> u32 {
    let bytes = words.iter().flat_map(|word| word.to_be_bytes());
    let mixed = bytes.fold(0u32, |hash, byte| {
        let hash = hash.wrapping_add(u32::from(byte));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    let mixed = mixed.wrapping_add(mixed << 3);
    let mixed = mixed ^ mixed >> 11;
    mixed.wrapping_add(mixed << 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(number: u32) -> Words {
        [number, 0, 0, 0, 0, 0, 0]
    }

    #[test]
    fn next_ends_or_wraps() {
        let mut store = Store::new(8, 2);
        for index in [2, 5] {
            assert!(store.put(index, Some(entry(1))));
        }
        let next = |after, next| store.next(after, next, |_| true);
        assert_eq!(next(7, Next::EndsAtLast), Some(2));
        assert_eq!(next(2, Next::EndsAtLast), Some(5));
        assert_eq!(next(5, Next::EndsAtLast), None);
        assert_eq!(next(5, Next::Wraps), Some(2));
        assert_eq!(Store::new(8, 2).next(5, Next::Wraps, |_| true), None);
        assert!(!store.put(8, Some(entry(1))));
    }

    proptest! {
        /// Entries stay within their set, and it takes as many as it has ways.
        #[test]
        fn a_set_takes_as_many_as_it_has_ways(hash in any::<u32>(), power in 0u32..=7) {
            let ways = 1 << power;
            let mut store = Store::new(128, ways);
            let set = store.set(hash);
            prop_assert_eq!(set.len(), ways);
            for number in 0..ways {
                let place = store.room(set.clone(), hash, |_| false).unwrap();
                prop_assert!(set.contains(&place));
                store.put(place, Some(entry(u32::try_from(number).unwrap())));
            }
            prop_assert_eq!(store.room(set, hash, |_| false), None);
            prop_assert_eq!(store.iter().count(), ways);
        }
    }
}
