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

/// Entries cleaned in one call: about 2000 reads of uncached memory.
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

/// The driver, with its table.
#[derive(Debug)]
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
            let (_, words) = self.now(&slot)?;
            (Ib1(words[0]).state() == State::Bound).then(|| idle_s(clock, Ib1(words[0])))
        }))
    }

    /// Whether the table is of the known shape, at the place that is mapped.
    fn table_is_ours(&mut self) -> Result<(), Error> {
        let base = self.foe.0.table();
        self.expect(reg::TB_BASE, u32::MAX, base)?;
        let shape = reg::TB_CFG_16K_80B_BUILD | reg::TB_CFG_HASH_MODE_1;
        self.expect(reg::TB_CFG, reg::TB_CFG_SHAPE | reg::TB_CFG_HASH_MODE, shape)
    }

    /// Whether the engine runs as the kernel starts it.
    fn engine_runs(&mut self) -> Result<[bool; 2], Error> {
        self.expect(reg::GLO_CFG, reg::GLO_CFG_EN, reg::GLO_CFG_EN)?;
        self.table_is_ours()?;
        let forward = reg::GDM_FORWARD.map(|gdm| self.foe.0.read(gdm) & reg::GDM_FORWARD_MASK);
        let macs = forward.map(|forward| forward == reg::GDM_TO_PPE);
        if macs == [false; 2] {
            let ([at, _], [found, _]) = (reg::GDM_FORWARD, forward);
            return Err(Error::Mismatch { at, wanted: reg::GDM_TO_PPE, found });
        }
        Ok(macs)
    }

    fn expect(&mut self, at: u32, mask: u32, wanted: u32) -> Result<(), Error> {
        match self.foe.0.read(at) & mask {
            found if found == wanted => Ok(()),
            found => Err(Error::Mismatch { at, wanted, found }),
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

    /// Cleans a piece of the table: what an earlier life of the driver has left goes, what the
    /// engine must not use is fixed.
    fn scan(&mut self, from: u16) -> Result<Progress, Error> {
        let to = from.saturating_add(SCAN);
        let mut ours = false;
        for index in from..to {
            let owner = self.foe.owner(index);
            ours |= owner.is_some_and(|group| group != KERNEL_GROUP);
            if owner == Some(KERNEL_GROUP) {
                let found = self.foe.info(index).0;
                let wanted = Ib1(found).with_state(State::Invalid).0;
                let offset = u32::from(index).saturating_mul(super::entry::ENTRY_BYTES);
                let at = self.foe.0.table().wrapping_add(offset);
                return Err(Error::Mismatch { at, wanted, found });
            }
        }
        if ours {
            self.foe.withdraw_ours(from..to)?;
        }
        for index in (from..to).filter(|index| crosses(*index)) {
            if !self.foe.info(index).fixed() {
                self.foe.fix(index);
            }
        }
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
            let found = self.foe.entry(index);
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
        self.foe.withdraw_unbound(index ^ 1, &words);
        Ok(Slot { index: Some(index), words, time: Ib1(words[0]).time(), count: None })
    }

    /// The entry of a slot as it is now; `None` when it is no longer this flow's.
    fn now(&mut self, slot: &Slot) -> Option<(u16, Words)> {
        let index = slot.index?;
        let words = self.foe.entry(index);
        (Ib1(words[0]).state() != State::Unbound && same_tuple(&slot.words, &words))
            .then_some((index, words))
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
        let from = match self.phase {
            Phase::Scanning(from) => from,
            Phase::Off | Phase::Ready => {
                self.forget();
                self.macs = self.engine_runs()?;
                let longest = self.foe.0.read(reg::VLAN_MTU0) & reg::VLAN_MTU0_UNTAGGED;
                self.limit = u16::try_from(longest.saturating_sub(HEADER)).unwrap_or(0);
                0
            }
        };
        let result = self.scan(from);
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
        for slot in &slots {
            // The kernel may have bound the flow itself by now, and has its own reasons.
            if let Some((index, _)) = self.now(slot) {
                if self.foe.owner(index).is_some_and(|group| group != KERNEL_GROUP) {
                    self.foe.withdraw(index)?;
                }
            }
        }
        if let Some(groups) = self.book.strike(entry).and_then(|held| held.groups) {
            self.groups.give(groups);
        }
        Ok(())
    }

    fn sweep(&mut self, seen: &mut dyn FnMut(Sight)) -> Result<Progress, Error> {
        self.ready()?;
        let numbers = self.book.numbers(self.cursor, SWEEP);
        let last = numbers.last().copied();
        for number in &numbers {
            let entry = Entry(*number);
            let Some(held) = self.book.get(entry) else { continue };
            let mut slots = held.slots.clone();
            let mut hit = false;
            for slot in &mut slots {
                if let Some((_, words)) = self.now(slot) {
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
        }
        match last.and_then(|last| last.checked_add(1)) {
            Some(next) if numbers.len() == SWEEP => {
                self.cursor = next;
                Ok(Progress::More)
            }
            _ => {
                self.cursor = 0;
                Ok(Progress::Done)
            }
        }
    }

    fn verify(&mut self, entry: Entry) -> Result<(), Error> {
        self.ready()?;
        let slots = self.book.get(entry).ok_or(Error::NoEntry(entry))?.slots.clone();
        for slot in &slots {
            let (_, words) = self.now(slot).ok_or(Error::NoEntry(entry))?;
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
        if macs != self.macs || !self.foe.info(WITNESS).fixed() {
            return Err(Error::NotReady);
        }
        Ok(())
    }

    fn disable(&mut self) -> Result<Progress, Error> {
        // The engine stays the kernel's. In a table of another shape or at another place there
        // is nothing of ours.
        if self.table_is_ours().is_ok() {
            self.foe.withdraw_ours(0..u16::try_from(ENTRIES).unwrap_or(0))?;
        }
        self.forget();
        Ok(Progress::Done)
    }

    fn used(&self) -> u32 {
        u32::try_from(self.book.len()).unwrap_or(u32::MAX)
    }
}
