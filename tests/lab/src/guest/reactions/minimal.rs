// SPDX-License-Identifier: GPL-2.0-or-later
//! What a person would write who wants no more than a flowtable: one table, one flowtable, one rule.

use crate::command::run;
use crate::error::{Context, Result};
use std::fs;
use std::process::Command;

/// Where it is, to be loaded by `nft -f`.
pub const FILE: &str = "/tmp/lab/minimal.nft";

/// The rule is where the daemon's is, behind the firewall's, and its devices are the same.
const RULESET: &str = "\
table inet minimal
delete table inet minimal
table inet minimal {
	flowtable ft {
		hook ingress priority 0
		devices = { lan1, wan0 }
		counter
	}

	chain forward {
		type filter hook forward priority filter + 10; policy accept;
		meta l4proto { tcp, udp } ct state established flow add @ft
	}
}
";

/// Writes the file.
///
/// # Errors
/// The file system refuses.
pub fn write() -> Result<()> {
    fs::write(FILE, RULESET).context(FILE)
}

/// Takes the table away again.
///
/// # Errors
/// It is not there.
pub fn delete() -> Result<()> {
    run(Command::new("nft").args(["delete", "table", "inet", "minimal"])).map(drop)
}
