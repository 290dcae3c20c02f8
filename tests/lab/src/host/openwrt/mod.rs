// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask lab --openwrt IMAGE`: boots an image of OpenWrt that the user gives, installs the
//! package over its serial console and tries on it what the lab otherwise tries on its own router.
//!
//! The image is the router, and a second machine beside it (`peers`) has the hosts on its LAN and on a
//! second WAN, since a stock image has network namespaces, but no veth to make hosts of. `trials` is
//! what is tried, `traffic` the part of it with packets, `manager` how packages come and go.

mod console;
mod image;
mod manager;
mod peers;
mod traffic;
mod trials;
mod wires;

use super::cross::{self, Toolchain};
use super::{apt, paths, progress, suite};
use crate::error::{Context, Error, Result};
use console::Console;
pub use image::{Image, WANTED};
use manager::Manager;
use peers::Peers;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use traffic::Connection;
use trials::TRIALS;
use wires::Wires;

/// Emulated, a first boot that makes file systems and keys takes minutes.
const BOOT: Duration = Duration::from_secs(600);
/// A package and what it depends on, from the network.
const TRANSFER: Duration = Duration::from_secs(600);
/// One command.
const COMMAND: Duration = Duration::from_secs(60);
/// For something that comes true by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const POLL: Duration = Duration::from_millis(500);

/// The cable of the LAN, as QEMU's options call it.
const LAN: &str = "lan";
/// The cable of the second WAN, beside the one that the image has its packages from.
const LABWAN: &str = "labwan";

/// A system under test with what stands round it.
struct Bench {
    console: Console,
    manager: Manager,
    peers: Peers,
    /// Those that the trial `traffic` has opened.
    connections: Vec<Connection>,
}

/// Names of what is tried.
fn names() -> Vec<&'static str> {
    TRIALS.iter().map(|(name, _)| *name).collect()
}

/// Boots and tries all, or up to the trial of a name; prints each result and ends at the first failure.
pub fn run(image: &Path, kernel: Option<&Path>, last: Option<&str>) -> Result<()> {
    let image = Image::open(image, kernel)?;
    suite::ensure_tools(image.architecture)?;
    let toolchain = cross::toolchain(cross::one(image.packages)?)?;
    try_all(&image, &toolchain, last).map(drop)
}

/// Tries all on an image with the package that a toolchain makes; returns how many trials passed.
pub fn try_all(image: &Image, toolchain: &Toolchain, last: Option<&str>) -> Result<usize> {
    let end = match last {
        None => TRIALS.len(),
        Some(name) => {
            let at = TRIALS.iter().position(|(own, _)| *own == name);
            at.context(format!("no trial {name:?}, there are: {}", names().join(", ")))? + 1
        }
    };
    apt::ensure_tools(&[("gzip", "gzip")])?;
    let wires = Wires::new()?;
    let mut bench = boot(image, &wires)?;
    println!("{}", bench.console.run("uname -rm", COMMAND)?);
    progress::step("making the package and sending it over the console", || {
        bench.manager.send(&mut bench.console, toolchain)
    })?;
    for (name, act) in TRIALS.iter().take(end) {
        let begun = Instant::now();
        let result = act(&mut bench);
        let seconds = begun.elapsed().as_secs_f32();
        match result {
            Ok(()) => println!("pass   openwrt {name} ({seconds:.1} s)"),
            Err(e) => {
                println!("FAIL   openwrt {name} ({seconds:.1} s): {e}");
                println!("       the whole story: {}", bench.console.log.display());
                return Err(Error::new(format!("{name} failed")));
            }
        }
    }
    Ok(end)
}

/// Both machines, up.
fn boot(image: &Image, wires: &Wires) -> Result<Bench> {
    let log: PathBuf = paths::cache("logs")?.join(format!("openwrt-{}.log", image.packages));
    let mut peers = Peers::start(wires)?;
    progress::step("booting OpenWrt, and the hosts beside it", || {
        let mut console = Console::start(image.qemu(wires)?, log)?;
        console.log_in(BOOT)?;
        // The kernel's own messages would stand among what commands print.
        console.run("dmesg -n 1", COMMAND)?;
        peers.wait()?;
        let manager = Manager::of(&mut console)?;
        Ok(Bench { console, manager, peers, connections: Vec::new() })
    })
}
