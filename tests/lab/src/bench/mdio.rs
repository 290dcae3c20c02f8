// SPDX-License-Identifier: GPL-2.0-or-later
//! Benchmark `mdio`: transfers on the bus that entries of a switch cost, on simulated chips.
//!
//! The bus is the bottleneck, and its transfers can be counted: no clock is needed, and the figures
//! are the same on every machine.

use super::figure::{Bound, Figure};
use super::programming;
use crate::error::{Context, Error, Result};
use hw_drivers::bus::trace::TraceBus;
use hw_drivers::flow::{Flow, Mac, Protocol, Side, Tuple};
use hw_drivers::qca8337::{Model, Options, Qca8337};
use hw_drivers::table::{self, Entry, FlowTable, Network, Progress};
use hw_simulators::qca8337::{self as chip, Model as ChipModel};
use hw_simulators::{Chip, Shared};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Flows that are put in, each of one of a few clients.
const FLOWS: u32 = 256;
const CLIENTS: u32 = 8;
/// One transfer at 2.5 MHz: 64 bits.
pub(super) const TRANSFER_S: f64 = 25.6e-6;
/// How far above the least that the chip's procedure needs is still good.
const MARGIN: f64 = 1.1;
/// Most transfers of a call that could be split: 5 ms.
const CALL: f64 = 200.0;
/// Most transfers of any call: 10 ms of the daemon's loop.
const TURN: f64 = 390.0;

/// The page is read, chosen and put back, with one pause for the chip to follow.
const PAGE: u32 = 4;
/// The status with the index, and a look before it that does not count.
const STATUS: u32 = 3;
/// Entries that one transaction can look for: of the 56 steps that it has, each takes 24 on QCA8337
/// and 18 on AR8327, beside the 4 of the page.
const AT_ONCE: u32 = 2;

/// What the chip's procedure needs at least, for an operation whose success is known.
#[derive(Debug, Clone, Copy)]
struct Least {
    /// An entry is put in, and its index learned.
    add: f64,
    /// It is taken out; only the status is wanted.
    remove: f64,
    /// It is read by its index, as far as it says something.
    read: f64,
    /// It is looked up by its index, for its age, and some have a counter of four words.
    sweep: f64,
}

impl Least {
    /// With an image of so many words, of which so many mean something in an entry.
    fn new(image: u32, meaning: u32, options: &chip::Options) -> Least {
        // Image, index, one look that the engine is free, command; then it is looked at until it
        // has finished, half a word each time.
        let command = 2 * image + 2 + 1 + 2 + options.busy_reads + 1 + STATUS;
        let swept = PAGE + AT_ONCE * (command + 1);
        let counted = COUNTED * (PAGE + 2 * 4);
        Least {
            add: f64::from(PAGE + command),
            remove: f64::from(PAGE + command - 1),
            read: f64::from(PAGE + command + 2 * meaning),
            sweep: f64::from(swept) / f64::from(AT_ONCE) + f64::from(counted) / f64::from(FLOWS),
        }
    }
}

/// Flows that the chip counts.
const COUNTED: u32 = 8;

type Driver = Qca8337<TraceBus<Shared<chip::Qca8337>>>;

/// The driver, and what the longest of its calls has cost.
struct Bench {
    driver: Driver,
    longest: u32,
}

/// Transfers of all pieces, and of the longest.
#[derive(Debug, Clone, Copy)]
struct Pieces {
    total: u32,
    longest: u32,
}

/// The figures of both chips.
///
/// # Errors
/// A driver failed on its simulator.
pub fn measure() -> Result<Vec<Figure>> {
    let mut figures = of_chip(Model::Qca8337, ChipModel::Qca8337)?;
    figures.extend(of_chip(Model::Ar8327, ChipModel::Ar8327)?);
    figures.extend(programming::measure()?);
    Ok(figures)
}

fn of_chip(model: Model, simulated: ChipModel) -> Result<Vec<Figure>> {
    let mut options = chip::Options::of(simulated);
    if let Some(pvid) = options.layer2.pvid.get_mut(usize::from(WAN.port)) {
        *pvid = WAN.vlan;
    }
    // A flow that finds no room costs the same, and is none.
    options.napt_ways = 1024;
    let least = match model {
        Model::Qca8337 => Least::new(7, 5, &options),
        Model::Ar8327 => Least::new(4, 4, &options),
    };
    let simulator = Shared::new(chip::Qca8337::new(options));
    let bus = TraceBus::new(simulator.clone());
    let driver = Qca8337::new(bus, model, Options::default());
    let mut bench = Bench { driver, longest: 0 };
    let network = Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public: vec![PUBLIC] };
    let pass = |time| simulator.with(|chip| chip.pass(time));
    let set_up = bench.pieces(pass, |driver| driver.set_up(&network))?;
    // The first flows of each client bring its neighbour along, which the others share.
    let (mut entries, first_add) = bench.insert(0..CLIENTS)?;
    let first_verify = bench.each(&entries, |driver, entry| driver.verify(entry))?;
    let (others, add) = bench.insert(CLIENTS..FLOWS)?;
    let verify = bench.each(&others, |driver, entry| driver.verify(entry))?;
    // Each looks at something else: the hosts and the gateway, two interfaces, the rule.
    let looks = (0..CLIENTS + 4).map(|_| Ok(bench.call(|driver| driver.alive())?.1));
    let alive = looks.collect::<Result<Vec<u32>>>()?.into_iter().max().unwrap_or(0);
    pass(Duration::from_secs(60));
    let mut seen = 0;
    let sweep = bench.pieces(pass, |driver| driver.sweep(&mut |_| seen += 1))?;
    if seen != FLOWS {
        return Err(Error::new(format!("{seen} entries seen")));
    }
    let remove = bench.each(&others, |driver, entry| driver.remove(entry))?;
    entries.truncate(1);
    bench.each(&entries, |driver, entry| driver.remove(entry))?;
    let disable = bench.pieces(pass, |driver| driver.disable())?;
    let name = model.name();
    let plain = |what: &str, value: f64| Figure::new(format!("{name}: {what}"), value, "");
    let each = |what: &str, total: u32, count: u32, least: f64| {
        plain(&format!("transfers to {what}"), f64::from(total) / f64::from(count))
            .bound(Bound::AtMost((least * MARGIN * 100.0).round() / 100.0))
            .peer("the least", least)
    };
    let changed = FLOWS - CLIENTS;
    let first = f64::from(first_add + first_verify) / f64::from(CLIENTS);
    let per_flow = f64::from(add + verify) / f64::from(changed);
    let longest = |what: &str, pieces: Pieces| {
        plain(&format!("longest call of {what}"), f64::from(pieces.longest))
            .bound(Bound::AtMost(CALL))
    };
    Ok(vec![
        plain("transfers to set the engine up", f64::from(set_up.total)),
        plain("transfers to switch it off", f64::from(disable.total)),
        each("add an entry", add, changed, least.add),
        each("read an entry back", verify, changed, least.read),
        plain("transfers to add and read back a client's first entry", first),
        each("take an entry out", remove, changed, least.remove),
        each("sweep an entry", sweep.total, FLOWS, least.sweep),
        plain("most transfers to look whether the chip is as set up", f64::from(alive)),
        longest("setting up", set_up),
        longest("a sweep", sweep),
        longest("switching off", disable),
        plain("longest call of all", f64::from(bench.longest)).bound(Bound::AtMost(TURN)),
        Figure::new(
            format!("{name}: entries made and read back in a second at 2.5 MHz"),
            1.0 / (per_flow * TRANSFER_S),
            "1/s",
        ),
    ])
}

impl Bench {
    /// What a call gives, and how many transfers it makes.
    fn call<T>(
        &mut self,
        act: impl FnOnce(&mut Driver) -> std::result::Result<T, table::Error>,
    ) -> Result<(T, u32)> {
        let before = self.driver.bus().transfers();
        let result = act(&mut self.driver).map_err(|e| Error::new(e.to_string()))?;
        let made = self.driver.bus().transfers().wrapping_sub(before);
        self.longest = made.max(self.longest);
        Ok((result, made))
    }

    /// Something in pieces, until it is done.
    fn pieces(
        &mut self,
        pass: impl Fn(Duration),
        mut act: impl FnMut(&mut Driver) -> std::result::Result<Progress, table::Error>,
    ) -> Result<Pieces> {
        let mut pieces = Pieces { total: 0, longest: 0 };
        loop {
            let (progress, made) = self.call(&mut act)?;
            pieces.total += made;
            pieces.longest = made.max(pieces.longest);
            match progress {
                Progress::Done => return Ok(pieces),
                Progress::More => (),
                Progress::Wait(time) => pass(time),
            }
        }
    }

    /// The transfers of a call for each of these entries.
    fn each(
        &mut self,
        entries: &[Entry],
        act: impl Fn(&mut Driver, Entry) -> std::result::Result<(), table::Error>,
    ) -> Result<u32> {
        let mut total = 0;
        for entry in entries {
            total += self.call(|driver| act(driver, *entry))?.1;
        }
        Ok(total)
    }

    fn insert(&mut self, numbers: std::ops::Range<u32>) -> Result<(Vec<Entry>, u32)> {
        let (mut entries, mut total) = (Vec::new(), 0);
        for number in numbers {
            let inserted = self.call(|driver| driver.insert(&flow(number)));
            let (entry, made) = inserted.context("inserting a flow")?;
            entries.push(entry);
            total += made;
        }
        Ok((entries, total))
    }
}

pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(super) const WAN: Side = Side::ethernet(5, 2, Mac([2, 0, 0, 0, 2, 1]), Mac([2, 0, 0, 0, 0, 2]));

/// A connection from one of the clients to the Internet.
pub(super) fn flow(number: u32) -> Flow {
    let client = (number % CLIENTS) as u8 + 10;
    let port = 20_000 + number as u16;
    let server: SocketAddr = (Ipv4Addr::new(203, 0, 113, 9), 443).into();
    let lan = Side::ethernet(1, 1, Mac([2, 0, 0, 0, 1, client]), Mac([2, 0, 0, 0, 0, 1]));
    Flow {
        protocol: Protocol::Tcp,
        original: Tuple {
            source: (Ipv4Addr::new(192, 168, 1, client), port).into(),
            destination: server,
        },
        reply: Tuple { source: server, destination: (PUBLIC, port).into() },
        opener: lan,
        answerer: WAN,
    }
}
