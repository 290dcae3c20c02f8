// SPDX-License-Identifier: GPL-2.0-or-later
//! A rule of the classifier, and the patterns that it becomes.

use crate::flow::Mac;
use std::fmt;
use std::net::Ipv4Addr;

use super::registers::PORTS;

/// Protocol numbers that have ports where the chip looks for them.
const WITH_PORTS: [u8; 2] = [6, 17];

/// Steps of 64 kbit/s that make 1 Gbit/s, more than which no port carries.
pub const MAX_RATE: u16 = 15_625;

/// Offset base of the MAC header, of the IP header, and of the TCP or UDP header.
const MAC_HEADER: u8 = 0;
const IP_HEADER: u8 = 2;
const L4_HEADER: u8 = 4;

/// Types of frames that may hold IPv4: itself, a PPPoE session, and tags.
const MAY_BE_V4: [u16; 4] = [0x0800, 0x8864, 0x8100, 0x88a8];

/// Which frames a rule is about: all that are named must be so.
///
/// An address asks that the packet is IPv4, by the version in its header; a port asks besides that
/// it is not a later fragment, which has no ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Match {
    /// Ports that the frame comes in by, a bit each: 0 to 4 the sockets, 6 the processor.
    pub ports: u8,
    /// Source MAC address.
    pub source_mac: Option<Mac>,
    /// Destination MAC address.
    pub destination_mac: Option<Mac>,
    /// The frame's type. What counts as it in tagged frames is UNVERIFIED.
    pub ether_type: Option<u16>,
    /// Source IPv4 network, with the length of its prefix.
    pub source: Option<(Ipv4Addr, u8)>,
    /// Destination IPv4 network.
    pub destination: Option<(Ipv4Addr, u8)>,
    /// Protocol of the IPv4 packet.
    pub protocol: Option<u8>,
    /// Source port; TCP or UDP only.
    pub source_port: Option<u16>,
    /// Destination port.
    pub destination_port: Option<u16>,
}

impl Match {
    /// Every frame of these ports; at least one field more is to be named.
    pub const fn on(ports: u8) -> Match {
        Match {
            ports,
            source_mac: None,
            destination_mac: None,
            ether_type: None,
            source: None,
            destination: None,
            protocol: None,
            source_port: None,
            destination_port: None,
        }
    }
}

/// What is done to frames that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// They go nowhere.
    Drop,
    /// Their user priority, 0 to 7.
    Priority(u8),
    /// All of them together get this rate at most, in steps of 64 kbit/s, 1 to [`MAX_RATE`].
    Rate(u16),
    /// They go to the processor only. The code is known by analogy with other registers, not from
    /// a public source, so it has to be allowed ([`super::Settings::trap`]).
    ToCpu,
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The frames.
    pub what: Match,
    /// What is done to them.
    pub action: Action,
}

/// Why the chip cannot express a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inexpressible {
    /// It is for no port.
    NoPort,
    /// This port is not there, or not one of those that are classified.
    Port(u8),
    /// It names nothing besides ports: a rule without a pattern is none.
    Everything,
    /// It names TCP or UDP ports, but neither protocol.
    PortsWithoutProtocol,
    /// A prefix of this length, above 32 bits.
    Prefix(u8),
    /// It names IPv4 fields and a type of frame that is none.
    Family(u16),
    /// This priority, above 7.
    Priority(u8),
    /// This rate: zero or above [`MAX_RATE`].
    Rate(u16),
    /// Frames to the processor, which has not been allowed.
    ToCpu,
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inexpressible::NoPort => write!(f, "no port"),
            Inexpressible::Port(port) => write!(f, "port {port}"),
            Inexpressible::Everything => write!(f, "every frame of a port"),
            Inexpressible::PortsWithoutProtocol => write!(f, "ports of neither TCP nor UDP"),
            Inexpressible::Prefix(length) => write!(f, "a prefix of {length} bits"),
            Inexpressible::Family(kind) => write!(f, "IPv4 in frames of type {kind:#06x}"),
            Inexpressible::Priority(priority) => write!(f, "priority {priority}"),
            Inexpressible::Rate(steps) => write!(f, "a rate of {steps} times 64 kbit/s"),
            Inexpressible::ToCpu => write!(f, "frames to the processor"),
        }
    }
}

/// One 16-bit word of the frame compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern {
    base: u8,
    word: u8,
    mask: u16,
    value: u16,
    ports: u8,
}

impl Pattern {
    /// The entry: what to compare, and where.
    pub(super) fn words(self) -> [u32; 2] {
        let compare = u32::from(self.mask) << 16 | u32::from(self.value & self.mask);
        let place = u32::from(self.base & 7) << 16 | u32::from(self.word & 0x7f) << 1;
        [compare, 1 << 19 | place | u32::from(self.ports) << 8]
    }

    /// No frame can match both.
    fn excludes(self, other: Pattern) -> bool {
        (self.base, self.word) == (other.base, other.word)
            && (self.value ^ other.value) & self.mask & other.mask != 0
    }
}

impl Match {
    /// IPv4 is asked for.
    fn is_v4(&self) -> bool {
        self.source.is_some() || self.destination.is_some() || self.protocol.is_some()
    }

    /// Its patterns, at most 16.
    ///
    /// # Errors
    /// What the chip cannot express.
    pub(super) fn patterns(&self, classified: u8) -> Result<Vec<Pattern>, Inexpressible> {
        if self.ports == 0 {
            return Err(Inexpressible::NoPort);
        }
        if let Some(port) = (0..8).find(|port| (self.ports & !classified) >> port & 1 != 0) {
            return Err(Inexpressible::Port(port));
        }
        let (mut all, ports) = (Vec::with_capacity(16), self.ports);
        let mut ask = |base, word, mask, value| {
            if mask != 0 {
                all.push(Pattern { base, word, mask, value, ports });
            }
        };
        for (mac, first) in [(self.destination_mac, 0), (self.source_mac, 3)] {
            if let Some(Mac([a, b, c, d, e, g])) = mac {
                for (word, pair) in (first..).zip([[a, b], [c, d], [e, g]]) {
                    ask(MAC_HEADER, word, 0xffff, u16::from_be_bytes(pair));
                }
            }
        }
        if let Some(kind) = self.ether_type {
            ask(MAC_HEADER, 6, 0xffff, kind);
        }
        let has_ports = self.source_port.is_some() || self.destination_port.is_some();
        if has_ports && !self.protocol.is_some_and(|protocol| WITH_PORTS.contains(&protocol)) {
            return Err(Inexpressible::PortsWithoutProtocol);
        }
        if self.is_v4() {
            if let Some(kind) = self.ether_type.filter(|kind| !MAY_BE_V4.contains(kind)) {
                return Err(Inexpressible::Family(kind));
            }
            // What base 2 is in a frame without IP is UNVERIFIED, in IPv6 it is certain to mislead.
            ask(IP_HEADER, 0, 0xf000, 0x4000);
        }
        if let Some(protocol) = self.protocol {
            ask(IP_HEADER, 4, 0x00ff, u16::from(protocol));
        }
        for (network, first) in [(self.source, 6), (self.destination, 8)] {
            if let Some((address, length)) = network {
                let mask = prefix_mask(length).ok_or(Inexpressible::Prefix(length))?;
                let ([mask_high, mask_low], [high, low]) =
                    (halves(mask), halves(u32::from(address)));
                ask(IP_HEADER, first, mask_high, high);
                ask(IP_HEADER, first + 1, mask_low, low);
            }
        }
        if has_ports {
            ask(IP_HEADER, 3, 0x1fff, 0);
        }
        for (port, word) in [(self.source_port, 0), (self.destination_port, 1)] {
            if let Some(port) = port {
                ask(L4_HEADER, word, 0xffff, port);
            }
        }
        if all.is_empty() {
            return Err(Inexpressible::Everything);
        }
        Ok(all)
    }
}

impl Rule {
    /// Its patterns, once the action is one that the chip has.
    ///
    /// # Errors
    /// What the chip cannot express.
    pub(super) fn patterns(
        &self,
        classified: u8,
        trap: bool,
    ) -> Result<Vec<Pattern>, Inexpressible> {
        match self.action {
            Action::Priority(priority) if priority > 7 => Err(Inexpressible::Priority(priority)),
            Action::Rate(steps) if steps == 0 || steps > MAX_RATE => {
                Err(Inexpressible::Rate(steps))
            }
            Action::ToCpu if !trap => Err(Inexpressible::ToCpu),
            _ => self.what.patterns(classified),
        }
    }

    /// Whether a frame may match both rules, and it matters which one counts. Which of them does
    /// is UNVERIFIED.
    pub(super) fn conflicts(&self, patterns: &[Pattern], other: &Rule, others: &[Pattern]) -> bool {
        let foreign = |rule: &Rule, v4: &Rule| {
            let kind = rule.what.ether_type.is_some_and(|kind| !MAY_BE_V4.contains(&kind));
            kind && v4.what.is_v4()
        };
        let apart = self.what.ports & other.what.ports == 0
            || foreign(self, other)
            || foreign(other, self)
            || patterns.iter().any(|one| others.iter().any(|two| one.excludes(*two)));
        let same = self.action == other.action && !matches!(self.action, Action::Rate(_));
        !apart && !same
    }

    /// First word of the action table.
    pub(super) fn action_word(&self) -> u32 {
        match self.action {
            Action::Drop => 7,
            Action::Priority(priority) => u32::from(priority & 7) << 4,
            Action::Rate(_) => 0,
            Action::ToCpu => 6,
        }
    }

    /// First word of the table of rate limiters.
    pub(super) fn rate_word(&self) -> u32 {
        match self.action {
            Action::Rate(steps) => 1 << 15 | u32::from(steps & 0x7fff),
            _ => 0,
        }
    }
}

/// All ports that the chip has.
pub const ALL_PORTS: u8 = (1 << PORTS) - 1;

fn prefix_mask(length: u8) -> Option<u32> {
    match length {
        0 => Some(0),
        1..=32 => Some(u32::MAX << (32 - u32::from(length))),
        _ => None,
    }
}

fn halves(value: u32) -> [u16; 2] {
    let [a, b, c, d] = value.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(what: Match) -> Vec<[u32; 2]> {
        let patterns = what.patterns(ALL_PORTS).unwrap();
        patterns.into_iter().map(Pattern::words).collect()
    }

    /// The vendor tool's example: destination 192.168.1.2 on ports 0 to 4; the version is ours.
    #[test]
    fn vendors_example() {
        let destination = Some((Ipv4Addr::new(192, 168, 1, 2), 32));
        let expected =
            [[0xf000_4000, 0x000a_1f00], [0xffff_c0a8, 0x000a_1f10], [0xffff_0102, 0x000a_1f12]];
        assert_eq!(words(Match { destination, ..Match::on(0x1f) }), expected);
    }

    /// 7 patterns of its own, and version and fragment, which it has in common with others.
    #[test]
    fn a_connection_takes_nine_patterns() {
        let what = Match {
            source: Some((Ipv4Addr::new(10, 0, 0, 1), 32)),
            destination: Some((Ipv4Addr::new(10, 0, 0, 2), 32)),
            protocol: Some(6),
            source_port: Some(1),
            destination_port: Some(2),
            ..Match::on(1)
        };
        let places: Vec<_> = words(what).iter().map(|[_, place]| place & 0x700fe).collect();
        let place = |base: u32, word: u32| base << 16 | word << 1;
        let ip = [0, 4, 6, 7, 8, 9, 3].map(|word| place(2, word));
        assert_eq!(places, [&ip[..], &[place(4, 0), place(4, 1)]].concat());
    }

    #[test]
    fn a_short_prefix_takes_one_pattern() {
        let source =
            |length| Match { source: Some((Ipv4Addr::new(10, 1, 2, 3), length)), ..Match::on(1) };
        assert_eq!(words(source(12))[1..], [[0xfff0_0a00, 0x000a_010c]]);
        assert_eq!(words(source(17))[1..], [[0xffff_0a01, 0xa010c], [0x8000_0000, 0xa010e]]);
        assert_eq!(source(33).patterns(1), Err(Inexpressible::Prefix(33)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |what: Match| what.patterns(0x5f).unwrap_err();
        let on = Match::on;
        assert_eq!(refused(on(0)), Inexpressible::NoPort);
        assert_eq!(refused(on(0x20)), Inexpressible::Port(5));
        assert_eq!(refused(on(0x80)), Inexpressible::Port(7));
        assert_eq!(refused(on(1)), Inexpressible::Everything);
        let port = Match { source_port: Some(53), protocol: Some(1), ..on(1) };
        assert_eq!(refused(port), Inexpressible::PortsWithoutProtocol);
        let six = Match { ether_type: Some(0x86dd), protocol: Some(6), ..on(1) };
        assert_eq!(refused(six), Inexpressible::Family(0x86dd));
        let what = Match { protocol: Some(6), ..on(1) };
        let refused = |action| Rule { what, action }.patterns(1, false).err();
        assert_eq!(refused(Action::Priority(8)), Some(Inexpressible::Priority(8)));
        assert_eq!(refused(Action::Rate(0)), Some(Inexpressible::Rate(0)));
        assert_eq!(refused(Action::Rate(MAX_RATE + 1)), Some(Inexpressible::Rate(MAX_RATE + 1)));
        assert_eq!(refused(Action::ToCpu), Some(Inexpressible::ToCpu));
        assert_eq!(refused(Action::Rate(MAX_RATE)), None);
    }

    #[test]
    fn only_rules_that_can_meet_conflict() {
        let rule = |ports, protocol, action| Rule {
            what: Match { protocol: Some(protocol), ..Match::on(ports) },
            action,
        };
        let conflict = |one: Rule, two: Rule| {
            let of = |rule: &Rule| rule.what.patterns(ALL_PORTS).unwrap();
            one.conflicts(&of(&one), &two, &of(&two))
        };
        let tcp = rule(3, 6, Action::Drop);
        assert!(!conflict(tcp, rule(3, 17, Action::Priority(1))), "another protocol");
        assert!(!conflict(tcp, rule(4, 6, Action::Priority(1))), "another port");
        assert!(!conflict(tcp, rule(2, 6, Action::Drop)), "the same is done");
        assert!(conflict(tcp, rule(2, 6, Action::Priority(1))));
        assert!(conflict(rule(1, 6, Action::Rate(1)), rule(1, 6, Action::Rate(1))));
        let arp = Match { ether_type: Some(0x0806), ..Match::on(3) };
        let arp = Rule { what: arp, action: Action::Priority(1) };
        assert!(!conflict(tcp, arp) && !conflict(arp, tcp), "ARP is not TCP");
    }
}
