// SPDX-License-Identifier: GPL-2.0-or-later
//! Which flows to show: filters, order, and pages of a list that changes while it is read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::net::IpAddr;

use super::packed::{Listed, Packed};
use super::place::End;
use super::FlowState;
use crate::netlink::conntrack::tuple::Tuple;
use crate::netlink::prefix::Prefix;

/// Longest page: a reply on the bus holds about this many flows in 64 KiB.
pub const PAGE_MAX: usize = 100;

/// All conditions that are there must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The path that its packets take.
    pub state: Option<FlowState>,
    /// An address of either end, before or after translation.
    pub prefix: Option<Prefix>,
    /// A port of either end.
    pub port: Option<u16>,
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Numbers of attachments; either end is behind one of them.
    pub attachments: Option<Vec<u16>>,
    /// Numbers and addresses of clients; it is accounted to one of them, or has one at an end.
    pub hosts: Option<(Vec<u16>, Vec<IpAddr>)>,
}

impl Filter {
    /// True when the flow is one of those asked for.
    pub fn matches(&self, flow: &Packed<'_>) -> bool {
        let address = |prefix: Prefix| {
            let within = |t: Tuple| prefix.contains(t.source()) || prefix.contains(t.destination());
            within(flow.orig()) || within(flow.reply())
        };
        // ICMP keeps other things where ports are.
        let port = |port: u16| flow.ports().contains(&port) && flow.orig().icmp().is_none();
        self.state.is_none_or(|state| state == flow.state())
            && self.protocol.is_none_or(|protocol| protocol == flow.protocol())
            && self.port.is_none_or(port)
            && self.prefix.is_none_or(address)
            && self.is_placed(flow)
    }

    fn is_placed(&self, flow: &Packed<'_>) -> bool {
        let place = flow.place();
        let ends = [place.opener(), place.answerer()];
        let within = |numbers: &[u16], end: End| {
            end.attachment().is_some_and(|number| numbers.contains(&number))
        };
        let behind = |numbers: &Vec<u16>| ends.iter().any(|end| within(numbers, *end));
        let of = |(numbers, addresses): &(Vec<u16>, Vec<IpAddr>)| {
            place.host().is_some_and(|host| numbers.contains(&host))
                || addresses.contains(&flow.orig().source())
                || addresses.contains(&flow.reply().source())
        };
        self.attachments.as_ref().is_none_or(behind) && self.hosts.as_ref().is_none_or(of)
    }
}

/// What the list is sorted by, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Bytes a second, both directions.
    #[default]
    Rate,
    /// Bytes so far, both directions.
    Bytes,
    /// Time since it was first seen.
    Age,
}

impl Order {
    /// The order of this name, as on the bus.
    pub fn named(name: &str) -> Option<Order> {
        match name {
            "rate" => Some(Order::Rate),
            "bytes" => Some(Order::Bytes),
            "age" => Some(Order::Age),
            _ => None,
        }
    }

    fn key(self, flow: &impl Listed) -> u64 {
        match self {
            Order::Rate => flow.rate().map_or(0, |(up, down)| u64::from(up) + u64::from(down)),
            Order::Bytes => flow.bytes().unwrap_or(0),
            // Unlike the age itself this stands still while pages are read.
            Order::Age => !flow.first_ms(),
        }
    }
}

/// Where a page ended: the next one begins behind it. Flows that overtook it meanwhile were on the
/// page before or are left out; none is shown twice for standing still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    key: u64,
    id: u32,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.key, self.id)
    }
}

impl Cursor {
    /// Behind what has this key and this number.
    pub fn new(key: u64, id: u32) -> Cursor {
        Cursor { key, id }
    }

    /// Where a page ends whose last flow is this one.
    pub fn of(order: Order, flow: &impl Listed) -> Cursor {
        Cursor { key: order.key(flow), id: flow.id() }
    }

    /// Reads what a page gave; `None` for anything else.
    pub fn parse(text: &str) -> Option<Cursor> {
        let (key, id) = text.split_once('-')?;
        Some(Cursor {
            key: u64::from_str_radix(key, 16).ok()?,
            id: u32::from_str_radix(id, 16).ok()?,
        })
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<F> {
    /// The flows, in the order asked for.
    pub flows: Vec<F>,
    /// How many there are in all, before and behind this page included.
    pub matched: usize,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<Cursor>,
}

/// One page of at most `limit` flows (and [`PAGE_MAX`]) behind `after`. Memory follows the page,
/// not the list.
pub fn page<F: Listed>(
    flows: impl Iterator<Item = F>,
    order: Order,
    limit: usize,
    after: Option<Cursor>,
) -> Page<F> {
    let limit = limit.clamp(1, PAGE_MAX);
    let mut matched = 0;
    let mut more = false;
    // The smallest of the best is on top, and goes when a better one comes.
    let mut best: BinaryHeap<Reverse<Ranked<F>>> = BinaryHeap::new();
    for flow in flows {
        matched += 1;
        let rank = Cursor::of(order, &flow);
        if after.is_some_and(|after| rank >= after) {
            continue;
        }
        if best.len() >= limit {
            more = true;
            if best.peek().is_some_and(|Reverse(least)| rank <= least.rank) {
                continue;
            }
            best.pop();
        }
        best.push(Reverse(Ranked { rank, flow }));
    }
    let ranked: Vec<Ranked<F>> =
        best.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked).collect();
    let next = ranked.last().map(|ranked| ranked.rank).filter(|_| more);
    Page { flows: ranked.into_iter().map(|ranked| ranked.flow).collect(), matched, next }
}

struct Ranked<F> {
    rank: Cursor,
    flow: F,
}

impl<F> PartialEq for Ranked<F> {
    fn eq(&self, other: &Ranked<F>) -> bool {
        self.rank == other.rank
    }
}

impl<F> Eq for Ranked<F> {}

impl<F> PartialOrd for Ranked<F> {
    fn partial_cmp(&self, other: &Ranked<F>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<F> Ord for Ranked<F> {
    fn cmp(&self, other: &Ranked<F>) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::table::tests::{entry, poll, table_of};
    use crate::core::flows::Flow;
    use crate::netlink::conntrack::entry::Entry;
    use crate::netlink::conntrack::tuple::Icmp;
    use proptest::prelude::*;

    #[test]
    fn filters_look_at_both_ends() {
        let table = table_of(&[entry(1, 100), entry(2, 200)]);
        let find = |filter: &Filter| table.packed(0).filter(|flow| filter.matches(flow)).count();
        let with = |prefix: &str| Filter { prefix: prefix.parse().ok(), ..Filter::default() };
        assert_eq!(find(&Filter::default()), 2);
        assert_eq!(find(&with("192.168.1.1")), 1);
        assert_eq!(find(&with("203.0.113.2")), 2, "the server");
        assert_eq!(find(&with("203.0.113.1")), 2, "the translated address");
        assert_eq!(find(&Filter { port: Some(80), ..Filter::default() }), 2);
        assert_eq!(find(&Filter { protocol: Some(17), ..Filter::default() }), 0);
        let hardware = Filter { state: Some(FlowState::Hardware), ..Filter::default() };
        assert_eq!(find(&hardware), 0);

        let echo = Icmp { id: 80, kind: 8, code: 0 };
        let orig = Tuple::icmp_between(entry(3, 0).orig.addresses, echo);
        let ping = table_of(&[Entry { orig, reply: orig.inverse(), ..entry(3, 0) }]);
        let port = Filter { port: Some(80), ..Filter::default() };
        assert_eq!(ping.packed(0).filter(|flow| port.matches(flow)).count(), 0, "an identifier");
    }

    #[test]
    fn pages_by_age_stand_still_while_time_goes_on() {
        let table = table_of(&[entry(1, 0), entry(2, 0), entry(3, 0)]);
        let first = page(table.flows(2_000), Order::Age, 2, None);
        let rest = page(table.flows(9_000), Order::Age, 2, first.next);
        assert_eq!((first.flows.len(), rest.flows.len()), (2, 1));
    }

    /// Days are what 32 bits of milliseconds are short for.
    #[test]
    fn old_flows_come_first_however_old_they_are() {
        const DAY_MS: u64 = 86_400_000;
        let mut table = table_of(&[entry(1, 0)]);
        for day in 1..=100 {
            let young = (day > 60).then(|| entry(2, 0)).into_iter();
            let all: Vec<_> = [entry(1, 0)].into_iter().chain(young).collect();
            poll(&mut table, day * DAY_MS, &all);
            let page = page(table.flows(day * DAY_MS + 500), Order::Age, 9, None);
            let shown: Vec<_> = page.flows.iter().map(|flow| flow.id).collect();
            assert_eq!(shown, [1, 2][..all.len()], "on day {day}");
            let days = |flow: &Flow| u64::from(flow.age_ms) / DAY_MS;
            let lived = [day, day.saturating_sub(61)].map(|lived| lived.saturating_sub(1)..=lived);
            for (flow, lived) in page.flows.iter().zip(lived) {
                let lived = *lived.start().min(&44)..=*lived.end().min(&45);
                assert!(lived.contains(&days(flow)), "{} days on day {day}", days(flow));
                let age_ms = day * DAY_MS + 500 - flow.first_ms;
                assert_eq!(age_ms, u64::from(flow.age_ms));
            }
        }
    }

    #[test]
    fn a_client_is_found_at_both_ends() {
        let table = table_of(&[entry(1, 100), entry(2, 200)]);
        let find = |hosts| {
            let filter = Filter { hosts, ..Filter::default() };
            table.packed(0).filter(|flow| filter.matches(flow)).count()
        };
        let address = |text: &str| text.parse().unwrap();
        assert_eq!(find(Some((Vec::new(), vec![address("192.168.1.1")]))), 1);
        assert_eq!(find(Some((Vec::new(), vec![address("203.0.113.2")]))), 2);
        assert_eq!(find(Some((vec![7], Vec::new()))), 0);
    }

    proptest! {
        /// Pages put together are the sorted list, each flow once.
        #[test]
        fn pages_make_up_the_list(
            bytes in proptest::collection::vec(0u64..20, 0..60),
            limit in 1usize..25,
        ) {
            let entries: Vec<_> = (1u32..).zip(&bytes).map(|(id, &b)| entry(id, b)).collect();
            let table = table_of(&entries);
            let mut seen = Vec::new();
            let mut after = None;
            loop {
                let part = page(table.packed(0), Order::Bytes, limit, after);
                prop_assert_eq!(part.matched, bytes.len());
                prop_assert!(part.flows.len() <= limit);
                seen.extend(part.flows.iter().map(|flow| (flow.bytes().unwrap(), flow.id())));
                match part.next {
                    Some(cursor) => after = Cursor::parse(&cursor.to_string()),
                    None => break,
                }
            }
            let mut sorted = seen.clone();
            sorted.sort_by(|a, b| b.cmp(a));
            sorted.dedup();
            prop_assert_eq!(&seen, &sorted);
            prop_assert_eq!(seen.len(), bytes.len());
        }
    }
}
