// SPDX-License-Identifier: GPL-2.0-or-later
//! firewall4's own offloading beside ours: taking it over, or observing it.
//!
//! With `flow_offloading 1` firewall4 makes a flowtable and a rule that sends every TCP and UDP
//! packet's flow into it ahead of all other rules, each time it loads. A flow belongs to the first
//! rule that offloads it, so while both are there ours decides little. These two objects, and
//! nothing else of anybody's, are taken out of the way.
//!
//! The flowtable is emptied rather than deleted: firewall4 looks for it when it begins to write its
//! ruleset, and `delete flowtable inet fw4 ft` in that ruleset, a second later on a slow router,
//! would fail with all the rest if it had gone meanwhile. An empty one hooks no device.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use log::Level;

use super::control::{Control, Effect, DEBOUNCE};
use super::devices::{Coverage, Device};
use super::reason::Reason;
use super::settings::{Mode, Settings};
use super::status::TakeoverStatus;
use crate::netlink::nftables::query::{Beside, Snapshot};
use crate::netlink::nftables::{Command, Expression, Flowtable, MetaKey, Rule, Table};
use crate::netlink::Refusal;

/// firewall4's table, of family inet.
pub(super) const TABLE: &str = "fw4";
const FLOWTABLE: &str = "ft";
const CHAIN: &str = "forward";

/// firewall4 loads once for each interface that comes up, some ten times in the first minute of a
/// router with several uplinks. More often than this it is a quarrel with somebody, and theirs
/// stays until the minute is over.
const OFTEN: usize = 30;
const OFTEN_WINDOW: Duration = Duration::from_secs(60);

/// What a survey reads besides our tables.
pub fn beside() -> Beside {
    Beside { table: Table::inet(TABLE), flowtable: FLOWTABLE.into(), chain: CHAIN.into() }
}

/// What has become of firewall4's offloading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// firewall4 has no flowtable.
    #[default]
    None,
    /// Its rule is in force.
    Left,
    /// Its flowtable is there without its rule.
    Taken,
}

impl State {
    /// The name used on the bus.
    pub fn name(self) -> &'static str {
        match self {
            State::None => "none",
            State::Left => "left",
            State::Taken => "taken",
        }
    }

    pub(super) fn of(snapshot: &Snapshot) -> State {
        match &snapshot.beside {
            None => State::None,
            Some(found) if found.rules.iter().any(is_offload_rule) => State::Left,
            Some(_) => State::Taken,
        }
    }
}

/// How the taking went so far.
#[derive(Debug, Default)]
pub(super) struct Takeover {
    /// Transactions that took something.
    count: u64,
    /// When the last of them were.
    recent: VecDeque<Instant>,
    /// The transaction under way takes something.
    pub(super) under_way: bool,
    /// Why theirs is left at present.
    left_because: Option<String>,
    /// What the log was told of that.
    told: String,
}

impl Takeover {
    /// The next transaction may try again.
    pub fn try_again(&mut self) {
        self.left_because = None;
    }

    /// Why theirs is left although it should not be: what follows in [`left`].
    pub fn left_because(&self) -> Option<&str> {
        self.left_because.as_deref()
    }

    /// A transaction was committed; a line for the log when it was the first to take something.
    pub fn committed(&mut self, now: Instant) -> Option<Effect> {
        if !std::mem::take(&mut self.under_way) {
            return None;
        }
        self.count += 1;
        self.recent.push_back(now);
        self.told.clear();
        let line = "took firewall4's own offload rule and flowtable out of the way";
        (self.count == 1).then_some(Effect::Log(Level::Info, line.into()))
    }

    /// Leaves theirs for a while, and tells the log once.
    pub fn leave(&mut self, words: String) -> Option<Effect> {
        let line = left(&words);
        self.left_because = Some(words);
        let new = self.told != line;
        self.told.clone_from(&line);
        new.then_some(Effect::Log(Level::Warn, line))
    }

    fn is_often(&mut self, now: Instant) -> bool {
        let old = |then: &Instant| now.saturating_duration_since(*then) > OFTEN_WINDOW;
        while self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
        self.recent.len() >= OFTEN
    }
}

/// In words for the log and `last_error`.
pub(super) fn left(because: &str) -> String {
    format!("firewall4's own offloading is left as it is: {because}")
}

/// The rule is the one that firewall4 writes: `meta l4proto { tcp, udp } flow offload @ft`. Rules of
/// its users look different, or name another flowtable.
fn is_offload_rule(rule: &Rule) -> bool {
    matches!(
        &rule.expressions[..],
        [
            Expression::Meta(MetaKey::L4Proto, _),
            Expression::Lookup { inverted: false, .. },
            Expression::FlowOffload { flowtable },
        ] if flowtable == FLOWTABLE
    )
}

/// Commands that take firewall4's offloading out of the way; none when it is.
fn commands(snapshot: &Snapshot) -> Vec<Command> {
    let Some(found) = &snapshot.beside else { return Vec::new() };
    let (theirs, others): (Vec<&Rule>, Vec<&Rule>) =
        found.rules.iter().partition(|rule| is_offload_rule(rule));
    let mut commands: Vec<Command> =
        theirs.iter().copied().cloned().map(Command::DeleteRule).collect();
    // A user's rule may send flows there, from whichever chain; then it needs the devices.
    let users = usize::try_from(found.users).unwrap_or(usize::MAX);
    let used = others.iter().any(|rule| offloads(rule)) || users > theirs.len();
    let flowtable = &found.flowtable;
    if !used && !flowtable.devices.is_empty() {
        let empty = Flowtable { devices: Vec::new(), hardware: false, ..flowtable.clone() };
        commands.push(Command::DeleteFlowtable(flowtable.clone()));
        commands.push(Command::AddFlowtable(empty));
    }
    commands
}

fn offloads(rule: &Rule) -> bool {
    let named = |entry: &Expression| matches!(entry, Expression::FlowOffload { flowtable } if flowtable == FLOWTABLE);
    rule.expressions.iter().any(named)
}

/// Nothing of ours is to be made, because the user wants firewall4's: unless that is what we have
/// taken and firewall4 has not put back, for the router is not to be without both.
pub(super) fn observes(settings: &Settings, snapshot: &Snapshot) -> bool {
    let handing_over = State::of(snapshot) == State::Taken && !snapshot.tables.is_empty();
    is_observer(settings) && !handing_over
}

/// The settings leave offloading to firewall4.
pub fn is_observer(settings: &Settings) -> bool {
    settings.enabled && settings.requested != Mode::Classic && !settings.takeover
}

impl Control {
    /// Commands that belong into the next transaction besides our own.
    pub(super) fn takeover_commands(&self, snapshot: &Snapshot) -> Vec<Command> {
        let Some(settings) = self.settings.as_ref().filter(|settings| settings.takeover) else {
            return Vec::new();
        };
        // Only what ours replaces: without devices theirs may still have some.
        let replaced = !self.wanted.is_empty() || self.leaves_all_out(settings);
        if !replaced || self.takeover.left_because.is_some() {
            return Vec::new();
        }
        commands(snapshot)
    }

    /// The user wants offload, but none of what there is offloaded, be it by shapers: theirs would
    /// offload it all the same.
    fn leaves_all_out(&self, settings: &Settings) -> bool {
        let meant = |device: &Device| {
            matches!(
                device.coverage,
                Coverage::Off(Reason::DeviceShaped | Reason::DeviceOverride, _)
            )
        };
        let covered = |device: &Device| matches!(device.coverage, Coverage::Covered { .. });
        settings.enabled
            && settings.requested != Mode::Classic
            && self.devices.iter().any(meant)
            && !self.devices.iter().any(covered)
    }

    /// A transaction that takes something is about to be committed: not when that has been so very
    /// often. Then it has to be made again without.
    pub(super) fn takeover_is_held(&mut self, now: Instant) -> Option<Vec<Effect>> {
        if !self.takeover.is_often(now) {
            return None;
        }
        let words = format!("it has loaded {OFTEN} times within a minute");
        Some(self.takeover.leave(words).into_iter().collect())
    }

    /// The flows that a load makes stale go in the transaction that follows it, also where reading its
    /// messages took a while and the first of them was due before the last.
    pub(super) fn takeover_waits(&self, now: Instant) -> Option<Instant> {
        self.evictions.next(now).filter(|due| *due <= now + DEBOUNCE)
    }

    /// The kernel refused what concerns firewall4: ours is made without.
    pub(super) fn takeover_refused(&mut self, refusal: &Refusal) -> Vec<Effect> {
        self.takeover.under_way = false;
        let told = self.takeover.leave(refusal.to_string());
        told.into_iter().chain([Effect::Survey]).collect()
    }

    /// What the user wants observed is in force instead of anything of ours.
    pub(super) fn observes(&self) -> bool {
        let none = self.snapshot.as_ref().is_some_and(|snapshot| snapshot.tables.is_empty());
        none && self.settings.as_ref().is_some_and(is_observer)
    }

    /// firewall4's flowtable, while its rule is in force and nothing of ours is wanted.
    pub(super) fn observed(&self) -> Option<&Flowtable> {
        let snapshot = self.snapshot.as_ref().filter(|_| self.observes())?;
        let found = snapshot.beside.as_ref()?;
        (State::of(snapshot) == State::Left).then_some(&found.flowtable)
    }

    /// Effective mode of an observer: from the flowtable, and from what live flows show.
    pub(super) fn observed_mode(&self) -> (Mode, Reason, String) {
        let Some(flowtable) = self.observed() else {
            let detail = match self.takeover_state() {
                State::Taken => "its rule is put back when it loads again",
                _ => "it has no flowtable",
            };
            return (Mode::Classic, Reason::Observing, detail.into());
        };
        let devices = || flowtable.devices.iter();
        let mode = if !flowtable.hardware || devices().all(|name| self.evidence.unseen(name)) {
            Mode::Software
        } else if devices().any(|name| self.evidence.unseen(name)) {
            Mode::Mixed
        } else {
            Mode::Hardware
        };
        (mode, Reason::Observing, format!("{flowtable}: {}", flowtable.devices.join(" ")))
    }

    /// A flowtable of firewall4's that we have emptied is nobody's any more.
    pub(super) fn is_emptied(&self, flowtable: &Flowtable) -> bool {
        let Beside { table, flowtable: name, .. } = beside();
        flowtable.table == table
            && flowtable.name == name
            && flowtable.devices.is_empty()
            && self.takeover_state() == State::Taken
    }

    /// What has become of firewall4's offloading.
    pub fn takeover_state(&self) -> State {
        self.snapshot.as_ref().map_or(State::None, State::of)
    }

    pub(super) fn takeover_status(&self) -> Option<TakeoverStatus> {
        self.snapshot.as_ref()?;
        Some(TakeoverStatus { state: self.takeover_state(), count: self.takeover.count })
    }
}

#[cfg(test)]
#[path = "takeover_tests.rs"]
mod tests;
