// SPDX-License-Identifier: GPL-2.0-or-later
//! Entries of the NAPT and the NAT table, by model.

use super::options::{Model, NaptKey};
use super::store::{hash, Words};

/// Entries of the NAPT table.
pub(super) const NAPT_ENTRIES: usize = 1024;

/// Entries of the NAT table.
pub(super) const NAT_ENTRIES: usize = 32;

/// What traffic sets an age to.
pub(super) const FRESH: u8 = 0xe;

/// The age that never changes.
pub(super) const STATIC: u8 = 0xf;

/// What an entry does with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is forwarded, and a copy goes to the mirror port.
    Mirror,
    /// It goes to the processor.
    Redirect,
    /// It is forwarded, and a copy goes to the processor.
    Copy,
    /// It is forwarded.
    Forward,
}

impl Action {
    pub(super) fn of(code: u32) -> Action {
        match code & 3 {
            0 => Action::Mirror,
            1 => Action::Redirect,
            2 => Action::Copy,
            _ => Action::Forward,
        }
    }
}

/// `bits` bits of a word from bit `from`.
pub(super) fn bits(word: u32, from: u32, bits: u32) -> u32 {
    word >> from & ((1 << bits) - 1)
}

/// The same for up to eight bits.
pub(super) fn small(word: u32, from: u32, count: u32) -> u8 {
    bits(word, from, count.min(8)).to_le_bytes()[0]
}

/// Both halves of a word.
pub(super) fn halves(word: u32) -> (u16, u16) {
    let [a, b, c, d] = word.to_be_bytes();
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// A NAPT entry, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Napt {
    pub(super) remote: u32,
    pub(super) remote_port: u16,
    /// As stored: the whole address, or 12 bits of it.
    pub(super) private: u32,
    pub(super) private_port: u16,
    pub(super) public: u8,
    pub(super) translated: u16,
    /// 0 TCP, 1 UDP, 2 other, 3 GRE.
    pub(super) protocol: u8,
    pub(super) action: Action,
    pub(super) counter: Option<u8>,
    pub(super) age: u8,
}

impl Napt {
    pub(super) fn of(model: Model, words: &Words) -> Napt {
        let [w0, w1, w2, w3, w4, ..] = *words;
        let (private_port, remote_port) = halves(w1);
        let common = Napt {
            remote: w0,
            remote_port,
            private: bits(w2, 20, 12),
            private_port,
            public: small(w2, 16, 4),
            translated: halves(w2).1,
            protocol: 0,
            action: Action::Forward,
            counter: None,
            age: 0,
        };
        match model {
            Model::Qca8337 => Napt {
                private: bits(w3, 0, 20) << 12 | common.private,
                protocol: small(w3, 22, 2),
                action: Action::of(w3 >> 20),
                counter: (bits(w3, 27, 1) == 1).then_some(small(w3, 24, 3)),
                age: small(w4, 0, 4),
                ..common
            },
            Model::Ar8327 => Napt {
                protocol: small(w3, 2, 2),
                action: Action::of(w3),
                counter: (bits(w3, 7, 1) == 1).then_some(small(w3, 4, 3)),
                age: small(w3, 12, 4),
                ..common
            },
        }
    }

    /// Whether SEARCH and DEL for `self` mean `other`.
    pub(super) fn same(&self, other: &Napt, key: NaptKey) -> bool {
        let tuple = self.remote == other.remote
            && self.remote_port == other.remote_port
            && self.private == other.private
            && self.private_port == other.private_port
            && self.protocol == other.protocol;
        let translation = self.public == other.public && self.translated == other.translated;
        tuple && (key == NaptKey::FiveTuple || translation)
    }

    pub(super) fn hash(&self) -> u32 {
        let ports = u32::from(self.private_port) << 16 | u32::from(self.remote_port);
        hash(&[self.remote, self.private, ports, u32::from(self.protocol)])
    }
}

/// The age of a NAPT entry, put into its words.
pub(super) fn set_napt_age(model: Model, words: &mut Words, age: u8) {
    let [_, _, _, w3, w4, ..] = words;
    let age = u32::from(age & 0xf);
    match model {
        Model::Qca8337 => *w4 = *w4 & !0xf | age,
        Model::Ar8327 => *w3 = *w3 & !0xf000 | age << 12,
    }
}

/// An entry of the NAT table, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nat {
    pub(super) public: u32,
    /// As stored: the whole address, or 12 bits of it.
    pub(super) private: u32,
    pub(super) range: u8,
    pub(super) port: u16,
    pub(super) port_enabled: bool,
    /// 0 TCP, 1 UDP, 2 both, 3 any.
    pub(super) protocol: u8,
    pub(super) action: Action,
    pub(super) counter: Option<u8>,
    pub(super) valid: bool,
}

impl Nat {
    pub(super) fn of(model: Model, words: &Words) -> Nat {
        let [w0, w1, w2, w3, ..] = *words;
        let common = Nat {
            public: w0,
            private: bits(w1, 24, 8),
            range: small(w1, 16, 8),
            port: halves(w1).1,
            port_enabled: false,
            protocol: 0,
            action: Action::Forward,
            counter: None,
            valid: false,
        };
        match model {
            Model::Qca8337 => Nat {
                private: bits(w2, 0, 24) << 8 | common.private,
                port_enabled: bits(w3, 2, 1) == 1,
                protocol: small(w3, 0, 2),
                action: Action::of(w2 >> 28),
                counter: (bits(w2, 27, 1) == 1).then_some(small(w2, 24, 3)),
                valid: bits(w3, 3, 1) == 1,
                ..common
            },
            Model::Ar8327 => Nat {
                private: bits(w2, 0, 4) << 8 | common.private,
                port_enabled: bits(w2, 14, 1) == 1,
                protocol: small(w2, 12, 2),
                action: Action::of(w2 >> 8),
                counter: (bits(w2, 7, 1) == 1).then_some(small(w2, 4, 3)),
                valid: bits(w2, 15, 1) == 1,
                ..common
            },
        }
    }

    /// Whether the entry is for a packet with this protocol (as in the IP header) and this port
    /// on the side of the private address.
    pub(super) fn takes(&self, protocol: u8, port: Option<u16>) -> bool {
        let wanted = match self.protocol {
            0 => protocol == 6,
            1 => protocol == 17,
            2 => protocol == 6 || protocol == 17,
            _ => true,
        };
        let within = |port: u16| {
            port.checked_sub(self.port).is_some_and(|n| n < u16::from(self.range.max(1)))
        };
        self.valid && wanted && (!self.port_enabled || port.is_some_and(within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 192.168.1.100:40000 to 203.0.113.10:443 by TCP, public address 0, port kept.
    const VECTOR: Words = [0xcb00_710a, 0x9c40_01bb, 0x1640_9c40, 0x003c_0a80, 0xe, 0, 0];

    #[test]
    fn the_sheets_vector() {
        let expected = Napt {
            remote: 0xcb00_710a,
            remote_port: 443,
            private: 0xc0a8_0164,
            private_port: 40000,
            public: 0,
            translated: 40000,
            protocol: 0,
            action: Action::Forward,
            counter: None,
            age: FRESH,
        };
        assert_eq!(Napt::of(Model::Qca8337, &VECTOR), expected);
        // The same in four words: address bits 11:0 of it, UDP, counter 5, copy, age 15.
        let short = [0xcb00_710a, 0x9c40_01bb, 0x1649_9c40, 0x0000_f0d6, 0, 0, 0];
        let entry = Napt::of(Model::Ar8327, &short);
        let (action, counter) = (Action::Copy, Some(5));
        let (private, public) = (0x164, 9);
        let other = Napt { private, public, protocol: 1, action, counter, age: STATIC, ..expected };
        assert_eq!(entry, other);
    }

    #[test]
    fn ages_change_alone() {
        for model in [Model::Qca8337, Model::Ar8327] {
            let mut words = [u32::MAX; 7];
            set_napt_age(model, &mut words, 6);
            let entry = Napt::of(model, &words);
            assert_eq!(entry, Napt { age: 6, ..Napt::of(model, &[u32::MAX; 7]) });
        }
    }

    #[test]
    fn keys_are_the_five_tuple_and_perhaps_more() {
        let entry = Napt::of(Model::Qca8337, &VECTOR);
        let aged = Napt { age: 1, counter: Some(1), action: Action::Copy, ..entry };
        let moved = Napt { translated: 1, ..entry };
        let foreign = Napt { remote_port: 80, ..entry };
        assert!(entry.same(&aged, NaptKey::WithTranslation));
        assert!(entry.same(&moved, NaptKey::FiveTuple));
        assert!(!entry.same(&moved, NaptKey::WithTranslation));
        assert!(!entry.same(&foreign, NaptKey::FiveTuple));
        assert_eq!(entry.hash(), moved.hash());
    }

    #[test]
    fn nat_entries_take_a_range_of_ports() {
        // 192.168.1.2, ports 8000 and following 3, forward, valid, TCP and UDP.
        let words = [0xc633_6401, 0x0203_1f40, 0x30c0_a801, 0xe, 0, 0, 0];
        let entry = Nat::of(Model::Qca8337, &words);
        assert_eq!((entry.public, entry.private), (0xc633_6401, 0xc0a8_0102));
        assert!(entry.takes(6, Some(8000)) && entry.takes(17, Some(8002)));
        assert!(!entry.takes(6, Some(8003)) && !entry.takes(6, Some(7999)));
        assert!(!entry.takes(1, None) && !entry.takes(1, Some(8000)));
        assert!(!Nat { valid: false, ..entry }.takes(6, Some(8000)));
        let all = Nat { port_enabled: false, protocol: 3, ..entry };
        assert!(all.takes(1, None));
        let short = [0xc633_6401, 0x0203_1f40, 0xf3d1, 0, 0, 0, 0];
        let entry = Nat::of(Model::Ar8327, &short);
        assert_eq!((entry.private, entry.counter, entry.protocol), (0x102, Some(5), 3));
        assert!(entry.valid && entry.port_enabled);
    }
}
