// SPDX-License-Identifier: GPL-2.0-or-later
//! The table of flows against lists and events as kernels send them.

use super::*;
use crate::core::topology::Answer;
use crate::netlink::conntrack::status::{
    IPS_ASSURED, IPS_HW_OFFLOAD, IPS_OFFLOAD, IPS_SEEN_REPLY, IPS_SRC_NAT,
};
use crate::netlink::route::Lookup;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An IPv4 connection of LAN host 192.168.1.`id`, masqueraded; `bytes` in each direction.
pub fn entry(id: u32, bytes: u64) -> Entry {
    let client = IpAddr::from([192, 168, (id / 250 + 1) as u8, (id % 250) as u8]);
    let server = (address("203.0.113.2"), 80);
    let port = 40_000 + (id % 20_000) as u16;
    let counters = Some(Counters { packets: bytes / 100, bytes });
    Entry {
        orig: Tuple::new(6, (client, port), server).unwrap(),
        reply: Tuple::new(6, server, (address("203.0.113.1"), port)).unwrap(),
        status: IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT,
        mark: 0,
        zone: 0,
        id,
        timeout_s: Some(100),
        tcp_state: None,
        counters_orig: counters,
        counters_reply: counters,
        start_ns: None,
        stop_ns: None,
        has_helper: false,
        has_seq_adj: false,
        has_master: false,
    }
}

pub fn six(id: u32, bytes: u64) -> Entry {
    let client = (address(&format!("fd00:1::{id:x}")), 5000);
    let server = (address("fd00:2::2"), 53);
    let orig = Tuple::new(17, client, server).unwrap();
    Entry { orig, reply: orig.inverse(), ..entry(id, bytes) }
}

/// A table that has seen these entries at its first poll.
pub fn table_of(entries: &[Entry]) -> FlowTable {
    let mut table = FlowTable::new(FLOWS_MAX);
    poll(&mut table, 1000, entries);
    table
}

pub fn poll(table: &mut FlowTable, now_ms: u64, entries: &[Entry]) {
    table.begin(now_ms);
    entries.iter().for_each(|entry| table.observe(entry, &mut |_| Answer::Nowhere));
    table.end(true);
}

fn with(status: u32, entry: Entry) -> Entry {
    Entry { status: entry.status | status, ..entry }
}

fn bytes(table: &FlowTable) -> [u64; 3] {
    table.ledger().account.totals().map(|counters| counters.bytes)
}

fn only(table: &FlowTable, now_ms: u64) -> Flow {
    let flows: Vec<Flow> = table.flows(now_ms).collect();
    assert_eq!(flows.len(), 1);
    flows[0].clone()
}

#[test]
fn what_was_carried_before_the_daemon_is_shown_but_not_counted() {
    let mut table = table_of(&[entry(1, 5000)]);
    assert_eq!(only(&table, 1000).bytes(), Some(10_000));
    assert_eq!(only(&table, 1000).rate, None, "nothing to compare with");
    assert_eq!(bytes(&table), [0; 3]);
    poll(&mut table, 3000, &[entry(1, 6000), entry(2, 70)]);
    assert_eq!(bytes(&table), [2000 + 140, 0, 0], "the growth of one, all of the other");
}

#[test]
fn states_change_with_their_instants_and_bytes_go_to_the_path() {
    let mut table = table_of(&[entry(1, 0)]);
    poll(&mut table, 2000, &[with(IPS_OFFLOAD, entry(1, 100))]);
    let flow = only(&table, 2500);
    assert_eq!((flow.state, flow.age_ms, flow.state_age_ms), (FlowState::Software, 1500, 500));
    assert_eq!(flow.rate, Some((100, 100)));
    poll(&mut table, 4000, &[with(IPS_OFFLOAD | IPS_HW_OFFLOAD, entry(1, 500))]);
    assert_eq!(only(&table, 4000).state, FlowState::Hardware);
    poll(&mut table, 5000, &[entry(1, 510)]);
    assert_eq!(bytes(&table), [0, 200, 820]);
    assert_eq!(table.counts(), FlowCounts { classic: 1, software: 0, hardware: 0 });
}

#[test]
fn the_final_count_comes_with_the_end() {
    let mut table = table_of(&[entry(1, 0)]);
    poll(&mut table, 2000, &[with(IPS_OFFLOAD, entry(1, 100))]);
    // The kernel has cleared the offload bits by then.
    table.destroyed(&entry(1, 130), 2500, &mut |_| Answer::Nowhere);
    assert!(table.is_empty());
    assert_eq!(bytes(&table), [0, 260, 0]);
    table.destroyed(&entry(9, 7), 2600, &mut |_| Answer::Nowhere);
    assert_eq!(bytes(&table), [14, 260, 0], "came and went between two lists");
    // An end that is about an earlier connection with the same addresses.
    poll(&mut table, 3000, &[entry(2, 10)]);
    table.destroyed(&Entry { id: 77, ..entry(2, 5) }, 3100, &mut |_| Answer::Nowhere);
    assert_eq!(table.len(), 1);
}

#[test]
fn a_pause_in_listing_counts_nothing_twice() {
    let mut table = table_of(&[entry(1, 0)]);
    poll(&mut table, 2000, &[entry(1, 50)]);
    table.forget();
    assert!(table.is_empty());
    table.destroyed(&entry(1, 90), 2500, &mut |_| Answer::Nowhere);
    poll(&mut table, 3000, &[entry(2, 500)]);
    assert_eq!(bytes(&table), [100, 0, 0]);
}

#[test]
fn a_new_connection_with_the_same_addresses_is_another_flow() {
    let mut table = table_of(&[entry(1, 5000)]);
    poll(&mut table, 2000, &[Entry { id: 500, ..entry(1, 30) }]);
    assert_eq!(bytes(&table), [60, 0, 0]);
    assert_eq!(only(&table, 2000).age_ms, 0);
    assert_eq!(table.ledger().account.ended_unseen, 1);
}

#[test]
fn an_entry_missed_once_stays_and_one_named_twice_counts_once() {
    let mut table = table_of(&[entry(1, 0), entry(2, 0)]);
    poll(&mut table, 2000, &[entry(1, 50), entry(1, 50)]);
    assert_eq!((table.len(), bytes(&table)), (2, [100, 0, 0]));
    assert_eq!(table.counts().classic, 1);
    poll(&mut table, 3000, &[entry(1, 50)]);
    assert_eq!((table.len(), table.ledger().account.ended_unseen), (1, 1));
    table.begin(4000);
    table.end(false);
    table.begin(5000);
    table.end(false);
    assert_eq!(table.len(), 1, "incomplete lists let nothing go");
}

#[test]
fn zeroed_counters_do_not_take_anything_back() {
    let mut table = table_of(&[entry(1, 0)]);
    poll(&mut table, 2000, &[entry(1, 1000)]);
    poll(&mut table, 3000, &[entry(1, 20)]);
    assert_eq!(only(&table, 3000).bytes(), Some(2040));
    poll(&mut table, 4000, &[entry(1, 50)]);
    assert_eq!(only(&table, 4000).bytes(), Some(2100));
    assert_eq!(bytes(&table), [2100, 0, 0]);
}

#[test]
fn unknown_counters_are_shown_as_unknown() {
    let unknown = Entry { counters_orig: None, counters_reply: None, ..entry(1, 0) };
    let table = table_of(&[unknown]);
    let flow = only(&table, 1000);
    assert_eq!((flow.sent, flow.rate, flow.bytes()), (None, None, None));
    assert_eq!(bytes(&table), [0; 3]);
}

#[test]
fn where_the_flowtable_does_not_count_nothing_is_known() {
    let mut table = table_of(&[entry(1, 100)]);
    table.set_counting(false);
    poll(&mut table, 2000, &[entry(1, 200)]);
    assert_eq!(only(&table, 2000).bytes(), Some(400), "the classic path is counted anyway");
    poll(&mut table, 3000, &[with(IPS_OFFLOAD, entry(1, 250))]);
    assert_eq!((only(&table, 3000).bytes(), only(&table, 3000).rate), (None, None));
    table.set_counting(true);
    poll(&mut table, 4000, &[entry(1, 300)]);
    assert_eq!(only(&table, 4000).bytes(), None, "what it carried meanwhile is lost for good");
    let mut late = FlowTable::new(FLOWS_MAX);
    late.set_counting(false);
    poll(&mut late, 1000, &[with(IPS_OFFLOAD, entry(1, 100))]);
    assert_eq!(only(&late, 1000).bytes(), None);
}

#[test]
fn a_full_table_counts_what_it_does_not_keep() {
    let mut table = FlowTable::new(3);
    let entries: Vec<Entry> = (1..=5).map(|id| entry(id, 10)).collect();
    poll(&mut table, 1000, &entries);
    assert_eq!((table.len(), table.left_out, table.counts().classic), (3, 2, 5));
}

#[test]
fn both_families_show_what_they_were_given() {
    let entries = [entry(1, 10), six(2, 20), six(3, 30)];
    let mut table = table_of(&entries);
    let tuples = |table: &FlowTable| {
        let mut list: Vec<_> = table.flows(0).map(|flow| (flow.orig, flow.reply)).collect();
        list.sort();
        list
    };
    let mut expected: Vec<_> = entries.iter().map(|entry| (entry.orig, entry.reply)).collect();
    expected.sort();
    assert_eq!(tuples(&table), expected);
    table.destroyed(&entries[1], 1500, &mut |_| Answer::Nowhere);
    poll(&mut table, 2000, &[entries[0], entries[2], six(4, 5)]);
    assert_eq!(table.len(), 3);
    assert!(table.flows(0).any(|flow| flow.orig == six(4, 5).orig), "a place used again");
}

#[test]
fn ipv6_is_shown_as_it_was_told_with_translation_and_without() {
    let outside = Tuple::new(17, (address("fd00:2::2"), 53), (address("2001:db8::1"), 7)).unwrap();
    let translated = |id| Entry { reply: outside, ..six(id, 100) };
    let shown = |table: &FlowTable| -> Vec<(Tuple, Tuple)> {
        table.flows(9000).map(|flow| (flow.orig, flow.reply)).collect()
    };
    let told = |entries: &[Entry]| -> Vec<(Tuple, Tuple)> {
        entries.iter().map(|entry| (entry.orig, entry.reply)).collect()
    };
    let first = [translated(1), six(2, 100), translated(3)];
    let mut table = table_of(&first);
    assert_eq!(shown(&table), told(&first));
    // Places that were given back are used again.
    first.iter().for_each(|entry| table.destroyed(entry, 1500, &mut |_| Answer::Nowhere));
    let second = [six(4, 100), translated(5), six(6, 100), six(7, 100), translated(8)];
    poll(&mut table, 2000, &second);
    assert_eq!(shown(&table), told(&second));
}

#[test]
fn counts_are_those_of_the_last_complete_list() {
    let mut table = table_of(&[entry(1, 0), entry(2, 0)]);
    table.begin(2000);
    table.observe(&entry(1, 0), &mut |_| Answer::Nowhere);
    assert_eq!(table.counts().classic, 2);
    table.end(false);
    assert_eq!(table.counts().classic, 2);
    poll(&mut table, 3000, &[entry(1, 0)]);
    assert_eq!(table.counts().classic, 1);
}

#[test]
fn counters_beyond_32_bits_are_whole_and_may_be_zeroed() {
    const GREAT: u64 = 1 << 32;
    let mut table = table_of(&[entry(1, GREAT - 100), entry(2, 3 * GREAT)]);
    poll(&mut table, 2000, &[entry(1, GREAT + 50), entry(2, 3 * GREAT + 10)]);
    assert_eq!(bytes(&table), [2 * (150 + 10), 0, 0]);
    // The place of a flow that ended is used again.
    table.destroyed(&entry(2, 3 * GREAT + 10), 2500, &mut |_| Answer::Nowhere);
    poll(&mut table, 3000, &[entry(1, GREAT + 50), entry(3, 5 * GREAT), entry(4, 7 * GREAT)]);
    poll(&mut table, 4000, &[entry(1, 5), entry(3, 5 * GREAT), entry(4, 7 * GREAT)]);
    let shown = |table: &FlowTable| -> Vec<_> {
        table.flows(4000).map(|flow| (flow.id, flow.sent.unwrap().bytes)).collect()
    };
    assert_eq!(shown(&table), [(1, GREAT + 55), (3, 5 * GREAT), (4, 7 * GREAT)]);
    assert_eq!(bytes(&table), [2 * (150 + 10 + 12 * GREAT + 5), 0, 0]);
}

/// Of a flow between two lists; some pass the 32 bits that a record has room for.
fn growth() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 1u64..1000, 1 => 1u64 << 31..1 << 33]
}

proptest! {
    /// Lists have an order that the table makes use of, and must not depend on.
    #[test]
    fn any_order_of_a_list_will_do(
        orders in proptest::collection::vec(
            Just((0u32..40).collect::<Vec<u32>>()).prop_shuffle(), 1..5),
        ended in proptest::collection::btree_set(0u32..40, 0..10),
    ) {
        let all: Vec<Entry> = (0..40).map(|id| entry(id, 10)).collect();
        let mut table = table_of(&all);
        for id in &ended {
            table.destroyed(&entry(*id, 10), 1500, &mut |_| Answer::Nowhere);
        }
        for (tick, order) in (2u32..).zip(orders) {
            let list = order.iter().filter(|id| !ended.contains(id));
            let list: Vec<Entry> = list.map(|id| entry(*id, 10 * u64::from(tick))).collect();
            poll(&mut table, u64::from(tick) * 1000, &list);
            prop_assert_eq!(table.len(), 40 - ended.len());
            prop_assert_eq!(table.counts().classic as usize, 40 - ended.len());
            prop_assert!(table.flows(0).all(|flow| flow.bytes() == Some(u64::from(20 * tick))));
        }
        prop_assert_eq!(table.ledger().account.ended_unseen, 0);
    }

    /// Against a model: whatever comes and goes, each live flow is there once, and what was
    /// carried is the sum of all growth, whichever way its end was told.
    #[test]
    fn nothing_is_lost_or_counted_twice(
        polls in proptest::collection::vec(
            proptest::collection::btree_map(1u32..40, growth(), 0..30), 1..12),
        tell in any::<bool>(),
    ) {
        let mut table = FlowTable::new(FLOWS_MAX);
        poll(&mut table, 0, &[]);
        let mut live: BTreeMap<u32, u64> = BTreeMap::new();
        let mut total = 0u64;
        for (tick, growth) in (1u64..).zip(polls) {
            // Flows that are not in this list have ended, and the kernel may have told so.
            let ended: Vec<u32> = live.keys().filter(|id| !growth.contains_key(id)).copied().collect();
            for id in ended {
                let bytes = live.remove(&id).unwrap();
                // A connection that comes again has another id.
                if tell {
                    table.destroyed(&entry(id, bytes), tick * 1000, &mut |_| Answer::Nowhere);
                } else {
                    live.insert(id, bytes);
                }
            }
            for (id, more) in growth {
                *live.entry(id).or_default() += more;
                total += 2 * more;
            }
            let list: Vec<Entry> = live.iter().map(|(id, bytes)| entry(*id, *bytes)).collect();
            poll(&mut table, tick * 1000, &list);
            prop_assert_eq!(table.len(), live.len());
            prop_assert_eq!(bytes(&table).iter().sum::<u64>(), total);
            let mut shown: Vec<(u32, u64)> =
                table.flows(0).map(|flow| (flow.id, flow.bytes().unwrap() / 2)).collect();
            shown.sort_unstable();
            prop_assert_eq!(shown, live.clone().into_iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn closing_is_told_by_the_state_or_by_silence() {
    use crate::netlink::conntrack::tcp_state::TcpState;
    let mut table = table_of(&[
        Entry { tcp_state: Some(TcpState::FinWait), ..entry(1, 0) },
        Entry { tcp_state: Some(TcpState::Established), ..entry(2, 0) },
        with(IPS_OFFLOAD, entry(3, 100)),
        with(IPS_OFFLOAD, six(4, 100)),
        with(IPS_OFFLOAD, Entry { counters_orig: None, ..entry(5, 0) }),
    ]);
    let closing = |table: &FlowTable, now_ms| {
        let ids = table.flows(now_ms).filter(|flow| flow.closing).map(|flow| flow.id);
        let ids: Vec<u32> = ids.collect();
        assert_eq!(table.closing(now_ms), ids.len());
        ids
    };
    assert_eq!(closing(&table, 60_000), [1], "there a closed one is classic at once");
    table.set_keeps_closed(true);
    assert_eq!(closing(&table, 10_999), [1], "the first list was at 1000");
    assert_eq!(closing(&table, 11_000), [1, 3], "not UDP, nor silence that nobody counted");
    poll(&mut table, 12_000, &[with(IPS_OFFLOAD, entry(3, 300))]);
    assert_eq!(closing(&table, 12_000), [1], "it lives");
}

#[test]
fn an_end_read_before_its_part_of_the_list_counts_once() {
    let mut table = table_of(&[]);
    table.begin(2000);
    table.destroyed(&entry(1, 5000), 2100, &mut |_| Answer::Nowhere);
    // The kernel had made this part of the list before the connection ended.
    table.observe(&entry(1, 5000), &mut |_| Answer::Nowhere);
    table.end(true);
    assert_eq!((bytes(&table), table.len()), ([10_000, 0, 0], 0));
    poll(&mut table, 3000, &[entry(1, 70)]);
    assert_eq!((bytes(&table), table.len()), ([10_140, 0, 0], 1), "a later one with the same id");
}

#[test]
fn what_a_flow_carried_before_it_left_the_fast_path_belongs_there() {
    let mut table = table_of(&[]);
    poll(&mut table, 2000, &[with(IPS_OFFLOAD, entry(1, 100))]);
    poll(&mut table, 4000, &[entry(1, 600)]);
    assert_eq!(bytes(&table), [0, 1200, 0]);
    poll(&mut table, 6000, &[entry(1, 700)]);
    assert_eq!(bytes(&table), [200, 1200, 0]);
}

#[test]
fn zeroed_counters_beyond_the_bound_are_counted_once_more_and_no_oftener() {
    let ids = 1..=BASES_MAX as u32 + 1;
    let all = |bytes| ids.clone().map(|id| entry(id, bytes)).collect::<Vec<_>>();
    let mut table = table_of(&all(5000));
    for tick in 2..6 {
        poll(&mut table, tick * 1000, &all(1000));
    }
    let zeroed = 2 * 1000 * u64::from(*ids.end());
    assert_eq!((bytes(&table), table.resets_forgotten), ([zeroed, 0, 0], 1));
}

#[test]
fn a_place_is_kept_until_there_is_time_to_ask_again() {
    let mut table = FlowTable::new(FLOWS_MAX);
    *table.topology_mut() = crate::core::topology::tests::router();
    let wan = |_: &Lookup| Answer::Behind(6);
    let listed = |table: &mut FlowTable, now_ms, answer: &mut dyn FnMut(&Lookup) -> Answer| {
        table.begin(now_ms);
        table.observe(&six(2, now_ms), answer);
        table.end(true);
        only(table, now_ms).place
    };
    let mut asked = |lookup: &Lookup| wan(lookup);
    let place = listed(&mut table, 1000, &mut asked);
    assert!(place.is_placed());
    table.topology_mut().routes_changed(crate::netlink::route::RouteChange::Any);
    assert_eq!(listed(&mut table, 2000, &mut |_| Answer::NotAsked), place);
    let mut again = 0;
    listed(&mut table, 3000, &mut |lookup| {
        again += 1;
        wan(lookup)
    });
    assert_eq!(again, 1, "the list after that asks");
}

#[test]
fn what_passes_a_switch_is_unknown_and_its_end_is_told() {
    let mut table = FlowTable::new(8);
    let offloaded = |number| {
        let mut entry = entry(number, 100);
        entry.status |= IPS_OFFLOAD;
        entry
    };
    let list = [offloaded(1), entry(2, 100)];
    poll(&mut table, 1000, &list);
    let (first, second) = (list[0].id, list[1].id);
    table.switched_mut().set([(first, true), (second, false), (77, true)].into_iter());
    poll(&mut table, 2000, &list);
    let shown = |table: &FlowTable, id| table.flows(2000).find(|flow| flow.id == id).unwrap();
    let flow = shown(&table, first);
    assert_eq!((flow.state, flow.in_kernel()), (FlowState::Hardware, FlowState::Software));
    assert!(flow.switched && flow.sent.is_none() && flow.rate.is_none());
    let waiting = shown(&table, second);
    assert!(!waiting.switched && waiting.sent.is_some());
    assert_eq!((table.counts().hardware, table.counts().classic), (1, 1));
    table.switched_mut().set([].into_iter());
    let back = shown(&table, first);
    assert_eq!((back.state, back.sent), (FlowState::Software, None), "its total is not known");
    table.switched_mut().set([(first, true)].into_iter());
    table.destroyed(&list[1], 2500, &mut |_| Answer::NotAsked);
    assert!(table.switched_mut().take_ended().is_empty());
    table.destroyed(&list[0], 2500, &mut |_| Answer::NotAsked);
    assert_eq!(table.switched_mut().take_ended(), [first]);
    assert!(table.switched_mut().take_ended().is_empty());
}
