// SPDX-License-Identifier: GPL-2.0-or-later
//! The one engine that the NAPT, NAT and host tables are reached through: data words, a command
//! word, and a busy bit.

use super::host::{set_host_age, Host, HOSTS};
use super::napt::{bits, halves, set_napt_age, Napt, Nat, FRESH, NAPT_ENTRIES, NAT_ENTRIES};
use super::options::{Duplicate, Learning, NaptKey, Options, ZeroAge};
use super::registers::{self as reg, Registers};
use super::store::{Store, Words};
use std::time::Duration;

const BUSY: u32 = 1 << 31;
const SPEC_SP: u32 = 1 << 22;
const SPEC_VID: u32 = 1 << 21;
const SPEC_PIP: u32 = 1 << 20;
const SPEC_SIP: u32 = 1 << 19;
const SPEC_STATUS: u32 = 1 << 18;
const INDEX: u32 = 0x3ff << 8;
const STATUS: u32 = 1 << 7;

const FLUSH: u32 = 1;
const ADD: u32 = 2;
const DEL: u32 = 3;
const NEXT: u32 = 4;
const SEARCH: u32 = 5;

const SELECT_NAPT: u32 = 0;
const SELECT_NAT: u32 = 2;
const SELECT_HOSTS: u32 = 3;

/// The tables.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) napt: Store,
    pub(super) nat: Store,
    pub(super) hosts: Store,
}

impl Tables {
    pub(super) fn new(options: &Options) -> Tables {
        Tables {
            napt: Store::new(NAPT_ENTRIES, options.napt_ways),
            nat: Store::new(NAT_ENTRIES, NAT_ENTRIES),
            hosts: Store::new(HOSTS, options.host_ways),
        }
    }
}

/// What a command gave.
struct Done {
    index: Option<usize>,
    /// The entry, of a command that returns one.
    words: Option<Words>,
}

impl Done {
    /// With the entry's place.
    fn at(index: usize) -> Done {
        Done { index: Some(index), words: None }
    }

    /// With the entry.
    fn entry(index: usize, store: &Store) -> Option<Done> {
        Some(Done { index: Some(index), words: Some(*store.get(index)?) })
    }
}

/// Words, command and what is going on.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    pub(super) words: Words,
    /// The command word; its BUSY bit is elsewhere.
    command: u32,
    /// Reads left for which the command is busy.
    busy: Option<u32>,
    /// The status that the next read still gives.
    stale: Option<bool>,
    /// Until when commands are ignored.
    flushing: Duration,
    /// Commands ignored.
    pub(super) ignored: u32,
    random: u32,
}

impl Engine {
    pub(super) fn new(options: &Options) -> Engine {
        Engine {
            words: [0; 7],
            command: 0,
            busy: None,
            stale: None,
            flushing: Duration::ZERO,
            ignored: 0,
            // Zero is the one state that xorshift never leaves.
            random: options.seed.max(1),
        }
    }

    /// The command word as a debugger would see it, which a read may not.
    pub(super) fn peek(&self) -> u32 {
        self.command | if self.busy.is_some() { BUSY } else { 0 }
    }

    /// How long commands are busy from now on, that which is under way included.
    pub(super) fn set_busy(&mut self, reads: u32) {
        self.busy = self.busy.map(|_| reads.max(1));
    }

    /// One of two, at random (Marsaglia's 32-bit xorshift).
    fn coin(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random >> 16 & 1 == 1
    }
}

/// The chip around the engine, for a while.
pub(super) struct Context<'a> {
    pub(super) options: &'a Options,
    pub(super) registers: &'a Registers,
    pub(super) tables: &'a mut Tables,
    pub(super) now: Duration,
}

impl Context<'_> {
    fn learns(&self) -> bool {
        self.registers.get(reg::ROUTER_PTCTRL2) & reg::LEARN_BITS != 0
    }
}

impl Engine {
    /// The command word is written. A command that comes too early is as if it had not come.
    pub(super) fn write(&mut self, value: u32, context: &mut Context<'_>) {
        let early = self.busy.is_some() || context.now < self.flushing;
        if early && value & BUSY != 0 {
            self.ignored = self.ignored.wrapping_add(1);
            return;
        }
        if self.busy.is_some() {
            return;
        }
        // The status is the chip's, not to be written.
        self.command = value & !(BUSY | STATUS) | self.command & STATUS;
        if value & BUSY != 0 {
            self.stale = None;
            self.busy = Some(context.options.busy_reads);
            if context.options.busy_reads == 0 {
                self.complete(context);
            }
        }
    }

    /// Its low half is read: index, status and what the command was.
    pub(super) fn read_low(&mut self, context: &mut Context<'_>) -> u16 {
        let mut command = self.command;
        if self.busy.is_none() {
            if let Some(stale) = self.stale.take() {
                command = command & !STATUS | if stale { STATUS } else { 0 };
            }
            let host = bits(command, 4, 2) == SELECT_HOSTS;
            let disturbed = context.options.learning == Learning::DisturbsStatus;
            if host && disturbed && context.learns() && self.coin() {
                command &= !STATUS;
            }
        }
        halves(command).1
    }

    /// Its high half is read: whether it is busy, and the filters.
    pub(super) fn read_high(&mut self, context: &mut Context<'_>) -> u16 {
        let busy = match self.busy {
            None => 0,
            Some(left) => {
                if left != u32::MAX {
                    self.busy = Some(left.saturating_sub(1));
                }
                if left <= 1 {
                    self.complete(context);
                }
                BUSY
            }
        };
        halves(self.command | busy).0
    }

    /// Time passes: what was going on has ended.
    pub(super) fn pass(&mut self, context: &mut Context<'_>) {
        if self.busy.is_some_and(|left| left != u32::MAX) {
            self.complete(context);
        }
    }

    /// The command takes effect.
    fn complete(&mut self, context: &mut Context<'_>) {
        self.busy = None;
        let before = self.command & STATUS != 0;
        self.stale = context.options.status_needs_second_read.then_some(before);
        let done = if context.options.engine { self.carry_out(context) } else { None };
        self.command &= !STATUS;
        if let Some(done) = done {
            self.command |= STATUS;
            if let Some(index) = done.index {
                let index = u32::try_from(index).unwrap_or(0);
                self.command = self.command & !INDEX | index << 8 & INDEX;
            }
            if let Some(words) = done.words {
                self.words = words;
            }
        }
    }

    fn carry_out(&mut self, context: &mut Context<'_>) -> Option<Done> {
        let index = usize::try_from(bits(self.command, 8, 10)).unwrap_or(0);
        let function = bits(self.command, 0, 3);
        match bits(self.command, 4, 2) {
            SELECT_NAPT => {
                if function == FLUSH {
                    self.flushing = context.now + context.options.flush_time;
                }
                self.napt(function, index, context)
            }
            SELECT_NAT => self.nat(function, index, context),
            SELECT_HOSTS => {
                let disturbed = context.options.learning == Learning::DisturbsCommand;
                if disturbed && context.learns() && self.coin() {
                    return None;
                }
                self.hosts(function, index, context)
            }
            _ => None,
        }
    }

    fn napt(&self, function: u32, index: usize, context: &mut Context<'_>) -> Option<Done> {
        let options = context.options;
        let (model, wanted) = (options.model, Napt::of(options.model, &self.words));
        let (command, store) = (self.command, &mut context.tables.napt);
        let filter = |words: &Words| {
            let entry = Napt::of(model, words);
            (command & SPEC_STATUS == 0 || entry.age == wanted.age)
                && (command & SPEC_SIP == 0 || entry.private == wanted.private)
                && (command & SPEC_PIP == 0 || entry.public == wanted.public)
        };
        let hash = wanted.hash();
        let set = store.set(hash);
        let same = |words: &Words| wanted.same(&Napt::of(model, words), options.napt_key);
        match function {
            FLUSH => {
                store.clear(filter);
                Some(Done { index: None, words: None })
            }
            NEXT => Done::entry(store.next(index, options.next, filter)?, store),
            SEARCH => Done::entry(store.find(set, same)?, store),
            DEL => {
                let found = store.find(set, same)?;
                store.put(found, None);
                Some(Done::at(found))
            }
            ADD => {
                let mut words = self.words;
                match (wanted.age, options.zero_age) {
                    (0, ZeroAge::Invalid) => return Some(Done::at(set.start)),
                    (0, ZeroAge::Fresh) => set_napt_age(model, &mut words, FRESH),
                    _ => {}
                }
                let overrides = context.registers.has(reg::NAT_CTRL, reg::NAPT_OVERRIDE);
                let duplicate = match overrides {
                    true => options.napt_duplicate_override,
                    false => options.napt_duplicate,
                };
                let tuple =
                    |words: &Words| wanted.same(&Napt::of(model, words), NaptKey::FiveTuple);
                let place = match (store.find(set.clone(), tuple), duplicate) {
                    (Some(_), Duplicate::Refused) => return None,
                    (Some(place), Duplicate::Replaced) => Some(place),
                    _ => None,
                };
                let takes_aged = overrides && options.override_takes_aged;
                let aged = |words: &Words| takes_aged && Napt::of(model, words).age == 1;
                let place = place
                    .or_else(|| store.room(set.clone(), hash, |_| false))
                    .or_else(|| store.room(set, hash, aged))?;
                store.put(place, Some(words)).then_some(Done::at(place))
            }
            _ => None,
        }
    }

    fn nat(&self, function: u32, index: usize, context: &mut Context<'_>) -> Option<Done> {
        let (options, store) = (context.options, &mut context.tables.nat);
        let valid = |words: &Words| Nat::of(options.model, words).valid;
        match function {
            FLUSH => {
                store.clear(|_| true);
                Some(Done { index: None, words: None })
            }
            NEXT => Done::entry(store.next(index % NAT_ENTRIES, options.next, valid)?, store),
            SEARCH => store.get(index).filter(|words| valid(words)).and(Done::entry(index, store)),
            DEL => {
                store.get(index).filter(|words| valid(words))?;
                store.put(index, None).then_some(Done::at(index))
            }
            ADD => store.put(index, Some(self.words)).then_some(Done::at(index)),
            _ => None,
        }
    }

    fn hosts(&self, function: u32, index: usize, context: &mut Context<'_>) -> Option<Done> {
        let options = context.options;
        let (model, wanted) = (options.model, Host::of(options.model, &self.words));
        let (command, store) = (self.command, &mut context.tables.hosts);
        let valid = |words: &Words| Host::of(model, words).age != 0;
        let filter = |words: &Words| {
            let entry = Host::of(model, words);
            entry.age != 0
                && (command & SPEC_STATUS == 0 || entry.age == wanted.age)
                && (command & SPEC_VID == 0 || entry.interface == wanted.interface)
                && (command & SPEC_SP == 0 || entry.port == wanted.port)
        };
        let hash = wanted.hash();
        let set = store.set(hash);
        let same = |words: &Words| wanted.same(&Host::of(model, words));
        let living = |words: &Words| same(words) && valid(words);
        match function {
            FLUSH => {
                store.clear(|words| filter(words) || !valid(words));
                Some(Done { index: None, words: None })
            }
            NEXT => Done::entry(store.next(index % HOSTS, options.next, filter)?, store),
            SEARCH => {
                let found = store.find(set.clone(), living);
                let deleted =
                    || options.deleted_hosts_found.then(|| store.find(set, same)).flatten();
                Done::entry(found.or_else(deleted)?, store)
            }
            DEL => {
                let found = store.find(set, living)?;
                set_host_age(model, store.get_mut(found)?, 0);
                Some(Done::at(found))
            }
            ADD => {
                let place = match (store.find(set.clone(), living), options.host_duplicate) {
                    (Some(_), Duplicate::Refused) => return None,
                    (Some(place), Duplicate::Replaced) => Some(place),
                    _ => None,
                };
                let place = place.or_else(|| store.room(set, hash, |words| !valid(words)))?;
                store.put(place, Some(self.words)).then_some(Done::at(place))
            }
            _ => None,
        }
    }
}

/// The number of entries that the register says are used.
pub(super) fn used(tables: &Tables) -> u32 {
    u32::try_from(tables.napt.iter().count()).unwrap_or(u32::MAX)
}
