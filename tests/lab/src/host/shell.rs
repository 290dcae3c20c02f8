// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask lab shell`: a login on the router's serial console.

use super::{apt, artifacts, initramfs, kernel, machine};
use crate::error::{Context, Error, Result};

/// Boots and hands the terminal over until the machine is off.
pub fn run(kernel: &str, switch_off: bool) -> Result<()> {
    let kernel = kernel::source(kernel)?.kernel()?;
    let artifacts = artifacts::build()?;
    apt::ensure_tools(&machine::TOOLS)?;
    let initramfs = initramfs::pack(&kernel, &artifacts, &[], "shell")?;
    eprintln!("-> booting Linux {} (Ctrl-A X switches it off)", kernel.release);
    let mode = if switch_off { "shell-off" } else { "shell" };
    let status = machine::qemu(&kernel, &initramfs, mode)
        .args(["-serial", "mon:stdio"])
        .status()
        .context("starting QEMU")?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("QEMU ended with {status}")))
}
