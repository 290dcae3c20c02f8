// SPDX-License-Identifier: GPL-2.0-or-later
//! The bounded table of flows.
//!
//! A poll is a list of all conntrack entries: [`FlowTable::begin`], [`FlowTable::observe`] for each,
//! [`FlowTable::end`]. A list that races with new connections can miss an entry or name one twice,
//! so a flow goes only when two complete lists in a row have missed it, or when the kernel says
//! that it ended.

use litemap::LiteMap;
use std::collections::BTreeSet;

use super::aside::{Aside, Carried};
use super::index::Index;
use super::keyed_hash::KeyedHash;
use super::ledger::Ledger;
use super::packed::Packed;
use super::record::{wrapped, Record};
use super::switched::Switched;
use super::unshown::{Sight, Unshown};
use super::{Flow, FlowState};
use crate::core::status::FlowCounts;
use crate::core::topology::{Ask, Topology};
use crate::netlink::conntrack::entry::{Counters, Entry};
use crate::netlink::conntrack::tuple::Tuple;

/// Flows kept unless configured otherwise: what a router of 128 MB sets its conntrack to, with
/// room. Further ones are counted, not kept.
pub const FLOWS_MAX: usize = 65_536;
/// The table grows by so many records, instead of doubling: memory follows the number of flows.
const CHUNK: usize = 1024;
/// Places that a list goes on from. Flows that are as old as each other stand in the order of the
/// list; those that came since stand behind them, and some in the places of those that ended.
const STREAMS: usize = 3;
/// Counters that went backwards (somebody zeroed them) keep what they had in a list of this length.
const BASES_MAX: usize = 256;
/// Ends told during one list that are remembered until it is complete: a second's worth on a router
/// that is flooded. A flow that ended beyond it may be counted twice.
const ENDED_MAX: usize = 16_384;

/// All flows, and what they carried.
#[derive(Debug)]
pub struct FlowTable {
    pub(super) records: Vec<Record>,
    pub(super) aside: Aside,
    index: Index,
    hasher: KeyedHash,
    limit: usize,
    ledger: Ledger,
    /// In this list every flow is placed anew.
    replacing: bool,
    /// What was counted before somebody zeroed the counters, by conntrack's id.
    bases: LiteMap<u32, Carried>,
    poll: u8,
    now_ms: u64,
    /// When the last lists began, wrapping, the latest first: a flow is let go when two have missed it.
    listed_ms: [u32; 3],
    /// The flowtables count into conntrack.
    counting: bool,
    /// The kernel keeps closed TCP connections in the flowtable for a while.
    pub(super) keeps_closed: bool,
    /// The first list only tells where counters stand: what they hold was carried before.
    baseline: bool,
    counts: FlowCounts,
    /// Those of the list under way.
    counts_so_far: FlowCounts,
    /// Where the next entry of the list is likely to be: the kernel walks its table in the same
    /// order each time. Behind the latest entry comes first.
    likely: [u32; STREAMS],
    /// A list is being made.
    listing: bool,
    /// Ids of connections whose end was read meanwhile.
    ended: BTreeSet<u32>,
    pub(super) unshown: Unshown,
    switched: Switched,
    /// Flows that were not kept because the table was full, over all polls.
    pub left_out: u64,
    /// Flows whose counters were zeroed, and what they had before was not kept.
    pub resets_forgotten: u64,
}

impl FlowTable {
    /// An empty table that keeps at most `limit` flows.
    pub fn new(limit: usize) -> FlowTable {
        FlowTable {
            records: Vec::new(),
            aside: Aside::default(),
            index: Index::new(),
            hasher: KeyedHash::new(),
            limit,
            ledger: Ledger::default(),
            replacing: false,
            bases: LiteMap::new(),
            poll: 0,
            now_ms: 0,
            listed_ms: [0; 3],
            counting: true,
            keeps_closed: false,
            baseline: true,
            counts: FlowCounts::default(),
            counts_so_far: FlowCounts::default(),
            likely: [0; STREAMS],
            listing: false,
            ended: BTreeSet::new(),
            unshown: Unshown::default(),
            switched: Switched::default(),
            left_out: 0,
            resets_forgotten: 0,
        }
    }

    /// Whether the flowtables count. Where they do not, what an offloaded flow carries is unknown.
    pub fn set_counting(&mut self, counting: bool) {
        self.counting = counting;
    }

    /// Whether the kernel keeps closed TCP connections in the flowtable for a while.
    pub fn set_keeps_closed(&mut self, keeps_closed: bool) {
        self.keeps_closed = keeps_closed;
    }

    /// A list begins. `now_ms` counts from the daemon's start.
    pub fn begin(&mut self, now_ms: u64) {
        self.poll = self.poll.wrapping_add(1);
        self.now_ms = now_ms;
        let [last, before, _] = self.listed_ms;
        self.listed_ms = [wrapped(now_ms), last, before];
        self.counts_so_far = FlowCounts::default();
        self.likely = [0; STREAMS];
        self.replacing = self.ledger.begin();
        self.listing = true;
    }

    /// One entry of the list. Routing is asked where a new flow's ends are when nothing else tells.
    pub fn observe(&mut self, entry: &Entry, ask: &mut Ask<'_>) {
        if self.ended.contains(&entry.id) {
            return; // this part of the list was made before the end that we have read
        }
        match self.find_listed(entry) {
            Ok(position) => {
                let known = self.records.get(position as usize);
                if known.is_some_and(|record| record.poll == self.poll) {
                    return; // named twice
                }
                if known.is_some_and(|record| record.id != entry.id) {
                    // The same addresses and ports, but another connection.
                    self.ledger.account.ended_unseen += 1;
                    self.remove(position);
                    self.insert(self.hash(&entry.orig, entry.zone), entry, ask);
                } else {
                    self.update(position, entry, ask);
                }
            }
            Err(hash) => self.insert(hash, entry, ask),
        }
        let switched = self.switched.in_hardware(entry.id);
        match FlowState::of(entry) {
            _ if switched => self.counts_so_far.hardware += 1,
            FlowState::Classic => self.counts_so_far.classic += 1,
            FlowState::Software => self.counts_so_far.software += 1,
            FlowState::Hardware => self.counts_so_far.hardware += 1,
        }
    }

    /// The list ended. An incomplete one lets no flow go.
    pub fn end(&mut self, complete: bool) {
        self.listing = false;
        self.ended = BTreeSet::new();
        if complete {
            let missed_twice = |record: &Record| self.poll.wrapping_sub(record.poll) >= 2;
            let mut gone: Vec<u32> = (0u32..)
                .zip(&self.records)
                .filter_map(|(position, record)| missed_twice(record).then_some(position))
                .collect();
            // From the end, because the last record takes the place of a removed one.
            while let Some(position) = gone.pop() {
                self.ledger.account.ended_unseen += 1;
                self.remove(position);
            }
            self.unshown.end(wrapped(self.now_ms));
            self.baseline = false;
            self.counts = self.counts_so_far;
        }
        self.ledger.account.sample(wrapped(self.now_ms));
        self.shrink();
    }

    /// Lets all flows go, because no list will be made for a while; totals stay. The next list is
    /// a first one again.
    pub fn forget(&mut self) {
        self.listing = false;
        self.ended = BTreeSet::new();
        self.records = Vec::new();
        self.aside = Aside::default();
        self.index = Index::new();
        self.bases.clear();
        self.unshown.clear();
        self.switched.end_all();
        self.ledger.hosts.forget_flows();
        self.counts = FlowCounts::default();
        self.baseline = true;
    }

    /// The kernel says that a connection ended, and what it carried.
    pub fn destroyed(&mut self, entry: &Entry, now_ms: u64, ask: &mut Ask<'_>) {
        if self.baseline {
            return; // nobody knows how much of it was carried before
        }
        self.now_ms = now_ms;
        if self.listing && self.ended.len() < ENDED_MAX {
            self.ended.insert(entry.id);
        }
        let hash = self.hash(&entry.orig, entry.zone);
        match self.find(hash, &entry.orig, entry.zone) {
            Some(position) if self.id_at(position) == Some(entry.id) => {
                // The kernel clears the offload bits before it tells, so the path is the last known.
                let state = self.records.get(position as usize).map(Record::state);
                self.carry(position, entry, state.unwrap_or(FlowState::Classic));
                self.remove(position);
            }
            // It came and went between two lists.
            _ => {
                let place = self.ledger.locate(entry, self.now_ms, ask);
                let grown =
                    [entry.counters_orig, entry.counters_reply].map(Option::unwrap_or_default);
                self.ledger.credit(place, FlowState::of(entry), grown, self.now_ms);
                self.ledger.leave(place);
                if entry.is_assured() {
                    self.ledger.account.unseen += grown[0].packets + grown[1].packets;
                }
            }
        }
    }

    /// Number of flows by state in the last complete list, those that were not kept included.
    pub fn counts(&self) -> FlowCounts {
        self.counts
    }

    /// Number of the flows kept that are being closed.
    pub fn closing(&self, now_ms: u64) -> usize {
        let closing = |record: &&Record| {
            !self.switched.in_hardware(record.id) && record.is_closing(now_ms, self.keeps_closed)
        };
        self.records.iter().filter(closing).count()
    }

    /// Conntrack's ids of connections that the lists since this was asked last have shown on the
    /// classic path, although their packets take the fast one.
    pub fn take_unshown(&mut self) -> Vec<u32> {
        self.unshown.take()
    }

    /// Flows that switches have.
    pub fn switched(&self) -> &Switched {
        &self.switched
    }

    /// The same, for changes.
    pub fn switched_mut(&mut self) -> &mut Switched {
        &mut self.switched
    }

    /// Number of flows kept.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True when no flow is kept.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What flows carried, and where.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is known about the networks around; changes take effect with the next list.
    pub fn topology_mut(&mut self) -> &mut Topology {
        &mut self.ledger.topology
    }

    /// What is known about the networks around.
    pub fn topology(&self) -> &Topology {
        &self.ledger.topology
    }

    /// All flows kept, in no order; times are as of `now_ms`.
    pub fn flows(&self, now_ms: u64) -> impl Iterator<Item = Flow> + '_ {
        self.packed(now_ms).map(Flow::from)
    }

    /// The same, for those who look at a part of each, or want few of them.
    pub fn packed(&self, now_ms: u64) -> impl Iterator<Item = Packed<'_>> {
        self.records.iter().map(move |record| self.pack(record, now_ms))
    }

    pub(super) fn pack<'t>(&'t self, record: &'t Record, now_ms: u64) -> Packed<'t> {
        let switched = self.switched.in_hardware(record.id);
        Packed { record, aside: &self.aside, now_ms, keeps_closed: self.keeps_closed, switched }
    }

    fn insert(&mut self, hash: u64, entry: &Entry, ask: &mut Ask<'_>) {
        if self.records.len() >= self.limit {
            self.left_out += 1;
            return;
        }
        if self.records.len() == self.records.capacity() {
            self.records.reserve_exact(CHUNK);
        }
        let position = self.records.len() as u32;
        let place = self.ledger.locate(entry, self.now_ms, ask);
        let mut record = Record::new(entry, &mut self.aside, self.now_ms, self.poll);
        record.place = place;
        if self.baseline {
            // Carried before this daemon was there to count it.
            set_counters(&mut record, entry, &mut self.aside);
            if !self.counting && FlowState::of(entry) != FlowState::Classic {
                record.set_uncounted();
            }
        }
        self.records.push(record);
        let (records, aside, hasher) = (&self.records, &self.aside, &self.hasher);
        self.index.insert(hash, position, |position| hash_at(records, aside, hasher, position));
        if !self.baseline {
            self.carry(position, entry, FlowState::of(entry));
        }
    }

    fn update(&mut self, position: u32, entry: &Entry, ask: &mut Ask<'_>) {
        let before = self.records.get(position as usize).map(Record::state);
        let state = FlowState::of(entry);
        // A flow that has just left the fast path carried what it did on that.
        self.carry(position, entry, before.map_or(state, |before| before.max(state)));
        let (now_ms, poll) = (self.now_ms, self.poll);
        let mut place = None;
        if let Some(record) = self.records.get_mut(position as usize) {
            if state == FlowState::Classic {
                let lists_ago = usize::from(poll.wrapping_sub(record.poll));
                let listed_ms = wrapped(now_ms);
                let before_ms = self.listed_ms.get(lists_ago).copied().unwrap_or(listed_ms);
                let listed_ms = [listed_ms, before_ms];
                self.unshown.observe(entry, Sight { listed_ms, active_ms: record.active_ms });
            }
            record.refresh(entry, now_ms, poll);
            place = Some(record.place).filter(|place| self.replacing || !place.is_placed());
        }
        if let Some(before) = place {
            let place = self.ledger.locate(entry, self.now_ms, ask);
            if before.is_placed() && !place.is_placed() {
                // Better where it was than nowhere, until there is time to ask.
                self.ledger.leave(place);
                self.ledger.place_again();
                return;
            }
            self.ledger.leave(before);
            if let Some(record) = self.records.get_mut(position as usize) {
                record.place = place;
            }
        }
    }

    /// Accounts what a flow carried since it was seen last.
    fn carry(&mut self, position: u32, entry: &Entry, state: FlowState) {
        let Some(record) = self.records.get_mut(position as usize) else { return };
        let uncounted = !self.counting && state != FlowState::Classic;
        if uncounted || self.switched.in_hardware(record.id) {
            record.set_uncounted();
        }
        let (Some(orig), Some(reply)) = (entry.counters_orig, entry.counters_reply) else {
            record.set_accounted(false);
            return;
        };
        let [orig_base, reply_base] = self.bases.get(&record.id).copied().unwrap_or_default();
        let mut now = [orig_base.plus(orig), reply_base.plus(reply)];
        let mut carried = record.carried(&self.aside);
        let [sent, received] = carried;
        if now[0].bytes < sent.bytes || now[1].bytes < received.bytes {
            // Somebody zeroed the counters: what was counted before goes on top, or is forgotten.
            if self.bases.len() < BASES_MAX {
                self.bases.insert(record.id, carried);
                now = [sent.plus(orig), received.plus(reply)];
            } else {
                self.resets_forgotten += 1;
                self.bases.remove(&record.id);
                now = [orig, reply];
                carried = Carried::default();
            }
        }
        let [sent, received] = carried;
        let grown = [now[0].since(sent), now[1].since(received)];
        let lists_ago = usize::from(self.poll.wrapping_sub(record.poll));
        let now_ms = wrapped(self.now_ms);
        let seen_ms = self.listed_ms.get(lists_ago).copied().unwrap_or(now_ms);
        let span_ms = now_ms.wrapping_sub(seen_ms);
        // As most flows of a long list: no division for them, and nothing to add to four sums.
        let idle = grown == [Counters::default(); 2];
        if span_ms > 0 {
            let rate = |way: Counters| {
                let rate = way.bytes.saturating_mul(1000) / u64::from(span_ms);
                u32::try_from(rate).unwrap_or(u32::MAX)
            };
            record.set_rate(if idle { [0; 2] } else { grown.map(rate) });
        }
        if grown[0].packets + grown[1].packets > 0 {
            record.set_active(self.now_ms);
        }
        record.set_carried(now, &mut self.aside);
        record.set_accounted(true);
        let place = record.place;
        if !idle {
            self.ledger.credit(place, state, grown, self.now_ms);
        }
    }

    fn remove(&mut self, position: u32) {
        let Some(hash) = self.hash_at(position) else { return };
        let last = (self.records.len() - 1) as u32;
        let last_hash = self.hash_at(last);
        let (records, aside, hasher) = (&self.records, &self.aside, &self.hasher);
        self.index.remove(hash, position, |at| hash_at(records, aside, hasher, at));
        let record = self.records.swap_remove(position as usize);
        if let Some(hash) = last_hash.filter(|_| position != last) {
            self.index.relocate(hash, last, position);
        }
        self.bases.remove(&record.id);
        self.switched.end(record.id);
        self.ledger.leave(record.place);
        record.release(&mut self.aside);
    }

    fn shrink(&mut self) {
        if self.records.capacity() - self.records.len() > 4 * CHUNK {
            self.records.shrink_to(self.records.len() + CHUNK);
        }
    }

    fn id_at(&self, position: u32) -> Option<u32> {
        self.records.get(position as usize).map(|record| record.id)
    }

    fn hash(&self, orig: &Tuple, zone: u16) -> u64 {
        self.hasher.of(orig, zone)
    }

    fn hash_at(&self, position: u32) -> Option<u64> {
        let record = self.records.get(position as usize)?;
        Some(self.hash(&record.orig(&self.aside), record.zone))
    }

    /// The position of an entry of the list, or its hash when it is not there.
    fn find_listed(&mut self, entry: &Entry) -> Result<u32, u64> {
        for stream in 0..STREAMS {
            let Some(likely) = self.likely.get(stream).copied() else { break };
            // The next one may have taken the place of a flow that ended.
            let position = if self.is_at(likely, entry) { likely } else { likely + 1 };
            if position == likely || self.is_at(position, entry) {
                self.go_on(stream, position);
                return Ok(position);
            }
        }
        let hash = self.hash(&entry.orig, entry.zone);
        let position = self.find(hash, &entry.orig, entry.zone).ok_or(hash)?;
        self.go_on(STREAMS - 1, position);
        Ok(position)
    }

    fn is_at(&self, position: u32, entry: &Entry) -> bool {
        let record = self.records.get(position as usize);
        record.is_some_and(|record| record.is(&entry.orig, entry.zone, &self.aside))
    }

    /// The list has found a position by this stream.
    fn go_on(&mut self, stream: usize, position: u32) {
        let Some(used) = self.likely.get_mut(..=stream) else { return };
        let mut next = position + 1;
        for likely in used {
            std::mem::swap(likely, &mut next);
        }
    }

    fn find(&self, hash: u64, orig: &Tuple, zone: u16) -> Option<u32> {
        self.index.find(hash, |position| {
            let record = self.records.get(position as usize);
            record.is_some_and(|record| record.is(orig, zone, &self.aside))
        })
    }
}

fn hash_at(records: &[Record], aside: &Aside, hasher: &KeyedHash, position: u32) -> u64 {
    let record = records.get(position as usize);
    record.map_or(0, |record| hasher.of(&record.orig(aside), record.zone))
}

fn set_counters(record: &mut Record, entry: &Entry, aside: &mut Aside) {
    if let (Some(orig), Some(reply)) = (entry.counters_orig, entry.counters_reply) {
        record.set_carried([orig, reply], aside);
        record.set_accounted(true);
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
pub(crate) mod tests;
