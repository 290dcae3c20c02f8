// SPDX-License-Identifier: GPL-2.0-or-later
//! A transaction: operations in order, then restores whatever happened.
//!
//! What is wrong with one is found while it is built, so a bus only ever sees transactions that
//! fit its limits. The limits are those of mdio-netlink (github.com/wkz/mdio-tools v1.3.2), the
//! tightest way into a bus, so that the same transaction fits every bus.

use super::Address;
use std::fmt;

/// Instructions of one mdio-netlink program: 4096 bytes of 8 each.
const PROGRAM_INSTRUCTIONS: usize = 4096 / 8;

/// Instructions of the costliest operation, a bounded poll: set counter, read, mask, leave if
/// equal, count, repeat, emit value and count, go to the restores if exhausted.
const POLL_INSTRUCTIONS: usize = 9;

/// Operations and restores of one transaction: 56. Even if all are polls they fit one program.
pub const MAX_STEPS: usize = PROGRAM_INSTRUCTIONS / POLL_INSTRUCTIONS;

/// Restores of values read, of one transaction. Each keeps its value in one of the eight registers
/// of a program; four are left for polls. Restores of values known beforehand need none.
pub const MAX_RESTORES: usize = 4;

/// Transfers of one transaction at worst, all tries of all polls counted. At 26 µs each (64-bit
/// frame, 2.5 MHz) that is 53 ms: half of mdio-netlink's default time-out of 100 ms, which a
/// big-endian host cannot change, stays for the controller's overhead.
pub const MAX_TRANSFERS: u32 = 2048;

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Reads a register.
    Read {
        /// The register.
        at: Address,
    },
    /// Writes a register.
    Write {
        /// The register.
        at: Address,
        /// The value.
        value: u16,
    },
    /// Reads a register and writes back what was read, with the bits of `clear` cleared and then
    /// those of `set` set: for registers that the kernel's driver changes too.
    Modify {
        /// The register.
        at: Address,
        /// Bits to clear.
        clear: u16,
        /// Bits to set, which counts more than to clear.
        set: u16,
    },
    /// Reads a register until its bits under `mask` equal `equals`; fails after `tries` reads.
    Poll {
        /// The register.
        at: Address,
        /// Bits that count.
        mask: u16,
        /// What they must be.
        equals: u16,
        /// Most reads to make, at least 1.
        tries: u16,
    },
}

impl Op {
    /// The register the operation is for.
    pub const fn address(&self) -> Address {
        match *self {
            Op::Read { at }
            | Op::Write { at, .. }
            | Op::Modify { at, .. }
            | Op::Poll { at, .. } => at,
        }
    }
}

/// The result of one operation, named before it is known: its index, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(usize);

impl Slot {
    /// Index of the operation in its transaction.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// A register to be written at the end, also when an operation has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// Puts back what an operation has read. Skipped if that operation was not reached or
    /// failed, since nothing is known then.
    Read {
        /// The register read.
        at: Address,
        /// The operation that read it.
        slot: Slot,
    },
    /// Writes a value known beforehand.
    Value {
        /// The register.
        at: Address,
        /// The value.
        value: u16,
    },
}

impl Restore {
    /// The register that is restored.
    pub const fn address(&self) -> Address {
        match *self {
            Restore::Read { at, .. } | Restore::Value { at, .. } => at,
        }
    }
}

/// Why an operation cannot be part of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildError {
    /// More than [`MAX_STEPS`] operations and restores.
    TooManySteps,
    /// More than [`MAX_RESTORES`] restores of values read.
    TooManyRestores,
    /// More than [`MAX_TRANSFERS`] transfers at worst.
    TooManyTransfers,
    /// A poll that cannot end well: no tries, no mask, or awaited bits outside the mask.
    HopelessPoll(Address),
    /// A restore of something that this transaction did not read.
    NotRead(Slot),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::TooManySteps => write!(f, "transaction above {MAX_STEPS} steps"),
            BuildError::TooManyRestores => {
                write!(f, "transaction above {MAX_RESTORES} restores of reads")
            }
            BuildError::TooManyTransfers => {
                write!(f, "transaction above {MAX_TRANSFERS} transfers at worst")
            }
            BuildError::HopelessPoll(address) => write!(f, "poll of {address} cannot succeed"),
            BuildError::NotRead(slot) => write!(f, "restore of operation {}, no read", slot.0),
        }
    }
}

impl std::error::Error for BuildError {}

/// Operations to execute in order under the bus lock, and what to restore at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    ops: Vec<Op>,
    restores: Vec<Restore>,
    transfers: u32,
}

impl Transaction {
    /// An empty transaction.
    pub fn new() -> Transaction {
        Transaction::default()
    }

    /// Adds a read.
    ///
    /// # Errors
    /// When a limit of this module is reached; the transaction is unchanged then.
    pub fn read(&mut self, at: Address) -> Result<Slot, BuildError> {
        self.push(Op::Read { at }, 1)
    }

    /// Adds a write.
    ///
    /// # Errors
    /// As [`Transaction::read`].
    pub fn write(&mut self, at: Address, value: u16) -> Result<Slot, BuildError> {
        self.push(Op::Write { at, value }, 1)
    }

    /// Adds the change of single bits: a read, then a write of `(value & !clear) | set`. The slot
    /// gives the value before the change.
    ///
    /// # Errors
    /// As [`Transaction::read`].
    pub fn modify(&mut self, at: Address, clear: u16, set: u16) -> Result<Slot, BuildError> {
        self.push(Op::Modify { at, clear, set }, 2)
    }

    /// Adds a poll of at most `tries` reads, one after the other without a pause.
    ///
    /// # Errors
    /// As [`Transaction::read`], and [`BuildError::HopelessPoll`].
    pub fn poll(
        &mut self,
        at: Address,
        mask: u16,
        equals: u16,
        tries: u16,
    ) -> Result<Slot, BuildError> {
        if tries == 0 || mask == 0 || equals & !mask != 0 {
            return Err(BuildError::HopelessPoll(at));
        }
        self.push(Op::Poll { at, mask, equals, tries }, tries)
    }

    /// Puts back at the end what the operation `slot` read.
    ///
    /// # Errors
    /// As [`Transaction::read`]; [`BuildError::NotRead`] if `slot` is a write.
    pub fn restore(&mut self, slot: Slot) -> Result<(), BuildError> {
        match self.ops.get(slot.0) {
            Some(Op::Read { at } | Op::Modify { at, .. } | Op::Poll { at, .. }) => {
                let at = *at;
                self.push_restore(Restore::Read { at, slot })
            }
            Some(Op::Write { .. }) | None => Err(BuildError::NotRead(slot)),
        }
    }

    /// Writes `value` at the end.
    ///
    /// # Errors
    /// As [`Transaction::read`].
    pub fn restore_value(&mut self, at: Address, value: u16) -> Result<(), BuildError> {
        self.push_restore(Restore::Value { at, value })
    }

    /// The operations, in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The restores, in order.
    pub fn restores(&self) -> &[Restore] {
        &self.restores
    }

    /// Operations and restores together.
    pub fn steps(&self) -> usize {
        self.ops.len().saturating_add(self.restores.len())
    }

    /// Whether it comes apart when somebody else uses the bus between its transfers. Only a lone
    /// read, write or poll does not: the reads of a poll do not depend on each other.
    pub fn needs_lock(&self) -> bool {
        self.steps() > 1 || matches!(self.ops.first(), Some(Op::Modify { .. }))
    }

    /// Transfers at worst.
    pub fn transfers(&self) -> u32 {
        self.transfers
    }

    fn push(&mut self, op: Op, transfers: u16) -> Result<Slot, BuildError> {
        self.account(transfers)?;
        self.ops.push(op);
        Ok(Slot(self.ops.len().saturating_sub(1)))
    }

    fn push_restore(&mut self, restore: Restore) -> Result<(), BuildError> {
        let is_read = |restore: &Restore| matches!(restore, Restore::Read { .. });
        let reads = self.restores.iter().filter(|restore| is_read(restore)).count();
        if is_read(&restore) && reads >= MAX_RESTORES {
            return Err(BuildError::TooManyRestores);
        }
        self.account(1)?;
        self.restores.push(restore);
        Ok(())
    }

    fn account(&mut self, transfers: u16) -> Result<(), BuildError> {
        if self.steps() >= MAX_STEPS {
            return Err(BuildError::TooManySteps);
        }
        let total = self.transfers.saturating_add(u32::from(transfers));
        if total > MAX_TRANSFERS {
            return Err(BuildError::TooManyTransfers);
        }
        self.transfers = total;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Address = Address::truncated(0x10, 2);

    #[test]
    fn steps_are_bounded_restores_included() {
        let mut transaction = Transaction::new();
        transaction.restore_value(AT, 0).unwrap();
        for index in 0..MAX_STEPS - 1 {
            assert_eq!(transaction.read(AT).unwrap().index(), index);
        }
        assert_eq!(transaction.read(AT), Err(BuildError::TooManySteps));
        assert_eq!(transaction.restore_value(AT, 0), Err(BuildError::TooManySteps));
        assert_eq!(transaction.steps(), MAX_STEPS);
    }

    #[test]
    fn tries_of_all_polls_are_bounded() {
        let mut transaction = Transaction::new();
        transaction.poll(AT, 1, 0, 2000).unwrap();
        assert_eq!(transaction.poll(AT, 1, 0, 49), Err(BuildError::TooManyTransfers));
        transaction.poll(AT, 1, 0, 48).unwrap();
        assert_eq!(transaction.write(AT, 0), Err(BuildError::TooManyTransfers));
        assert_eq!((transaction.ops().len(), transaction.transfers()), (2, MAX_TRANSFERS));
    }

    #[test]
    fn modify_is_two_transfers_that_belong_together() {
        let mut transaction = Transaction::new();
        transaction.read(AT).unwrap();
        assert!(!transaction.needs_lock());
        let mut transaction = Transaction::new();
        let slot = transaction.modify(AT, 1, 2).unwrap();
        assert_eq!((transaction.transfers(), transaction.steps()), (2, 1));
        assert!(transaction.needs_lock());
        transaction.restore(slot).unwrap();
        assert_eq!(transaction.restores(), [Restore::Read { at: AT, slot }]);
    }

    #[test]
    fn polls_that_cannot_end_are_refused() {
        let mut transaction = Transaction::new();
        for (mask, equals, tries) in [(1, 0, 0), (0, 0, 1), (1, 2, 1)] {
            assert_eq!(
                transaction.poll(AT, mask, equals, tries),
                Err(BuildError::HopelessPoll(AT))
            );
        }
        assert_eq!(transaction, Transaction::new());
    }

    #[test]
    fn only_reads_can_be_restored_and_few() {
        let mut transaction = Transaction::new();
        let write = transaction.write(AT, 1).unwrap();
        assert_eq!(transaction.restore(write), Err(BuildError::NotRead(write)));
        assert_eq!(transaction.restore(Slot(9)), Err(BuildError::NotRead(Slot(9))));
        let read = transaction.read(AT).unwrap();
        for _ in 0..MAX_RESTORES {
            transaction.restore(read).unwrap();
        }
        assert_eq!(transaction.restore(read), Err(BuildError::TooManyRestores));
        transaction.restore_value(AT, 7).unwrap();
    }
}
