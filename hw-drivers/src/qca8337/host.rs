// SPDX-License-Identifier: GPL-2.0-or-later
//! Layout of a host (ARP) entry for IPv4: how frames get to a neighbour.

use super::napt::low8;
use super::{Model, Words};
use crate::flow::Mac;
use std::net::Ipv4Addr;

/// An entry that does not age.
pub const AGE_STATIC: u8 = 7;

/// A host entry of IPv4. Fields of fewer bits than their type are cut to their width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// The host.
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: Mac,
    /// The address is the router's own.
    pub own: bool,
    /// Port that it is behind; 7 drops.
    pub port: u8,
    /// Interface, 0 to 7.
    pub interface: u8,
    /// Its VLAN, counted from the first of the interface, 0 to 511.
    pub vlan_offset: u16,
    /// 0 invalid, 1 aged, 6 fresh, [`AGE_STATIC`].
    pub age: u8,
    /// PPPoE session that frames to it go into, 0 to 15.
    pub session: Option<u8>,
    /// Counter, 0 to 15.
    pub counter: Option<u8>,
    /// 3 forwards; 0 to 2 mirror, redirect or copy.
    pub action: u8,
}

impl Host {
    /// The entry's words.
    pub fn encode(&self, model: Model) -> Words {
        let Mac([a, b, c, d, e, f]) = self.mac;
        let interface = u32::from(self.vlan_offset) << 3 | u32::from(self.interface) & 0x7;
        let mac_low = u32::from_be_bytes([c, d, e, f]);
        let way = u32::from(self.own) << 31
            | (u32::from(self.port) & 0x7) << 28
            | (interface & 0xfff) << 16
            | u32::from_be_bytes([0, 0, a, b]);
        let session = self.session.map_or(0, |index| 0x10 | u32::from(index) & 0xf);
        let counter = self.counter.map_or(0, |index| 0x10 | u32::from(index) & 0xf);
        let state = (u32::from(self.age) & 0x7) << 12
            | session << 7
            | counter << 2
            | u32::from(self.action) & 0b11;
        let address = u32::from(self.address);
        match model {
            Model::Qca8337 => [address, 0, 0, 0, mac_low, way, state],
            Model::Ar8327 => [address, mac_low, way, state, 0, 0, 0],
        }
    }

    /// The entry that the words hold; `None` if it is one of IPv6.
    pub fn decode(words: &Words, model: Model) -> Option<Host> {
        let (address, mac_low, way, state) = match (model, *words) {
            (Model::Qca8337, [address, _, _, _, mac_low, way, state]) => {
                (address, mac_low, way, state)
            }
            (Model::Ar8327, [address, mac_low, way, state, ..]) => (address, mac_low, way, state),
        };
        if state & 1 << 15 != 0 {
            return None;
        }
        let ([c, d, e, f], [_, _, a, b]) = (mac_low.to_be_bytes(), way.to_be_bytes());
        let index = |shift: u32| (state >> shift & 0x10 != 0).then_some(low8(state >> shift) & 0xf);
        Some(Host {
            address: address.into(),
            mac: Mac([a, b, c, d, e, f]),
            own: way & 1 << 31 != 0,
            port: low8(way >> 28) & 0x7,
            interface: low8(way >> 16) & 0x7,
            vlan_offset: super::napt::low16(way >> 19) & 0x1ff,
            age: low8(state >> 12) & 0x7,
            session: index(7),
            counter: index(2),
            action: low8(state) & 0b11,
        })
    }

    /// The bits in which an entry read back has to be the one written: all but the age.
    pub fn compared(model: Model) -> Words {
        match model {
            Model::Qca8337 => [u32::MAX, 0, 0, 0, u32::MAX, u32::MAX, 0x8fff],
            Model::Ar8327 => [u32::MAX, u32::MAX, u32::MAX, 0x8fff, 0, 0, 0],
        }
    }

    /// The bits that hold the age.
    pub fn age_bits(model: Model) -> Words {
        match model {
            Model::Qca8337 => [0, 0, 0, 0, 0, 0, 0x7000],
            Model::Ar8327 => [0, 0, 0, 0x7000, 0, 0, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Host {
        Host {
            address: Ipv4Addr::new(192, 168, 1, 100),
            mac: Mac([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]),
            own: false,
            port: 3,
            interface: 2,
            vlan_offset: 0x101,
            age: AGE_STATIC,
            session: None,
            counter: None,
            action: 3,
        }
    }

    /// Port 3 in 30:28, 0x101 << 3 | 2 in 27:16.
    #[test]
    fn known_words() {
        let words = sample().encode(Model::Qca8337);
        assert_eq!(words, [0xc0a8_0164, 0, 0, 0, 0x2233_4455, 0x380a_0211, 0x7003]);
        let words = sample().encode(Model::Ar8327);
        assert_eq!(words, [0xc0a8_0164, 0x2233_4455, 0x380a_0211, 0x7003, 0, 0, 0]);
        let [.., state] =
            Host { session: Some(9), counter: Some(10), ..sample() }.encode(Model::Qca8337);
        assert_eq!(state, 0x7003 | 1 << 11 | 9 << 7 | 1 << 6 | 10 << 2);
    }

    #[test]
    fn six_is_not_four() {
        let mut words = sample().encode(Model::Qca8337);
        words[6] |= 1 << 15;
        assert_eq!(Host::decode(&words, Model::Qca8337), None);
    }

    proptest! {
        #[test]
        fn encoded_is_decoded(
            address: u32, mac: [u8; 6], own: bool, port in 0..8u8, interface in 0..8u8,
            vlan_offset in 0..512u16, age in 0..8u8, session in proptest::option::of(0..16u8),
            counter in proptest::option::of(0..16u8), action in 0..4u8,
        ) {
            let (address, mac) = (address.into(), Mac(mac));
            let host = Host {
                address, mac, own, port, interface, vlan_offset, age, session, counter, action,
            };
            for model in [Model::Qca8337, Model::Ar8327] {
                prop_assert_eq!(Host::decode(&host.encode(model), model), Some(host));
                let aged = Host { age: age ^ 5, ..host }.encode(model);
                let same = host.encode(model).iter().zip(aged).zip(Host::compared(model))
                    .all(|((a, b), mask)| a & mask == b & mask);
                prop_assert!(same);
                prop_assert_eq!(Host::decode(&Host::age_bits(model), model).map(|h| h.age), Some(7));
            }
        }
    }
}
