// SPDX-License-Identifier: GPL-2.0-or-later
//! Ethernet frames as tests send them into a chip and find them behind it: VLAN tags, a PPPoE
//! session header, IPv4 or IPv6, TCP or UDP.
//!
//! Only what decides about forwarding, or is rewritten by it, is kept. The rest (identification,
//! sequence numbers, priorities) is written with fixed values and not looked at, so that two frames
//! are equal exactly when a chip has treated them in the same way.

use hw_drivers::flow::{Mac, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;
const ETHERTYPE_PPPOE_SESSION: u16 = 0x8864;
/// Version 1, type 1, code 0: session data (RFC 2516, section 4).
const PPPOE_DATA: u16 = 0x1100;
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
const PROTOCOL_HOP_BY_HOP: u8 = 0;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_FRAGMENT: u8 = 44;
/// Tags that a frame may carry: two (802.1ad) are in use, one more shows a chip's limits.
const MAX_TAGS: usize = 3;
const IPV4_DONT_FRAGMENT: u16 = 0x4000;
const IPV4_MORE_FRAGMENTS: u16 = 0x2000;
/// Router Alert (RFC 2113), the option that a router has to look at.
const IPV4_OPTIONS: [u8; 4] = [0x94, 4, 0, 0];
/// Hop-by-hop options without next header: six bytes of padding (RFC 8200, section 4.2).
const IPV6_OPTIONS: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];

/// A frame, without its FCS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// To whom.
    pub destination: Mac,
    /// From whom.
    pub source: Mac,
    /// VLAN ids of its 802.1Q tags, outermost first. All are written with the type 0x8100.
    pub tags: Vec<u16>,
    /// The PPPoE session that it is in.
    pub pppoe: Option<u16>,
    /// What it carries.
    pub packet: Packet,
}

/// An IP packet with TCP or UDP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Packet {
    /// What is above IP.
    pub protocol: Protocol,
    /// Source address and port. Where one address is IPv4 and the other IPv6, the packet is
    /// written as IPv6 with an IPv4-mapped address.
    pub source: SocketAddr,
    /// Destination address and port.
    pub destination: SocketAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Of TCP; of UDP none is set.
    pub flags: TcpFlags,
    /// It is the first fragment of a greater packet.
    pub fragment: bool,
    /// It has IPv4 options or an IPv6 hop-by-hop header.
    pub options: bool,
    /// UDP over IPv4 without a checksum (RFC 768); false for all others.
    pub unchecked: bool,
    /// Behind the ports.
    pub payload: Vec<u8>,
}

/// Flags of TCP that tables of flows care about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags {
    /// It opens a connection.
    pub syn: bool,
    /// It closes one.
    pub fin: bool,
    /// It breaks one off.
    pub rst: bool,
    /// It acknowledges.
    pub ack: bool,
}

/// The beginning of any frame, whatever it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// To whom.
    pub destination: Mac,
    /// From whom.
    pub source: Mac,
    /// VLAN ids of its tags, outermost first, also of those with the type 0x88a8.
    pub tags: Vec<u16>,
    /// The type behind the tags.
    pub ethertype: u16,
    /// Where the bytes behind that type begin.
    pub payload: usize,
}

impl Link {
    /// The beginning of a frame; `None` if it ends within, or has more tags than three.
    pub fn parse(bytes: &[u8]) -> Option<Link> {
        let mut reader = Reader(bytes);
        let (destination, source) = (Mac(reader.take()?), Mac(reader.take()?));
        let mut tags = Vec::new();
        let mut ethertype = reader.u16()?;
        while matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN) {
            if tags.len() >= MAX_TAGS {
                return None;
            }
            tags.push(reader.u16()? & 0xfff);
            ethertype = reader.u16()?;
        }
        let payload = bytes.len().checked_sub(reader.0.len())?;
        Some(Link { destination, source, tags, ethertype, payload })
    }
}

impl Frame {
    /// A frame with TCP or UDP and right checksums; `None` for all other bytes. What follows the
    /// IP packet (the padding of short frames) does not matter. Later fragments have no ports and
    /// are `None` as well.
    pub fn parse(bytes: &[u8]) -> Option<Frame> {
        let (frame, right) = Frame::dissect(bytes)?;
        right.then_some(frame)
    }

    /// Whether all checksums are right; false for bytes that are no such frame at all.
    pub fn checksums_ok(bytes: &[u8]) -> bool {
        Frame::dissect(bytes).is_some_and(|(_, right)| right)
    }

    fn dissect(bytes: &[u8]) -> Option<(Frame, bool)> {
        let Link { destination, source, tags, ethertype, payload } = Link::parse(bytes)?;
        let mut reader = Reader(bytes.get(payload..)?);
        let (pppoe, v6) = match ethertype {
            ETHERTYPE_IPV4 => (None, false),
            ETHERTYPE_IPV6 => (None, true),
            ETHERTYPE_PPPOE_SESSION => {
                let (code, session, length) = (reader.u16()?, reader.u16()?, reader.u16()?);
                reader = Reader(reader.0.get(..usize::from(length))?);
                match (code, reader.u16()?) {
                    (PPPOE_DATA, PPP_IPV4) => (Some(session), false),
                    (PPPOE_DATA, PPP_IPV6) => (Some(session), true),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let (packet, right) =
            if v6 { Packet::parse_v6(reader.0)? } else { Packet::parse_v4(reader.0)? };
        Some((Frame { destination, source, tags, pppoe, packet }, right))
    }

    /// The frame's bytes, checksums computed. It is not padded to the least length of Ethernet.
    /// A payload above what the length fields can say is cut.
    pub fn emit(&self) -> Vec<u8> {
        let packet = self.packet.emit();
        let mut bytes = Vec::with_capacity(packet.len().saturating_add(40));
        bytes.extend(self.destination.0);
        bytes.extend(self.source.0);
        for tag in &self.tags {
            bytes.extend(ETHERTYPE_VLAN.to_be_bytes());
            bytes.extend((tag & 0xfff).to_be_bytes());
        }
        let v6 = self.packet.is_v6();
        match self.pppoe {
            Some(session) => {
                let length = u16::try_from(packet.len().saturating_add(2)).unwrap_or(u16::MAX);
                let protocol = if v6 { PPP_IPV6 } else { PPP_IPV4 };
                for word in [ETHERTYPE_PPPOE_SESSION, PPPOE_DATA, session, length, protocol] {
                    bytes.extend(word.to_be_bytes());
                }
            }
            None => bytes.extend(if v6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 }.to_be_bytes()),
        }
        bytes.extend(packet);
        bytes
    }
}

impl Packet {
    /// Bytes of payload that fit every header in front of them, PPPoE's length included.
    const MAX_PAYLOAD: usize = 65_535 - 2 - 40 - 8 - 8 - 20;

    /// A packet as most are: TTL 64, TCP with ACK alone, a little payload.
    pub fn new(protocol: Protocol, source: SocketAddr, destination: SocketAddr) -> Packet {
        Packet {
            protocol,
            source,
            destination,
            ttl: 64,
            flags: TcpFlags { ack: protocol == Protocol::Tcp, ..TcpFlags::default() },
            fragment: false,
            options: false,
            unchecked: false,
            payload: b"payload".to_vec(),
        }
    }

    /// Whether it is IPv6.
    pub fn is_v6(&self) -> bool {
        self.source.is_ipv6() || self.destination.is_ipv6()
    }

    /// Bytes of the IP packet, as an MTU counts them.
    pub fn length(&self) -> usize {
        self.emit().len()
    }

    fn parse_v4(bytes: &[u8]) -> Option<(Packet, bool)> {
        let mut reader = Reader(bytes);
        let [first, _] = reader.take()?;
        let length = usize::from(reader.u16()?);
        let (_identification, cut) = (reader.u16()?, reader.u16()?);
        let ([ttl, protocol], _checksum) = (reader.take()?, reader.u16()?);
        let source = Ipv4Addr::from(reader.take::<4>()?);
        let destination = Ipv4Addr::from(reader.take::<4>()?);
        let header = usize::from(first & 0xf).checked_mul(4).filter(|length| *length >= 20)?;
        // Behind the first fragment there are no ports.
        if first >> 4 != 4 || cut & 0x1fff != 0 {
            return None;
        }
        let right = sum(bytes.get(..header)?) == 0xffff;
        let (mut packet, transport_right) = Packet::parse_transport(
            protocol,
            source.into(),
            destination.into(),
            bytes.get(header..length)?,
        )?;
        packet.ttl = ttl;
        packet.fragment = cut & IPV4_MORE_FRAGMENTS != 0;
        packet.options = header > 20;
        Some((packet, right && transport_right))
    }

    fn parse_v6(bytes: &[u8]) -> Option<(Packet, bool)> {
        let mut reader = Reader(bytes);
        let ([first, ..], length) = (reader.take::<4>()?, reader.u16()?);
        let [mut next, ttl] = reader.take()?;
        let source = Ipv6Addr::from(reader.take::<16>()?);
        let destination = Ipv6Addr::from(reader.take::<16>()?);
        let mut reader = Reader(reader.0.get(..usize::from(length))?);
        if first >> 4 != 6 {
            return None;
        }
        let (mut options, mut fragment) = (false, false);
        if next == PROTOCOL_HOP_BY_HOP {
            let [after, units] = reader.take()?;
            reader.0 = reader.0.get(usize::from(units).checked_mul(8)?.checked_add(6)?..)?;
            (next, options) = (after, true);
        }
        if next == PROTOCOL_FRAGMENT {
            let ([after, _], offset, _identification) =
                (reader.take()?, reader.u16()?, reader.take::<4>()?);
            if offset >> 3 != 0 {
                return None;
            }
            (next, fragment) = (after, true);
        }
        let (mut packet, right) =
            Packet::parse_transport(next, source.into(), destination.into(), reader.0)?;
        packet.ttl = ttl;
        packet.fragment = fragment;
        packet.options = options;
        Some((packet, right))
    }

    fn parse_transport(
        protocol: u8,
        source: IpAddr,
        destination: IpAddr,
        bytes: &[u8],
    ) -> Option<(Packet, bool)> {
        let mut reader = Reader(bytes);
        let ports = [reader.u16()?, reader.u16()?];
        let mut flags = TcpFlags::default();
        let mut unchecked = false;
        let (protocol, payload) = match protocol {
            PROTOCOL_TCP => {
                let _sequence_and_acknowledgement = reader.take::<8>()?;
                let [offset, bits] = reader.take()?;
                let header = usize::from(offset >> 4).checked_mul(4).filter(|size| *size >= 20)?;
                let bit = |number: u8| bits >> number & 1 == 1;
                flags = TcpFlags { fin: bit(0), syn: bit(1), rst: bit(2), ack: bit(4) };
                (Protocol::Tcp, bytes.get(header..)?)
            }
            PROTOCOL_UDP => {
                let (length, checksum) = (reader.u16()?, reader.u16()?);
                if usize::from(length) != bytes.len() {
                    return None;
                }
                unchecked = checksum == 0 && source.is_ipv4();
                (Protocol::Udp, reader.0)
            }
            _ => return None,
        };
        let number = number(protocol);
        let right = unchecked || transport_sum(source, destination, number, bytes) == 0xffff;
        let [source_port, destination_port] = ports;
        let packet = Packet {
            protocol,
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
            ttl: 0,
            flags,
            fragment: false,
            options: false,
            unchecked,
            payload: payload.to_vec(),
        };
        Some((packet, right))
    }

    fn emit(&self) -> Vec<u8> {
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.emit_v4(source, destination),
            (source, destination) => self.emit_v6(mapped(source), mapped(destination)),
        }
    }

    fn emit_v4(&self, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
        let transport = self.emit_transport(source.into(), destination.into());
        let options: &[u8] = if self.options { &IPV4_OPTIONS } else { &[] };
        let header = 20_usize.saturating_add(options.len());
        let length = u16::try_from(header.saturating_add(transport.len())).unwrap_or(u16::MAX);
        let cut = if self.fragment { IPV4_MORE_FRAGMENTS } else { IPV4_DONT_FRAGMENT };
        let mut bytes = vec![if self.options { 0x46 } else { 0x45 }, 0];
        for word in [length, 0, cut, u16::from_be_bytes([self.ttl, number(self.protocol)]), 0] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        bytes.extend(options);
        let checksum = !sum(&bytes);
        put(&mut bytes, 10, checksum);
        bytes.extend(transport);
        bytes
    }

    fn emit_v6(&self, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
        let transport = self.emit_transport(source.into(), destination.into());
        let mut next = number(self.protocol);
        let mut extensions = Vec::new();
        if self.fragment {
            // The flag "more"; offset and identification 0.
            extensions.extend([next, 0, 0, 1, 0, 0, 0, 0]);
            next = PROTOCOL_FRAGMENT;
        }
        if self.options {
            extensions.splice(0..0, std::iter::once(next).chain(IPV6_OPTIONS));
            next = PROTOCOL_HOP_BY_HOP;
        }
        let length = extensions.len().saturating_add(transport.len());
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend([next, self.ttl]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        bytes.extend(extensions);
        bytes.extend(transport);
        bytes
    }

    fn emit_transport(&self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let payload = self.payload.get(..Packet::MAX_PAYLOAD).unwrap_or(&self.payload);
        let mut bytes = Vec::with_capacity(payload.len().saturating_add(20));
        bytes.extend(self.source.port().to_be_bytes());
        bytes.extend(self.destination.port().to_be_bytes());
        let checksum_at = match self.protocol {
            Protocol::Tcp => {
                let TcpFlags { syn, fin, rst, ack } = self.flags;
                let flags =
                    u8::from(fin) | u8::from(syn) << 1 | u8::from(rst) << 2 | u8::from(ack) << 4;
                bytes.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
                16
            }
            Protocol::Udp => {
                let length = u16::try_from(payload.len().saturating_add(8)).unwrap_or(u16::MAX);
                bytes.extend(length.to_be_bytes());
                bytes.extend([0, 0]);
                6
            }
        };
        bytes.extend(payload);
        if !self.unchecked || self.protocol == Protocol::Tcp || self.is_v6() {
            let sum = !transport_sum(source, destination, number(self.protocol), &bytes);
            // Zero would mean "none" for UDP; its twin in one's complement stands for it.
            let none = sum == 0 && self.protocol == Protocol::Udp;
            put(&mut bytes, checksum_at, if none { 0xffff } else { sum });
        }
        bytes
    }
}

/// Number of the protocol in IP headers.
const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => PROTOCOL_TCP,
        Protocol::Udp => PROTOCOL_UDP,
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// Sum in one's complement (RFC 1071); 0xffff over bytes that hold their right checksum.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let total: u32 = words.fold(0, |total, word| {
        let total = total.wrapping_add(word);
        (total & 0xffff).wrapping_add(total >> 16)
    });
    u16::try_from(total & 0xffff).unwrap_or(u16::MAX)
}

/// The same over the pseudo header and the segment.
fn transport_sum(source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let mut bytes = Vec::with_capacity(segment.len().saturating_add(40));
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    // As a sum of words both pseudo headers are the same but for the addresses.
    bytes.extend(u32::try_from(segment.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend([0, protocol]);
    bytes.extend(segment);
    sum(&bytes)
}

/// Puts a word into bytes.
fn put(bytes: &mut [u8], at: usize, word: u16) {
    for (byte, value) in bytes.iter_mut().skip(at).zip(word.to_be_bytes()) {
        *byte = value;
    }
}

/// Bytes still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }
}

#[cfg(test)]
mod tests;
