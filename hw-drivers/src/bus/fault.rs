// SPDX-License-Identifier: GPL-2.0-or-later
//! A bus that misbehaves on order, for tests.
//!
//! To hit any single transfer it takes transactions apart and runs each transfer as a transaction
//! of its own on the inner bus. Locking is lost by that, so it never calls itself atomic; what
//! the inner bus refuses as a whole stays refused.

use super::execute::{execute, Transfer};
use super::{Bus, Error, Failure, Fault, Outcome, Transaction};
use std::fmt;

/// Faults waiting for their transfer; more than any test of one table operation needs.
pub const MAX_PLANNED: usize = 64;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The transfer does not take place and times out.
    TimeOut,
    /// If the transfer is a read of a poll, this poll never sees its value, however often it
    /// still reads; any other transfer passes unharmed.
    StuckBusy,
    /// One bit, chosen by the seed, is wrong in the value read or written.
    BitFlip,
}

/// There is no room for another planned fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyFaults;

impl fmt::Display for TooManyFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {MAX_PLANNED} faults planned")
    }
}

impl std::error::Error for TooManyFaults {}

/// A bus with planned faults.
#[derive(Debug, Clone)]
pub struct FaultBus<B> {
    inner: B,
    planned: Vec<(u32, Kind)>,
    transfers: u32,
    random: u32,
    stuck: bool,
}

impl<B: Bus> FaultBus<B> {
    /// Wraps `inner`. Equal seeds, plans and transactions give equal faults.
    pub fn new(inner: B, seed: u32) -> FaultBus<B> {
        // Zero is the one state that xorshift never leaves.
        FaultBus { inner, planned: Vec::new(), transfers: 0, random: seed.max(1), stuck: false }
    }

    /// Plans a fault for the transfer number `transfer`, counted from 0 since the start over all
    /// transactions; restores count too. Of two faults for one transfer the first counts.
    ///
    /// # Errors
    /// When [`MAX_PLANNED`] faults are planned.
    pub fn inject(&mut self, transfer: u32, kind: Kind) -> Result<(), TooManyFaults> {
        if self.planned.len() >= MAX_PLANNED {
            return Err(TooManyFaults);
        }
        self.planned.push((transfer, kind));
        Ok(())
    }

    /// Transfers asked for so far, those that timed out included.
    pub fn transfers(&self) -> u32 {
        self.transfers
    }

    /// The bus inside.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    fn transfer(&mut self, transfer: Transfer) -> Result<u16, Fault> {
        let number = self.transfers;
        self.transfers = number.wrapping_add(1);
        let kind = self.planned.iter().find(|(at, _)| *at == number).map(|(_, kind)| *kind);
        self.planned.retain(|(at, _)| *at != number);
        let flip = match kind {
            Some(Kind::TimeOut) => return Err(Fault::TimedOut),
            Some(Kind::BitFlip) => self.random_bit(),
            Some(Kind::StuckBusy) => {
                self.stuck = matches!(transfer, Transfer::Poll { .. });
                0
            }
            None => 0,
        };
        match transfer {
            Transfer::Write(at, value) => self.single(Transfer::Write(at, value ^ flip)),
            Transfer::Read(_) => Ok(self.single(transfer)? ^ flip),
            Transfer::Poll { mask, equals, .. } => {
                let value = self.single(transfer)? ^ flip;
                Ok(if self.stuck { value & !mask | !equals & mask } else { value })
            }
        }
    }

    /// One transfer on the inner bus. A read of a poll becomes a plain read.
    fn single(&mut self, transfer: Transfer) -> Result<u16, Fault> {
        let mut transaction = Transaction::new();
        let slot = match transfer {
            Transfer::Read(at) | Transfer::Poll { at, .. } => transaction.read(at),
            Transfer::Write(at, value) => transaction.write(at, value),
        };
        match (slot, self.inner.run(&transaction)) {
            (Ok(slot), Ok(outcome)) => outcome.get(slot).ok_or(Fault::Os(libc::EIO)),
            (_, Err(Error::Failed(Failure { fault, .. }))) => Err(fault),
            (_, Err(Error::NotRun(errno) | Error::Unknown(errno))) => Err(Fault::Os(errno)),
            // One transfer fits every limit and is refused by no bus.
            (Err(_), _) | (_, Err(Error::NotAtomic { .. })) => Err(Fault::Os(libc::EIO)),
        }
    }

    /// A word with one bit set (Marsaglia's 32-bit xorshift).
    fn random_bit(&mut self) -> u16 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        1 << (self.random & 15)
    }
}

impl<B: Bus> Bus for FaultBus<B> {
    /// False whatever is inside: transactions are taken apart.
    fn atomic(&self) -> bool {
        false
    }

    fn refuses(&self, transaction: &Transaction) -> bool {
        self.inner.refuses(transaction)
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        if self.refuses(transaction) {
            return Err(Error::NotAtomic { steps: transaction.steps() });
        }
        self.stuck = false;
        execute(transaction, |transfer| {
            // A stuck poll is the last operation of its transaction; only restores follow.
            if !matches!(transfer, Transfer::Poll { .. }) {
                self.stuck = false;
            }
            self.transfer(transfer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryBus;
    use super::super::mii::{MiiBus, Racing};
    use super::super::{Address, Step};
    use super::*;
    use proptest::prelude::*;

    const AT: Address = Address::truncated(3, 4);
    const BUSY: Address = Address::truncated(3, 5);

    fn sample() -> Transaction {
        let mut transaction = Transaction::new();
        transaction.write(AT, 0x5a5a).unwrap();
        transaction.read(AT).unwrap();
        transaction.poll(BUSY, 0x8000, 0, 4).unwrap();
        transaction.restore_value(AT, 1).unwrap();
        transaction
    }

    fn failure(result: Result<Outcome, Error>) -> Failure {
        match result {
            Err(Error::Failed(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_plan_no_fault_but_not_atomic() {
        let mut bus = FaultBus::new(MemoryBus::default(), 7);
        let outcome = bus.run(&sample()).unwrap();
        assert_eq!(outcome, MemoryBus::default().run(&sample()).unwrap());
        assert_eq!((bus.transfers(), bus.atomic()), (4, false));
    }

    #[test]
    fn timed_out_write_has_no_effect() {
        let mut bus = FaultBus::new(MemoryBus::default(), 7);
        bus.inject(0, Kind::TimeOut).unwrap();
        bus.inject(1, Kind::TimeOut).unwrap();
        let failure = failure(bus.run(&sample()));
        assert_eq!((failure.step, failure.address), (Step::Operation(0), AT));
        assert_eq!((failure.fault, failure.unrestored), (Fault::TimedOut, Some(Fault::TimedOut)));
        assert_eq!(bus.inner().peek(AT), 0);
    }

    /// Either transfer of a modify can be hit; a lost write leaves the register as it was, and
    /// a wrong bit in what was read is written back.
    #[test]
    fn modify_has_two_transfers_to_hit() {
        let run = |number, kind| {
            let mut inner = MemoryBus::default();
            inner.poke(AT, 0x00f0);
            let mut bus = FaultBus::new(inner, 7);
            bus.inject(number, kind).unwrap();
            let mut transaction = Transaction::new();
            transaction.modify(AT, 0x0010, 0x0001).unwrap();
            (bus.run(&transaction), bus.inner().peek(AT), bus.transfers())
        };
        for number in [0, 1] {
            let (result, kept, transfers) = run(number, Kind::TimeOut);
            assert_eq!(failure(result).step, Step::Operation(0));
            assert_eq!((kept, transfers), (0x00f0, number + 1));
        }
        let (result, kept, _) = run(0, Kind::BitFlip);
        let read = result.unwrap().done()[0].value;
        assert_eq!((read ^ 0x00f0).count_ones(), 1);
        assert_eq!(kept, read & !0x0010 | 0x0001);
        let (result, kept, _) = run(1, Kind::BitFlip);
        assert_eq!(result.unwrap().done()[0].value, 0x00f0);
        assert_eq!((kept ^ 0x00e1).count_ones(), 1);
        assert_eq!(run(2, Kind::TimeOut).1, 0x00e1);
    }

    #[test]
    fn stuck_poll_reads_to_its_end_and_only_once() {
        let mut bus = FaultBus::new(MemoryBus::default(), 7);
        bus.inject(2, Kind::StuckBusy).unwrap();
        let failure = failure(bus.run(&sample()));
        assert_eq!(failure.fault, Fault::Exhausted { tries: 4, last: 0x8000 });
        assert_eq!((bus.transfers(), bus.inner().peek(AT)), (7, 1));
    }

    #[test]
    fn next_transaction_is_not_stuck() {
        let mut bus = FaultBus::new(MemoryBus::default(), 7);
        bus.inject(0, Kind::StuckBusy).unwrap();
        let mut poll = Transaction::new();
        poll.poll(BUSY, 0x8000, 0, 2).unwrap();
        bus.run(&poll).unwrap_err();
        bus.run(&poll).unwrap();
    }

    #[test]
    fn what_the_inner_bus_refuses_stays_refused() {
        let mut bus = FaultBus::new(MiiBus::open("lo", Racing::Refused).unwrap(), 7);
        assert_eq!(bus.run(&sample()), Err(Error::NotAtomic { steps: 4 }));
        assert_eq!(bus.transfers(), 0);
    }

    #[test]
    fn plan_is_bounded() {
        let mut bus = FaultBus::new(MemoryBus::default(), 7);
        for number in 0..MAX_PLANNED as u32 {
            bus.inject(number, Kind::BitFlip).unwrap();
        }
        assert_eq!(bus.inject(99, Kind::BitFlip), Err(TooManyFaults));
        let mut write = Transaction::new();
        write.write(AT, 1).unwrap();
        bus.run(&write).unwrap();
        bus.inject(99, Kind::BitFlip).unwrap();
    }

    proptest! {
        /// A flip changes one bit of one transfer, the same one for the same seed.
        #[test]
        fn flips_one_bit(seed in any::<u32>(), number in 0u32..2) {
            let read = || {
                let mut bus = FaultBus::new(MemoryBus::default(), seed);
                bus.inject(number, Kind::BitFlip).unwrap();
                let mut transaction = Transaction::new();
                transaction.write(AT, 0x5a5a).unwrap();
                let slot = transaction.read(AT).unwrap();
                let value = bus.run(&transaction).unwrap().get(slot).unwrap();
                (value, bus.inner().peek(AT))
            };
            let (value, kept) = read();
            prop_assert_eq!((value ^ 0x5a5a).count_ones(), 1);
            prop_assert_eq!(kept == 0x5a5a, number == 1);
            prop_assert_eq!(read(), (value, kept));
        }
    }
}
