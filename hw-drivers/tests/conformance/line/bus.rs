// SPDX-License-Identifier: GPL-2.0-or-later
//! A line that is a bus: what fails is told, and polls can find no end.

use super::{Fired, Line, Spot, Trouble};
use hw_drivers::bus::execute::{execute, Transfer};
use hw_drivers::bus::{Bus, Error, Failure, Fault, Outcome, Transaction};

impl<C> Line<C> {
    /// One transfer that `make` would make.
    fn transfer(
        &self,
        transfer: Transfer,
        make: impl FnOnce(&mut C) -> Result<u16, Fault>,
    ) -> Result<u16, Fault> {
        let state = &self.state;
        let (at, write, poll) = match transfer {
            Transfer::Write(at, _) => (at, true, false),
            Transfer::Read(at) => (at, false, false),
            Transfer::Poll { at, .. } => (at, false, true),
        };
        let spot = Spot::Transfer(at);
        if !poll {
            state.stuck.set(None);
        }
        let mut flip = 0;
        match self.count(spot) {
            Some(Trouble::Lost) => return Err(Fault::TimedOut),
            Some(Trouble::Unheard) => {
                self.chip.with(make)?;
                return Err(Fault::TimedOut);
            }
            Some(Trouble::Dead) => state.dead.set(true),
            Some(Trouble::Flipped(bit)) if !write => flip = 1 << bit,
            Some(Trouble::Stuck) if poll => state.stuck.set(Some(spot)),
            Some(_) => state.fired.set(Fired::Harmless),
            None => {}
        }
        if state.dead.get() {
            return Err(Fault::TimedOut);
        }
        let value = self.chip.with(make)? ^ flip;
        Ok(match transfer {
            Transfer::Poll { mask, equals, .. } if state.stuck.get().is_some() => {
                value & !mask | !equals & mask
            }
            _ => value,
        })
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
        let state = &self.state;
        state.stuck.set(None);
        if self.begin() && !state.dead.get() {
            return Err(Error::NotAtomic { steps: transaction.steps() });
        }
        let quiet =
            !state.dead.get() && state.plan.get().is_none_or(|(_, trouble)| trouble.between());
        if quiet {
            state.total.set(state.total.get() + transaction.transfers());
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
