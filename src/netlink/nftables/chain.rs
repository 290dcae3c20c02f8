// SPDX-License-Identifier: GPL-2.0-or-later
//! Chains, base chains above all.

use std::fmt;

use netlink_packet_core::DecodeError;

use super::{split_header, write_header, Table};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

pub(super) const NFT_MSG_NEWCHAIN: u16 = 3;
pub(super) const NFT_MSG_GETCHAIN: u16 = 4;
pub(super) const NFT_MSG_DELCHAIN: u16 = 5;

const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;

const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;

const NF_ACCEPT: u32 = 1;
const NF_INET_FORWARD: u32 = 2;

/// Where a base chain is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHook {
    /// NF_INET_* number of the hook.
    pub number: u32,
    /// Priority; lower runs earlier, 0 is where firewalls filter.
    pub priority: i32,
}

impl ChainHook {
    /// The forward hook.
    pub fn forward(priority: i32) -> ChainHook {
        ChainHook { number: NF_INET_FORWARD, priority }
    }
}

/// A chain of type `filter` with policy accept, or a chain without a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The table it lives in.
    pub table: Table,
    /// Name, unique within the table.
    pub name: String,
    /// The hook of a base chain.
    pub hook: Option<ChainHook>,
    /// False when a base chain drops what no rule accepts; ours never do.
    pub accepts: bool,
}

impl Chain {
    /// Reads a NEWCHAIN answer or event.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<Chain, DecodeError> {
        let (family, _, attributes) = split_header(message)?;
        let mut chain = Chain {
            table: Table { family, name: String::new() },
            name: String::new(),
            hook: None,
            accepts: true,
        };
        attribute::for_each(attributes, |kind, value| {
            match kind {
                NFTA_CHAIN_TABLE => chain.table.name = attribute::string(value),
                NFTA_CHAIN_NAME => chain.name = attribute::string(value),
                NFTA_CHAIN_HOOK => chain.hook = Some(parse_hook(value)?),
                NFTA_CHAIN_POLICY => chain.accepts = attribute::u32_be(value)? == NF_ACCEPT,
                _ => (),
            }
            Ok(())
        })?;
        Ok(chain)
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        self.emit_name(writer);
        if let Some(hook) = self.hook {
            writer.nest(NFTA_CHAIN_HOOK, |nest| {
                nest.u32_be(NFTA_HOOK_HOOKNUM, hook.number);
                nest.u32_be(NFTA_HOOK_PRIORITY, hook.priority.cast_unsigned());
            });
            writer.u32_be(NFTA_CHAIN_POLICY, NF_ACCEPT);
            writer.string(NFTA_CHAIN_TYPE, "filter");
        }
    }

    pub(super) fn emit_name(&self, writer: &mut Writer) {
        write_header(writer, self.table.family.number(), 0);
        writer.string(NFTA_CHAIN_TABLE, &self.table.name);
        writer.string(NFTA_CHAIN_NAME, &self.name);
    }
}

fn parse_hook(nest: &[u8]) -> Result<ChainHook, DecodeError> {
    let mut hook = ChainHook { number: u32::MAX, priority: 0 };
    attribute::for_each(nest, |kind, value| {
        match kind {
            NFTA_HOOK_HOOKNUM => hook.number = attribute::u32_be(value)?,
            NFTA_HOOK_PRIORITY => hook.priority = attribute::u32_be(value)?.cast_signed(),
            _ => (),
        }
        Ok(())
    })?;
    Ok(hook)
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {} of {}", self.name, self.table)
    }
}
