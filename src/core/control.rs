// SPDX-License-Identifier: GPL-2.0-or-later
//! The control loop: settings, devices and nf_tables in, transactions out.
//!
//! Level-triggered: whatever happens only makes a survey due. A survey reads what exists, the
//! wanted state is computed anew, and the difference is committed as one transaction on condition
//! that nothing changed in between. After a commit the survey is repeated; when there is no
//! difference left, the loop is settled and no timer runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use log::Level;

use super::devices::{self, Coverage, Device};
use super::diff::difference;
use super::links::Links;
use super::plan;
use super::reason::Reason;
use super::settings::{Mode, Settings};
use super::status::KernelAbilities;
use crate::netlink::nftables::event::NftEvent;
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::Command;
use crate::netlink::route::{Link, LinkEvent};
use crate::netlink::{Error, Refusal};

/// Changes come in bursts (a bridge with its ports, a firewall reload); this long after the first
/// of them the survey starts.
pub const DEBOUNCE: Duration = Duration::from_millis(100);
/// First and longest pause before a refused change is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Commits in a row without reaching the wanted state; more can only be a quarrel with another
/// program or a kernel that keeps something else than it was told.
const UNSETTLED_MAX: u32 = 4;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The daemon starts.
    Started,
    /// The configuration was read, or why it could not be.
    Settings(Result<(Settings, Vec<String>), String>),
    /// The list of all devices.
    Links(Vec<Link>),
    /// One device changed.
    Link(LinkEvent),
    /// Somebody else changed nf_tables.
    Nftables(NftEvent),
    /// Events were lost; everything must be read again.
    EventsLost,
    /// What the kernel can do.
    Kernel(KernelAbilities),
    /// Answer to [`Effect::Survey`].
    Surveyed(Result<Snapshot, Error>),
    /// A reading for an answer to somebody; it leads to nothing else.
    Refreshed(Snapshot),
    /// Answer to [`Effect::ProbeHardware`]: for each device nothing, or the kernel's refusal.
    HardwareProbed(Vec<(String, Option<String>)>),
    /// Answer to [`Effect::ProbeDevices`], in the same form.
    DevicesProbed(Vec<(String, Option<String>)>),
    /// Answer to [`Effect::Commit`].
    Committed(Result<(), Error>),
    /// The instant of [`Control::deadline`] has come.
    Timer,
}

/// What is to be done. Each is performed at once and in order; an answer comes as an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the kernel what it can do.
    ProbeKernel,
    /// List all devices.
    ListLinks,
    /// Read nf_tables.
    Survey,
    /// Ask the kernel for each device, without changing anything, whether it offloads to hardware.
    ProbeHardware(Vec<String>),
    /// Likewise, whether a flowtable without hardware takes each device: for a refusal that did
    /// not say which one it is about (Linux 6.1 never does).
    ProbeDevices(Vec<String>),
    /// Apply the commands as one transaction, provided the generation is still this.
    Commit(Vec<Command>, u32),
    /// Tell the log.
    Log(Level, String),
}

/// Why the wanted state is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    /// What belongs to the reason: the kernel's words, or what to do.
    pub(super) detail: String,
}

impl Fault {
    /// One line for the log and for `last_error`.
    pub(super) fn line(&self) -> String {
        match self.reason {
            // The detail of a refusal is a whole sentence already.
            Reason::Refused => self.detail.clone(),
            reason => format!("{}: {}", reason.text(), self.detail),
        }
    }
}

/// All state of the control loop. Everything that matters to the network lives in the kernel;
/// this can be lost at any time.
#[derive(Debug)]
pub struct Control {
    pub(super) started: Instant,
    pub(super) settings: Option<Settings>,
    pub(super) config_error: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) kernel: KernelAbilities,
    pub(super) links: Links,
    pub(super) devices: Vec<Device>,
    /// Answers of the hardware probes, by device.
    pub(super) probes: BTreeMap<String, Option<String>>,
    /// Devices that the kernel does not let into a flowtable at present, with its words.
    pub(super) refused: BTreeMap<String, String>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) fault: Option<Fault>,
    pub(super) commits: u64,
    /// The refusal behind a running [`Effect::ProbeDevices`].
    unexplained: Option<Refusal>,
    due: Option<Instant>,
    backoff: Duration,
    unsettled: u32,
    /// The last mode told to the log.
    told: String,
}

impl Control {
    /// A loop that knows nothing yet.
    pub fn new(now: Instant) -> Control {
        Control {
            started: now,
            settings: None,
            config_error: None,
            warnings: Vec::new(),
            kernel: KernelAbilities::default(),
            links: Links::default(),
            devices: Vec::new(),
            probes: BTreeMap::new(),
            refused: BTreeMap::new(),
            snapshot: None,
            fault: None,
            commits: 0,
            unexplained: None,
            due: None,
            backoff: BACKOFF.0,
            unsettled: 0,
            told: String::new(),
        }
    }

    /// When [`Event::Timer`] is wanted; `None` while nothing can expire.
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Takes one event at the instant `now`.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::Started => vec![Effect::ProbeKernel, Effect::ListLinks],
            Event::Settings(result) => self.take_settings(result, now),
            Event::Links(links) => {
                if self.links.replace(links) {
                    self.forget_answers();
                    self.survey_by(now);
                }
                Vec::new()
            }
            Event::Link(event) => {
                if self.links.apply(event) {
                    self.forget_answers();
                    self.survey_by(now + DEBOUNCE);
                }
                Vec::new()
            }
            Event::Nftables(event) => {
                if self.concerns_us(&event) {
                    self.survey_by(now + DEBOUNCE);
                }
                Vec::new()
            }
            Event::EventsLost => {
                self.survey_by(now);
                vec![Effect::ListLinks]
            }
            Event::Kernel(kernel) => {
                self.kernel = kernel;
                Vec::new()
            }
            Event::Surveyed(Ok(snapshot)) => {
                self.snapshot = Some(snapshot);
                self.decide(now)
            }
            Event::Refreshed(snapshot) => {
                self.snapshot = Some(snapshot);
                Vec::new()
            }
            Event::Surveyed(Err(error)) => self.failed(&error, now),
            Event::HardwareProbed(answers) => {
                self.probes.extend(answers);
                self.decide(now)
            }
            Event::DevicesProbed(answers) => self.explain(answers, now),
            Event::Committed(Ok(())) => {
                self.commits += 1;
                vec![Effect::Survey]
            }
            Event::Committed(Err(error)) => self.not_committed(error, now),
            Event::Timer => self.on_timer(now),
        }
    }

    fn take_settings(
        &mut self,
        result: Result<(Settings, Vec<String>), String>,
        now: Instant,
    ) -> Vec<Effect> {
        match result {
            Ok((settings, warnings)) => {
                let mut effects = Vec::new();
                for line in warnings.iter().filter(|line| !self.warnings.contains(line)) {
                    effects.push(Effect::Log(Level::Warn, line.clone()));
                }
                self.settings = Some(settings);
                self.warnings = warnings;
                self.config_error = None;
                self.forget_answers();
                self.backoff = BACKOFF.0;
                self.survey_by(now);
                if self.kernel.flowtable != Some(true) {
                    effects.push(Effect::ProbeKernel);
                }
                effects
            }
            Err(line) => {
                let kept = match self.settings {
                    Some(_) => "the last good configuration stays in force",
                    None => "nothing is changed until it is repaired",
                };
                let told = Effect::Log(Level::Error, format!("{line}; {kept}"));
                self.config_error = Some(line);
                vec![told]
            }
        }
    }

    /// A changed device or configuration deserves new answers.
    fn forget_answers(&mut self) {
        self.probes.clear();
        self.refused.clear();
        self.unsettled = 0;
    }

    fn survey_by(&mut self, instant: Instant) {
        self.due = Some(self.due.map_or(instant, |due| due.min(instant)));
    }

    fn concerns_us(&self, event: &NftEvent) -> bool {
        match event {
            NftEvent::Table(name) => plan::our_tables().iter().any(|table| table.name == *name),
            // Somebody else's flowtable competes with ours; `status` shows it.
            NftEvent::Flowtable(_) => true,
            NftEvent::Generation(_) => false,
        }
    }

    fn on_timer(&mut self, now: Instant) -> Vec<Effect> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.due = None;
        let mut effects = Vec::new();
        if self.fault.is_some() || !self.refused.is_empty() {
            self.refused.clear();
            self.unsettled = 0;
            effects.push(Effect::ProbeKernel);
        }
        effects.push(Effect::Survey);
        effects
    }

    /// Compares what exists with what should.
    fn decide(&mut self, now: Instant) -> Vec<Effect> {
        let (Some(settings), Some(snapshot)) = (&self.settings, &self.snapshot) else {
            return Vec::new();
        };
        self.devices = devices::resolve(settings, &self.links);
        let unknown = self.unprobed(settings);
        if !unknown.is_empty() {
            return vec![Effect::ProbeHardware(unknown)];
        }
        let capable =
            self.probes.iter().filter(|(_, refusal)| refusal.is_none()).map(|(name, _)| name);
        let refused = self.refused.keys().cloned().collect();
        let wanted = plan::wanted(settings, &self.devices, &capable.cloned().collect(), &refused);
        let commands = difference(snapshot, &wanted);
        if commands.is_empty() {
            return self.settled(now);
        }
        if !wanted.is_empty() && self.kernel.flowtable == Some(false) {
            let detail = "on OpenWrt install kmod-nft-offload";
            return self.fail(Reason::NoKernelSupport, detail.into(), now);
        }
        self.unsettled += 1;
        if self.unsettled > UNSETTLED_MAX {
            let first = commands.first().map(ToString::to_string).unwrap_or_default();
            let line = format!("{UNSETTLED_MAX} transactions have not led to the wanted state; still to do: {first}");
            return self.fail(Reason::Refused, line, now);
        }
        vec![Effect::Commit(commands, snapshot.generation)]
    }

    /// Devices that may offload to hardware and have not been asked yet.
    fn unprobed(&self, settings: &Settings) -> Vec<String> {
        if !settings.enabled || settings.requested < Mode::Hardware {
            return Vec::new();
        }
        let asked = |device: &&Device| {
            plan::may_offload(device)
                && !self.probes.contains_key(&device.name)
                && self.kernel.flowtable != Some(false)
        };
        self.devices.iter().filter(asked).map(|device| device.name.clone()).collect()
    }

    fn settled(&mut self, now: Instant) -> Vec<Effect> {
        self.unsettled = 0;
        let mut effects = Vec::new();
        if self.fault.take().is_some() {
            effects.push(Effect::Log(Level::Info, "the fault before is gone".into()));
        }
        if self.refused.is_empty() {
            self.backoff = BACKOFF.0;
        } else {
            self.try_again_later(now);
        }
        let told = self.summary();
        if told != self.told {
            effects.push(Effect::Log(Level::Info, told.clone()));
            self.told = told;
        }
        effects
    }

    fn not_committed(&mut self, error: Error, now: Instant) -> Vec<Effect> {
        let refusal = match error {
            // Somebody was faster, or the answer was lost: look again.
            Error::Refused(refusal) if refusal.errno == libc::ERESTART => {
                return vec![Effect::Survey]
            }
            Error::Timeout { .. } | Error::Overrun => return vec![Effect::Survey],
            Error::Refused(refusal) => refusal,
            other => return self.failed(&other, now),
        };
        if matches!(refusal.errno, libc::EPERM | libc::EACCES) {
            return self.failed(&Error::Refused(refusal), now);
        }
        let covered = |device: &&Device| {
            matches!(device.coverage, Coverage::Covered { .. })
                && !self.refused.contains_key(&device.name)
        };
        let names: Vec<String> =
            self.devices.iter().filter(covered).map(|device| device.name.clone()).collect();
        match &refusal.culprit {
            Some(name) if names.contains(name) => {
                let words = refusal.to_string();
                self.leave_out(vec![(name.clone(), words)])
            }
            _ => {
                self.unexplained = Some(refusal);
                vec![Effect::ProbeDevices(names)]
            }
        }
    }

    /// Each device was asked after a refusal: those that refuse are left out; when none does, the
    /// refusal is about something else.
    fn explain(&mut self, answers: Vec<(String, Option<String>)>, now: Instant) -> Vec<Effect> {
        let culprits: Vec<(String, String)> = answers
            .into_iter()
            .filter_map(|(name, refusal)| refusal.map(|words| (name, words)))
            .collect();
        match self.unexplained.take() {
            Some(refusal) if culprits.is_empty() => self.failed(&Error::Refused(refusal), now),
            _ => self.leave_out(culprits),
        }
    }

    /// A device must not take the others down with it. If it has just vanished, the list of
    /// devices will tell.
    fn leave_out(&mut self, culprits: Vec<(String, String)>) -> Vec<Effect> {
        self.unsettled = 0;
        let mut effects = vec![Effect::ListLinks];
        for (name, words) in culprits {
            let line = format!("device {name} is left out: {words}");
            effects.push(Effect::Log(Level::Warn, line));
            self.refused.insert(name, words);
        }
        effects.push(Effect::Survey);
        effects
    }

    fn failed(&mut self, error: &Error, now: Instant) -> Vec<Effect> {
        let reason = match error.errno() {
            Some(libc::EPERM | libc::EACCES) => Reason::NoPermission,
            Some(libc::EPROTONOSUPPORT | libc::EOPNOTSUPP) => Reason::NoKernelSupport,
            _ => Reason::Refused,
        };
        self.fail(reason, error.to_string(), now)
    }

    fn fail(&mut self, reason: Reason, detail: String, now: Instant) -> Vec<Effect> {
        self.try_again_later(now);
        let fault = Fault { reason, detail };
        if self.fault.as_ref() == Some(&fault) {
            return Vec::new();
        }
        let told = Effect::Log(Level::Error, fault.line());
        self.fault = Some(fault);
        vec![told]
    }

    fn try_again_later(&mut self, now: Instant) {
        self.due = Some(now + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
