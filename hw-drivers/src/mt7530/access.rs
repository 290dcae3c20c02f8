// SPDX-License-Identifier: GPL-2.0-or-later
//! 32-bit registers of the MT7530 through 16-bit MDIO, as a pure translation into a [`Transaction`].
//!
//! The switch is one MDIO device. Its register 0x1f chooses a page of 16 registers; their low halves
//! are at 0 to 0xf, and the high half of the one accessed last is at 0x10. The low half goes first:
//! a write takes effect with its high half, and a read of the low half is taken to hold the high
//! one until it is read (UNVERIFIED), so nothing here depends on how often 0x10 is read. Linux'
//! driver writes the page for each access, so a page left behind does no harm.

use crate::bus::transaction::BuildError;
use crate::bus::{Address, Outcome, Slot32, Transaction};
use crate::table;
use std::fmt;

/// MDIO address of the switch.
const SWITCH: u32 = 0x1f;

/// Chooses the page.
const PAGE: Address = Address::truncated(SWITCH, 0x1f);

/// The high half of the register accessed last.
const HIGH: Address = Address::truncated(SWITCH, 0x10);

/// End of the registers that a page can reach.
const REGISTER_END: u32 = 0x1_0000;

/// Where the low half of a register lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Value of the page register, 10 bits.
    pub page: u16,
    /// Bits 15:0.
    pub low: Address,
}

impl Place {
    /// The place of the register at byte address `register`.
    ///
    /// # Errors
    /// [`Error::Register`] if it is no multiple of 4 or not below 0x10000.
    pub fn of(register: u32) -> Result<Place, Error> {
        if !register.is_multiple_of(4) || register >= REGISTER_END {
            return Err(Error::Register(register));
        }
        let page = u16::try_from(register >> 6).map_err(|_| Error::Register(register))?;
        Ok(Place { page, low: Address::truncated(SWITCH, register >> 2 & 0xf) })
    }
}

/// Why an access cannot be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// No multiple of 4, or not below 0x10000.
    Register(u32),
    /// A poll looks at bits of the wrong half: a high half does not change while it is polled,
    /// and there is nothing to wait for in a low half by reading it in pairs.
    Half {
        /// The register to poll.
        register: u32,
        /// Bits that count.
        mask: u32,
    },
    /// Registers of one page are to be put back at the end, so that page cannot be left.
    PageKept {
        /// The register of another page.
        register: u32,
    },
    /// The transaction is full, or the poll hopeless.
    Build(BuildError),
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Error {
        Error::Build(error)
    }
}

impl From<Error> for table::Error {
    fn from(_: Error) -> table::Error {
        table::Error::Driver("an MT7530 access that no transaction can hold")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Register(register) => write!(f, "{register:#06x} is no register address"),
            Error::Half { register, mask } => {
                write!(f, "polling {register:#06x} for {mask:#010x}: bits of the wrong half")
            }
            Error::PageKept { register } => {
                write!(f, "{register:#06x} is on another page than what is to be restored")
            }
            Error::Build(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl Slot32 {
    /// The value as the driver needs it; an error of the driver.
    pub(super) fn get(self, outcome: &Outcome) -> Result<u32, table::Error> {
        self.value(outcome).ok_or(table::Error::Driver("an MT7530 transaction lost a value"))
    }
}

/// 32-bit accesses that become one transaction. The page is written only where it changes.
///
/// After an error the translation is not to be used further: the access may be in it by half.
#[derive(Debug, Default)]
pub struct Translation {
    transaction: Transaction,
    page: Option<u16>,
    kept: bool,
}

impl Translation {
    /// An empty one.
    pub fn new() -> Translation {
        Translation::default()
    }

    /// Reads a register: low half, high half.
    ///
    /// # Errors
    /// [`Error::Register`], [`Error::PageKept`]; [`Error::Build`] when the transaction is full.
    pub fn read(&mut self, register: u32) -> Result<Slot32, Error> {
        let place = self.select(register)?;
        let low = self.transaction.read(place.low)?;
        let high = self.transaction.read(HIGH)?;
        Ok(Slot32 { low, high })
    }

    /// Reads a register and puts the value back at the end, also when an operation after this has
    /// failed. From here on all registers have to be of its page.
    ///
    /// # Errors
    /// As [`Translation::read`].
    pub fn save(&mut self, register: u32) -> Result<Slot32, Error> {
        let slot = self.read(register)?;
        if !self.kept {
            // After an error of the bus others can get in before the restores and move the page.
            let Place { page, .. } = Place::of(register)?;
            self.transaction.restore_value(PAGE, page)?;
        }
        self.transaction.restore(slot.low)?;
        self.transaction.restore(slot.high)?;
        self.kept = true;
        Ok(slot)
    }

    /// Writes a register: low half, high half.
    ///
    /// # Errors
    /// As [`Translation::read`].
    pub fn write(&mut self, register: u32, value: u32) -> Result<(), Error> {
        let place = self.select(register)?;
        let [high, low] = halves(value);
        self.transaction.write(place.low, low)?;
        self.transaction.write(HIGH, high)?;
        Ok(())
    }

    /// Changes single bits of a register that others change too: `(value & !clear) | set`. The slot
    /// gives the value before.
    ///
    /// # Errors
    /// As [`Translation::read`].
    pub fn modify(&mut self, register: u32, clear: u32, set: u32) -> Result<Slot32, Error> {
        let place = self.select(register)?;
        let ([clear_high, clear_low], [set_high, set_low]) = (halves(clear), halves(set));
        // The read of the low half holds the high one, which the second read gets.
        let low = self.transaction.modify(place.low, clear_low, set_low)?;
        let high = self.transaction.modify(HIGH, clear_high, set_high)?;
        Ok(Slot32 { low, high })
    }

    /// Waits until bits of a register's low half equal `equals`, with at most `tries` reads.
    ///
    /// # Errors
    /// As [`Translation::read`]; [`Error::Half`] for bits of the high half.
    pub fn poll(&mut self, register: u32, mask: u32, equals: u32, tries: u16) -> Result<(), Error> {
        let ([0, mask], [0, equals]) = (halves(mask), halves(equals)) else {
            return Err(Error::Half { register, mask });
        };
        let place = self.select(register)?;
        self.transaction.poll(place.low, mask, equals, tries)?;
        Ok(())
    }

    /// Reads a register `reads` times and fails if at the last one bits of its high half do not
    /// equal `equals`. A high half is only as new as the read of its low half, so no poll of one
    /// transfer can wait for it; the reads before the last are the wait. The slot gives the last.
    ///
    /// # Errors
    /// As [`Translation::read`]; [`Error::Half`] for bits of the low half.
    pub fn wait(
        &mut self,
        register: u32,
        mask: u32,
        equals: u32,
        reads: u16,
    ) -> Result<Slot32, Error> {
        let ([high_mask, 0], [high_equals, 0]) = (halves(mask), halves(equals)) else {
            return Err(Error::Half { register, mask });
        };
        for _ in 1..reads {
            self.read(register)?;
        }
        let place = self.select(register)?;
        let low = self.transaction.read(place.low)?;
        let high = self.transaction.poll(HIGH, high_mask, high_equals, 1)?;
        Ok(Slot32 { low, high })
    }

    /// The transaction.
    pub fn finish(self) -> Transaction {
        self.transaction
    }

    /// Makes the register's page the one in force.
    fn select(&mut self, register: u32) -> Result<Place, Error> {
        let place = Place::of(register)?;
        if self.page != Some(place.page) {
            if self.kept {
                return Err(Error::PageKept { register });
            }
            self.transaction.write(PAGE, place.page)?;
            self.page = Some(place.page);
        }
        Ok(place)
    }
}

/// High and low half.
fn halves(value: u32) -> [u16; 2] {
    let [a, b, c, d] = value.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::memory::MemoryBus;
    use crate::bus::{Bus, Op};

    fn at(register: u8) -> Address {
        Address::new(0x1f, register).unwrap()
    }

    /// Register, page, low half, as public sources give them.
    #[test]
    fn known_places() {
        for (register, page, low) in [
            (0x0080, 0x002, 0),
            (0x0090, 0x002, 4),
            (0x0098, 0x002, 6),
            (0x2604, 0x098, 1),
            (0x3600, 0x0d8, 0),
            (0x4fe0, 0x13f, 8),
            (0x7ffc, 0x1ff, 0xf),
        ] {
            assert_eq!(Place::of(register), Ok(Place { page, low: at(low) }), "{register:#x}");
        }
        for register in [0x0001, 0x0002, 0x1_0000, u32::MAX] {
            assert_eq!(Place::of(register), Err(Error::Register(register)));
        }
    }

    #[test]
    fn order_on_the_wire() {
        let mut access = Translation::new();
        access.write(0x0094, 0x1234_5678).unwrap();
        access.read(0x0098).unwrap();
        access.modify(0x2104, 1 << 16, 1 << 10).unwrap();
        let expected = [
            Op::Write { at: at(0x1f), value: 2 },
            Op::Write { at: at(5), value: 0x5678 },
            Op::Write { at: at(0x10), value: 0x1234 },
            Op::Read { at: at(6) },
            Op::Read { at: at(0x10) },
            Op::Write { at: at(0x1f), value: 0x84 },
            Op::Modify { at: at(1), clear: 0, set: 1 << 10 },
            Op::Modify { at: at(0x10), clear: 1, set: 0 },
        ];
        assert_eq!(access.finish().ops(), expected);
    }

    #[test]
    fn a_high_half_is_read_anew_each_time() {
        let mut access = Translation::new();
        access.wait(0x0090, 1 << 31, 0, 3).unwrap();
        let read = |register| Op::Read { at: at(register) };
        let expected = [
            Op::Write { at: at(0x1f), value: 2 },
            read(4),
            read(0x10),
            read(4),
            read(0x10),
            read(4),
            Op::Poll { at: at(0x10), mask: 0x8000, equals: 0, tries: 1 },
        ];
        let transaction = access.finish();
        assert_eq!(transaction.ops(), expected);
        let mut bus = MemoryBus::default();
        bus.run(&transaction).unwrap();
        bus.poke(at(0x10), 0x8000);
        bus.run(&transaction).unwrap_err();
    }

    #[test]
    fn halves_that_cannot_be_polled_are_refused() {
        let half = |register, mask| Err(Error::Half { register, mask });
        let mut access = Translation::new();
        assert_eq!(access.poll(0x80, 1 << 16, 0, 3), half(0x80, 1 << 16));
        assert_eq!(access.wait(0x90, 1, 0, 3).map(|_| ()), half(0x90, 1));
    }

    #[test]
    fn what_is_saved_comes_back_and_keeps_the_page() {
        let mut access = Translation::new();
        access.save(0x0094).unwrap();
        access.write(0x0094, 7).unwrap();
        assert_eq!(access.read(0x00c0), Err(Error::PageKept { register: 0xc0 }));
        let transaction = access.finish();
        let restored: Vec<_> = transaction.restores().iter().map(|all| all.address()).collect();
        assert_eq!(restored, [at(0x1f), at(5), at(0x10)], "the page comes first");
    }
}
