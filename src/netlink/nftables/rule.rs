// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules.

use std::fmt;

use netlink_packet_core::DecodeError;

use super::expression::Expression;
use super::{split_header, write_header, Table};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

pub(super) const NFT_MSG_NEWRULE: u16 = 6;
pub(super) const NFT_MSG_GETRULE: u16 = 7;
pub(super) const NFT_MSG_DELRULE: u16 = 8;

pub(super) const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_USERDATA: u16 = 7;

const NFTA_LIST_ELEM: u16 = 1;

/// libnftnl's `NFTNL_UDATA_RULE_COMMENT`.
const UDATA_COMMENT: u8 = 0;
/// nft's limit for a comment, the NUL included.
const COMMENT_LEN: usize = 128;

/// A rule of one of our chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The table it lives in.
    pub table: Table,
    /// The chain it lives in.
    pub chain: String,
    /// What it does, in order.
    pub expressions: Vec<Expression>,
    /// Comment shown by `nft list`; at most 127 bytes.
    pub comment: String,
    /// The kernel's handle; 0 in what is wanted.
    pub handle: u64,
}

impl Rule {
    /// Reads a NEWRULE answer or event.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<Rule, DecodeError> {
        let (family, _, attributes) = split_header(message)?;
        let mut rule = Rule {
            table: Table { family, name: String::new() },
            chain: String::new(),
            expressions: Vec::new(),
            comment: String::new(),
            handle: 0,
        };
        attribute::for_each(attributes, |kind, value| {
            match kind {
                NFTA_RULE_TABLE => rule.table.name = attribute::string(value),
                NFTA_RULE_CHAIN => rule.chain = attribute::string(value),
                NFTA_RULE_HANDLE => rule.handle = attribute::u64_be(value)?,
                NFTA_RULE_EXPRESSIONS => attribute::for_each(value, |_, element| {
                    rule.expressions.push(Expression::parse(element)?);
                    Ok(())
                })?,
                NFTA_RULE_USERDATA => rule.comment = parse_comment(value),
                _ => (),
            }
            Ok(())
        })?;
        Ok(rule)
    }

    /// Does the same as another rule, whatever has been counted meanwhile.
    pub fn same_as(&self, other: &Rule) -> bool {
        self.table == other.table
            && self.chain == other.chain
            && self.comment == other.comment
            && self.expressions.len() == other.expressions.len()
            && self.expressions.iter().zip(&other.expressions).all(|(a, b)| a.same_as(b))
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        emit_chain(writer, &self.table, &self.chain);
        if !self.comment.is_empty() {
            writer.bytes(NFTA_RULE_USERDATA, &comment_userdata(&self.comment));
        }
        writer.nest(NFTA_RULE_EXPRESSIONS, |list| {
            for expression in &self.expressions {
                list.nest(NFTA_LIST_ELEM, |element| expression.emit(element));
            }
        });
    }

    /// Table, chain and handle: deleting this one rule.
    pub(super) fn emit_handle(&self, writer: &mut Writer) {
        emit_chain(writer, &self.table, &self.chain);
        writer.u64_be(NFTA_RULE_HANDLE, self.handle);
    }
}

/// Table and chain alone: listing or flushing a chain.
pub(super) fn emit_chain(writer: &mut Writer, table: &Table, chain: &str) {
    write_header(writer, table.family.number(), 0);
    writer.string(NFTA_RULE_TABLE, &table.name);
    writer.string(NFTA_RULE_CHAIN, chain);
}

fn comment_userdata(comment: &str) -> Vec<u8> {
    let text = comment.as_bytes().get(..COMMENT_LEN - 1).unwrap_or(comment.as_bytes());
    let mut userdata = vec![UDATA_COMMENT, text.len() as u8 + 1];
    userdata.extend_from_slice(text);
    userdata.push(0);
    userdata
}

fn parse_comment(mut userdata: &[u8]) -> String {
    while let [kind, length, rest @ ..] = userdata {
        let (value, next) = rest.split_at_checked(usize::from(*length)).unwrap_or((rest, &[]));
        if *kind == UDATA_COMMENT {
            return attribute::string(value);
        }
        userdata = next;
    }
    String::new()
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule \"{}\" of chain {} of {}", self.comment, self.chain, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comment_round_trip() {
        assert_eq!(comment_userdata("rc"), [0, 3, 114, 99, 0]);
        assert_eq!(parse_comment(&comment_userdata("rc")), "rc");
        assert_eq!(parse_comment(&[1, 1, 9, 0, 2, b'x', 0]), "x");
        assert_eq!(parse_comment(&[0, 200, b'x']), "x");
        assert_eq!(parse_comment(&comment_userdata(&"y".repeat(300))).len(), 127);
    }
}
