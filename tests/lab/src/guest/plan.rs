// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs the scenarios of a plan one after another, each in a fresh router and with a deadline.

use super::driver::{uname, Driver, Verdict};
use super::topology::ROUTER;
use super::{evidence, files, generation, procd, LAB_DIR};
use crate::command::run;
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::scenario::{Scenario, Step};
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than all waits of any scenario together; only a driver that hangs reaches it.
const SCENARIO_TIMEOUT: Duration = Duration::from_secs(240);
/// How many entries conntrack's table takes, in all namespaces together.
pub const CONNTRACK_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const POLL: Duration = Duration::from_millis(20);

/// Runs every scenario named in the plan.
pub fn run_all() -> Result<()> {
    Report::Booted(uname()?).send();
    generation::probe()?;
    for said in procd::install()? {
        Report::Phase(said).send();
    }
    let path = format!("{LAB_DIR}/plan");
    let plan = fs::read_to_string(&path).context(path)?;
    let room = fs::read(CONNTRACK_MAX).context(CONNTRACK_MAX)?;
    for name in plan.lines() {
        Report::Begin(name.into()).send();
        let begun = Instant::now();
        let args = ["scenario", name];
        let result = in_router(&args, Some(timeout(name)));
        clear();
        // It belongs to the machine, and a scenario that failed left it as it was then.
        fs::write(CONNTRACK_MAX, &room).context(CONNTRACK_MAX)?;
        if let Err(e) = result {
            let ms = begun.elapsed().as_millis();
            Report::Fail(name.into(), format!("{e} (after {ms} ms)")).send();
        }
    }
    Report::Done.send();
    Ok(())
}

/// How long a scenario may take.
fn timeout(name: &str) -> Duration {
    let soak = |scenario: Scenario| {
        scenario.lines.iter().find_map(|line| match line.step {
            Step::Soak { within } => Some(within),
            _ => None,
        })
    };
    files::load(name).ok().and_then(soak).unwrap_or(SCENARIO_TIMEOUT)
}

/// Runs one scenario in the router that this process is in, and reports.
pub fn run_one(name: &str) -> Result<()> {
    let begun = Instant::now();
    let result = files::load(name).and_then(|scenario| {
        let mut driver = Driver::new(false)?;
        let result = driver.perform(&scenario);
        if result.is_err() {
            evidence::send();
        }
        result
    });
    match result {
        Ok(Verdict::Passed) => {
            let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            Report::Pass(name.into(), ms).send();
        }
        Ok(Verdict::Skipped(why)) => Report::Skip(name.into(), why).send(),
        Err(e) => Report::Fail(name.into(), e.to_string()).send(),
    }
    Ok(())
}

/// Runs this program again inside a fresh router namespace, with our own standard input.
pub fn in_router(args: &[&str], timeout: Option<Duration>) -> Result<()> {
    in_router_with(args, timeout, Stdio::inherit())
}

/// As [`in_router`], with another standard input.
pub fn in_router_with(args: &[&str], timeout: Option<Duration>, input: Stdio) -> Result<()> {
    run(Command::new("ip").args(["netns", "add", ROUTER]))?;
    let mut child = Command::new("ip")
        .args(["netns", "exec", ROUTER, "lab-guest"])
        .args(args)
        .stdin(input)
        .spawn()
        .context("entering the router")?;
    let begun = Instant::now();
    loop {
        match child.try_wait().context("waiting for the router")? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(Error::new(format!("the driver ended with {status}"))),
            None => {}
        }
        if timeout.is_some_and(|timeout| begun.elapsed() > timeout) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::new("it hung and was ended"));
        }
        thread::sleep(POLL);
    }
}

/// Ends whatever still runs in a namespace and removes all of them.
pub fn clear() {
    let Ok(list) = run(Command::new("ip").args(["netns", "list"])) else { return };
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        if let Ok(pids) = run(Command::new("ip").args(["netns", "pids", name])) {
            for pid in pids.split_whitespace() {
                let _ = run(Command::new("kill").args(["-KILL", pid]));
            }
        }
        let _ = run(Command::new("ip").args(["netns", "del", name]));
    }
}
