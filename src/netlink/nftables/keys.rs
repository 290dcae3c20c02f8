// SPDX-License-Identifier: GPL-2.0-or-later
//! What expressions load and how they compare, by the kernel's numbers.

const NFT_META_NFPROTO: u32 = 15;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFT_META_L4PROTO: u32 = 16;

const NFT_CT_STATE: u32 = 0;
const NFT_CT_DIRECTION: u32 = 1;
const NFT_CT_STATUS: u32 = 2;
const NFT_CT_MARK: u32 = 3;
const NFT_CT_PROTO_SRC: u32 = 11;
const NFT_CT_PKTS: u32 = 14;
const NFT_CT_BYTES: u32 = 15;
const NFT_CT_SRC_IP: u32 = 19;
const NFT_CT_SRC_IP6: u32 = 21;
pub(super) const NFT_CT_ID: u32 = 23;

/// `ct state` bit of packets that belong to a connection seen in both directions.
pub const CT_STATE_ESTABLISHED: u32 = 2;

/// What `meta` loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaKey {
    /// Name of the input device, 16 bytes.
    InputName,
    /// Name of the output device, 16 bytes.
    OutputName,
    /// Transport protocol, 1 byte.
    L4Proto,
    /// NFPROTO_IPV4 or NFPROTO_IPV6, 1 byte.
    NfProto,
    /// Any other key, by its number.
    Other(u32),
}

impl MetaKey {
    pub(super) fn number(self) -> u32 {
        match self {
            MetaKey::InputName => NFT_META_IIFNAME,
            MetaKey::OutputName => NFT_META_OIFNAME,
            MetaKey::L4Proto => NFT_META_L4PROTO,
            MetaKey::NfProto => NFT_META_NFPROTO,
            MetaKey::Other(number) => number,
        }
    }

    pub(super) fn from_number(number: u32) -> MetaKey {
        [MetaKey::InputName, MetaKey::OutputName, MetaKey::L4Proto, MetaKey::NfProto]
            .into_iter()
            .find(|key| key.number() == number)
            .unwrap_or(MetaKey::Other(number))
    }
}

/// What `ct` loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtKey {
    /// `CT_STATE_*` bits, 4 bytes in host order.
    State,
    /// IPS_* bits, 4 bytes in host order.
    Status,
    /// The connection's number, 4 bytes that are those of CTA_ID (both are `nf_ct_get_id()`).
    Id,
    /// 0 for a packet of the original direction, 1 for one of the reply, 1 byte.
    Direction,
    /// The connection's mark, 4 bytes in host order.
    Mark,
    /// Source address of IPv4 in a direction, 4 bytes; ends the rule for IPv6.
    SourceV4,
    /// Source address of IPv6 in a direction, 16 bytes; ends the rule for IPv4.
    SourceV6,
    /// Source port in a direction, 2 bytes, big-endian.
    SourcePort,
    /// Packets so far, 8 bytes in host order.
    Packets,
    /// Bytes so far, IP layer and above, 8 bytes in host order.
    Bytes,
    /// Any other key, by its number.
    Other(u32),
}

/// Direction of a connection's tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the end that opened it.
    Original,
    /// From the end that answers.
    Reply,
}

impl Direction {
    /// IP_CT_DIR_ORIGINAL or IP_CT_DIR_REPLY.
    pub fn number(self) -> u8 {
        match self {
            Direction::Original => 0,
            Direction::Reply => 1,
        }
    }

    pub(super) fn from_number(number: u8) -> Direction {
        if number == Direction::Original.number() {
            Direction::Original
        } else {
            Direction::Reply
        }
    }
}

impl CtKey {
    const KNOWN: [CtKey; 10] = [
        CtKey::State,
        CtKey::Status,
        CtKey::Id,
        CtKey::Direction,
        CtKey::Mark,
        CtKey::SourceV4,
        CtKey::SourceV6,
        CtKey::SourcePort,
        CtKey::Packets,
        CtKey::Bytes,
    ];

    pub(super) fn number(self) -> u32 {
        match self {
            CtKey::State => NFT_CT_STATE,
            CtKey::Status => NFT_CT_STATUS,
            CtKey::Id => NFT_CT_ID,
            CtKey::Direction => NFT_CT_DIRECTION,
            CtKey::Mark => NFT_CT_MARK,
            CtKey::SourceV4 => NFT_CT_SRC_IP,
            CtKey::SourceV6 => NFT_CT_SRC_IP6,
            CtKey::SourcePort => NFT_CT_PROTO_SRC,
            CtKey::Packets => NFT_CT_PKTS,
            CtKey::Bytes => NFT_CT_BYTES,
            CtKey::Other(number) => number,
        }
    }

    pub(super) fn from_number(number: u32) -> CtKey {
        CtKey::KNOWN.into_iter().find(|key| key.number() == number).unwrap_or(CtKey::Other(number))
    }
}

/// How `cmp` compares; the discriminants are the kernel's NFT_CMP_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Less, both as bytes in network order.
    Less,
    /// Another order comparison, by its number.
    Other(u32),
}

impl Operator {
    pub(super) fn number(self) -> u32 {
        match self {
            Operator::Equal => 0,
            Operator::NotEqual => 1,
            Operator::Less => 2,
            Operator::Other(number) => number,
        }
    }

    pub(super) fn from_number(number: u32) -> Operator {
        match number {
            0 => Operator::Equal,
            1 => Operator::NotEqual,
            2 => Operator::Less,
            number => Operator::Other(number),
        }
    }
}
