// SPDX-License-Identifier: GPL-2.0-or-later
//! Traffic, the kernel and the clock between any two accesses of the driver. Nobody can keep
//! them out, so nothing that they do may end in a frame that is forwarded wrongly.

use super::rig::*;
use super::table::rivals;
use hw_drivers::mt7621_ppe::direct::{Options, Unseen};
use hw_drivers::mt7621_ppe::translate::translate;
use hw_drivers::table::{Entry, Error, FlowTable};
use hw_simulators::mt7621_ppe::{self as simulator, CacheModel, Event};

const KERNEL: u8 = 0x1f;

fn chips() -> Vec<simulator::Options> {
    let mut chips = Vec::new();
    for (cache, writes_whole_word) in [
        (CacheModel::SixteenLines, false),
        (CacheModel::SixteenLines, true),
        (CacheModel::None, false),
    ] {
        for seed in 0..8 {
            let unordered = (seed > 0).then_some(seed * 7919);
            let default = simulator::Options::default();
            chips.push(simulator::Options { cache, writes_whole_word, unordered, ..default });
        }
    }
    chips
}

const WAYS: [Unseen; 2] = [Unseen::Refuse, Unseen::TakeFree];

#[test]
fn traffic_between_all_accesses_is_forwarded_rightly_or_not_at_all() {
    let flow = rivals()[0];
    for chip in chips() {
        for unseen in WAYS {
            for direction in [Original, Reply] {
                let mut rig = Rig::new(chip.clone(), Options { unseen, counting: false });
                rig.show(&flow);
                let (port, bytes) = wire(&flow, direction);
                let event = Event::Frame(port, bytes.clone());
                rig.chip.with(|chip| chip.before_every_access(Some(event)));
                let inserted = rig.driver.insert(&flow);
                // A chip that writes back whole words under such traffic may win.
                assert!(inserted.is_ok() || chip.writes_whole_word, "{inserted:?} {chip:?}");
                let removed = inserted.map(|entry| rig.driver.remove(entry));
                rig.chip.with(|chip| chip.before_every_access(None));
                let out = rig.chip.with(|chip| chip.out_between());
                assert!(out.len() > 40);
                for out in out {
                    fate(&flow, direction, &bytes, &[out]);
                }
                if let Ok(Err(error)) = removed {
                    assert!(chip.writes_whole_word, "{error}");
                } else {
                    assert_eq!(rig.fates(&flow), [Fate::Processor; 2]);
                }
            }
        }
    }
}

/// Runs an insert with events before its first, its second access and so on, to the last; each
/// time from the same state of the chip.
fn at_each_access(
    chip: &simulator::Options,
    unseen: Unseen,
    events: &[Event],
    before: impl Fn(&mut Rig),
    mut judge: impl FnMut(&mut Rig, &Result<Entry, Error>),
) {
    let flow = rivals()[0];
    let fresh = || {
        let mut rig = Rig::new(chip.clone(), Options { unseen, counting: false });
        before(&mut rig);
        rig
    };
    let mut rig = fresh();
    let saved = rig.chip.with(|chip| chip.clone());
    for number in 0.. {
        rig.chip.with(|chip| {
            *chip = saved.clone();
            chip.out_between();
            events.iter().for_each(|event| chip.before_access(number, event.clone()));
        });
        let inserted = rig.driver.insert(&flow);
        let made = rig.chip.with(|chip| chip.accesses()) - saved.accesses();
        judge(&mut rig, &inserted);
        if number >= made {
            assert!(number > 40, "the event came before {number} accesses");
            return;
        }
        match inserted {
            Ok(entry) => rig.driver.remove(entry).unwrap(),
            Err(_) if rig.driver.verify(Entry(0)) == Err(Error::NotReady) => rig = fresh(),
            Err(_) => {}
        }
    }
}

#[test]
fn the_kernel_binds_another_flow_at_any_moment() {
    let [flow, rival, _] = rivals();
    let [words, _] = translate(&rival, [KERNEL; 2]).unwrap();
    let words = words.words().unwrap();
    for unordered in [None, Some(99)] {
        let chip = simulator::Options { unordered, ..simulator::Options::default() };
        for unseen in WAYS {
            // Both ways of the bucket of the original direction.
            let mut rig = Rig::new(chip.clone(), Options { unseen, counting: false });
            rig.show(&flow);
            let entry = rig.driver.insert(&flow).unwrap();
            let index = usize::from(rig.driver.indices(entry).unwrap()[0].unwrap());
            for index in [index, index ^ 1] {
                let mut taken = 0;
                at_each_access(
                    &chip,
                    unseen,
                    &[Event::Bind(index, words)],
                    |rig| rig.show(&flow),
                    |rig, inserted| {
                        let kernels = rig.send(&rival, Original);
                        let [original, reply] = rig.fates(&flow);
                        taken += usize::from(kernels == Fate::Processor);
                        if inserted.is_err() {
                            assert_eq!([original, reply], [Fate::Processor; 2]);
                            assert_eq!(rig.driver.used(), 0);
                        } else {
                            assert_eq!(reply, Fate::Forwarded);
                        }
                    },
                );
                // From the first word to the last look: three times 20 words and what is between.
                assert!(taken < 72, "the kernel's flow was taken out {taken} times");
            }
        }
    }
}

#[test]
fn the_kernel_starts_anew_at_any_moment() {
    let flow = rivals()[0];
    for unseen in WAYS {
        let chip = simulator::Options::default();
        at_each_access(
            &chip,
            unseen,
            &[Event::Restart],
            |rig| rig.show(&flow),
            |rig, inserted| {
                let [original, reply] = rig.fates(&flow);
                if inserted.is_err() {
                    assert_eq!([original, reply], [Fate::Processor; 2]);
                }
                assert!(rig.driver.used() == 0 || inserted.is_ok());
            },
        );
        let mut rig = Rig::new(chip, Options { unseen, counting: false });
        rig.show(&flow);
        rig.chip.with(|chip| chip.before_access(60, Event::Restart));
        let _ = rig.driver.insert(&flow);
        assert_eq!(rig.driver.alive(), Err(Error::NotReady));
        set_up(&mut rig.driver);
        assert_eq!(rig.fates(&flow), [Fate::Processor; 2]);
    }
}

#[test]
fn an_entry_becomes_anothers_at_any_moment() {
    let [flow, rival, _] = rivals();
    // The engine gives the unbound entry up and begins the rival's in its place.
    let (port, bytes) = wire(&rival, Original);
    let mut events = vec![Event::Second; 5];
    events.push(Event::Frame(port, bytes));
    for unseen in WAYS {
        let chip = simulator::Options::default();
        at_each_access(
            &chip,
            unseen,
            &events,
            |rig| rig.show(&flow),
            |rig, inserted| {
                let fates = rig.fates(&flow);
                assert_eq!(rig.send(&rival, Original), Fate::Processor);
                match inserted {
                    Ok(_) => assert_eq!(fates, [Fate::Forwarded; 2]),
                    Err(_) => assert_eq!(fates, [Fate::Processor; 2]),
                }
            },
        );
    }
}

#[test]
fn one_packet_at_any_moment_hinders_nothing() {
    let flow = rivals()[0];
    let (port, bytes) = wire(&flow, Original);
    let event = [Event::Frame(port, bytes.clone())];
    for chip in chips() {
        at_each_access(
            &chip,
            Unseen::Refuse,
            &event,
            |rig| rig.show(&flow),
            |rig, inserted| {
                for out in rig.chip.with(|chip| chip.out_between()) {
                    fate(&flow, Original, &bytes, &[out]);
                }
                inserted.unwrap();
                assert_eq!(rig.fates(&flow), [Fate::Forwarded; 2]);
            },
        );
    }
}

#[test]
fn an_entry_that_the_engine_begins_at_any_moment_is_not_in_the_way() {
    let flow = rivals()[0];
    let (port, bytes) = wire(&flow, Original);
    let event = [Event::Frame(port, bytes)];
    for upper_way_first in [false, true] {
        let chip = simulator::Options { upper_way_first, ..simulator::Options::default() };
        at_each_access(
            &chip,
            Unseen::TakeFree,
            &event,
            |_| {},
            |rig, inserted| {
                let expected = if inserted.is_ok() { Fate::Forwarded } else { Fate::Processor };
                assert_eq!(rig.fates(&flow), [expected; 2]);
            },
        );
    }
}

#[test]
fn an_entry_that_became_anothers_forwards_nothing_meanwhile() {
    let [flow, rival, _] = rivals();
    let (port, bytes) = wire(&rival, Original);
    let chip = simulator::Options { cache: CacheModel::None, ..simulator::Options::default() };
    let before = |rig: &mut Rig| {
        rig.show(&flow);
        let event = Event::Frame(port, bytes.clone());
        rig.chip.with(|chip| chip.before_every_access(Some(event)));
    };
    let mut wrong = 0;
    at_each_access(&chip, Unseen::Refuse, &vec![Event::Second; 5], before, |rig, _| {
        wrong +=
            usize::from(rig.chip.with(|chip| chip.out_between()).iter().any(|out| out.port != 0));
        assert_eq!(rig.send(&rival, Original), Fate::Processor);
    });
    assert_eq!(wrong, 0);
}
