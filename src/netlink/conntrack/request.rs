// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests to conntrack, as bytes: the synchronous handle and the event loop send the same.

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST};

use super::entry::Entry;
use super::status::{IPS_CONFIRMED, IPS_OFFLOAD};
use super::tcp_state::TcpState;
use super::tuple::{Family, Tuple};
use super::{
    kind, write_header, CTA_ID, CTA_MARK, CTA_MARK_MASK, CTA_PROTOINFO, CTA_PROTOINFO_TCP,
    CTA_PROTOINFO_TCP_STATE, CTA_STATUS, CTA_STATUS_MASK, CTA_TIMEOUT, CTA_TUPLE_ORIG,
    CTA_TUPLE_REPLY, CTA_ZONE, IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_GET_STATS,
    IPCTNL_MSG_CT_NEW, NFPROTO_UNSPEC,
};
use crate::netlink::attribute::Writer;
use crate::netlink::message::request;

/// Some bits of a 32-bit property: those of `mask`, with the values in `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masked {
    /// Values of the bits.
    pub value: u32,
    /// Which bits are meant.
    pub mask: u32,
}

impl Masked {
    /// All these bits set.
    pub fn set(bits: u32) -> Masked {
        Masked { value: bits, mask: bits }
    }

    /// None of these bits set.
    pub fn clear(bits: u32) -> Masked {
        Masked { value: 0, mask: bits }
    }

    /// The property has these values at these bits.
    pub fn matches(self, property: u32) -> bool {
        property & self.mask == self.value & self.mask
    }
}

/// Which entries a list shall have: those that match every part that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filter {
    /// Address family.
    pub family: Option<Family>,
    /// IPS_* bits; kernels before 5.15 do not look at them.
    pub status: Option<Masked>,
    /// Mark.
    pub mark: Option<Masked>,
    /// Zone; Linux 6.1 does not look at it.
    pub zone: Option<u16>,
}

impl Filter {
    /// The entry is one that was asked for. Kernels differ in what they honour, so every answer
    /// has to pass here as well.
    pub fn matches(&self, entry: &Entry) -> bool {
        self.family.is_none_or(|family| entry.orig.family() == family)
            && self.status.is_none_or(|status| status.matches(entry.status))
            && self.mark.is_none_or(|mark| mark.matches(entry.mark))
            && self.zone.is_none_or(|zone| entry.zone == zone)
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        write_header(writer, self.family.map_or(NFPROTO_UNSPEC, Family::number));
        // Masks are always sent: without one the kernel takes the value for it, refuses a value
        // of 0, and compares whole marks.
        if let Some(Masked { value, mask }) = self.status {
            writer.u32_be(CTA_STATUS, value & mask);
            writer.u32_be(CTA_STATUS_MASK, mask);
        }
        if let Some(Masked { value, mask }) = self.mark {
            writer.u32_be(CTA_MARK, value & mask);
            writer.u32_be(CTA_MARK_MASK, mask);
        }
        if let Some(zone) = self.zone {
            writer.u16_be(CTA_ZONE, zone);
        }
    }
}

/// Asks for the list of entries that match. Each answer has to pass [`Filter::matches`] too, and
/// while connections come and go an entry may be missing or come twice: tell them apart by id.
pub fn dump_request(sequence: u32, filter: &Filter) -> Vec<u8> {
    let flags = NLM_F_REQUEST | NLM_F_DUMP;
    request(kind(IPCTNL_MSG_CT_GET), flags, sequence, |writer| filter.emit(writer))
}

/// Asks for all offloaded connections.
pub fn offloaded_request(sequence: u32) -> Vec<u8> {
    let status = Some(Masked::set(IPS_OFFLOAD));
    dump_request(sequence, &Filter { status, ..Filter::default() })
}

/// Asks for the number of connections.
pub fn stats_request(sequence: u32) -> Vec<u8> {
    let number = kind(IPCTNL_MSG_CT_GET_STATS);
    request(number, NLM_F_REQUEST, sequence, |writer| write_header(writer, NFPROTO_UNSPEC))
}

/// Asks for the entry that `tuple`, of either direction, belongs to.
pub fn get_request(sequence: u32, tuple: &Tuple, zone: u16) -> Vec<u8> {
    let number = kind(IPCTNL_MSG_CT_GET);
    request(number, NLM_F_REQUEST, sequence, |writer| emit_key(writer, tuple, zone))
}

/// Deletes the one entry that `tuple` belongs to, if it still has this id.
///
/// A deletion without a tuple would empty the kernel's whole table, which is why there is no way
/// to ask for one here.
pub fn delete_request(sequence: u32, tuple: &Tuple, zone: u16, id: u32) -> Vec<u8> {
    let number = kind(IPCTNL_MSG_CT_DELETE);
    request(number, NLM_F_REQUEST | NLM_F_ACK, sequence, |writer| {
        emit_key(writer, tuple, zone);
        writer.u32_be(CTA_ID, id);
    })
}

/// What can be changed of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// Seconds that it has left. 0 deletes it, and its address translation with it.
    pub timeout_s: Option<u32>,
    /// Bits of its mark.
    pub mark: Option<Masked>,
}

/// Changes the entry that `tuple` belongs to; never makes one.
pub fn update_request(sequence: u32, tuple: &Tuple, zone: u16, change: Change) -> Vec<u8> {
    let number = kind(IPCTNL_MSG_CT_NEW);
    request(number, NLM_F_REQUEST | NLM_F_ACK, sequence, |writer| {
        emit_key(writer, tuple, zone);
        if let Some(timeout_s) = change.timeout_s {
            writer.u32_be(CTA_TIMEOUT, timeout_s);
        }
        if let Some(Masked { value, mask }) = change.mark {
            // The kernel clears the bits of the mask and then flips those of the value.
            writer.u32_be(CTA_MARK, value & mask);
            writer.u32_be(CTA_MARK_MASK, mask);
        }
    })
}

/// Sets the time that the entry of `tuple`, in zone 0, has left; the kernel only answers when there
/// is none.
pub fn refresh_request(sequence: u32, tuple: &Tuple, timeout_s: u32) -> Vec<u8> {
    request(kind(IPCTNL_MSG_CT_NEW), NLM_F_REQUEST, sequence, |writer| {
        emit_key(writer, tuple, 0);
        writer.u32_be(CTA_TIMEOUT, timeout_s);
    })
}

/// An entry to be made, for tests and benchmarks: the daemon makes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEntry {
    /// Direction of the first packet.
    pub orig: Tuple,
    /// Direction of the answers.
    pub reply: Tuple,
    /// Conntrack zone.
    pub zone: u16,
    /// Seconds that it has.
    pub timeout_s: u32,
    /// IPS_* bits; the kernel ignores those of NAT and offload.
    pub status: u32,
    /// Mark.
    pub mark: u32,
    /// State, for TCP.
    pub tcp_state: Option<TcpState>,
}

impl NewEntry {
    /// An entry without address translation, in zone 0 and without mark.
    pub fn new(orig: Tuple, timeout_s: u32) -> NewEntry {
        NewEntry {
            orig,
            reply: orig.inverse(),
            zone: 0,
            timeout_s,
            status: IPS_CONFIRMED,
            mark: 0,
            tcp_state: None,
        }
    }

    /// Asks for it to be made; refused when one of its tuples exists. `flags` are added NLM_F_*,
    /// such as NLM_F_ACK.
    pub fn request(&self, sequence: u32, flags: u16) -> Vec<u8> {
        let flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | flags;
        request(kind(IPCTNL_MSG_CT_NEW), flags, sequence, |writer| self.emit(writer))
    }

    /// Asks for the end of the connection that has these addresses now, whatever its id. `flags` as
    /// for [`NewEntry::request`].
    pub fn end_request(&self, sequence: u32, flags: u16) -> Vec<u8> {
        let number = kind(IPCTNL_MSG_CT_DELETE);
        request(number, NLM_F_REQUEST | flags, sequence, |writer| {
            emit_key(writer, &self.orig, self.zone);
        })
    }

    fn emit(&self, writer: &mut Writer) {
        emit_key(writer, &self.orig, self.zone);
        self.reply.emit(writer, CTA_TUPLE_REPLY);
        writer.u32_be(CTA_STATUS, self.status);
        writer.u32_be(CTA_TIMEOUT, self.timeout_s);
        writer.u32_be(CTA_MARK, self.mark);
        if let Some(state) = self.tcp_state {
            writer.nest(CTA_PROTOINFO, |info| {
                info.nest(CTA_PROTOINFO_TCP, |tcp| {
                    tcp.u8(CTA_PROTOINFO_TCP_STATE, state.number());
                });
            });
        }
    }
}

/// Header, tuple and zone: what finds one entry.
pub(super) fn emit_key(writer: &mut Writer, tuple: &Tuple, zone: u16) {
    write_header(writer, tuple.family().number());
    tuple.emit(writer, CTA_TUPLE_ORIG);
    if zone != 0 {
        writer.u16_be(CTA_ZONE, zone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute::attributes;
    use crate::netlink::conntrack::tuple::tests::any_tuple;
    use crate::netlink::message::{Message, Messages};
    use proptest::prelude::*;

    fn only(bytes: &[u8]) -> Message<'_> {
        let mut messages = Messages::new(bytes).map(Result::unwrap);
        let message = messages.next().unwrap();
        assert!(messages.next().is_none());
        message
    }

    fn values<'a>(message: &Message<'a>) -> Vec<(u16, &'a [u8])> {
        attributes(&message.payload[4..]).map(Result::unwrap).collect()
    }

    #[test]
    fn a_filter_sends_only_its_parts() {
        let bytes = dump_request(7, &Filter::default());
        let message = only(&bytes);
        assert_eq!((message.kind, message.flags, message.sequence), (0x101, 0x301, 7));
        assert_eq!(message.payload, [0; 4]);

        let filter = Filter {
            family: Some(Family::V6),
            status: Some(Masked::clear(IPS_OFFLOAD)),
            mark: Some(Masked { value: 0x1234, mask: 0xff }),
            zone: Some(0),
        };
        let bytes = dump_request(7, &filter);
        let message = only(&bytes);
        assert_eq!(message.payload[0], 10);
        let expected: [(u16, &[u8]); 5] = [
            (CTA_STATUS, &[0, 0, 0, 0]),
            (CTA_STATUS_MASK, &[0, 0, 0x40, 0]),
            (CTA_MARK, &[0, 0, 0, 0x34]),
            (CTA_MARK_MASK, &[0, 0, 0, 0xff]),
            (CTA_ZONE, &[0, 0]),
        ];
        assert_eq!(values(&message), expected);
    }

    #[test]
    fn masks_choose_bits() {
        assert!(Masked::set(0x4000).matches(0xc000) && !Masked::set(0x4000).matches(0x8000));
        assert!(Masked::clear(0x4000).matches(0x8000) && !Masked::clear(0x4000).matches(0x4000));
        assert!(Masked { value: 0xff01, mask: 0x0f }.matches(1));
    }

    proptest! {
        /// The kernel takes a deletion without a tuple for "everything".
        #[test]
        fn a_deletion_always_has_its_tuple_and_the_daemons_its_id(
            tuple in any_tuple(),
            zone in any::<u16>(),
            id in any::<u32>(),
        ) {
            let bytes = delete_request(1, &tuple, zone, id);
            let message = only(&bytes);
            prop_assert_eq!((message.kind, message.flags), (0x102, 0x5));
            prop_assert_eq!(message.payload[0], tuple.family().number());
            let values = values(&message);
            let (number, nest) = values[0];
            prop_assert_eq!(number, CTA_TUPLE_ORIG);
            prop_assert_eq!(Tuple::parse(nest).unwrap().0, tuple);
            prop_assert!(values.contains(&(CTA_ID, &id.to_be_bytes()[..])));
            let sent_zone = values.iter().find(|(number, _)| *number == CTA_ZONE);
            let zone_value = zone.to_be_bytes();
            prop_assert_eq!(sent_zone.map(|(_, v)| *v), (zone != 0).then_some(&zone_value[..]));

            let bytes = NewEntry { zone, ..NewEntry::new(tuple, 0) }.end_request(1, 0);
            let message = only(&bytes);
            prop_assert_eq!((message.kind, message.flags), (0x102, 0x1));
            let without_id = self::values(&message);
            let kept = values.into_iter().filter(|(number, _)| *number != CTA_ID);
            prop_assert_eq!(without_id, kept.collect::<Vec<_>>());
        }

        #[test]
        fn what_is_made_is_what_was_asked_for(
            orig in any_tuple(),
            reply in any_tuple(),
            numbers in any::<(u16, u32, u32, u32)>(),
            state in proptest::option::of(any::<u8>()),
        ) {
            let (zone, timeout_s, status, mark) = numbers;
            let tcp_state = state.map(TcpState::from);
            let wanted = NewEntry { orig, reply, zone, timeout_s, status, mark, tcp_state };
            let bytes = wanted.request(3, NLM_F_ACK);
            let message = only(&bytes);
            prop_assert_eq!((message.kind, message.flags), (0x100, 0x605));
            let entry = Entry::parse(&message).unwrap().unwrap();
            prop_assert_eq!((entry.orig, entry.reply, entry.zone), (orig, reply, zone));
            prop_assert_eq!((entry.status, entry.mark), (status, mark));
            prop_assert_eq!((entry.timeout_s, entry.tcp_state), (Some(timeout_s), tcp_state));
            prop_assert_eq!(entry.counters_orig, None);
        }

        #[test]
        fn a_change_sends_only_its_parts(
            tuple in any_tuple(),
            timeout_s in proptest::option::of(any::<u32>()),
            mark in proptest::option::of(any::<(u32, u32)>()),
        ) {
            let mark = mark.map(|(value, mask)| Masked { value, mask });
            let bytes = update_request(1, &tuple, 0, Change { timeout_s, mark });
            let message = only(&bytes);
            prop_assert_eq!((message.kind, message.flags), (0x100, 0x5));
            let mut expected = vec![CTA_TUPLE_ORIG];
            expected.extend(timeout_s.map(|_| CTA_TIMEOUT));
            expected.extend(mark.iter().flat_map(|_| [CTA_MARK, CTA_MARK_MASK]));
            let kinds: Vec<u16> = values(&message).iter().map(|(number, _)| *number).collect();
            prop_assert_eq!(kinds, expected);
        }
    }
}
