// SPDX-License-Identifier: GPL-2.0-or-later
//! Layout of an entry of the table (Linux 6.12 `mtk_ppe.h`): 20 words in the processor's order,
//! of which 0 and 4 or 14 are the info blocks.

use crate::flow::Mac;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

/// Words of an entry.
pub const WORDS: usize = 20;
/// Bytes of an entry.
pub const ENTRY_BYTES: u32 = 80;

/// An entry as it is in memory.
pub type Words = [u32; WORDS];

/// In place of the ports, above the number of the protocol, in entries without ports.
const NO_PORTS: u32 = 0xa5a5_a500;

const IB1_STATIC: u32 = 1 << 31;
const IB1_UDP: u32 = 1 << 30;
const IB1_STATE: u32 = 3 << 28;
const IB1_BIND_TTL: u32 = 1 << 24;
const IB1_BIND_CACHE: u32 = 1 << 22;
const IB1_BIND_VLAN_TAG: u32 = 1 << 20;
const IB1_BIND_PPPOE: u32 = 1 << 19;
const IB1_BIND_LAYERS: u32 = 7 << 16;
/// Bits of a bound entry's timestamp.
pub const BOUND_TIME: u32 = 0x7fff;

const IB2_QOS: u32 = 1 << 4;
/// The meter group that limits nothing.
const IB2_NO_METER: u32 = 0x3f << 12;

/// State of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Free.
    Invalid,
    /// Built by the engine at a flow's first packet; its packets go to the processor.
    Unbound,
    /// Packets are forwarded by it.
    Bound,
    /// Was bound, until a FIN.
    Fin,
}

/// Type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// IPv4 by addresses and ports (HNAPT).
    V4Five,
    /// IPv4 by addresses and protocol (HNAT).
    V4Three,
    /// Layer 2; Linux uses the number only in its own memory.
    Bridge,
    /// IPv4 in an IPv6 tunnel.
    DsLite,
    /// IPv6 by addresses and next header.
    V6Three,
    /// IPv6 by addresses and ports.
    V6Five,
    /// Not in use.
    Reserved,
    /// IPv6 in an IPv4 tunnel.
    SixRd,
}

impl Kind {
    /// All types, by their number.
    pub const ALL: [Kind; 8] = [
        Kind::V4Five,
        Kind::V4Three,
        Kind::Bridge,
        Kind::DsLite,
        Kind::V6Three,
        Kind::V6Five,
        Kind::Reserved,
        Kind::SixRd,
    ];

    /// Whether the second info block is word 14 and Ethernet's words are the last five.
    const fn long(self) -> bool {
        !matches!(self, Kind::V4Five | Kind::V4Three | Kind::Bridge)
    }
}

/// The first info block, word 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ib1(pub u32);

impl Ib1 {
    /// An entry to be bound: TTL is decremented. Its state is still [`State::Invalid`].
    pub fn binding(kind: Kind, udp: bool) -> Ib1 {
        let udp = if udp { IB1_UDP } else { 0 };
        Ib1((kind as u32) << 25 | udp | IB1_BIND_TTL | IB1_BIND_CACHE)
    }

    /// An entry that the engine leaves alone.
    pub const FIXED: Ib1 = Ib1(IB1_STATIC);

    /// Its state.
    pub const fn state(self) -> State {
        match (self.0 & IB1_STATE) >> 28 {
            0 => State::Invalid,
            1 => State::Unbound,
            2 => State::Bound,
            _ => State::Fin,
        }
    }

    /// The same in another state.
    pub const fn with_state(self, state: State) -> Ib1 {
        Ib1(self.0 & !IB1_STATE | (state as u32) << 28)
    }

    /// Its type.
    pub const fn kind(self) -> Kind {
        match self.0 >> 25 & 7 {
            0 => Kind::V4Five,
            1 => Kind::V4Three,
            2 => Kind::Bridge,
            3 => Kind::DsLite,
            4 => Kind::V6Three,
            5 => Kind::V6Five,
            6 => Kind::Reserved,
            _ => Kind::SixRd,
        }
    }

    /// UDP; else TCP.
    pub const fn udp(self) -> bool {
        self.0 & IB1_UDP != 0
    }

    /// The engine does not use the entry (STATIC).
    pub const fn fixed(self) -> bool {
        self.0 & IB1_STATIC != 0
    }

    /// When a bound entry was hit last, seconds in 15 bits.
    pub const fn time(self) -> u16 {
        (self.0 & BOUND_TIME) as u16
    }

    /// The same with another timestamp.
    pub const fn with_time(self, time: u16) -> Ib1 {
        Ib1(self.0 & !BOUND_TIME | time as u32 & BOUND_TIME)
    }

    /// When an unbound entry was hit last, seconds in 8 bits.
    pub const fn unbound_time(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// Packets that an unbound entry has counted.
    pub const fn unbound_packets(self) -> u16 {
        (self.0 >> 8 & 0xffff) as u16
    }

    /// Layers of tags that a bound entry puts on.
    pub const fn layers(self) -> u8 {
        ((self.0 & IB1_BIND_LAYERS) >> 16) as u8
    }

    /// The same with another number of layers, up to 7.
    pub const fn with_layers(self, layers: u8) -> Ib1 {
        Ib1(self.0 & !IB1_BIND_LAYERS | (layers as u32) << 16 & IB1_BIND_LAYERS)
    }

    /// The first layer is an 802.1Q tag; else the EtherType field stands in its place.
    pub const fn vlan_tag(self) -> bool {
        self.0 & IB1_BIND_VLAN_TAG != 0
    }

    /// The same with the first layer as told.
    pub const fn with_vlan_tag(self, tag: bool) -> Ib1 {
        Ib1(self.0 & !IB1_BIND_VLAN_TAG | if tag { IB1_BIND_VLAN_TAG } else { 0 })
    }

    /// A bound entry puts packets into a PPPoE session.
    pub const fn pppoe(self) -> bool {
        self.0 & IB1_BIND_PPPOE != 0
    }

    /// The same with a session.
    pub const fn with_pppoe(self) -> Ib1 {
        Ib1(self.0 | IB1_BIND_PPPOE)
    }

    /// What a packet has to have in common: type and protocol.
    pub const fn matching(self) -> u32 {
        self.0 & (7 << 25 | IB1_UDP)
    }
}

/// Seconds since a bound entry was hit, given the frame engine's clock.
pub fn idle_s(now: u32, ib1: Ib1) -> u16 {
    (now.wrapping_sub(u32::from(ib1.time())) & BOUND_TIME) as u16
}

/// The second info block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ib2(pub u32);

impl Ib2 {
    /// Output by a port of the frame engine through a queue, counted in an account group.
    pub fn output(port: u8, queue: u8, group: u8) -> Ib2 {
        let (port, queue) = (u32::from(port & 7), u32::from(queue & 0xf));
        Ib2(queue | IB2_QOS | port << 5 | IB2_NO_METER | u32::from(group & 0x3f) << 18)
    }

    /// Port of the frame engine: 1 and 2 are the MACs.
    pub const fn port(self) -> u8 {
        (self.0 >> 5 & 7) as u8
    }

    /// Transmit queue.
    pub const fn queue(self) -> u8 {
        (self.0 & 0xf) as u8
    }

    /// Account group.
    pub const fn group(self) -> u8 {
        (self.0 >> 18 & 0x3f) as u8
    }

    /// Which word of an entry of this type it is.
    pub const fn word(kind: Kind) -> usize {
        if kind.long() {
            14
        } else {
            4
        }
    }
}

/// The new Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L2 {
    /// EtherType of the payload; for a switch's tag what stands in place of a tag's type.
    pub etype: u16,
    /// VLANs to put on.
    pub vlans: [u16; 2],
    /// To whom.
    pub destination: Mac,
    /// From whom.
    pub source: Mac,
    /// PPPoE session.
    pub pppoe: u16,
}

impl L2 {
    fn words(&self) -> [u32; 5] {
        let [a, b, c, d, e, f] = self.destination.0;
        let [g, h, i, j, k, l] = self.source.0;
        let [first, second] = self.vlans;
        [
            pair(self.etype, first),
            u32::from_be_bytes([a, b, c, d]),
            pair(u16::from_be_bytes([e, f]), second),
            u32::from_be_bytes([g, h, i, j]),
            pair(u16::from_be_bytes([k, l]), self.pppoe),
        ]
    }

    fn of(words: [u32; 5]) -> L2 {
        let [first, destination, second, source, third] = words;
        L2 {
            etype: high(first),
            vlans: [low(first), low(second)],
            destination: mac(destination, high(second)),
            source: mac(source, high(third)),
            pppoe: low(third),
        }
    }
}

/// What packets of an entry have and get, by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// IPv4 with ports.
    V4 {
        /// Source and destination as packets come.
        original: [SocketAddrV4; 2],
        /// As they leave.
        new: [SocketAddrV4; 2],
    },
    /// IPv4 without ports.
    V4Three {
        /// Source and destination as packets come.
        original: [Ipv4Addr; 2],
        /// Number of the protocol.
        protocol: u8,
        /// As they leave.
        new: [Ipv4Addr; 2],
    },
    /// IPv6 with ports: source and destination.
    V6([SocketAddrV6; 2]),
    /// IPv6 without ports.
    V6Three {
        /// Source and destination.
        ends: [Ipv6Addr; 2],
        /// Number of the protocol.
        protocol: u8,
    },
    /// IPv4 through IPv6. Read only: word details are UNVERIFIED.
    DsLite {
        /// Source and destination.
        ends: [SocketAddrV4; 2],
        /// Both ends of the tunnel.
        tunnel: [Ipv6Addr; 2],
        /// Flow label, 24 bits as stored.
        flow_label: u32,
        /// Traffic class.
        class: u8,
    },
    /// IPv6 through IPv4. Read only, as above.
    SixRd {
        /// Source and destination.
        ends: [SocketAddrV6; 2],
        /// Both ends of the tunnel.
        tunnel: [Ipv4Addr; 2],
        /// Checksum of the outer header without length and id.
        checksum: u16,
        /// DSCP of the outer header.
        dscp: u8,
        /// TTL of the outer header.
        ttl: u8,
    },
    /// A type without a layout.
    Other,
}

/// An entry, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoeEntry {
    /// First info block.
    pub ib1: Ib1,
    /// What packets have and get. Of an unbound entry only the original tuple means something.
    pub content: Content,
    /// Second info block.
    pub ib2: Ib2,
    /// The new Ethernet header.
    pub l2: L2,
}

impl FoeEntry {
    /// Decodes an entry of any type.
    pub fn of(words: &Words) -> FoeEntry {
        let w = words;
        let ib1 = Ib1(w[0]);
        let v4_ends = |source: u32, destination: u32, ports: u32| {
            [
                SocketAddrV4::new(source.into(), high(ports)),
                SocketAddrV4::new(destination.into(), low(ports)),
            ]
        };
        let six = [v6_address([w[1], w[2], w[3], w[4]]), v6_address([w[5], w[6], w[7], w[8]])];
        let six_ends = [
            SocketAddrV6::new(six[0], high(w[9]), 0, 0),
            SocketAddrV6::new(six[1], low(w[9]), 0, 0),
        ];
        let content = match ib1.kind() {
            Kind::V4Five => {
                Content::V4 { original: v4_ends(w[1], w[2], w[3]), new: v4_ends(w[5], w[6], w[7]) }
            }
            Kind::V4Three => Content::V4Three {
                original: [w[1].into(), w[2].into()],
                protocol: byte(w[3]),
                new: [w[5].into(), w[6].into()],
            },
            Kind::V6Five => Content::V6(six_ends),
            Kind::V6Three => Content::V6Three { ends: six, protocol: byte(w[9]) },
            Kind::DsLite => Content::DsLite {
                ends: v4_ends(w[1], w[2], w[3]),
                tunnel: [
                    v6_address([w[4], w[5], w[6], w[7]]),
                    v6_address([w[8], w[9], w[10], w[11]]),
                ],
                flow_label: w[12] & 0x00ff_ffff,
                class: byte(w[12] >> 24),
            },
            Kind::SixRd => Content::SixRd {
                ends: six_ends,
                tunnel: [w[10].into(), w[11].into()],
                checksum: low(w[12]),
                dscp: byte(w[12] >> 16),
                ttl: byte(w[12] >> 24),
            },
            Kind::Bridge | Kind::Reserved => Content::Other,
        };
        let l2 = if ib1.kind().long() {
            [w[15], w[16], w[17], w[18], w[19]]
        } else {
            [w[11], w[12], w[13], w[14], w[15]]
        };
        let ib2 = if ib1.kind().long() { w[14] } else { w[4] };
        FoeEntry { ib1, content, ib2: Ib2(ib2), l2: L2::of(l2) }
    }

    /// The words of an entry; `None` for what is only read, and where type and content differ.
    pub fn words(&self) -> Option<Words> {
        let mut w = [0; WORDS];
        w[0] = self.ib1.0;
        match (self.ib1.kind(), self.content) {
            (Kind::V4Five, Content::V4 { original, new }) => {
                (w[1], w[2], w[3]) = v4_words(original);
                (w[5], w[6], w[7]) = v4_words(new);
            }
            (Kind::V4Three, Content::V4Three { original, protocol, new }) => {
                (w[1], w[2]) = (original[0].into(), original[1].into());
                w[3] = NO_PORTS | u32::from(protocol);
                (w[5], w[6]) = (new[0].into(), new[1].into());
            }
            (Kind::V6Five, Content::V6(ends)) => {
                put_v6(&mut w, [*ends[0].ip(), *ends[1].ip()]);
                w[9] = pair(ends[0].port(), ends[1].port());
            }
            (Kind::V6Three, Content::V6Three { ends, protocol }) => {
                put_v6(&mut w, ends);
                w[9] = NO_PORTS | u32::from(protocol);
            }
            _ => return None,
        }
        let l2 = self.l2.words();
        if self.ib1.kind().long() {
            w[14] = self.ib2.0;
            [w[15], w[16], w[17], w[18], w[19]] = l2;
        } else {
            w[4] = self.ib2.0;
            [w[11], w[12], w[13], w[14], w[15]] = l2;
        }
        Some(w)
    }
}

fn v4_words([source, destination]: [SocketAddrV4; 2]) -> (u32, u32, u32) {
    let ports = pair(source.port(), destination.port());
    ((*source.ip()).into(), (*destination.ip()).into(), ports)
}

fn put_v6(w: &mut Words, [source, destination]: [Ipv6Addr; 2]) {
    [w[1], w[2], w[3], w[4]] = v6_words(source);
    [w[5], w[6], w[7], w[8]] = v6_words(destination);
}

/// An address as four words, the most significant first.
pub fn v6_words(address: Ipv6Addr) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h] = address.segments();
    [pair(a, b), pair(c, d), pair(e, f), pair(g, h)]
}

fn v6_address([a, b, c, d]: [u32; 4]) -> Ipv6Addr {
    Ipv6Addr::new(high(a), low(a), high(b), low(b), high(c), low(c), high(d), low(d))
}

fn mac(front: u32, back: u16) -> Mac {
    let ([a, b, c, d], [e, f]) = (front.to_be_bytes(), back.to_be_bytes());
    Mac([a, b, c, d, e, f])
}

fn pair(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

const fn high(word: u32) -> u16 {
    (word >> 16) as u16
}

const fn low(word: u32) -> u16 {
    (word & 0xffff) as u16
}

const fn byte(word: u32) -> u8 {
    (word & 0xff) as u8
}

#[cfg(test)]
mod tests;
