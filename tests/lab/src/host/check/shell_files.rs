// SPDX-License-Identifier: GPL-2.0-or-later
//! shellcheck on every shell file of the repository, found by its ending or its first line; and
//! the shell of routers has to be able to read what is for /bin/sh.

use super::Tally;
use crate::command::run;
use crate::error::Result;
use crate::host::{apt, paths};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

/// Checks them all; each is a test.
pub fn check(tally: &mut Tally) -> Result<()> {
    apt::ensure_tools(&[("shellcheck", "shellcheck"), ("busybox", "busybox-static")])?;
    let root = paths::repository();
    let listed = run(Command::new("git").args(["ls-files", "-z"]).current_dir(&root))?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = root.join(name);
        let first = first_line(&path);
        if !(name.ends_with(".sh") || is_shell(&first)) {
            continue;
        }
        let mut command = Command::new("shellcheck");
        // OpenWrt's init scripts are ash with an interpreter that shellcheck does not know.
        if first.contains("rc.common") {
            command.args(["--shell", "dash", "--exclude", "SC2034,SC3043"]);
        }
        let mut checked = run(command.arg("--external-sources").arg(name).current_dir(&root));
        if first.starts_with("#!/bin/sh") {
            let mut ash = Command::new("busybox");
            ash.args(["ash", "-n", name]).current_dir(&root);
            checked = checked.and_then(|_| run(&mut ash));
        }
        match checked {
            Ok(_) => {
                println!("ok     {name}");
                tally.passed(1);
            }
            Err(e) => {
                println!("{e}");
                tally.failed(&format!("shellcheck {name}"));
            }
        }
    }
    Ok(())
}

fn first_line(path: &Path) -> String {
    let mut line = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = BufReader::new(file).read_until(b'\n', &mut line);
    }
    String::from_utf8_lossy(&line).into_owned()
}

fn is_shell(first: &str) -> bool {
    let Some(interpreter) = first.strip_prefix("#!") else { return false };
    let mut words = interpreter.split_whitespace();
    let program = words.next().unwrap_or_default();
    let name = if program.ends_with("/env") { words.next().unwrap_or_default() } else { program };
    let shells = ["sh", "bash", "dash", "ash"];
    shells.contains(&name.rsplit('/').next().unwrap_or_default()) || first.contains("rc.common")
}

#[cfg(test)]
mod tests {
    use super::is_shell;

    #[test]
    fn shells_by_first_line() {
        assert!(is_shell("#!/bin/sh\n"));
        assert!(is_shell("#!/usr/bin/env bash\n"));
        assert!(is_shell("#!/bin/sh /etc/rc.common\n"));
        assert!(!is_shell("#!/usr/bin/env python3\n"));
        assert!(!is_shell("# a comment about sh\n"));
    }
}
