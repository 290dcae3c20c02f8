// SPDX-License-Identifier: GPL-2.0-or-later
//! Benchmark `reactions`: how soon the daemon follows what happens around it, and how seldom it wakes
//! while nothing does, in a machine whose clock counts instructions: what else this machine
//! does makes the run longer and no figure greater.

use super::tree::Tree;
use super::{console, Measured};
use crate::error::Result;
use crate::host::artifacts::{self, Artifacts, Daemon};
use crate::host::kernel::{self, Kernel, Source};
use crate::host::machine::Machine;
use crate::host::{initramfs, progress, suite};

/// Boots the kernel of this name and measures; with the figures comes what could not be measured.
pub(super) fn measure(kernel: &str) -> Result<Measured> {
    let source = kernel::source(kernel)?;
    let (kernel, artifacts) = match source.architecture.foreign {
        // The daemon of its package is as it is shipped.
        Some(_) => suite::prepare(kernel)?,
        None => prepare(source)?,
    };
    let initramfs = initramfs::pack(&kernel, &artifacts, &[], "reactions")?;
    progress::step(&format!("measuring reactions on Linux {}", kernel.release), || {
        console::figures(Machine::boot_counting(&kernel, &initramfs, "reactions", "reactions")?)
    })
    .map(Measured::from)
}

/// As for scenarios, but for the daemon: built for tests it takes several times as long.
fn prepare(source: &'static Source) -> Result<(Kernel, Artifacts)> {
    suite::ensure_tools(source.architecture)?;
    let kernel = source.kernel()?;
    let artifacts::Tools { ubusd, ubus } = artifacts::tools(source.architecture)?;
    let daemon =
        progress::step("building the daemon as it is shipped", || Tree::present().daemon())?;
    let daemon = Daemon::Program(daemon.program);
    Ok((kernel, Artifacts { daemon, driver: artifacts::driver()?, ubusd, ubus }))
}
