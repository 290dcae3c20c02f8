// SPDX-License-Identifier: GPL-2.0-or-later
//! A connection that could be in a switch, with what makes it stale.

use hw_drivers::flow::Flow;

use super::Candidate;

/// By which devices packets reach an end, by their indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment {
    /// The device that routing sees.
    pub routed: u32,
    /// The one that stands for the port.
    pub port: u32,
}

/// Where a flow is, as the daemon knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whereabouts {
    /// Names of the devices by which routing reaches the end that opened it, and the one that
    /// answers.
    pub devices: [Option<String>; 2],
    /// The table whose flowtable has it; `None` when nobody knows.
    pub table: Option<String>,
    /// Why the configuration keeps it from switches, in words.
    pub barred: Option<String>,
}

/// A connection that could be in a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What it is chosen by.
    pub candidate: Candidate,
    /// As the chip sees it.
    pub flow: Flow,
    /// The table whose flowtable has it; `None` when nobody knows.
    pub table: Option<String>,
    /// Where its ends are.
    pub ends: [Attachment; 2],
}
