// SPDX-License-Identifier: GPL-2.0-or-later
//! What the packaged daemon's memory comes to on this processor, for `cargo xtask bench targets`.

use super::driver::uname;
use super::{plan, procd};
use crate::bench::daemon::Programs;
use crate::bench::{entries, flows};
use crate::command::run;
use crate::console::Report;
use crate::error::{Context, Result};
use flowtabled::netlink::conntrack::Conntrack;
use std::fs;
use std::process::Command;

/// Room for the greatest number of flows; by default it goes by the machine's memory.
const ROOM: &str = "131072";
/// So many places of conntrack's hash, which by default go by the memory too: the kernel refuses entries
/// made by hand where some fifty others have the same one (net/netfilter/nf_conntrack_core.c).
const PLACES: (&str, &str) = ("/proc/sys/net/netfilter/nf_conntrack_buckets", ROOM);

/// Installs the package and measures in a namespace of its own.
///
/// # Errors
/// The package does not install, or something could not be measured.
pub fn report() -> Result<()> {
    Report::Booted(uname()?).send();
    procd::install()?;
    fs::write(PLACES.0, PLACES.1).context(PLACES.0)?;
    fs::write(plan::CONNTRACK_MAX, ROOM).context(plan::CONNTRACK_MAX)?;
    plan::in_router(&["memory-inside"], None)?;
    Report::Done.send();
    Ok(())
}

/// Makes so many conntrack entries in the namespace of this process, for scenarios.
///
/// # Errors
/// Conntrack refuses.
pub fn entries(number: u32) -> Result<()> {
    let mut conntrack = Conntrack::open().context("conntrack")?;
    entries::make(&mut conntrack, 0..number)
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
