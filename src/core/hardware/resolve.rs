// SPDX-License-Identifier: GPL-2.0-or-later
//! A connection as the ports of a switch see it: how frames get to each of its ends.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use hw_drivers::flow::{self, Pppoe, Protocol, Side, Tuple};
use hw_drivers::table::Network;

use super::Attachment;
use crate::core::flows::Flow;
use crate::core::settings::SwitchSettings;
use crate::core::topology::Topology;
use crate::netlink::conntrack::tuple::{self, IPPROTO_TCP, IPPROTO_UDP};
use crate::netlink::route::{Link, Lookup, Mac, Route, RouteKind};

/// Asks the kernel's routing; `None` when it did not answer.
pub type AskRoute<'a> = dyn FnMut(&Lookup) -> Option<Route> + 'a;

/// Networks of a LAN: larger ones than /8 are none, and in smaller ones than /30 nobody is.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=30;

/// A PPPoE session of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Name of the Ethernet device that it stands on.
    pub device: String,
    /// Its number and the access concentrator.
    pub pppoe: Pppoe,
}

/// What is missing for a connection to be put into a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// It is neither TCP nor UDP.
    Protocol,
    /// It is in a conntrack zone of its own, which a chip does not know.
    Zone,
    /// Nobody knows by which device an end is reached, or it is this router.
    End(IpAddr),
    /// Routing sends packets to an end elsewhere, or nowhere.
    Route(IpAddr),
    /// The MAC address of the next station is not known.
    Neighbour(IpAddr),
    /// A device stands for no port of the switch.
    Port(String),
    /// A device has no Ethernet address.
    Address(String),
    /// Ports of a bridge may send frames of this VLAN with a tag or without.
    BridgeVlan(String),
    /// The PPPoE session on a device is not known, or not the only one.
    Session(String),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unresolved::Protocol => f.write_str("neither TCP nor UDP"),
            Unresolved::Zone => f.write_str("in a conntrack zone of its own"),
            Unresolved::End(address) => write!(f, "{address} is behind no known device"),
            Unresolved::Route(address) => write!(f, "routing sends packets to {address} elsewhere"),
            Unresolved::Neighbour(address) => write!(f, "no MAC address known for {address}"),
            Unresolved::Port(device) => write!(f, "{device} is no port of the switch"),
            Unresolved::Address(device) => write!(f, "{device} has no Ethernet address"),
            Unresolved::BridgeVlan(device) => write!(f, "{device} is a VLAN of a bridge"),
            Unresolved::Session(device) => write!(f, "no single PPPoE session known on {device}"),
        }
    }
}

/// What is known about a switch's surroundings.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Its ports.
    pub switch: &'a SwitchSettings,
    /// The networks.
    pub topology: &'a Topology,
    /// All PPPoE sessions.
    pub sessions: &'a [Session],
}

/// An end of a connection.
#[derive(Debug, Clone, Copy)]
struct End<'a> {
    address: IpAddr,
    link: &'a Link,
}

impl<'a> Surroundings<'a> {
    /// The connection as the switch sees it. `devices` are the names of those by which routing reaches
    /// the end that opened it, and the one that answers.
    ///
    /// # Errors
    /// See [`Unresolved`].
    pub fn resolve(
        &self,
        flow: &Flow,
        devices: [Option<&str>; 2],
        ask: &mut AskRoute<'_>,
    ) -> Result<(flow::Flow, [Attachment; 2]), Unresolved> {
        let protocol = match flow.orig.protocol {
            IPPROTO_TCP => Protocol::Tcp,
            IPPROTO_UDP => Protocol::Udp,
            _ => return Err(Unresolved::Protocol),
        };
        if flow.zone != 0 {
            return Err(Unresolved::Zone);
        }
        let [opener, answerer] = devices;
        let opener = self.end(flow.orig.source(), opener)?;
        let answerer = self.end(flow.reply.source(), answerer)?;
        let (to_opener, near) = self.side(opener, answerer, flow.mark, ask)?;
        let (to_answerer, far) = self.side(answerer, opener, flow.mark, ask)?;
        let flow = flow::Flow {
            protocol,
            original: sockets(&flow.orig),
            reply: sockets(&flow.reply),
            opener: to_opener,
            answerer: to_answerer,
        };
        Ok((flow, [near, far]))
    }

    fn end(&self, address: IpAddr, device: Option<&str>) -> Result<End<'a>, Unresolved> {
        let link = device.and_then(|name| self.topology.links().named(name));
        Ok(End { address, link: link.ok_or(Unresolved::End(address))? })
    }

    /// How frames get to `end`, packets coming from `from`.
    fn side(
        &self,
        end: End<'_>,
        from: End<'_>,
        mark: u32,
        ask: &mut AskRoute<'_>,
    ) -> Result<(Side, Attachment), Unresolved> {
        let session = end.link.kind == "ppp";
        let (neighbour, pppoe) = match session {
            true => {
                let pppoe = self.session(end.link)?;
                (pppoe.peer, Some(pppoe))
            }
            false => (self.neighbour(end, from, mark, ask)?, None),
        };
        let station = Some(Mac::new(neighbour.0)).filter(|_| !session);
        let chain = self.topology.chain(end.link.index, station);
        let links: Vec<&Link> =
            chain.iter().filter_map(|name| self.topology.links().named(name)).collect();
        let port_of = |link: &Link| self.switch.ports.iter().find(|port| port.device == link.name);
        let found =
            links.iter().enumerate().rev().find_map(|(at, link)| Some((at, port_of(link)?)));
        let (at, port) = found.ok_or_else(|| Unresolved::Port(chain.join(" ")))?;
        let above = links.get(..=at).unwrap_or_default();
        let bridge = above.iter().position(|link| link.kind == "bridge");
        let tag = above.iter().position(|link| link.kind == "vlan");
        if let (Some(link), true) =
            (tag.and_then(|tag| above.get(tag)), bridge.is_some() && tag < bridge)
        {
            return Err(Unresolved::BridgeVlan(link.name.clone()));
        }
        let tag = tag.and_then(|tag| above.get(tag)?.vlan_id);
        // Frames of a session are those of the device below it.
        let sender = above.iter().find(|link| link.kind != "ppp").unwrap_or(&end.link);
        let router = sender.mac.ok_or_else(|| Unresolved::Address(sender.name.clone()))?;
        let side = Side {
            port: port.port,
            vlan: tag.unwrap_or(port.vlan),
            tagged: tag.is_some(),
            neighbour,
            router: flow::Mac(router.bytes()),
            mtu: u16::try_from(end.link.mtu).unwrap_or(u16::MAX),
            pppoe,
        };
        let port = links.get(at).map_or(end.link.index, |link| link.index);
        Ok((side, Attachment { routed: end.link.index, port }))
    }

    /// The MAC address of the next station on the way to `end`.
    fn neighbour(
        &self,
        end: End<'_>,
        from: End<'_>,
        mark: u32,
        ask: &mut AskRoute<'_>,
    ) -> Result<flow::Mac, Unresolved> {
        let End { address, link } = end;
        let next = if self.topology.on_link(address) == Some(link.index) {
            address
        } else {
            let input = Some(from.link.index);
            let lookup = Lookup { from: Some(from.address), to: address, input, mark };
            let route = ask(&lookup).ok_or(Unresolved::Route(address))?;
            if route.kind != RouteKind::Unicast || route.output != Some(link.index) {
                return Err(Unresolved::Route(address));
            }
            route.gateway.unwrap_or(address)
        };
        let mac = self.topology.neighbour_mac(next, link.index);
        mac.map(|mac| flow::Mac(mac.bytes())).ok_or(Unresolved::Neighbour(next))
    }

    fn session(&self, link: &Link) -> Result<Pppoe, Unresolved> {
        let unknown = || Unresolved::Session(link.name.clone());
        let lower = self.topology.session_lower(link.index).ok_or_else(unknown)?;
        let lower = self.topology.links().indexed(lower).ok_or_else(unknown)?;
        let mut on = self.sessions.iter().filter(|session| session.device == lower.name);
        match (on.next(), on.next()) {
            (Some(session), None) => Ok(session.pppoe),
            _ => Err(unknown()),
        }
    }

    /// The networks around the switch; `None` while there is no LAN or no public address.
    pub fn network(&self) -> Option<Network> {
        let above = self.above_ports();
        let mut private = self.switch.private;
        let mut public: Vec<Ipv4Addr> = Vec::new();
        for own in self.topology.addresses().filter(|own| above.contains(&own.index)) {
            let IpAddr::V4(address) = own.address else { continue };
            if self.topology.is_uplink(own.index) {
                public.push(address);
            } else if private.is_none() && PREFIXES.contains(&own.prefix) {
                let mask = u32::MAX << (32 - u32::from(own.prefix));
                private = Some((Ipv4Addr::from(u32::from(address) & mask), own.prefix));
            }
        }
        public.sort_unstable();
        public.dedup();
        Some(Network { private: private?, public }).filter(|network| !network.public.is_empty())
    }

    /// Indexes of the devices that stand for ports, and of those on top of them.
    fn above_ports(&self) -> Vec<u32> {
        let links = self.topology.links();
        let ports = self.switch.ports.iter();
        let mut above: Vec<u32> =
            ports.filter_map(|port| links.named(&port.device)).map(|link| link.index).collect();
        let mut next = 0;
        while let Some(index) = above.get(next).copied() {
            next += 1;
            let master = links.indexed(index).and_then(|link| link.master);
            let stands = |link: &&Link| {
                let lower = link.lower.filter(|_| !link.lower_elsewhere);
                lower == Some(index) || self.topology.session_lower(link.index) == Some(index)
            };
            let upper = links.iter().filter(stands).map(|link| link.index);
            let new: Vec<u32> = upper.chain(master).filter(|up| !above.contains(up)).collect();
            above.extend(new);
        }
        above
    }
}

fn sockets(tuple: &tuple::Tuple) -> Tuple {
    Tuple {
        source: (tuple.source(), tuple.source_port).into(),
        destination: (tuple.destination(), tuple.destination_port).into(),
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
pub(crate) mod tests;
