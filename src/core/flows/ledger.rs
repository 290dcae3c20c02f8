// SPDX-License-Identifier: GPL-2.0-or-later
//! Where flows belong and what they carried there: by state, by device and by client.
//!
//! Nothing here knows single flows; the table brings each with its place, which this found.

use litemap::LiteMap;

use super::account::Account;
use super::attachments::Attachments;
use super::hosts::Hosts;
use super::place::{End, Place};
use super::FlowState;
use crate::core::topology::{Ask, Point, Topology};
use crate::netlink::conntrack::entry::{Counters, Entry};
use crate::netlink::route::Mac;

/// Chains of devices kept by client: as many as there are clients, and their ways out.
const CHAINS_MAX: usize = 2048;

/// The sums, and what flows are placed by.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Sums by state.
    pub account: Account,
    /// Sums by chain of devices.
    pub attachments: Attachments,
    /// Sums by client.
    pub hosts: Hosts,
    /// What is known about the networks around.
    pub topology: Topology,
    /// The version of the topology that flows were placed by.
    placed_by: Option<u32>,
    /// Numbers of chains, by the device that routing sees and the client behind it.
    chains: LiteMap<(u32, Option<Mac>), Option<u16>>,
}

impl Ledger {
    /// A list begins; true when flows are to be placed anew.
    pub(super) fn begin(&mut self) -> bool {
        let version = self.topology.version();
        let replacing = self.placed_by.replace(version) != Some(version);
        if replacing {
            self.chains.clear();
        }
        replacing
    }

    /// Finds out where a connection's ends are; its client gets one more flow.
    pub(super) fn locate(&mut self, entry: &Entry, now_ms: u64, ask: &mut Ask<'_>) -> Place {
        let location = self.topology.locate(entry, ask);
        let client = location.client;
        let mac = |answers| client.filter(|client| client.answers == answers)?.mac;
        let opener = self.end(location.opener, mac(false));
        let answerer = self.end(location.answerer, mac(true));
        let host = client.and_then(|client| {
            let end = if client.answers { answerer } else { opener };
            let number = self.hosts.join(&client, end.attachment(), now_ms)?;
            Some((number, client.answers))
        });
        Place::new(opener, answerer, host)
    }

    /// Not every flow could be placed: the next list is to try again.
    pub(super) fn place_again(&mut self) {
        self.placed_by = None;
    }

    /// A flow with this place is gone, or has another place now.
    pub(super) fn leave(&mut self, place: Place) {
        if let Some(host) = place.host() {
            self.hosts.leave(host);
        }
    }

    /// Adds what the original and the reply direction have carried to all sums.
    pub(super) fn credit(
        &mut self,
        place: Place,
        state: FlowState,
        [orig, reply]: [Counters; 2],
        now_ms: u64,
    ) {
        self.account.add(state, orig.plus(reply));
        if let Some(number) = place.opener().attachment() {
            self.attachments.add(number, state, orig, reply);
        }
        if let Some(number) = place.answerer().attachment() {
            self.attachments.add(number, state, reply, orig);
        }
        if let Some(number) = place.host() {
            let ways = if place.host_answers() { (reply, orig) } else { (orig, reply) };
            self.hosts.add(number, state, ways, now_ms);
        }
    }

    fn end(&mut self, point: Point, mac: Option<Mac>) -> End {
        let index = match point {
            Point::Behind(index) => index,
            Point::Router => return End::Router,
            Point::Unknown => return End::Unknown,
            Point::NotAsked => return End::NotAsked,
        };
        if let Some(known) = self.chains.get(&(index, mac)) {
            return known.map_or(End::Unknown, End::Attached);
        }
        let number = self.attachments.number(self.topology.chain(index, mac));
        if self.chains.len() >= CHAINS_MAX {
            self.chains.clear();
        }
        self.chains.insert((index, mac), number);
        number.map_or(End::Unknown, End::Attached)
    }
}
