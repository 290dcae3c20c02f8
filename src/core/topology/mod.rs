// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the two ends of a flow are attached to this router.
//!
//! Conntrack names neither devices nor MAC addresses, so they are worked out from what rtnetlink
//! tells: own addresses and their prefixes, neighbours, the bridges' forwarding databases, and for
//! an end that none of these knows, a question to the kernel's routing, whose answer is kept until
//! routes or rules change.

mod addresses;
mod bridges;
pub mod moves;
mod neighbours;
mod routes;

use crate::core::device_names::DeviceNames;
use std::net::IpAddr;

use super::devices::Device;
use super::links::Links;
use crate::netlink::conntrack::entry::Entry;
use crate::netlink::route::{Address, AddressEvent, FdbEntry, Link, Lookup, Mac};
use crate::netlink::route::{Neighbour, NeighbourEvent, RouteChange, Station};
use addresses::Addresses;
use bridges::Bridges;
use moves::{Moves, Rerouted};
use neighbours::Neighbours;
use routes::Routes;

pub use bridges::STATIONS_MAX;

/// A chain of devices is never longer: VLAN on bridge on VLAN on port is four.
const CHAIN_MAX: usize = 8;

/// Where one end of a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Behind this device, the one that routing sees.
    Behind(u32),
    /// It is this router.
    Router,
    /// Nobody knows.
    Unknown,
    /// Routing has yet to be asked.
    NotAsked,
}

/// What the kernel's routing said about an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is behind this device.
    Behind(u32),
    /// It is this router: any address can be routed to itself, as transparent proxies do.
    Router,
    /// There is no way to it, or none to one station behind a device.
    Nowhere,
    /// It has not been asked, or did not answer; the flow is to be placed later.
    NotAsked,
}

/// Asks the kernel's routing.
pub type Ask<'a> = dyn FnMut(&Lookup) -> Answer + 'a;

/// The side of a flow that is a client of this router's own networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address, before translation.
    pub address: IpAddr,
    /// Its MAC address, when it is a neighbour.
    pub mac: Option<Mac>,
    /// It is the end that answers: a server of the LAN that was called from outside.
    pub answers: bool,
}

/// Where a flow's packets come in and go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The end that opened the connection.
    pub opener: Point,
    /// The end that answers.
    pub answerer: Point,
    /// The client that it is accounted to.
    pub client: Option<Client>,
}

/// What is known about the networks around this router.
#[derive(Debug, Default)]
pub struct Topology {
    links: Links,
    /// Devices of the zones that lead outside.
    uplinks: Vec<u32>,
    /// PPP devices with the Ethernet device of their session.
    sessions: Vec<(u32, u32)>,
    addresses: Addresses,
    neighbours: Neighbours,
    bridges: Bridges,
    routes: Routes,
    moves: Moves,
    rerouted: Rerouted,
    version: u32,
}

impl Topology {
    /// A number that changes whenever a flow could be found elsewhere than before.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Takes over the devices, and the names of those that lead outside.
    pub fn set_devices(&mut self, links: &Links, devices: &[Device], uplinks: &DeviceNames) {
        let index = |name: &str| links.named(name).map(|link| link.index);
        let uplinks = uplinks.iter().filter_map(|name| index(name)).collect();
        let sessions = links.iter().filter(|link| link.kind == "ppp");
        let sessions: Vec<(u32, u32)> = sessions
            .filter_map(|link| Some((link.index, index(&session_lower(devices, &link.name)?)?)))
            .collect();
        if self.links != *links || self.uplinks != uplinks || self.sessions != sessions {
            self.links = links.clone();
            self.neighbours.retain_devices(|index| links.indexed(index).is_some());
            self.uplinks = uplinks;
            self.sessions = sessions;
            self.changed();
        }
    }

    /// Takes over all addresses of the router.
    pub fn set_addresses(&mut self, list: Vec<Address>) {
        self.addresses.replace(list);
        self.changed();
    }

    /// An address came or went. Routes come and go with it.
    pub fn address(&mut self, event: AddressEvent) {
        if self.addresses.apply(event) {
            self.changed();
        }
    }

    /// Takes over the neighbours that the kernel has now.
    pub fn set_neighbours(&mut self, list: Vec<Neighbour>) {
        if self.neighbours.replace(list, &mut self.moves) {
            self.version = self.version.wrapping_add(1);
        }
    }

    /// Takes over the stations that bridges have now; `beyond` are those that are not in the list
    /// because it would be too long. Nobody has asked about those `unasked`, which are in order.
    pub fn set_stations(&mut self, list: Vec<FdbEntry>, beyond: u64, unasked: &[Station]) {
        let is_client = |mac| self.neighbours.are_at(mac);
        if self.bridges.replace(list, beyond, unasked, &is_client, &mut self.moves) {
            self.version = self.version.wrapping_add(1);
        }
    }

    /// Clients behind bridges that a list of stations leaves out, in order. Those that came by a
    /// bridge which filters VLANs and has none above it are among them once an event has told their
    /// VLAN.
    pub fn clients_beyond(&self, list: &[FdbEntry]) -> Vec<Station> {
        let mut listed: Vec<Station> = list.iter().filter_map(FdbEntry::station).collect();
        listed.sort_unstable();
        let is_client = |mac| self.neighbours.are_at(mac);
        let known = self.bridges.clients(&is_client);
        // A bridge that does not filter VLANs learns no VLAN of a station, whatever is above it.
        let behind = self.neighbours.macs().flat_map(|(index, mac)| {
            let bridge = self.bridge_below(index);
            let vlans =
                bridge.into_iter().flat_map(|(bridge, vlan)| [(bridge, vlan), (bridge, None)]);
            vlans.map(move |(bridge, vlan)| (mac, bridge, vlan))
        });
        let beyond = known.chain(behind).filter(|station| listed.binary_search(station).is_err());
        let mut beyond: Vec<Station> = beyond.collect();
        beyond.sort_unstable();
        beyond.dedup();
        beyond
    }

    /// The bridge under a device that routing sees, and the VLAN on it.
    fn bridge_below(&self, index: u32) -> Option<(u32, Option<u16>)> {
        let (mut link, mut vlan) = (self.links.indexed(index)?, None);
        for _ in 0..CHAIN_MAX {
            match link.kind.as_str() {
                "bridge" => return Some((link.index, vlan)),
                "vlan" if !link.lower_elsewhere => {
                    vlan = link.vlan_id.or(vlan);
                    link = self.links.indexed(link.lower?)?;
                }
                _ => return None,
            }
        }
        None
    }

    /// A neighbour or a station is there, or elsewhere. That one is gone shows with the next list.
    pub fn neighbour(&mut self, event: NeighbourEvent) {
        let moved = match event {
            NeighbourEvent::New(neighbour) => self.neighbours.learn(neighbour, &mut self.moves),
            NeighbourEvent::FdbNew(entry) => {
                let is_client = |mac| self.neighbours.are_at(mac);
                self.bridges.learn(entry, &is_client, &mut self.moves)
            }
            NeighbourEvent::Lost { .. } | NeighbourEvent::FdbGone(_) => false,
        };
        if moved {
            self.version = self.version.wrapping_add(1);
        }
    }

    /// Routes or rules changed.
    pub fn routes_changed(&mut self, change: RouteChange) {
        self.rerouted.note(change);
        self.changed();
    }

    /// What has moved since this was asked last.
    pub fn take_moves(&mut self) -> Moves {
        std::mem::take(&mut self.moves)
    }

    /// Whose packets may go other ways since [`Self::take_rerouted`].
    pub fn rerouted(&self) -> &Rerouted {
        &self.rerouted
    }

    /// Whose packets may go other ways since this was asked last.
    pub fn take_rerouted(&mut self) -> Rerouted {
        std::mem::take(&mut self.rerouted)
    }

    fn changed(&mut self) {
        self.routes.clear();
        self.version = self.version.wrapping_add(1);
    }

    /// Where the ends of a connection are.
    pub fn locate(&mut self, entry: &Entry, ask: &mut Ask<'_>) -> Location {
        let (from, to) = (entry.orig.source(), entry.reply.source());
        // A translated end was called by an address of the device that it came in by.
        let came_to = (entry.orig.destination() != to).then(|| entry.orig.destination());
        let left_as = (entry.reply.destination() != from).then(|| entry.reply.destination());
        let near = self.nearby(from, came_to);
        let answerer = match self.nearby(to, left_as) {
            Some(point) => point,
            None => self.routed(to, (from, near), entry.mark, ask),
        };
        let opener = match near {
            Some(point) => point,
            None => self.routed(from, (to, Some(answerer)), entry.mark, ask),
        };
        let client = self.client(from, opener, false).or_else(|| self.client(to, answerer, true));
        Location { opener, answerer, client }
    }

    /// Where an address is, as far as that can be told without routing.
    fn nearby(&self, address: IpAddr, translated: Option<IpAddr>) -> Option<Point> {
        if self.addresses.is_own(address) || address.is_loopback() {
            return Some(Point::Router);
        }
        let all = address.is_multicast() || self.addresses.is_broadcast(address);
        if all || address.is_unspecified() {
            return Some(Point::Unknown);
        }
        let neighbour = self.neighbours.device(address);
        neighbour
            .or_else(|| self.addresses.on_link(address))
            .or_else(|| self.addresses.device_of(translated?))
            .map(Point::Behind)
    }

    /// Where routing says that `to` is.
    fn routed(
        &mut self,
        to: IpAddr,
        (from, at): (IpAddr, Option<Point>),
        mark: u32,
        ask: &mut Ask<'_>,
    ) -> Point {
        // Only with the device that they come in by does routing take packets that are not ours.
        let lookup = match at {
            Some(Point::Behind(input)) => Lookup { from: Some(from), to, input: Some(input), mark },
            _ => Lookup { from: None, to, input: None, mark },
        };
        match self.routes.find(&lookup, ask) {
            Answer::Behind(index) => Point::Behind(index),
            Answer::Router => Point::Router,
            Answer::Nowhere => Point::Unknown,
            Answer::NotAsked => Point::NotAsked,
        }
    }

    fn client(&self, address: IpAddr, point: Point, answers: bool) -> Option<Client> {
        let Point::Behind(index) = point else { return None };
        if self.uplinks.contains(&index) {
            return None;
        }
        let mac = self.neighbours.mac(address, index);
        Some(Client { address, mac, answers })
    }

    /// Names of the devices from the one that routing sees down to the lowest that is known, by
    /// which packets of this client pass: a bridge's port is known by the client's MAC address.
    pub fn chain(&self, index: u32, mac: Option<Mac>) -> Vec<String> {
        let mut names = Vec::new();
        let mut vlan = None;
        let mut next = self.links.indexed(index);
        while let Some(link) = next.filter(|_| names.len() < CHAIN_MAX) {
            names.push(link.name.clone());
            next = self.below(link, mac, vlan);
            vlan = link.vlan_id.or(vlan);
        }
        names
    }

    fn below(&self, link: &Link, mac: Option<Mac>, vlan: Option<u16>) -> Option<&Link> {
        let index = match link.kind.as_str() {
            "vlan" if !link.lower_elsewhere => link.lower?,
            "bridge" => self.bridges.port(link.index, mac?, vlan)?,
            "ppp" => self.session_lower(link.index)?,
            _ => return None,
        };
        self.links.indexed(index)
    }

    /// The devices.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The device leads outside.
    pub fn is_uplink(&self, index: u32) -> bool {
        self.uplinks.contains(&index)
    }

    /// Addresses of the router.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter()
    }

    /// The device on whose link an address is.
    pub fn on_link(&self, address: IpAddr) -> Option<u32> {
        self.addresses.on_link(address)
    }

    /// The MAC address that a neighbour has, or had last.
    pub fn neighbour_mac(&self, address: IpAddr, index: u32) -> Option<Mac> {
        self.neighbours.mac(address, index)
    }

    /// The Ethernet device that a PPP device's session stands on.
    pub fn session_lower(&self, index: u32) -> Option<u32> {
        self.sessions.iter().find(|(upper, _)| *upper == index).map(|(_, lower)| *lower)
    }

    /// Neighbours, and stations behind bridges, for which there was no room at the last reading.
    pub fn left_out(&self) -> (u64, u64) {
        (self.neighbours.left_out, self.bridges.left_out)
    }
}

/// The device that a PPPoE session stands on: of those below it, the one with the fewest above.
fn session_lower(devices: &[Device], session: &str) -> Option<String> {
    let below = devices.iter().filter(|device| device.upper.iter().any(|name| name == session));
    below.min_by_key(|device| device.upper.len()).map(|device| device.name.clone())
}

#[cfg(test)]
#[path = "topology_tests.rs"]
pub(crate) mod tests;
