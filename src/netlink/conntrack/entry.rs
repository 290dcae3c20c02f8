// SPDX-License-Identifier: GPL-2.0-or-later
//! One conntrack entry, read in place: nothing is allocated for an entry of a long list.

use netlink_packet_core::DecodeError;

use super::{kind, CTA_STATUS, IPCTNL_MSG_CT_NEW, NFGENMSG_LEN};
use crate::netlink::attribute;
use crate::netlink::message::Message;

/// The part of an entry that tells which path its packets take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// IPS_* bits.
    pub status: u32,
}

impl Entry {
    /// Reads an entry; `None` when the message is something else.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<Option<Entry>, DecodeError> {
        if message.kind != kind(IPCTNL_MSG_CT_NEW) {
            return Ok(None);
        }
        let length = message.payload.len();
        let attributes = message
            .payload
            .get(NFGENMSG_LEN..)
            .ok_or_else(|| DecodeError::buffer_too_small(length, NFGENMSG_LEN))?;
        let mut entry = Entry::default();
        attribute::for_each(attributes, |kind, value| {
            if kind == CTA_STATUS {
                entry.status = attribute::u32_be(value)?;
            }
            Ok(())
        })?;
        Ok(Some(entry))
    }
}
