// SPDX-License-Identifier: GPL-2.0-or-later
//! Notifications of changes that anybody made, reduced to what can concern us.

use netlink_packet_core::DecodeError;

use super::generation::{Generation, NFT_MSG_NEWGEN};
use super::{flowtable, kind, split_header};
use crate::netlink::attribute;
use crate::netlink::message::Message;

/// Attribute 1 of every nf_tables object but the generation is the table's name.
const NFTA_TABLE: u16 = 1;

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NftEvent {
    /// Something inside the table of this name was made, changed or deleted.
    Table(String),
    /// A flowtable of the table of this name was made, changed or deleted.
    Flowtable(String),
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
        let (_, _, attributes) = split_header(message)?;
        let mut table = String::new();
        attribute::for_each(attributes, |kind, value| {
            if kind == NFTA_TABLE {
                table = attribute::string(value);
            }
            Ok(())
        })?;
        let flowtables = [flowtable::NFT_MSG_NEWFLOWTABLE, flowtable::NFT_MSG_DELFLOWTABLE];
        if flowtables.iter().any(|&number| kind(number) == message.kind) {
            Ok(NftEvent::Flowtable(table))
        } else {
            Ok(NftEvent::Table(table))
        }
    }
}
