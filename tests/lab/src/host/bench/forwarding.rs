// SPDX-License-Identifier: GPL-2.0-or-later
//! Benchmark `forwarding`: instructions that a forwarded packet costs, in a machine whose clock counts
//! instructions, so that the figures are the same whatever else this machine does.

use super::{complete, paths, progress, publish};
use crate::bench::figure::Figure;
use crate::bench::forwarding::Measured;
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::host::machine::Machine;
use crate::host::{initramfs, kernel, suite};
use std::fs;
use std::time::Duration;

/// Nothing is said while the machine boots and while many flows become established, which takes a processor
/// that counts instructions long.
const SILENCE: Duration = Duration::from_secs(1200);
/// The kernel that the bounds are about.
const BOUNDED: &str = "6.1";

/// Boots the kernel of this name, measures, and draws.
pub(super) fn measure(name: &str, kernel: &str) -> Result<()> {
    if kernel::source(kernel)?.architecture.foreign.is_some() {
        return Err(Error::new(format!("{kernel}: only x86-64's instructions are counted")));
    }
    let (kernel, artifacts) = suite::prepare(kernel)?;
    let initramfs = initramfs::pack(&kernel, &artifacts, &[], name)?;
    let (measured, failed) = progress::step("counting instructions for a packet", || {
        let mut machine = Machine::boot_counting(&kernel, &initramfs, name, name)?;
        collect(&mut machine)
    })?;
    let dir = paths::target().join("bench");
    fs::create_dir_all(&dir).context(dir.display())?;
    for (file, plot) in measured.plots() {
        let file = dir.join(file);
        fs::write(&file, plot.svg()).context(file.display())?;
    }
    publish(name, &measured.figures(kernel.name != BOUNDED))?;
    complete(&failed)
}

/// What the guest has measured, and what it could not.
fn collect(machine: &mut Machine) -> Result<(Measured, Vec<String>)> {
    let (mut measured, mut failed) = (Measured::default(), Vec::new());
    while let Some(line) = machine.line(SILENCE)? {
        match Report::parse(&line) {
            Some(Report::Figure(text)) => {
                measured.add(Figure::from_line(&text).context("a figure of the guest")?);
            }
            Some(Report::Fail(name, why)) => failed.push(format!("{name}: {why}")),
            Some(Report::Done) => return Ok((measured, failed)),
            _ => {}
        }
    }
    Err(Error::new(format!("the guest gave up, see {}", machine.log.display())))
}
