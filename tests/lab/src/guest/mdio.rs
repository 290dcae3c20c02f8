// SPDX-License-Identifier: GPL-2.0-or-later
//! A simulated switch behind a real MDIO bus, as the chip drivers' own bus reaches it: every
//! transfer goes through this kernel. The switch is the lab's module
//! `labmdio`, whose registers and tables can also be looked into past the bus.

use super::look::at;
use super::mdio_bus::{open, SwitchBus};
use super::{mdio_driver, mdio_engine};
use crate::error::{Context, Error, Result};
use crate::scenario::{Door, MdioTask};
use hw_drivers::bus::mii::Racing;
use hw_drivers::bus::Slot32;
use hw_drivers::bus::{self, Address, Bus, Transaction};
use hw_drivers::qca8k_page::{PageAfter, Settle, Translation};
use serde_json::{json, Value as Json};
use std::fs;

/// Registers of the PHY's identifier (IEEE 802.3, 22.2.4.3.1).
const PHY_ID: [Address; 2] = [Address::truncated(0, 2), Address::truncated(0, 3)];

/// Does something to the switch and returns a key of the report.
pub fn look(device: &str, door: Door, task: MdioTask, pointer: &str) -> Result<Json> {
    let forced = || open(device, door, Racing::Forced);
    let report = match task {
        MdioTask::Phy => phy(&mut open(device, door, Racing::Refused)?)?,
        MdioTask::Unforced(register) => {
            unforced(&mut open(device, door, Racing::Refused)?, register)?
        }
        MdioTask::Read(register, after) => {
            told(read(&mut forced()?, register, after)?, |value| value)
        }
        MdioTask::Write(register, value, after) => {
            let mut bus = forced()?;
            match write(&mut bus, register, value, after)? {
                Ok(()) => told(read(&mut bus, register, after)?, |value| value),
                Err(error) => told(Err(error), |value: u32| value),
            }
        }
        MdioTask::Sample(times, register, value, after) => {
            sample(&mut forced()?, times, register, value, after)?
        }
        MdioTask::Driver(flows, after, beside) => {
            mdio_driver::run(device, forced()?, flows, after, beside)?
        }
        MdioTask::Engine(flows, after) => mdio_engine::run(device, forced()?, flows, after)?,
    };
    Ok(at(&report, pointer))
}

/// Sets a switch of the simulation.
pub fn switch(device: &str, name: &str, value: &str) -> Result<()> {
    let path = format!("/sys/class/net/{device}/labmdio/{name}");
    fs::write(&path, value).context(path)
}

/// A table of the switch, past the bus: entries of seven words.
pub fn image(device: &str, table: &str) -> Result<Vec<[u32; 7]>> {
    let path = format!("/sys/class/net/{device}/labmdio/{table}");
    let bytes = fs::read(&path).context(&path)?;
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok().map(u32::from_ne_bytes))
        .collect();
    Ok(words.chunks_exact(7).filter_map(|entry| entry.try_into().ok()).collect())
}

/// Of one transaction: the value, or what the bus said.
type Outcome<T> = std::result::Result<T, bus::Error>;

fn told<T: Into<Json>, V>(outcome: Outcome<V>, value: impl Fn(V) -> T) -> Json {
    match outcome {
        Ok(read) => json!({ "value": value(read).into(), "error": null }),
        Err(error) => json!({ "value": null, "error": error.to_string() }),
    }
}

fn phy(bus: &mut SwitchBus) -> Result<Json> {
    let mut id = String::from("0x");
    for half in PHY_ID {
        let mut transaction = Transaction::new();
        let slot = transaction.read(half).context("a read")?;
        match bus.run(&transaction) {
            Ok(outcome) => id.push_str(&format!("{:04x}", outcome.get(slot).unwrap_or_default())),
            Err(error) => return Ok(json!({ "id": null, "error": error.to_string() })),
        }
    }
    Ok(json!({ "id": id, "error": null }))
}

fn reading(register: u32, after: PageAfter) -> Result<(Transaction, Slot32)> {
    let mut translation = Translation::new(after, Settle::default()).context("a page")?;
    let slot = translation.read(register).context("a register")?;
    Ok((translation.finish(), slot))
}

fn unforced(bus: &mut SwitchBus, register: u32) -> Result<Json> {
    let (transaction, _) = reading(register, PageAfter::ReadBack)?;
    Ok(match bus.run(&transaction) {
        Err(bus::Error::NotAtomic { steps }) => json!({ "refused": steps }),
        other => json!({ "refused": null, "other": format!("{other:?}") }),
    })
}

fn read(bus: &mut SwitchBus, register: u32, after: PageAfter) -> Result<Outcome<u32>> {
    let (transaction, slot) = reading(register, after)?;
    bus.run(&transaction)
        .map(|outcome| slot.value(&outcome).context("a read without a value"))
        .map_or_else(|error| Ok(Err(error)), |value| value.map(Ok))
}

fn write(bus: &mut SwitchBus, register: u32, value: u32, after: PageAfter) -> Result<Outcome<()>> {
    let mut translation = Translation::new(after, Settle::default()).context("a page")?;
    translation.write(register, value).context("a register")?;
    Ok(bus.run(&translation.finish()).map(drop))
}

fn sample(
    bus: &mut SwitchBus,
    times: u32,
    register: u32,
    value: u32,
    after: PageAfter,
) -> Result<Json> {
    let (mut right, mut wrong, mut failed) = (0, 0, 0);
    for _ in 0..times {
        match read(bus, register, after)? {
            Ok(seen) if seen == value => right += 1,
            Ok(_) => wrong += 1,
            Err(bus::Error::Failed(_)) => failed += 1,
            Err(error) => return Err(Error::new(error.to_string())),
        }
    }
    Ok(json!({ "right": right, "wrong": wrong, "failed": failed }))
}
