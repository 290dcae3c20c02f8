// SPDX-License-Identifier: GPL-2.0-or-later
//! The benchmark `flows`: its parts, each by the measuring program in a network namespace of its own.

use super::tree::{Daemon, Tree};
use super::{apt, artifacts, parse, progress, Measured};
use crate::bench::figure::Figure;
use crate::bench::flows::PARTS;
use crate::error::{Context, Error, Result};
use crate::host::architecture::AMD64;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const TOOLS: [apt::Tool; 4] = [
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("unshare", "util-linux"),
];

/// What is measured, built.
#[derive(Debug)]
pub(super) struct Built {
    daemon: Daemon,
    measuring: PathBuf,
    ubusd: PathBuf,
}

impl Built {
    /// The programs of the present tree.
    pub(super) fn present() -> Result<Built> {
        apt::ensure_tools(&TOOLS)?;
        let ubusd = artifacts::tools(&AMD64)?.ubusd;
        let tree = Tree::present();
        progress::step("building the daemon as it is shipped", || {
            Ok(Built { daemon: tree.daemon()?, measuring: tree.measuring()?, ubusd })
        })
    }

    /// Those of another tree, with the present one's broker. The daemon's library is part of the
    /// measuring program: where it is what is measured, the other tree's program measures.
    pub(super) fn other(&self, tree: &Tree) -> Result<Built> {
        let (daemon, measuring) = (tree.daemon()?, tree.measuring()?);
        Ok(Built { daemon, measuring, ubusd: self.ubusd.clone() })
    }

    /// One part, measured by the program that has to.
    pub(super) fn part(&self, part: &str, present: &Built) -> Result<Vec<Figure>> {
        let measuring = match part {
            "listing" => &self.measuring,
            _ => &present.measuring,
        };
        let mut command = Command::new("unshare");
        // Root needs no user namespace, which containers and chroots often deny.
        if !apt::is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--net", "--"]).arg(measuring).arg(part);
        command.args([&self.daemon.program, &self.ubusd]).arg(self.daemon.build);
        let output =
            command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context(part)?;
        match output.status.success() {
            true => parse(&output.stdout),
            false => Err(Error::new(format!("{part}: {}", output.status))),
        }
    }
}

/// All parts, of the present tree.
pub(super) fn measure() -> Measured {
    let built = match Built::present() {
        Ok(built) => built,
        Err(e) => return e.into(),
    };
    let mut measured = Measured::default();
    for part in PARTS {
        match progress::step(&format!("measuring flows, {part}"), || built.part(part, &built)) {
            Ok(found) => measured.figures.extend(found),
            Err(e) => measured.failed.push(e.to_string()),
        }
    }
    measured
}
