// SPDX-License-Identifier: GPL-2.0-or-later
//! Where flows go in the table, how many, and how they leave it again.

use super::rig::*;
use hw_drivers::flow::Flow;
use hw_drivers::mt7621_ppe::direct::Options;
use hw_drivers::mt7621_ppe::hash;
use hw_drivers::table::{Error, FlowTable, Part, Progress, Sight};
use hw_simulators::mt7621_ppe as simulator;
use hw_simulators::Chip;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

/// The buckets of both directions.
fn buckets(flow: &Flow) -> [u16; 2] {
    [flow.original, flow.reply].map(|tuple| match (tuple.source, tuple.destination) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            let ports = u32::from(from.port()) << 16 | u32::from(to.port());
            hash::v4((*from.ip()).into(), (*to.ip()).into(), ports)
        }
        _ => panic!("IPv4 flows only"),
    })
}

/// Flows whose buckets have two ways that can be used.
fn usable() -> impl Iterator<Item = Flow> {
    let usable = |bucket| !hash::crosses(bucket) && !hash::crosses(bucket | 1);
    (0..60_000).map(numbered).filter(move |flow| buckets(flow).into_iter().all(usable))
}

/// Three flows whose original direction is in one bucket; the replies are in others.
pub fn rivals() -> [Flow; 3] {
    static RIVALS: LazyLock<[Flow; 3]> = LazyLock::new(|| {
        let first = usable().next().unwrap();
        let [original, reply] = buckets(&first);
        let mut taken = BTreeSet::from([original, reply]);
        let mut others = usable().filter(|flow| {
            let [other, reply] = buckets(flow);
            other == original && taken.insert(reply)
        });
        [first, others.next().unwrap(), others.next().unwrap()]
    });
    *RIVALS
}

/// Flows that have no bucket in common with each other or with the rivals.
pub fn strangers(count: usize) -> Vec<Flow> {
    let mut taken: BTreeSet<u16> = rivals().iter().flat_map(buckets).collect();
    let alone = |flow: &Flow| {
        let [original, reply] = buckets(flow);
        let free = original != reply && !taken.contains(&original) && !taken.contains(&reply);
        if free {
            taken.extend([original, reply]);
        }
        free
    };
    usable().filter(alone).take(count).collect()
}

pub fn sweep(driver: &mut impl FlowTable) -> Vec<Sight> {
    let mut seen = Vec::new();
    while driver.sweep(&mut |sight| seen.push(sight)).unwrap() != Progress::Done {}
    seen
}

#[test]
fn a_flow_is_bound_where_the_engine_has_begun_it() {
    let mut rig = Rig::new(simulator::Options::default(), Options::default());
    let flow = rivals()[0];
    assert_eq!(rig.driver.insert(&flow), Err(Error::Unseen));
    rig.send(&flow, Original);
    assert_eq!(rig.driver.insert(&flow), Err(Error::Unseen), "the reply was not seen");
    rig.send(&flow, Reply);
    let entry = rig.driver.insert(&flow).unwrap();
    assert_eq!(rig.fates(&flow), [Fate::Forwarded; 2]);
    let [original, reply] = rig.driver.indices(entry).unwrap().map(Option::unwrap);
    let bound = rig.chip.with(|chip| chip.bound_entries());
    let mut indices = [usize::from(original), usize::from(reply)];
    indices.sort_unstable();
    assert_eq!(bound, indices);
    rig.driver.remove(entry).unwrap();

    // What was seen long ago is forgotten by the engine.
    rig.show(&flow);
    rig.chip.pass(Duration::from_secs(5));
    assert_eq!(rig.driver.insert(&flow), Err(Error::Unseen));
}

#[test]
fn two_rivals_fit_and_a_third_collides() {
    for options in [Options::default(), TAKE_FREE] {
        let mut rig = Rig::new(simulator::Options::default(), options);
        let flows = rivals();
        let mut entries = Vec::new();
        for flow in &flows[..2] {
            rig.show(flow);
            entries.push(rig.driver.insert(flow).unwrap());
        }
        rig.show(&flows[2]);
        assert_eq!(rig.driver.insert(&flows[2]), Err(Error::Collision));
        assert_eq!(rig.fates(&flows[2]), [Fate::Processor; 2]);
        for flow in &flows[..2] {
            assert_eq!(rig.fates(flow), [Fate::Forwarded; 2]);
        }
        rig.driver.remove(entries[0]).unwrap();
        rig.show(&flows[2]);
        rig.driver.insert(&flows[2]).unwrap();
        assert_eq!(rig.fates(&flows[2]), [Fate::Forwarded; 2]);
        assert_eq!(rig.fates(&flows[1]), [Fate::Forwarded; 2]);
        assert_eq!(rig.fates(&flows[0]), [Fate::Processor; 2]);
    }
}

#[test]
fn a_full_table_forwards_rightly() {
    let mut rig = Rig::new(simulator::Options::default(), TAKE_FREE);
    let (mut held, mut collided) = (Vec::new(), Vec::new());
    for number in 0..9000 {
        let flow = numbered(number);
        match rig.driver.insert(&flow) {
            Ok(entry) => held.push((flow, entry)),
            Err(Error::Collision) => collided.push(flow),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(rig.driver.used() as usize, held.len());
    assert!(held.len() > 4000 && !collided.is_empty(), "{} held", held.len());
    assert!(held.len() <= rig.driver.capabilities().entries as usize);
    let bound = rig.chip.with(|chip| chip.bound_entries());
    assert_eq!(bound.len(), 2 * held.len());
    assert!(bound.iter().all(|index| !hash::crosses(u16::try_from(*index).unwrap())));
    for (flow, _) in held.iter().step_by(7) {
        assert_eq!(rig.fates(flow), [Fate::Forwarded; 2]);
    }
    for flow in collided.iter().step_by(7) {
        assert_eq!(rig.fates(flow), [Fate::Processor; 2]);
    }
    let seen: Vec<_> =
        sweep(&mut rig.driver).iter().map(|sight| (sight.entry, sight.hit)).collect();
    let expected: Vec<_> =
        held.iter().enumerate().map(|(number, (_, entry))| (*entry, number % 7 == 0)).collect();
    assert_eq!(seen, expected);
    while rig.driver.disable().unwrap() != Progress::Done {}
    assert_eq!(rig.driver.used(), 0);
    assert!(rig.chip.with(|chip| chip.bound_entries()).is_empty());
    assert_eq!(rig.fates(&held[0].0), [Fate::Processor; 2]);
}

#[test]
fn sweeps_see_hits_and_the_engine_gives_idle_entries_up() {
    let mut rig = Rig::new(simulator::Options::default(), Options::default());
    // Just before the timestamps of 15 bits wrap.
    rig.chip.with(|chip| chip.set_seconds(0x7ffe));
    let [busy, idle, _] = rivals();
    rig.show(&busy);
    rig.show(&idle);
    let [busy_entry, idle_entry] = [&busy, &idle].map(|flow| rig.driver.insert(flow).unwrap());
    assert_eq!(rig.fates(&busy), [Fate::Forwarded; 2]);
    let hits =
        |rig: &mut Rig| sweep(&mut rig.driver).iter().map(|sight| sight.hit).collect::<Vec<_>>();
    assert_eq!(hits(&mut rig), [true, false], "also within the first second");
    for _ in 0..14 {
        rig.chip.pass(Duration::from_secs(1));
        rig.send(&busy, Reply);
        assert_eq!(hits(&mut rig), [true, false]);
    }
    assert_eq!(rig.driver.verify(idle_entry), Err(Error::NoEntry(idle_entry)));
    assert_eq!(rig.driver.idle_s(idle_entry), Some([None; 2]));
    // The original direction alone was idle.
    assert_eq!(rig.driver.idle_s(busy_entry), Some([None, Some(0)]));
    assert_eq!(rig.fates(&busy), [Fate::Processor, Fate::Forwarded]);
    rig.driver.remove(idle_entry).unwrap();
    rig.driver.remove(busy_entry).unwrap();
    assert_eq!(rig.driver.used(), 0);
    assert_eq!(rig.fates(&busy), [Fate::Processor; 2]);
}

#[test]
fn an_entry_given_up_may_be_anothers() {
    let mut rig = Rig::new(simulator::Options::default(), TAKE_FREE);
    let flows = rivals();
    let [first, second] = [0, 1].map(|number| rig.driver.insert(&flows[number]).unwrap());
    rig.chip.pass(Duration::from_secs(20));
    let third = rig.driver.insert(&flows[2]).unwrap();
    assert_eq!(rig.driver.used(), 3);
    assert_eq!(rig.driver.verify(first), Err(Error::NoEntry(first)));
    rig.driver.remove(first).unwrap();
    rig.driver.remove(second).unwrap();
    rig.driver.verify(third).unwrap();
    assert_eq!(rig.fates(&flows[2]), [Fate::Forwarded; 2]);
}

#[test]
fn another_hash_than_the_known_one_does_no_harm() {
    for options in [Options::default(), TAKE_FREE] {
        let chip = simulator::Options { twist: 0x155, ..simulator::Options::default() };
        let mut rig = Rig::new(chip, options);
        for flow in strangers(50) {
            rig.show(&flow);
            let inserted = rig.driver.insert(&flow);
            assert_eq!(inserted.is_ok(), options == TAKE_FREE, "{inserted:?}");
            assert_eq!(rig.fates(&flow), [Fate::Processor; 2]);
        }
        assert!(sweep(&mut rig.driver).iter().all(|sight| !sight.hit));
    }
}

#[test]
fn what_cannot_be_expressed_touches_nothing() {
    let mut rig = Rig::new(simulator::Options::default(), TAKE_FREE);
    let accesses = rig.chip.with(|chip| chip.accesses());
    let refused = |rig: &mut Rig, change: &dyn Fn(&mut Flow)| {
        let mut flow = rivals()[0];
        change(&mut flow);
        rig.driver.insert(&flow)
    };
    let part = |part| Err(Error::NotExpressible(part));
    assert_eq!(refused(&mut rig, &|flow| flow.opener.port = 0), part(Part::Port(0)));
    assert_eq!(refused(&mut rig, &|flow| flow.answerer.mtu = 1400), part(Part::Mtu(1400)));
    assert_eq!(rig.chip.with(|chip| chip.accesses()), accesses);
    assert!(rig.chip.with(|chip| chip.bound_entries()).is_empty());
}
