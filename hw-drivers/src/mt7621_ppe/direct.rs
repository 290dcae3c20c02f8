// SPDX-License-Identifier: GPL-2.0-or-later
//! Programming the table without the kernel: a means of debugging.
//!
//! The table is the kernel's. It does not know of entries made here, zeroes them with every
//! restart of an interface, and its lock cannot be taken. So this is right only while no flowtable
//! and no tc rule is offloaded to the engine; whoever makes a [`Direct`] says so with
//! [`DirectAccess`]. What can be seen of it is checked: the registers, and that no bound entry is the
//! kernel's. An entry is bound where the engine has begun one itself: that also proves that the
//! formula of the hash holds for the flow.

mod account;
mod foe;
mod held;

use super::entry::{idle_s, Ib1, State, Words};
use super::hash::{bucket, crosses, ENTRIES};
use super::memory::Memory;
use super::registers as reg;
use super::translate::{check, translate, Output};
use crate::flow::{Flow, Protocol, Translation};
use crate::table::{
    Capabilities, Entry, Error, FlowTable, Network, Part, Progress, Resource, Sight,
};
use account::Groups;
use foe::{difference, same_tuple, Failed, Foe, KERNEL_GROUP};
use held::{Book, Slot};

/// What the user has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectAccess {
    /// The kernel offloads nothing to the engine, and no interface of it is restarted, for as
    /// long as the driver lives.
    KernelKeepsOff,
}

/// What to do with a flow that the engine has not begun an entry of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unseen {
    /// Refuse it for now, with [`Error::Unseen`].
    #[default]
    Refuse,
    /// Take a free entry of its bucket, as Linux 5.13 to 5.17 did. If the engine's hash is another
    /// one, no packet ever meets it.
    TakeFree,
}

/// How to drive the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Flows that were not seen.
    pub unseen: Unseen,
    /// Count up to 30 flows in account groups.
    pub counting: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Off,
    /// Cleaning the table, from this entry on.
    Scanning(u16),
    Ready,
}

/// Entries looked at in one call of setting up: about 2000 reads of uncached memory. To take entries
/// of ours out of force, at the beginning, all of them are read twice.
const SCAN: u16 = 2048;
/// Flows looked at in one call of a sweep: about 5000 reads.
const SWEEP: usize = 128;
/// Linux leaves this crossing entry to the engine. It is fixed by the driver, so that it also
/// shows when the kernel has zeroed the table.
const WITNESS: u16 = 115;
/// Entries that do not cross 1024 bytes, two for a flow.
const FLOWS: u32 = ENTRIES / 128 * 120 / 2;
/// Ethernet's header, which the register of the longest frame counts.
const HEADER: u32 = 14;

/// The driver, with its table. A clone of it is another who believes the same about the table: for
/// tests that go back in time.
#[derive(Debug, Clone)]
pub struct Direct<M> {
    foe: Foe<M>,
    options: Options,
    phase: Phase,
    /// Which of the two MACs send their frames to the engine.
    macs: [bool; 2],
    /// Longest IP packet that the engine lets out.
    limit: u16,
    book: Book,
    groups: Groups,
    /// The next number to sweep.
    cursor: u32,
}

impl<M: Memory> Direct<M> {
    /// The driver for an engine that the kernel has started.
    pub fn new(memory: M, access: DirectAccess, options: Options) -> Direct<M> {
        let DirectAccess::KernelKeepsOff = access;
        Direct {
            foe: Foe(memory),
            options,
            phase: Phase::Off,
            macs: [true; 2],
            limit: 0,
            book: Book::default(),
            groups: Groups::new(options.counting),
            cursor: 0,
        }
    }

    /// Entries of the table that hold the directions of a flow, original first; `None` for one
    /// that another flow has taken after the engine had given it up.
    pub fn indices(&mut self, entry: Entry) -> Option<[Option<u16>; 2]> {
        let [original, reply] = &self.book.get(entry)?.slots;
        Some([original.index, reply.index])
    }

    /// Seconds since each direction of a flow was hit, original first, by the engine's clock;
    /// `None` where the engine has given the entry up.
    pub fn idle_s(&mut self, entry: Entry) -> Option<[Option<u16>; 2]> {
        let slots = self.book.get(entry)?.slots.clone();
        let clock = self.foe.now();
        Some(slots.map(|slot| {
            let words = self.now(&slot).ok()??;
            (Ib1(words[0]).state() == State::Bound).then(|| idle_s(clock, Ib1(words[0])))
        }))
    }

    /// Whether the table is of the known shape, at the place that is mapped.
    fn table_is_ours(&mut self) -> Result<Result<(), Error>, Error> {
        let base = self.foe.0.table();
        let place = self.compare(reg::TB_BASE, u32::MAX, base)?;
        let shape = reg::TB_CFG_16K_80B_BUILD | reg::TB_CFG_HASH_MODE_1;
        let known = self.compare(reg::TB_CFG, reg::TB_CFG_SHAPE | reg::TB_CFG_HASH_MODE, shape)?;
        Ok(place.and(known))
    }

    /// Whether the engine runs as the kernel starts it.
    fn engine_runs(&mut self) -> Result<[bool; 2], Error> {
        self.compare(reg::GLO_CFG, reg::GLO_CFG_EN, reg::GLO_CFG_EN)??;
        self.table_is_ours()??;
        let mut forward = [0; 2];
        for (found, gdm) in forward.iter_mut().zip(reg::GDM_FORWARD) {
            *found = self.foe.register(gdm)? & reg::GDM_FORWARD_MASK;
        }
        let macs = forward.map(|forward| forward == reg::GDM_TO_PPE);
        if macs == [false; 2] {
            let ([at, _], [found, _]) = (reg::GDM_FORWARD, forward);
            return Err(Error::Mismatch { at, wanted: reg::GDM_TO_PPE, found });
        }
        Ok(macs)
    }

    /// Whether bits of a register are as wanted, if it can be read.
    fn compare(&mut self, at: u32, mask: u32, wanted: u32) -> Result<Result<(), Error>, Error> {
        Ok(match self.foe.register(at)? & mask {
            found if found == wanted => Ok(()),
            found => Err(Error::Mismatch { at, wanted, found }),
        })
    }

    /// Takes all entries of ours out of force. In a table of another shape or at another place
    /// there are none.
    fn empty(&mut self) -> Result<(), Error> {
        match self.table_is_ours()? {
            Ok(()) => self.foe.withdraw_ours(),
            Err(_) => Ok(()),
        }
    }

    fn ready(&self) -> Result<(), Error> {
        (self.phase == Phase::Ready).then_some(()).ok_or(Error::NotReady)
    }

    fn forget(&mut self) {
        self.phase = Phase::Off;
        self.book = Book::default();
        self.groups = Groups::new(self.options.counting);
        self.cursor = 0;
    }

    /// Begins to set up: from here on nothing is forwarded by what was in the table, also by an
    /// earlier life of the driver.
    fn begin(&mut self) -> Result<(), Error> {
        let used = self.phase != Phase::Off;
        self.forget();
        let macs = self.engine_runs();
        if used || macs.is_ok() {
            self.empty()?;
        }
        self.macs = macs?;
        let longest = self.foe.register(reg::VLAN_MTU0)? & reg::VLAN_MTU0_UNTAGGED;
        self.limit = u16::try_from(longest.saturating_sub(HEADER)).unwrap_or(0);
        self.phase = Phase::Scanning(0);
        Ok(())
    }

    /// Looks at a piece of the table: nothing may be the kernel's, and what the engine must not use
    /// is fixed.
    fn scan(&mut self, from: u16) -> Result<Progress, Error> {
        let to = from.saturating_add(SCAN);
        for index in from..to {
            if self.foe.owner(index) == Some(KERNEL_GROUP) {
                let found = self.foe.info(index).0;
                let wanted = Ib1(found).with_state(State::Invalid).0;
                let offset = u32::from(index).saturating_mul(super::entry::ENTRY_BYTES);
                let at = self.foe.0.table().wrapping_add(offset);
                return Err(Error::Mismatch { at, wanted, found });
            }
        }
        self.foe.fix(from..to)?;
        if u32::from(to) < ENTRIES {
            self.phase = Phase::Scanning(to);
            return Ok(Progress::More);
        }
        self.phase = Phase::Ready;
        Ok(Progress::Done)
    }

    /// Where a direction may be bound: the entry that the engine has begun, or a free one.
    fn place(&mut self, words: &Words, taken: Option<u16>) -> Result<(u16, Ib1), Error> {
        let even = bucket(words).ok_or(Error::Driver("an entry without a hash"))?;
        let mut seen = None;
        let (mut free, mut others) = (None, None);
        for index in [even, even | 1] {
            let found = self.foe.answered(index)?;
            let ib1 = Ib1(found[0]);
            let unusable = crosses(index) || ib1.fixed() || taken == Some(index);
            match ib1.state() {
                // Somebody else has bound the flow.
                State::Bound | State::Fin if same_tuple(words, &found) => {
                    return Err(Error::Collision);
                }
                State::Unbound if same_tuple(words, &found) && !unusable => {
                    seen = seen.or(Some((index, ib1)));
                }
                State::Invalid if !unusable => free = free.or(Some((index, ib1))),
                State::Unbound if !unusable => others = others.or(Some((index, ib1))),
                _ => {}
            }
        }
        match self.options.unseen {
            Unseen::Refuse if seen.is_none() && free.is_some() => Err(Error::Unseen),
            Unseen::Refuse => seen.ok_or(Error::Collision),
            Unseen::TakeFree => seen.or(free).or(others).ok_or(Error::Collision),
        }
    }

    /// Binds both directions, or none.
    fn bind(&mut self, entries: &[Words; 2]) -> Result<[Slot; 2], Error> {
        let [original, reply] = entries;
        let first = self.place(original, None)?;
        let second = self.place(reply, Some(first.0))?;
        let first = self.commit(original, first)?;
        match self.commit(reply, second) {
            Ok(second) => Ok([first, second]),
            Err(error) => {
                if let Some(index) = first.index {
                    if let Err(worse) = self.foe.withdraw(index) {
                        self.phase = Phase::Off;
                        return Err(worse);
                    }
                }
                Err(error)
            }
        }
    }

    fn commit(&mut self, words: &Words, (index, found): (u16, Ib1)) -> Result<Slot, Error> {
        let words = match self.foe.commit(index, words, found) {
            Ok(words) => words,
            Err(Failed { error, in_force }) => {
                if in_force {
                    self.phase = Phase::Off;
                }
                return Err(error);
            }
        };
        // The engine may have begun its own in the other way meanwhile, and would use that.
        if let Err(error) = self.foe.withdraw_unbound(index ^ 1, &words) {
            if self.foe.withdraw(index).is_err() {
                self.phase = Phase::Off;
            }
            return Err(error);
        }
        Ok(Slot { index: Some(index), words, time: Ib1(words[0]).time(), count: None })
    }

    /// The entry of a slot as it is now; `None` when it is no longer this flow's.
    fn now(&mut self, slot: &Slot) -> Result<Option<Words>, Error> {
        let Some(index) = slot.index else { return Ok(None) };
        let words = self.foe.answered(index)?;
        let same = Ib1(words[0]).state() != State::Unbound && same_tuple(&slot.words, &words);
        Ok(same.then_some(words))
    }
}

impl<M: Memory> FlowTable for Direct<M> {
    fn capabilities(&self) -> Capabilities {
        use Translation::{Both, Destination, None, Source};
        Capabilities {
            chip: "MT7621",
            entries: FLOWS,
            v4: &[None, Source, Destination, Both],
            v6: &[None],
            protocols: &[Protocol::Tcp, Protocol::Udp],
            pppoe: true,
            counted: if self.options.counting { account::FLOWS } else { 0 },
        }
    }

    fn set_up(&mut self, _: &Network) -> Result<Progress, Error> {
        let result = match self.phase {
            Phase::Scanning(from) => self.scan(from),
            Phase::Off | Phase::Ready => self.begin().map(|()| Progress::More),
        };
        if result.is_err() {
            self.phase = Phase::Off;
        }
        result
    }

    fn check(&self, flow: &Flow) -> Result<(), Error> {
        check(flow, self.limit).map_err(Error::NotExpressible)?;
        for side in [&flow.opener, &flow.answerer] {
            let mac = Output::of(side.port).map(Output::mac);
            let [first, second] = self.macs;
            if !matches!((mac, first, second), (Some(1), true, _) | (Some(2), _, true)) {
                return Err(Error::NotExpressible(Part::Port(side.port)));
            }
        }
        Ok(())
    }

    fn insert(&mut self, flow: &Flow) -> Result<Entry, Error> {
        self.check(flow)?;
        self.alive()?;
        if let Some(entry) = self.book.find(flow) {
            return Err(Error::Exists(entry));
        }
        if self.used() >= FLOWS {
            return Err(Error::Full(Resource::Flows));
        }
        let groups = self.groups.take();
        let own = groups.unwrap_or([account::UNCOUNTED; 2]);
        let words = translate(flow, own).map_err(Error::NotExpressible).and_then(|entries| {
            match entries.map(|entry| entry.words()) {
                [Some(original), Some(reply)] => Ok([original, reply]),
                _ => Err(Error::Driver("an entry without a layout")),
            }
        });
        let counts = groups.map(|own| own.map(|group| self.groups.begin(&mut self.foe.0, group)));
        match words.and_then(|words| self.bind(&words)) {
            Ok([mut original, mut reply]) => {
                if let Some([first, second]) = counts {
                    (original.count, reply.count) = (Some(first), Some(second));
                }
                Ok(self.book.add(flow, [original, reply], groups))
            }
            Err(error) => {
                if let Some(groups) = groups {
                    self.groups.give(groups);
                }
                Err(error)
            }
        }
    }

    fn remove(&mut self, entry: Entry) -> Result<(), Error> {
        self.ready()?;
        let slots = self.book.get(entry).ok_or(Error::NoEntry(entry))?.slots.clone();
        for index in slots.iter().filter_map(|slot| slot.index) {
            self.foe.withdraw_own(index)?;
        }
        if let Some(groups) = self.book.strike(entry).and_then(|held| held.groups) {
            self.groups.give(groups);
        }
        Ok(())
    }

    fn sweep(&mut self, seen: &mut dyn FnMut(Sight)) -> Result<Progress, Error> {
        self.ready()?;
        let numbers = self.book.numbers(self.cursor, SWEEP);
        for number in &numbers {
            let entry = Entry(*number);
            let Some(held) = self.book.get(entry) else { continue };
            let mut slots = held.slots.clone();
            let mut hit = false;
            for slot in &mut slots {
                if let Some(words) = self.now(slot)? {
                    let time = Ib1(words[0]).time();
                    hit |= time != slot.time;
                    slot.time = time;
                }
                if let Some(count) = &mut slot.count {
                    self.groups.read(&mut self.foe.0, count);
                }
            }
            let counted = match &slots {
                [Slot { count: Some(first), .. }, Slot { count: Some(second), .. }] => {
                    self.groups.counted(first).zip(self.groups.counted(second))
                }
                _ => None,
            };
            if let Some(held) = self.book.get(entry) {
                held.slots = slots;
            }
            seen(Sight { entry, hit, counted: counted.map(|(first, second)| [first, second]) });
            // An error further on does not have this one told again.
            self.cursor = number.saturating_add(1);
        }
        if numbers.len() == SWEEP {
            return Ok(Progress::More);
        }
        self.cursor = 0;
        Ok(Progress::Done)
    }

    fn verify(&mut self, entry: Entry) -> Result<(), Error> {
        self.ready()?;
        let slots = self.book.get(entry).ok_or(Error::NoEntry(entry))?.slots.clone();
        for slot in &slots {
            let words = self.now(slot)?.ok_or(Error::NoEntry(entry))?;
            if Ib1(words[0]).state() != State::Bound {
                return Err(Error::NoEntry(entry));
            }
            if let Some(error) = difference(&slot.words, &words) {
                return Err(error);
            }
        }
        Ok(())
    }

    fn alive(&mut self) -> Result<(), Error> {
        self.ready()?;
        let macs = self.engine_runs().map_err(|_| Error::NotReady)?;
        if macs != self.macs || self.foe.freed(WITNESS) {
            return Err(Error::NotReady);
        }
        Ok(())
    }

    fn disable(&mut self) -> Result<Progress, Error> {
        // The engine stays the kernel's.
        self.forget();
        self.empty()?;
        Ok(Progress::Done)
    }

    fn used(&self) -> u32 {
        u32::try_from(self.book.len()).unwrap_or(u32::MAX)
    }
}
