// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `flows`: the flows that conntrack knows, sorted, a page at a time.
//!
//! Besides the arguments of `flow_filter` it takes these. All are optional; one that makes no sense
//! fails the call with "invalid argument".
//!
//! | argument | type | meaning |
//! |---|---|---|
//! | `sort` | string | `rate` (the default), `bytes` or `age`, the greatest first |
//! | `limit` | int32 | at most so many, 1 to 100, 50 unless given |
//! | `cursor` | string | `next` of the page before |
//!
//! The reply has the int32 `matched`, the array `flows`, and the string `next` unless this is the
//! last page. In a flow, what is not known is absent; `ingress` and `egress` are string arrays of the
//! devices by which packets of the original direction come in and go out, the one that routing sees
//! first and the lowest last; `reason`, `reason_text` and `detail` tell why it is on the classic
//! path. A page that is too long for one reply ends early, and `next` follows it: no flow is
//! left out.

use std::time::Duration;

use ubus::{BlobMsgTable, BlobType};

use super::flow_filter::{self, valid, PARTITION, PROTOCOL, STATE};
use super::policy::{Argument, Arguments, Method, Policy};
use super::reply::{text_size, Reply};
use super::status_code::StatusCode;
use crate::core::flows::select::{Cursor, Order, PAGE_MAX};
use crate::core::flows::selection::Selection;
use crate::core::flows::view::{FlowPage, FlowView};
use crate::core::flows::Flow;
use crate::netlink::conntrack::tuple::Tuple;

/// The argument that names an order.
pub const SORT: &str = "sort";
/// The argument that bounds the page.
pub const LIMIT: &str = "limit";
/// The argument that says where the page begins.
pub const CURSOR: &str = "cursor";
/// The key that says where the next page begins.
pub const NEXT: &str = "next";

/// Flows of a page unless the caller says how many: about what a screen and its scroll bar hold.
const LIMIT_DEFAULT: usize = 50;
/// Longest text of a cursor: two numbers in hexadecimal and a dash.
pub(super) const CURSOR_LENGTH: usize = 16 + 1 + 8;

const ARGUMENTS: [Argument; 10] = flow_filter::and(&[
    Argument { name: SORT, ty: BlobType::String },
    Argument { name: LIMIT, ty: BlobType::Int32 },
    Argument { name: CURSOR, ty: BlobType::String },
]);

/// The method takes a filter, an order and a page.
pub const POLICY: Policy = Policy { method: Method::Flows, name: "flows", arguments: &ARGUMENTS };

/// What a caller wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowQuery {
    /// Which flows.
    pub selection: Selection,
    /// In which order.
    pub order: Order,
    /// How many at most; 1 to [`PAGE_MAX`].
    pub limit: usize,
    /// The page begins behind this; `None` for the first.
    pub after: Option<Cursor>,
}

impl Default for FlowQuery {
    fn default() -> Self {
        let (selection, order) = (Selection::default(), Order::default());
        FlowQuery { selection, order, limit: LIMIT_DEFAULT, after: None }
    }
}

impl FlowQuery {
    /// The query that the arguments make.
    ///
    /// # Errors
    /// An argument makes no sense. None is ignored: the reply would answer another question.
    pub fn of(arguments: &Arguments<'_>) -> Result<FlowQuery, StatusCode> {
        let (order, limit, after) = paging(arguments)?;
        Ok(FlowQuery { selection: flow_filter::read(arguments)?, order, limit, after })
    }
}

/// The order, the length of a page, and where it begins.
pub(super) fn paging(
    arguments: &Arguments<'_>,
) -> Result<(Order, usize, Option<Cursor>), StatusCode> {
    Ok((
        valid(arguments.string(SORT), Order::named)?.unwrap_or_default(),
        valid(arguments.number(LIMIT), limit)?.unwrap_or(LIMIT_DEFAULT),
        valid(arguments.string(CURSOR), Cursor::parse)?,
    ))
}

fn limit(number: i32) -> Option<usize> {
    usize::try_from(number).ok().filter(|limit| (1..=PAGE_MAX).contains(limit))
}

/// How much longer a flow is kept on the classic path, by conntrack's id; `None` when it is not.
pub type Bypassed<'a> = &'a dyn Fn(u32) -> Option<Duration>;

/// The reply: as much of a page, made in this order, as fits.
pub fn encode(page: &FlowPage, order: Order) -> BlobMsgTable {
    let mut reply = Reply::new();
    reply.count("matched", u32::try_from(page.matched).unwrap_or(u32::MAX));
    let reserve = text_size(NEXT, CURSOR_LENGTH);
    let fitted = reply.records_that_fit("flows", &page.flows, reserve, record);
    let next = if fitted < page.flows.len() {
        let last = fitted.checked_sub(1).and_then(|last| page.flows.get(last));
        last.map(|view| Cursor::of(order, &view.flow))
    } else {
        page.next
    };
    if let Some(next) = next {
        reply.text(NEXT, &next.to_string());
    }
    reply.finish(None)
}

/// A flow with everything that is known about it.
pub(super) fn record(reply: &mut Reply, view: &FlowView) {
    let flow = &view.flow;
    flow_itself(reply, flow);
    reply.count("quiet_s", flow.quiet_ms / 1000);
    if flow.closing {
        reply.flag("closing", true);
    }
    for (key, devices) in [("ingress", &view.ingress), ("egress", &view.egress)] {
        if !devices.is_empty() {
            reply.strings(key, devices);
        }
    }
    if let Some(client) = &view.client {
        reply.text("client", client);
    }
    if let Some(mac) = view.client_mac {
        reply.text("client_mac", &mac.to_string());
    }
    if let Some(table) = &view.table {
        reply.text(PARTITION, table);
    }
    if let Some((reason, detail)) = &view.reason {
        reply.text("reason", reason.code());
        reply.text("reason_text", reason.text());
        reply.text_unless_empty("detail", detail);
    }
    if let Some(seconds) = view.bypassed_s {
        reply.count("bypassed_s", seconds);
    }
    if let Some((name, words)) = &view.switch {
        reply.text("switch", name);
        reply.text("switch_text", words);
    }
}

fn flow_itself(reply: &mut Reply, flow: &Flow) {
    ends(reply, &flow.orig);
    match flow.orig.protocol_name() {
        Some(name) => reply.text(PROTOCOL, name),
        None => reply.text(PROTOCOL, &flow.orig.protocol.to_string()),
    }
    let behind = flow.reply.inverse();
    if behind != flow.orig {
        reply.table("translated", |r| ends(r, &behind));
    }
    reply.text(STATE, flow.state.name());
    if let Some(state) = flow.tcp_state {
        reply.text("tcp_state", &state.to_string());
    }
    if let Some(sent) = flow.sent {
        reply.long_count("packets_sent", sent.packets);
        reply.long_count("bytes_sent", sent.bytes);
    }
    if let Some(received) = flow.received {
        reply.long_count("packets_received", received.packets);
        reply.long_count("bytes_received", received.bytes);
    }
    if let Some((sent, received)) = flow.rate {
        reply.long_count("rate_sent", sent.into());
        reply.long_count("rate_received", received.into());
    }
    reply.count("age_s", flow.age_ms / 1000);
    reply.count("state_age_s", flow.state_age_ms / 1000);
    if flow.mark != 0 {
        reply.long_count("mark", flow.mark.into());
    }
    if flow.zone != 0 {
        reply.count("zone", flow.zone.into());
    }
}

/// Addresses, and ports (keys of GRE) where the protocol has some. ICMP has an identifier, which
/// tells two pings apart.
fn ends(reply: &mut Reply, tuple: &Tuple) {
    reply.text("source", &tuple.source().to_string());
    let icmp = tuple.icmp();
    let ports = icmp.is_none() && (tuple.source_port, tuple.destination_port) != (0, 0);
    if ports {
        reply.count("source_port", tuple.source_port.into());
    }
    reply.text("destination", &tuple.destination().to_string());
    if ports {
        reply.count("destination_port", tuple.destination_port.into());
    }
    if let Some(icmp) = icmp {
        reply.count("icmp_id", icmp.id.into());
    }
}

#[cfg(test)]
#[path = "flows_tests.rs"]
pub(crate) mod tests;
