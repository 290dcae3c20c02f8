// SPDX-License-Identifier: GPL-2.0-or-later
//! The router's own addresses, and the prefixes that are on link by them.

use std::net::IpAddr;

use crate::netlink::prefix::Prefix;
use crate::netlink::route::{Address, AddressEvent};

/// More addresses than any router has; further ones are not known, and their prefixes are found by
/// asking routing.
const ADDRESSES_MAX: usize = 1024;

/// All addresses, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    list: Vec<Address>,
}

impl Addresses {
    pub(super) fn replace(&mut self, mut list: Vec<Address>) {
        list.truncate(ADDRESSES_MAX);
        self.list = list;
    }

    /// True when anything is different. The kernel repeats addresses whose lifetime is renewed.
    pub(super) fn apply(&mut self, event: AddressEvent) -> bool {
        let same = |known: &Address, other: &Address| {
            known.index == other.index && known.address == other.address
        };
        match event {
            AddressEvent::New(address) => {
                if self.list.contains(&address) {
                    return false;
                }
                self.list.retain(|known| !same(known, &address));
                if self.list.len() >= ADDRESSES_MAX {
                    return false;
                }
                self.list.push(address);
                true
            }
            AddressEvent::Gone(address) => {
                let before = self.list.len();
                self.list.retain(|known| !same(known, &address));
                self.list.len() != before
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Address> {
        self.list.iter()
    }

    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        self.list.iter().any(|own| own.address == address)
    }

    /// All stations of a link are called by it, so it is nobody's: the last address of an IPv4
    /// prefix, which those of two or fewer addresses do not have (RFC 3021).
    pub(super) fn is_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        let calls = |own: &Address| match (own.peer.unwrap_or(own.address), own.prefix) {
            (IpAddr::V4(near), prefix @ 0..31) => {
                u32::from(near) | u32::MAX >> prefix == u32::from(address)
            }
            _ => false,
        };
        address.is_broadcast() || self.list.iter().any(calls)
    }

    /// The device that holds this address of the router's.
    pub(super) fn device_of(&self, address: IpAddr) -> Option<u32> {
        self.list.iter().find(|own| own.address == address).map(|own| own.index)
    }

    /// The device on whose link an address is, by the longest prefix. Link-local addresses are on
    /// every link, so they tell nothing.
    pub(super) fn on_link(&self, address: IpAddr) -> Option<u32> {
        if is_link_local(address) {
            return None;
        }
        let holds = |own: &&Address| {
            Prefix::new(own.peer.unwrap_or(own.address), own.prefix).contains(address)
        };
        self.list.iter().filter(holds).max_by_key(|own| own.prefix).map(|own| own.index)
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments().first().is_some_and(|s| s & 0xffc0 == 0xfe80),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(index: u32, text: &str, prefix: u8) -> Address {
        Address { index, address: text.parse().unwrap(), prefix, peer: None }
    }

    #[test]
    fn the_longest_prefix_counts() {
        let mut own = Addresses::default();
        own.replace(vec![address(2, "10.0.0.1", 8), address(3, "10.1.0.1", 16)]);
        let find = |text: &str| own.on_link(text.parse().unwrap());
        assert_eq!(find("10.1.2.3"), Some(3));
        assert_eq!(find("10.2.2.3"), Some(2));
        assert_eq!(find("11.2.2.3"), None);
        assert_eq!(own.device_of("10.1.0.1".parse().unwrap()), Some(3));
    }

    #[test]
    fn the_far_end_of_a_tunnel_is_on_its_link() {
        let mut own = Addresses::default();
        let peer = "192.0.2.1".parse().ok();
        own.replace(vec![Address { peer, ..address(7, "198.51.100.9", 32) }]);
        assert_eq!(own.on_link("192.0.2.1".parse().unwrap()), Some(7));
        assert_eq!(own.on_link("198.51.100.9".parse().unwrap()), None);
    }

    #[test]
    fn a_broadcast_address_is_nobodys() {
        let mut own = Addresses::default();
        own.replace(vec![
            address(2, "192.168.1.1", 24),
            address(3, "10.0.0.0", 31),
            address(4, "10.0.0.5", 32),
            address(5, "fd00::1", 64),
        ]);
        let is = |text: &str| own.is_broadcast(text.parse().unwrap());
        assert!(is("192.168.1.255") && is("255.255.255.255"));
        assert!(!is("192.168.1.254") && !is("10.0.0.1") && !is("10.0.0.5"));
        assert!(!is("fd00::ffff:ffff:ffff:ffff"));
    }

    #[test]
    fn link_local_addresses_are_on_no_link_in_particular() {
        let mut own = Addresses::default();
        own.replace(vec![address(2, "fe80::1", 64), address(2, "169.254.0.1", 16)]);
        assert_eq!(own.on_link("fe80::2".parse().unwrap()), None);
        assert_eq!(own.on_link("169.254.0.2".parse().unwrap()), None);
    }

    #[test]
    fn only_changes_count() {
        let mut own = Addresses::default();
        let new = |prefix| AddressEvent::New(address(2, "10.0.0.1", prefix));
        assert!(own.apply(new(8)));
        assert!(!own.apply(new(8)));
        assert!(own.apply(new(16)), "the prefix became another one");
        assert_eq!(own.list.len(), 1);
        let other = |number: u32| Address {
            address: IpAddr::V4(number.into()),
            ..address(2, "10.0.0.1", 16)
        };
        own.replace((0..ADDRESSES_MAX as u32).map(other).collect());
        let changed = Address { prefix: 24, ..other(7) };
        assert!(own.apply(AddressEvent::New(changed)), "there is room for what is there");
        assert!(!own.apply(new(16)), "but not for more");
        assert_eq!((own.list.len(), own.list.last()), (ADDRESSES_MAX, Some(&changed)));
        own.replace(vec![address(2, "10.0.0.1", 16)]);
        let gone = AddressEvent::Gone(address(2, "10.0.0.1", 16));
        assert!(own.apply(gone));
        assert!(!own.apply(gone));
    }
}
