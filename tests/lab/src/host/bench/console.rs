// SPDX-License-Identifier: GPL-2.0-or-later
//! The figures that a guest sends over its console.

use crate::bench::figure::Figure;
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::host::machine::Machine;
use crate::host::suite;
use std::time::Duration;

/// What the guest measures takes the emulated processor long, and meanwhile it says nothing.
const SILENCE: Duration = Duration::from_secs(600);

/// Waits for the boot and takes figures until the guest is done; with them comes what could not be
/// measured.
///
/// # Errors
/// The guest does not come up, sends what is no figure, or ends early.
pub(super) fn figures(mut machine: Machine) -> Result<(Vec<Figure>, Vec<String>)> {
    suite::wait_for_boot(&mut machine)?;
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    while let Some(line) = machine.line(SILENCE)? {
        match Report::parse(&line) {
            Some(Report::Figure(text)) => {
                figures.push(Figure::from_line(&text).context("a figure of the guest")?);
            }
            Some(Report::Fail(part, why)) => failed.push(format!("{part}: {why}")),
            Some(Report::Done) => return Ok((figures, failed)),
            _ => {}
        }
    }
    Err(Error::new(format!("the guest gave up, see {}", machine.log.display())))
}
