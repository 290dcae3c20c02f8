// SPDX-License-Identifier: GPL-2.0-or-later
//! What a device or a client carries, by state: a part of several replies.
//!
//! For each of `classic`, `software` and `hardware` a table of the int32 `flows`, and unless it is
//! not counted the int64 `rate_sent` and `rate_received` (bytes a second at present),
//! `packets_sent`, `bytes_sent`, `packets_received` and `bytes_received` since the daemon started.

use super::reply::Reply;
use crate::core::flows::account::ByState;
use crate::core::flows::sums::Present;
use crate::core::flows::FlowState;

/// What is sent and received, from the point of view of the device or the client.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    /// Flows, and rates: `in_rate` is what comes from it.
    pub present: &'a Present,
    /// What it has sent, by state.
    pub sent: &'a ByState,
    /// What it has received.
    pub received: &'a ByState,
    /// Bytes a second that it sends, by state.
    pub sent_rate: &'a [u64; 3],
    /// Bytes a second that it receives.
    pub received_rate: &'a [u64; 3],
}

impl Carried<'_> {
    /// Adds the tables; `counted` tells for each state whether its bytes are known.
    pub fn encode(&self, reply: &mut Reply, counted: [bool; 3]) {
        let flows = &self.present.flows;
        let flows = [flows.classic, flows.software, flows.hardware];
        let states = FlowState::ALL.into_iter().zip(flows).zip(counted);
        let carried = self.sent.iter().zip(self.received);
        let rates = self.sent_rate.iter().zip(self.received_rate);
        for (((state, flows), counted), ((sent, received), rate)) in states.zip(carried.zip(rates))
        {
            reply.table(state.name(), |r| {
                r.count("flows", flows);
                if counted {
                    r.long_count("rate_sent", *rate.0);
                    r.long_count("rate_received", *rate.1);
                    r.long_count("packets_sent", sent.packets);
                    r.long_count("bytes_sent", sent.bytes);
                    r.long_count("packets_received", received.packets);
                    r.long_count("bytes_received", received.bytes);
                }
            });
        }
    }
}
