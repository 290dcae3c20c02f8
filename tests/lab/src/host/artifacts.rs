// SPDX-License-Identifier: GPL-2.0-or-later
//! The programs that go into the guest: the daemon and the guest's driver from this repository,
//! a bus broker and its client from crates.io.

use super::{paths, progress};
use crate::error::{Context, Error, Result};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The programs, built.
#[derive(Debug)]
pub struct Artifacts {
    /// The daemon under test, which is also the `flowtable` command.
    pub daemon: PathBuf,
    /// The guest's driver.
    pub driver: PathBuf,
    /// The bus broker.
    pub ubusd: PathBuf,
    /// The bus client, `ubus` in the guest.
    pub ubus: PathBuf,
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
pub fn tools() -> Result<Tools> {
    let tools = paths::cache("tools")?;
    let bin = tools.join("bin");
    let (ubusd, ubus) = (bin.join("ubusd"), bin.join("ubus-client"));
    if !ubusd.exists() || !ubus.exists() {
        progress::step("building ubusd and ubus-client from crates.io", || {
            let mut command = cargo();
            command.args(["install", "ubusd", "ubus-client", "--locked", "--quiet", "--root"]);
            visible(command.arg(&tools))
        })?;
    }
    Ok(Tools { ubusd, ubus })
}

/// Builds or fetches what is missing or out of date.
pub fn build() -> Result<Artifacts> {
    let Tools { ubusd, ubus } = tools()?;
    progress::step("building the daemon and the guest's driver", || {
        visible(cargo().args(["build", "-p", "flowtabled", "--bin", "flowtabled"]))?;
        visible(cargo().args(["build", "-p", "xtask", "--bin", "lab-guest"]))
    })?;
    let out = paths::target().join("debug");
    Ok(Artifacts { daemon: out.join("flowtabled"), driver: out.join("lab-guest"), ubusd, ubus })
}
