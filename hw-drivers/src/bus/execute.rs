// SPDX-License-Identifier: GPL-2.0-or-later
//! Executes a transaction one transfer at a time, for buses that have nothing better: the MII
//! ioctls, simulators and the fault injector. It holds no lock; who calls it knows whether anybody
//! else can get in between.

use super::{Address, Done, Error, Failure, Fault, Op, Outcome, Restore, Step, Transaction};

/// One 16-bit transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// A read whose value is wanted.
    Read(Address),
    /// A write.
    Write(Address, u16),
    /// One read of a poll; `mask` and `equals` say what ends it.
    Poll {
        /// The register.
        at: Address,
        /// Bits that count.
        mask: u16,
        /// What they must be.
        equals: u16,
    },
}

/// Executes `transaction` by means of `transfer`, which answers with the value read (the answer
/// to a write is not looked at).
///
/// # Errors
/// [`Error::Failed`] with the first step that failed. The restores have been tried all the same.
pub fn execute(
    transaction: &Transaction,
    mut transfer: impl FnMut(Transfer) -> Result<u16, Fault>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome { done: Vec::with_capacity(transaction.ops().len()) };
    let mut failure = None;
    for (index, op) in transaction.ops().iter().enumerate() {
        match operate(op, &mut transfer) {
            Ok(done) => outcome.done.push(done),
            Err(fault) => {
                let (step, address) = (Step::Operation(index), op.address());
                failure = Some(Failure { step, address, fault, unrestored: None });
                break;
            }
        }
    }
    for (index, restore) in transaction.restores().iter().enumerate() {
        let (address, value) = match *restore {
            Restore::Value { at, value } => (at, value),
            Restore::Read { at, slot } => match outcome.get(slot) {
                Some(value) => (at, value),
                None => continue,
            },
        };
        if let Err(fault) = transfer(Transfer::Write(address, value)) {
            let step = Step::Restore(index);
            failure
                .get_or_insert(Failure { step, address, fault, unrestored: None })
                .unrestored
                .get_or_insert(fault);
        }
    }
    match failure {
        Some(failure) => Err(Error::Failed(failure)),
        None => Ok(outcome),
    }
}

fn operate(
    op: &Op,
    transfer: &mut impl FnMut(Transfer) -> Result<u16, Fault>,
) -> Result<Done, Fault> {
    match *op {
        Op::Read { at } => Ok(Done { value: transfer(Transfer::Read(at))?, transfers: 1 }),
        Op::Write { at, value } => {
            transfer(Transfer::Write(at, value))?;
            Ok(Done { value, transfers: 1 })
        }
        Op::Modify { at, clear, set } => {
            let value = transfer(Transfer::Read(at))?;
            transfer(Transfer::Write(at, value & !clear | set))?;
            Ok(Done { value, transfers: 2 })
        }
        Op::Poll { at, mask, equals, tries } => {
            let mut last = 0;
            for transfers in 1..=tries {
                last = transfer(Transfer::Poll { at, mask, equals })?;
                if last & mask == equals {
                    return Ok(Done { value: last, transfers });
                }
            }
            Err(Fault::Exhausted { tries, last })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: Address = Address::truncated(0x18, 0);
    const AT: Address = Address::truncated(0x10, 1);

    /// Read the page, write, poll busy; the page is to be put back.
    fn sample() -> Transaction {
        let mut transaction = Transaction::new();
        let page = transaction.read(PAGE).unwrap();
        transaction.restore(page).unwrap();
        transaction.write(AT, 7).unwrap();
        transaction.poll(AT, 0x8000, 0, 3).unwrap();
        transaction
    }

    /// Runs the sample with the given faults and poll values; returns also the writes made.
    fn run(
        failing: &[usize],
        polled: &[u16],
    ) -> (Result<Outcome, Error>, Vec<(Address, u16)>, usize) {
        let (mut count, mut writes, mut polled) = (0, Vec::new(), polled.iter().copied());
        let result = execute(&sample(), |transfer| {
            count += 1;
            if failing.contains(&(count - 1)) {
                return Err(Fault::TimedOut);
            }
            Ok(match transfer {
                Transfer::Read(_) => 0x123,
                Transfer::Poll { .. } => polled.next().unwrap(),
                Transfer::Write(at, value) => {
                    writes.push((at, value));
                    0
                }
            })
        });
        (result, writes, count)
    }

    fn failure(result: Result<Outcome, Error>) -> Failure {
        match result {
            Err(Error::Failed(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn poll_stops_at_the_awaited_value() {
        let (result, writes, count) = run(&[], &[0x8001, 0x0001]);
        let outcome = result.unwrap();
        assert_eq!(outcome.done()[2], Done { value: 1, transfers: 2 });
        assert_eq!(writes, [(AT, 7), (PAGE, 0x123)]);
        assert_eq!(count, 5);
    }

    #[test]
    fn exhausted_poll_still_restores() {
        let (result, writes, _) = run(&[], &[0x8001, 0x8002, 0x8003]);
        let failure = failure(result);
        assert_eq!(failure.fault, Fault::Exhausted { tries: 3, last: 0x8003 });
        assert_eq!((failure.step, failure.address), (Step::Operation(2), AT));
        assert_eq!(failure.unrestored, None);
        assert_eq!(writes.last(), Some(&(PAGE, 0x123)));
    }

    #[test]
    fn nothing_read_nothing_restored() {
        let (result, writes, count) = run(&[0], &[]);
        assert_eq!(failure(result).step, Step::Operation(0));
        assert_eq!((writes.len(), count), (0, 1));
    }

    #[test]
    fn modify_gives_what_was_read() {
        for failing in [None, Some(0), Some(1)] {
            let mut transaction = Transaction::new();
            // A bit that is both cleared and set is set.
            let slot = transaction.modify(AT, 0x0ff0, 0x0810).unwrap();
            transaction.restore(slot).unwrap();
            let mut made = Vec::new();
            let result = execute(&transaction, |transfer| {
                made.push(transfer);
                if failing == Some(made.len() - 1) {
                    return Err(Fault::TimedOut);
                }
                Ok(0x1234)
            });
            let wire =
                [Transfer::Read(AT), Transfer::Write(AT, 0x1814), Transfer::Write(AT, 0x1234)];
            match failing {
                None => {
                    assert_eq!(result.unwrap().done(), [Done { value: 0x1234, transfers: 2 }]);
                    assert_eq!(made, wire);
                }
                Some(last) => {
                    assert_eq!(failure(result).step, Step::Operation(0));
                    assert_eq!(made, wire[..=last]);
                }
            }
        }
    }

    #[test]
    fn failed_restore_is_reported() {
        let lone = failure(run(&[3], &[0]).0);
        assert_eq!((lone.step, lone.unrestored), (Step::Restore(0), Some(Fault::TimedOut)));
        let second = failure(run(&[1, 2], &[]).0);
        assert_eq!((second.step, second.address), (Step::Operation(1), AT));
        assert_eq!(second.unrestored, Some(Fault::TimedOut));
    }

    proptest! {
        /// Whichever transfer fails, none but restores follow it, and the page comes back if it
        /// had been read and the restore itself did not fail.
        #[test]
        fn any_single_fault(failing in 0usize..6) {
            let (result, writes, count) = run(&[failing], &[0x8000, 0x8000, 0]);
            prop_assert!(result.is_err());
            prop_assert_eq!(writes.contains(&(PAGE, 0x123)), failing != 0 && failing != 5);
            prop_assert_eq!(count, match failing { 0 => 1, 5 => 6, n => n + 2 });
        }
    }
}
