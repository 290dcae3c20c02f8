// SPDX-License-Identifier: GPL-2.0-or-later
//! Answers of the kernel's routing, kept until routes or rules change.

use litemap::LiteMap;

use super::{Answer, Ask};
use crate::netlink::route::Lookup;

/// Flows between the same two addresses share an answer. A question costs the kernel some ten
/// microseconds, so starting over when the table is full is cheap enough.
const ANSWERS_MAX: usize = 2048;

/// Answers by question; none of them is [`Answer::NotAsked`].
#[derive(Debug, Default)]
pub(super) struct Routes {
    answers: LiteMap<Lookup, Answer>,
}

impl Routes {
    pub(super) fn clear(&mut self) {
        self.answers.clear();
    }

    pub(super) fn find(&mut self, lookup: &Lookup, ask: &mut Ask<'_>) -> Answer {
        if let Some(known) = self.answers.get(lookup) {
            return *known;
        }
        let answer = ask(lookup);
        if answer != Answer::NotAsked {
            if self.answers.len() >= ANSWERS_MAX {
                self.answers.clear();
            }
            self.answers.insert(*lookup, answer);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(number: u32) -> Lookup {
        let to = std::net::IpAddr::V4(number.into());
        Lookup { from: None, to, input: None, mark: 0 }
    }

    #[test]
    fn each_question_is_asked_once() {
        let mut routes = Routes::default();
        let mut asked = 0;
        let mut ask = |_: &Lookup| {
            asked += 1;
            Answer::Behind(3)
        };
        assert_eq!(routes.find(&lookup(1), &mut ask), Answer::Behind(3));
        assert_eq!(routes.find(&lookup(1), &mut ask), Answer::Behind(3));
        assert_eq!(asked, 1);
        assert_eq!(routes.find(&lookup(2), &mut |_| Answer::NotAsked), Answer::NotAsked);
        assert_eq!(routes.find(&lookup(2), &mut |_| Answer::Nowhere), Answer::Nowhere);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut routes = Routes::default();
        for number in 0..=ANSWERS_MAX as u32 {
            routes.find(&lookup(number), &mut |_| Answer::Nowhere);
            assert!(routes.answers.len() <= ANSWERS_MAX);
        }
    }
}
