// SPDX-License-Identifier: GPL-2.0-or-later
//! A connection as a driver is asked to take it into hardware: its tuples before and after
//! translation, and what a frame needs to leave on either side.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The protocols that tables of flows know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mac([a, b, c, d, e, g]) = self;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One direction of a connection, as its packets look on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// Source address and port.
    pub source: SocketAddr,
    /// Destination address and port.
    pub destination: SocketAddr,
}

impl Tuple {
    /// The direction back, without translation.
    pub const fn inverse(self) -> Tuple {
        Tuple { source: self.destination, destination: self.source }
    }
}

/// A PPPoE session that frames of a side are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pppoe {
    /// Session id, as in each frame.
    pub session: u16,
    /// The access concentrator.
    pub peer: Mac,
}

/// What is known about one end: how frames get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Side {
    /// Port of the switch, by its number on the chip; for an engine inside a SoC the port that
    /// its sheet counts.
    pub port: u8,
    /// VLAN that the port's frames are in inside the switch, 1 to 4094.
    pub vlan: u16,
    /// Frames leave the port with an 802.1Q tag.
    pub tagged: bool,
    /// The neighbour's MAC address; of the access concentrator where there is a session.
    pub neighbour: Mac,
    /// The router's MAC address on this side.
    pub router: Mac,
    /// Longest IP packet that may leave here, bytes.
    pub mtu: u16,
    /// The session that packets to this side go into.
    pub pppoe: Option<Pppoe>,
}

impl Side {
    /// Plain Ethernet: no tag, no session, packets of 1500 bytes.
    pub const fn ethernet(port: u8, vlan: u16, neighbour: Mac, router: Mac) -> Side {
        Side { port, vlan, tagged: false, neighbour, router, mtu: 1500, pppoe: None }
    }
}

/// A connection, both of its directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// Its protocol.
    pub protocol: Protocol,
    /// Packets of the end that opened it, as they come in.
    pub original: Tuple,
    /// Packets of the other end, as they come in; its inverse is what the original direction
    /// leaves as.
    pub reply: Tuple,
    /// Where the end is that opened it.
    pub opener: Side,
    /// Where the other end is.
    pub answerer: Side,
}

/// What translation does to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Translation {
    /// Nothing: it is routed.
    None,
    /// The source of the original direction is another one afterwards.
    Source,
    /// Its destination is.
    Destination,
    /// Both are.
    Both,
}

impl Flow {
    /// What translation does, by address or port.
    pub fn translation(&self) -> Translation {
        let leaves = self.reply.inverse();
        match (
            leaves.source == self.original.source,
            leaves.destination == self.original.destination,
        ) {
            (true, true) => Translation::None,
            (false, true) => Translation::Source,
            (true, false) => Translation::Destination,
            (false, false) => Translation::Both,
        }
    }

    /// True when all addresses are IPv4.
    pub fn is_v4(&self) -> bool {
        self.addresses().iter().all(IpAddr::is_ipv4)
    }

    /// True when all addresses are IPv6.
    pub fn is_v6(&self) -> bool {
        self.addresses().iter().all(IpAddr::is_ipv6)
    }

    fn addresses(&self) -> [IpAddr; 4] {
        let Flow { original, reply, .. } = self;
        [original.source, original.destination, reply.source, reply.destination]
            .map(|socket| socket.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(original: [&str; 2], reply: [&str; 2]) -> Flow {
        let tuple = |[source, destination]: [&str; 2]| Tuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        };
        let side = Side::ethernet(1, 1, Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let (original, reply) = (tuple(original), tuple(reply));
        Flow { protocol: Protocol::Tcp, original, reply, opener: side, answerer: side }
    }

    #[test]
    fn translation_is_what_the_tuples_say() {
        let out = ["192.168.1.2:40000", "203.0.113.9:443"];
        let translation = |reply| flow(out, reply).translation();
        assert_eq!(translation(["203.0.113.9:443", "192.168.1.2:40000"]), Translation::None);
        assert_eq!(translation(["203.0.113.9:443", "198.51.100.1:40000"]), Translation::Source);
        assert_eq!(translation(["203.0.113.9:443", "192.168.1.2:40001"]), Translation::Source);
        assert_eq!(translation(["10.0.0.9:443", "192.168.1.2:40000"]), Translation::Destination);
        assert_eq!(translation(["10.0.0.9:443", "192.168.1.1:9"]), Translation::Both);
    }

    #[test]
    fn families_are_of_all_addresses() {
        let six = flow(["[fd00::1]:1", "[fd00::2]:2"], ["[fd00::2]:2", "[fd00::1]:1"]);
        assert!(six.is_v6() && !six.is_v4());
        let mixed = flow(["192.168.1.2:1", "192.0.2.1:2"], ["[fd00::2]:2", "[fd00::1]:1"]);
        assert!(!mixed.is_v6() && !mixed.is_v4());
        assert_eq!(Mac([2, 0xab, 0, 0, 0, 1]).to_string(), "02:ab:00:00:00:01");
    }
}
