// SPDX-License-Identifier: GPL-2.0-or-later
//! Words of an entry as the engine reads them (sheet, section 4).

/// Words of an entry.
pub const WORDS: usize = 20;
/// Entries of the table.
pub const ENTRIES: usize = 16384;

/// An entry's words, in the processor's order.
pub type Words = [u32; WORDS];

pub const INVALID: u32 = 0;
pub const UNBOUND: u32 = 1;
pub const BOUND: u32 = 2;
pub const FIN: u32 = 3;

pub const STATIC: u32 = 1 << 31;
pub const UDP: u32 = 1 << 30;
pub const STATE: u32 = 3 << 28;

pub const TTL: u32 = 1 << 24;
pub const VLAN_TAG: u32 = 1 << 20;
pub const PPPOE: u32 = 1 << 19;

pub const V4_FIVE: u32 = 0;
pub const V4_THREE: u32 = 1;
pub const DS_LITE: u32 = 3;
pub const V6_THREE: u32 = 4;
pub const V6_FIVE: u32 = 5;
pub const SIX_RD: u32 = 7;

/// Bits of a bound entry's timestamp.
pub const BOUND_TIME: u32 = 0x7fff;
/// Bits of an unbound entry's timestamp.
pub const UNBOUND_TIME: u32 = 0xff;

pub fn state(word0: u32) -> u32 {
    word0 >> 28 & 3
}

pub fn with_state(word0: u32, state: u32) -> u32 {
    word0 & !STATE | state << 28
}

pub fn kind(word0: u32) -> u32 {
    word0 >> 25 & 7
}

/// Packets counted by an unbound entry.
pub fn count(word0: u32) -> u32 {
    word0 >> 8 & 0xffff
}

/// The word with the output, by the type of the entry.
pub fn ib2(words: &Words) -> u32 {
    if kind(words[0]) >= DS_LITE {
        words[14]
    } else {
        words[4]
    }
}

/// What an entry says about Ethernet.
#[derive(Debug, Clone, Copy)]
pub struct L2 {
    pub etype: u16,
    pub vlan1: u16,
    pub vlan2: u16,
    pub destination: [u8; 6],
    pub source: [u8; 6],
    pub pppoe: u16,
}

pub fn l2(words: &Words) -> L2 {
    let block = if kind(words[0]) >= DS_LITE {
        [words[15], words[16], words[17], words[18], words[19]]
    } else {
        [words[11], words[12], words[13], words[14], words[15]]
    };
    let [first, destination, second, source, third] = block;
    L2 {
        etype: high(first),
        vlan1: low(first),
        vlan2: low(second),
        destination: mac(destination, high(second)),
        source: mac(source, high(third)),
        pppoe: low(third),
    }
}

fn mac(front: u32, back: u16) -> [u8; 6] {
    let [a, b, c, d] = front.to_be_bytes();
    let [e, f] = back.to_be_bytes();
    [a, b, c, d, e, f]
}

pub fn high(word: u32) -> u16 {
    (word >> 16) as u16
}

pub fn low(word: u32) -> u16 {
    (word & 0xffff) as u16
}

/// Whether the bytes of an entry lie on both sides of a multiple of 1024.
pub fn crosses(index: usize) -> bool {
    let begin = index.saturating_mul(80);
    begin / 1024 != begin.saturating_add(79) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_of_every_128_cross() {
        let crossing: Vec<usize> = (0..128).filter(|index| crosses(*index)).collect();
        assert_eq!(crossing, [12, 25, 38, 51, 76, 89, 102, 115]);
    }
}
