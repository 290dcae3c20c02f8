// SPDX-License-Identifier: GPL-2.0-or-later
//! Answers about flows, devices and clients, once the flows are known.

use std::time::Instant;

use log::debug;
use ubus::BlobMsgTable;

use super::flow_poll::FlowPoll;
use super::knowledge::Knowledge;
use super::lease_files::LeaseFiles;
use super::switches::Switches;
use crate::core::control::Control;
use crate::core::explain::{is_in_name_only, passed, Wanted};
use crate::core::flow_reason::FlowReason;
use crate::core::flows::names::hosts_called;
use crate::core::flows::packed::Packed;
use crate::core::flows::select::{page, Order};
use crate::core::flows::selection::{table_of, Selection};
use crate::core::flows::sums::{by_device, by_host};
use crate::core::flows::view::{self, FlowPage, FlowView, HostQuery};
use crate::core::flows::Flow;
use crate::core::status::{FlowCounts, LeftOut};
use crate::netlink::xfrm::{self, Policy};
use crate::ubus::devices::DevicesQuery;
use crate::ubus::explain::Evidence;
use crate::ubus::flows::FlowQuery;
use crate::ubus::hosts::HostsQuery;
use crate::ubus::{devices, explain, flows, hosts, StatusCode};

/// IPsec policies that are looked at: a concentrator with more has other problems than one flow.
const POLICIES_MAX: usize = 1024;

/// What an answer is made from.
#[derive(Debug)]
pub struct Answers<'a> {
    control: &'a Control,
    flows: &'a FlowPoll,
    names: &'a LeaseFiles,
    switches: &'a Switches,
    now: Instant,
}

type Answer = Result<BlobMsgTable, StatusCode>;

impl<'a> Answers<'a> {
    /// Answers as of `now`.
    pub fn new(
        control: &'a Control,
        flows: &'a FlowPoll,
        names: &'a LeaseFiles,
        switches: &'a Switches,
        now: Instant,
    ) -> Answers<'a> {
        Answers { control, flows, names, switches, now }
    }

    fn all(&self) -> impl Iterator<Item = Packed<'_>> {
        self.flows.table().packed(self.flows.now_ms(self.now))
    }

    /// `policies` are empty for answers that give no reasons.
    fn knowledge<'k>(&'k self, policies: &'k [Policy]) -> Knowledge<'k> {
        let ledger = self.flows.table().ledger();
        let (control, switches) = (self.control, Some(self.switches));
        Knowledge { control, ledger, policies, switches, now: self.now }
    }

    /// Shows the flows that somebody means, one at a time: all of them at once would be more memory
    /// than the table has.
    pub fn each_selected(&self, selection: &Selection, mut take: impl FnMut(&Flow)) {
        let (ledger, facts) = (self.flows.table().ledger(), self.knowledge(&[]));
        let selected = selection.of(self.all(), ledger, self.names, &facts);
        selected.map(Flow::from).for_each(|flow| take(&flow));
    }

    /// Conntrack's ids of the connections that may be kept on the classic path, sorted.
    pub fn kept_away(&self) -> Vec<u32> {
        self.control.kept_away()
    }

    /// The table whose flowtable has a flow.
    pub fn table_of(&self, flow: &Flow) -> Option<String> {
        table_of(flow, &self.knowledge(&[]))
    }

    /// Names of our tables whose flowtables have the hardware flag.
    pub fn tables_in_hardware(&self) -> Vec<String> {
        self.control.tables_in_hardware()
    }

    /// Number of flows by state.
    pub fn counts(&self) -> FlowCounts {
        self.flows.table().counts()
    }

    /// The answer of `flows`.
    pub fn flows(&self, query: &FlowQuery) -> Answer {
        let policies = policies();
        let (ledger, facts) = (self.flows.table().ledger(), self.knowledge(&policies));
        let selected = query.selection.of(self.all(), ledger, self.names, &facts);
        let page = page(selected, query.order, query.limit, query.after);
        Ok(flows::encode(&FlowPage::of(page, ledger, self.names, &facts), query.order))
    }

    /// The answer of `hosts`.
    pub fn hosts(&self, query: &HostsQuery) -> Answer {
        let ledger = self.flows.table().ledger();
        let only = query.host.as_ref().map(|host| hosts_called(host, ledger, self.names));
        let wanted = HostQuery { only, order: query.order, limit: query.limit, after: query.after };
        let now_ms = self.flows.now_ms(self.now);
        let page =
            view::hosts(ledger, &by_host(self.all(), &ledger.hosts), self.names, &wanted, now_ms);
        Ok(hosts::encode(&page, self.control.counted(), now_ms))
    }

    /// The flow that somebody asks about, the fastest of those that match, and how many do.
    pub fn find(&self, wanted: &Wanted) -> Option<(Flow, usize)> {
        let matching = self.all().filter(|flow| wanted.matches(flow));
        let mut page = page(matching, Order::Rate, 1, None);
        page.flows.pop().map(|flow| (flow.into(), page.matched))
    }

    /// The answer of `explain`.
    pub fn explain(&self, flow: Flow, matched: usize, evidence: Option<Evidence>) -> Answer {
        let policies = policies();
        let facts = self.knowledge(&policies);
        let steps = passed(&flow, &facts);
        let mut view = FlowView::of(flow, self.flows.table().ledger(), self.names, &facts);
        // What was seen of this very flow says more than what was seen of all.
        let seen = evidence.and_then(|seen| is_in_name_only(seen.leaked, seen.carried?));
        match seen {
            Some(true) => view.reason = Some((FlowReason::InNameOnly, String::new())),
            Some(false) => view.reason = None,
            None => (),
        }
        Ok(explain::encode(&view, matched, &steps, evidence))
    }
}

/// The kernel's IPsec policies, read anew; those that cannot be read explain nothing.
fn policies() -> Vec<Policy> {
    xfrm::policies(POLICIES_MAX).unwrap_or_else(|error| {
        debug!("{error}");
        Vec::new()
    })
}

/// What found no room, with what only the flows and the names know.
pub fn left_out(known: LeftOut, flows: Option<&FlowPoll>, names: &LeaseFiles) -> LeftOut {
    let known = LeftOut { names: names.left_out(), ..known };
    let Some(flows) = flows else { return known };
    let ledger = flows.table().ledger();
    let (neighbours, stations) = ledger.topology.left_out();
    let (hosts, chains) = (ledger.hosts.left_out, ledger.attachments.left_out);
    LeftOut { neighbours, stations, hosts, chains, ..known }
}

/// The answer of `devices`; without flows it says nothing about what they carry.
pub fn devices(
    control: &Control,
    flows: Option<&FlowPoll>,
    query: &DevicesQuery,
    now: Instant,
) -> Answer {
    let sums = flows.map(|flows| {
        let table = flows.table();
        by_device(table.packed(flows.now_ms(now)), table.ledger())
    });
    let sums = sums.as_ref().map(|sums| (sums, control.counted()));
    devices::encode(&control.device_list(), sums, query)
}
