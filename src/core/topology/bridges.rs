// SPDX-License-Identifier: GPL-2.0-or-later
//! The forwarding databases of bridges: which port a MAC address is behind.

use std::collections::BTreeMap;

use crate::netlink::route::{FdbEntry, Mac};

/// A bridge that learns more stations than this is no home's; further ones have no known port.
const STATIONS_MAX: usize = 4096;

/// Ports by MAC address, bridge and VLAN. Bridges without VLANs have `None`.
#[derive(Debug, Default)]
pub(super) struct Bridges {
    ports: BTreeMap<(Mac, u32, Option<u16>), u32>,
    /// Stations left out because the table was full.
    pub(super) left_out: u64,
}

impl Bridges {
    /// True when the station was not known to be there. The bridge's own addresses are skipped.
    pub(super) fn learn(&mut self, entry: FdbEntry) -> bool {
        let Some(bridge) = entry.bridge.filter(|_| !entry.own) else { return false };
        let key = (entry.mac, bridge, entry.vlan);
        if self.ports.len() >= STATIONS_MAX && !self.ports.contains_key(&key) {
            self.left_out += 1;
            return false;
        }
        self.ports.insert(key, entry.port) != Some(entry.port)
    }

    /// A station aged out, or moved: then the new port has been told before.
    pub(super) fn forget(&mut self, entry: FdbEntry) {
        let Some(bridge) = entry.bridge else { return };
        let key = (entry.mac, bridge, entry.vlan);
        if self.ports.get(&key) == Some(&entry.port) {
            self.ports.remove(&key);
        }
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

    fn entry(port: u32, vlan: Option<u16>) -> FdbEntry {
        FdbEntry { port, bridge: Some(2), mac: Mac([2; 6]), vlan, own: false }
    }

    #[test]
    fn stations_are_found_by_vlan_and_roam() {
        let mut bridges = Bridges::default();
        assert!(bridges.learn(entry(3, Some(10))));
        assert!(!bridges.learn(entry(3, Some(10))));
        assert_eq!(bridges.port(2, Mac([2; 6]), Some(10)), Some(3));
        assert_eq!(bridges.port(2, Mac([2; 6]), None), Some(3), "whatever the VLAN");
        assert_eq!(bridges.port(9, Mac([2; 6]), None), None, "of another bridge");
        assert!(bridges.learn(entry(4, Some(10))), "it roamed");
        bridges.forget(entry(3, Some(10)));
        assert_eq!(bridges.port(2, Mac([2; 6]), Some(10)), Some(4));
        bridges.forget(entry(4, Some(10)));
        assert_eq!(bridges.port(2, Mac([2; 6]), Some(10)), None);
    }

    #[test]
    fn a_ports_own_address_is_no_station() {
        let mut bridges = Bridges::default();
        assert!(!bridges.learn(FdbEntry { own: true, ..entry(3, None) }));
        assert!(!bridges.learn(FdbEntry { bridge: None, ..entry(3, None) }));
        assert_eq!(bridges.port(2, Mac([2; 6]), None), None);
    }
}
