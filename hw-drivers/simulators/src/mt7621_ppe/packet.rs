// SPDX-License-Identifier: GPL-2.0-or-later
//! What the engine sees of a frame.

use super::entry;
use super::key::Key;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const PPPOE: u16 = 0x8864;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// An IP packet within a frame.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// The packet alone, from its version to its last byte.
    pub bytes: &'a [u8],
    /// Where TCP, UDP or what else begins in it.
    pub l4: usize,
    pub v6: bool,
    pub protocol: u8,
    pub ttl: u8,
    pub fragment: bool,
    pub options: bool,
    pub syn_or_rst: bool,
    pub fin: bool,
    pub key: Key,
}

/// A big-endian half word.
pub fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

/// A big-endian word.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

fn quad(bytes: &[u8], at: usize) -> Option<[u32; 4]> {
    let mut words = [0; 4];
    for (number, out) in words.iter_mut().enumerate() {
        *out = word(bytes, at.checked_add(number.checked_mul(4)?)?)?;
    }
    Some(words)
}

impl<'a> Packet<'a> {
    /// The packet of a frame; `None` if it has none that the engine can read. With `special` four
    /// bytes of the switch's tag stand behind the MAC addresses.
    pub fn of(frame: &'a [u8], special: bool) -> Option<Packet<'a>> {
        let mut at: usize = if special { 16 } else { 12 };
        let mut etype = half(frame, at)?;
        for _ in 0..4 {
            if etype != VLAN {
                break;
            }
            at = at.checked_add(4)?;
            etype = half(frame, at)?;
        }
        at = at.checked_add(2)?;
        if etype == PPPOE {
            etype = match half(frame, at.checked_add(6)?)? {
                0x0021 => IPV4,
                0x0057 => IPV6,
                _ => return None,
            };
            at = at.checked_add(8)?;
        }
        let bytes = frame.get(at..)?;
        match etype {
            IPV4 => Packet::v4(bytes),
            IPV6 => Packet::v6(bytes),
            _ => None,
        }
    }

    fn v4(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let bytes = bytes.get(..usize::from(half(bytes, 2)?))?;
        let first = *bytes.first()?;
        let l4 = usize::from(first & 0xf) * 4;
        let protocol = *bytes.get(9)?;
        let address = |at| Some([0, 0, 0, word(bytes, at)?]);
        let (source, destination) = (address(12)?, address(16)?);
        let five = matches!(protocol, TCP | UDP);
        let kind = if five { entry::V4_FIVE } else { entry::V4_THREE };
        let packet = Packet {
            bytes,
            l4,
            v6: false,
            protocol,
            ttl: *bytes.get(8)?,
            fragment: half(bytes, 6)? & 0x3fff != 0,
            options: l4 > 20,
            syn_or_rst: false,
            fin: false,
            key: Key { kind, udp: protocol == UDP, source, destination, ports: 0 },
        };
        (first >> 4 == 4 && l4 >= 20).then_some(packet)?.with_ports()
    }

    fn v6(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let bytes = bytes.get(..usize::from(half(bytes, 4)?).checked_add(40)?)?;
        let protocol = *bytes.get(6)?;
        let (source, destination) = (quad(bytes, 8)?, quad(bytes, 24)?);
        let five = matches!(protocol, TCP | UDP);
        let kind = if five { entry::V6_FIVE } else { entry::V6_THREE };
        let packet = Packet {
            bytes,
            l4: 40,
            v6: true,
            protocol,
            ttl: *bytes.get(7)?,
            fragment: protocol == 44,
            options: matches!(protocol, 0 | 43 | 60),
            syn_or_rst: false,
            fin: false,
            key: Key { kind, udp: protocol == UDP, source, destination, ports: 0 },
        };
        (*bytes.first()? >> 4 == 6).then_some(packet)?.with_ports()
    }

    fn with_ports(mut self) -> Option<Packet<'a>> {
        if !matches!(self.protocol, TCP | UDP) {
            self.key.ports = 0xa5a5_a500 | u32::from(self.protocol);
            return Some(self);
        }
        self.key.ports = word(self.bytes, self.l4)?;
        if self.protocol == TCP {
            let flags = *self.bytes.get(self.l4.checked_add(13)?)?;
            self.syn_or_rst = flags & 0b110 != 0;
            self.fin = flags & 1 != 0;
        }
        Some(self)
    }

    /// Where the checksum of TCP or UDP stands in the packet.
    pub fn checksum_at(&self) -> Option<usize> {
        match self.protocol {
            TCP => self.l4.checked_add(16),
            UDP => self.l4.checked_add(6),
            _ => None,
        }
    }

    /// Whether the checksum of the IPv4 header is right; IPv6 has none.
    pub fn header_right(&self) -> bool {
        self.v6 || self.bytes.get(..self.l4).is_some_and(|header| sum(header, 0) == 0xffff)
    }

    /// Whether the checksum of TCP or UDP is right, as far as the packet has one.
    pub fn l4_right(&self) -> bool {
        let (Some(at), Some(l4)) = (self.checksum_at(), self.bytes.get(self.l4..)) else {
            return true;
        };
        if self.fragment || (!self.v6 && self.key.udp && half(self.bytes, at) == Some(0)) {
            return true;
        }
        let mut pseudo = Vec::new();
        for word in self.key.source.iter().chain(&self.key.destination) {
            pseudo.extend(word.to_be_bytes());
        }
        let rest = u32::from(self.protocol).wrapping_add(l4.len() as u32);
        sum(l4, u32::from(sum(&pseudo, 0)).wrapping_add(rest)) == 0xffff
    }
}

/// One's complement sum of half words (RFC 1071), not inverted.
pub fn sum(bytes: &[u8], begin: u32) -> u16 {
    let mut sum = begin;
    for pair in bytes.chunks(2) {
        let first = pair.first().copied().unwrap_or(0);
        let second = pair.get(1).copied().unwrap_or(0);
        sum = sum.wrapping_add(u32::from(u16::from_be_bytes([first, second])));
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    ((sum & 0xffff).wrapping_add(sum >> 16) & 0xffff) as u16
}
