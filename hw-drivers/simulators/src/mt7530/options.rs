// SPDX-License-Identifier: GPL-2.0-or-later
//! What no public source confirms, as choices.

/// What a read of the register for high halves gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HighHalf {
    /// The high half as it was when the low half was read.
    Latched,
    /// The high half at this moment.
    Live,
}

/// Whether the words written for a table's command and the words read by one are the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// One pair: what was written can be read, and a command that reads overwrites it.
    Shared,
    /// Two pairs behind the same addresses: a read gives what the last reading command found.
    Separate,
}

/// When a table's command takes the words that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampled {
    /// When the command is written.
    AtStart,
    /// When the command register stops being busy.
    AtEnd,
}

/// Which of several matching rules counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// The one with the lowest index.
    Lowest,
    /// The one with the highest index.
    Highest,
}

/// The choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Revision in the identification register, 4 bits.
    pub revision: u8,
    /// Reads of a command register that still show the busy bit after a command.
    pub busy_reads: u16,
    /// The register for high halves.
    pub high_half: HighHalf,
    /// The data words of the table commands.
    pub words: Words,
    /// When they are taken.
    pub sampled: Sampled,
    /// A command for an index beyond its table sets IDX_INVALID; if not it does nothing.
    pub index_invalid: bool,
    /// Entries of the VLAN table that an index may name, at most 4096.
    pub vlans: u16,
    /// Which rule counts.
    pub precedence: Precedence,
    /// A rule without a pattern, but with an action or a rate, matches every frame; if not, none.
    pub empty_mask_matches: bool,
    /// An action with priority 0 gives the frame this priority; if not, the frame's own stays.
    pub priority_zero_counts: bool,
    /// In a tagged frame word 6 of base 0 is the type behind the tags; if not, the tag's own.
    pub tagged_ether_type: bool,
    /// The words after base 4 are there for later fragments too, which have no ports.
    pub ports_of_fragments: bool,
    /// Base 2 is there for frames that are neither IPv4 nor IPv6.
    pub base_of_others: bool,
    /// SRCH_END comes together with the last hit of a search; if not, on its own after it.
    pub end_with_last: bool,
    /// How much the octet counters grow with each read of one of their words: time that passes.
    pub octets_a_read: u32,
}

impl Default for Options {
    /// What the sheet takes for likely.
    fn default() -> Options {
        Options {
            revision: 1,
            busy_reads: 1,
            high_half: HighHalf::Latched,
            words: Words::Shared,
            sampled: Sampled::AtStart,
            index_invalid: true,
            vlans: 4096,
            precedence: Precedence::Lowest,
            empty_mask_matches: false,
            priority_zero_counts: true,
            tagged_ether_type: false,
            ports_of_fragments: true,
            base_of_others: true,
            end_with_last: true,
            octets_a_read: 0,
        }
    }
}
