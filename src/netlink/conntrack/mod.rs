// SPDX-License-Identifier: GPL-2.0-or-later
//! Conntrack over nfnetlink: the only place where the kernel tells which flows are offloaded.
//!
//! Source: include/uapi/linux/netfilter/nfnetlink_conntrack.h,
//! net/netfilter/nf_conntrack_netlink.c.

pub mod entry;
pub mod event;
pub mod query;
pub mod request;
pub mod stats;
pub mod status;
pub mod tcp_state;
pub mod tuple;
mod walk;

use super::attribute::Writer;

pub use entry::{Counters, Entry};
pub use event::CtEvent;
pub use query::Conntrack;
pub use request::{offloaded_request, stats_request, Change, Filter, Masked, NewEntry};
pub use status::{IPS_ASSURED, IPS_HW_OFFLOAD, IPS_OFFLOAD};
pub use tcp_state::TcpState;
pub use tuple::{Addresses, Family, Icmp, Tuple};

/// Multicast group of new entries.
pub const NFNLGRP_CONNTRACK_NEW: u32 = 1;
/// Multicast group of changed entries.
pub const NFNLGRP_CONNTRACK_UPDATE: u32 = 2;
/// Multicast group of entries that have ended.
pub const NFNLGRP_CONNTRACK_DESTROY: u32 = 3;

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_NEW: u16 = 0;
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
const IPCTNL_MSG_CT_GET_STATS: u16 = 5;

const NFGENMSG_LEN: usize = 4;
const NFPROTO_UNSPEC: u8 = 0;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_PROTOINFO: u16 = 4;
const CTA_TIMEOUT: u16 = 7;
const CTA_MARK: u16 = 8;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_MARK_MASK: u16 = 21;
const CTA_STATUS_MASK: u16 = 26;

const CTA_PROTOINFO_TCP: u16 = 1;
const CTA_PROTOINFO_TCP_STATE: u16 = 1;

const fn kind(message: u16) -> u16 {
    NFNL_SUBSYS_CTNETLINK << 8 | message
}

/// Writes a `struct nfgenmsg`.
fn write_header(writer: &mut Writer, family: u8) {
    writer.raw(&[family, 0, 0, 0]);
}
