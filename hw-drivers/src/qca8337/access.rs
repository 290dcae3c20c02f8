// SPDX-License-Identifier: GPL-2.0-or-later
//! The chip's registers and table engine through a bus: each call is one transaction.

use super::engine::{Answer, Command, Operation};
use super::{Model, Options};
use crate::bus::{self, Bus, Fault, Op, Outcome, Step, Transaction};
use crate::qca8k_page::{self, Slot32, Translation};
use crate::table::Error;

/// A bus, and how this chip is spoken to on it.
#[derive(Debug)]
pub struct Access<B> {
    bus: B,
    model: Model,
    options: Options,
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

/// Values of reads that a transaction of ours has made.
pub fn value(slot: Slot32, outcome: &Outcome) -> Result<u32, Error> {
    slot.value(outcome).ok_or(Error::Driver("a read without a result"))
}

impl<B: Bus> Access<B> {
    /// The chip `model` on `bus`.
    pub fn new(bus: B, model: Model, options: Options) -> Access<B> {
        Access { bus, model, options }
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
        let outcome = self.bus.run(&translation.finish())?;
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
        let operation = Operation::new(command, self.model, &self.options)?;
        let mut result = self.bus.run(operation.transaction());
        let mut waited = operation;
        for _ in 0..self.options.patience {
            match result {
                Err(error) if is_last_poll(&error, waited.transaction()) => {
                    waited = Operation::resumed(command, self.model, &self.options)?;
                    result = self.bus.run(waited.transaction());
                }
                _ => break,
            }
        }
        waited.answer(&result?)
    }

    /// Starts a command of the table engine, and does not wait for its end.
    ///
    /// # Errors
    /// As [`Access::run`].
    pub fn start(&mut self, command: &Command) -> Result<(), Error> {
        let operation = Operation::started(command, self.model, &self.options)?;
        self.bus.run(operation.transaction())?;
        Ok(())
    }

    /// Waits for the end of a command that has been started.
    ///
    /// # Errors
    /// As [`Access::command`].
    pub fn finish(&mut self, command: &Command) -> Result<Answer, Error> {
        let operation = Operation::resumed(command, self.model, &self.options)?;
        let outcome = self.bus.run(operation.transaction())?;
        operation.answer(&outcome)
    }
}

/// Whether the command was given and the engine has stayed busy with it: then it can be waited for
/// once more. The poll before the command is never the last one.
fn is_last_poll(error: &bus::Error, transaction: &Transaction) -> bool {
    let bus::Error::Failed(failure) = error else {
        return false;
    };
    let last = transaction.ops().iter().rposition(|op| matches!(op, Op::Poll { .. }));
    let Step::Operation(index) = failure.step else {
        return false;
    };
    matches!(failure.fault, Fault::Exhausted { .. })
        && failure.unrestored.is_none()
        && last == Some(index)
}
