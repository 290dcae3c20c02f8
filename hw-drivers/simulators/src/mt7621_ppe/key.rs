// SPDX-License-Identifier: GPL-2.0-or-later
//! What a packet is looked up by, and where (sheet, section 5).

use super::entry::{self, Words};

/// A packet's tuple in the words of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Type of the entry.
    pub kind: u32,
    /// Bit 30 of word 0.
    pub udp: bool,
    /// IPv4 in the last word.
    pub source: [u32; 4],
    /// IPv4 in the last word.
    pub destination: [u32; 4],
    /// Source port above destination port, or 0xa5a5a500 with the protocol.
    pub ports: u32,
}

impl Key {
    fn v4(&self) -> bool {
        self.kind < entry::DS_LITE
    }

    /// The even index of the bucket.
    pub fn index(&self, twist: u32) -> usize {
        let [s0, s1, s2, s3] = self.source;
        let [d0, d1, d2, d3] = self.destination;
        let (a, b, c) = if self.v4() {
            (self.ports, d3, s3)
        } else {
            (s3 ^ d3 ^ self.ports, s2 ^ d2 ^ d0, s1 ^ d1 ^ s0)
        };
        let mixed = (a & b | !a & c).rotate_left(8) ^ a ^ b ^ c;
        let index = (mixed ^ mixed >> 16 ^ twist) << 1;
        index as usize % entry::ENTRIES
    }

    /// Whether an entry is for such packets.
    pub fn matches(&self, words: &Words) -> bool {
        let udp = words[0] & entry::UDP != 0;
        entry::kind(words[0]) == self.kind
            && udp == self.udp
            && if self.v4() {
                [words[1], words[2], words[3]] == [self.source[3], self.destination[3], self.ports]
            } else {
                self.source == [words[1], words[2], words[3], words[4]]
                    && self.destination == [words[5], words[6], words[7], words[8]]
                    && words[9] == self.ports
            }
    }

    /// A new entry for such packets, without word 0's state and time.
    pub fn words(&self) -> Words {
        let mut words = [0; entry::WORDS];
        words[0] = self.kind << 25 | if self.udp { entry::UDP } else { 0 };
        let [s0, s1, s2, s3] = self.source;
        let [d0, d1, d2, d3] = self.destination;
        if self.v4() {
            (words[1], words[2], words[3]) = (s3, d3, self.ports);
        } else {
            (words[1], words[2], words[3], words[4]) = (s0, s1, s2, s3);
            (words[5], words[6], words[7], words[8]) = (d0, d1, d2, d3);
            words[9] = self.ports;
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn v4(source: [u8; 4], destination: [u8; 4], ports: u32) -> usize {
        let word = |address: [u8; 4]| [0, 0, 0, u32::from(Ipv4Addr::from(address))];
        let (source, destination) = (word(source), word(destination));
        Key { kind: entry::V4_FIVE, udp: false, source, destination, ports }.index(0)
    }

    #[test]
    fn indices_of_the_sheet() {
        let server = [203, 0, 113, 10];
        assert_eq!(v4([192, 168, 1, 100], server, 40000 << 16 | 443), 488);
        assert_eq!(v4(server, [198, 51, 100, 2], 443 << 16 | 40000), 14558);
        assert_eq!(v4([10, 0, 0, 1], [10, 0, 0, 2], 1 << 16 | 2), 1556);
        assert_eq!(v4([192, 168, 1, 2], [8, 8, 8, 8], 12345 << 16 | 53), 14030);
        assert_eq!(v4([192, 168, 1, 100], server, 0xa5a5_a500 | 47), 13144);
        let words = |text: &str| {
            let bits = u128::from(text.parse::<Ipv6Addr>().unwrap());
            [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]
        };
        let (source, destination) = (words("2001:db8:1::100"), words("2001:db8:2::10"));
        let six = |kind, ports| Key { kind, udp: false, source, destination, ports }.index(0);
        assert_eq!(six(entry::V6_FIVE, 40000 << 16 | 443), 3466);
        assert_eq!(six(entry::V6_THREE, 0xa5a5_a500 | 58), 13634);
    }
}
