// SPDX-License-Identifier: GPL-2.0-or-later
//! A state of the repository on disk, and what is built of it: the daemon as it is shipped, and the
//! program that measures in namespaces, which has the daemon's library in it.

use super::super::artifacts::visible;
use super::{cargo, paths};
use crate::command::run;
use crate::error::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What packages on a router come nearest to: nothing is shared with other programs.
const MUSL: &str = "x86_64-unknown-linux-musl";

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

    /// Builds the daemon with the release profile, for static musl where that can be had.
    pub(super) fn daemon(&self) -> Result<Daemon> {
        let (target, build): (&[&str], _) = match has_musl() {
            true => (&["--target", MUSL], "static musl"),
            false => (&[], "glibc"),
        };
        let args = ["build", "--release", "-p", "flowtabled", "--bin", "flowtabled"];
        visible(self.cargo().args(args).args(target))?;
        let dir = target.last().map_or_else(|| self.out.clone(), |target| self.out.join(target));
        Ok(Daemon { program: dir.join("release/flowtabled"), build })
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

/// Gets the target when it is missing and rustup can.
fn has_musl() -> bool {
    let listed = run(Command::new("rustc").args(["--print", "target-libdir", "--target", MUSL]));
    let there = listed.is_ok_and(|dir| PathBuf::from(dir.trim()).is_dir());
    there || run(Command::new("rustup").args(["target", "add", MUSL])).is_ok()
}
