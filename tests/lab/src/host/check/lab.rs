// SPDX-License-Identifier: GPL-2.0-or-later
//! The scenarios on all kernels. A guest has one processor, so as many kernels run at once as
//! this machine has processors.

use super::Tally;
use crate::error::Result;
use crate::host::artifacts::{self, Artifacts};
use crate::host::kernel::{self, Kernel};
use crate::host::suite::{self, Detail, Outcome};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// A kernel's name and the scenarios to run on it.
pub type Plan = (&'static str, Vec<String>);

/// How the scenarios of one kernel ended.
type Outcomes = Result<Vec<(String, Outcome)>>;

/// Runs the plans and counts each scenario.
pub fn run(plans: &[Plan], tally: &mut Tally) {
    match suite::ensure_tools().and_then(|()| artifacts::build()) {
        Ok(artifacts) => run_with(&artifacts, plans, tally),
        Err(e) => {
            println!("{e}");
            tally.failed("lab: set-up");
        }
    }
}

fn run_with(artifacts: &Artifacts, plans: &[Plan], tally: &mut Tally) {
    let mut ready: Vec<(Kernel, &[String])> = Vec::new();
    for (name, plan) in plans {
        match kernel::source(name).and_then(|source| source.kernel()) {
            Ok(kernel) => ready.push((kernel, plan)),
            Err(e) => {
                println!("{e}");
                tally.failed(&format!("lab {name}: getting the kernel"));
            }
        }
    }
    for (name, outcomes) in at_once(artifacts, ready) {
        count(name, outcomes, tally);
    }
}

fn at_once(
    artifacts: &Artifacts,
    ready: Vec<(Kernel, &[String])>,
) -> Vec<(&'static str, Outcomes)> {
    let workers = thread::available_parallelism().map_or(1, |n| n.get());
    let queue = Mutex::new(ready.into_iter());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| loop {
                // The lock is free again before the kernel boots.
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((kernel, plan)) = next else { return };
                let outcomes = suite::run(&kernel, artifacts, plan, Detail::Scenarios);
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
