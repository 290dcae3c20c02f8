// SPDX-License-Identifier: GPL-2.0-or-later
//! A simulated switch behind a real MDIO bus, as the chip drivers' own bus reaches it: every
//! transfer is an ioctl of this kernel, through its PHY layer. The switch is the lab's module
//! `labmdio`, whose registers and tables can also be looked into past the bus.

use super::look::at;
use super::mdio_engine;
use crate::error::{Context, Error, Result};
use crate::scenario::MdioTask;
use hw_drivers::bus::mii::{MiiBus, Racing};
use hw_drivers::bus::{self, Address, Bus, Transaction};
use hw_drivers::qca8k_page::{PageAfter, Settle, Slot32, Translation};
use serde_json::{json, Value as Json};
use std::fs;

/// Registers of the PHY's identifier (IEEE 802.3, 22.2.4.3.1).
const PHY_ID: [Address; 2] = [Address::truncated(0, 2), Address::truncated(0, 3)];

/// Does something to the switch and returns a key of the report.
pub fn look(device: &str, task: MdioTask, pointer: &str) -> Result<Json> {
    let report = match task {
        MdioTask::Phy => phy(device)?,
        MdioTask::Unforced(register) => unforced(device, register)?,
        MdioTask::Read(register, after) => {
            told(read(&mut forced(device)?, register, after)?, |value| value)
        }
        MdioTask::Write(register, value, after) => {
            let mut bus = forced(device)?;
            match write(&mut bus, register, value, after)? {
                Ok(()) => told(read(&mut bus, register, after)?, |value| value),
                Err(error) => told(Err(error), |value: u32| value),
            }
        }
        MdioTask::Sample(times, register, value, after) => {
            sample(device, times, register, value, after)?
        }
        MdioTask::Engine(flows, after) => mdio_engine::run(device, flows, after)?,
    };
    Ok(at(&report, pointer))
}

/// The bus of a device, that also runs what others can come between.
pub fn forced(device: &str) -> Result<MiiBus> {
    MiiBus::open(device, Racing::Forced).context("the MII bus")
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

fn phy(device: &str) -> Result<Json> {
    let mut bus = MiiBus::open(device, Racing::Refused).context("the MII bus")?;
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

fn unforced(device: &str, register: u32) -> Result<Json> {
    let mut bus = MiiBus::open(device, Racing::Refused).context("the MII bus")?;
    let (transaction, _) = reading(register, PageAfter::ReadBack)?;
    Ok(match bus.run(&transaction) {
        Err(bus::Error::NotAtomic { steps }) => json!({ "refused": steps }),
        other => json!({ "refused": null, "other": format!("{other:?}") }),
    })
}

fn read(bus: &mut MiiBus, register: u32, after: PageAfter) -> Result<Outcome<u32>> {
    let (transaction, slot) = reading(register, after)?;
    bus.run(&transaction)
        .map(|outcome| slot.value(&outcome).context("a read without a value"))
        .map_or_else(|error| Ok(Err(error)), |value| value.map(Ok))
}

fn write(bus: &mut MiiBus, register: u32, value: u32, after: PageAfter) -> Result<Outcome<()>> {
    let mut translation = Translation::new(after, Settle::default()).context("a page")?;
    translation.write(register, value).context("a register")?;
    Ok(bus.run(&translation.finish()).map(drop))
}

fn sample(device: &str, times: u32, register: u32, value: u32, after: PageAfter) -> Result<Json> {
    let mut bus = forced(device)?;
    let (mut right, mut wrong, mut failed) = (0, 0, 0);
    for _ in 0..times {
        match read(&mut bus, register, after)? {
            Ok(seen) if seen == value => right += 1,
            Ok(_) => wrong += 1,
            Err(bus::Error::Failed(_)) => failed += 1,
            Err(error) => return Err(Error::new(error.to_string())),
        }
    }
    Ok(json!({ "right": right, "wrong": wrong, "failed": failed }))
}
