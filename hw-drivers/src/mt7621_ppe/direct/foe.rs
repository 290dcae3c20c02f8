// SPDX-License-Identifier: GPL-2.0-or-later
//! Single entries of the table: reading, committing, withdrawing.
//!
//! The kernel's lock cannot be had from here, and the engine changes word 0 at any time. So what
//! was found is looked at again before word 0 makes an entry bound, and everything afterwards.
//! Accesses tell no errors, and a block without a clock reads as ones. So nothing is forgotten or
//! written back for what one reading has shown.

use super::super::entry::{Ib1, Ib2, State, Words, BOUND_TIME, ENTRY_BYTES, WORDS};
use super::super::hash::{crosses, ENTRIES};
use super::super::memory::Memory;
use super::super::registers as reg;
use crate::table::Error;

/// The account group of all entries that Linux makes: what is bound in another is ours.
pub const KERNEL_GROUP: u8 = 0x1f;

/// How often word 0 is written: a packet that the engine handles with its cached copy may put the
/// old word back just before the cache is cleared. And how often a reading is compared with the
/// one before.
const TRIES: usize = 3;

/// What everything reads as while the block does not answer. No register that is looked at and no
/// entry begins like this.
const NOBODY: u32 = u32::MAX;

/// Words that mean something in an entry, beside word 0.
fn meaningful(ib1: Ib1) -> impl Iterator<Item = usize> {
    let (tuple, rest) = if Ib2::word(ib1.kind()) == 4 { (1..8, 11..16) } else { (1..10, 14..20) };
    tuple.chain(rest)
}

/// Whether both entries are for the same packets.
pub fn same_tuple(one: &Words, other: &Words) -> bool {
    let end = if Ib2::word(Ib1(one[0]).kind()) == 4 { 4 } else { 10 };
    Ib1(one[0]).matching() == Ib1(other[0]).matching() && one.get(1..end) == other.get(1..end)
}

/// The first word where what was found differs from what was written; of word 0 the time, the
/// engine's keep-alive bit and the state do not count.
pub fn difference(wanted: &Words, found: &Words) -> Option<Error> {
    let changing = 0x3000_ffff;
    let first = (wanted[0] & !changing != found[0] & !changing).then_some(0);
    let at = first
        .or_else(|| meaningful(Ib1(wanted[0])).find(|at| wanted.get(*at) != found.get(*at)))?;
    Some(mismatch(at, wanted, found))
}

fn mismatch(at: usize, wanted: &Words, found: &Words) -> Error {
    Error::Mismatch {
        at: u32::try_from(at).unwrap_or(u32::MAX),
        wanted: wanted.get(at).copied().unwrap_or(0),
        found: found.get(at).copied().unwrap_or(0),
    }
}

/// Packets are forwarded by the entry, or were until a FIN.
fn in_force(ib1: Ib1) -> bool {
    matches!(ib1.state(), State::Bound | State::Fin)
}

/// Why an entry was not bound.
#[derive(Debug)]
pub struct Failed {
    /// The error.
    pub error: Error,
    /// It may forward by what was written in part.
    pub in_force: bool,
}

/// The table.
#[derive(Debug, Clone)]
pub struct Foe<M>(pub M);

/// A free entry, as the kernel's zeroed table has it. Nothing of what was read is written back.
const FREE: Ib1 = Ib1(0);

impl<M: Memory> Foe<M> {
    fn word(&mut self, index: u16, word: usize) -> u32 {
        self.0.read_word(place(index, word))
    }

    fn put(&mut self, index: u16, word: usize, value: u32) {
        self.0.write_word(place(index, word), value);
    }

    /// Word 0.
    pub fn info(&mut self, index: u16) -> Ib1 {
        Ib1(self.word(index, 0))
    }

    /// All words, the tuple and word 0 last: what the engine changes is seen as late as possible.
    pub fn entry(&mut self, index: u16) -> Words {
        let mut words = [0; WORDS];
        for (at, word) in words.iter_mut().enumerate().rev() {
            *word = self.word(index, at);
        }
        words
    }

    /// The same, of a block that answers.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it does not.
    pub fn answered(&mut self, index: u16) -> Result<Words, Error> {
        let words = self.entry(index);
        if words[0] == NOBODY {
            return Err(Error::Mismatch { at: place(index, 0), wanted: 0, found: NOBODY });
        }
        Ok(words)
    }

    /// A register whose content is not the engine's to change: two readings that agree.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when they do not, or nobody answers.
    pub fn register(&mut self, at: u32) -> Result<u32, Error> {
        let mut before = self.0.read(at);
        for _ in 0..TRIES {
            let now = self.0.read(at);
            if now == before && now != NOBODY {
                return Ok(now);
            }
            before = now;
        }
        Err(Error::Mismatch { at, wanted: 0, found: before })
    }

    /// The clock of the timestamps.
    pub fn now(&mut self) -> u32 {
        self.0.read(reg::TIMESTAMP)
    }

    /// Writes word 0 and has the engine read the entry anew.
    fn put_info(&mut self, index: u16, ib1: Ib1) -> Result<(), Error> {
        self.0.barrier();
        self.put(index, 0, ib1.0);
        self.0.barrier();
        self.clear_cache()
    }

    fn clear_cache(&mut self) -> Result<(), Error> {
        let control = self.register(reg::CACHE_CTL)?;
        self.0.write(reg::CACHE_CTL, control | reg::CACHE_CTL_CLEAR);
        self.0.write(reg::CACHE_CTL, control & !reg::CACHE_CTL_CLEAR);
        Ok(())
    }

    /// Binds an entry that was found free or unbound. Its timestamp is one second old, so that
    /// its first packet shows.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when somebody else has changed it meanwhile.
    pub fn commit(&mut self, index: u16, words: &Words, found: Ib1) -> Result<Words, Failed> {
        let mut words = *words;
        let time = self.now().wrapping_sub(1) & BOUND_TIME;
        words[0] = Ib1(words[0]).with_time(u16::try_from(time).unwrap_or(0)).0;
        let now = self.info(index);
        if now.state() != found.state() || now.matching() != found.matching() {
            // Nothing was written yet: what is there is whole, and another's.
            let error = Error::Mismatch { at: 0, wanted: words[0], found: now.0 };
            return Err(Failed { error, in_force: false });
        }
        for (at, word) in words.iter().enumerate().skip(1) {
            self.put(index, at, *word);
        }
        self.0.barrier();
        match self.make_bound(index, &words, found) {
            Ok(()) => Ok(words),
            // Some words may be ours, some another's: nothing may be forwarded by that.
            Err(error) => Err(match self.withdraw(index) {
                Ok(()) => Failed { error, in_force: false },
                Err(error) => Failed { error, in_force: true },
            }),
        }
    }

    fn make_bound(&mut self, index: u16, words: &Words, found: Ib1) -> Result<(), Error> {
        let mut now = self.entry(index);
        // Whether its owner is still who it was: the same state, and of an unbound one its flow.
        let same_owner = Ib1(now[0]).state() == found.state()
            && (found.state() == State::Invalid || Ib1(now[0]).matching() == found.matching());
        now[0] = words[0];
        if !same_owner {
            return Err(mismatch(0, words, &self.entry(index)));
        }
        if let Some(error) = difference(words, &now) {
            return Err(error);
        }
        for _ in 0..TRIES {
            self.put_info(index, Ib1(words[0]))?;
            now = self.entry(index);
            match Ib1(now[0]).state() {
                State::Bound => return difference(words, &now).map_or(Ok(()), Err),
                // The engine has put its cached copy back.
                State::Unbound if same_tuple(words, &now) => {}
                _ => break,
            }
        }
        Err(mismatch(0, words, &now))
    }

    /// Takes an entry out of force, whoever has made it.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it comes back each time, or nobody answers.
    pub fn withdraw(&mut self, index: u16) -> Result<(), Error> {
        for _ in 0..TRIES {
            if self.out_of_force(index) {
                return Ok(());
            }
            self.put_info(index, FREE)?;
        }
        if self.out_of_force(index) {
            return Ok(());
        }
        let found = self.info(index).0;
        Err(Error::Mismatch { at: 0, wanted: 0, found })
    }

    /// Whether an entry is out of force, by two readings. Ones would be in force.
    fn out_of_force(&mut self, index: u16) -> bool {
        !in_force(self.info(index)) && !in_force(self.info(index))
    }

    /// Takes an entry out of force unless it is the kernel's by now: nobody else binds where the
    /// driver has.
    ///
    /// # Errors
    /// As [`Foe::withdraw`].
    pub fn withdraw_own(&mut self, index: u16) -> Result<(), Error> {
        let kernels = |owner| owner == Some(KERNEL_GROUP);
        if kernels(self.owner(index)) && kernels(self.owner(index)) {
            return Ok(());
        }
        self.withdraw(index)
    }

    /// Takes an unbound entry out if it is for the same packets.
    ///
    /// # Errors
    /// As [`Foe::withdraw`].
    pub fn withdraw_unbound(&mut self, index: u16, words: &Words) -> Result<(), Error> {
        let found = self.entry(index);
        if Ib1(found[0]).state() == State::Unbound && same_tuple(words, &found) {
            self.put_info(index, FREE)?;
        }
        Ok(())
    }

    /// The account group of an entry in force. Ones are nobody's.
    pub fn owner(&mut self, index: u16) -> Option<u8> {
        let ib1 = self.info(index);
        in_force(ib1).then(|| Ib2(self.word(index, Ib2::word(ib1.kind()))).group())
    }

    /// Takes all entries out of force that are not the kernel's, with one clearing of the cache. All
    /// are looked at twice at least, the last time without a find.
    ///
    /// # Errors
    /// As [`Foe::withdraw`].
    pub fn withdraw_ours(&mut self) -> Result<(), Error> {
        let mut last = Ib1(0);
        for pass in 0..=TRIES {
            let mut found = false;
            for index in 0..u16::try_from(ENTRIES).unwrap_or(0) {
                if self.is_ours(index) && self.is_ours(index) {
                    last = self.info(index);
                    self.put(index, 0, FREE.0);
                    found = true;
                }
            }
            if found {
                self.0.barrier();
                self.clear_cache()?;
            } else if pass > 0 {
                return Ok(());
            }
        }
        Err(Error::Mismatch { at: 0, wanted: 0, found: last.0 })
    }

    fn is_ours(&mut self, index: u16) -> bool {
        self.owner(index).is_some_and(|group| group != KERNEL_GROUP)
    }

    /// Has the engine leave the entries alone that it cannot use.
    ///
    /// # Errors
    /// As [`Foe::withdraw`].
    pub fn fix(&mut self, range: std::ops::Range<u16>) -> Result<(), Error> {
        let mut last = Ib1(0);
        for _ in 0..=TRIES {
            let mut found = false;
            for index in range.clone().filter(|index| crosses(*index)) {
                if !self.fixed(index) {
                    last = self.info(index);
                    self.put(index, 0, Ib1::FIXED.0);
                    found = true;
                }
            }
            if !found {
                return Ok(());
            }
            self.0.barrier();
            self.clear_cache()?;
        }
        Err(Error::Mismatch { at: 0, wanted: Ib1::FIXED.0, found: last.0 })
    }

    /// Whether the engine leaves an entry alone, by two readings that are not ones.
    fn fixed(&mut self, index: u16) -> bool {
        let mut fixed = || {
            let ib1 = self.info(index);
            ib1.fixed() && ib1.0 != NOBODY
        };
        fixed() && fixed()
    }

    /// Whether an entry was fixed and is no longer, by two readings.
    pub fn freed(&mut self, index: u16) -> bool {
        !self.info(index).fixed() && !self.info(index).fixed()
    }
}

/// Byte offset of a word.
fn place(index: u16, word: usize) -> u32 {
    let index = u32::from(index) % ENTRIES;
    let word = u32::try_from(word % WORDS).unwrap_or(0);
    index.saturating_mul(ENTRY_BYTES).saturating_add(word.saturating_mul(4))
}
