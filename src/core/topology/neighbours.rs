// SPDX-License-Identifier: GPL-2.0-or-later
//! Neighbours: which MAC address an IP address has, and on which device.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::netlink::route::{Mac, Neighbour};

/// The kernel keeps about a thousand of each family unless told otherwise (`gc_thresh3`).
const NEIGHBOURS_MAX: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Known {
    index: u32,
    mac: Mac,
    /// The kernel does not know it any more. It is kept while there is room: connections outlive
    /// the kernel's interest in a silent neighbour.
    lost: bool,
}

/// Neighbours by address.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    by_address: BTreeMap<IpAddr, Known>,
    /// Neighbours of the last list that were left out because the table was full.
    pub(super) left_out: u64,
}

impl Neighbours {
    /// True when an address is known that was not, or not there.
    pub(super) fn replace(&mut self, list: Vec<Neighbour>) -> bool {
        self.by_address.values_mut().for_each(|known| known.lost = true);
        self.left_out = 0;
        let mut moved = false;
        for neighbour in list {
            moved |= self.learn(neighbour);
        }
        moved
    }

    fn learn(&mut self, neighbour: Neighbour) -> bool {
        let Neighbour { index, address, mac } = neighbour;
        if let Some(known) = self.by_address.get_mut(&address) {
            let moved = (known.index, known.mac) != (index, mac);
            // Link-local addresses exist on every link; the first is as good as another.
            *known = Known { index, mac, lost: false };
            return moved;
        }
        if self.by_address.len() >= NEIGHBOURS_MAX {
            self.by_address.retain(|_, known| !known.lost);
        }
        if self.by_address.len() >= NEIGHBOURS_MAX {
            self.left_out += 1;
            return false;
        }
        self.by_address.insert(address, Known { index, mac, lost: false });
        true
    }

    pub(super) fn get(&self, address: IpAddr) -> Option<(u32, Mac)> {
        self.by_address.get(&address).map(|known| (known.index, known.mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(number: u32, mac: u8) -> Neighbour {
        Neighbour {
            index: 2,
            address: IpAddr::V4(number.into()),
            mac: Mac::new([0, 0, 0, 0, 0, mac]),
        }
    }

    #[test]
    fn only_moves_count_and_the_lost_are_remembered() {
        let mut table = Neighbours::default();
        let address = neighbour(1, 7).address;
        assert!(table.replace(vec![neighbour(1, 7)]));
        assert!(!table.replace(vec![neighbour(1, 7)]));
        assert!(table.replace(vec![neighbour(1, 8)]));
        assert!(!table.replace(Vec::new()));
        assert_eq!(table.get(address), Some((2, Mac::new([0, 0, 0, 0, 0, 8]))));
    }

    #[test]
    fn the_lost_make_room() {
        let mut table = Neighbours::default();
        let all = |from: u32| (from..from + NEIGHBOURS_MAX as u32).map(|n| neighbour(n, 1));
        assert!(table.replace(all(0).chain(all(9_999).take(1)).collect()));
        assert_eq!(table.left_out, 1);
        assert!(table.replace(all(5).collect()));
        assert_eq!(table.left_out, 0, "of the last list");
        assert_eq!(table.get(neighbour(4, 1).address), None);
        assert_eq!(table.by_address.len(), NEIGHBOURS_MAX);
    }
}
