// SPDX-License-Identifier: GPL-2.0-or-later
//! Scenarios on a kernel: one boot, all results.

use super::architecture::Architecture;
use super::artifacts::{self, Artifacts};
use super::kernel::{self, Kernel};
use super::machine::{self, Machine};
use super::{apt, initramfs, kernel_module, paths, progress, userland};
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::scenario::SOAK;
use std::fs;
use std::time::{Duration, Instant};

/// Silence of the guest that means that it hangs: longer than its own deadline for a scenario.
const SILENCE: Duration = Duration::from_secs(300);
/// Booting takes seconds; this is for a machine that is busy with something else.
const BOOT_SILENCE: Duration = Duration::from_secs(600);
/// Lines of evidence shown on the screen; the rest is in the log.
const SHOWN_EVIDENCE: usize = 30;

/// How one scenario ended.
#[derive(Debug)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It does not apply on this kernel.
    Skipped,
    /// It failed; the message was shown.
    Failed,
}

/// How much is shown while scenarios run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One line for each scenario.
    Scenarios,
    /// Each expectation as well.
    Expectations,
}

/// The names of all scenarios, sorted.
pub fn names() -> Result<Vec<String>> {
    let dir = paths::lab("scenarios");
    let entries = dir.read_dir().context(format!("reading {}", dir.display()))?;
    let files = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> =
        files.filter_map(|file| file.strip_suffix(".scenario").map(str::to_string)).collect();
    names.sort();
    Ok(names)
}

/// The names of those that tests run: all but what takes longer than any test.
pub fn tests() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in self::names()? {
        let text = text(&name)?;
        if text.lines().all(|line| line.split_whitespace().next() != Some(SOAK)) {
            names.push(name);
        }
    }
    Ok(names)
}

/// A scenario's file.
pub fn text(name: &str) -> Result<String> {
    let file = paths::lab("scenarios").join(format!("{name}.scenario"));
    fs::read_to_string(&file).context(format!("reading {}", file.display()))
}

/// Installs what packing and booting need and this machine lacks.
pub fn ensure_tools(architecture: &Architecture) -> Result<()> {
    let all = [&[architecture.qemu], machine::TOOLS.as_slice(), &kernel::TOOLS, &userland::TOOLS];
    let own = [userland::PROGRAMS.as_slice(), &kernel_module::TOOLS];
    let all = match architecture.foreign {
        Some(_) => all.concat(),
        None => [all.concat(), own.concat()].concat(),
    };
    apt::ensure_tools(&all)
}

/// Gets all that a boot of the kernel of this name needs.
pub fn prepare(name: &str) -> Result<(Kernel, Artifacts)> {
    let source = kernel::source(name)?;
    ensure_tools(source.architecture)?;
    let kernel = source.kernel()?;
    let artifacts = artifacts::build(kernel.architecture)?;
    Ok((kernel, artifacts))
}

/// The name that the log of a plan has behind that of the kernel.
pub fn label(plan: &[String]) -> &str {
    match plan {
        [only] => only.as_str(),
        _ => "all",
    }
}

/// Boots a kernel and runs scenarios on it; `label` names the log.
pub fn run(
    kernel: &Kernel,
    artifacts: &Artifacts,
    plan: &[String],
    label: &str,
    detail: Detail,
) -> Result<Vec<(String, Outcome)>> {
    let initramfs = initramfs::pack(kernel, artifacts, plan, label)?;
    let boot = || {
        let mut machine = Machine::boot(kernel, &initramfs, "run", label)?;
        wait_for_boot(&mut machine)?;
        Ok(machine)
    };
    let title = format!("booting Linux {}", kernel.release);
    let mut machine = match detail {
        // Several may boot at once, and two clocks on one line are no help.
        Detail::Scenarios => {
            let begun = Instant::now();
            eprintln!("-> {title}");
            let machine = boot()?;
            eprintln!("   {title}: done in {:.1} s", begun.elapsed().as_secs_f32());
            machine
        }
        Detail::Expectations => progress::step(&title, boot)?,
    };
    let mut results = Collector { kernel: kernel.name, detail, outcomes: Vec::new() };
    results.collect(&mut machine, plan)?;
    Ok(results.outcomes)
}

/// Waits until the guest's driver is up.
pub fn wait_for_boot(machine: &mut Machine) -> Result<()> {
    let mut last = String::new();
    while let Some(line) = machine.line(BOOT_SILENCE)? {
        if let Some(Report::Booted(_)) = Report::parse(&line) {
            return Ok(());
        }
        last = line;
    }
    let log = machine.log.display();
    Err(Error::new(format!("the guest did not come up ({}), see {log}", last.trim())))
}

struct Collector {
    kernel: &'static str,
    detail: Detail,
    outcomes: Vec<(String, Outcome)>,
}

impl Collector {
    fn collect(&mut self, machine: &mut Machine, plan: &[String]) -> Result<()> {
        let mut evidence: Vec<String> = Vec::new();
        let mut begun = Instant::now();
        let mut done = false;
        while let Some(line) = machine.line(SILENCE)? {
            match Report::parse(&line) {
                Some(Report::Begin(_)) => {
                    begun = Instant::now();
                    evidence.clear();
                }
                Some(Report::Phase(text)) if self.detail == Detail::Expectations => {
                    println!("\n{text}");
                }
                Some(Report::Held(text)) if self.detail == Detail::Expectations => {
                    println!("  ok  {text}");
                }
                Some(Report::Evidence(text)) => evidence.push(text),
                Some(Report::Pass(name, _)) => self.end(name, Outcome::Passed, begun, "", &[]),
                Some(Report::Skip(name, why)) => {
                    self.end(name, Outcome::Skipped, begun, &why, &[]);
                }
                Some(Report::Fail(name, why)) => {
                    let mut story: Vec<String> =
                        evidence.iter().take(SHOWN_EVIDENCE).cloned().collect();
                    story.push(format!("the whole story: {}", machine.log.display()));
                    self.end(name, Outcome::Failed, begun, &why, &story);
                }
                Some(Report::Done) => done = true,
                _ => {}
            }
        }
        if !done {
            println!("       the guest ended early, see {}", machine.log.display());
        }
        for name in plan {
            if !self.outcomes.iter().any(|(seen, _)| seen == name) {
                let why = "the guest ended before it";
                self.end(name.clone(), Outcome::Failed, begun, why, &[]);
            }
        }
        Ok(())
    }

    fn end(&mut self, name: String, outcome: Outcome, begun: Instant, why: &str, story: &[String]) {
        let word = match outcome {
            Outcome::Passed => "pass",
            Outcome::Skipped => "skip",
            Outcome::Failed => "FAIL",
        };
        let (kernel, seconds) = (self.kernel, begun.elapsed().as_secs_f32());
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let mut text = format!("{word}   lab {kernel} {name} ({seconds:.1} s){why}\n");
        for line in story {
            text.push_str("       ");
            text.push_str(line);
            text.push('\n');
        }
        // In one piece, because other kernels may be printing as well.
        print!("{text}");
        self.outcomes.push((name, outcome));
    }
}
