// SPDX-License-Identifier: GPL-2.0-or-later
//! A bus that remembers what went over the bus inside it.
//!
//! It hands each transaction on whole, so it changes neither locking nor timing on the wire and
//! can wrap a real bus. What the inner bus does not tell stays unknown: after a failure the values
//! read before it, and whether single restores were made.

use super::{Bus, Done, Error, Fault, Op, Outcome, Restore, Step, Transaction};
use std::collections::VecDeque;

/// Records kept: the last few dozen table operations of about 30 steps, in 56 kB at most.
/// The oldest goes first.
pub const MAX_RECORDS: usize = 1024;

/// What is known of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It gave this.
    Done(Done),
    /// The inner bus has kept to itself what it gave, or whether it was made at all.
    Unknown,
    /// It failed.
    Failed(Fault),
}

/// One step of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Number of the transaction since the start, from 0, wrapping.
    pub transaction: u32,
    /// Place in it.
    pub step: Step,
    /// What was asked; a restore is a write, of an unknown value if its read is unknown.
    pub asked: Asked,
    /// What came of it.
    pub ended: Ended,
}

/// What a recorded step was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// An operation.
    Op(Op),
    /// A restore.
    Restore(Restore),
}

/// A bus with a record of its last transfers.
#[derive(Debug)]
pub struct TraceBus<B> {
    inner: B,
    records: VecDeque<Record>,
    transactions: u32,
    transfers: u32,
    dropped: u32,
}

impl<B: Bus> TraceBus<B> {
    /// Wraps `inner`.
    pub fn new(inner: B) -> TraceBus<B> {
        TraceBus { inner, records: VecDeque::new(), transactions: 0, transfers: 0, dropped: 0 }
    }

    /// The last [`MAX_RECORDS`] records, oldest first.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.records.iter()
    }

    /// Records that made room for newer ones, saturating.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Transfers of all transactions that went well, saturating. Those of failed ones are unknown.
    pub fn transfers(&self) -> u32 {
        self.transfers
    }

    /// The bus inside.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// The bus inside, for changes behind the trace's back.
    pub fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    fn record(&mut self, step: Step, asked: Asked, ended: Ended) {
        if self.records.len() >= MAX_RECORDS {
            self.records.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        let transaction = self.transactions;
        self.records.push_back(Record { transaction, step, asked, ended });
    }

    fn record_success(&mut self, transaction: &Transaction, outcome: &Outcome) {
        for (index, (op, done)) in transaction.ops().iter().zip(outcome.done()).enumerate() {
            self.transfers = self.transfers.saturating_add(u32::from(done.transfers));
            self.record(Step::Operation(index), Asked::Op(*op), Ended::Done(*done));
        }
        for (index, restore) in transaction.restores().iter().enumerate() {
            let value = match *restore {
                Restore::Value { value, .. } => Some(value),
                Restore::Read { slot, .. } => outcome.get(slot),
            };
            self.transfers = self.transfers.saturating_add(1);
            let ended =
                value.map_or(Ended::Unknown, |value| Ended::Done(Done { value, transfers: 1 }));
            self.record(Step::Restore(index), Asked::Restore(*restore), ended);
        }
    }

    /// Records every step of a transaction of which nothing is known.
    fn record_unknown(&mut self, transaction: &Transaction) {
        for (index, op) in transaction.ops().iter().enumerate() {
            self.record(Step::Operation(index), Asked::Op(*op), Ended::Unknown);
        }
        for (index, restore) in transaction.restores().iter().enumerate() {
            self.record(Step::Restore(index), Asked::Restore(*restore), Ended::Unknown);
        }
    }

    /// Records what came before the failing step, which was made, and the step itself. Of the
    /// restores after a failed operation it is not known which were made.
    fn record_failure(&mut self, transaction: &Transaction, failed: Step, fault: Fault) {
        for (index, op) in transaction.ops().iter().enumerate() {
            let step = Step::Operation(index);
            if step == failed {
                return self.record(step, Asked::Op(*op), Ended::Failed(fault));
            }
            self.record(step, Asked::Op(*op), Ended::Unknown);
        }
        for (index, restore) in transaction.restores().iter().enumerate() {
            let step = Step::Restore(index);
            if step == failed {
                return self.record(step, Asked::Restore(*restore), Ended::Failed(fault));
            }
            self.record(step, Asked::Restore(*restore), Ended::Unknown);
        }
    }
}

impl<B: Bus> Bus for TraceBus<B> {
    fn atomic(&self) -> bool {
        self.inner.atomic()
    }

    fn refuses(&self, transaction: &Transaction) -> bool {
        self.inner.refuses(transaction)
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        let result = self.inner.run(transaction);
        match &result {
            Ok(outcome) => self.record_success(transaction, outcome),
            Err(Error::Failed(failure)) => {
                self.record_failure(transaction, failure.step, failure.fault);
            }
            Err(Error::Unknown(_)) => self.record_unknown(transaction),
            // Nothing has reached the bus.
            Err(Error::NotAtomic { .. } | Error::NotRun(_)) => return result,
        }
        self.transactions = self.transactions.wrapping_add(1);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::{FaultBus, Kind};
    use super::super::memory::MemoryBus;
    use super::super::mii::{MiiBus, Racing};
    use super::super::Address;
    use super::*;

    const AT: Address = Address::truncated(3, 4);

    fn sample() -> Transaction {
        let mut transaction = Transaction::new();
        let read = transaction.read(AT).unwrap();
        transaction.restore(read).unwrap();
        transaction.write(AT, 9).unwrap();
        transaction
    }

    #[test]
    fn records_values_and_restores() {
        let mut bus = TraceBus::new(MemoryBus::default());
        bus.inner_mut().poke(AT, 5);
        bus.run(&sample()).unwrap();
        let ended: Vec<_> = bus.records().map(|record| record.ended).collect();
        let done = |value| Ended::Done(Done { value, transfers: 1 });
        assert_eq!(ended, [done(5), done(9), done(5)]);
        assert_eq!((bus.transfers(), bus.inner().peek(AT)), (3, 5));
    }

    #[test]
    fn says_unknown_before_a_failure() {
        let mut inner = FaultBus::new(MemoryBus::default(), 1);
        inner.inject(1, Kind::TimeOut).unwrap();
        let mut bus = TraceBus::new(inner);
        bus.run(&sample()).unwrap_err();
        let ended: Vec<_> = bus.records().map(|record| record.ended).collect();
        assert_eq!(ended, [Ended::Unknown, Ended::Failed(Fault::TimedOut)]);
        assert_eq!(bus.transfers(), 0);
    }

    #[test]
    fn names_the_restore_that_failed() {
        let mut inner = FaultBus::new(MemoryBus::default(), 1);
        inner.inject(2, Kind::TimeOut).unwrap();
        let mut bus = TraceBus::new(inner);
        bus.run(&sample()).unwrap_err();
        let last = bus.records().last().unwrap();
        assert_eq!(last.step, Step::Restore(0));
        assert_eq!((bus.records().len(), last.ended), (3, Ended::Failed(Fault::TimedOut)));
    }

    /// What is refused does not count; the transaction after it has number 0.
    #[test]
    fn refused_is_not_recorded() {
        let mut bus = TraceBus::new(MiiBus::open("lo", Racing::Refused).unwrap());
        assert_eq!(bus.run(&sample()), Err(Error::NotAtomic { steps: 3 }));
        assert_eq!(bus.records().len(), 0);
        let mut read = Transaction::new();
        read.read(AT).unwrap();
        bus.run(&read).unwrap_err();
        assert_eq!(bus.records().map(|record| record.transaction).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn modify_is_one_record_of_two_transfers() {
        let mut bus = TraceBus::new(MemoryBus::default());
        bus.inner_mut().poke(AT, 0x30);
        let mut transaction = Transaction::new();
        transaction.modify(AT, 0x10, 1).unwrap();
        bus.run(&transaction).unwrap();
        let op = Asked::Op(Op::Modify { at: AT, clear: 0x10, set: 1 });
        let done = Ended::Done(Done { value: 0x30, transfers: 2 });
        let last = bus.records().last().unwrap();
        assert_eq!((last.asked, last.ended), (op, done));
        assert_eq!((bus.transfers(), bus.inner().peek(AT)), (2, 0x21));
    }

    /// A bus whose way is closed, or whose answer is lost.
    struct Broken(Error);

    impl Bus for Broken {
        fn atomic(&self) -> bool {
            true
        }

        fn refuses(&self, _: &Transaction) -> bool {
            false
        }

        fn run(&mut self, _: &Transaction) -> Result<Outcome, Error> {
            Err(self.0)
        }
    }

    #[test]
    fn a_lost_answer_leaves_every_step_unknown() {
        let mut bus = TraceBus::new(Broken(Error::NotRun(libc::EPERM)));
        assert_eq!(bus.run(&sample()), Err(Error::NotRun(libc::EPERM)));
        assert_eq!(bus.records().len(), 0);
        let mut bus = TraceBus::new(Broken(Error::Unknown(libc::ENOBUFS)));
        bus.run(&sample()).unwrap_err();
        let ended: Vec<_> = bus.records().map(|record| record.ended).collect();
        assert_eq!(ended, [Ended::Unknown; 3]);
    }

    #[test]
    fn memory_is_bounded() {
        // Also the figure that the limit's reason names.
        assert!(std::mem::size_of::<Record>() * MAX_RECORDS <= 56 * 1024);
        let mut bus = TraceBus::new(MemoryBus::default());
        for _ in 0..400 {
            bus.run(&sample()).unwrap();
        }
        assert_eq!((bus.records().len(), bus.dropped()), (MAX_RECORDS, 1200 - 1024));
        assert_eq!(bus.records().last().unwrap().transaction, 399);
    }
}
