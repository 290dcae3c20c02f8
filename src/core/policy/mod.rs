// SPDX-License-Identifier: GPL-2.0-or-later
//! Which connections may leave the classic path, when, and into which table: `config rule`.
//!
//! The first rule that matches decides, as in the firewall; without one a connection goes into the
//! ordinary tables. A rule is about the connection: its source is the end that opened it, before
//! the source is translated, its destination the end that answers, behind the translation of the
//! destination. So packets of both directions have one verdict, wherever that is found: `judge`
//! finds it for a flow that somebody asks about, `chain` makes the kernel find it for each packet,
//! by sets that `layers` fills with `key`s.

pub mod chain;
mod entries;
pub mod judge;
mod key;
pub mod layers;
pub mod places;

#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod tests;

use crate::netlink::conntrack::tuple::{IPPROTO_TCP, IPPROTO_UDP};
use crate::netlink::prefix::Prefix;

pub use judge::{Destination, Subject, Verdict};
pub use layers::{Group, TooMany};
pub use places::Places;

/// What is to become of the connections that a rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// They stay on the classic path.
    Bypass,
    /// They are offloaded.
    Offload {
        /// Not before they have carried so many packets, both directions together.
        min_packets: u64,
        /// Not before they have carried so many bytes, both directions together.
        min_bytes: u64,
        /// Into the table of this partition; `None` into the ordinary tables.
        table: Option<String>,
    },
}

impl Action {
    /// Offloaded as they would be without a rule.
    pub const OFFLOAD: Action = Action::Offload { min_packets: 0, min_bytes: 0, table: None };
}

/// A mark and the bits of it that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What the bits must be; no others are set.
    pub value: u32,
    /// The bits that count; at least one.
    pub mask: u32,
}

/// A `config rule` section. What is empty or `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, or what stands for it.
    pub name: String,
    /// The zone that packets from the end that opened the connection come from.
    pub src: Option<String>,
    /// The zone that they go to.
    pub dest: Option<String>,
    /// Addresses of the end that opened the connection.
    pub src_ip: Vec<Prefix>,
    /// Addresses of the end that answers.
    pub dest_ip: Vec<Prefix>,
    /// Ports of the end that opened the connection, first and last of each range.
    pub src_port: Vec<(u16, u16)>,
    /// Ports of the end that answers.
    pub dest_port: Vec<(u16, u16)>,
    /// The lowest and the highest protocol; none that is offloaded is between TCP and UDP.
    pub protocols: (u8, u8),
    /// DSCP of the packet, 0 to 63.
    pub dscp: Vec<u8>,
    /// Mark of the connection.
    pub mark: Option<Mark>,
    /// Pattern over the devices that routing sees, of either end.
    pub device: Option<String>,
    /// What is to become of what it matches.
    pub action: Action,
}

/// TCP and UDP, which have ports.
pub const WITH_PORTS: (u8, u8) = (IPPROTO_TCP, IPPROTO_UDP);
/// Every protocol.
pub const ALL_PROTOCOLS: (u8, u8) = (0, u8::MAX);

impl Rule {
    /// A rule that matches everything.
    pub fn all(name: &str, action: Action) -> Rule {
        Rule {
            name: name.to_owned(),
            src: None,
            dest: None,
            src_ip: Vec::new(),
            dest_ip: Vec::new(),
            src_port: Vec::new(),
            dest_port: Vec::new(),
            protocols: ALL_PROTOCOLS,
            dscp: Vec::new(),
            mark: None,
            device: None,
            action,
        }
    }
}

/// The rules as they were written, and as they are put into sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    groups: Vec<Group>,
}

impl Policy {
    /// Compiles rules.
    ///
    /// # Errors
    /// The rule of this index makes more of something than there may be.
    pub fn new(rules: Vec<Rule>) -> Result<Policy, (usize, TooMany)> {
        let groups = layers::compile(&rules)?;
        Ok(Policy { rules, groups })
    }

    /// The rules in the order in which they are asked.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The groups in the order in which they are asked.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// True without rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}
