// SPDX-License-Identifier: GPL-2.0-or-later
//! The hash that flows are found by: a sum of words times secret factors.
//!
//! It is strongly universal (Carter and Wegman): whoever does not know the factors cannot choose
//! addresses and ports that collide more often than chance. It takes a multiplication a word where
//! the standard library's hash takes a function call with three rounds, and a list asks for it once
//! per flow.

use std::hash::{BuildHasher, RandomState};

use crate::netlink::conntrack::tuple::{Addresses, Tuple};

/// Two IPv6 addresses, ports, and the rest.
const WORDS: usize = 10;

/// Tells the families apart.
const V6: u32 = 1 << 24;

/// The factors, drawn once.
#[derive(Debug)]
pub(super) struct KeyedHash {
    offset: u64,
    factors: [u64; WORDS],
}

impl KeyedHash {
    pub(super) fn new() -> KeyedHash {
        let random = RandomState::new();
        let mut factors = [0; WORDS];
        for (number, factor) in factors.iter_mut().enumerate() {
            *factor = random.hash_one(number);
        }
        KeyedHash { offset: random.hash_one(WORDS), factors }
    }

    /// The hash of a flow's key, 32 bits of it.
    pub(super) fn of(&self, orig: &Tuple, zone: u16) -> u64 {
        let ports = u32::from(orig.source_port) << 16 | u32::from(orig.destination_port);
        let rest = u32::from(orig.protocol) << 16 | u32::from(zone);
        let mut sum = self.offset;
        let mut factors = self.factors.iter();
        let mut add = |word: u32| {
            let factor = factors.next().copied().unwrap_or_default();
            sum = sum.wrapping_add(factor.wrapping_mul(u64::from(word)));
        };
        add(ports);
        match orig.addresses {
            Addresses::V4 { source, destination } => {
                add(rest);
                add(source.into());
                add(destination.into());
            }
            Addresses::V6 { source, destination } => {
                add(rest | V6);
                for address in [u128::from(source), u128::from(destination)] {
                    (0..4).for_each(|word| add((address >> (32 * word)) as u32));
                }
            }
        }
        // The lower half of the sum is weak.
        spread((sum >> 32) as u32).into()
    }
}

/// Ports that follow one another give sums a constant apart, and such a row of slots would be as
/// long a search; here they lose their order (the final mix of MurmurHash3, one to one).
fn spread(mut hash: u32) -> u32 {
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::conntrack::tuple::tests::any_tuple;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    proptest! {
        /// Every part of the key counts, and nothing else.
        #[test]
        fn keys_that_differ_hash_differently(a in any_tuple(), b in any_tuple(), zone in any::<u16>()) {
            let hash = KeyedHash::new();
            prop_assert_eq!(hash.of(&a, zone), hash.of(&a, zone));
            // Equal by chance once in four thousand million.
            prop_assert_eq!(hash.of(&a, zone) == hash.of(&b, zone), a == b);
            prop_assert_ne!(hash.of(&a, zone), hash.of(&a, zone ^ 1));
            let other = Tuple { protocol: a.protocol ^ 1, ..a };
            prop_assert_ne!(hash.of(&a, zone), hash.of(&other, zone));
        }
    }

    #[test]
    fn neighbours_spread() {
        let hash = KeyedHash::new();
        let slots: BTreeSet<u64> = (0..4096u16)
            .filter_map(|port| {
                let host = |last| Ipv4Addr::new(192, 168, 1, last).into();
                let tuple = Tuple::new(6, (host(2), 1024 + port), (host(3), 443))?;
                Some(hash.of(&tuple, 0) & 0xffff)
            })
            .collect();
        assert!(slots.len() > 3072, "{} of 65536 slots for 4096 ports", slots.len());
    }
}
