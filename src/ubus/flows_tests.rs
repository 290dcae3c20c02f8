// SPDX-License-Identifier: GPL-2.0-or-later
//! The arguments and the replies of `flows`.

use super::*;
use crate::core::flow_reason::FlowReason;
use crate::core::flows::place::Place;
use crate::core::flows::select::{self, Filter};
use crate::core::flows::FlowState;
use crate::netlink::conntrack::entry::Counters;
use crate::netlink::conntrack::tcp_state::TcpState;
use crate::netlink::conntrack::tuple::{Addresses, Icmp};
use crate::netlink::route::Mac;
use crate::ubus::json;
use proptest::prelude::*;
use ubus::{blobmsg, BlobBuilder, BlobIter, BlobValue};

fn tuple(protocol: u8, source: (&str, u16), destination: (&str, u16)) -> Tuple {
    let end = |(address, port): (&str, u16)| (address.parse().unwrap(), port);
    Tuple::new(protocol, end(source), end(destination)).unwrap()
}

/// A masqueraded download with every key but the TCP state, which such flows have not.
pub(crate) fn download() -> Flow {
    Flow {
        orig: tuple(6, ("192.168.1.100", 49_152), ("203.0.113.2", 443)),
        reply: tuple(6, ("203.0.113.2", 443), ("198.51.100.7", 50_001)),
        zone: 3,
        mark: 0xffff_0000,
        id: 7,
        state: FlowState::Hardware,
        switched: false,
        nat: true,
        tcp_state: None,
        sent: Some(Counters { packets: 100, bytes: 5200 }),
        received: Some(Counters { packets: 2000, bytes: 3_000_000 }),
        rate: Some((520, u32::MAX)),
        first_ms: 1000,
        age_ms: 61_999,
        state_age_ms: 59_000,
        assured: true,
        replied: true,
        helped: false,
        closing: false,
        quiet_ms: 0,
        place: Place::UNPLACED,
    }
}

/// A flow of which little is known.
pub(crate) fn plain() -> Flow {
    let orig = tuple(6, ("2001:db8::1", 1), ("2001:db8::2", 65_535));
    Flow {
        orig,
        reply: orig.inverse(),
        zone: 0,
        mark: 0,
        id: 8,
        state: FlowState::Classic,
        switched: false,
        nat: false,
        tcp_state: Some(TcpState::Established),
        sent: None,
        received: None,
        rate: None,
        first_ms: 1000,
        age_ms: 0,
        state_age_ms: 0,
        assured: true,
        replied: true,
        helped: false,
        closing: false,
        quiet_ms: 0,
        place: Place::UNPLACED,
    }
}

/// A ping, which has no ports.
pub(crate) fn ping() -> Flow {
    let [source, destination] = [[192, 168, 1, 2].into(), [192, 0, 2, 1].into()];
    let addresses = Addresses::V4 { source, destination };
    let orig = Tuple::icmp_between(addresses, Icmp { id: 77, kind: 8, code: 0 });
    Flow { orig, reply: orig.inverse(), tcp_state: None, ..plain() }
}

fn page(flows: Vec<Flow>) -> FlowPage {
    FlowPage::bare(flows)
}

/// A download with every key.
fn full() -> FlowView {
    FlowView {
        ingress: vec!["br-lan".into(), "lan1".into()],
        egress: vec!["wan".into()],
        client: Some("laptop".into()),
        client_mac: Some(Mac::new([2, 0, 0, 0, 0, 7])),
        table: Some("flowtabled".into()),
        reason: Some((FlowReason::InNameOnly, "it leaks".into())),
        bypassed_s: Some(42),
        switch: Some(("sw".into(), "waits for its entry".into())),
        ..FlowView::bare(Flow { closing: true, ..download() })
    }
}

fn shown(page: &FlowPage) -> String {
    json::render(encode(page, Order::Rate).contents()).unwrap()
}

#[test]
fn every_key() {
    let next = Cursor::parse("20f-7");
    let text = shown(&FlowPage { flows: vec![full()], matched: 12, next });
    assert_eq!(
        text,
        concat!(
            r#"{"matched":12,"flows":[{"source":"192.168.1.100","source_port":49152,"#,
            r#""destination":"203.0.113.2","destination_port":443,"protocol":"tcp","#,
            r#""translated":{"source":"198.51.100.7","source_port":50001,"#,
            r#""destination":"203.0.113.2","destination_port":443},"state":"hardware","#,
            r#""packets_sent":100,"bytes_sent":5200,"#,
            r#""packets_received":2000,"bytes_received":3000000,"#,
            r#""rate_sent":520,"rate_received":4294967295,"age_s":61,"state_age_s":59,"#,
            r#""mark":4294901760,"zone":3,"quiet_s":0,"closing":true,"#,
            r#""ingress":["br-lan","lan1"],"egress":["wan"],"client":"laptop","#,
            r#""client_mac":"02:00:00:00:00:07","partition":"flowtabled","#,
            r#""reason":"in_name_only","#,
            r#""reason_text":"it is marked as offloaded, yet takes the classic path","#,
            r#""detail":"it leaks","bypassed_s":42,"switch":"sw","switch_text":"waits for its entry"}],"next":"20f-7"}"#
        )
    );
}

#[test]
fn the_unknown_is_absent() {
    assert_eq!(
        shown(&page(vec![plain()])),
        concat!(
            r#"{"matched":1,"flows":[{"source":"2001:db8::1","source_port":1,"#,
            r#""destination":"2001:db8::2","destination_port":65535,"protocol":"tcp","#,
            r#""state":"classic","tcp_state":"ESTABLISHED","age_s":0,"state_age_s":0,"#,
            r#""quiet_s":0}]}"#
        )
    );
    assert_eq!(shown(&page(Vec::new())), r#"{"matched":0,"flows":[]}"#);
}

#[test]
fn protocols_without_ports() {
    let text = shown(&page(vec![ping()]));
    assert!(
        text.contains(r#""source":"192.168.1.2","destination":"192.0.2.1","icmp_id":77,"#),
        "{text}"
    );
    assert!(text.contains(r#""protocol":"icmp""#) && !text.contains("translated"), "{text}");
    let orig = tuple(99, ("192.0.2.1", 0), ("192.0.2.2", 0));
    let text = shown(&page(vec![Flow { orig, reply: orig.inverse(), ..plain() }]));
    assert!(text.contains(r#""protocol":"99""#) && !text.contains("port"), "{text}");
}

fn query(build: impl FnOnce(&mut BlobBuilder)) -> Result<FlowQuery, StatusCode> {
    let data = BlobMsgTable::build(build);
    FlowQuery::of(&Arguments::check(&POLICY, data.contents())?)
}

fn text(name: &'static str, value: &str) -> Result<FlowQuery, StatusCode> {
    query(|b| b.put_str(Some(name), value))
}

fn number(name: &'static str, value: i32) -> Result<FlowQuery, StatusCode> {
    query(|b| b.put_i32(Some(name), value))
}

#[test]
fn arguments_make_a_query() {
    assert_eq!(query(|_| ()), Ok(FlowQuery::default()));
    assert_eq!(FlowQuery::default().limit, 50);
    let all = query(|b| {
        b.put_str(Some("state"), "software");
        b.put_str(Some("address"), "192.168.1.0/24");
        b.put_i32(Some("port"), 65_535);
        b.put_str(Some("protocol"), "icmpv6");
        b.put_str(Some("device"), "lan1");
        b.put_str(Some("host"), "laptop");
        b.put_str(Some("partition"), "flowtabled");
        b.put_str(Some("sort"), "age");
        b.put_i32(Some("limit"), 100);
        b.put_str(Some("cursor"), "ff-1");
    });
    let wanted = FlowQuery {
        selection: Selection {
            filter: Filter {
                state: Some(FlowState::Software),
                prefix: "192.168.1.0/24".parse().ok(),
                port: Some(65_535),
                protocol: Some(58),
                ..Filter::default()
            },
            device: Some("lan1".into()),
            host: Some("laptop".into()),
            partition: Some("flowtabled".into()),
        },
        order: Order::Age,
        limit: 100,
        after: Cursor::parse("ff-1"),
    };
    assert_eq!(all, Ok(wanted));
    for (name, protocol) in
        [("tcp", 6), ("udp", 17), ("icmp", 1), ("gre", 47), ("0", 0), ("6", 6), ("255", 255)]
    {
        assert_eq!(text("protocol", name).unwrap().selection.filter.protocol, Some(protocol));
    }
    assert_eq!(number("port", 0).unwrap().selection.filter.port, Some(0));
    assert_eq!(number("limit", 1).unwrap().limit, 1);
    for (name, order) in [("rate", Order::Rate), ("bytes", Order::Bytes)] {
        assert_eq!(text("sort", name).unwrap().order, order);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let texts = [
        ("state", "off"),
        ("state", "Software"),
        ("address", "lan"),
        ("address", "192.168.1.0/33"),
        ("protocol", "256"),
        ("protocol", "-1"),
        ("protocol", "+6"),
        ("protocol", "TCP"),
        ("sort", "size"),
        ("cursor", "next"),
        ("cursor", "1"),
    ];
    for (name, value) in texts {
        assert_eq!(text(name, value), Err(StatusCode::InvalidArgument), "{name} {value}");
    }
    for argument in POLICY.arguments {
        // Empty, or of the wrong type.
        assert_eq!(text(argument.name, ""), Err(StatusCode::InvalidArgument), "{}", argument.name);
        let wrong = query(|b| b.put_bool(Some(argument.name), true));
        assert_eq!(wrong, Err(StatusCode::InvalidArgument), "{}", argument.name);
    }
    for (name, value) in [("port", -1), ("port", 65_536), ("limit", 0), ("limit", 101)] {
        assert_eq!(number(name, value), Err(StatusCode::InvalidArgument), "{name} {value}");
    }
    assert_eq!(number("state", 1), Err(StatusCode::InvalidArgument));
}

/// A flow with the longest texts that occur, told apart by its id.
fn longest(id: u32, age_ms: u32) -> FlowView {
    let end = |n: u32, port| (format!("2001:db8:1111:2222:3333:4444:{:x}:ffff", n | 0x1000), port);
    let way = |from: u32, to: u32| {
        let (source, destination) = (end(from, 60_000), end(to, 60_001));
        tuple(136, (&source.0, source.1), (&destination.0, destination.1))
    };
    let first_ms = u64::from(!age_ms);
    let flow =
        Flow { id, age_ms, first_ms, orig: way(id, 1), reply: way(2, 3), mark: id, ..download() };
    FlowView { flow, client: Some("c".repeat(255)), ..full() }
}

#[test]
fn the_longest_flows_do_not_fit_one_reply() {
    let flows = (0..100).map(|id| longest(id, 1)).collect();
    let reply = encode(&FlowPage { flows, matched: 100, next: None }, Order::Age);
    let fitted = json::render(reply.contents()).unwrap().matches("state_age_s").count();
    assert!((40..100).contains(&fitted), "{fitted}");
    assert!(reply.contents().len() < 64 * 1024);
    assert!(reply.lookup("truncated").is_none() && reply.lookup(NEXT).is_some());
}

/// The ids in a reply, from the marks.
fn ids(reply: &[u8]) -> Vec<i64> {
    let body = |value| match value {
        Ok(BlobValue::Array(body) | BlobValue::Table(body)) => body,
        other => panic!("{other:?}"),
    };
    let flows = body(blobmsg::lookup(reply, "flows").unwrap().value());
    let id = |flow| match blobmsg::lookup(body(flow), "mark").unwrap().value() {
        Ok(BlobValue::Int64(id)) => id,
        other => panic!("{other:?}"),
    };
    BlobIter::new(flows).map(|flow| id(flow.value())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Replies put together show each flow once and in order, those that end early included.
    #[test]
    fn replies_make_up_the_list(
        ages in proptest::collection::vec(0u32..50, 0..300),
        // The longest page most often: only that is cut by the bound.
        limit in prop_oneof![1usize..=100, Just(100), Just(100)],
    ) {
        let flows: Vec<Flow> =
            (1u32..).zip(&ages).map(|(id, &age)| longest(id, age).flow).collect();
        let mut wanted: Vec<(u32, i64)> =
            flows.iter().map(|flow| (flow.age_ms, flow.id.into())).collect();
        wanted.sort_by(|a, b| b.cmp(a));
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let all = flows.iter().cloned();
            let page = select::page(all, Order::Age, limit, after);
            let long = |flow: Flow| longest(flow.id, flow.age_ms);
            let views = page.flows.into_iter().map(long).collect();
            let page = FlowPage { flows: views, matched: page.matched, next: page.next };
            let reply = encode(&page, Order::Age);
            prop_assert!(reply.contents().len() < 64 * 1024);
            let part = ids(reply.contents());
            prop_assert!(!part.is_empty() || flows.is_empty());
            seen.extend(part);
            match reply.lookup(NEXT) {
                Some(next) => after = Some(Cursor::parse(next.as_str().unwrap()).unwrap()),
                None => break,
            }
        }
        let wanted: Vec<i64> = wanted.into_iter().map(|(_, id)| id).collect();
        prop_assert_eq!(seen, wanted);
    }
}
