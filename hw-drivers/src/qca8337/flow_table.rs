// SPDX-License-Identifier: GPL-2.0-or-later
//! The contract of [`crate::table`] for this chip.

use super::bringup::State;
use super::counters::{self, Counter};
use super::engine::{Answer, Command, Table, WHOLE};
use super::napt::{Napt, AGE_FRESH};
use super::private::Base;
use super::registers::TABLE_COMMAND;
use super::translate::{self, Plan};
use super::{host::Host, Qca8337, Words};
use crate::bus::Bus;
use crate::flow::{Flow, Protocol, Translation};
use crate::table::{Capabilities, Entry, Error, FlowTable, Network, Progress, Resource, Sight};

/// Flows of the chip.
const FLOWS: u32 = 1024;

/// Tries to take something out of the table.
const TRIES: u8 = 3;

/// A call of a sweep that has made so many transfers ends. Two entries with their counters take 98
/// more (with a chip that is as quick as the simulated one), so that no call makes more than 200.
const ENOUGH: u32 = 102;

/// The index that ADD and DEL are given, which means nothing to them: any other in their answer is
/// the chip's own word that they were carried out, which a status is not that may be of before.
pub(super) const UNTOLD: u16 = 0;

/// A flow in the table.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// As it was written.
    napt: Napt,
    /// Its index in the chip.
    index: u16,
    /// The end in the LAN opened it.
    from_lan: bool,
    /// Age at the last sweep.
    age: u8,
    /// Its counter's number and sums.
    counter: Option<(u8, Counter)>,
}

impl<B: Bus> Qca8337<B> {
    fn ready(&self) -> Result<(), Error> {
        if self.state == State::Ready {
            Ok(())
        } else {
            Err(Error::NotReady)
        }
    }

    fn base(&self) -> Option<Base> {
        self.around.as_ref().and_then(|around| around.private.base())
    }

    fn plan(&self, flow: &Flow) -> Result<Plan, Error> {
        let around = self.around.as_ref().ok_or(Error::NotReady)?;
        translate::plan(flow, around, self.access.options()).map_err(Error::NotExpressible)
    }

    fn held(&self, entry: Entry) -> Result<Held, Error> {
        self.held.get(&entry.0).copied().ok_or(Error::NoEntry(entry))
    }

    /// Reads the bits `wanted` of the entry at `index`; `None` if there is none.
    fn read_entry(
        &mut self,
        table: Table,
        index: u16,
        wanted: &Words,
    ) -> Result<Option<Words>, Error> {
        let answer = self.access.command(&self.reading(table, index, wanted))?;
        Ok(self.entry_at(table, index, &answer))
    }

    /// The command that reads the bits `wanted` of the entry at `index`.
    fn reading(&self, table: Table, index: u16, wanted: &Words) -> Command {
        let age = match table {
            Table::Napt => Napt::age_bits(self.base()),
            Table::Host => Host::age_bits(self.access.model()),
            Table::Nat => [0; 7],
        };
        let mut read = *wanted;
        read.iter_mut().zip(age).for_each(|(bits, age)| *bits |= age);
        Command::from(table, index, read)
    }

    /// The entry at `index` by the answer to [`Self::reading`].
    fn entry_at(&self, table: Table, index: u16, answer: &Answer) -> Option<Words> {
        let Answer { status, index: found, words } = *answer;
        // Age 0 is an entry that was there.
        (status && found == index && self.age(table, &words) != 0).then_some(words)
    }

    fn age(&self, table: Table, words: &Words) -> u8 {
        match table {
            Table::Napt => Napt::decode(words, self.base()).age,
            Table::Host => Host::decode(words, self.access.model()).map_or(0, |host| host.age),
            // Those do not age.
            Table::Nat => 1,
        }
    }

    /// The ages of two entries or one; `None` for one that the chip does not have any more. That no
    /// other entry is at the index of one of ours is known without a look at its words.
    fn ages(&mut self, flows: &[(u32, Held)]) -> Result<[Option<u8>; 2], Error> {
        let read = |held: &Held| self.reading(Table::Napt, held.index, &[0; 7]);
        let answers = match *flows {
            [(_, first), (_, second)] => {
                let commands = [read(&first), read(&second)];
                self.access.both(commands)?.map(Some)
            }
            [(_, only)] => {
                let command = read(&only);
                [Some(self.access.command(&command)?), None]
            }
            _ => [None; 2],
        };
        let mut ages = [None; 2];
        for ((age, answer), (_, held)) in ages.iter_mut().zip(answers).zip(flows) {
            let words = answer.and_then(|answer| self.entry_at(Table::Napt, held.index, &answer));
            *age = words.map(|words| self.age(Table::Napt, &words));
        }
        Ok(ages)
    }

    /// Compares the entry at `index` with `wanted`, in the bits of `compared`; `None` if there is
    /// none.
    pub(super) fn compare_entry(
        &mut self,
        table: Table,
        index: u16,
        wanted: &Words,
        compared: &Words,
    ) -> Result<Option<()>, Error> {
        let Some(found) = self.read_entry(table, index, compared)? else {
            return Ok(None);
        };
        for (at, ((wanted, found), mask)) in (0..).zip(wanted.iter().zip(found).zip(compared)) {
            if (wanted ^ found) & mask != 0 {
                return Err(Error::Mismatch { at, wanted: *wanted, found });
            }
        }
        Ok(Some(()))
    }

    /// The number of a flow that a packet of one of the directions of `napt` would meet.
    fn find(&self, napt: &Napt) -> Option<Entry> {
        let met = |held: &Held| {
            let other = &held.napt;
            let remote = |napt: &Napt| (napt.remote, napt.remote_port, napt.protocol);
            let private = (other.private, other.private_port) == (napt.private, napt.private_port);
            let public = (other.public, other.public_port) == (napt.public, napt.public_port);
            remote(other) == remote(napt) && (private || public)
        };
        self.held.iter().find(|(_, held)| met(held)).map(|(number, _)| Entry(*number))
    }

    /// A counter that no flow has, and what it holds now.
    fn free_counter(&mut self) -> Result<Option<(u8, Counter)>, Error> {
        let given = |index: u8| {
            self.held.values().any(|held| held.counter.is_some_and(|(number, _)| number == index))
        };
        let free = (0..self.access.options().counters).find(|index| !given(*index));
        let Some(index) = free else {
            return Ok(None);
        };
        let reading = self.read_counter(index)?;
        Ok(Some((index, Counter::begin(&reading))))
    }

    fn read_counter(&mut self, index: u8) -> Result<counters::Reading, Error> {
        let (slots, outcome) = self.access.run(|access| counters::read(access, index))?;
        let reading = counters::reading(slots, &outcome)?;
        self.counting.hear(&reading);
        Ok(reading)
    }

    /// Adds the flow's own entry. After an error it is not in the table, or the driver has given
    /// up. Whether the chip holds it as it was written is left to [`FlowTable::verify`].
    fn add(&mut self, plan: &Plan) -> Result<Held, Error> {
        let counter = self.free_counter()?;
        let napt = Napt { counter: counter.map(|(index, _)| index), ..plan.napt };
        let base = self.base();
        let words = napt.encode(base).ok_or(Error::Driver("an address outside of the base"))?;
        let answer = match self.access.command(&Command::add(Table::Napt, words)) {
            Ok(answer) => answer,
            Err(error) => {
                self.withdraw(words);
                return Err(error);
            }
        };
        // No room; or another flow of ours was there, and the chip has put this one in its place. Even
        // that there was no room may be misread.
        if !answer.status || self.held.values().any(|held| held.index == answer.index) {
            self.withdraw(words);
            return Err(Error::Collision);
        }
        if answer.index == UNTOLD {
            let compared = Napt::compared(base);
            let same = self.compare_entry(Table::Napt, answer.index, &words, &compared);
            let lost = Error::Mismatch { at: TABLE_COMMAND, wanted: 1 << 7, found: 0 };
            if let Err(error) = same.and_then(|there| there.ok_or(lost)) {
                self.withdraw_at(answer.index);
                self.withdraw(words);
                return Err(error);
            }
        }
        let (index, from_lan, age) = (answer.index, plan.from_lan, napt.age);
        Ok(Held { napt, index, from_lan, age, counter })
    }

    /// Deletes a flow's entry; true if the chip says that this one is gone.
    fn delete(&mut self, held: &Held) -> Result<bool, Error> {
        let words = held.napt.encode(self.base());
        let words = words.ok_or(Error::Driver("an address outside of the base"))?;
        match self.access.command(&Command::delete(Table::Napt, words)) {
            Ok(Answer { status, index, .. }) => {
                Ok(status && index == held.index && index != UNTOLD)
            }
            // It was done, and something about it was misread.
            Err(Error::Mismatch { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that no entry is at `index`, which is a flow's that is to go. One that was
    /// written wrongly, or changed since, is deleted by the image that the chip holds. By an image
    /// that was misread another flow would go, so two readings have to be alike.
    fn clear(&mut self, index: u16) -> Result<(), Error> {
        for _ in 0..=TRIES {
            let first = self.read_entry(Table::Napt, index, &WHOLE)?;
            if self.read_entry(Table::Napt, index, &WHOLE)? != first {
                continue;
            }
            let Some(words) = first else {
                return Ok(());
            };
            self.access.command(&Command::delete(Table::Napt, words))?;
        }
        Err(Error::Mismatch { at: TABLE_COMMAND, wanted: 0, found: 1 << 7 })
    }

    /// Makes sure that an entry is not in the table whose index is not known.
    fn withdraw(&mut self, words: Words) {
        let mut image = words;
        for _ in 0..TRIES {
            let deleted = self.access.command(&Command::delete(Table::Napt, image));
            let found =
                deleted.and_then(|_| self.access.command(&Command::search(Table::Napt, words)));
            match found {
                Ok(answer) if !answer.status => return,
                Ok(answer) => image = answer.words,
                Err(_) => {}
            }
        }
        self.give_up();
    }

    /// Takes out whatever was written in place of what should have been, at an index that is no
    /// flow's.
    fn withdraw_at(&mut self, index: u16) {
        for _ in 0..TRIES {
            match self.read_entry(Table::Napt, index, &WHOLE) {
                Ok(None) => return,
                Ok(Some(words)) => {
                    // Whether this has worked is read in the next round.
                    let _ = self.access.command(&Command::delete(Table::Napt, words));
                }
                Err(_) => {}
            }
        }
        self.give_up();
    }

    /// What a sweep tells of a flow whose entry has reached this age.
    fn sight(&mut self, number: u32, held: &Held, age: u8) -> Result<Sight, Error> {
        let before = held.counter.map(|(_, counter)| counter);
        let mut counter = held.counter;
        if let Some((index, sums)) = &mut counter {
            let reading = self.read_counter(*index)?;
            sums.take(&reading);
        }
        let outward = self.access.options().outward;
        let clearing = self.counting.clearing();
        let sums = |counter: Counter| counter.counted(clearing, outward);
        let counted = counter.map(|(_, counter)| sums(counter));
        // Traffic sets the age to fresh, time only lowers it. Fresh twice may be one hit seen twice,
        // for no longer than the chip's ageing step.
        let hit = age > held.age || age == AGE_FRESH || counted != before.map(sums);
        if let Some(held) = self.held.get_mut(&number) {
            (held.age, held.counter) = (age, counter);
        }
        let counted =
            counted.map(|[out, back]| if held.from_lan { [out, back] } else { [back, out] });
        Ok(Sight { entry: Entry(number), hit, counted })
    }
}

impl<B: Bus> FlowTable for Qca8337<B> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            chip: self.access.model().name(),
            entries: FLOWS,
            v4: &[Translation::Source, Translation::Destination],
            v6: &[],
            protocols: &[Protocol::Tcp, Protocol::Udp],
            pppoe: true,
            counted: self.access.options().counters.into(),
        }
    }

    fn set_up(&mut self, network: &Network) -> Result<Progress, Error> {
        self.set_up_stage(network)
    }

    fn check(&self, flow: &Flow) -> Result<(), Error> {
        self.plan(flow).map(|_| ())
    }

    fn insert(&mut self, flow: &Flow) -> Result<Entry, Error> {
        self.ready()?;
        let plan = self.plan(flow)?;
        if let Some(entry) = self.find(&plan.napt) {
            return Err(Error::Exists(entry));
        }
        if self.used() >= FLOWS {
            return Err(Error::Full(Resource::Flows));
        }
        self.neighbours.conflicts(&plan)?;
        let added = self.settle(&plan).and_then(|()| self.add(&plan));
        match added {
            Ok(held) => {
                while self.held.contains_key(&self.next) {
                    self.next = self.next.wrapping_add(1);
                }
                let entry = Entry(self.next);
                self.next = self.next.wrapping_add(1);
                self.held.insert(entry.0, held);
                self.neighbours.hold(&plan);
                Ok(entry)
            }
            Err(error) => {
                // What stays of it carries no packet, and is taken away before the next flow.
                let _ = self.tidy();
                Err(error)
            }
        }
    }

    fn remove(&mut self, entry: Entry) -> Result<(), Error> {
        self.ready()?;
        let held = self.held(entry)?;
        if !self.delete(&held)? {
            self.clear(held.index)?;
        }
        self.held.remove(&entry.0);
        self.neighbours.release(held.napt.private);
        // What this leaves behind is taken away before the next flow.
        self.tidy()
    }

    fn sweep(&mut self, seen: &mut dyn FnMut(Sight)) -> Result<Progress, Error> {
        self.ready()?;
        let begun = self.access.transfers();
        let mut left = usize::from(self.access.options().sweep);
        while left > 0 && self.access.transfers().wrapping_sub(begun) < ENOUGH {
            let first = self.held.find_index(&self.sweep_from).unwrap_or_else(|place| place);
            let next = self.held.iter().skip(first).take(left.min(2));
            let next: Vec<(u32, Held)> = next.map(|(number, held)| (*number, *held)).collect();
            if next.is_empty() {
                self.sweep_from = 0;
                return Ok(Progress::Done);
            }
            left = left.saturating_sub(next.len());
            let ages = self.ages(&next)?;
            for ((number, held), age) in next.iter().zip(ages) {
                if let Some(age) = age {
                    seen(self.sight(*number, held, age)?);
                }
                let Some(after) = number.checked_add(1) else {
                    self.sweep_from = 0;
                    return Ok(Progress::Done);
                };
                self.sweep_from = after;
            }
        }
        Ok(Progress::More)
    }

    fn verify(&mut self, entry: Entry) -> Result<(), Error> {
        self.ready()?;
        let held = self.held(entry)?;
        let base = self.base();
        let words = held.napt.encode(base).ok_or(Error::NoEntry(entry))?;
        let compared = Napt::compared(base);
        self.compare_entry(Table::Napt, held.index, &words, &compared)?
            .ok_or(Error::NoEntry(entry))?;
        for piece in self.neighbours.unproved(held.napt.private) {
            self.prove(piece)?;
        }
        Ok(())
    }

    fn alive(&mut self) -> Result<(), Error> {
        self.ready()?;
        match self.canary() {
            Err(Error::Mismatch { .. }) => {
                self.state = State::Idle;
                Err(Error::NotReady)
            }
            Ok(()) => self.audit(),
            other => other,
        }
    }

    fn disable(&mut self) -> Result<Progress, Error> {
        self.disable_stage()
    }

    fn used(&self) -> u32 {
        u32::try_from(self.held.len()).unwrap_or(u32::MAX)
    }
}
