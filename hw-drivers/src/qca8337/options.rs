// SPDX-License-Identifier: GPL-2.0-or-later
//! What no public source confirms, and so has to be open to change without a new program.

use crate::qca8k_page::{PageAfter, Settle};

/// How the chip is spoken to. The defaults work with every behaviour that the sources leave open,
/// but for the page register, of which only who knows the kernel's driver can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What becomes of the page register.
    pub page_after: PageAfter,
    /// Pause after a new page.
    pub settle: Settle,
    /// Most reads until the table engine is free, before an image is written and before its
    /// command.
    pub polls_before: u16,
    /// Most reads in one transaction until it has finished one. The vendor allows 4096 reads, of
    /// three transfers each.
    pub polls: u16,
    /// Further transactions in which it may get free or finish.
    pub patience: u8,
    /// Looks at the status before the one that counts; the vendor says that the chip needs one.
    pub looks: u8,
    /// ADD may overwrite an entry (NAPT_OVERRIDE). The driver never adds what is there.
    pub override_entries: bool,
    /// Age that an entry begins with, below the one that traffic gives it (14), so that the first
    /// hit shows; 1 to 14.
    pub first_age: u8,
    /// Counters given to flows, at most 8. If something else makes use of counters 8 to 15 of
    /// hosts, which may be the same memory, only 4 are free.
    pub counters: u8,
    /// Which two words of a counter are the ones of packets towards the public side.
    pub outward: Outward,
    /// Packets from the LAN that are not for it always have to find a flow. The vendor asks for
    /// that only in PPPoE; without it a packet whose source is not of the LAN is sent to the
    /// gateway as it is, past the firewall.
    pub force_source_nat: bool,
    /// The classifier's rule that is used for the way to the gateway, 0 to 95.
    pub rule: u8,
    /// Most entries that a call of a sweep looks at; it ends sooner once it has made some hundred
    /// transfers.
    pub sweep: u16,
}

/// The halves of a counter: no source tells which direction is which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outward {
    /// Packets towards the public side are "egress".
    Egress,
    /// They are "ingress".
    Ingress,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            page_after: PageAfter::ReadBack,
            settle: Settle::default(),
            polls_before: 256,
            polls: 1400,
            patience: 3,
            looks: 1,
            override_entries: false,
            first_age: 13,
            counters: 8,
            outward: Outward::Egress,
            force_source_nat: true,
            rule: 95,
            sweep: 16,
        }
    }
}
