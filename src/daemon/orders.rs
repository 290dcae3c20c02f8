// SPDX-License-Identifier: GPL-2.0-or-later
//! Callers whose answer waits for a transaction.

use std::time::Duration;

use ubus::BlobMsgTable;

use super::answers::Answers;
use crate::core::flows::selection::Selection;
use crate::core::flows::FlowState;
use crate::core::orders::{Bypass, Done, Order, OrderError, NOBODY};
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
}

impl Orders {
    /// The number of a new order; it is answered by [`Orders::end`].
    pub fn enter(&mut self, asked: Asked, reply_to: ReplyTo) -> u32 {
        self.last = self.last.checked_add(1).unwrap_or(NOBODY + 1);
        self.waiting.push((self.last, asked, reply_to));
        self.last
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
