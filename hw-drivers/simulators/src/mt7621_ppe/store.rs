// SPDX-License-Identifier: GPL-2.0-or-later
//! The table in memory, and the processor's stores on their way there.
//!
//! With an order that is not kept, the engine sees any part of the stores since the last barrier,
//! each location's in its order. So a driver that leaves out a barrier is caught by some seed.

use super::entry::{Words, ENTRIES, WORDS};

#[derive(Debug, Clone)]
pub struct Store {
    words: Vec<u32>,
    pending: Vec<(usize, u32)>,
    /// State of the random numbers; `None` when stores arrive at once.
    unordered: Option<u64>,
}

impl Store {
    pub fn new(unordered: Option<u64>) -> Store {
        // Small seeds would give much the same numbers.
        let unordered = unordered.map(|seed| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Store { words: vec![0; ENTRIES * WORDS], pending: Vec::new(), unordered }
    }

    /// What the processor reads: its own stores at once.
    pub fn read(&self, at: usize) -> u32 {
        let stored = self.pending.iter().rev().find(|(place, _)| *place == at);
        stored.map_or_else(|| self.memory(at), |(_, value)| *value)
    }

    /// What the engine reads.
    pub fn memory(&self, at: usize) -> u32 {
        self.words.get(at).copied().unwrap_or(u32::MAX)
    }

    /// The processor stores a word.
    pub fn write(&mut self, at: usize, value: u32) {
        if self.unordered.is_some() {
            self.pending.push((at, value));
        } else {
            self.put(at, value);
        }
    }

    pub fn barrier(&mut self) {
        for (at, value) in std::mem::take(&mut self.pending) {
            self.put(at, value);
        }
    }

    /// Some of the stores arrive.
    pub fn leak(&mut self) {
        let mut late: Vec<(usize, u32)> = Vec::new();
        for (at, value) in std::mem::take(&mut self.pending) {
            if self.coin() {
                late.retain(|(place, _)| *place != at);
                self.put(at, value);
            } else {
                late.push((at, value));
            }
        }
        self.pending = late;
    }

    /// An entry as it is in memory.
    pub fn entry(&self, index: usize) -> Words {
        let mut words = [0; WORDS];
        let begin = index.saturating_mul(WORDS);
        for (word, value) in words.iter_mut().zip(self.words.iter().skip(begin)) {
            *word = *value;
        }
        words
    }

    /// The engine, or the kernel with its own barriers, writes a word.
    pub fn set(&mut self, index: usize, word: usize, value: u32) {
        self.put(index.saturating_mul(WORDS).saturating_add(word), value);
    }

    pub fn set_entry(&mut self, index: usize, words: &Words) {
        for (word, value) in words.iter().enumerate() {
            self.set(index, word, *value);
        }
    }

    pub fn zero(&mut self) {
        self.words.fill(0);
    }

    fn put(&mut self, at: usize, value: u32) {
        if let Some(word) = self.words.get_mut(at) {
            *word = value;
        }
    }

    /// Xorshift: any half of the seeds will do.
    fn coin(&mut self) -> bool {
        let Some(state) = &mut self.unordered else { return true };
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state >> 33 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_arrive_in_any_order_before_a_barrier() {
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let mut store = Store::new(Some(seed * 7919));
            store.write(0, 1);
            store.write(1, 1);
            store.leak();
            orders.insert([store.entry(0)[0], store.entry(0)[1]]);
            assert_eq!([store.read(0), store.read(1)], [1, 1], "the processor sees its own");
            store.barrier();
            assert_eq!([store.entry(0)[0], store.entry(0)[1]], [1, 1]);
        }
        assert_eq!(orders.len(), 4);
    }

    #[test]
    fn a_location_keeps_its_order() {
        for seed in 0..64 {
            let mut store = Store::new(Some(seed * 104_729));
            store.write(5, 1);
            store.write(5, 2);
            store.leak();
            store.barrier();
            assert_eq!(store.entry(0)[5], 2);
        }
    }
}
