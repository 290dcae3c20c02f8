// SPDX-License-Identifier: GPL-2.0-or-later
//! Full tables, full buckets, and that nothing is lost on the way there and back.

use crate::rig::Rig;
use crate::traffic::Way;
use crate::world::World;
use hw_drivers::flow::Flow;
use hw_drivers::table::{Entry, Error, FlowTable, Resource};

/// Flows are inserted until well beyond what the chip can hold; then half are taken out, put in
/// again, and in the end all are taken out.
pub fn fill_and_empty<R: Rig>(options: &R::Options) {
    if !R::about_room(options) {
        return;
    }
    let mut world = World::<R>::ready(options);
    let empty = world.held();
    let entries = world.call(|table| table.capabilities().entries);
    assert_ne!(entries, 0);
    let (mut full, mut collisions) = (0, 0);
    for number in 0..entries + entries / 4 + 4 {
        match world.insert(number) {
            Ok(_) => continue,
            Err(Error::Full(Resource::Flows)) => full += 1,
            Err(Error::Collision) => collisions += 1,
            Err(error) => panic!("flow {number} of {entries}: {error}"),
        }
        world.assert_out(number);
        assert_eq!(world.used() as usize, world.inside.len());
        // Trying again does not help, and does not harm either.
        if full + collisions < 5 {
            assert!(matches!(world.insert(number), Err(Error::Full(_) | Error::Collision)));
        }
    }
    if R::never_collides(options) {
        assert_eq!((world.used(), collisions), (entries, 0), "room that the chip has is not used");
    } else {
        assert!(world.used() >= entries / 4, "only {} of {entries} flows", world.used());
    }
    assert!(world.used() <= entries && full + collisions > 0);
    world.assert_consistent();
    let all: Vec<u32> = world.inside.keys().copied().collect();
    for number in all.iter().filter(|number| *number % 2 == 0) {
        world.remove(*number).expect("remove");
        world.assert_out(*number);
    }
    world.assert_consistent();
    for number in all.iter().filter(|number| *number % 2 == 0) {
        world.insert(*number).expect("the room of a flow taken out is not there for it again");
    }
    world.assert_consistent();
    for number in &all {
        world.remove(*number).expect("remove");
    }
    for number in all {
        world.assert_out(number);
    }
    assert_eq!(world.used(), 0);
    assert_eq!(world.held()[0], empty[0], "flows are left in the chip");
}

/// Where one bucket is full, the flow that does not fit is refused and those in it stay; when one
/// of them goes, it fits.
pub fn collisions<R: Rig>(options: &R::Options) {
    if !R::about_room(options) {
        return;
    }
    let mut world = World::<R>::ready(options);
    let entries = world.call(|table| table.capabilities().entries);
    let refused = (0..entries * 2).find(|number| world.insert(*number).is_err());
    let refused = refused.expect("a table that never fills");
    world.assert_out(refused);
    world.assert_consistent();
    // One of those inside stands in its way.
    let inside: Vec<u32> = world.inside.keys().copied().collect();
    let makes_room = inside.iter().find(|number| {
        world.remove(**number).expect("remove");
        let fits = world.insert(refused).is_ok();
        if !fits {
            world.insert(**number).expect("back where it was");
        }
        fits
    });
    let gone = *makes_room.expect("no flow that was taken out has made room");
    world.assert_in(refused);
    world.assert_out(gone);
    world.assert_consistent();
}

/// Every flow with a neighbour of its own, until a table of neighbours (or of flows) is full.
pub fn neighbours_full<R: Rig>(options: &R::Options) {
    let mut world = World::<R>::with(options, 0..3);
    let mut inside: Vec<(Flow, Entry)> = Vec::new();
    let entries = world.call(|table| table.capabilities().entries);
    let mut refused = Vec::new();
    for number in 0..entries + 8 {
        let flow = R::lonely(number);
        match world.offer(&flow) {
            Ok(entry) => inside.push((flow, entry)),
            Err(Error::Full(_) | Error::Collision) => refused.push(flow),
            Err(error) => panic!("neighbour {number}: {error}"),
        }
        if refused.len() == 8 {
            break;
        }
    }
    assert!(inside.len() >= 2 && !refused.is_empty());
    for flow in &refused {
        assert_eq!(world.ways(flow), [Way::Cpu; 2]);
    }
    for (flow, entry) in &inside {
        assert_eq!(world.ways(flow), [Way::Hardware; 2], "{flow:?}");
        assert_eq!(world.call(|table| table.verify(*entry)), Ok(()));
    }
    // Neighbours that nobody needs any more make room for others.
    for (flow, entry) in inside.drain(..) {
        world.call(|table| table.remove(entry)).expect("remove");
        assert_eq!(world.ways(&flow), [Way::Cpu; 2]);
    }
    world.assert_consistent();
    for flow in refused.iter().rev() {
        match world.offer(flow) {
            Ok(_) => assert_eq!(world.ways(flow), [Way::Hardware; 2]),
            // They may have met among themselves.
            Err(Error::Collision) if !R::never_collides(options) => {}
            Err(error) => panic!("there is room again, and {error}"),
        }
    }
    (0..3).for_each(|number| world.assert_in(number));
}
