// SPDX-License-Identifier: GPL-2.0-or-later
//! Callers whose answer waits for a transaction.

use std::collections::BTreeMap;
use std::time::Instant;

use ubus::BlobMsgTable;

use super::flow_poll::FlowPoll;
use crate::core::flows::select::Filter;
use crate::core::flows::{Flow, FlowState};
use crate::core::orders::{Done, Order, OrderError};
use crate::ubus::evict::{Evicted, Eviction};
use crate::ubus::{evict as evict_reply, flush, release as release_reply, ReplyTo, StatusCode};

/// What a caller wants done to flows.
#[derive(Debug)]
pub enum Wish {
    /// All are handed back to the classic path.
    Flush,
    /// Some are handed back and stay there.
    Evict(Eviction),
    /// Those that stay there may leave it.
    Release(Filter),
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
    pub fn order(&self, flows: Option<&FlowPoll>, now: Instant) -> Option<(Asked, Order)> {
        let all = flows.map(|flows| flows.table().flows(flows.now_ms(now)));
        Some(match self {
            Wish::Flush => {
                let counts = flows.map(|flows| flows.table().counts()).unwrap_or_default();
                (Asked::Flush { offloaded: counts.software + counts.hardware }, Order::Flush)
            }
            Wish::Evict(eviction) => evict(all?, eviction),
            Wish::Release(filter) => (Asked::Release, release(all?, filter)),
        })
    }
}

fn evict(flows: impl Iterator<Item = Flow>, eviction: &Eviction) -> (Asked, Order) {
    let (mut ids, mut software, mut hardware) = (Vec::new(), 0, 0);
    for flow in flows.filter(|flow| eviction.filter.matches(flow)) {
        ids.push(flow.id);
        match flow.state {
            FlowState::Classic => (),
            FlowState::Software => software += 1,
            FlowState::Hardware => hardware += 1,
        }
    }
    let asked = Asked::Evict { matched: ids.len(), offloaded: software + hardware };
    let duration = eviction.duration;
    let order = Order::Bypass { ids, duration, software: software > 0, hardware: hardware > 0 };
    (asked, order)
}

/// Without any condition it is about all that are kept, whether their connection lives or not.
fn release(flows: impl Iterator<Item = Flow>, filter: &Filter) -> Order {
    let matching = flows.filter(|flow| filter.matches(flow)).map(|flow| flow.id);
    let ids = (*filter != Filter::default()).then(|| matching.collect());
    Order::Release { ids }
}

/// Callers by the number of their order. The bus bounds how many calls wait.
#[derive(Debug, Default)]
pub struct Orders {
    last: u32,
    waiting: BTreeMap<u32, (Asked, ReplyTo)>,
}

impl Orders {
    /// The number of a new order; it is answered by [`Orders::end`].
    pub fn enter(&mut self, asked: Asked, reply_to: ReplyTo) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.waiting.insert(self.last, (asked, reply_to));
        self.last
    }

    /// The answer to whoever waits for this order.
    pub fn end(
        &mut self,
        number: u32,
        outcome: Result<Done, OrderError>,
    ) -> Option<(ReplyTo, Result<BlobMsgTable, StatusCode>)> {
        let (asked, reply_to) = self.waiting.remove(&number)?;
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
