// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask lab --openwrt IMAGE`: boots an image of OpenWrt that the user gives, installs the
//! package over its serial console and tries on it what the lab otherwise tries on its own router, as
//! far as a stock image goes: its kernel has network namespaces, but no veth, so there are no hosts.

mod console;
mod image;

use super::{apt, cross, package, paths, progress, suite};
use crate::error::{Context, Error, Result};
use console::Console;
pub use image::{Image, WANTED};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Emulated, a first boot that makes file systems and keys takes minutes.
const BOOT: Duration = Duration::from_secs(600);
/// A package and what it depends on, from the network.
const INSTALL: Duration = Duration::from_secs(600);
/// One command.
const COMMAND: Duration = Duration::from_secs(60);
/// For something that comes true by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const POLL: Duration = Duration::from_millis(500);
/// Where the package goes.
const PARCEL: &str = "/tmp/flowtabled.ipk";

/// A name, and what is done and expected.
type Trial = (&'static str, fn(&mut Console) -> Result<()>);

/// What is tried on the image, in this order: the name, and how.
const TRIALS: [Trial; 6] = [
    ("install", install),
    ("service", service),
    ("switch", switch),
    ("restart", restart),
    ("stop", stop),
    ("remove", remove),
];

/// Names of what is tried.
pub fn names() -> Vec<&'static str> {
    TRIALS.iter().map(|(name, _)| *name).collect()
}

/// Boots and tries all, or up to the trial of a name; prints each result and ends at the first failure.
pub fn run(image: &Path, kernel: Option<&Path>, last: Option<&str>) -> Result<()> {
    let image = Image::open(image, kernel)?;
    suite::ensure_tools(image.architecture)?;
    let toolchain = cross::toolchain(cross::one(image.packages)?)?;
    let parcel = package::make(&toolchain)?.daemon;
    try_all(&image, &parcel, last).map(drop)
}

/// Tries all on an image with a package; returns how many trials passed.
pub fn try_all(image: &Image, parcel: &Path, last: Option<&str>) -> Result<usize> {
    let end = match last {
        None => TRIALS.len(),
        Some(name) => {
            let at = TRIALS.iter().position(|(own, _)| *own == name);
            at.context(format!("no trial {name:?}, there are: {}", names().join(", ")))? + 1
        }
    };
    apt::ensure_tools(&[("gzip", "gzip")])?;
    let log: PathBuf = paths::cache("logs")?.join("openwrt.log");
    let mut console = progress::step("booting OpenWrt", || {
        let mut console = Console::start(image.qemu(), log)?;
        console.log_in(BOOT)?;
        Ok(console)
    })?;
    // The kernel's own messages would stand among what commands print.
    console.run("dmesg -n 1", COMMAND)?;
    println!("{}", console.run("uname -rm", COMMAND)?);
    progress::step("sending the package over the console", || {
        console.send(&package::read(parcel)?, PARCEL)
    })?;
    for (name, act) in TRIALS.iter().take(end) {
        let begun = Instant::now();
        let result = act(&mut console);
        let seconds = begun.elapsed().as_secs_f32();
        match result {
            Ok(()) => println!("pass   openwrt {name} ({seconds:.1} s)"),
            Err(e) => {
                println!("FAIL   openwrt {name} ({seconds:.1} s): {e}");
                println!("       the whole story: {}", console.log.display());
                return Err(Error::new(format!("{name} failed")));
            }
        }
    }
    Ok(end)
}

/// By the system's own tool, with what the package depends on from the image or the network.
fn install(console: &mut Console) -> Result<()> {
    if console.attempt("command -v opkg", COMMAND)?.0 != 0 {
        return Err(Error::new("an image without opkg; one of 24.10 has it (see docs/openwrt.md)"));
    }
    let install = format!("opkg install {PARCEL}");
    let begun = Instant::now();
    // What is not in the image comes from the network, which may not be up yet.
    while console.attempt(&install, INSTALL)?.0 != 0 && begun.elapsed() < PATIENCE {
        let _ = console.attempt("opkg update", INSTALL)?;
        thread::sleep(POLL);
    }
    let files = console.run("opkg files flowtabled", COMMAND)?;
    for file in ["/usr/sbin/flowtabled", "/etc/init.d/flowtabled", "/etc/config/flowtable"] {
        if !files.contains(file) {
            return Err(Error::new(format!("{file} is not among the package's files: {files}")));
        }
    }
    console.run("/etc/init.d/flowtabled enabled", COMMAND).map(drop)
}

/// It was started by its installation, and answers on the bus.
fn service(console: &mut Console) -> Result<()> {
    until(console, "/version", |seen| seen.as_str().is_some())?;
    until(console, "/effective", |seen| seen == "classic").map(drop)
}

/// The switch of the firewall's page, both ways.
fn switch(console: &mut Console) -> Result<()> {
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

/// procd starts it again when it dies, and what is in the kernel stays meanwhile.
fn restart(console: &mut Console) -> Result<()> {
    let before = console.run("pidof flowtabled", COMMAND)?;
    console.run("kill -9 $(pidof flowtabled)", COMMAND)?;
    console.run("nft list table inet flowtabled", COMMAND)?;
    let begun = Instant::now();
    loop {
        let (code, now) = console.attempt("pidof flowtabled", COMMAND)?;
        if code == 0 && now != before {
            return until(console, "/effective", |seen| seen == "software").map(drop);
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::new("nobody started it again"));
        }
        thread::sleep(POLL);
    }
}

/// Stopped, it leaves nothing in the kernel.
fn stop(console: &mut Console) -> Result<()> {
    console.run("/etc/init.d/flowtabled stop", COMMAND)?;
    let tables = console.run("nft list tables", COMMAND)?;
    if tables.contains("flowtabled") {
        return Err(Error::new(format!("a table is left: {tables}")));
    }
    Ok(())
}

/// Removed, it leaves no program; what the user has configured may stay.
fn remove(console: &mut Console) -> Result<()> {
    console.run("opkg remove flowtabled", INSTALL)?;
    console
        .run("[ ! -e /usr/sbin/flowtabled ] && [ ! -e /etc/init.d/flowtabled ]", COMMAND)
        .map(drop)
}

fn set_offloading(console: &mut Console, on: bool) -> Result<()> {
    let value = u8::from(on);
    console.run(&format!("uci set 'firewall.@defaults[0].flow_offloading={value}'"), COMMAND)?;
    console.run("uci commit firewall && reload_config", COMMAND).map(drop)
}

/// Looks at a key of `status` until it is as wanted.
fn until(console: &mut Console, pointer: &str, holds: impl Fn(&Json) -> bool) -> Result<Json> {
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
