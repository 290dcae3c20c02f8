// SPDX-License-Identifier: GPL-2.0-or-later
//! The forwarding databases of bridges: which port a MAC address is behind.

use std::collections::BTreeMap;

use crate::netlink::route::{FdbEntry, Mac};

/// A bridge that learns more stations than this is no home's; further ones have no known port.
pub const STATIONS_MAX: usize = 4096;

/// Ports by MAC address, bridge and VLAN. Bridges without VLANs have `None`.
#[derive(Debug, Default)]
pub(super) struct Bridges {
    ports: BTreeMap<(Mac, u32, Option<u16>), u32>,
    /// Stations of the last list that were left out because the table was full.
    pub(super) left_out: u64,
}

impl Bridges {
    /// True when a station is there that was not. The ports' own addresses are skipped.
    /// `beyond` are those that are not even in the list.
    pub(super) fn replace(&mut self, list: Vec<FdbEntry>, beyond: u64) -> bool {
        let before = std::mem::take(&mut self.ports);
        self.left_out = beyond;
        for entry in list {
            let Some(bridge) = entry.bridge.filter(|_| !entry.own) else { continue };
            if self.ports.len() >= STATIONS_MAX {
                self.left_out += 1;
                continue;
            }
            self.ports.insert((entry.mac, bridge, entry.vlan), entry.port);
        }
        self.ports.iter().any(|(key, port)| before.get(key) != Some(port))
    }

    /// The port of a bridge that a station is behind, in this VLAN or in any.
    pub(super) fn port(&self, bridge: u32, mac: Mac, vlan: Option<u16>) -> Option<u32> {
        if let Some(port) = self.ports.get(&(mac, bridge, vlan)) {
            return Some(*port);
        }
        let mut any = self.ports.range((mac, bridge, None)..=(mac, bridge, Some(u16::MAX)));
        any.next().map(|(_, port)| *port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac::new([2; 6]);

    fn entry(port: u32, vlan: Option<u16>) -> FdbEntry {
        FdbEntry { port, bridge: Some(2), mac: MAC, vlan, own: false }
    }

    #[test]
    fn stations_are_found_by_vlan_and_roam() {
        let mut bridges = Bridges::default();
        assert!(bridges.replace(vec![entry(3, Some(10))], 0));
        assert!(!bridges.replace(vec![entry(3, Some(10))], 0));
        assert_eq!(bridges.port(2, MAC, Some(10)), Some(3));
        assert_eq!(bridges.port(2, MAC, None), Some(3), "whatever the VLAN");
        assert_eq!(bridges.port(9, MAC, None), None, "of another bridge");
        assert!(bridges.replace(vec![entry(4, Some(10))], 0), "it roamed");
        assert_eq!(bridges.port(2, MAC, Some(10)), Some(4));
        assert!(!bridges.replace(Vec::new(), 0), "its flows stay where they were");
        assert_eq!(bridges.port(2, MAC, Some(10)), None);
    }

    #[test]
    fn a_ports_own_address_is_no_station() {
        let mut bridges = Bridges::default();
        let own = FdbEntry { own: true, ..entry(3, None) };
        let nowhere = FdbEntry { bridge: None, ..entry(3, None) };
        assert!(!bridges.replace(vec![own, nowhere], 0));
        assert_eq!(bridges.port(2, MAC, None), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut bridges = Bridges::default();
        let vlans = 0..STATIONS_MAX as u16 + 2;
        let all: Vec<_> = vlans.map(|vlan| entry(3, Some(vlan))).collect();
        for _ in 0..2 {
            bridges.replace(all.clone(), 5);
            assert_eq!((bridges.ports.len(), bridges.left_out), (STATIONS_MAX, 2 + 5));
        }
    }
}
