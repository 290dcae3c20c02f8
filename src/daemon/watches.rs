// SPDX-License-Identifier: GPL-2.0-or-later
//! What flows had carried when the kernel began to watch them for packets on the classic path.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::core::control::Control;
use crate::core::flows::{Flow, FlowState};
use crate::ubus::explain::Evidence;

/// Packets at the beginning, by conntrack's id; as many as the kernel watches.
#[derive(Debug, Default)]
pub struct Watches {
    begun: BTreeMap<u32, Option<u64>>,
}

impl Watches {
    /// What has been seen of an offloaded flow; `None` when it is not watched yet.
    pub fn evidence(&self, flow: &Flow, control: &Control, now: Instant) -> Option<Evidence> {
        if flow.state == FlowState::Classic {
            return None;
        }
        let begun = self.begun.get(&flow.id)?;
        let leaked = control.watched(flow.id, now)?;
        let carried = packets(flow).zip(*begun).map(|(now, then)| now.saturating_sub(then));
        Some(Evidence { leaked, carried })
    }

    /// A flow is watched from now on, unless it was already.
    pub fn begin(&mut self, flow: &Flow, control: &Control, now: Instant) {
        self.begun.retain(|id, _| control.watched(*id, now).is_some());
        self.begun.entry(flow.id).or_insert(packets(flow));
    }
}

fn packets(flow: &Flow) -> Option<u64> {
    Some(flow.sent?.packets.saturating_add(flow.received?.packets))
}
