// SPDX-License-Identifier: GPL-2.0-or-later
//! The demonstration: traffic that goes on, and a picture of it every second. And the shell: the
//! same router, with a login in place of the picture.

use super::driver::Driver;
use super::files;
use super::look;
use crate::console::Report;
use crate::error::{Context, Result};
use serde_json::Value as Json;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Time between two pictures.
const PERIOD: Duration = Duration::from_secs(1);

/// What is shown, each with its title.
const PICTURE: [(&str, &str); 3] = [
    ("flowtable status", "flowtable status"),
    ("conntrack of the router", "conntrack -L 2>/dev/null; conntrack -L -f ipv6 2>/dev/null"),
    ("packets that crossed the firewall's forward chain", "nft list counters table inet fw4"),
];

/// Shows live state until the machine is switched off.
pub fn show(switch_off: bool) -> Result<()> {
    let mut driver = Driver::new(switch_off)?;
    driver.perform(&files::load("live")?)?;
    for flow in driver.flows.values_mut() {
        flow.start_stream()?;
    }
    loop {
        for (title, command) in PICTURE {
            Report::Live(format!("== {title}")).send();
            if let Ok(Json::String(text)) = look::output(command) {
                text.lines().for_each(|line| Report::Live(line.into()).send());
            }
            Report::Live(String::new()).send();
        }
        Report::Frame.send();
        thread::sleep(PERIOD);
    }
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
