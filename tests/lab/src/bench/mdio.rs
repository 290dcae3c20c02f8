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
use hw_drivers::table::{Entry, FlowTable, Network, Progress};
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

/// What the procedure of a command needs at least: the page is read, chosen and put back, with one
/// pause for the chip to follow; the image and the command word are written, once without and once
/// with the bit that starts it; the engine is seen to be free before and after; and the status is
/// read once more.
const COMMAND: f64 = 4.0 + 2.0 * (7.0 + 1.0 + 1.0) + 2.0 + 2.0;
/// The image that comes back.
const IMAGE: f64 = 2.0 * 7.0;

type Driver = Qca8337<TraceBus<Shared<chip::Qca8337>>>;

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
    let simulator = Shared::new(chip::Qca8337::new(options));
    let bus = TraceBus::new(simulator.clone());
    let mut driver = Qca8337::new(bus, model, Options::default());
    let network = Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public: vec![PUBLIC] };
    let set_up = transfers(&mut driver, |driver| loop {
        match driver.set_up(&network).map_err(|e| Error::new(e.to_string()))? {
            Progress::Done => return Ok(()),
            Progress::More => (),
            Progress::Wait(time) => simulator.with(|chip| chip.pass(time)),
        }
    })?;
    // The first flows of each client bring its neighbour along, which the others share.
    let mut entries = insert(&mut driver, 0..CLIENTS)?;
    let add = transfers(&mut driver, |driver| {
        entries.extend(insert(driver, CLIENTS..FLOWS)?);
        Ok(())
    })?;
    let verify = transfers(&mut driver, |driver| {
        let verify = |entry: &Entry| driver.verify(*entry).map_err(|e| Error::new(e.to_string()));
        entries.iter().try_for_each(verify)
    })?;
    simulator.with(|chip| chip.pass(Duration::from_secs(60)));
    let sweep = transfers(&mut driver, |driver| {
        let mut seen = 0;
        while driver.sweep(&mut |_| seen += 1).map_err(|e| Error::new(e.to_string()))?
            != Progress::Done
        {}
        if seen == FLOWS {
            Ok(())
        } else {
            Err(Error::new(format!("{seen} entries seen")))
        }
    })?;
    let left = entries.split_off(CLIENTS as usize);
    let remove = transfers(&mut driver, |driver| {
        let remove = |entry: &Entry| driver.remove(*entry).map_err(|e| Error::new(e.to_string()));
        left.iter().try_for_each(remove)
    })?;
    let name = model.name();
    let each = |what: &str, total: u32, count: u32, least: f64| {
        Figure::new(format!("{name}: transfers to {what}"), f64::from(total) / f64::from(count), "")
            .bound(Bound::AtMost(least * MARGIN))
            .peer("the least", least)
    };
    let changed = FLOWS - CLIENTS;
    let per_flow = (add + verify * changed / FLOWS) as f64 / f64::from(changed);
    Ok(vec![
        Figure::new(format!("{name}: transfers to set the engine up"), f64::from(set_up), ""),
        each("add an entry", add, changed, COMMAND),
        each("read an entry back", verify, FLOWS, COMMAND + IMAGE),
        each("take an entry out", remove, changed, COMMAND),
        each("sweep an entry", sweep, FLOWS, COMMAND + IMAGE),
        Figure::new(
            format!("{name}: entries made and read back in a second at 2.5 MHz"),
            1.0 / (per_flow * TRANSFER_S),
            "1/s",
        ),
    ])
}

/// Transfers that `act` makes.
fn transfers(driver: &mut Driver, act: impl FnOnce(&mut Driver) -> Result<()>) -> Result<u32> {
    let before = driver.bus().transfers();
    act(driver)?;
    Ok(driver.bus().transfers().wrapping_sub(before))
}

fn insert(driver: &mut Driver, numbers: std::ops::Range<u32>) -> Result<Vec<Entry>> {
    let insert = |number| driver.insert(&flow(number)).map_err(|e| Error::new(e.to_string()));
    numbers.map(insert).collect::<Result<Vec<Entry>>>().context("inserting a flow")
}

pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(super) const WAN: Side = Side {
    port: 5,
    vlan: 2,
    tagged: false,
    neighbour: Mac([2, 0, 0, 0, 2, 1]),
    router: Mac([2, 0, 0, 0, 0, 2]),
    mtu: 1500,
    pppoe: None,
};

/// A connection from one of the clients to the Internet.
pub(super) fn flow(number: u32) -> Flow {
    let client = (number % CLIENTS) as u8 + 10;
    let port = 20_000 + number as u16;
    let server: SocketAddr = (Ipv4Addr::new(203, 0, 113, 9), 443).into();
    let lan = Side {
        port: 1,
        vlan: 1,
        neighbour: Mac([2, 0, 0, 0, 1, client]),
        router: Mac([2, 0, 0, 0, 0, 1]),
        ..WAN
    };
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
