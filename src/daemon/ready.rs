// SPDX-License-Identifier: GPL-2.0-or-later
//! Callers whose answer can be made now, and how many are answered in one turn of the loop.
//!
//! An answer about many flows takes milliseconds. When a list of flows is there thirty callers may have
//! waited for it; what happens meanwhile, a cable pulled or a rule changed, must not wait for all
//! of them.

use std::collections::VecDeque;

/// Those who are to be answered, in the order in which they are. The bus bounds how many calls wait.
#[derive(Debug)]
pub(super) struct Ready<T> {
    queue: VecDeque<(T, bool)>,
}

impl<T> Default for Ready<T> {
    fn default() -> Self {
        Ready { queue: VecDeque::new() }
    }
}

impl<T> Ready<T> {
    /// Whoever comes last is answered last; `long` when that may take its time.
    pub fn push(&mut self, caller: T, long: bool) {
        self.queue.push_back((caller, long));
    }

    /// Nobody is left for the next turn.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Those who are answered in one turn, with one long answer at most.
    pub fn take_turn(&mut self) -> Vec<T> {
        let mut turn = Vec::new();
        while let Some((caller, long)) = self.queue.pop_front() {
            turn.push(caller);
            if long {
                break;
            }
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_one_long_answer() {
        let mut ready = Ready::default();
        let callers = [(1, false), (2, true), (3, true), (4, false), (5, false)];
        callers.iter().for_each(|(caller, long)| ready.push(*caller, *long));
        assert_eq!(ready.take_turn(), [1, 2]);
        assert_eq!(ready.take_turn(), [3]);
        ready.push(6, true);
        ready.push(7, true);
        assert_eq!(ready.take_turn(), [4, 5, 6]);
        assert!(!ready.is_empty());
        assert_eq!(ready.take_turn(), [7]);
        assert!(ready.is_empty() && ready.take_turn().is_empty());
    }
}
