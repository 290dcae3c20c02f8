// SPDX-License-Identifier: GPL-2.0-or-later
//! A switch with a table in memory that fails when it is told to.

use super::*;
use hw_drivers::bus;
use hw_drivers::flow::{Mac, Protocol, Side, Translation, Tuple};
use hw_drivers::table::{Capabilities, FlowTable, Part, Resource};
use proptest::prelude::*;
use std::collections::BTreeMap;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const RATE: u64 = 1_000_000;
const BUS: Error = Error::Bus(bus::Error::NotAtomic { steps: 2 });

/// A chip with a few entries.
#[derive(Debug, Default)]
struct Chip {
    entries: BTreeMap<u32, Flow>,
    hit: Vec<u32>,
    last: u32,
    room: usize,
    on: bool,
    /// What the next operations answer.
    faults: VecDeque<Error>,
    wrong: bool,
    corrupt: bool,
}

impl Chip {
    fn fault(&mut self) -> Result<(), Error> {
        self.faults.pop_front().map_or(Ok(()), Err)
    }
}

impl FlowTable for Chip {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            chip: "memory",
            entries: self.room as u32,
            v4: &[Translation::Source],
            v6: &[],
            protocols: &[Protocol::Tcp],
            pppoe: false,
            counted: 0,
        }
    }

    fn set_up(&mut self, _: &Network) -> Result<Progress, Error> {
        self.fault()?;
        if self.wrong {
            return Err(Error::WrongChip(7));
        }
        if self.on {
            (self.on, self.entries) = (false, BTreeMap::new());
            return Ok(Progress::Wait(10 * MS));
        }
        self.on = true;
        Ok(Progress::Done)
    }

    fn check(&self, _: &Flow) -> Result<(), Error> {
        Ok(())
    }

    fn insert(&mut self, flow: &Flow) -> Result<Entry, Error> {
        self.fault()?;
        if self.entries.len() >= self.room {
            return Err(Error::Full(Resource::Flows));
        }
        if !self.on {
            return Err(Error::NotReady);
        }
        assert!(!self.entries.values().any(|known| known == flow));
        self.last += 1;
        self.entries.insert(self.last, *flow);
        Ok(Entry(self.last))
    }

    fn remove(&mut self, entry: Entry) -> Result<(), Error> {
        self.fault()?;
        self.entries.remove(&entry.0).map(drop).ok_or(Error::NoEntry(entry))
    }

    fn sweep(&mut self, seen: &mut dyn FnMut(Sight)) -> Result<Progress, Error> {
        self.fault()?;
        for number in self.entries.keys() {
            let hit = self.hit.contains(number);
            seen(Sight { entry: Entry(*number), hit, counted: None });
        }
        Ok(Progress::Done)
    }

    fn verify(&mut self, entry: Entry) -> Result<(), Error> {
        self.fault()?;
        if std::mem::take(&mut self.corrupt) {
            return Err(Error::Mismatch { at: 3, wanted: 1, found: 2 });
        }
        self.entries.get(&entry.0).map(drop).ok_or(Error::NoEntry(entry))
    }

    fn alive(&mut self) -> Result<(), Error> {
        self.fault()?;
        if self.on {
            Ok(())
        } else {
            Err(Error::NotReady)
        }
    }

    fn disable(&mut self) -> Result<Progress, Error> {
        self.fault()?;
        if self.wrong {
            return Err(Error::WrongChip(7));
        }
        (self.on, self.entries) = (false, BTreeMap::new());
        Ok(Progress::Done)
    }

    fn used(&self) -> u32 {
        self.entries.len() as u32
    }
}

fn network() -> Network {
    Network { private: ([192, 168, 1, 0].into(), 24), public: vec![[203, 0, 113, 1].into()] }
}

fn flow(id: u32) -> Flow {
    let socket = |last, port| ([192, 0, 2, last], port).into();
    let original = Tuple { source: socket(1, id as u16), destination: socket(2, 80) };
    let side = Side::ethernet(1, 1, Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let (protocol, reply) = (Protocol::Tcp, original.inverse());
    Flow { protocol, original, reply, opener: side, answerer: side }
}

fn offer(id: u32, rate: u64) -> Offer {
    let candidate = Candidate { id, rate, age: 100 * SECOND };
    let end = |index| Attachment { routed: index, port: index };
    Offer { candidate, flow: flow(id), table: Some("flowtabled".into()), ends: [end(2), end(3)] }
}

/// A switch with its chip and a clock.
struct World {
    switch: Switch,
    chip: Chip,
    now: Instant,
    effects: Vec<Effect>,
}

impl World {
    fn new(room: usize) -> World {
        let now = Instant::now();
        let chip = Chip { room, ..Chip::default() };
        let mut switch = Switch::new(room, now);
        switch.set_network(Some(network()));
        let mut world = World { switch, chip, now, effects: Vec::new() };
        world.run();
        assert_eq!(*world.switch.state(), State::Ready);
        world
    }

    /// Everything that is to be done now.
    fn run(&mut self) {
        for _ in 0..10_000 {
            let Some(work) = self.switch.next(self.now) else { return };
            let ended = work.perform(&mut self.chip);
            self.effects.extend(self.switch.done(ended, self.now));
        }
        panic!("work without end");
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.switch.deadline(self.now).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.run();
        }
        self.now = end;
        self.run();
    }

    fn offer(&mut self, ids: std::ops::Range<u32>) {
        let offers: Vec<_> = ids.map(|id| offer(id, RATE)).collect();
        self.switch.offer(offers, self.now);
        self.run();
    }

    fn logged(&self, words: &str) -> usize {
        let told =
            |effect: &&Effect| matches!(effect, Effect::Log(_, line) if line.contains(words));
        self.effects.iter().filter(told).count()
    }
}

#[test]
fn a_flow_counts_when_its_entry_was_read_back() {
    let mut world = World::new(4);
    world.switch.offer(vec![offer(1, RATE)], world.now);
    let insert = world.switch.next(world.now).unwrap();
    assert_eq!(insert, Work::Insert { id: 1, flow: flow(1) });
    world.switch.done(insert.perform(&mut world.chip), world.now);
    assert!(!world.switch.has(1));
    let verify = world.switch.next(world.now).unwrap();
    assert_eq!(verify, Work::Verify { id: 1, entry: Entry(1) });
    world.switch.done(verify.perform(&mut world.chip), world.now);
    assert!(world.switch.has(1));
    assert_eq!(world.switch.next(world.now), None);
}

#[test]
fn entries_that_have_to_go_come_first() {
    let mut world = World::new(8);
    world.offer(1..4);
    world.switch.offer(vec![offer(4, RATE), offer(5, RATE)], world.now);
    world.switch.release(2, world.now);
    assert!(world.switch.is_clearing() && !world.switch.has(2));
    let work = world.switch.next(world.now).unwrap();
    assert_eq!(work, Work::Remove { id: 2, entry: Entry(2) });
    world.switch.done(work.perform(&mut world.chip), world.now);
    assert!(!world.switch.is_clearing());
    world.run();
    assert_eq!(world.switch.used(), 4);
    world.switch.release_where(|_| true, world.now);
    world.run();
    assert_eq!((world.chip.used(), world.switch.used()), (0, 0));
}

#[test]
fn a_removal_that_fails_is_tried_again() {
    let mut world = World::new(4);
    world.offer(1..2);
    world.chip.faults = [BUS].into();
    world.switch.release(1, world.now);
    world.run();
    assert_eq!((world.chip.used(), world.switch.tally().faults), (0, 1));
}

#[test]
fn packets_in_hardware_keep_conntrack_alive_and_the_entry() {
    let mut world = World::new(2);
    world.offer(1..3);
    world.chip.hit = vec![2];
    world.pass(SWEEP);
    assert!(world.effects.contains(&Effect::KeepAlive(vec![2])));
    world.pass(IDLE);
    world.offer(3..4);
    assert!(!world.switch.has(1) && world.switch.has(2) && world.switch.has(3));
}

#[test]
fn a_full_table_is_no_fault() {
    let mut world = World::new(4);
    world.chip.room = 2;
    world.offer(1..5);
    let tally = world.switch.tally();
    assert_eq!((world.switch.used(), tally.full, tally.faults), (2, 2, 0));
    world.chip.room = 4;
    world.offer(3..5);
    assert_eq!(world.switch.used(), 2, "not offered again so soon");
    world.pass(REFUSED);
    world.offer(3..5);
    assert_eq!(world.switch.used(), 4);
}

#[test]
fn what_was_written_wrong_is_taken_out() {
    let mut world = World::new(4);
    world.chip.corrupt = true;
    world.offer(1..2);
    assert_eq!((world.chip.used(), world.switch.used()), (0, 0));
    assert_eq!(world.switch.tally().faults, 1);
    world.chip.faults = [Error::NotExpressible(Part::Family)].into();
    world.offer(2..3);
    world.chip.faults = [Error::Unseen].into();
    world.offer(3..4);
    assert_eq!(world.switch.tally().faults, 1, "that is no fault of the chip");
}

#[test]
fn a_chip_that_keeps_failing_is_switched_off_and_left_alone() {
    let mut world = World::new(4);
    world.offer(1..2);
    world.chip.faults = [BUS, BUS, BUS, BUS, BUS].into();
    world.offer(2..5);
    assert!(matches!(world.switch.state(), State::Quarantined(_)));
    assert!(world.chip.on, "that has failed too");
    assert!(!world.switch.has(1), "nobody knows");
    world.pass(3 * RETRY);
    assert!(!world.chip.on);
    let faults = world.switch.tally().faults;
    world.pass(QUARANTINE.0);
    assert_eq!(*world.switch.state(), State::Ready);
    assert_eq!((faults, world.logged("left alone for 10 s")), (3, 1));
    world.chip.faults = [BUS, BUS, BUS].into();
    world.offer(6..9);
    assert_eq!(world.logged("left alone for 20 s"), 1, "longer each time");
}

#[test]
fn a_chip_that_cannot_be_set_up_is_tried_ever_more_seldom() {
    let mut world = World::new(4);
    let fail = |world: &mut World| {
        // The set-up, and nothing else.
        world.chip.faults = [BUS].into();
        let public = vec![[203, 0, 113, 100 + world.effects.len() as u8].into()];
        world.switch.set_network(Some(Network { public, ..network() }));
        world.run();
        assert!(matches!(world.switch.state(), State::Quarantined(_)));
    };
    fail(&mut world);
    world.pass(QUARANTINE.0 + SECOND);
    fail(&mut world);
    assert_eq!((world.logged("for 10 s"), world.logged("for 20 s")), (1, 1));
    world.pass(QUARANTINE.0 * 2 + SOUND);
    fail(&mut world);
    assert_eq!(world.logged("for 10 s"), 2, "it has been sound for long");
}

#[test]
fn a_chip_that_was_reset_gets_everything_again() {
    let mut world = World::new(4);
    world.offer(1..3);
    (world.chip.on, world.chip.entries) = (false, BTreeMap::new());
    world.pass(ALIVE);
    assert_eq!((world.switch.tally().resets, world.switch.used()), (1, 0));
    assert_eq!(*world.switch.state(), State::Ready);
    world.offer(1..3);
    assert_eq!(world.switch.used(), 2);
}

#[test]
fn another_network_empties_the_table_and_none_switches_it_off() {
    let mut world = World::new(4);
    world.offer(1..3);
    world.switch.set_network(Some(network()));
    assert_eq!(world.switch.used(), 2, "the same as before");
    let public = vec![[203, 0, 113, 9].into()];
    world.switch.set_network(Some(Network { public, ..network() }));
    world.run();
    assert_eq!(*world.switch.state(), State::SettingUp, "the chip needs its time");
    world.pass(10 * MS);
    assert_eq!((world.switch.state(), world.chip.used()), (&State::Ready, 0));
    world.switch.set_network(None);
    assert!(world.switch.is_clearing());
    world.run();
    assert_eq!((world.switch.state(), world.chip.on), (&State::Off, false));
    assert_eq!(world.switch.deadline(world.now), None);
}

#[test]
fn what_an_earlier_program_has_left_is_cleared() {
    let now = Instant::now();
    let chip = Chip { on: true, entries: [(1, flow(1))].into(), ..Chip::default() };
    let mut world = World { switch: Switch::new(4, now), chip, now, effects: Vec::new() };
    assert_eq!(world.switch.deadline(now), Some(now));
    world.run();
    assert_eq!((world.switch.state(), world.chip.on, world.chip.used()), (&State::Off, false, 0));
    let wrong = Chip { wrong: true, ..Chip::default() };
    let mut world = World { switch: Switch::new(4, now), chip: wrong, now, effects: Vec::new() };
    world.run();
    assert!(matches!(world.switch.state(), State::Wrong(_)));
    world.chip.wrong = false;
    world.switch.set_network(Some(network()));
    world.run();
    assert_eq!(*world.switch.state(), State::Ready);
}

#[test]
fn a_chip_that_was_right_is_no_other_one() {
    let mut world = World::new(4);
    world.offer(1..3);
    // Reads that time out look like another chip, and what is in it is still there.
    (world.chip.wrong, world.chip.faults) = (true, [Error::NotReady].into());
    world.pass(ALIVE);
    assert!(matches!(world.switch.state(), State::Quarantined(_)));
    world.switch.set_network(None);
    world.pass(3 * QUARANTINE.0);
    assert!(world.switch.is_clearing() && world.chip.used() == 2);
    world.chip.wrong = false;
    world.pass(QUARANTINE.1);
    assert!(!world.switch.is_clearing() && world.chip.used() == 0);
    assert_eq!(*world.switch.state(), State::Off);
}

#[test]
fn many_entries_go_at_once_and_few_one_by_one() {
    let mut world = World::new(64);
    world.offer(1..3 + ONE_BY_ONE as u32);
    let of = |offer: &Offer| offer.candidate.id;
    world.switch.release_where(|offer| of(offer) <= 2, world.now);
    world.run();
    assert_eq!((world.switch.tally().removed, world.switch.used()), (2, ONE_BY_ONE));
    world.offer(1..3);
    world.switch.release_where(|_| true, world.now);
    assert!(world.switch.is_clearing());
    world.run();
    let tally = world.switch.tally();
    assert_eq!((tally.removed, tally.inserted), (4 + ONE_BY_ONE as u64, 4 + ONE_BY_ONE as u64));
    assert_eq!(world.chip.used(), 0);
    world.pass(SECOND);
    assert!(!world.switch.is_clearing());
    world.offer(1..5);
    assert_eq!(world.switch.used(), 4);
}

#[test]
fn another_chip_is_left_alone() {
    let now = Instant::now();
    let mut switch = Switch::new(4, now);
    switch.set_network(Some(network()));
    let chip = Chip { wrong: true, ..Chip::default() };
    let mut world = World { switch, chip, now, effects: Vec::new() };
    world.run();
    assert!(matches!(world.switch.state(), State::Wrong(_)));
    world.pass(3600 * SECOND);
    assert_eq!(world.logged("not the chip expected"), 1);
}

proptest! {
    /// Whatever happens and fails, once all is calm the chip has exactly the flows that count.
    #[test]
    fn no_entry_is_forgotten(
        steps in prop::collection::vec((0u8..6, 0u32..12, 0usize..3), 0..80),
    ) {
        let mut world = World::new(5);
        for (step, id, faults) in steps {
            world.chip.faults.extend(std::iter::repeat_n(BUS, faults));
            match step {
                0 => world.offer(id..id + 3),
                1 => world.switch.release(id, world.now),
                2 => world.switch.release_where(|_| true, world.now),
                3 => (world.chip.on, world.chip.entries) = (false, BTreeMap::new()),
                4 => world.chip.hit = vec![id],
                _ => world.pass(SECOND * id),
            }
        }
        world.chip.faults.clear();
        world.pass(QUARANTINE.1 * 2);
        prop_assert_eq!(world.switch.state(), &State::Ready);
        prop_assert_eq!(world.chip.used() as usize, world.switch.used());
        let known = |flow: &&Flow| {
            let id = u32::from(flow.original.source.port());
            world.switch.has(id)
        };
        prop_assert_eq!(world.chip.entries.values().filter(known).count(), world.switch.used());
    }
}
