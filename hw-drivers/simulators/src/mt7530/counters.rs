// SPDX-License-Identifier: GPL-2.0-or-later
//! The MIB counters of the ports.

use super::PORTS;

/// 32-bit words of a port's counters, from 0x4000 + 0x100 * port.
const WORDS: usize = 0x40;

/// Offsets of the octet counters, two words each.
const TX_OCTETS: u32 = 0x48;
const RX_OCTETS: u32 = 0xa8;

#[derive(Debug, Clone)]
pub(super) struct Counters {
    words: Vec<[u32; WORDS]>,
    enabled: bool,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { words: vec![[0; WORDS]; usize::from(PORTS)], enabled: false }
    }
}

/// Direction of a frame as the port sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Rx,
    Tx,
}

impl Counters {
    /// The control register is written: without the enabling bit all counters go to 0.
    pub(super) fn control(&mut self, value: u32) {
        self.enabled = value & 1 << 31 != 0;
        if !self.enabled {
            self.words = Counters::default().words;
        }
    }

    fn word(&mut self, port: u8, offset: u32) -> Option<&mut u32> {
        self.words.get_mut(usize::from(port))?.get_mut((offset >> 2) as usize)
    }

    pub(super) fn read(&mut self, register: u32, octets_a_read: u32) -> u32 {
        let port = (register >> 8 & 0xf) as u8;
        let offset = register & 0xfc;
        let value = self.word(port, offset).copied().unwrap_or_default();
        let octets = [TX_OCTETS, TX_OCTETS + 4, RX_OCTETS, RX_OCTETS + 4];
        if octets.contains(&offset) {
            let base = if offset < RX_OCTETS { TX_OCTETS } else { RX_OCTETS };
            self.add_octets(port, base, octets_a_read);
        }
        value
    }

    fn add_octets(&mut self, port: u8, base: u32, octets: u32) {
        let Some(low) = self.word(port, base) else { return };
        let (sum, carry) = low.overflowing_add(octets);
        *low = sum;
        if carry {
            self.count(port, base + 4);
        }
    }

    pub(super) fn set(&mut self, port: u8, offset: u32, value: u32) {
        if let Some(word) = self.word(port, offset) {
            *word = value;
        }
    }

    fn count(&mut self, port: u8, offset: u32) {
        if let Some(word) = self.word(port, offset) {
            *word = word.wrapping_add(1);
        }
    }

    /// A frame that the ACL or the forwarding has stopped: RxFiltering.
    pub(super) fn filtered(&mut self, port: u8) {
        if self.enabled {
            self.count(port, 0x64);
        }
    }

    /// A frame has come in or gone out; `bytes` are without the checksum, which counts here.
    pub(super) fn frame(&mut self, way: Way, port: u8, bytes: &[u8]) {
        if !self.enabled {
            return;
        }
        let length = bytes.len().saturating_add(4).max(64);
        let class = match length {
            0..=64 => 0,
            65..=127 => 1,
            128..=255 => 2,
            256..=511 => 3,
            512..=1023 => 4,
            _ => 5,
        };
        let cast = match bytes.first_chunk::<6>() {
            Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => 8,
            Some([first, ..]) if first & 1 != 0 => 4,
            _ => 0,
        };
        let (casts, classes, octets) = match way {
            Way::Tx => (0x08, 0x30, TX_OCTETS),
            Way::Rx => (0x68, 0x90, RX_OCTETS),
        };
        self.count(port, casts + cast);
        self.count(port, classes + 4 * class);
        self.add_octets(port, octets, u32::try_from(length).unwrap_or(u32::MAX));
    }
}
