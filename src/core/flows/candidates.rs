// SPDX-License-Identifier: GPL-2.0-or-later
//! Flows that a switch could take: in software, fast and lasting.

use std::cmp::Reverse;

use super::table::FlowTable;
use super::{Flow, FlowState};
use crate::netlink::conntrack::tuple::{IPPROTO_TCP, IPPROTO_UDP};

/// What a list of flows says to switches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picked {
    /// Flows that could be in hardware, the fastest first, with bytes a second of both directions.
    pub candidates: Vec<(Flow, u64)>,
    /// Conntrack's ids of those that switches have, and that are being closed.
    pub closing: Vec<u32>,
}

impl FlowTable {
    /// The fastest flows in software that no switch has, `limit` at most; none is slower than
    /// `rate` bytes a second, or younger than `age_ms`. Without counters nobody knows a rate.
    pub fn pick(&self, now_ms: u64, rate: u64, age_ms: u32, limit: usize) -> Picked {
        let mut picked = Picked::default();
        let mut found: Vec<(Reverse<u64>, u32)> = Vec::new();
        for (position, record) in (0u32..).zip(&self.records) {
            if self.switched().has(record.id) {
                if record.is_closing(now_ms, false) {
                    picked.closing.push(record.id);
                }
                continue;
            }
            let of_kind = record.state() == FlowState::Software
                && matches!(record.protocol(), IPPROTO_TCP | IPPROTO_UDP)
                && record.age_ms(now_ms) >= age_ms
                && !record.is_closing(now_ms, self.keeps_closed);
            if let Some(fast) = record.measured_rate().filter(|fast| of_kind && *fast >= rate) {
                found.push((Reverse(fast), position));
            }
        }
        found.sort_unstable();
        let flow = |(Reverse(rate), position): &(Reverse<u64>, u32)| {
            let record = self.records.get(*position as usize)?;
            Some((self.pack(record, now_ms).into(), *rate))
        };
        picked.candidates = found.iter().take(limit).filter_map(flow).collect();
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{entry, poll};
    use super::super::table::FLOWS_MAX;
    use super::*;
    use crate::netlink::conntrack::entry::{Counters, Entry};
    use crate::netlink::conntrack::status::IPS_OFFLOAD;
    use crate::netlink::conntrack::tcp_state::TcpState;

    fn carried(number: u32, kilobytes: u64) -> Entry {
        let mut entry = entry(number, 0);
        entry.status |= IPS_OFFLOAD;
        entry.tcp_state = None;
        let counters = |bytes| Some(Counters { packets: bytes / 1000, bytes });
        (entry.counters_orig, entry.counters_reply) = (counters(0), counters(1000 * kilobytes));
        entry
    }

    fn table(entries: &[Entry]) -> FlowTable {
        let mut table = FlowTable::new(FLOWS_MAX);
        let idle: Vec<Entry> = entries
            .iter()
            .map(|entry| Entry { counters_reply: entry.counters_orig, ..*entry })
            .collect();
        poll(&mut table, 1000, &idle);
        poll(&mut table, 2000, entries);
        table
    }

    fn ids(picked: &Picked) -> Vec<(u32, u64)> {
        picked.candidates.iter().map(|(flow, rate)| (flow.id, *rate / 1000)).collect()
    }

    #[test]
    fn the_fastest_in_software_come_first() {
        let classic = Entry { status: entry(4, 0).status, ..carried(4, 900) };
        let table = table(&[carried(1, 100), carried(2, 300), carried(3, 20), classic]);
        let pick = |limit| ids(&table.pick(2000, 50_000, 1000, limit));
        assert_eq!(pick(8).iter().map(|(_, rate)| *rate).collect::<Vec<_>>(), [300, 100]);
        assert_eq!(pick(1).len(), 1);
        assert_eq!(table.pick(2000, 50_000, 1001, 8), Picked::default(), "too young");
    }

    #[test]
    fn those_in_switches_are_none_and_those_that_close_leave() {
        let mut table = table(&[carried(1, 100), carried(2, 300)]);
        let all = ids(&table.pick(2000, 1000, 0, 8));
        let [(first, _), (second, _)] = all[..] else { panic!("{all:?}") };
        table.switched_mut().set([(first, true)].into_iter());
        assert_eq!(ids(&table.pick(2000, 1000, 0, 8)), [all[1]]);
        let closing = Entry { tcp_state: Some(TcpState::FinWait), ..carried(2, 300) };
        poll(&mut table, 3000, &[closing, carried(1, 100)]);
        assert_eq!(table.pick(3000, 1000, 0, 8).closing, [first]);
        let _ = second;
    }
}
