// SPDX-License-Identifier: GPL-2.0-or-later
//! The engine is the kernel's: what the driver finds of it, and when it stays away.

use super::rig::*;
use super::table::rivals;
use hw_drivers::mt7621_ppe::direct::Options;
use hw_drivers::mt7621_ppe::memory::Memory;
use hw_drivers::mt7621_ppe::registers as reg;
use hw_drivers::mt7621_ppe::translate::translate;
use hw_drivers::table::{Error, FlowTable};
use hw_simulators::mt7621_ppe::{self as simulator, Mt7621Ppe};
use hw_simulators::{Chip, Shared};

/// The group of the kernel's entries.
const KERNEL: u8 = 0x1f;

#[test]
fn an_engine_that_is_not_set_up_as_expected_is_left_alone() {
    let changes = [
        (reg::GLO_CFG, 0x20c),
        (reg::TB_CFG, 0x0001_4fb4),
        (reg::TB_CFG, 0x0001_4fac),
        (reg::TB_CFG, 0x0001_4fbb),
        (reg::TB_CFG, 0x0001_8fbc),
        (reg::TB_BASE, 0x0e20_0000),
        (reg::GDM_FORWARD[0], 0),
    ];
    for (register, value) in changes {
        let mut chip = Shared::new(Mt7621Ppe::started(simulator::Options::default()));
        let before = chip.with(|chip| chip.accesses());
        // One MAC would be enough.
        chip.write(reg::GDM_FORWARD[1], 0x7777);
        chip.write(register, value);
        let mut driver = driver(&chip, TAKE_FREE);
        let refused = driver.set_up(&network());
        assert!(
            matches!(refused, Err(Error::Mismatch { at, .. }) if at == register),
            "{register:#x}: {refused:?}"
        );
        assert!(chip.with(|chip| chip.accesses()) - before < 20, "no scan of the table");
        assert_eq!(driver.insert(&rivals()[0]), Err(Error::NotReady));
        assert_eq!(driver.alive(), Err(Error::NotReady));
    }
}

#[test]
fn a_mac_that_does_not_feed_the_engine_is_not_used() {
    let mut chip = Shared::new(Mt7621Ppe::started(simulator::Options::default()));
    chip.write(reg::GDM_FORWARD[1], 0x7777);
    let mut driver = driver(&chip, TAKE_FREE);
    set_up(&mut driver);
    let mut flow = rivals()[0];
    let refused = Error::NotExpressible(hw_drivers::table::Part::Port(2));
    assert_eq!(driver.check(&flow), Err(refused));
    flow.answerer.port = 1;
    assert_eq!(driver.check(&flow), Ok(()));
}

#[test]
fn entries_of_the_kernel_are_refused_and_our_own_of_before_cleaned() {
    let flow = rivals()[0];
    for (group, refused) in [(KERNEL, true), (0x3e, false)] {
        let chip = Shared::new(Mt7621Ppe::started(simulator::Options::default()));
        let words = translate(&flow, [group; 2]).unwrap()[0].words().unwrap();
        chip.with(|chip| chip.kernel_binds(2000, &words));
        let mut driver = driver(&chip, TAKE_FREE);
        let mut result = driver.set_up(&network());
        while result == Ok(hw_drivers::table::Progress::More) {
            result = driver.set_up(&network());
        }
        assert_eq!(matches!(result, Err(Error::Mismatch { .. })), refused, "{result:?}");
        assert_eq!(chip.with(|chip| chip.bound_entries()).len(), usize::from(refused));
        driver.disable().unwrap();
        assert_eq!(chip.with(|chip| chip.bound_entries()).len(), usize::from(refused));
    }
}

#[test]
fn a_new_life_finds_the_entries_of_the_last() {
    let mut rig = Rig::new(simulator::Options::default(), TAKE_FREE);
    for number in 0..100 {
        // Some collide.
        let _ = rig.driver.insert(&numbered(number));
    }
    assert!(rig.driver.used() > 90);
    let mut second = driver(&rig.chip, Options::default());
    set_up(&mut second);
    assert!(rig.chip.with(|chip| chip.bound_entries()).is_empty());
    assert_eq!(rig.fates(&rivals()[0]), [Fate::Processor; 2]);
}

#[test]
fn a_restart_of_the_engine_shows() {
    let mut rig = Rig::new(simulator::Options::default(), TAKE_FREE);
    let flow = rivals()[0];
    let entry = rig.driver.insert(&flow).unwrap();
    rig.driver.alive().unwrap();
    rig.chip.with(|chip| chip.start_as_kernel());
    assert_eq!(rig.driver.alive(), Err(Error::NotReady));
    assert_eq!(rig.driver.insert(&rivals()[1]), Err(Error::NotReady));
    assert_eq!(rig.driver.verify(entry), Err(Error::NoEntry(entry)));
    set_up(&mut rig.driver);
    assert_eq!(rig.driver.used(), 0);
    rig.driver.insert(&flow).unwrap();
    assert_eq!(rig.fates(&flow), [Fate::Forwarded; 2]);

    rig.chip.reset();
    assert_eq!(rig.driver.alive(), Err(Error::NotReady));
    assert_eq!(rig.fates(&flow), [Fate::Processor; 2]);
}

#[test]
fn what_the_kernel_binds_stays_the_kernels() {
    let mut rig = Rig::new(simulator::Options::default(), TAKE_FREE);
    let flow = rivals()[0];
    let entry = rig.driver.insert(&flow).unwrap();
    let [original, _] = rig.driver.indices(entry).unwrap();
    let index = usize::from(original.unwrap());
    // The kernel takes the flow, to somewhere else.
    let mut kernels = flow;
    kernels.answerer.neighbour.0[5] = 0x77;
    let words = translate(&kernels, [KERNEL; 2]).unwrap()[0].words().unwrap();
    rig.chip.with(|chip| chip.kernel_binds(index, &words));
    assert!(matches!(rig.driver.verify(entry), Err(Error::Mismatch { .. })));
    rig.driver.remove(entry).unwrap();
    assert_eq!(rig.chip.with(|chip| chip.bound_entries()), [index]);
    assert_eq!(rig.send(&kernels, Original), Fate::Forwarded);
    assert_eq!(rig.driver.insert(&flow), Err(Error::Collision));
}
