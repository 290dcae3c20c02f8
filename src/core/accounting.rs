// SPDX-License-Identifier: GPL-2.0-or-later
//! Conntrack's accounting: without it nobody can tell what flows carry.

use log::Level;

use super::control::{Control, Effect};

impl Control {
    /// Switches accounting on when the configuration asks for it. Never off: others may need it.
    pub(super) fn switch_accounting(&mut self) -> Vec<Effect> {
        let wanted = self.settings.as_ref().is_some_and(|settings| settings.accounting);
        if !wanted || self.kernel.accounting == Some(true) {
            self.accounting_fault = None;
        }
        match self.kernel.accounting {
            Some(false) if wanted => vec![Effect::SwitchAccounting],
            _ => Vec::new(),
        }
    }

    /// Accounting was switched on, or why it could not be.
    pub(super) fn accounting_switched(&mut self, result: Result<(), String>) -> Vec<Effect> {
        let (level, line) = match result {
            Ok(()) => {
                self.kernel.accounting = Some(true);
                self.accounting_fault = None;
                (
                    Level::Info,
                    "conntrack's accounting is on for connections made from now on".into(),
                )
            }
            Err(words) => {
                let line = format!("conntrack's accounting cannot be switched on: {words}");
                if self.accounting_fault.as_ref() == Some(&line) {
                    return Vec::new();
                }
                self.accounting_fault = Some(line.clone());
                (Level::Warn, line)
            }
        };
        vec![Effect::Log(level, line)]
    }
}
