// SPDX-License-Identifier: GPL-2.0-or-later
//! A bounded collection of warnings.

/// Warnings kept from one file: enough to correct it by; a file that is wrong altogether would
/// have one for each line, more than a small router wants to hold.
pub const MAX_WARNINGS: usize = 20;

/// The first warnings of a file, and how many more there were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warnings {
    kept: Vec<String>,
    more: usize,
}

impl Warnings {
    /// Keeps a warning while there is room.
    pub fn push(&mut self, warning: String) {
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(warning);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// The warnings, one line each; the last says how many of `file` are not shown, if any.
    pub fn into_lines(mut self, file: &str) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("{file}: {} more warnings", self.more));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_and_the_rest_counted() {
        let mut warnings = Warnings::default();
        assert!(warnings.clone().into_lines("x").is_empty());
        for number in 0..MAX_WARNINGS + 5 {
            warnings.push(number.to_string());
        }
        let lines = warnings.into_lines("x");
        assert_eq!(lines.len(), MAX_WARNINGS + 1);
        assert_eq!(lines.last().unwrap(), "x: 5 more warnings");
    }
}
