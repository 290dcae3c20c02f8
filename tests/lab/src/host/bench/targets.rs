// SPDX-License-Identifier: GPL-2.0-or-later
//! Benchmark `targets`: what the daemon's package takes on the routers' processors, in flash and in
//! memory. The memory is measured in a machine that has the processor, under the daemon that the
//! package installs; where no such machine can be had, only the package is.

use crate::bench::figure::Figure;
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::host::machine::Machine;
use crate::host::{cross, initramfs, kernel, package, progress, suite};
use std::time::Duration;

/// Kernels of the lab for other processors. None is there for 32-bit MIPS with the high byte first, where memory
/// is as with the low byte first.
const KERNELS: [&str; 3] = ["malta", "arm64", "armhf"];
/// Making the greatest number of flows takes the emulated processor long, and says nothing meanwhile.
const SILENCE: Duration = Duration::from_secs(600);

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
        let mut machine = Machine::boot(&kernel, &initramfs, "memory", "memory")?;
        suite::wait_for_boot(&mut machine)?;
        let mut figures = Vec::new();
        while let Some(line) = machine.line(SILENCE)? {
            match Report::parse(&line) {
                Some(Report::Figure(text)) => {
                    let mut figure = Figure::from_line(&text).context("a figure of the guest")?;
                    figure.figure = format!("{}, {}", foreign.target, figure.figure);
                    figures.push(figure);
                }
                Some(Report::Done) => return Ok(figures),
                _ => {}
            }
        }
        Err(Error::new(format!("the guest gave up, see {}", machine.log.display())))
    })
}
