// SPDX-License-Identifier: GPL-2.0-or-later
//! Layout of a basic NAT entry: an address, or a range of its ports, one to one. The driver only
//! empties that table: what it would forward is more than the connection that was asked for.

use super::napt::{low16, low8};
use super::private::Base;
use super::Words;
use std::net::Ipv4Addr;

/// A NAT entry. Fields of fewer bits than their type are cut to their width when encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nat {
    /// The public address.
    pub public: Ipv4Addr,
    /// The private one.
    pub private: Ipv4Addr,
    /// First port.
    pub port: u16,
    /// Ports, 0 to 255.
    pub range: u8,
    /// Only these ports.
    pub by_port: bool,
    /// What is hashed, 2 bits.
    pub hash_key: u8,
    /// 3 forwards; 0 to 2 mirror, redirect or copy.
    pub action: u8,
    /// Counter, 0 to 7.
    pub counter: Option<u8>,
    /// 0 TCP, 1 UDP, 2 both, 3 any.
    pub protocol: u8,
    /// In use.
    pub valid: bool,
}

impl Nat {
    /// The entry's words; `None` if `base` cannot express the private address.
    pub fn encode(&self, base: Option<Base>) -> Option<Words> {
        let two = |field: u8| u32::from(field) & 0b11;
        let (hash_key, action, protocol) =
            (two(self.hash_key), two(self.action), two(self.protocol));
        let counter = self.counter.map_or(0, |index| 0x8 | u32::from(index) & 0x7);
        let state = u32::from(self.valid) << 3 | u32::from(self.by_port) << 2 | protocol;
        let private = match base {
            None => u32::from(self.private),
            Some(base) => base.compress(self.private)?,
        };
        let word1 = private << 24 | u32::from(self.range) << 16 | u32::from(self.port);
        let (word2, word3) = match base {
            None => (hash_key << 30 | action << 28 | counter << 24 | private >> 8, state),
            Some(_) => {
                (state << 12 | hash_key << 10 | action << 8 | counter << 4 | private >> 8, 0)
            }
        };
        Some([self.public.into(), word1, word2, word3, 0, 0, 0])
    }

    /// The entry that the words hold.
    pub fn decode(words: &Words, base: Option<Base>) -> Nat {
        let [word0, word1, word2, word3, ..] = *words;
        let (private, state, hash_key, action, counter) = match base {
            None => {
                let private = Ipv4Addr::from(word2 << 8 | word1 >> 24);
                (private, word3, word2 >> 30, word2 >> 28, word2 >> 24)
            }
            Some(base) => {
                let private = base.expand((word2 & 0xf) << 8 | word1 >> 24);
                (private, word2 >> 12, word2 >> 10, word2 >> 8, word2 >> 4)
            }
        };
        Nat {
            public: word0.into(),
            private,
            port: low16(word1),
            range: low8(word1 >> 16),
            by_port: state & 0b100 != 0,
            hash_key: low8(hash_key) & 0b11,
            action: low8(action) & 0b11,
            counter: (counter & 0x8 != 0).then_some(low8(counter) & 0x7),
            protocol: low8(state) & 0b11,
            valid: state & 0b1000 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ports 8000 to 8009 of 192.168.1.100, TCP, counter 6, action 3, hash key 2.
    #[test]
    fn known_words() {
        let nat = Nat {
            public: Ipv4Addr::new(198, 51, 100, 1),
            private: Ipv4Addr::new(192, 168, 1, 100),
            port: 8000,
            range: 10,
            by_port: true,
            hash_key: 2,
            action: 3,
            counter: Some(6),
            protocol: 0,
            valid: true,
        };
        let words = [0xc633_6401, 0x640a_1f40, 0xbec0_a801, 0xc, 0, 0, 0];
        assert_eq!(nat.encode(None), Some(words));
        let words = [0xc633_6401, 0x640a_1f40, 0xcbe1, 0, 0, 0, 0];
        assert_eq!(nat.encode(Some(Base::block(0xc0a8_0000))), Some(words));
    }

    proptest! {
        #[test]
        fn encoded_is_decoded(
            public: u32, private: u32, port: u16, range: u8, by_port: bool, valid: bool,
            fields in (0..4u8, 0..4u8, 0..4u8), counter in proptest::option::of(0..8u8),
        ) {
            let (hash_key, action, protocol) = fields;
            let (public, at) = (public.into(), private.into());
            let nat = Nat {
                public, private: at, port, range, by_port, hash_key, action, counter, protocol, valid,
            };
            for base in [None, Some(Base::block(private)), Some(Base::comb(private))] {
                prop_assert_eq!(Nat::decode(&nat.encode(base).unwrap(), base), nat);
            }
        }
    }
}
