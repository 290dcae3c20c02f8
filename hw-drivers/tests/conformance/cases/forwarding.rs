// SPDX-License-Identifier: GPL-2.0-or-later
//! What is forwarded, how, and what is not.

use crate::rig::Rig;
use crate::traffic::{incoming, judge, near_misses, odd_frames, Way, BOTH};
use crate::world::World;
use hw_drivers::flow::{Flow, Mac};
use hw_drivers::table::{Entry, Error, FlowTable, Part};
use hw_simulators::Chip;

/// Kinds of flows are among the first numbers.
pub const KINDS: u32 = 8;

/// Every kind of flow: before, in and after the table, alone and with all the others.
pub fn every_kind<R: Rig>(options: &R::Options) {
    let mut world = World::<R>::ready(options);
    for number in 0..KINDS {
        world.assert_out(number);
        world.insert(number).expect("a kind of flow that the rig says the chip can express");
        world.assert_consistent();
    }
    for number in 0..KINDS {
        world.remove(number).expect("remove");
        world.assert_out(number);
        world.assert_consistent();
    }
    // In again, in another order, for what the first round has left behind.
    for number in (0..KINDS).rev() {
        world.insert(number).expect("insert again");
    }
    world.assert_consistent();
    for number in 0..KINDS {
        world.remove(number).expect("remove again");
    }
    (0..KINDS).for_each(|number| world.assert_out(number));
    assert_eq!(world.used(), 0);
}

/// Other connections and other frames, while one flow is in.
pub fn nothing_else<R: Rig>(options: &R::Options) {
    for number in 0..KINDS {
        let mut world = World::<R>::with(options, [number]);
        let flow = world.flow(number);
        for direction in BOTH {
            let port = incoming(&flow, direction).0;
            for (name, frame) in near_misses(&flow, direction) {
                let way = judge(&mut world.chip, &flow, direction, &frame);
                assert_eq!(way, Ok(Way::Cpu), "another {name} in {direction:?}");
            }
            for (name, frame) in odd_frames(&flow, direction) {
                if let Err(why) = judge(&mut world.chip, &flow, direction, &frame) {
                    panic!("{name}: {why}");
                }
                if R::ENDS_AT_FIN && frame.packet.flags.fin {
                    assert_eq!(world.way(&flow, direction), Way::Cpu, "after {name}");
                    world.remove(number).expect("remove what has ended");
                    world.insert(number).expect("the same connection anew");
                }
                assert_eq!(world.way(&flow, direction), Way::Hardware, "after {name}");
            }
            let (_, frame) = incoming(&flow, direction);
            let mut broken = frame.emit();
            let last = broken.len() - 1;
            // For the far end: a chip that updates checksums leaves a wrong one wrong.
            broken[last] ^= 1;
            for out in world.chip.receive(port, &broken) {
                let right = hw_simulators::frame::Frame::checksums_ok(&out.bytes);
                assert!(!right, "a packet damaged on its way was given right checksums");
            }
            // To another station of the same network: switched at best, never translated.
            let mut switched = frame.clone();
            switched.destination = Mac([2, 0x55, 0, 0, 0, 0x77]);
            let bytes = switched.emit();
            for out in world.chip.receive(port, &bytes).iter().filter(|_| R::LOOKS_FOR_ROUTER) {
                let behind = hw_simulators::frame::Frame::parse(&out.bytes);
                let packet = behind.map(|frame| frame.packet);
                assert_eq!(packet, Some(switched.packet.clone()), "a switched frame was changed");
            }
            let mut arp = frame.emit();
            let at = 12 + 4 * frame.tags.len();
            arp[at..at + 2].copy_from_slice(&[0x08, 0x06]);
            for out in world.chip.receive(port, &arp) {
                assert_eq!(out.bytes, arp, "something that is not IP was changed");
            }
            for length in 0..frame.emit().len() {
                let cut = &frame.emit()[..length];
                for out in world.chip.receive(port, cut) {
                    assert_eq!(out.bytes, cut, "a frame that ends at {length} was changed");
                }
            }
        }
        for other in (0..KINDS).filter(|other| *other != number) {
            world.assert_out(other);
        }
        world.assert_in(number);
    }
}

/// What the chip cannot express is refused before the bus is used at all.
pub fn refused_untouched<R: Rig>(options: &R::Options) {
    let mut world = World::<R>::with(options, [0]);
    let good = world.flow(1);
    let mut refused = R::refused();
    for mac in [Mac([0; 6]), Mac([0xff; 6]), Mac([1, 0, 0x5e, 0, 0, 1])] {
        let mut flow = good;
        flow.opener.neighbour = mac;
        refused.push((flow, Part::Neighbour));
        let mut flow = good;
        flow.answerer.neighbour = mac;
        flow.answerer.pppoe = None;
        refused.push((flow, Part::Neighbour));
    }
    for (port, number) in [(200, 200), (255, 255)] {
        let mut flow = good;
        flow.opener.port = port;
        refused.push((flow, Part::Port(number)));
        let mut flow = good;
        flow.answerer.port = port;
        refused.push((flow, Part::Port(number)));
    }
    for vlan in [0, 4095, 5000] {
        let mut flow = good;
        flow.opener.vlan = vlan;
        refused.push((flow, Part::Vlan(vlan)));
    }
    let mut mixed = good;
    mixed.original.source = "[2001:db8::7]:7".parse().unwrap();
    mixed.reply.destination = "192.0.2.7:7".parse().unwrap();
    refused.push((mixed, Part::Family));
    let before = (world.line.total(), world.held());
    for (flow, part) in refused {
        let checked = world.call(|table| table.check(&flow));
        assert_eq!(checked, Err(Error::NotExpressible(part)), "check of {flow:?}");
        let inserted = world.call(|table| table.insert(&flow));
        assert_eq!(inserted, Err(Error::NotExpressible(part)), "insert of {flow:?}");
    }
    assert_eq!(world.call(|table| table.check(&good)), Ok(()));
    assert_eq!((world.line.total(), world.held()), before, "the bus was used");
    world.assert_out(1);
    world.assert_consistent();
}

/// A flow is in once, and what is not in cannot be removed.
pub fn once_only<R: Rig>(options: &R::Options) {
    let mut world = World::<R>::with(options, [0, 1]);
    let entry = world.inside[&0];
    let again = R::flow(0, 0);
    assert_eq!(world.call(|table| table.insert(&again)), Err(Error::Exists(entry)));
    world.assert_consistent();
    world.remove(0).expect("remove");
    for gone in [entry, Entry(u32::MAX)] {
        assert_eq!(world.call(|table| table.remove(gone)), Err(Error::NoEntry(gone)));
        assert_eq!(world.call(|table| table.verify(gone)), Err(Error::NoEntry(gone)));
    }
    world.assert_out(0);
    world.assert_consistent();
}

/// The same connection with a neighbour that has moved: no packet may take the old way.
pub fn moved_neighbour<R: Rig>(options: &R::Options) {
    for number in 0..KINDS {
        for side in [0, 1] {
            let mut world = World::<R>::with(options, [number]);
            let flow = world.flow(number);
            let moved = moved(&flow, side);
            assert_ne!(moved, flow);
            if let Ok(entry) = world.call(|table| table.insert(&moved)) {
                panic!("a connection is in the table twice: {entry:?}");
            }
            world.assert_in(number);
            world.remove(number).expect("remove");
            let entry = world.offer(&moved).expect("insert the moved one");
            assert_eq!(world.ways(&moved), [Way::Hardware; 2], "the moved one: {moved:?}");
            world.call(|table| table.remove(entry)).expect("remove the moved one");
            assert_eq!(world.ways(&moved), [Way::Cpu; 2]);
            world.insert(number).expect("back to the old place");
            world.assert_consistent();
        }
    }
}

/// The flow with another MAC address of the neighbour on one side.
fn moved(flow: &Flow, side: u8) -> Flow {
    let mut flow = *flow;
    let side = if side == 0 { &mut flow.opener } else { &mut flow.answerer };
    side.neighbour.0[5] ^= 0x40;
    if let Some(pppoe) = &mut side.pppoe {
        pppoe.peer = side.neighbour;
    }
    flow
}
