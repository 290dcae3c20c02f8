// SPDX-License-Identifier: GPL-2.0-or-later
//! The scenarios on all kernels. A guest has one processor, so as many run at once as this machine
//! has processors; each kernel is booted twice, for half of the scenarios each, so that three
//! kernels keep two processors busy to the end.

use super::Tally;
use crate::error::Result;
use crate::host::architecture::AMD64;
use crate::host::artifacts::{self, Artifacts};
use crate::host::initramfs;
use crate::host::kernel::{self, Kernel};
use crate::host::suite::{self, Detail, Outcome};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Boots of one kernel.
const PARTS: usize = 2;
/// Fewer scenarios are not worth a second boot.
const WORTH_PARTS: usize = 8;
/// So many failed scenarios are tried once more, one boot at a time: emulation on a machine that
/// stands still for a second fails what waits for less. They are named at the end. More are a fault.
const TRIED_AGAIN: usize = 3;

/// A kernel's name and the scenarios to run on it.
pub type Plan = (&'static str, Vec<String>);

/// How the scenarios of one kernel ended.
type Outcomes = Result<Vec<(String, Outcome)>>;

/// Runs the plans and counts each scenario.
pub fn run(plans: &[Plan], tally: &mut Tally) {
    match suite::ensure_tools(&AMD64).and_then(|()| artifacts::build(&AMD64)) {
        Ok(artifacts) => run_with(&artifacts, plans, tally),
        Err(e) => {
            println!("{e}");
            tally.failed("lab: set-up");
        }
    }
}

/// Like [`run`], with programs that are there.
pub fn run_with(artifacts: &Artifacts, plans: &[Plan], tally: &mut Tally) {
    let mut ready: Vec<(Kernel, &[String])> = Vec::new();
    for (name, plan) in plans {
        // What two boots of one kernel share is there before the first.
        let kernel = kernel::source(name).and_then(|source| source.kernel());
        match kernel.and_then(|kernel| initramfs::prepare(&kernel).map(|()| kernel)) {
            Ok(kernel) => ready.push((kernel, plan)),
            Err(e) => {
                println!("{e}");
                tally.failed(&format!("lab {name}: getting the kernel"));
            }
        }
    }
    let ended = at_once(artifacts, &jobs(&ready));
    let failed: usize = ended.iter().map(|(_, outcomes)| failures(outcomes).len()).sum();
    for (name, outcomes) in ended {
        let again = failures(&outcomes);
        if again.is_empty() || failed > TRIED_AGAIN {
            count(name, outcomes, tally);
            continue;
        }
        count(name, outcomes.map(without_failures), tally);
        for (kernel, _) in ready.iter().filter(|(kernel, _)| kernel.name == name) {
            println!("again, alone: {}", again.join(" "));
            let outcomes = suite::run(kernel, artifacts, &again, "again", Detail::Scenarios);
            let held = outcomes.iter().flatten().filter(|(_, o)| matches!(o, Outcome::Passed));
            held.for_each(|(scenario, _)| tally.unsteady(&format!("lab {name} {scenario}")));
            count(name, outcomes, tally);
        }
    }
}

/// The scenarios of a boot that failed.
fn failures(outcomes: &Outcomes) -> Vec<String> {
    let failed = |(_, outcome): &&(String, Outcome)| matches!(outcome, Outcome::Failed);
    outcomes.iter().flatten().filter(failed).map(|(name, _)| name.clone()).collect()
}

fn without_failures(mut outcomes: Vec<(String, Outcome)>) -> Vec<(String, Outcome)> {
    outcomes.retain(|(_, outcome)| !matches!(outcome, Outcome::Failed));
    outcomes
}

/// One boot: the kernel, the scenarios, and the name of the log.
type Job<'a> = (&'a Kernel, Vec<String>, String);

/// The boots, the first parts of all kernels before the second.
fn jobs<'a>(ready: &'a [(Kernel, &[String])]) -> Vec<Job<'a>> {
    let part = |number: usize, (kernel, plan): &'a (Kernel, &[String])| {
        let parts = if plan.len() < WORTH_PARTS { 1 } else { PARTS };
        // Turn about: scenarios that are alike, and take as long, stand side by side.
        let own: Vec<String> = plan.iter().skip(number).step_by(parts).cloned().collect();
        let label = match parts {
            1 => suite::label(plan).to_owned(),
            _ => format!("all-{}", number + 1),
        };
        (number < parts).then_some((kernel, own, label))
    };
    (0..PARTS)
        .flat_map(|number| ready.iter().filter_map(move |entry| part(number, entry)))
        .collect()
}

fn at_once(artifacts: &Artifacts, jobs: &[Job<'_>]) -> Vec<(&'static str, Outcomes)> {
    let workers = thread::available_parallelism().map_or(1, |n| n.get());
    let queue = Mutex::new(jobs.iter());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| loop {
                // The lock is free again before the kernel boots.
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((kernel, plan, label)) = next else { return };
                let outcomes = suite::run(kernel, artifacts, plan, label, Detail::Scenarios);
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.push((kernel.name, outcomes));
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn count(kernel: &str, outcomes: Outcomes, tally: &mut Tally) {
    match outcomes {
        Ok(outcomes) => {
            for (scenario, outcome) in outcomes {
                match outcome {
                    Outcome::Passed => tally.passed(1),
                    Outcome::Skipped => tally.skipped_quietly(),
                    Outcome::Failed => tally.failed(&format!("lab {kernel} {scenario}")),
                }
            }
        }
        Err(e) => {
            println!("{e}");
            tally.failed(&format!("lab {kernel}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_in_one_boot() {
        let kernel = |name| Kernel {
            name,
            suite: "suite",
            newer: false,
            architecture: &AMD64,
            release: "1".into(),
            image: "image".into(),
            modules: "modules".into(),
        };
        let many: Vec<String> = (0..9).map(|number| number.to_string()).collect();
        let ready = [(kernel("old"), many.as_slice()), (kernel("new"), &many[..3])];
        let jobs = jobs(&ready);
        let told: Vec<_> =
            jobs.iter().map(|(kernel, plan, label)| (kernel.name, plan.len(), &**label)).collect();
        assert_eq!(told, [("old", 5, "all-1"), ("new", 3, "all"), ("old", 4, "all-2")]);
        let of_old = jobs.iter().filter(|(kernel, ..)| kernel.name == "old");
        let mut all: Vec<String> = of_old.flat_map(|(_, plan, _)| plan.clone()).collect();
        all.sort();
        assert_eq!(all, many);
    }
}
