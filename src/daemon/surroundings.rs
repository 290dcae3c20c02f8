// SPDX-License-Identifier: GPL-2.0-or-later
//! Keeping what is known about the networks around the router up to date, while flows are followed.
//!
//! Addresses, routes and rules change seldom, so the kernel tells of changes. Neighbours and stations
//! behind bridges change their state all the time, so they are read before each list of flows; while
//! there is offload the kernel tells of them too, because a flow may go on to where they were. It
//! does so by a socket of its own: anybody on a link can make the kernel tell of stations faster than
//! they are read, which must not look as if routes had been lost.

use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use log::debug;

use super::stations::Stations;
use crate::core::control::Control;
use crate::core::topology::{Answer, Topology};
use crate::netlink::message::Messages;
use crate::netlink::route::{self, Event, Lookup, Route, RouteChange, RouteKind, NETLINK_ROUTE};
use crate::netlink::socket::Socket;
use crate::netlink::Error;

const DOING: &str = "follow addresses and routes";

/// Where the stations are; followed only while there is offload, for it is told of each change of
/// their state.
const STATIONS: u32 = route::RTNLGRP_NEIGH;

/// What changes the way of a packet. Nexthop objects are not there before Linux 5.3.
const GROUPS: [u32; 7] = [
    route::RTNLGRP_IPV4_IFADDR,
    route::RTNLGRP_IPV6_IFADDR,
    route::RTNLGRP_IPV4_ROUTE,
    route::RTNLGRP_IPV6_ROUTE,
    route::RTNLGRP_IPV4_RULE,
    route::RTNLGRP_IPV6_RULE,
    route::RTNLGRP_NEXTHOP,
];

/// Questions to routing in one turn of the loop: some ten microseconds each, on a slow router a
/// tenth of a millisecond. Flows that have to wait are placed by the next list.
const QUESTIONS_PER_TURN: u32 = 64;

/// Datagrams of changes read in one turn. A full BGP table is a million of them, one for each route.
const DATAGRAMS_PER_TURN: u32 = 64;

/// Between two readings of all stations because the kernel's word of some was lost; meanwhile it
/// tells nothing, and a client that moves waits for its flows.
const STATIONS_PAUSE: Duration = Duration::from_secs(1);

/// The sockets.
#[derive(Debug)]
pub struct Surroundings {
    changes: Socket,
    stations: Socket,
    /// What was told of stations was lost: when they are to be read.
    stations_due: Option<Instant>,
    /// When they were read for that reason.
    stations_read: Option<Instant>,
    reading: Stations,
    questions: Socket,
    /// Questions that may still be asked in this turn.
    budget: u32,
    /// What the log was told last.
    told: String,
}

impl Surroundings {
    /// Opens the sockets.
    ///
    /// # Errors
    /// The process may not open them.
    pub fn open() -> Result<Surroundings, Error> {
        let open = || Socket::open(NETLINK_ROUTE, &[], DOING);
        Ok(Surroundings {
            changes: open()?,
            stations: open()?,
            stations_due: None,
            stations_read: None,
            reading: Stations::default(),
            questions: open()?,
            budget: 0,
            told: String::new(),
        })
    }

    /// The descriptors that are readable when something has changed, and when a station has.
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.changes.as_raw_fd(), self.stations.as_raw_fd()]
    }

    /// Gives back what is only needed while something is read.
    pub fn rest(&mut self) {
        for socket in [&mut self.changes, &mut self.stations, &mut self.questions] {
            socket.rest();
        }
    }

    /// Begins to follow changes, with a reading of what there is, or stops.
    pub fn follow(&mut self, wanted: bool, topology: &mut Topology) {
        for group in GROUPS {
            if let Err(error) = self.changes.set_membership(group, wanted, DOING) {
                debug!("{error}");
            }
        }
        if wanted {
            self.read_addresses(topology);
        }
    }

    /// Begins to follow where stations are, or stops.
    pub fn follow_stations(&mut self, wanted: bool) {
        self.stations_due = None;
        if let Err(error) = self.stations.set_membership(STATIONS, wanted, DOING) {
            self.tell(&error);
        }
    }

    /// Reads what is not told: devices as the control loop knows them, neighbours and stations, unless
    /// these took long a short time ago.
    pub fn refresh(&mut self, control: &Control, topology: &mut Topology, now: Instant) {
        let (links, devices, uplinks) = control.surroundings();
        topology.set_devices(links, devices, &uplinks);
        if self.reading.next(now) <= now {
            self.read_stations(topology, now);
        }
    }

    fn read_stations(&mut self, topology: &mut Topology, now: Instant) {
        if let Err(error) = self.reading.read(&mut self.questions, topology, now) {
            self.tell(&error);
        }
    }

    /// Takes over what has changed, up to the turn's budget; true when there may be more. What was
    /// lost is read again.
    pub fn on_changes(&mut self, topology: &mut Topology) -> bool {
        for _ in 0..DATAGRAMS_PER_TURN {
            match self.changes.receive(DOING) {
                Ok(Some(datagram)) => apply(datagram, topology),
                Ok(None) => return false,
                Err(error) => {
                    self.changes.discard_stale();
                    self.tell(&error);
                    self.read_addresses(topology);
                    topology.routes_changed(RouteChange::Any);
                    // What has come since then waits.
                    return matches!(error, Error::Overrun);
                }
            }
        }
        true
    }

    /// Takes over what has changed of stations, up to the turn's budget; true when there may be
    /// more. When some was lost all are read at [`Self::due`].
    pub fn on_stations(&mut self, topology: &mut Topology, now: Instant) -> bool {
        for _ in 0..DATAGRAMS_PER_TURN {
            match self.stations.receive(DOING) {
                Ok(Some(datagram)) => apply(datagram, topology),
                Ok(None) => return false,
                Err(error) => {
                    self.tell(&error);
                    self.follow_stations(false);
                    self.stations.discard_stale();
                    let pause = self.stations_read.map_or(now, |read| read + STATIONS_PAUSE);
                    self.stations_due = Some(self.reading.next(pause.max(now)));
                    return false;
                }
            }
        }
        true
    }

    /// When all stations are to be read.
    pub fn due(&self) -> Option<Instant> {
        self.stations_due
    }

    /// Reads all stations when that is due: those that have moved are found by where they were.
    pub fn on_timer(&mut self, topology: &mut Topology, now: Instant) {
        if self.stations_due.is_some_and(|due| due <= now) {
            self.stations_read = Some(now);
            // Told again before they are read, so that nothing happens in between.
            self.follow_stations(true);
            self.read_stations(topology, now);
        }
    }

    /// A turn of the loop begins.
    pub fn renew_budget(&mut self) {
        self.budget = QUESTIONS_PER_TURN;
    }

    /// Asks the kernel's routing, while the turn's budget lasts.
    pub fn ask(&mut self, lookup: &Lookup) -> Answer {
        let Some(budget) = self.budget.checked_sub(1) else { return Answer::NotAsked };
        self.budget = budget;
        let result = route::lookup(&mut self.questions, lookup);
        let answer = answer(&result);
        if let Err(error) = result {
            self.tell(&error);
            if answer == Answer::NotAsked {
                // Each further question might take its time to fail as well.
                self.budget = 0;
            }
        }
        answer
    }

    /// Asks the kernel's routing, whatever the turn's budget; `None` when it does not answer.
    pub fn route(&mut self, lookup: &Lookup) -> Option<Route> {
        route::lookup(&mut self.questions, lookup).map_err(|error| self.tell(&error)).ok()
    }

    fn read_addresses(&mut self, topology: &mut Topology) {
        match route::addresses(&mut self.questions) {
            Ok(list) => topology.set_addresses(list),
            Err(error) => self.tell(&error),
        }
    }

    /// Flows whose place is not known are no fault of the network, so this is for the curious.
    fn tell(&mut self, error: &Error) {
        let line = error.to_string();
        if line != self.told {
            debug!("{line}");
            self.told = line;
        }
    }
}

/// A look-up that failed on its way says nothing about the packet: the next list asks again.
fn answer(result: &Result<Route, Error>) -> Answer {
    match result {
        Ok(Route { kind: RouteKind::Unicast, output: Some(index), .. }) => Answer::Behind(*index),
        Ok(Route { kind: RouteKind::Local, .. }) => Answer::Router,
        Ok(_) | Err(Error::Refused(_)) => Answer::Nowhere,
        Err(_) => Answer::NotAsked,
    }
}

fn apply(datagram: &[u8], topology: &mut Topology) {
    for message in Messages::new(datagram).flatten() {
        match route::parse(&message) {
            Ok(Some(Event::Address(event))) => topology.address(event),
            Ok(Some(Event::Routes(change))) => topology.routes_changed(change),
            Ok(Some(Event::Neighbour(event))) => topology.neighbour(event),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_word_is_an_answer() {
        let route = |kind, output| Ok(Route { kind, output, gateway: None });
        assert_eq!(answer(&route(RouteKind::Unicast, Some(3))), Answer::Behind(3));
        assert_eq!(answer(&route(RouteKind::Unicast, None)), Answer::Nowhere);
        assert_eq!(answer(&route(RouteKind::Local, Some(1))), Answer::Router);
        for kind in [RouteKind::Broadcast, RouteKind::Multicast, RouteKind::Unreachable] {
            assert_eq!(answer(&route(kind, Some(3))), Answer::Nowhere);
        }
        assert_eq!(answer(&Err(Error::Timeout { doing: DOING })), Answer::NotAsked);
        assert_eq!(answer(&Err(Error::Overrun)), Answer::NotAsked);
    }
}
