// SPDX-License-Identifier: GPL-2.0-or-later
//! Counters of NAPT, NAT and host entries, and policers that count.

use super::options::{CounterMemory, Ingress, Options};
use super::registers::{self as reg, Registers};

/// NAPT counters have four words, of which there are as many as 16 host counters have.
const WORDS: usize = 32;

/// Which way a translated packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToPrivate,
    FromPrivate,
}

/// The memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    napt: [u32; WORDS],
    /// Host counters, if they have a memory of their own.
    hosts: [u32; WORDS],
    /// Register and word of a read whose high half has not been asked for.
    read: Option<(u32, u32)>,
}

impl Counters {
    pub(super) fn count_napt(&mut self, id: u8, way: Direction, bytes: u32, options: &Options) {
        let first = match (options.ingress, way) {
            (Ingress::ToPrivate, Direction::ToPrivate)
            | (Ingress::FromPrivate, Direction::FromPrivate) => 0,
            _ => 2,
        };
        add(&mut self.napt, usize::from(id) * 4 + first, bytes);
    }

    pub(super) fn count_host(&mut self, id: u8, bytes: u32, options: &Options) {
        let memory = match options.counter_memory {
            CounterMemory::Shared => &mut self.napt,
            CounterMemory::Apart => &mut self.hosts,
        };
        add(memory, usize::from(id) * 2, bytes);
    }

    /// One half of a counter's register. The low half takes the word, so that both halves are of
    /// one moment.
    pub(super) fn read(&mut self, register: u32, high: bool, options: &Options) -> u32 {
        if let (true, Some((of, word))) = (high, self.read.take()) {
            if of == register {
                return word;
            }
        }
        let index = usize::try_from((register - reg::COUNTERS) / 4).unwrap_or(WORDS);
        let Some(word) = self.napt.get_mut(index) else { return 0 };
        let value = *word;
        if options.counters_clear_on_read {
            *word = 0;
        }
        self.read = (!high).then_some((register, value));
        value
    }

    /// The word of a counter as it is, without a read.
    pub(super) fn peek(&self, register: u32) -> u32 {
        let index = usize::try_from((register - reg::COUNTERS) / 4).unwrap_or(WORDS);
        self.napt.get(index).copied().unwrap_or(0)
    }
}

fn add(memory: &mut [u32], at: usize, bytes: u32) {
    for (offset, amount) in [(0, 1), (1, bytes)] {
        if let Some(word) = memory.get_mut(at + offset) {
            *word = word.wrapping_add(amount);
        }
    }
}

/// Counts a packet in a policer, if that one counts.
pub(super) fn count_policer(registers: &mut Registers, policer: u8, bytes: u32) {
    let bit = 1 << u32::from(policer);
    if !registers.has(reg::POLICER_COUNTS, bit) {
        return;
    }
    let amount = if registers.has(reg::POLICER_BYTES, bit) { bytes } else { 1 };
    let at = reg::POLICER_COUNTER + 8 * u32::from(policer);
    let (low, carry) = registers.get(at).overflowing_add(amount);
    let high = registers.get(at + 4).wrapping_add(u32::from(carry));
    registers.set(at, low);
    registers.set(at + 4, high);
}

/// What a write of the reset register does.
pub(super) fn reset_policers(registers: &mut Registers, bits: u32) {
    for policer in (0..32).filter(|policer| bits >> policer & 1 == 1) {
        registers.set(reg::POLICER_COUNTER + 8 * policer, 0);
        registers.set(reg::POLICER_COUNTER + 8 * policer + 4, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(counters: &mut Counters, offset: u32, options: &Options) -> u32 {
        let register = reg::COUNTERS + offset;
        let low = counters.read(register, false, options) & 0xffff;
        counters.read(register, true, options) & 0xffff_0000 | low
    }

    #[test]
    fn both_halves_are_of_one_moment_and_reading_clears_if_asked() {
        for clears in [true, false] {
            let options = Options { counters_clear_on_read: clears, ..Options::default() };
            let mut counters = Counters::default();
            counters.count_napt(7, Direction::FromPrivate, 0x12345, &options);
            assert_eq!(word(&mut counters, 0x7c, &options), 0x12345);
            assert_eq!(word(&mut counters, 0x7c, &options), if clears { 0 } else { 0x12345 });
            assert_eq!(word(&mut counters, 0x78, &options), 1);
        }
    }

    #[test]
    fn memory_is_shared_or_not() {
        let shared = Options { counters_clear_on_read: false, ..Options::default() };
        let apart = Options { counter_memory: CounterMemory::Apart, ..shared.clone() };
        for (options, expected) in [(shared, 1), (apart, 0)] {
            let mut counters = Counters::default();
            counters.count_host(8, 100, &options);
            assert_eq!(word(&mut counters, 0x40, &options), expected);
            counters.count_napt(4, Direction::ToPrivate, 50, &options);
            assert_eq!(word(&mut counters, 0x40, &options), expected + 1);
        }
    }

    #[test]
    fn ingress_is_either_direction() {
        for (ingress, at) in [(Ingress::ToPrivate, 0), (Ingress::FromPrivate, 8)] {
            let options = Options { ingress, ..Options::default() };
            let mut counters = Counters::default();
            counters.count_napt(0, Direction::ToPrivate, 9, &options);
            assert_eq!(word(&mut counters, at, &options), 1);
            assert_eq!(word(&mut counters, at + 4, &options), 9);
        }
    }

    #[test]
    fn policers_count_frames_or_bytes_in_64_bits() {
        let mut registers = Registers::default();
        count_policer(&mut registers, 31, 100);
        assert_eq!(registers.get(0x1_c0f8), 0);
        registers.set(reg::POLICER_COUNTS, 1 << 31 | 1);
        registers.set(reg::POLICER_BYTES, 1 << 31);
        registers.set(0x1_c0f8, u32::MAX - 99);
        count_policer(&mut registers, 31, 100);
        count_policer(&mut registers, 0, 100);
        assert_eq!((registers.get(0x1_c0f8), registers.get(0x1_c0fc)), (0, 1));
        assert_eq!(registers.get(0x1_c000), 1);
        reset_policers(&mut registers, 1 << 31);
        assert_eq!((registers.get(0x1_c0fc), registers.get(0x1_c000)), (0, 1));
    }
}
