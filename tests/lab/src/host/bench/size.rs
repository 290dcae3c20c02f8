// SPDX-License-Identifier: GPL-2.0-or-later
//! The benchmark `size`: the daemon's program on this machine, as it is shipped and compressed. What it
//! takes on the routers' processors is `targets`, which takes far longer.

use super::progress;
use super::tree::{Daemon, Tree};
use crate::bench::figure::Figure;
use crate::error::Result;
use crate::host::package;

/// The present tree's.
pub(super) fn measure() -> Result<Vec<Figure>> {
    let tree = Tree::present();
    of(&progress::step("building the daemon as it is shipped", || tree.daemon())?)
}

/// Of a daemon, built.
pub(super) fn of(daemon: &Daemon) -> Result<Vec<Figure>> {
    let program = package::read(&daemon.program)?;
    let compressed = package::gzip(&program)?;
    let bytes = |what: &str, bytes: &[u8]| {
        Figure::new(format!("{what} ({})", daemon.build), bytes.len() as f64, "bytes")
    };
    Ok(vec![bytes("program", &program), bytes("program, gzip -9", &compressed)])
}
