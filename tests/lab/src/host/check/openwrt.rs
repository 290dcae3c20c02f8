// SPDX-License-Identifier: GPL-2.0-or-later
//! What `cargo xtask lab --openwrt` does with an image of OpenWrt, on a system of the lab's own that has
//! the same interfaces: a kernel and an archive, busybox's init, a shell on the serial console, opkg,
//! uci, ubus. Images of OpenWrt are not to be had where the lab takes everything else from.

use super::Tally;
use crate::error::{Context, Result};
use crate::host::openwrt::{names, try_all, Image};
use crate::host::{artifacts, cross, initramfs, kernel, package, suite};

/// The kernel of the stand-in.
const KERNEL: &str = "6.1";
/// What packages for it are called.
const TARGET: &str = "x86_64";

/// Each trial counts.
pub fn check(tally: &mut Tally) -> Result<()> {
    let prepared = match cross::prepare(cross::one(TARGET)?) {
        Ok(prepared) => prepared,
        Err(e) => {
            tally.skipped("openwrt", &e.to_string());
            return Ok(());
        }
    };
    let source = kernel::source(KERNEL)?;
    suite::ensure_tools(source.architecture)?;
    let kernel = source.kernel()?;
    let archive = initramfs::pack_stand_in(&kernel, &artifacts::tools()?)?;
    let parcel = package::make(&prepared.toolchain()?)?.daemon;
    let image = Image::open(&archive, Some(&kernel.image))?;
    let passed = try_all(&image, &parcel, None).context("the stand-in of OpenWrt")?;
    tally.passed(passed as u64);
    if passed != names().len() {
        tally.failed("openwrt");
    }
    Ok(())
}
