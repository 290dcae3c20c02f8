// SPDX-License-Identifier: GPL-2.0-or-later
//! The demonstration: traffic that goes on, and a picture of it every second, with the pages served
//! beside it. And the shell: a login on the plain router.

use super::driver::{uname, Driver};
use super::files;
use super::flow::{Flow, Sample};
use super::{look, page};
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
    let title = "flow   kind   conntrack     packets/s   through the firewall/s";
    Report::Live(title.into()).send();
    for (name, flow) in flows {
        let (now, sample) = (Instant::now(), flow.sample()?);
        let rates = before.get(name).map(|(then, old)| {
            let seconds = now.duration_since(*then).as_secs_f64();
            let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
            (rate(sample.packets, old.packets), rate(sample.forwarded, old.forwarded))
        });
        let rates = rates.map_or_else(
            || format!("{:>9}   {:>9}", "-", "-"),
            |(packets, forwarded)| format!("{packets:>9.0}   {forwarded:>9.0}"),
        );
        let line = format!("{name:<6} {:<6} {:<13} {rates}", flow.kind.name(), sample.path);
        Report::Live(line).send();
        before.insert(name.clone(), (now, sample));
    }
    Ok(())
}

/// A login shell on the router; the machine is switched off when it ends.
pub fn shell(switch_off: bool) -> Result<()> {
    let mut driver = Driver::new(switch_off)?;
    driver.perform(&files::load("shell")?)?;
    println!();
    println!("The router. Hosts: `ip netns exec lan sh`, `ip netns exec wan sh`.");
    println!("The daemon's log: /tmp/lab/flowtabled.log. `exit` switches the machine off.");
    Command::new("setsid").args(["cttyhack", "bash"]).status().context("shell").map(drop)
}
