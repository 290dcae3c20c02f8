// SPDX-License-Identifier: GPL-2.0-or-later
//! A 32-bit register that was read as two halves.

use super::{Outcome, Slot};

/// The result of a 32-bit read, named before it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot32 {
    /// Bits 15:0.
    pub low: Slot,
    /// Bits 31:16.
    pub high: Slot,
}

impl Slot32 {
    /// The register's value; `None` for the outcome of another transaction.
    pub fn value(self, outcome: &Outcome) -> Option<u32> {
        let (low, high) = (outcome.get(self.low)?, outcome.get(self.high)?);
        Some(u32::from(high) << 16 | u32::from(low))
    }
}
