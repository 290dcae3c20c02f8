// SPDX-License-Identifier: GPL-2.0-or-later
//! The listing in pieces: a full table is four megabytes, which no router wants in memory.

use super::super::hash::ENTRIES;
use super::{Fault, Line, LINE_LIMIT};
use std::fmt;

/// A line that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Its number, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl std::error::Error for Malformed {}

/// Takes the listing as it comes, and gives its lines. Keeps [`LINE_LIMIT`] bytes at most.
#[derive(Debug, Default)]
pub struct Reader {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// That line is too long already.
    too_long: bool,
    lines: u32,
}

impl Reader {
    /// Before the first byte.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Takes the next bytes; each line that ends in them is given once. Empty lines are not.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Result<Line, Malformed>)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(rest) => {
                    self.take(rest);
                    self.end(each);
                }
                None => self.take(piece),
            }
        }
    }

    /// The listing is over; a last line without an end is given.
    pub fn finish(mut self, each: &mut dyn FnMut(Result<Line, Malformed>)) {
        self.end(each);
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.begun.len().saturating_add(bytes.len()) > LINE_LIMIT {
            self.too_long = true;
            self.begun.clear();
        }
        if !self.too_long {
            self.begun.extend(bytes);
        }
    }

    fn end(&mut self, each: &mut dyn FnMut(Result<Line, Malformed>)) {
        let too_long = std::mem::take(&mut self.too_long);
        if self.begun.is_empty() && !too_long {
            return;
        }
        self.lines = self.lines.saturating_add(1);
        let line = match std::str::from_utf8(&self.begun) {
            _ if self.lines > ENTRIES => Err(Fault::TooMany),
            _ if too_long => Err(Fault::TooLong),
            Ok(text) => Line::parse(text),
            Err(_) => Err(Fault::NotText),
        };
        self.begun.clear();
        let number = self.lines;
        each(line.map_err(|fault| Malformed { line: number, fault }));
    }
}
