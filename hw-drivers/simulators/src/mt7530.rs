// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7530 switch: its registers behind MDIO device 0x1f, its tables, and what it does to a
//! frame: classification by its ACL, then forwarding by MAC address, VLAN and port matrix.
//!
//! After a reset it forwards like a switch without an owner: every port to every other one, with
//! learning. What the real chip does then is not public; drivers do not depend on it. The special
//! tag of the CPU port, the trTCM meters' effect, mirroring and egress queues' scheduling are not
//! simulated.

mod access;
mod acl;
mod address_table;
mod counters;
mod forward;
mod kernel;
mod options;
mod registers;
mod tables;
#[cfg(test)]
mod tests;
mod view;

pub use access::Front;
pub use forward::{Departure, Loss, Observation};
pub use kernel::{Change, Grain};
pub use options::{HighHalf, Options, Precedence, Sampled, Words};
pub use tables::Table;

use crate::{Chip, Out};
use hw_drivers::bus::execute::execute;
use hw_drivers::bus::{Bus, Error, Outcome, Transaction};
use std::time::Duration;

/// Ports 0 to 4 are sockets, 5 is a second MAC, 6 is the processor's.
pub const PORTS: u8 = 7;

/// The processor's port.
pub const CPU: u8 = 6;

/// The switch.
#[derive(Debug, Clone)]
pub struct Mt7530 {
    options: Options,
    front: Front,
    registers: registers::Registers,
    tables: tables::Tables,
    addresses: address_table::AddressTable,
    counters: counters::Counters,
    limiters: acl::Limiters,
    kernel: kernel::Kernel,
    transactions: u32,
    transfers: u32,
}

impl Mt7530 {
    /// A switch after power-on.
    pub fn new(options: Options) -> Mt7530 {
        Mt7530 {
            options,
            front: Front::default(),
            registers: registers::Registers::new(),
            tables: tables::Tables::new(),
            addresses: address_table::AddressTable::new(),
            counters: counters::Counters::default(),
            limiters: acl::Limiters::default(),
            kernel: kernel::Kernel::default(),
            transactions: 0,
            transfers: 0,
        }
    }

    /// What is chosen where nothing public says.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes the options of a running switch.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// A register as it is, without the bus.
    pub fn peek(&self, register: u32) -> u32 {
        self.registers.get(register)
    }

    /// Sets a register without the bus. Command registers do not start anything by it.
    pub fn poke(&mut self, register: u32, value: u32) {
        self.registers.set(register, value);
    }

    /// The two words of a table's entry; 0 beyond its end.
    pub fn entry(&self, table: Table, index: u16) -> [u32; 2] {
        self.tables.get(table, index)
    }

    /// Sets an entry without the bus.
    pub fn set_entry(&mut self, table: Table, index: u16, words: [u32; 2]) {
        self.tables.set(table, index, words);
    }

    /// Commands written while the one before was not finished, of all command registers. What the
    /// chip does then is not public, so a driver has to avoid it.
    pub fn overrun(&self) -> u32 {
        self.tables.overrun().saturating_add(self.addresses.overrun())
    }

    /// Transactions so far, those of single transfers included.
    pub fn transactions(&self) -> u32 {
        self.transactions
    }

    /// Transfers so far, without those of the kernel's driver.
    pub fn transfers(&self) -> u32 {
        self.transfers
    }
}

impl Bus for Mt7530 {
    /// True unless the kernel's driver is let in between transfers.
    fn atomic(&self) -> bool {
        !self.kernel.between_transfers()
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        self.let_kernel_in(Grain::Transaction, self.transactions);
        self.transactions = self.transactions.wrapping_add(1);
        execute(transaction, |transfer| {
            self.let_kernel_in(Grain::Transfer, self.transfers);
            self.transfers = self.transfers.wrapping_add(1);
            Ok(self.transfer(transfer))
        })
    }
}

impl Chip for Mt7530 {
    fn cpu_port(&self) -> u8 {
        CPU
    }

    fn receive(&mut self, port: u8, frame: &[u8]) -> Vec<Out> {
        let Observation { departures, .. } = self.observe(port, frame);
        departures.into_iter().map(|Departure { port, bytes, .. }| Out { port, bytes }).collect()
    }

    fn pass(&mut self, time: Duration) {
        let age = self.registers.age_time();
        self.addresses.pass(time, age);
        self.limiters.pass(time);
    }

    fn reset(&mut self) {
        self.front = Front::default();
        self.clear();
    }
}

impl Mt7530 {
    /// Registers and tables as after power-on, which SYS_CTRL does too.
    pub(crate) fn clear(&mut self) {
        self.registers = registers::Registers::new();
        self.tables = tables::Tables::new();
        self.addresses = address_table::AddressTable::new();
        self.counters = counters::Counters::default();
        self.limiters = acl::Limiters::default();
    }
}
