// SPDX-License-Identifier: GPL-2.0-or-later
//! The programs that go into the guest: the daemon and the guest's driver from this repository,
//! a bus broker and its client from crates.io.

use super::architecture::Architecture;
use super::cross::{self, Toolchain};
use super::{package, paths, progress};
use crate::error::{Context, Error, Result};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The programs, built.
#[derive(Debug)]
pub struct Artifacts {
    /// The daemon under test.
    pub daemon: Daemon,
    /// The guest's driver.
    pub driver: PathBuf,
    /// The bus broker.
    pub ubusd: PathBuf,
    /// The bus client, `ubus` in the guest.
    pub ubus: PathBuf,
}

/// The daemon under test, which is also the `flowtable` command.
#[derive(Debug)]
pub enum Daemon {
    /// The program as cargo builds it.
    Program(PathBuf),
    /// The package for a router, which the guest installs.
    Package(PathBuf),
}

/// The cargo that started us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::repository());
    command
}

/// Runs cargo with its own output on the screen, which is the best progress there is.
pub fn visible(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("cargo")?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("cargo ended with {status}")))
}

/// The programs from crates.io.
#[derive(Debug)]
pub struct Tools {
    /// The bus broker.
    pub ubusd: PathBuf,
    /// The bus client.
    pub ubus: PathBuf,
}

/// Fetches and builds the programs from crates.io when they are missing.
pub fn tools(architecture: &Architecture) -> Result<Tools> {
    let name = match &architecture.foreign {
        None => "tools".to_string(),
        Some(_) => format!("tools-{}", architecture.debian),
    };
    let tools = paths::cache(&name)?;
    let bin = tools.join("bin");
    let (ubusd, ubus) = (bin.join("ubusd"), bin.join("ubus-client"));
    if !ubusd.exists() || !ubus.exists() {
        let mut command = cargo();
        if let Some(toolchain) = toolchain(architecture)? {
            command = toolchain.cargo();
            // Without it rustix, which they use, reads musl's time as if it had 64 bits on MIPS32,
            // where the libc crate asks for one of 32: every deadline is over at once.
            command.env("RUST_LIBC_UNSTABLE_MUSL_V1_2_3", "1");
        }
        progress::step("building ubusd and ubus-client from crates.io", || {
            command.args(["install", "ubusd", "ubus-client", "--locked", "--quiet", "--root"]);
            visible(command.arg(&tools))
        })?;
    }
    Ok(Tools { ubusd, ubus })
}

/// What builds for an architecture; nothing for this machine's own.
fn toolchain(architecture: &Architecture) -> Result<Option<Toolchain>> {
    let Some(foreign) = &architecture.foreign else { return Ok(None) };
    cross::toolchain(cross::one(foreign.target)?).map(Some)
}

/// The guest's driver for this machine's own architecture.
pub fn driver() -> Result<PathBuf> {
    progress::step("building the guest's driver", || {
        visible(cargo().args(["build", "-p", "xtask", "--bin", "lab-guest"]))
    })?;
    Ok(paths::target().join("debug/lab-guest"))
}

/// Builds or fetches what is missing or out of date.
pub fn build(architecture: &Architecture) -> Result<Artifacts> {
    let Tools { ubusd, ubus } = tools(architecture)?;
    let program = |cargo: &mut Command, package: &str, name: &str| {
        visible(cargo.args(["build", "-p", package, "--bin", name]))
    };
    let Some(toolchain) = toolchain(architecture)? else {
        progress::step("building the daemon and the guest's driver", || {
            program(&mut cargo(), "flowtabled", "flowtabled")?;
            program(&mut cargo(), "xtask", "lab-guest")
        })?;
        let out = paths::target().join("debug");
        let daemon = Daemon::Program(out.join("flowtabled"));
        return Ok(Artifacts { daemon, driver: out.join("lab-guest"), ubusd, ubus });
    };
    let package = package::make(&toolchain)?.daemon;
    progress::step("building the guest's driver", || {
        let mut cargo = toolchain.cargo();
        // Memory is short there, and the archive and what is unpacked of it are both in it at once.
        cargo.args(["--config", "profile.dev.strip=true"]);
        program(&mut cargo, "xtask", "lab-guest")
    })?;
    let driver = toolchain.output("debug").join("lab-guest");
    Ok(Artifacts { daemon: Daemon::Package(package), driver, ubusd, ubus })
}
