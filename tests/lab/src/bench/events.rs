// SPDX-License-Identifier: GPL-2.0-or-later
//! How soon the daemon answers while connections end by the thousand.

use super::daemon::{Daemon, Programs};
use super::entries;
use super::figure::{milliseconds, quantile, Bound, Figure};
use crate::error::{Context, Error, Result};
use flowtabled::netlink::conntrack::{Conntrack, NewEntry};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Flows that are there all the time.
const FLOWS: u32 = 16_384;
/// Connections that begin and end each second.
const RATE: u32 = 10_000;
/// How long each part lasts.
const TIME: Duration = Duration::from_secs(10);
/// Between two calls of the client.
const PAUSE: Duration = Duration::from_millis(5);
/// Entries made together, and then ended one by one.
const BATCH: u32 = 50;
/// Numbers of entries that come and go; those below are the flows that stay.
const FIRST: u32 = 1_000_000;
/// Methods with their arguments; `explain` is about the first client's flows.
const METHODS: [(&str, &[(&str, &str)]); 5] = [
    ("status", &[]),
    ("flows", &[]),
    ("hosts", &[]),
    ("devices", &[]),
    ("explain", &[("source", "192.168.1.2")]),
];

/// What a client saw during one part.
struct Seen {
    /// Milliseconds of each call, by method.
    calls: [Vec<f64>; METHODS.len()],
    events_per_s: f64,
    /// The daemon on a processor, and kept from one by other programs.
    cpu_percent: [f64; 2],
    overruns: u64,
}

/// Needs an empty namespace.
///
/// # Errors
/// The daemon, conntrack or the client failed.
pub fn measure(conntrack: &mut Conntrack, programs: &Programs) -> Result<Vec<Figure>> {
    let mut daemon = Daemon::start(programs)?;
    eprintln!("   one flow");
    entries::make(conntrack, 0..1)?;
    let idle = watch(&mut daemon)?;
    entries::make(conntrack, 1..FLOWS)?;
    eprintln!("   {FLOWS} flows");
    let quiet = watch(&mut daemon)?;
    eprintln!("   {FLOWS} flows, {RATE} ends a second");
    let stop = AtomicBool::new(false);
    let busy = thread::scope(|scope| {
        let churn = scope.spawn(|| churn(&stop));
        let seen = watch(&mut daemon);
        stop.store(true, Ordering::Relaxed);
        let churned = churn.join().map_err(|_| Error::new("making connections panicked"))?;
        churned.and(seen)
    })?;
    Ok(figures(&idle, &quiet, &busy))
}

fn figures(idle: &Seen, quiet: &Seen, busy: &Seen) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (place, (method, _)) in METHODS.into_iter().enumerate() {
        let of = |seen: &Seen, share| {
            let calls = seen.calls.get(place).map(Vec::as_slice).unwrap_or_default();
            quantile(calls, share)
        };
        for (share, name) in [(0.5, "median"), (0.99, "99th percentile"), (1.0, "maximum")] {
            let figure = Figure::new(
                format!("{method} with {FLOWS} flows and {RATE} ends/s, {name}"),
                of(busy, share),
                "ms",
            );
            let figure = figure.peer("no ends", of(quiet, share)).peer("one flow", of(idle, share));
            figures.push(match share {
                share if share > 0.5 => figure.bound(Bound::AtMost(10.0)),
                _ => figure,
            });
        }
    }
    figures.push(Figure::new("ends read", busy.events_per_s, "per s"));
    figures.push(Figure::new("ends lost", busy.overruns as f64, "times"));
    let names = ["daemon on a processor", "daemon kept from a processor by other programs"];
    for (place, name) in names.into_iter().enumerate() {
        let of = |seen: &Seen| seen.cpu_percent.get(place).copied().unwrap_or_default();
        let figure = Figure::new(name, of(busy), "%");
        figures.push(figure.peer("no ends", of(quiet)).peer("one flow", of(idle)));
    }
    figures
}

/// Calls the methods in turn for a while.
fn watch(daemon: &mut Daemon) -> Result<Seen> {
    // The first call subscribes, and lists all flows for the first time.
    let (events, overruns) = (daemon.polling("events")?, daemon.polling("overruns")?);
    let (begun, cpu) = (Instant::now(), daemon.cpu_times()?);
    let mut calls = METHODS.map(|_| Vec::new());
    while begun.elapsed() < TIME {
        for ((method, arguments), times) in METHODS.into_iter().zip(&mut calls) {
            times.push(milliseconds(daemon.call(method, arguments)?.1));
            thread::sleep(PAUSE);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let [busy, waiting] = daemon.cpu_times()?;
    let cpu = [busy.saturating_sub(cpu[0]), waiting.saturating_sub(cpu[1])];
    Ok(Seen {
        events_per_s: daemon.polling("events")?.saturating_sub(events) as f64 / seconds,
        cpu_percent: cpu.map(|time| time.as_secs_f64() / seconds * 100.0),
        overruns: daemon.polling("overruns")?.saturating_sub(overruns),
        calls,
    })
}

/// Makes and ends connections at the pace, until told to stop.
fn churn(stop: &AtomicBool) -> Result<()> {
    let mut conntrack = Conntrack::open().context("conntrack")?;
    let begun = Instant::now();
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (begun.elapsed().as_secs_f64() * f64::from(RATE)) as u32;
        if due < done + BATCH {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let numbers = FIRST + done..FIRST + done + BATCH;
        let batch: Vec<NewEntry> = numbers.filter_map(entries::entry).collect();
        conntrack.create_all(&batch).context("making connections")?;
        entries::end(&mut conntrack, &batch)?;
        done += BATCH;
    }
    Ok(())
}
