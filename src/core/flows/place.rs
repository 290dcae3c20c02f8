// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a flow's ends are attached, in six bytes.

/// Numbers at and above this one are not those of an attachment.
const NOT_ASKED: u16 = u16::MAX;
const ROUTER: u16 = u16::MAX - 1;
const UNKNOWN: u16 = u16::MAX - 2;
const NO_HOST: u16 = 0x7fff;
/// In `host`: the client is the end that answers.
const ANSWERS: u16 = 0x8000;

/// One end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Behind the chain of devices of this number.
    Attached(u16),
    /// This router itself.
    Router,
    /// Nobody knows.
    Unknown,
    /// Routing has yet to be asked.
    NotAsked,
}

impl End {
    /// The number of its chain of devices.
    pub fn attachment(self) -> Option<u16> {
        match self {
            End::Attached(number) => Some(number),
            End::Router | End::Unknown | End::NotAsked => None,
        }
    }

    fn number(self) -> u16 {
        match self {
            End::Attached(number) if number < UNKNOWN => number,
            End::Router => ROUTER,
            End::NotAsked => NOT_ASKED,
            End::Attached(_) | End::Unknown => UNKNOWN,
        }
    }

    fn of(number: u16) -> End {
        match number {
            ROUTER => End::Router,
            UNKNOWN => End::Unknown,
            NOT_ASKED => End::NotAsked,
            number => End::Attached(number),
        }
    }
}

/// Both ends and the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    opener: u16,
    answerer: u16,
    host: u16,
}

impl Place {
    /// No end has been looked for yet.
    pub const UNPLACED: Place = Place { opener: NOT_ASKED, answerer: NOT_ASKED, host: NO_HOST };

    /// The ends, and the number of the client with true when it is the end that answers.
    pub fn new(opener: End, answerer: End, host: Option<(u16, bool)>) -> Place {
        let host = host.map_or(NO_HOST, |(number, answers)| {
            number.min(NO_HOST) | if answers { ANSWERS } else { 0 }
        });
        Place { opener: opener.number(), answerer: answerer.number(), host }
    }

    /// False until both ends have been looked for.
    pub fn is_placed(self) -> bool {
        self.opener != NOT_ASKED && self.answerer != NOT_ASKED
    }

    /// The end that opened the connection.
    pub fn opener(self) -> End {
        End::of(self.opener)
    }

    /// The end that answers.
    pub fn answerer(self) -> End {
        End::of(self.answerer)
    }

    /// The number of the client.
    pub fn host(self) -> Option<u16> {
        Some(self.host & !ANSWERS).filter(|number| *number != NO_HOST)
    }

    /// The client is the end that answers.
    pub fn host_answers(self) -> bool {
        self.host & ANSWERS != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let place = Place::new(End::Attached(3), End::Router, Some((5, true)));
        assert_eq!((place.opener(), place.answerer()), (End::Attached(3), End::Router));
        assert_eq!((place.host(), place.host_answers()), (Some(5), true));
        let place = Place::new(End::Unknown, End::Attached(u16::MAX), None);
        assert_eq!((place.opener(), place.answerer()), (End::Unknown, End::Unknown));
        assert_eq!((place.host(), place.is_placed()), (None, true));
        assert!(!Place::UNPLACED.is_placed());
    }
}
