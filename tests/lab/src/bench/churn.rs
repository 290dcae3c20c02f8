// SPDX-License-Identifier: GPL-2.0-or-later
//! Connections that begin and end at a pace.

use super::entries;
use super::talkers::Talkers;
use crate::error::{Context, Result};
use flowtabled::netlink::conntrack::{Conntrack, NewEntry};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Entries made together, and then ended together.
const BATCH: u32 = 50;
/// Numbers of entries that come and go; those below are the flows that stay.
const FIRST: u32 = 1_000_000;
/// So many numbers are used before the first one is again.
const NUMBERS: u32 = 1_000_000;
/// Shorter than what the daemon's socket holds at any pace.
const PAUSE: Duration = Duration::from_millis(1);

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Churned {
    /// Connections that have ended.
    pub ends: u64,
    /// In this time.
    pub time: Duration,
}

/// Makes and ends `rate` connections a second, or as many as the machine can, until told to stop.
/// With each batch a talker sends a datagram.
///
/// # Errors
/// Conntrack refuses, or a talker cannot send.
pub fn churn(rate: u32, talkers: &Talkers, stop: &AtomicBool) -> Result<Churned> {
    let mut conntrack = Conntrack::open().context("conntrack")?;
    let begun = Instant::now();
    let mut ends: u64 = 0;
    let mut turns = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        if due < ends + u64::from(BATCH) {
            thread::sleep(PAUSE);
            continue;
        }
        let first = FIRST + (ends % u64::from(NUMBERS)) as u32;
        let batch: Vec<NewEntry> = (first..first + BATCH).filter_map(entries::entry).collect();
        conntrack.create_all(&batch).context("making connections")?;
        conntrack.end_all(&batch).context("ending connections")?;
        talkers.say(turns)?;
        ends += u64::from(BATCH);
        turns += 1;
    }
    Ok(Churned { ends, time: begun.elapsed() })
}

#[cfg(test)]
mod tests {
    use super::{entries, FIRST, NUMBERS};

    #[test]
    fn what_comes_and_goes_is_none_of_what_stays() {
        let standing: Vec<_> = (0..16_384).filter_map(entries::entry).collect();
        let port = |number| entries::entry(number).map(|entry| entry.orig.source_port);
        let ports = (FIRST..FIRST + NUMBERS).step_by(1000).filter_map(port);
        let (least, most) = (ports.clone().min().unwrap(), ports.max().unwrap());
        assert!(standing.iter().all(|entry| !(least..=most).contains(&entry.orig.source_port)));
    }
}
