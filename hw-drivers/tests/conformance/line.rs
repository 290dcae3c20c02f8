// SPDX-License-Identifier: GPL-2.0-or-later
//! The line between a driver and its chip, on which the suite makes trouble at a chosen place.
//!
//! What a line is depends on the chip: a [`bus`] whose unit is a transaction, or [`memory`].
//! Unlike [`hw_drivers::bus::fault::FaultBus`] a bus stays atomic, because a transaction with a
//! fault is still one transaction; and there are troubles that only appear between driver and chip:
//! a write that arrives although it seems to have failed, and the kernel's driver at work.

mod bus;
mod memory;

use hw_drivers::bus::Address;
use hw_simulators::Shared;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A transfer times out and does not take place. Of memory a store into the table does not
    /// arrive; that nobody tells.
    Lost,
    /// A transfer times out, but has taken place.
    Unheard,
    /// A value is read as ones.
    Ones,
    /// An access and all after it fail, until [`Line::mend`]. Memory reads as ones.
    Dead,
    /// This bit of a value read is wrong. A write passes unharmed.
    Flipped(u8),
    /// A poll never sees its value, although the chip has finished. A word of a table takes no more
    /// stores until [`Line::mend`]. Others pass unharmed.
    Stuck,
    /// A transaction is refused as a whole: the bus is not atomic.
    Refused,
    /// The kernel's driver works with the chip, and keeps off the table.
    Intrusion,
    /// The kernel's driver takes an entry of the table, whosever it is.
    Overrun,
    /// The chip is reset, and the kernel's driver sets it up as after power-on.
    Reset,
}

impl Trouble {
    /// Those of a bus; for flips the bits where flags use to be, and a low one for numbers.
    pub const OF_A_BUS: &'static [Trouble] = &[
        Trouble::Lost,
        Trouble::Unheard,
        Trouble::Dead,
        Trouble::Flipped(0),
        Trouble::Flipped(7),
        Trouble::Flipped(14),
        Trouble::Flipped(15),
        Trouble::Stuck,
        Trouble::Refused,
        Trouble::Intrusion,
        Trouble::Reset,
    ];

    /// Those of memory, whose accesses cannot fail.
    pub const OF_MEMORY: &'static [Trouble] = &[
        Trouble::Lost,
        Trouble::Ones,
        Trouble::Dead,
        Trouble::Flipped(0),
        Trouble::Flipped(9),
        Trouble::Flipped(18),
        Trouble::Flipped(28),
        Trouble::Flipped(29),
        Trouble::Flipped(31),
        Trouble::Stuck,
        Trouble::Intrusion,
        Trouble::Overrun,
        Trouble::Reset,
    ];

    /// Whether it comes before a transaction, or before an access to memory; the others are in a
    /// transfer.
    pub fn between(self) -> bool {
        use Trouble::{Intrusion, Overrun, Refused, Reset};
        matches!(self, Refused | Intrusion | Overrun | Reset)
    }

    /// Whether the driver is told something that is not so.
    pub fn misread(self) -> bool {
        matches!(self, Trouble::Flipped(_) | Trouble::Ones)
    }

    /// Whether the chip loses entries by it.
    pub fn robs(self) -> bool {
        matches!(self, Trouble::Reset | Trouble::Overrun)
    }
}

/// Where an access goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// A transfer on the bus.
    Transfer(Address),
    /// A register in memory, by its offset.
    Register(u32),
    /// A word of a table in memory, by its offset.
    Word(u32),
}

/// What has become of a planned trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// Not come to yet.
    No,
    /// It has happened here; between accesses without a place.
    At(Option<Spot>),
    /// Its access has passed, and could not be harmed by it.
    Harmless,
}

/// Who else there is, and what is theirs.
#[derive(Debug)]
pub struct Others<C> {
    /// The kernel's driver at work.
    pub intrude: fn(&mut C),
    /// The kernel's driver takes an entry.
    pub overrun: fn(&mut C),
    /// A reset, and what the kernel's driver does then.
    pub restart: fn(&mut C),
    /// What every call has to leave as it was.
    pub footprint: fn(&C) -> Vec<u32>,
    /// Whether trouble may come at an access there.
    pub counts: fn(Spot) -> bool,
}

#[derive(Debug)]
struct State<C> {
    others: Others<C>,
    plan: Cell<Option<(u32, Trouble)>>,
    /// What was planned last.
    trouble: Cell<Option<Trouble>>,
    fired: Cell<Fired>,
    dead: Cell<bool>,
    stuck: Cell<Option<Spot>>,
    transfers: Cell<u32>,
    transactions: Cell<u32>,
    total: Cell<u32>,
    /// The footprint at the beginning of the call, or after others have been there.
    found: RefCell<Vec<u32>>,
}

/// A line of the driver's; its clones are the suite's hands on it.
#[derive(Debug)]
pub struct Line<C> {
    /// The chip behind it.
    pub chip: Shared<C>,
    state: Rc<State<C>>,
}

impl<C> Clone for Line<C> {
    fn clone(&self) -> Line<C> {
        Line { chip: self.chip.clone(), state: Rc::clone(&self.state) }
    }
}

impl<C> Line<C> {
    /// A line without trouble.
    pub fn new(chip: Shared<C>, others: Others<C>) -> Line<C> {
        let state = State {
            others,
            plan: Cell::new(None),
            trouble: Cell::new(None),
            fired: Cell::new(Fired::No),
            dead: Cell::new(false),
            stuck: Cell::new(None),
            transfers: Cell::new(0),
            transactions: Cell::new(0),
            total: Cell::new(0),
            found: RefCell::default(),
        };
        Line { chip, state: Rc::new(state) }
    }

    /// Remembers how a call finds the chip.
    pub fn look(&self) {
        *self.state.found.borrow_mut() = self.chip.with(|chip| (self.state.others.footprint)(chip));
    }

    /// That the chip is left as it was found, but for troubles that excuse the driver.
    pub fn assert_left(&self, excuses: fn(Spot, Trouble) -> bool) {
        let excused = match (self.state.fired.get(), self.state.trouble.get()) {
            (Fired::At(Some(spot)), Some(trouble)) => excuses(spot, trouble),
            _ => false,
        };
        if !excused && !self.state.dead.get() {
            let left = self.chip.with(|chip| (self.state.others.footprint)(chip));
            assert_eq!(
                *self.state.found.borrow(),
                left,
                "the page and the kernel's part of registers: found, left"
            );
        }
    }

    /// Plans trouble for the transfer, or for before the transaction or access to memory, of this
    /// number from now, counted from 0.
    pub fn plan(&self, at: u32, trouble: Trouble) {
        self.mend();
        self.state.transfers.set(0);
        self.state.transactions.set(0);
        self.state.trouble.set(Some(trouble));
        self.state.plan.set(Some((at, trouble)));
    }

    /// Ends all trouble, also what is planned.
    pub fn mend(&self) {
        self.state.plan.set(None);
        self.state.fired.set(Fired::No);
        self.state.dead.set(false);
        self.state.stuck.set(None);
    }

    /// What has become of the trouble planned last.
    pub fn fired(&self) -> Fired {
        self.state.fired.get()
    }

    /// Transfers asked for since the beginning.
    pub fn total(&self) -> u32 {
        self.state.total.get()
    }

    /// Begins a transaction, or an access to memory, at which trouble may come; true if it is to be
    /// refused.
    fn begin(&self) -> bool {
        let state = &self.state;
        let number = state.transactions.get();
        state.transactions.set(number + 1);
        let Some((at, trouble)) = state.plan.get() else { return state.dead.get() };
        if !trouble.between() || at != number {
            return state.dead.get();
        }
        state.plan.set(None);
        state.fired.set(Fired::At(None));
        let act = match trouble {
            Trouble::Intrusion => state.others.intrude,
            Trouble::Overrun => state.others.overrun,
            Trouble::Reset => state.others.restart,
            _ => return true,
        };
        self.chip.with(act);
        self.look();
        false
    }

    /// Counts a transfer; the trouble that is planned for it, which then has happened.
    fn count(&self, spot: Spot) -> Option<Trouble> {
        let state = &self.state;
        state.total.set(state.total.get() + 1);
        if !(state.others.counts)(spot) {
            return None;
        }
        let number = state.transfers.get();
        state.transfers.set(number + 1);
        let (at, trouble) = state.plan.get()?;
        if trouble.between() || at != number {
            return None;
        }
        state.plan.set(None);
        state.fired.set(Fired::At(Some(spot)));
        Some(trouble)
    }
}
