// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask demo`: the main job, live or proved once.

use super::machine::{self, Machine};
use super::suite::{self, Detail, Outcome};
use super::{initramfs, progress};
use crate::console::Report;
use crate::error::{Error, Result};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// The live view comes every second or so; this is for a machine that is busy.
const SILENCE: Duration = Duration::from_secs(180);

/// Where the pages are while the router lives; the next free port if somebody has it.
const PAGE_PORT: u16 = 8080;

/// Boots, makes traffic, and proves on one boot that flows are offloaded with the switch on and
/// none with the switch off.
pub fn once(kernel: &str) -> Result<()> {
    let (kernel, artifacts) = suite::prepare(kernel)?;
    let plan = ["demo".to_string()];
    let outcomes = suite::run(&kernel, &artifacts, &plan, "demo", Detail::Expectations)?;
    match outcomes.as_slice() {
        [(_, Outcome::Passed)] => {
            println!(
                "\nProved on Linux {}, TCP and UDP, IPv4 masqueraded and IPv6:",
                kernel.release
            );
            println!("- switch on: every flow is [OFFLOAD], its packets bypass the firewall");
            println!("- switch off: no flow is, every packet crosses the firewall");
            Ok(())
        }
        _ => Err(Error::new("the demonstration failed")),
    }
}

/// Boots, makes traffic, and shows what happens until it is interrupted, also in a browser.
pub fn live(kernel: &str, switch_off: bool) -> Result<()> {
    let (kernel, artifacts) = suite::prepare(kernel)?;
    let initramfs = initramfs::pack(&kernel, &artifacts, &[], "demo")?;
    let mode = if switch_off { "live-off" } else { "live" };
    let port = machine::free_port(PAGE_PORT)?;
    let mut machine = progress::step(&format!("booting Linux {}", kernel.release), || {
        let mut machine = Machine::boot_web(&kernel, &initramfs, mode, "demo", port)?;
        suite::wait_for_boot(&mut machine)?;
        Ok(machine)
    })?;
    let terminal = std::io::stdout().is_terminal();
    let mut picture = String::new();
    let mut other = String::new();
    while let Some(line) = machine.line(SILENCE)? {
        match Report::parse(&line) {
            Some(Report::Live(text)) => {
                picture.push_str(&text);
                picture.push('\n');
            }
            Some(Report::Frame) => {
                let clear = if terminal { "\x1b[H\x1b[2J" } else { "" };
                let mut out = std::io::stdout().lock();
                let title = format!(
                    "Linux {} - pages: http://127.0.0.1:{port}/ - Ctrl-C ends it",
                    kernel.release
                );
                if writeln!(out, "{clear}{title}\n\n{picture}").and_then(|()| out.flush()).is_err()
                {
                    return Ok(());
                }
                picture.clear();
            }
            Some(_) => {}
            None => other = line,
        }
    }
    let log = machine.log.display();
    Err(Error::new(format!("the router went down ({}), see {log}", other.trim())))
}
