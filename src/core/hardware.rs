// SPDX-License-Identifier: GPL-2.0-or-later
//! A switch whose table of flows the kernel does not fill: which flows get an entry, in which order
//! the bus is used, and what happens when the chip or the bus fails.
//!
//! The bus is slow, so there is a queue, from which the event loop takes one operation after the
//! other for as long as its turn may last. Entries that have to go come first: as long as one is
//! there, packets do not take the path that has been decided for them. A flow counts as in hardware
//! when its entry has been read back, and no longer than that is sure; until then and whenever
//! something fails its packets take the software path, which needs nothing from here.

mod offer;
pub mod resolve;
mod selection;
pub mod view;
mod work;

#[cfg(test)]
mod tests;

use litemap::LiteMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hw_drivers::flow::Flow;
use hw_drivers::table::{Entry, Error, Network, Progress, Sight};
use log::Level;

pub use offer::{Attachment, Offer, Whereabouts};
use selection::{choose, Holder};
pub use selection::{Candidate, Rules, CHANGES_MAX, SETTLED, WORTHWHILE};
pub use work::{Ended, Work};

/// Between two sweeps of the table. A flow that packets meet has to be told to conntrack more often
/// than the shortest time-out of an assured connection, 120 s for UDP.
const SWEEP: Duration = Duration::from_secs(10);
/// Between two looks whether the chip has been reset.
const ALIVE: Duration = Duration::from_secs(5);
/// An entry that no packet has met for so long is idle: two sweeps.
const IDLE: Duration = Duration::from_secs(25);
/// So many faults within so much time put the switch into quarantine.
const FAULTS_MAX: usize = 3;
const FAULTS_WINDOW: Duration = Duration::from_secs(60);
/// First and longest quarantine.
const QUARANTINE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
/// Between two tries to switch off an engine that is to be left alone.
const RETRY: Duration = Duration::from_secs(1);
/// After so long without a fault the next quarantine is a short one again.
const SOUND: Duration = Duration::from_secs(1800);
/// To take more entries out than these one by one takes longer than to begin anew: each is some
/// milliseconds of bus.
const ONE_BY_ONE: usize = 16;
/// Flows looked at for one switch after a list: twice what the largest holds.
pub const PICKED_MAX: usize = 2048;
/// A flow that the chip had no room for is not offered again for so long.
const REFUSED: Duration = Duration::from_secs(60);

/// What the daemon is to do besides the work.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Packets of these connections pass the switch: conntrack must not forget them.
    KeepAlive(Vec<u32>),
    /// Tell the log.
    Log(Level, String),
}

/// What a switch is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody wants it.
    Off,
    /// It is being set up.
    SettingUp,
    /// It takes flows.
    Ready,
    /// It is being switched off.
    Stopping,
    /// It failed, for the reason in words, and is left alone for a while.
    Quarantined(String),
    /// It is not the chip that the configuration names.
    Wrong(String),
}

/// How much has happened, since the daemon has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Entries made and read back.
    pub inserted: u64,
    /// Entries taken out, one by one or with the whole table.
    pub removed: u64,
    /// Flows that found the chip's table full.
    pub full: u64,
    /// Flows that found no room where the chip's hash puts them.
    pub collisions: u64,
    /// Transactions that failed, and entries that were not what had been written.
    pub faults: u64,
    /// Times that the chip had lost its tables.
    pub resets: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waits for its entry.
    Queued,
    /// Has one that has yet to be read back.
    Written(Entry),
    /// Is in hardware.
    Proved(Entry),
    /// Its entry is to go.
    Leaving(Entry),
}

#[derive(Debug)]
struct Held {
    offer: Offer,
    stage: Stage,
    /// When it came to this stage.
    since: Instant,
    /// When a packet was seen to have met it last.
    hit: Instant,
}

/// A switch and its flows.
#[derive(Debug)]
pub struct Switch {
    state: State,
    network: Option<Network>,
    capacity: usize,
    rules: Rules,
    /// By conntrack's id.
    held: LiteMap<u32, Held>,
    removals: VecDeque<u32>,
    proofs: VecDeque<u32>,
    inserts: VecDeque<u32>,
    /// Flows that the chip had no room for, and until when they are not offered.
    refused: LiteMap<u32, Instant>,
    /// The chip asked for this much time.
    waits: Option<Instant>,
    next_sweep: Option<Instant>,
    sweeping: bool,
    swept_last: bool,
    next_alive: Option<Instant>,
    faults: VecDeque<Instant>,
    /// The length of the next quarantine, and the end of this one.
    quarantine: Duration,
    until: Instant,
    /// The engine is known to be off since the quarantine has begun.
    cleared: bool,
    /// It has been the right chip. Should it seem another one, then its bus answers nonsense: before
    /// Linux 6.12 that is what mii ioctls do with reads that time out.
    known: bool,
    tally: Tally,
}

impl Switch {
    /// A switch that nobody wants yet, with so many entries. What an earlier program may have left
    /// in it is cleared first.
    pub fn new(capacity: usize, now: Instant) -> Switch {
        Switch {
            state: State::Stopping,
            network: None,
            capacity,
            rules: Rules::USUAL,
            held: LiteMap::new(),
            removals: VecDeque::new(),
            proofs: VecDeque::new(),
            inserts: VecDeque::new(),
            refused: LiteMap::new(),
            waits: None,
            next_sweep: None,
            sweeping: false,
            swept_last: false,
            next_alive: None,
            faults: VecDeque::new(),
            quarantine: QUARANTINE.0,
            until: now,
            cleared: false,
            known: false,
            tally: Tally::default(),
        }
    }

    /// Other rules than the daemon's, to measure what these are worth.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// What it is at.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The networks around it.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// What has happened.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Flows that are in hardware.
    pub fn used(&self) -> usize {
        let proved = |held: &&Held| matches!(held.stage, Stage::Proved(_));
        self.held.values().filter(proved).count()
    }

    /// True when the connection is in hardware.
    pub fn has(&self, id: u32) -> bool {
        self.held.get(&id).is_some_and(|held| matches!(held.stage, Stage::Proved(_)))
    }

    /// The connections that it has, or is to get, with true for those in hardware.
    pub fn held(&self) -> impl Iterator<Item = (u32, bool)> + '_ {
        self.held.iter().map(|(id, held)| (*id, matches!(held.stage, Stage::Proved(_))))
    }

    /// The connection as the chip sees it; `None` when it has nothing to do with it.
    pub fn flow(&self, id: u32) -> Option<&Flow> {
        self.held.get(&id).map(|held| &held.offer.flow)
    }

    /// Connections that wait for their entry, or for it to be read back.
    pub fn queued(&self) -> usize {
        let waits = |held: &&Held| matches!(held.stage, Stage::Queued | Stage::Written(_));
        self.held.values().filter(waits).count()
    }

    /// The networks around it; `None` when it is to be off. Other networks empty it.
    pub fn set_network(&mut self, network: Option<Network>) {
        if self.network == network {
            return;
        }
        self.network = network;
        if matches!(self.state, State::Wrong(_)) {
            self.state = State::Off;
        }
        if matches!(self.state, State::Quarantined(_)) {
            return;
        }
        self.forget_flows();
        self.waits = None;
        self.state = match (&self.network, &self.state) {
            (Some(_), _) => State::SettingUp,
            (None, State::Off) => State::Off,
            (None, _) => State::Stopping,
        };
    }

    /// A list of flows is complete: those that could be in hardware, none of which is.
    pub fn offer(&mut self, offers: Vec<Offer>, now: Instant) {
        if self.state != State::Ready {
            return;
        }
        self.refused.retain(|_, until| *until > now);
        // Those that wait for an entry are chosen anew.
        for id in self.inserts.drain(..) {
            self.held.remove(&id);
        }
        let holder = |(id, held): (&u32, &Held)| match held.stage {
            Stage::Leaving(_) | Stage::Queued => None,
            Stage::Written(_) | Stage::Proved(_) => Some(Holder {
                id: *id,
                rate: held.offer.candidate.rate,
                since: now.saturating_duration_since(held.since),
                busy: now.saturating_duration_since(held.hit) < IDLE,
            }),
        };
        let holders: Vec<Holder> = self.held.iter().filter_map(holder).collect();
        let free = |id: &u32| !self.held.contains_key(id) && !self.refused.contains_key(id);
        let candidates: Vec<Candidate> =
            offers.iter().map(|offer| offer.candidate).filter(|c| free(&c.id)).collect();
        let changes = choose(&self.rules, &holders, &candidates, self.capacity);
        for id in changes.remove {
            self.release(id, now);
        }
        let mut chosen = changes.insert.clone();
        chosen.sort_unstable();
        for offer in offers {
            let id = offer.candidate.id;
            if chosen.binary_search(&id).is_err() {
                continue;
            }
            self.held.insert(id, Held { offer, stage: Stage::Queued, since: now, hit: now });
        }
        self.inserts.extend(changes.insert);
    }

    /// This connection has ended or is stale: its entry goes before anything else happens.
    pub fn release(&mut self, id: u32, now: Instant) {
        let Some(held) = self.held.get_mut(&id) else { return };
        match held.stage {
            Stage::Queued => {
                self.held.remove(&id);
                self.inserts.retain(|queued| *queued != id);
            }
            Stage::Written(entry) | Stage::Proved(entry) => {
                (held.stage, held.since) = (Stage::Leaving(entry), now);
                self.proofs.retain(|queued| *queued != id);
                self.removals.push_back(id);
            }
            Stage::Leaving(_) => (),
        }
    }

    /// Connections that this is true of are stale.
    pub fn release_where(&mut self, stale: impl Fn(&Offer) -> bool, now: Instant) {
        let of = |(id, held): (&u32, &Held)| stale(&held.offer).then_some(*id);
        let ids: Vec<u32> = self.held.iter().filter_map(of).collect();
        if ids.len() > ONE_BY_ONE && self.state == State::Ready {
            // Switching the engine off takes a few transactions, and setting it up begins with that.
            self.forget_flows();
            self.waits = None;
            self.state = State::SettingUp;
            return;
        }
        ids.into_iter().for_each(|id| self.release(id, now));
    }

    /// True while an entry may be in the table that must not be there any more.
    pub fn is_clearing(&self) -> bool {
        let leaving = |held: &Held| matches!(held.stage, Stage::Leaving(_));
        match self.state {
            State::Stopping | State::SettingUp => true,
            State::Quarantined(_) => !self.cleared,
            _ => self.held.values().any(leaving),
        }
    }

    /// When [`Switch::next`] has something, which may be now; `None` when nothing can expire.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Off | State::Wrong(_) => None,
            State::Ready if !self.has_work() => {
                [self.next_sweep, self.next_alive].into_iter().flatten().min()
            }
            State::Quarantined(_) if self.cleared => Some(self.until),
            State::Ready | State::SettingUp | State::Stopping | State::Quarantined(_) => {
                Some(self.waits.unwrap_or(now))
            }
        }
    }

    fn has_work(&self) -> bool {
        let queues = [&self.removals, &self.proofs, &self.inserts];
        self.sweeping || queues.iter().any(|queue| !queue.is_empty())
    }

    /// The next operation, if there is one to be done now. It is performed, and [`Switch::done`] told
    /// how it ended, before anything else is asked of the switch.
    pub fn next(&mut self, now: Instant) -> Option<Work> {
        if self.waits.is_some_and(|until| until > now) {
            return None;
        }
        self.waits = None;
        match &self.state {
            State::Off | State::Wrong(_) => None,
            State::Stopping => Some(Work::Disable),
            State::SettingUp => self.network.clone().map(Work::SetUp),
            State::Quarantined(_) if !self.cleared => Some(Work::Disable),
            State::Quarantined(_) if self.until > now => None,
            State::Quarantined(_) => {
                self.state =
                    if self.network.is_some() { State::SettingUp } else { State::Stopping };
                self.next(now)
            }
            State::Ready => self.next_of_table(now),
        }
    }

    fn next_of_table(&mut self, now: Instant) -> Option<Work> {
        if let Some(work) = self.next_removal() {
            return Some(work);
        }
        if self.next_alive.is_none_or(|due| due <= now) {
            self.next_alive = Some(now + ALIVE);
            return Some(Work::Alive);
        }
        if let Some(id) = self.proofs.pop_front() {
            if let Some(Held { stage: Stage::Written(entry), .. }) = self.held.get(&id) {
                return Some(Work::Verify { id, entry: *entry });
            }
        }
        if self.next_sweep.is_none_or(|due| due <= now) {
            self.next_sweep = Some(now + SWEEP);
            self.sweeping = !self.held.is_empty();
        }
        // Turn about, so that neither a full table nor a long queue holds the other up.
        self.swept_last = self.sweeping && (self.inserts.is_empty() || !self.swept_last);
        if self.swept_last {
            return Some(Work::Sweep);
        }
        while let Some(id) = self.inserts.pop_front() {
            if let Some(Held { stage: Stage::Queued, offer, .. }) = self.held.get(&id) {
                return Some(Work::Insert { id, flow: offer.flow });
            }
        }
        None
    }

    fn next_removal(&mut self) -> Option<Work> {
        while let Some(id) = self.removals.pop_front() {
            if let Some(Held { stage: Stage::Leaving(entry), .. }) = self.held.get(&id) {
                return Some(Work::Remove { id, entry: *entry });
            }
        }
        None
    }

    /// An operation has ended.
    pub fn done(&mut self, ended: Ended, now: Instant) -> Vec<Effect> {
        match ended {
            Ended::SetUp(result) => self.set_up(result, now),
            Ended::Disabled(result) => self.disabled(result, now),
            Ended::Alive(Ok(())) => Vec::new(),
            Ended::Alive(Err(error)) => self.failed(&error, now),
            Ended::Inserted(id, Ok(entry)) => {
                if let Some(held) = self.held.get_mut(&id) {
                    (held.stage, held.since, held.hit) = (Stage::Written(entry), now, now);
                    self.proofs.push_back(id);
                }
                Vec::new()
            }
            Ended::Inserted(id, Err(error)) => self.not_inserted(id, &error, now),
            Ended::Verified(id, _, Ok(())) => {
                if let Some(held) = self.held.get_mut(&id) {
                    if let Stage::Written(entry) = held.stage {
                        held.stage = Stage::Proved(entry);
                        self.tally.inserted += 1;
                    }
                }
                Vec::new()
            }
            Ended::Verified(id, _, Err(error)) => {
                self.refused.insert(id, now + REFUSED);
                self.release(id, now);
                self.failed(&error, now)
            }
            Ended::Removed(id, _, Ok(()) | Err(Error::NoEntry(_))) => {
                self.held.remove(&id);
                self.tally.removed += 1;
                Vec::new()
            }
            Ended::Removed(id, _, Err(error)) => {
                self.removals.push_front(id);
                self.failed(&error, now)
            }
            Ended::Swept(seen, result) => self.swept(&seen, result, now),
        }
    }

    fn set_up(&mut self, result: Result<Progress, Error>, now: Instant) -> Vec<Effect> {
        if self.state != State::SettingUp {
            return Vec::new();
        }
        match result {
            Ok(Progress::More) => Vec::new(),
            Ok(Progress::Wait(time)) => {
                self.waits = Some(now + time);
                Vec::new()
            }
            Ok(Progress::Done) => {
                (self.state, self.known) = (State::Ready, true);
                (self.next_sweep, self.next_alive) = (Some(now + SWEEP), Some(now + ALIVE));
                self.sweeping = false;
                vec![Effect::Log(Level::Info, "the switch takes flows".into())]
            }
            Err(error @ Error::WrongChip(_)) => self.wrong(&error, now),
            Err(error) => self.quarantined(&error, now),
        }
    }

    fn wrong(&mut self, error: &Error, now: Instant) -> Vec<Effect> {
        if self.known {
            return self.quarantined(error, now);
        }
        let words = error.to_string();
        self.state = State::Wrong(words.clone());
        vec![Effect::Log(Level::Error, words)]
    }

    fn disabled(&mut self, result: Result<Progress, Error>, now: Instant) -> Vec<Effect> {
        match result {
            Ok(Progress::More) => Vec::new(),
            Ok(Progress::Wait(time)) => {
                self.waits = Some(now + time);
                Vec::new()
            }
            Ok(Progress::Done) => {
                (self.cleared, self.known) = (true, true);
                if self.state == State::Stopping {
                    self.state = State::Off;
                }
                Vec::new()
            }
            // It was another chip from the beginning, or nothing of ours is left in it.
            Err(error @ Error::WrongChip(_)) if self.state == State::Stopping => {
                self.wrong(&error, now)
            }
            Err(_) if matches!(self.state, State::Quarantined(_)) => {
                self.waits = Some(now + RETRY);
                Vec::new()
            }
            Err(error) => self.quarantined(&error, now),
        }
    }

    fn not_inserted(&mut self, id: u32, error: &Error, now: Instant) -> Vec<Effect> {
        self.held.remove(&id);
        self.refused.insert(id, now + REFUSED);
        match error {
            Error::Full(_) => self.tally.full += 1,
            Error::Collision => self.tally.collisions += 1,
            Error::NotExpressible(_) | Error::Exists(_) | Error::Unseen => (),
            error => return self.failed(error, now),
        }
        Vec::new()
    }

    fn swept(
        &mut self,
        seen: &[Sight],
        result: Result<Progress, Error>,
        now: Instant,
    ) -> Vec<Effect> {
        let hit: Vec<Entry> = seen.iter().filter(|sight| sight.hit).map(|s| s.entry).collect();
        let mut alive = Vec::new();
        for (id, held) in &mut self.held {
            if matches!(held.stage, Stage::Proved(entry) | Stage::Written(entry) if hit.contains(&entry))
            {
                held.hit = now;
                alive.push(*id);
            }
        }
        let mut effects = Vec::new();
        if !alive.is_empty() {
            effects.push(Effect::KeepAlive(alive));
        }
        match result {
            Ok(Progress::More) => (),
            Ok(Progress::Wait(time)) => self.waits = Some(now + time),
            Ok(Progress::Done) => self.sweeping = false,
            Err(error) => {
                self.sweeping = false;
                effects.extend(self.failed(&error, now));
            }
        }
        effects
    }

    /// Something failed while the switch took flows.
    fn failed(&mut self, error: &Error, now: Instant) -> Vec<Effect> {
        if *error == Error::NotReady {
            self.tally.resets += 1;
            self.forget_flows();
            self.state = State::SettingUp;
            return vec![Effect::Log(Level::Warn, "the switch has lost its tables".into())];
        }
        self.tally.faults += 1;
        let old = |then: &Instant| now.saturating_duration_since(*then) > FAULTS_WINDOW;
        while self.faults.front().is_some_and(old) {
            self.faults.pop_front();
        }
        self.faults.push_back(now);
        if self.faults.len() < FAULTS_MAX {
            return Vec::new();
        }
        self.quarantined(error, now)
    }

    /// It is left alone, once its engine is off: as long as that fails too it is tried again, for
    /// what is in its tables may be stale by now.
    fn quarantined(&mut self, error: &Error, now: Instant) -> Vec<Effect> {
        self.forget_flows();
        // `until` is the end of the quarantine before.
        if now.saturating_duration_since(self.until) >= SOUND {
            self.quarantine = QUARANTINE.0;
        }
        self.faults.clear();
        (self.waits, self.until, self.cleared) = (None, now + self.quarantine, false);
        let line = format!("the switch is left alone for {} s: {error}", self.quarantine.as_secs());
        self.quarantine = (self.quarantine * 2).min(QUARANTINE.1);
        self.state = State::Quarantined(error.to_string());
        vec![Effect::Log(Level::Error, line)]
    }

    /// The whole table is cleared, or lost.
    fn forget_flows(&mut self) {
        let made = |held: &&Held| matches!(held.stage, Stage::Proved(_) | Stage::Leaving(_));
        self.tally.removed += self.held.values().filter(made).count() as u64;
        self.held.clear();
        self.removals.clear();
        self.proofs.clear();
        self.inserts.clear();
        self.sweeping = false;
    }
}
