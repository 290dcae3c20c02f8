// SPDX-License-Identifier: GPL-2.0-or-later
//! What stands between the wanted state and the kernel's.

use super::reason::Reason;

/// Why the wanted state is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    /// What belongs to the reason: the kernel's words, or what to do.
    pub(super) detail: String,
}

impl Fault {
    /// One line for the log and for `last_error`.
    pub(super) fn line(&self) -> String {
        match self.reason {
            // The detail of a refusal is a whole sentence already.
            Reason::Refused => self.detail.clone(),
            reason => format!("{}: {}", reason.text(), self.detail),
        }
    }
}
