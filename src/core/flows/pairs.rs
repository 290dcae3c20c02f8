// SPDX-License-Identifier: GPL-2.0-or-later
//! Offloaded flows between two devices, by path: what shows whether hardware takes any.

use super::record::Record;
use super::table::FlowTable;
use super::{Flow, FlowState};

/// Pairs of devices told apart: those of a router with eleven ports. Flows of further ones say
/// nothing, and what was said of the first is no less true.
const PAIRS_MAX: usize = 64;

/// Flows between two devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The lowest devices on both sides; the same twice when a flow leaves where it came from.
    pub devices: [String; 2],
    /// The devices on the same sides as routing sees them, and with it the rules.
    pub routed: [String; 2],
    /// Flows that hardware has.
    pub hardware: u32,
    /// Flows that have carried packets for some time, in software only.
    pub software: u32,
}

/// Numbers of the chains of devices on both sides, the smaller first, and counts as in [`Pair`].
type Counted = ([u16; 2], [u32; 2]);

impl FlowTable {
    /// Offloaded flows by the devices that they are between, as of `now_ms`. Of those in software
    /// only the ones count that `ordinary` is true of, if there are others: rules may have sent them
    /// where there is no hardware.
    pub fn pairs(&self, now_ms: u64, ordinary: Option<&dyn Fn(&Flow) -> bool>) -> Vec<Pair> {
        let is_ordinary = |record: &Record| {
            let shown = || record.show(&self.aside, now_ms, self.keeps_closed);
            ordinary.is_none_or(|ordinary| ordinary(&shown()))
        };
        let mut counted: Vec<Counted> = Vec::new();
        for record in &self.records {
            let counts = match record.state() {
                FlowState::Hardware => [1, 0],
                _ if record.is_kept_from_hardware(now_ms, self.keeps_closed)
                    && is_ordinary(record) =>
                {
                    [0, 1]
                }
                _ => continue,
            };
            let ends = [record.place.opener(), record.place.answerer()];
            let [Some(one), Some(other)] = ends.map(|end| end.attachment()) else { continue };
            add(&mut counted, [one.min(other), one.max(other)], counts);
        }
        counted.iter().filter_map(|counted| self.named(counted)).collect()
    }

    fn named(&self, (ends, [hardware, software]): &Counted) -> Option<Pair> {
        let chain = |number: u16| Some(&self.ledger().attachments.get(number)?.devices);
        let [one, other] = ends.map(chain);
        let (one, other) = (one?, other?);
        Some(Pair {
            devices: [one.last()?.clone(), other.last()?.clone()],
            routed: [one.first()?.clone(), other.first()?.clone()],
            hardware: *hardware,
            software: *software,
        })
    }
}

fn add(counted: &mut Vec<Counted>, ends: [u16; 2], [hardware, software]: [u32; 2]) {
    if let Some((_, counts)) = counted.iter_mut().find(|(known, _)| *known == ends) {
        counts[0] += hardware;
        counts[1] += software;
    } else if counted.len() < PAIRS_MAX {
        counted.push((ends, [hardware, software]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::table::tests::{entry, poll};
    use crate::core::flows::table::FLOWS_MAX;
    use crate::core::topology::tests::router;
    use crate::netlink::conntrack::entry::{Counters, Entry};
    use crate::netlink::conntrack::status::{IPS_HW_OFFLOAD, IPS_OFFLOAD};
    use crate::netlink::conntrack::tuple::{IPPROTO_GRE, IPPROTO_TCP, IPPROTO_UDP};

    fn pair(counts: [u32; 2]) -> Vec<Pair> {
        let [hardware, software] = counts;
        let devices = ["lan1", "wan"].map(str::to_owned);
        vec![Pair { devices, routed: ["br-lan", "wan.7"].map(str::to_owned), hardware, software }]
    }

    #[test]
    fn a_flow_counts_against_hardware_when_it_goes_on_in_software() {
        let mut table = FlowTable::new(FLOWS_MAX);
        *table.topology_mut() = router();
        let carried = |status: u32, packets: u64| {
            let mut flow = entry(2, packets * 100);
            flow.status |= status;
            flow.counters_orig = Some(Counters { packets, bytes: packets * 100 });
            flow
        };
        let mut look = |at_ms: u64, flows: &[Entry]| {
            poll(&mut table, at_ms, flows);
            assert_eq!(table.pairs(at_ms, Some(&|_| true)), table.pairs(at_ms, None));
            let only_hardware = |pair: &Pair| pair.software == 0;
            assert!(table.pairs(at_ms, Some(&|_| false)).iter().all(only_hardware));
            table.pairs(at_ms, None)
        };
        assert_eq!(look(0, &[carried(0, 1)]), [], "classic");
        assert_eq!(look(2000, &[carried(IPS_OFFLOAD, 2)]), [], "hardware may be on its way");
        assert_eq!(look(4000, &[carried(IPS_OFFLOAD, 2)]), [], "silent");
        assert_eq!(look(6000, &[carried(IPS_OFFLOAD, 3)]), pair([0, 1]));
        assert_eq!(look(8000, &[carried(IPS_OFFLOAD | IPS_HW_OFFLOAD, 4)]), pair([1, 0]));
        assert_eq!(look(10_000, &[carried(IPS_OFFLOAD, 5)]), []);
    }

    #[test]
    fn only_protocols_that_hardware_takes_count_against_it() {
        let against = |protocol: u8| {
            let mut table = FlowTable::new(FLOWS_MAX);
            *table.topology_mut() = router();
            for (at_ms, bytes) in [(0, 100), (2000, 200), (4000, 300)] {
                let mut flow = entry(2, bytes);
                flow.status |= IPS_OFFLOAD;
                flow.orig.protocol = protocol;
                flow.reply.protocol = protocol;
                poll(&mut table, at_ms, &[flow]);
            }
            table.pairs(4000, None)
        };
        assert_eq!(against(IPPROTO_TCP), pair([0, 1]));
        assert_eq!(against(IPPROTO_UDP), pair([0, 1]));
        assert_eq!(against(IPPROTO_GRE), []);
    }

    #[test]
    fn pairs_are_bounded() {
        let mut counted = Vec::new();
        for end in 0..100 {
            add(&mut counted, [end, 200], [1, 0]);
        }
        add(&mut counted, [0, 200], [1, 1]);
        assert_eq!(counted.len(), PAIRS_MAX);
        assert_eq!(counted[0], ([0, 200], [2, 1]));
    }
}
