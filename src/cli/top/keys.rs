// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes of a terminal as keys.
//!
//! A cursor key is a sequence that begins with Escape and may come in several reads, and Escape is
//! a key as well. Which of the two it was tells the time, which is an argument. Sequences that
//! nobody asked for are swallowed whole, so that their letters are not taken for keys.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the rest of a sequence may take. Bytes of one key leave a terminal together; this
/// covers a slow line, and is hardly felt by who presses Escape.
const ESCAPE_TIME: Duration = Duration::from_millis(100);

/// Keys kept for the caller. More than that in one read is a paste, not typing.
const KEYS_MAX: usize = 256;
/// Longest parameters of a sequence; cursor keys with modifiers have five bytes.
const PARAMETERS_MAX: usize = 16;

const ESCAPE: u8 = 0x1b;

/// A key that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A printable ASCII character.
    Char(char),
    /// Enter.
    Enter,
    /// Escape alone.
    Escape,
    /// Backspace.
    Backspace,
    /// Ctrl-C or Ctrl-D.
    Interrupt,
    /// Ctrl-L.
    Redraw,
    /// Ctrl-U.
    Erase,
    /// Page down, or cursor down.
    Down,
    /// Page up, or cursor up.
    Up,
    /// Home.
    Home,
}

/// What the bytes so far are the beginning of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Begun {
    #[default]
    Nothing,
    /// Escape.
    Escape,
    /// Escape and `[`, and these parameters.
    Control(Vec<u8>),
    /// Escape and `O`: cursor keys of a terminal in application mode.
    Single,
}

/// The keys that have come.
#[derive(Debug, Default)]
pub struct Keys {
    begun: Begun,
    /// When what has begun is given up.
    until: Option<Instant>,
    ready: VecDeque<Key>,
}

impl Keys {
    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8], now: Instant) {
        for byte in bytes {
            if let Some(key) = self.byte(*byte) {
                self.add(key);
            }
        }
        self.until = (self.begun != Begun::Nothing).then(|| now + ESCAPE_TIME);
    }

    /// The next key.
    pub fn pop(&mut self) -> Option<Key> {
        self.ready.pop_front()
    }

    /// When [`Self::expire`] is due; `None` unless the bytes end within a sequence or with Escape.
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// If nothing more has come until the deadline, an Escape was the key, and the beginning of a
    /// sequence was nothing.
    pub fn expire(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            if std::mem::take(&mut self.begun) == Begun::Escape {
                self.add(Key::Escape);
            }
        }
    }

    fn add(&mut self, key: Key) {
        if self.ready.len() < KEYS_MAX {
            self.ready.push_back(key);
        }
    }

    fn byte(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(&mut self.begun) {
            Begun::Nothing => {
                if byte == ESCAPE {
                    self.begun = Begun::Escape;
                }
                single(byte)
            }
            Begun::Escape => match byte {
                b'[' => {
                    self.begun = Begun::Control(Vec::new());
                    None
                }
                b'O' => {
                    self.begun = Begun::Single;
                    None
                }
                ESCAPE => {
                    self.begun = Begun::Escape;
                    Some(Key::Escape)
                }
                // A character with Alt held down.
                _ => None,
            },
            Begun::Single => cursor(byte),
            Begun::Control(mut parameters) => match byte {
                0x20..=0x3f if parameters.len() < PARAMETERS_MAX => {
                    parameters.push(byte);
                    self.begun = Begun::Control(parameters);
                    None
                }
                b'~' => numbered(&parameters),
                0x40..=0x7e => cursor(byte),
                // Not a sequence after all, and no telling what.
                _ => None,
            },
        }
    }
}

fn single(byte: u8) -> Option<Key> {
    Some(match byte {
        b' '..=b'~' => Key::Char(char::from(byte)),
        b'\r' | b'\n' => Key::Enter,
        0x03 | 0x04 => Key::Interrupt,
        0x08 | 0x7f => Key::Backspace,
        0x0c => Key::Redraw,
        0x15 => Key::Erase,
        _ => return None,
    })
}

/// The final byte of a cursor key, whatever modifiers stand before it.
fn cursor(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'H' => Key::Home,
        b'M' => Key::Enter,
        _ => return None,
    })
}

/// A key that has a number, modifiers behind a semicolon left aside.
fn numbered(parameters: &[u8]) -> Option<Key> {
    Some(match parameters.split(|byte| *byte == b';').next()? {
        b"1" | b"7" => Key::Home,
        b"5" => Key::Up,
        b"6" => Key::Down,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(keys: &mut Keys) -> Vec<Key> {
        std::iter::from_fn(|| keys.pop()).collect()
    }

    fn of(bytes: &[u8]) -> Vec<Key> {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.push(bytes, now);
        keys.expire(now + ESCAPE_TIME);
        all(&mut keys)
    }

    #[test]
    fn characters_and_controls() {
        assert_eq!(of(b"q/"), [Key::Char('q'), Key::Char('/')]);
        assert_eq!(of(b"\r\n"), [Key::Enter, Key::Enter]);
        assert_eq!(of(b"\x7f\x08"), [Key::Backspace, Key::Backspace]);
        assert_eq!(
            of(b"\x03\x04\x0c\x15"),
            [Key::Interrupt, Key::Interrupt, Key::Redraw, Key::Erase]
        );
        assert_eq!(of("\0\té\u{9b}".as_bytes()), []);
    }

    #[test]
    fn sequences() {
        assert_eq!(of(b"\x1b[A\x1b[B\x1bOA\x1bOB"), [Key::Up, Key::Down, Key::Up, Key::Down]);
        assert_eq!(of(b"\x1b[5~\x1b[6~\x1b[6;5~"), [Key::Up, Key::Down, Key::Down]);
        assert_eq!(of(b"\x1b[H\x1b[1~\x1b[7~\x1bOH"), [Key::Home; 4]);
        assert_eq!(of(b"\x1b[1;5B"), [Key::Down]);
        // Keys without a meaning, a reply of the terminal, a character with Alt.
        assert_eq!(
            of(b"\x1b[3~\x1b[C\x1b[?1;2c\x1b[24;80Rx\x1bqy"),
            [Key::Char('x'), Key::Char('y')]
        );
    }

    #[test]
    fn a_sequence_may_come_byte_by_byte() {
        let (mut keys, mut now) = (Keys::default(), Instant::now());
        for byte in b"\x1b[6" {
            keys.push(&[*byte], now);
            assert_eq!(keys.deadline(), Some(now + ESCAPE_TIME));
            // Something else may wake the caller meanwhile.
            now += ESCAPE_TIME / 2;
            keys.expire(now);
            assert_eq!(keys.pop(), None);
        }
        keys.push(b"~", now);
        assert_eq!(keys.deadline(), None);
        assert_eq!(all(&mut keys), [Key::Down]);
    }

    #[test]
    fn escape_alone_is_told_by_time() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.push(b"\x1b", now);
        assert_eq!(keys.pop(), None);
        keys.expire(now + ESCAPE_TIME);
        assert_eq!(all(&mut keys), [Key::Escape]);
        assert_eq!(keys.deadline(), None);
        keys.push(b"[A", now);
        assert_eq!(all(&mut keys), [Key::Char('['), Key::Char('A')]);
        assert_eq!(of(b"\x1b\x1b[A"), [Key::Escape, Key::Up]);
        assert_eq!(of(b"\x1b["), []);
    }

    #[test]
    fn endless_input_is_bounded() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.push(&[b'x'; 10_000], now);
        assert_eq!(all(&mut keys).len(), KEYS_MAX);
        keys.push(b"\x1b[", now);
        keys.push(&[b'1'; PARAMETERS_MAX], now);
        assert!(keys.deadline().is_some());
        keys.push(b"1", now);
        assert!(keys.deadline().is_none());
    }

    proptest! {
        #[test]
        fn reads_may_be_split_anywhere(
            bytes in proptest::collection::vec(
                prop_oneof![Just(ESCAPE), Just(b'['), Just(b'O'), Just(b'6'), Just(b'~'),
                    any::<u8>()], 0..60),
            cut in 1usize..5,
        ) {
            let (mut keys, now) = (Keys::default(), Instant::now());
            bytes.chunks(cut).for_each(|piece| keys.push(piece, now));
            keys.expire(now + ESCAPE_TIME);
            prop_assert_eq!(all(&mut keys), of(&bytes));
        }
    }
}
