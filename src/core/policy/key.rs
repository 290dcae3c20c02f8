// SPDX-License-Identifier: GPL-2.0-or-later
//! Keys of the sets that rules become: boxes in as many dimensions as the rules name fields.
//!
//! A box is its lower bounds followed by its upper bounds, both inclusive, each field in network
//! order and padded to four bytes, which is what the kernel's interval sets take. Since every field
//! is compared as bytes, one comparison serves all of them.

use std::ops::Range;

use crate::netlink::nftables::KeyType;

/// A box.
pub type Key = Vec<u8>;

/// What a rule can name that becomes part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// TCP or UDP. Every key has it: an interval set of several fields needs two.
    Protocol,
    /// Address of the end that opened the connection.
    SrcIp,
    /// Its port.
    SrcPort,
    /// Address of the end that answers.
    DestIp,
    /// Its port.
    DestPort,
    /// DSCP of the packet.
    Dscp,
    /// Mark of the connection.
    Mark,
}

impl Field {
    /// All, in the order in which they stand in a key.
    pub const ALL: [Field; 7] = [
        Field::Protocol,
        Field::SrcIp,
        Field::SrcPort,
        Field::DestIp,
        Field::DestPort,
        Field::Dscp,
        Field::Mark,
    ];

    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Its name in `config rule`.
    pub fn option(self) -> &'static str {
        match self {
            Field::Protocol => "proto",
            Field::SrcIp => "src_ip",
            Field::SrcPort => "src_port",
            Field::DestIp => "dest_ip",
            Field::DestPort => "dest_port",
            Field::Dscp => "dscp",
            Field::Mark => "mark",
        }
    }
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What rules of one kind have in common: they go into one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The zone that the packets of the end that opened the connection come from.
    pub src: Option<String>,
    /// The zone that they go to.
    pub dest: Option<String>,
    /// Pattern over the devices of either end.
    pub device: Option<String>,
    /// The family, when a field looks different in each.
    pub family: Option<Family>,
    /// The bits of the mark that count; 0 when the mark is no field.
    pub mark_mask: u32,
    /// The only protocol, when there is no set.
    pub protocol: Option<u8>,
    /// Bits of the fields of its keys.
    fields: u8,
}

impl Kind {
    /// Rules of these zones and devices, without fields yet.
    pub fn new(src: Option<String>, dest: Option<String>, device: Option<String>) -> Kind {
        Kind { src, dest, device, family: None, mark_mask: 0, protocol: None, fields: 0 }
    }

    /// Its keys have this field too.
    pub fn add(&mut self, field: Field) {
        self.fields |= field.bit();
    }

    /// The fields of its keys, in order; none when there is no set.
    pub fn fields(&self) -> impl Iterator<Item = Field> + use<> {
        let fields = self.fields;
        Field::ALL.into_iter().filter(move |field| fields & field.bit() != 0)
    }

    /// How the kernel calls a field.
    pub fn key_type(&self, field: Field) -> KeyType {
        match (field, self.family) {
            (Field::Protocol, _) => KeyType::InetProto,
            (Field::SrcIp | Field::DestIp, Some(Family::V6)) => KeyType::Ipv6,
            (Field::SrcIp | Field::DestIp, _) => KeyType::Ipv4,
            // In IPv6 its bits are in two bytes.
            (Field::Dscp, Some(Family::V6)) | (Field::SrcPort | Field::DestPort, _) => {
                KeyType::Port
            }
            (Field::Dscp, _) => KeyType::Dscp,
            (Field::Mark, _) => KeyType::Mark,
        }
    }

    /// Fields with where they begin in a key and how long they are.
    pub fn layout(&self) -> impl Iterator<Item = (Field, usize, usize)> + use<'_> {
        let mut offset = 0;
        self.fields().map(move |field| {
            let (start, length) = (offset, self.key_type(field).length());
            offset += length.next_multiple_of(4);
            (field, start, length)
        })
    }

    /// The bounds of a field in a box; `None` when they are not there or have no bounds.
    fn bounds<'a>(&self, key: &'a [u8], wanted: Field) -> Option<(&'a [u8], &'a [u8])> {
        let (_, start, length) = self.layout().find(|(field, ..)| *field == wanted)?;
        let (low, high) = key.split_at_checked(key.len() / 2)?;
        Some((low.get(start..start + length)?, high.get(start..start + length)?))
    }

    /// The protocols of a box.
    fn protocols(&self, key: &[u8]) -> (u8, u8) {
        let bound = |bytes: &[u8]| bytes.first().copied().unwrap_or_default();
        match (self.bounds(key, Field::Protocol), self.protocol) {
            (Some((low, high)), _) => (bound(low), bound(high)),
            (None, Some(protocol)) => (protocol, protocol),
            (None, None) => (0, u8::MAX),
        }
    }

    /// A packet may be in a box of this kind and in one of another. Zones and devices are not
    /// looked at: a device may be in several.
    pub fn meet(&self, key: &[u8], other: &Kind, other_key: &[u8]) -> bool {
        if self.family.is_some() && other.family.is_some() && self.family != other.family {
            return false;
        }
        let (one, two) = (self.protocols(key), other.protocols(other_key));
        if one.0 > two.1 || two.0 > one.1 {
            return false;
        }
        self.fields().filter(|field| *field != Field::Protocol).all(|field| {
            match (self.bounds(key, field), other.bounds(other_key, field)) {
                (Some((mark, _)), Some((other_mark, _))) if field == Field::Mark => {
                    let common = (self.mark_mask & other.mark_mask).to_be_bytes();
                    let differ = |((a, b), mask): ((&u8, &u8), u8)| (a ^ b) & mask != 0;
                    !mark.iter().zip(other_mark).zip(common).any(differ)
                }
                (Some(one), Some(two)) => one.0 <= two.1 && two.0 <= one.1,
                _ => true,
            }
        })
    }

    /// Keys of both have the same form, and can be compared part by part.
    pub fn is_alike(&self, other: &Kind) -> bool {
        self.fields == other.fields
            && self.family == other.family
            && self.mark_mask == other.mark_mask
    }

    /// Where the fields are in a bound: what tells entries apart best first.
    pub fn parts(&self) -> Vec<Range<usize>> {
        let addresses = |field| matches!(field, Field::SrcIp | Field::DestIp);
        let (mut parts, mut others) = (Vec::new(), Vec::new());
        for (field, start, length) in self.layout() {
            let list = if addresses(field) { &mut parts } else { &mut others };
            list.push(start..start + length);
        }
        others.reverse();
        parts.extend(others);
        parts
    }

    /// The box that is just two boxes of this kind together, which meet; `None` when there is none.
    pub fn union(&self, one: &[u8], two: &[u8]) -> Option<Key> {
        if self.holds(one, two) {
            return Some(one.to_vec());
        }
        if self.holds(two, one) {
            return Some(two.to_vec());
        }
        let mut differing =
            self.fields().filter(|field| self.bounds(one, *field) != self.bounds(two, *field));
        let (field, None) = (differing.next()?, differing.next()) else { return None };
        let (one_bounds, two_bounds) = (self.bounds(one, field)?, self.bounds(two, field)?);
        let (_, start, length) = self.layout().find(|(entry, ..)| *entry == field)?;
        let mut union = one.to_vec();
        let half = union.len() / 2;
        let low = one_bounds.0.min(two_bounds.0);
        let high = one_bounds.1.max(two_bounds.1);
        union.get_mut(start..start + length)?.copy_from_slice(low);
        union.get_mut(half + start..half + start + length)?.copy_from_slice(high);
        Some(union)
    }

    /// Everything in the inner box is in the outer one.
    fn holds(&self, outer: &[u8], inner: &[u8]) -> bool {
        self.fields().all(|field| match (self.bounds(outer, field), self.bounds(inner, field)) {
            (Some(outer), Some(inner)) => outer.0 <= inner.0 && inner.1 <= outer.1,
            _ => false,
        })
    }
}

/// Two boxes of the same kind, with these parts, have something in common. This is asked for each
/// pair of entries, and most are told apart by one part.
pub fn overlap(parts: &[Range<usize>], one: &[u8], two: &[u8]) -> bool {
    let half = one.len() / 2;
    let Some(((low, high), (other_low, other_high))) =
        one.split_at_checked(half).zip(two.split_at_checked(half))
    else {
        return true;
    };
    for part in parts {
        let of = |bound| <[u8]>::get(bound, part.clone());
        if of(low) > of(other_high) || of(other_low) > of(high) {
            return false;
        }
    }
    true
}

/// Lower and upper bound of one field.
pub type Span = (Vec<u8>, Vec<u8>);

/// Ranges that together are those given, none of which meets another.
pub fn apart(spans: Vec<Span>) -> Vec<Span> {
    let mut apart: Vec<Span> = Vec::new();
    for mut span in spans {
        // What does not meet it does not meet it with one that does, for those are apart.
        apart.retain(|other| {
            let meets = other.0 <= span.1 && span.0 <= other.1;
            if meets {
                span = (span.0.clone().min(other.0.clone()), span.1.clone().max(other.1.clone()));
            }
            !meets
        });
        apart.push(span);
    }
    apart
}
