// SPDX-License-Identifier: GPL-2.0-or-later
//! The main scenarios on a 32-bit MIPS router, with the daemon installed from its package.

use super::{lab, Tally};
use crate::error::{Context, Result};
use crate::host::kernel::{self, Kernel};
use crate::host::userland::Userland;
use crate::host::{artifacts, cross, suite};

/// The kernel's name.
const KERNEL: &str = "malta";

/// Scenarios that together meet most of what the daemon does: not all of them, since on the other
/// kernels each runs anyway, and what differs here is the processor and the package.
const SCENARIOS: [&str; 26] = [
    "package",
    "plain",
    "demo",
    "toggle",
    "off",
    "bridge",
    "vlan",
    "pppoe",
    "nat",
    "tunnel",
    "zones",
    "policy",
    "device-life",
    "evict-firewall",
    "evict-roaming",
    "evict-routes",
    "explain",
    "hosts",
    "accounting",
    "subscribe",
    "handover",
    "fw4",
    "fw4-storm",
    "restart",
    "kill9",
    "bad-config",
];

/// Runs them; skipped with the reason when what they need is not to be had, for Debian's half of
/// this architecture may leave the mirrors.
pub fn check(tally: &mut Tally) -> Result<()> {
    let kernel = match fetch() {
        Ok(kernel) => kernel,
        Err(e) => {
            tally.skipped(KERNEL, &e.to_string());
            return Ok(());
        }
    };
    let artifacts = artifacts::build(kernel.architecture)?;
    lab::run_with(&artifacts, &[(KERNEL, SCENARIOS.map(String::from).to_vec())], tally);
    Ok(())
}

/// All that comes from elsewhere.
fn fetch() -> Result<Kernel> {
    let source = kernel::source(KERNEL)?;
    suite::ensure_tools(source.architecture)?;
    let kernel = source.kernel()?;
    Userland::of(kernel.architecture)?;
    let foreign = kernel.architecture.foreign.as_ref().context("not foreign")?;
    cross::prepare(cross::one(foreign.target)?)?;
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_such_scenarios() {
        let names = suite::names().unwrap();
        for name in SCENARIOS {
            assert!(names.iter().any(|own| own == name), "{name}");
        }
    }
}
