// SPDX-License-Identifier: GPL-2.0-or-later
//! A state of the repository on disk, and what is built of it: the daemon as it is shipped, and the
//! program that measures in namespaces, which has the daemon's library in it.

use super::super::artifacts::visible;
use super::{cargo, cross, paths};
use crate::error::{Context, Result};
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
        let mut command = cargo();
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.out);
        command
    }

    /// Builds the daemon as the package for this machine has it, or where the parts for that cannot be
    /// had, linked like any program here.
    pub(super) fn daemon(&self) -> Result<Daemon> {
        let args = ["build", "--release", "-p", "flowtabled", "--bin", "flowtabled"];
        match cross::one("x86_64").and_then(cross::toolchain) {
            Ok(toolchain) => {
                let mut cargo = toolchain.cargo_for_package();
                cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.out);
                visible(cargo.args(args))?;
                let dir = self.out.join(toolchain.target.triple);
                Ok(Daemon { program: dir.join("release/flowtabled"), build: "static musl" })
            }
            Err(e) => {
                eprintln!("   not the package's daemon: {e}");
                visible(self.cargo().args(args))?;
                Ok(Daemon { program: self.out.join("release/flowtabled"), build: "glibc" })
            }
        }
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
