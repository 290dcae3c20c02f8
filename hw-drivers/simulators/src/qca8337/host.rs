// SPDX-License-Identifier: GPL-2.0-or-later
//! Entries of the host table, by model.

use super::napt::{bits, small, Action};
use super::options::Model;
use super::store::{hash, Words};
use hw_drivers::flow::Mac;

/// Entries of the host table.
pub(super) const HOSTS: usize = 128;

/// Age of an entry that traffic has just met.
pub(super) const FRESH: u8 = 6;

/// The age that never changes.
pub(super) const STATIC: u8 = 7;

/// The output port that stands for dropping.
pub(super) const DROP: u8 = 7;

/// A host entry, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Host {
    /// Least significant word first.
    pub(super) address: [u32; 4],
    pub(super) v6: bool,
    pub(super) mac: Mac,
    /// The address is the router's own.
    pub(super) own: bool,
    pub(super) port: u8,
    /// Offset of the VLAN in the interface's range, and index of the interface, as compared by
    /// SPEC_VID.
    pub(super) interface: u16,
    pub(super) pppoe: Option<u8>,
    pub(super) counter: Option<u8>,
    pub(super) action: Action,
    pub(super) age: u8,
}

impl Host {
    pub(super) fn of(model: Model, words: &Words) -> Host {
        let (address, middle, w5, w6) = match (model, *words) {
            (Model::Qca8337, [w0, w1, w2, w3, w4, w5, w6]) => ([w0, w1, w2, w3], w4, w5, w6),
            (Model::Ar8327, [w0, w1, w2, w3, ..]) => ([w0, 0, 0, 0], w1, w2, w3),
        };
        let v6 = bits(w6, 15, 1) == 1;
        let [c, d, e, f] = middle.to_be_bytes();
        let [_, _, a, b] = w5.to_be_bytes();
        let [low, ..] = address;
        Host {
            address: if v6 { address } else { [low, 0, 0, 0] },
            v6,
            mac: Mac([a, b, c, d, e, f]),
            own: bits(w5, 31, 1) == 1,
            port: small(w5, 28, 3),
            interface: u16::try_from(bits(w5, 16, 12)).unwrap_or(0),
            pppoe: (bits(w6, 11, 1) == 1).then_some(small(w6, 7, 4)),
            counter: (bits(w6, 6, 1) == 1).then_some(small(w6, 2, 4)),
            action: Action::of(w6),
            age: small(w6, 12, 3),
        }
    }

    /// Whether both are for the same address.
    pub(super) fn same(&self, other: &Host) -> bool {
        self.v6 == other.v6 && self.address == other.address
    }

    pub(super) fn hash(&self) -> u32 {
        let [a, b, c, d] = self.address;
        hash(&[a, b, c, d, u32::from(self.v6)])
    }
}

/// The age of a host entry, put into its words.
pub(super) fn set_host_age(model: Model, words: &mut Words, age: u8) {
    let [_, _, _, w3, _, _, w6] = words;
    let word = match model {
        Model::Qca8337 => w6,
        Model::Ar8327 => w3,
    };
    *word = *word & !0x7000 | u32::from(age & 7) << 12;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_sheet_has_them() {
        // 02:01:0a:0b:0c:0d at port 5, interface 3 with VLAN offset 2, session 9, counter 15,
        // forward, fresh.
        let w5 = 5 << 28 | 0x13 << 16 | 0x0201;
        let w6 = 6 << 12 | 1 << 11 | 9 << 7 | 1 << 6 | 15 << 2 | 3;
        let host = Host::of(Model::Qca8337, &[0xc0a8_0102, 0, 0, 0, 0x0a0b_0c0d, w5, w6]);
        let expected = Host {
            address: [0xc0a8_0102, 0, 0, 0],
            v6: false,
            mac: Mac([2, 1, 0xa, 0xb, 0xc, 0xd]),
            own: false,
            port: 5,
            interface: 0x13,
            pppoe: Some(9),
            counter: Some(15),
            action: Action::Forward,
            age: FRESH,
        };
        assert_eq!(host, expected);
        assert_eq!(Host::of(Model::Ar8327, &[0xc0a8_0102, 0x0a0b_0c0d, w5, w6, 0, 0, 0]), expected);
        let six = Host::of(Model::Qca8337, &[1, 2, 3, 4, 0, 1 << 31, 1 << 15]);
        assert!(six.v6 && six.own && six.address == [1, 2, 3, 4]);
        assert!(!six.same(&Host { v6: false, ..six }));
    }

    #[test]
    fn ages_change_alone() {
        for model in [Model::Qca8337, Model::Ar8327] {
            let mut words = [u32::MAX; 7];
            set_host_age(model, &mut words, 2);
            let before = Host::of(model, &[u32::MAX; 7]);
            assert_eq!(Host::of(model, &words), Host { age: 2, ..before });
        }
    }
}
