// SPDX-License-Identifier: GPL-2.0-or-later
//! The MDIO side: pages and halves of registers at device 0x1f, and which register does what.

use super::{HighHalf, Mt7530};
use hw_drivers::bus::execute::Transfer;
use hw_drivers::bus::Address;
use std::collections::BTreeMap;

/// MDIO address of the switch.
const SWITCH: u8 = 0x1f;

/// Register that chooses the page.
const PAGE: u8 = 0x1f;

/// Register of the high halves.
const HIGH: u8 = 0x10;

/// Devices 0 to 4 are the PHYs of the sockets.
const PHYS: u8 = 5;

/// What the front end remembers between transfers.
#[derive(Debug, Clone, Default)]
pub struct Front {
    page: u16,
    /// Register whose low half was read last, and its high half then.
    read: (u32, u16),
    /// Register whose low half was written last, and that half.
    written: (u32, u16),
    /// The PHYs keep what is written to them.
    phys: BTreeMap<Address, u16>,
}

impl Front {
    fn register(&self, low: u8) -> u32 {
        u32::from(self.page & 0x3ff) << 6 | u32::from(low) << 2
    }
}

fn high(value: u32) -> u16 {
    (value >> 16) as u16
}

fn low(value: u32) -> u16 {
    (value & 0xffff) as u16
}

impl Mt7530 {
    /// One transfer on the wire.
    pub(super) fn transfer(&mut self, transfer: Transfer) -> u16 {
        match transfer {
            Transfer::Read(at) | Transfer::Poll { at, .. } => self.read16(at),
            Transfer::Write(at, value) => {
                self.write16(at, value);
                value
            }
        }
    }

    fn read16(&mut self, at: Address) -> u16 {
        match (at.phy(), at.register()) {
            (SWITCH, PAGE) => self.front.page,
            (SWITCH, HIGH) => match self.options.high_half {
                HighHalf::Latched => self.front.read.1,
                HighHalf::Live => high(self.read32(self.front.read.0)),
            },
            (SWITCH, number) if number < HIGH => {
                let register = self.front.register(number);
                let value = self.read32(register);
                self.front.read = (register, high(value));
                low(value)
            }
            (phy, _) if phy < PHYS => self.front.phys.get(&at).copied().unwrap_or_default(),
            _ => 0xffff,
        }
    }

    fn write16(&mut self, at: Address, value: u16) {
        match (at.phy(), at.register()) {
            (SWITCH, PAGE) => self.front.page = value,
            (SWITCH, HIGH) => {
                let (register, low) = self.front.written;
                self.write32(register, u32::from(value) << 16 | u32::from(low));
            }
            (SWITCH, number) if number < HIGH => {
                self.front.written = (self.front.register(number), value);
            }
            (phy, _) if phy < PHYS => {
                self.front.phys.insert(at, value);
            }
            _ => {}
        }
    }

    fn read32(&mut self, register: u32) -> u32 {
        match register {
            0x0074..=0x008c => self.addresses.read(register, &self.options),
            0x0090..=0x0098 => self.tables.read(register, &self.options),
            0x4000..=0x46ff => self.counters.read(register, self.options.octets_a_read),
            0x7000 => 0,
            0x7ffc => 0x7530_0000 | u32::from(self.options.revision & 0xf),
            _ => self.registers.get(register),
        }
    }

    fn write32(&mut self, register: u32, value: u32) {
        match register {
            0x0074..=0x008c => self.addresses.write(register, value, &self.options),
            0x0090..=0x0098 => self.tables.write(register, value, &self.options),
            0x4fe0 => {
                self.registers.set(register, value);
                self.counters.control(value);
            }
            // Switch and register reset; that of the PHYs is of no concern here.
            0x7000 if value & 3 != 0 => self.clear(),
            0x7000 | 0x7ffc | 0x7800 | 0x4000..=0x46ff => {}
            _ => self.registers.set(register, value),
        }
    }
}
