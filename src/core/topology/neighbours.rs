// SPDX-License-Identifier: GPL-2.0-or-later
//! Neighbours: which MAC address an IP address has, and on which device.

use litemap::LiteMap;
use std::net::IpAddr;

use super::moves::Moves;
use crate::netlink::route::{Mac, Neighbour};

/// The kernel keeps about a thousand of each family unless told otherwise (`gc_thresh3`).
const NEIGHBOURS_MAX: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Known {
    mac: Mac,
    /// The kernel does not know it any more. It is kept while there is room: connections outlive
    /// the kernel's interest in a silent neighbour.
    lost: bool,
}

/// Neighbours by address and device: some addresses exist on more than one link.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    known: LiteMap<(IpAddr, u32), Known>,
    /// How many of them have a MAC address.
    macs: LiteMap<Mac, u32>,
    /// Neighbours of the last list that were left out because the table was full.
    pub(super) left_out: u64,
}

impl Neighbours {
    /// True when an address is known that was not, or had another MAC address.
    pub(super) fn replace(&mut self, list: Vec<Neighbour>, moves: &mut Moves) -> bool {
        self.known.iter_mut().for_each(|(_, known)| known.lost = true);
        self.left_out = 0;
        let mut moved = false;
        for neighbour in list {
            moved |= self.learn(neighbour, moves);
        }
        moved
    }

    /// True when the address was not known, or had another MAC address: the latter is a move.
    pub(super) fn learn(&mut self, neighbour: Neighbour, moves: &mut Moves) -> bool {
        let Neighbour { index, address, mac } = neighbour;
        if let Some(known) = self.known.get_mut(&(address, index)) {
            let before = std::mem::replace(known, Known { mac, lost: false }).mac;
            let moved = before != mac;
            if moved {
                self.uncount(before);
                self.count(mac);
                moves.neighbour(index);
            }
            return moved;
        }
        if self.known.len() >= NEIGHBOURS_MAX {
            self.retain(|_, known| !known.lost);
        }
        if self.known.len() >= NEIGHBOURS_MAX {
            self.left_out += 1;
            return false;
        }
        self.known.insert((address, index), Known { mac, lost: false });
        self.count(mac);
        true
    }

    /// Their MAC addresses with the devices that they are on.
    pub(super) fn macs(&self) -> impl Iterator<Item = (u32, Mac)> + '_ {
        self.known.iter().map(|((_, index), known)| (*index, known.mac))
    }

    /// An IP address is known, or was, at this station.
    pub(super) fn are_at(&self, mac: Mac) -> bool {
        self.macs.contains_key(&mac)
    }

    fn count(&mut self, mac: Mac) {
        *self.macs.entry(mac).or_default() += 1;
    }

    fn uncount(&mut self, mac: Mac) {
        if let Some(count) = self.macs.get_mut(&mac) {
            *count -= 1;
            if *count == 0 {
                self.macs.remove(&mac);
            }
        }
    }

    fn retain(&mut self, keep: impl Fn(u32, &Known) -> bool) {
        self.known.retain(|(_, index), known| keep(*index, known));
        self.macs.clear();
        let macs: Vec<Mac> = self.known.values().map(|known| known.mac).collect();
        macs.into_iter().for_each(|mac| self.count(mac));
    }

    /// Forgets the neighbours on devices that are gone.
    pub(super) fn retain_devices(&mut self, exists: impl Fn(u32) -> bool) {
        self.retain(|index, _| exists(index));
    }

    /// The device that an address is on, if the kernel knows it at present, on one only.
    pub(super) fn device(&self, address: IpAddr) -> Option<u32> {
        let mut devices = self.on_all(address).filter(|(_, known)| !known.lost);
        let (device, _) = devices.next()?;
        devices.next().is_none().then_some(device)
    }

    /// The MAC address that an address has, or had last, on a device.
    pub(super) fn mac(&self, address: IpAddr, index: u32) -> Option<Mac> {
        self.known.get(&(address, index)).map(|known| known.mac)
    }

    fn on_all(&self, address: IpAddr) -> impl Iterator<Item = (u32, &Known)> {
        let first = self.known.find_index(&(address, 0)).unwrap_or_else(|place| place);
        let all = self.known.iter().skip(first).take_while(move |((of, _), _)| *of == address);
        all.map(|((_, index), known)| (*index, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(number: u32, mac: u8) -> Neighbour {
        let address = IpAddr::V4(number.into());
        Neighbour { index: 2, address, mac: Mac::new([0, 0, 0, 0, 0, mac]) }
    }

    fn replace(table: &mut Neighbours, list: Vec<Neighbour>) -> bool {
        table.replace(list, &mut Moves::default())
    }

    #[test]
    fn an_address_that_comes_to_another_station_is_a_move() {
        let (mut table, mut moves) = (Neighbours::default(), Moves::default());
        assert!(table.learn(neighbour(1, 7), &mut moves));
        assert!(!table.learn(neighbour(1, 7), &mut moves));
        assert!(moves.is_empty(), "one that is new has no flows yet");
        replace(&mut table, Vec::new());
        assert!(!table.learn(neighbour(1, 7), &mut moves), "it was only silent");
        assert!(moves.is_empty());
        assert!(table.learn(neighbour(1, 8), &mut moves));
        assert!(table.learn(neighbour(1, 9), &mut moves));
        assert_eq!(moves.neighbours, [2]);
    }

    #[test]
    fn only_moves_count_and_the_lost_are_remembered() {
        let mut table = Neighbours::default();
        let address = neighbour(1, 7).address;
        assert!(replace(&mut table, vec![neighbour(1, 7)]));
        assert!(!replace(&mut table, vec![neighbour(1, 7)]));
        assert!(replace(&mut table, vec![neighbour(1, 8)]));
        assert_eq!(table.device(address), Some(2));
        assert!(!replace(&mut table, Vec::new()));
        assert_eq!(table.device(address), None);
        assert_eq!(table.mac(address, 2), Some(Mac::new([0, 0, 0, 0, 0, 8])));
        table.retain_devices(|index| index != 2);
        assert_eq!(table.mac(address, 2), None);
    }

    #[test]
    fn stations_with_an_address_are_told_apart() {
        let mac = |last| neighbour(0, last).mac;
        let mut table = Neighbours::default();
        replace(&mut table, vec![neighbour(1, 7), neighbour(2, 7), neighbour(3, 8)]);
        replace(&mut table, vec![neighbour(1, 9), neighbour(3, 8)]);
        assert!([7, 8, 9].iter().all(|last| table.are_at(mac(*last))), "7 was only silent");
        table.learn(neighbour(2, 9), &mut Moves::default());
        assert!(!table.are_at(mac(7)) && table.are_at(mac(9)));
        table.learn(neighbour(1, 8), &mut Moves::default());
        assert!(table.are_at(mac(9)), "by its other address");
        table.retain_devices(|_| false);
        assert!(!table.are_at(mac(8)) && !table.are_at(mac(9)));
    }

    #[test]
    fn an_address_on_two_links_stands_still_and_tells_no_device() {
        let mut table = Neighbours::default();
        let other = Neighbour { index: 3, ..neighbour(1, 9) };
        assert!(replace(&mut table, vec![neighbour(1, 7), other]));
        assert!(!replace(&mut table, vec![other, neighbour(1, 7)]));
        assert_eq!(table.device(other.address), None);
        assert_eq!(table.mac(other.address, 3), Some(other.mac));
    }

    #[test]
    fn the_lost_make_room() {
        let mut table = Neighbours::default();
        let all = |from: u32| (from..from + NEIGHBOURS_MAX as u32).map(|n| neighbour(n, 1));
        assert!(replace(&mut table, all(0).chain(all(9_999).take(1)).collect()));
        assert_eq!(table.left_out, 1);
        assert!(replace(&mut table, all(5).collect()));
        assert_eq!(table.left_out, 0, "of the last list");
        assert_eq!(table.mac(neighbour(4, 1).address, 2), None);
        assert_eq!(table.known.len(), NEIGHBOURS_MAX);
    }
}
