// SPDX-License-Identifier: GPL-2.0-or-later
//! Frames as the chip takes them apart and edits them: in place, with checksums adjusted for what
//! has changed (RFC 1624) and not computed anew, so that a wrong one stays wrong.

use hw_drivers::flow::Mac;

const VLAN: u16 = 0x8100;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const PPPOE_SESSION: u16 = 0x8864;
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Shortest frame on the wire without its checksum.
const SHORTEST: usize = 60;

/// A frame without its IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) destination: Mac,
    pub(super) source: Mac,
    /// The tag's 16 bits: priority and VLAN.
    pub(super) tag: Option<u16>,
    pub(super) kind: Kind,
    /// Where the EtherType's payload begins.
    payload: usize,
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    V4,
    V6,
    /// A PPPoE session of this number.
    Session {
        session: u16,
        v6: Option<bool>,
    },
    Other,
}

impl Link {
    /// The frame's header; `None` if it is too short for one.
    pub(super) fn of(frame: &[u8]) -> Option<Link> {
        let (destination, rest) = frame.split_first_chunk::<6>()?;
        let (source, _) = rest.split_first_chunk::<6>()?;
        let mut at = 12;
        let mut ethertype = get16(frame, at)?;
        let mut tag = None;
        if ethertype == VLAN {
            tag = Some(get16(frame, at + 2)?);
            at += 4;
            ethertype = get16(frame, at)?;
        }
        let payload = at + 2;
        let kind = match ethertype {
            IPV4 => Kind::V4,
            IPV6 => Kind::V6,
            // Version 1, type 1, code 0: session data.
            PPPOE_SESSION if get16(frame, payload)? == 0x1100 => Kind::Session {
                session: get16(frame, payload + 2)?,
                v6: match get16(frame, payload + 6)? {
                    PPP_IPV4 => Some(false),
                    PPP_IPV6 => Some(true),
                    _ => None,
                },
            },
            _ => Kind::Other,
        };
        let (destination, source) = (Mac(*destination), Mac(*source));
        Some(Link { destination, source, tag, kind, payload })
    }

    /// The IP packet inside; `None` if there is none that a router would forward.
    pub(super) fn packet(&self, frame: &[u8]) -> Option<Packet> {
        let (v6, at) = match self.kind {
            Kind::V4 => (false, self.payload),
            Kind::V6 => (true, self.payload),
            Kind::Session { v6: Some(v6), .. } => (v6, self.payload + 8),
            Kind::Session { v6: None, .. } | Kind::Other => return None,
        };
        let bytes = frame.get(at..)?;
        if v6 {
            Packet::v6(bytes)
        } else {
            Packet::v4(bytes)
        }
    }
}

/// A frame around a packet, padded if the one that came in was long enough to be so.
pub(super) fn emit(
    link: (Mac, Mac),
    tag: Option<u16>,
    session: Option<u16>,
    packet: &Packet,
    length: usize,
) -> Vec<u8> {
    let (Mac(destination), Mac(source)) = link;
    let mut frame = [destination, source].concat();
    let mut put = |word: u16| frame.extend(word.to_be_bytes());
    if let Some(tag) = tag {
        put(VLAN);
        put(tag);
    }
    match session {
        Some(session) => {
            put(PPPOE_SESSION);
            put(0x1100);
            put(session);
            put(u16::try_from(packet.bytes.len() + 2).unwrap_or(u16::MAX));
            put(if packet.v6 { PPP_IPV6 } else { PPP_IPV4 });
        }
        None => put(if packet.v6 { IPV6 } else { IPV4 }),
    }
    frame.extend(&packet.bytes);
    frame.resize(frame.len().max(SHORTEST.min(length)), 0);
    frame
}

/// An IP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) v6: bool,
    bytes: Vec<u8>,
    /// Where the transport header begins.
    transport: usize,
}

impl Packet {
    fn v4(bytes: &[u8]) -> Option<Packet> {
        let first = *bytes.first()?;
        let transport = usize::from(first & 0xf) * 4;
        let bytes = bytes.get(..usize::from(get16(bytes, 2)?))?;
        let header = bytes.get(..transport)?;
        let sound = first >> 4 == 4 && transport >= 20 && sum(header) == 0xffff;
        sound.then(|| Packet { v6: false, bytes: bytes.to_vec(), transport })
    }

    fn v6(bytes: &[u8]) -> Option<Packet> {
        let bytes = bytes.get(..usize::from(get16(bytes, 4)?) + 40)?;
        (bytes.first()? >> 4 == 6).then(|| Packet {
            v6: true,
            bytes: bytes.to_vec(),
            transport: 40,
        })
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn word(&self, at: usize) -> u32 {
        let half = |at| u32::from(get16(&self.bytes, at).unwrap_or(0));
        half(at) << 16 | half(at + 2)
    }

    /// Of IPv4.
    pub(super) fn source(&self) -> u32 {
        self.word(12)
    }

    /// Of IPv4.
    pub(super) fn destination(&self) -> u32 {
        self.word(16)
    }

    /// As the host table has it, least significant word first.
    pub(super) fn destination_words(&self) -> [u32; 4] {
        if self.v6 {
            [36, 32, 28, 24].map(|at| self.word(at))
        } else {
            [self.destination(), 0, 0, 0]
        }
    }

    pub(super) fn protocol(&self) -> u8 {
        self.byte(if self.v6 { 6 } else { 9 })
    }

    pub(super) fn dscp(&self) -> u8 {
        self.byte(1) >> 2
    }

    pub(super) fn ttl(&self) -> u8 {
        self.byte(if self.v6 { 7 } else { 8 })
    }

    /// IPv4 options, or a hop-by-hop header, which is the first of IPv6.
    pub(super) fn has_options(&self) -> bool {
        if self.v6 {
            self.protocol() == HOP_BY_HOP
        } else {
            self.transport > 20
        }
    }

    pub(super) fn is_fragment(&self) -> bool {
        !self.v6 && get16(&self.bytes, 6).unwrap_or(0) & 0x3fff != 0
    }

    /// Source and destination port of TCP and UDP.
    pub(super) fn ports(&self) -> Option<(u16, u16)> {
        let has_ports = matches!(self.protocol(), TCP | UDP);
        let at = self.transport;
        has_ports.then_some((get16(&self.bytes, at)?, get16(&self.bytes, at + 2)?))
    }

    /// TCP flags in the wire order, 0 of others.
    pub(super) fn flags(&self) -> u8 {
        if self.protocol() == TCP {
            self.byte(self.transport + 13) & 0x3f
        } else {
            0
        }
    }

    /// One hop less to live.
    pub(super) fn hop(&mut self) {
        let (at, checksum) = if self.v6 { (7, None) } else { (8, Some(10)) };
        let old = get16(&self.bytes, at & !1).unwrap_or(0);
        if let Some(ttl) = self.bytes.get_mut(at) {
            *ttl = ttl.saturating_sub(1);
        }
        let new = get16(&self.bytes, at & !1).unwrap_or(0);
        if let Some(checksum) = checksum {
            self.adjust(checksum, old, new);
        }
    }

    /// Another source address and, unless it is to stay, port.
    pub(super) fn set_source(&mut self, address: u32, port: Option<u16>) {
        self.set_address(12, address);
        if let Some(port) = port {
            self.set_port(self.transport, port);
        }
    }

    /// Another destination address and, unless it is to stay, port.
    pub(super) fn set_destination(&mut self, address: u32, port: Option<u16>) {
        self.set_address(16, address);
        if let Some(port) = port {
            self.set_port(self.transport + 2, port);
        }
    }

    fn set_address(&mut self, at: usize, address: u32) {
        let [a, b, c, d] = address.to_be_bytes();
        for (at, new) in [(at, u16::from_be_bytes([a, b])), (at + 2, u16::from_be_bytes([c, d]))] {
            let old = get16(&self.bytes, at).unwrap_or(0);
            put16(&mut self.bytes, at, new);
            self.adjust(10, old, new);
            // The pseudo header has the addresses.
            self.adjust_transport(old, new);
        }
    }

    fn set_port(&mut self, at: usize, new: u16) {
        if self.ports().is_some() {
            let old = get16(&self.bytes, at).unwrap_or(0);
            put16(&mut self.bytes, at, new);
            self.adjust_transport(old, new);
        }
    }

    fn adjust_transport(&mut self, old: u16, new: u16) {
        match self.protocol() {
            TCP => self.adjust(self.transport + 16, old, new),
            // Zero stands for no checksum, and what comes out as zero is sent as its complement.
            UDP if get16(&self.bytes, self.transport + 6) != Some(0) => {
                let at = self.transport + 6;
                self.adjust(at, old, new);
                if get16(&self.bytes, at) == Some(0) {
                    put16(&mut self.bytes, at, 0xffff);
                }
            }
            _ => {}
        }
    }

    /// RFC 1624, equation 3.
    fn adjust(&mut self, at: usize, old: u16, new: u16) {
        if let Some(checksum) = get16(&self.bytes, at) {
            put16(&mut self.bytes, at, !add(add(!checksum, !old), new));
        }
    }
}

fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// One's complement sum of an even number of bytes.
fn sum(bytes: &[u8]) -> u16 {
    (0..bytes.len() / 2).filter_map(|word| get16(bytes, 2 * word)).fold(0, add)
}

fn get16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(pair) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *pair = value.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, Packet as Content};
    use hw_drivers::flow::Protocol;

    /// Of all ports one makes the sum zero, which would stand for no checksum.
    #[test]
    fn a_udp_checksum_never_becomes_none() {
        let (from, to) = ("192.168.1.2:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap());
        let (destination, source) = (Mac([2; 6]), Mac([4; 6]));
        let packet = Content::new(Protocol::Udp, from, to);
        let bytes = Frame { destination, source, tags: vec![], pppoe: None, packet }.emit();
        let link = Link::of(&bytes).unwrap();
        let mut packet = link.packet(&bytes).unwrap();
        let mut ones = 0;
        for port in 0..=u16::MAX {
            packet.set_source(0xc633_6401, Some(port));
            let checksum = get16(&packet.bytes, packet.transport + 6).unwrap();
            assert_ne!(checksum, 0);
            ones += usize::from(checksum == 0xffff);
        }
        assert!(ones > 0);
        let out = emit((destination, source), None, None, &packet, 0);
        assert!(Frame::checksums_ok(&out));
    }
}
