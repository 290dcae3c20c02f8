// SPDX-License-Identifier: GPL-2.0-or-later
//! Benchmark `forwarding`: instructions that a forwarded packet costs, in a machine whose clock counts
//! instructions, so that the figures are the same whatever else this machine does.

use super::{console, progress, write, Measured};
use crate::bench::forwarding;
use crate::error::{Error, Result};
use crate::host::machine::Machine;
use crate::host::{initramfs, kernel, suite};

/// The kernel that the bounds are about.
const BOUNDED: &str = "6.1";

/// Boots the kernel of this name, measures, and draws.
pub(super) fn measure(kernel: &str) -> Result<Measured> {
    let name = "forwarding";
    if kernel::source(kernel)?.architecture.foreign.is_some() {
        return Err(Error::new(format!("{kernel}: only x86-64's instructions are counted")));
    }
    let (kernel, artifacts) = suite::prepare(kernel)?;
    let initramfs = initramfs::pack(&kernel, &artifacts, &[], name)?;
    let (figures, failed) = progress::step("counting instructions for a packet", || {
        console::figures(Machine::boot_counting(&kernel, &initramfs, name, name)?)
    })?;
    let mut points = forwarding::Measured::default();
    figures.into_iter().for_each(|figure| points.add(figure));
    for (file, plot) in points.plots() {
        write(file, &plot.svg())?;
    }
    Ok(Measured { figures: points.figures(kernel.name != BOUNDED), failed })
}
