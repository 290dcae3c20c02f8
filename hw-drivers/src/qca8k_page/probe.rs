// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether the page register of a chip can be read back, which no public source tells.
//!
//! The probe writes the page. If it cannot be read, then nobody knows what to put back, and the
//! page that was in force is lost: so not while a driver in the kernel relies on it, unless a
//! [`Watch`] has seen the page follow that driver ([`super::kernel`] decides).

use super::{Place, Settle, PAGE, PAGE_BITS};
use crate::bus::transaction::BuildError;
use crate::bus::{Bus, Error, Failure, Fault, Outcome, Slot, Step, Transaction};

/// Two pages with no bit in common and none left out, so that no register that is stuck, ignores
/// writes or lacks a bit gives both.
const PATTERNS: [u16; 2] = [0x155, 0x2aa];

/// What the chip does with reads of its page register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// It gives the page. The page in force is as before.
    Readable,
    /// It gives what cannot be a page. Nothing was written.
    NoPage(u16),
    /// It gives something else than was written. The page in force is not known now.
    Stuck {
        /// The page written.
        written: u16,
        /// What was read then.
        read: u16,
    },
}

/// The probe: one transaction that reads the page, writes two others, each time reading it again,
/// and puts back what it has read at first.
///
/// # Errors
/// [`BuildError`] if the settling reads are too many.
pub fn transaction(settle: Settle) -> Result<Transaction, BuildError> {
    let mut transaction = Transaction::new();
    // A poll of one read is a read that fails on a value that cannot be a page.
    let saved = transaction.poll(PAGE, !PAGE_BITS, 0, 1)?;
    transaction.restore(saved)?;
    for page in PATTERNS {
        transaction.write(PAGE, page)?;
        for _ in 0..settle.reads {
            transaction.read(settle.at)?;
        }
        // No read but a poll, so that the first wrong value ends it.
        transaction.poll(PAGE, u16::MAX, page, 1)?;
    }
    Ok(transaction)
}

/// Runs the [`transaction`] and says what it has shown.
///
/// # Errors
/// As [`Bus::run`]: a bus that is not atomic refuses, as the kernel could move the page meanwhile.
pub fn read_back<B: Bus>(bus: &mut B, transaction: &Transaction) -> Result<ReadBack, Error> {
    match bus.run(transaction) {
        Ok(_) => Ok(ReadBack::Readable),
        Err(Error::Failed(Failure {
            step: Step::Operation(index),
            fault: Fault::Exhausted { last, .. },
            unrestored: None,
            ..
        })) => Ok(match transaction.ops().get(index) {
            Some(crate::bus::Op::Poll { equals, .. }) if index > 0 => {
                ReadBack::Stuck { written: *equals, read: last }
            }
            _ => ReadBack::NoPage(last),
        }),
        Err(error) => Err(error),
    }
}

/// Register 0: bits 15:8 name the chip, 0x13 for QCA8337, 0x12 for AR8327 and QCA8327 (Linux
/// `drivers/net/dsa/qca/qca8k.h`).
const IDENTITY: u32 = 0;

/// Watching the page while the kernel's driver moves it, which does no harm: the window shows the
/// chip's identity only in page 0, so it tells whether the page that is read is the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    id: u8,
    home: bool,
    away: bool,
    wrong: bool,
}

impl Watch {
    /// For a chip that names itself `id` in bits 15:8 of register 0.
    pub const fn new(id: u8) -> Watch {
        Watch { id, home: false, away: false, wrong: false }
    }

    /// A look at the page and at the place of the identity, whatever shows there.
    ///
    /// # Errors
    /// None in practice; two reads are within every limit.
    pub fn transaction() -> Result<(Transaction, [Slot; 2]), super::Error> {
        let mut transaction = Transaction::new();
        let place = Place::of(IDENTITY)?;
        let slots = [transaction.read(PAGE)?, transaction.read(place.low)?];
        Ok((transaction, slots))
    }

    /// Takes account of one look.
    pub fn observe(&mut self, outcome: &Outcome, [page, shown]: [Slot; 2]) {
        let (Some(page), Some(shown)) = (outcome.get(page), outcome.get(shown)) else { return };
        let identity = shown >> 8 == u16::from(self.id);
        match page {
            0 => {
                self.home |= identity;
                self.wrong |= !identity;
            }
            // What shows in another page may look like the identity by chance.
            1..=PAGE_BITS => self.away |= !identity,
            _ => self.wrong = true,
        }
    }

    /// Whether the page was seen to be right in page 0 and in another one, and never wrong.
    pub const fn follows(&self) -> bool {
        self.home && self.away && !self.wrong
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Chip;
    use super::*;
    use crate::bus::execute::{execute, Transfer};
    use crate::bus::fault::{FaultBus, Kind};
    use crate::bus::mii::{MiiBus, Racing};
    use crate::bus::Address;

    fn probe(bus: &mut impl Bus) -> Result<ReadBack, Error> {
        let settle = Settle { reads: 1, at: Address::truncated(0, 2) };
        read_back(bus, &transaction(settle).unwrap())
    }

    /// A register that gives the same whatever is written, or lacks bits.
    struct Odd {
        fixed: Option<u16>,
        bits: u16,
        page: u16,
    }

    impl Bus for Odd {
        fn atomic(&self) -> bool {
            true
        }

        fn refuses(&self, _: &Transaction) -> bool {
            false
        }

        fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
            execute(transaction, |transfer| {
                if let Transfer::Write(PAGE, page) = transfer {
                    self.page = page & self.bits;
                }
                Ok(self.fixed.unwrap_or(self.page))
            })
        }
    }

    #[test]
    fn readable_page_is_as_before() {
        for page in [0, 7, 0x155, 0x2aa, 0x3ff] {
            let mut chip = Chip { page, ..Chip::default() };
            assert_eq!(probe(&mut chip), Ok(ReadBack::Readable));
            assert_eq!(chip.page, page);
        }
    }

    #[test]
    fn nothing_is_written_over_what_cannot_be_a_page() {
        let mut chip = Chip { page: 0x123, page_hidden: true, ..Chip::default() };
        assert_eq!(probe(&mut chip), Ok(ReadBack::NoPage(0xffff)));
        assert_eq!((chip.page, chip.log.len()), (0x123, 1));
    }

    #[test]
    fn stuck_values_are_no_page_even_if_they_are_a_pattern() {
        for (value, written) in [(0, 0x155), (0x155, 0x2aa), (0x2aa, 0x155)] {
            let mut odd = Odd { fixed: Some(value), bits: 0x3ff, page: 0 };
            let stuck = ReadBack::Stuck { written, read: value };
            assert_eq!(probe(&mut odd), Ok(stuck), "{value:#x}");
        }
        for bit in 0..10 {
            let mut odd = Odd { fixed: None, bits: 0x3ff & !(1 << bit), page: 0 };
            assert!(matches!(probe(&mut odd), Ok(ReadBack::Stuck { .. })), "bit {bit}");
        }
    }

    /// A bus error is no answer of the chip, nor is a page that could not be put back.
    #[test]
    fn faults_of_the_bus_are_errors() {
        for number in 0..8 {
            let mut bus = FaultBus::new(Chip { page: 0x123, ..Chip::default() }, 1);
            bus.inject(number, Kind::TimeOut).unwrap();
            assert!(matches!(probe(&mut bus), Err(Error::Failed(_))), "{number}");
            assert_eq!(bus.inner().page == 0x123, number < 7, "{number}");
        }
        let mut stuck = FaultBus::new(Odd { fixed: Some(0), bits: 0x3ff, page: 0 }, 1);
        stuck.inject(4, Kind::TimeOut).unwrap();
        assert!(matches!(probe(&mut stuck), Err(Error::Failed(_))));
    }

    /// Looks at a chip in these pages; `given` is what its page register gives instead of them.
    fn watch(pages: &[u16], given: Option<&[u16]>) -> bool {
        let mut watch = Watch::new(0x13);
        let (transaction, slots) = Watch::transaction().unwrap();
        for (index, page) in pages.iter().enumerate() {
            let mut chip = Chip { page: *page, ..Chip::default() };
            chip.registers.insert(0x0000, 0x1302);
            // Page 9 shows something that looks like the identity.
            chip.registers.insert(0x1200, 0x1399);
            let mut outcome = chip.run(&transaction).unwrap();
            if let Some(given) = given {
                outcome.done[0].value = given[index];
            }
            watch.observe(&outcome, slots);
            assert_eq!(chip.page, *page);
        }
        watch.follows()
    }

    #[test]
    fn a_page_that_is_readable_follows_the_kernel() {
        assert!(watch(&[0, 8], None));
        assert!(watch(&[9, 8, 0], None));
        for pages in [&[][..], &[0, 0], &[8, 0x155], &[0, 9]] {
            assert!(!watch(pages, None), "{pages:?} show nothing yet");
        }
    }

    #[test]
    fn a_page_that_is_not_readable_does_not() {
        for value in [0, 1, 0x3ff, 0x400, 0xffff] {
            assert!(!watch(&[0, 8, 0, 7], Some(&[value; 4])), "{value:#x}");
        }
        assert!(watch(&[0, 8, 7], Some(&[0, 8, 7])));
        assert!(!watch(&[0, 8, 7], Some(&[0, 8, 0])), "once wrong");
        assert!(!watch(&[0, 8, 7], Some(&[0, 8, 0x400])), "once no page");
    }

    #[test]
    fn only_under_the_lock() {
        let mut bus = MiiBus::open("lo", Racing::Refused).unwrap();
        assert_eq!(probe(&mut bus), Err(Error::NotAtomic { steps: 8 }));
    }
}
