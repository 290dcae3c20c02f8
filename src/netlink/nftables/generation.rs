// SPDX-License-Identifier: GPL-2.0-or-later
//! The generation: a number that each commit of nf_tables moves on.

use netlink_packet_core::DecodeError;

use super::split_header;
use crate::netlink::attribute;
use crate::netlink::message::Message;

pub(super) const NFT_MSG_NEWGEN: u16 = 15;
pub(super) const NFT_MSG_GETGEN: u16 = 16;

const NFTA_GEN_ID: u16 = 1;
const NFTA_GEN_PROC_NAME: u16 = 3;

/// The end of a commit, or the answer to a question for the present generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Generation {
    /// The generation's number.
    pub id: u32,
    /// Name of the program that made the commit (15 bytes at most); empty in answers.
    pub program: String,
}

impl Generation {
    /// Reads a NEWGEN answer or event.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<Generation, DecodeError> {
        let (_, _, attributes) = split_header(message)?;
        let mut generation = Generation::default();
        attribute::for_each(attributes, |kind, value| {
            match kind {
                NFTA_GEN_ID => generation.id = attribute::u32_be(value)?,
                NFTA_GEN_PROC_NAME => generation.program = attribute::string(value),
                _ => (),
            }
            Ok(())
        })?;
        Ok(generation)
    }
}
