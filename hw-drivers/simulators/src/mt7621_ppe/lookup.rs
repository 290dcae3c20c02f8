// SPDX-License-Identifier: GPL-2.0-or-later
//! The way of a packet through the engine (sheet, sections 2, 5 and 6).

use super::entry::{self, Words};
use super::key::Key;
use super::packet::Packet;
use super::registers as reg;
use super::rewrite::rewrite;
use super::{CacheModel, Mt7621Ppe, Verdict};

const OPTIONS: u8 = 0x03;
const NO_FLOW: u8 = 0x07;
const FRAGMENT: u8 = 0x08;
const TCP_FLAGS: u8 = 0x0c;
const UN_HIT: u8 = 0x0d;
const HIT_UNBOUND: u8 = 0x0e;
/// The processor may bind the flow now.
const RATE_REACHED: u8 = 0x0f;
const HIT_FIN: u8 = 0x10;
const TTL_EXCEEDED: u8 = 0x11;
const MTU: u8 = 0x1c;
const NOT_IP: u8 = 0x1f;

fn to_cpu(index: Option<usize>, reason: u8) -> Verdict {
    Verdict::ToCpu { index, reason }
}

impl Mt7621Ppe {
    /// What becomes of a frame of MAC `gdm` (0 or 1).
    pub(super) fn process(&mut self, special: bool, frame: &[u8]) -> Verdict {
        let global = self.registers.get(reg::GLO_CFG);
        if global & reg::EN == 0 {
            return to_cpu(None, NO_FLOW);
        }
        let Some(packet) = Packet::of(frame, special) else { return to_cpu(None, NOT_IP) };
        if global & reg::DROP_BAD_IP != 0 && !packet.header_right()
            || global & reg::DROP_BAD_L4 != 0 && !packet.l4_right()
            || global & reg::DROP_TTL_0 != 0 && packet.ttl == 0
        {
            return Verdict::Dropped;
        }
        if packet.options {
            return to_cpu(None, OPTIONS);
        }
        if packet.fragment {
            return to_cpu(None, FRAGMENT);
        }
        if !self.looks_up(&packet.key) {
            return to_cpu(None, NO_FLOW);
        }
        let bucket = packet.key.index(self.options.twist);
        for index in self.ways(bucket) {
            let words = self.look(index);
            match entry::state(words[0]) {
                entry::UNBOUND if packet.key.matches(&words) => {
                    return self.unbound(&packet, index, words);
                }
                entry::BOUND if packet.key.matches(&words) => {
                    return self.bound(&packet, index, words);
                }
                entry::FIN if packet.key.matches(&words) => return to_cpu(Some(index), HIT_FIN),
                _ => {}
            }
        }
        self.missed(&packet, bucket)
    }

    /// A bucket's entries in the order of the search.
    fn ways(&self, bucket: usize) -> [usize; 2] {
        if self.options.upper_way_first {
            [bucket | 1, bucket]
        } else {
            [bucket, bucket | 1]
        }
    }

    fn looks_up(&self, key: &Key) -> bool {
        let bit = match key.kind {
            entry::V4_FIVE => reg::V4_FIVE,
            entry::V4_THREE => reg::V4_THREE,
            entry::V6_FIVE => reg::V6_FIVE,
            _ => reg::V6_THREE,
        };
        self.registers.get(reg::FLOW_CFG) & bit != 0
    }

    /// An entry as the engine sees it.
    fn look(&mut self, index: usize) -> Words {
        self.store.leak();
        let cached = self.options.cache == CacheModel::SixteenLines
            && self.registers.get(reg::CACHE_CTL) & reg::CACHE_EN != 0;
        if let Some(words) = self.cache.get(index).filter(|_| cached) {
            return words;
        }
        let mut words = self.store.entry(index);
        if self.options.crossing_breaks && entry::crosses(index) {
            // The fetch does not leave the block of 1024 bytes: it goes on at its beginning.
            let begin = index * entry::WORDS;
            for (at, word) in (begin..).zip(words.iter_mut()) {
                if at / 256 != begin / 256 {
                    *word = self.store.memory(begin / 256 * 256 + at % 256);
                }
            }
        }
        if cached {
            self.cache.put(index, words);
        }
        words
    }

    /// The engine changes bits of word 0 of an entry that it holds as `words`.
    fn touch(&mut self, index: usize, mut words: Words, mask: u32, value: u32) {
        words[0] = words[0] & !mask | value & mask;
        if self.cache.get(index).is_some() {
            self.cache.put(index, words);
        }
        let memory = self.store.entry(index)[0];
        if self.options.writes_whole_word {
            self.store.set(index, 0, words[0]);
        } else if entry::state(memory) == entry::state(words[0] & !mask | memory & mask) {
            self.store.set(index, 0, memory & !mask | value & mask);
        }
    }

    fn unbound(&mut self, packet: &Packet<'_>, index: usize, words: Words) -> Verdict {
        if packet.syn_or_rst || packet.fin {
            return to_cpu(Some(index), TCP_FLAGS);
        }
        let count = entry::count(words[0]).saturating_add(1).min(0xffff);
        let time = self.seconds & entry::UNBOUND_TIME;
        self.touch(index, words, 0x00ff_ffff, count << 8 | time);
        let rate = self.rates.entry(index).or_insert((self.seconds, 0));
        if rate.0 != self.seconds {
            *rate = (self.seconds, 0);
        }
        rate.1 = rate.1.saturating_add(1);
        let reached = rate.1 > self.registers.get(reg::BIND_RATE) & 0xffff;
        to_cpu(Some(index), if reached { RATE_REACHED } else { HIT_UNBOUND })
    }

    fn missed(&mut self, packet: &Packet<'_>, bucket: usize) -> Verdict {
        if packet.syn_or_rst || packet.fin {
            return to_cpu(None, TCP_FLAGS);
        }
        match self.registers.get(reg::TB_CFG) >> 4 & 3 {
            0 => return Verdict::Dropped,
            3 => {}
            _ => return to_cpu(None, UN_HIT),
        }
        let free = self.ways(bucket).into_iter().find(|index| {
            let word0 = self.look(*index)[0];
            entry::state(word0) == entry::INVALID && word0 & entry::STATIC == 0
        });
        let Some(index) = free else { return to_cpu(None, UN_HIT) };
        let mut words = packet.key.words();
        words[0] = entry::with_state(words[0], entry::UNBOUND)
            | 1 << 8
            | self.seconds & entry::UNBOUND_TIME;
        self.store.set_entry(index, &words);
        self.cache.forget(index);
        self.rates.insert(index, (self.seconds, 1));
        to_cpu(Some(index), UN_HIT)
    }

    fn bound(&mut self, packet: &Packet<'_>, index: usize, words: Words) -> Verdict {
        if packet.fin {
            let fin = entry::FIN << 28 | self.seconds & entry::BOUND_TIME;
            self.touch(index, words, entry::STATE | entry::BOUND_TIME, fin);
            return to_cpu(Some(index), HIT_FIN);
        }
        if packet.syn_or_rst {
            return to_cpu(Some(index), TCP_FLAGS);
        }
        if words[0] & entry::TTL != 0 && packet.ttl <= 1 {
            return to_cpu(Some(index), TTL_EXCEEDED);
        }
        let Some((frame, layers)) = rewrite(packet, &words) else {
            return to_cpu(Some(index), NOT_IP);
        };
        if self.too_long(&words, frame.len(), layers) {
            return to_cpu(Some(index), MTU);
        }
        self.touch(index, words, entry::BOUND_TIME, self.seconds & entry::BOUND_TIME);
        let ib2 = entry::ib2(&words);
        self.account(ib2 >> 18 & 0x3f, frame.len());
        match ib2 >> 5 & 7 {
            7 => Verdict::Dropped,
            port => Verdict::Forwarded { index, port: port as u8, frame },
        }
    }

    fn too_long(&self, words: &Words, length: usize, layers: u32) -> bool {
        let (register, shift) = match layers {
            0 => (reg::VLAN_MTU0, 0),
            1 => (reg::VLAN_MTU0, 16),
            2 => (reg::VLAN_MTU1, 0),
            _ => (reg::VLAN_MTU1, 16),
        };
        let uncounted = words[0] & entry::PPPOE != 0 && !self.options.mtu_counts_pppoe;
        let length = length.saturating_sub(if uncounted { 8 } else { 0 });
        length > (self.registers.get(register) >> shift & 0x3fff) as usize
    }

    /// A forwarded frame in its account group: bytes in 64 bits, packets.
    fn account(&mut self, group: u32, bytes: usize) {
        let at = reg::ACCOUNT.saturating_add(16 * group);
        let (low, high, packets) = (at, at.saturating_add(4), at.saturating_add(8));
        let registers = &mut self.registers;
        let total = u64::from(registers.get(high)) << 32 | u64::from(registers.get(low));
        let total = total.wrapping_add(bytes as u64);
        registers.set(low, total as u32);
        registers.set(high, (total >> 32) as u32);
        registers.set(packets, registers.get(packets).wrapping_add(1));
    }
}
