// SPDX-License-Identifier: GPL-2.0-or-later
//! Replays a stretch of a day for one contestant: connections begin and end, lists are made as the
//! daemon makes them, and a switch is filled by the daemon's own queue in between.

use super::chip::Chip;
use super::clients::{Clients, Population};
use super::connections::{Connections, Ended, Paths, INSIDE, OUTSIDE};
use super::contestant::{offer, Contestant, Listed};
use super::random::Random;
use flowtabled::core::flows::table::FlowTable;
use flowtabled::core::hardware::{Candidate, Rules, Switch, CHANGES_MAX, PICKED_MAX};
use flowtabled::core::links::Links;
use flowtabled::core::topology::{Answer, Topology};
use flowtabled::netlink::route::{Address, Link};
use hw_drivers::table::Network;
use std::time::{Duration, Instant};

/// The daemon's lists while a switch wants flows.
pub const LIST_MS: u64 = 5000;
/// What a packet is taken to cost in the flowtable: that of a small MIPS that forwards 400 Mbit/s
/// so, which with their acknowledgements are 50,000 packets a second.
const PACKET_MS: f64 = 0.02;
/// Flows that the table keeps: all.
const NO_LIMIT: usize = usize::MAX;

/// What is replayed.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Who is there.
    pub population: Population,
    /// Who decides.
    pub contestant: Contestant,
    /// Entries of the switch; 0 without one.
    pub capacity: usize,
    /// By which rules the daemon's selection goes.
    pub rules: Rules,
    /// Between two lists.
    pub list_ms: u64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What the connections have carried, as drawn.
    pub drawn: u64,
    /// By the paths that it took.
    pub paths: Paths,
    /// Packets, and those of them that a switch has carried.
    pub packets: [u64; 2],
    /// Bytes that the daemon has accounted, by state; 0 when it did not look.
    pub accounted: [u64; 3],
    /// Connections.
    pub flows: u64,
    /// The most at once.
    pub flows_max: usize,
    /// Entries made and taken out.
    pub inserted: u64,
    /// Entries taken out.
    pub removed: u64,
    /// Milliseconds that the bus was busy.
    pub bus_ms: u64,
}

impl Outcome {
    /// Share of all bytes that a switch has carried.
    pub fn hardware(&self) -> f64 {
        self.paths.hardware as f64 / self.drawn.max(1) as f64
    }

    /// Processor time that the switch saves, less what its bus costs, as a share of what all packets
    /// would cost in the flowtable.
    pub fn saved(&self) -> f64 {
        let [all, switched] = self.packets.map(|packets| packets as f64 * PACKET_MS);
        (switched - self.bus_ms as f64) / all.max(1.0)
    }

    /// Share of all bytes that took the classic path.
    pub fn classic(&self) -> f64 {
        self.paths.classic as f64 / self.drawn.max(1) as f64
    }
}

/// The networks around the router: clients on one side, the Internet on the other.
pub fn topology() -> Topology {
    let link = |index, name: &str| Link {
        index,
        name: name.into(),
        kind: String::new(),
        loopback: false,
        master: None,
        lower: None,
        lower_elsewhere: false,
        vlan_id: None,
        wireless: false,
        mac: None,
        mtu: 1500,
        up: true,
    };
    let mut links = Links::default();
    links.replace(vec![link(1, "lan0"), link(2, "wan0")]);
    let mut topology = Topology::default();
    let uplinks = std::iter::once("wan0".to_owned()).collect();
    topology.set_devices(&links, &[], &uplinks);
    let own = |index, address, prefix| Address { index, address, prefix, peer: None };
    topology.set_addresses(vec![
        own(1, INSIDE.into(), 8),
        own(1, [0xfd00, 0, 0, 0, 0, 0, 0xffff, 1].into(), 64),
        own(2, OUTSIDE.into(), 24),
    ]);
    topology
}

/// Routing has one way out.
pub fn ask(_: &flowtabled::netlink::route::Lookup) -> Answer {
    Answer::Behind(2)
}

struct Replay {
    setting: Setting,
    connections: Connections,
    switch: Switch,
    chip: Chip,
    /// What the daemon knows; only its own selection needs it.
    table: Option<FlowTable>,
    random: Random,
    base: Instant,
    /// The bus is busy until then, and was for so long in all.
    busy: Duration,
    bus: Duration,
    outcome: Outcome,
}

/// Replays it to the end of the last connection.
pub fn replay(setting: Setting) -> Outcome {
    let base = Instant::now();
    let ours = setting.contestant == Contestant::Ours;
    let mut replay = Replay {
        setting,
        connections: Connections::default(),
        switch: Switch::new(setting.capacity, base),
        chip: Chip::new(setting.capacity),
        table: ours.then(table),
        random: Random::new(setting.population.seed + 1),
        base,
        busy: Duration::ZERO,
        bus: Duration::ZERO,
        outcome: Outcome::default(),
    };
    replay.switch.set_rules(setting.rules);
    let network = Network { private: (INSIDE, 8), public: vec![OUTSIDE] };
    replay.switch.set_network((setting.capacity > 0).then_some(network));
    replay.run();
    replay.outcome
}

fn table() -> FlowTable {
    let mut table = FlowTable::new(NO_LIMIT);
    *table.topology_mut() = topology();
    // The first list only tells where counters stand.
    table.begin(0);
    table.end(true);
    table
}

impl Replay {
    fn run(&mut self) {
        let mut opened = Clients::new(self.setting.population).peekable();
        let mut list_ms = self.setting.list_ms;
        loop {
            let begins_ms = opened.peek().map(|opened| opened.traffic.begins_ms);
            let changes_ms = self.connections.next_change_ms();
            let Some(next_ms) = [begins_ms, changes_ms].into_iter().flatten().min() else { break };
            if list_ms <= next_ms {
                self.work(list_ms);
                self.list(list_ms);
                list_ms += self.setting.list_ms;
                continue;
            }
            self.work(next_ms);
            if begins_ms == Some(next_ms) {
                if let Some(opened) = opened.next() {
                    self.connections.begin(&opened);
                    self.outcome.flows += 1;
                    self.outcome.flows_max = self.outcome.flows_max.max(self.connections.len());
                }
            } else if let Some(ended) = self.connections.change() {
                self.ended(&ended, next_ms);
            }
        }
        let tally = self.switch.tally();
        (self.outcome.inserted, self.outcome.removed) = (tally.inserted, tally.removed);
        self.outcome.bus_ms = self.bus.as_millis() as u64;
        if let Some(table) = &self.table {
            let totals = table.ledger().account.totals();
            self.outcome.accounted = totals.map(|counters| counters.bytes);
        }
    }

    fn instant(&self, at_ms: u64) -> Instant {
        self.base + Duration::from_millis(at_ms)
    }

    fn ended(&mut self, ended: &Ended, now_ms: u64) {
        let Paths { classic, software, hardware } = ended.paths;
        self.outcome.drawn += ended.traffic.size();
        self.outcome.paths.classic += classic;
        self.outcome.paths.software += software;
        self.outcome.paths.hardware += hardware;
        for (sum, bytes) in self.outcome.packets.iter_mut().zip([ended.traffic.size(), hardware]) {
            *sum += bytes / ended.traffic.packet();
        }
        if let Some(table) = &mut self.table {
            table.destroyed(&ended.entry, now_ms, &mut ask);
        }
        self.switch.release(ended.entry.id, self.instant(now_ms));
    }

    /// What the queue does until an instant.
    fn work(&mut self, until_ms: u64) {
        let until = Duration::from_millis(until_ms);
        loop {
            let Some(due) = self.switch.deadline(self.base + self.busy) else { return };
            let at = self.busy.max(due.saturating_duration_since(self.base));
            if at >= until {
                return;
            }
            let Some(work) = self.switch.next(self.base + at) else {
                // It has put off what was due.
                self.busy = at;
                if self.switch.deadline(self.base + at).is_some_and(|due| due <= self.base + at) {
                    return;
                }
                continue;
            };
            let (ended, took) = self.chip.perform(work, at, &mut self.connections);
            self.busy = at + took;
            self.bus += took;
            self.switch.done(ended, self.base + self.busy);
        }
    }

    fn list(&mut self, now_ms: u64) {
        self.busy = self.busy.max(Duration::from_millis(now_ms));
        let now = self.instant(now_ms);
        let Setting { contestant, capacity, list_ms, .. } = self.setting;
        if self.table.is_some() {
            return self.list_ours(now_ms, now);
        }
        if capacity == 0 {
            return;
        }
        // Only the one that knows the future may turn over as much as the bus can do.
        let changes = match contestant {
            Contestant::Oracle(_) => list_ms as usize / Chip::change().as_millis().max(1) as usize,
            _ => CHANGES_MAX,
        };
        let listed = Listed { at_ms: now_ms, since_ms: list_ms, capacity, changes };
        contestant.choose(&self.connections, listed, &mut self.random, &mut self.switch, now);
    }

    /// As the daemon does it, but for where the ends of a connection are.
    fn list_ours(&mut self, now_ms: u64, now: Instant) {
        let Some(table) = &mut self.table else { return };
        table.switched_mut().set(self.switch.held());
        table.begin(now_ms);
        self.connections.iter().for_each(|live| table.observe(&live.entry(now_ms), &mut ask));
        table.end(true);
        let Setting { capacity, rules, .. } = self.setting;
        if capacity == 0 {
            return;
        }
        let limit = (2 * capacity).min(PICKED_MAX);
        let settled_ms = rules.settled.as_millis() as u32;
        let picked = table.pick(now_ms, rules.worthwhile, settled_ms, limit);
        for id in picked.closing {
            self.switch.release(id, now);
        }
        let offers = picked.candidates.iter().map(|(flow, rate)| {
            let age = Duration::from_millis(flow.age_ms.into());
            offer(Candidate { id: flow.id, rate: *rate, age })
        });
        self.switch.offer(offers.collect(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_one_path_whoever_decides() {
        let population = Population { clients: 4, from_hour: 20, lasts_ms: 900_000, seed: 5 };
        let rules = Rules::USUAL;
        let mut drawn = Vec::new();
        for contestant in
            [Contestant::Ours, Contestant::Oracle(60_000), Contestant::Random, Contestant::Lru]
        {
            let setting = Setting { population, contestant, capacity: 8, rules, list_ms: LIST_MS };
            let outcome = replay(setting);
            let Paths { classic, software, hardware } = outcome.paths;
            assert_eq!(classic + software + hardware, outcome.drawn, "{contestant:?}");
            assert!(hardware > 0 && outcome.removed <= outcome.inserted, "{outcome:?}");
            if contestant == Contestant::Ours {
                let accounted: u64 = outcome.accounted.iter().sum();
                assert_eq!(accounted + hardware, outcome.drawn);
            }
            drawn.push(outcome.drawn);
        }
        drawn.dedup();
        assert_eq!(drawn.len(), 1, "the same trace for all");
    }
}
