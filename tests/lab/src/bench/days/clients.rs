// SPDX-License-Identifier: GPL-2.0-or-later
//! The connections of a population of clients over a stretch of a day, in the order in which they
//! begin. Clients come and go with the hour; while one is there it opens pages with their look-ups,
//! watches, calls, plays and downloads, a few share files, all have something that waits in the
//! background, and now and then many do the same at once.

use super::kinds::draw;
use super::random::Random;
use super::traffic::{Kind, Traffic};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

const SECOND_MS: f64 = 1000.0;
const MINUTE_MS: f64 = 60.0 * SECOND_MS;
const HOUR_MS: u64 = 3_600_000;

/// How likely a client is to come in each hour, against the busiest.
const DIURNAL: [f64; 24] = [
    0.45, 0.30, 0.20, 0.16, 0.15, 0.16, 0.22, 0.32, 0.40, 0.45, 0.48, 0.52, //
    0.56, 0.55, 0.54, 0.56, 0.62, 0.70, 0.80, 0.90, 0.98, 1.00, 0.88, 0.66,
];
/// Time that a client stays, on average: a median of 25 min.
const STAYS_MS: f64 = 36.0 * MINUTE_MS;
/// Time until it comes again in the busiest hour.
const AWAY_MS: f64 = 24.0 * MINUTE_MS;
/// What a client begins with each click, by weight.
const BEGINS: [(Kind, f64); 6] = [
    (Kind::Web, 0.915),
    (Kind::Video, 0.02),
    (Kind::Bulk, 0.03),
    (Kind::Call, 0.01),
    (Kind::Voice, 0.01),
    (Kind::Game, 0.015),
];
/// Clients that share files while they are there.
const SHARERS: f64 = 0.05;
/// Between two new connections of one of them.
const SHARES_MS: f64 = 1500.0;
/// Between two connections of a client that wait in the background.
const PUSHES_MS: f64 = 20.0 * MINUTE_MS;
/// Between two look-ups in the background.
const LOOKS_MS: f64 = MINUTE_MS;
/// Between two moments at which many begin the same, as after a release, and their share.
const RUSHES_MS: f64 = 120.0 * MINUTE_MS;
const RUSHED: f64 = 0.1;
const RUSH_MS: f64 = 30.0 * SECOND_MS;

/// Who is there, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Population {
    /// Number of clients.
    pub clients: u32,
    /// Hour of the day at which it begins.
    pub from_hour: u64,
    /// Length of the stretch, in milliseconds.
    pub lasts_ms: u64,
    /// The same seed gives the same day.
    pub seed: u64,
}

/// A connection and the client that opens it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opened {
    /// Number of the client.
    pub client: u32,
    /// What it carries.
    pub traffic: Traffic,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Arrives(u32),
    Clicks { client: u32, until_ms: u64 },
    Shares { client: u32, until_ms: u64 },
    Pushes(u32),
    Looks(u32),
    Rush,
    Opens(Opened),
}

#[derive(Debug)]
struct Due {
    at_ms: u64,
    /// In the order of their making, so that nothing depends on the heap.
    number: u64,
    event: Event,
}

/// The connections, one after the other.
#[derive(Debug)]
pub struct Clients {
    population: Population,
    random: Random,
    due: BinaryHeap<Due>,
    number: u64,
}

impl Clients {
    /// From the beginning.
    pub fn new(population: Population) -> Clients {
        let random = Random::new(population.seed);
        let mut clients = Clients { population, random, due: BinaryHeap::new(), number: 0 };
        for client in 0..population.clients {
            // Some are there already.
            let wait = clients.random.exponential(AWAY_MS) * clients.random.share();
            clients.later(0, wait, Event::Arrives(client));
            let wait = clients.random.exponential(PUSHES_MS);
            clients.later(0, wait, Event::Pushes(client));
            let wait = clients.random.exponential(LOOKS_MS);
            clients.later(0, wait, Event::Looks(client));
        }
        let wait = clients.random.exponential(RUSHES_MS);
        clients.later(0, wait, Event::Rush);
        clients
    }

    fn later(&mut self, now_ms: u64, wait_ms: f64, event: Event) {
        let at_ms = now_ms + wait_ms as u64;
        if at_ms < self.population.lasts_ms {
            self.number += 1;
            self.due.push(Due { at_ms, number: self.number, event });
        }
    }

    fn opens(&mut self, client: u32, kind: Kind, now_ms: u64, wait_ms: f64) {
        let traffic = draw(kind, now_ms + wait_ms as u64, &mut self.random);
        self.later(now_ms, wait_ms, Event::Opens(Opened { client, traffic }));
    }

    fn happens(&mut self, now_ms: u64, event: Event) -> Option<Opened> {
        match event {
            Event::Opens(opened) => return Some(opened),
            Event::Arrives(client) => {
                let until_ms = now_ms + self.random.exponential(STAYS_MS) as u64;
                self.later(now_ms, 0.0, Event::Clicks { client, until_ms });
                if f64::from(client % 100) < 100.0 * SHARERS {
                    self.later(now_ms, 0.0, Event::Shares { client, until_ms });
                }
            }
            Event::Clicks { client, until_ms } if now_ms >= until_ms => {
                let hour = (self.population.from_hour + now_ms / HOUR_MS) % 24;
                let likely = DIURNAL.get(hour as usize).copied().unwrap_or(1.0);
                let wait = self.random.exponential(AWAY_MS / likely);
                self.later(now_ms, wait, Event::Arrives(client));
            }
            Event::Clicks { client, .. } => {
                self.click(client, now_ms);
                let wait = self.random.lognormal(15.0 * SECOND_MS, 1.2).min(10.0 * MINUTE_MS);
                self.later(now_ms, wait, event);
            }
            Event::Shares { until_ms, .. } if now_ms >= until_ms => (),
            Event::Shares { client, .. } => {
                self.opens(client, Kind::Peer, now_ms, 0.0);
                let wait = self.random.exponential(SHARES_MS);
                self.later(now_ms, wait, event);
            }
            Event::Pushes(client) => {
                self.opens(client, Kind::Push, now_ms, 0.0);
                let wait = self.random.exponential(PUSHES_MS);
                self.later(now_ms, wait, event);
            }
            Event::Looks(client) => {
                self.opens(client, Kind::Lookup, now_ms, 0.0);
                let wait = self.random.exponential(LOOKS_MS);
                self.later(now_ms, wait, event);
            }
            Event::Rush => {
                for client in 0..self.population.clients {
                    if self.random.chance(RUSHED) {
                        let wait = self.random.share() * RUSH_MS;
                        self.opens(client, Kind::Bulk, now_ms, wait);
                    }
                }
                let wait = self.random.exponential(RUSHES_MS);
                self.later(now_ms, wait, event);
            }
        }
        None
    }

    /// A page brings a handful of connections within a second or two, most with a look-up of their own.
    fn click(&mut self, client: u32, now_ms: u64) {
        let mut left = self.random.share();
        let begun = BEGINS.into_iter().find(|(_, weight)| {
            left -= weight;
            left <= 0.0
        });
        let kind = begun.map_or(Kind::Web, |(kind, _)| kind);
        let connections = match kind {
            Kind::Web => self.random.pareto(2.0, 1.2, 30.0) as u32,
            _ => 1,
        };
        for number in 0..connections {
            let wait = f64::from(number.min(1)) * self.random.share() * 2.0 * SECOND_MS;
            if self.random.chance(0.6) {
                self.opens(client, Kind::Lookup, now_ms, wait);
            }
            self.opens(client, kind, now_ms, wait + 40.0);
        }
    }
}

impl Iterator for Clients {
    type Item = Opened;

    fn next(&mut self) -> Option<Opened> {
        loop {
            let Due { at_ms, event, .. } = self.due.pop()?;
            if let Some(opened) = self.happens(at_ms, event) {
                return Some(opened);
            }
        }
    }
}

impl Ord for Due {
    /// The earliest is the greatest.
    fn cmp(&self, other: &Due) -> Ordering {
        (other.at_ms, other.number).cmp(&(self.at_ms, self.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn hours(from_hour: u64, hours: u64) -> Vec<Opened> {
        let lasts_ms = hours * HOUR_MS;
        Clients::new(Population { clients: 20, from_hour, lasts_ms, seed: 1 }).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_day_in_order() {
        let day = hours(20, 2);
        assert_eq!(day, hours(20, 2));
        let begins = |opened: &Opened| opened.traffic.begins_ms;
        assert!(day.is_sorted_by_key(begins));
        assert!(day.iter().all(|opened| begins(opened) < 2 * HOUR_MS));
        let other = Population { clients: 20, from_hour: 20, lasts_ms: 2 * HOUR_MS, seed: 2 };
        assert_ne!(day, Clients::new(other).collect::<Vec<_>>());
    }

    #[test]
    fn the_night_is_quiet_and_all_kinds_are_there() {
        let (night, evening) = (hours(2, 4), hours(19, 4));
        assert!(2 * night.len() < evening.len(), "{} {}", night.len(), evening.len());
        let mut bytes: BTreeMap<Kind, (u32, u64)> = BTreeMap::new();
        for Opened { traffic, .. } in &evening {
            let (flows, sum) = bytes.entry(traffic.kind).or_default();
            (*flows, *sum) = (*flows + 1, *sum + traffic.size());
        }
        assert_eq!(bytes.len(), 9, "{bytes:?}");
        // Heavy tails: the tenth of the connections that carry most carry nearly all.
        let mut sizes: Vec<u64> = evening.iter().map(|opened| opened.traffic.size()).collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        let all: u64 = sizes.iter().sum();
        let tenth: u64 = sizes.iter().take(sizes.len() / 10).sum();
        assert!(tenth * 100 > all * 95, "{tenth} of {all}");
        assert!(bytes[&Kind::Lookup].0 > evening.len() as u32 / 5);
    }
}
