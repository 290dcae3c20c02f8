// SPDX-License-Identifier: GPL-2.0-or-later
//! How long single operations hold the bus while a switch is set up, filled and swept: callers of the
//! daemon wait for no more than one of them and what its turn has left. Counted in transfers, so
//! no clock is needed.

use super::figure::{quantile, Bound, Figure};
use super::mdio::{flow, PUBLIC, TRANSFER_S, WAN};
use crate::error::{Error, Result};
use flowtabled::core::hardware::{Attachment, Candidate, Ended, Offer, State, Switch, Work};
use hw_drivers::bus::trace::TraceBus;
use hw_drivers::qca8337::{Model, Options, Qca8337};
use hw_drivers::table::Network;
use hw_simulators::qca8337 as chip;
use hw_simulators::{Chip, Shared};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Flows that the chip holds.
const FLOWS: u32 = 1024;
/// Longer than any filling takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// Callers wait for less than 10 ms; a turn of the loop begins an operation within its first 2.
const BOUND_MS: f64 = 8.0;

/// The figures.
///
/// # Errors
/// The simulated chip was not filled.
pub fn measure() -> Result<Vec<Figure>> {
    let mut options = chip::Options { napt_ways: FLOWS as usize, ..chip::Options::default() };
    if let Some(pvid) = options.layer2.pvid.get_mut(usize::from(WAN.port)) {
        *pvid = WAN.vlan;
    }
    let simulator = Shared::new(chip::Qca8337::new(options));
    let bus = TraceBus::new(simulator.clone());
    let mut driver = Qca8337::new(bus, Model::Qca8337, Options::default());
    let begun = Instant::now();
    let mut now = begun;
    let mut switch = Switch::new(FLOWS as usize, now);
    let private = (Ipv4Addr::new(192, 168, 1, 0), 24);
    switch.set_network(Some(Network { private, public: vec![PUBLIC] }));
    let mut operations: Vec<(&str, f64)> = Vec::new();
    let (mut offered, mut filled, mut swept) = (None, None, 0);
    while swept < FLOWS as usize {
        if now - begun > PATIENCE {
            let used = switch.used();
            return Err(Error::new(format!("{used} entries after {PATIENCE:?}")));
        }
        if *switch.state() == State::Ready && offered.is_none() {
            switch.offer((0..FLOWS).map(offer).collect(), now);
            offered = Some(now);
        }
        let before = driver.bus().transfers();
        let Some(work) = switch.next(now) else {
            let due = switch.deadline(now).unwrap_or(now) - now;
            let due = due.max(Duration::from_millis(1));
            simulator.with(|chip| chip.pass(due));
            now += due;
            continue;
        };
        let kind = kind(&work);
        let ended = work.perform(&mut driver);
        let transfers = driver.bus().transfers().wrapping_sub(before);
        let time = Duration::from_secs_f64(f64::from(transfers) * TRANSFER_S);
        simulator.with(|chip| chip.pass(time));
        now += time;
        operations.push((kind, time.as_secs_f64() * 1e3));
        if let (Ended::Swept(seen, _), true) = (&ended, filled.is_some()) {
            swept += seen.len();
        }
        switch.done(ended, now);
        if switch.used() == FLOWS as usize && filled.is_none() {
            filled = Some(now);
        }
    }
    let filled = offered.zip(filled).map_or(0.0, |(from, to)| (to - from).as_secs_f64());
    let of = |share| {
        let all: Vec<f64> = operations.iter().map(|(_, time)| *time).collect();
        quantile(&all, share)
    };
    let name =
        |what: &str| format!("one operation while {FLOWS} entries are made and swept, {what}");
    let mut longest = Figure::new(name("maximum"), of(1.0), "ms").bound(Bound::AtMost(BOUND_MS));
    for kind in ["set up", "insert", "verify", "sweep", "alive"] {
        let times = operations.iter().filter(|(of, _)| *of == kind).map(|(_, time)| *time);
        longest = longest.peer(kind, times.fold(0.0, f64::max));
    }
    Ok(vec![
        Figure::new(format!("making and reading back {FLOWS} entries at 2.5 MHz"), filled, "s"),
        Figure::new(name("median"), of(0.5), "ms"),
        Figure::new(name("99th percentile"), of(0.99), "ms").bound(Bound::AtMost(BOUND_MS)),
        longest,
    ])
}

fn kind(work: &Work) -> &'static str {
    match work {
        Work::SetUp(_) => "set up",
        Work::Disable => "disable",
        Work::Alive => "alive",
        Work::Insert { .. } => "insert",
        Work::Verify { .. } => "verify",
        Work::Remove { .. } => "remove",
        Work::Sweep => "sweep",
    }
}

/// A flow that is worth an entry.
fn offer(number: u32) -> Offer {
    let candidate = Candidate { id: number, rate: 1 << 20, age: Duration::from_secs(60) };
    let [near, far] = [1, 2].map(|index| Attachment { routed: index, port: index });
    Offer { candidate, flow: flow(number), table: None, ends: [near, far] }
}
