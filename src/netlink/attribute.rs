// SPDX-License-Identifier: GPL-2.0-or-later
//! Netlink attributes: a writer that nests, and readers that check lengths in one place.
//!
//! Integers inside nf_tables and conntrack attributes are big-endian, those of rtnetlink are in
//! host order; the names of the functions say which.

use std::net::IpAddr;

use netlink_packet_core::{
    parse_u16, parse_u16_be, parse_u32, parse_u32_be, parse_u64_be, DecodeError, NlaBuffer,
    NlasIterator, NLA_F_NESTED, NLA_HEADER_SIZE,
};

/// Appends attributes to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// What has been written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What has been written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes outside any attribute: fixed headers.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// One attribute with its padding. Values longer than an attribute can hold (65,531 bytes)
    /// are cut; no message of this crate comes near.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    /// A NUL-terminated string.
    pub fn string(&mut self, kind: u16, value: &str) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    /// One byte.
    pub fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    /// Big-endian 16 bits.
    pub fn u16_be(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Big-endian 32 bits.
    pub fn u32_be(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Big-endian 64 bits.
    pub fn u64_be(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// 32 bits in host order.
    pub fn u32_host(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// An IP address in the order of transmission.
    pub fn address(&mut self, kind: u16, value: IpAddr) {
        match value {
            IpAddr::V4(address) => self.bytes(kind, &address.octets()),
            IpAddr::V6(address) => self.bytes(kind, &address.octets()),
        }
    }

    /// A nest: `fill` writes the attributes inside.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer)) {
        let start = self.open(kind | NLA_F_NESTED);
        fill(self);
        self.close(start);
    }

    #[inline(never)]
    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    #[inline(never)]
    fn close(&mut self, start: usize) {
        self.bytes.truncate(start + usize::from(u16::MAX));
        let length = (self.bytes.len() - start) as u16;
        if let Some(field) = self.bytes.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Kind and value of the attributes in `bytes`, one by one; the first malformed one ends the walk
/// with an error.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), DecodeError>> {
    NlasIterator::new(bytes).map(|attribute| {
        let attribute: NlaBuffer<&[u8]> = attribute?;
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        Ok((kind, attribute.into_inner().get(NLA_HEADER_SIZE..length).unwrap_or_default()))
    })
}

/// Calls `each` with the kind and value of every attribute in `bytes`.
///
/// # Errors
/// A malformed attribute, or the first error of `each`.
pub fn for_each(
    bytes: &[u8],
    mut each: impl FnMut(u16, &[u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    walk(bytes, &mut each)
}

type Visit<'a> = &'a mut dyn FnMut(u16, &[u8]) -> Result<(), DecodeError>;

/// Not generic, so that the code exists once.
fn walk(bytes: &[u8], each: Visit<'_>) -> Result<(), DecodeError> {
    for attribute in attributes(bytes) {
        let (kind, value) = attribute?;
        each(kind, value)?;
    }
    Ok(())
}

/// A string up to its first NUL, or to the end where there is none. The kernel allows any bytes in
/// most names; those that are not UTF-8 become U+FFFD, which no name of ours contains.
pub fn string(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

/// One byte.
///
/// # Errors
/// The value has another length.
pub fn u8(value: &[u8]) -> Result<u8, DecodeError> {
    netlink_packet_core::parse_u8(value)
}

/// 16 bits in host order.
///
/// # Errors
/// The value has another length.
pub fn u16_host(value: &[u8]) -> Result<u16, DecodeError> {
    parse_u16(value)
}

/// Big-endian 16 bits.
///
/// # Errors
/// The value has another length.
pub fn u16_be(value: &[u8]) -> Result<u16, DecodeError> {
    parse_u16_be(value)
}

/// Big-endian 32 bits.
///
/// # Errors
/// The value has another length.
pub fn u32_be(value: &[u8]) -> Result<u32, DecodeError> {
    parse_u32_be(value)
}

/// 32 bits in host order.
///
/// # Errors
/// The value has another length.
pub fn u32_host(value: &[u8]) -> Result<u32, DecodeError> {
    parse_u32(value)
}

/// Big-endian 64 bits.
///
/// # Errors
/// The value has another length.
pub fn u64_be(value: &[u8]) -> Result<u64, DecodeError> {
    parse_u64_be(value)
}

/// An IP address, whose length tells the family.
///
/// # Errors
/// The value has another length than 4 or 16 bytes.
pub fn address(value: &[u8]) -> Result<IpAddr, DecodeError> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Ok(IpAddr::from(octets));
    }
    match <[u8; 16]>::try_from(value) {
        Ok(octets) => Ok(IpAddr::from(octets)),
        Err(_) => Err(DecodeError::from("address is not of IPv4 or IPv6")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nests_and_pads() {
        let mut writer = Writer::new();
        writer.nest(1, |w| {
            w.string(2, "ab");
            w.u32_be(3, 5);
        });
        let bytes = writer.into_bytes();
        assert_eq!(bytes.len(), 20);
        let outer = NlasIterator::new(&bytes).next().unwrap().unwrap();
        assert_eq!((outer.kind(), outer.nested_flag(), outer.length()), (1, true, 20));
        let mut seen = Vec::new();
        for_each(outer.value(), |kind, value| {
            seen.push((kind, value.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(2, b"ab\0".to_vec()), (3, vec![0, 0, 0, 5])]);
    }

    #[test]
    fn too_long_a_value_is_cut_and_the_next_attribute_still_found() {
        let mut writer = Writer::new();
        writer.bytes(1, &vec![7; 70_000]);
        writer.u8(2, 9);
        let kinds: Vec<u16> =
            attributes(writer.as_bytes()).map(|attribute| attribute.unwrap().0).collect();
        assert_eq!(kinds, [1, 2]);
    }

    #[test]
    fn addresses_of_both_families() {
        for text in ["192.168.1.1", "fd00::1", "::ffff:192.168.1.1"] {
            let address: IpAddr = text.parse().unwrap();
            let mut writer = Writer::new();
            writer.address(1, address);
            let (_, value) = attributes(writer.as_bytes()).next().unwrap().unwrap();
            assert_eq!(super::address(value).unwrap(), address);
        }
        assert!(super::address(&[1, 2, 3]).is_err() && super::address(&[]).is_err());
    }

    proptest! {
        #[test]
        fn walking_arbitrary_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = for_each(&bytes, |_, value| {
                let _ = (string(value), u8(value), u16_be(value), u32_be(value), u64_be(value));
                Ok(())
            });
        }
    }
}
