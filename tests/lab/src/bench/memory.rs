// SPDX-License-Identifier: GPL-2.0-or-later
//! What the daemon's memory comes to at so many flows.

use super::daemon::{Daemon, Programs};
use super::entries;
use super::figure::{Bound, Figure};
use super::listing::SIZES;
use crate::error::Result;
use flowtabled::netlink::conntrack::Conntrack;

const MIB: f64 = 1024.0 * 1024.0;
/// MiB that are private and resident, at no flow and at each size.
const BOUNDS: [f64; 4] = [0.7, 0.9, 2.5, 8.0];

/// Fills the namespace, empty before, up to the greatest size; a daemon of its own at each.
///
/// # Errors
/// The daemon or conntrack failed.
pub fn measure(conntrack: &mut Conntrack, programs: &Programs) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut seen = Vec::new();
    let mut made = 0;
    for (size, bound) in [0].into_iter().chain(SIZES).zip(BOUNDS) {
        entries::make(conntrack, made..size)?;
        made = size;
        eprintln!("   {size} flows");
        let mut daemon = Daemon::start(programs)?;
        daemon.call("flows", &[])?;
        // The second list finds all flows known, and has what the first left to be reused.
        while daemon.polling("lists")? < 2 {
            daemon.call("flows", &[])?;
        }
        let memory = daemon.memory()?;
        seen.push((size, memory.private));
        let name = format!("memory at {size} flows, private ({})", programs.build);
        figures.push(
            Figure::new(name, memory.private as f64 / MIB, "MiB")
                .bound(Bound::AtMost(bound))
                .peer("without text and constants", memory.anonymous as f64 / MIB)
                .peer("most ever resident", memory.peak as f64 / MIB),
        );
    }
    if let [.., (few, small), _, (many, large)] = seen.as_slice() {
        let bytes = large.saturating_sub(*small) as f64 / f64::from(many - few);
        figures.push(Figure::new("memory of one more flow", bytes, "bytes"));
    }
    Ok(figures)
}
