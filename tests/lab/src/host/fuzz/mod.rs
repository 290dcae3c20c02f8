// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask fuzz`: builds the targets in `tests/fuzz` and runs each over its corpus and then on
//! new inputs.
//!
//! cargo-fuzz is not needed: the flags that it builds with are those of the stable compiler, as long
//! as no sanitizer is asked for (the decoders have no unsafe code for one to watch), and libFuzzer
//! is part of the crate `libfuzzer-sys`.

mod report;

use super::artifacts::{cargo, visible};
use super::cross;
use super::{paths, progress};
use crate::error::{Context, Error, Result};
use report::Report;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// The targets: `fuzz_targets/NAME.rs`.
pub const TARGETS: [&str; 8] =
    ["command_line", "files", "netlink", "nftables", "switches", "ubus_data", "ubus_stream", "uci"];

/// How long a target looks for new inputs unless told otherwise.
pub const SECONDS: u32 = 30;

/// Targets that run at the same time.
const AT_ONCE: usize = 2;

/// What cargo-fuzz builds with: counters on edges, and comparisons that the fuzzer can see.
const FLAGS: [&str; 8] = [
    "--cfg",
    "fuzzing",
    "-Dwarnings",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Longest input, bytes: a page of what the kernel or the bus sends, and many times what a person
/// writes.
const LONGEST: &str = "-max_len=4096";
/// An input that takes so many seconds is a fault; the slowest take some milliseconds of a processor
/// that may have other work.
const SLOWEST: &str = "-timeout=25";
/// A target that takes so many MiB is a fault; most of what they take is the fuzzer's own.
const LARGEST: &str = "-rss_limit_mb=1024";

/// Whether a target found something, and its name.
pub type Verdict = (Result<()>, &'static str);

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub enum Plan<'a> {
    /// Every target for so many seconds.
    All(u32),
    /// One target for so many seconds.
    One(&'a str, u32),
    /// One target with this input only.
    Input(&'a str, &'a Path),
}

/// `cargo xtask fuzz`.
///
/// # Errors
/// A target that does not exist or cannot be built, or that found something.
pub fn command(plan: Plan<'_>) -> Result<()> {
    let (targets, seconds) = match plan {
        Plan::All(seconds) => (TARGETS.to_vec(), seconds),
        Plan::One(name, seconds) => (vec![known(name)?], seconds),
        Plan::Input(name, input) => return again(known(name)?, input),
    };
    let failures = run(&targets, seconds)?.iter().filter(|(found, _)| found.is_err()).count();
    if failures > 0 {
        return Err(Error::new(format!("{failures} of {} targets found something", targets.len())));
    }
    Ok(())
}

fn known(name: &str) -> Result<&'static str> {
    let found = TARGETS.into_iter().find(|target| *target == name);
    found.context(format!("no target {name:?}: they are {}", TARGETS.join(", ")))
}

/// Runs targets, [`AT_ONCE`] at a time, and prints what each has done; for each that found
/// something the error says what, and where the input is kept.
///
/// # Errors
/// They cannot be built or started.
pub fn run(targets: &[&'static str], seconds: u32) -> Result<Vec<Verdict>> {
    let programs = build()?;
    let waiting = Mutex::new(targets.iter().copied().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    let next = || waiting.lock().ok()?.pop_front();
    let work = || {
        while let Some(name) = next() {
            let report = one(&programs, name, seconds);
            if let Ok(report) = &report {
                println!("{report}");
            }
            let report = report.and_then(|report| report.verdict());
            if let Err(error) = &report {
                println!("{error}");
            }
            if let Ok(mut done) = done.lock() {
                done.push((report, name));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(targets.len()) {
            scope.spawn(work);
        }
    });
    done.into_inner().map_err(|_| Error::new("a target's thread has panicked"))
}

/// Builds all targets and returns the folder that they are in.
fn build() -> Result<PathBuf> {
    let host = cross::host()?;
    let out = paths::target().join("fuzz");
    progress::step("building the fuzz targets", || {
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--bins", "--manifest-path"]);
        cargo.arg(folder().join("Cargo.toml")).arg("--target-dir").arg(&out);
        // With a target named, build scripts and macros do not get the flags.
        cargo.args(["--target", &host]);
        cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", FLAGS.join(" "));
        visible(&mut cargo)
    })?;
    Ok(out.join(host).join("debug"))
}

/// `tests/fuzz`.
fn folder() -> PathBuf {
    paths::repository().join("tests/fuzz")
}

/// A folder for what is found of a target, made when it is missing.
fn found(what: &str, name: &str) -> Result<PathBuf> {
    let dir = paths::target().join("fuzz").join(what).join(name);
    fs::create_dir_all(&dir).context(format!("making {}", dir.display()))?;
    Ok(dir)
}

fn one(programs: &Path, name: &'static str, seconds: u32) -> Result<Report> {
    let (inputs, crashes) = (found("corpus", name)?, found("crashes", name)?);
    let committed = folder().join("corpus").join(name);
    let mut command = Command::new(programs.join(name));
    command.args([LONGEST, SLOWEST, LARGEST, "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", crashes.display()));
    // New inputs that reach further go into the first folder.
    command.args([&inputs, &committed]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().context(format!("starting {name}"))?;
    let socket = std::env::temp_dir().join(format!("flowtabled-fuzz-{}", child.id()));
    let output = child.wait_with_output().context(name)?;
    // The fuzzer ends without a chance to take its socket away.
    let _ = fs::remove_file(socket);
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(Report::read(name, output.status, &text, Duration::from_secs(seconds.into())))
}

/// Runs one input again, with everything that the target says on the screen.
fn again(name: &str, input: &Path) -> Result<()> {
    if !input.is_file() {
        return Err(Error::new(format!("there is no file {}", input.display())));
    }
    let program = build()?.join(name);
    let status = Command::new(program).arg(input).status().context(format!("starting {name}"))?;
    if status.success() {
        println!("{name} has nothing to say about {}", input.display());
        return Ok(());
    }
    Err(Error::new(format!("{name} ended with {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_source_and_a_corpus() {
        let names = |folder: &str| {
            let entries = fs::read_dir(super::folder().join(folder)).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names("corpus"), TARGETS);
        let sources = names("fuzz_targets");
        assert!(TARGETS.iter().all(|target| sources.contains(&(*target).to_owned())));
        let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        assert!(known("uci").is_ok() && known("xyz").is_err());
    }
}
