// SPDX-License-Identifier: GPL-2.0-or-later
//! The switches of the configuration: the way to each, its driver, and the work of `core::hardware`
//! on it, a little in each turn of the loop.

mod access;
mod keep_alive;
mod ppe_listing;
mod sessions;

/// What the fuzz targets in `tests/fuzz` read; no other build has it.
#[cfg(fuzzing)]
pub mod fuzz {
    pub use super::sessions::parse as sessions;
}

use litemap::LiteMap;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use hw_drivers::table::Network;
use log::{log, warn};

use crate::core::evict::Tables;
use crate::core::flows::candidates::Picked;
use crate::core::flows::Flow;
use crate::core::hardware::resolve::{AskRoute, Session, Surroundings};
use crate::core::hardware::view::{Condition, SwitchNotice, SwitchView};
use crate::core::hardware::{
    Attachment, Candidate, Effect, Offer, State, Switch, Whereabouts, PICKED_MAX,
};
use crate::core::settings::{SwitchDriver, SwitchSettings};
use crate::core::topology::moves::Moves;
use crate::core::topology::Topology;
use crate::netlink::route::{Lookup, Route};
use access::{open, Access, Sysfs, Table, Watching};
use keep_alive::KeepAlive;
use ppe_listing::PpeListing;

/// Work on switches begins no further operation after so much of a turn: with the longest one, some
/// five milliseconds, callers on the bus wait for less than ten.
const TURN: Duration = Duration::from_millis(2);
/// What is stale leaves at once, for as long as this: the engine is off within it.
const HAND_BACK: Duration = Duration::from_millis(50);
/// At the end engines are switched off, and what the kernel had set up is put back; this long.
const STOP: Duration = Duration::from_millis(1000);
/// A switch that could not be opened is tried again: modules are loaded late.
const REOPEN: Duration = Duration::from_secs(20);
/// What was handed back is shown as offloaded until the kernel has freed it, so lists that begin
/// earlier than this after it say nothing.
const CALM: Duration = Duration::from_secs(4);
/// The table of flows is told of entries that were made at most this much later: it is told of all
/// at once, which costs more than an entry.
const TELL_WITHIN: Duration = Duration::from_millis(100);
/// Answers of routing kept; they are good until something around the router changes.
const ROUTES_MAX: usize = 1024;

/// All switches.
#[derive(Debug, Default)]
pub struct Switches {
    list: Vec<Driven>,
    picked: Queue,
    routes: Routes,
    keep_alive: KeepAlive,
    sysfs: Sysfs,
    /// The packet engine that the kernel fills.
    listing: PpeListing,
    /// From then on lists are believed.
    calm: Option<Instant>,
    /// The fault of keeping connections alive that the log was told last.
    told: String,
    /// When the table of flows is to be told that other connections are in switches.
    untold: Option<Instant>,
}

/// Flows that have yet to be looked at.
#[derive(Debug, Default)]
struct Queue {
    flows: VecDeque<(Flow, u64)>,
    sessions: Vec<Session>,
    /// There was a list that the switches have not been offered yet.
    open: bool,
}

/// Routing's answers.
#[derive(Debug, Default)]
struct Routes {
    version: u32,
    known: LiteMap<Lookup, Route>,
}

/// A switch and the way to it.
struct Driven {
    settings: SwitchSettings,
    way: Way,
    switch: Switch,
    capacity: u32,
    offers: Vec<Offer>,
    /// Why flows were not offered, in words, by conntrack's id.
    left_out: LiteMap<u32, String>,
    left_out_before: LiteMap<u32, String>,
    /// Why it could not be opened, as the log was told last.
    told: String,
}

enum Way {
    /// It could not be opened, for the reason; when it is tried again.
    Closed(String, Instant),
    Watching(Box<Watching>),
    Watched,
    Open(Table),
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Switches {
    /// True when the configuration names none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The switches of the configuration. One whose section has changed is stopped and opened anew;
    /// true when there is any, so that it is to be told of the networks.
    pub fn configure(&mut self, wanted: &[SwitchSettings], now: Instant) -> bool {
        let same = self.list.iter().map(|driven| &driven.settings).eq(wanted);
        if same {
            return false;
        }
        let mut before = std::mem::take(&mut self.list);
        before
            .iter_mut()
            .filter(|driven| !wanted.contains(&driven.settings))
            .for_each(Driven::stop);
        before.retain(|driven| wanted.contains(&driven.settings));
        for settings in wanted {
            let known = before.iter().position(|driven| driven.settings == *settings);
            let driven = match known {
                Some(place) => before.swap_remove(place),
                None => Driven::new(settings.clone(), &self.sysfs, now),
            };
            self.list.push(driven);
        }
        self.untold = Some(now);
        true
    }

    /// Somebody asks to look again: what cannot be used, has failed, or was another chip, is opened
    /// anew.
    pub fn try_again(&mut self, now: Instant) {
        self.list.iter_mut().for_each(|driven| driven.try_again(now));
        self.untold = Some(now);
    }

    /// The networks around the switches, and whether these are wanted at all.
    pub fn set_networks(&mut self, topology: &Topology, wanted: bool, now: Instant) {
        for driven in &mut self.list {
            let switch = &driven.settings;
            let network = wanted
                .then(|| Surroundings { switch, topology, sessions: &[] }.network())
                .flatten();
            driven.set_network(network);
        }
        self.untold = Some(now);
    }

    /// A list of flows is complete that has begun at `begun`.
    pub fn pick(&mut self, picked: Picked, begun: Instant, now: Instant) {
        for id in picked.closing {
            self.release(id, now);
        }
        if self.calm.is_some_and(|calm| begun < calm) {
            return;
        }
        let sessions = sessions::read();
        self.picked = Queue { flows: picked.candidates.into(), sessions, open: true };
        for driven in &mut self.list {
            driven.offers.clear();
            driven.left_out_before = std::mem::take(&mut driven.left_out);
        }
    }

    /// Flows that are wanted after a list.
    pub fn wants(&self) -> usize {
        let ready = |driven: &Driven| *driven.switch.state() == State::Ready;
        let room = |driven: &Driven| 2 * driven.capacity as usize;
        self.list.iter().filter(|d| ready(d)).map(room).sum::<usize>().min(PICKED_MAX)
    }

    /// Looks at flows of the last list until this turn's time is over. `about` knows where a flow is,
    /// `ask` asks routing.
    pub fn consider(
        &mut self,
        topology: &Topology,
        about: &dyn Fn(&Flow) -> Whereabouts,
        ask: &mut AskRoute<'_>,
        now: Instant,
    ) {
        if !self.picked.open {
            return;
        }
        self.routes.follow(topology.version());
        let routes = &mut self.routes;
        let mut ask = |lookup: &Lookup| routes.find(lookup, ask);
        while let Some((flow, rate)) = self.picked.flows.pop_front() {
            let Whereabouts { devices, table, barred } = about(&flow);
            let age = Duration::from_millis(flow.age_ms.into());
            let candidate = Candidate { id: flow.id, rate, age };
            let names = [devices[0].as_deref(), devices[1].as_deref()];
            for driven in self.list.iter_mut().filter(|d| *d.switch.state() == State::Ready) {
                let switch = &driven.settings;
                let around = Surroundings { switch, topology, sessions: &self.picked.sessions };
                let checked = barred.clone().map_or(Ok(()), Err).and_then(|()| {
                    let found = around.resolve(&flow, names, &mut ask);
                    let found = found.map_err(|error| error.to_string())?;
                    driven.check(&found.0)?;
                    Ok(found)
                });
                match checked {
                    Ok((flow, ends)) => {
                        driven.offers.push(Offer { candidate, flow, table, ends });
                        break;
                    }
                    Err(words) => drop(driven.left_out.insert(flow.id, words)),
                }
            }
            if now.elapsed() >= TURN {
                return;
            }
        }
        self.picked.open = false;
        for driven in &mut self.list {
            let offers = std::mem::take(&mut driven.offers);
            driven.switch.offer(offers, now);
            driven.left_out_before.clear();
        }
        self.untold = Some(now);
    }

    /// This connection has ended or is stale.
    pub fn release(&mut self, id: u32, now: Instant) {
        self.list.iter_mut().for_each(|driven| driven.switch.release(id, now));
        self.untold = Some(now);
    }

    /// Flows of these tables are stale: they leave at once.
    pub fn hand_back(&mut self, tables: &Tables, now: Instant) {
        let stale = |offer: &Offer| offer.table.as_ref().is_none_or(|table| tables.have(table));
        self.calm = Some(now + CALM);
        self.picked = Queue::default();
        self.release_where(stale, now);
    }

    /// Stations are elsewhere: flows that go where they were leave at once. Those that have yet to be
    /// looked at will be found where they are.
    pub fn moved(&mut self, moves: &Moves, now: Instant) {
        let stale = |offer: &Offer| {
            let moved = |end: &Attachment| {
                moves.neighbours.contains(&end.routed) || moves.ports.contains(&end.port)
            };
            offer.ends.iter().any(moved)
        };
        self.release_where(stale, now);
    }

    fn release_where(&mut self, stale: impl Fn(&Offer) -> bool, now: Instant) {
        for driven in &mut self.list {
            driven.offers.retain(|offer| !stale(offer));
            driven.switch.release_where(&stale, now);
            let begun = Instant::now();
            while driven.switch.is_clearing() && begun.elapsed() < HAND_BACK {
                if !driven.work_once(&mut self.keep_alive, &mut self.told) {
                    break;
                }
            }
        }
        self.untold = Some(now);
    }

    /// Works until this turn's time is over.
    pub fn work(&mut self, now: Instant) {
        for driven in &mut self.list {
            driven.open(&self.sysfs, now);
            while driven.work_once(&mut self.keep_alive, &mut self.told) {
                self.untold.get_or_insert(now + TELL_WITHIN);
                if now.elapsed() >= TURN {
                    break;
                }
            }
        }
    }

    /// When there is something to do; `None` while there is not.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let picking = self.picked.open.then_some(now);
        let others = picking.into_iter().chain(self.untold);
        self.list.iter().filter_map(|driven| driven.deadline(now)).chain(others).min()
    }

    /// The connections that switches have or are to get, true for those in hardware; `None` while
    /// nobody has to be told of others.
    pub fn take_held(&mut self, now: Instant) -> Option<Vec<(u32, bool)>> {
        self.untold.take_if(|due| *due <= now)?;
        Some(self.list.iter().flat_map(|driven| driven.switch.held()).collect())
    }

    /// Switches every engine off, and puts back what the kernel had set up.
    pub fn stop(&mut self) {
        self.list.iter_mut().for_each(Driven::stop);
    }

    /// Somebody wants to see them: what takes its time to be read is begun, and shown when it is
    /// there.
    pub fn look(&mut self, now: Instant) {
        if self.list.iter().any(Driven::is_engine) {
            self.listing.look(now);
        }
    }

    /// All switches, as they are shown.
    pub fn views(&self) -> Vec<SwitchView> {
        let view = |driven: &Driven| match driven.is_engine() {
            true => self.listing.view(&driven.settings.name),
            false => driven.view(),
        };
        self.list.iter().map(view).collect()
    }

    /// What subscribers are told of them.
    pub fn notices(&self) -> Vec<SwitchNotice> {
        self.views().iter().map(SwitchNotice::from).collect()
    }

    /// The switch that has a connection, and in words what it is at with it, or why none has it.
    pub fn about(&self, id: u32) -> Option<(&str, String)> {
        self.list.iter().find_map(|driven| {
            let words = match driven.switch.flow(id) {
                Some(_) if driven.switch.has(id) => "in the switch's table".to_owned(),
                Some(_) => "waits for its entry".to_owned(),
                None => driven.reason(id)?,
            };
            Some((driven.settings.name.as_str(), words))
        })
    }
}

impl Routes {
    fn follow(&mut self, version: u32) {
        if self.version != version {
            *self = Routes { version, known: LiteMap::new() };
        }
    }

    fn find(&mut self, lookup: &Lookup, ask: &mut AskRoute<'_>) -> Option<Route> {
        if let Some(known) = self.known.get(lookup) {
            return Some(*known);
        }
        let route = ask(lookup)?;
        if self.known.len() >= ROUTES_MAX {
            self.known.clear();
        }
        self.known.insert(*lookup, route);
        Some(route)
    }
}

impl Driven {
    fn new(settings: SwitchSettings, sysfs: &Sysfs, now: Instant) -> Driven {
        let mut driven = Driven {
            settings,
            way: Way::Closed(String::new(), now),
            switch: Switch::new(0, now),
            capacity: 0,
            offers: Vec::new(),
            left_out: LiteMap::new(),
            left_out_before: LiteMap::new(),
            told: String::new(),
        };
        driven.open(sysfs, now);
        driven
    }

    /// Opens it, or goes on with that, when it is due.
    fn open(&mut self, sysfs: &Sysfs, now: Instant) {
        let again = now + REOPEN;
        let way = std::mem::replace(&mut self.way, Way::Closed(String::new(), again));
        let access = match way {
            Way::Closed(_, due) if due <= now => open(&self.settings, sysfs, now),
            Way::Watching(watching) if watching.deadline() <= now => watching.go_on(now),
            way => {
                self.way = way;
                return;
            }
        };
        match access {
            Ok(access) => self.take(access, now),
            Err(words) => {
                // It is tried again and again, and told once.
                if words != self.told {
                    warn!("switch {}: {words}", self.settings.name);
                    self.told.clone_from(&words);
                }
                self.way = Way::Closed(words, again);
            }
        }
    }

    fn take(&mut self, access: Access, now: Instant) {
        self.told.clear();
        self.way = match access {
            Access::Open(table) => {
                self.capacity = table.capabilities().entries;
                let network = self.switch.network().cloned();
                self.switch = Switch::new(self.capacity as usize, now);
                self.switch.set_network(network);
                Way::Open(table)
            }
            Access::Watching(watching) => Way::Watching(watching),
            Access::Watched => Way::Watched,
        };
    }

    fn try_again(&mut self, now: Instant) {
        let idle = matches!(self.switch.state(), State::Wrong(_) | State::Quarantined(_));
        match &mut self.way {
            Way::Closed(_, due) => *due = now,
            Way::Open(_) if idle => self.way = Way::Closed(String::new(), now),
            Way::Open(_) | Way::Watching(_) | Way::Watched => (),
        }
    }

    fn set_network(&mut self, network: Option<Network>) {
        self.switch.set_network(network);
    }

    fn check(&self, flow: &hw_drivers::flow::Flow) -> Result<(), String> {
        match &self.way {
            Way::Open(table) => table.check(flow).map_err(|error| error.to_string()),
            _ => Err("the switch cannot be used".to_owned()),
        }
    }

    /// Does what is to be done first; false when there is nothing now.
    fn work_once(&mut self, keep_alive: &mut KeepAlive, told: &mut String) -> bool {
        let Way::Open(table) = &mut self.way else { return false };
        let Some(work) = self.switch.next(Instant::now()) else { return false };
        let ended = work.perform(table.as_mut());
        for effect in self.switch.done(ended, Instant::now()) {
            match effect {
                Effect::Log(level, line) => log!(level, "switch {}: {line}", self.settings.name),
                Effect::KeepAlive(ids) => {
                    let flows = ids.iter().filter_map(|id| self.switch.flow(*id));
                    let result = keep_alive.refresh(flows);
                    let line = result.err().map(|error| error.to_string()).unwrap_or_default();
                    if !line.is_empty() && line != *told {
                        warn!("{line}");
                    }
                    *told = line;
                }
            }
        }
        true
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        match &self.way {
            Way::Closed(_, due) => Some(*due),
            Way::Watching(watching) => Some(watching.deadline()),
            Way::Watched => None,
            Way::Open(_) => self.switch.deadline(now),
        }
    }

    /// Switches it off; the loop has ended, or its section has gone.
    fn stop(&mut self) {
        self.switch.set_network(None);
        if !matches!(self.way, Way::Open(_)) {
            return;
        }
        let begun = Instant::now();
        let (keep_alive, told) = (&mut KeepAlive::default(), &mut String::new());
        while begun.elapsed() < STOP && !matches!(self.switch.state(), State::Off | State::Wrong(_))
        {
            if self.work_once(keep_alive, told) {
                continue;
            }
            let now = Instant::now();
            match self.deadline(now) {
                // The chip has asked for this time.
                Some(due) if due < begun + STOP => std::thread::sleep(due - now.min(due)),
                _ => break,
            }
        }
        if self.switch.is_clearing() {
            warn!("switch {}: it may still forward by its table", self.settings.name);
        }
    }

    fn reason(&self, id: u32) -> Option<String> {
        self.left_out.get(&id).or_else(|| self.left_out_before.get(&id)).cloned()
    }

    /// True for the packet engine of the SoC.
    fn is_engine(&self) -> bool {
        self.settings.driver == SwitchDriver::Mt7621
    }

    fn view(&self) -> SwitchView {
        let condition = match &self.way {
            Way::Closed(words, _) => Condition::Unusable(words.clone()),
            Way::Watching(_) => {
                Condition::Unusable("watching whether its page register can be read".into())
            }
            Way::Watched => Condition::Watched,
            Way::Open(_) => Condition::Driven(self.switch.state().clone()),
        };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let driven = matches!(self.way, Way::Open(_));
        SwitchView {
            name: self.settings.name.clone(),
            driver: self.settings.driver,
            condition,
            capacity: self.capacity,
            used: driven.then(|| count(self.switch.used())),
            queued: count(self.switch.queued()),
            tally: self.switch.tally(),
            listed: None,
        }
    }
}

#[cfg(test)]
mod tests;
