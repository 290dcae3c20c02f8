// SPDX-License-Identifier: GPL-2.0-or-later
//! nf_tables tables.

use std::fmt;

use netlink_packet_core::DecodeError;

use super::{split_header, write_header, Family};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

pub(super) const NFT_MSG_NEWTABLE: u16 = 0;
pub(super) const NFT_MSG_GETTABLE: u16 = 1;
pub(super) const NFT_MSG_DELTABLE: u16 = 2;

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;

/// A table: a name space of chains, sets and flowtables.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    /// Protocol family.
    pub family: Family,
    /// Name, unique within the family.
    pub name: String,
}

impl Table {
    /// A table of family inet.
    pub fn inet(name: &str) -> Table {
        Table { family: Family::Inet, name: name.to_owned() }
    }

    /// Reads a NEWTABLE answer or event.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<Table, DecodeError> {
        let (family, _, attributes) = split_header(message)?;
        let mut table = Table { family, name: String::new() };
        attribute::for_each(attributes, |kind, value| {
            if kind == NFTA_TABLE_NAME {
                table.name = attribute::string(value);
            }
            Ok(())
        })?;
        Ok(table)
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        write_header(writer, self.family.number(), 0);
        writer.string(NFTA_TABLE_NAME, &self.name);
        writer.u32_be(NFTA_TABLE_FLAGS, 0);
    }

    pub(super) fn emit_name(&self, writer: &mut Writer) {
        write_header(writer, self.family.number(), 0);
        writer.string(NFTA_TABLE_NAME, &self.name);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {} {}", self.family, self.name)
    }
}
