// SPDX-License-Identifier: GPL-2.0-or-later
//! The QCA8337 and AR8327 switches: registers behind paged MDIO, and the router and NAT engine
//! that they control.
//!
//! Written from a sheet of facts about the chips, which has them from the vendor's SDK, Linux and
//! OpenWrt, and never from the driver. What the sheet could not confirm is in [`Options`]. Layer 2
//! is as Linux' qca8k leaves it, so a frame that the engine does not take gets to the processor.

mod acl;
mod ageing;
mod counters;
mod direct;
mod engine;
mod forward;
mod host;
mod mdio;
mod napt;
mod options;
mod packet;
mod registers;
mod store;
mod tamper;
mod view;

#[cfg(test)]
mod tests;

pub use napt::Action;
pub use options::{
    AgedOut, Bypass, CounterMemory, Duplicate, Ingress, KernelDriver, Latch, Layer2, Learning,
    Lock, MemberFilter, Model, NaptKey, Next, Options, ZeroAge, PORTS,
};
pub use view::{HostEntry, NaptEntry, NatEntry};

use crate::{Chip, Out};
use counters::Counters;
use engine::{Context, Engine, Tables};
use hw_drivers::bus::execute::{execute, Transfer};
use hw_drivers::bus::{Address, Bus, Error, Outcome, Transaction};
use hw_drivers::flow::Mac;
use mdio::{FrontEnd, Target, ABSENT};
use registers::{self as reg, Registers};
use std::collections::BTreeMap;
use std::time::Duration;

/// The port towards the processor.
const CPU: u8 = 0;

/// Registers 2 and 3 of the PHYs inside: identifier 0x004dd036, and 0x004dd034 of the AR8327.
const PHY_IDENTIFIER: u16 = 0x004d;

/// What somebody else does on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// One transfer.
    Transfer(Transfer),
    /// The kernel's driver reads a register; the value is kept for
    /// [`Qca8337::kernel_values`].
    Read(u32),
    /// The kernel's driver writes a register.
    Write(u32, u32),
}

/// The chip, and the bus that it is on.
#[derive(Debug, Clone)]
pub struct Qca8337 {
    options: Options,
    front: FrontEnd,
    registers: Registers,
    phys: BTreeMap<(u8, u8), u16>,
    engine: Engine,
    tables: Tables,
    counters: Counters,
    /// Where stations are, by VLAN.
    stations: BTreeMap<(u16, Mac), u8>,
    now: Duration,
    transfers: u32,
    /// What others are about to do, before the transfer of this number.
    planned: Vec<(u32, Foreign)>,
    /// The page that the kernel's driver believes in force.
    kernel_page: Option<u16>,
    kernel_values: Vec<(u32, u32)>,
}

impl Default for Qca8337 {
    fn default() -> Qca8337 {
        Qca8337::new(Options::default())
    }
}

impl Qca8337 {
    /// A chip after power-on, with layer 2 set up by the kernel.
    pub fn new(options: Options) -> Qca8337 {
        Qca8337 {
            front: FrontEnd::default(),
            registers: Registers::powered_on(&options),
            phys: BTreeMap::new(),
            engine: Engine::new(&options),
            tables: Tables::new(&options),
            counters: Counters::default(),
            stations: BTreeMap::new(),
            now: Duration::ZERO,
            transfers: 0,
            planned: Vec::new(),
            kernel_page: None,
            kernel_values: Vec::new(),
            options,
        }
    }

    /// Plans what somebody else does before the transfer of this number, counted from 0 over all
    /// transactions; others' transfers do not count. If the lock is held for whole transactions
    /// it is done after the one that the transfer is in.
    pub fn plan(&mut self, transfer: u32, foreign: Foreign) {
        self.planned.push((transfer, foreign));
    }

    /// The kernel's driver reads a register, writing the page as it is its habit.
    pub fn kernel_read(&mut self, register: u32) -> u32 {
        let [low, high] = self.kernel_select(register);
        let low = self.read(low);
        u32::from(self.read(high)) << 16 | u32::from(low)
    }

    /// The kernel's driver writes a register.
    pub fn kernel_write(&mut self, register: u32, value: u32) {
        let [low, high] = self.kernel_select(register);
        let (upper, lower) = napt::halves(value);
        self.write(low, lower);
        self.write(high, upper);
    }

    /// The kernel's driver is bound again: it sets up layer 2 and switches everything else off in
    /// MOD_ENABLE, and leaves the tables alone. What it believes of the page it has forgotten.
    pub fn kernel_binds(&mut self) {
        self.registers.bring_up(&self.options);
        self.kernel_page = None;
    }

    /// Registers that planned reads were for, and what they gave.
    pub fn kernel_values(&self) -> &[(u32, u32)] {
        &self.kernel_values
    }

    /// The halves of a register, once the page is right or believed to be.
    fn kernel_select(&mut self, register: u32) -> [Address; 2] {
        let page = napt::halves(register >> 9).1;
        let skips = self.options.kernel == KernelDriver::Qca8k && self.kernel_page == Some(page);
        if !skips {
            self.write(Address::truncated(0x18, 0), page);
            // It waits until the page has settled.
            for _ in 0..self.options.page_settles {
                self.read(Address::truncated(0, 2));
            }
            self.kernel_page = Some(page);
        }
        let half = register >> 1 & 0x1e;
        let device = 0x10 | register >> 6 & 7;
        [Address::truncated(device, half), Address::truncated(device, half | 1)]
    }

    /// What others wanted to do up to now.
    fn intrude(&mut self) {
        while let Some(at) = self.planned.iter().position(|(at, _)| *at <= self.transfers) {
            match self.planned.remove(at).1 {
                Foreign::Transfer(transfer) => {
                    self.transfer(transfer);
                }
                Foreign::Read(register) => {
                    let value = self.kernel_read(register);
                    self.kernel_values.push((register, value));
                }
                Foreign::Write(register, value) => self.kernel_write(register, value),
            }
        }
    }

    fn transfer(&mut self, transfer: Transfer) -> u16 {
        match transfer {
            Transfer::Read(at) | Transfer::Poll { at, .. } => self.read(at),
            Transfer::Write(at, value) => {
                self.write(at, value);
                value
            }
        }
    }

    fn read(&mut self, at: Address) -> u16 {
        match self.front.target(at) {
            Target::Page => self.front.read_page(&self.options),
            Target::Phy { device, register } => self.read_phy(device, register),
            Target::Half { register, high } => self.read_half(register, high),
            Target::Nobody => ABSENT,
        }
    }

    fn write(&mut self, at: Address, value: u16) {
        match self.front.target(at) {
            Target::Page => self.front.write_page(value, &self.options),
            Target::Phy { device, register } => {
                if !self.phys_are_hidden() {
                    self.phys.insert((device, register), value);
                }
            }
            Target::Half { register, high: false } => self.front.latch(register, value),
            Target::Half { register, high: true } => {
                let present = self.register(register);
                let word = self.front.join(register, value, present, &self.options);
                self.set_register(register, word);
            }
            Target::Nobody => {}
        }
    }

    fn phys_are_hidden(&self) -> bool {
        self.registers.has(reg::MDIO_MASTER, reg::MDIO_MASTER_EN)
    }

    fn read_phy(&self, device: u8, register: u8) -> u16 {
        match (register, self.options.model) {
            _ if self.phys_are_hidden() => ABSENT,
            (2, _) => PHY_IDENTIFIER,
            (3, Model::Qca8337) => 0xd036,
            (3, Model::Ar8327) => 0xd034,
            _ => self.phys.get(&(device, register)).copied().unwrap_or(0),
        }
    }

    fn read_half(&mut self, register: u32, high: bool) -> u16 {
        let Qca8337 { engine, options, registers, tables, now, .. } = self;
        let mut context = Context { options, registers, tables, now: *now };
        let word = match register {
            reg::COMMAND if high => return engine.read_high(&mut context),
            reg::COMMAND => return engine.read_low(&mut context),
            reg::COUNTERS..reg::COUNTERS_END => self.counters.read(register, high, &self.options),
            _ => self.register(register),
        };
        let (upper, lower) = napt::halves(word);
        if high {
            upper
        } else {
            lower
        }
    }

    /// A register as it is, which a read through the bus may change.
    pub fn register(&self, register: u32) -> u32 {
        match (register, self.data_word(register)) {
            (_, Some(index)) => self.engine.words.get(index).copied().unwrap_or(0),
            (reg::MASK_CTL, _) => {
                let [device, revision] = [self.options.device, self.options.revision];
                u32::from(device) << 8 | u32::from(revision)
            }
            (reg::NAPT_USED_COUNT, _) => engine::used(&self.tables),
            (reg::COMMAND, _) => self.engine.peek(),
            (reg::COUNTERS..reg::COUNTERS_END, _) => self.counters.peek(register),
            _ => self.registers.get(register),
        }
    }

    /// A register is written, without the bus, with all that the write does. Identification and
    /// counts are not to be written.
    pub fn set_register(&mut self, register: u32, value: u32) {
        let data = self.data_word(register);
        let Qca8337 { engine, options, registers, tables, now, .. } = self;
        match (register, data) {
            (_, Some(index)) => {
                if let Some(word) = engine.words.get_mut(index) {
                    *word = value;
                }
            }
            (reg::MASK_CTL, _) if value & reg::SOFT_RST != 0 => self.power_on(),
            (reg::COMMAND, _) => {
                engine.write(value, &mut Context { options, registers, tables, now: *now });
            }
            (reg::POLICER_RESET, _) => counters::reset_policers(registers, value),
            _ => registers.set(register, value),
        }
    }

    /// Which data word a register is.
    fn data_word(&self, register: u32) -> Option<usize> {
        let (first, count) = reg::data_words(self.options.model);
        let offset = register.checked_sub(first)? / 4;
        (offset < count).then(|| usize::try_from(offset).ok()).flatten()
    }

    /// All as after power-on, but the clock, which is the world's, and what the kernel believes.
    fn power_on(&mut self) {
        self.registers = Registers::powered_on(&self.options);
        self.engine = Engine::new(&self.options);
        self.tables = Tables::new(&self.options);
        self.counters = Counters::default();
        self.stations.clear();
        self.phys.clear();
    }
}

impl Bus for Qca8337 {
    fn atomic(&self) -> bool {
        self.options.lock == Lock::Transaction
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        self.intrude();
        let result = execute(transaction, |transfer| {
            if self.options.lock == Lock::Transfer {
                self.intrude();
            }
            self.transfers = self.transfers.wrapping_add(1);
            Ok(self.transfer(transfer))
        });
        self.intrude();
        result
    }
}

impl Chip for Qca8337 {
    fn cpu_port(&self) -> u8 {
        CPU
    }

    fn receive(&mut self, port: u8, frame: &[u8]) -> Vec<Out> {
        self.forward(port, frame)
    }

    fn pass(&mut self, time: Duration) {
        if time.is_zero() {
            return;
        }
        let from = self.now;
        self.now += time;
        let Qca8337 { engine, options, registers, tables, now, .. } = self;
        engine.pass(&mut Context { options, registers, tables, now: from });
        ageing::pass(tables, registers, options, from, *now);
    }

    fn reset(&mut self) {
        self.power_on();
        self.front = FrontEnd::default();
        self.kernel_page = None;
    }
}
