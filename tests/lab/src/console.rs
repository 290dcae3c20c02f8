// SPDX-License-Identifier: GPL-2.0-or-later
//! The lines by which the guest tells the host what happened, over the serial console.
//!
//! Kernel messages and program output share the console, so each of our lines starts with a mark
//! and everything else is only logged.

use std::fmt;

const MARK: &str = "@@";

/// One message of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The guest's driver is up; carries `uname -r`.
    Booted(String),
    /// A scenario begins.
    Begin(String),
    /// A new part of the scenario, for the reader.
    Phase(String),
    /// An expectation held; says which and what was seen.
    Held(String),
    /// A scenario passed; milliseconds it took.
    Pass(String, u64),
    /// A scenario does not apply on this kernel; the reason.
    Skip(String, String),
    /// A scenario failed; where and why.
    Fail(String, String),
    /// A line of evidence about the scenario that failed last.
    Evidence(String),
    /// A line of the live view.
    Live(String),
    /// A block of the live view is complete.
    Frame,
    /// A finding of a benchmark, as [`crate::bench::figure::Figure::to_line`] writes it.
    Figure(String),
    /// All scenarios were run, or all was measured.
    Done,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Booted(release) => write!(f, "{MARK} booted {release}"),
            Report::Begin(name) => write!(f, "{MARK} begin {name}"),
            Report::Phase(text) => write!(f, "{MARK} phase {text}"),
            Report::Held(text) => write!(f, "{MARK} held {text}"),
            Report::Pass(name, ms) => write!(f, "{MARK} pass {name} {ms}"),
            Report::Skip(name, why) => write!(f, "{MARK} skip {name} {why}"),
            Report::Fail(name, why) => write!(f, "{MARK} fail {name} {why}"),
            Report::Evidence(text) => write!(f, "{MARK} evidence {text}"),
            Report::Live(text) => write!(f, "{MARK} live {text}"),
            Report::Frame => write!(f, "{MARK} frame"),
            Report::Figure(line) => write!(f, "{MARK} figure {line}"),
            Report::Done => write!(f, "{MARK} done"),
        }
    }
}

impl Report {
    /// Prints the report, one console line even if the text has several.
    pub fn send(&self) {
        println!("{}", self.to_string().replace('\n', " | "));
    }

    /// Prints a live report whose text has several lines, each as a report of its own.
    pub fn send_lines(&self) {
        match self {
            Report::Live(text) => text.lines().for_each(|line| Report::Live(line.into()).send()),
            other => other.send(),
        }
    }

    /// Reads a console line; `None` for anything that is not ours.
    pub fn parse(line: &str) -> Option<Report> {
        let line = line.trim_end_matches(['\r', '\n']);
        // A kernel message may stand in front of the mark on the same line.
        let (_, rest) = line.split_once(MARK)?;
        let rest = rest.strip_prefix(' ')?;
        let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let own = || text.to_string();
        let (name, tail) = text.split_once(' ').unwrap_or((text, ""));
        Some(match word {
            "booted" => Report::Booted(own()),
            "begin" => Report::Begin(own()),
            "phase" => Report::Phase(own()),
            "held" => Report::Held(own()),
            "pass" => Report::Pass(name.into(), tail.parse().ok()?),
            "skip" => Report::Skip(name.into(), tail.into()),
            "fail" => Report::Fail(name.into(), tail.into()),
            "evidence" => Report::Evidence(own()),
            "live" => Report::Live(own()),
            "frame" => Report::Frame,
            "figure" => Report::Figure(own()),
            "done" => Report::Done,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_console() {
        let all = [
            Report::Booted("6.1.0".into()),
            Report::Begin("plain".into()),
            Report::Phase("switch on".into()),
            Report::Held("status .effective == \"software\"".into()),
            Report::Pass("plain".into(), 1234),
            Report::Skip("plain".into(), "needs 6.16".into()),
            Report::Fail("plain".into(), "line 3: no".into()),
            Report::Evidence("  indented".into()),
            Report::Live("x".into()),
            Report::Frame,
            Report::Figure("[\"memory\",1.5]".into()),
            Report::Done,
        ];
        for report in all {
            assert_eq!(Report::parse(&format!("{report}\r\n")), Some(report));
        }
    }

    #[test]
    fn other_lines_are_nobodys() {
        assert_eq!(Report::parse("[    1.0] veth: up"), None);
        assert_eq!(Report::parse("@@ unheard of"), None);
        assert_eq!(Report::parse("[ 1.2] x @@ done"), Some(Report::Done));
    }
}
