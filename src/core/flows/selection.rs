// SPDX-License-Identifier: GPL-2.0-or-later
//! Which flows somebody means, by names that are looked up when the flows are known.

use super::ledger::Ledger;
use super::names::{hosts_called, Names};
use super::packed::Packed;
use super::select::Filter;
use super::{Flow, FlowState};
use crate::core::explain::Facts;

/// All conditions that are there must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// What needs no look-up.
    pub filter: Filter,
    /// Name of a device that packets come in or go out by, at any level.
    pub device: Option<String>,
    /// MAC address, IP address or hostname of a client.
    pub host: Option<String>,
    /// Name of the table whose flowtable has it.
    pub partition: Option<String>,
}

impl Selection {
    /// The flows that are meant, of all.
    pub fn of<'a>(
        &'a self,
        flows: impl Iterator<Item = Packed<'a>> + 'a,
        ledger: &'a Ledger,
        names: &dyn Names,
        facts: &'a dyn Facts,
    ) -> impl Iterator<Item = Packed<'a>> + 'a {
        let filter = self.resolve(ledger, names);
        flows.filter(move |flow| {
            let partition = || table_of(&Flow::from(*flow), facts);
            filter.matches(flow)
                && self.partition.as_ref().is_none_or(|wanted| partition().as_ref() == Some(wanted))
        })
    }

    fn resolve(&self, ledger: &Ledger, names: &dyn Names) -> Filter {
        let mut filter = self.filter.clone();
        if let Some(device) = &self.device {
            let attachments = ledger.attachments.iter();
            let with = attachments.filter(|(_, attachment)| attachment.devices.contains(device));
            filter.attachments = Some(with.map(|(number, _)| number).collect());
        }
        if let Some(host) = &self.host {
            let numbers = hosts_called(host, ledger, names);
            // A flow between two clients is accounted to the one that opened it.
            let of = |number: &u16| ledger.hosts.get(*number).map(|host| host.addresses.clone());
            let addresses = numbers.iter().filter_map(of).flatten().collect();
            filter.hosts = Some((numbers, addresses));
        }
        filter
    }
}

/// The table whose flowtable has an offloaded flow.
pub fn table_of(flow: &Flow, facts: &dyn Facts) -> Option<String> {
    if flow.state == FlowState::Classic {
        return None;
    }
    facts.table(flow)
}
