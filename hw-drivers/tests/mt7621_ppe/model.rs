// SPDX-License-Identifier: GPL-2.0-or-later
//! Any sequence of what a daemon, traffic and the clock do, against a set of flows.

use super::rig::*;
use super::table::{rivals, strangers, sweep};
use hw_drivers::flow::Flow;
use hw_drivers::mt7621_ppe::direct::{Options, Unseen};
use hw_drivers::table::{Entry, Error, FlowTable};
use hw_simulators::mt7621_ppe::{self as simulator, CacheModel};
use hw_simulators::Chip;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const FLOWS: usize = 8;

#[derive(Debug, Clone)]
enum Step {
    Insert(usize),
    Remove(usize),
    Send(usize, bool),
    Pass(u64),
    Sweep,
    Verify(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let flow = 0..FLOWS;
    prop_oneof![
        3 => flow.clone().prop_map(Step::Insert),
        1 => flow.clone().prop_map(Step::Remove),
        8 => (flow.clone(), any::<bool>()).prop_map(|(flow, reply)| Step::Send(flow, reply)),
        1 => (1u64..6).prop_map(Step::Pass),
        1 => Just(Step::Sweep),
        1 => flow.prop_map(Step::Verify),
    ]
}

fn chip() -> impl Strategy<Value = simulator::Options> {
    let cache = prop::sample::select(vec![CacheModel::SixteenLines, CacheModel::None]);
    (cache, any::<[bool; 2]>(), any::<Option<u64>>()).prop_map(|(cache, bits, unordered)| {
        let [writes_whole_word, upper_way_first] = bits;
        let default = simulator::Options::default();
        simulator::Options { cache, writes_whole_word, upper_way_first, unordered, ..default }
    })
}

/// What is known of a flow that is in the table.
struct Known {
    entry: Entry,
    /// Seconds since each direction was met, or put in.
    idle: [u64; 2],
    hit: bool,
}

fn flows() -> Vec<Flow> {
    let mut flows: Vec<Flow> = rivals().to_vec();
    flows.extend(strangers(FLOWS - flows.len()));
    flows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_history(
        chip in chip(), free: bool, steps in prop::collection::vec(step(), 1..120),
    ) {
        let unseen = if free { Unseen::TakeFree } else { Unseen::Refuse };
        let mut rig = Rig::new(chip, Options { unseen, counting: false });
        let flows = flows();
        let mut held: BTreeMap<usize, Known> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(number) => match (rig.driver.insert(&flows[number]), held.get(&number)) {
                    (Err(Error::Exists(entry)), Some(known)) => prop_assert_eq!(entry, known.entry),
                    (Ok(entry), None) => {
                        held.insert(number, Known { entry, idle: [0; 2], hit: false });
                    }
                    // Rivals only are in each other's way.
                    (Err(Error::Collision), None) => prop_assert!(number < 3),
                    (Err(Error::Unseen), None) => prop_assert!(!free),
                    (result, known) => prop_assert!(false, "{:?} {}", result, known.is_some()),
                },
                Step::Remove(number) => if let Some(known) = held.remove(&number) {
                    rig.driver.remove(known.entry).unwrap();
                    prop_assert_eq!(rig.driver.remove(known.entry), Err(Error::NoEntry(known.entry)));
                },
                Step::Send(number, reply) => {
                    let direction = if reply { Reply } else { Original };
                    let fate = rig.send(&flows[number], direction);
                    match held.get_mut(&number) {
                        None => prop_assert_eq!(fate, Fate::Processor),
                        Some(known) => {
                            let idle = &mut known.idle[usize::from(reply)];
                            if *idle < 10 {
                                prop_assert_eq!(fate, Fate::Forwarded);
                            }
                            if fate == Fate::Forwarded {
                                *idle = 0;
                                known.hit = true;
                            }
                        }
                    }
                }
                Step::Pass(seconds) => {
                    rig.chip.pass(Duration::from_secs(seconds));
                    for known in held.values_mut() {
                        known.idle = known.idle.map(|idle| idle + seconds);
                    }
                }
                Step::Sweep => {
                    // A second of its own: timestamps have no finer ones.
                    rig.chip.pass(Duration::from_secs(1));
                    let mut seen = sweep(&mut rig.driver);
                    seen.sort_by_key(|sight| sight.entry);
                    let mut expected: Vec<_> =
                        held.values().map(|known| (known.entry, known.hit)).collect();
                    expected.sort_unstable();
                    // An entry that the engine has given up, and another flow has, tells nothing.
                    let exact = held.values().all(|known| known.idle.iter().all(|idle| *idle < 10));
                    prop_assert_eq!(seen.len(), expected.len());
                    for (sight, (entry, hit)) in seen.iter().zip(expected) {
                        prop_assert_eq!(sight.entry, entry);
                        prop_assert!(!exact || sight.hit == hit);
                    }
                    for known in held.values_mut() {
                        known.idle = known.idle.map(|idle| idle + 1);
                        known.hit = false;
                    }
                }
                Step::Verify(number) => if let Some(known) = held.get(&number) {
                    let verified = rig.driver.verify(known.entry);
                    if known.idle.iter().all(|idle| *idle < 10) {
                        prop_assert_eq!(verified, Ok(()));
                    } else if verified.is_err() {
                        prop_assert_eq!(verified, Err(Error::NoEntry(known.entry)));
                    }
                },
            }
            prop_assert_eq!(rig.driver.used() as usize, held.len());
        }
        for (number, flow) in flows.iter().enumerate() {
            if !held.contains_key(&number) {
                prop_assert_eq!(rig.fates(flow), [Fate::Processor; 2]);
            }
        }
    }
}
