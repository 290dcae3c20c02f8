// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the engine looks for a flow: a bucket of two entries, chosen by hash mode 1
//! (Linux 6.12 `mtk_ppe_hash_entry`).

use super::entry::{Words, ENTRY_BYTES};

/// Entries of the table.
pub const ENTRIES: u32 = 16384;

/// Lines of memory that an entry must not cross, bytes.
const BLOCK: u32 = 1024;

/// The first, even index of the bucket for what an IPv4 entry is matched by: source, destination
/// and the word of the ports.
pub fn v4(source: u32, destination: u32, ports: u32) -> u16 {
    mix(ports, destination, source)
}

/// The same for IPv6.
pub fn v6(source: [u32; 4], destination: [u32; 4], ports: u32) -> u16 {
    let ([s0, s1, s2, s3], [d0, d1, d2, d3]) = (source, destination);
    mix(s3 ^ d3 ^ ports, s2 ^ d2 ^ d0, s1 ^ d1 ^ s0)
}

/// The bucket of an entry's tuple; `None` for types that hardware does not look up this way.
pub fn bucket(words: &Words) -> Option<u16> {
    use super::entry::{Ib1, Kind};
    match Ib1(words[0]).kind() {
        Kind::V4Five | Kind::V4Three => Some(v4(words[1], words[2], words[3])),
        Kind::V6Five | Kind::V6Three => Some(v6(
            [words[1], words[2], words[3], words[4]],
            [words[5], words[6], words[7], words[8]],
            words[9],
        )),
        _ => None,
    }
}

fn mix(first: u32, second: u32, third: u32) -> u16 {
    let chosen = (first & second) | (!first & third);
    let hash = chosen.rotate_left(8) ^ first ^ second ^ third;
    let hash = (hash ^ (hash >> 16)) << 1;
    // 14 bits.
    (hash & (ENTRIES - 1)) as u16
}

/// Whether an entry lies across a multiple of 1024 bytes, where the engine cannot use it. Linux
/// leaves out seven of the eight in each 128; entry 115 crosses as well.
pub const fn crosses(index: u16) -> bool {
    let begin = index as u32 * ENTRY_BYTES;
    begin / BLOCK != (begin + ENTRY_BYTES - 1) / BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn vectors_of_the_formula() {
        let index = |source: [u8; 4], destination: [u8; 4], ports| {
            v4(Ipv4Addr::from(source).into(), Ipv4Addr::from(destination).into(), ports)
        };
        assert_eq!(index([192, 168, 1, 100], [203, 0, 113, 10], 40000 << 16 | 443), 0x01e8);
        assert_eq!(index([203, 0, 113, 10], [198, 51, 100, 2], 443 << 16 | 40000), 0x38de);
        assert_eq!(index([10, 0, 0, 1], [10, 0, 0, 2], 1 << 16 | 2), 0x0614);
        assert_eq!(index([192, 168, 1, 2], [8, 8, 8, 8], 12345 << 16 | 53), 0x36ce);
        assert_eq!(index([192, 168, 1, 100], [203, 0, 113, 10], 0xa5a5_a500 | 47), 0x3358);
        let words = |text: &str| super::super::entry::v6_words(text.parse::<Ipv6Addr>().unwrap());
        let (source, destination) = (words("2001:db8:1::100"), words("2001:db8:2::10"));
        assert_eq!(v6(source, destination, 40000 << 16 | 443), 0x0d8a);
        assert_eq!(v6(source, destination, 0xa5a5_a500 | 58), 0x3542);
    }

    #[test]
    fn eight_of_128_entries_cross() {
        let crossing: Vec<u16> = (0..256).filter(|index| crosses(*index)).collect();
        let group = [12, 25, 38, 51, 76, 89, 102, 115];
        let expected: Vec<u16> =
            group.into_iter().chain(group.into_iter().map(|index| index + 128)).collect();
        assert_eq!(crossing, expected);
    }
}
