// SPDX-License-Identifier: GPL-2.0-or-later
//! Any sequence of operations and troubles against a plain model of what is in the table.

use crate::line::{Fired, Trouble};
use crate::rig::Rig;
use crate::traffic::Way;
use crate::world::{restart, World};
use hw_drivers::table::{Entry, Error, FlowTable};
use hw_simulators::Chip;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;

/// Flows that the sequences are about.
const FLOWS: u32 = 10;

#[derive(Debug, Clone, Copy)]
enum Action {
    Insert(u32),
    Remove(u32),
    Verify(u32),
    Sweep,
    Alive,
    Pass,
    Intrude,
    Disable,
    SetUp(u32),
    Reset,
    Rebind,
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => (0..FLOWS).prop_map(Action::Insert),
        8 => (0..FLOWS).prop_map(Action::Remove),
        3 => (0..FLOWS).prop_map(Action::Verify),
        3 => Just(Action::Sweep),
        2 => Just(Action::Alive),
        2 => Just(Action::Pass),
        1 => Just(Action::Intrude),
        1 => Just(Action::Disable),
        2 => (0..2_u32).prop_map(Action::SetUp),
        1 => Just(Action::Reset),
        1 => Just(Action::Rebind),
    ]
}

fn troubles<R: Rig>() -> impl Strategy<Value = Option<(u32, Trouble)>> {
    // Of a table in which others have entries too the model knows nothing.
    let troubles = R::TROUBLES.iter().filter(|trouble| **trouble != Trouble::Overrun);
    let trouble = prop::sample::select(troubles.copied().collect::<Vec<_>>());
    let transfer = prop_oneof![0..4_u32, 0..60_u32, 0..60_u32, 0..400_u32];
    prop::option::weighted(
        0.3,
        (transfer, trouble).prop_map(|(at, trouble)| {
            (if trouble.between() && R::TELLS { at % 8 } else { at }, trouble)
        }),
    )
}

/// What the model knows of a flow that it once put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    In(Entry),
    /// To be removed again: nobody knows whether it still is in.
    Doubtful(Entry),
}

/// What the model knows of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// Set up.
    Up,
    /// Switched off.
    Down,
    /// Packets are forwarded rightly or not at all; more is not known.
    Unknown,
}

struct Model<R: Rig> {
    world: World<R>,
    known: BTreeMap<u32, Known>,
    whole: Whole,
    /// A sweep was broken off: the next one goes on where that was.
    broken_off: bool,
}

impl<R: Rig> Model<R> {
    fn act(&mut self, action: Action, trouble: Option<(u32, Trouble)>) {
        if let Some((at, trouble)) = trouble {
            self.world.line.plan(at, trouble);
        }
        match action {
            // Most of the time the table is to be in use.
            Action::Insert(number) if self.whole != Whole::Up && number % 3 != 0 => {
                let result = self.world.set_up(number % 2);
                self.settle(result, Whole::Up);
            }
            Action::Insert(number) => self.insert(number),
            Action::Remove(number) => self.remove(number),
            Action::Verify(number) => self.verify(number),
            Action::Sweep => self.sweep(),
            Action::Alive => {
                let result = self.world.call(R::Table::alive);
                let quiet = self.mend();
                match self.whole {
                    Whole::Up => assert!(result.is_ok() || !quiet, "{result:?}"),
                    Whole::Down => assert!(result.is_err()),
                    Whole::Unknown => {}
                }
            }
            Action::Pass => self.world.chip.pass(R::SWEEP),
            Action::Intrude => self.world.chip.with(R::intrude),
            Action::Disable => {
                let result = self.world.disable();
                self.settle(result, Whole::Down);
            }
            Action::SetUp(network) => {
                let result = self.world.set_up(network);
                self.settle(result, Whole::Up);
            }
            Action::Reset => {
                self.world.chip.with(restart::<R>);
                self.lost();
            }
            Action::Rebind => {
                self.world.chip.with(R::rebind);
                self.lost();
            }
        }
        self.mend();
        // A driver that has given up says so, and then all is open until it is set up again.
        if self.whole == Whole::Up && !self.world.is_ready() {
            assert!(trouble.is_some(), "the driver has given up for nothing");
            self.whole = Whole::Unknown;
        }
        self.check();
    }

    /// True when nothing has happened on the bus.
    fn mend(&mut self) -> bool {
        let quiet = !matches!(self.world.line.fired(), Fired::At(_));
        self.world.line.mend();
        quiet
    }

    /// The chip has lost its set-up; who wants to know asks.
    fn lost(&mut self) {
        self.mend();
        if self.whole == Whole::Up {
            assert_eq!(self.world.call(R::Table::alive), Err(Error::NotReady));
            self.whole = Whole::Unknown;
        }
    }

    fn settle(&mut self, result: Result<(), Error>, whole: Whole) {
        let quiet = self.mend();
        match result {
            Ok(()) => {
                self.known.clear();
                self.whole = whole;
            }
            Err(error) => {
                assert!(!quiet, "{error}");
                self.whole = Whole::Unknown;
            }
        }
    }

    fn insert(&mut self, number: u32) {
        let flow = self.world.flow(number);
        let result = self.world.offer(&flow);
        let quiet = self.mend();
        match (self.whole, result) {
            (Whole::Down, result) => assert!(result.is_err()),
            (Whole::Unknown, _) => {}
            (Whole::Up, Ok(entry)) => {
                let before = self.known.insert(number, Known::In(entry));
                assert_eq!(before, None, "a flow is in twice");
            }
            (Whole::Up, Err(Error::Exists(entry))) => match self.known.get(&number) {
                Some(Known::In(known) | Known::Doubtful(known)) => assert_eq!(*known, entry),
                None => panic!("a flow that is not in exists"),
            },
            // Neighbours, hosts and the like may run out as well.
            (Whole::Up, Err(Error::Full(_) | Error::Collision)) => {}
            (Whole::Up, Err(error)) => assert!(!quiet, "{error}"),
        }
    }

    fn remove(&mut self, number: u32) {
        let Some(Known::In(entry) | Known::Doubtful(entry)) = self.known.get(&number).copied()
        else {
            return;
        };
        let result = self.world.call(|table| table.remove(entry));
        let quiet = self.mend();
        match (self.whole, result) {
            (Whole::Down | Whole::Unknown, _) => {}
            (Whole::Up, Ok(())) => {
                self.known.remove(&number);
            }
            (Whole::Up, Err(Error::NoEntry(_))) => {
                let known = self.known.remove(&number);
                assert!(!quiet || known == Some(Known::Doubtful(entry)));
            }
            (Whole::Up, Err(error)) => {
                assert!(!quiet, "{error}");
                self.known.insert(number, Known::Doubtful(entry));
            }
        }
    }

    fn verify(&mut self, number: u32) {
        let Some(Known::In(entry)) = self.known.get(&number).copied() else { return };
        let result = self.world.call(|table| table.verify(entry));
        let quiet = self.mend();
        if self.whole == Whole::Up {
            assert!(result.is_ok() || !quiet, "{result:?}");
        }
    }

    fn sweep(&mut self) {
        let result = self.world.sweep();
        let quiet = self.mend();
        let whole = !std::mem::replace(&mut self.broken_off, result.is_err());
        if self.whole != Whole::Up {
            return;
        }
        match result {
            Ok(sights) => {
                for (number, known) in &self.known {
                    if let Known::In(entry) = known {
                        let told = sights.contains_key(entry);
                        assert!(told || !quiet || !whole, "flow {number} is not told");
                    }
                }
            }
            Err(error) => assert!(!quiet, "{error}"),
        }
    }

    /// What frames show is what the model knows.
    fn check(&mut self) {
        for number in 0..FLOWS {
            let flow = self.world.flow(number);
            let ways = self.world.ways(&flow);
            let right = match (self.whole, self.known.get(&number)) {
                (Whole::Unknown, _) | (Whole::Up, Some(Known::Doubtful(_))) => continue,
                (Whole::Up, Some(Known::In(_))) => Way::Hardware,
                (Whole::Up, None) | (Whole::Down, _) => Way::Cpu,
            };
            assert_eq!(ways, [right; 2], "flow {number}, known {:?}", self.known.get(&number));
        }
        let sure = self.known.values().filter(|known| matches!(known, Known::In(_))).count();
        match self.whole {
            Whole::Up => {
                let used = self.world.used() as usize;
                assert!((sure..=self.known.len()).contains(&used), "{used} used");
            }
            Whole::Down => assert_eq!(self.world.used(), 0),
            Whole::Unknown => {}
        }
    }
}

/// `cases` sequences, the same ones on every run.
pub fn sequences<R: Rig>(options: &R::Options, cases: u32) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let steps = prop::collection::vec((actions(), troubles::<R>()), 1..40);
    let result = runner.run(&steps, |steps| {
        let world = World::<R>::ready(options);
        let known = BTreeMap::new();
        let mut model = Model { world, known, whole: Whole::Up, broken_off: false };
        for (action, trouble) in steps {
            model.act(action, trouble);
        }
        // In the end all can be had again.
        model.world.recover();
        let empty = World::<R>::ready(options).held();
        assert_eq!(model.world.held(), empty, "something has leaked");
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
