// SPDX-License-Identifier: GPL-2.0-or-later
//! The chip's registers and table engine through a bus: each call is one transaction.

use super::engine::{value, Answer, Busy, Command, Operation};
use super::napt::AGE_FRESH;
use super::registers::{FLOW_COUNTERS, RULES};
use super::{Model, Options};
use crate::bus::{self, Bus, Done, Outcome, Transaction};
use crate::qca8k_page::{self, Translation};
use crate::table::Error;

/// A bus, and how this chip is spoken to on it.
#[derive(Debug, Clone)]
pub struct Access<B> {
    bus: B,
    model: Model,
    options: Options,
    /// The last command of the table engine was seen to its end.
    free: bool,
    transfers: u32,
}

impl From<qca8k_page::Error> for Error {
    /// A page that cannot be restored comes from the options; all else is the driver's fault.
    fn from(error: qca8k_page::Error) -> Error {
        Error::Driver(match error {
            qca8k_page::Error::Page(_) => "the page to restore has more than ten bits",
            qca8k_page::Error::Register(_) => "no register address",
            qca8k_page::Error::BothHalves { .. } => "a poll of both halves",
            qca8k_page::Error::Build(_) => "a transaction above the limits of the bus",
        })
    }
}

impl<B: Bus> Access<B> {
    /// The chip `model` on `bus`. Options beyond what the chip has are cut to it.
    pub fn new(bus: B, model: Model, options: Options) -> Access<B> {
        let options = Options {
            rule: options.rule.min(RULES - 1),
            counters: options.counters.min(FLOW_COUNTERS),
            first_age: options.first_age.clamp(1, AGE_FRESH),
            sweep: options.sweep.max(1),
            ..options
        };
        Access { bus, model, options, free: false, transfers: 0 }
    }

    /// The chip.
    pub fn model(&self) -> Model {
        self.model
    }

    /// How it is spoken to.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The bus.
    pub fn bus(&self) -> &B {
        &self.bus
    }

    /// The bus.
    pub fn bus_mut(&mut self) -> &mut B {
        &mut self.bus
    }

    /// The bus alone.
    pub fn into_bus(self) -> B {
        self.bus
    }

    /// Transfers of all transactions that went well, wrapping.
    pub fn transfers(&self) -> u32 {
        self.transfers
    }

    /// Nothing is known of the table engine any more, as at the beginning.
    pub fn doubt(&mut self) {
        self.free = false;
    }

    fn make(&mut self, transaction: &Transaction) -> Result<Outcome, bus::Error> {
        let outcome = self.bus.run(transaction)?;
        let transfers = |done: &Done| u32::from(done.transfers);
        let made: u32 = outcome.done().iter().map(transfers).sum();
        let restored = u32::try_from(transaction.restores().len()).unwrap_or(u32::MAX);
        self.transfers = self.transfers.wrapping_add(made).wrapping_add(restored);
        Ok(outcome)
    }

    /// Runs the accesses that `build` puts together, and gives what it has returned along with
    /// what the bus has.
    ///
    /// # Errors
    /// The bus's, or [`Error::Driver`].
    pub fn run<T>(
        &mut self,
        build: impl FnOnce(&mut Translation) -> Result<T, qca8k_page::Error>,
    ) -> Result<(T, Outcome), Error> {
        let mut translation = Translation::new(self.options.page_after, self.options.settle)?;
        let slots = build(&mut translation)?;
        let outcome = self.make(&translation.finish())?;
        Ok((slots, outcome))
    }

    /// Reads one register.
    ///
    /// # Errors
    /// As [`Access::run`].
    pub fn read(&mut self, register: u32) -> Result<u32, Error> {
        let (slot, outcome) = self.run(|access| access.read(register))?;
        value(slot, &outcome)
    }

    /// Executes a command of the table engine to its end.
    ///
    /// # Errors
    /// As [`Access::run`]; [`Error::Stuck`] if the engine stays busy. Whether the command has
    /// taken effect is not known after an error.
    pub fn command(&mut self, command: &Command) -> Result<Answer, Error> {
        self.execute(command, Operation::new(command, self.model, &self.options, self.free)?)
    }

    /// Executes two commands that change nothing, in one transaction if the engine is quick.
    ///
    /// # Errors
    /// As [`Access::command`].
    pub fn both(&mut self, commands: [Command; 2]) -> Result<[Answer; 2], Error> {
        let operation = Operation::several(&commands, self.model, &self.options, self.free)?;
        self.free = false;
        let outcome = match self.make(operation.transaction()) {
            Ok(outcome) => outcome,
            Err(error) if operation.busy(&error).is_some() => {
                let [first, second] = commands;
                // Whichever it is at, it is waited for as long as for a single one.
                self.finish(&first)?;
                return Ok([self.command(&first)?, self.command(&second)?]);
            }
            Err(error) => return Err(error.into()),
        };
        let answers = operation.answers(&outcome)?;
        self.free = true;
        answers.try_into().map_err(|_| Error::Driver("not two answers"))
    }

    /// Starts a command of the table engine, and does not wait for its end.
    ///
    /// # Errors
    /// As [`Access::run`].
    pub fn start(&mut self, command: &Command) -> Result<(), Error> {
        let operation = Operation::started(command, self.model, &self.options)?;
        self.wait(command, operation).map(|_| ())
    }

    /// Waits for the end of a command that has been started.
    ///
    /// # Errors
    /// As [`Access::command`].
    pub fn finish(&mut self, command: &Command) -> Result<Answer, Error> {
        self.execute(command, Operation::resumed(command, self.model, &self.options)?)
    }

    fn execute(&mut self, command: &Command, operation: Operation) -> Result<Answer, Error> {
        let (operation, outcome) = self.wait(command, operation)?;
        let answers = operation.answers(&outcome)?;
        self.free = true;
        answers.first().copied().ok_or(Error::Driver("an answer before its time"))
    }

    /// Runs an operation. An engine that is busy for longer than a transaction may last is waited
    /// for in further ones.
    fn wait(
        &mut self,
        command: &Command,
        mut operation: Operation,
    ) -> Result<(Operation, Outcome), Error> {
        self.free = false;
        for _ in 0..self.options.patience {
            let error = match self.make(operation.transaction()) {
                Ok(outcome) => return Ok((operation, outcome)),
                Err(error) => error,
            };
            match operation.busy(&error) {
                Some(Busy::Before) => {}
                Some(Busy::After) => {
                    operation = Operation::resumed(command, self.model, &self.options)?;
                }
                None => return Err(error.into()),
            }
        }
        let outcome = self.make(operation.transaction())?;
        Ok((operation, outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::memory::MemoryBus;

    /// An age of 0 would be no entry, and a rule beyond the last another register.
    #[test]
    fn options_are_within_the_chip() {
        let wild =
            Options { rule: 200, counters: 99, first_age: 0, sweep: 0, ..Options::default() };
        let access = Access::new(MemoryBus::default(), Model::Qca8337, wild);
        let Options { rule, counters, first_age, sweep, .. } = *access.options();
        assert_eq!((rule, counters, first_age, sweep), (95, 8, 1, 1));
    }
}
