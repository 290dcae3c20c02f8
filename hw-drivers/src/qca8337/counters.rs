// SPDX-License-Identifier: GPL-2.0-or-later
//! Counters of flows. Whether the chip clears one when it is read is not known, so each is read
//! twice in a row: one that clears is nearly empty the second time. Until that has shown, both
//! readings of the numbers are kept.

use super::options::Outward;
use super::registers::{at, FLOW_COUNTER};
use crate::bus::{Outcome, Slot32};
use crate::qca8k_page::{self, Translation};
use crate::table::{Counted, Error};

/// What reading does to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearing {
    /// Nothing.
    Kept,
    /// It begins anew.
    Cleared,
}

/// The four words of a counter, read twice: packets and bytes in, packets and bytes out.
pub type Reading = [[u32; 4]; 2];

/// More packets than can come between two reads in a transaction: 8 transfers are 208 microseconds,
/// in which a gigabit port takes 310 of the shortest frames.
const BETWEEN_READS: u32 = 1024;

/// A carry between the reads of a word's halves makes it wrong by this.
const CARRY: u32 = 0x1_0000;

/// Reads counter `index`.
///
/// # Errors
/// The transaction is full.
pub fn read(access: &mut Translation, index: u8) -> Result<[Option<Slot32>; 8], qca8k_page::Error> {
    let mut slots = [None; 8];
    let words = [0, 4, 8, 12, 0, 4, 8, 12];
    for (slot, word) in slots.iter_mut().zip(words) {
        *slot = Some(access.read(at(FLOW_COUNTER, 16, index) + word)?);
    }
    Ok(slots)
}

/// What was read.
///
/// # Errors
/// [`Error::Driver`] for the outcome of another transaction.
pub fn reading(slots: [Option<Slot32>; 8], outcome: &Outcome) -> Result<Reading, Error> {
    let mut reading = [[0; 4]; 2];
    for (word, slot) in reading.iter_mut().flatten().zip(slots) {
        let value = slot.and_then(|slot| slot.value(outcome));
        *word = value.ok_or(Error::Driver("a counter without a result"))?;
    }
    Ok(reading)
}

/// What many readings have shown: one alone may have been misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// How many more showed [`Clearing::Cleared`] than [`Clearing::Kept`].
    balance: i8,
}

impl Verdict {
    /// Takes a reading into account.
    pub fn hear(&mut self, reading: &Reading) {
        let weight = match judge(reading) {
            Some(Clearing::Cleared) => 1,
            Some(Clearing::Kept) => -1,
            None => 0,
        };
        // A bound, so that a chip reset into another way of counting would be noticed.
        self.balance = self.balance.saturating_add(weight).clamp(-8, 8);
    }

    /// What most of them showed. Without any, nothing has been counted that would tell, or so
    /// little that it was read the same twice.
    pub fn clearing(self) -> Clearing {
        if self.balance > 0 {
            Clearing::Cleared
        } else {
            Clearing::Kept
        }
    }
}

/// What a reading shows of the chip's ways; `None` if too few packets were counted to tell.
pub fn judge(&[first, second]: &Reading) -> Option<Clearing> {
    let ([in_first, _, out_first, _], [in_second, _, out_second, _]) = (first, second);
    [(in_first, in_second), (out_first, out_second)].into_iter().find_map(|(first, second)| {
        // Only a number above the carry can be wrong by it, and then by less than half.
        let floor = if first < CARRY { first } else { first / 2 };
        if second < floor {
            Some(Clearing::Cleared)
        } else {
            (first >= BETWEEN_READS).then_some(Clearing::Kept)
        }
    })
}

/// Sums of one word, for either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Word {
    last: u32,
    kept: u64,
    cleared: u64,
}

impl Word {
    fn take(&mut self, first: u32, second: u32) {
        // The second number is the newer one, unless a carry has made it too large: no port
        // brings as many bytes between the two reads. A first one that is too large does no harm.
        let torn = (CARRY / 2..u32::MAX / 2).contains(&second.wrapping_sub(first));
        let now = if torn { first } else { second };
        self.kept = self.kept.saturating_add(u64::from(now.wrapping_sub(self.last)));
        self.last = now;
        self.cleared =
            self.cleared.saturating_add(u64::from(first)).saturating_add(u64::from(second));
    }

    fn sum(&self, clearing: Clearing) -> u64 {
        match clearing {
            Clearing::Cleared => self.cleared,
            Clearing::Kept => self.kept,
        }
    }
}

/// A counter since it was given to a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    words: [Word; 4],
}

impl Counter {
    /// Begins with what the counter holds now, from whoever had it before.
    pub fn begin(reading: &Reading) -> Counter {
        let mut counter = Counter::default();
        counter.take(reading);
        for word in &mut counter.words {
            (word.kept, word.cleared) = (0, 0);
        }
        counter
    }

    /// Adds what has been counted since the last reading.
    pub fn take(&mut self, &[first, second]: &Reading) {
        for (word, (first, second)) in self.words.iter_mut().zip(first.into_iter().zip(second)) {
            word.take(first, second);
        }
    }

    /// Packets and bytes away from the LAN, then those to it.
    pub fn counted(&self, clearing: Clearing, outward: Outward) -> [Counted; 2] {
        let [in_packets, in_bytes, out_packets, out_bytes] =
            self.words.map(|word| word.sum(clearing));
        let ingress = Counted { packets: in_packets, bytes: in_bytes };
        let egress = Counted { packets: out_packets, bytes: out_bytes };
        match outward {
            Outward::Egress => [egress, ingress],
            Outward::Ingress => [ingress, egress],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A counter of the chip: the numbers that two reads in a row give.
    fn reads(held: &mut [u32; 4], clears: bool) -> Reading {
        let first = *held;
        if clears {
            *held = [0; 4];
        }
        let second = *held;
        [first, second]
    }

    proptest! {
        /// Whatever the chip's way and whatever the counter held, the sums are what was counted.
        #[test]
        fn either_way_counts(clears: bool, before: [u32; 4], steps: Vec<[u16; 4]>) {
            let (mut held, mut wanted) = (before, [0_u64; 4]);
            let first = reads(&mut held, clears);
            let mut verdict = Verdict::default();
            verdict.hear(&first);
            let mut counter = Counter::begin(&first);
            for step in steps {
                for ((held, wanted), step) in held.iter_mut().zip(&mut wanted).zip(step) {
                    *held = held.wrapping_add(u32::from(step));
                    *wanted += u64::from(step);
                }
                let reading = reads(&mut held, clears);
                verdict.hear(&reading);
                counter.take(&reading);
            }
            let [out, back] = counter.counted(verdict.clearing(), Outward::Egress);
            // Without a packet either way there is nothing to tell the ways apart by.
            prop_assume!(wanted[0] + wanted[2] > 0 || verdict != Verdict::default());
            prop_assert_eq!([back.packets, back.bytes, out.packets, out.bytes], wanted);
        }
    }

    #[test]
    fn few_packets_do_not_tell_that_a_counter_is_kept() {
        assert_eq!(judge(&[[3, 300, 0, 0], [3, 300, 0, 0]]), None);
        assert_eq!(judge(&[[3, 300, 0, 0], [0, 0, 0, 0]]), Some(Clearing::Cleared));
        assert_eq!(judge(&[[0, 0, 5000, 1], [0, 0, 5001, 1]]), Some(Clearing::Kept));
    }

    #[test]
    fn one_misread_number_does_not_decide() {
        let mut verdict = Verdict::default();
        let kept = [[5000, 0, 0, 0], [5000, 0, 0, 0]];
        for reading in [[[0x4003, 0, 0, 0], [3, 0, 0, 0]], kept, kept] {
            verdict.hear(&reading);
        }
        assert_eq!(verdict.clearing(), Clearing::Kept);
    }

    /// The low half was read as 0xffff, the high half after the carry.
    #[test]
    fn a_carry_between_the_halves_does_no_harm() {
        assert_eq!(judge(&[[0x1_ffff, 0, 0, 0], [0x1_0000, 0, 0, 0]]), Some(Clearing::Kept));
        let mut word = Word { last: 0xff00, ..Word::default() };
        word.take(0xfff0, 0x1_ffff);
        assert_eq!((word.last, word.kept), (0xfff0, 0xf0));
        word.take(0x1_0002, 0x1_0003);
        assert_eq!(word.kept, 0x103);
        word.take(0x2_ffff, 0x2_0000);
        assert_eq!(word.kept, 0x1_0100);
    }

    #[test]
    fn directions_can_be_the_other_way_round() {
        let mut counter = Counter::begin(&[[0; 4]; 2]);
        counter.take(&[[1, 2, 3, 4], [1, 2, 3, 4]]);
        let [out, back] = counter.counted(Clearing::Kept, Outward::Ingress);
        assert_eq!(
            (out, back),
            (Counted { packets: 1, bytes: 2 }, Counted { packets: 3, bytes: 4 })
        );
    }
}
