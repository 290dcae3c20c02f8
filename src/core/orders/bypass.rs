// SPDX-License-Identifier: GPL-2.0-or-later
//! An order about the flows that a filter means, of which there may be as many as the router has.

use std::time::Duration;

use super::{Order, BYPASS_MAX};
use crate::core::evict::Tables;
use crate::core::flows::place::End;
use crate::core::flows::{Flow, FlowState};
use crate::netlink::conntrack::tuple::{IPPROTO_GRE, IPPROTO_TCP, IPPROTO_UDP};

/// Flows that are to stay on the classic path, shown one at a time. What is kept of them is no more
/// than can be carried out, however many there are.
#[derive(Debug)]
pub struct Bypass<'a> {
    duration: Duration,
    hardware: &'a [String],
    found: Tables,
    ids: Vec<u32>,
    unsettled: Vec<u32>,
}

impl<'a> Bypass<'a> {
    /// None yet; `hardware` are the tables whose flowtables have the hardware flag.
    pub fn new(duration: Duration, hardware: &'a [String]) -> Bypass<'a> {
        Bypass { duration, hardware, found: Tables::None, ids: Vec::new(), unsettled: Vec::new() }
    }

    /// One more; `table` tells which table has it.
    pub fn add(&mut self, flow: &Flow, table: impl FnOnce() -> Option<String>) {
        self.found.add(Tables::that_may_have(flow, self.hardware, table));
        // With one more than the bound the order is refused, whatever comes. Those that are only
        // handed back are no elements.
        if self.duration.is_zero() || self.ids.len() > BYPASS_MAX {
            return;
        }
        self.ids.push(flow.id);
        if is_unsettled(flow) {
            self.unsettled.push(flow.id);
        }
    }

    /// The order for all of them.
    pub fn order(self) -> Order {
        let anywhere = self.found == Tables::All;
        let tables = match self.found {
            Tables::Named(names) => names,
            Tables::None | Tables::All => Vec::new(),
        };
        let Bypass { ids, duration, unsettled, .. } = self;
        Order::Bypass { ids, duration, tables, anywhere, unsettled }
    }
}

/// True when a flow is on the classic path and nothing lasting keeps it there.
fn is_unsettled(flow: &Flow) -> bool {
    let ends = [flow.place.opener(), flow.place.answerer()];
    flow.state == FlowState::Classic
        && matches!(flow.orig.protocol, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_GRE)
        && !flow.helped
        && !ends.contains(&End::Router)
}

#[cfg(test)]
mod tests {
    use super::super::{Done, OrderError};
    use super::*;
    use crate::core::control::tests::World;
    use crate::core::control::Event;
    use crate::core::flows::table::tests::{entry, table_of};
    use crate::core::settings::Mode;
    use crate::netlink::conntrack::entry::Entry;

    const MINUTE: Duration = Duration::from_secs(60);

    impl Order {
        /// An order for all of these at once.
        pub(in crate::core) fn bypass(
            flows: &[Flow],
            duration: Duration,
            hardware: &[String],
            table_of: &dyn Fn(&Flow) -> Option<String>,
        ) -> Order {
            let mut bypass = Bypass::new(duration, hardware);
            flows.iter().for_each(|flow| bypass.add(flow, || table_of(flow)));
            bypass.order()
        }
    }

    /// However many flows a filter is about, an order holds no more of them than can be carried out.
    #[test]
    fn an_order_for_very_many_flows_stays_small_and_is_refused() {
        let entries: Vec<Entry> = (1..=3 * BYPASS_MAX as u32).map(|id| entry(id, 100)).collect();
        let flows: Vec<Flow> = table_of(&entries).flows(0).collect();
        assert_eq!(flows.len(), 3 * BYPASS_MAX);
        let order =
            |count: usize, duration| Order::bypass(&flows[..count], duration, &[], &|_| None);
        let kept = |order: &Order| match order {
            Order::Bypass { ids, unsettled, .. } => (ids.len(), unsettled.len()),
            other => panic!("{other:?}"),
        };
        let all = order(flows.len(), MINUTE);
        assert_eq!(kept(&all), (BYPASS_MAX + 1, BYPASS_MAX + 1));
        assert_eq!(kept(&order(flows.len(), Duration::ZERO)), (0, 0), "only handed back");
        let mut world = World::started(Mode::Software);
        world.event(Event::Orders(vec![(1, all)]));
        assert_eq!(world.done.pop(), Some((1, Err(OrderError::TooMany))));
        world.event(Event::Orders(vec![(2, order(BYPASS_MAX, MINUTE))]));
        let done = Done { bypassed: BYPASS_MAX, released: 0, handed_back: true };
        assert_eq!(world.done.pop(), Some((2, Ok(done))));
    }
}
