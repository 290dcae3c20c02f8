// SPDX-License-Identifier: GPL-2.0-or-later
//! The tests of the LuCI pages, with node's own runner. The daemon judges the same values as the
//! page of the configuration, so it is built before.

use super::Tally;
use crate::error::{Context, Error, Result};
use crate::host::artifacts::{cargo, visible};
use crate::host::{apt, browser, paths, progress};
use std::process::{Command, Stdio};

/// Runs every `tests/luci/*.test.mjs`; each test counts.
pub fn check(tally: &mut Tally) -> Result<()> {
    apt::ensure_tools(&[("node", "nodejs")])?;
    let dir = paths::repository().join("tests/luci");
    let entries = dir.read_dir().context(format!("reading {}", dir.display()))?;
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    progress::step("building the daemon", || {
        visible(cargo().args(["build", "-p", "flowtabled", "--bin", "flowtabled"]))
    })?;
    let mut node = Command::new("node");
    node.env("FLOWTABLED", paths::target().join("debug/flowtabled"));
    node.args(["--test", "--test-reporter=tap"]).args(files).stdin(Stdio::null());
    let output = node.output().context("node")?;
    let text = String::from_utf8_lossy(&output.stdout);
    count(&text, output.status.success(), "the page", tally)
}

/// The pages in a browser, against a router of the lab; each test counts.
pub fn check_in_browser(tally: &mut Tally) -> Result<()> {
    let (text, content) = browser::test()?;
    count(&text, content, "the pages in a browser", tally)
}

fn count(text: &str, content: bool, what: &str, tally: &mut Tally) -> Result<()> {
    println!("{text}");
    let (passed, failed) = (sum(text, "# pass "), sum(text, "# fail "));
    tally.passed(passed);
    if failed > 0 {
        tally.failed_of(what, failed);
    }
    if passed + failed == 0 || content != (failed == 0) {
        return Err(Error::new("node's runner did not end as its sums say"));
    }
    Ok(())
}

/// The number behind a line of the runner's sum, 0 when it is missing.
fn sum(text: &str, label: &str) -> u64 {
    let number = text.lines().find_map(|line| line.strip_prefix(label)?.trim().parse().ok());
    number.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn sums_are_read() {
        let text = "ok 1 - a\n# tests 3\n# pass 2\n# fail 1\n";
        assert_eq!((sum(text, "# pass "), sum(text, "# fail ")), (2, 1));
        assert_eq!(sum("", "# pass "), 0);
    }
}
