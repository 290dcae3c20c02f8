// SPDX-License-Identifier: GPL-2.0-or-later
//! What can be done about races on a bus that is not atomic, such as the MII ioctls by force.
//!
//! A read is made until it gives the same twice: whoever came in between the first time would have
//! to do so again, in the same way. A write is read back and compared, which only tells that it
//! went wrong: it may have hit another register, and that one stays as it is. So writing by force
//! is for hours in which nobody minds.

use super::Address;
use super::{Bus, Error, Failure, Fault, Op, Outcome, Restore, Slot, Step, Transaction};

/// Runs of one transaction: twice a disturbed one and two that agree, and one more. The kernel's
/// driver asks its PHYs once a second, which is far longer than five runs take.
pub const MAX_RUNS: usize = 5;

/// A bus on which reading is repeated until it is believed.
#[derive(Debug)]
pub struct RepeatBus<B> {
    inner: B,
    selectors: Vec<Address>,
}

impl<B: Bus> RepeatBus<B> {
    /// Wraps `inner`. `selectors` are the registers that only choose what others show, as the
    /// page register of a switch does: writing them again does no harm, and what they held before
    /// may have changed in between.
    pub fn new(inner: B, selectors: Vec<Address>) -> RepeatBus<B> {
        RepeatBus { inner, selectors }
    }

    /// The bus inside.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    fn selects(&self, at: Address) -> bool {
        self.selectors.contains(&at)
    }

    /// Whether the transaction writes nothing but selectors.
    fn only_reads(&self, transaction: &Transaction) -> bool {
        let op = |op: &Op| match *op {
            Op::Read { .. } | Op::Poll { .. } => true,
            Op::Write { at, .. } | Op::Modify { at, .. } => self.selects(at),
        };
        let restore = |restore: &Restore| self.selects(restore.address());
        transaction.ops().iter().all(op) && transaction.restores().iter().all(restore)
    }

    /// The first operation that has given two different values.
    fn difference(
        &self,
        transaction: &Transaction,
        before: &Outcome,
        now: &Outcome,
    ) -> Option<Failure> {
        let pairs = before.done().iter().zip(now.done());
        transaction.ops().iter().zip(pairs).enumerate().find_map(|(index, (op, (before, now)))| {
            let differs = before.value != now.value && !self.selects(op.address());
            differs.then(|| different(index, op.address(), before.value, now.value))
        })
    }
}

fn different(index: usize, address: Address, expected: u16, found: u16) -> Failure {
    let fault = Fault::Differs { expected, found };
    Failure { step: Step::Operation(index), address, fault, unrestored: None }
}

impl<B: Bus> Bus for RepeatBus<B> {
    fn atomic(&self) -> bool {
        self.inner.atomic()
    }

    fn refuses(&self, transaction: &Transaction) -> bool {
        self.inner.refuses(transaction)
    }

    /// Repeats what only reads. On an atomic bus nothing is repeated, and nor is what writes.
    ///
    /// # Errors
    /// As [`Bus::run`]; [`Fault::Differs`] when no two runs in a row have agreed.
    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        let mut before = self.inner.run(transaction)?;
        if self.inner.atomic() || !self.only_reads(transaction) {
            return Ok(before);
        }
        let mut failure = None;
        for _ in 1..MAX_RUNS {
            let now = self.inner.run(transaction)?;
            failure = self.difference(transaction, &before, &now);
            if failure.is_none() {
                return Ok(now);
            }
            before = now;
        }
        failure.map_or(Ok(before), |failure| Err(Error::Failed(failure)))
    }
}

/// Runs `write`, then `read_back`, and compares what the slots of `read_back` give with what they
/// have to. `read_back` chooses the page anew, so that a page moved by others is noticed.
///
/// # Errors
/// As [`Bus::run`]; [`Fault::Differs`] for the first slot with another value.
pub fn write_compared<B: Bus>(
    bus: &mut B,
    write: &Transaction,
    read_back: &Transaction,
    expected: &[(Slot, u16)],
) -> Result<(), Error> {
    bus.run(write)?;
    let outcome = bus.run(read_back)?;
    for (slot, expected) in expected {
        let index = slot.index();
        if let (Some(found), Some(op)) = (outcome.get(*slot), read_back.ops().get(index)) {
            if found != *expected {
                return Err(Error::Failed(different(index, op.address(), *expected, found)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::execute::{execute, Transfer};
    use super::super::mii::{MiiBus, Racing};
    use super::*;
    use proptest::prelude::*;

    const PAGE: Address = Address::truncated(0x18, 0);
    const WINDOW: Address = Address::truncated(0x10, 0);
    const NEXT: Address = Address::truncated(0x10, 1);

    /// Four pages of two registers, and somebody who sets page 3 before some transfers. A read of
    /// page 3 shows its own content.
    #[derive(Default)]
    struct Paged {
        page: u16,
        registers: [[u16; 2]; 4],
        transfers: usize,
        foreign: Vec<usize>,
        runs: usize,
        alone: bool,
    }

    impl Bus for Paged {
        fn atomic(&self) -> bool {
            self.alone
        }

        fn refuses(&self, _: &Transaction) -> bool {
            false
        }

        fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
            self.runs += 1;
            execute(transaction, |transfer| {
                if self.foreign.contains(&self.transfers) {
                    self.page = 3;
                }
                self.transfers += 1;
                let page = usize::from(self.page);
                Ok(match transfer {
                    Transfer::Write(PAGE, page) => {
                        self.page = page;
                        0
                    }
                    Transfer::Read(PAGE) => self.page,
                    Transfer::Read(at) | Transfer::Poll { at, .. } => {
                        self.registers[page][usize::from(at.register())]
                    }
                    Transfer::Write(at, value) => {
                        self.registers[page][usize::from(at.register())] = value;
                        0
                    }
                })
            })
        }
    }

    fn chip(foreign: &[usize]) -> Paged {
        let registers = [[0, 1], [0x1111, 0x2222], [4, 5], [6, 7]];
        Paged { registers, foreign: foreign.to_vec(), ..Paged::default() }
    }

    /// Both registers of page 1, the page put back.
    fn reading() -> (Transaction, [Slot; 2]) {
        let mut transaction = Transaction::new();
        let page = transaction.read(PAGE).unwrap();
        transaction.restore(page).unwrap();
        transaction.write(PAGE, 1).unwrap();
        let slots = [WINDOW, NEXT].map(|at| transaction.read(at).unwrap());
        (transaction, slots)
    }

    fn differs(result: Result<Outcome, Error>) -> (Step, Fault) {
        match result {
            Err(Error::Failed(failure)) => (failure.step, failure.fault),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_runs_if_nobody_disturbs_and_one_if_nobody_can() {
        for (alone, runs) in [(false, 2), (true, 1)] {
            let mut bus = RepeatBus::new(Paged { alone, ..chip(&[]) }, vec![PAGE]);
            bus.run(&reading().0).unwrap();
            assert_eq!((bus.inner().runs, bus.atomic()), (runs, alone));
        }
    }

    /// Between two runs the kernel's driver may move the page: that disturbs neither.
    #[test]
    fn another_page_between_runs_is_no_difference() {
        let mut bus = RepeatBus::new(chip(&[5]), vec![PAGE]);
        bus.run(&reading().0).unwrap();
        assert_eq!((bus.inner().runs, bus.inner().page), (2, 3));
    }

    #[test]
    fn endless_disturbance_is_an_error() {
        // Before the first data read of every second run.
        let mut bus = RepeatBus::new(chip(&[2, 12, 22]), vec![PAGE]);
        let found = differs(bus.run(&reading().0));
        let fault = Fault::Differs { expected: 0x1111, found: 6 };
        assert_eq!((found, bus.inner().runs), ((Step::Operation(2), fault), MAX_RUNS));
    }

    #[test]
    fn what_writes_is_not_repeated() {
        let (mut transaction, _) = reading();
        transaction.write(WINDOW, 9).unwrap();
        let mut restoring = reading().0;
        restoring.restore_value(WINDOW, 9).unwrap();
        let mut modifying = reading().0;
        modifying.modify(WINDOW, 0, 1).unwrap();
        for transaction in [transaction, restoring, modifying] {
            let mut bus = RepeatBus::new(chip(&[]), vec![PAGE]);
            bus.run(&transaction).unwrap();
            assert_eq!(bus.inner().runs, 1);
        }
    }

    #[test]
    fn what_is_refused_inside_is_refused() {
        let inner = MiiBus::open("lo", Racing::Refused).unwrap();
        let mut bus = RepeatBus::new(inner, vec![PAGE]);
        assert_eq!(bus.run(&reading().0), Err(Error::NotAtomic { steps: 5 }));
    }

    #[test]
    fn a_write_that_went_elsewhere_is_noticed() {
        for foreign in [None, Some(1)] {
            let mut bus = chip(&foreign.into_iter().collect::<Vec<_>>());
            let mut write = Transaction::new();
            write.write(PAGE, 1).unwrap();
            write.write(WINDOW, 0xabcd).unwrap();
            let (read_back, [slot, other]) = reading();
            let expected = [(other, 0x2222), (slot, 0xabcd)];
            let result = write_compared(&mut bus, &write, &read_back, &expected);
            match foreign {
                None => assert_eq!(result, Ok(())),
                Some(_) => {
                    let fault = Fault::Differs { expected: 0xabcd, found: 0x1111 };
                    let found = result.map(|()| Outcome::default());
                    assert_eq!(differs(found), (Step::Operation(2), fault));
                    assert_eq!(bus.registers[3][0], 0xabcd, "the register it hit");
                }
            }
        }
    }

    proptest! {
        /// One disturbance, at whatever transfer, does not change what is read.
        #[test]
        fn one_disturbance_is_seen_through(number in 0usize..25) {
            let mut bus = RepeatBus::new(chip(&[number]), vec![PAGE]);
            let (transaction, [low, high]) = reading();
            let outcome = bus.run(&transaction).unwrap();
            prop_assert_eq!([outcome.get(low), outcome.get(high)], [Some(0x1111), Some(0x2222)]);
            prop_assert!(bus.inner().runs <= 4);
        }
    }
}
