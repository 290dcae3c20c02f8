// SPDX-License-Identifier: GPL-2.0-or-later
//! A state of the repository on disk, and what is built of it: the daemon as it is shipped, and the
//! program that measures in namespaces, which has the daemon's library in it.

use super::super::artifacts::visible;
use super::{cargo, paths};
use crate::error::{Context, Result};
use crate::host::cross;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Sources, and where cargo builds them.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    root: PathBuf,
    out: PathBuf,
}

/// The daemon, built.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    /// The program.
    pub(super) program: PathBuf,
    /// How it is linked.
    pub(super) build: &'static str,
}

impl Tree {
    /// The sources that this program is of.
    pub(super) fn present() -> Tree {
        Tree { root: paths::repository(), out: paths::target() }
    }

    /// Other sources, built into a folder of their own.
    pub(super) fn new(root: PathBuf, out: PathBuf) -> Tree {
        Tree { root, out }
    }

    /// cargo for these sources.
    pub(super) fn cargo(&self) -> Command {
        self.set_up(cargo())
    }

    fn set_up(&self, mut cargo: Command) -> Command {
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.out);
        cargo
    }

    /// Builds the daemon of the package for this machine, or where the parts for that cannot be had, one
    /// that is linked like any program here.
    pub(super) fn daemon(&self) -> Result<Daemon> {
        let (mut cargo, out, build) = match cross::one("x86_64").and_then(cross::toolchain) {
            Ok(toolchain) => {
                let out = self.out.join(toolchain.target.triple);
                (self.set_up(toolchain.cargo_for_package()), out, "static musl")
            }
            Err(e) => {
                eprintln!("   not the package's daemon: {e}");
                (self.cargo(), self.out.clone(), "glibc")
            }
        };
        visible(cargo.args(["build", "--release", "-p", "flowtabled", "--bin", "flowtabled"]))?;
        Ok(Daemon { program: out.join("release/flowtabled"), build })
    }

    /// Builds the program that measures.
    pub(super) fn measuring(&self) -> Result<PathBuf> {
        visible(self.cargo().args(["build", "--release", "-p", "xtask", "--bin", "lab-bench"]))?;
        Ok(self.out.join("release/lab-bench"))
    }

    /// What a benchmark of these sources has written, counted by their own program.
    pub(super) fn counted(&self, benchmark: &str) -> Result<String> {
        visible(self.cargo().args(["run", "--quiet", "-p", "xtask", "--", "bench", benchmark]))?;
        let file = self.out.join("bench").join(format!("{benchmark}.json"));
        fs::read_to_string(&file).context(file.display())
    }
}
