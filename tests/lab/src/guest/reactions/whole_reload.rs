// SPDX-License-Identifier: GPL-2.0-or-later
//! A whole reload of the real firewall4, which reads the configuration and writes its ruleset before
//! nft has anything to load. The machine has it where it was packed with `FIREWALL4_DIR`.

use crate::command::run;
use crate::error::{Context, Result};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

const COMMAND: &str = "/sbin/fw4";
/// Publishes what firewall4 asks netifd for.
const NETIFD: &str = "/lab/netifd";
const PATIENCE: Duration = Duration::from_secs(20);

/// firewall4, loaded once, and what it asks.
#[derive(Debug)]
pub struct WholeReload {
    netifd: Child,
}

impl WholeReload {
    /// Starts them, unless this machine has none.
    ///
    /// # Errors
    /// They do not start.
    pub fn start() -> Result<Option<WholeReload>> {
        if !Path::new(COMMAND).exists() {
            return Ok(None);
        }
        let netifd = Command::new(NETIFD).spawn().context(NETIFD)?;
        let reload = WholeReload { netifd };
        let begun = Instant::now();
        let asked = ["call", "network.interface", "dump"];
        while let Err(e) = run(Command::new("ubus").args(asked)) {
            if begun.elapsed() > PATIENCE {
                return Err(e);
            }
            thread::sleep(Duration::from_millis(50));
        }
        run(&mut act("start"))?;
        Ok(Some(reload))
    }

    /// The command that does it.
    pub fn command(&self) -> Command {
        act("reload")
    }
}

impl Drop for WholeReload {
    fn drop(&mut self) {
        let _ = self.netifd.kill();
        let _ = self.netifd.wait();
    }
}

/// By OpenWrt's shell, which it is written for.
fn act(word: &str) -> Command {
    let mut command = Command::new("busybox");
    command.args(["ash", COMMAND, word]);
    command
}
