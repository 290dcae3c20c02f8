// SPDX-License-Identifier: GPL-2.0-or-later
//! A chip small enough to be seen through: a page register, a control register that the kernel's
//! driver uses too, and a table of directed flows in buckets behind a command register.

use hw_drivers::bus::execute::{execute, Transfer};
use hw_drivers::bus::{Address, Bus, Error, Outcome, Transaction};
use hw_simulators::frame::{Frame, Link};
use hw_simulators::{Chip, Out};
use std::time::Duration;

/// Where the page is chosen.
pub const PAGE: Address = Address::truncated(0x1e, 0);
/// Device of the window; page 0 shows the registers below, page 1 the words of an entry.
pub const WINDOW: u32 = 0x1f;
/// Page 0: what the chip is.
pub const IDENTITY: u32 = 0;
/// Page 0: bit 0 lets the table forward; bits 15:8 are the kernel's.
pub const CONTROL: u32 = 1;
/// Page 1: bit 15 busy and start, bit 14 it went well, 11:8 the command, 7:0 the slot.
pub const COMMAND: u32 = 31;
/// What [`IDENTITY`] holds.
pub const MODEL: u16 = 0x4d43;
/// Words of an entry.
pub const WORDS: usize = 25;
/// Slots of the table, for one direction each.
pub const SLOTS: usize = 128;
/// The port towards the processor. The others are 1 to 4, 4 with VLAN 2 and the others with 1.
pub const CPU: u8 = 0;

/// An entry: word 0 has bit 15 valid, 14 hit, 0 UDP, 1 tagged in, 2 tagged out, 7:4 the port out;
/// then addresses and ports before (6) and after (6), MAC addresses to and from (3 each), VLAN
/// out, the router's MAC address (3), VLAN in, the MTU out.
pub type Words = [u16; WORDS];

/// Valid.
pub const VALID: u16 = 0x8000;
/// Met by a packet.
pub const HIT: u16 = 0x4000;

/// What nobody would have confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Reads that show the command register busy.
    pub busy: u32,
    /// Slots of a bucket.
    pub ways: usize,
    /// An entry added twice is there once, and not refused.
    pub override_same: bool,
}

/// The chip.
#[derive(Debug, Clone)]
pub struct ModelChip {
    options: Options,
    pub page: u16,
    pub control: u16,
    words: Words,
    command: u16,
    busy: u32,
    pub table: [Words; SLOTS],
}

impl ModelChip {
    pub fn new(options: Options) -> ModelChip {
        ModelChip {
            options,
            page: 0,
            control: 0,
            words: [0; WORDS],
            command: 0,
            busy: 0,
            table: [[0; WORDS]; SLOTS],
        }
    }

    fn read(&mut self, at: Address) -> u16 {
        if at == PAGE {
            return self.page;
        }
        if u32::from(at.phy()) != WINDOW {
            return 0xffff;
        }
        match (self.page, u32::from(at.register())) {
            (0, IDENTITY) => MODEL,
            (0, CONTROL) => self.control,
            (1, COMMAND) if self.busy > 0 => {
                self.busy -= 1;
                self.command | 0x8000
            }
            (1, COMMAND) => self.command,
            (1, word) => self.words.get(word as usize).copied().unwrap_or(0),
            _ => 0,
        }
    }

    fn write(&mut self, at: Address, value: u16) {
        if at == PAGE {
            self.page = value & 0xff;
        } else if u32::from(at.phy()) == WINDOW {
            match (self.page, u32::from(at.register())) {
                (0, CONTROL) => self.control = value,
                (1, COMMAND) if value & 0x8000 != 0 && self.busy == 0 => self.execute(value),
                (1, word) => {
                    if let Some(place) = self.words.get_mut(word as usize) {
                        *place = value;
                    }
                }
                _ => {}
            }
        }
    }

    fn execute(&mut self, command: u16) {
        self.busy = self.options.busy;
        let key = key(&self.words);
        let found =
            self.table.iter().position(|words| words[0] & VALID != 0 && self::key(words) == key);
        let slot = match command >> 8 & 0xf {
            1 => match found {
                Some(slot) => self.options.override_same.then_some(slot),
                None => self.bucket(&key).find(|slot| self.table[*slot][0] & VALID == 0),
            },
            4 => {
                self.table = [[0; WORDS]; SLOTS];
                Some(0)
            }
            _ => found,
        };
        self.command = command & 0x0f00;
        if let Some(slot) = slot {
            self.command |= 0x4000 | slot as u16;
            match command >> 8 & 0xf {
                1 => {
                    self.table[slot] = self.words;
                    self.table[slot][0] |= VALID;
                }
                2 => self.table[slot] = [0; WORDS],
                3 => self.words = self.table[slot],
                5 => self.table[slot][0] &= !HIT,
                _ => {}
            }
        }
    }

    fn bucket(&self, key: &[u16; 7]) -> std::ops::Range<usize> {
        let buckets = SLOTS / self.options.ways;
        let sum = key.iter().fold(0_u32, |sum, word| {
            (sum ^ u32::from(*word)).wrapping_mul(0x9e37_79b1).rotate_left(7)
        });
        let first = sum as usize % buckets * self.options.ways;
        first..first + self.options.ways
    }

    /// The frame as it leaves and its port, if an entry is met.
    fn forward(&mut self, port: u8, bytes: &[u8]) -> Option<(u8, Vec<u8>)> {
        let mut frame = Frame::parse(bytes)?;
        let packet = &frame.packet;
        let vlan = *frame.tags.first().unwrap_or(&if port == 4 { 2 } else { 1 });
        let router = words_of_mac(frame.destination.0);
        let flags = packet.flags;
        let odd = flags.syn || flags.fin || flags.rst || packet.fragment || packet.options;
        if self.control & 1 == 0 || odd || packet.ttl < 2 || packet.is_v6() || frame.pppoe.is_some()
        {
            return None;
        }
        let mut key = vec![u16::from(packet.protocol == hw_drivers::flow::Protocol::Udp)];
        for socket in [packet.source, packet.destination] {
            let std::net::IpAddr::V4(address) = socket.ip() else { return None };
            let address = u32::from(address);
            key.extend([(address >> 16) as u16, address as u16, socket.port()]);
        }
        let tagged = !frame.tags.is_empty();
        let entry = self.table.iter_mut().find(|words| {
            words[0] & VALID != 0
                && self::key(words)[..] == key[..]
                && words[20..23] == router
                && words[23] == vlan
                && (words[0] & 2 != 0) == tagged
                && bytes.len() - 14 - frame.tags.len() * 4 <= usize::from(words[24])
        })?;
        entry[0] |= HIT;
        let socket = |at: usize| {
            let [high, low, port] = [entry[at], entry[at + 1], entry[at + 2]];
            let address = u32::from(high) << 16 | u32::from(low);
            std::net::SocketAddr::new(std::net::Ipv4Addr::from(address).into(), port)
        };
        frame.packet.source = socket(7);
        frame.packet.destination = socket(10);
        frame.packet.ttl -= 1;
        frame.destination = mac_of_words(&entry[13..16]);
        frame.source = mac_of_words(&entry[16..19]);
        frame.tags = if entry[0] & 4 != 0 { vec![entry[19]] } else { vec![] };
        Some(((entry[0] >> 4 & 0xf) as u8, frame.emit()))
    }
}

/// Protocol, addresses and ports of an entry.
pub fn key(words: &Words) -> [u16; 7] {
    let mut key = [0; 7];
    key[0] = words[0] & 1;
    key[1..].copy_from_slice(&words[1..7]);
    key
}

/// A MAC address as words.
pub fn words_of_mac(mac: [u8; 6]) -> [u16; 3] {
    let [a, b, c, d, e, f] = mac;
    [[a, b], [c, d], [e, f]].map(u16::from_be_bytes)
}

fn mac_of_words(words: &[u16]) -> hw_drivers::flow::Mac {
    let mut mac = [0; 6];
    for (bytes, word) in mac.chunks_mut(2).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hw_drivers::flow::Mac(mac)
}

impl Bus for ModelChip {
    fn atomic(&self) -> bool {
        true
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        execute(transaction, |transfer| {
            Ok(match transfer {
                Transfer::Read(at) | Transfer::Poll { at, .. } => self.read(at),
                Transfer::Write(at, value) => {
                    self.write(at, value);
                    value
                }
            })
        })
    }
}

impl Chip for ModelChip {
    fn cpu_port(&self) -> u8 {
        CPU
    }

    fn receive(&mut self, port: u8, bytes: &[u8]) -> Vec<Out> {
        if Link::parse(bytes).is_none() {
            return Vec::new();
        }
        let (port, bytes) = self.forward(port, bytes).unwrap_or((CPU, bytes.to_vec()));
        vec![Out { port, bytes }]
    }

    fn pass(&mut self, _: Duration) {}

    fn reset(&mut self) {
        *self = ModelChip::new(self.options.clone());
    }
}
