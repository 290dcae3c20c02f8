// SPDX-License-Identifier: GPL-2.0-or-later
//! What a test does to the chip behind the back of a driver: entries that age, change or get lost,
//! and an engine that does not finish. And what it loads into one that stands for another chip, whose
//! tables it has read.

use super::store::Words;
use super::{host, napt, Qca8337};

impl Qca8337 {
    /// Sets the age of the NAPT entry at a place. False if there is none.
    pub fn set_napt_age(&mut self, index: usize, age: u8) -> bool {
        let entry = self.tables.napt.get_mut(index);
        entry.map(|words| napt::set_napt_age(self.options.model, words, age)).is_some()
    }

    /// Turns bits of a word of the NAPT entry at a place, as a fault of the chip's memory would.
    /// False if there is no such entry or word.
    pub fn flip_napt(&mut self, index: usize, word: usize, bits: u32) -> bool {
        let word = self.tables.napt.get_mut(index).and_then(|words| words.get_mut(word));
        word.map(|word| *word ^= bits).is_some()
    }

    /// Puts an entry, as it is in the data words, into a place of the NAPT table. False if there is no
    /// such place. Frames find it there, wherever the hash would have put it.
    pub fn place_napt(&mut self, index: usize, words: Words) -> bool {
        self.tables.napt.put(index, Some(words))
    }

    /// The same for the host table, whose places rules name.
    pub fn place_host(&mut self, index: usize, words: Words) -> bool {
        self.tables.hosts.put(index, Some(words))
    }

    /// The NAPT entry at a place is gone. False if there was none.
    pub fn lose_napt(&mut self, index: usize) -> bool {
        self.tables.napt.get(index).is_some() && self.tables.napt.put(index, None)
    }

    /// The host entry at a place is gone. False if there was none.
    pub fn lose_host(&mut self, index: usize) -> bool {
        let entry = self.tables.hosts.get_mut(index);
        entry.map(|words| host::set_host_age(self.options.model, words, 0)).is_some()
    }

    /// Changes [`super::Options::busy_reads`], also for a command that is under way: `u32::MAX`
    /// makes the engine stick, and less lets it go on.
    pub fn set_busy_reads(&mut self, reads: u32) {
        self.options.busy_reads = reads;
        self.engine.set_busy(reads);
    }
}
