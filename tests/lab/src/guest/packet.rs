// SPDX-License-Identifier: GPL-2.0-or-later
//! IP packets as bytes: building a UDP datagram in a chosen shape, and reading what came along.
//!
//! Everything is checked the hard way, from the bytes, since the point is to find out whether a
//! router that rewrites addresses and counts down the TTL does so rightly. Layouts and checksums:
//! RFC 791, 768, 1071, 4443, 8200.

use crate::scenario::Shape;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const HOP_BY_HOP: u8 = 0;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS_V4: u16 = 0x2000;
const MORE_FRAGMENTS_V6: u16 = 1;
/// Where the payload of an IP packet is cut in two; a multiple of eight.
const CUT: usize = 512;
/// Identifies the fragments of one packet.
const ID: u16 = 0x4c41;
/// Four bytes of options that ask for nothing: no operation three times, end of list.
const IPV4_OPTIONS: [u8; 4] = [1, 1, 1, 0];
/// The rest of an extension header of eight bytes: length 0, and a padding option of six.
const EXTENSION_REST: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];

/// One IP packet or fragment, as far as anybody here asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Where it is from and where it goes; ports are 0 where there are none or they are not seen.
    pub source: SocketAddr,
    /// See `source`.
    pub destination: SocketAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// There were options or extension headers, that of a fragment not counted.
    pub options: bool,
    /// Offset of a fragment and whether more follow; `None` for a whole packet.
    pub fragment: Option<(usize, bool)>,
    /// Protocol above IP.
    pub protocol: u8,
    /// What IP carries.
    pub body: Vec<u8>,
    /// The checksum of the IPv4 header is right; IPv6 has none.
    pub header_right: bool,
}

/// An ICMP error, and the ends of the packet that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpError {
    /// `time exceeded`, `too big MTU`, or type and code.
    pub text: String,
    /// Source of the quoted packet.
    pub source: SocketAddr,
    /// Destination of the quoted packet.
    pub destination: SocketAddr,
}

fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Sum of 16-bit words with the carries added, not yet inverted.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut total: u64 = 0;
    for part in parts {
        for pair in part.chunks(2) {
            let high = pair.first().copied().unwrap_or_default();
            let low = pair.get(1).copied().unwrap_or_default();
            total = total.wrapping_add(u64::from(u16::from_be_bytes([high, low])));
        }
    }
    while total > 0xffff {
        total = (total & 0xffff).wrapping_add(total >> 16);
    }
    u16::try_from(total).unwrap_or_default()
}

/// The pseudo header that transport checksums cover; the same sum for both families.
fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for address in [from, to] {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    bytes.extend(u32::try_from(len).unwrap_or_default().to_be_bytes());
    bytes.extend([0, 0, 0, protocol]);
    bytes
}

/// Is the checksum over a whole transport packet right? `None` for protocols not known here.
pub fn transport_right(from: IpAddr, to: IpAddr, protocol: u8, body: &[u8]) -> Option<bool> {
    let pseudo = pseudo_header(from, to, protocol, body.len());
    match protocol {
        // A UDP checksum of 0 means that there is none, which nobody here sends.
        UDP if be16(body, 6) == Some(0) => Some(false),
        TCP | UDP | ICMPV6 => Some(sum(&[&pseudo, body]) == 0xffff),
        ICMP => Some(sum(&[body]) == 0xffff),
        _ => None,
    }
}

impl Packet {
    /// Reads a packet; `None` if it is no IP packet or cut short.
    pub fn parse(bytes: &[u8]) -> Option<Packet> {
        match byte(bytes, 0)? >> 4 {
            4 => Packet::parse_v4(bytes),
            6 => Packet::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: &[u8]) -> Option<Packet> {
        let header_len = usize::from(byte(bytes, 0)? & 0xf).checked_mul(4)?;
        let header = bytes.get(..header_len).filter(|header| header.len() >= IPV4_HEADER)?;
        let body = bytes.get(header_len..usize::from(be16(bytes, 2)?))?.to_vec();
        let flags = be16(bytes, 6)?;
        let offset = usize::from(flags & 0x1fff).checked_mul(8)?;
        let more = flags & MORE_FRAGMENTS_V4 != 0;
        let packet = Packet {
            source: SocketAddr::from((Ipv4Addr::from(be32(bytes, 12)?), 0)),
            destination: SocketAddr::from((Ipv4Addr::from(be32(bytes, 16)?), 0)),
            ttl: byte(bytes, 8)?,
            tos: byte(bytes, 1)?,
            options: header_len > IPV4_HEADER,
            fragment: (offset > 0 || more).then_some((offset, more)),
            protocol: byte(bytes, 9)?,
            body,
            header_right: sum(&[header]) == 0xffff,
        };
        Some(packet.with_ports())
    }

    fn parse_v6(bytes: &[u8]) -> Option<Packet> {
        let address = |at: usize| -> Option<Ipv6Addr> {
            let octets: [u8; 16] = bytes.get(at..at.checked_add(16)?)?.try_into().ok()?;
            Some(Ipv6Addr::from(octets))
        };
        let end = IPV6_HEADER.checked_add(usize::from(be16(bytes, 4)?))?;
        let mut rest = bytes.get(IPV6_HEADER..end)?;
        let (mut protocol, mut options, mut fragment) = (byte(bytes, 6)?, false, None);
        loop {
            let len = match protocol {
                HOP_BY_HOP | DESTINATION_OPTIONS => {
                    options = true;
                    usize::from(byte(rest, 1)?).checked_add(1)?.checked_mul(8)?
                }
                FRAGMENT => {
                    let field = be16(rest, 2)?;
                    fragment = Some((usize::from(field & !7), field & MORE_FRAGMENTS_V6 != 0));
                    8
                }
                _ => break,
            };
            protocol = byte(rest, 0)?;
            rest = rest.get(len..)?;
            // What follows the header of a later fragment is no header.
            if fragment.is_some_and(|(offset, _)| offset > 0) {
                break;
            }
        }
        let packet = Packet {
            source: SocketAddr::from((address(8)?, 0)),
            destination: SocketAddr::from((address(24)?, 0)),
            ttl: byte(bytes, 7)?,
            tos: u8::try_from((be32(bytes, 0)? >> 20) & 0xff).ok()?,
            options,
            fragment,
            protocol,
            body: rest.to_vec(),
            header_right: true,
        };
        Some(packet.with_ports())
    }

    fn with_ports(mut self) -> Packet {
        let first = self.fragment.is_none_or(|(offset, _)| offset == 0);
        if first && matches!(self.protocol, TCP | UDP) {
            self.source.set_port(be16(&self.body, 0).unwrap_or_default());
            self.destination.set_port(be16(&self.body, 2).unwrap_or_default());
        }
        self
    }

    /// The checksums that a whole packet has are right.
    pub fn right(&self) -> bool {
        let (from, to) = (self.source.ip(), self.destination.ip());
        self.header_right && transport_right(from, to, self.protocol, &self.body) != Some(false)
    }

    /// What the packet says if it is an ICMP error with the right checksum.
    pub fn icmp_error(&self) -> Option<IcmpError> {
        if !matches!(self.protocol, ICMP | ICMPV6) || !self.right() {
            return None;
        }
        let (kind, code) = (byte(&self.body, 0)?, byte(&self.body, 1)?);
        let text = match (self.protocol, kind, code) {
            (ICMP, 11, 0) | (ICMPV6, 3, 0) => "time exceeded".to_string(),
            (ICMP, 3, 4) => format!("too big {}", be16(&self.body, 6)?),
            (ICMPV6, 2, 0) => format!("too big {}", be32(&self.body, 4)?),
            (ICMP, 3 | 12, _) | (ICMPV6, 1 | 4, _) => format!("ICMP type {kind} code {code}"),
            _ => return None,
        };
        // The quotation may be cut, its length field is that of the whole packet.
        let quoted = self.body.get(8..)?;
        let (source, destination) = match byte(quoted, 0)? >> 4 {
            4 => {
                let ports = usize::from(byte(quoted, 0)? & 0xf).checked_mul(4)?;
                let end = |address, port| Some((Ipv4Addr::from(be32(quoted, address)?), port));
                let source = end(12, be16(quoted, ports)?)?;
                let destination = end(16, be16(quoted, ports.checked_add(2)?)?)?;
                (SocketAddr::from(source), SocketAddr::from(destination))
            }
            _ => {
                let len = u16::try_from(quoted.len().checked_sub(IPV6_HEADER)?).ok()?;
                let mut whole = quoted.to_vec();
                whole.splice(4..6, len.to_be_bytes());
                let packet = Packet::parse_v6(&whole)?;
                (packet.source, packet.destination)
            }
        };
        Some(IcmpError { text, source, destination })
    }
}

/// The body of the packet that the fragments were, if all are there.
pub fn reassemble(packets: &[Packet]) -> Option<Vec<u8>> {
    let mut parts: Vec<_> = packets.iter().collect();
    parts.sort_by_key(|packet| packet.fragment);
    let mut body = Vec::new();
    let mut more = true;
    for packet in parts {
        let (offset, follows) = packet.fragment.unwrap_or((0, false));
        if offset != body.len() {
            return None;
        }
        body.extend(&packet.body);
        more = follows;
    }
    (!more).then_some(body)
}

/// The UDP datagram that a shape asks for, with a right checksum: header and payload.
fn datagram(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let len = UDP_HEADER.saturating_add(payload.len());
    let mut bytes = Vec::new();
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    bytes.extend(u16::try_from(len).unwrap_or_default().to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    let total = sum(&[&pseudo_header(from.ip(), to.ip(), UDP, len), &bytes]);
    let checksum = if total == 0xffff { 0xffff } else { !total };
    bytes.splice(6..8, checksum.to_be_bytes());
    bytes
}

/// The packets to send: one, or its fragments. The checksum of an IPv4 header is left to the
/// kernel, which fills it in for raw sockets anyway.
pub fn build(from: SocketAddr, to: SocketAddr, payload: &[u8], shape: &Shape) -> Vec<Vec<u8>> {
    let body = datagram(from, to, payload);
    if !shape.fragments {
        return vec![packet(from, to, &body, shape, None)];
    }
    let (first, second) = body.split_at(CUT.min(body.len()));
    vec![
        packet(from, to, first, shape, Some((0, true))),
        packet(from, to, second, shape, Some((first.len(), false))),
    ]
}

/// Bytes of the headers before the payload of a whole packet.
pub fn overhead(v6: bool, shape: &Shape) -> usize {
    let options = match (shape.options, v6) {
        (false, _) => 0,
        (true, false) => IPV4_OPTIONS.len(),
        (true, true) => 8,
    };
    let ip = if v6 { IPV6_HEADER } else { IPV4_HEADER };
    ip.saturating_add(options).saturating_add(UDP_HEADER)
}

fn packet(
    from: SocketAddr,
    to: SocketAddr,
    body: &[u8],
    shape: &Shape,
    fragment: Option<(usize, bool)>,
) -> Vec<u8> {
    let length = |parts: &[usize]| u16::try_from(parts.iter().sum::<usize>()).unwrap_or_default();
    let field = |offset: usize| u16::try_from(offset).unwrap_or_default();
    let mut bytes = Vec::new();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let options: &[u8] = if shape.options { &IPV4_OPTIONS } else { &[] };
            let mut flags = if shape.dont_fragment { DONT_FRAGMENT } else { 0 };
            if let Some((offset, more)) = fragment {
                flags = field(offset / 8) | if more { MORE_FRAGMENTS_V4 } else { 0 };
            }
            let words = length(&[IPV4_HEADER, options.len()]) / 4;
            bytes.extend([0x40 | u8::try_from(words).unwrap_or_default(), 0]);
            bytes.extend(length(&[IPV4_HEADER, options.len(), body.len()]).to_be_bytes());
            bytes.extend(ID.to_be_bytes());
            bytes.extend(flags.to_be_bytes());
            bytes.extend([shape.ttl, UDP, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            bytes.extend(options);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut extensions = Vec::new();
            let mut next = UDP;
            if let Some((offset, more)) = fragment {
                extensions.extend([next, 0]);
                let flag = if more { MORE_FRAGMENTS_V6 } else { 0 };
                extensions.extend((field(offset) | flag).to_be_bytes());
                extensions.extend(u32::from(ID).to_be_bytes());
                next = FRAGMENT;
            }
            if shape.options {
                let mut first = vec![next];
                first.extend(EXTENSION_REST);
                first.append(&mut extensions);
                extensions = first;
                next = DESTINATION_OPTIONS;
            }
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(length(&[extensions.len(), body.len()]).to_be_bytes());
            bytes.extend([next, shape.ttl]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            bytes.extend(extensions);
        }
        // Conntrack never names two families for one flow.
        _ => {}
    }
    bytes.extend(body);
    bytes
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
