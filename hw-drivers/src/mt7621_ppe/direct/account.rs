// SPDX-License-Identifier: GPL-2.0-or-later
//! Account groups: 64 counters that entries can be put into, so that 30 flows are counted.
//!
//! Whether reading a counter clears it is UNVERIFIED. Both are reckoned with until one has shown
//! itself: of two reads at once the second is as great as the first or almost nothing. No count
//! is told before that.

use super::super::memory::Memory;
use super::super::registers as reg;
use super::foe::KERNEL_GROUP;
use crate::table::Counted;

/// Groups of the chip.
const GROUPS: u8 = 64;
/// Flows that have two groups of their own.
pub const FLOWS: u32 = 30;
/// The group of all others.
pub const UNCOUNTED: u8 = 0x3e;
/// So many packets cannot come between two reads: at a gigabit they need 43 µs.
const TELLING: u32 = 64;

/// Which groups are free, and how the chip behaves.
#[derive(Debug, Clone)]
pub struct Groups {
    free: Vec<[u8; 2]>,
    clears: Option<bool>,
}

impl Groups {
    /// All of them free; none at all when there is nothing to be counted.
    pub fn new(counting: bool) -> Groups {
        let usable: Vec<u8> =
            (0..GROUPS).filter(|group| ![KERNEL_GROUP, UNCOUNTED].contains(group)).collect();
        let pairs = usable.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
        let flows = if counting { FLOWS as usize } else { 0 };
        Groups { free: pairs.take(flows).collect(), clears: None }
    }

    /// Two groups for a flow, while there are any.
    pub fn take(&mut self) -> Option<[u8; 2]> {
        self.free.pop()
    }

    /// They are free again.
    pub fn give(&mut self, groups: [u8; 2]) {
        self.free.push(groups);
    }

    /// Begins to count a direction.
    pub fn begin(&mut self, memory: &mut impl Memory, group: u8) -> Count {
        let mut count = Count { group, ..Count::default() };
        self.read(memory, &mut count);
        (count.kept, count.cleared) = (Counted::default(), Counted::default());
        count
    }

    /// Reads on.
    pub fn read(&mut self, memory: &mut impl Memory, count: &mut Count) {
        let base = reg::ACCOUNT.saturating_add(16 * u32::from(count.group));
        let (low, high, packets) = (base, base.saturating_add(4), base.saturating_add(8));
        let first = memory.read(packets);
        let second = memory.read(packets);
        let [high_before, low, high_after] = [high, low, high].map(|at| memory.read(at));
        // A carry between the reads belongs to a small low half.
        let carried = if low < 1 << 31 { high_after } else { high_before };
        let bytes = u64::from(carried) << 32 | u64::from(low);

        let kept = &mut count.kept;
        let packets = second.wrapping_sub(count.packets);
        kept.packets = kept.packets.wrapping_add(u64::from(packets));
        kept.bytes = kept.bytes.wrapping_add(bytes.wrapping_sub(count.bytes));
        (count.packets, count.bytes) = (second, bytes);

        let cleared = &mut count.cleared;
        let both = u64::from(first).wrapping_add(u64::from(second));
        cleared.packets = cleared.packets.wrapping_add(both);
        let high = u64::from(high_before).wrapping_add(u64::from(high_after));
        cleared.bytes = cleared.bytes.wrapping_add(high << 32).wrapping_add(u64::from(low));

        if (TELLING..1 << 31).contains(&first) {
            self.clears.get_or_insert(second < TELLING);
        }
    }

    /// What a direction has carried, once it is known how to reckon.
    pub fn counted(&self, count: &Count) -> Option<Counted> {
        self.clears.map(|clears| if clears { count.cleared } else { count.kept })
    }
}

/// Counts of a direction, by both ways of reckoning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    group: u8,
    packets: u32,
    bytes: u64,
    kept: Counted,
    cleared: Counted,
}
