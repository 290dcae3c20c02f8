// SPDX-License-Identifier: GPL-2.0-or-later
//! A fault at each single transfer of a change: nothing is ever done to a frame that does not
//! match a whole rule, and the change can be finished or given up.

use super::rig::*;
use hw_drivers::bus::execute::{execute, Transfer};
use hw_drivers::bus::fault::{FaultBus, Kind};
use hw_drivers::bus::{Bus, Error as BusError, Outcome, Transaction};
use hw_drivers::mt7530::{Action, Error, Match, Mt7530, Rule};
use hw_drivers::table::{self, Progress};
use hw_simulators::mt7530::{Loss, Options};

/// A rule with four patterns, of which it has one in common with another that is there already.
fn rule(action: Action) -> Rule {
    let what = Match { source: v4("10.1.2.3"), protocol: Some(17), ..Match::on(0x7f) };
    Rule { what, action }
}

fn other() -> Rule {
    let what = Match { destination: v4("10.9.0.0/16"), protocol: Some(6), ..Match::on(0x7f) };
    Rule { what, action: Action::Drop }
}

fn meant() -> Sample {
    Sample::new(1, udp("10.1.2.3:7", "10.8.0.1:7"))
}

fn others() -> Sample {
    Sample::new(1, tcp("10.1.2.3:7", "10.9.0.1:7"))
}

/// Each matches a part of one of the rules, or nothing.
fn innocent() -> Vec<Sample> {
    vec![
        Sample::new(1, tcp("10.1.2.3:7", "10.8.0.1:7")),
        Sample::new(1, udp("10.1.2.4:7", "10.8.0.1:7")),
        Sample::new(1, udp("10.2.2.3:7", "10.9.0.1:7")),
        Sample::new(6, udp("[fd00::1]:7", "[fd00::2]:7")),
        Sample::new(2, udp("192.168.1.1:7", "192.168.1.2:7")),
    ]
}

fn assert_innocent(switch: &Switch, when: &dyn Fn() -> String) {
    for sample in innocent() {
        assert_eq!(sample.fate(switch), sample.untouched(), "{}: {sample:?}", when());
    }
}

type Faulty = Mt7530<FaultBus<Switch>>;

/// A driver with the other rule in.
fn faulty(seed: u32) -> Stage<FaultBus<Switch>> {
    let switch = switch(Options::default());
    let mut driver = Mt7530::new(FaultBus::new(switch.clone(), seed), SETTINGS);
    set_up(&mut driver);
    insert(&mut driver, &other());
    Stage::new(driver, switch)
}

/// What is done after an error.
#[derive(Debug, Clone, Copy, PartialEq)]
enum After {
    TryAgain,
    GiveUp,
}

/// Makes the change; true if a fault was met.
fn advance(driver: &mut Faulty, after: After, check: &mut dyn FnMut()) -> bool {
    let mut met = false;
    for _ in 0..100 {
        match driver.advance() {
            Ok(Progress::Done) => return met,
            Ok(_) => {}
            Err(Error::Chip(_)) => {
                met = true;
                if after == After::GiveUp {
                    driver.abandon();
                }
            }
            Err(error) => panic!("{error}"),
        }
        check();
    }
    panic!("the change does not come to an end")
}

fn each_transfer(removes: bool, kind: Kind, after: After) {
    let stage = faulty(1);
    let mut number = 0;
    loop {
        let (mut driver, switch) = stage.enter();
        let rule = rule(Action::Drop);
        let patterns = driver.patterns_used();
        if removes {
            let id = insert(&mut driver, &rule);
            driver.remove_rule(id).unwrap();
        } else {
            driver.insert_rule(&rule).unwrap();
        }
        let start = driver.bus().transfers();
        driver.bus_mut().inject(start + number, kind).unwrap();
        let met = advance(&mut driver, after, &mut || {
            assert_innocent(&switch, &|| format!("{kind:?} at {number}"));
            assert_eq!(others().observe(&switch).loss, Some(Loss::Rule));
        });
        let gone = removes || met && after == After::GiveUp;
        let expected = if gone { None } else { Some(Loss::Rule) };
        assert_eq!(meant().observe(&switch).loss, expected, "{kind:?} at {number}");
        assert_eq!(driver.patterns_used() == patterns, gone);
        assert_eq!(switch.with(|switch| switch.overrun()), 0);
        number += 1;
        let length = driver.bus().transfers() - start;
        if number >= length {
            assert!(!met || number > 100, "the last fault hits nothing or the change is short");
            return;
        }
    }
}

#[test]
fn an_insertion_survives_a_lost_transfer() {
    for after in [After::TryAgain, After::GiveUp] {
        each_transfer(false, Kind::TimeOut, after);
    }
}

#[test]
fn a_removal_survives_a_lost_transfer() {
    each_transfer(true, Kind::TimeOut, After::TryAgain);
}

#[test]
fn a_chip_that_stays_busy_is_told() {
    each_transfer(false, Kind::StuckBusy, After::TryAgain);
    each_transfer(true, Kind::StuckBusy, After::TryAgain);
    let (mut driver, switch) = ready(Options::default());
    switch.with(|switch| switch.options_mut().busy_reads = u16::MAX);
    driver.insert_rule(&rule(Action::Drop)).unwrap();
    let stuck = driver.advance();
    assert!(matches!(stuck, Err(Error::Chip(table::Error::Stuck(_)))), "{stuck:?}");
    assert_innocent(&switch, &|| "while it is stuck".into());
}

/// A bus that sends frames after each transfer.
struct Witness {
    switch: Switch,
    transfers: u32,
    looks: bool,
}

impl Bus for Witness {
    fn atomic(&self) -> bool {
        true
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, BusError> {
        execute(transaction, |transfer| {
            let mut single = Transaction::new();
            let slot = match transfer {
                Transfer::Read(at) | Transfer::Poll { at, .. } => single.read(at),
                Transfer::Write(at, value) => single.write(at, value),
            };
            let value = self.switch.run(&single).unwrap().get(slot.unwrap()).unwrap();
            if !self.looks {
                return Ok(value);
            }
            self.transfers += 1;
            assert_innocent(&self.switch, &|| format!("after transfer {}", self.transfers));
            Ok(value)
        })
    }
}

/// Also in the middle of a transaction, in every world, for each action.
#[test]
fn no_rule_counts_by_half_at_any_moment() {
    for world in worlds() {
        let actions = [Action::Drop, Action::Rate(1)];
        let usual = world == Options::default();
        for action in actions.into_iter().take(if usual { 2 } else { 1 }) {
            let switch = switch(world);
            let witness = Witness { switch: switch.clone(), transfers: 0, looks: false };
            let mut driver = Mt7530::new(witness, SETTINGS);
            set_up(&mut driver);
            insert(&mut driver, &other());
            driver.bus_mut().looks = true;
            let id = insert(&mut driver, &rule(action));
            if action == Action::Drop {
                assert_eq!(meant().observe(&switch).loss, Some(Loss::Rule));
            }
            remove(&mut driver, id);
            assert_eq!(meant().fate(&switch), meant().untouched());
            assert_eq!(others().observe(&switch).loss, Some(Loss::Rule));
            assert!(driver.bus().transfers > 300);
        }
    }
}

/// One wrong bit in a transfer: when the driver says that the rule is in, and has audited its
/// tables once, all is as it says. A wrong page goes unnoticed, since what is hit by it may be
/// any register; no driver can guard against that.
#[test]
fn a_wrong_bit_is_found() {
    // The seed says which bit it is.
    let stages = [1, 2, 77, 4711].map(faulty);
    let (mut driver, _) = stages[0].enter();
    let start = driver.bus().transfers();
    insert(&mut driver, &rule(Action::Drop));
    let length = driver.bus().transfers() - start;
    let each = length / 6;
    let mut found = 0;
    for number in 0..length {
        // Each of the six transactions of the change begins with the page, and so do its restores.
        if number % each == 0 || number % each == each - 5 {
            continue;
        }
        let (mut driver, switch) = stages[number as usize % stages.len()].enter();
        driver.insert_rule(&rule(Action::Drop)).unwrap();
        driver.bus_mut().inject(start + number, Kind::BitFlip).unwrap();
        found += u32::from(advance(&mut driver, After::TryAgain, &mut || {}));
        loop {
            match driver.audit() {
                Ok(Progress::Done) => break,
                Ok(_) | Err(Error::Chip(table::Error::Mismatch { .. })) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_innocent(&switch, &|| format!("bit flip at {number}"));
        assert_eq!(meant().observe(&switch).loss, Some(Loss::Rule), "bit flip at {number}");
        assert_eq!(others().observe(&switch).loss, Some(Loss::Rule));
    }
    assert!(found > length / 8, "{found} of {length}");
}
