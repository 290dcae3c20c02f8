// SPDX-License-Identifier: GPL-2.0-or-later
//! Which share of the bytes takes which path: in software alone, and with tables of several sizes
//! under the daemon's selection and those that it is compared with.

use super::clients::Population;
use super::contestant::Contestant;
use super::replay::{replay, Outcome, Setting, LIST_MS};
use flowtabled::core::hardware::Rules;
use std::time::Duration;

/// Sizes of the tables.
pub const CAPACITIES: [usize; 4] = [64, 1024, 4096, 16_384];
/// How far the oracle looks ahead; of these the best counts, for none is the best for all tables.
const AHEAD_MS: [u64; 2] = [10_000, 60_000];

const HOUR_MS: u64 = 3_600_000;

/// A population and its name.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// Who is there.
    pub population: Population,
}

const fn place(name: &'static str, clients: u32, from_hour: u64, lasts_ms: u64) -> Place {
    Place { name, population: Population { clients, from_hour, lasts_ms, seed: 1 } }
}

/// A home for a day; a block of flats, a campus and a town in the evening. The town has as many
/// connections as the daemon keeps.
pub const PLACES: [Place; 4] = [
    place("home", 10, 0, 24 * HOUR_MS),
    place("flats", 200, 20, HOUR_MS),
    place("campus", 1000, 20, HOUR_MS / 4),
    place("town", 5000, 20, HOUR_MS / 12),
];
/// Where the rules are varied, and for how many entries: one with room, one with too few.
pub const VARIED: [(Place, usize); 2] =
    [(place("home", 10, 19, HOUR_MS), 1024), (place("flats", 200, 20, HOUR_MS / 3), 64)];

/// What a table of one size came to.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its entries.
    pub capacity: usize,
    /// The daemon's selection.
    pub ours: Outcome,
    /// The best of the oracles.
    pub oracle: Outcome,
    /// Random replacement.
    pub random: Outcome,
    /// The least recently used.
    pub lru: Outcome,
}

impl Table {
    /// All four on the same trace.
    pub fn of(place: &Place, capacity: usize) -> Table {
        let with = |contestant| replay(setting(place, contestant, capacity));
        let oracles = AHEAD_MS.map(|ahead_ms| with(Contestant::Oracle(ahead_ms)));
        let best = |best: Outcome, other: Outcome| match other.hardware() > best.hardware() {
            true => other,
            false => best,
        };
        Table {
            capacity,
            ours: with(Contestant::Ours),
            oracle: oracles.into_iter().fold(Outcome::default(), best),
            random: with(Contestant::Random),
            lru: with(Contestant::Lru),
        }
    }

    /// All sizes. Where there were never more connections than entries, more of these change nothing.
    pub fn all(place: &Place) -> Vec<Table> {
        let mut tables: Vec<Table> = Vec::new();
        for capacity in CAPACITIES {
            let enough = tables.last().filter(|table| table.capacity >= table.ours.flows_max);
            let table = match enough {
                Some(table) => Table { capacity, ..*table },
                None => Table::of(place, capacity),
            };
            tables.push(table);
        }
        tables
    }

    /// Ours, the oracle's, random's and LRU's.
    pub fn outcomes(&self) -> [&Outcome; 4] {
        [&self.ours, &self.oracle, &self.random, &self.lru]
    }

    /// Shares of all bytes in hardware: ours, the oracle's, random's and LRU's.
    pub fn shares(&self) -> [f64; 4] {
        self.outcomes().map(Outcome::hardware)
    }
}

/// The daemon's own rules and lists.
pub fn setting(place: &Place, contestant: Contestant, capacity: usize) -> Setting {
    let population = place.population;
    Setting { population, contestant, capacity, rules: Rules::USUAL, list_ms: LIST_MS }
}

/// A rule with another value than the daemon's, and what it is called.
#[derive(Debug, Clone)]
pub struct Varied {
    /// Which rule.
    pub rule: &'static str,
    /// Its value.
    pub value: String,
    /// What is replayed.
    pub setting: Setting,
}

/// Each rule by itself at several values.
pub fn varied(place: &Place, capacity: usize) -> Vec<Varied> {
    let usual = setting(place, Contestant::Ours, capacity);
    let rules = Rules::USUAL;
    let seconds = Duration::from_secs;
    let mut all = Vec::new();
    let mut add = |rule, value: String, list_ms, rules| {
        all.push(Varied { rule, value, setting: Setting { rules, list_ms, ..usual } });
    };
    for list_s in [2, 5, 10, 30] {
        add("list every", format!("{list_s} s"), 1000 * list_s, rules);
    }
    for kib in [1, 4, 16, 64, 256] {
        let rules = Rules { worthwhile: kib * 1024, ..rules };
        add("worth an entry from", format!("{kib} KiB/s"), LIST_MS, rules);
    }
    for settled in [5, 30] {
        let rules = Rules { settled: seconds(settled), ..rules };
        add("settled after", format!("{settled} s"), LIST_MS, rules);
    }
    for better in [1, 2, 4] {
        add("better by", format!("{better} times"), LIST_MS, Rules { better, ..rules });
    }
    for stay in [0, 20, 300] {
        let rules = Rules { stay: seconds(stay), ..rules };
        add("kept for", format!("{stay} s"), LIST_MS, rules);
    }
    for changes_max in [16, 64, 256] {
        let rules = Rules { changes_max, ..rules };
        add("changes at once", changes_max.to_string(), LIST_MS, rules);
    }
    all
}
