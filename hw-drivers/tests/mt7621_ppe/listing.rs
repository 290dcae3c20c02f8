// SPDX-License-Identifier: GPL-2.0-or-later
//! The reader of the kernel's listing against what the simulated kernel prints.

use super::rig::*;
use super::table::strangers;
use hw_drivers::mt7621_ppe::direct::Options;
use hw_drivers::mt7621_ppe::entry::{Content, FoeEntry, State, Words};
use hw_drivers::mt7621_ppe::listing::{Line, Reader, Summary};
use hw_drivers::table::FlowTable;
use hw_simulators::mt7621_ppe::{self as simulator, Mt7621Ppe};
use proptest::prelude::*;
use std::net::IpAddr;

fn read(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut reader = Reader::new();
    for piece in text.as_bytes().chunks(1000) {
        reader.feed(piece, &mut |line| lines.push(line.unwrap()));
    }
    reader.finish(&mut |line| lines.push(line.unwrap()));
    lines
}

#[test]
fn lines_lead_to_flows() {
    let mut rig = Rig::new(simulator::Options::default(), Options::default());
    let flows = strangers(20);
    for flow in &flows {
        rig.show(flow);
    }
    for flow in &flows[..10] {
        rig.driver.insert(flow).unwrap();
    }
    for counters in [false, true] {
        let lines = read(&rig.chip.with(|chip| chip.listing(false, counters)));
        let mut summary = Summary::default();
        lines.iter().for_each(|line| summary.add(&Ok(*line)));
        assert_eq!((summary.bound(), summary.in_state(State::Unbound)), (20, 20));
        assert_eq!((summary.torn(), summary.occupied()), (0, 40));
        for (number, flow) in flows.iter().enumerate() {
            let mut of_flow: Vec<_> =
                lines.iter().filter_map(|line| Some((line.direction(flow)?, line.state))).collect();
            of_flow.sort_unstable();
            let state = if number < 10 { State::Bound } else { State::Unbound };
            assert_eq!(of_flow, [(Original, state), (Reply, state)]);
        }
        let bound = read(&rig.chip.with(|chip| chip.listing(true, counters)));
        let expected: Vec<_> =
            lines.into_iter().filter(|line| line.state == State::Bound).collect();
        assert_eq!(bound, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_in_the_table_is_read(
        entries in prop::collection::btree_map(0usize..16384, any::<Words>(), 0..40),
    ) {
        let mut chip = Mt7621Ppe::new(simulator::Options::default());
        for (index, words) in &entries {
            chip.kernel_binds(*index, words);
        }
        let lines = read(&chip.listing(false, true));
        let printed: Vec<_> = entries
            .iter()
            .map(|(index, words)| (*index, FoeEntry::of(words)))
            .filter(|(_, entry)| entry.ib1.state() != State::Invalid)
            .collect();
        prop_assert_eq!(lines.len(), printed.len());
        for (line, (index, entry)) in lines.iter().zip(&printed) {
            prop_assert_eq!((usize::from(line.index), line.state), (*index, entry.ib1.state()));
            prop_assert_eq!((line.ib1, line.torn()), (entry.ib1, false));
            if entry.content == Content::Other {
                prop_assert_eq!(line.kind, None);
                continue;
            }
            prop_assert_eq!(line.kind, Some(entry.ib1.kind()));
            prop_assert_eq!((line.ib2, line.etype, line.vlans), (entry.ib2, entry.l2.etype, entry.l2.vlans));
            prop_assert_eq!((line.source, line.destination), (entry.l2.source, entry.l2.destination));
            let ends = line.original.unwrap();
            let (source, ports): (IpAddr, _) = match entry.content {
                Content::V4 { original: [from, to], .. } | Content::DsLite { ends: [from, to], .. } => {
                    ((*from.ip()).into(), Some([from.port(), to.port()]))
                }
                Content::V6([from, to]) => ((*from.ip()).into(), Some([from.port(), to.port()])),
                Content::V4Three { original, .. } => (original[0].into(), None),
                Content::V6Three { ends, .. } => (ends[0].into(), None),
                Content::SixRd { ends: [from, _], .. } => ((*from.ip()).into(), None),
                Content::Other => unreachable!(),
            };
            prop_assert_eq!((ends.source, ends.ports), (source, ports));
            if let Content::V4 { new: [_, to], .. } = entry.content {
                let new = line.new.unwrap();
                prop_assert_eq!((new.destination, new.ports.unwrap()[1]), ((*to.ip()).into(), to.port()));
            }
        }
    }
}
