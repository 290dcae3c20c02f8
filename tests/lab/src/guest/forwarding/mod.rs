// SPDX-License-Identifier: GPL-2.0-or-later
//! Measures what forwarding a packet costs, for `cargo xtask bench forwarding`: networks of each kind,
//! with each of the contestants as their router, in a fresh router namespace.
//!
//! The machine's clock counts instructions, so the time that a burst takes is what it costs, whatever
//! the machine around it does. The host on the WAN drops at its ingress, and answers only before, while
//! flows become established. `generator` sends, `uplink` is the wires, `firewall4` the rules, and
//! `paths` tells which path packets took, and `stir` keeps one chance from deciding all bursts.

mod firewall4;
pub mod generator;
mod paths;
mod stir;
mod uplink;

use super::driver::{uname, Driver};
use super::{files, generation, plan};
use crate::bench::figure::Figure;
use crate::bench::forwarding::{Contestant, Kind, Measured, Point, UNIT};
use crate::console::Report;
use crate::error::{Context, Error, Result};
use firewall4::Firewall4;
use generator::{Burst, Generator, Sent, Way};
use paths::Counts;
use std::fs;
use std::thread;
use std::time::Duration;
use stir::Stir;
use uplink::Uplink;

/// Room for the greatest number of flows; by default it goes by the machine's memory.
const ROOM: &str = "65536";
/// Packets of a burst, or one of each flow where they are more.
const PACKETS: u32 = 2000;
/// Bursts that count. What a packet costs is what it does in the cheapest of them: nothing that
/// disturbs takes instructions away.
const ROUNDS: usize = 5;
/// Bursts in all, those included that were disturbed.
const ATTEMPTS: usize = 15;
/// A burst counts when other programs ran for less than this part of it.
const DISTURBED: u64 = 200;
/// Between two packets that are answered, so that the other host has its turn; nothing is lost by that.
const ANSWERED_EVERY: Duration = Duration::from_micros(500);
/// conntrack counts a UDP flow as assured when packets still come two seconds after the first.
const ASSURED_AFTER: Duration = Duration::from_millis(2200);
/// So often each flow gets a packet until all of them are established.
const PASSES: u32 = 8;

/// Measures all of it.
///
/// # Errors
/// The machine is not fit for it; what only one router fails in is reported, and the others go on.
pub fn report() -> Result<()> {
    Report::Booted(uname()?).send();
    generation::probe()?;
    fs::write(plan::CONNTRACK_MAX, ROOM).context(plan::CONNTRACK_MAX)?;
    for kind in Kind::ALL {
        for contestant in Contestant::ALL {
            let args = ["forwarding-inside", kind.name(), contestant.name()];
            let result = plan::in_router(&args, None);
            plan::clear();
            if let Err(e) = result {
                let name = format!("{}-{}", contestant.name(), kind.name());
                Report::Fail(name, e.to_string()).send();
            }
        }
    }
    Report::Done.send();
    Ok(())
}

/// Measures with one contestant as the router that this process is in.
///
/// # Errors
/// Something could not be measured.
pub fn measure(kind: &str, contestant: &str) -> Result<()> {
    let kind = Kind::named(kind).context("no such kind")?;
    let contestant = Contestant::named(contestant).context("no such contestant")?;
    let mut bench = Bench::new(kind, contestant)?;
    for point in kind.points() {
        if contestant == Contestant::Classic && point.rules == 0 {
            let cost = bench.generator(point).context(format!("generator, {point}"))?;
            let name = Measured::of_generator(kind, point.flows);
            Report::Figure(Figure::new(name, cost, UNIT).to_line()).send();
        }
        if contestant == Contestant::Classic && (point.rules, point.flows) == (0, 1) {
            let cost = bench.unanswered(point).context(format!("unanswered, {point}"))?;
            let name = Measured::of_unanswered(kind);
            Report::Figure(Figure::new(name, cost, UNIT).to_line()).send();
        }
        let cost = bench.point(point).context(format!("{}, {point}", contestant.name()))?;
        let name = Measured::of(contestant, point);
        Report::Figure(Figure::new(name, cost, UNIT).to_line()).send();
    }
    Ok(())
}

struct Bench {
    contestant: Contestant,
    uplink: Uplink,
    firewall: Firewall4,
    generator: Generator,
    way: Way,
    /// With the daemon, which must go on.
    driver: Driver,
}

impl Bench {
    fn new(kind: Kind, contestant: Contestant) -> Result<Bench> {
        let mut driver = Driver::as_shipped(contestant != Contestant::Ours)?;
        driver.perform(&files::load(&format!("forwarding-{}", kind.name()))?)?;
        let uplink = Uplink::of(kind)?;
        let firewall = Firewall4::start(kind == Kind::V6)?;
        match contestant {
            Contestant::Classic => {}
            Contestant::Minimal => uplink.minimal_flowtable()?,
            Contestant::Ours => {
                driver.perform(&files::load("forwarding-daemon")?)?;
            }
        }
        let generator = Generator::start(uplink::LAN)?;
        let way = uplink.way()?;
        Ok(Bench { contestant, uplink, firewall, generator, way, driver })
    }

    /// What making a packet costs that the router drops as it comes in.
    fn generator(&mut self, point: Point) -> Result<f64> {
        let sink = self.uplink.drop_at_router()?;
        let cost = self.rounds(point, Counts { forwarded: 0, routed: 0 });
        drop(sink);
        cost
    }

    /// What packets cost that nobody has answered: conntrack calls each of them new, so they pass
    /// more rules than those of a flow that an offloaded one could be.
    fn unanswered(&mut self, point: Point) -> Result<f64> {
        let packets = packets(point.flows).into();
        let sink = self.uplink.drop_at_host()?;
        let cost = self.rounds(point, Counts { forwarded: packets, routed: packets });
        drop(sink);
        if self.check(point.flows).is_ok() {
            return Err(Error::new("somebody has answered"));
        }
        cost
    }

    fn point(&mut self, point: Point) -> Result<f64> {
        self.firewall.load(point.rules, self.contestant == Contestant::Ours)?;
        self.establish(point.flows)?;
        let packets = packets(point.flows).into();
        let routed = if self.offloads() { 0 } else { packets };
        let sink = self.uplink.drop_at_host()?;
        let cost = self.rounds(point, Counts { forwarded: packets, routed });
        drop(sink);
        // A flow that has left the fast path meanwhile would have been measured half here, half there.
        self.check(point.flows)?;
        let state = self.driver.daemon_state();
        let expected = if self.contestant == Contestant::Ours { "running" } else { "absent" };
        if state != expected {
            return Err(Error::new(format!("the daemon's state is: {state}")));
        }
        cost
    }

    fn offloads(&self) -> bool {
        self.contestant != Contestant::Classic
    }

    /// Lets each flow have packets both ways until conntrack has all of them as they should be.
    fn establish(&mut self, flows: u32) -> Result<()> {
        let burst = Burst { packets: flows, flows, pause: ANSWERED_EVERY, checksums: true };
        for _ in 0..PASSES {
            if self.check(flows).is_ok() {
                return Ok(());
            }
            self.generator.send(&self.way, &burst)?;
            thread::sleep(ASSURED_AFTER);
        }
        self.check(flows)
    }

    fn check(&self, flows: u32) -> Result<()> {
        let established = paths::established(&self.way, self.offloads())?;
        if established < flows as usize {
            return Err(Error::new(format!("{established} of {flows} flows are established")));
        }
        Ok(())
    }

    /// The least cost of the bursts that were what they should be.
    fn rounds(&mut self, point: Point, expected: Counts) -> Result<f64> {
        let packets = packets(point.flows);
        let flows = point.flows;
        let burst = Burst { packets, flows, pause: Duration::ZERO, checksums: false };
        let mut costs = Vec::new();
        let mut last = Error::new("no burst");
        let mut stir = Stir::default();
        for _ in 0..ATTEMPTS {
            stir.once()?;
            let before = self.uplink.counts()?;
            let sent = self.generator.send(&self.way, &burst)?;
            match cost(&sent, self.uplink.counts()?.since(before), (packets, expected)) {
                Ok(cost) => costs.push(cost),
                Err(e) => last = e,
            }
            if costs.len() == ROUNDS {
                return Ok(costs.into_iter().fold(f64::INFINITY, f64::min));
            }
        }
        Err(Error::new(format!("{} of {ATTEMPTS} bursts count: {last}", costs.len())))
    }
}

/// Packets of a burst: each flow has its turn.
fn packets(flows: u32) -> u32 {
    flows.max(PACKETS)
}

/// Instructions for a packet of a burst.
fn cost(sent: &Sent, counts: Counts, (packets, expected): (u32, Counts)) -> Result<f64> {
    if sent.errors > 0 || sent.packets != u64::from(packets) {
        return Err(Error::new(format!("not sent as asked for: {sent:?}")));
    }
    if counts != expected {
        return Err(Error::new(format!("{counts:?} and not {expected:?}")));
    }
    if sent.idle_us.saturating_mul(DISTURBED) > sent.elapsed_us {
        return Err(Error::new(format!("others ran: {sent:?}")));
    }
    Ok(sent.elapsed_us as f64 * 1000.0 / f64::from(packets))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Sent = Sent { elapsed_us: 30_000, idle_us: 100, packets: 5000, errors: 0 };
    const ALL: Counts = Counts { forwarded: 5000, routed: 0 };

    #[test]
    fn a_burst_counts_when_all_of_it_was_forwarded() {
        assert_eq!(cost(&SENT, ALL, (5000, ALL)).unwrap(), 6000.0);
        for counts in [
            Counts { forwarded: 4999, ..ALL },
            // One packet more was somebody else's, and cost something too.
            Counts { forwarded: 5001, ..ALL },
            Counts { routed: 1, ..ALL },
        ] {
            assert!(cost(&SENT, counts, (5000, ALL)).is_err(), "{counts:?}");
        }
    }

    #[test]
    fn a_burst_counts_when_it_was_sent_and_nothing_else_ran() {
        for sent in [
            Sent { packets: 4999, ..SENT },
            Sent { errors: 1, ..SENT },
            Sent { idle_us: 151, ..SENT },
        ] {
            assert!(cost(&sent, ALL, (5000, ALL)).is_err(), "{sent:?}");
        }
    }

    #[test]
    fn every_flow_has_its_turn() {
        assert_eq!([1, 1000, 16_000].map(packets), [2000, 2000, 16_000]);
    }
}
