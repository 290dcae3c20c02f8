// SPDX-License-Identifier: GPL-2.0-or-later
//! The benchmark `days`: its program, and its instructions counted by valgrind where that is
//! installed, since clocks are noisy and few virtual machines count instructions themselves.

use super::{artifacts, cargo, parse, paths, progress};
use crate::bench::days::report::PARTS;
use crate::bench::figure::Figure;
use crate::error::{Context, Error, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// Clients whose list is read, and how often in the shorter and the longer run: their difference
/// has no beginning in it.
const CLIENTS: &str = "20";
const LISTS: [u64; 2] = [5, 25];

pub(super) fn measure() -> Result<Vec<Figure>> {
    progress::step("building", || {
        let args = ["build", "--release", "-p", "xtask", "--bin", "lab-days"];
        artifacts::visible(cargo().args(args))
    })?;
    let program = paths::target().join("release/lab-days");
    let dir = paths::target().join("bench");
    let mut figures = Vec::new();
    for part in PARTS {
        let title = format!("replaying, {part}");
        figures.extend(progress::step(&title, || {
            let mut command = Command::new(&program);
            command.arg(part).arg(&dir).stderr(Stdio::inherit());
            let output = command.stdin(Stdio::null()).output().context(part)?;
            match output.status.success() {
                true => parse(&output.stdout),
                false => Err(Error::new(format!("{part}: {}", output.status))),
            }
        })?);
    }
    let counts = progress::step("counting instructions", || instructions(&program));
    figures.extend(counts.map_err(|e| eprintln!("   left out: {e}")).ok());
    Ok(figures)
}

/// Instructions for an entry of a list.
fn instructions(program: &Path) -> Result<Figure> {
    let [none, ours, peer] = ["nothing", "ours", "peer"].map(|what| longer(program, what));
    let none = none?;
    let [ours, peer] = [ours?, peer?].map(|count| count - none);
    let figure = Figure::new("instructions for an entry of a list", ours, "");
    Ok(figure.peer("hash map", peer).peer("times", ours / peer))
}

/// Instructions for each entry by which the longer run is longer.
fn longer(program: &Path, what: &str) -> Result<f64> {
    let [short, long] = LISTS.map(|lists| {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
        command.args(["count", what, CLIENTS, &lists.to_string()]);
        let output = command.stdin(Stdio::null()).output().context("valgrind")?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let collected = text.lines().find_map(|line| line.split("Collected :").nth(1));
        let count: Option<f64> = collected.and_then(|count| count.trim().parse().ok());
        let entries = String::from_utf8_lossy(&output.stdout).trim().parse::<f64>();
        let count = count.context(format!("valgrind: {text}"))?;
        Ok::<_, Error>([count, entries.context("the number of entries")?])
    });
    let ([short, fewer], [long, more]) = (short?, long?);
    Ok((long - short) / (more - fewer))
}
