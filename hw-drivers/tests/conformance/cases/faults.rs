// SPDX-License-Identifier: GPL-2.0-or-later
//! Trouble at every single place of every operation: no packet is ever forwarded wrongly, nothing
//! leaks, and the driver says the truth.

use crate::line::{Fired, Trouble};
use crate::rig::Rig;
use crate::traffic::{Direction, Way};
use crate::world::World;
use hw_drivers::bus;
use hw_drivers::table::{Error, FlowTable};
use hw_simulators::Chip;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Flows in the table before the trouble.
const BEFORE: u32 = 2;
/// The flow that an operation is about.
const NUMBER: u32 = 2;

/// Says where a case was when it failed.
pub struct Context(pub String);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Which places to make trouble at: all, or every so many-th from an offset.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// The first one.
    pub first: u32,
    /// From one to the next.
    pub stride: usize,
}

impl Places {
    /// For operations that take long.
    fn of_long<R: Rig>(self) -> Places {
        let long = if self.stride == 1 { 1 } else { R::LONG_STRIDE };
        Places { stride: self.stride * long, ..self }
    }

    /// Where a trouble is made: what comes between transactions comes before each.
    fn of<R: Rig>(self, trouble: Trouble) -> std::iter::StepBy<std::ops::RangeFrom<u32>> {
        if trouble.between() && R::TELLS {
            (0..).step_by(1)
        } else {
            (self.first..).step_by(self.stride)
        }
    }
}

/// Makes each trouble at each place of an operation, each time in the same world. `empty` is what
/// a chip that is set up holds.
fn everywhere<R: Rig, T: Debug>(
    places: Places,
    empty: &[u32],
    mut world: World<R>,
    operate: impl Fn(&mut World<R>) -> Result<T, Error>,
    judge: impl Fn(&mut World<R>, Trouble, Result<T, Error>),
) {
    let saved = world.save();
    for trouble in R::TROUBLES.iter().copied() {
        for at in places.of::<R>(trouble) {
            world.restore(&saved);
            world.line.plan(at, trouble);
            let result = operate(&mut world);
            let fired = world.line.fired();
            world.line.mend();
            let _context = Context(format!("{trouble:?} at {at}, {fired:?}: {result:?}"));
            match fired {
                Fired::No => break,
                Fired::Harmless => assert!(result.is_ok(), "nothing has happened"),
                Fired::At(_) if trouble.robs() => robbed(&mut world, trouble, empty),
                Fired::At(_) => {
                    truthful::<R, T>(trouble, &result);
                    judge(&mut world, trouble, result);
                }
            }
        }
    }
}

/// The error is of the kind of the trouble. A misread value may show as anything, and so does what
/// the driver is not told.
fn truthful<R: Rig, T: Debug>(trouble: Trouble, result: &Result<T, Error>) {
    let right = match trouble {
        Trouble::Intrusion => result.is_ok(),
        _ if !R::TELLS => true,
        // Ok where only tidying up has failed.
        Trouble::Lost | Trouble::Unheard | Trouble::Dead => {
            matches!(result, Ok(_) | Err(Error::Bus(_)))
        }
        Trouble::Stuck => matches!(result, Ok(_) | Err(Error::Stuck(_))),
        Trouble::Refused => {
            matches!(result, Ok(_) | Err(Error::Bus(bus::Error::NotAtomic { .. })))
        }
        Trouble::Flipped(_) | Trouble::Ones | Trouble::Overrun | Trouble::Reset => true,
    };
    assert!(right, "{trouble:?} is told as {result:?}");
}

/// After the chip has lost entries: what goes by hardware goes right, also what another has put
/// into the table, and the driver does not believe what is no longer so.
fn robbed<R: Rig>(world: &mut World<R>, trouble: Trouble, empty: &[u32]) {
    for number in 0..=NUMBER + 1 {
        let flow = world.flow(number);
        world.ways(&flow);
    }
    if trouble == Trouble::Reset {
        return lives_on(world, empty);
    }
    if let Some(rival) = R::rival() {
        world.ways(&rival);
        world.chip.with(R::retreat);
        // Nothing of it may be left in one of ours.
        assert_eq!(world.ways(&rival), [Way::Cpu; 2], "the kernel's flow");
    }
    let inside: Vec<u32> = world.inside.keys().copied().collect();
    for number in inside {
        if !world.is_ready() {
            break;
        }
        let flow = world.flow(number);
        let whole = world.ways(&flow) == [Way::Hardware; 2];
        assert_eq!(world.verify(number).is_ok(), whole, "flow {number} verifies");
        let removed = world.remove(number);
        assert!(matches!(removed, Ok(()) | Err(Error::NoEntry(_))), "{removed:?}");
        world.assert_out(number);
    }
    world.recover();
    assert_eq!(world.held(), empty, "something has leaked");
    world.insert(NUMBER).expect("insert after recovery");
    world.assert_consistent();
}

/// After the trouble, whatever it was: the table can be used to the end of a life, and nothing is
/// left in the chip then.
fn lives_on<R: Rig>(world: &mut World<R>, empty: &[u32]) {
    if world.is_ready() {
        world.assert_consistent();
        let numbers: Vec<u32> = world.inside.keys().copied().collect();
        for number in numbers {
            world.remove(number).expect("remove after recovery");
            world.assert_out(number);
        }
        assert_eq!(world.held()[0], empty[0], "a flow has leaked");
        world.insert(NUMBER).expect("insert after recovery");
        world.assert_consistent();
        // To set it up again takes most of the time; for a driver that is ready some do.
        if !world.line.total().is_multiple_of(4) {
            return;
        }
    } else {
        world.assert_not_ready(NUMBER + 1);
        for number in 0..=NUMBER {
            let flow = world.flow(number);
            world.ways(&flow);
        }
    }
    world.recover();
    (0..=NUMBER + 1).for_each(|number| world.assert_out(number));
    assert_eq!(world.held(), empty, "something has leaked");
    assert_eq!(world.used(), 0);
    world.insert(NUMBER).expect("insert after recovery");
    world.assert_consistent();
}

/// Trouble while a flow is inserted.
pub fn insert<R: Rig>(options: &R::Options, places: Places) {
    let empty = World::<R>::ready(options).held();
    everywhere(
        places,
        &empty,
        World::<R>::with(options, 0..BEFORE),
        |world| world.insert(NUMBER),
        |world, _, result| {
            if result.is_ok() {
                world.assert_consistent();
            } else if world.is_ready() {
                world.assert_out(NUMBER);
                world.assert_consistent();
                world.insert(NUMBER).expect("the second try");
            }
            lives_on(world, &empty);
        },
    );
}

/// Trouble while the first flow of all is inserted, with all that only it needs.
pub fn first_insert<R: Rig>(options: &R::Options, places: Places) {
    let empty = World::<R>::ready(options).held();
    for number in [NUMBER, 7] {
        everywhere(
            places,
            &empty,
            World::<R>::ready(options),
            |world| world.insert(number),
            |world, _, result| {
                if result.is_err() && world.is_ready() {
                    world.assert_out(number);
                    assert_eq!(world.used(), 0);
                    world.insert(number).expect("the second try");
                }
                lives_on(world, &empty);
            },
        );
    }
}

/// Trouble while a flow is inserted that has no room: it never seems to be in.
pub fn insert_without_room<R: Rig>(options: &R::Options, places: Places) {
    let mut world = World::<R>::ready(options);
    let number = (0..).find(|number| world.insert(*number).is_err());
    let number = number.expect("a table that never fills");
    let saved = world.save();
    for trouble in R::TROUBLES.iter().copied().filter(|trouble| !trouble.robs()) {
        for at in places.of::<R>(trouble) {
            world.line.plan(at, trouble);
            let result = world.insert(number);
            let fired = world.line.fired();
            world.line.mend();
            let _context = Context(format!("{trouble:?} at {at}, {fired:?}: {result:?}"));
            assert!(result.is_err(), "a flow without room is said to be in");
            if fired == Fired::No {
                break;
            }
            let flow = world.flow(number);
            world.ways(&flow);
            if world.is_ready() {
                world.assert_out(number);
                assert_eq!(world.used() as usize, world.inside.len());
                let again = world.insert(number);
                assert!(matches!(again, Err(Error::Full(_) | Error::Collision)), "{again:?}");
            } else {
                world.restore(&saved);
            }
        }
    }
    world.assert_consistent();
}

/// Trouble while a flow is removed.
pub fn remove<R: Rig>(options: &R::Options, places: Places) {
    let empty = World::<R>::ready(options).held();
    // Alone, and with others that share its neighbours.
    for others in [0, BEFORE] {
        everywhere(
            places,
            &empty,
            World::<R>::with(options, (0..others).chain([NUMBER])),
            |world| world.remove(NUMBER),
            |world, _, result| {
                match result {
                    Ok(()) => world.assert_out(NUMBER),
                    Err(error) => {
                        let flow = world.flow(NUMBER);
                        world.ways(&flow);
                        if world.is_ready() {
                            let gone = matches!(error, Error::NoEntry(_));
                            let again = world.remove(NUMBER);
                            let told = matches!(again, Ok(()) | Err(Error::NoEntry(_)));
                            assert!(told && !(gone && again.is_ok()), "then {again:?}");
                            world.inside.remove(&NUMBER);
                            world.assert_out(NUMBER);
                        }
                    }
                }
                lives_on(world, &empty);
            },
        );
    }
}

/// Trouble while an entry is verified: it stays.
pub fn verify<R: Rig>(options: &R::Options, places: Places) {
    let empty = World::<R>::ready(options).held();
    everywhere(
        places,
        &empty,
        World::<R>::with(options, 0..=NUMBER),
        |world| world.verify(NUMBER),
        |world, _, _| {
            lives_on(world, &empty);
        },
    );
}

/// Trouble while the driver looks whether the chip is as it was set up.
pub fn alive<R: Rig>(options: &R::Options, places: Places) {
    let empty = World::<R>::ready(options).held();
    let world = World::<R>::with(options, 0..=NUMBER);
    let operate = |world: &mut World<R>| world.call(R::Table::alive);
    everywhere(places, &empty, world, operate, |world, _, _| lives_on(world, &empty));
}

/// Trouble in a sweep: it goes on where it was, and no hit is lost.
pub fn sweep<R: Rig>(options: &R::Options, places: Places) {
    let empty = World::<R>::ready(options).held();
    let mut world = World::<R>::with(options, 0..=NUMBER);
    world.chip.pass(R::SWEEP);
    world.sweep().expect("sweep");
    world.chip.pass(R::SWEEP);
    for (number, direction) in [(1, Direction::Original), (2, Direction::Reply)] {
        let flow = world.flow(number);
        assert_eq!(world.way(&flow, direction), Way::Hardware);
    }
    let saved = world.save();
    for trouble in R::TROUBLES.iter().copied() {
        for at in places.of::<R>(trouble) {
            world.restore(&saved);
            let mut sights = BTreeMap::new();
            world.line.plan(at, trouble);
            let first = world.sweep_into(&mut sights);
            let fired = world.line.fired();
            world.line.mend();
            let _context = Context(format!("{trouble:?} at {at}, {fired:?}: {first:?}"));
            match fired {
                Fired::No => break,
                Fired::Harmless => {}
                Fired::At(_) if trouble.robs() => {
                    robbed(&mut world, trouble, &empty);
                    continue;
                }
                Fired::At(_) => truthful::<R, _>(trouble, &first),
            }
            let misread = trouble.misread();
            if first.is_err() && world.is_ready() {
                world.sweep_into(&mut sights).expect("the rest of the sweep");
            }
            if world.is_ready() && !misread {
                for (number, entry) in &world.inside {
                    let sight = sights.get(entry).map(|sight| sight.hit);
                    assert_eq!(sight, Some([1, 2].contains(number)), "flow {number}");
                }
                assert_eq!(sights.len(), world.inside.len());
            }
            if world.is_ready() {
                // The next sweep is whole again.
                let sights = world.sweep().expect("another sweep");
                let told: Vec<_> = sights.keys().copied().collect();
                let mut inside: Vec<_> = world.inside.values().copied().collect();
                inside.sort();
                assert_eq!(told, inside);
            }
            lives_on(&mut world, &empty);
        }
    }
}

/// Trouble while the chip is set up, after power-on and over an old set-up.
pub fn set_up<R: Rig>(options: &R::Options, places: Places) {
    let places = places.of_long::<R>();
    let empty = World::<R>::ready(options).held();
    for (again, network) in [(false, 0), (true, 1)] {
        let world =
            if again { World::<R>::with(options, 0..=NUMBER) } else { World::<R>::new(options) };
        everywhere(
            places,
            &empty,
            world,
            |world| world.set_up(network),
            |world, _, result| {
                if result.is_ok() {
                    assert_eq!(world.used(), 0);
                    world.insert(NUMBER).expect("insert");
                    world.assert_consistent();
                    world.set_up(0).expect("set-up once more");
                } else {
                    let flow = world.flow(NUMBER);
                    world.ways(&flow);
                    world.assert_not_ready(NUMBER);
                    world.set_up(0).expect("set-up after one that failed");
                }
                (0..=NUMBER).for_each(|number| world.assert_out(number));
                world.insert(NUMBER).expect("insert");
                world.assert_consistent();
                lives_on(world, &empty);
            },
        );
    }
}

/// Trouble while the engine is switched off.
pub fn disable<R: Rig>(options: &R::Options, places: Places) {
    let places = places.of_long::<R>();
    let mut idle = World::<R>::ready(options);
    let empty = idle.held();
    idle.disable().expect("disable");
    let off = idle.held();
    let world = World::<R>::with(options, 0..=NUMBER);
    everywhere(places, &empty, world, World::disable, |world, _, result| {
        if result.is_err() {
            for number in 0..=NUMBER {
                let flow = world.flow(number);
                world.ways(&flow);
            }
            world.assert_not_ready(NUMBER + 1);
            world.disable().expect("disable after one that failed");
        }
        (0..=NUMBER).for_each(|number| world.assert_out(number));
        assert_eq!(world.held(), off, "something has leaked");
        world.set_up(0).expect("set-up");
        (0..=NUMBER).for_each(|number| world.assert_out(number));
        lives_on(world, &empty);
    });
}
