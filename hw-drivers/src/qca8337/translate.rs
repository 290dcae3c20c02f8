// SPDX-License-Identifier: GPL-2.0-or-later
//! From a connection to what the chip's tables have to hold for it, or the part that they cannot.

use super::napt::{Napt, FORWARD, TCP, UDP};
use super::private::Private;
use super::Options;
use crate::flow::{Flow, Mac, Protocol, Side, Translation};
use crate::table::{Error, Network, Part, Resource};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// What the gateway's host entry is found by. The next hop's own address is not known, and is not
/// needed, as a rule points to the entry. No host has this one (RFC 7600, 4.8).
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// Header of PPPoE and PPP, bytes.
const PPPOE_OVERHEAD: u16 = 8;

/// Smallest MTU of IPv4 (RFC 791) and largest that Linux' qca8k allows.
const MTU: std::ops::RangeInclusive<u16> = 68..=9000;

/// The networks around the chip, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The LAN.
    pub private: Private,
    /// The public addresses, by their index in the chip.
    pub public: Vec<Ipv4Addr>,
}

impl Surroundings {
    /// What the chip can be told of `network`.
    ///
    /// # Errors
    /// [`Error::NotExpressible`] or [`Error::Full`].
    pub fn new(model: super::Model, network: &Network) -> Result<Surroundings, Error> {
        let refused = |part| Err(Error::NotExpressible(part));
        let Some(private) = Private::new(model, network.private) else {
            return refused(Part::Address(network.private.0));
        };
        let mut public = Vec::new();
        for address in &network.public {
            if private.looks_private(*address) || !is_unicast(*address) {
                return refused(Part::PublicAddress(*address));
            }
            if !public.contains(address) {
                public.push(*address);
            }
        }
        if public.len() > usize::from(super::registers::PUBLICS) {
            return Err(Error::Full(Resource::PublicAddresses));
        }
        Ok(Surroundings { private, public })
    }

    fn public_index(&self, address: Ipv4Addr) -> Option<u8> {
        let index = self.public.iter().position(|public| *public == address)?;
        u8::try_from(index).ok()
    }
}

/// How frames get to a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Port, 0 to 6.
    pub port: u8,
    /// VLAN.
    pub vlan: u16,
    /// Frames leave the port with a tag.
    pub tagged: bool,
    /// The neighbour.
    pub mac: Mac,
    /// The router's own address in that VLAN.
    pub router: Mac,
    /// PPPoE session.
    pub session: Option<u16>,
}

impl Way {
    fn new(side: &Side) -> Way {
        let Side { port, vlan, tagged, neighbour, router, .. } = *side;
        let session = side.pppoe.map(|pppoe| pppoe.session);
        Way { port, vlan, tagged, mac: neighbour, router, session }
    }
}

/// What is to be in the tables for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The flow's entry; without a counter.
    pub napt: Napt,
    /// The way to the end in the LAN.
    pub inward: Way,
    /// The way to the gateway.
    pub outward: Way,
    /// The end in the LAN opened the connection.
    pub from_lan: bool,
}

/// Translates a flow.
///
/// # Errors
/// The part of it that the chip cannot express.
pub fn plan(flow: &Flow, around: &Surroundings, options: &Options) -> Result<Plan, Part> {
    let family = |socket| v4(socket).ok_or(Part::Family);
    let opener = family(flow.original.source)?;
    let target = family(flow.original.destination)?;
    let answerer = family(flow.reply.source)?;
    let answered = family(flow.reply.destination)?;
    // The ends as the LAN sees them, and the public address between them.
    let (private, public, remote, sides, from_lan) = match flow.translation() {
        Translation::Source => (opener, answered, target, [flow.opener, flow.answerer], true),
        Translation::Destination => (answerer, target, opener, [flow.answerer, flow.opener], false),
        other @ (Translation::None | Translation::Both) => return Err(Part::Translation(other)),
    };
    if !around.private.holds(*private.ip()) || *private.ip() == GATEWAY {
        return Err(Part::Address(*private.ip()));
    }
    let public_index =
        around.public_index(*public.ip()).ok_or(Part::PublicAddress(*public.ip()))?;
    // What looks private or is the router's own takes another path through the chip.
    let far = *remote.ip();
    if around.private.looks_private(far) || around.public.contains(&far) || !is_unicast(far) {
        return Err(Part::Address(far));
    }
    let [inner, outer] = sides;
    ways(&inner, &outer)?;
    let napt = Napt {
        remote: far,
        remote_port: remote.port(),
        private: *private.ip(),
        private_port: private.port(),
        public: public_index,
        public_port: public.port(),
        protocol: match flow.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        },
        action: FORWARD,
        counter: None,
        age: options.first_age,
    };
    Ok(Plan { napt, inward: Way::new(&inner), outward: Way::new(&outer), from_lan })
}

/// What is wrong with the sides.
fn ways(inner: &Side, outer: &Side) -> Result<(), Part> {
    for side in [inner, outer] {
        if side.port > 6 {
            return Err(Part::Port(side.port));
        }
        if !(1..=4094).contains(&side.vlan) {
            return Err(Part::Vlan(side.vlan));
        }
        if !may_be_sent_to(side.neighbour) || !may_be_sent_to(side.router) {
            return Err(Part::Neighbour);
        }
        if !MTU.contains(&side.mtu) {
            return Err(Part::Mtu(side.mtu));
        }
    }
    // The interface table tells the sides apart by VLAN, the rule towards the gateway by port.
    if inner.vlan == outer.vlan {
        return Err(Part::Vlan(outer.vlan));
    }
    if inner.port == outer.port {
        return Err(Part::Port(outer.port));
    }
    let overhead = match (inner.pppoe, outer.pppoe) {
        (Some(_), _) => return Err(Part::Pppoe),
        (None, None) => 0,
        // 0 is for discovery, 0xffff reserved (RFC 2516, 4).
        (None, Some(session)) if matches!(session.session, 0 | 0xffff) => return Err(Part::Pppoe),
        (None, Some(session)) if session.peer != outer.neighbour => return Err(Part::Pppoe),
        (None, Some(_)) => PPPOE_OVERHEAD,
    };
    // The chip sends what comes in; it neither cuts a packet nor tells the sender. That a LAN has
    // packets as long as the link under a session is left to the clamping of the segment size.
    if inner.mtu > outer.mtu.saturating_add(overhead) {
        return Err(Part::Mtu(outer.mtu));
    }
    if outer.mtu > inner.mtu {
        return Err(Part::Mtu(inner.mtu));
    }
    Ok(())
}

/// Whether it is the address of one station.
fn may_be_sent_to(Mac(bytes): Mac) -> bool {
    let [first, ..] = bytes;
    first & 1 == 0 && bytes != [0; 6]
}

/// Whether it can be the address of one host of another network.
fn is_unicast(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first != 127 && first < 224
}

fn v4(socket: SocketAddr) -> Option<SocketAddrV4> {
    match (socket.ip(), socket.port()) {
        (IpAddr::V4(ip), port) => Some(SocketAddrV4::new(ip, port)),
        (IpAddr::V6(_), _) => None,
    }
}

#[cfg(test)]
mod tests;
