// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask bench`: measures in network namespaces of this machine, on simulated chips, on emulated
//! processors, or without any of these, prints the figures and writes them to
//! `target/bench/NAME.json`. A missed bound is shown, but only what could not be measured is a failure.

mod days;
mod forwarding;
mod targets;

use super::architecture::AMD64;
use super::artifacts::{self, cargo};
use super::{apt, paths, progress};
use crate::bench::figure::{document, table, Figure};
use crate::bench::flows::PARTS;
use crate::bench::mdio;
use crate::command::run;
use crate::error::{Context, Error, Result};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The benchmarks.
pub const NAMES: [&str; 5] = ["flows", "mdio", "targets", "days", "forwarding"];

const TOOLS: [apt::Tool; 3] =
    [("conntrack", "conntrack"), ("ip", "iproute2"), ("unshare", "util-linux")];
/// What packages on a router come nearest to: nothing is shared with other programs.
const MUSL: &str = "x86_64-unknown-linux-musl";

/// What is measured, built.
struct Built {
    daemon: PathBuf,
    build: &'static str,
    bench: PathBuf,
    ubusd: PathBuf,
}

/// Runs one benchmark, or all; `kernel` is for those that boot one of the lab's.
pub fn run_named(name: Option<&str>, kernel: &str) -> Result<()> {
    let names: Vec<&str> =
        NAMES.into_iter().filter(|n| name.is_none_or(|name| name == *n)).collect();
    if names.is_empty() {
        return Err(Error::new("no such benchmark; `cargo xtask bench --list`"));
    }
    names.into_iter().try_for_each(|name| match name {
        "mdio" => {
            let figures = progress::step("counting transfers", mdio::measure)?;
            publish(name, &figures)
        }
        "days" => days::measure(name),
        "forwarding" => forwarding::measure(name, kernel),
        "targets" => {
            let (figures, failed) = targets::measure();
            publish(name, &figures)?;
            complete(&failed)
        }
        _ => {
            apt::ensure_tools(&TOOLS)?;
            measure(name, &build()?)
        }
    })
}

fn build() -> Result<Built> {
    let ubusd = artifacts::tools(&AMD64)?.ubusd;
    progress::step("building the daemon as it is shipped", || {
        let (target, build): (&[&str], _) = match has_musl() {
            true => (&["--target", MUSL], "static musl"),
            false => (&[], "glibc"),
        };
        let args = ["build", "--release", "-p", "flowtabled", "--bin", "flowtabled"];
        artifacts::visible(cargo().args(args).args(target))?;
        artifacts::visible(cargo().args([
            "build",
            "--release",
            "-p",
            "xtask",
            "--bin",
            "lab-bench",
        ]))?;
        let out = paths::target();
        let dir = target.last().map_or_else(|| out.clone(), |target| out.join(target));
        let (daemon, bench) = (dir.join("release/flowtabled"), out.join("release/lab-bench"));
        Ok(Built { daemon, build, bench, ubusd })
    })
}

/// Gets the target when it is missing and rustup can.
fn has_musl() -> bool {
    let listed = run(Command::new("rustc").args(["--print", "target-libdir", "--target", MUSL]));
    let there = listed.is_ok_and(|dir| PathBuf::from(dir.trim()).is_dir());
    there || run(Command::new("rustup").args(["target", "add", MUSL])).is_ok()
}

fn measure(name: &str, built: &Built) -> Result<()> {
    let mut figures = Vec::new();
    let mut failed = Vec::new();
    for part in PARTS {
        match progress::step(&format!("measuring {name}, {part}"), || in_namespace(part, built)) {
            Ok(found) => figures.extend(found),
            Err(e) => failed.push(e.to_string()),
        }
    }
    publish(name, &figures)?;
    complete(&failed)
}

/// An error when there is anything that could not be measured.
fn complete(failed: &[String]) -> Result<()> {
    match failed {
        [] => Ok(()),
        failed => Err(Error::new(format!("not measured: {}", failed.join("; ")))),
    }
}

fn publish(name: &str, figures: &[Figure]) -> Result<()> {
    let dir = paths::target().join("bench");
    fs::create_dir_all(&dir).context(dir.display())?;
    let file = dir.join(format!("{name}.json"));
    fs::write(&file, document(figures)).context(file.display())?;
    print!("{}", table(figures));
    let missed = figures.iter().filter(|figure| figure.holds() == Some(false)).count();
    println!("{missed} of {} bounds missed; {}", bounds(figures), file.display());
    Ok(())
}

fn bounds(figures: &[Figure]) -> usize {
    figures.iter().filter(|figure| figure.bound.is_some()).count()
}

fn in_namespace(part: &str, built: &Built) -> Result<Vec<Figure>> {
    let mut command = Command::new("unshare");
    // Root needs no user namespace, which containers and chroots often deny.
    if !apt::is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--"]).arg(&built.bench).arg(part);
    command.args([&built.daemon, &built.ubusd]).arg(built.build);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context(part)?;
    if !output.status.success() {
        return Err(Error::new(format!("{part}: {}", output.status)));
    }
    parse(&output.stdout)
}

/// The figures that a program has printed.
fn parse(output: &[u8]) -> Result<Vec<Figure>> {
    let text = String::from_utf8_lossy(output);
    let figure = |line: &str| Figure::from_line(line).context(format!("not a figure: {line}"));
    text.lines().map(figure).collect()
}
