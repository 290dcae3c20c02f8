// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask bench`: measures in network namespaces of this machine, on simulated chips, on emulated
//! processors, or without any of these, prints the figures and writes them to
//! `target/bench/NAME.json`, and draws some. A missed bound is shown, but only what could not be
//! measured is a failure.

mod against;
mod all;
mod console;
mod days;
mod flows;
mod reactions;
mod revision;
mod run;
mod size;
mod targets;
mod tree;

use super::artifacts::{self, cargo};
use super::{apt, paths, progress};
use crate::bench::figure::{document, table, Figure};
use crate::bench::{mdio, pictures};
use crate::error::{Context, Error, Result};
pub use against::compare;
pub use all::run_all;
use std::fs;
use std::path::PathBuf;

/// The benchmarks.
pub const NAMES: [&str; 6] = ["flows", "mdio", "size", "targets", "days", "reactions"];

/// What a benchmark has found, and what could not be measured.
#[derive(Debug, Default)]
struct Measured {
    figures: Vec<Figure>,
    failed: Vec<String>,
}

impl From<(Vec<Figure>, Vec<String>)> for Measured {
    fn from((figures, failed): (Vec<Figure>, Vec<String>)) -> Measured {
        Measured { figures, failed }
    }
}

impl From<Result<Vec<Figure>>> for Measured {
    fn from(result: Result<Vec<Figure>>) -> Measured {
        match result {
            Ok(figures) => Measured { figures, failed: Vec::new() },
            Err(e) => Measured { figures: Vec::new(), failed: vec![e.to_string()] },
        }
    }
}

/// Runs one benchmark; `kernel` is for those that boot one.
///
/// # Errors
/// There is no such benchmark, or something could not be measured.
pub fn run_named(name: &str, kernel: &str) -> Result<()> {
    check(name)?;
    let Measured { figures, failed } = measure(name, kernel);
    publish(name, &figures)?;
    print!("{}", table(&figures));
    println!("{}; {}", missed(&figures), file(name).display());
    complete(&failed)
}

fn check(name: &str) -> Result<()> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    Err(Error::new(format!("no benchmark {name:?}; `cargo xtask bench --list`")))
}

fn measure(name: &str, kernel: &str) -> Measured {
    match name {
        "flows" => flows::measure(),
        "mdio" => progress::step("counting transfers", mdio::measure).into(),
        "size" => size::measure().into(),
        "targets" => targets::measure().into(),
        "days" => days::measure().into(),
        "reactions" => reactions::measure(kernel),
        _ => check(name).map(|()| Vec::new()).into(),
    }
}

/// An error when there is anything that could not be measured.
fn complete(failed: &[String]) -> Result<()> {
    match failed {
        [] => Ok(()),
        failed => Err(Error::new(format!("not measured: {}", failed.join("; ")))),
    }
}

/// Writes the figures for programs, and the pictures of them.
fn publish(name: &str, figures: &[Figure]) -> Result<()> {
    write(&format!("{name}.json"), &document(figures))?;
    pictures::of(name, figures)
        .into_iter()
        .try_for_each(|(file, plot)| write(&file, &plot.svg()).map(drop))
}

/// The file that a benchmark's figures are written to.
fn file(name: &str) -> PathBuf {
    paths::target().join("bench").join(format!("{name}.json"))
}

/// Writes a file among the results, and returns where it is.
fn write(name: &str, text: &str) -> Result<PathBuf> {
    let dir = paths::target().join("bench");
    fs::create_dir_all(&dir).context(dir.display())?;
    let file = dir.join(name);
    fs::write(&file, text).context(file.display())?;
    Ok(file)
}

/// How many of the bounds are missed, in words.
fn missed(figures: &[Figure]) -> String {
    let bounds = figures.iter().filter(|figure| figure.bound.is_some()).count();
    let missed = figures.iter().filter(|figure| figure.holds() == Some(false)).count();
    format!("{missed} of {bounds} bounds missed")
}

/// The figures that a program has printed.
fn parse(output: &[u8]) -> Result<Vec<Figure>> {
    let text = String::from_utf8_lossy(output);
    let figure = |line: &str| Figure::from_line(line).context(format!("not a figure: {line}"));
    text.lines().map(figure).collect()
}
