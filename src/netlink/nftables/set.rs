// SPDX-License-Identifier: GPL-2.0-or-later
//! Named sets: of single keys, and of keys that are ranges of several fields.

use litemap::LiteMap;
use std::fmt;

use netlink_packet_core::DecodeError;

use super::element::{self, Element, Key};
use super::expression::Expression;
use super::keys::NFT_CT_ID;
use super::{split_header, write_header, Table};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

pub(super) const NFT_MSG_NEWSET: u16 = 9;
pub(super) const NFT_MSG_GETSET: u16 = 10;
pub(super) const NFT_MSG_DELSET: u16 = 11;
pub(super) const NFT_MSG_NEWSETELEM: u16 = 12;
pub(super) const NFT_MSG_GETSETELEM: u16 = 13;
pub(super) const NFT_MSG_DELSETELEM: u16 = 14;

const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_GC_INTERVAL: u16 = 12;
const NFTA_SET_USERDATA: u16 = 13;
const NFTA_SET_EXPR: u16 = 17;

const NFTA_SET_DESC_SIZE: u16 = 1;
const NFTA_SET_DESC_CONCAT: u16 = 2;
const NFTA_SET_FIELD_LEN: u16 = 1;

const NFT_SET_INTERVAL: u32 = 4;
const NFT_SET_TIMEOUT: u32 = 0x10;
const NFT_SET_EVAL: u32 = 0x20;
const NFT_SET_CONCAT: u32 = 0x80;

const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_LIST_SET_ID: u16 = 4;

const NFTA_LIST_ELEM: u16 = 1;

/// An attribute holds 64 KiB, and an element with a timeout and a counter takes 76 bytes.
pub(super) const ELEMENTS_PER_MESSAGE: usize = 500;
/// An element that has expired is no key any more; the kernel need not hurry to free it. Unless
/// told, it looks every second, whether there are elements or not.
const GC_INTERVAL_MS: u32 = 60_000;
/// The same where rules add elements by the thousand: until it is freed one that has expired has a
/// place of [`DYNAMIC_MAX`].
const GC_INTERVAL_DYNAMIC_MS: u32 = 10_000;
/// Elements that rules may add; each takes the kernel some hundred bytes.
const DYNAMIC_MAX: u32 = 65_536;

/// libnftnl's `NFTNL_UDATA_SET_KEYBYTEORDER`: type, length, then a u32 in host order that lets
/// `nft list` print the elements in the right byte order.
const UDATA_KEYBYTEORDER: [u8; 2] = [0, 4];
const BYTEORDER_HOST: u32 = 1;
const BYTEORDER_BIG: u32 = 2;
/// libnftnl's `NFTNL_UDATA_SET_KEY_TYPEOF`: a nest of the kind of expression (nft's `EXPR_CT`) and
/// what belongs to it: the kernel's key and a direction, here none. All are u32 in host order.
const UDATA_KEY_TYPEOF: u8 = 3;
const UDATA_TYPEOF_EXPR: [u8; 2] = [0, 4];
const UDATA_TYPEOF_DATA: u8 = 1;
const UDATA_CT_KEY: [u8; 2] = [0, 4];
const UDATA_CT_DIRECTION: [u8; 2] = [1, 4];
const EXPR_CT: u32 = 12;

/// Type of a set's key. The number is opaque to the kernel and tells `nft list` how to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Device name, 16 bytes padded with NUL.
    Ifname,
    /// IP protocol number, 1 byte.
    InetProto,
    /// Conntrack's number of a connection: the 4 bytes of CTA_ID as they are on the wire.
    CtId,
    /// IPS_* bits, 4 bytes in host order.
    CtStatus,
    /// IPv4 address.
    Ipv4,
    /// IPv6 address.
    Ipv6,
    /// TCP or UDP port, 2 bytes, big-endian.
    Port,
    /// The six bits of DSCP where they stand in the header of IPv4, 1 byte.
    Dscp,
    /// Conntrack mark, 4 bytes; big-endian within a range.
    Mark,
    /// Any other: nft's type number and the length in bytes.
    Other(u32, u32),
}

const TYPE_INTEGER: u32 = 4;
const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_IPV6_ADDR: u32 = 8;
const TYPE_INET_PROTO: u32 = 12;
const TYPE_INET_SERVICE: u32 = 13;
const TYPE_MARK: u32 = 19;
const TYPE_CT_STATUS: u32 = 28;
const TYPE_DSCP: u32 = 36;
const TYPE_IFNAME: u32 = 41;
/// nft gives each field of a concatenation so many bits of the type's number; of more than five
/// fields the first are lost, with nft as with us.
const TYPE_BITS: u32 = 6;
/// IFNAMSIZ.
const IFNAME_LEN: usize = 16;
/// Longest name of a device, in bytes (IFNAMSIZ without the NUL).
pub const IFNAME_MAX: usize = IFNAME_LEN - 1;

impl KeyType {
    const KNOWN: [KeyType; 9] = [
        KeyType::Ifname,
        KeyType::InetProto,
        KeyType::CtId,
        KeyType::CtStatus,
        KeyType::Ipv4,
        KeyType::Ipv6,
        KeyType::Port,
        KeyType::Dscp,
        KeyType::Mark,
    ];

    /// Bytes that the key takes.
    pub fn length(self) -> usize {
        self.numbers().1 as usize
    }

    fn numbers(self) -> (u32, u32) {
        match self {
            KeyType::Ifname => (TYPE_IFNAME, IFNAME_LEN as u32),
            KeyType::InetProto => (TYPE_INET_PROTO, 1),
            KeyType::CtId => (TYPE_INTEGER, 4),
            KeyType::CtStatus => (TYPE_CT_STATUS, 4),
            KeyType::Ipv4 => (TYPE_IPV4_ADDR, 4),
            KeyType::Ipv6 => (TYPE_IPV6_ADDR, 16),
            KeyType::Port => (TYPE_INET_SERVICE, 2),
            KeyType::Dscp => (TYPE_DSCP, 1),
            KeyType::Mark => (TYPE_MARK, 4),
            KeyType::Other(number, length) => (number, length),
        }
    }

    fn from_numbers(number: u32, length: u32) -> KeyType {
        KeyType::KNOWN
            .into_iter()
            .find(|known| known.numbers() == (number, length))
            .unwrap_or(KeyType::Other(number, length))
    }

    /// What tells `nft list` how to print the keys.
    fn userdata(self) -> Vec<u8> {
        let byteorder = match self {
            KeyType::Ifname | KeyType::CtStatus | KeyType::Mark => BYTEORDER_HOST,
            _ => BYTEORDER_BIG,
        };
        let mut userdata = number(UDATA_KEYBYTEORDER, byteorder);
        if self == KeyType::CtId {
            // Numbers without a name for their kind could not be loaded again.
            let direction = number(UDATA_CT_DIRECTION, u32::MAX);
            let data = [number(UDATA_CT_KEY, NFT_CT_ID), direction].concat();
            let kind = number(UDATA_TYPEOF_EXPR, EXPR_CT);
            let nest = [kind, nested(UDATA_TYPEOF_DATA, &data)].concat();
            userdata.extend(nested(UDATA_KEY_TYPEOF, &nest));
        }
        userdata
    }
}

fn number(head: [u8; 2], value: u32) -> Vec<u8> {
    [head.as_slice(), &value.to_ne_bytes()].concat()
}

fn nested(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, body.len() as u8], body].concat()
}

/// The key bytes of a device name; `None` for one that no device can have. Cut to the kernel's
/// length it would be the name of another.
pub fn ifname_key(name: &str) -> Option<Vec<u8>> {
    let mut key = Some(name).filter(|name| name.len() <= IFNAME_MAX)?.as_bytes().to_vec();
    key.resize(IFNAME_LEN, 0);
    Some(key)
}

/// A named set with its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The table it lives in.
    pub table: Table,
    /// Name, unique within the table.
    pub name: String,
    /// Type of the key.
    pub key_type: KeyType,
    /// Lengths of the fields of a key that is a range of several (NFT_SET_CONCAT), in bytes; empty
    /// for a set of single keys. Each field is padded to four bytes.
    pub fields: Vec<u32>,
    /// Its elements may expire (NFT_SET_TIMEOUT).
    pub expiring: bool,
    /// Rules add elements to it (NFT_SET_EVAL), which expire too; they are not read.
    pub dynamic: bool,
    /// Each of its elements counts the packets that match it.
    pub counting: bool,
    /// Keys, each as long as the type says, and what belongs to them. One that is a range is its
    /// lower bounds followed by its upper bounds, both inclusive.
    pub elements: LiteMap<Vec<u8>, Element>,
}

impl Set {
    /// A set of keys that stay.
    pub fn of(
        table: &Table,
        name: &str,
        key_type: KeyType,
        keys: impl IntoIterator<Item = Vec<u8>>,
    ) -> Set {
        let elements = keys.into_iter().map(|key| (key, Element::default())).collect();
        let (table, name) = (table.clone(), name.to_owned());
        let fields = Vec::new();
        let (expiring, dynamic, counting) = (false, false, false);
        Set { table, name, key_type, fields, expiring, dynamic, counting, elements }
    }

    /// A set that rules add keys to.
    pub fn dynamic(table: &Table, name: &str, key_type: KeyType) -> Set {
        Set { expiring: true, dynamic: true, ..Set::of(table, name, key_type, []) }
    }

    /// A set of ranges of these fields, two at least.
    pub fn of_ranges(
        table: &Table,
        name: &str,
        fields: &[KeyType],
        ranges: impl IntoIterator<Item = Vec<u8>>,
    ) -> Set {
        let (mut number, mut length) = (0_u32, 0_u32);
        for field in fields {
            let (field_number, field_length) = field.numbers();
            number = number << TYPE_BITS | field_number;
            length += field_length.next_multiple_of(4);
        }
        let fields = fields.iter().map(|field| field.numbers().1).collect();
        Set { fields, ..Set::of(table, name, KeyType::Other(number, length), ranges) }
    }

    /// The same set as another as far as the kernel cannot change it.
    pub fn same_kind(&self, other: &Set) -> bool {
        self.name == other.name
            && self.key_type == other.key_type
            && self.fields == other.fields
            && self.expiring == other.expiring
            && self.dynamic == other.dynamic
            && self.counting == other.counting
    }

    /// Reads a NEWSET answer or event; the elements come by [`Set::parse_elements`].
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<Set, DecodeError> {
        let (family, _, attributes) = split_header(message)?;
        let (mut table, mut name, mut key_type, mut key_len) = (String::new(), String::new(), 0, 0);
        let (mut flags, mut counting, mut fields) = (0, false, Vec::new());
        attribute::for_each(attributes, |kind, value| {
            match kind {
                NFTA_SET_TABLE => table = attribute::string(value),
                NFTA_SET_NAME => name = attribute::string(value),
                NFTA_SET_FLAGS => flags = attribute::u32_be(value)?,
                NFTA_SET_EXPR => {
                    counting = matches!(Expression::parse(value)?, Expression::Counter { .. });
                }
                NFTA_SET_DESC => fields = parse_fields(value)?,
                NFTA_SET_KEY_TYPE => key_type = attribute::u32_be(value)?,
                NFTA_SET_KEY_LEN => key_len = attribute::u32_be(value)?,
                _ => (),
            }
            Ok(())
        })?;
        Ok(Set {
            table: Table { family, name: table },
            name,
            key_type: KeyType::from_numbers(key_type, key_len),
            fields,
            expiring: flags & NFT_SET_TIMEOUT != 0,
            dynamic: flags & NFT_SET_EVAL != 0,
            counting,
            elements: LiteMap::new(),
        })
    }

    /// Adds the elements of a NEWSETELEM answer.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse_elements(&mut self, message: &Message<'_>) -> Result<(), DecodeError> {
        let (_, _, attributes) = split_header(message)?;
        attribute::for_each(attributes, |kind, list| match kind {
            NFTA_SET_ELEM_LIST_ELEMENTS => attribute::for_each(list, |_, element| {
                if let Some((key, element)) = Element::parse(element)? {
                    self.elements.insert(key, element);
                }
                Ok(())
            }),
            _ => Ok(()),
        })
    }

    /// The set itself; `id` is unique within the batch.
    pub(super) fn emit(&self, writer: &mut Writer, id: u32) {
        let (number, length) = self.key_type.numbers();
        self.emit_name(writer);
        if !self.fields.is_empty() {
            writer.u32_be(NFTA_SET_FLAGS, NFT_SET_INTERVAL | NFT_SET_CONCAT);
            writer.nest(NFTA_SET_DESC, |desc| {
                desc.nest(NFTA_SET_DESC_CONCAT, |list| {
                    for length in &self.fields {
                        let field = |field: &mut Writer| field.u32_be(NFTA_SET_FIELD_LEN, *length);
                        list.nest(NFTA_LIST_ELEM, field);
                    }
                });
            });
        } else if self.dynamic {
            writer.u32_be(NFTA_SET_FLAGS, NFT_SET_TIMEOUT | NFT_SET_EVAL);
            writer.u32_be(NFTA_SET_GC_INTERVAL, GC_INTERVAL_DYNAMIC_MS);
            writer.nest(NFTA_SET_DESC, |desc| desc.u32_be(NFTA_SET_DESC_SIZE, DYNAMIC_MAX));
        } else if self.expiring {
            writer.u32_be(NFTA_SET_FLAGS, NFT_SET_TIMEOUT);
            writer.u32_be(NFTA_SET_GC_INTERVAL, GC_INTERVAL_MS);
        }
        writer.u32_be(NFTA_SET_KEY_TYPE, number);
        writer.u32_be(NFTA_SET_KEY_LEN, length);
        writer.u32_be(NFTA_SET_ID, id);
        writer.bytes(NFTA_SET_USERDATA, &self.key_type.userdata());
        if self.counting {
            writer.nest(NFTA_SET_EXPR, |nest| Expression::counter().emit(nest));
        }
    }

    pub(super) fn emit_name(&self, writer: &mut Writer) {
        write_header(writer, self.table.family.number(), 0);
        writer.string(NFTA_SET_TABLE, &self.table.name);
        writer.string(NFTA_SET_NAME, &self.name);
    }

    /// How many messages its elements take.
    pub(super) fn element_messages(&self) -> usize {
        self.elements.len().div_ceil(ELEMENTS_PER_MESSAGE)
    }

    /// One message's worth of the elements, to add them; `id` names a set of the same batch.
    pub(super) fn emit_elements(&self, writer: &mut Writer, part: usize, id: Option<u32>) {
        self.emit_list(writer, part, id, |key, element, writer| {
            element.emit(key, writer);
        });
    }

    /// One message's worth of the elements, to take them away.
    pub(super) fn emit_keys(&self, writer: &mut Writer, part: usize) {
        self.emit_list(writer, part, None, |key, _, writer| element::emit_key(key, writer));
    }

    fn emit_list(
        &self,
        writer: &mut Writer,
        part: usize,
        id: Option<u32>,
        emit: fn(Key<'_>, &Element, &mut Writer),
    ) {
        // A range is as long as two keys.
        let half = if self.fields.is_empty() { usize::MAX } else { self.key_type.length() };
        write_header(writer, self.table.family.number(), 0);
        writer.string(NFTA_SET_ELEM_LIST_TABLE, &self.table.name);
        writer.string(NFTA_SET_ELEM_LIST_SET, &self.name);
        if let Some(id) = id {
            writer.u32_be(NFTA_SET_ELEM_LIST_SET_ID, id);
        }
        let skipped = part.saturating_mul(ELEMENTS_PER_MESSAGE);
        let elements = self.elements.iter().skip(skipped).take(ELEMENTS_PER_MESSAGE);
        writer.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
            for (key, element) in elements {
                let key = key.split_at_checked(half).unwrap_or((key, &[]));
                list.nest(NFTA_LIST_ELEM, |nest| emit(key, element, nest));
            }
        });
    }
}

/// The lengths of the fields in an NFTA_SET_DESC.
fn parse_fields(desc: &[u8]) -> Result<Vec<u32>, DecodeError> {
    let mut fields = Vec::new();
    attribute::for_each(desc, |kind, list| match kind {
        NFTA_SET_DESC_CONCAT => attribute::for_each(list, |_, field| {
            attribute::for_each(field, |kind, value| {
                if kind == NFTA_SET_FIELD_LEN {
                    fields.push(attribute::u32_be(value)?);
                }
                Ok(())
            })
        }),
        _ => Ok(()),
    })?;
    Ok(fields)
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set {} of {}", self.name, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn keys_are_described_as_nft_describes_them() {
        // What nft 1.0.6 sends for `typeof ct id` and for `type inet_proto`.
        #[rustfmt::skip]
        let expected = [
            0, 4, 2, 0, 0, 0,
            3, 0x14, 0, 4, 0x0c, 0, 0, 0, 1, 0x0c, 0, 4, 0x17, 0, 0, 0, 1, 4, 0xff, 0xff, 0xff, 0xff,
        ];
        assert_eq!(KeyType::CtId.userdata(), expected);
        assert_eq!(KeyType::InetProto.userdata(), [0, 4, 2, 0, 0, 0]);
    }

    #[test]
    fn key_types_are_told_by_their_numbers() {
        for key_type in KeyType::KNOWN {
            let (number, length) = key_type.numbers();
            assert_eq!(KeyType::from_numbers(number, length), key_type);
        }
        assert_eq!(KeyType::from_numbers(4, 16), KeyType::Other(4, 16));
    }
}
