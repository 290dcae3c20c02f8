// SPDX-License-Identifier: GPL-2.0-or-later
//! What the targets share: taking an input apart.

use flowtabled::netlink::message::{Message, Messages};

/// The bytes of an input, one after the other; zeros behind its end.
#[derive(Debug, Clone)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next so many bytes, fewer at the end.
    pub fn some(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// The next bytes, filled up with zeros.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.some(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// The next byte.
    pub fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }
}

/// Calls `each` with every message of a netlink input.
///
/// An input is a type, flags (both as in a header, on little endian) and a payload that is as long as
/// the input: with a length in it, nearly every change of the input's length would be refused at once.
/// That the framing stands such lengths is tried beside, with the same bytes as a datagram.
pub fn messages(input: &[u8], mut each: impl FnMut(&Message<'_>)) {
    for message in Messages::new(input).flatten() {
        each(&message);
    }
    let Some((&[a, b, c, d], payload)) = input.split_first_chunk() else { return };
    let (kind, flags) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    each(&Message { kind, flags, sequence: 1, port: 0, payload });
}
