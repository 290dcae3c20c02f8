// SPDX-License-Identifier: GPL-2.0-or-later
//! How full the table is, and with what.

use super::super::entry::{Kind, State};
use super::super::hash::{crosses, ENTRIES};
use super::{Line, Malformed};
use litemap::LiteMap;

/// Counts over a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    counts: LiteMap<(State, Option<Kind>), u32>,
    torn: u32,
    malformed: u32,
    first_malformed: Option<Malformed>,
}

impl Summary {
    /// Takes a line, or what could not be read.
    pub fn add(&mut self, line: &Result<Line, Malformed>) {
        match line {
            Ok(line) => {
                let count = self.counts.entry((line.state, line.kind)).or_default();
                *count = count.saturating_add(1);
                self.torn = self.torn.saturating_add(u32::from(line.torn()));
            }
            Err(malformed) => {
                self.malformed = self.malformed.saturating_add(1);
                self.first_malformed.get_or_insert(*malformed);
            }
        }
    }

    /// Entries by state and type; `None` is a type that the kernel does not know.
    pub fn counts(&self) -> impl Iterator<Item = (State, Option<Kind>, u32)> + '_ {
        self.counts.iter().map(|((state, kind), count)| (*state, *kind, *count))
    }

    /// Entries in a state.
    pub fn in_state(&self, state: State) -> u32 {
        let of_state = self.counts().filter(|(each, _, _)| *each == state);
        of_state.fold(0, |sum, (_, _, count)| sum.saturating_add(count))
    }

    /// Entries that packets are forwarded by; a flow has two.
    pub fn bound(&self) -> u32 {
        self.in_state(State::Bound)
    }

    /// Entries that are not free.
    pub fn occupied(&self) -> u32 {
        self.counts().fold(0, |sum, (_, _, count)| sum.saturating_add(count))
    }

    /// Entries that the engine can use: the table without those that cross 1024 bytes.
    pub fn usable() -> u32 {
        let usable = (0..128).filter(|index| !crosses(*index)).count();
        u32::try_from(usable).unwrap_or(0).saturating_mul(ENTRIES / 128)
    }

    /// Lines that did not agree with themselves.
    pub fn torn(&self) -> u32 {
        self.torn
    }

    /// Lines that could not be read, and the first of them.
    pub fn malformed(&self) -> (u32, Option<Malformed>) {
        (self.malformed, self.first_malformed)
    }
}
