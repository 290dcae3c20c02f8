// SPDX-License-Identifier: GPL-2.0-or-later
//! How soon the daemon follows what happens around it, and what it does while nothing happens, for
//! `cargo xtask bench reactions`.
//!
//! Each part has a router of its own, in a namespace and a process of its own, and steps of
//! scenarios bring it to where something is measured. Times are of this process's monotonic clock.

mod blocking;
mod coverage;
mod first_packets;
mod idle;
mod minimal;
mod router;
mod settings;
mod watch;
mod whole_reload;

use super::driver::uname;
use super::{evidence, generation, plan, procd};
use crate::bench::figure::Figure;
use crate::console::Report;
use crate::error::{Context, Result};
use std::time::Duration;

/// Longer than all waits of any part together.
const TIMEOUT: Duration = Duration::from_secs(1800);

type Part = (&'static str, fn() -> Result<Vec<Figure>>);

/// What is measured, in the order of the figures.
const PARTS: [Part; 5] = [
    ("settings", settings::measure),
    ("coverage", coverage::measure),
    ("blocking", blocking::measure),
    ("first-packets", first_packets::measure),
    ("idle", idle::measure),
];

/// Measures all parts one after another. What could not be measured is reported, and keeps no other
/// part from being tried.
///
/// # Errors
/// The machine cannot be used at all.
pub fn report() -> Result<()> {
    Report::Booted(uname()?).send();
    generation::probe()?;
    procd::install()?;
    for (name, _) in PARTS {
        Report::Begin(name.into()).send();
        let result = plan::in_router(&["reaction", name], Some(TIMEOUT));
        plan::clear();
        if let Err(e) = result {
            Report::Fail(name.into(), e.to_string()).send();
        }
    }
    Report::Done.send();
    Ok(())
}

/// Measures one part in the router that this process is in.
///
/// # Errors
/// There is no such part.
pub fn measure(name: &str) -> Result<()> {
    let part = PARTS.iter().find(|(known, _)| *known == name);
    let (_, measure) = part.context(format!("no part {name}"))?;
    match measure() {
        Ok(figures) => {
            figures.iter().for_each(|figure| Report::Figure(figure.to_line()).send());
        }
        Err(e) => {
            evidence::send();
            Report::Fail(name.into(), e.to_string()).send();
        }
    }
    Ok(())
}
