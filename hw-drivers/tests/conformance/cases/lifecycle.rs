// SPDX-License-Identifier: GPL-2.0-or-later
//! Set-up and tear-down, whole and in parts, and what may happen to a chip in between.

use super::forwarding::KINDS;
use crate::rig::Rig;
use crate::world::{restart, World};
use hw_drivers::table::{Entry, Error, FlowTable, Progress};
use hw_simulators::Chip;

/// One call, time passing as asked for; true when it is done.
fn step(result: Result<Progress, Error>, chip: &mut impl Chip) -> bool {
    match result.expect("no fault on the bus") {
        Progress::Done => true,
        Progress::More => false,
        Progress::Wait(time) => {
            chip.pass(time);
            false
        }
    }
}

/// Before set-up nothing is forwarded and nothing taken.
pub fn not_ready<R: Rig>(options: &R::Options) {
    let mut world = World::<R>::new(options);
    assert_nothing_taken(&mut world);
    world.disable().expect("disable before set-up");
    assert_nothing_taken(&mut world);
    world.set_up(0).expect("set-up");
    world.insert(0).expect("insert");
    world.disable().expect("disable");
    assert_nothing_taken(&mut world);
    world.disable().expect("disable twice");
}

fn assert_nothing_taken<R: Rig>(world: &mut World<R>) {
    world.assert_not_ready(0);
    assert_eq!(world.call(|table| table.sweep(&mut |_| ())), Err(Error::NotReady));
    assert_eq!(world.call(|table| table.alive()), Err(Error::NotReady));
    let removed = world.call(|table| table.remove(Entry(0)));
    assert!(matches!(removed, Err(Error::NotReady | Error::NoEntry(_))), "{removed:?}");
    assert_eq!(world.used(), 0);
    (0..KINDS).for_each(|number| world.assert_out(number));
}

/// After any number of pieces set-up can be given up and begun anew; meanwhile nothing is
/// forwarded, not even by what is left from before.
pub fn interrupted_set_up<R: Rig>(options: &R::Options) {
    for pieces in 1.. {
        let mut world = World::<R>::with(options, 0..3);
        world.inside.clear();
        let network = R::network(0);
        let mut done = false;
        for _ in 0..pieces {
            let result = world.call(|table| table.set_up(&network));
            done = step(result, &mut world.chip);
            (0..3).for_each(|number| world.assert_out(number));
            if done {
                assert_eq!(world.used(), 0);
                break;
            }
            world.assert_not_ready(0);
        }
        if !done && pieces % 2 == 0 {
            world.disable().expect("disable in the middle of set-up");
            (0..3).for_each(|number| world.assert_out(number));
        }
        // Twice, or anew with another network.
        world.set_up(pieces % 2).expect("set-up after a set-up given up");
        (0..3).for_each(|number| world.assert_out(number));
        world.insert(3).expect("insert");
        world.assert_consistent();
        if done {
            break;
        }
    }
}

/// The first call of disable ends all forwarding, and set-up may follow each piece of it.
pub fn interrupted_disable<R: Rig>(options: &R::Options) {
    for pieces in 1.. {
        let mut world = World::<R>::with(options, 0..4);
        let mut done = false;
        for _ in 0..pieces {
            let result = world.call(R::Table::disable);
            done = step(result, &mut world.chip);
            (0..4).for_each(|number| world.assert_out(number));
            world.assert_not_ready(5);
            if done {
                break;
            }
        }
        world.set_up(0).expect("set-up after a disable given up");
        (0..4).for_each(|number| world.assert_out(number));
        world.insert(1).expect("insert");
        world.assert_consistent();
        if done {
            break;
        }
    }
}

/// What disable leaves in the chip does not depend on what was in the table.
pub fn disable_empties<R: Rig>(options: &R::Options) {
    let mut idle = World::<R>::ready(options);
    idle.disable().expect("disable");
    let mut busy = World::<R>::with(options, 0..KINDS);
    assert_ne!(busy.held(), idle.held(), "the rig shows nothing of the chip's tables");
    busy.disable().expect("disable");
    assert_eq!(busy.held(), idle.held(), "entries are left in the chip");
    assert_eq!(busy.used(), 0);
}

/// With another network flows of the old one are gone and those of the new one work.
pub fn network_changed<R: Rig>(options: &R::Options) {
    let mut world = World::<R>::with(options, 0..KINDS);
    for network in [1, 0, 1] {
        let old: Vec<_> = (0..KINDS).map(|number| world.flow(number)).collect();
        world.set_up(network).expect("set-up");
        for flow in &old {
            assert_eq!(world.ways(flow), [crate::traffic::Way::Cpu; 2], "of the old network");
        }
        for number in 0..KINDS {
            world.assert_out(number);
            world.insert(number).expect("a flow of the new network");
        }
        world.assert_consistent();
    }
}

/// A chip that was reset, or whose driver in the kernel was bound again, is noticed, and can be
/// set up again.
pub fn reset_noticed<R: Rig>(options: &R::Options) {
    for rebound in [false, true] {
        let mut world = World::<R>::with(options, 0..3);
        assert_eq!(world.call(R::Table::alive), Ok(()));
        world.chip.with(|chip| {
            if rebound {
                R::rebind(chip);
            } else {
                restart::<R>(chip);
            }
        });
        assert_eq!(world.call(R::Table::alive), Err(Error::NotReady), "rebound: {rebound}");
        world.assert_not_ready(4);
        world.set_up(0).expect("set-up after a reset");
        assert_eq!(world.used(), 0);
        (0..4).for_each(|number| world.assert_out(number));
        world.insert(1).expect("insert");
        world.assert_consistent();
        assert_eq!(world.call(R::Table::alive), Ok(()));
    }
}

/// A reset that nobody has noticed yet: whatever is called next, frames go right and nothing
/// false is said.
pub fn reset_unnoticed<R: Rig>(options: &R::Options) {
    for operation in 0..4 {
        let mut world = World::<R>::with(options, 0..3);
        world.chip.with(restart::<R>);
        match operation {
            0 => {
                // It may say that it is in; the chip is off, and alive() is who notices.
                let _ = world.insert(3);
                let flow = world.flow(3);
                world.ways(&flow);
            }
            1 => {
                let _ = world.remove(1);
            }
            2 => assert!(world.verify(1).is_err(), "an entry that the chip has lost verifies"),
            _ => {
                if let Ok(sights) = world.sweep() {
                    assert!(sights.values().all(|sight| !sight.hit), "{sights:?}");
                }
            }
        }
        for number in (0..3).chain(5..8) {
            world.assert_out(number);
        }
        world.recover();
        world.insert(0).expect("insert after recovery");
        world.assert_consistent();
    }
}
