// SPDX-License-Identifier: GPL-2.0-or-later
//! What few records have, kept outside of them: IPv6 addresses, and counters beyond 32 bits.
//!
//! A record holds the place of such a value where others hold the value itself. A place is one
//! record's own until that record gives it back.

use std::net::Ipv6Addr;

use crate::netlink::conntrack::entry::Counters;

/// Source and destination of one direction of an IPv6 flow.
pub(super) type Six = [Ipv6Addr; 2];
/// What the original and the reply direction have carried.
pub(super) type Carried = [Counters; 2];

/// Places grow by so many, instead of doubling.
const CHUNK: usize = 256;

/// The values of all records.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) sixes: Places<Six>,
    pub(super) greats: Places<Carried>,
}

/// Values of one kind, with the places that are free.
#[derive(Debug)]
pub(super) struct Places<T> {
    values: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Places<T> {
    fn default() -> Places<T> {
        Places { values: Vec::new(), free: Vec::new() }
    }
}

impl<T: Copy> Places<T> {
    /// Keeps a value and tells its place.
    pub(super) fn keep(&mut self, value: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.set(place, value);
            return place;
        }
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact(CHUNK);
        }
        self.values.push(value);
        (self.values.len() - 1) as u32
    }

    /// The value at a place; `None` for a place that was never given out.
    pub(super) fn get(&self, place: u32) -> Option<T> {
        self.values.get(place as usize).copied()
    }

    /// Puts another value at a place.
    pub(super) fn set(&mut self, place: u32, value: T) {
        if let Some(held) = self.values.get_mut(place as usize) {
            *held = value;
        }
    }

    /// The place is nobody's any more.
    pub(super) fn release(&mut self, place: u32) {
        self.free.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut places = Places::default();
        let [first, second] = [places.keep('a'), places.keep('b')];
        places.release(first);
        assert_eq!(places.keep('c'), first);
        places.set(second, 'd');
        assert_eq!([first, second].map(|place| places.get(place)), [Some('c'), Some('d')]);
        assert_eq!(places.get(2), None);
    }
}
