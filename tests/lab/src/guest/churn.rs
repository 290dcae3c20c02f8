// SPDX-License-Identifier: GPL-2.0-or-later
//! Many short connections one after the other, at a steady rate, as a household makes them.

use super::peer::{Wire, MESSAGE_LEN};
use crate::error::{Context, Error, Result};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Connections at once: one takes some milliseconds, longer when the guest is busy.
const WORKERS: u32 = 8;
/// Round trips of each; the third packet of a connection is the first that can be offloaded.
const ROUNDS: u32 = 6;

/// Makes `count` connections, `rate` a second, and prints `made COUNT` when every reply of each was right.
///
/// # Errors
/// A connection was refused, broke or brought back something else; the others are made all the same.
pub fn run(protocol: &str, to: SocketAddr, count: u32, rate: u32) -> Result<()> {
    let (next, begun) = (AtomicU32::new(0), Instant::now());
    let worker = || -> Result<()> {
        let mut result = Ok(());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return result;
            }
            let due = Duration::from_secs(1).saturating_mul(number) / rate.max(1);
            thread::sleep(due.saturating_sub(begun.elapsed()));
            let made = connection(protocol, to).context(format!("connection {number}"));
            result = result.and(made);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| Error::new("a worker of the churn panicked"))?
        })
    })?;
    println!("made {count}");
    Ok(())
}

fn connection(protocol: &str, to: SocketAddr) -> Result<()> {
    let mut wire = Wire::open(protocol, to)?;
    (0..ROUNDS).try_for_each(|number| wire.round_trip(number, MESSAGE_LEN))?;
    match wire {
        Wire::Tcp(_) => wire.close(),
        Wire::Udp(_) => Ok(()),
    }
}
