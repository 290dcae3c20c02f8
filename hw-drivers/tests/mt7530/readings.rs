// SPDX-License-Identifier: GPL-2.0-or-later
//! The address table and the counters.

use super::rig::*;
use hw_drivers::bus::{Address, Bus, Transaction};
use hw_drivers::flow::Mac;
use hw_drivers::mt7530::{Counter, Dump, Match, Mt7530, Scope, Station};
use hw_drivers::table::{Error, Part, Progress};
use hw_simulators::mt7530::Options;
use std::collections::BTreeMap;

fn mac(number: u8) -> Mac {
    Mac([2, 0, 0, 1, 2, number])
}

/// A frame from each of some stations, on a port that its number gives.
fn learn(switch: &Switch, numbers: std::ops::Range<u8>) {
    for number in numbers {
        let mut sample = Sample::new(number % 5, udp("10.0.0.1:1", "10.0.0.2:2"));
        sample.frame.source = mac(number);
        sample.observe(switch);
    }
}

#[test]
fn an_address_is_looked_up() {
    for world in worlds() {
        let (mut driver, switch) = ready(world);
        learn(&switch, 0..8);
        let station = driver.station(mac(7), Scope::Shared(0)).unwrap().unwrap();
        assert_eq!((station.mac, station.ports, station.fid), (mac(7), 1 << 2, 0));
        assert!(!station.is_static && station.scope == Scope::Shared(0));
        assert_eq!(driver.station(mac(8), Scope::Shared(0)), Ok(None));
        assert_eq!(driver.station(mac(7), Scope::Vlan(1)), Ok(None));
    }
}

fn dump(
    driver: &mut Mt7530<Switch>,
    mut between: impl FnMut(usize),
) -> (BTreeMap<Mac, Station>, Dump, usize) {
    let (mut all, mut dump, mut calls) = (BTreeMap::new(), Dump::default(), 0);
    loop {
        let progress = driver.dump_stations(&mut dump, &mut |station| {
            all.insert(station.mac, station);
        });
        calls += 1;
        if progress.unwrap() == Progress::Done {
            return (all, dump, calls);
        }
        between(calls);
    }
}

#[test]
fn a_dump_tells_every_address_in_pieces() {
    for world in worlds() {
        let (mut driver, switch) = ready(world);
        assert_eq!(dump(&mut driver, |_| {}).0, BTreeMap::new());
        learn(&switch, 0..100);
        let (all, state, calls) = dump(&mut driver, |_| {});
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), (0..100).map(mac).collect::<Vec<_>>());
        assert!(all.values().all(|station| station.ports == 1 << (station.mac.0[5] % 5)));
        assert!((13..=14).contains(&calls), "{calls} calls");
        assert_eq!(state.restarts(), 0);
    }
}

/// Somebody else's search moves the chip's cursor back.
#[test]
fn a_dump_begins_anew_when_another_gets_between() {
    let (mut driver, switch) = ready(Options::default());
    learn(&switch, 0..60);
    let mut other = switch.clone();
    let (all, state, _) = dump(&mut driver, |calls| {
        if calls == 3 {
            let at = |register| Address::new(0x1f, register).unwrap();
            let mut start = Transaction::new();
            start.write(at(0x1f), 2).unwrap();
            start.write(at(0), 0x8004).unwrap();
            start.write(at(0x10), 0).unwrap();
            start.poll(at(0), 0x8000, 0, 9).unwrap();
            other.run(&start).unwrap();
        }
    });
    assert_eq!((all.len(), state.restarts()), (60, 1));
}

#[test]
fn counters_count_frames() {
    let (mut driver, switch) = ready(Options::default());
    assert_eq!(driver.counters(1), Ok(None), "nobody has had it count");
    switch.with(|switch| switch.poke(0x4fe0, 1 << 31));
    let enable = |switch: &Switch| {
        let at = |register| Address::new(0x1f, register).unwrap();
        let mut write = Transaction::new();
        write.write(at(0x1f), 0x13f).unwrap();
        write.write(at(8), 0xf0).unwrap();
        write.write(at(0x10), 0x8000).unwrap();
        switch.clone().run(&write).unwrap();
    };
    enable(&switch);
    let sample = Sample::new(1, udp("10.0.0.1:1", "10.0.0.2:2"));
    let mut long = Sample::new(1, udp("10.0.0.1:1", "10.0.0.2:2"));
    long.frame.destination = Mac([0xff; 6]);
    long.frame.packet.payload = vec![0; 1000];
    sample.observe(&switch);
    long.observe(&switch);
    insert(&mut driver, &drop_of(Match { source: v4("10.0.0.1"), ..Match::on(2) }));
    sample.observe(&switch);
    let octets = long.bytes().len() as u64 + 4;
    let port = driver.counters(1).unwrap().unwrap();
    let wanted = [
        (Counter::RxUnicast, 2),
        (Counter::RxBroadcast, 1),
        (Counter::RxSize64, 2),
        (Counter::RxSize1024ToMax, 1),
        (Counter::RxFiltering, 1),
        (Counter::TxUnicast, 0),
    ];
    for (counter, value) in wanted {
        assert_eq!(port.get(counter), value, "{counter:?}");
    }
    assert_eq!((port.rx_octets, port.tx_octets), (2 * 64 + octets, 0));
    let other = driver.counters(6).unwrap().unwrap();
    assert_eq!((other.get(Counter::TxUnicast), other.get(Counter::TxBroadcast)), (1, 1));
    assert_eq!((other.rx_octets, other.tx_octets), (0, 64 + octets));
    let refused = driver.counters(7);
    assert_eq!(refused, Err(Error::NotExpressible(Part::Port(7))));
}

/// Octets that flow while they are read: the low word wraps between any two of the reads.
#[test]
fn an_octet_counter_is_right_while_it_wraps() {
    for sent in [true, false] {
        for start in (1u64 << 32) - 40..(1 << 32) + 8 {
            let switch = switch(Options::default());
            let mut driver = Mt7530::new(switch.clone(), SETTINGS);
            switch.with(|switch| {
                switch.poke(0x4fe0, 1 << 31);
                switch.set_octets(3, sent, start);
                switch.options_mut().octets_a_read = 8;
            });
            let counters = driver.counters(3).unwrap().unwrap();
            let read = if sent { counters.tx_octets } else { counters.rx_octets };
            assert!((start..=start + 4 * 8).contains(&read), "{start:#x} {read:#x}");
        }
    }
}
