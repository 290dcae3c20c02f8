// SPDX-License-Identifier: GPL-2.0-or-later
//! Every flow that conntrack knows: state, counters, rates.
//!
//! The kernel cannot list a flowtable, so flows come from lists of conntrack, a poll at a time.
//! `table` keeps them in bounded memory, with the help of `index`, `place`, `record` and `aside`;
//! they are looked through `packed`.
//! What they carried is in the `ledger`: by state (`account`), by device (`attachments`) and by
//! client (`hosts`). `select`, `sums` and `pairs` answer questions about them, `view` gives them
//! names; `unshown` finds those that conntrack shows wrongly, `switched` are those in switches, and
//! `candidates` those that could be.

pub mod account;
mod aside;
pub mod attachments;
pub mod candidates;
pub mod hosts;
mod index;
mod keyed_hash;
pub mod ledger;
pub mod names;
pub mod packed;
pub mod pairs;
pub mod place;
mod record;
pub mod select;
pub mod selection;
pub mod sums;
pub mod switched;
pub mod table;
mod unshown;
pub mod view;

use crate::netlink::conntrack::entry::{Counters, Entry};
use crate::netlink::conntrack::tcp_state::TcpState;
use crate::netlink::conntrack::tuple::Tuple;
use place::Place;

/// Which path a flow's packets take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowState {
    /// The ordinary forwarding path.
    Classic,
    /// The kernel's flowtable.
    Software,
    /// A device's hardware, one direction at least.
    Hardware,
}

impl FlowState {
    /// All states, in the order of their discriminants.
    pub const ALL: [FlowState; 3] = [FlowState::Classic, FlowState::Software, FlowState::Hardware];

    /// The name used on the bus.
    pub fn name(self) -> &'static str {
        match self {
            FlowState::Classic => "classic",
            FlowState::Software => "software",
            FlowState::Hardware => "hardware",
        }
    }

    /// The state of this name, as on the bus.
    pub fn named(name: &str) -> Option<FlowState> {
        FlowState::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state that an entry's bits tell.
    pub fn of(entry: &Entry) -> FlowState {
        if entry.is_hw_offloaded() {
            FlowState::Hardware
        } else if entry.is_offloaded() {
            FlowState::Software
        } else {
            FlowState::Classic
        }
    }
}

/// One flow, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Direction of the first packet.
    pub orig: Tuple,
    /// Direction of the answers, addresses translated back.
    pub reply: Tuple,
    /// Conntrack zone.
    pub zone: u16,
    /// The connection's mark.
    pub mark: u32,
    /// Conntrack's number for it.
    pub id: u32,
    /// Which path its packets take.
    pub state: FlowState,
    /// That path is a switch that the daemon fills; the kernel only has it in software.
    pub switched: bool,
    /// It is translated (either direction).
    pub nat: bool,
    /// The connection has carried packets both ways for good.
    pub assured: bool,
    /// Packets have been seen both ways.
    pub replied: bool,
    /// A helper follows it, or its sequence numbers are adjusted: never offloaded.
    pub helped: bool,
    /// State of a TCP connection on the classic path.
    pub tcp_state: Option<TcpState>,
    /// The TCP connection is being closed; on kernels that hide that (Linux 6.14), an offloaded one
    /// that has been silent for a while is taken for closed.
    pub closing: bool,
    /// What the original direction has carried; `None` when it is not accounted.
    pub sent: Option<Counters>,
    /// What the reply direction has carried.
    pub received: Option<Counters>,
    /// Bytes a second of both directions between the last two polls; `None` when not accounted, or
    /// seen only once.
    pub rate: Option<(u32, u32)>,
    /// When the daemon first saw it, in milliseconds since that started. What is older than 45 days
    /// counts as one day less, and so do the times below.
    pub first_ms: u64,
    /// Milliseconds since then.
    pub age_ms: u32,
    /// Milliseconds since it took its present path.
    pub state_age_ms: u32,
    /// Milliseconds since it was seen to have carried something; since the daemon first saw it
    /// when it is not accounted.
    pub quiet_ms: u32,
    /// Where its ends are attached.
    pub place: Place,
}

impl Flow {
    /// The path that the kernel has it on, as far as it is known.
    pub fn in_kernel(&self) -> FlowState {
        if self.switched {
            FlowState::Software
        } else {
            self.state
        }
    }

    /// Bytes of both directions; `None` when they are not accounted.
    pub fn bytes(&self) -> Option<u64> {
        Some(self.sent?.bytes.saturating_add(self.received?.bytes))
    }
}
