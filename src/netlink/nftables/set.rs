// SPDX-License-Identifier: GPL-2.0-or-later
//! Named sets with single keys, and their elements.

use std::collections::BTreeSet;
use std::fmt;

use netlink_packet_core::DecodeError;

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
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_USERDATA: u16 = 13;

const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_LIST_SET_ID: u16 = 4;

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_DATA_VALUE: u16 = 1;

/// libnftnl's `NFTNL_UDATA_SET_KEYBYTEORDER`: type, length, then a u32 in host order that lets
/// `nft list` print the elements in the right byte order.
const UDATA_KEYBYTEORDER: [u8; 2] = [0, 4];
const BYTEORDER_HOST: u32 = 1;
const BYTEORDER_BIG: u32 = 2;

/// Type of a set's key. The number is opaque to the kernel and tells `nft list` how to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Device name, 16 bytes padded with NUL.
    Ifname,
    /// IP protocol number, 1 byte.
    InetProto,
    /// Any other: nft's type number and the length in bytes.
    Other(u32, u32),
}

const TYPE_INET_PROTO: u32 = 12;
const TYPE_IFNAME: u32 = 41;
/// IFNAMSIZ.
const IFNAME_LEN: usize = 16;

impl KeyType {
    fn numbers(self) -> (u32, u32) {
        match self {
            KeyType::Ifname => (TYPE_IFNAME, IFNAME_LEN as u32),
            KeyType::InetProto => (TYPE_INET_PROTO, 1),
            KeyType::Other(number, length) => (number, length),
        }
    }

    fn from_numbers(number: u32, length: u32) -> KeyType {
        [KeyType::Ifname, KeyType::InetProto]
            .into_iter()
            .find(|known| known.numbers() == (number, length))
            .unwrap_or(KeyType::Other(number, length))
    }
}

/// The key bytes of a device name. Names longer than the kernel's 15 bytes are cut.
pub fn ifname_key(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.truncate(IFNAME_LEN - 1);
    key.resize(IFNAME_LEN, 0);
    key
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
    /// Keys, each as long as the type says.
    pub elements: BTreeSet<Vec<u8>>,
}

impl Set {
    /// Reads a NEWSET answer or event; the elements come by [`Set::parse_elements`].
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<Set, DecodeError> {
        let (family, _, attributes) = split_header(message)?;
        let (mut table, mut name, mut key_type, mut key_len) = (String::new(), String::new(), 0, 0);
        attribute::for_each(attributes, |kind, value| {
            match kind {
                NFTA_SET_TABLE => table = attribute::string(value),
                NFTA_SET_NAME => name = attribute::string(value),
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
            elements: BTreeSet::new(),
        })
    }

    /// Adds the keys of a NEWSETELEM answer.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse_elements(&mut self, message: &Message<'_>) -> Result<(), DecodeError> {
        let (_, _, attributes) = split_header(message)?;
        attribute::for_each(attributes, |kind, list| match kind {
            NFTA_SET_ELEM_LIST_ELEMENTS => attribute::for_each(list, |_, element| {
                attribute::for_each(element, |kind, key| match kind {
                    NFTA_SET_ELEM_KEY => attribute::for_each(key, |kind, value| {
                        if kind == NFTA_DATA_VALUE {
                            self.elements.insert(value.to_vec());
                        }
                        Ok(())
                    }),
                    _ => Ok(()),
                })
            }),
            _ => Ok(()),
        })
    }

    /// The set itself; `id` is unique within the batch.
    pub(super) fn emit(&self, writer: &mut Writer, id: u32) {
        let (number, length) = self.key_type.numbers();
        let byteorder =
            if self.key_type == KeyType::Ifname { BYTEORDER_HOST } else { BYTEORDER_BIG };
        self.emit_name(writer);
        writer.u32_be(NFTA_SET_KEY_TYPE, number);
        writer.u32_be(NFTA_SET_KEY_LEN, length);
        writer.u32_be(NFTA_SET_ID, id);
        let mut userdata = UDATA_KEYBYTEORDER.to_vec();
        userdata.extend_from_slice(&byteorder.to_ne_bytes());
        writer.bytes(NFTA_SET_USERDATA, &userdata);
    }

    pub(super) fn emit_name(&self, writer: &mut Writer) {
        write_header(writer, self.table.family.number(), 0);
        writer.string(NFTA_SET_TABLE, &self.table.name);
        writer.string(NFTA_SET_NAME, &self.name);
    }

    /// The elements, to add or to take away; `id` names a set of the same batch.
    pub(super) fn emit_elements(&self, writer: &mut Writer, id: Option<u32>) {
        write_header(writer, self.table.family.number(), 0);
        writer.string(NFTA_SET_ELEM_LIST_TABLE, &self.table.name);
        writer.string(NFTA_SET_ELEM_LIST_SET, &self.name);
        if let Some(id) = id {
            writer.u32_be(NFTA_SET_ELEM_LIST_SET_ID, id);
        }
        writer.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
            for element in &self.elements {
                list.nest(NFTA_LIST_ELEM, |nest| {
                    nest.nest(NFTA_SET_ELEM_KEY, |key| key.bytes(NFTA_DATA_VALUE, element));
                });
            }
        });
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set {} of {}", self.name, self.table)
    }
}
