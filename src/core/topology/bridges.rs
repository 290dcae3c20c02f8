// SPDX-License-Identifier: GPL-2.0-or-later
//! The forwarding databases of bridges: which port a MAC address is behind.

use std::collections::BTreeMap;

use super::moves::Moves;
use crate::netlink::route::{FdbEntry, Mac};

/// A bridge that learns more stations than this is no home's; further ones have no known port.
pub const STATIONS_MAX: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Known {
    port: u32,
    /// The bridge has forgotten it. It is kept while there is room: packets of offloaded flows
    /// pass the bridge by, so a station can be busy without it, and come back behind another port.
    lost: bool,
}

/// Ports by MAC address, bridge and VLAN. Bridges without VLANs have `None`.
#[derive(Debug, Default)]
pub(super) struct Bridges {
    known: BTreeMap<(Mac, u32, Option<u16>), Known>,
    /// Stations of the last list that were left out because the table was full.
    pub(super) left_out: u64,
}

impl Bridges {
    /// True when a station is there that was not. The ports' own addresses are skipped.
    /// `beyond` are those that are not even in the list.
    pub(super) fn replace(&mut self, list: Vec<FdbEntry>, beyond: u64, moves: &mut Moves) -> bool {
        let before: BTreeMap<_, _> = std::mem::take(&mut self.known);
        self.left_out = beyond;
        let mut moved = false;
        for entry in list {
            moved |= self.place(entry, before.get(&key(&entry)).copied(), moves);
        }
        for (key, known) in before {
            if self.known.len() >= STATIONS_MAX {
                break;
            }
            self.known.entry(key).or_insert(Known { lost: true, ..known });
        }
        moved
    }

    /// A station is behind a port; true when it was not, or nobody knew.
    pub(super) fn learn(&mut self, entry: FdbEntry, moves: &mut Moves) -> bool {
        let before = self.known.get(&key(&entry)).copied();
        if before.is_none() && self.known.len() >= STATIONS_MAX {
            self.known.retain(|_, known| !known.lost);
        }
        self.place(entry, before, moves)
    }

    fn place(&mut self, entry: FdbEntry, before: Option<Known>, moves: &mut Moves) -> bool {
        if entry.own || entry.bridge.is_none() {
            return false;
        }
        if !self.known.contains_key(&key(&entry)) && self.known.len() >= STATIONS_MAX {
            self.left_out += 1;
            return false;
        }
        self.known.insert(key(&entry), Known { port: entry.port, lost: false });
        let Some(before) = before else { return true };
        if before.port != entry.port {
            moves.port(before.port);
        }
        before.lost || before.port != entry.port
    }

    /// The port of a bridge that a station is behind, in this VLAN or in any.
    pub(super) fn port(&self, bridge: u32, mac: Mac, vlan: Option<u16>) -> Option<u32> {
        let present = |known: &&Known| !known.lost;
        if let Some(known) = self.known.get(&(mac, bridge, vlan)).filter(present) {
            return Some(known.port);
        }
        let any = self.known.range((mac, bridge, None)..=(mac, bridge, Some(u16::MAX)));
        any.map(|(_, known)| known).find(present).map(|known| known.port)
    }
}

fn key(entry: &FdbEntry) -> (Mac, u32, Option<u16>) {
    (entry.mac, entry.bridge.unwrap_or_default(), entry.vlan)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac::new([2; 6]);

    fn entry(port: u32, vlan: Option<u16>) -> FdbEntry {
        FdbEntry { port, bridge: Some(2), mac: MAC, vlan, own: false }
    }

    fn replace(bridges: &mut Bridges, list: Vec<FdbEntry>) -> bool {
        bridges.replace(list, 0, &mut Moves::default())
    }

    #[test]
    fn stations_are_found_by_vlan_and_roam() {
        let mut bridges = Bridges::default();
        assert!(replace(&mut bridges, vec![entry(3, Some(10))]));
        assert!(!replace(&mut bridges, vec![entry(3, Some(10))]));
        assert_eq!(bridges.port(2, MAC, Some(10)), Some(3));
        assert_eq!(bridges.port(2, MAC, None), Some(3), "whatever the VLAN");
        assert_eq!(bridges.port(9, MAC, None), None, "of another bridge");
        assert!(replace(&mut bridges, vec![entry(4, Some(10))]), "it roamed");
        assert_eq!(bridges.port(2, MAC, Some(10)), Some(4));
        assert!(!replace(&mut bridges, Vec::new()), "its flows stay where they were");
        assert_eq!(bridges.port(2, MAC, Some(10)), None);
        assert!(replace(&mut bridges, vec![entry(4, Some(10))]), "its port is known again");
    }

    #[test]
    fn a_port_that_a_station_left_is_a_move() {
        let (mut bridges, mut moves) = (Bridges::default(), Moves::default());
        assert!(bridges.learn(entry(3, None), &mut moves));
        assert!(!bridges.learn(entry(3, None), &mut moves));
        assert!(moves.is_empty(), "one that is new has no flows yet");
        assert!(bridges.learn(entry(4, None), &mut moves));
        assert_eq!(moves.ports, [3]);
        // Whether an event tells or the list; and the bridge may have forgotten it in between.
        bridges.replace(vec![entry(5, None)], 0, &mut moves);
        assert_eq!(moves.ports, [3, 4]);
        bridges.replace(Vec::new(), 0, &mut moves);
        assert!(bridges.learn(entry(5, None), &mut moves));
        assert_eq!(moves.ports, [3, 4], "it was only silent");
        bridges.replace(Vec::new(), 0, &mut moves);
        assert!(bridges.learn(entry(3, None), &mut moves));
        assert_eq!(moves.ports, [3, 4, 5]);
    }

    #[test]
    fn a_ports_own_address_is_no_station() {
        let mut bridges = Bridges::default();
        let own = FdbEntry { own: true, ..entry(3, None) };
        let nowhere = FdbEntry { bridge: None, ..entry(3, None) };
        assert!(!replace(&mut bridges, vec![own, nowhere]));
        assert!(!bridges.learn(own, &mut Moves::default()));
        assert_eq!(bridges.port(2, MAC, None), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut bridges = Bridges::default();
        let vlans = 0..STATIONS_MAX as u16 + 2;
        let all: Vec<_> = vlans.map(|vlan| entry(3, Some(vlan))).collect();
        for _ in 0..2 {
            bridges.replace(all.clone(), 5, &mut Moves::default());
            assert_eq!((bridges.known.len(), bridges.left_out), (STATIONS_MAX, 2 + 5));
        }
        // The lost make room for one that comes, not the other way round.
        replace(&mut bridges, all[1..].to_vec());
        assert_eq!((bridges.known.len(), bridges.left_out), (STATIONS_MAX, 1));
        replace(&mut bridges, all[..9].to_vec());
        assert_eq!((bridges.known.len(), bridges.left_out), (STATIONS_MAX, 0));
        assert!(bridges.learn(all[STATIONS_MAX + 1], &mut Moves::default()));
        assert_eq!(bridges.known.len(), 10);
    }
}
