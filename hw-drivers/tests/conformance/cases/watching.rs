// SPDX-License-Identifier: GPL-2.0-or-later
//! What the driver tells about entries: hits, counters, and whether they are as written.

use super::forwarding::KINDS;
use crate::rig::Rig;
use crate::traffic::{Way, BOTH};
use crate::world::World;
use hw_drivers::table::{Error, FlowTable};
use hw_simulators::Chip;
use std::collections::BTreeMap;

/// A sweep tells every entry once, and as hit exactly those that packets have met since the sweep
/// before, in whichever direction.
pub fn sweep_tells_hits<R: Rig>(options: &R::Options) {
    let flows = 12;
    let mut world = World::<R>::with(options, 0..flows);
    // For each round: which direction of which flow carries a packet. The last one is idle.
    for round in 0..7_u32 {
        // No chip is to give an entry up for want of packets.
        (0..flows).for_each(|number| world.assert_in(number));
        world.chip.pass(R::SWEEP);
        world.sweep().expect("sweep");
        world.chip.pass(R::SWEEP);
        let mut met = BTreeMap::new();
        for number in 0..flows {
            let carries = round < 6 && (number + round) % 3 == 0;
            if carries {
                let direction = BOTH[(round as usize / 3 + number as usize) % 2];
                let flow = world.flow(number);
                assert_eq!(world.way(&flow, direction), Way::Hardware);
            }
            met.insert(world.inside[&number], carries);
        }
        let sights = world.sweep().expect("sweep");
        let hits: BTreeMap<_, _> =
            sights.iter().map(|(entry, sight)| (*entry, sight.hit)).collect();
        assert_eq!(hits, met, "round {round}");
    }
}

/// A sweep while flows come and go tells each that stays once, and none that is not in.
pub fn sweep_while_changing<R: Rig>(options: &R::Options) {
    let mut world = World::<R>::with(options, 0..12);
    let mut sights = BTreeMap::new();
    let mut next = 20;
    let stays: Vec<_> = (0..12).filter(|n| n % 3 != 0).map(|n| world.inside[&n]).collect();
    let mut goes = (0..12).filter(|n| n % 3 == 0);
    for calls in 0.. {
        assert!(calls < 10_000, "a sweep without end");
        let mut told = Vec::new();
        let progress = world.call(|table| table.sweep(&mut |sight| told.push(sight)));
        for sight in told {
            let known = world.inside.values().any(|entry| *entry == sight.entry);
            assert!(known, "{sight:?} is told of, and not in the table");
            assert_eq!(sights.insert(sight.entry, sight), None, "told twice in one sweep");
        }
        match progress.expect("sweep") {
            hw_drivers::table::Progress::Done => break,
            hw_drivers::table::Progress::More => {}
            hw_drivers::table::Progress::Wait(time) => world.chip.pass(time),
        }
        if let Some(number) = goes.next() {
            let entry = world.inside[&number];
            world.remove(number).expect("remove");
            sights.remove(&entry);
            let flow = world.insert(next).expect("insert");
            sights.remove(&flow);
            next += 1;
        }
    }
    for entry in stays {
        assert!(sights.contains_key(&entry), "{entry:?} was in all the time, and not told of");
    }
    world.assert_consistent();
}

/// Counters, where the chip has them, count each packet once, in its direction, from nothing.
pub fn counters<R: Rig>(options: &R::Options) {
    let mut world = World::<R>::ready(options);
    let counted = world.call(|table| table.capabilities().counted);
    let flows = counted.clamp(1, 10) + 2;
    for generation in 0..2 {
        for number in 0..flows {
            world.insert(number).expect("insert");
        }
        let mut sent = BTreeMap::new();
        if generation == 0 {
            // A driver may have to find out first how the chip counts. All of this counts.
            for number in 0..flows {
                let flow = world.flow(number);
                (0..100).for_each(|_| assert_eq!(world.way(&flow, BOTH[0]), Way::Hardware));
                sent.insert(world.inside[&number], [100, 0]);
            }
            world.sweep().expect("sweep");
        }
        for round in 0..3_u32 {
            for number in 0..flows {
                let flow = world.flow(number);
                let carried: &mut [u64; 2] = sent.entry(world.inside[&number]).or_default();
                for (place, direction) in BOTH.into_iter().enumerate() {
                    for _ in 0..(number + round + place as u32) % 4 {
                        assert_eq!(world.way(&flow, direction), Way::Hardware);
                        carried[place] += 1;
                    }
                }
            }
            let sights = world.sweep().expect("sweep");
            let known: Vec<_> =
                sights.values().filter_map(|s| s.counted.map(|c| (s.entry, c))).collect();
            assert!(known.len() as u32 <= counted, "more counted than the chip can");
            assert_eq!(known.is_empty(), counted == 0, "nothing is counted");
            for (entry, counted) in known {
                assert_eq!(
                    counted.map(|direction| direction.packets),
                    sent[&entry],
                    "packets of {entry:?} in round {round} of generation {generation}"
                );
                for direction in counted {
                    let least = direction.packets * 40;
                    assert!((least..=direction.packets * 120).contains(&direction.bytes));
                }
            }
        }
        for number in 0..flows {
            world.remove(number).expect("remove");
        }
    }
}

/// Every part of an entry that changes behind the driver's back is found, and found again.
pub fn verify_finds_corruption<R: Rig>(options: &R::Options) {
    let mut parts = 0;
    let empty = World::<R>::ready(options).held();
    let mut world = World::<R>::with(options, 0..KINDS);
    let saved = world.save();
    for number in [0, 1, 2, 4, KINDS - 1] {
        for part in 0.. {
            world.restore(&saved);
            let flow = world.flow(number);
            if !world.chip.with(|chip| R::corrupt(chip, &flow, part)) {
                break;
            }
            parts += 1;
            for _ in 0..2 {
                let found = world.verify(number);
                assert!(
                    matches!(found, Err(Error::Mismatch { .. } | Error::NoEntry(_))),
                    "part {part} of flow {number} was changed: {found:?}"
                );
            }
            if number != 0 {
                continue;
            }
            // What cannot be found any more cannot be taken out; with all the others it can.
            let _ = world.remove(number);
            world.recover();
            assert_eq!(world.held(), empty, "part {part} of flow {number} has left something");
            world.insert(number).expect("insert after recovery");
            world.assert_consistent();
        }
    }
    assert!(parts > 8, "the rig corrupts nothing");
}
