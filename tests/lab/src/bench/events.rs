// SPDX-License-Identifier: GPL-2.0-or-later
//! How soon the daemon answers while connections end by the thousand.

use super::churn::{churn, Churned};
use super::daemon::{Daemon, Programs, SPENT};
use super::drops::drops;
use super::figure::{milliseconds, quantile, Bound, Figure};
use super::talkers::{Talkers, TALKERS};
use super::{agreement, entries};
use crate::error::{Error, Result};
use flowtabled::netlink::conntrack::Conntrack;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Flows that are there all the time.
const FLOWS: u32 = 16_384;
/// How long each part lasts.
const TIME: Duration = Duration::from_secs(10);
/// Between two calls of the client.
const PAUSE: Duration = Duration::from_millis(5);
const MIB: f64 = 1024.0 * 1024.0;
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
    /// Where those of the slowest call went, by method.
    slowest: [[f64; SPENT.len()]; METHODS.len()],
    events_per_s: f64,
    /// The daemon on a processor, and kept from one by other programs.
    cpu_percent: [f64; 2],
    overruns: u64,
}

/// What became of the ends, and of the daemon.
struct Aftermath {
    churned: Churned,
    /// Ends that the kernel could not deliver.
    dropped: u64,
    /// Private bytes of the daemon before and after, and the most that was ever resident.
    memory: [u64; 3],
}

/// Needs an empty namespace; so many connections end each second.
///
/// # Errors
/// The daemon, conntrack or the client failed; or an end was neither read nor counted as dropped, or
/// the daemon's flows are not the kernel's in the end.
pub fn measure(conntrack: &mut Conntrack, programs: &Programs, rate: u32) -> Result<Vec<Figure>> {
    let mut daemon = Daemon::start(programs)?;
    eprintln!("   one flow");
    entries::make(conntrack, 0..1)?;
    let idle = watch(&mut daemon)?;
    entries::make(conntrack, 1..FLOWS - TALKERS)?;
    let talkers = Talkers::new()?;
    eprintln!("   {FLOWS} flows");
    let quiet = watch(&mut daemon)?;
    eprintln!("   {FLOWS} flows, {rate} ends a second");
    let before = (daemon.memory()?, daemon.polling("events")?, drops()?);
    let stop = AtomicBool::new(false);
    let (churned, busy) = thread::scope(|scope| -> Result<(Churned, Seen)> {
        let churn = scope.spawn(|| churn(rate, &talkers, &stop));
        let seen = watch(&mut daemon);
        stop.store(true, Ordering::Relaxed);
        let churned = churn.join().map_err(|_| Error::new("making connections panicked"))?;
        Ok((churned?, seen?))
    })?;
    agreement::reach(&mut daemon, conntrack)?;
    let read = daemon.polling("events")?.saturating_sub(before.1);
    let dropped = drops()?.saturating_sub(before.2);
    if read + dropped != churned.ends {
        let Churned { ends, .. } = churned;
        return Err(Error::new(format!("of {ends} ends {read} were read and {dropped} dropped")));
    }
    let after = daemon.memory()?;
    let memory = [before.0.private, after.private, after.peak];
    let mut figures = figures(rate, &idle, &quiet, &busy);
    figures.extend(after_the_flood(rate, &busy, &Aftermath { churned, dropped, memory }));
    Ok(figures)
}

fn figures(rate: u32, idle: &Seen, quiet: &Seen, busy: &Seen) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (place, (method, _)) in METHODS.into_iter().enumerate() {
        let of = |seen: &Seen, share| {
            let calls = seen.calls.get(place).map(Vec::as_slice).unwrap_or_default();
            quantile(calls, share)
        };
        for (share, name) in [(0.5, "median"), (0.99, "99th percentile"), (1.0, "maximum")] {
            let figure = Figure::new(
                format!("{method} with {FLOWS} flows and {rate} ends/s, {name}"),
                of(busy, share),
                "ms",
            );
            let figure = figure.peer("no ends", of(quiet, share)).peer("one flow", of(idle, share));
            figures.push(match share {
                share if share > 0.5 => figure.bound(Bound::AtMost(10.0)),
                _ => figure,
            });
        }
        if let (Some(spent), Some(maximum)) = (busy.slowest.get(place), figures.last_mut()) {
            let named = SPENT.into_iter().map(String::from).zip(spent.iter().copied());
            maximum.peers.extend(named);
        }
    }
    for (place, name) in ["on a processor", "kept from a processor"].into_iter().enumerate() {
        let of = |seen: &Seen| seen.cpu_percent.get(place).copied().unwrap_or_default();
        let figure = Figure::new(format!("daemon {name}, {rate} ends/s"), of(busy), "%");
        figures.push(figure.peer("no ends", of(quiet)).peer("one flow", of(idle)));
    }
    figures
}

fn after_the_flood(rate: u32, busy: &Seen, aftermath: &Aftermath) -> [Figure; 4] {
    let Aftermath { churned, dropped, memory: [before, after, peak] } = aftermath;
    let ends = churned.ends as f64;
    let mib = |bytes: u64| bytes as f64 / MIB;
    [
        Figure::new(format!("ends reached of {rate}"), ends / churned.time.as_secs_f64(), "per s")
            .peer("read", busy.events_per_s),
        Figure::new(format!("ends dropped, {rate} ends/s"), *dropped as f64 / ends * 100.0, "%")
            .peer("ends", *dropped as f64),
        Figure::new(format!("times ends were lost, {rate} ends/s"), busy.overruns as f64, "times"),
        Figure::new(format!("memory after {rate} ends/s"), mib(*after), "MiB")
            .peer("before", mib(*before))
            .peer("most ever resident", mib(*peak)),
    ]
}

/// Calls the methods in turn for a while.
fn watch(daemon: &mut Daemon) -> Result<Seen> {
    // The first call subscribes, and lists all flows for the first time.
    let (events, overruns) = (daemon.polling("events")?, daemon.polling("overruns")?);
    let (begun, cpu) = (Instant::now(), daemon.cpu_times()?);
    let mut calls = METHODS.map(|_| Vec::new());
    let mut slowest = METHODS.map(|_| (0.0, [0.0; SPENT.len()]));
    while begun.elapsed() < TIME {
        for (place, (method, arguments)) in METHODS.into_iter().enumerate() {
            let before = daemon.spent()?;
            let took = milliseconds(daemon.call(method, arguments)?.1);
            if let Some(slowest) = slowest.get_mut(place).filter(|(most, _)| took > *most) {
                let mut spent = daemon.spent()?;
                spent.iter_mut().zip(before).for_each(|(now, then)| *now -= then);
                *slowest = (took, spent);
            }
            calls.get_mut(place).into_iter().for_each(|times| times.push(took));
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
        slowest: slowest.map(|(_, spent)| spent),
    })
}
