// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo test` with its results counted.

use super::Tally;
use crate::error::{Context, Error, Result};
use crate::host::artifacts::cargo;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs a command with its output on the screen.
pub fn visible(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().context("cargo")?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("cargo ended with {status}")))
}

/// Runs `cargo test` with these arguments; each test counts.
pub fn run(args: &[&str], tally: &mut Tally) -> Result<()> {
    run_by(cargo(), args, tally)
}

/// The same with a cargo that builds for another machine.
pub fn run_by(mut command: Command, args: &[&str], tally: &mut Tally) -> Result<()> {
    command.args(["test", "--no-fail-fast"]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut failures = 0;
    for line in BufReader::new(output).lines() {
        let line = line.context("cargo test")?;
        println!("{line}");
        if let Some(result) = parse(&line) {
            tally.passed(result.passed);
            tally.ignored(result.ignored);
            if result.failed > 0 {
                tally.failed_of("cargo test", result.failed);
            }
            failures += result.failed;
        }
    }
    let status = child.wait().context("cargo test")?;
    // A build that fails has no result line.
    if !status.success() && failures == 0 {
        return Err(Error::new(format!("cargo test ended with {status}")));
    }
    Ok(())
}

struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// `test result: ok. 5 passed; 0 failed; 1 ignored; ...`
fn parse(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("test result: ")?;
    let (_, rest) = rest.split_once(". ")?;
    let count = |word: &str| {
        rest.split(';').find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
    };
    Some(Counts { passed: count("passed")?, failed: count("failed")?, ignored: count("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn result_lines() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
        let counts = parse(line).unwrap();
        assert_eq!((counts.passed, counts.failed, counts.ignored), (5, 2, 1));
        assert!(parse("test x::y ... ok").is_none());
    }
}
