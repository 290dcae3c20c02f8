// SPDX-License-Identifier: GPL-2.0-or-later
//! Notifications of changes that anybody made, reduced to what can concern us.
//!
//! A reload of a firewall is one transaction with hundreds of messages, of which only the table and
//! the kind of object are read.

use netlink_packet_core::DecodeError;

use super::generation::{Generation, NFT_MSG_NEWGEN};
use super::{chain, flowtable, kind, split_header, table, Table};
use crate::netlink::attribute;
use crate::netlink::message::Message;

/// Attribute 1 of every nf_tables object but the generation is the table's name.
const NFTA_TABLE: u16 = 1;

const NFT_MSG_NEWOBJ: u16 = 18;
const NFT_MSG_DELOBJ: u16 = 20;

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NftEvent {
    /// The table itself or a chain of it was made, changed or deleted: it may stand in the way of
    /// other packets than before.
    Chains(Table),
    /// A rule, a set or an element of the table was made, changed or deleted.
    Rules(Table),
    /// A named object of the table (counter, quota, helper), which decides nothing.
    Object(Table),
    /// A flowtable of the table was made, changed or deleted.
    Flowtable(Table),
    /// A commit ended.
    Generation(Generation),
}

impl NftEvent {
    /// Reads one message of the nf_tables group.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<NftEvent, DecodeError> {
        if message.kind == kind(NFT_MSG_NEWGEN) {
            return Ok(NftEvent::Generation(Generation::parse(message)?));
        }
        let (family, _, attributes) = split_header(message)?;
        let mut table = Table { family, name: String::new() };
        attribute::for_each(attributes, |kind, value| {
            if kind == NFTA_TABLE {
                table.name = attribute::string(value);
            }
            Ok(())
        })?;
        let of = |kinds: &[u16]| kinds.iter().any(|&number| kind(number) == message.kind);
        Ok(if of(&[flowtable::NFT_MSG_NEWFLOWTABLE, flowtable::NFT_MSG_DELFLOWTABLE]) {
            NftEvent::Flowtable(table)
        } else if of(&[NFT_MSG_NEWOBJ, NFT_MSG_DELOBJ]) {
            NftEvent::Object(table)
        } else if of(&[
            table::NFT_MSG_NEWTABLE,
            table::NFT_MSG_DELTABLE,
            chain::NFT_MSG_NEWCHAIN,
            chain::NFT_MSG_DELCHAIN,
        ]) {
            NftEvent::Chains(table)
        } else {
            NftEvent::Rules(table)
        })
    }

    /// The table that it is about.
    pub fn table(&self) -> Option<&Table> {
        match self {
            NftEvent::Chains(table)
            | NftEvent::Rules(table)
            | NftEvent::Object(table)
            | NftEvent::Flowtable(table) => Some(table),
            NftEvent::Generation(_) => None,
        }
    }
}
