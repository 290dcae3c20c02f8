// SPDX-License-Identifier: GPL-2.0-or-later
//! The sum of all tests.

use crate::error::{Error, Result};

/// Counts of tests by how they ended, and the names of those that failed.
#[derive(Debug, Default)]
pub struct Tally {
    passed: u64,
    skipped: u64,
    failures: Vec<String>,
    failed: u64,
    unsteady: Vec<String>,
}

impl Tally {
    /// So many tests passed.
    pub fn passed(&mut self, count: u64) {
        self.passed += count;
    }

    /// A test failed.
    pub fn failed(&mut self, name: &str) {
        self.failed += 1;
        self.failures.push(name.to_string());
    }

    /// So many tests of a program failed.
    pub fn failed_of(&mut self, name: &str, count: u64) {
        self.failed += count;
        self.failures.push(format!("{name} ({count})"));
    }

    /// A test passed, but not at the first try.
    pub fn unsteady(&mut self, name: &str) {
        self.unsteady.push(name.to_string());
    }

    /// A test was not run; says why.
    pub fn skipped(&mut self, name: &str, why: &str) {
        println!("skip   {name}: {why}");
        self.skipped += 1;
    }

    /// A test was not run, which was said already.
    pub fn skipped_quietly(&mut self) {
        self.skipped += 1;
    }

    /// So many tests are marked `#[ignore]`.
    pub fn ignored(&mut self, count: u64) {
        self.skipped += count;
    }

    /// The closing line.
    pub fn line(&self) -> String {
        let skipped = match self.skipped {
            0 => String::new(),
            n => format!(", {n} skipped"),
        };
        let unsteady = match self.unsteady.len() {
            0 => String::new(),
            n => format!(", {n} at the second try"),
        };
        format!("{} passed, {} failed{skipped}{unsteady}", self.passed, self.failed)
    }

    /// Prints the failures and the closing line.
    pub fn close(self) -> Result<()> {
        for name in &self.unsteady {
            println!("passed at the second try: {name}");
        }
        for name in &self.failures {
            println!("failed: {name}");
        }
        println!("{}", self.line());
        if self.failed > 0 {
            return Err(Error::new("some tests failed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line() {
        let mut tally = Tally::default();
        tally.passed(3);
        assert_eq!(tally.line(), "3 passed, 0 failed");
        tally.failed("x");
        tally.failed_of("y", 2);
        tally.ignored(1);
        tally.unsteady("z");
        assert_eq!(tally.line(), "3 passed, 3 failed, 1 skipped, 1 at the second try");
        assert!(tally.close().is_err());
    }
}
