// SPDX-License-Identifier: GPL-2.0-or-later
//! What a run of libFuzzer has said.

use crate::command::tail;
use crate::error::{Error, Result};
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

/// Lines of a target's own words that are shown when it says nothing that is known.
const TAIL_LINES: usize = 15;

/// A run of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    name: &'static str,
    time: Duration,
    good: bool,
    /// Inputs tried, those of the corpus included.
    runs: Option<u64>,
    /// Edges of the program that were reached, and those that there are.
    edges: Option<(u64, u64)>,
    /// Inputs in the corpus at the end.
    inputs: Option<u64>,
    /// What went wrong, in the program's words.
    fault: String,
    /// Where the input is kept.
    kept: Option<String>,
}

impl Report {
    /// Reads what the target wrote to standard error.
    pub fn read(name: &'static str, status: ExitStatus, text: &str, time: Duration) -> Report {
        let all = number_before(text, " inline 8-bit counters");
        let progress = text.lines().rev().find(|line| line.contains(" cov: "));
        let word = |label: &str| number_after(progress?, label);
        Report {
            name,
            time,
            good: status.success(),
            runs: number_after(text, "stat::number_of_executed_units:"),
            edges: word(" cov: ").zip(all),
            inputs: word(" corp: "),
            fault: fault(text),
            kept: text.lines().find_map(|line| {
                Some(line.split_once("Test unit written to ")?.1.trim().to_owned())
            }),
        }
    }

    /// Whether nothing was found.
    ///
    /// # Errors
    /// What was found, and how to look at it.
    pub fn verdict(&self) -> Result<()> {
        if self.good {
            return Ok(());
        }
        let (name, fault) = (self.name, &self.fault);
        Err(Error::new(match &self.kept {
            Some(file) => format!(
                "fuzz {name}: {fault}\n  the input is kept; to see it again:\n  \
                 cargo xtask fuzz {name} --input {file}"
            ),
            None => format!("fuzz {name}: {fault}"),
        }))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |number: Option<u64>| number.map_or_else(|| "-".into(), |n| n.to_string());
        let word = if self.good { "ok    " } else { "FAILED" };
        let each = self.time.as_secs().max(1);
        let speed = known(self.runs.map(|runs| runs / each));
        let (reached, all) = self.edges.unzip();
        write!(
            f,
            "{word} fuzz {:12} {:>9} runs, {speed:>6} a second, ",
            self.name,
            known(self.runs)
        )?;
        write!(f, "{:>5} of {} edges, {} inputs", known(reached), known(all), known(self.inputs))
    }
}

/// The message of a panic, or the fuzzer's own word about what it has stopped for.
fn fault(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if let Some(at) = lines.iter().position(|line| line.contains(" panicked at ")) {
        let place = lines.get(at).and_then(|line| Some(line.split_once(" panicked at ")?.1));
        let words: Vec<&str> = lines.iter().skip(at + 1).copied().take_while(is_message).collect();
        return format!("panicked at {} {}", place.unwrap_or_default(), words.join("\n  "));
    }
    let said = lines.iter().find_map(|line| Some(line.split_once("ERROR: libFuzzer: ")?.1));
    said.map_or_else(|| tail(text, TAIL_LINES), str::to_owned)
}

fn is_message(line: &&str) -> bool {
    !line.starts_with("stack backtrace") && !line.starts_with("note: ") && !line.starts_with("==")
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    let rest = text.rsplit_once(label)?.1.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

fn number_before(text: &str, label: &str) -> Option<u64> {
    let before = text.split_once(label)?.0;
    let begin = before.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    before.get(begin..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const GOOD: &str = "\
INFO: Running with entropic power schedule (0xFF, 100).
INFO: Loaded 1 modules   (30212 inline 8-bit counters): 30212 [0x55, 0x56), \n\
#349	INITED cov: 3170 ft: 6499 corp: 199/41Kb exec/s: 0 rss: 29Mb
#52454	DONE   cov: 3393 ft: 7337 corp: 617/29Kb lim: 96 exec/s: 1279 rss: 29Mb
Done 52454 runs in 41 second(s)
stat::number_of_executed_units: 52454
stat::average_exec_per_sec:     1279
";
    const BAD: &str = "\
thread '<unnamed>' (10067) panicked at src/uci/lexer.rs:57:9:
attempt to subtract
with overflow
stack backtrace:
   0: __rustc::rust_begin_unwind
==17601== ERROR: libFuzzer: deadly signal
artifact_prefix='/t/'; Test unit written to /t/crash-aea2
";

    fn read(text: &str, code: i32) -> Report {
        Report::read("uci", ExitStatus::from_raw(code << 8), text, Duration::from_secs(41))
    }

    #[test]
    fn figures_of_a_good_run() {
        let report = read(GOOD, 0);
        assert!(report.verdict().is_ok());
        assert_eq!(
            report.to_string(),
            "ok     fuzz uci              52454 runs,   1279 a second,  3393 of 30212 edges, \
             617 inputs"
        );
    }

    #[test]
    fn a_finding_says_where_its_input_is() {
        let report = read(BAD, 77);
        assert!(report.to_string().starts_with("FAILED fuzz uci"));
        assert_eq!(
            report.verdict().unwrap_err().to_string(),
            "fuzz uci: panicked at src/uci/lexer.rs:57:9: attempt to subtract\n  with overflow\n  \
             the input is kept; to see it again:\n  cargo xtask fuzz uci --input /t/crash-aea2"
        );
        let slow = "==1== ERROR: libFuzzer: timeout after 10 seconds\n";
        let error = read(slow, 70).verdict().unwrap_err().to_string();
        assert_eq!(error, "fuzz uci: timeout after 10 seconds");
        assert_eq!(
            read("no such file", 1).verdict().unwrap_err().to_string(),
            "fuzz uci: no such file"
        );
    }
}
