// SPDX-License-Identifier: GPL-2.0-or-later
//! What `cargo xtask lab --openwrt` does with an image of OpenWrt, on a system of the lab's own that has
//! the same interfaces: a kernel and an archive, busybox's init, a shell on the serial console, opkg
//! or apk, uci, ubus. Images of OpenWrt are not to be had where the lab takes everything else from.

use super::Tally;
use crate::error::{Context, Result};
use crate::host::cross::{self, Prepared, Toolchain};
use crate::host::kernel::{self, Kernel};
use crate::host::openwrt::{try_all, Image};
use crate::host::package::{self, Recipe};
use crate::host::userland::Userland;
use crate::host::{artifacts, initramfs, suite};
use std::path::Path;

/// As an image for x86, with a stand-in for opkg, and once more with apk where this machine has it.
pub fn x86(tally: &mut Tally) -> Result<()> {
    let Some(system) = System::get("6.1", "x86_64", tally)? else { return Ok(()) };
    system.try_it(None, tally)?;
    match package::apk_tool() {
        Some(apk) => system.try_it(Some(&apk), tally),
        None => {
            println!("without apk: there is none of version 3 or newer on the path");
            Ok(())
        }
    }
}

/// As an image for malta, 32-bit MIPS with other cards.
pub fn malta(tally: &mut Tally) -> Result<()> {
    let Some(system) = System::get("malta", "mipsel_24kc", tally)? else { return Ok(()) };
    system.try_it(None, tally)
}

/// What a stand-in is made of.
struct System {
    kernel: Kernel,
    toolchain: Toolchain,
}

impl System {
    /// A kernel of the lab, and what makes packages for it; none, with the reason told, where what comes
    /// from elsewhere is not to be had.
    fn get(kernel: &str, target: &str, tally: &mut Tally) -> Result<Option<System>> {
        let fetch = || -> Result<(Kernel, Prepared)> {
            let source = kernel::source(kernel)?;
            suite::ensure_tools(source.architecture)?;
            let kernel = source.kernel()?;
            Userland::of(kernel.architecture)?;
            Ok((kernel, cross::prepare(cross::one(target)?)?))
        };
        match fetch() {
            Ok((kernel, prepared)) => Ok(Some(System { kernel, toolchain: prepared.toolchain()? })),
            Err(e) => {
                tally.skipped("openwrt", &e.to_string());
                Ok(None)
            }
        }
    }

    /// All trials; each counts.
    fn try_it(&self, apk: Option<&Path>, tally: &mut Tally) -> Result<()> {
        let System { kernel, toolchain } = self;
        let tools = artifacts::tools(kernel.architecture)?;
        let depends = Recipe::daemon(toolchain.target.name)?.depends;
        let archive = initramfs::pack_stand_in(kernel, &tools, (apk, &depends))?;
        let image = Image::open(&archive, Some(&kernel.image))?;
        let passed = try_all(&image, toolchain, None).context("the stand-in of OpenWrt")?;
        tally.passed(passed as u64);
        Ok(())
    }
}
