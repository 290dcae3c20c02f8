// SPDX-License-Identifier: GPL-2.0-or-later
//! A chip, its driver and the suite's memory of what is in the table. Every call to the driver goes
//! through here and is watched: the page found must be the page left.

use crate::line::{Line, Others};
use crate::rig::Rig;
use crate::traffic::{incoming, judge, Direction, Way, BOTH};
use hw_drivers::flow::Flow;
use hw_drivers::table::{Entry, Error, FlowTable, Part, Progress, Sight};
use hw_simulators::{Chip, Shared};
use std::collections::BTreeMap;

/// Calls that a thing of several pieces may take: the greatest table has some thousand entries.
const MAX_CALLS: u32 = 20_000;

/// The table and all around it.
pub struct World<R: Rig> {
    /// The driver; calls to it go through [`World::call`].
    table: R::Table,
    /// The suite's hand on its bus.
    pub line: Line<R::Chip>,
    /// The chip.
    pub chip: Shared<R::Chip>,
    /// The network that it is set up for.
    pub network: u32,
    /// Numbers of the flows that are in the table.
    pub inside: BTreeMap<u32, Entry>,
}

/// A world as it was once, to be gone back to.
pub struct Saved<R: Rig> {
    table: R::Table,
    chip: R::Chip,
    network: u32,
    inside: BTreeMap<u32, Entry>,
}

/// A reset, and what the kernel's driver does then.
pub fn restart<R: Rig>(chip: &mut R::Chip) {
    chip.reset();
    R::prepare(chip);
}

impl<R: Rig> World<R> {
    /// After power-on; the kernel's driver has done its part.
    pub fn new(options: &R::Options) -> World<R> {
        let mut chip = R::chip(options);
        R::prepare(&mut chip);
        let chip = Shared::new(chip);
        let others = Others {
            intrude: R::intrude,
            overrun: R::overrun,
            restart: restart::<R>,
            footprint: R::footprint,
            counts: R::counts,
        };
        let line = Line::new(chip.clone(), others);
        let table = R::table(options, line.clone());
        World { table, line, chip, network: 0, inside: BTreeMap::new() }
    }

    /// Set up for network 0.
    pub fn ready(options: &R::Options) -> World<R> {
        let mut world = World::new(options);
        world.set_up(0).expect("the driver cannot set the chip up");
        world
    }

    /// With the flows of these numbers.
    pub fn with(options: &R::Options, numbers: impl IntoIterator<Item = u32>) -> World<R> {
        let mut world = World::ready(options);
        for number in numbers {
            world.insert(number).expect("the driver does not take a flow");
        }
        world
    }

    /// All as it is now.
    pub fn save(&self) -> Saved<R> {
        Saved {
            table: self.table.clone(),
            chip: self.chip.with(|chip| chip.clone()),
            network: self.network,
            inside: self.inside.clone(),
        }
    }

    /// All is as it was then; troubles are over.
    pub fn restore(&mut self, saved: &Saved<R>) {
        self.line.mend();
        self.table = saved.table.clone();
        self.chip.with(|chip| *chip = saved.chip.clone());
        self.network = saved.network;
        self.inside.clone_from(&saved.inside);
    }

    /// The flow of a number in the present network.
    pub fn flow(&self, number: u32) -> Flow {
        R::flow(self.network, number)
    }

    /// One call to the driver.
    pub fn call<T>(&mut self, act: impl FnOnce(&mut R::Table) -> T) -> T {
        self.line.look();
        let result = act(&mut self.table);
        self.line.assert_left(R::excuses);
        result
    }

    /// Calls until it is done; time passes as asked for.
    pub fn finish(
        &mut self,
        mut step: impl FnMut(&mut R::Table) -> Result<Progress, Error>,
    ) -> Result<(), Error> {
        for _ in 0..MAX_CALLS {
            match self.call(&mut step)? {
                Progress::Done => return Ok(()),
                Progress::More => {}
                Progress::Wait(time) => self.chip.pass(time),
            }
        }
        panic!("not done after {MAX_CALLS} calls");
    }

    /// Sets up to the end.
    pub fn set_up(&mut self, network: u32) -> Result<(), Error> {
        self.inside.clear();
        let around = R::network(network);
        self.finish(|table| table.set_up(&around))?;
        self.network = network;
        Ok(())
    }

    /// Whether the driver says that it is set up.
    pub fn is_ready(&mut self) -> bool {
        self.call(R::Table::alive).is_ok()
    }

    /// Disables to the end.
    pub fn disable(&mut self) -> Result<(), Error> {
        self.inside.clear();
        self.finish(R::Table::disable)
    }

    /// Whatever has happened: afterwards the chip is as freshly set up.
    pub fn recover(&mut self) {
        self.line.mend();
        self.disable().expect("a driver that cannot be disabled on a bus without faults");
        self.set_up(0).expect("a driver that cannot be set up again");
    }

    /// Inserts a flow, of which packets in both directions have come before.
    pub fn offer(&mut self, flow: &Flow) -> Result<Entry, Error> {
        self.ways(flow);
        self.call(|table| table.insert(flow))
    }

    /// Inserts a flow and remembers it.
    pub fn insert(&mut self, number: u32) -> Result<Entry, Error> {
        let flow = self.flow(number);
        let entry = self.offer(&flow)?;
        let others = self.inside.iter().find(|(_, other)| **other == entry);
        assert_eq!(others, None, "entry {entry:?} of flow {number} is another flow's");
        self.inside.insert(number, entry);
        Ok(entry)
    }

    /// Removes a flow that is in.
    pub fn remove(&mut self, number: u32) -> Result<(), Error> {
        let entry = self.inside[&number];
        self.call(|table| table.remove(entry))?;
        self.inside.remove(&number);
        Ok(())
    }

    /// A whole sweep; nothing may be told twice.
    pub fn sweep(&mut self) -> Result<BTreeMap<Entry, Sight>, Error> {
        let mut sights = BTreeMap::new();
        let result = self.sweep_into(&mut sights);
        result.map(|()| sights)
    }

    /// Goes on with a sweep; what was told already stays.
    pub fn sweep_into(&mut self, sights: &mut BTreeMap<Entry, Sight>) -> Result<(), Error> {
        self.finish(|table| {
            table.sweep(&mut |sight| {
                let twice = sights.insert(sight.entry, sight);
                assert_eq!(twice, None, "told twice in one sweep");
            })
        })
    }

    /// Looks that the entry of a flow is as written.
    pub fn verify(&mut self, number: u32) -> Result<(), Error> {
        let entry = self.inside[&number];
        self.call(|table| table.verify(entry))
    }

    /// Flows in the table, as the driver says.
    pub fn used(&self) -> u32 {
        self.table.used()
    }

    /// That a flow is not taken, because the chip is not set up. A driver that was never told of its
    /// public addresses may name those.
    pub fn assert_not_ready(&mut self, number: u32) {
        let flow = self.flow(number);
        let inserted = self.call(|table| table.insert(&flow));
        let told = matches!(
            inserted,
            Err(Error::NotReady | Error::NotExpressible(Part::PublicAddress(_) | Part::Address(_)))
        );
        assert!(told, "not set up, and inserting gives {inserted:?}");
    }

    /// Which way the flow's packets go, one for each direction.
    pub fn ways(&self, flow: &Flow) -> [Way; 2] {
        BOTH.map(|direction| self.way(flow, direction))
    }

    /// Which way a packet of one direction goes.
    pub fn way(&self, flow: &Flow, direction: Direction) -> Way {
        let (_, frame) = incoming(flow, direction);
        let mut chip = self.chip.clone();
        match judge(&mut chip, flow, direction, &frame) {
            Ok(way) => way,
            Err(why) => panic!("{why}"),
        }
    }

    /// That both directions of a flow are forwarded by the chip.
    pub fn assert_in(&self, number: u32) {
        let flow = self.flow(number);
        let ways = self.ways(&flow);
        assert_eq!(ways, [Way::Hardware; 2], "flow {number} is to be forwarded: {flow:?}");
    }

    /// That both directions of a flow go to the processor.
    pub fn assert_out(&self, number: u32) {
        let flow = self.flow(number);
        let ways = self.ways(&flow);
        assert_eq!(ways, [Way::Cpu; 2], "flow {number} is not to be forwarded: {flow:?}");
    }

    /// That the table is what the suite remembers: forwarding, number and the chip's own tables.
    pub fn assert_consistent(&mut self) {
        let numbers: Vec<u32> = self.inside.keys().copied().collect();
        for number in &numbers {
            self.assert_in(*number);
            let verified = self.verify(*number);
            assert_eq!(verified, Ok(()), "flow {number} is in, and does not verify");
        }
        assert_eq!(self.used() as usize, numbers.len(), "the driver's number of flows");
    }

    /// Entries in the chip's own tables.
    pub fn held(&self) -> Vec<u32> {
        self.chip.with(|chip| R::held(chip))
    }
}
