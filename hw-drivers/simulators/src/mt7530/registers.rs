// SPDX-License-Identifier: GPL-2.0-or-later
//! Registers that only keep what is written, and the parts of them that forwarding looks at.

use super::PORTS;
use std::time::Duration;

/// Registers that a page can reach: ten bits of page, four of register, four bytes each.
const WORDS: usize = 0x4000;

/// State of a port in a forwarding database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stp {
    Disabled,
    Blocking,
    Learning,
    Forwarding,
}

/// How a port looks at VLANs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Matrix,
    Fallback,
    Check,
    Security,
}

#[derive(Debug, Clone)]
pub(super) struct Registers {
    words: Vec<u32>,
}

impl Registers {
    pub(super) fn new() -> Registers {
        let mut registers = Registers { words: vec![0; WORDS] };
        registers.set(0x7800, 0x0000_0600); // straps: 25 MHz crystal
        registers.set(0x0010, 0xffff_ff00); // flood everywhere
        registers.set(0x00a0, 149 << 12 | 1); // 150 times 2 s
                                              // Weights 1 to 6 from ACL to ARL: ACL is the last to be asked.
        registers.set(0x0044, 0x0065_4321);
        for pair in 0..4u32 {
            registers.set(0x0048 + 4 * pair, (2 * pair) << 8 | (2 * pair + 1) << 24);
        }
        for code in 0..64u32 {
            let (register, shift) = (0x0058 + 4 * (code / 10), 3 * (code % 10));
            registers.set(register, registers.get(register) | (code >> 3) << shift);
        }
        for port in 0..u32::from(PORTS) {
            registers.set(0x2000 + 0x100 * port, 0xffff);
            registers.set(0x2004 + 0x100 * port, 0x00ff_0000);
            registers.set(0x2010 + 0x100 * port, 0x8100_0000);
            registers.set(0x2014 + 0x100 * port, 1);
        }
        registers
    }

    pub(super) fn get(&self, register: u32) -> u32 {
        self.words.get((register >> 2) as usize).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, register: u32, value: u32) {
        if let Some(word) = self.words.get_mut((register >> 2) as usize) {
            *word = value;
        }
    }

    fn of_port(&self, base: u32, port: u8) -> u32 {
        self.get(base + 0x100 * u32::from(port))
    }

    pub(super) fn stp(&self, port: u8, fid: u8) -> Stp {
        match self.of_port(0x2000, port) >> (2 * (fid & 7)) & 3 {
            0 => Stp::Disabled,
            1 => Stp::Blocking,
            2 => Stp::Learning,
            _ => Stp::Forwarding,
        }
    }

    pub(super) fn mode(&self, port: u8) -> Mode {
        match self.of_port(0x2004, port) & 3 {
            0 => Mode::Matrix,
            1 => Mode::Fallback,
            2 => Mode::Check,
            _ => Mode::Security,
        }
    }

    pub(super) fn acl(&self, port: u8) -> bool {
        self.of_port(0x2004, port) & 1 << 10 != 0
    }

    pub(super) fn matrix(&self, port: u8) -> u8 {
        (self.of_port(0x2004, port) >> 16) as u8
    }

    pub(super) fn learns(&self, port: u8) -> bool {
        self.of_port(0x200c, port) & 1 << 4 == 0
    }

    pub(super) fn pvid(&self, port: u8) -> u16 {
        (self.of_port(0x2014, port) & 0xfff) as u16
    }

    pub(super) fn port_priority(&self, port: u8) -> u8 {
        (self.of_port(0x2004, port) >> 24 & 7) as u8
    }

    /// Floods broadcast, unknown multicast, unknown unicast.
    pub(super) fn floods(&self) -> [u8; 3] {
        let [broadcast, multicast, unicast, _] = self.get(0x0010).to_be_bytes();
        [broadcast, multicast, unicast]
    }

    /// Weight of a source of priority, 0 for ACL to 5 for ARL.
    pub(super) fn weight(&self, source: u32) -> u32 {
        self.get(0x0044) >> (4 * source) & 7
    }

    pub(super) fn dscp_priority(&self, code: u8) -> u8 {
        let code = u32::from(code);
        (self.get(0x0058 + 4 * (code / 10)) >> (3 * (code % 10)) & 7) as u8
    }

    pub(super) fn queue(&self, priority: u8) -> u8 {
        let word = self.get(0x0048 + 4 * u32::from(priority >> 1 & 3));
        (word >> if priority & 1 == 0 { 8 } else { 24 } & 7) as u8
    }

    /// After this time without a frame an address is forgotten; `None` for never.
    pub(super) fn age_time(&self) -> Option<Duration> {
        let control = self.get(0x00a0);
        let seconds = ((control >> 12 & 0xff) + 1) * ((control & 0xfff) + 1);
        (control & 1 << 20 == 0).then(|| Duration::from_secs(u64::from(seconds)))
    }
}
