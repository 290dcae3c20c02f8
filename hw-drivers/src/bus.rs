// SPDX-License-Identifier: GPL-2.0-or-later
//! The MDIO bus as chip drivers see it.
//!
//! Registers of a switch sit behind a page register that the kernel's own driver moves too, so one
//! 16-bit transfer means nothing alone. The unit is therefore a [`Transaction`], which a good bus
//! runs from its first to its last transfer under the bus lock. A bus that cannot says so
//! ([`Bus::atomic`]), and wrappers ([`trace`], [`fault`]) are buses themselves.

pub mod execute;
pub mod fault;
pub mod memory;
pub mod mii;
pub mod netlink;
pub mod reach;
pub mod repeat;
mod slot32;
pub mod trace;
pub mod transaction;

use std::fmt;
use std::io;

pub use slot32::Slot32;
pub use transaction::{Op, Restore, Slot, Transaction};

/// A way to the 16-bit registers of the devices on one MDIO bus.
pub trait Bus {
    /// Whether nobody else, the kernel's driver included, can get between two transfers of one
    /// transaction.
    fn atomic(&self) -> bool;

    /// Whether [`Bus::run`] would answer [`Error::NotAtomic`] to this transaction.
    fn refuses(&self, transaction: &Transaction) -> bool;

    /// Executes the operations in order, then the restores, which are also tried when an
    /// operation has failed.
    ///
    /// # Errors
    /// [`Error::NotAtomic`] and [`Error::NotRun`] before any transfer was made; [`Error::Failed`]
    /// with the first operation that failed, and what came before it has taken effect;
    /// [`Error::Unknown`] when nobody can tell.
    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error>;
}

impl<B: Bus + ?Sized> Bus for Box<B> {
    fn atomic(&self) -> bool {
        (**self).atomic()
    }

    fn refuses(&self, transaction: &Transaction) -> bool {
        (**self).refuses(transaction)
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        (**self).run(transaction)
    }
}

/// A register of a clause-22 device. Clause 45 has no use here: no switch of ours speaks it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    phy: u8,
    register: u8,
}

impl Address {
    /// Device addresses and register numbers are five bits each (IEEE 802.3, 22.2.4.5).
    pub const LIMIT: u8 = 32;

    /// The register `register` of the device at `phy`; `None` if either is above 31.
    pub const fn new(phy: u8, register: u8) -> Option<Address> {
        if phy < Address::LIMIT && register < Address::LIMIT {
            Some(Address { phy, register })
        } else {
            None
        }
    }

    /// The same with both numbers cut to their five bits, for constants and computed addresses.
    pub const fn truncated(phy: u32, register: u32) -> Address {
        Address { phy: (phy & 0x1f) as u8, register: (register & 0x1f) as u8 }
    }

    /// Device address, 0 to 31.
    pub const fn phy(self) -> u8 {
        self.phy
    }

    /// Register number, 0 to 31.
    pub const fn register(self) -> u8 {
        self.register
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phy {:#04x} register {:#04x}", self.phy, self.register)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What one operation gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The value read, which for a modify is the one before the change; the value that ended a
    /// poll; or the value written.
    pub value: u16,
    /// Transfers made: 1, for a modify 2, for a poll the number of reads.
    pub transfers: u16,
}

/// What a transaction gave when every operation and restore went well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    pub(crate) done: Vec<Done>,
}

impl Outcome {
    /// The value an operation gave; `None` for a slot of a longer transaction.
    pub fn get(&self, slot: Slot) -> Option<u16> {
        self.done.get(slot.index()).map(|done| done.value)
    }

    /// One entry for each operation, in order.
    pub fn done(&self) -> &[Done] {
        &self.done
    }
}

/// Where in a transaction something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The operation of this index, from 0.
    Operation(usize),
    /// The restore of this index, from 0.
    Restore(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Operation(index) => write!(f, "operation {index}"),
            Step::Restore(index) => write!(f, "restore {index}"),
        }
    }
}

/// Why a transfer or a poll failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bus did not complete the transfer in time.
    TimedOut,
    /// The bus reported another errno.
    Os(i32),
    /// A poll made all its reads; `last` is what the last one gave.
    Exhausted {
        /// Reads made.
        tries: u16,
        /// Value of the last read.
        last: u16,
    },
    /// What was read a second time, or read back, is something else. Only from [`repeat`].
    Differs {
        /// What it should have been.
        expected: u16,
        /// What it was.
        found: u16,
    },
}

impl Fault {
    /// The fault for an error of the operating system.
    pub fn from_io(error: &io::Error) -> Fault {
        Fault::from_errno(error.raw_os_error().unwrap_or(libc::EIO))
    }

    /// The fault for a positive errno.
    pub const fn from_errno(errno: i32) -> Fault {
        match errno {
            libc::ETIMEDOUT => Fault::TimedOut,
            errno => Fault::Os(errno),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TimedOut => write!(f, "transfer timed out"),
            Fault::Os(errno) => write!(f, "{}", io::Error::from_raw_os_error(*errno)),
            Fault::Exhausted { tries, last } => {
                write!(f, "never the awaited value in {tries} reads, last {last:#06x}")
            }
            Fault::Differs { expected, found } => {
                write!(f, "{found:#06x} in place of {expected:#06x}")
            }
        }
    }
}

/// Which step failed, where and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The first step that failed.
    pub step: Step,
    /// The register it was for.
    pub address: Address,
    /// What happened there.
    pub fault: Fault,
    /// Set when a restore failed, and could not be made up for: the chip, and the kernel's idea of
    /// its page, may now differ.
    pub unrestored: Option<Fault>,
}

/// Why a transaction did not run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Refused before the first transfer: several steps, or a modify, on a bus that cannot keep
    /// others out.
    NotAtomic {
        /// Operations and restores of the transaction.
        steps: usize,
    },
    /// The way to the bus, an errno, is closed. No transfer was made.
    NotRun(i32),
    /// A step failed.
    Failed(Failure),
    /// It was handed over, but the answer is lost, with this errno, or makes no sense, with
    /// EBADMSG. Any part of it may have taken effect.
    Unknown(i32),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotAtomic { steps } => {
                write!(f, "refused {steps} steps on a bus that is not atomic")
            }
            Error::NotRun(errno) => {
                write!(f, "the bus cannot be reached: {}", io::Error::from_raw_os_error(*errno))
            }
            Error::Unknown(errno) => {
                let reason = io::Error::from_raw_os_error(*errno);
                write!(f, "what the bus has done is unknown: {reason}")
            }
            Error::Failed(Failure { step, address, fault, unrestored }) => {
                write!(f, "{step}, {address}: {fault}")?;
                match unrestored {
                    Some(fault) => write!(f, "; not restored: {fault}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_five_bits() {
        assert!(Address::new(31, 31).is_some());
        assert!(Address::new(32, 0).is_none());
        assert!(Address::new(0, 32).is_none());
    }

    #[test]
    fn failure_names_step_and_register() {
        let failure = Failure {
            step: Step::Operation(3),
            address: Address::new(0x18, 0).unwrap(),
            fault: Fault::Exhausted { tries: 4, last: 0x8000 },
            unrestored: Some(Fault::TimedOut),
        };
        assert_eq!(
            Error::Failed(failure).to_string(),
            "operation 3, phy 0x18 register 0x00: never the awaited value in 4 reads, \
             last 0x8000; not restored: transfer timed out"
        );
    }

    #[test]
    fn etimedout_is_a_fault_of_its_own() {
        let fault = |errno| Fault::from_io(&io::Error::from_raw_os_error(errno));
        assert_eq!(fault(libc::ETIMEDOUT), Fault::TimedOut);
        assert_eq!(fault(libc::ENXIO), Fault::Os(libc::ENXIO));
    }
}
