// SPDX-License-Identifier: GPL-2.0-or-later
//! What flows had carried when the kernel began to watch them for packets on the classic path.

use litemap::LiteMap;

use crate::core::flows::{Flow, FlowState};
use crate::ubus::explain::Evidence;

/// The packets that leaked of the connection of an id while the kernel watches it; `None` when it
/// does not.
pub type Watched<'a> = dyn Fn(u32) -> Option<u64> + 'a;

/// Packets at the beginning, by conntrack's id; as many as the kernel watches.
#[derive(Debug, Default)]
pub struct Watches {
    begun: LiteMap<u32, Start>,
    /// Flows that are about to be watched, with what had been seen of them.
    wanted: Vec<(Flow, Option<Evidence>)>,
}

/// Where both counts stood.
#[derive(Debug, Clone, Copy)]
struct Start {
    leaked: u64,
    carried: Option<u64>,
}

impl Watches {
    /// What has been seen of an offloaded flow; `None` when it is not watched yet.
    pub fn evidence(&self, flow: &Flow, watched: &Watched<'_>) -> Option<Evidence> {
        if flow.state == FlowState::Classic {
            return None;
        }
        let start = self.begun.get(&flow.id)?;
        let leaked = watched(flow.id)?.checked_sub(start.leaked)?;
        let carried = packets(flow).zip(start.carried).map(|(now, then)| now.saturating_sub(then));
        Some(Evidence { leaked, carried })
    }

    /// A flow is to be watched from [`Self::begin_wanted`] on.
    pub fn want(&mut self, flow: Flow, before: Option<Evidence>) {
        self.wanted.push((flow, before));
    }

    /// Those that were to be watched are, if it came about.
    pub fn begin_wanted(&mut self, watched: &Watched<'_>) {
        for (flow, before) in std::mem::take(&mut self.wanted) {
            self.begin(&flow, before, watched);
        }
    }

    /// A flow is watched from now on, unless the watch that gave `before` goes on.
    pub fn begin(&mut self, flow: &Flow, before: Option<Evidence>, watched: &Watched<'_>) {
        self.begun.retain(|id, _| watched(*id).is_some());
        let after = self.evidence(flow, watched);
        // The kernel's count begins at nothing when a watch was over.
        let goes_on = before.zip(after).is_some_and(|(then, now)| now.leaked >= then.leaked);
        if !goes_on {
            let leaked = watched(flow.id).unwrap_or_default();
            self.begun.insert(flow.id, Start { leaked, carried: packets(flow) });
        }
    }
}

fn packets(flow: &Flow) -> Option<u64> {
    Some(flow.sent?.packets.saturating_add(flow.received?.packets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::table::tests::{entry, table_of};
    use crate::netlink::conntrack::entry::Counters;

    fn flow(packets: u64) -> Flow {
        let counters = |packets| Some(Counters { packets, bytes: 100 * packets });
        let flow = table_of(&[entry(1, 0)]).flows(0).next().unwrap();
        let (sent, received) = (counters(packets), counters(0));
        Flow { state: FlowState::Software, sent, received, ..flow }
    }

    /// Somebody asks; the kernel's count before and after the order that follows.
    fn ask(
        watches: &mut Watches,
        packets: u64,
        before: Option<u64>,
        after: Option<u64>,
    ) -> Option<(u64, Option<u64>)> {
        let flow = flow(packets);
        let evidence = watches.evidence(&flow, &|_| before);
        watches.want(flow, evidence);
        watches.begin_wanted(&|_| after);
        evidence.map(|seen| (seen.leaked, seen.carried))
    }

    #[test]
    fn counts_of_a_watch_that_goes_on_are_of_the_same_time() {
        let watches = &mut Watches::default();
        assert_eq!(ask(watches, 1000, None, Some(0)), None);
        assert_eq!(ask(watches, 1100, Some(5), Some(5)), Some((5, Some(100))));
        assert_eq!(ask(watches, 1200, Some(7), Some(7)), Some((7, Some(200))));
    }

    #[test]
    fn a_watch_that_was_over_begins_anew() {
        let watches = &mut Watches::default();
        ask(watches, 1000, None, Some(0));
        assert_eq!(ask(watches, 11_000, None, Some(0)), None);
        assert_eq!(ask(watches, 11_500, Some(500), Some(500)), Some((500, Some(500))));
        // Over between the answer and the order.
        assert_eq!(ask(watches, 12_000, Some(600), Some(0)), Some((600, Some(1000))));
        assert_eq!(ask(watches, 12_100, Some(9), Some(9)), Some((9, Some(100))));
    }

    #[test]
    fn a_watch_of_the_daemon_before_begins_where_its_count_stands() {
        let watches = &mut Watches::default();
        assert_eq!(ask(watches, 1000, Some(500), Some(500)), None);
        assert_eq!(ask(watches, 1100, Some(503), Some(503)), Some((3, Some(100))));
    }

    #[test]
    fn a_watch_that_did_not_come_about_is_no_evidence() {
        let watches = &mut Watches::default();
        assert_eq!(ask(watches, 1000, None, None), None);
        assert_eq!(ask(watches, 2000, None, Some(0)), None);
        assert_eq!(ask(watches, 2100, Some(1), Some(1)), Some((1, Some(100))));
    }
}
