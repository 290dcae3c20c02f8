// SPDX-License-Identifier: GPL-2.0-or-later
//! The line between a driver and its chip, on which the suite makes trouble at a chosen place.
//!
//! Unlike [`hw_drivers::bus::fault::FaultBus`] it stays atomic, because a transaction with a fault
//! is still one transaction, and it knows troubles that only appear between driver and chip: a
//! write that arrives although it seems to have failed, and the kernel's driver at work between
//! two transactions.

use hw_drivers::bus::execute::{execute, Transfer};
use hw_drivers::bus::{Address, Bus, Error, Failure, Fault, Outcome, Transaction};
use hw_simulators::Shared;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A transfer times out and does not take place.
    Lost,
    /// A transfer times out, but has taken place.
    Unheard,
    /// A transfer and all after it time out, until [`Line::mend`].
    Dead,
    /// This bit of a value read is wrong. A write passes unharmed.
    Flipped(u8),
    /// A poll never sees its value, although the chip has finished. Others pass unharmed.
    Stuck,
    /// A transaction is refused as a whole: the bus is not atomic.
    Refused,
    /// Before a transaction the kernel's driver works with the chip.
    Intrusion,
}

impl Trouble {
    /// Each of them; for flips the bits where flags use to be, and a low one for numbers.
    pub const ALL: [Trouble; 10] = [
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
    ];

    /// Whether it is counted in transactions; the others are in transfers.
    pub fn of_transactions(self) -> bool {
        matches!(self, Trouble::Refused | Trouble::Intrusion)
    }
}

/// What has become of a planned trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// Not come to yet.
    No,
    /// It has happened at this register; to a whole transaction without one.
    At(Option<Address>),
    /// Its transfer has passed, and could not be harmed by it.
    Harmless,
}

#[derive(Debug)]
struct State {
    plan: Cell<Option<(u32, Trouble)>>,
    fired: Cell<Fired>,
    dead: Cell<bool>,
    stuck: Cell<bool>,
    flipped: Cell<bool>,
    transfers: Cell<u32>,
    transactions: Cell<u32>,
    total: Cell<u32>,
}

/// A bus of the driver's; its clones are the suite's hands on it.
#[derive(Debug)]
pub struct Line<C> {
    /// The chip behind it.
    pub chip: Shared<C>,
    state: Rc<State>,
    /// What the kernel's driver does when it gets in between.
    intrude: fn(&mut C),
    /// What every call has to leave as it was.
    footprint: fn(&C) -> Vec<u32>,
    /// How it was at the beginning of the call, or after the kernel's driver has been there.
    found: Rc<RefCell<Vec<u32>>>,
}

impl<C> Clone for Line<C> {
    fn clone(&self) -> Line<C> {
        Line {
            chip: self.chip.clone(),
            state: Rc::clone(&self.state),
            intrude: self.intrude,
            footprint: self.footprint,
            found: Rc::clone(&self.found),
        }
    }
}

impl<C> Line<C> {
    /// A line without trouble.
    pub fn new(chip: Shared<C>, intrude: fn(&mut C), footprint: fn(&C) -> Vec<u32>) -> Line<C> {
        let state = State {
            plan: Cell::new(None),
            fired: Cell::new(Fired::No),
            dead: Cell::new(false),
            stuck: Cell::new(false),
            flipped: Cell::new(false),
            transfers: Cell::new(0),
            transactions: Cell::new(0),
            total: Cell::new(0),
        };
        Line { chip, state: Rc::new(state), intrude, footprint, found: Rc::default() }
    }

    /// Remembers how a call finds the chip.
    pub fn look(&self) {
        *self.found.borrow_mut() = self.chip.with(|chip| (self.footprint)(chip));
    }

    /// That the chip is left as it was found.
    ///
    /// `page` is where the page register is. Trouble with it, and a bit misread in what is written
    /// back, excuse the driver.
    pub fn assert_left(&self, page: Option<Address>) {
        let hit = match self.state.fired.get() {
            Fired::At(at) => at.is_some() && (at == page || self.state.flipped.get()),
            Fired::No | Fired::Harmless => false,
        };
        if !hit && !self.state.dead.get() {
            let left = self.chip.with(|chip| (self.footprint)(chip));
            assert_eq!(
                *self.found.borrow(),
                left,
                "the page and the kernel's part of registers: found, left"
            );
        }
    }

    /// Plans trouble for the transfer, or transaction, of this number from now, counted from 0.
    pub fn plan(&self, at: u32, trouble: Trouble) {
        self.mend();
        self.state.transfers.set(0);
        self.state.transactions.set(0);
        self.state.flipped.set(matches!(trouble, Trouble::Flipped(_)));
        self.state.plan.set(Some((at, trouble)));
    }

    /// Ends all trouble, also what is planned.
    pub fn mend(&self) {
        self.state.plan.set(None);
        self.state.fired.set(Fired::No);
        self.state.dead.set(false);
        self.state.stuck.set(false);
    }

    /// What has become of the trouble planned last.
    pub fn fired(&self) -> Fired {
        self.state.fired.get()
    }

    /// Transfers asked for since the beginning.
    pub fn total(&self) -> u32 {
        self.state.total.get()
    }

    /// Begins a transaction; true if it is to be refused.
    pub fn begin(&self) -> bool {
        let number = self.state.transactions.get();
        self.state.transactions.set(number + 1);
        self.state.stuck.set(false);
        match self.state.plan.get() {
            Some((at, trouble)) if trouble.of_transactions() && at == number => {
                self.state.plan.set(None);
                self.state.fired.set(Fired::At(None));
                if trouble == Trouble::Intrusion {
                    self.chip.with(self.intrude);
                    self.look();
                }
                trouble == Trouble::Refused
            }
            _ => self.state.dead.get(),
        }
    }

    /// One transfer that `make` would make.
    pub fn transfer(
        &self,
        transfer: Transfer,
        make: impl FnOnce(&mut C) -> Result<u16, Fault>,
    ) -> Result<u16, Fault> {
        let state = &self.state;
        state.total.set(state.total.get() + 1);
        let number = state.transfers.get();
        state.transfers.set(number + 1);
        let planned = match state.plan.get() {
            Some((at, trouble)) if !trouble.of_transactions() && at == number => {
                state.plan.set(None);
                Some(trouble)
            }
            _ => None,
        };
        let at = address(transfer);
        let (write, poll) = match transfer {
            Transfer::Write(..) => (true, false),
            Transfer::Read(_) => (false, false),
            Transfer::Poll { .. } => (false, true),
        };
        if !poll {
            state.stuck.set(false);
        }
        if planned.is_some() {
            state.fired.set(Fired::At(Some(at)));
        }
        let mut flip = 0;
        match planned {
            Some(Trouble::Lost) => return Err(Fault::TimedOut),
            Some(Trouble::Unheard) => {
                self.chip.with(make)?;
                return Err(Fault::TimedOut);
            }
            Some(Trouble::Dead) => state.dead.set(true),
            Some(Trouble::Flipped(bit)) if !write => flip = 1 << bit,
            Some(Trouble::Stuck) if poll => state.stuck.set(true),
            Some(_) => state.fired.set(Fired::Harmless),
            None => {}
        }
        if state.dead.get() {
            return Err(Fault::TimedOut);
        }
        let value = self.chip.with(make)? ^ flip;
        Ok(match transfer {
            Transfer::Poll { mask, equals, .. } if state.stuck.get() => {
                value & !mask | !equals & mask
            }
            _ => value,
        })
    }
}

fn address(transfer: Transfer) -> Address {
    match transfer {
        Transfer::Read(at) | Transfer::Write(at, _) | Transfer::Poll { at, .. } => at,
    }
}

impl<C: Bus> Bus for Line<C> {
    fn atomic(&self) -> bool {
        true
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        if self.begin() && !self.state.dead.get() {
            return Err(Error::NotAtomic { steps: transaction.steps() });
        }
        let quiet = !self.state.dead.get()
            && self.state.plan.get().is_none_or(|(_, trouble)| trouble.of_transactions());
        if quiet {
            let made = transaction.transfers();
            self.state.total.set(self.state.total.get() + made);
            return self.chip.with(|chip| chip.run(transaction));
        }
        execute(transaction, |transfer| self.transfer(transfer, |chip| single(chip, transfer)))
    }
}

/// One transfer as a transaction; a read of a poll becomes a plain read.
fn single<C: Bus>(chip: &mut C, transfer: Transfer) -> Result<u16, Fault> {
    let mut transaction = Transaction::new();
    let slot = match transfer {
        Transfer::Read(at) | Transfer::Poll { at, .. } => transaction.read(at),
        Transfer::Write(at, value) => transaction.write(at, value),
    }
    .expect("one transfer fits");
    match chip.run(&transaction) {
        Ok(outcome) => Ok(outcome.get(slot).expect("it was made")),
        Err(Error::Failed(Failure { fault, .. })) => Err(fault),
        Err(error) => panic!("a simulator does not make a single transfer: {error}"),
    }
}
