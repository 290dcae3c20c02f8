// SPDX-License-Identifier: GPL-2.0-or-later
//! Walking attributes in place, for the lists that are long.
//!
//! A conntrack entry has some thirty attributes in nests three deep, and a list may have 64k
//! entries. The walk of [`attribute`](crate::netlink::attribute) keeps its code small and calls
//! through a pointer for each attribute; this one is inlined into its few users. With the general
//! iterator in its place, even without the pointer, parsing took four times as long
//! (`cargo xtask bench flows` measures lists).

use netlink_packet_core::{DecodeError, NLA_F_NESTED, NLA_HEADER_SIZE, NLA_TYPE_MASK};

/// What can be wrong with an entry. One byte, and no destructor, unlike the error of the public
/// functions: there are some forty places that may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// An attribute is longer than what holds it, or shorter than its header.
    Attribute,
    /// A value has a wrong length.
    Value,
    /// A tuple lacks its addresses or its protocol, or the entry lacks a tuple.
    Incomplete,
}

impl From<Fault> for DecodeError {
    #[cold]
    fn from(fault: Fault) -> DecodeError {
        DecodeError::from(match fault {
            Fault::Attribute => "attribute does not fit into what holds it",
            Fault::Value => "value of an attribute has a wrong length",
            Fault::Incomplete => "conntrack entry without its tuples",
        })
    }
}

/// Kind and value of each attribute, up to the first malformed one; [`Walk::end`] tells of that.
pub(super) struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    #[inline(always)]
    pub(super) fn new(bytes: &'a [u8]) -> Walk<'a> {
        Walk { rest: bytes }
    }

    /// The next attribute.
    #[inline(always)]
    pub(super) fn attribute(&mut self) -> Option<(u16, &'a [u8])> {
        let [l0, l1, k0, k1, ..] = *self.rest else { return None };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = self.rest.get(NLA_HEADER_SIZE..length)?;
        // The last attribute may lack its padding.
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & NLA_TYPE_MASK, value))
    }

    /// The value of the next attribute, provided that it has this kind and length, and its padding.
    #[inline(always)]
    pub(super) fn exactly<const N: usize>(&mut self, kind: u16) -> Option<[u8; N]> {
        self.header(kind, N)?;
        let value = *self.rest.first_chunk()?;
        self.rest = self.rest.get(N.next_multiple_of(4)..)?;
        Some(value)
    }

    /// Goes into the next attribute, provided that it is a nest of this kind and length.
    #[inline(always)]
    pub(super) fn enter(&mut self, kind: u16, length: usize) -> Option<()> {
        self.header(kind | NLA_F_NESTED, length)
    }

    #[inline(always)]
    fn header(&mut self, kind: u16, length: usize) -> Option<()> {
        let ([l0, l1, k0, k1], rest) = self.rest.split_first_chunk()?;
        let length = ((NLA_HEADER_SIZE + length) as u16).to_ne_bytes();
        self.rest = rest;
        // Whole words: opt-level "z" compares arrays by a call.
        let found = u32::from_ne_bytes([*l0, *l1, *k0, *k1]);
        let [l0, l1] = length;
        let [k0, k1] = kind.to_ne_bytes();
        (found == u32::from_ne_bytes([l0, l1, k0, k1])).then_some(())
    }

    /// To be called when the walk has ended.
    ///
    /// # Errors
    /// It ended at a malformed attribute.
    #[inline(always)]
    pub(super) fn end(self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Fault::Attribute)
        }
    }
}

/// The value as an array of its only valid length.
#[inline(always)]
pub(super) fn array<const N: usize>(value: &[u8]) -> Result<[u8; N], Fault> {
    value.try_into().map_err(|_| Fault::Value)
}

/// One byte.
#[inline(always)]
pub(super) fn byte(value: &[u8]) -> Result<u8, Fault> {
    let [byte] = array(value)?;
    Ok(byte)
}

/// Big-endian 16 bits.
#[inline(always)]
pub(super) fn u16_be(value: &[u8]) -> Result<u16, Fault> {
    Ok(u16::from_be_bytes(array(value)?))
}

/// Big-endian 32 bits.
#[inline(always)]
pub(super) fn u32_be(value: &[u8]) -> Result<u32, Fault> {
    Ok(u32::from_be_bytes(array(value)?))
}

/// Big-endian 64 bits.
#[inline(always)]
pub(super) fn u64_be(value: &[u8]) -> Result<u64, Fault> {
    Ok(u64::from_be_bytes(array(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute::{attributes, Writer};
    use proptest::prelude::*;

    /// All attributes, and `None` for a malformed one at the end.
    fn walked(bytes: &[u8]) -> Vec<Option<(u16, &[u8])>> {
        let mut walk = Walk::new(bytes);
        let mut list: Vec<_> = std::iter::from_fn(|| walk.attribute().map(Some)).collect();
        list.extend(walk.end().is_err().then_some(None));
        list
    }

    #[test]
    fn padding_and_flags_are_taken_off() {
        let mut writer = Writer::new();
        writer.nest(1, |w| w.u8(2, 7));
        writer.bytes(3, &[1, 2, 3]);
        let bytes = writer.into_bytes();
        let inner = bytes[4..12].to_vec();
        let whole = [Some((1, &inner[..])), Some((3, &[1, 2, 3][..]))];
        assert_eq!(walked(&bytes), whole);
        assert_eq!(walked(&bytes[..bytes.len() - 1]), whole);
        assert_eq!(walked(&bytes[..bytes.len() - 2]), [whole[0], None]);
    }

    proptest! {
        /// The same as the general walk, on sound attributes and on any bytes.
        #[test]
        fn agrees_with_the_general_walk(bytes in proptest::collection::vec(0u8..12, 0..100)) {
            let general: Vec<Option<(u16, &[u8])>> =
                attributes(&bytes).map(Result::ok).collect();
            prop_assert_eq!(walked(&bytes), general);
        }
    }
}
