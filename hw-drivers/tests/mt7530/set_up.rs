// SPDX-License-Identifier: GPL-2.0-or-later
//! Setting up, the canary, taking down, and what the switch says about flows.

use super::rig::*;
use hw_drivers::bus::fault::{FaultBus, Kind};
use hw_drivers::bus::memory::MemoryBus;
use hw_drivers::flow::{Flow, Mac, Protocol, Side, Translation, Tuple};
use hw_drivers::mt7530::{Action, Error as RuleError, Match, Mt7530, Rule, Settings};
use hw_drivers::table::{Entry, Error, FlowTable, Part, Progress};
use hw_simulators::mt7530::{Loss, Options, Table};
use hw_simulators::Chip;

const PCR: u32 = 0x2004;
const WEIGHTS: u32 = 0x0044;

fn registers(switch: &Switch) -> Vec<u32> {
    let ports = (0..7).map(|port| PCR + 0x100 * port);
    let all: Vec<_> = ports.chain([WEIGHTS]).collect();
    switch.with(|switch| all.iter().map(|register| switch.peek(*register)).collect())
}

fn rule() -> Rule {
    drop_of(Match { source: v4("10.0.0.1"), ..Match::on(0x13) })
}

fn meant() -> Sample {
    Sample::new(1, udp("10.0.0.1:1", "10.0.0.2:2"))
}

#[test]
fn only_an_mt7530_out_of_reset_is_taken() {
    let mut empty = Mt7530::new(MemoryBus::default(), SETTINGS);
    assert_eq!(empty.set_up(&network()), Err(Error::WrongChip(0)));
    assert_eq!(empty.identify(), Err(Error::WrongChip(0)));
    let switch = switch(Options::default());
    let trap = switch.with(|switch| switch.peek(0x7800));
    switch.with(|switch| switch.poke(0x7800, 0));
    let mut driver = Mt7530::new(switch.clone(), SETTINGS);
    assert_eq!(driver.set_up(&network()), Err(Error::NotReady));
    assert_eq!(driver.insert_rule(&rule()), Err(RuleError::NotReady));
    switch.with(|switch| switch.poke(0x7800, trap));
    assert_eq!(driver.identify(), Ok(1));
    set_up(&mut driver);
    insert(&mut driver, &rule());
}

/// What an owner before has left does not count, not for a moment.
#[test]
fn old_rules_are_taken_out_first() {
    for world in worlds() {
        let (mut driver, switch) = ready(world);
        insert(&mut driver, &rule());
        let mut anew = Mt7530::new(switch.clone(), SETTINGS);
        assert_eq!(anew.set_up(&network()), Ok(Progress::More));
        while anew.set_up(&network()) == Ok(Progress::More) {
            assert_eq!(meant().fate(&switch), meant().untouched());
        }
        assert_eq!(anew.alive(), Ok(()));
        assert_eq!(meant().fate(&switch), meant().untouched());
        for table in [Table::Mask, Table::Action, Table::Rate] {
            let entry = |index| switch.with(|switch| switch.entry(table, index));
            assert!((0..32).all(|index| entry(index) == [0, 0]), "{table:?}");
        }
    }
}

#[test]
fn only_the_bits_of_the_acl_change_and_they_come_back() {
    for world in worlds() {
        let switch = switch(world);
        let settings = Settings { ports: 0x13, trap: false };
        switch.with(|switch| {
            // Somebody else has the ACL on for ports 1 and 3.
            for port in [1, 3] {
                switch.poke(PCR + 0x100 * port, 0x3145_0480 | port << 16);
            }
            switch.poke(WEIGHTS, 0x0071_2353);
        });
        let found = registers(&switch);
        let mut driver = Mt7530::new(switch.clone(), settings);
        set_up(&mut driver);
        let changed = registers(&switch);
        for (port, (before, after)) in found.iter().zip(&changed).take(7).enumerate() {
            let bit = u32::from(settings.ports >> port & 1) << 10;
            assert_eq!(*after, before | bit, "port {port}");
        }
        assert_eq!(changed[7], 0x0061_2357);
        insert(&mut driver, &rule());
        assert_eq!(meant().observe(&switch).loss, Some(Loss::Rule));
        disable(&mut driver);
        assert_eq!(registers(&switch), found);
        assert_eq!(meant().fate(&switch).map(|(ports, _)| ports.is_empty()), Some(false));
        assert_eq!(driver.alive(), Err(Error::NotReady));
        let before = switch.with(|switch| switch.transfers());
        assert_eq!(driver.disable(), Ok(Progress::Done));
        assert_eq!(switch.with(|switch| switch.transfers()), before, "there is nothing to do");
    }
}

#[test]
fn after_the_first_call_of_disable_no_rule_counts() {
    let (mut driver, switch) = ready(Options::default());
    insert(&mut driver, &rule());
    assert_eq!(driver.disable(), Ok(Progress::More));
    while driver.disable() == Ok(Progress::More) {
        assert_eq!(meant().fate(&switch), meant().untouched());
    }
    assert_eq!(driver.rules().count(), 0);
}

#[test]
fn a_reset_is_noticed_and_got_over() {
    let (mut driver, mut switch) = ready(Options::default());
    insert(&mut driver, &rule());
    assert_eq!(driver.alive(), Ok(()));
    switch.reset();
    assert_eq!(
        driver.insert_rule(&rule()),
        Err(RuleError::Exists(driver.rules().next().unwrap().0))
    );
    assert_eq!(driver.alive(), Err(Error::NotReady));
    assert_eq!(driver.insert_rule(&rule()), Err(RuleError::NotReady));
    assert_eq!(driver.advance(), Err(RuleError::NotReady));
    set_up(&mut driver);
    assert_eq!((driver.alive(), driver.rules().count()), (Ok(()), 0));
    insert(&mut driver, &rule());
    assert_eq!(meant().observe(&switch).loss, Some(Loss::Rule));
}

/// Each of the bits that a reset clears is a canary, and so is a bus on which nobody answers.
#[test]
fn every_canary_counts() {
    for register in [PCR, PCR + 0x600, WEIGHTS] {
        let (mut driver, switch) = ready(Options::default());
        let value = switch.with(|switch| switch.peek(register));
        let bits = if register == WEIGHTS { 1 } else { 1 << 10 };
        switch.with(|switch| switch.poke(register, value & !bits));
        assert_eq!(driver.alive(), Err(Error::NotReady), "{register:#x}");
    }
}

/// A fault in any call that touches shared bits, and here and there between: what was found is
/// there in the end, and no error is kept back.
#[test]
fn a_fault_of_set_up_or_disable_leaves_nothing_behind() {
    let switch = switch(Options::default());
    let found = registers(&switch);
    let fresh = Mt7530::new(FaultBus::new(switch.clone(), 1), SETTINGS);
    let stage = Stage::new(fresh, switch);
    let run = |number: Option<u32>| {
        let (mut driver, switch) = stage.enter();
        if let Some(number) = number {
            driver.bus_mut().inject(number, Kind::TimeOut).unwrap();
        }
        let (mut errors, mut calls) = (0, Vec::new());
        for up in [true, false] {
            loop {
                let start = driver.bus().transfers();
                let one = if up { driver.set_up(&network()) } else { driver.disable() };
                calls.push(start..driver.bus().transfers());
                match one {
                    Ok(Progress::Done) => break,
                    Ok(_) => {}
                    Err(Error::Bus(_)) => errors += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(driver.alive().is_ok(), up);
        }
        assert_eq!(registers(&switch), found, "transfer {number:?}");
        (errors, calls)
    };
    let (errors, calls) = run(None);
    assert_eq!(errors, 0);
    let longest = calls.iter().map(ExactSizeIterator::len).max().unwrap();
    let edges = calls.into_iter().filter(|call| call.len() > longest / 2);
    let mut tried = 0;
    // Coprime to the transfers of one port, so that each of them is met.
    for number in edges.flat_map(|call| call.step_by(13)).take(60) {
        assert_eq!(run(Some(number)).0, 1, "transfer {number}");
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}

/// One wrong bit while shared registers are changed: the kernel's bits are as they were, and the
/// ACL's as they were or as they should be. A wrong page is beyond any driver.
#[test]
fn a_wrong_bit_in_a_shared_register_is_mended() {
    let switch = switch(Options::default());
    let found = registers(&switch);
    let mut driver = Mt7530::new(FaultBus::new(switch.clone(), 1), SETTINGS);
    // Identity, then the entries of 32 rules in three tables, and a look that there are no more.
    for _ in 0..1 + 3 * 32 + 1 {
        assert_eq!(driver.set_up(&network()), Ok(Progress::More));
    }
    let stage = Stage::new(driver, switch);
    let (mut driver, switch) = stage.enter();
    let start = driver.bus().transfers();
    assert_eq!(driver.set_up(&network()), Ok(Progress::Done));
    let (wanted, length) = (registers(&switch), driver.bus().transfers() - start);
    // The weights and seven ports: page, two reads, a change, a read.
    let each = 1 + 2 * 2 + 4 + 2;
    assert_eq!(length, 8 * each);
    let mut mended = 0;
    for number in (0..length).filter(|number| number % each != 0) {
        let (mut driver, switch) = stage.enter();
        driver.bus_mut().inject(start + number, Kind::BitFlip).unwrap();
        match driver.set_up(&network()) {
            Ok(progress) => {
                assert_eq!((progress, registers(&switch)), (Progress::Done, wanted.clone()));
            }
            Err(Error::Mismatch { .. }) => mended += 1,
            Err(error) => panic!("{error}"),
        }
        for (now, (found, wanted)) in registers(&switch).iter().zip(found.iter().zip(&wanted)) {
            assert!(now == found || now == wanted, "transfer {number}: {now:#x}");
        }
    }
    assert!(mended >= 8 * 2, "{mended} of {length}");
}

#[test]
fn flows_are_refused_with_the_reason() {
    let (mut driver, switch) = ready(Options::default());
    let tuple = |source: &str, destination: &str| Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    };
    let side = Side::ethernet(1, 1, Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let flow = |reply| Flow {
        protocol: Protocol::Tcp,
        original: tuple("192.168.1.2:1", "203.0.113.9:2"),
        reply,
        opener: side,
        answerer: side,
    };
    let before = switch.with(|switch| switch.transfers());
    for (reply, translation) in [
        (tuple("203.0.113.9:2", "198.51.100.1:1"), Translation::Source),
        (tuple("203.0.113.9:2", "192.168.1.2:1"), Translation::None),
    ] {
        let refused = Error::NotExpressible(Part::Translation(translation));
        assert_eq!(driver.check(&flow(reply)), Err(refused));
        assert_eq!(driver.insert(&flow(reply)), Err(refused));
    }
    assert_eq!((driver.capabilities().entries, driver.used()), (0, 0));
    assert_eq!(driver.remove(Entry(0)), Err(Error::NoEntry(Entry(0))));
    assert_eq!(driver.verify(Entry(0)), Err(Error::NoEntry(Entry(0))));
    assert_eq!(driver.sweep(&mut |_| panic!("nothing to see")), Ok(Progress::Done));
    assert_eq!(switch.with(|switch| switch.transfers()), before);
}

/// Weights as high as can be: the ACL's priority still counts.
#[test]
fn the_acls_priority_outweighs_all_others() {
    let switch = switch(Options::default());
    switch.with(|switch| switch.poke(WEIGHTS, 0x0077_7770));
    let mut driver = Mt7530::new(switch.clone(), SETTINGS);
    set_up(&mut driver);
    insert(&mut driver, &Rule { action: Action::Priority(6), ..rule() });
    let mut sample = meant();
    sample.frame.tags = vec![1];
    assert_eq!(sample.fate(&switch).unwrap().1, 6);
}
