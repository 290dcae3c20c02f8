// SPDX-License-Identifier: GPL-2.0-or-later
//! Layout of a NAPT entry: one connection, both of its directions. QCA8337 and AR8327 differ.

use super::private::Base;
use super::Words;
use std::net::Ipv4Addr;

/// A freshly hit entry.
pub const AGE_FRESH: u8 = 0xe;

/// Code of TCP.
pub const TCP: u8 = 0;
/// Code of UDP.
pub const UDP: u8 = 1;

/// Packets that match are forwarded; 0 to 2 mirror, redirect or copy them.
pub const FORWARD: u8 = 3;

/// A NAPT entry. Fields of fewer bits than their type are cut to their width when encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Napt {
    /// The other end.
    pub remote: Ipv4Addr,
    /// Its port.
    pub remote_port: u16,
    /// The end in the LAN.
    pub private: Ipv4Addr,
    /// Its port.
    pub private_port: u16,
    /// Index of the public address, 4 bits.
    pub public: u8,
    /// Port at the public address.
    pub public_port: u16,
    /// [`TCP`], [`UDP`], 2 others, 3 GRE.
    pub protocol: u8,
    /// [`FORWARD`] or another code of two bits.
    pub action: u8,
    /// Counter, 3 bits.
    pub counter: Option<u8>,
    /// 0 invalid, 1 aged out, up to [`AGE_FRESH`], 15 without ageing.
    pub age: u8,
}

impl Napt {
    /// The entry's words; `None` if `base` cannot express the private address.
    pub fn encode(&self, base: Option<Base>) -> Option<Words> {
        let [protocol, action] = [self.protocol, self.action].map(|field| u32::from(field) & 0b11);
        let counter = self.counter.map_or(0, |index| 0x8 | u32::from(index) & 0x7);
        let public = u32::from(self.public) & 0xf;
        let age = u32::from(self.age) & 0xf;
        let word0 = u32::from(self.remote);
        let word1 = u32::from(self.private_port) << 16 | u32::from(self.remote_port);
        let word2 = |twelve: u32| twelve << 20 | public << 16 | u32::from(self.public_port);
        Some(match base {
            None => {
                let private = u32::from(self.private);
                let word3 = counter << 24 | protocol << 22 | action << 20 | private >> 12;
                [word0, word1, word2(private & 0xfff), word3, age, 0, 0]
            }
            Some(base) => {
                let word3 = age << 12 | counter << 4 | protocol << 2 | action;
                [word0, word1, word2(base.compress(self.private)?), word3, 0, 0, 0]
            }
        })
    }

    /// The entry that the words hold.
    pub fn decode(words: &Words, base: Option<Base>) -> Napt {
        let [word0, word1, word2, word3, word4, ..] = *words;
        let twelve = word2 >> 20;
        let (private, counter, protocol, action, age) = match base {
            None => {
                let private = Ipv4Addr::from(word3 << 12 | twelve);
                (private, word3 >> 24, word3 >> 22, word3 >> 20, word4)
            }
            Some(base) => (base.expand(twelve), word3 >> 4, word3 >> 2, word3, word3 >> 12),
        };
        Napt {
            remote: Ipv4Addr::from(word0),
            remote_port: low16(word1),
            private,
            private_port: low16(word1 >> 16),
            public: low8(word2 >> 16) & 0xf,
            public_port: low16(word2),
            protocol: low8(protocol) & 0b11,
            action: low8(action) & 0b11,
            counter: (counter & 0x8 != 0).then_some(low8(counter) & 0x7),
            age: low8(age) & 0xf,
        }
    }

    /// The words in which an entry read back has to be the one written, with the age left out,
    /// which traffic and time change.
    pub fn compared(base: Option<Base>) -> Words {
        match base {
            None => [u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0x003f_fff0, 0, 0],
            Some(_) => [u32::MAX, u32::MAX, u32::MAX, 0xffff_0fff, 0, 0, 0],
        }
    }

    /// The bits that hold the age.
    pub fn age_bits(base: Option<Base>) -> Words {
        match base {
            None => [0, 0, 0, 0, 0xf, 0, 0],
            Some(_) => [0, 0, 0, 0xf000, 0, 0, 0],
        }
    }
}

/// Bits 15:0.
pub fn low16(word: u32) -> u16 {
    let [_, _, a, b] = word.to_be_bytes();
    u16::from_be_bytes([a, b])
}

/// Bits 7:0.
pub fn low8(word: u32) -> u8 {
    let [_, _, _, low] = word.to_be_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Napt {
        Napt {
            remote: Ipv4Addr::new(203, 0, 113, 10),
            remote_port: 443,
            private: Ipv4Addr::new(192, 168, 1, 100),
            private_port: 40000,
            public: 0,
            public_port: 40000,
            protocol: TCP,
            action: FORWARD,
            counter: None,
            age: AGE_FRESH,
        }
    }

    #[test]
    fn qca8337_known_words() {
        let words = [0xcb00_710a, 0x9c40_01bb, 0x1640_9c40, 0x003c_0a80, 0xe, 0, 0];
        assert_eq!(sample().encode(None), Some(words));
        let counted = Napt { counter: Some(5), protocol: UDP, public: 9, ..sample() };
        let words = [0xcb00_710a, 0x9c40_01bb, 0x1649_9c40, 0x0d7c_0a80, 0xe, 0, 0];
        assert_eq!(counted.encode(None), Some(words));
    }

    /// 192.168.1.100 in the /20 of 192.168.0.0 is 0x164.
    #[test]
    fn ar8327_known_words() {
        let base = Some(Base::block(0xc0a8_0000));
        let words = [0xcb00_710a, 0x9c40_01bb, 0x1640_9c40, 0xe003, 0, 0, 0];
        assert_eq!(sample().encode(base), Some(words));
        let counted = Napt { counter: Some(5), protocol: UDP, public: 9, ..sample() };
        let words = [0xcb00_710a, 0x9c40_01bb, 0x1649_9c40, 0xe0d7, 0, 0, 0];
        assert_eq!(counted.encode(base), Some(words));
        let outside = Napt { private: Ipv4Addr::new(192, 168, 16, 1), ..sample() };
        assert_eq!(outside.encode(base), None);
    }

    #[test]
    fn only_the_age_is_not_compared() {
        for base in [None, Some(Base::block(0xc0a8_0000))] {
            let [old, young] = [1, 15].map(|age| Napt { age, ..sample() }.encode(base).unwrap());
            let compared = Napt::compared(base);
            assert_ne!(old, young);
            let age_bits = Napt::age_bits(base);
            for (index, mask) in compared.iter().enumerate() {
                assert_eq!(old[index] & mask, young[index] & mask);
                assert_eq!(old[index] & !age_bits[index], young[index] & !age_bits[index]);
                assert_eq!(mask & age_bits[index], 0);
            }
            assert_eq!(Napt::decode(&age_bits, base).age, 15);
        }
    }

    fn entries() -> impl Strategy<Value = Napt> {
        let ends = any::<(u32, u16, u32, u16, u16)>();
        let fields = (0..16u8, 0..4u8, 0..4u8, proptest::option::of(0..8u8), 0..16u8);
        (ends, fields).prop_map(
            |(
                (remote, remote_port, private, private_port, public_port),
                (public, protocol, action, counter, age),
            )| Napt {
                remote: remote.into(),
                remote_port,
                private: private.into(),
                private_port,
                public,
                public_port,
                protocol,
                action,
                counter,
                age,
            },
        )
    }

    proptest! {
        #[test]
        fn encoded_is_decoded(entry in entries()) {
            let private = u32::from(entry.private);
            for base in [None, Some(Base::block(private)), Some(Base::comb(private))] {
                prop_assert_eq!(Napt::decode(&entry.encode(base).unwrap(), base), entry);
            }
        }

        /// Each bit of the words that are defined means something.
        #[test]
        fn decoded_is_encoded(words: [u32; 4], age in 0..16u32, base: u32) {
            let [a, b, c, d] = words;
            let third = if d & 1 << 27 == 0 { d & 0x00ff_ffff } else { d & 0x0fff_ffff };
            let full = [a, b, c, third, age, 0, 0];
            prop_assert_eq!(Napt::decode(&full, None).encode(None), Some(full));
            let d = if d & 1 << 7 == 0 { d & 0xf08f } else { d & 0xf0ff };
            let short = [a, b, c, d, 0, 0, 0];
            let base = Some(Base::block(base));
            prop_assert_eq!(Napt::decode(&short, base).encode(base), Some(short));
        }
    }
}
