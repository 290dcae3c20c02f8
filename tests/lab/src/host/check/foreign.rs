// SPDX-License-Identifier: GPL-2.0-or-later
//! The tests on the routers' architectures, by an emulator of single programs: 32 bits, the other
//! byte order, and no floating-point unit, none of which this machine has.
//!
//! The emulator passes system calls on, but knows no NETLINK_NETFILTER, and a test that starts
//! itself once more would have to be started by the emulator again. So what needs the kernel's
//! objects, or namespaces, is left to the lab (`--kernel malta`).

use super::{cargo_test, Tally};
use crate::error::Result;
use crate::host::cross::{self, Target, Toolchain};

/// Cases of a property test in CI, where emulation makes them dear; the others run natively.
const CASES: (&str, &str) = ("PROPTEST_CASES", "8");

/// What CI leaves out on top: seconds natively, minutes here.
const TOO_LONG: &str = "the_greatest_transaction_fits_a_datagram";

/// The test of the manual that starts the daemon, which only an emulator could.
const STARTS_THE_DAEMON: &str = "the_man_page_has_every_option";

/// The integration tests of the daemon that are about bytes only.
const BYTES: [&str; 4] = ["captured", "conntrack_crates", "netlink_crates", "manual"];

/// The integration tests of the drivers. Their conformance suite makes some hundred million
/// transfers, which take a quarter of an hour here.
const CHIPS: [&str; 3] = ["mt7530", "mt7621_ppe", "qca8337"];

/// In CI: the library of the daemon, on the smallest router.
pub fn quick(tally: &mut Tally) -> Result<()> {
    on("mipsel_24kc", tally, |toolchain, tally| {
        let mut cargo = toolchain.cargo();
        cargo.env(CASES.0, CASES.1);
        let args = ["-p", "flowtabled", "--lib", "--", "--skip", TOO_LONG];
        cargo_test::run_by(cargo, &args, tally)
    })
}

/// All that can be run, on 32-bit MIPS.
pub fn mipsel(tally: &mut Tally) -> Result<()> {
    on("mipsel_24kc", tally, all)
}

/// The same with the most significant byte first.
pub fn mips(tally: &mut Tally) -> Result<()> {
    on("mips_24kc", tally, all)
}

/// The same on 64-bit ARM.
pub fn aarch64(tally: &mut Tally) -> Result<()> {
    on("aarch64_cortex-a53", tally, all)
}

fn all(toolchain: &Toolchain, tally: &mut Tally) -> Result<()> {
    let mut args = vec!["-p", "flowtabled", "--lib"];
    for name in BYTES {
        args.extend(["--test", name]);
    }
    args.extend(["--", "--skip", STARTS_THE_DAEMON]);
    cargo_test::run_by(toolchain.cargo(), &args, tally)?;
    let mut switches = vec!["-p", "hw-drivers", "-p", "hw-simulators", "--lib"];
    for name in CHIPS {
        switches.extend(["--test", name]);
    }
    cargo_test::run_by(toolchain.cargo(), &switches, tally)
}

/// Does something with a toolchain, or says why it cannot be had.
fn on(
    name: &str,
    tally: &mut Tally,
    act: impl FnOnce(&Toolchain, &mut Tally) -> Result<()>,
) -> Result<()> {
    match toolchain(cross::one(name)?, tally)? {
        Some(toolchain) => {
            toolchain.ensure_emulator()?;
            act(&toolchain, tally)
        }
        None => Ok(()),
    }
}

/// The toolchain of a target. What it is made of may not be had any more, which is no fault of this
/// repository: then the test counts as skipped. That it cannot be built is one.
pub fn toolchain(target: &'static Target, tally: &mut Tally) -> Result<Option<Toolchain>> {
    match cross::prepare(target) {
        Ok(prepared) => prepared.toolchain().map(Some),
        Err(e) => {
            tally.skipped(&format!("building for {}", target.name), &e.to_string());
            Ok(None)
        }
    }
}
