// SPDX-License-Identifier: GPL-2.0-or-later
//! Who decides which connections get an entry: the daemon's own selection, or one of those that it
//! is compared with. The others are told of all connections as they are, know when each had a packet
//! last, and speak to the same queue with the same costs, once after each list.

use super::connections::{Connections, Live};
use super::random::Random;
use flowtabled::core::hardware::{Attachment, Candidate, Offer, Switch};
use hw_drivers::flow::{self, Mac, Protocol, Side};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// The daemon's selection.
    Ours,
    /// Knows what each connection is going to carry within so many milliseconds.
    Oracle(u64),
    /// Any that talks, in the place of any other.
    Random,
    /// Any that talks, in the place of the one that has been silent for longest.
    Lru,
}

/// What happens after a list.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// When, in milliseconds.
    pub at_ms: u64,
    /// Time since the list before.
    pub since_ms: u64,
    /// Entries of the table.
    pub capacity: usize,
    /// Entries that may change hands.
    pub changes: usize,
}

/// A connection and what it is ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    worth: u64,
    id: u32,
}

impl Contestant {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Contestant::Ours => "flowtabled",
            Contestant::Oracle(_) => "oracle",
            Contestant::Random => "random",
            Contestant::Lru => "LRU",
        }
    }

    /// Tells the switch which are to leave, and offers it no more than there is room for.
    pub fn choose(
        self,
        connections: &Connections,
        listed: Listed,
        random: &mut Random,
        switch: &mut Switch,
        now: Instant,
    ) {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for live in connections.iter() {
            let worth = self.worth(live, listed, random);
            if live.is_switched() {
                inside.push(Ranked { worth: worth.unwrap_or(0), id: live.id });
            } else if let Some(worth) = worth {
                outside.push(Ranked { worth, id: live.id });
            }
        }
        outside.sort_unstable_by(|one, other| other.cmp(one));
        inside.sort_unstable();
        let room = listed.capacity.saturating_sub(inside.len());
        let (fill, others) = outside.split_at(room.min(outside.len()));
        let mut enter: Vec<u32> = fill.iter().map(|ranked| ranked.id).collect();
        for (weakest, newcomer) in inside.iter().zip(others).take(listed.changes) {
            let is_better = match self {
                Contestant::Oracle(_) => newcomer.worth > weakest.worth,
                Contestant::Ours | Contestant::Random | Contestant::Lru => true,
            };
            if !is_better {
                break;
            }
            switch.release(weakest.id, now);
            enter.push(newcomer.id);
        }
        let offers = enter.iter().filter_map(|id| connections.get(*id));
        // Only what there is room for is offered, so the rate and the age say nothing.
        let certain = |live: &Live| Candidate { id: live.id, rate: u64::MAX, age: Duration::MAX };
        switch.offer(offers.map(|live| offer(certain(live))).collect(), now);
    }

    /// What a connection is ranked by; `None` when there is no reason to take it now.
    fn worth(self, live: &Live, listed: Listed, random: &mut Random) -> Option<u64> {
        let Listed { at_ms, since_ms, .. } = listed;
        let traffic = &live.traffic;
        if !live.is_offloaded(at_ms) {
            return None;
        }
        let talks_ms = traffic.last_packet_ms(at_ms);
        match self {
            Contestant::Oracle(ahead_ms) => {
                let soon = traffic.total(at_ms + ahead_ms) - traffic.total(at_ms);
                Some(soon).filter(|soon| *soon > 0)
            }
            _ if talks_ms + since_ms <= at_ms && !live.is_switched() => None,
            Contestant::Random => Some(random.bits() >> 1),
            Contestant::Ours | Contestant::Lru => Some(talks_ms),
        }
    }
}

/// An offer that stands for a connection: the table does not look at more than its id.
pub fn offer(candidate: Candidate) -> Offer {
    let socket = |id: u32| SocketAddr::from((Ipv4Addr::from(id), 1));
    let original = flow::Tuple { source: socket(candidate.id), destination: socket(0) };
    let side = Side::ethernet(1, 1, Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let flow = flow::Flow {
        protocol: Protocol::Tcp,
        original,
        reply: original.inverse(),
        opener: side,
        answerer: side,
    };
    let [near, far] = [1, 2].map(|index| Attachment { routed: index, port: index });
    Offer { candidate, flow, table: None, ends: [near, far] }
}
