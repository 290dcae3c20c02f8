// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask test`: everything that CI runs, in order, with the time of each step, and one sum
//! at the end. What takes too long for every change is in `cargo xtask test full`.

mod cargo_test;
mod foreign;
mod kernels;
mod lab;
mod malta;
mod man_pages;
mod openwrt;
mod package;
mod page;
mod shell_files;
mod tally;

use super::artifacts::cargo;
use super::{apt, fuzz as targets, progress};
use crate::command::run;
use crate::error::{Error, Result};
use std::time::Instant;
pub use tally::Tally;

/// What the differential tests build OpenWrt's libuci and libubox with.
const C_PACKAGES: [&str; 3] = ["cmake", "g++", "libclang-dev"];

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth<'a> {
    /// What CI runs.
    Ci,
    /// All there is.
    Full,
    /// Of all there is, what has a name that contains this.
    Named(&'a str),
}

impl Breadth<'_> {
    /// Whether a step of this name is run, that is too long for CI or not.
    fn wants(self, name: &str, heavy: bool) -> bool {
        match self {
            Self::Ci => !heavy,
            Self::Full => true,
            Self::Named(part) => name.contains(part),
        }
    }
}

/// One step: its name, whether it takes too long for CI, and what it does.
struct Step {
    name: &'static str,
    heavy: bool,
    act: fn(&mut Tally) -> Result<()>,
}

impl Step {
    const fn new(name: &'static str, act: fn(&mut Tally) -> Result<()>) -> Self {
        Self { name, heavy: false, act }
    }

    const fn heavy(name: &'static str, act: fn(&mut Tally) -> Result<()>) -> Self {
        Self { name, heavy: true, act }
    }
}

/// What the tests in network namespaces call.
const NAMESPACE_TOOLS: [apt::Tool; 4] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("unshare", "util-linux"),
    ("busybox", "busybox-static"),
];

const STEPS: &[Step] = &[
    Step::new("fmt", fmt),
    Step::new("clippy", clippy),
    Step::new("shellcheck", shellcheck),
    Step::new("man", man_pages::check),
    Step::new("unit", unit),
    Step::new("fuzz", fuzz),
    Step::new("unit mipsel", foreign::quick),
    Step::new("packages", package::smallest),
    Step::heavy("targets: packed", package::all),
    Step::heavy("targets: mipsel", foreign::mipsel),
    Step::heavy("targets: mips", foreign::mips),
    Step::heavy("targets: aarch64", foreign::aarch64),
    Step::new("page", page::check),
    Step { name: "browser", heavy: true, act: page::check_in_browser },
    Step::new("c-differential", c_differential),
    Step::heavy("malta", malta::check),
    Step::heavy("openwrt x86", openwrt::x86),
    Step::heavy("openwrt malta", openwrt::malta),
];

/// Runs the steps and scenarios of this breadth (`lab 6.1 plain` is a scenario's name).
pub fn run_all(breadth: Breadth<'_>) -> Result<()> {
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut matched = false;
    for step in STEPS.iter().filter(|step| breadth.wants(step.name, step.heavy)) {
        matched = true;
        println!("\n=== {}", step.name);
        let begun = Instant::now();
        if let Err(e) = (step.act)(&mut tally) {
            println!("{e}");
            tally.failed(step.name);
        }
        println!("=== {}: {:.1} s", step.name, begun.elapsed().as_secs_f32());
    }
    let plans = kernels::plans(breadth)?;
    if !plans.is_empty() {
        matched = true;
        println!("\n=== lab");
        let begun = Instant::now();
        lab::run(&plans, &mut tally);
        println!("=== lab: {:.1} s", begun.elapsed().as_secs_f32());
    }
    if !matched {
        return Err(Error::new(format!("there is nothing for {breadth:?}")));
    }
    println!("\nall of it: {:.0} s", begun.elapsed().as_secs_f32());
    tally.close()
}

fn fmt(tally: &mut Tally) -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    // A workspace of its own.
    run(cargo().args(["fmt", "--check", "--manifest-path", "tests/fuzz/Cargo.toml"]))?;
    tally.passed(1);
    Ok(())
}

fn clippy(tally: &mut Tally) -> Result<()> {
    // The whole workspace, so what the differential tests build against as well.
    apt::ensure_missing(&C_PACKAGES)?;
    progress::step("cargo clippy", || {
        let args = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        cargo_test::visible(cargo().args(args))
    })?;
    tally.passed(1);
    Ok(())
}

fn shellcheck(tally: &mut Tally) -> Result<()> {
    shell_files::check(tally)
}

fn unit(tally: &mut Tally) -> Result<()> {
    apt::ensure_tools(&NAMESPACE_TOOLS)?;
    cargo_test::run(&[], tally)
}

fn fuzz(tally: &mut Tally) -> Result<()> {
    for (found, name) in targets::run(&targets::TARGETS, targets::SECONDS)? {
        match found {
            Ok(()) => tally.passed(1),
            Err(_) => tally.failed(&format!("fuzz {name}")),
        }
    }
    Ok(())
}

fn c_differential(tally: &mut Tally) -> Result<()> {
    apt::ensure_missing(&C_PACKAGES)?;
    cargo_test::run(&["-p", "c-differential"], tally)
}
