// SPDX-License-Identifier: GPL-2.0-or-later
//! Conntrack over nfnetlink: the only place where the kernel tells which flows are offloaded.
//!
//! Source: include/uapi/linux/netfilter/nfnetlink_conntrack.h,
//! net/netfilter/nf_conntrack_netlink.c.

pub mod entry;
pub mod stats;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};

use super::attribute::Writer;
use super::message::request;

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_NEW: u16 = 0;
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_GET_STATS: u16 = 5;

const NFGENMSG_LEN: usize = 4;

const CTA_STATUS: u16 = 3;
const CTA_STATUS_MASK: u16 = 26;

/// IPS_ASSURED: the connection has carried packets both ways for good.
pub const IPS_ASSURED: u32 = 4;
/// IPS_OFFLOAD: a flow object exists for the connection.
pub const IPS_OFFLOAD: u32 = 0x4000;
/// IPS_HW_OFFLOAD: a driver has accepted at least one direction.
pub const IPS_HW_OFFLOAD: u32 = 0x8000;

const fn kind(message: u16) -> u16 {
    NFNL_SUBSYS_CTNETLINK << 8 | message
}

fn write_header(writer: &mut Writer) {
    writer.raw(&[0; NFGENMSG_LEN]);
}

/// Asks for all offloaded connections. Kernels before 5.15 ignore the filter and list all.
pub fn offloaded_request(sequence: u32) -> Vec<u8> {
    request(kind(IPCTNL_MSG_CT_GET), NLM_F_REQUEST | NLM_F_DUMP, sequence, |writer| {
        write_header(writer);
        writer.u32_be(CTA_STATUS, IPS_OFFLOAD);
        writer.u32_be(CTA_STATUS_MASK, IPS_OFFLOAD);
    })
}

/// Asks for the number of connections.
pub fn stats_request(sequence: u32) -> Vec<u8> {
    request(kind(IPCTNL_MSG_CT_GET_STATS), NLM_F_REQUEST, sequence, write_header)
}
