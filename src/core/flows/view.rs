// SPDX-License-Identifier: GPL-2.0-or-later
//! Flows and clients as they are shown: with names in place of numbers, and reasons.

use litemap::LiteMap;

use super::hosts::Host;
use super::ledger::Ledger;
use super::names::{label, Names};
use super::packed::Packed;
use super::place::End;
use super::select::{Cursor, Order, Page, PAGE_MAX};
use super::selection::table_of;
use super::sums::Present;
use super::{Flow, FlowState};
use crate::core::explain::{why_classic, Facts};
use crate::core::flow_reason::FlowReason;
use crate::netlink::route::Mac;

/// A flow as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowView {
    /// The flow.
    pub flow: Flow,
    /// Names of the devices by which packets of the original direction come in, the one that
    /// routing sees first; empty for the router's own and where nobody knows.
    pub ingress: Vec<String>,
    /// Names of the devices by which they go out.
    pub egress: Vec<String>,
    /// Hostname of the client, else its address.
    pub client: Option<String>,
    /// MAC address of the client.
    pub client_mac: Option<Mac>,
    /// The table whose flowtable has it, for an offloaded one.
    pub table: Option<String>,
    /// Why it is on the classic path, and what belongs to the reason.
    pub reason: Option<(FlowReason, String)>,
    /// Seconds for which it is kept on the classic path.
    pub bypassed_s: Option<u32>,
    /// The switch that has it, or could, and in words what it is at with it.
    pub switch: Option<(String, String)>,
}

impl FlowView {
    /// A flow of which nothing but itself is known.
    pub fn bare(flow: Flow) -> FlowView {
        FlowView {
            flow,
            ingress: Vec::new(),
            egress: Vec::new(),
            client: None,
            client_mac: None,
            table: None,
            reason: None,
            bypassed_s: None,
            switch: None,
        }
    }

    /// A flow with all that is known.
    pub fn of(flow: Flow, ledger: &Ledger, names: &dyn Names, facts: &dyn Facts) -> FlowView {
        let devices = |end: End| {
            let attachment = end.attachment().and_then(|number| ledger.attachments.get(number));
            attachment.map(|attachment| attachment.devices.clone()).unwrap_or_default()
        };
        let (ingress, egress) = (devices(flow.place.opener()), devices(flow.place.answerer()));
        let host = flow.place.host().and_then(|number| ledger.hosts.get(number));
        FlowView {
            ingress,
            egress,
            client: host.and_then(|host| label(host, names)),
            client_mac: host.and_then(|host| host.mac),
            table: table_of(&flow, facts),
            reason: why_classic(&flow, facts),
            bypassed_s: facts.bypassed_s(flow.id),
            switch: facts.switch(flow.id),
            flow,
        }
    }
}

/// A part of the list of flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowPage {
    /// The flows, in the order asked for.
    pub flows: Vec<FlowView>,
    /// How many matched the filter in all.
    pub matched: usize,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<Cursor>,
}

impl FlowPage {
    /// The last page, of flows of which nothing but themselves is known.
    #[cfg(test)]
    pub fn bare(flows: Vec<Flow>) -> FlowPage {
        let matched = flows.len();
        FlowPage { flows: flows.into_iter().map(FlowView::bare).collect(), matched, next: None }
    }

    /// The flows of a page with all that is known.
    pub fn of(
        page: Page<Packed<'_>>,
        ledger: &Ledger,
        names: &dyn Names,
        facts: &dyn Facts,
    ) -> FlowPage {
        let view = |flow| FlowView::of(Flow::from(flow), ledger, names, facts);
        let flows = page.flows.into_iter().map(view).collect();
        FlowPage { flows, matched: page.matched, next: page.next }
    }
}

/// A client as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// The client, with what it has carried.
    pub host: Host,
    /// Its hostname.
    pub name: Option<String>,
    /// Names of the devices that it is behind, the one that routing sees first.
    pub devices: Vec<String>,
    /// Its flows at present.
    pub present: Present,
    /// Milliseconds since one of its flows carried something.
    pub quiet_ms: u64,
}

impl HostView {
    /// The path of its flows: the fastest that any of them takes, `None` without flows.
    pub fn state(&self) -> Option<FlowState> {
        let flows = &self.present.flows;
        let counts = [flows.classic, flows.software, flows.hardware];
        let states = FlowState::ALL.into_iter().zip(counts);
        states.rev().find(|(_, count)| *count > 0).map(|(state, _)| state)
    }

    fn key(&self, order: Order) -> u64 {
        match order {
            Order::Rate => self.present.in_rate.iter().chain(&self.present.out_rate).sum(),
            Order::Bytes => {
                let sums = self.host.sent.iter().chain(&self.host.received);
                sums.map(|counters| counters.bytes).sum()
            }
            Order::Age => !self.host.first_ms,
        }
    }
}

/// A part of the list of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPage {
    /// The clients, in the order asked for, with where a page behind each would begin.
    pub hosts: Vec<(HostView, Cursor)>,
    /// How many there are in all.
    pub matched: usize,
    /// There are more behind this page.
    pub more: bool,
}

/// One page of at most `limit` clients (and [`PAGE_MAX`]) behind `after`: all, or those of these
/// numbers.
pub fn hosts(
    ledger: &Ledger,
    present: &LiteMap<u16, Present>,
    names: &dyn Names,
    wanted: &HostQuery,
    now_ms: u64,
) -> HostPage {
    let chosen = |number: u16| wanted.only.as_ref().is_none_or(|only| only.contains(&number));
    let mut list: Vec<(HostView, Cursor)> = Vec::new();
    for (number, host) in ledger.hosts.iter().filter(|(number, _)| chosen(*number)) {
        let attachment = host.attachment.and_then(|number| ledger.attachments.get(number));
        let view = HostView {
            name: None,
            devices: attachment.map(|attachment| attachment.devices.clone()).unwrap_or_default(),
            present: present.get(&number).copied().unwrap_or_default(),
            quiet_ms: now_ms.saturating_sub(host.active_ms),
            host: host.clone(),
        };
        let cursor = Cursor::new(view.key(wanted.order), number.into());
        list.push((view, cursor));
    }
    let matched = list.len();
    list.retain(|(_, cursor)| wanted.after.is_none_or(|after| *cursor < after));
    list.sort_by(|(_, one), (_, other)| other.cmp(one));
    let limit = wanted.limit.clamp(1, PAGE_MAX);
    let more = list.len() > limit;
    list.truncate(limit);
    for (view, _) in &mut list {
        view.name = names.name(view.host.mac, &view.host.addresses);
    }
    HostPage { hosts: list, matched, more }
}

/// Which clients to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostQuery {
    /// Only those of these numbers.
    pub only: Option<Vec<u16>>,
    /// What they are sorted by, the greatest first.
    pub order: Order,
    /// How many at most; 1 to [`PAGE_MAX`].
    pub limit: usize,
    /// The page begins behind this; `None` for the first.
    pub after: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::hosts::tests::client;
    use std::net::IpAddr;

    struct Nameless;

    impl Names for Nameless {
        fn name(&self, _: Option<Mac>, _: &[IpAddr]) -> Option<String> {
            None
        }
    }

    #[test]
    fn clients_are_sorted_by_age_however_old_they_are() {
        const DAY_MS: u64 = 86_400_000;
        let mut ledger = Ledger::default();
        let seen = [(1, 60), (2, 0), (3, 55), (4, 30)];
        for (mac, day) in seen {
            ledger.hosts.join(&client(&format!("192.168.1.{mac}"), mac), None, day * DAY_MS);
        }
        let wanted = HostQuery { only: None, order: Order::Age, limit: 9, after: None };
        let page = hosts(&ledger, &LiteMap::new(), &Nameless, &wanted, 61 * DAY_MS);
        let first_days: Vec<u64> =
            page.hosts.iter().map(|(view, _)| view.host.first_ms / DAY_MS).collect();
        assert_eq!(first_days, [0, 30, 55, 60]);
        assert_eq!(page.hosts[0].0.quiet_ms, 61 * DAY_MS);
    }
}
