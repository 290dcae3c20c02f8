// SPDX-License-Identifier: GPL-2.0-or-later
//! Benchmark `flows`: what following the flows costs in time, memory and attention.

use super::daemon::Programs;
use super::figure::Figure;
use super::{entries, events, listing, memory, networks};
use crate::error::{Error, Result};

/// The parts; each needs an empty namespace.
pub const PARTS: [&str; 4] = ["listing", "memory", "events", "flood"];
/// Connections that end each second while the daemon is asked: on a busy router, and under attack.
const RATES: [u32; 2] = [10_000, 50_000];

/// Measures one part.
///
/// # Errors
/// Something could not be measured.
pub fn measure(part: &str, programs: &Programs) -> Result<Vec<Figure>> {
    networks::make()?;
    let mut conntrack = entries::prepare()?;
    match part {
        "listing" => listing::measure(&mut conntrack),
        "memory" => memory::measure(&mut conntrack, programs),
        "events" => events::measure(&mut conntrack, programs, RATES[0]),
        "flood" => events::measure(&mut conntrack, programs, RATES[1]),
        _ => Err(Error::new(format!("no part {part:?}"))),
    }
}
