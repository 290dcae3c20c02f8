// SPDX-License-Identifier: GPL-2.0-or-later
//! The expressions of rules, as many as our chains need; others are kept by name.
//!
//! All loads go to the first 16-byte register, so expressions carry no register numbers; a rule
//! that uses others is still read, and differs from ours by its names.

use std::fmt;

use netlink_packet_core::DecodeError;

use crate::netlink::attribute::{self, Writer};

const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFT_REG_1: u32 = 1;
const NFTA_DATA_VALUE: u16 = 1;

const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFT_META_L4PROTO: u32 = 16;

const NFTA_CT_DREG: u16 = 1;
const NFTA_CT_KEY: u16 = 2;
const NFT_CT_STATE: u32 = 0;
const NFT_CT_STATUS: u32 = 2;
pub(super) const NFT_CT_ID: u32 = 23;

const NFTA_BITWISE_SREG: u16 = 1;
const NFTA_BITWISE_DREG: u16 = 2;
const NFTA_BITWISE_LEN: u16 = 3;
const NFTA_BITWISE_MASK: u16 = 4;
const NFTA_BITWISE_XOR: u16 = 5;

const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;

const NFTA_LOOKUP_SET: u16 = 1;
const NFTA_LOOKUP_SREG: u16 = 2;
const NFTA_LOOKUP_FLAGS: u16 = 5;
const NFT_LOOKUP_F_INV: u32 = 1;

const NFTA_COUNTER_BYTES: u16 = 1;
const NFTA_COUNTER_PACKETS: u16 = 2;

const NFTA_FLOW_TABLE_NAME: u16 = 1;

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
    /// Any other key, by its number.
    Other(u32),
}

impl MetaKey {
    fn number(self) -> u32 {
        match self {
            MetaKey::InputName => NFT_META_IIFNAME,
            MetaKey::OutputName => NFT_META_OIFNAME,
            MetaKey::L4Proto => NFT_META_L4PROTO,
            MetaKey::Other(number) => number,
        }
    }

    fn from_number(number: u32) -> MetaKey {
        [MetaKey::InputName, MetaKey::OutputName, MetaKey::L4Proto]
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
    /// Any other key, by its number.
    Other(u32),
}

impl CtKey {
    fn number(self) -> u32 {
        match self {
            CtKey::State => NFT_CT_STATE,
            CtKey::Status => NFT_CT_STATUS,
            CtKey::Id => NFT_CT_ID,
            CtKey::Other(number) => number,
        }
    }

    fn from_number(number: u32) -> CtKey {
        [CtKey::State, CtKey::Status, CtKey::Id]
            .into_iter()
            .find(|key| key.number() == number)
            .unwrap_or(CtKey::Other(number))
    }
}

/// How `cmp` compares; the discriminants are the kernel's NFT_CMP_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// An order comparison, by its number.
    Other(u32),
}

impl Operator {
    fn number(self) -> u32 {
        match self {
            Operator::Equal => 0,
            Operator::NotEqual => 1,
            Operator::Other(number) => number,
        }
    }

    fn from_number(number: u32) -> Operator {
        match number {
            0 => Operator::Equal,
            1 => Operator::NotEqual,
            number => Operator::Other(number),
        }
    }
}

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Load packet metadata.
    Meta(MetaKey),
    /// Load a property of the connection.
    Ct(CtKey),
    /// And with `mask`, then exclusive or with `xor`; both equally long, in the data's own order.
    Bitwise {
        /// Bits kept.
        mask: Vec<u8>,
        /// Bits flipped.
        xor: Vec<u8>,
    },
    /// Go on only when the comparison with `value` holds.
    Cmp {
        /// Which comparison.
        operator: Operator,
        /// What the register is compared with.
        value: Vec<u8>,
    },
    /// Go on only when the register is (or, inverted, is not) a key of the set.
    Lookup {
        /// Name of a set of the same table.
        set: String,
        /// Go on when it is not a key.
        inverted: bool,
    },
    /// Count.
    Counter {
        /// Packets counted so far.
        packets: u64,
        /// Bytes counted so far, IP layer and above.
        bytes: u64,
    },
    /// Put the packet's flow into the flowtable; the packet itself goes on.
    FlowOffload {
        /// Name of a flowtable of the same table.
        flowtable: String,
    },
    /// Anything else.
    Other {
        /// The kernel's name of the expression.
        name: String,
    },
}

impl Expression {
    /// An empty counter.
    pub fn counter() -> Expression {
        Expression::Counter { packets: 0, bytes: 0 }
    }

    /// Three steps: load a 4-byte property of the connection and go on when any of `bits` is set.
    pub fn ct_has(key: CtKey, bits: u32) -> [Expression; 3] {
        [
            Expression::Ct(key),
            Expression::Bitwise { mask: bits.to_ne_bytes().to_vec(), xor: vec![0; 4] },
            Expression::Cmp { operator: Operator::NotEqual, value: vec![0; 4] },
        ]
    }

    /// Two steps: load the connection's number and go on when it is a key of `set`.
    pub fn ct_id_in(set: &str) -> [Expression; 2] {
        [Expression::Ct(CtKey::Id), Expression::Lookup { set: set.to_owned(), inverted: false }]
    }

    /// Two steps: load the connection's number and go on when it is no key of `set`.
    pub fn ct_id_not_in(set: &str) -> [Expression; 2] {
        [Expression::Ct(CtKey::Id), Expression::Lookup { set: set.to_owned(), inverted: true }]
    }

    /// Three steps: load a 4-byte property of the connection, keep `bits`, and go on when what
    /// remains is a key of `set`.
    pub fn ct_bits_in(key: CtKey, bits: u32, set: &str) -> [Expression; 3] {
        [
            Expression::Ct(key),
            Expression::Bitwise { mask: bits.to_ne_bytes().to_vec(), xor: vec![0; 4] },
            Expression::Lookup { set: set.to_owned(), inverted: false },
        ]
    }

    /// Two steps: load metadata and go on when it is a key of `set`.
    pub fn meta_in(key: MetaKey, set: &str) -> [Expression; 2] {
        [Expression::Meta(key), Expression::Lookup { set: set.to_owned(), inverted: false }]
    }

    /// Two steps: load metadata and go on when it is no key of `set`.
    pub fn meta_not_in(key: MetaKey, set: &str) -> [Expression; 2] {
        [Expression::Meta(key), Expression::Lookup { set: set.to_owned(), inverted: true }]
    }

    /// The same expression as another, whatever has been counted meanwhile.
    pub fn same_as(&self, other: &Expression) -> bool {
        match (self, other) {
            (Expression::Counter { .. }, Expression::Counter { .. }) => true,
            (this, other) => this == other,
        }
    }

    fn name(&self) -> &str {
        match self {
            Expression::Meta(_) => "meta",
            Expression::Ct(_) => "ct",
            Expression::Bitwise { .. } => "bitwise",
            Expression::Cmp { .. } => "cmp",
            Expression::Lookup { .. } => "lookup",
            Expression::Counter { .. } => "counter",
            Expression::FlowOffload { .. } => "flow_offload",
            Expression::Other { name } => name,
        }
    }

    /// Reads the inside of one NFTA_LIST_ELEM.
    pub(super) fn parse(element: &[u8]) -> Result<Expression, DecodeError> {
        let mut name = String::new();
        let mut data: &[u8] = &[];
        for attribute in attribute::attributes(element) {
            let (kind, value) = attribute?;
            match kind {
                NFTA_EXPR_NAME => name = attribute::string(value),
                NFTA_EXPR_DATA => data = value,
                _ => (),
            }
        }
        let number = |kind| find_u32(data, kind);
        let value = |kind| find_value(data, kind);
        Ok(match name.as_str() {
            "meta" => Expression::Meta(MetaKey::from_number(number(NFTA_META_KEY)?)),
            "ct" => Expression::Ct(CtKey::from_number(number(NFTA_CT_KEY)?)),
            "bitwise" => Expression::Bitwise {
                mask: value(NFTA_BITWISE_MASK)?,
                xor: value(NFTA_BITWISE_XOR)?,
            },
            "cmp" => Expression::Cmp {
                operator: Operator::from_number(number(NFTA_CMP_OP)?),
                value: value(NFTA_CMP_DATA)?,
            },
            "lookup" => Expression::Lookup {
                set: find_string(data, NFTA_LOOKUP_SET)?,
                inverted: number(NFTA_LOOKUP_FLAGS)? & NFT_LOOKUP_F_INV != 0,
            },
            "counter" => Expression::Counter {
                packets: find_u64(data, NFTA_COUNTER_PACKETS)?,
                bytes: find_u64(data, NFTA_COUNTER_BYTES)?,
            },
            "flow_offload" => {
                Expression::FlowOffload { flowtable: find_string(data, NFTA_FLOW_TABLE_NAME)? }
            }
            _ => Expression::Other { name },
        })
    }

    /// Writes the inside of one NFTA_LIST_ELEM.
    pub(super) fn emit(&self, writer: &mut Writer) {
        writer.string(NFTA_EXPR_NAME, self.name());
        writer.nest(NFTA_EXPR_DATA, |data| match self {
            Expression::Meta(key) => {
                data.u32_be(NFTA_META_DREG, NFT_REG_1);
                data.u32_be(NFTA_META_KEY, key.number());
            }
            Expression::Ct(key) => {
                data.u32_be(NFTA_CT_DREG, NFT_REG_1);
                data.u32_be(NFTA_CT_KEY, key.number());
            }
            Expression::Bitwise { mask, xor } => {
                data.u32_be(NFTA_BITWISE_SREG, NFT_REG_1);
                data.u32_be(NFTA_BITWISE_DREG, NFT_REG_1);
                data.u32_be(NFTA_BITWISE_LEN, mask.len() as u32);
                data.nest(NFTA_BITWISE_MASK, |nest| nest.bytes(NFTA_DATA_VALUE, mask));
                data.nest(NFTA_BITWISE_XOR, |nest| nest.bytes(NFTA_DATA_VALUE, xor));
            }
            Expression::Cmp { operator, value } => {
                data.u32_be(NFTA_CMP_SREG, NFT_REG_1);
                data.u32_be(NFTA_CMP_OP, operator.number());
                data.nest(NFTA_CMP_DATA, |nest| nest.bytes(NFTA_DATA_VALUE, value));
            }
            Expression::Lookup { set, inverted } => {
                data.string(NFTA_LOOKUP_SET, set);
                data.u32_be(NFTA_LOOKUP_SREG, NFT_REG_1);
                data.u32_be(NFTA_LOOKUP_FLAGS, if *inverted { NFT_LOOKUP_F_INV } else { 0 });
            }
            Expression::FlowOffload { flowtable } => {
                data.string(NFTA_FLOW_TABLE_NAME, flowtable);
            }
            // The kernel starts at 0 unless told.
            Expression::Counter { packets: 0, bytes: 0 } | Expression::Other { .. } => (),
            Expression::Counter { packets, bytes } => {
                data.u64_be(NFTA_COUNTER_BYTES, *bytes);
                data.u64_be(NFTA_COUNTER_PACKETS, *packets);
            }
        });
    }
}

fn find<T: Default>(
    data: &[u8],
    wanted: u16,
    read: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut found = T::default();
    attribute::for_each(data, |kind, value| {
        if kind == wanted {
            found = read(value)?;
        }
        Ok(())
    })?;
    Ok(found)
}

fn find_u32(data: &[u8], kind: u16) -> Result<u32, DecodeError> {
    find(data, kind, attribute::u32_be)
}

fn find_u64(data: &[u8], kind: u16) -> Result<u64, DecodeError> {
    find(data, kind, attribute::u64_be)
}

fn find_string(data: &[u8], kind: u16) -> Result<String, DecodeError> {
    find(data, kind, |value| Ok(attribute::string(value)))
}

/// The NFTA_DATA_VALUE inside a nest.
fn find_value(data: &[u8], kind: u16) -> Result<Vec<u8>, DecodeError> {
    find(data, kind, |nest| find(nest, NFTA_DATA_VALUE, |value| Ok(value.to_vec())))
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Counter { packets, bytes } => {
                write!(f, "counter packets {packets} bytes {bytes}")
            }
            Expression::FlowOffload { flowtable } => write!(f, "flow add @{flowtable}"),
            Expression::Lookup { set, inverted } => {
                write!(f, "{}@{set}", if *inverted { "!= " } else { "" })
            }
            other => f.write_str(other.name()),
        }
    }
}
