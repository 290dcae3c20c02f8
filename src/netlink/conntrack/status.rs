// SPDX-License-Identifier: GPL-2.0-or-later
//! Status bits of a conntrack entry, in the kernel's spelling.
//!
//! Source: include/uapi/linux/netfilter/nf_conntrack_common.h.

/// IPS_EXPECTED: a helper announced the connection.
pub const IPS_EXPECTED: u32 = 0x1;
/// IPS_SEEN_REPLY: packets have been seen both ways.
pub const IPS_SEEN_REPLY: u32 = 0x2;
/// IPS_ASSURED: the connection has carried packets both ways for good.
pub const IPS_ASSURED: u32 = 0x4;
/// IPS_CONFIRMED: the first packet has left the machine.
pub const IPS_CONFIRMED: u32 = 0x8;
/// IPS_SRC_NAT: the source of the original direction is rewritten.
pub const IPS_SRC_NAT: u32 = 0x10;
/// IPS_DST_NAT: the destination of the original direction is rewritten.
pub const IPS_DST_NAT: u32 = 0x20;
/// IPS_SEQ_ADJUST: TCP sequence numbers are rewritten.
pub const IPS_SEQ_ADJUST: u32 = 0x40;
/// IPS_SRC_NAT_DONE: it has been decided whether the source is rewritten.
pub const IPS_SRC_NAT_DONE: u32 = 0x80;
/// IPS_DST_NAT_DONE: it has been decided whether the destination is rewritten.
pub const IPS_DST_NAT_DONE: u32 = 0x100;
/// IPS_DYING: the entry has left the table.
pub const IPS_DYING: u32 = 0x200;
/// IPS_FIXED_TIMEOUT: packets do not extend the timeout.
pub const IPS_FIXED_TIMEOUT: u32 = 0x400;
/// IPS_TEMPLATE: not a connection but a model for new ones.
pub const IPS_TEMPLATE: u32 = 0x800;
/// IPS_NAT_CLASH: lost against an equal entry that was confirmed first (IPS_UNTRACKED before
/// Linux 4.12).
pub const IPS_NAT_CLASH: u32 = 0x1000;
/// IPS_HELPER: the helper was given by a rule.
pub const IPS_HELPER: u32 = 0x2000;
/// IPS_OFFLOAD: a flow object exists for the connection.
pub const IPS_OFFLOAD: u32 = 0x4000;
/// IPS_HW_OFFLOAD: a driver has accepted at least one direction.
pub const IPS_HW_OFFLOAD: u32 = 0x8000;
