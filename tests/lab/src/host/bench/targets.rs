// SPDX-License-Identifier: GPL-2.0-or-later
//! Benchmark `targets`: what the daemon's package takes on the routers' processors, in flash and in
//! memory. The memory is measured in a machine that has the processor, under the daemon that the
//! package installs; where no such machine can be had, only the package is.

use super::console;
use crate::bench::figure::Figure;
use crate::error::{Context, Result};
use crate::host::machine::Machine;
use crate::host::{cross, initramfs, kernel, package, progress, suite};

/// Kernels of the lab for other processors. None is there for 32-bit MIPS with the high byte first, where memory
/// is as with the low byte first.
const KERNELS: [&str; 3] = ["malta", "arm64", "armhf"];

/// Makes the packages, boots the machines and measures; with the figures comes what could not be had.
pub fn measure() -> (Vec<Figure>, Vec<String>) {
    let mut figures = Vec::new();
    let mut failed = Vec::new();
    for target in &cross::TARGETS {
        match cross::toolchain(target).and_then(|toolchain| package::make(&toolchain)) {
            Ok(packages) => figures.extend(packages.figures()),
            Err(e) => failed.push(format!("{}: {e}", target.name)),
        }
    }
    for name in KERNELS {
        match memory(name) {
            Ok(found) => figures.extend(found),
            Err(e) => failed.push(format!("memory on {name}: {e}")),
        }
    }
    (figures, failed)
}

fn memory(name: &str) -> Result<Vec<Figure>> {
    let (kernel, artifacts) = suite::prepare(name)?;
    let source = kernel::source(name)?;
    let foreign = source.architecture.foreign.as_ref().context("a processor of this machine's")?;
    let initramfs = initramfs::pack(&kernel, &artifacts, &[], "memory")?;
    progress::step(&format!("measuring memory on {name}"), || {
        let machine = Machine::boot(&kernel, &initramfs, "memory", "memory")?;
        let (mut figures, _) = console::figures(machine)?;
        for figure in &mut figures {
            figure.figure = format!("{}, {}", foreign.target, figure.figure);
        }
        Ok(figures)
    })
}
