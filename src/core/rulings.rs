// SPDX-License-Identifier: GPL-2.0-or-later
//! What the configuration's rules make of a flow, for those who ask about it.

use super::control::Control;
use super::evict::Tables;
use super::flow_reason::FlowReason;
use super::flows::Flow;
use super::policy::{Action, Destination, Subject};

impl Control {
    /// Our table whose flowtable has an offloaded flow between two devices, as routing sees them;
    /// `None` when that depends on what is not known.
    pub fn table_of(&self, flow: &Flow, input: &str, output: &str) -> Option<&str> {
        if let Some(observed) = self.observed() {
            return Some(observed.table.name.as_str());
        }
        let policy = &self.settings.as_ref()?.policy;
        // Its mark may have been another when it was offloaded.
        let subject = Subject { mark: None, ..subject(flow, Some(input), Some(output)) };
        let partition = policy.partition(&subject, &self.places)?;
        let mut classes = self.wanted.iter().filter(|class| class.is_for(partition));
        let table = &classes.find(|class| class.takes(input, output))?.flowtable.table;
        let exists = self.flowtables(true).any(|flowtable| flowtable.table == *table);
        exists.then_some(table.name.as_str())
    }

    /// True when rules have a say where flows go.
    pub fn has_rules(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| !settings.policy.is_empty())
    }

    /// True when an offloaded flow went where it would without rules. Not when they keep it on the
    /// classic path by now, nor when its table depends on what is not known.
    pub fn goes_with_the_rest(
        &self,
        flow: &Flow,
        input: Option<&str>,
        output: Option<&str>,
    ) -> bool {
        let Some(settings) = self.settings.as_ref().filter(|_| self.observed().is_none()) else {
            return true;
        };
        // Its mark may have been another when it was offloaded.
        let subject = Subject { mark: None, ..subject(flow, input, output) };
        let destination = settings.policy.destination(&subject, &self.places);
        destination == Some(Destination::Ordinary)
    }

    /// Names of the tables that have offloaded flows.
    pub fn tables(&self) -> Vec<String> {
        let ours = self.flowtables(true).chain(self.observed());
        ours.map(|flowtable| flowtable.table.name.clone()).collect()
    }

    /// Names of those of them whose flowtables have the hardware flag.
    pub fn tables_in_hardware(&self) -> Vec<String> {
        let ours = self.flowtables(true).chain(self.observed());
        let hardware = ours.filter(|flowtable| flowtable.hardware);
        hardware.map(|flowtable| flowtable.table.name.clone()).collect()
    }

    /// True when an offloaded flow between two devices is in one of these tables, whatever the rules
    /// say about it.
    pub fn is_only_in(&self, tables: &Tables, input: &str, output: &str) -> bool {
        if let Some(observed) = self.observed() {
            return tables.have(&observed.table.name);
        }
        let Some(settings) = &self.settings else { return false };
        let takers = || self.wanted.iter().filter(|class| class.takes(input, output));
        let Some(rest) = takers().find(|class| class.is_for(None)) else { return false };
        let sent = takers().filter(|class| !settings.policy.is_empty() && class.is_partition());
        std::iter::once(rest).chain(sent).all(|class| tables.have(&class.flowtable.table.name))
    }

    /// Why the rules keep a flow on the classic path, and which.
    pub fn ruled_out(
        &self,
        flow: &Flow,
        input: Option<&str>,
        output: Option<&str>,
    ) -> Option<(FlowReason, String)> {
        // What only observes has no say.
        if self.observed().is_some() {
            return None;
        }
        let policy = &self.settings.as_ref()?.policy;
        let verdict = policy.judge(&subject(flow, input, output), &self.places);
        let rule = verdict.rule?;
        let perhaps = if verdict.certain { "" } else { "perhaps " };
        let name = format!("{perhaps}rule '{}'", rule.name);
        let Action::Offload { min_packets, min_bytes, table } = &rule.action else {
            return Some((FlowReason::PolicyBypass, name));
        };
        if let (Some(table), Some(input), Some(output)) = (table, input, output) {
            let mut classes = self.wanted.iter().filter(|class| class.is_for(Some(table)));
            if !classes.any(|class| class.takes(input, output)) {
                let detail = format!("{name}: table {table} has not both devices");
                return Some((FlowReason::DeviceNotCovered, detail));
            }
        }
        let carried = flow.sent.zip(flow.received).map(|(sent, received)| sent.plus(received));
        let thresholds = [
            (*min_packets, carried.map(|carried| carried.packets), "packets"),
            (*min_bytes, carried.map(|carried| carried.bytes), "bytes"),
        ];
        let detail = thresholds.into_iter().find_map(|(least, carried, unit)| match carried {
            None if least > 0 => Some(format!("{name}: nobody counts its {unit}")),
            Some(carried) if carried < least => {
                Some(format!("{name}: {carried} of {least} {unit}"))
            }
            _ => None,
        });
        detail.map(|detail| (FlowReason::BelowThreshold, detail))
    }
}

fn subject<'a>(flow: &Flow, input: Option<&'a str>, output: Option<&'a str>) -> Subject<'a> {
    Subject {
        source: (flow.orig.source(), flow.orig.source_port),
        destination: (flow.reply.source(), flow.reply.source_port),
        protocol: flow.orig.protocol,
        mark: Some(flow.mark),
        // No packet of it is seen.
        dscp: None,
        input,
        output,
    }
}

#[cfg(test)]
#[path = "rulings_tests.rs"]
mod tests;
