// SPDX-License-Identifier: GPL-2.0-or-later
//! Tuples: what identifies one direction of a connection, but for its zone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::walk::{self, Fault, Walk};
use crate::netlink::attribute::Writer;

const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_TUPLE_ZONE: u16 = 3;

const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;

const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTO_ICMP_ID: u16 = 4;
const CTA_PROTO_ICMP_TYPE: u16 = 5;
const CTA_PROTO_ICMP_CODE: u16 = 6;
const CTA_PROTO_ICMPV6_ID: u16 = 7;
const CTA_PROTO_ICMPV6_TYPE: u16 = 8;
const CTA_PROTO_ICMPV6_CODE: u16 = 9;

const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

/// Protocol number of ICMP.
pub const IPPROTO_ICMP: u8 = 1;
/// Protocol number of TCP.
pub const IPPROTO_TCP: u8 = 6;
/// Protocol number of UDP.
pub const IPPROTO_UDP: u8 = 17;
/// Protocol number of GRE.
pub const IPPROTO_GRE: u8 = 47;
/// Protocol number of ICMPv6.
pub const IPPROTO_ICMPV6: u8 = 58;

const NAMES: [(u8, &str); 9] = [
    (IPPROTO_TCP, "tcp"),
    (IPPROTO_UDP, "udp"),
    (IPPROTO_ICMP, "icmp"),
    (IPPROTO_ICMPV6, "icmpv6"),
    (IPPROTO_GRE, "gre"),
    (33, "dccp"),
    (50, "esp"),
    (132, "sctp"),
    (136, "udplite"),
];

/// Types of ICMP and ICMPv6 messages that conntrack follows, as question and answer.
const ICMP_PAIRS: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
const ICMPV6_PAIRS: [(u8, u8); 2] = [(128, 129), (139, 140)];

/// Address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The kernel's number (NFPROTO_*).
    pub(super) fn number(self) -> u8 {
        match self {
            Family::V4 => NFPROTO_IPV4,
            Family::V6 => NFPROTO_IPV6,
        }
    }
}

/// Source and destination, which always have the same family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// Sender.
        source: Ipv4Addr,
        /// Receiver.
        destination: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Sender.
        source: Ipv6Addr,
        /// Receiver.
        destination: Ipv6Addr,
    },
}

/// One direction of a connection. 38 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// Source and destination address.
    pub addresses: Addresses,
    /// Protocol above IP (IPPROTO_*).
    pub protocol: u8,
    /// Source port; key of GRE; identifier of ICMP; 0 for protocols with nothing of the kind.
    pub source_port: u16,
    /// Destination port; key of GRE; type (high byte) and code (low byte) of ICMP; or 0.
    pub destination_port: u16,
}

/// What ICMP and ICMPv6 have in place of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// Identifier, the same in question and answer.
    pub id: u16,
    /// Type of message.
    pub kind: u8,
    /// Code within the type.
    pub code: u8,
}

impl Tuple {
    /// A tuple of a protocol with ports; `None` when the addresses differ in family.
    pub fn new(protocol: u8, source: (IpAddr, u16), destination: (IpAddr, u16)) -> Option<Tuple> {
        let addresses = match (source.0, destination.0) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4 { source, destination },
            (IpAddr::V6(source), IpAddr::V6(destination)) => Addresses::V6 { source, destination },
            _ => return None,
        };
        let (source_port, destination_port) = (source.1, destination.1);
        Some(Tuple { addresses, protocol, source_port, destination_port })
    }

    /// A tuple of ICMP or ICMPv6, whichever belongs to the addresses.
    pub fn icmp_between(addresses: Addresses, icmp: Icmp) -> Tuple {
        let protocol = match addresses {
            Addresses::V4 { .. } => IPPROTO_ICMP,
            Addresses::V6 { .. } => IPPROTO_ICMPV6,
        };
        let destination_port = u16::from_be_bytes([icmp.kind, icmp.code]);
        Tuple { addresses, protocol, source_port: icmp.id, destination_port }
    }

    /// Address family.
    pub fn family(&self) -> Family {
        match self.addresses {
            Addresses::V4 { .. } => Family::V4,
            Addresses::V6 { .. } => Family::V6,
        }
    }

    /// Source address.
    pub fn source(&self) -> IpAddr {
        match self.addresses {
            Addresses::V4 { source, .. } => source.into(),
            Addresses::V6 { source, .. } => source.into(),
        }
    }

    /// Destination address.
    pub fn destination(&self) -> IpAddr {
        match self.addresses {
            Addresses::V4 { destination, .. } => destination.into(),
            Addresses::V6 { destination, .. } => destination.into(),
        }
    }

    /// Identifier, type and code; `None` for protocols other than ICMP and ICMPv6.
    pub fn icmp(&self) -> Option<Icmp> {
        let [kind, code] = self.destination_port.to_be_bytes();
        self.is_icmp().then_some(Icmp { id: self.source_port, kind, code })
    }

    fn is_icmp(&self) -> bool {
        matches!(self.protocol, IPPROTO_ICMP | IPPROTO_ICMPV6)
    }

    /// The other direction of a connection without address translation. A type of ICMP message
    /// that has no answer is kept.
    pub fn inverse(&self) -> Tuple {
        let addresses = match self.addresses {
            Addresses::V4 { source, destination } => {
                Addresses::V4 { source: destination, destination: source }
            }
            Addresses::V6 { source, destination } => {
                Addresses::V6 { source: destination, destination: source }
            }
        };
        let (source_port, destination_port) = match self.icmp() {
            Some(Icmp { id, kind, code }) => {
                (id, u16::from_be_bytes([answer_to(self.protocol, kind), code]))
            }
            None => (self.destination_port, self.source_port),
        };
        Tuple { addresses, protocol: self.protocol, source_port, destination_port }
    }

    /// Reads the inside of a tuple's nest; with it the zone, where only this direction has one.
    ///
    /// # Errors
    /// A length is wrong, or a part without which there is no tuple is missing.
    #[inline]
    pub(super) fn parse(nest: &[u8]) -> Result<(Tuple, Option<u16>), Fault> {
        match Tuple::parse_usual(nest) {
            Some(tuple) => Ok((tuple, None)),
            None => Tuple::parse_any(nest),
        }
    }

    /// With ports and without a zone, written as the kernel does: nearly all flows are that, and
    /// this takes a quarter of the time. The array's length makes all but one check of bounds void.
    #[inline(always)]
    fn parse_usual(nest: &[u8]) -> Option<Tuple> {
        if let Ok(nest) = <&[u8; 48]>::try_from(nest) {
            let mut walk = Walk::new(nest);
            walk.enter(CTA_TUPLE_IP, 16)?;
            let source = walk.exactly::<4>(CTA_IP_V4_SRC)?.into();
            let destination = walk.exactly::<4>(CTA_IP_V4_DST)?.into();
            return Tuple::parse_ports(walk, Addresses::V4 { source, destination });
        }
        let nest: &[u8; 72] = nest.try_into().ok()?;
        let mut walk = Walk::new(nest);
        walk.enter(CTA_TUPLE_IP, 40)?;
        let source = walk.exactly::<16>(CTA_IP_V6_SRC)?.into();
        let destination = walk.exactly::<16>(CTA_IP_V6_DST)?.into();
        Tuple::parse_ports(walk, Addresses::V6 { source, destination })
    }

    #[inline(always)]
    fn parse_ports(mut walk: Walk<'_>, addresses: Addresses) -> Option<Tuple> {
        walk.enter(CTA_TUPLE_PROTO, 24)?;
        let [protocol] = walk.exactly(CTA_PROTO_NUM)?;
        let source_port = u16::from_be_bytes(walk.exactly(CTA_PROTO_SRC_PORT)?);
        let destination_port = u16::from_be_bytes(walk.exactly(CTA_PROTO_DST_PORT)?);
        Some(Tuple { addresses, protocol, source_port, destination_port })
    }

    #[inline(never)]
    fn parse_any(nest: &[u8]) -> Result<(Tuple, Option<u16>), Fault> {
        let (mut addresses, mut ports, mut zone) = (None, None, None);
        let mut walk = Walk::new(nest);
        while let Some((kind, value)) = walk.attribute() {
            match kind {
                CTA_TUPLE_IP => addresses = parse_addresses(value)?,
                CTA_TUPLE_PROTO => ports = Some(Protocol::parse(value)?),
                CTA_TUPLE_ZONE => zone = Some(walk::u16_be(value)?),
                _ => (),
            }
        }
        walk.end()?;
        let (Some(addresses), Some(Protocol { number: Some(protocol), source, destination })) =
            (addresses, ports)
        else {
            return Err(Fault::Incomplete);
        };
        let destination_port = u16::from_be_bytes(destination);
        Ok((Tuple { addresses, protocol, source_port: source, destination_port }, zone))
    }

    /// Writes the tuple as a nest of this kind.
    pub(super) fn emit(&self, writer: &mut Writer, kind: u16) {
        writer.nest(kind, |tuple| {
            tuple.nest(CTA_TUPLE_IP, |ip| match self.addresses {
                Addresses::V4 { source, destination } => {
                    ip.bytes(CTA_IP_V4_SRC, &source.octets());
                    ip.bytes(CTA_IP_V4_DST, &destination.octets());
                }
                Addresses::V6 { source, destination } => {
                    ip.bytes(CTA_IP_V6_SRC, &source.octets());
                    ip.bytes(CTA_IP_V6_DST, &destination.octets());
                }
            });
            tuple.nest(CTA_TUPLE_PROTO, |proto| self.emit_protocol(proto));
        });
    }

    fn emit_protocol(&self, proto: &mut Writer) {
        proto.u8(CTA_PROTO_NUM, self.protocol);
        let numbers = match self.protocol {
            IPPROTO_ICMP => [CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE],
            IPPROTO_ICMPV6 => [CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE],
            // Protocols without ports ignore them.
            _ => {
                proto.u16_be(CTA_PROTO_SRC_PORT, self.source_port);
                proto.u16_be(CTA_PROTO_DST_PORT, self.destination_port);
                return;
            }
        };
        let [id, kind, code] = numbers;
        let [kind_value, code_value] = self.destination_port.to_be_bytes();
        proto.u16_be(id, self.source_port);
        proto.u8(kind, kind_value);
        proto.u8(code, code_value);
    }

    /// Name of the protocol; `None` for one that conntrack does not know by name.
    pub fn protocol_name(&self) -> Option<&'static str> {
        NAMES.iter().find(|(number, _)| *number == self.protocol).map(|(_, name)| *name)
    }
}

/// Number of the protocol of this name, as [`Tuple::protocol_name`] gives it.
pub fn protocol_named(name: &str) -> Option<u8> {
    NAMES.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
}

/// The type of the answer to a type of message, and the other way round.
fn answer_to(protocol: u8, kind: u8) -> u8 {
    let pairs: &[(u8, u8)] = if protocol == IPPROTO_ICMP { &ICMP_PAIRS } else { &ICMPV6_PAIRS };
    let found = pairs.iter().find_map(|&(question, answer)| match kind {
        kind if kind == question => Some(answer),
        kind if kind == answer => Some(question),
        _ => None,
    });
    found.unwrap_or(kind)
}

#[inline(always)]
fn parse_addresses(nest: &[u8]) -> Result<Option<Addresses>, Fault> {
    let (mut v4_source, mut v4_destination) = (None, None);
    let (mut v6_source, mut v6_destination) = (None, None);
    let mut walk = Walk::new(nest);
    while let Some((kind, value)) = walk.attribute() {
        match kind {
            CTA_IP_V4_SRC => v4_source = Some(walk::array::<4>(value)?),
            CTA_IP_V4_DST => v4_destination = Some(walk::array::<4>(value)?),
            CTA_IP_V6_SRC => v6_source = Some(walk::array::<16>(value)?),
            CTA_IP_V6_DST => v6_destination = Some(walk::array::<16>(value)?),
            _ => (),
        }
    }
    walk.end()?;
    if let (Some(source), Some(destination)) = (v4_source, v4_destination) {
        let (source, destination) = (source.into(), destination.into());
        return Ok(Some(Addresses::V4 { source, destination }));
    }
    if let (Some(source), Some(destination)) = (v6_source, v6_destination) {
        let (source, destination) = (source.into(), destination.into());
        return Ok(Some(Addresses::V6 { source, destination }));
    }
    Ok(None)
}

struct Protocol {
    number: Option<u8>,
    source: u16,
    destination: [u8; 2],
}

impl Protocol {
    #[inline(always)]
    fn parse(nest: &[u8]) -> Result<Protocol, Fault> {
        let mut protocol = Protocol { number: None, source: 0, destination: [0, 0] };
        let mut walk = Walk::new(nest);
        while let Some((kind, value)) = walk.attribute() {
            match kind {
                CTA_PROTO_NUM => protocol.number = Some(walk::byte(value)?),
                CTA_PROTO_SRC_PORT | CTA_PROTO_ICMP_ID | CTA_PROTO_ICMPV6_ID => {
                    protocol.source = walk::u16_be(value)?;
                }
                CTA_PROTO_DST_PORT => protocol.destination = walk::array(value)?,
                CTA_PROTO_ICMP_TYPE | CTA_PROTO_ICMPV6_TYPE => {
                    protocol.destination[0] = walk::byte(value)?;
                }
                CTA_PROTO_ICMP_CODE | CTA_PROTO_ICMPV6_CODE => {
                    protocol.destination[1] = walk::byte(value)?;
                }
                _ => (),
            }
        }
        walk.end()?;
        Ok(protocol)
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, destination) = (self.source(), self.destination());
        let ports = (self.source_port, self.destination_port);
        match self.family() {
            _ if self.is_icmp() || ports == (0, 0) => write!(f, "{source} -> {destination} ")?,
            Family::V4 => write!(f, "{source}:{} -> {destination}:{} ", ports.0, ports.1)?,
            Family::V6 => write!(f, "[{source}]:{} -> [{destination}]:{} ", ports.0, ports.1)?,
        }
        match self.protocol_name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "protocol {}", self.protocol)?,
        }
        match self.icmp() {
            Some(Icmp { id, kind, code }) => write!(f, " type {kind} code {code} id {id}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_tuple() -> impl Strategy<Value = Tuple> {
        let v4 = any::<([u8; 4], [u8; 4])>().prop_map(|(source, destination)| Addresses::V4 {
            source: source.into(),
            destination: destination.into(),
        });
        let v6 = any::<([u8; 16], [u8; 16])>().prop_map(|(source, destination)| Addresses::V6 {
            source: source.into(),
            destination: destination.into(),
        });
        let protocol = prop_oneof![
            Just(IPPROTO_TCP),
            Just(IPPROTO_UDP),
            Just(IPPROTO_ICMP),
            Just(IPPROTO_ICMPV6),
            any::<u8>()
        ];
        (prop_oneof![v4, v6], protocol, any::<(u16, u16)>()).prop_map(
            |(addresses, protocol, (source_port, destination_port))| Tuple {
                addresses,
                protocol,
                source_port,
                destination_port,
            },
        )
    }

    fn tuple(protocol: u8, source: (&str, u16), destination: (&str, u16)) -> Tuple {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        Tuple::new(protocol, (address(source.0), source.1), (address(destination.0), destination.1))
            .unwrap()
    }

    /// The nest that `emit` writes, without its header.
    fn emitted(tuple: &Tuple) -> Vec<u8> {
        let mut writer = Writer::new();
        tuple.emit(&mut writer, 1);
        writer.into_bytes().split_off(4)
    }

    #[test]
    fn printing() {
        let line = |tuple: Tuple| tuple.to_string();
        let v4 = tuple(IPPROTO_TCP, ("192.168.1.2", 5000), ("1.2.3.4", 80));
        assert_eq!(line(v4), "192.168.1.2:5000 -> 1.2.3.4:80 tcp");
        let v6 = tuple(IPPROTO_UDP, ("fd00::1", 5000), ("2001:db8::2", 53));
        assert_eq!(line(v6), "[fd00::1]:5000 -> [2001:db8::2]:53 udp");
        let esp = tuple(50, ("10.0.0.1", 0), ("10.0.0.2", 0));
        assert_eq!(line(esp), "10.0.0.1 -> 10.0.0.2 esp");
        assert_eq!(line(Tuple { protocol: 89, ..esp }), "10.0.0.1 -> 10.0.0.2 protocol 89");
        let ping = Tuple::icmp_between(v6.addresses, Icmp { id: 7, kind: 128, code: 0 });
        assert_eq!(line(ping), "fd00::1 -> 2001:db8::2 icmpv6 type 128 code 0 id 7");
    }

    #[test]
    fn the_other_direction() {
        let tcp = tuple(IPPROTO_TCP, ("192.168.1.2", 5000), ("1.2.3.4", 80));
        assert_eq!(tcp.inverse(), tuple(IPPROTO_TCP, ("1.2.3.4", 80), ("192.168.1.2", 5000)));
        let ping = Tuple::icmp_between(tcp.addresses, Icmp { id: 7, kind: 8, code: 0 });
        assert_eq!(ping.inverse().icmp(), Some(Icmp { id: 7, kind: 0, code: 0 }));
        assert_eq!(tcp.icmp(), None);
        let mixed = Tuple::new(6, (tcp.source(), 1), ("::1".parse().unwrap(), 1));
        assert_eq!(mixed, None);
    }

    #[test]
    fn parts_that_are_missing_are_an_error() {
        let complete = emitted(&tuple(IPPROTO_TCP, ("192.168.1.2", 5000), ("1.2.3.4", 80)));
        assert!(Tuple::parse(&complete).is_ok());
        // The addresses alone, the protocol alone.
        assert!(Tuple::parse(&complete[..20]).is_err());
        assert!(Tuple::parse(&complete[20..]).is_err());
        assert!(Tuple::parse(&[]).is_err());
    }

    #[test]
    fn zone_of_one_direction() {
        let tcp = tuple(IPPROTO_TCP, ("192.168.1.2", 5000), ("1.2.3.4", 80));
        let mut bytes = emitted(&tcp);
        assert_eq!(Tuple::parse(&bytes).unwrap(), (tcp, None));
        let mut zone = Writer::new();
        zone.u16_be(CTA_TUPLE_ZONE, 9);
        bytes.extend(zone.into_bytes());
        assert_eq!(Tuple::parse(&bytes).unwrap(), (tcp, Some(9)));
    }

    proptest! {
        #[test]
        fn survives_being_sent(tuple in any_tuple()) {
            prop_assert_eq!(Tuple::parse(&emitted(&tuple)).unwrap(), (tuple, None));
        }

        /// What is read the short way is what the walk reads, whatever one byte becomes.
        #[test]
        fn the_short_way_leads_to_the_same(
            tuple in any_tuple(),
            place in 0usize..72,
            byte in prop_oneof![0u8..12, any::<u8>()],
        ) {
            let mut bytes = emitted(&tuple);
            let ports = matches!(tuple.protocol, IPPROTO_TCP | IPPROTO_UDP);
            prop_assert!(Tuple::parse_usual(&bytes).is_some() || !ports);
            if let Some(changed) = bytes.get_mut(place) {
                *changed = byte;
            }
            if let Some(usual) = Tuple::parse_usual(&bytes) {
                prop_assert_eq!(Tuple::parse_any(&bytes).unwrap(), (usual, None));
            }
        }

        #[test]
        fn inverse_twice_is_the_same(tuple in any_tuple()) {
            prop_assert_eq!(tuple.inverse().inverse(), tuple);
        }

        #[test]
        fn arbitrary_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Tuple::parse(&bytes).map(|(tuple, _)| tuple.to_string());
        }
    }
}
