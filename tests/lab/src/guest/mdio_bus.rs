// SPDX-License-Identifier: GPL-2.0-or-later
//! The ways from a device to the bus of its switch, as one bus.

use crate::error::{Context, Error, Result};
use crate::scenario::Door;
use hw_drivers::bus::mii::{MiiBus, Racing};
use hw_drivers::bus::netlink::NetlinkBus;
use hw_drivers::bus::{self, Bus, Outcome, Transaction};
use std::fs;

/// For a program, in milliseconds: emulation is slow.
const TIMEOUT_MS: u16 = 5000;

/// The bus of a device's switch.
#[derive(Debug)]
pub enum SwitchBus {
    /// By the ioctls of the device.
    Ioctl(MiiBus),
    /// By its name.
    Netlink(NetlinkBus),
}

/// Opens the bus; `racing` is of no importance for one that keeps others out.
pub fn open(device: &str, door: Door, racing: Racing) -> Result<SwitchBus> {
    match door {
        Door::Ioctl => MiiBus::open(device, racing).map(SwitchBus::Ioctl).context("the MII bus"),
        Door::Netlink => {
            let name = name(device)?;
            NetlinkBus::open(&name, Some(TIMEOUT_MS)).map(SwitchBus::Netlink).context(name)
        }
    }
}

/// Name of the bus that a device's PHY is on: its folder is called BUS:ADDRESS.
pub fn name(device: &str) -> Result<String> {
    let link = format!("/sys/class/net/{device}/phydev");
    let target = fs::read_link(&link).context(&link)?;
    let phy = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match phy.rsplit_once(':') {
        Some((bus, _)) => Ok(bus.to_string()),
        None => Err(Error::new(format!("{link} leads to no PHY: {}", target.display()))),
    }
}

impl Bus for SwitchBus {
    fn atomic(&self) -> bool {
        match self {
            SwitchBus::Ioctl(bus) => bus.atomic(),
            SwitchBus::Netlink(bus) => bus.atomic(),
        }
    }

    fn refuses(&self, transaction: &Transaction) -> bool {
        match self {
            SwitchBus::Ioctl(bus) => bus.refuses(transaction),
            SwitchBus::Netlink(bus) => bus.refuses(transaction),
        }
    }

    fn run(&mut self, transaction: &Transaction) -> std::result::Result<Outcome, bus::Error> {
        match self {
            SwitchBus::Ioctl(bus) => bus.run(transaction),
            SwitchBus::Netlink(bus) => bus.run(transaction),
        }
    }
}
