// SPDX-License-Identifier: GPL-2.0-or-later
//! Sources of events with input that a turn of the loop has left over, and which of them the next
//! turn serves.
//!
//! What arrives while a source is read is announced too, so a source can be left over and announced
//! at once. Served for each of both it would get one more share of every turn, and a list of
//! conntrack's flows, whose next part arrives whenever one is read, was read sixteen parts at once.

use std::collections::VecDeque;

use mio::Token;

/// The sources with input left over, each once.
#[derive(Debug, Default)]
pub(super) struct Unread {
    sources: VecDeque<Token>,
}

impl Unread {
    /// The source has used up its share of this turn, and may have more.
    pub fn push(&mut self, source: Token) {
        if !self.sources.contains(&source) {
            self.sources.push_back(source);
        }
    }

    /// Nothing is left over.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The sources of one turn, each once: those left over, which come first, and the announced.
    pub fn take_turn(&mut self, announced: impl Iterator<Item = Token>) -> VecDeque<Token> {
        announced.for_each(|source| self.push(source));
        std::mem::take(&mut self.sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: Token = Token(3);
    const BUS: Token = Token(4);
    const ENDS: Token = Token(5);

    #[test]
    fn a_source_left_over_and_announced_is_served_once() {
        let mut unread = Unread::default();
        for _ in 0..3 {
            let turn = unread.take_turn([BUS, LISTS, ENDS].into_iter());
            assert_eq!(turn.iter().filter(|source| **source == LISTS).count(), 1, "{turn:?}");
            assert_eq!(turn.len(), 3, "{turn:?}");
            assert!(unread.is_empty());
            unread.push(LISTS);
        }
    }

    #[test]
    fn what_is_left_over_comes_first() {
        let mut unread = Unread::default();
        unread.push(ENDS);
        unread.push(ENDS);
        assert!(!unread.is_empty());
        assert_eq!(unread.take_turn([LISTS].into_iter()), [ENDS, LISTS]);
    }
}
