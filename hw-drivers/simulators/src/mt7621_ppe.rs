// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7621's packet engine.
//!
//! Registers and table are memory ([`Memory`]); ports are the frame engine's: 0 the processor, 1
//! and 2 the two MACs (GDM1, GDM2). Frames of a switch behind GDM1 carry its tag. A frame that
//! comes in from the processor passes the engine by and leaves by a port that only the transmit
//! descriptor knows: it is not modelled, and nothing comes out.

mod ageing;
mod cache;
mod debugfs;
mod entry;
mod kernel;
mod key;
mod lookup;
mod packet;
mod registers;
mod rewrite;
mod store;

use crate::{Chip, Out, Shared};
use hw_drivers::mt7621_ppe::memory::Memory;
use std::collections::BTreeMap;
use std::time::Duration;

pub use entry::Words;
pub use kernel::Event;

/// Where the kernel has allocated the table.
const PHYSICAL: u32 = 0x0e10_0000;

/// When the engine sees that memory has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheModel {
    /// It holds sixteen entries until its cache is cleared.
    SixteenLines,
    /// At once.
    None,
}

/// What no public source confirms.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cache.
    pub cache: CacheModel,
    /// A hit writes all of word 0 as the engine has it in its cache, also over what software has
    /// changed meanwhile; else only the time and the count, of an entry in the same state.
    pub writes_whole_word: bool,
    /// An entry over a multiple of 1024 bytes is read wrongly.
    pub crossing_breaks: bool,
    /// The odd way is looked at, and gets a new entry, before the even one.
    pub upper_way_first: bool,
    /// Frames in a PPPoE session are as long as they are, for the limit; else 8 bytes less.
    pub mtu_counts_pppoe: bool,
    /// Reading a counter of an account group clears it.
    pub account_clears: bool,
    /// What the engine adds to the hash that the sheet does not know (a seed).
    pub twist: u32,
    /// Stores between barriers arrive in an order made from this seed; `None` for at once.
    pub unordered: Option<u64>,
    /// Behind GDM1 is a switch whose frames carry its tag.
    pub switch_on_gdm1: bool,
    /// The router's MAC addresses on GDM1 and GDM2.
    pub macs: [[u8; 6]; 2],
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cache: CacheModel::SixteenLines,
            writes_whole_word: false,
            crossing_breaks: true,
            upper_way_first: false,
            mtu_counts_pppoe: true,
            account_clears: false,
            twist: 0,
            unordered: None,
            switch_on_gdm1: false,
            macs: [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]],
        }
    }
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It left, rewritten.
    Forwarded {
        /// The entry.
        index: usize,
        /// The port of the frame engine.
        port: u8,
        /// As it left.
        frame: Vec<u8>,
    },
    /// It went to the processor as it was.
    ToCpu {
        /// The entry in the receive descriptor.
        index: Option<usize>,
        /// The reason there (sheet, section 2).
        reason: u8,
    },
    /// It is gone.
    Dropped,
}

/// The engine, with the two MACs in front of it.
#[derive(Debug, Clone)]
pub struct Mt7621Ppe {
    options: Options,
    registers: registers::Registers,
    store: store::Store,
    cache: cache::Cache,
    /// Seconds, 16 bits.
    seconds: u32,
    fraction: Duration,
    /// Packets of unbound entries in a second.
    rates: BTreeMap<usize, (u32, u32)>,
    between: kernel::Between,
}

impl Mt7621Ppe {
    /// The chip after power-on.
    pub fn new(options: Options) -> Mt7621Ppe {
        let store = store::Store::new(options.unordered);
        Mt7621Ppe {
            options,
            registers: registers::Registers::default(),
            store,
            cache: cache::Cache::default(),
            seconds: 0,
            fraction: Duration::ZERO,
            rates: BTreeMap::new(),
            between: kernel::Between::default(),
        }
    }

    /// The chip as Linux has set it up.
    pub fn started(options: Options) -> Mt7621Ppe {
        let mut chip = Mt7621Ppe::new(options);
        chip.start_as_kernel();
        chip
    }

    /// Sets the seconds since power-on; 16 bits of them count.
    pub fn set_seconds(&mut self, seconds: u16) {
        self.seconds = u32::from(seconds);
    }

    /// What becomes of a frame at port 1 or 2.
    pub fn verdict(&mut self, port: u8, frame: &[u8]) -> Verdict {
        let mac = usize::from(port == 2);
        let (Some(gdm), Some(own)) = (registers::GDM.get(mac), self.options.macs.get(mac)) else {
            return Verdict::Dropped;
        };
        // Nibbles: other, multicast, broadcast, unicast to the router.
        let nibble = match frame.get(..6) {
            None => return Verdict::Dropped,
            Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => 2,
            Some(to) if to == own => 3,
            Some([first, ..]) if first & 1 == 1 => 1,
            Some(_) => 0,
        };
        match self.registers.forward(*gdm, nibble) {
            4 => {
                let special = self.registers.get(*gdm) & registers::GDM_SPECIAL_TAG != 0;
                self.process(special, frame)
            }
            7 => Verdict::Dropped,
            _ => Verdict::ToCpu { index: None, reason: 0x1e },
        }
    }

    /// The words of an entry in memory.
    pub fn entry(&self, index: usize) -> Words {
        self.store.entry(index)
    }

    /// One word of an entry in memory.
    pub fn word(&self, index: usize, word: usize) -> u32 {
        self.store.memory(index.saturating_mul(entry::WORDS).saturating_add(word))
    }

    /// A register as it is, which a read of the driver's may change.
    pub fn register(&self, at: u32) -> u32 {
        match at {
            registers::TIME => self.seconds,
            _ => self.registers.get(at),
        }
    }

    /// A register is written by somebody else than the driver.
    pub fn set_register(&mut self, at: u32, value: u32) {
        self.registers.set(at, value);
    }

    /// Entries that are bound.
    pub fn bound_entries(&self) -> Vec<usize> {
        (0..entry::ENTRIES)
            .filter(|index| entry::state(self.store.memory(index * entry::WORDS)) == entry::BOUND)
            .collect()
    }
}

impl Chip for Mt7621Ppe {
    fn cpu_port(&self) -> u8 {
        0
    }

    fn receive(&mut self, port: u8, frame: &[u8]) -> Vec<Out> {
        if !matches!(port, 1 | 2) {
            return Vec::new();
        }
        match self.verdict(port, frame) {
            Verdict::Forwarded { port, frame, .. } => vec![Out { port, bytes: frame }],
            Verdict::ToCpu { .. } => vec![Out { port: 0, bytes: frame.to_vec() }],
            Verdict::Dropped => Vec::new(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.fraction = self.fraction.saturating_add(time);
        while let Some(rest) = self.fraction.checked_sub(Duration::from_secs(1)) {
            self.fraction = rest;
            self.tick();
        }
    }

    fn reset(&mut self) {
        *self = Mt7621Ppe::new(self.options.clone());
    }
}

impl Memory for Mt7621Ppe {
    fn read(&mut self, register: u32) -> u32 {
        self.access();
        let value = match register {
            registers::TIME => self.seconds,
            _ => self.registers.get(register),
        };
        let counter = (registers::ACCOUNT..registers::ACCOUNT_END).contains(&register);
        if counter && self.options.account_clears {
            self.registers.set(register, 0);
        }
        value
    }

    fn write(&mut self, register: u32, value: u32) {
        self.access();
        self.registers.set(register, value);
        if register == registers::CACHE_CTL && value & registers::CACHE_CLEAR != 0 {
            self.cache.clear();
        }
    }

    fn table(&self) -> u32 {
        PHYSICAL
    }

    fn read_word(&mut self, at: u32) -> u32 {
        self.access();
        self.store.read(at as usize / 4)
    }

    fn write_word(&mut self, at: u32, value: u32) {
        self.access();
        self.store.write(at as usize / 4, value);
    }

    fn barrier(&mut self) {
        self.access();
        self.store.barrier();
    }
}

impl<S: Memory> Memory for Shared<S> {
    fn read(&mut self, register: u32) -> u32 {
        self.with(|chip| chip.read(register))
    }

    fn write(&mut self, register: u32, value: u32) {
        self.with(|chip| chip.write(register, value));
    }

    fn table(&self) -> u32 {
        self.with(|chip| chip.table())
    }

    fn read_word(&mut self, at: u32) -> u32 {
        self.with(|chip| chip.read_word(at))
    }

    fn write_word(&mut self, at: u32, value: u32) {
        self.with(|chip| chip.write_word(at, value));
    }

    fn barrier(&mut self) {
        self.with(|chip| chip.barrier());
    }
}
