// SPDX-License-Identifier: GPL-2.0-or-later
//! The pages in a browser: a router with traffic in the lab, and Chromium driven by node beside it.

use super::machine::{self, Machine};
use super::{apt, initramfs, paths, progress, suite};
use crate::error::{Context, Error, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a browser needs on this machine.
const TOOLS: [apt::Tool; 2] = [("chromium", "chromium"), ("node", "nodejs")];
/// Makes pictures small.
const QUANTIZER: apt::Tool = ("pngquant", "pngquant");
/// A kernel on which every state can be seen.
const KERNEL: &str = "6.12";
/// Where the router's pages are; the next free port if somebody has it.
const PORT: u16 = 8090;

/// A router with traffic whose pages can be had, until it is dropped.
struct Router {
    _machine: Machine,
    url: String,
}

impl Router {
    fn boot(label: &str) -> Result<Router> {
        apt::ensure_tools(&TOOLS)?;
        let (kernel, artifacts) = suite::prepare(KERNEL)?;
        let initramfs = initramfs::pack(&kernel, &artifacts, &[], label)?;
        let port = machine::free_port(PORT)?;
        let title = format!("booting Linux {} with traffic", kernel.release);
        let machine = progress::step(&title, || {
            let mut machine = Machine::boot_web(&kernel, &initramfs, "browser", label, port)?;
            suite::wait_for_boot(&mut machine)?;
            Ok(machine)
        })?;
        Ok(Router { _machine: machine, url: format!("http://127.0.0.1:{port}") })
    }

    /// node with a program of `tests/luci/browser`.
    fn node(&self, args: &[&str], program: &str) -> Command {
        let mut node = Command::new("node");
        node.args(args).arg(paths::repository().join("tests/luci/browser").join(program));
        node.env("LAB_URL", &self.url).stdin(Stdio::null());
        node
    }
}

/// Runs the tests in a browser and returns what node's runner printed, in TAP, and whether it was content.
///
/// # Errors
/// The router or node does not start.
pub fn test() -> Result<(String, bool)> {
    let router = Router::boot("browser")?;
    let output = router.node(&["--test", "--test-reporter=tap"], "pages.mjs").output();
    let output = output.context("node")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((text, output.status.success()))
}

/// Makes the pictures of `docs/screenshots`.
///
/// # Errors
/// The router, the browser or the quantizer fails.
pub fn screenshots() -> Result<()> {
    apt::ensure_tools(&[QUANTIZER])?;
    let router = Router::boot("screenshots")?;
    let dir = paths::repository().join("docs/screenshots");
    std::fs::create_dir_all(&dir).context(dir.display())?;
    let status = router.node(&[], "screenshots.mjs").arg(&dir).status().context("node")?;
    if !status.success() {
        return Err(Error::new(format!("node ended with {status}")));
    }
    for entry in dir.read_dir().context(dir.display())?.flatten() {
        quantize(&entry.path())?;
    }
    println!("pictures are in {}", dir.display());
    Ok(())
}

/// Replaces a picture by one with a palette.
fn quantize(path: &Path) -> Result<()> {
    let mut command = Command::new(QUANTIZER.0);
    command.args(["--force", "--skip-if-larger", "--strip", "--speed", "1", "--ext", ".png", "32"]);
    let status = command.arg("--").arg(path).status().context(QUANTIZER.0)?;
    // 98 and 99: the picture has a palette already, or would not become smaller.
    match status.code() {
        Some(0 | 98 | 99) => Ok(()),
        _ => Err(Error::new(format!("pngquant ended with {status}"))),
    }
}
