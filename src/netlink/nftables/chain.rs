// SPDX-License-Identifier: GPL-2.0-or-later
//! Chains, base chains above all.

use std::fmt;

use netlink_packet_core::DecodeError;

use super::{split_header, write_header, Family, Table};
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

const NFPROTO_ARP: u8 = 3;
const NF_ACCEPT: u32 = 1;
const NF_INET_LOCAL_IN: u32 = 1;
const NF_INET_FORWARD: u32 = 2;
const NF_INET_LOCAL_OUT: u32 = 3;

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

    /// True when packets that are forwarded pass this chain, or may lead to one that they pass: not
    /// those of the router itself, and not ARP's.
    pub fn sees_forwarded(&self) -> bool {
        let Some(ChainHook { number, .. }) = self.hook else { return false };
        match self.table.family {
            Family::Inet | Family::Ip | Family::Ip6 => {
                !matches!(number, NF_INET_LOCAL_IN | NF_INET_LOCAL_OUT)
            }
            Family::Other(family) => family != NFPROTO_ARP,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_packets_do_not_pass_the_routers_own_hooks() {
        let chain = |family: u8, number: Option<u32>| Chain {
            table: Table { family: family.into(), name: "t".into() },
            name: "c".into(),
            hook: number.map(|number| ChainHook { number, priority: 0 }),
            accepts: true,
        };
        // inet, ip, ip6: prerouting, forward, postrouting, and inet's ingress.
        for family in [1, 2, 10] {
            let seen = (0..6).filter(|number| chain(family, Some(*number)).sees_forwarded());
            assert_eq!(seen.collect::<Vec<_>>(), [0, 2, 4, 5]);
            assert!(!chain(family, None).sees_forwarded());
        }
        // netdev's ingress, every hook of a bridge, none of ARP.
        assert!(chain(5, Some(0)).sees_forwarded() && chain(7, Some(1)).sees_forwarded());
        assert!(!chain(3, Some(0)).sees_forwarded());
    }
}
