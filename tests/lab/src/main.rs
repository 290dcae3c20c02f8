// SPDX-License-Identifier: GPL-2.0-or-later
//! Commands for developers of flowtabled: demo, test, bench, lab.

use lab::error::{Context, Error, Result};
use lab::host::check::Breadth;
use lab::host::suite::{self, Detail, Outcome};
use lab::host::{bench, browser, check, cross, demo, fuzz, openwrt, package, shell};
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask COMMAND

  demo [--once] [--off] [--kernel K]  a router with real traffic, live until Ctrl-C,
                                      its pages at an address of this machine;
                                      --once proves offload on and off, then ends
  test                                everything that CI runs
  test full                           that, every scenario on every kernel, and the
                                      targets that take long
  test FILTER                         of all that, what has a name with FILTER in it
  fuzz [TARGET] [--seconds N]         hostile input for every decoder, or for one
  fuzz TARGET --input FILE            an input that was kept, once more
  bench NAME [--kernel K]             measures, and writes target/bench/NAME.json
  bench                               that for all, and target/bench/all.json
  bench [NAME] --against REV          the daemon here and REV's in turns, side by side
  bench --list                        names of the benchmarks
  package --target TARGET             packages for a router, into target/packages/TARGET
  cross TARGET ARGUMENT...            cargo with these arguments, for a router
  lab SCENARIO... [--kernel K]        these scenarios (or `all`) in the lab
  lab --list                          names of the scenarios
  lab --openwrt IMAGE [--kernel FILE] [TRIAL]
                                      installs the package in an image of OpenWrt and
                                      tries it there, all or up to a trial
  screenshots                         the pictures of docs/screenshots
  lab shell [--off] [--kernel K]      a login on the lab's router

Kernels: 6.1 (the default), 6.12, newest; of other processors: malta (32-bit MIPS), arm64, armhf.
Targets: mipsel_24kc, mips_24kc, aarch64_cortex-a53, arm_cortex-a7_neon-vfpv4, x86_64,
and for packages all.
";

/// Takes an option out of the arguments.
fn flag(args: &mut Vec<String>, name: &str) -> bool {
    let before = args.len();
    args.retain(|arg| arg != name);
    args.len() < before
}

/// Takes an option and its value out of the arguments.
fn option(args: &mut Vec<String>, name: &str) -> Result<Option<String>> {
    let Some(at) = args.iter().position(|arg| arg == name) else { return Ok(None) };
    args.remove(at);
    if at < args.len() {
        return Ok(Some(args.remove(at)));
    }
    Err(Error::new(format!("{name} needs a value")))
}

fn lab(wanted: &[&str], kernel: &str) -> Result<()> {
    let names = suite::names()?;
    let all = wanted == ["all"];
    let named = || wanted.iter().map(ToString::to_string).collect();
    let plan: Vec<String> = if all { suite::tests()? } else { named() };
    if let Some(name) = plan.iter().find(|name| !names.contains(name)) {
        return Err(Error::new(format!("no scenario {name:?}; `cargo xtask lab --list`")));
    }
    let (kernel, artifacts) = suite::prepare(kernel)?;
    let detail = if all { Detail::Scenarios } else { Detail::Expectations };
    let outcomes = suite::run(&kernel, &artifacts, &plan, suite::label(&plan), detail)?;
    let failed = outcomes.iter().filter(|(_, o)| matches!(o, Outcome::Failed)).count();
    if failed > 0 {
        return Err(Error::new(format!("{failed} of {} failed", outcomes.len())));
    }
    Ok(())
}

/// cargo for another machine, as it would be started by hand.
fn cross(target: &str, args: &[String]) -> Result<()> {
    let toolchain = cross::toolchain(cross::one(target)?)?;
    toolchain.ensure_emulator()?;
    let status = toolchain.cargo().args(args).status().context("cargo")?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("cargo ended with {status}")))
}

/// How long a fuzz target runs.
fn time(seconds: Option<String>) -> Result<u32> {
    let Some(seconds) = seconds else { return Ok(fuzz::SECONDS) };
    seconds.parse().context(format!("--seconds {seconds}"))
}

fn act(mut args: Vec<String>) -> Result<()> {
    // Its options are cargo's.
    if let [command, target, args @ ..] = args.as_slice() {
        if command == "cross" {
            return cross(target, args);
        }
    }
    let given = option(&mut args, "--kernel")?;
    if args.first().is_some_and(|word| word == "lab") && args.iter().any(|a| a == "--openwrt") {
        let image = option(&mut args, "--openwrt").map_err(|_| Error::new(openwrt::WANTED))?;
        let image = image.context(openwrt::WANTED)?;
        let last = args.get(1).map(String::as_str);
        return openwrt::run(image.as_ref(), given.as_deref().map(Path::new), last);
    }
    let kernel = given.unwrap_or_else(|| "6.1".into());
    let (once, off) = (flag(&mut args, "--once"), flag(&mut args, "--off"));
    let target = option(&mut args, "--target")?;
    let list = flag(&mut args, "--list");
    let seconds = option(&mut args, "--seconds")?;
    let input = option(&mut args, "--input")?;
    let against = option(&mut args, "--against")?;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["demo"] if once => demo::once(&kernel),
        ["demo"] => demo::live(&kernel, off),
        ["test"] => check::run_all(Breadth::Ci),
        ["test", "full"] => check::run_all(Breadth::Full),
        ["test", filter] => check::run_all(Breadth::Named(filter)),
        ["screenshots"] => browser::screenshots(),
        ["package"] => {
            let target = target.context("which --target? (all, or one of `cargo xtask help`)")?;
            package::command(&cross::named(&target)?)
        }
        ["fuzz", name] if input.is_some() => {
            fuzz::command(fuzz::Plan::Input(name, Path::new(&input.unwrap_or_default())))
        }
        ["fuzz"] => fuzz::command(fuzz::Plan::All(time(seconds)?)),
        ["fuzz", name] => fuzz::command(fuzz::Plan::One(name, time(seconds)?)),
        ["bench"] if list => {
            bench::NAMES.iter().for_each(|name| println!("{name}"));
            Ok(())
        }
        ["bench", name @ ..] if name.len() < 2 => {
            let name = name.first().copied();
            match (name, against) {
                (name, Some(revision)) => bench::compare(name, &revision),
                (Some(name), None) => bench::run_named(name, &kernel),
                (None, None) => bench::run_all(&kernel),
            }
        }
        ["lab"] if list => {
            suite::names()?.iter().for_each(|name| println!("{name}"));
            Ok(())
        }
        ["lab", "shell"] => shell::run(&kernel, off),
        ["lab", names @ ..] if !names.is_empty() => lab(names, &kernel),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(Error::new(format!("I do not understand {words:?}\n\n{HELP}"))),
    }
}

fn main() -> ExitCode {
    match act(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}
