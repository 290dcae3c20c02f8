// SPDX-License-Identifier: GPL-2.0-or-later
//! One conntrack entry, read in place: nothing is allocated for an entry of a long list.

use netlink_packet_core::DecodeError;

use super::status::{
    IPS_ASSURED, IPS_DST_NAT, IPS_DYING, IPS_HW_OFFLOAD, IPS_OFFLOAD, IPS_SEEN_REPLY, IPS_SRC_NAT,
};
use super::tcp_state::TcpState;
use super::tuple::Tuple;
use super::walk::{self, Fault, Walk};
use super::{
    kind, CTA_ID, CTA_MARK, CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE, CTA_STATUS,
    CTA_TIMEOUT, CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ZONE, IPCTNL_MSG_CT_NEW, NFGENMSG_LEN,
};
use crate::netlink::message::Message;

const CTA_HELP: u16 = 5;
const CTA_COUNTERS_ORIG: u16 = 9;
const CTA_COUNTERS_REPLY: u16 = 10;
const CTA_TUPLE_MASTER: u16 = 14;
const CTA_SEQ_ADJ_ORIG: u16 = 15;
const CTA_SEQ_ADJ_REPLY: u16 = 16;
const CTA_TIMESTAMP: u16 = 20;

const CTA_COUNTERS_PACKETS: u16 = 1;
const CTA_COUNTERS_BYTES: u16 = 2;

const CTA_TIMESTAMP_START: u16 = 1;
const CTA_TIMESTAMP_STOP: u16 = 2;

/// What one direction has carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, IP layer and above.
    pub bytes: u64,
}

impl Counters {
    /// Both together.
    pub fn plus(self, other: Counters) -> Counters {
        Counters {
            packets: self.packets.saturating_add(other.packets),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// What has come on top of an earlier reading.
    pub fn since(self, earlier: Counters) -> Counters {
        Counters {
            packets: self.packets.saturating_sub(earlier.packets),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

/// A connection as the kernel tells of it, in an answer or an event.
///
/// Events leave out what has not changed: a mark of 0, the TCP state, the sequence adjustment and
/// the master; their tuples, zone, status and id are always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Direction of the first packet.
    pub orig: Tuple,
    /// Direction of the answers, addresses translated back.
    pub reply: Tuple,
    /// IPS_* bits.
    pub status: u32,
    /// The connection's mark; 0 too on kernels without marks.
    pub mark: u32,
    /// Conntrack zone, 0 by default.
    pub zone: u16,
    /// Opaque number that tells this entry from an earlier one with the same tuple.
    pub id: u32,
    /// Seconds left. `None` in lists for offloaded entries (the flowtable keeps their time); events
    /// always have it.
    pub timeout_s: Option<u32>,
    /// State of a TCP connection. `None` for other protocols and, in lists, for offloaded entries.
    pub tcp_state: Option<TcpState>,
    /// What the original direction has carried; `None` when it is not accounted: unknown, not 0.
    pub counters_orig: Option<Counters>,
    /// What the reply direction has carried.
    pub counters_reply: Option<Counters>,
    /// Creation in nanoseconds since 1970, where `nf_conntrack_timestamp` was on.
    pub start_ns: Option<u64>,
    /// End in nanoseconds since 1970, in the event that tells of it.
    pub stop_ns: Option<u64>,
    /// A helper follows the connection; such entries are never offloaded.
    pub has_helper: bool,
    /// TCP sequence numbers are adjusted; such entries are never offloaded.
    pub has_seq_adj: bool,
    /// The connection was expected by another one.
    pub has_master: bool,
}

impl Entry {
    /// Reads an entry; `None` when the message is something else.
    ///
    /// # Errors
    /// The message is shorter than its lengths say, or lacks a tuple.
    pub fn parse(message: &Message<'_>) -> Result<Option<Entry>, DecodeError> {
        if message.kind != kind(IPCTNL_MSG_CT_NEW) {
            return Ok(None);
        }
        Entry::parse_payload(message.payload)
    }

    /// Reads the payload of any message that tells of an entry; never `None`, but as
    /// [`Entry::parse`] returns it, so that nothing is copied.
    pub(super) fn parse_payload(payload: &[u8]) -> Result<Option<Entry>, DecodeError> {
        Ok(Some(Entry::read(payload)?))
    }

    #[inline(always)]
    fn read(payload: &[u8]) -> Result<Entry, Fault> {
        let Some(attributes) = payload.get(NFGENMSG_LEN..) else { return Err(Fault::Incomplete) };
        let (mut orig, mut reply) = (None, None);
        let (mut status, mut mark, mut zone, mut id) = (0, 0, 0, 0);
        let (mut timeout_s, mut tcp_state) = (None, None);
        let (mut counters_orig, mut counters_reply) = (None, None);
        let (mut start_ns, mut stop_ns) = (None, None);
        let (mut has_helper, mut has_seq_adj, mut has_master) = (false, false, false);
        let mut walk = Walk::new(attributes);
        while let Some((kind, value)) = walk.attribute() {
            match kind {
                CTA_TUPLE_ORIG => {
                    let (tuple, own_zone) = Tuple::parse(value)?;
                    orig = Some(tuple);
                    zone = own_zone.unwrap_or(zone);
                }
                CTA_TUPLE_REPLY => reply = Some(Tuple::parse(value)?.0),
                CTA_STATUS => status = walk::u32_be(value)?,
                CTA_PROTOINFO => tcp_state = parse_tcp_state(value)?,
                CTA_HELP => has_helper = true,
                CTA_TIMEOUT => timeout_s = Some(walk::u32_be(value)?),
                CTA_MARK => mark = walk::u32_be(value)?,
                CTA_COUNTERS_ORIG => counters_orig = parse_counters(value)?,
                CTA_COUNTERS_REPLY => counters_reply = parse_counters(value)?,
                CTA_ID => id = walk::u32_be(value)?,
                CTA_TUPLE_MASTER => has_master = true,
                CTA_SEQ_ADJ_ORIG | CTA_SEQ_ADJ_REPLY => has_seq_adj = true,
                CTA_ZONE => zone = walk::u16_be(value)?,
                CTA_TIMESTAMP => (start_ns, stop_ns) = parse_timestamp(value)?,
                _ => (),
            }
        }
        walk.end()?;
        let (Some(orig), Some(reply)) = (orig, reply) else { return Err(Fault::Incomplete) };
        Ok(Entry {
            orig,
            reply,
            status,
            mark,
            zone,
            id,
            timeout_s,
            tcp_state,
            counters_orig,
            counters_reply,
            start_ns,
            stop_ns,
            has_helper,
            has_seq_adj,
            has_master,
        })
    }

    /// A flow object exists for it. Whether packets use it is another question.
    pub fn is_offloaded(&self) -> bool {
        self.has(IPS_OFFLOAD)
    }

    /// A driver has accepted at least one direction.
    pub fn is_hw_offloaded(&self) -> bool {
        self.has(IPS_HW_OFFLOAD)
    }

    /// It is kept when the table is full.
    pub fn is_assured(&self) -> bool {
        self.has(IPS_ASSURED)
    }

    /// Packets have been seen both ways.
    pub fn seen_reply(&self) -> bool {
        self.has(IPS_SEEN_REPLY)
    }

    /// It has left the table.
    pub fn dying(&self) -> bool {
        self.has(IPS_DYING)
    }

    /// The source of the original direction is rewritten.
    pub fn src_nat(&self) -> bool {
        self.has(IPS_SRC_NAT)
    }

    /// The destination of the original direction is rewritten.
    pub fn dst_nat(&self) -> bool {
        self.has(IPS_DST_NAT)
    }

    fn has(&self, bit: u32) -> bool {
        self.status & bit != 0
    }
}

#[inline(never)]
fn parse_counters(nest: &[u8]) -> Result<Option<Counters>, Fault> {
    let (mut packets, mut bytes) = (None, None);
    let mut walk = Walk::new(nest);
    while let Some((kind, value)) = walk.attribute() {
        match kind {
            CTA_COUNTERS_PACKETS => packets = Some(walk::u64_be(value)?),
            CTA_COUNTERS_BYTES => bytes = Some(walk::u64_be(value)?),
            _ => (),
        }
    }
    walk.end()?;
    Ok(match (packets, bytes) {
        (Some(packets), Some(bytes)) => Some(Counters { packets, bytes }),
        _ => None,
    })
}

#[inline(always)]
fn parse_tcp_state(nest: &[u8]) -> Result<Option<TcpState>, Fault> {
    let mut state = None;
    let mut walk = Walk::new(nest);
    while let Some((kind, value)) = walk.attribute() {
        if kind == CTA_PROTOINFO_TCP {
            state = parse_state(value)?;
        }
    }
    walk.end()?;
    Ok(state)
}

#[inline(always)]
fn parse_state(nest: &[u8]) -> Result<Option<TcpState>, Fault> {
    let mut walk = Walk::new(nest);
    while let Some((kind, value)) = walk.attribute() {
        // Window scales and flags, which follow the state, concern nobody.
        if kind == CTA_PROTOINFO_TCP_STATE {
            return Ok(Some(TcpState::from(walk::byte(value)?)));
        }
    }
    walk.end()?;
    Ok(None)
}

#[inline(never)]
fn parse_timestamp(nest: &[u8]) -> Result<(Option<u64>, Option<u64>), Fault> {
    let (mut start, mut stop) = (None, None);
    let mut walk = Walk::new(nest);
    while let Some((kind, value)) = walk.attribute() {
        match kind {
            CTA_TIMESTAMP_START => start = Some(walk::u64_be(value)?),
            CTA_TIMESTAMP_STOP => stop = Some(walk::u64_be(value)?),
            _ => (),
        }
    }
    walk.end()?;
    Ok((start, stop))
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
