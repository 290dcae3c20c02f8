// SPDX-License-Identifier: GPL-2.0-or-later
//! Callers whose answer waits for a transaction.

use std::time::{Duration, Instant};

use ubus::BlobMsgTable;

use super::answers::Answers;
use crate::core::flows::selection::Selection;
use crate::core::flows::FlowState;
use crate::core::orders::{Bypass, Done, Order, OrderError, NOBODY};
use crate::ubus::evict::{Evicted, Eviction};
use crate::ubus::{evict as evict_reply, flush, release as release_reply, ReplyTo, StatusCode};

/// So long at most orders wait for those of callers behind them: each transaction takes a reading of
/// nf_tables before it and one after, and carries out all that wait.
const GATHERED_WITHIN: Duration = Duration::from_millis(50);

/// What a caller wants done to flows.
#[derive(Debug)]
pub enum Wish {
    /// All are handed back to the classic path.
    Flush,
    /// Some are handed back and stay there.
    Evict(Eviction),
    /// Those that stay there may leave it.
    Release(Selection),
}

/// What is needed for the answer besides the outcome.
#[derive(Debug)]
pub enum Asked {
    /// All flows are to be handed back; so many were offloaded.
    Flush {
        /// Flows in software or hardware.
        offloaded: u32,
    },
    /// Single flows are to be handed back.
    Evict {
        /// How many the filter is about.
        matched: usize,
        /// How many of them were offloaded.
        offloaded: usize,
    },
    /// Flows may leave the classic path.
    Release,
}

impl Wish {
    /// What it means for the flows that there are; `None` when that needs a list and there is none.
    pub fn order(&self, about: Option<&Answers<'_>>) -> Option<(Asked, Order)> {
        Some(match self {
            Wish::Flush => {
                let counts = about.map(Answers::counts).unwrap_or_default();
                (Asked::Flush { offloaded: counts.software + counts.hardware }, Order::Flush)
            }
            Wish::Evict(Eviction { selection, duration }) => evict(about?, selection, *duration),
            Wish::Release(selection) => (Asked::Release, release(about?, selection)),
        })
    }
}

fn evict(about: &Answers<'_>, selection: &Selection, duration: Duration) -> (Asked, Order) {
    let hardware = about.tables_in_hardware();
    let (mut matched, mut offloaded) = (0, 0);
    let mut bypass = Bypass::new(duration, &hardware);
    about.each_selected(selection, |flow| {
        matched += 1;
        offloaded += usize::from(flow.state != FlowState::Classic);
        bypass.add(flow, || about.table_of(flow));
    });
    (Asked::Evict { matched, offloaded }, bypass.order())
}

/// Without any condition it is about all that are kept, whether their connection lives or not.
fn release(about: &Answers<'_>, selection: &Selection) -> Order {
    if *selection == Selection::default() {
        return Order::Release { ids: None };
    }
    let kept = about.kept_away();
    let mut ids = Vec::new();
    about.each_selected(selection, |flow| {
        if kept.binary_search(&flow.id).is_ok() {
            ids.push(flow.id);
        }
    });
    Order::Release { ids: Some(ids) }
}

/// Callers by the number of their order. The bus bounds how many calls wait.
#[derive(Debug, Default)]
pub struct Orders {
    last: u32,
    waiting: Vec<(u32, Asked, ReplyTo)>,
    /// Orders that the control loop has not been given yet.
    placed: Vec<(u32, Order)>,
    /// When the first of them was placed.
    since: Option<Instant>,
}

impl Orders {
    /// A caller wants something done; the answer comes from [`Orders::end`].
    pub fn place(&mut self, asked: Asked, reply_to: ReplyTo, order: Order, now: Instant) {
        self.last = self.last.checked_add(1).unwrap_or(NOBODY + 1);
        self.waiting.push((self.last, asked, reply_to));
        self.add(self.last, order, now);
    }

    /// The connection of an id is to be watched, for which nobody waits.
    pub fn watch(&mut self, id: u32, now: Instant) {
        self.add(NOBODY, Order::Watch { id }, now);
    }

    fn add(&mut self, number: u32, order: Order, now: Instant) {
        self.since.get_or_insert(now);
        self.placed.push((number, order));
    }

    /// The orders to be carried out with one transaction; none while `more` callers, who may order
    /// something as well, are answered first.
    pub fn take_placed(&mut self, more: bool, now: Instant) -> Vec<(u32, Order)> {
        let old = self.since.is_some_and(|since| now >= since + GATHERED_WITHIN);
        if more && !old {
            return Vec::new();
        }
        self.since = None;
        std::mem::take(&mut self.placed)
    }

    /// The answer to whoever waits for this order.
    pub fn end(
        &mut self,
        number: u32,
        outcome: Result<Done, OrderError>,
    ) -> Option<(ReplyTo, Result<BlobMsgTable, StatusCode>)> {
        let place = self.waiting.iter().position(|(waiting, ..)| *waiting == number)?;
        let (_, asked, reply_to) = self.waiting.swap_remove(place);
        let answer = match asked {
            Asked::Flush { offloaded } => {
                let flushed = |done: Done| if done.handed_back { offloaded } else { 0 };
                flush::encode(outcome.ok().map(flushed))
            }
            Asked::Evict { matched, offloaded } => evict_reply::encode(outcome.map(|done| {
                let evicted = if done.handed_back { offloaded } else { 0 };
                Evicted { matched, evicted, bypassed: done.bypassed }
            })),
            Asked::Release => release_reply::encode(outcome.map(|done| done.released)),
        };
        Some((reply_to, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_callers_who_come_together_go_together() {
        let (mut orders, now) = (Orders::default(), Instant::now());
        let watch = |id| (NOBODY, Order::Watch { id });
        orders.watch(1, now);
        assert_eq!(orders.take_placed(true, now), []);
        orders.watch(2, now + GATHERED_WITHIN / 2);
        assert_eq!(orders.take_placed(false, now), [watch(1), watch(2)]);
        assert_eq!(orders.take_placed(false, now), []);
        // However many callers there are.
        orders.watch(3, now);
        assert_eq!(orders.take_placed(true, now + GATHERED_WITHIN), [watch(3)]);
        assert_eq!(orders.take_placed(true, now + GATHERED_WITHIN), []);
    }
}
