// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `hosts`: the clients of the router's own networks, a page at a time.
//!
//! All arguments are optional; one that makes no sense fails the call with "invalid argument".
//!
//! | argument | type | meaning |
//! |---|---|---|
//! | `host` | string | only the client of this MAC address, IP address or hostname |
//! | `sort` | string | `rate` (the default), `bytes` or `age`, the greatest first |
//! | `limit` | int32 | at most so many, 1 to 100, 50 unless given |
//! | `cursor` | string | `next` of the page before |
//!
//! The reply has the int32 `matched`, the array `hosts`, and the string `next` unless this is the
//! last page. A client has the string array `addresses`, the latest first, and where they are known
//! the strings `mac`, `name`, `device` (the one that routing sees), `port` (the lowest below it),
//! and `state`, the fastest path that one of its flows takes. `age_s` and `quiet_s` are the seconds
//! since it was first seen and since one of its flows carried something. What it carries follows by
//! state, as [`carried`](super::carried) has it.

use ubus::{BlobMsgTable, BlobType};

use super::carried::Carried;
use super::flows::{CURSOR, LIMIT, NEXT, SORT};
use super::policy::{Argument, Arguments, Method, Policy};
use super::reply::{text_size, Reply};
use super::status_code::StatusCode;
use crate::core::flows::select::{Cursor, Order};
use crate::core::flows::view::{HostPage, HostView};

/// The argument that names a client.
pub const HOST: &str = "host";

/// The method takes a name, an order and a page.
pub const POLICY: Policy = Policy {
    method: Method::Hosts,
    name: "hosts",
    arguments: &[
        Argument { name: HOST, ty: BlobType::String },
        Argument { name: SORT, ty: BlobType::String },
        Argument { name: LIMIT, ty: BlobType::Int32 },
        Argument { name: CURSOR, ty: BlobType::String },
    ],
};

/// What a caller wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsQuery {
    /// Only this client.
    pub host: Option<String>,
    /// In which order.
    pub order: Order,
    /// How many at most.
    pub limit: usize,
    /// The page begins behind this; `None` for the first.
    pub after: Option<Cursor>,
}

impl HostsQuery {
    /// The query that the arguments make.
    ///
    /// # Errors
    /// An argument makes no sense.
    pub fn of(arguments: &Arguments<'_>) -> Result<HostsQuery, StatusCode> {
        let (order, limit, after) = super::flows::paging(arguments)?;
        let host = arguments.string(HOST).map(str::to_owned);
        if host.as_ref().is_some_and(String::is_empty) {
            return Err(StatusCode::InvalidArgument);
        }
        Ok(HostsQuery { host, order, limit, after })
    }
}

/// The reply: as much of a page as fits. `now_ms` is the table's time, `counted` tells for each
/// state whether bytes are known.
pub fn encode(page: &HostPage, counted: [bool; 3], now_ms: u64) -> BlobMsgTable {
    let mut reply = Reply::new();
    reply.count("matched", u32::try_from(page.matched).unwrap_or(u32::MAX));
    let reserve = text_size(NEXT, super::flows::CURSOR_LENGTH);
    let fitted = reply.records_that_fit("hosts", &page.hosts, reserve, |reply, (host, _)| {
        encode_host(reply, host, counted, now_ms);
    });
    if page.more || fitted < page.hosts.len() {
        let last = fitted.checked_sub(1).and_then(|last| page.hosts.get(last));
        if let Some((_, cursor)) = last {
            reply.text(NEXT, &cursor.to_string());
        }
    }
    reply.finish(None)
}

fn encode_host(reply: &mut Reply, view: &HostView, counted: [bool; 3], now_ms: u64) {
    let host = &view.host;
    if let Some(mac) = host.mac {
        reply.text("mac", &mac.to_string());
    }
    if let Some(name) = &view.name {
        reply.text("name", name);
    }
    let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
    reply.strings("addresses", &addresses);
    if let [device, below @ ..] = view.devices.as_slice() {
        reply.text("device", device);
        if let Some(port) = below.last() {
            reply.text("port", port);
        }
    }
    if let Some(state) = view.state() {
        reply.text("state", state.name());
    }
    let seconds = |ms: u64| u32::try_from(ms / 1000).unwrap_or(u32::MAX);
    reply.count("age_s", seconds(now_ms.saturating_sub(host.first_ms)));
    reply.count("quiet_s", seconds(view.quiet_ms));
    let carried = Carried {
        present: &view.present,
        sent: &host.sent,
        received: &host.received,
        sent_rate: &view.present.in_rate,
        received_rate: &view.present.out_rate,
    };
    carried.encode(reply, counted);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core::flows::hosts::tests::client;
    use crate::core::flows::hosts::Hosts;
    use crate::core::flows::sums::Present;
    use crate::core::status::FlowCounts;
    use crate::netlink::conntrack::entry::Counters;
    use crate::ubus::json;
    use ubus::BlobBuilder;

    /// A laptop with every key and a phone with as few as possible.
    pub(crate) fn two() -> HostPage {
        let mut hosts = Hosts::default();
        hosts.join(&client("192.168.1.2", 7), None, 5_000);
        hosts.join(&client("fd00::2", 7), None, 5_000);
        hosts.join(&client("10.0.0.9", 0), None, 60_000);
        let mut list = hosts.iter().map(|(_, host)| host.clone());
        let mut laptop = list.next().unwrap();
        let counters = |bytes| Counters { packets: bytes / 1000, bytes };
        laptop.sent = [1000, 5_000, 0].map(counters);
        laptop.received = [2000, 70_000_000, 0].map(counters);
        let present = Present {
            flows: FlowCounts { classic: 1, software: 3, hardware: 0 },
            in_rate: [0, 20, 0],
            out_rate: [0, 3_000, 0],
        };
        let laptop = HostView {
            host: laptop,
            name: Some("laptop".into()),
            devices: vec!["br-lan".into(), "lan1".into()],
            present,
            quiet_ms: 2_500,
        };
        let phone = HostView {
            host: list.next().unwrap(),
            name: None,
            devices: Vec::new(),
            present: Present::default(),
            quiet_ms: 0,
        };
        let cursor = |text| Cursor::parse(text).unwrap();
        HostPage {
            hosts: vec![(laptop, cursor("bcc-0")), (phone, cursor("0-1"))],
            matched: 3,
            more: true,
        }
    }

    #[test]
    fn every_key() {
        let text = json::render(encode(&two(), [true, true, false], 65_000).contents()).unwrap();
        let none = concat!(
            r#""rate_sent":0,"rate_received":0,"packets_sent":0,"bytes_sent":0,"#,
            r#""packets_received":0,"bytes_received":0}"#
        );
        let expected = [
            r#"{"matched":3,"hosts":[{"mac":"02:00:00:00:00:07","name":"laptop","#,
            r#""addresses":["fd00::2","192.168.1.2"],"device":"br-lan","port":"lan1","#,
            r#""state":"software","age_s":60,"quiet_s":2,"#,
            r#""classic":{"flows":1,"rate_sent":0,"rate_received":0,"packets_sent":1,"#,
            r#""bytes_sent":1000,"packets_received":2,"bytes_received":2000},"#,
            r#""software":{"flows":3,"rate_sent":20,"rate_received":3000,"packets_sent":5,"#,
            r#""bytes_sent":5000,"packets_received":70000,"bytes_received":70000000},"#,
            r#""hardware":{"flows":0}},"#,
            r#"{"addresses":["10.0.0.9"],"age_s":5,"quiet_s":0,"#,
            r#""classic":{"flows":0,"#,
            none,
            r#","software":{"flows":0,"#,
            none,
            r#","hardware":{"flows":0}}],"next":"0-1"}"#,
        ];
        assert_eq!(text, expected.concat());
    }

    #[test]
    fn a_long_page_ends_early_and_the_next_follows() {
        let mut page = two();
        let (one, _) = page.hosts.remove(0);
        page.hosts = (1u32..=300).map(|id| (one.clone(), Cursor::new(9, 300 - id))).collect();
        page.more = false;
        let reply = encode(&page, [true; 3], 65_000);
        assert!(reply.contents().len() < 64 * 1024);
        let text = json::render(reply.contents()).unwrap();
        let shown = text.matches("\"mac\"").count();
        let next = Cursor::new(9, 300 - shown as u32).to_string();
        assert!(text.ends_with(&format!("\"next\":\"{next}\"}}")), "{shown}");
    }

    #[test]
    fn arguments() {
        let of = |fill: &dyn Fn(&mut BlobBuilder)| {
            let table = BlobMsgTable::build(|b| fill(b));
            let arguments = Arguments::check(&POLICY, table.contents()).unwrap();
            HostsQuery::of(&arguments)
        };
        let all = of(&|_| ()).unwrap();
        assert_eq!((all.order, all.limit, all.host), (Order::Rate, 50, None));
        assert!(of(&|b| b.put_str(Some(HOST), "")).is_err());
        assert!(of(&|b| b.put_i32(Some(LIMIT), 101)).is_err());
        assert!(of(&|b| b.put_str(Some(SORT), "name")).is_err());
        assert_eq!(of(&|b| b.put_str(Some(HOST), "laptop")).unwrap().host.unwrap(), "laptop");
    }
}
