// SPDX-License-Identifier: GPL-2.0-or-later
//! The private addresses that entries can hold: any on QCA8337; on AR8327 twelve bits of each, with
//! the rest the same for all entries.

use super::registers::BASEADDR_SEL;
use super::Model;
use std::net::Ipv4Addr;

/// The LAN's network, and how entries hold addresses of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Private {
    network: u32,
    mask: u32,
    base: Option<Base>,
}

/// How AR8327 completes twelve bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// An entry holds bits 11:0: one network of /20.
    Block(u32),
    /// An entry holds bits 19:16 and 7:0: sixteen networks of /24, 65536 addresses apart.
    Comb(u32),
}

impl Base {
    /// The /20 around an address.
    pub const fn block(address: u32) -> Base {
        Base::Block(address >> 12)
    }

    /// The comb through an address.
    pub const fn comb(address: u32) -> Base {
        Base::Comb((address >> 20) << 8 | (address >> 8) & 0xff)
    }

    /// What an entry holds of `address`; `None` for one outside.
    pub fn compress(self, address: Ipv4Addr) -> Option<u32> {
        let bits = u32::from(address);
        let twelve = match self {
            Base::Block(_) => bits & 0xfff,
            Base::Comb(_) => (bits >> 8) & 0xf00 | bits & 0xff,
        };
        (self.expand(twelve) == address).then_some(twelve)
    }

    /// The address that an entry means.
    pub fn expand(self, twelve: u32) -> Ipv4Addr {
        Ipv4Addr::from(match self {
            Base::Block(base) => base << 12 | twelve & 0xfff,
            Base::Comb(base) => {
                (base >> 8) << 20 | (twelve & 0xf00) << 8 | (base & 0xff) << 8 | twelve & 0xff
            }
        })
    }

    /// Value of the base register: selector and base.
    pub const fn register(self) -> u32 {
        match self {
            Base::Block(base) => base,
            Base::Comb(base) => BASEADDR_SEL | base,
        }
    }
}

impl Private {
    /// The network of `address` with a prefix of `length` bits; `None` if no LAN can be that: a
    /// length of 0 or above 32.
    pub fn new(model: Model, (address, length): (Ipv4Addr, u8)) -> Option<Private> {
        if length == 0 || length > 32 {
            return None;
        }
        let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(length)))?;
        let network = u32::from(address) & mask;
        let base = match model {
            Model::Qca8337 => None,
            Model::Ar8327 => Some(Base::block(network)),
        };
        Some(Private { network, mask, base })
    }

    /// The network's address.
    pub fn network(&self) -> u32 {
        self.network
    }

    /// Its mask.
    pub fn mask(&self) -> u32 {
        self.mask
    }

    /// How entries hold addresses; `None` if in full.
    pub fn base(&self) -> Option<Base> {
        self.base
    }

    /// Whether an entry can hold this address of the LAN.
    pub fn holds(&self, address: Ipv4Addr) -> bool {
        self.is_lan(address) && self.base.is_none_or(|base| base.compress(address).is_some())
    }

    /// Whether the address is of the LAN.
    pub fn is_lan(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask == self.network
    }

    /// Whether the chip takes the address for a private one. AR8327 knows no mask, so it may be
    /// one that is not of the LAN.
    pub fn looks_private(&self, address: Ipv4Addr) -> bool {
        self.is_lan(address) || self.base.is_some_and(|base| base.compress(address).is_some())
    }

    /// Whether the chip takes all addresses of the LAN for private ones.
    pub fn is_whole(&self) -> bool {
        self.base.is_none() || self.mask >= 0xffff_f000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks_are_of_their_length() {
        let lan = Private::new(Model::Qca8337, (Ipv4Addr::new(192, 168, 1, 77), 24)).unwrap();
        assert_eq!((lan.network(), lan.mask()), (0xc0a8_0100, 0xffff_ff00));
        assert!(lan.holds(Ipv4Addr::new(192, 168, 1, 255)));
        assert!(!lan.holds(Ipv4Addr::new(192, 168, 2, 1)) && lan.is_whole());
        for length in [0, 33, 255] {
            assert_eq!(Private::new(Model::Qca8337, (Ipv4Addr::new(10, 0, 0, 0), length)), None);
        }
        assert!(Private::new(Model::Ar8327, (Ipv4Addr::new(10, 0, 0, 1), 32)).is_some());
    }

    /// 192.168.0.0/16 on AR8327: only the /20 at its start fits entries.
    #[test]
    fn twelve_bits_are_a_part_of_a_large_network() {
        let lan = Private::new(Model::Ar8327, (Ipv4Addr::new(192, 168, 0, 0), 16)).unwrap();
        assert_eq!(lan.base().unwrap().register(), 0xc_0a80);
        assert!(lan.holds(Ipv4Addr::new(192, 168, 15, 255)) && !lan.is_whole());
        assert!(!lan.holds(Ipv4Addr::new(192, 168, 16, 0)));
        let small = Private::new(Model::Ar8327, (Ipv4Addr::new(192, 168, 1, 0), 24)).unwrap();
        let beside = Ipv4Addr::new(192, 168, 2, 1);
        assert!(small.looks_private(beside) && !small.holds(beside) && small.is_whole());
    }

    #[test]
    fn a_comb_skips_a_byte() {
        let base = Base::comb(0x0a10_0500);
        assert_eq!(base.register(), 1 << 28 | 0x0a1 << 8 | 0x05);
        assert_eq!(base.compress(Ipv4Addr::new(10, 19, 5, 200)), Some(0x3c8));
        assert_eq!(base.compress(Ipv4Addr::new(10, 19, 6, 200)), None);
    }

    proptest! {
        #[test]
        fn twelve_bits_come_back(address: u32) {
            for base in [Base::block(address), Base::comb(address)] {
                let address = Ipv4Addr::from(address);
                let twelve = base.compress(address).unwrap();
                prop_assert!(twelve < 0x1000);
                prop_assert_eq!(base.expand(twelve), address);
            }
        }
    }
}
