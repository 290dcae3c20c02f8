// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading which stations there are and where, at a cost that nobody on a link can drive up.
//!
//! Anybody can make a bridge learn invented addresses, a hundred thousand of them and more. So the
//! kernel's list is read up to a bound, the clients that it leaves out are asked for one by one, and
//! a reading that took its time is followed by a pause.

use std::time::{Duration, Instant};

use crate::core::topology::{Topology, STATIONS_MAX};
use crate::netlink::route::{self, Station, NETLINK_ROUTE};
use crate::netlink::socket::Socket;
use crate::netlink::Error;
use crate::sys::clock::cpu_time;

/// Clients asked for in one reading, where the list leaves them out: some five microseconds each, on a
/// slow router a tenth of a millisecond. The others have their turn in the next one.
const ASKED_MAX: usize = 256;

/// Of the processor's time readings take one part in so many at most: the kernel walks all that a
/// bridge has learned once for each of its ports, however little of that it tells.
const PARTS: u32 = 20;

/// Readings as short as those of a home are not rationed.
const SHORT: Duration = Duration::from_millis(2);

/// When stations were read, and whom.
#[derive(Debug, Default)]
pub(super) struct Stations {
    /// No reading before.
    rests_until: Option<Instant>,
    /// Who was asked for last.
    asked: Option<Station>,
}

impl Stations {
    /// The next instant at which they may be read, `now` or later.
    pub fn next(&self, now: Instant) -> Instant {
        self.rests_until.map_or(now, |until| until.max(now))
    }

    /// Reads neighbours and stations.
    ///
    /// # Errors
    /// Of the part that could not be read; the other part has been.
    pub fn read(
        &mut self,
        questions: &mut Socket,
        topology: &mut Topology,
        now: Instant,
    ) -> Result<(), Error> {
        let before = cpu_time();
        let neighbours = route::neighbours(questions).map(|list| topology.set_neighbours(list));
        let stations = self.read_bridges(questions, topology);
        let took = cpu_time().saturating_sub(before);
        self.rests_until = (took > SHORT).then(|| now + took * PARTS);
        neighbours.and(stations)
    }

    fn read_bridges(
        &mut self,
        questions: &mut Socket,
        topology: &mut Topology,
    ) -> Result<(), Error> {
        let socket = Socket::open(NETLINK_ROUTE, &[], "list forwarding tables")?;
        let (mut list, whole) = route::fdb(socket, STATIONS_MAX)?;
        if whole {
            topology.set_stations(list, 0, &[]);
            return Ok(());
        }
        let (turn, mut unasked) = self.turn(topology.clients_beyond(&list));
        for station in turn {
            match route::station(questions, station) {
                Ok(entry) => list.extend(entry),
                // Each further question might take its time to fail as well.
                Err(error) => {
                    unasked = topology.clients_beyond(&list);
                    topology.set_stations(list, 1, &unasked);
                    return Err(error);
                }
            }
        }
        topology.set_stations(list, 1, &unasked);
        Ok(())
    }

    /// Those whose turn it is to be asked for, and the others, which are in order as `clients` are.
    fn turn(&mut self, clients: Vec<Station>) -> (Vec<Station>, Vec<Station>) {
        let first = clients.partition_point(|station| Some(*station) <= self.asked);
        let in_turn = || clients.iter().cycle().skip(first).take(clients.len()).copied();
        let turn: Vec<Station> = in_turn().take(ASKED_MAX).collect();
        self.asked = turn.last().copied();
        let mut unasked: Vec<Station> = in_turn().skip(ASKED_MAX).collect();
        unasked.sort_unstable();
        (turn, unasked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::route::Mac;

    fn clients(numbers: std::ops::Range<u16>) -> Vec<Station> {
        let mac = |number: u16| {
            let [high, low] = number.to_be_bytes();
            Mac::new([2, 0, 0, 0, high, low])
        };
        numbers.map(|number| (mac(number), 3, None)).collect()
    }

    #[test]
    fn every_client_has_its_turn() {
        let mut stations = Stations::default();
        assert_eq!(stations.turn(clients(0..9)), (clients(0..9), Vec::new()));
        stations.asked = None;
        let all = clients(0..600);
        assert_eq!(stations.turn(all.clone()), (clients(0..256), clients(256..600)));
        let (turn, unasked) = stations.turn(all.clone());
        assert_eq!(turn, clients(256..512));
        assert_eq!(unasked, [clients(0..256), clients(512..600)].concat());
        let (turn, unasked) = stations.turn(all);
        assert_eq!(turn, [clients(512..600), clients(0..168)].concat());
        assert_eq!(unasked, clients(168..512));
        assert_eq!(stations.turn(Vec::new()), (Vec::new(), Vec::new()));
    }
}
