// SPDX-License-Identifier: GPL-2.0-or-later
//! Flows of each kind are forwarded both ways, rewritten; the processor gets what it must see.

use super::rig::*;
use hw_drivers::flow::{Flow, Protocol, Side};
use hw_drivers::mt7621_ppe::direct::Options;
use hw_drivers::mt7621_ppe::listing::Direction;
use hw_drivers::mt7621_ppe::translate::SWITCH_PORT_0;
use hw_drivers::table::{Error, FlowTable};
use hw_simulators::frame::{Frame, Packet, TcpFlags};
use hw_simulators::mt7621_ppe::{self as simulator, CacheModel};
use hw_simulators::Chip;
use std::time::Duration;

/// Without translation, of the source, of the destination, of both, and IPv6.
const ENDS: [[&str; 4]; 5] = [
    ["192.168.1.2:1000", "192.168.2.2:2000", "192.168.2.2:2000", "192.168.1.2:1000"],
    NAT,
    ["203.0.113.9:1000", "198.51.100.1:80", "192.168.1.2:8080", "203.0.113.9:1000"],
    ["192.168.1.2:1000", "198.51.100.1:80", "192.168.1.3:8080", "192.168.1.1:3000"],
    ["[fd00::1]:1000", "[2001:db8::2]:443", "[2001:db8::2]:443", "[fd00::1]:1000"],
];

fn chips() -> Vec<simulator::Options> {
    let mut chips = Vec::new();
    for upper_way_first in [false, true] {
        for (cache, writes_whole_word) in [
            (CacheModel::SixteenLines, false),
            (CacheModel::SixteenLines, true),
            (CacheModel::None, false),
        ] {
            for unordered in [None, Some(5)] {
                let default = simulator::Options::default();
                let chip =
                    simulator::Options { upper_way_first, cache, writes_whole_word, ..default };
                chips.push(simulator::Options { unordered, ..chip });
            }
        }
    }
    chips
}

fn forwards(rig: &mut Rig, flow: &Flow) {
    rig.show(flow);
    assert_eq!(rig.fates(flow), [Fate::Processor; 2]);
    let entry = rig.driver.insert(flow).unwrap();
    assert_eq!(rig.fates(flow), [Fate::Forwarded; 2]);
    rig.driver.verify(entry).unwrap();
    assert_eq!(rig.driver.insert(flow), Err(Error::Exists(entry)));
    rig.driver.remove(entry).unwrap();
    assert_eq!(rig.fates(flow), [Fate::Processor; 2]);
    assert_eq!(rig.driver.remove(entry), Err(Error::NoEntry(entry)));
    // The engine forgets it: the next one may have the same bucket.
    rig.chip.pass(Duration::from_secs(5));
}

#[test]
fn every_translation_on_every_chip() {
    for options in chips() {
        let mut rig = Rig::new(options, Options::default());
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for ends in ENDS {
                forwards(&mut rig, &flow(protocol, ends));
            }
        }
    }
}

#[test]
fn every_header_on_both_sides() {
    let switch = |port| Side { port: SWITCH_PORT_0 + port, ..lan() };
    for switch_on_gdm1 in [false, true] {
        let options = simulator::Options { switch_on_gdm1, ..simulator::Options::default() };
        let mut rig = Rig::new(options, Options::default());
        let openers = if switch_on_gdm1 { vec![switch(0), switch(5)] } else { vec![lan()] };
        for opener in openers {
            for bits in 0..8 {
                let set = |bit: u32| bits >> bit & 1 == 1;
                let opener = Side { tagged: set(0), ..opener };
                let pppoe = set(1).then(session).flatten();
                let mtu = if set(1) { 1492 } else { 1500 };
                let answerer = Side { tagged: set(2), pppoe, mtu, ..wan() };
                for ends in [NAT, ENDS[4]] {
                    forwards(&mut rig, &Flow { opener, answerer, ..flow(Protocol::Tcp, ends) });
                }
            }
        }
    }
}

/// What came of a frame that differs from the flow's usual one.
fn odd(rig: &mut Rig, flow: &Flow, change: impl FnOnce(&mut Packet)) -> Option<u8> {
    let (side, mut frame) = incoming(flow, Direction::Original);
    change(&mut frame.packet);
    let (port, bytes) = put(side, &frame);
    let [out] = <[_; 1]>::try_from(rig.chip.receive(port, &bytes)).ok()?;
    if out.port == 0 {
        assert_eq!(out.bytes, bytes);
    }
    Some(out.port)
}

#[test]
fn the_processor_sees_what_it_must() {
    for ends in [NAT, ENDS[4]] {
        let mut rig = Rig::new(simulator::Options::default(), Options::default());
        let flow = flow(Protocol::Tcp, ends);
        rig.show(&flow);
        rig.driver.insert(&flow).unwrap();
        let flags = |syn, rst| TcpFlags { syn, rst, ..TcpFlags::default() };
        assert_eq!(odd(&mut rig, &flow, |_| {}), Some(2));
        assert_eq!(odd(&mut rig, &flow, |packet| packet.flags = flags(true, false)), Some(0));
        assert_eq!(odd(&mut rig, &flow, |packet| packet.flags = flags(false, true)), Some(0));
        assert_eq!(odd(&mut rig, &flow, |packet| packet.ttl = 1), Some(0));
        assert_eq!(odd(&mut rig, &flow, |packet| packet.options = true), Some(0));
        let header = if flow.is_v4() { 40 } else { 60 };
        let long =
            |length: usize| move |packet: &mut Packet| packet.payload = vec![1; length - header];
        assert_eq!(odd(&mut rig, &flow, long(1500)), Some(2));
        assert_eq!(odd(&mut rig, &flow, long(1501)), Some(0));
        if flow.is_v4() {
            assert_eq!(odd(&mut rig, &flow, |packet| packet.fragment = true), Some(0));
        }
        // A FIN ends it: what follows is the processor's, and the entry goes within seconds.
        let fin = |packet: &mut Packet| packet.flags.fin = true;
        assert_eq!(odd(&mut rig, &flow, fin), Some(0));
        assert_eq!(odd(&mut rig, &flow, |_| {}), Some(0));
    }
}

#[test]
fn udp_without_a_checksum_stays_without() {
    let mut rig = Rig::new(simulator::Options::default(), Options::default());
    let flow = flow(Protocol::Udp, NAT);
    rig.show(&flow);
    rig.driver.insert(&flow).unwrap();
    let (side, mut frame) = incoming(&flow, Direction::Original);
    frame.packet.unchecked = true;
    let (port, bytes) = put(side, &frame);
    let out = rig.chip.receive(port, &bytes);
    assert!(Frame::parse(&out[0].bytes).unwrap().packet.unchecked);
}

#[test]
fn sessions_at_both_values_of_the_length_limit() {
    for mtu_counts_pppoe in [false, true] {
        let options = simulator::Options { mtu_counts_pppoe, ..simulator::Options::default() };
        let mut rig = Rig::new(options, Options::default());
        let answerer = Side { pppoe: session(), mtu: 1492, ..wan() };
        let flow = Flow { answerer, ..flow(Protocol::Udp, NAT) };
        rig.show(&flow);
        rig.driver.insert(&flow).unwrap();
        let long = |length: usize| move |packet: &mut Packet| packet.payload = vec![1; length - 28];
        assert_eq!(odd(&mut rig, &flow, long(1492)), Some(2));
        let beyond = if mtu_counts_pppoe { 0 } else { 2 };
        assert_eq!(odd(&mut rig, &flow, long(1493)), Some(beyond));
    }
}
