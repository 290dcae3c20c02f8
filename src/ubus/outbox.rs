// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes for the broker that its socket has not taken yet.
//!
//! The broker reads at once unless it is itself in trouble, and it keeps what a slow caller does
//! not fetch on its own side, so the outbox is nearly always empty.

use std::io::{self, ErrorKind, Write};

use ubus::wire::Frame;

/// Most bytes kept: two replies of the greatest length, so that one caller's `devices` does not
/// push out another's `status`.
pub const MAX_OUTBOX: usize = 2 * 64 * 1024;

/// Bytes beyond that for statuses alone: a hundred and more, and fewer calls can be owed one when the
/// outbox is full, for none is read then.
const STATUS_ROOM: usize = 4 * 1024;

/// The outbox has no room for the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The sending side of a connection.
#[derive(Debug, Default)]
pub struct Outbox {
    buf: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Outbox::default()
    }

    /// Appends messages that belong together: all of them or, if there is no room, none.
    pub fn push(&mut self, frames: &[Frame]) -> Result<(), Full> {
        self.append(frames, MAX_OUTBOX)
    }

    /// Appends a status that goes alone, for which there is room behind what [`Self::push`] takes.
    pub fn push_status(&mut self, status: Frame) -> Result<(), Full> {
        self.append(&[status], MAX_OUTBOX + STATUS_ROOM)
    }

    /// Statuses have begun to take the room that is kept for them: no further call should be read.
    pub fn is_full(&self) -> bool {
        self.pending() > MAX_OUTBOX
    }

    fn append(&mut self, frames: &[Frame], most: usize) -> Result<(), Full> {
        let size: usize = frames.iter().map(|f| f.hdr.encode().len() + f.payload.len()).sum();
        if self.pending() + size > most {
            return Err(Full);
        }
        self.buf.drain(..self.sent);
        self.sent = 0;
        for frame in frames {
            self.buf.extend_from_slice(&frame.hdr.encode());
            self.buf.extend_from_slice(&frame.payload);
        }
        Ok(())
    }

    /// Bytes not yet taken.
    pub fn pending(&self) -> usize {
        self.buf.len() - self.sent
    }

    /// Writes until everything is taken or `sink` would block.
    pub fn flush(&mut self, sink: &mut impl Write) -> io::Result<()> {
        while let Some(rest) = self.buf.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match sink.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.sent = (self.sent + n).min(self.buf.len()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        *self = Outbox::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ubus::MsgType;

    /// Takes `room` bytes, three at a time, then would block.
    struct Sink {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room).min(3);
            if n == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= n;
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn frame(length: usize) -> Frame {
        Frame::to_broker(MsgType::Ping, 1, vec![0xab; length])
    }

    #[test]
    fn order_survives_a_sink_that_blocks() {
        let mut outbox = Outbox::new();
        let mut sink = Sink { taken: Vec::new(), room: 10 };
        outbox.push(&[frame(4), frame(6)]).unwrap();
        outbox.flush(&mut sink).unwrap();
        assert_eq!(outbox.pending(), 16);
        outbox.push(&[frame(5)]).unwrap();
        sink.room = 1000;
        outbox.flush(&mut sink).unwrap();
        assert_eq!(outbox.pending(), 0);
        let mut wanted = Vec::new();
        for f in [frame(4), frame(6), frame(5)] {
            wanted.extend_from_slice(&f.hdr.encode());
            wanted.extend_from_slice(&f.payload);
        }
        assert_eq!(sink.taken, wanted);
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut outbox = Outbox::new();
        outbox.push(&[frame(MAX_OUTBOX - 100)]).unwrap();
        let before = outbox.pending();
        assert_eq!(outbox.push(&[frame(4), frame(100)]), Err(Full));
        assert_eq!(outbox.pending(), before);
        outbox.push(&[frame(4)]).unwrap();
    }

    #[test]
    fn a_closed_sink_is_an_error() {
        let mut outbox = Outbox::new();
        outbox.push(&[frame(4)]).unwrap();
        assert!(outbox.flush(&mut [0u8; 0].as_mut_slice()).is_err());
    }
}
