// SPDX-License-Identifier: GPL-2.0-or-later
//! What becomes of a packet: the end of a rule.

use std::fmt;

use netlink_packet_core::DecodeError;

use crate::netlink::attribute::{self, Writer};

const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

const NF_ACCEPT: u32 = 1;
const NFT_GOTO: u32 = (-4_i32).cast_unsigned();

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The packet is done with this base chain.
    Accept,
    /// The packet goes on in another chain of the table and does not come back.
    Goto(String),
    /// Any other, by its number.
    Other(u32),
}

impl Verdict {
    /// Reads the inside of the data of an `immediate`.
    pub(super) fn parse(data: &[u8]) -> Result<Option<Verdict>, DecodeError> {
        let mut verdict = None;
        attribute::for_each(data, |kind, nest| {
            if kind == NFTA_DATA_VERDICT {
                verdict = Some(parse_verdict(nest)?);
            }
            Ok(())
        })?;
        Ok(verdict)
    }

    /// Writes the inside of the data of an `immediate`.
    pub(super) fn emit(&self, writer: &mut Writer) {
        writer.nest(NFTA_DATA_VERDICT, |nest| match self {
            Verdict::Accept => nest.u32_be(NFTA_VERDICT_CODE, NF_ACCEPT),
            Verdict::Goto(chain) => {
                nest.u32_be(NFTA_VERDICT_CODE, NFT_GOTO);
                nest.string(NFTA_VERDICT_CHAIN, chain);
            }
            Verdict::Other(code) => nest.u32_be(NFTA_VERDICT_CODE, *code),
        });
    }
}

fn parse_verdict(nest: &[u8]) -> Result<Verdict, DecodeError> {
    let (mut code, mut chain) = (0, String::new());
    attribute::for_each(nest, |kind, value| {
        match kind {
            NFTA_VERDICT_CODE => code = attribute::u32_be(value)?,
            NFTA_VERDICT_CHAIN => chain = attribute::string(value),
            _ => (),
        }
        Ok(())
    })?;
    Ok(match code {
        NF_ACCEPT => Verdict::Accept,
        NFT_GOTO => Verdict::Goto(chain),
        code => Verdict::Other(code),
    })
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Accept => f.write_str("accept"),
            Verdict::Goto(chain) => write!(f, "goto {chain}"),
            Verdict::Other(code) => write!(f, "verdict {}", code.cast_signed()),
        }
    }
}
