// SPDX-License-Identifier: GPL-2.0-or-later
//! What is tried on an image: the package, the service, the firewall's switch, real traffic.

use super::console::Console;
use super::{traffic, Bench, COMMAND, PATIENCE, POLL, TRANSFER};
use crate::error::{Error, Result};
use serde_json::Value as Json;
use std::thread;
use std::time::Instant;

/// A name, and what is done and expected.
type Trial = (&'static str, fn(&mut Bench) -> Result<()>);

/// What is tried, in this order.
pub const TRIALS: [Trial; 7] = [
    ("install", install),
    ("service", service),
    ("switch", switch),
    ("traffic", traffic::traffic),
    ("restart", restart),
    ("stop", stop),
    ("remove", remove),
];

/// By the system's own tool, with what the package depends on from the image or the network.
fn install(bench: &mut Bench) -> Result<()> {
    let Bench { console, manager, .. } = bench;
    let begun = Instant::now();
    loop {
        let (code, said) = console.attempt(&manager.install(), TRANSFER)?;
        if code == 0 {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::new(format!("{}: exit {code}: {said}", manager.install())));
        }
        // What is not in the image comes from the network, which may not be up yet.
        let _ = console.attempt(&manager.update(), TRANSFER)?;
        thread::sleep(POLL);
    }
    let files = console.run(manager.files(), COMMAND)?;
    for file in ["usr/sbin/flowtabled", "etc/init.d/flowtabled", "etc/config/flowtable"] {
        if !files.contains(file) {
            return Err(Error::new(format!("{file} is not among the package's files: {files}")));
        }
    }
    console.run("/etc/init.d/flowtabled enabled", COMMAND).map(drop)
}

/// It was started by its installation, and answers on the bus.
fn service(bench: &mut Bench) -> Result<()> {
    let console = &mut bench.console;
    until(console, "/version", |seen| seen.as_str().is_some())?;
    until(console, "/effective", |seen| seen == "classic").map(drop)
}

/// The switch of the firewall's page, both ways.
fn switch(bench: &mut Bench) -> Result<()> {
    let console = &mut bench.console;
    set_offloading(console, true)?;
    until(console, "/effective", |seen| seen == "software")?;
    let tables = console.run("nft list tables", COMMAND)?;
    if !tables.contains("inet flowtabled") {
        return Err(Error::new(format!("no table of the daemon's: {tables}")));
    }
    set_offloading(console, false)?;
    until(console, "/effective", |seen| seen == "classic")?;
    set_offloading(console, true)?;
    until(console, "/effective", |seen| seen == "software").map(drop)
}

/// procd starts it again when it dies, and what is in the kernel stays meanwhile, connections too.
fn restart(bench: &mut Bench) -> Result<()> {
    traffic::stream(bench)?;
    let console = &mut bench.console;
    let before = console.run("pidof flowtabled", COMMAND)?;
    console.run("kill -9 $(pidof flowtabled)", COMMAND)?;
    console.run("nft list table inet flowtabled", COMMAND)?;
    let begun = Instant::now();
    loop {
        let (code, now) = console.attempt("pidof flowtabled", COMMAND)?;
        if code == 0 && now != before {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::new("nobody started it again"));
        }
        thread::sleep(POLL);
    }
    until(console, "/effective", |seen| seen == "software")?;
    traffic::still(bench)?;
    traffic::offloaded(bench)
}

/// Stopped, it leaves nothing in the kernel, and connections go on by the classic path.
fn stop(bench: &mut Bench) -> Result<()> {
    traffic::stream(bench)?;
    let console = &mut bench.console;
    console.run("/etc/init.d/flowtabled stop", COMMAND)?;
    let tables = console.run("nft list tables", COMMAND)?;
    if tables.contains("flowtabled") {
        return Err(Error::new(format!("a table is left: {tables}")));
    }
    traffic::still(bench)?;
    traffic::classic(bench)
}

/// Removed, it leaves no program; what the user has configured may stay.
fn remove(bench: &mut Bench) -> Result<()> {
    let Bench { console, manager, .. } = bench;
    console.run(manager.remove(), TRANSFER)?;
    console
        .run("[ ! -e /usr/sbin/flowtabled ] && [ ! -e /etc/init.d/flowtabled ]", COMMAND)
        .map(drop)
}

/// Sets the firewall's switch as its page does.
pub fn set_offloading(console: &mut Console, on: bool) -> Result<()> {
    let value = u8::from(on);
    console.run(&format!("uci set 'firewall.@defaults[0].flow_offloading={value}'"), COMMAND)?;
    console.run("uci commit firewall && reload_config", COMMAND).map(drop)
}

/// Looks at a key of `status` until it is as wanted.
pub fn until(console: &mut Console, pointer: &str, holds: impl Fn(&Json) -> bool) -> Result<Json> {
    let begun = Instant::now();
    loop {
        let (code, text) = console.attempt("ubus call flowtable status", COMMAND)?;
        let status: Json = serde_json::from_str(&text).unwrap_or_default();
        let seen = status.pointer(pointer).cloned().unwrap_or_default();
        if code == 0 && holds(&seen) {
            return Ok(seen);
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::new(format!("{pointer} of status is {seen}: {text}")));
        }
        thread::sleep(POLL);
    }
}
