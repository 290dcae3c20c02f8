// SPDX-License-Identifier: GPL-2.0-or-later
//! The forwarding databases of bridges: which port a MAC address is behind.
//!
//! Anybody can make a bridge learn MAC addresses without end. So stations that have an IP address as
//! a neighbour of this router, clients, come before others where room is short.

use litemap::LiteMap;

use super::moves::Moves;
use crate::netlink::route::{FdbEntry, Mac, Station};

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
    known: LiteMap<Station, Known>,
    /// Some may be lost.
    some_lost: bool,
    /// Stations of the last list that were left out because the table was full.
    pub(super) left_out: u64,
}

/// Tells whether a MAC address is that of a client.
pub(super) type IsClient<'a> = dyn Fn(Mac) -> bool + 'a;

impl Bridges {
    /// True when a station is there that was not. The ports' own addresses are skipped.
    /// `beyond` are those that are not even in the list; of the stations `unasked`, which are in order,
    /// nobody has asked where they are, so they stay where they were.
    pub(super) fn replace(
        &mut self,
        list: Vec<FdbEntry>,
        beyond: u64,
        unasked: &[Station],
        is_client: &IsClient<'_>,
        moves: &mut Moves,
    ) -> bool {
        let before: LiteMap<_, _> = std::mem::take(&mut self.known);
        (self.left_out, self.some_lost) = (beyond, true);
        let stations = list.iter().filter_map(|entry| Some((entry.station()?, entry.port)));
        let (clients, others): (Vec<_>, Vec<_>) =
            stations.partition(|((mac, ..), _)| is_client(*mac));
        let mut moved = false;
        // Added all at once, which sorts them once.
        for (mut list, of_clients) in [(clients, true), (others, false)] {
            let room = self.room();
            self.left_out += list.len().saturating_sub(room) as u64;
            list.truncate(room);
            for (station, port) in &list {
                moved |= has_moved(before.get(station), *port, moves);
            }
            let present = |(station, port)| (station, Known { port, lost: false });
            self.known.extend(list.into_iter().map(present));
            let unseen = before.iter().filter(|((mac, ..), _)| is_client(*mac) == of_clients);
            let unseen = unseen.filter(|(station, _)| !self.known.contains_key(*station));
            let kept: Vec<_> = unseen
                .take(self.room())
                .map(|(station, known)| {
                    let lost = known.lost || unasked.binary_search(station).is_err();
                    (*station, Known { lost, ..*known })
                })
                .collect();
            self.known.extend(kept);
        }
        moved
    }

    fn room(&self) -> usize {
        STATIONS_MAX.saturating_sub(self.known.len())
    }

    /// The clients that are known, or were.
    pub(super) fn clients<'a>(
        &'a self,
        is_client: &'a IsClient<'a>,
    ) -> impl Iterator<Item = Station> + 'a {
        self.known.keys().filter(|(mac, ..)| is_client(*mac)).copied()
    }

    /// A station is behind a port; true when it was not, or nobody knew.
    pub(super) fn learn(
        &mut self,
        entry: FdbEntry,
        is_client: &IsClient<'_>,
        moves: &mut Moves,
    ) -> bool {
        let Some(station) = entry.station() else { return false };
        let before = self.known.get(&station).copied();
        if before.is_none() && self.room() == 0 {
            self.make_room(is_client(entry.mac), is_client);
        }
        if before.is_none() && self.room() == 0 {
            self.left_out += 1;
            return false;
        }
        self.known.insert(station, Known { port: entry.port, lost: false });
        has_moved(before.as_ref(), entry.port, moves)
    }

    /// The lost make room for whoever comes, and for a client another station does.
    fn make_room(&mut self, for_client: bool, is_client: &IsClient<'_>) {
        // Of a flood each station comes here: they must not walk the table one by one.
        if std::mem::take(&mut self.some_lost) {
            self.known.retain(|(mac, ..), known| !known.lost || is_client(*mac));
        }
        if for_client && self.known.len() >= STATIONS_MAX {
            let other = self.known.keys().find(|(mac, ..)| !is_client(*mac)).copied();
            if other.is_some_and(|other| self.known.remove(&other).is_some()) {
                self.left_out += 1;
            }
        }
    }

    /// The port of a bridge that a station is behind, in this VLAN or in any.
    pub(super) fn port(&self, bridge: u32, mac: Mac, vlan: Option<u16>) -> Option<u32> {
        let present = |known: &&Known| !known.lost;
        if let Some(known) = self.known.get(&(mac, bridge, vlan)).filter(present) {
            return Some(known.port);
        }
        let first = self.known.find_index(&(mac, bridge, None)).unwrap_or_else(|place| place);
        let any = self.known.iter().skip(first);
        let any = any.take_while(|((of, on, _), _)| (*of, *on) == (mac, bridge));
        any.map(|(_, known)| known).find(present).map(|known| known.port)
    }
}

/// A station is behind this port now; true when it was not, or nobody knew.
fn has_moved(before: Option<&Known>, port: u32, moves: &mut Moves) -> bool {
    let Some(before) = before else { return true };
    if before.port != port {
        moves.port(before.port);
    }
    before.lost || before.port != port
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac::new([2; 6]);
    const NOBODY: &IsClient<'_> = &|_| false;

    fn entry(port: u32, vlan: Option<u16>) -> FdbEntry {
        FdbEntry { port, bridge: Some(2), mac: MAC, vlan, own: false }
    }

    fn replace(bridges: &mut Bridges, list: Vec<FdbEntry>) -> bool {
        bridges.replace(list, 0, &[], NOBODY, &mut Moves::default())
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
        assert!(bridges.learn(entry(3, None), NOBODY, &mut moves));
        assert!(!bridges.learn(entry(3, None), NOBODY, &mut moves));
        assert!(moves.is_empty(), "one that is new has no flows yet");
        assert!(bridges.learn(entry(4, None), NOBODY, &mut moves));
        assert_eq!(moves.ports, [3]);
        // Whether an event tells or the list; and the bridge may have forgotten it in between.
        bridges.replace(vec![entry(5, None)], 0, &[], NOBODY, &mut moves);
        assert_eq!(moves.ports, [3, 4]);
        bridges.replace(Vec::new(), 0, &[], NOBODY, &mut moves);
        assert!(bridges.learn(entry(5, None), NOBODY, &mut moves));
        assert_eq!(moves.ports, [3, 4], "it was only silent");
        bridges.replace(Vec::new(), 0, &[], NOBODY, &mut moves);
        assert!(bridges.learn(entry(3, None), NOBODY, &mut moves));
        assert_eq!(moves.ports, [3, 4, 5]);
    }

    #[test]
    fn who_was_not_asked_for_is_where_it_was() {
        let (mut bridges, mut moves) = (Bridges::default(), Moves::default());
        let both = [entry(3, Some(10)), entry(3, Some(20))];
        bridges.replace(both.to_vec(), 0, &[], NOBODY, &mut moves);
        let unasked = [both[1].station().unwrap()];
        assert!(!bridges.replace(Vec::new(), 0, &unasked, NOBODY, &mut moves));
        assert_eq!((bridges.port(2, MAC, Some(20)), bridges.known.len()), (Some(3), 2));
        bridges.replace(Vec::new(), 0, &[], NOBODY, &mut moves);
        assert_eq!(bridges.port(2, MAC, Some(20)), None);
        assert!(!bridges.replace(Vec::new(), 0, &unasked, NOBODY, &mut moves));
        assert_eq!(bridges.port(2, MAC, Some(20)), None, "it was lost before");
    }

    #[test]
    fn a_ports_own_address_is_no_station() {
        let mut bridges = Bridges::default();
        let own = FdbEntry { own: true, ..entry(3, None) };
        let nowhere = FdbEntry { bridge: None, ..entry(3, None) };
        assert!(!replace(&mut bridges, vec![own, nowhere]));
        assert!(!bridges.learn(own, NOBODY, &mut Moves::default()));
        assert_eq!(bridges.port(2, MAC, None), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut bridges = Bridges::default();
        let vlans = 0..STATIONS_MAX as u16 + 2;
        let all: Vec<_> = vlans.map(|vlan| entry(3, Some(vlan))).collect();
        for _ in 0..2 {
            bridges.replace(all.clone(), 5, &[], NOBODY, &mut Moves::default());
            assert_eq!((bridges.known.len(), bridges.left_out), (STATIONS_MAX, 2 + 5));
        }
        // The lost make room for one that comes, not the other way round.
        replace(&mut bridges, all[1..].to_vec());
        assert_eq!((bridges.known.len(), bridges.left_out), (STATIONS_MAX, 1));
        replace(&mut bridges, all[..9].to_vec());
        assert_eq!((bridges.known.len(), bridges.left_out), (STATIONS_MAX, 0));
        assert!(bridges.learn(all[STATIONS_MAX + 1], NOBODY, &mut Moves::default()));
        assert_eq!(bridges.known.len(), 10);
    }

    /// Entries of invented stations, more than there is room for.
    fn flood() -> Vec<FdbEntry> {
        let mac = |number: u16| {
            let [high, low] = number.to_be_bytes();
            Mac::new([2, 0, 0, 0xff, high, low])
        };
        (0..STATIONS_MAX as u16 + 9).map(|n| FdbEntry { mac: mac(n), ..entry(3, None) }).collect()
    }

    #[test]
    fn a_client_is_not_forgotten_in_a_flood() {
        let client: &IsClient<'_> = &|mac| mac == MAC;
        // Whether the flood comes as events or with the list; and the bridge may have forgotten the
        // client, whose offloaded packets pass it by.
        for (listed, forgotten) in [(true, true), (true, false), (false, true), (false, false)] {
            let (mut bridges, mut moves) = (Bridges::default(), Moves::default());
            bridges.learn(entry(3, None), client, &mut moves);
            if forgotten {
                bridges.replace(Vec::new(), 0, &[], client, &mut moves);
            }
            if listed {
                let own = (!forgotten).then(|| entry(3, None));
                bridges.replace(
                    flood().into_iter().chain(own).collect(),
                    0,
                    &[],
                    client,
                    &mut moves,
                );
            } else {
                flood().into_iter().for_each(|entry| {
                    bridges.learn(entry, client, &mut moves);
                });
            }
            assert!(moves.is_empty() && bridges.left_out == 10);
            assert_eq!(bridges.known.len(), STATIONS_MAX);
            assert!(bridges.learn(entry(4, None), client, &mut moves));
            assert_eq!(moves.ports, [3], "listed {listed}, forgotten {forgotten}");
        }
    }

    #[test]
    fn a_client_that_comes_in_a_flood_takes_the_place_of_another() {
        let mut bridges = Bridges::default();
        replace(&mut bridges, flood());
        assert!(!bridges.learn(entry(3, None), NOBODY, &mut Moves::default()), "no room");
        assert!(bridges.learn(entry(3, None), &|mac| mac == MAC, &mut Moves::default()));
        assert_eq!((bridges.port(2, MAC, None), bridges.known.len()), (Some(3), STATIONS_MAX));
    }
}
