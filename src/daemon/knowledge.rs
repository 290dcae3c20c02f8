// SPDX-License-Identifier: GPL-2.0-or-later
//! What is known about a flow besides itself, brought together from where it is.

use std::time::Instant;

use crate::core::control::Control;
use crate::core::explain::Facts;
use crate::core::flows::ledger::Ledger;
use crate::core::flows::FlowState;
use crate::netlink::xfrm::Policy;

/// The parts.
#[derive(Debug)]
pub struct Knowledge<'a> {
    /// Flowtables and what they cover.
    pub control: &'a Control,
    /// Chains of devices.
    pub ledger: &'a Ledger,
    /// IPsec.
    pub policies: &'a [Policy],
    /// The present instant.
    pub now: Instant,
}

impl Facts for Knowledge<'_> {
    fn nothing_offloaded(&self) -> Option<String> {
        self.control.nothing_offloaded()
    }

    fn not_covered(&self, attachment: u16) -> Option<String> {
        self.control.not_covered(&self.ledger.attachments.get(attachment)?.devices)
    }

    fn table(&self, input: &str, output: &str) -> Option<String> {
        self.control.table_between(input, output).map(str::to_owned)
    }

    fn bypassed_s(&self, id: u32) -> Option<u32> {
        // Rounded up: 0 would look like the end.
        let seconds = self.control.bypassed(id, self.now)?.as_millis().div_ceil(1000);
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    fn policies(&self) -> &[Policy] {
        self.policies
    }

    fn leaking(&self, state: FlowState) -> Option<String> {
        self.control.leaking(state)
    }
}
