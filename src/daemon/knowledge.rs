// SPDX-License-Identifier: GPL-2.0-or-later
//! What is known about a flow besides itself, brought together from where it is.

use std::time::Instant;

use super::switches::Switches;
use crate::core::control::Control;
use crate::core::evict::{Tables, Whereabouts};
use crate::core::explain::Facts;
use crate::core::flow_reason::FlowReason;
use crate::core::flows::ledger::Ledger;
use crate::core::flows::place::End;
use crate::core::flows::{Flow, FlowState};
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
    /// Switches; `None` where nobody asks about them.
    pub switches: Option<&'a Switches>,
    /// The present instant.
    pub now: Instant,
}

impl Knowledge<'_> {
    /// The devices that routing sees: those that packets of the end that opened the connection come
    /// in and go out by.
    pub fn devices(&self, flow: &Flow) -> [Option<&str>; 2] {
        let device = |end: End| {
            let attachment = self.ledger.attachments.get(end.attachment()?)?;
            attachment.devices.first().map(String::as_str)
        };
        [device(flow.place.opener()), device(flow.place.answerer())]
    }

    /// All devices that packets of a flow pass, by name.
    pub fn chains(&self, flow: &Flow) -> impl Iterator<Item = &String> {
        let ends = [flow.place.opener(), flow.place.answerer()];
        let attachments =
            ends.into_iter().filter_map(|end| self.ledger.attachments.get(end.attachment()?));
        attachments.flat_map(|attachment| &attachment.devices)
    }

    /// No rule has sent an offloaded flow anywhere, for all that is known.
    pub fn goes_with_the_rest(&self, flow: &Flow) -> bool {
        let [input, output] = self.devices(flow);
        self.control.goes_with_the_rest(flow, input, output)
    }
}

impl Whereabouts for Knowledge<'_> {
    fn tables(&self) -> Vec<String> {
        self.control.tables()
    }

    fn in_hardware(&self) -> Vec<String> {
        self.control.tables_in_hardware()
    }

    fn table(&self, flow: &Flow) -> Option<String> {
        Facts::table(self, flow)
    }

    fn is_only_in(&self, flow: &Flow, tables: &Tables) -> bool {
        match self.devices(flow) {
            [Some(input), Some(output)] => self.control.is_only_in(tables, input, output),
            _ => false,
        }
    }
}

impl Facts for Knowledge<'_> {
    fn nothing_offloaded(&self) -> Option<String> {
        self.control.nothing_offloaded()
    }

    fn not_covered(&self, attachment: u16) -> Option<String> {
        self.control.not_covered(&self.ledger.attachments.get(attachment)?.devices)
    }

    fn table(&self, flow: &Flow) -> Option<String> {
        let [input, output] = self.devices(flow);
        self.control.table_of(flow, input?, output?).map(str::to_owned)
    }

    fn ruled_out(&self, flow: &Flow) -> Option<(FlowReason, String)> {
        let [input, output] = self.devices(flow);
        self.control.ruled_out(flow, input, output)
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

    fn switch(&self, id: u32) -> Option<(String, String)> {
        let (name, words) = self.switches?.about(id)?;
        Some((name.to_owned(), words))
    }
}
