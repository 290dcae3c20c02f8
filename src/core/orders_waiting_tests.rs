// SPDX-License-Identifier: GPL-2.0-or-later
//! How many orders wait, and what they cost together, against the kernel in memory.

use super::*;
use crate::core::control::tests::World;
use crate::core::control::Event;
use crate::core::settings::Mode;

fn watches(ids: std::ops::Range<u32>) -> Event {
    Event::Orders(ids.map(|id| (NOBODY, Order::Watch { id })).collect())
}

/// Sixteen questions about flows take a reading before their transaction and one after.
#[test]
fn orders_that_come_together_take_one_survey() {
    let mut world = World::started(Mode::Software);
    let (surveys, commits) = (world.surveys, world.commits.len());
    world.event(watches(0..16));
    assert_eq!((world.surveys - surveys, world.commits.len() - commits), (2, 1));
    let lasting = |now| (0..17).filter(|id| world.control.watch_lasts(*id, now)).count();
    assert_eq!(lasting(world.now), 16);
    let later = world.now + WATCH - WATCH_RENEWED;
    assert!(world.control.watched(3, later).is_some());
    assert_eq!(lasting(later), 0, "to be prolonged");
}

#[test]
fn orders_of_nobody_do_not_pile_up() {
    let mut world = World::started(Mode::Software);
    world.refuse_all = Some(libc::ERESTART);
    let waiting = |world: &World| world.control.orders.len();
    world.event(watches(0..1));
    world.event(watches(0..1));
    assert_eq!(waiting(&world), 1, "it waits already");
    world.event(watches(0..1000));
    assert_eq!(waiting(&world), OF_NOBODY_MAX);
    world.event(Event::Orders(vec![(1, Order::Flush)]));
    assert_eq!(waiting(&world), OF_NOBODY_MAX + 1, "somebody's does");
    world.refuse_all = None;
    world.rest();
    assert_eq!((waiting(&world), world.done.last().map(|done| done.0)), (0, Some(1)));
    let last = OF_NOBODY_MAX as u32 - 1;
    assert_eq!(world.control.watched(last, world.now), Some(0));
    assert_eq!(world.control.watched(last + 1, world.now), None);
}
