// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask test`: everything that CI runs, in order, with the time of each step, and one sum
//! at the end.

mod cargo_test;
mod lab;
mod page;
mod shell_files;
mod tally;

use super::artifacts::cargo;
use super::{apt, progress, suite};
use crate::command::run;
use crate::error::{Error, Result};
use std::time::Instant;
pub use tally::Tally;

/// Kernels that the scenarios run on.
const KERNELS: [&str; 3] = ["6.1", "6.12", "newest"];

/// What the differential UCI tests build the real libuci with.
const UCI_PACKAGES: [&str; 3] = ["cmake", "g++", "libclang-dev"];

/// One step: its name and what it does.
struct Step {
    name: &'static str,
    act: fn(&mut Tally) -> Result<()>,
}

/// What the tests in network namespaces call.
const NAMESPACE_TOOLS: [apt::Tool; 2] = [("ip", "iproute2"), ("unshare", "util-linux")];

const STEPS: [Step; 6] = [
    Step { name: "fmt", act: fmt },
    Step { name: "clippy", act: clippy },
    Step { name: "shellcheck", act: shellcheck },
    Step { name: "unit", act: unit },
    Step { name: "page", act: page::check },
    Step { name: "uci-differential", act: uci_differential },
];

/// Runs the steps and scenarios whose name contains `filter` (`lab 6.1 plain` is such a name).
pub fn run_all(filter: Option<&str>) -> Result<()> {
    let begun = Instant::now();
    let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter));
    let mut tally = Tally::default();
    let mut matched = false;
    for step in STEPS.iter().filter(|step| wanted(step.name)) {
        matched = true;
        println!("\n=== {}", step.name);
        let begun = Instant::now();
        if let Err(e) = (step.act)(&mut tally) {
            println!("{e}");
            tally.failed(step.name);
        }
        println!("=== {}: {:.1} s", step.name, begun.elapsed().as_secs_f32());
    }
    let names = suite::names()?;
    let mut plans = Vec::new();
    for kernel in KERNELS {
        let full = |name: &&String| wanted(&format!("lab {kernel} {name}"));
        let plan: Vec<String> = names.iter().filter(full).cloned().collect();
        if !plan.is_empty() {
            plans.push((kernel, plan));
        }
    }
    if !plans.is_empty() {
        matched = true;
        println!("\n=== lab");
        let begun = Instant::now();
        lab::run(&plans, &mut tally);
        println!("=== lab: {:.1} s", begun.elapsed().as_secs_f32());
    }
    if !matched {
        return Err(Error::new(format!("nothing is called {}", filter.unwrap_or_default())));
    }
    println!("\nall of it: {:.0} s", begun.elapsed().as_secs_f32());
    tally.close()
}

fn fmt(tally: &mut Tally) -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    tally.passed(1);
    Ok(())
}

fn clippy(tally: &mut Tally) -> Result<()> {
    // The whole workspace, so what the differential tests build against as well.
    apt::ensure_missing(&UCI_PACKAGES)?;
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

fn uci_differential(tally: &mut Tally) -> Result<()> {
    apt::ensure_missing(&UCI_PACKAGES)?;
    cargo_test::run(&["-p", "uci-differential"], tally)
}
