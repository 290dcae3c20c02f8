// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether devices that accept the hardware flag really have flows in hardware.
//!
//! OpenWrt's kernels accept the flag on any device, so acceptance proves nothing; live flows do. A
//! flow that goes on in software speaks against both of its devices, unless one of them has been
//! seen to work and the other has not: then only against the other. What flows say has to last
//! before it counts, and one flow in hardware takes it back, so that the state does not flap.
//! Flows that are not meant for hardware say nothing: our own rules, of devices or of the
//! configuration, send them into a flowtable without the flag, or would not offload them any more.
//! Nor do those that rules of the configuration send into a partition, with the flag or without.
//!
//! A refused flow is offered to the device again about once a second, which costs time. So a
//! device that has nothing in hardware for long goes on in software, and is tried again with
//! growing pauses. Not so a port while another port of its bridge works: the forward hook sees the
//! bridge and no port, so both would go, and what is lost there is far more than what is saved.

use crate::core::device_names::DeviceNames;
use std::time::{Duration, Instant};

use log::Level;

use super::control::{Control, Effect};
use super::flows::pairs::Pair;
use super::links::Links;
use super::plan::{is_ordinary, is_ours};
use crate::netlink::nftables::{Flowtable, Table};

/// So long flows must have gone on in software before a device is said to have no hardware: a few
/// lists while somebody looks, one otherwise. Hardware takes milliseconds for a flow.
const UNSEEN_AFTER: Duration = Duration::from_secs(5);
/// Between two lists; after a longer gap nobody knows what was meanwhile.
const GAP_MAX: Duration = Duration::from_secs(30);
/// The first pause before a device is tried again, as a multiple of what it took to find out.
const FIRST_PAUSE: u32 = 4;
/// The longest pause: a router whose hardware comes back is not left without it for a day.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// What is known of one device that has accepted the flag.
#[derive(Debug)]
struct Witness {
    name: String,
    ifindex: Option<u32>,
    /// Flows of it have been in hardware since it appeared.
    proven: bool,
    /// The list before spoke against it.
    against: bool,
    /// How long lists have spoken against it without a break by a flow in hardware.
    lasted: Duration,
    /// It is said to have no hardware.
    unseen: bool,
    /// Until when it is left to software.
    barred_until: Option<Instant>,
    /// The pause after which it is tried again, next time.
    pause: Option<Duration>,
}

/// What is known of all devices.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// One for each device that has been in the hardware class; a few dozens.
    witnesses: Vec<Witness>,
    judged: Option<Instant>,
}

impl Evidence {
    /// Live flows show that this device has nothing in hardware.
    pub fn unseen(&self, name: &str) -> bool {
        self.witnesses.iter().any(|witness| witness.unseen && witness.name == name)
    }

    /// This device is left to software for a while.
    pub fn bars(&self, name: &str) -> bool {
        self.witnesses.iter().any(|witness| witness.barred_until.is_some() && witness.name == name)
    }

    /// Names of the devices that have nothing in hardware, sorted.
    pub fn names(&self) -> Vec<&str> {
        let unseen = self.witnesses.iter().filter(|witness| witness.unseen);
        let mut names: Vec<&str> = unseen.map(|witness| witness.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.witnesses.clear();
        self.judged = None;
    }

    /// Forgets devices that have gone.
    pub fn prune(&mut self, links: &Links) {
        let index = |name: &str| links.named(name).map(|link| link.index);
        self.witnesses.retain(|witness| index(&witness.name) == witness.ifindex);
    }

    /// When a device is to be tried again.
    pub fn deadline(&self) -> Option<Instant> {
        self.witnesses.iter().filter_map(|witness| witness.barred_until).min()
    }

    /// Lets devices whose pause is over into hardware again; true when there is one.
    pub fn release(&mut self, now: Instant) -> bool {
        let mut released = false;
        for witness in &mut self.witnesses {
            if witness.barred_until.is_some_and(|until| until <= now) {
                witness.barred_until = None;
                witness.against = false;
                witness.lasted = Duration::ZERO;
                released = true;
            }
        }
        released
    }

    /// Takes what a list of flows says about the devices in flowtables with the hardware flag. A device that has
    /// nothing in hardware for `patience` is left to software, if there is such a time.
    fn judge(
        &mut self,
        pairs: &[Pair],
        bound: &DeviceNames,
        links: &Links,
        patience: Option<Duration>,
        now: Instant,
    ) -> Vec<Effect> {
        let passed = self
            .judged
            .replace(now)
            .map_or(Duration::ZERO, |judged| now.saturating_duration_since(judged).min(GAP_MAX));
        for name in bound.iter() {
            if !self.witnesses.iter().any(|witness| witness.name == *name) {
                self.witnesses.push(Witness::new(name, links));
            }
        }
        let inside = |pair: &&Pair| pair.devices.iter().all(|name| bound.contains(name));
        let pairs: Vec<&Pair> = pairs.iter().filter(inside).collect();
        let any = pairs.iter().any(|pair| pair.hardware > 0);
        let proven: Vec<String> = self.proven(&pairs);
        let held = self.masters_that_work(links);
        let mut effects = Vec::new();
        for witness in self.witnesses.iter_mut().filter(|entry| bound.contains(&entry.name)) {
            let own = pairs.iter().filter(|pair| pair.devices.contains(&witness.name));
            let (mut hardware, mut software) = (0, 0);
            for pair in own {
                hardware += pair.hardware;
                if witness.is_blamed_for(pair, &proven) {
                    software += pair.software;
                }
            }
            let change = if hardware > 0 {
                witness.seen()
            } else if software > 0 {
                // One that has worked finds no room while others have it all; that will pass.
                let full = witness.proven && any;
                let holds = |(master, port): &(u32, String)| {
                    *port != witness.name && links.master_of(&witness.name) == Some(*master)
                };
                let patience = patience.filter(|_| !full && !held.iter().any(holds));
                witness.missed(passed, patience, now)
            } else {
                witness.against = false;
                None
            };
            effects.extend(change.map(|(level, words)| {
                Effect::Log(level, format!("device {}: {words}", witness.name))
            }));
        }
        effects
    }

    /// The bridges with a port that has had flows in hardware and has not been found without, each with that port.
    fn masters_that_work(&self, links: &Links) -> Vec<(u32, String)> {
        let working = self.witnesses.iter().filter(|witness| witness.proven && !witness.unseen);
        let master =
            |witness: &Witness| Some((links.master_of(&witness.name)?, witness.name.clone()));
        working.filter_map(master).collect()
    }

    /// Notes which devices have flows in hardware now, and returns all that ever had.
    fn proven(&mut self, pairs: &[&Pair]) -> Vec<String> {
        let works = |name: &String| {
            pairs.iter().any(|pair| pair.hardware > 0 && pair.devices.contains(name))
        };
        let mut names = Vec::new();
        for witness in &mut self.witnesses {
            witness.proven |= works(&witness.name);
            if witness.proven {
                names.push(witness.name.clone());
            }
        }
        names
    }
}

impl Witness {
    fn new(name: &str, links: &Links) -> Witness {
        Witness {
            name: name.to_owned(),
            ifindex: links.named(name).map(|link| link.index),
            proven: false,
            against: false,
            lasted: Duration::ZERO,
            unseen: false,
            barred_until: None,
            pause: None,
        }
    }

    /// Flows of this pair that stay in software speak against this device.
    fn is_blamed_for(&self, pair: &Pair, proven: &[String]) -> bool {
        let others_fault = |other: &String| *other != self.name && !proven.contains(other);
        !(self.proven && pair.devices.iter().any(others_fault))
    }

    /// A flow is in hardware.
    fn seen(&mut self) -> Option<(Level, &'static str)> {
        self.against = false;
        self.lasted = Duration::ZERO;
        self.pause = None;
        std::mem::take(&mut self.unseen).then_some((Level::Info, "flows are in hardware"))
    }

    /// Flows stay in software; `passed` is the time since the list before.
    fn missed(
        &mut self,
        passed: Duration,
        patience: Option<Duration>,
        now: Instant,
    ) -> Option<(Level, &'static str)> {
        // It is on its way into software; until the kernel lets it go nothing new is learnt.
        if self.barred_until.is_some() {
            return None;
        }
        if std::mem::replace(&mut self.against, true) {
            self.lasted = self.lasted.saturating_add(passed);
        }
        let known = self.unseen;
        self.unseen |= self.lasted >= UNSEEN_AFTER;
        if let Some(patience) = patience.filter(|patience| self.unseen && self.lasted >= *patience)
        {
            let first = self.pause.is_none();
            let pause = self.pause.unwrap_or(patience * FIRST_PAUSE).min(LONGEST_PAUSE);
            self.barred_until = Some(now + pause);
            self.pause = Some((pause * 2).min(LONGEST_PAUSE));
            let words = "none of its flows is in hardware; it goes on in software and is tried \
                         again in a while";
            return first.then_some((Level::Warn, words));
        }
        let words = "hardware offload was accepted, but none of its flows is in hardware";
        (self.unseen && !known).then_some((Level::Warn, words))
    }
}

impl Control {
    /// True when it matters which flows are in hardware. While another program's flowtable takes
    /// flows in software nobody knows which those are; nor of a partition that is on its way out.
    pub fn wants_evidence(&self) -> bool {
        let flowtables = self.snapshot.iter().flat_map(|snapshot| &snapshot.flowtables);
        let wanted =
            |table: &Table| self.wanted.iter().any(|class| class.flowtable.table == *table);
        let ours = |table: &Table| is_ours(table) && (is_ordinary(&table.name) || wanted(table));
        let mut foreign = flowtables.filter(|flowtable| !ours(&flowtable.table));
        let harmless = |other: &Flowtable| other.hardware || other.devices.is_empty();
        !self.in_hardware_class().is_empty() && foreign.all(harmless)
    }

    /// Devices whose flows are to be in hardware: by our own flowtables, or by firewall4's while
    /// that is observed.
    fn in_hardware_class(&self) -> DeviceNames {
        let mut names = self.bound_to_hardware();
        let observed = self.observed().filter(|flowtable| flowtable.hardware);
        names.extend(observed.into_iter().flat_map(|flowtable| flowtable.devices.iter().cloned()));
        names
    }

    /// Takes what a list of flows says about hardware.
    pub(super) fn judge_hardware(&mut self, mut pairs: Vec<Pair>, now: Instant) -> Vec<Effect> {
        let Some(settings) = &self.settings else { return Vec::new() };
        // Nothing can be moved where nothing is ours.
        let patience = settings.hardware_patience.filter(|_| !self.observes());
        let bound = self.in_hardware_class();
        // Rules go by the devices of routing: between bound ports of a bridge that has another port
        // too, flows are sent into software; and a partition of software may take those between its
        // devices.
        if self.wanted.iter().any(|class| class.flowtable.hardware) {
            pairs.retain(|Pair { routed: [one, other], .. }| {
                let mut rest = self.wanted.iter().filter(|class| class.is_for(None));
                let taker = rest.find(|class| class.takes(one, other));
                taker.is_some_and(|class| class.flowtable.hardware)
            });
        }
        let effects = self.evidence.judge(&pairs, &bound, &self.links, patience, now);
        if bound.iter().any(|name| self.evidence.bars(name)) && !self.backs_off(now) {
            self.survey_by(now);
        }
        effects
    }
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
