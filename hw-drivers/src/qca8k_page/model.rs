// SPDX-License-Identifier: GPL-2.0-or-later
//! The chip's side of the MDIO protocol, written from the address split and the order of halves that
//! the drivers of Linux, OpenWrt and the vendor agree on, and not from the translation: it goes the
//! other way, from page, device and MII register to the byte address. It stands for the protocol only; no register does anything.

use crate::bus::execute::{execute, Transfer};
use crate::bus::{Address, Bus, Error, Fault, Outcome, Transaction};
use std::collections::BTreeMap;

/// A chip that keeps what is written to it.
#[derive(Default)]
pub struct Chip {
    pub registers: BTreeMap<u32, u32>,
    pub page: u16,
    /// Low half of a write, waiting for its high half, with the register's byte address.
    pub latched: Option<(u32, u16)>,
    /// Whether the page register answers reads; if not, they give 0xffff.
    pub page_hidden: bool,
    /// Before the transfer of this number somebody else sets this page.
    pub foreign: Option<(usize, u16)>,
    /// Every transfer, in order.
    pub log: Vec<Transfer>,
}

impl Chip {
    /// Byte address and whether it is the high half; `None` outside the window.
    fn decode(&self, at: Address) -> Option<(u32, bool)> {
        let phy = u32::from(at.phy());
        let mii = u32::from(at.register());
        (0x10..0x18).contains(&phy).then(|| {
            let words = u32::from(self.page) * 256 + (phy - 0x10) * 32 + mii;
            ((words & !1) * 2, mii % 2 == 1)
        })
    }

    fn read(&self, at: Address) -> u16 {
        if at == Address::new(0x18, 0).unwrap() {
            return if self.page_hidden { 0xffff } else { self.page };
        }
        match self.decode(at) {
            Some((register, high)) => {
                let value = self.registers.get(&register).copied().unwrap_or(0);
                (if high { value >> 16 } else { value & 0xffff }) as u16
            }
            None => 0xffff,
        }
    }

    fn write(&mut self, at: Address, value: u16) {
        if at == Address::new(0x18, 0).unwrap() {
            self.page = value & 0x3ff;
            return;
        }
        match self.decode(at) {
            Some((register, false)) => self.latched = Some((register, value)),
            // The value takes effect with its high half. Without a low half before it for the
            // same register, the old one stays.
            Some((register, true)) => {
                let low = match self.latched.take() {
                    Some((latched, low)) if latched == register => u32::from(low),
                    _ => self.registers.get(&register).copied().unwrap_or(0) & 0xffff,
                };
                self.registers.insert(register, u32::from(value) << 16 | low);
            }
            None => {}
        }
    }

    fn transfer(&mut self, transfer: Transfer) -> Result<u16, Fault> {
        if let Some((number, page)) = self.foreign {
            if number == self.log.len() {
                self.page = page;
            }
        }
        self.log.push(transfer);
        Ok(match transfer {
            Transfer::Read(at) | Transfer::Poll { at, .. } => self.read(at),
            Transfer::Write(at, value) => {
                self.write(at, value);
                value
            }
        })
    }
}

impl Bus for Chip {
    fn atomic(&self) -> bool {
        self.foreign.is_none()
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        execute(transaction, |transfer| self.transfer(transfer))
    }
}
