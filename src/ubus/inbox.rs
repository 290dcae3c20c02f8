// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes from the broker, cut into messages.
//!
//! A message is an 8-byte header and one attribute whose length ends it. The inbox keeps what has
//! arrived of the current message; a message longer than [`MAX_MESSAGE`] is announced by its
//! header and its bytes are dropped as they come. Descriptors that a caller attaches are closed
//! by the kernel, because plain reads do not collect them.

use std::fmt;
use std::io::{self, ErrorKind, Read};

use ubus::wire::{Header, HEADER_SIZE, PROTO_VERSION};
#[cfg(test)]
use ubus::MsgType;

/// Longest message kept, in bytes after the header. The bus allows 1 MiB; what we are sent is
/// a request with a few arguments, and what the command is sent is a reply of ours, which is
/// never longer than 64 KiB.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Bytes asked of the socket in one read: several requests, yet small on the stack.
const CHUNK: usize = 2048;

/// Size of the header and of the head of the attribute behind it, which holds the length.
const HEAD: usize = HEADER_SIZE + 4;

/// What the stream did wrong; the connection cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingError {
    /// The header has a version that is not ours.
    Version(u8),
    /// The attribute is shorter than its own head.
    Length(usize),
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FramingError::Version(v) => write!(f, "message of unknown version {v}"),
            FramingError::Length(n) => write!(f, "message of impossible length {n}"),
        }
    }
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Bytes came; there may be more.
    Some(usize),
    /// Nothing more for now.
    Blocked,
    /// The broker closed the connection.
    Closed,
}

/// The next message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A whole message: its header and the attribute, head included.
    Whole(Header, Vec<u8>),
    /// A message that was too long to keep.
    TooLong(Header),
}

/// The receiving side of a connection.
#[derive(Debug, Default)]
pub struct Inbox {
    buf: Vec<u8>,
    /// Bytes at the front of `buf` that are dealt with.
    used: usize,
    /// Bytes still to come that belong to a message not kept.
    skip: usize,
}

impl Inbox {
    /// An inbox at a message boundary.
    pub fn new() -> Self {
        Inbox::default()
    }

    /// Reads once from `source`, at most 2 KiB. `WouldBlock` and `TimedOut` are
    /// [`Fill::Blocked`]; other errors are returned.
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<Fill> {
        let mut chunk = [0; CHUNK];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => return Ok(Fill::Closed),
                Ok(n) => {
                    self.push(chunk.get(..n).unwrap_or_default());
                    return Ok(Fill::Some(n));
                }
                Err(e) => match e.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(Fill::Blocked),
                    _ => return Err(e),
                },
            }
        }
    }

    /// Appends received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        if self.used == self.buf.len() {
            self.buf.clear();
            self.used = 0;
        }
        self.buf.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
    }

    /// The next message that is complete, or `None` until more bytes come. Messages of a type
    /// that we do not know are passed over.
    pub fn pop(&mut self) -> Result<Option<Message>, FramingError> {
        loop {
            let rest = self.buf.get(self.used..).unwrap_or_default();
            let Some((length, header)) = Self::head(rest)? else {
                self.compact();
                return Ok(None);
            };
            let end = HEADER_SIZE + length;
            if length > MAX_MESSAGE {
                let present = end.min(rest.len());
                self.skip = end - present;
                self.used += present;
                match header {
                    Some(header) => return Ok(Some(Message::TooLong(header))),
                    None => continue,
                }
            }
            let Some(payload) = rest.get(HEADER_SIZE..end) else {
                self.compact();
                return Ok(None);
            };
            let message = header.map(|header| Message::Whole(header, payload.to_vec()));
            self.used += end;
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    /// Length of the attribute and the header, which is `None` for an unknown message type.
    ///
    /// The length is read here and not by `Codec::read_frame`, which takes a header that has
    /// arrived alone for a message without a body and so loses step with the stream.
    fn head(bytes: &[u8]) -> Result<Option<(usize, Option<Header>)>, FramingError> {
        let Some(&[version, _, _, _, _, _, _, _, _, a, b, c]) = bytes.get(..HEAD) else {
            return Ok(None);
        };
        if version != PROTO_VERSION {
            return Err(FramingError::Version(version));
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length < HEAD - HEADER_SIZE {
            return Err(FramingError::Length(length));
        }
        Ok(Some((length, Header::decode(bytes).ok())))
    }

    /// Gives back memory when all is dealt with, and moves a partial message to the front.
    fn compact(&mut self) {
        if self.used == self.buf.len() {
            self.buf = Vec::new();
        } else if self.used > 0 {
            self.buf.drain(..self.used);
        }
        self.used = 0;
    }
}

/// A header as the broker would send it.
#[cfg(test)]
pub(crate) fn header(ty: MsgType, seq: u16, peer: u32) -> Header {
    Header { version: PROTO_VERSION, ty, seq, peer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// HELLO of the C broker to its client 0x4ffa2486, as captured.
    const HELLO: [u8; 12] = [0, 0, 0, 0, 0x4f, 0xfa, 0x24, 0x86, 0, 0, 0, 4];

    fn long(ty: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0, ty, 0, 9, 0, 0, 0, 7];
        bytes.extend_from_slice(&(length as u32).to_be_bytes());
        bytes.resize(HEADER_SIZE + length, 0xee);
        bytes
    }

    fn hello() -> Message {
        Message::Whole(header(MsgType::Hello, 0, 0x4ffa_2486), vec![0, 0, 0, 4])
    }

    #[test]
    fn a_header_alone_is_no_message() {
        let mut inbox = Inbox::new();
        for byte in HELLO.chunks(1) {
            assert_eq!(inbox.pop(), Ok(None));
            inbox.push(byte);
        }
        assert_eq!(inbox.pop(), Ok(Some(hello())));
        assert_eq!(inbox.pop(), Ok(None));
    }

    #[test]
    fn unknown_types_are_passed_over() {
        let mut inbox = Inbox::new();
        inbox.push(&long(77, 8));
        inbox.push(&HELLO);
        assert_eq!(inbox.pop(), Ok(Some(hello())));
    }

    #[test]
    fn a_message_too_long_is_announced_and_skipped() {
        for ty in [5, 77] {
            let mut inbox = Inbox::new();
            let mut bytes = long(ty, MAX_MESSAGE + 100);
            bytes.extend_from_slice(&HELLO);
            let mut seen = Vec::new();
            for chunk in bytes.chunks(1000) {
                inbox.push(chunk);
                while let Some(message) = inbox.pop().unwrap() {
                    seen.push(message);
                }
                assert!(inbox.buf.len() <= 1000 + HEAD);
            }
            if ty == 5 {
                assert_eq!(seen.remove(0), Message::TooLong(header(MsgType::Invoke, 9, 7)));
            }
            assert_eq!(seen, [hello()]);
        }
    }

    #[test]
    fn a_broken_stream_is_an_error() {
        let mut inbox = Inbox::new();
        inbox.push(&[9; 12]);
        assert_eq!(inbox.pop(), Err(FramingError::Version(9)));
        let mut inbox = Inbox::new();
        inbox.push(&[0; 12]);
        assert_eq!(inbox.pop(), Err(FramingError::Length(0)));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_messages(
            bytes in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 0..300),
            cut in 1usize..20,
        ) {
            let all = |pieces: &mut dyn Iterator<Item = &[u8]>| {
                let mut inbox = Inbox::new();
                let mut seen = Vec::new();
                for piece in pieces {
                    inbox.push(piece);
                    loop {
                        match inbox.pop() {
                            Ok(Some(message)) => seen.push(Ok(message)),
                            Ok(None) => break,
                            Err(e) => { seen.push(Err(e)); return seen; }
                        }
                    }
                }
                seen
            };
            let whole = all(&mut std::iter::once(bytes.as_slice()));
            prop_assert_eq!(whole, all(&mut bytes.chunks(cut)));
        }
    }
}
