// SPDX-License-Identifier: GPL-2.0-or-later
//! nf_tables over nfnetlink: one file per kernel object, and the batch that changes them.
//!
//! Source: include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h, net/netfilter/nf_tables_api.c.

pub mod batch;
pub mod chain;
pub mod element;
pub mod event;
pub mod expression;
pub mod flowtable;
pub mod generation;
pub mod keys;
pub mod query;
pub mod register;
pub mod rule;
pub mod set;
pub mod table;
pub mod verdict;

use std::fmt;

use netlink_packet_core::DecodeError;

use super::attribute::Writer;
use super::message::Message;

pub use batch::{Batch, Command, FinishedBatch};
pub use chain::{Chain, ChainHook};
pub use element::{Counted, Element};
pub use expression::Expression;
pub use flowtable::Flowtable;
pub use keys::{CtKey, Direction, MetaKey, Operator, CT_STATE_ESTABLISHED};
pub use query::Nftables;
pub use register::Register;
pub use rule::Rule;
pub use set::{KeyType, Set};
pub use table::Table;
pub use verdict::Verdict;

/// Netlink family of nfnetlink.
pub const NETLINK_NETFILTER: isize = 12;
/// Multicast group of nf_tables changes.
pub const NFNLGRP_NFTABLES: u32 = 7;

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFGENMSG_LEN: usize = 4;

/// nlmsg_type of an nf_tables message.
const fn kind(message: u16) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | message
}

/// Protocol family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Any other: its number.
    Other(u8),
}

const NFPROTO_UNSPEC: u8 = 0;
const NFPROTO_INET: u8 = 1;
/// IPv4, as `meta nfproto` has it.
pub const NFPROTO_IPV4: u8 = 2;
/// IPv6, as `meta nfproto` has it.
pub const NFPROTO_IPV6: u8 = 10;

impl Family {
    /// The kernel's number.
    pub fn number(self) -> u8 {
        match self {
            Family::Inet => NFPROTO_INET,
            Family::Ip => NFPROTO_IPV4,
            Family::Ip6 => NFPROTO_IPV6,
            Family::Other(number) => number,
        }
    }
}

impl From<u8> for Family {
    fn from(number: u8) -> Family {
        match number {
            NFPROTO_INET => Family::Inet,
            NFPROTO_IPV4 => Family::Ip,
            NFPROTO_IPV6 => Family::Ip6,
            number => Family::Other(number),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Family::Inet => f.write_str("inet"),
            Family::Ip => f.write_str("ip"),
            Family::Ip6 => f.write_str("ip6"),
            Family::Other(number) => write!(f, "family {number}"),
        }
    }
}

/// Writes a `struct nfgenmsg`.
fn write_header(writer: &mut Writer, family: u8, res_id: u16) {
    let [high, low] = res_id.to_be_bytes();
    writer.raw(&[family, 0, high, low]);
}

/// Splits a payload into family, resource id and attributes.
fn split_header<'a>(message: &Message<'a>) -> Result<(Family, u16, &'a [u8]), DecodeError> {
    match message.payload {
        [family, _version, high, low, attributes @ ..] => {
            Ok((Family::from(*family), u16::from_be_bytes([*high, *low]), attributes))
        }
        short => Err(DecodeError::buffer_too_small(short.len(), NFGENMSG_LEN)),
    }
}
