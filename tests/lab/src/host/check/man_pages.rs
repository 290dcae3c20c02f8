// SPDX-License-Identifier: GPL-2.0-or-later
//! mandoc on every man page of the repository; what it would warn about is an error.

use super::Tally;
use crate::command::run;
use crate::error::Result;
use crate::host::{apt, paths};
use std::process::Command;

/// Checks them all; each is a test.
pub fn check(tally: &mut Tally) -> Result<()> {
    apt::ensure_tools(&[("mandoc", "mandoc")])?;
    let root = paths::repository();
    let listed = run(Command::new("git").args(["ls-files", "files/man"]).current_dir(&root))?;
    for name in listed.lines() {
        let mut mandoc = Command::new("mandoc");
        mandoc.args(["-T", "lint", "-W", "warning", name]);
        match run(mandoc.current_dir(&root)) {
            Ok(_) => {
                println!("ok     {name}");
                tally.passed(1);
            }
            Err(e) => {
                println!("{e}");
                tally.failed(&format!("mandoc {name}"));
            }
        }
    }
    Ok(())
}
