// SPDX-License-Identifier: GPL-2.0-or-later
//! The ACL as a frame meets it: patterns, then masks, then the action and the rate limiter of the
//! rule that counts.

use super::view::View;
use super::{Mt7530, Precedence, Table};
use std::time::Duration;

/// Rules, by the size of the mask table.
const RULES: u16 = 32;

/// Time that a full bucket of a rate limiter lasts; the chip's own depth is not public.
const DEPTH_MS: u32 = 10;

/// Least depth of a bucket in bits: two long frames.
const LEAST_DEPTH: u32 = 2 * 1522 * 8;

/// What the rule that counts says about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) rule: u8,
    /// Forward code: 0 default, 4 all but the processor, 5 with it, 6 only it, 7 none.
    pub(super) forward: u32,
    pub(super) priority: Option<u8>,
    /// The rate limiter has no room for the frame.
    pub(super) limited: bool,
}

/// Buckets of the rate limiters.
#[derive(Debug, Clone, Default)]
pub(super) struct Limiters {
    /// Bits that are taken out of each.
    taken: [u32; RULES as usize],
    /// Time that has passed since the bucket of each rule was looked at.
    waiting: [Duration; RULES as usize],
}

impl Limiters {
    pub(super) fn pass(&mut self, time: Duration) {
        for waiting in &mut self.waiting {
            *waiting = waiting.saturating_add(time);
        }
    }

    /// Takes a frame of `bits` out of a bucket of `steps` times 64 kbit/s; false if it has no room.
    fn take(&mut self, rule: u16, steps: u32, bits: u32) -> bool {
        let index = usize::from(rule);
        let (Some(taken), Some(waiting)) = (self.taken.get_mut(index), self.waiting.get_mut(index))
        else {
            return false;
        };
        // 64 kbit/s are 64 bits a millisecond, exactly.
        let rate = steps * 64;
        let depth = (rate * DEPTH_MS).max(LEAST_DEPTH);
        let ms = u32::try_from(waiting.as_millis()).unwrap_or(u32::MAX);
        *waiting = waiting.saturating_sub(Duration::from_millis(ms.into()));
        *taken = taken.saturating_sub(rate.saturating_mul(ms));
        let room = taken.saturating_add(bits) <= depth;
        if room {
            *taken += bits;
        }
        room
    }
}

impl Mt7530 {
    /// The rule that counts for a frame, and what it says.
    pub(super) fn classify(&mut self, port: u8, view: &View, length: usize) -> Option<Verdict> {
        if !self.registers.acl(port) {
            return None;
        }
        let matching = |rule: &u16| self.matches(*rule, port, view);
        let rule = match self.options.precedence {
            Precedence::Lowest => (0..RULES).find(matching),
            Precedence::Highest => (0..RULES).rev().find(matching),
        }?;
        let [action, _] = self.tables.get(Table::Action, rule);
        let priority = (action >> 4 & 7) as u8;
        let counts = priority != 0 || self.options.priority_zero_counts;
        let [rate, _] = self.tables.get(Table::Rate, rule);
        let bits = u32::try_from(length.saturating_mul(8)).unwrap_or(u32::MAX);
        let limited = rate & 1 << 15 != 0 && !self.limiters.take(rule, rate & 0x7fff, bits);
        let forward = action & 7;
        Some(Verdict { rule: rule as u8, forward, priority: counts.then_some(priority), limited })
    }

    fn matches(&self, rule: u16, port: u8, view: &View) -> bool {
        let [low, high] = self.tables.get(Table::Mask, rule);
        let wanted = |pattern: &u16| match pattern {
            0..=31 => low >> pattern & 1 != 0,
            _ => high >> (pattern & 31) & 1 != 0,
        };
        if low | high == 0 {
            let [action, _] = self.tables.get(Table::Action, rule);
            let [rate, _] = self.tables.get(Table::Rate, rule);
            return self.options.empty_mask_matches && action | rate != 0;
        }
        (0..64).filter(wanted).all(|pattern| self.pattern_matches(pattern, port, view))
    }

    fn pattern_matches(&self, pattern: u16, port: u8, view: &View) -> bool {
        let [compare, place] = self.tables.get(Table::Pattern, pattern);
        let [mask, value] = [compare >> 16, compare & 0xffff];
        let enabled = place & 1 << 19 != 0 && place >> 8 & 1 << port != 0;
        let word = view.word(place >> 16 & 7, (place >> 1 & 0x7f) as usize, &self.options);
        enabled && word.is_some_and(|word| u32::from(word) & mask == value & mask)
    }
}
