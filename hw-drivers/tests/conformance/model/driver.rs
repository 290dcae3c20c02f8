// SPDX-License-Identifier: GPL-2.0-or-later
//! The driver of the small chip. It is right, unless it is told to have one of the defects that
//! drivers of such chips use to have.

use super::chip::{
    key, words_of_mac, Words, COMMAND, CONTROL, HIT, IDENTITY, MODEL, PAGE, VALID, WINDOW, WORDS,
};
use super::defect::Defect;
use crate::traffic::{Direction, BOTH};
use hw_drivers::bus::{Address, Bus, Outcome, Slot, Transaction};
use hw_drivers::flow::{Flow, Protocol, Side, Translation, Tuple};
use hw_drivers::table::{
    Capabilities, Entry, Error, FlowTable, Network, Part, Progress, Resource, Sight,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Flows: two slots each.
pub const FLOWS: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Off,
    SettingUp(u8),
    Ready,
    Disabling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Add = 1,
    Delete = 2,
    Search = 3,
    Flush = 4,
    ClearHit = 5,
}

/// The driver.
#[derive(Debug, Clone)]
pub struct ModelTable<B> {
    bus: B,
    defect: Option<Defect>,
    state: State,
    network: Option<Network>,
    flows: BTreeMap<u32, Flow>,
    /// Entries that a sweep has seen hit and not told of yet.
    pending: BTreeSet<u32>,
    cursor: u32,
}

fn at(register: u32) -> Address {
    Address::truncated(WINDOW, register)
}

/// A transaction on a page, the page to be put back.
fn on_page(page: u16, defect: Option<Defect>) -> Transaction {
    let mut transaction = Transaction::new();
    if defect != Some(Defect::ForgetsPage) {
        let found = transaction.poll(PAGE, 0xff00, 0, 1).expect("fits");
        transaction.restore(found).expect("fits");
    }
    transaction.write(PAGE, page).expect("fits");
    transaction
}

impl<B: Bus> ModelTable<B> {
    pub fn new(bus: B, defect: Option<Defect>) -> ModelTable<B> {
        let (flows, pending) = (BTreeMap::new(), BTreeSet::new());
        ModelTable { bus, defect, state: State::Off, network: None, flows, pending, cursor: 0 }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        Ok(self.bus.run(transaction)?)
    }

    fn read(&mut self, page: u16, register: u32) -> Result<u16, Error> {
        let mut transaction = on_page(page, self.defect);
        let slot = transaction.read(at(register)).expect("fits");
        Ok(value(&self.run(&transaction)?, slot))
    }

    /// Whether the table forwards.
    fn enable(&mut self, on: bool) -> Result<(), Error> {
        if self.has(Defect::ChangesInTwo) {
            let found = self.read(0, CONTROL)?;
            let mut transaction = on_page(0, self.defect);
            transaction.write(at(CONTROL), found & !1 | u16::from(on)).expect("fits");
            return self.run(&transaction).map(|_| ());
        }
        let mut transaction = on_page(0, self.defect);
        transaction.modify(at(CONTROL), 1, u16::from(on)).expect("fits");
        let seen = transaction.read(at(CONTROL)).expect("fits");
        let found = value(&self.run(&transaction)?, seen);
        if (found & 1 == 1) == on {
            Ok(())
        } else {
            Err(Error::Mismatch { at: CONTROL, wanted: u32::from(on), found: found.into() })
        }
    }

    /// One command; what the table held, if it says that it went well.
    fn command(&mut self, command: Command, words: &Words) -> Result<Option<Words>, Error> {
        let mut transaction = on_page(1, self.defect);
        // A command that was not waited for may still be at work.
        transaction.poll(at(COMMAND), 0x8000, 0, 16).expect("fits");
        let written = if command == Command::Add { WORDS } else { 7 };
        for (register, word) in words.iter().enumerate().take(written) {
            transaction.write(at(register as u32), *word).expect("fits");
        }
        transaction.write(at(COMMAND), 0x8000 | (command as u16) << 8).expect("fits");
        let status = transaction.poll(at(COMMAND), 0x8000, 0, 16).expect("fits");
        let slots: Vec<Slot> = if command == Command::Search {
            (0..WORDS as u32).map(|word| transaction.read(at(word)).expect("fits")).collect()
        } else {
            Vec::new()
        };
        let outcome = self.run(&transaction)?;
        let mut held = [0; WORDS];
        for (word, slot) in held.iter_mut().zip(slots) {
            *word = value(&outcome, slot);
        }
        Ok((value(&outcome, status) & 0x4000 != 0).then_some(held))
    }

    /// Takes both directions of a flow out and makes sure that they are.
    fn take_out(&mut self, flow: &Flow) -> Result<(), Error> {
        for direction in BOTH {
            if direction == Direction::Reply && self.has(Defect::RemovesHalf) {
                continue;
            }
            let words = words(flow, direction);
            self.command(Command::Delete, &words)?;
            if let Some(found) = self.command(Command::Search, &words)? {
                return Err(Error::Mismatch { at: 0, wanted: 0, found: found[0].into() });
            }
        }
        Ok(())
    }

    /// Puts one direction in and makes sure that it is.
    fn put_in(&mut self, flow: &Flow, direction: Direction) -> Result<(), Error> {
        let words = words(flow, direction);
        if self.command(Command::Add, &words)?.is_none() {
            return Err(Error::Collision);
        }
        if self.has(Defect::TrustsStatus) {
            return Ok(());
        }
        match self.command(Command::Search, &words)? {
            Some(found) => compare(&words, &found),
            None => Err(Error::Mismatch { at: 0, wanted: words[0].into(), found: 0 }),
        }
    }

    fn ready(&self) -> Result<(), Error> {
        if self.state == State::Ready {
            Ok(())
        } else {
            Err(Error::NotReady)
        }
    }

    fn flow(&self, entry: Entry) -> Result<Flow, Error> {
        self.ready()?;
        self.flows.get(&entry.0).copied().ok_or(Error::NoEntry(entry))
    }
}

fn value(outcome: &Outcome, slot: Slot) -> u16 {
    outcome.get(slot).expect("a slot of this transaction")
}

/// The first difference that is not the hit.
fn compare(wanted: &Words, found: &Words) -> Result<(), Error> {
    for (place, (wanted, found)) in wanted.iter().zip(found).enumerate() {
        let counts = if place == 0 { !HIT } else { u16::MAX };
        if wanted & counts != found & counts {
            let (wanted, found) = (u32::from(*wanted), u32::from(*found));
            return Err(Error::Mismatch { at: place as u32, wanted, found });
        }
    }
    Ok(())
}

fn sides(flow: &Flow, direction: Direction) -> (&Side, Tuple, &Side, Tuple) {
    match direction {
        Direction::Original => (&flow.opener, flow.original, &flow.answerer, flow.reply.inverse()),
        Direction::Reply => (&flow.answerer, flow.reply, &flow.opener, flow.original.inverse()),
    }
}

/// The entry of one direction.
pub fn words(flow: &Flow, direction: Direction) -> Words {
    let (from, before, to, after) = sides(flow, direction);
    let mut words = [0; WORDS];
    words[0] = VALID
        | u16::from(flow.protocol == Protocol::Udp)
        | u16::from(from.tagged) << 1
        | u16::from(to.tagged) << 2
        | u16::from(to.port) << 4;
    let sockets = [before.source, before.destination, after.source, after.destination];
    for (place, socket) in words[1..13].chunks_mut(3).zip(sockets) {
        let IpAddr::V4(address) = socket.ip() else { continue };
        let address = u32::from(address);
        place.copy_from_slice(&[(address >> 16) as u16, address as u16, socket.port()]);
    }
    words[13..16].copy_from_slice(&words_of_mac(to.neighbour.0));
    words[16..19].copy_from_slice(&words_of_mac(to.router.0));
    words[19] = to.vlan;
    words[20..23].copy_from_slice(&words_of_mac(from.router.0));
    words[23] = from.vlan;
    words[24] = to.mtu;
    words
}

impl<B: Bus> FlowTable for ModelTable<B> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            chip: "model",
            entries: FLOWS,
            v4: &[
                Translation::None,
                Translation::Source,
                Translation::Destination,
                Translation::Both,
            ],
            v6: &[],
            protocols: &[Protocol::Tcp, Protocol::Udp],
            pppoe: false,
            counted: 0,
        }
    }

    fn set_up(&mut self, network: &Network) -> Result<Progress, Error> {
        let step = match self.state {
            State::SettingUp(step) if self.network.as_ref() == Some(network) => step,
            _ => 0,
        };
        // Until the piece has succeeded the whole is to be begun anew.
        self.state = State::Off;
        self.network = Some(network.clone());
        let flushes = !self.has(Defect::KeepsOldEntries);
        match step {
            0 => {
                let found = self.read(0, IDENTITY)?;
                if found != MODEL {
                    return Err(Error::WrongChip(found.into()));
                }
                self.enable(self.has(Defect::EnablesFirst))?;
                self.flows.clear();
                self.pending.clear();
            }
            1 if flushes => {
                if self.command(Command::Flush, &[0; WORDS])?.is_none() {
                    return Err(Error::Driver("the table was not emptied"));
                }
            }
            1 => {}
            _ => {
                self.enable(true)?;
                self.state = State::Ready;
                return Ok(Progress::Done);
            }
        }
        self.state = State::SettingUp(step + 1);
        Ok(Progress::More)
    }

    fn check(&self, flow: &Flow) -> Result<(), Error> {
        let refuse = |part| Err(Error::NotExpressible(part));
        if !flow.is_v4() {
            return refuse(Part::Family);
        }
        for side in [&flow.opener, &flow.answerer] {
            if side.pppoe.is_some() {
                return refuse(Part::Pppoe);
            }
            if !(1..=4).contains(&side.port) {
                return refuse(Part::Port(side.port));
            }
            if !(1..=4094).contains(&side.vlan) {
                return refuse(Part::Vlan(side.vlan));
            }
            if side.neighbour.0 == [0; 6] || side.neighbour.0[0] & 1 == 1 {
                return refuse(Part::Neighbour);
            }
        }
        let translated = flow.reply.destination.ip();
        let public = self.network.as_ref().map_or(&[][..], |network| &network.public);
        match translated {
            IpAddr::V4(address)
                if flow.translation() == Translation::Source && !public.contains(&address) =>
            {
                refuse(Part::PublicAddress(address))
            }
            _ => Ok(()),
        }
    }

    fn insert(&mut self, flow: &Flow) -> Result<Entry, Error> {
        if self.has(Defect::ChecksOnTheChip) {
            self.read(0, IDENTITY)?;
        }
        self.check(flow)?;
        self.ready()?;
        let same = |other: &Flow| {
            other.protocol == flow.protocol
                && (other.original == flow.original || other.reply == flow.reply)
        };
        if let Some((number, _)) = self.flows.iter().find(|(_, other)| same(other)) {
            if !self.has(Defect::InsertsTwice) {
                return Err(Error::Exists(Entry(*number)));
            }
        }
        for direction in BOTH {
            let Err(mut error) = self.put_in(flow, direction) else { continue };
            let undoes = match self.defect {
                Some(Defect::LeavesHalf) => direction == Direction::Original,
                Some(Defect::NeverUndoes) => error == Error::Collision,
                Some(Defect::UndoesErrorsOnly) => error != Error::Collision,
                _ => true,
            };
            if self.has(Defect::EvictsSilently) && error == Error::Collision {
                if let Some((_, victim)) = self.flows.iter().next() {
                    let victim = *victim;
                    self.take_out(&victim)?;
                }
            }
            if undoes && self.take_out(flow).is_err() && !self.has(Defect::StaysReady) {
                self.state = State::Off;
            }
            if error == Error::Collision && self.used() == FLOWS {
                error = Error::Full(Resource::Flows);
            }
            return Err(error);
        }
        let number = (0..).find(|number| !self.flows.contains_key(number)).unwrap_or(u32::MAX);
        self.flows.insert(number, *flow);
        self.pending.remove(&number);
        Ok(Entry(number))
    }

    fn remove(&mut self, entry: Entry) -> Result<(), Error> {
        let flow = self.flow(entry)?;
        let result = self.take_out(&flow);
        if result.is_ok() || self.has(Defect::ForgetsAtErrors) {
            self.flows.remove(&entry.0);
        }
        if self.has(Defect::SwallowsErrors) {
            self.flows.remove(&entry.0);
            return Ok(());
        }
        result
    }

    fn sweep(&mut self, seen: &mut dyn FnMut(Sight)) -> Result<Progress, Error> {
        self.ready()?;
        let Some((&number, &flow)) = self.flows.range(self.cursor..).next() else {
            self.cursor = 0;
            return Ok(Progress::Done);
        };
        for direction in BOTH {
            let words = words(&flow, direction);
            let found = self.command(Command::Search, &words)?;
            if found.is_some_and(|found| found[0] & HIT != 0) {
                if !self.has(Defect::LosesHits) {
                    self.pending.insert(number);
                }
                self.command(Command::ClearHit, &words)?;
                self.pending.insert(number);
            }
        }
        self.cursor = number + 1;
        let hit = self.pending.remove(&number);
        seen(Sight { entry: Entry(number), hit, counted: None });
        Ok(Progress::More)
    }

    fn verify(&mut self, entry: Entry) -> Result<(), Error> {
        let flow = self.flow(entry)?;
        for direction in BOTH {
            let words = words(&flow, direction);
            let found = self.command(Command::Search, &words)?.ok_or(Error::NoEntry(entry))?;
            if !self.has(Defect::VerifiesKeysOnly) {
                compare(&words, &found)?;
            } else if key(&words) != key(&found) {
                return Err(Error::NoEntry(entry));
            }
        }
        Ok(())
    }

    fn alive(&mut self) -> Result<(), Error> {
        self.ready()?;
        let right = if self.has(Defect::IgnoresReset) {
            self.read(0, IDENTITY)? == MODEL
        } else {
            self.read(0, CONTROL)? & 1 == 1
        };
        if !right {
            self.state = State::Off;
        }
        self.ready()
    }

    fn disable(&mut self) -> Result<Progress, Error> {
        if self.state == State::Disabling {
            return match self.command(Command::Flush, &[0; WORDS])? {
                Some(_) => {
                    self.state = State::Off;
                    Ok(Progress::Done)
                }
                None => Err(Error::Driver("the table was not emptied")),
            };
        }
        self.state = State::Off;
        self.flows.clear();
        if self.has(Defect::OnlySwitchesOff) {
            return self.enable(false).map(|()| Progress::Done);
        }
        self.enable(false)?;
        self.state = State::Disabling;
        Ok(Progress::More)
    }

    fn used(&self) -> u32 {
        self.flows.len() as u32
    }
}
