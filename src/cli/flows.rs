// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable flows`: a table of flows, narrow enough for a terminal of 80 columns while the
//! addresses are IPv4, and as wide as it must be for others: an address that is cut names nobody.

use ubus::blobmsg::lookup;

use super::quantity;
use super::text::{self, entries, integer, text, unknown};
use super::Paged;
use crate::core::flows::select::Cursor;
use crate::ubus::flows::NEXT;

/// Columns of the table.
pub(super) const COLUMNS: usize = 7;
/// Their names.
pub(super) const HEADING: [&str; COLUMNS] =
    ["STATE", "PROTO", "SOURCE", "DESTINATION", "RATE", "BYTES", "AGE"];
/// The columns from here on are numbers, which stand on the right.
pub(super) const NUMBERS: usize = 4;

/// A table that is written a page at a time. Columns never become narrower, so that pages stay
/// below each other where they can.
#[derive(Debug, Default)]
pub struct FlowTable {
    widths: [usize; COLUMNS],
    shown: usize,
    matched: Option<i64>,
}

impl Paged for FlowTable {
    /// The lines of a reply; those of the first begin with the heading.
    fn page(&mut self, reply: &[u8]) -> String {
        let mut rows = Vec::new();
        if self.matched.is_none() {
            rows.push(HEADING.map(str::to_owned));
        }
        let flows = entries(reply, "flows").unwrap_or_default();
        self.shown += flows.len();
        // Flows come and go between two pages; the last count is the best.
        self.matched = Some(integer(reply, "matched").unwrap_or(0));
        rows.extend(flows.into_iter().map(row));
        text::aligned(&rows, &mut self.widths, NUMBERS, 1)
    }

    fn footer(&self) -> String {
        format!("{} of {} flows shown\n", self.shown, self.matched.unwrap_or(0))
    }
}

/// Where the page behind this reply begins.
pub fn next(reply: &[u8]) -> Option<Cursor> {
    Cursor::parse(lookup(reply, NEXT)?.as_str()?)
}

/// The same, when it is not where the page of this reply began or before: cursors go down, and one
/// that does not would lead round in a circle.
pub(super) fn next_behind(reply: &[u8], last: Option<&str>) -> Option<String> {
    let next = next(reply)?;
    let last = last.and_then(Cursor::parse);
    last.is_none_or(|last| next < last).then(|| next.to_string())
}

/// True when a reply has no flow.
pub(super) fn is_empty(reply: &[u8]) -> bool {
    entries(reply, "flows").unwrap_or_default().is_empty()
}

/// The cells of a flow.
pub(super) fn row(flow: &[u8]) -> [String; COLUMNS] {
    let both = |one, other| Some(amount(flow, one)?.saturating_add(amount(flow, other)?));
    [
        text(flow, "state"),
        text(flow, "protocol"),
        end(flow, "source", "source_port"),
        end(flow, "destination", "destination_port"),
        both("rate_sent", "rate_received").map_or_else(unknown, quantity::rate),
        both("bytes_sent", "bytes_received").map_or_else(unknown, quantity::bytes),
        amount(flow, "age_s").map_or_else(unknown, quantity::age),
    ]
}

fn amount(flow: &[u8], key: &str) -> Option<u64> {
    integer(flow, key)?.try_into().ok()
}

/// Address and port, the address in brackets when it has colons of its own.
pub(super) fn end(flow: &[u8], address: &str, port: &str) -> String {
    let address = text(flow, address);
    match integer(flow, port) {
        None => address,
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::select::Order;
    use crate::core::flows::view::FlowPage;
    use crate::core::flows::Flow;
    use crate::netlink::conntrack::entry::Counters;
    use crate::netlink::conntrack::tuple::Tuple;
    use crate::ubus::flows::encode;
    use crate::ubus::flows::tests::{download, ping, plain};
    use proptest::prelude::*;

    fn reply(flows: Vec<Flow>, matched: usize) -> Vec<u8> {
        let page = FlowPage { matched, ..FlowPage::bare(flows) };
        encode(&page, Order::Rate).contents().to_vec()
    }

    #[test]
    fn a_table_of_flows() {
        let mut table = FlowTable::default();
        let slow = Flow { rate: Some((0, 0)), ..download() };
        assert_eq!(
            table.page(&reply(vec![download(), slow, ping()], 4)),
            "\
STATE    PROTO SOURCE              DESTINATION        RATE BYTES AGE
hardware tcp   192.168.1.100:49152 203.0.113.2:443 4.2GB/s 3.0MB  1m
hardware tcp   192.168.1.100:49152 203.0.113.2:443    0B/s 3.0MB  1m
classic  icmp  192.168.1.2         192.0.2.1             -     -  0s
"
        );
        assert_eq!(
            table.page(&reply(vec![plain()], 5)),
            "\
classic  tcp   [2001:db8::1]:1     [2001:db8::2]:65535       -     -  0s
"
        );
        assert_eq!(table.footer(), "4 of 5 flows shown\n");
    }

    #[test]
    fn a_table_of_ipv4_fits_80_columns() {
        let end = (std::net::IpAddr::from([255, 255, 255, 255]), 65_535);
        let widest = Flow {
            orig: Tuple::new(6, end, end).unwrap(),
            rate: Some((999_999, 0)),
            sent: Some(Counters { packets: 1, bytes: 999_999 }),
            received: Some(Counters::default()),
            age_ms: u32::MAX,
            ..download()
        };
        let text = FlowTable::default().page(&reply(vec![widest], 1));
        assert!(text.contains(" 999.9kB/s 999.9kB 49d\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn no_flows() {
        let mut table = FlowTable::default();
        assert_eq!(table.page(&[]), "STATE PROTO SOURCE DESTINATION RATE BYTES AGE\n");
        assert_eq!(table.footer(), "0 of 0 flows shown\n");
    }

    #[test]
    fn the_next_page() {
        let page = FlowPage { next: Cursor::parse("a-1"), ..FlowPage::bare(vec![plain()]) };
        assert_eq!(next(encode(&page, Order::Rate).contents()), Cursor::parse("a-1"));
        assert_eq!(next(&reply(Vec::new(), 0)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = FlowTable::default().page(&bytes);
            let _ = next(&bytes);
        }
    }
}
