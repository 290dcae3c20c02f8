// SPDX-License-Identifier: GPL-2.0-or-later
//! What the packaged daemon's memory comes to on this processor, for `cargo xtask bench targets`.

use super::driver::uname;
use super::{plan, procd};
use crate::bench::daemon::Programs;
use crate::bench::flows;
use crate::command::run;
use crate::console::Report;
use crate::error::{Context, Result};
use std::fs;
use std::process::Command;

/// Room for the greatest number of flows; by default it goes by the machine's memory. It is one for all
/// namespaces, and only the first can set it.
const CONNTRACK_MAX: &str = "131072";

/// Installs the package and measures in a namespace of its own.
///
/// # Errors
/// The package does not install, or something could not be measured.
pub fn report() -> Result<()> {
    Report::Booted(uname()?).send();
    procd::install()?;
    let path = "/proc/sys/net/netfilter/nf_conntrack_max";
    fs::write(path, CONNTRACK_MAX).context(path)?;
    plan::in_router(&["memory-inside"], None)?;
    Report::Done.send();
    Ok(())
}

/// Measures in the namespace of this process.
///
/// # Errors
/// Something could not be measured.
pub fn measure() -> Result<()> {
    let machine = run(Command::new("uname").arg("-m"))?;
    let programs = Programs {
        flowtabled: "/usr/sbin/flowtabled".into(),
        ubusd: "/usr/sbin/ubusd".into(),
        build: machine.trim().to_string(),
    };
    for figure in flows::measure("memory", &programs)? {
        Report::Figure(figure.to_line()).send();
    }
    Ok(())
}
