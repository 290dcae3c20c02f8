// SPDX-License-Identifier: GPL-2.0-or-later
//! Entries with everything that a kernel may send, written by an emitter of the tests' own.

use super::*;
use crate::netlink::attribute::Writer;
use crate::netlink::conntrack::status::IPS_CONFIRMED;
use crate::netlink::conntrack::tuple::tests::any_tuple;
use proptest::prelude::*;

/// The whole of an entry, in the kernel's order.
fn payload(entry: &Entry) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(&[entry.orig.family().number(), 0, 0, 0]);
    entry.orig.emit(&mut writer, CTA_TUPLE_ORIG);
    entry.reply.emit(&mut writer, CTA_TUPLE_REPLY);
    if entry.zone != 0 {
        writer.u16_be(CTA_ZONE, entry.zone);
    }
    writer.u32_be(CTA_STATUS, entry.status);
    if let Some(timeout_s) = entry.timeout_s {
        writer.u32_be(CTA_TIMEOUT, timeout_s);
    }
    let counters =
        [(CTA_COUNTERS_ORIG, entry.counters_orig), (CTA_COUNTERS_REPLY, entry.counters_reply)];
    for (kind, counters) in counters {
        let Some(Counters { packets, bytes }) = counters else { continue };
        writer.nest(kind, |nest| {
            nest.u64_be(CTA_COUNTERS_PACKETS, packets);
            nest.u64_be(CTA_COUNTERS_BYTES, bytes);
            nest.bytes(3, &[]);
        });
    }
    if entry.start_ns.is_some() || entry.stop_ns.is_some() {
        writer.nest(CTA_TIMESTAMP, |nest| {
            let times =
                [(CTA_TIMESTAMP_START, entry.start_ns), (CTA_TIMESTAMP_STOP, entry.stop_ns)];
            times.into_iter().for_each(|(kind, time)| {
                time.into_iter().for_each(|time| nest.u64_be(kind, time));
            });
        });
    }
    if let Some(state) = entry.tcp_state {
        writer.nest(CTA_PROTOINFO, |info| {
            info.nest(CTA_PROTOINFO_TCP, |tcp| {
                tcp.u8(CTA_PROTOINFO_TCP_STATE, state.number());
                tcp.u8(2, 7);
                tcp.bytes(4, &[0x0a, 0]);
            });
        });
    }
    if entry.has_helper {
        writer.nest(CTA_HELP, |help| help.string(1, "ftp"));
    }
    writer.u32_be(CTA_MARK, entry.mark);
    // Use count, security mark, labels, and one that does not exist yet.
    writer.u32_be(11, 1);
    writer.u32_be(17, 2);
    writer.bytes(22, &[0; 16]);
    writer.bytes(99, b"new");
    writer.u32_be(CTA_ID, entry.id);
    if entry.has_master {
        entry.reply.emit(&mut writer, CTA_TUPLE_MASTER);
    }
    if entry.has_seq_adj {
        writer.nest(CTA_SEQ_ADJ_REPLY, |nest| nest.u32_be(1, 5));
    }
    writer.into_bytes()
}

fn message(payload: &[u8]) -> Message<'_> {
    Message { kind: 0x100, flags: 2, sequence: 1, port: 0, payload }
}

fn any_counters() -> impl Strategy<Value = Option<Counters>> {
    proptest::option::of(any::<(u64, u64)>())
        .prop_map(|pair| pair.map(|(packets, bytes)| Counters { packets, bytes }))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let numbers = any::<(u32, u32, u16, u32, Option<u32>, Option<u8>)>();
    let times = any::<(Option<u64>, Option<u64>)>();
    let flags = any::<(bool, bool, bool)>();
    ((any_tuple(), any_tuple()), numbers, (any_counters(), any_counters()), times, flags).prop_map(
        |((orig, reply), numbers, (counters_orig, counters_reply), (start_ns, stop_ns), flags)| {
            let (status, mark, zone, id, timeout_s, tcp_state) = numbers;
            let (has_helper, has_seq_adj, has_master) = flags;
            let tcp_state = tcp_state.map(TcpState::from);
            Entry {
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
            }
        },
    )
}

fn plain() -> Entry {
    let port = |number| ("10.0.0.1".parse().unwrap(), number);
    let orig = Tuple::new(6, port(1), port(2)).unwrap();
    Entry {
        orig,
        reply: orig.inverse(),
        status: IPS_CONFIRMED,
        mark: 0,
        zone: 0,
        id: 7,
        timeout_s: Some(30),
        tcp_state: None,
        counters_orig: None,
        counters_reply: None,
        start_ns: None,
        stop_ns: None,
        has_helper: false,
        has_seq_adj: false,
        has_master: false,
    }
}

#[test]
fn status_bits_are_told_apart() {
    type Test = fn(&Entry) -> bool;
    let tests: [(u32, Test); 7] = [
        (IPS_OFFLOAD, Entry::is_offloaded),
        (IPS_HW_OFFLOAD, Entry::is_hw_offloaded),
        (IPS_ASSURED, Entry::is_assured),
        (IPS_SEEN_REPLY, Entry::seen_reply),
        (IPS_DYING, Entry::dying),
        (IPS_SRC_NAT, Entry::src_nat),
        (IPS_DST_NAT, Entry::dst_nat),
    ];
    for (bit, test) in tests {
        assert!(test(&Entry { status: bit, ..plain() }));
        assert!(!test(&Entry { status: !bit, ..plain() }));
    }
}

#[test]
fn half_a_counter_is_unknown() {
    let mut bytes = payload(&plain());
    let mut writer = Writer::new();
    writer.nest(CTA_COUNTERS_ORIG, |nest| nest.u64_be(CTA_COUNTERS_PACKETS, 1));
    bytes.extend(writer.into_bytes());
    assert_eq!(Entry::parse(&message(&bytes)).unwrap(), Some(plain()));
}

#[test]
fn without_a_tuple_there_is_no_entry() {
    for payload in [&[][..], &[2, 0], &[2, 0, 0, 0], &[2, 0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 1]] {
        assert!(Entry::parse(&message(payload)).is_err());
    }
}

#[test]
fn wrong_lengths_are_errors() {
    for kind in [CTA_STATUS, CTA_TIMEOUT, CTA_MARK, CTA_ID, CTA_ZONE] {
        let mut bytes = payload(&plain());
        let mut writer = Writer::new();
        writer.bytes(kind, &[1, 2, 3]);
        bytes.extend(writer.into_bytes());
        assert!(Entry::parse(&message(&bytes)).is_err(), "attribute {kind}");
    }
}

#[test]
fn small_enough_to_copy() {
    assert_eq!(std::mem::size_of::<Tuple>(), 38);
    assert!(std::mem::size_of::<Entry>() <= 208, "{}", std::mem::size_of::<Entry>());
}

proptest! {
    #[test]
    fn survives_being_sent(entry in any_entry()) {
        prop_assert_eq!(Entry::parse(&message(&payload(&entry))).unwrap(), Some(entry));
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Entry::parse(&message(&bytes));
    }

    /// One byte damaged, or the end cut off: an error or another entry, never a panic.
    #[test]
    fn damage_is_survived(entry in any_entry(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = payload(&entry);
        let at = at % bytes.len();
        let _ = Entry::parse(&message(&bytes[..at]));
        bytes[at] = byte;
        let _ = Entry::parse(&message(&bytes));
    }
}
