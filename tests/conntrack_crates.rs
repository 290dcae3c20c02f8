// SPDX-License-Identifier: GPL-2.0-or-later
//! Our conntrack codec against `netlink-packet-netfilter`, which was written by others from the
//! same headers, for the attributes that it carries: tuples, status, TCP state, timeout and mark.
//!
//! What it does not carry (counters, zone, id, ICMP's fields) it keeps as bytes, so that every
//! message of ours must survive its reading and writing unchanged.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::IpAddr;

use flowtabled::netlink::conntrack::request::{
    delete_request, dump_request, get_request, update_request,
};
use flowtabled::netlink::conntrack::{
    Change, Entry, Family, Filter, Icmp, Masked, NewEntry, TcpState, Tuple,
};
use flowtabled::netlink::message::Messages;
use netlink_packet_core::{Emitable, NetlinkBuffer, NetlinkMessage, NetlinkPayload, Parseable};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, Protocol,
    Status, Tuple as TheirTuple,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use proptest::prelude::*;

type Theirs = NetlinkMessage<NetfilterMessage>;

fn read_by_them(bytes: &[u8]) -> Theirs {
    let buffer = NetlinkBuffer::new_checked(&bytes).expect("well formed");
    NetlinkMessage::parse(&buffer).expect("they can read it")
}

fn written_by_them(message: &Theirs) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

fn attributes(message: &Theirs) -> &[ConntrackAttribute] {
    let NetlinkPayload::InnerMessage(NetfilterMessage {
        inner: NetfilterMessageInner::Conntrack(inner),
        ..
    }) = &message.payload
    else {
        panic!("not conntrack: {message:?}")
    };
    match inner {
        ConntrackMessage::New(list)
        | ConntrackMessage::Get(list)
        | ConntrackMessage::Delete(list) => list,
        other => panic!("{other:?}"),
    }
}

/// Our tuple in their words.
fn their_tuple(tuple: &Tuple) -> Vec<TheirTuple> {
    vec![
        TheirTuple::Ip(vec![
            IPTuple::SourceAddress(tuple.source()),
            IPTuple::DestinationAddress(tuple.destination()),
        ]),
        TheirTuple::Proto(vec![
            ProtoTuple::Protocol(Protocol::from(tuple.protocol)),
            ProtoTuple::SourcePort(tuple.source_port),
            ProtoTuple::DestinationPort(tuple.destination_port),
        ]),
    ]
}

/// A tuple of a protocol with ports.
fn any_tuple() -> impl Strategy<Value = Tuple> {
    let v4 = any::<(u32, u32)>().prop_map(|(a, b)| [a, b].map(|bits| IpAddr::V4(bits.into())));
    let v6 = any::<(u128, u128)>().prop_map(|(a, b)| [a, b].map(|bits| IpAddr::V6(bits.into())));
    let protocol = prop_oneof![Just(6u8), Just(17), Just(33), Just(47), Just(132), Just(136)];
    (prop_oneof![v4, v6], protocol, any::<(u16, u16)>()).prop_map(
        |([source, destination], protocol, ports)| {
            Tuple::new(protocol, (source, ports.0), (destination, ports.1)).unwrap()
        },
    )
}

#[test]
fn every_request_survives_their_reading_and_writing() {
    let port = |number| ("10.0.0.1".parse().unwrap(), number);
    let tcp = Tuple::new(6, port(1), port(2)).unwrap();
    let ping = Tuple::icmp_between(tcp.addresses, Icmp { id: 7, kind: 8, code: 0 });
    let filter = Filter {
        family: Some(Family::V4),
        status: Some(Masked::clear(0x4000)),
        mark: Some(Masked::set(1)),
        zone: Some(3),
    };
    let change = Change { timeout_s: Some(1), mark: Some(Masked::set(1)) };
    let mut requests = vec![dump_request(1, &Filter::default()), dump_request(2, &filter)];
    for tuple in [tcp, ping] {
        requests.push(get_request(3, &tuple, 4));
        requests.push(delete_request(5, &tuple, 6, 7));
        requests.push(update_request(8, &tuple, 9, change));
        let state = Some(TcpState::Established);
        requests
            .push(NewEntry { zone: 2, tcp_state: state, ..NewEntry::new(tuple, 5) }.request(1, 0));
    }
    for request in requests {
        assert_eq!(written_by_them(&read_by_them(&request)), request);
    }
}

proptest! {
    #[test]
    fn they_read_the_entry_that_we_meant(
        (orig, reply) in (any_tuple(), any_tuple()),
        (timeout_s, status, mark) in any::<(u32, u32, u32)>(),
        state in any::<u8>(),
    ) {
        let tcp_state = Some(TcpState::from(state));
        let entry = NewEntry { orig, reply, zone: 0, timeout_s, status, mark, tcp_state };
        let message = read_by_them(&entry.request(1, 0));
        let expected = [
            ConntrackAttribute::CtaTupleOrig(their_tuple(&orig)),
            ConntrackAttribute::CtaTupleReply(their_tuple(&reply)),
            ConntrackAttribute::CtaStatus(Status::from_bits_retain(status)),
            ConntrackAttribute::CtaTimeout(timeout_s),
            ConntrackAttribute::CtaMark(mark),
            ConntrackAttribute::CtaProtoInfo(vec![ProtoInfo::TCP(vec![ProtoInfoTCP::State(state)])]),
        ];
        prop_assert_eq!(attributes(&message), expected);
    }

    #[test]
    fn we_read_the_entry_that_they_meant(
        (orig, reply) in (any_tuple(), any_tuple()),
        (timeout_s, status, mark) in any::<(u32, u32, u32)>(),
        state in any::<u8>(),
        turn in 0usize..6,
    ) {
        let mut list = vec![
            ConntrackAttribute::CtaTupleOrig(their_tuple(&orig)),
            ConntrackAttribute::CtaTupleReply(their_tuple(&reply)),
            ConntrackAttribute::CtaStatus(Status::from_bits_retain(status)),
            ConntrackAttribute::CtaTimeout(timeout_s),
            ConntrackAttribute::CtaMark(mark),
            ConntrackAttribute::CtaProtoInfo(vec![ProtoInfo::TCP(vec![
                ProtoInfoTCP::OriginalWindowScale(7),
                ProtoInfoTCP::State(state),
                ProtoInfoTCP::ReplyWindowScale(7),
            ])]),
        ];
        // No order of attributes is promised.
        list.rotate_left(turn);
        let header = NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0);
        let message = NetfilterMessage::new(header, ConntrackMessage::New(list));
        let mut message = NetlinkMessage::from(message);
        message.finalize();
        let bytes = written_by_them(&message);
        let ours = Messages::new(&bytes).next().unwrap().unwrap();
        let entry = Entry::parse(&ours).unwrap().expect("an entry");
        prop_assert_eq!((entry.orig, entry.reply), (orig, reply));
        prop_assert_eq!((entry.status, entry.mark), (status, mark));
        prop_assert_eq!(entry.timeout_s, Some(timeout_s));
        prop_assert_eq!(entry.tcp_state, Some(TcpState::from(state)));
        prop_assert_eq!((entry.zone, entry.counters_orig), (0, None));
    }
}
