// SPDX-License-Identifier: GPL-2.0-or-later
//! The control loop: settings, devices and nf_tables in, transactions out.
//!
//! Level-triggered: whatever happens only makes a survey due. A survey reads what exists, the
//! wanted state is computed anew, and the difference is committed as one transaction on condition
//! that nothing changed in between. After a commit the survey is repeated; when there is no
//! difference left, the loop is settled and no timer runs. `refusals` is what follows when the
//! kernel says no, and `meanwhile` what is done all the same, without a configuration too.

mod meanwhile;
mod messages;
mod refusals;

use litemap::LiteMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use log::Level;

use super::answers::{Answer, Answers};
use super::devices::{self, Coverage, Device};
use super::diff::Surplus;
use super::evict::{Cause, Evictions, Tables};
use super::evidence::Evidence;
use super::fault::Fault;
use super::leaks::Leaks;
use super::links::Links;
use super::marks::Marks;
use super::orders::{Outcome, Pending, Transaction};
use super::plan::{self, Class};
use super::policy::Places;
use super::reason::Reason;
use super::settings::Settings;
use super::shaper::{self, Shapers};
use super::status::KernelAbilities;
use super::takeover::{self, Takeover};
use crate::netlink::nftables::event::NftEvent;
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::Command;
use crate::netlink::Refusal;

pub use messages::{Effect, Event};

/// Changes come in bursts (a bridge with its ports, a firewall reload); this long after the first
/// of them the survey starts.
pub const DEBOUNCE: Duration = Duration::from_millis(100);
/// First and longest pause before a refused change is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Pause after a reading that other writers kept spoiling.
const PAUSE: Duration = Duration::from_secs(1);
/// So many commits for the same wanted state within so much time can only be a quarrel with
/// another program, or a kernel that keeps something else than it was told.
const REPAIRS_MAX: usize = 5;
const REPAIRS_WINDOW: Duration = Duration::from_secs(10);
/// A device that vanished between survey and commit is looked for so often before the others are
/// asked one by one.
const VANISHED_MAX: u32 = 2;

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
    /// Where the zones and patterns of the rules are.
    pub(super) places: Places,
    /// Whether each device offloads to hardware.
    pub(super) hardware: Answers,
    /// Whether those that do have flows there.
    pub(super) evidence: Evidence,
    /// Devices that the kernel lets into no flowtable at present.
    pub(super) refused: Answers,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) fault: Option<Fault>,
    pub(super) commits: u64,
    /// What the last decision aimed at.
    pub(super) wanted: Vec<Class>,
    /// What the sets held at the last survey that found any.
    pub(super) marks: Marks,
    pub(super) leaks: Leaks,
    pub(super) evictions: Evictions,
    /// The settings are others than those of the last decision.
    pub(super) settings_changed: bool,
    /// Orders that no transaction has carried out yet.
    pub(super) orders: Vec<Pending>,
    /// How those of the transaction under way end when it is committed.
    outcomes: Vec<Outcome>,
    /// The transaction under way is one of the repairs.
    repairing: bool,
    /// What shapes which devices.
    pub(super) shapers: Shapers,
    /// How taking over from firewall4 went.
    pub(super) takeover: Takeover,
    /// Why conntrack could not be made to count.
    pub(super) accounting_fault: Option<String>,
    /// Recent commits for the same wanted state.
    repairs: VecDeque<Instant>,
    /// The list of devices could be read, and nothing was lost since.
    links_known: bool,
    /// The hardware class was refused as a whole, so its devices count as without hardware.
    stepped_down: bool,
    /// Tables of partitions that were refused hardware as a whole, with the kernel's words.
    pub(super) kept_in_software: LiteMap<String, String>,
    vanished: u32,
    /// How often devices had gone when they were asked, since the loop was settled.
    gone: u32,
    /// What is wanted was refused, and nothing has happened since that may have changed that: it is
    /// tried again at `retry_at`, and `meanwhile` says what is done until then.
    held: bool,
    /// Tables of our names that only another program may change, until something happens that
    /// could change that.
    pub(super) others: Vec<String>,
    /// The transaction under way leaves everything as it stands.
    as_it_stands: bool,
    /// The refusal behind a running [`Effect::ProbeDevices`].
    unexplained: Option<Refusal>,
    /// When the next survey is due.
    due: Option<Instant>,
    /// When what failed is tried again.
    retry_at: Option<Instant>,
    backoff: Duration,
    /// What the log was told last: the mode, and of devices left out.
    told: String,
    told_left_out: LiteMap<String, String>,
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
            places: Places::default(),
            hardware: Answers::default(),
            evidence: Evidence::default(),
            refused: Answers::default(),
            snapshot: None,
            fault: None,
            commits: 0,
            wanted: Vec::new(),
            marks: Marks::default(),
            leaks: Leaks::default(),
            evictions: Evictions::default(),
            settings_changed: false,
            orders: Vec::new(),
            outcomes: Vec::new(),
            repairing: false,
            shapers: Shapers::default(),
            takeover: Takeover::default(),
            accounting_fault: None,
            repairs: VecDeque::new(),
            links_known: false,
            stepped_down: false,
            kept_in_software: LiteMap::new(),
            vanished: 0,
            gone: 0,
            held: false,
            others: Vec::new(),
            as_it_stands: false,
            unexplained: None,
            due: None,
            retry_at: None,
            backoff: BACKOFF.0,
            told: String::new(),
            told_left_out: LiteMap::new(),
        }
    }

    /// When [`Event::Timer`] is wanted; `None` while nothing can expire.
    pub fn deadline(&self) -> Option<Instant> {
        [self.due, self.retry_at, self.evidence.deadline()].into_iter().flatten().min()
    }

    /// Transactions committed so far.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Takes one event at the instant `now`.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::Started => {
                return vec![Effect::ProbeKernel, Effect::ListLinks, Effect::ListQueues];
            }
            Event::Settings(result) => return self.take_settings(result, now),
            Event::Links(Ok(links)) => {
                self.links_change(&links, now);
                if self.links.replace(links) || !self.links_known {
                    self.links_changed(now);
                }
                self.links_known = true;
            }
            Event::Links(Err(error)) => {
                self.links_known = false;
                return self.failed(&error, now);
            }
            Event::Link(event) => {
                self.link_changes(&event, now);
                if self.links.apply(event) {
                    self.links_changed(now + DEBOUNCE);
                }
            }
            Event::Queues(result) => return self.take_queues(result),
            Event::Queue(event) => {
                if self.queue_changed(&event) {
                    self.survey_by(now + DEBOUNCE);
                }
            }
            Event::Nftables(event) => {
                if concerns_us(&event) {
                    self.survey_by(now + DEBOUNCE);
                } else {
                    self.others_changed(event, now);
                }
            }
            Event::Moved(moves) => self.moved(&moves, now),
            Event::Rerouted(tables) => self.evict(Cause::Routes, tables, now),
            Event::Unshown(ids) => return self.unshown(ids, now),
            Event::EventsLost => {
                self.survey_by(now);
                self.others_unknown(now);
                return vec![Effect::ListLinks, Effect::ListQueues];
            }
            Event::Kernel(kernel) => {
                self.kernel = kernel;
                return self.switch_accounting();
            }
            Event::AccountingSwitched(result) => return self.accounting_switched(result),
            Event::Surveyed(Ok(snapshot)) => {
                self.judge_suspects(&snapshot, now);
                self.adopt(&snapshot, now);
                self.take_snapshot(snapshot, now);
                let effects = self.decide(now);
                if let Some(due) = self.evictions.next(now) {
                    self.look_by(due);
                }
                return effects;
            }
            Event::Surveyed(Err(error)) => return self.failed(&error, now),
            Event::Refreshed(Ok(snapshot)) => {
                self.adopt(&snapshot, now);
                let differs = !self.transaction(&snapshot, now).commands.is_empty();
                if differs && !self.backs_off(now) {
                    self.survey_by(now);
                }
                self.take_snapshot(snapshot, now);
            }
            Event::Refreshed(Err(_)) => self.survey_by(now),
            Event::Orders(orders) => return self.take_orders(orders, now),
            Event::Carried(packets) => return self.judge_leaks(packets, now),
            Event::Offloaded(pairs) => return self.judge_hardware(pairs, now),
            Event::HardwareProbed(answers) => return self.hardware_probed(answers, now),
            Event::DevicesProbed(answers) => return self.explain(answers, now),
            Event::Committed(Ok(())) => {
                self.commits += 1;
                self.as_it_stands = false;
                let outcomes = std::mem::take(&mut self.outcomes);
                let mut effects = self.evictions.finish(now);
                effects.push(Effect::Survey);
                effects.extend(self.takeover.committed(now));
                effects.extend(self.finish_orders(outcomes));
                return effects;
            }
            Event::Committed(Err(error)) => return self.not_committed(error, now),
            Event::Timer => return self.on_timer(now),
        }
        Vec::new()
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
                self.settings_changed |= self.settings.as_ref() != Some(&settings);
                self.settings = Some(settings);
                self.warnings = warnings;
                self.config_error = None;
                // Somebody may have changed what the kernel can do, and asks us to look.
                self.forget_answers();
                self.backoff = BACKOFF.0;
                self.survey_by(now);
                effects.push(Effect::ProbeKernel);
                effects
            }
            Err(line) => {
                let kept = match self.settings {
                    Some(_) => "the last good configuration stays in force",
                    None => "what exists stays until it is repaired",
                };
                let told = Effect::Log(Level::Error, format!("{line}; {kept}"));
                self.config_error = Some(line);
                vec![told]
            }
        }
    }

    fn links_changed(&mut self, survey_by: Instant) {
        // The kernel forgets a device that goes: adding it again is no quarrel with anybody.
        self.repairs.clear();
        self.hardware.prune(&self.links);
        self.evidence.prune(&self.links);
        self.refused.prune(&self.links);
        self.survey_by(survey_by);
    }

    fn forget_answers(&mut self) {
        self.hardware.clear();
        self.evidence.clear();
        self.refused.clear();
        self.repairs.clear();
        self.takeover.try_again();
        self.stepped_down = false;
        self.kept_in_software.clear();
        (self.vanished, self.gone) = (0, 0);
    }

    /// A survey that tries again what was refused before, for something may have changed.
    pub(super) fn survey_by(&mut self, instant: Instant) {
        self.held = false;
        self.others.clear();
        self.look_by(instant);
    }

    /// A survey that is no reason to try again what was refused.
    pub(super) fn look_by(&mut self, instant: Instant) {
        self.due = Some(self.due.map_or(instant, |due| due.min(instant)));
    }

    fn on_timer(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.retry_at.is_some_and(|instant| instant <= now) {
            self.retry_at = None;
            self.refused.clear();
            self.kept_in_software.clear();
            self.takeover.try_again();
            (self.vanished, self.gone) = (0, 0);
            if std::mem::take(&mut self.stepped_down) {
                self.hardware.clear();
            }
            effects.push(Effect::ProbeKernel);
            if !self.links_known {
                effects.push(Effect::ListLinks);
            }
            self.survey_by(now);
        }
        if self.evidence.release(now) {
            self.survey_by(now);
        }
        if self.due.is_some_and(|instant| instant <= now) {
            self.due = None;
            // Others have changed devices while they were listed; a refusal has its own time.
            if !self.links_known && !self.held {
                effects.push(Effect::ListLinks);
            }
            if self.queues_are_stale() {
                effects.push(Effect::ListQueues);
            }
            effects.push(Effect::Survey);
        }
        effects
    }

    /// Compares what exists with what should.
    fn decide(&mut self, now: Instant) -> Vec<Effect> {
        if self.held {
            return self.decide_meanwhile(now);
        }
        let (Some(settings), Some(snapshot), true) =
            (&self.settings, &self.snapshot, self.links_known)
        else {
            return self.decide_meanwhile(now);
        };
        self.devices = devices::resolve(settings, &self.links);
        if settings.qos_bypass {
            shaper::bypass(&mut self.devices, &self.shapers, &self.links);
        }
        self.places = Places::resolve(settings, &self.links);
        let wanted = if takeover::observes(settings, snapshot) {
            Vec::new()
        } else {
            let unknown = self.unprobed(settings);
            if !unknown.is_empty() {
                return vec![Effect::ProbeHardware(unknown)];
            }
            let refused = self.refused.refusals().map(|(name, _)| name.to_owned()).collect();
            let (devices, places) = (&self.devices, &self.places);
            let mut wanted = plan::wanted(settings, devices, places, &self.capable(), &refused);
            self.leave_in_software(&mut wanted);
            wanted
        };
        self.rules_change(&wanted, now);
        if wanted != self.wanted {
            self.repairs.clear();
            self.wanted = wanted;
        }
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let transaction = self.transaction(snapshot, now);
        let Transaction { commands, repairs, takes, outcomes, marks } = transaction;
        let generation = snapshot.generation;
        let anew = Tables::made_anew(&commands, &snapshot.tables);
        if commands.is_empty() {
            self.evictions.forget_due(false, now);
            self.marks = marks;
            let mut effects = self.settled(now);
            effects.extend(self.finish_orders(outcomes));
            return effects;
        }
        if !self.wanted.is_empty() && self.kernel.flowtable == Some(false) {
            let detail = "on OpenWrt install kmod-nft-offload";
            return self.fail(Reason::NoKernelSupport, detail.into(), now);
        }
        if takes {
            if let Some(due) = self.takeover_waits(now) {
                self.look_by(due);
                return Vec::new();
            }
            if let Some(mut effects) = self.takeover_is_held(now) {
                effects.extend(self.decide(now));
                return effects;
            }
        }
        self.takeover.under_way = takes;
        self.evictions.begin(anew, false, now);
        self.outcomes = outcomes;
        self.repairing = repairs;
        if !repairs {
            return commit(commands, generation);
        }
        let old = |then: &Instant| now.saturating_duration_since(*then) > REPAIRS_WINDOW;
        while self.repairs.front().is_some_and(old) {
            self.repairs.pop_front();
        }
        if self.repairs.len() >= REPAIRS_MAX {
            let first = commands.first().map(ToString::to_string).unwrap_or_default();
            let detail = format!("{REPAIRS_MAX} transactions were undone; still to do: {first}");
            return self.fail(Reason::Refused, detail, now);
        }
        self.repairs.push_back(now);
        commit(commands, generation)
    }

    /// What a device is that a flowtable hooks and does not have to.
    pub(super) fn surplus(&self, name: &str) -> Surplus {
        if self.links.named(name).is_none() {
            return Surplus::Gone;
        }
        // A bridge is listed for its radios; without them its flows are found by its ports. With
        // other tables they may belong there instead.
        let alone = matches!(&self.wanted[..], [class] if !class.flowtable.hardware);
        let idle = |device: &Device| {
            device.name == name
                && ["bridge", "vlan"].contains(&device.kind.as_str())
                && matches!(device.coverage, Coverage::Off(Reason::LowerCovered, _))
        };
        if alone && self.devices.iter().any(idle) {
            Surplus::Idle
        } else {
            Surplus::Stale
        }
    }

    fn hardware_probed(&mut self, answers: Vec<(String, Answer)>, now: Instant) -> Vec<Effect> {
        let (mut unknown, looks_again) = (None, self.looks_again(&answers));
        for (name, answer) in answers {
            match answer {
                Answer::Takes => self.hardware.keep(&name, None, &self.links),
                Answer::Gone(_) if looks_again => (),
                Answer::Refuses(words) | Answer::Gone(words) => {
                    self.hardware.keep(&name, Some(words), &self.links);
                }
                Answer::Unknown(words) => {
                    unknown = Some(format!("cannot ask device {name} about hardware: {words}"));
                }
            }
        }
        match unknown {
            Some(detail) => self.fail(Reason::Refused, detail, now),
            None if looks_again => self.look_again(now),
            None => self.decide(now),
        }
    }

    fn settled(&mut self, now: Instant) -> Vec<Effect> {
        (self.vanished, self.gone) = (0, 0);
        let mut effects = Vec::new();
        if self.fault.take().is_some() {
            effects.push(Effect::Log(Level::Info, "the fault before is gone".into()));
        }
        let left = self.takeover.left_because().is_some();
        let refused = self.refused.refusals().next().is_some();
        if refused || self.stepped_down || !self.kept_in_software.is_empty() || left {
            self.try_again_later(now);
        } else {
            self.retry_at = None;
            self.backoff = BACKOFF.0;
            self.told_left_out.clear();
        }
        let told = self.summary();
        if told != self.told {
            effects.push(Effect::Log(Level::Info, told.clone()));
            self.told = told;
        }
        effects
    }
}

/// What is in a switch because of a table leaves it before the table goes, or is made: it may have
/// been taken away by somebody.
fn commit(commands: Vec<Command>, generation: u32) -> Vec<Effect> {
    let tables = Tables::touched(&commands);
    let hand_back = (!tables.is_none()).then_some(Effect::HandBack(tables));
    hand_back.into_iter().chain([Effect::Commit(commands, generation)]).collect()
}

fn concerns_us(event: &NftEvent) -> bool {
    match event {
        // Somebody else's flowtable competes with ours; `status` shows it.
        NftEvent::Flowtable(_) => true,
        event => event.table().is_some_and(plan::is_ours),
    }
}

#[cfg(test)]
pub(super) mod tests;
