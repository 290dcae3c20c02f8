// SPDX-License-Identifier: GPL-2.0-or-later
//! Conntrack's own statistics.

use netlink_packet_core::DecodeError;

use super::{kind, IPCTNL_MSG_CT_GET_STATS, NFGENMSG_LEN};
use crate::netlink::attribute;
use crate::netlink::message::Message;

const CTA_STATS_GLOBAL_ENTRIES: u16 = 1;

/// Number of entries in the table of this network namespace; `None` when the message is
/// something else.
///
/// # Errors
/// The message is shorter than its lengths say.
pub fn parse_entries(message: &Message<'_>) -> Result<Option<u32>, DecodeError> {
    if message.kind != kind(IPCTNL_MSG_CT_GET_STATS) {
        return Ok(None);
    }
    let attributes = message.payload.get(NFGENMSG_LEN..).unwrap_or_default();
    let mut entries = None;
    attribute::for_each(attributes, |kind, value| {
        if kind == CTA_STATS_GLOBAL_ENTRIES {
            entries = Some(attribute::u32_be(value)?);
        }
        Ok(())
    })?;
    Ok(entries)
}
