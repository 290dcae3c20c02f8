// SPDX-License-Identifier: GPL-2.0-or-later
//! Devices whose traffic a shaper is in charge of, and which are therefore bypassed.
//!
//! An offloaded packet of a shaped device goes wrong in one of three ways. In hardware it meets no
//! queueing discipline at all. In software it does, but no rule of nf_tables has set its mark or
//! DSCP, by which the shaper tells packets apart. And what comes in and is redirected to an ifb (SQM,
//! qosify) enters the stack behind the ingress hook, so that it takes the classic path while its
//! flow is called offloaded (net/core/dev.c, skb_skip_tc_classify).

use log::Level;

use super::control::{Control, Effect};
use super::devices::{Coverage, Device};
use super::links::Links;
use super::plan::{self, SET_OFF};
use super::reason::Reason;
use crate::netlink::nftables::set::ifname_key;
use crate::netlink::nftables::Command;
use crate::netlink::route::{FilterChange, FilterEvent, Qdisc, QueueEvent};
use crate::netlink::Error;

/// Queueing disciplines that limit a rate. Others (`fq_codel`, `mq`, `prio`, ...) only order what
/// waits, which they do for offloaded packets of the software path as well; `cake` without a
/// bandwidth is one of those, and the default of some systems.
const SHAPING: [&str; 4] = ["cbq", "hfsc", "htb", "tbf"];
/// What filters of incoming packets hang on.
const INGRESS: [&str; 2] = ["clsact", "ingress"];
/// Shapers and redirections kept; a router shapes a few uplinks and perhaps each guest network.
/// Beyond it devices are not bypassed.
const SHAPERS_MAX: usize = 256;

/// What a reading of the kernel's queues found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queues {
    /// All queueing disciplines.
    pub qdiscs: Vec<Qdisc>,
    /// Devices whose incoming packets are redirected, and to which: both by index.
    pub redirects: Vec<(u32, u32)>,
}

impl Queues {
    /// The devices that may have filters of incoming packets.
    pub fn filtered(qdiscs: &[Qdisc]) -> impl Iterator<Item = u32> + '_ {
        let ingress = qdiscs.iter().filter(|qdisc| INGRESS.contains(&qdisc.kind.as_str()));
        ingress.map(|qdisc| qdisc.index)
    }
}

fn shapes(qdisc: &Qdisc) -> bool {
    SHAPING.contains(&qdisc.kind.as_str()) || qdisc.limits == Some(true)
}

/// The shapers of all devices.
#[derive(Debug, Default)]
pub(super) struct Shapers {
    /// Only what concerns shaping.
    queues: Queues,
    /// Something has changed since they were read.
    stale: bool,
    told: String,
}

impl Shapers {
    fn take(&mut self, mut queues: Queues) {
        queues.qdiscs.retain(|qdisc| shapes(qdisc) || INGRESS.contains(&qdisc.kind.as_str()));
        queues.qdiscs.truncate(SHAPERS_MAX);
        queues.redirects.truncate(SHAPERS_MAX);
        self.queues = queues;
    }

    /// True when an event may change what is shaped. Programs that follow the line's speed change
    /// the bandwidth of a `cake` several times a second, which does not.
    fn concerned(&self, event: &QueueEvent) -> bool {
        let known = |qdisc: &Qdisc| {
            let same = |other: &&Qdisc| other.index == qdisc.index && other.kind == qdisc.kind;
            self.queues.qdiscs.iter().find(same)
        };
        let of_interest = |qdisc: &Qdisc| {
            shapes(qdisc) || INGRESS.contains(&qdisc.kind.as_str()) || known(qdisc).is_some()
        };
        match event {
            QueueEvent::New(qdisc) => of_interest(qdisc) && known(qdisc) != Some(qdisc),
            QueueEvent::Gone(qdisc) => of_interest(qdisc),
            QueueEvent::Filter(event) => self.redirects_change(event),
        }
    }

    /// Programs that police or classify what comes in change their filters all the time; only those
    /// that redirect packets matter here.
    fn redirects_change(&self, event: &FilterEvent) -> bool {
        let here = |from: u32| event.index.is_none_or(|index| index == from);
        let redirects = self.queues.redirects.iter().filter(|(from, _)| here(*from));
        let mut targets = redirects.map(|(_, to)| *to);
        match (event.change, event.redirect) {
            (FilterChange::Gone, Some(target)) => targets.any(|known| known == target),
            // Which of the devices that share it are known to have it is not told.
            (_, Some(target)) => event.index.is_none() || targets.all(|known| known != target),
            (FilterChange::Added, None) => false,
            // It may have taken the place of one that redirects; and when all of a priority go at
            // once the kernel does not tell what they were.
            (FilterChange::Replaced | FilterChange::Gone, None) => targets.next().is_some(),
        }
    }

    fn shaper(&self, index: u32) -> Option<&Qdisc> {
        self.queues.qdiscs.iter().find(|qdisc| qdisc.index == index && shapes(qdisc))
    }

    /// What shapes the device of this index, in words.
    fn why(&self, index: u32, links: &Links) -> Option<String> {
        let name = |index| links.indexed(index).map(|link| link.name.as_str());
        if let Some(qdisc) = self.shaper(index) {
            return Some(format!("{} on {}", qdisc.kind, name(index)?));
        }
        // qosify redirects answers of DNS to a device that does not shape.
        let mut redirects = self.queues.redirects.iter();
        let (_, target) =
            redirects.find(|(from, to)| *from == index && self.shaper(*to).is_some())?;
        Some(format!("ingress of {} redirected to {}", name(index)?, name(*target)?))
    }
}

/// Takes shaped devices out: a device that a shaper is on, what stands on it, and what carries
/// nothing but shaped ones. A bridge with a shaped port and others stays.
pub(super) fn bypass(devices: &mut [Device], shapers: &Shapers, links: &Links) {
    let mut found: Vec<Option<String>> =
        devices.iter().map(|device| shapers.why(device.ifindex?, links)).collect();
    // Each round goes one step up or down; nothing is left to find when a round finds nothing.
    for _ in 0..devices.len() {
        if found.iter().all(Option::is_none) {
            return;
        }
        let next: Vec<Option<String>> =
            (0..devices.len()).map(|at| derived(at, devices, &found)).collect();
        if next == found {
            break;
        }
        found = next;
    }
    for (device, why) in devices.iter_mut().zip(found) {
        let Some(why) = why else { continue };
        match device.coverage {
            Coverage::Covered { .. } | Coverage::Off(Reason::LowerCovered, _) => {
                device.coverage = Coverage::Off(Reason::DeviceShaped, why);
            }
            Coverage::Off(..) => (),
        }
    }
}

/// Why the device at this place is shaped, from what was found about it and its neighbours.
fn derived(at: usize, devices: &[Device], found: &[Option<String>]) -> Option<String> {
    let device = devices.get(at)?;
    if let Some(Some(why)) = found.get(at) {
        return Some(why.clone());
    }
    let why = |name: &String| {
        let place = devices.iter().position(|other| other.name == *name)?;
        found.get(place)?.as_ref()
    };
    // All that it carries is shaped.
    if !device.upper.is_empty() && device.upper.iter().all(|upper| why(upper).is_some()) {
        return device.upper.first().and_then(why).cloned();
    }
    let below = |other: &&Device| other.upper.contains(&device.name);
    if device.kind == "bridge" {
        let ports: Vec<_> = devices.iter().filter(below).map(|port| why(&port.name)).collect();
        return ports.into_iter().collect::<Option<Vec<_>>>()?.first().map(|why| (*why).clone());
    }
    // It stands on a shaped one, and on no bridge that has other ports.
    let bridge = devices.iter().filter(below).find(|other| other.kind == "bridge");
    match bridge {
        Some(bridge) => why(&bridge.name).cloned(),
        None => devices.iter().filter(below).find_map(|lower| why(&lower.name)).cloned(),
    }
}

impl Control {
    /// True when an event about queues makes a new reading due.
    pub(super) fn queue_changed(&mut self, event: &QueueEvent) -> bool {
        let concerned = self.shapers.concerned(event);
        self.shapers.stale |= concerned;
        concerned
    }

    /// What was found; a reading that failed changes nothing, and the log is told once.
    pub(super) fn take_queues(&mut self, result: Result<Queues, Error>) -> Vec<Effect> {
        let line = match result {
            Ok(queues) => {
                self.shapers.take(queues);
                String::new()
            }
            Err(error) => {
                // The next survey reads again.
                self.shapers.stale = true;
                format!("shapers are not known: {error}")
            }
        };
        let new = !line.is_empty() && line != self.shapers.told;
        self.shapers.told.clone_from(&line);
        new.then_some(Effect::Log(Level::Warn, line)).into_iter().collect()
    }

    /// A reading is due.
    pub(super) fn queues_are_stale(&mut self) -> bool {
        std::mem::take(&mut self.shapers.stale)
    }

    /// Tables whose rules leave out a device that has begun to be shaped: the flows that they have
    /// let in before are to be handed back.
    pub(super) fn newly_shaped(&self, commands: &[Command]) -> Vec<String> {
        let names: Vec<Vec<u8>> =
            plan::shaped(&self.devices).filter_map(|name| ifname_key(&name)).collect();
        let begins = |command: &Command| match command {
            Command::AddSet(set) | Command::AddElements(set) if set.name == SET_OFF => {
                let shaped = names.iter().any(|name| set.elements.contains_key(name));
                shaped.then(|| set.table.name.clone())
            }
            _ => None,
        };
        commands.iter().filter_map(begins).collect()
    }

    /// The shaper of one of these devices, in words.
    pub(super) fn shaped(&self, chain: &[String]) -> Option<(&str, &str)> {
        self.devices.iter().find_map(|device| match &device.coverage {
            Coverage::Off(Reason::DeviceShaped, why) if chain.contains(&device.name) => {
                Some((device.name.as_str(), why.as_str()))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
#[path = "shaper_tests.rs"]
mod tests;
