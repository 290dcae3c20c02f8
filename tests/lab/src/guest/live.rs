// SPDX-License-Identifier: GPL-2.0-or-later
//! The demonstration: traffic that goes on, and a picture of it every second, with the pages served
//! beside it. And the shell: a login on the plain router.

use super::driver::{uname, Driver};
use super::files;
use super::flow::{Flow, Sample};
use super::{look, page, procd};
use crate::console::Report;
use crate::error::{Context, Result};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time between two pictures.
const PERIOD: Duration = Duration::from_secs(1);

/// Samples of the picture before, with the time they were taken.
type Before = BTreeMap<String, (Instant, Sample)>;

/// Shows live state until the machine is switched off.
pub fn show(switch_off: bool) -> Result<()> {
    Report::Booted(uname()?).send();
    procd::install()?;
    let mut web = page::web(false)?;
    let mut driver = page::router(switch_off)?;
    let mut before = Before::new();
    loop {
        show_flows(&driver.flows, &mut before)?;
        for command in ["flowtable status", "flowtable devices"] {
            Report::Live(format!("\n# {command}")).send_lines();
            if let Ok(Json::String(text)) = look::output(command) {
                Report::Live(text).send_lines();
            }
        }
        Report::Frame.send();
        web.serve(&mut driver, PERIOD)?;
    }
}

fn show_flows(flows: &BTreeMap<String, Flow>, before: &mut Before) -> Result<()> {
    Report::Live("flow   kind   conntrack     packets/s".into()).send();
    // The firewall counts flows of a kind together.
    let mut forwarded = BTreeMap::new();
    for (name, flow) in flows {
        let (now, sample) = (Instant::now(), flow.sample()?);
        let kind = flow.kind.name();
        let packets = match before.get(name) {
            None => format!("{:>9}", "-"),
            Some((then, old)) => {
                let seconds = now.duration_since(*then).as_secs_f64();
                let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
                forwarded.insert(kind, rate(sample.forwarded, old.forwarded));
                format!("{:>9.0}", rate(sample.packets, old.packets))
            }
        };
        Report::Live(format!("{name:<6} {kind:<6} {:<13} {packets}", sample.path)).send();
        before.insert(name.clone(), (now, sample));
    }
    let counts: Vec<String> =
        forwarded.iter().map(|(kind, rate)| format!("{kind} {rate:.0}")).collect();
    Report::Live(format!("through the firewall/s: {}", counts.join("  "))).send();
    Ok(())
}

/// A login shell on the router; the machine is switched off when it ends.
pub fn shell(switch_off: bool) -> Result<()> {
    procd::install()?;
    let mut driver = Driver::new(switch_off)?;
    driver.perform(&files::load("shell")?)?;
    println!();
    println!("The router. Hosts: `ip netns exec lan sh`, `ip netns exec wan sh`.");
    println!("The daemon's log: /tmp/lab/flowtabled.log. `exit` switches the machine off.");
    Command::new("setsid").args(["cttyhack", "bash"]).status().context("shell").map(drop)
}
