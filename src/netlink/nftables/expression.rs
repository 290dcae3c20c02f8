// SPDX-License-Identifier: GPL-2.0-or-later
//! The expressions of rules, as many as our chains need; others are kept by name.
//!
//! Loads name the register that they go to; whatever compares or looks up begins at the first. A
//! rule that does otherwise is still read, and differs from ours by its names.

use std::fmt;

use netlink_packet_core::DecodeError;

use super::keys::{CtKey, Direction, MetaKey, Operator};
use super::register::Register;
use super::verdict::Verdict;
use crate::netlink::attribute::{self, Writer};

const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;

const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;

const NFTA_CT_DREG: u16 = 1;
const NFTA_CT_KEY: u16 = 2;
const NFTA_CT_DIRECTION: u16 = 3;

const NFTA_BITWISE_SREG: u16 = 1;
const NFTA_BITWISE_DREG: u16 = 2;
const NFTA_BITWISE_LEN: u16 = 3;
const NFTA_BITWISE_MASK: u16 = 4;
const NFTA_BITWISE_XOR: u16 = 5;

const NFTA_BYTEORDER_SREG: u16 = 1;
const NFTA_BYTEORDER_DREG: u16 = 2;
const NFTA_BYTEORDER_OP: u16 = 3;
const NFTA_BYTEORDER_LEN: u16 = 4;
const NFTA_BYTEORDER_SIZE: u16 = 5;
const NFT_BYTEORDER_HTON: u32 = 1;

const NFTA_PAYLOAD_DREG: u16 = 1;
const NFTA_PAYLOAD_BASE: u16 = 2;
const NFTA_PAYLOAD_OFFSET: u16 = 3;
const NFTA_PAYLOAD_LEN: u16 = 4;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;

const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFT_REG_VERDICT: u32 = 0;

const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;

const NFTA_LOOKUP_SET: u16 = 1;
const NFTA_LOOKUP_SREG: u16 = 2;
const NFTA_LOOKUP_FLAGS: u16 = 5;
const NFT_LOOKUP_F_INV: u32 = 1;

const NFTA_DYNSET_SET_NAME: u16 = 1;
const NFTA_DYNSET_OP: u16 = 3;
const NFTA_DYNSET_SREG_KEY: u16 = 4;
const NFTA_DYNSET_SREG_DATA: u16 = 5;
const NFTA_DYNSET_TIMEOUT: u16 = 6;
const NFTA_DYNSET_EXPR: u16 = 7;
const NFTA_DYNSET_FLAGS: u16 = 9;
const NFTA_DYNSET_EXPRESSIONS: u16 = 10;
const NFT_DYNSET_OP_UPDATE: u32 = 1;

const NFTA_COUNTER_BYTES: u16 = 1;
const NFTA_COUNTER_PACKETS: u16 = 2;

const NFTA_FLOW_TABLE_NAME: u16 = 1;

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Load packet metadata.
    Meta(MetaKey, Register),
    /// Load a property of the connection, or of one of its directions.
    Ct(CtKey, Option<Direction>, Register),
    /// Load bytes of the network header.
    Network {
        /// Where they begin.
        offset: u32,
        /// How many.
        length: u32,
        /// Where they go.
        register: Register,
    },
    /// Turn one integer of so many bytes from the host's order into the network's.
    HostToNetwork {
        /// Where it is.
        register: Register,
        /// Its length: 2, 4 or 8 bytes.
        length: u32,
    },
    /// And with `mask`, then exclusive or with `xor`; both equally long, in the data's own order.
    Bitwise {
        /// Where the data is.
        register: Register,
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
    /// Make the register a key of the set for so long; go on unless the set is full.
    Update {
        /// Name of a dynamic set of the same table.
        set: String,
        /// Milliseconds from now on; the kernel counts them in its own ticks.
        timeout_ms: u64,
    },
    /// The packet's fate.
    Verdict(Verdict),
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

    /// Load packet metadata into the first register.
    pub fn meta(key: MetaKey) -> Expression {
        Expression::Meta(key, Register::FIRST)
    }

    /// Load a property of the connection into the first register.
    pub fn ct(key: CtKey) -> Expression {
        Expression::Ct(key, None, Register::FIRST)
    }

    fn ct_mask(bits: u32) -> Expression {
        let (mask, xor) = (bits.to_ne_bytes().to_vec(), vec![0; 4]);
        Expression::Bitwise { register: Register::FIRST, mask, xor }
    }

    /// Go on when what is loaded is a key of `set`.
    pub fn is_in(set: &str) -> Expression {
        Expression::Lookup { set: set.to_owned(), inverted: false }
    }

    fn is_not_in(set: &str) -> Expression {
        Expression::Lookup { set: set.to_owned(), inverted: true }
    }

    /// Two steps: load metadata and go on when it is this.
    pub fn meta_is(key: MetaKey, value: u8) -> [Expression; 2] {
        [Expression::meta(key), Expression::Cmp { operator: Operator::Equal, value: vec![value] }]
    }

    /// Two steps: go on with packets of a direction.
    pub fn goes(direction: Direction) -> [Expression; 2] {
        let value = vec![direction.number()];
        [Expression::ct(CtKey::Direction), Expression::Cmp { operator: Operator::Equal, value }]
    }

    /// Three steps: load a count of the connection and go on while it is less.
    pub fn ct_less(key: CtKey, count: u64) -> [Expression; 3] {
        [
            Expression::ct(key),
            Expression::HostToNetwork { register: Register::FIRST, length: 8 },
            Expression::Cmp { operator: Operator::Less, value: count.to_be_bytes().to_vec() },
        ]
    }

    /// Three steps: load a 4-byte property of the connection and go on when any of `bits` is set.
    pub fn ct_has(key: CtKey, bits: u32) -> [Expression; 3] {
        [
            Expression::ct(key),
            Expression::ct_mask(bits),
            Expression::Cmp { operator: Operator::NotEqual, value: vec![0; 4] },
        ]
    }

    /// Three steps: load a 4-byte property of the connection and go on when none of `bits` is set.
    pub fn ct_lacks(key: CtKey, bits: u32) -> [Expression; 3] {
        let value = vec![0; 4];
        let none = Expression::Cmp { operator: Operator::Equal, value };
        [Expression::ct(key), Expression::ct_mask(bits), none]
    }

    /// Two steps: load the connection's number and go on when it is a key of `set`.
    pub fn ct_id_in(set: &str) -> [Expression; 2] {
        [Expression::ct(CtKey::Id), Expression::is_in(set)]
    }

    /// Two steps: load the connection's number and go on when it is no key of `set`.
    pub fn ct_id_not_in(set: &str) -> [Expression; 2] {
        [Expression::ct(CtKey::Id), Expression::is_not_in(set)]
    }

    /// Two steps: load the connection's number and make it a key of `set`.
    pub fn ct_id_into(set: &str, timeout_ms: u64) -> [Expression; 2] {
        [Expression::ct(CtKey::Id), Expression::Update { set: set.to_owned(), timeout_ms }]
    }

    /// Three steps: load a 4-byte property of the connection, keep `bits`, and go on when what
    /// remains is a key of `set`.
    pub fn ct_bits_in(key: CtKey, bits: u32, set: &str) -> [Expression; 3] {
        [Expression::ct(key), Expression::ct_mask(bits), Expression::is_in(set)]
    }

    /// Two steps: load metadata and go on when it is a key of `set`.
    pub fn meta_in(key: MetaKey, set: &str) -> [Expression; 2] {
        [Expression::meta(key), Expression::is_in(set)]
    }

    /// Two steps: load metadata and go on when it is no key of `set`.
    pub fn meta_not_in(key: MetaKey, set: &str) -> [Expression; 2] {
        [Expression::meta(key), Expression::is_not_in(set)]
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
            Expression::Meta(..) => "meta",
            Expression::Ct(..) => "ct",
            Expression::Network { .. } => "payload",
            Expression::HostToNetwork { .. } => "byteorder",
            Expression::Verdict(_) => "immediate",
            Expression::Bitwise { .. } => "bitwise",
            Expression::Cmp { .. } => "cmp",
            Expression::Lookup { .. } => "lookup",
            Expression::Update { .. } => "dynset",
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
        Ok(parse_known(&name, data)?.unwrap_or(Expression::Other { name }))
    }

    /// Writes the inside of one NFTA_LIST_ELEM.
    pub(super) fn emit(&self, writer: &mut Writer) {
        writer.string(NFTA_EXPR_NAME, self.name());
        writer.nest(NFTA_EXPR_DATA, |data| match self {
            Expression::Meta(key, register) => {
                data.u32_be(NFTA_META_DREG, register.number());
                data.u32_be(NFTA_META_KEY, key.number());
            }
            Expression::Ct(key, direction, register) => {
                data.u32_be(NFTA_CT_DREG, register.number());
                data.u32_be(NFTA_CT_KEY, key.number());
                if let Some(direction) = direction {
                    data.u8(NFTA_CT_DIRECTION, direction.number());
                }
            }
            Expression::Network { offset, length, register } => {
                data.u32_be(NFTA_PAYLOAD_DREG, register.number());
                data.u32_be(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
                data.u32_be(NFTA_PAYLOAD_OFFSET, *offset);
                data.u32_be(NFTA_PAYLOAD_LEN, *length);
            }
            Expression::HostToNetwork { register, length } => {
                data.u32_be(NFTA_BYTEORDER_SREG, register.number());
                data.u32_be(NFTA_BYTEORDER_DREG, register.number());
                data.u32_be(NFTA_BYTEORDER_OP, NFT_BYTEORDER_HTON);
                data.u32_be(NFTA_BYTEORDER_LEN, *length);
                data.u32_be(NFTA_BYTEORDER_SIZE, *length);
            }
            Expression::Bitwise { register, mask, xor } => {
                data.u32_be(NFTA_BITWISE_SREG, register.number());
                data.u32_be(NFTA_BITWISE_DREG, register.number());
                data.u32_be(NFTA_BITWISE_LEN, mask.len() as u32);
                data.nest(NFTA_BITWISE_MASK, |nest| nest.bytes(NFTA_DATA_VALUE, mask));
                data.nest(NFTA_BITWISE_XOR, |nest| nest.bytes(NFTA_DATA_VALUE, xor));
            }
            Expression::Verdict(verdict) => {
                data.u32_be(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
                data.nest(NFTA_IMMEDIATE_DATA, |nest| verdict.emit(nest));
            }
            Expression::Cmp { operator, value } => {
                data.u32_be(NFTA_CMP_SREG, Register::FIRST.number());
                data.u32_be(NFTA_CMP_OP, operator.number());
                data.nest(NFTA_CMP_DATA, |nest| nest.bytes(NFTA_DATA_VALUE, value));
            }
            Expression::Lookup { set, inverted } => {
                data.string(NFTA_LOOKUP_SET, set);
                data.u32_be(NFTA_LOOKUP_SREG, Register::FIRST.number());
                data.u32_be(NFTA_LOOKUP_FLAGS, if *inverted { NFT_LOOKUP_F_INV } else { 0 });
            }
            Expression::Update { set, timeout_ms } => {
                data.string(NFTA_DYNSET_SET_NAME, set);
                data.u32_be(NFTA_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
                data.u32_be(NFTA_DYNSET_SREG_KEY, Register::FIRST.number());
                data.u64_be(NFTA_DYNSET_TIMEOUT, *timeout_ms);
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

/// An expression of a form that we use ourselves.
fn parse_known(name: &str, data: &[u8]) -> Result<Option<Expression>, DecodeError> {
    let number = |kind| find_u32(data, kind);
    let value = |kind| find_value(data, kind);
    let register = |kind| number(kind).map(Register::from_number);
    let first = |kind| register(kind).map(|register| register == Some(Register::FIRST));
    Ok(match name {
        "meta" => register(NFTA_META_DREG)?
            .map(|to| {
                number(NFTA_META_KEY).map(|key| Expression::Meta(MetaKey::from_number(key), to))
            })
            .transpose()?,
        "ct" => {
            let (key, direction) = (number(NFTA_CT_KEY)?, find_u8(data, NFTA_CT_DIRECTION)?);
            let direction = direction.map(Direction::from_number);
            let to = register(NFTA_CT_DREG)?;
            to.map(|to| Expression::Ct(CtKey::from_number(key), direction, to))
        }
        "payload" => {
            let (offset, length) = (number(NFTA_PAYLOAD_OFFSET)?, number(NFTA_PAYLOAD_LEN)?);
            let network = number(NFTA_PAYLOAD_BASE)? == NFT_PAYLOAD_NETWORK_HEADER;
            let to = register(NFTA_PAYLOAD_DREG)?.filter(|_| network);
            to.map(|register| Expression::Network { offset, length, register })
        }
        "byteorder" => {
            let length = number(NFTA_BYTEORDER_LEN)?;
            let one = number(NFTA_BYTEORDER_SIZE)? == length
                && number(NFTA_BYTEORDER_OP)? == NFT_BYTEORDER_HTON
                && number(NFTA_BYTEORDER_SREG)? == number(NFTA_BYTEORDER_DREG)?;
            let at = register(NFTA_BYTEORDER_DREG)?.filter(|_| one);
            at.map(|register| Expression::HostToNetwork { register, length })
        }
        "bitwise" => {
            let (mask, xor) = (value(NFTA_BITWISE_MASK)?, value(NFTA_BITWISE_XOR)?);
            let in_place = number(NFTA_BITWISE_SREG)? == number(NFTA_BITWISE_DREG)?;
            let at = register(NFTA_BITWISE_DREG)?.filter(|_| in_place);
            at.map(|register| Expression::Bitwise { register, mask, xor })
        }
        "cmp" if first(NFTA_CMP_SREG)? => Some(Expression::Cmp {
            operator: Operator::from_number(number(NFTA_CMP_OP)?),
            value: value(NFTA_CMP_DATA)?,
        }),
        "lookup" if first(NFTA_LOOKUP_SREG)? => Some(Expression::Lookup {
            set: find_string(data, NFTA_LOOKUP_SET)?,
            inverted: number(NFTA_LOOKUP_FLAGS)? & NFT_LOOKUP_F_INV != 0,
        }),
        "dynset" if is_plain_update(data)? => Some(Expression::Update {
            set: find_string(data, NFTA_DYNSET_SET_NAME)?,
            timeout_ms: find_u64(data, NFTA_DYNSET_TIMEOUT)?,
        }),
        "immediate" => find(data, NFTA_IMMEDIATE_DATA, Verdict::parse)?.map(Expression::Verdict),
        "counter" => Some(Expression::Counter {
            packets: find_u64(data, NFTA_COUNTER_PACKETS)?,
            bytes: find_u64(data, NFTA_COUNTER_BYTES)?,
        }),
        "flow_offload" => {
            Some(Expression::FlowOffload { flowtable: find_string(data, NFTA_FLOW_TABLE_NAME)? })
        }
        _ => None,
    })
}

/// True for an update of a set of keys by the first register, which does nothing besides.
fn is_plain_update(data: &[u8]) -> Result<bool, DecodeError> {
    let mut besides = false;
    attribute::for_each(data, |kind, value| {
        besides |= match kind {
            NFTA_DYNSET_SREG_DATA | NFTA_DYNSET_EXPR | NFTA_DYNSET_EXPRESSIONS => true,
            NFTA_DYNSET_FLAGS => attribute::u32_be(value)? != 0,
            _ => false,
        };
        Ok(())
    })?;
    let register = Register::from_number(find_u32(data, NFTA_DYNSET_SREG_KEY)?);
    Ok(!besides
        && register == Some(Register::FIRST)
        && find_u32(data, NFTA_DYNSET_OP)? == NFT_DYNSET_OP_UPDATE)
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

fn find_u8(data: &[u8], kind: u16) -> Result<Option<u8>, DecodeError> {
    find(data, kind, |value| attribute::u8(value).map(Some))
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
            Expression::Update { set, .. } => write!(f, "update @{set}"),
            Expression::Verdict(verdict) => verdict.fmt(f),
            other => f.write_str(other.name()),
        }
    }
}
