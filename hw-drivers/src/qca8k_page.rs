// SPDX-License-Identifier: GPL-2.0-or-later
//! 32-bit registers of QCA8337 and AR8327 through 16-bit MDIO, as a pure translation into a
//! [`Transaction`].
//!
//! A register is two halves in the window at PHY 0x10 to 0x17; the page register at PHY 0x18
//! chooses what the window shows (Linux `drivers/net/dsa/qca/qca8k-8xxx.c`; Qualcomm qca-ssdk).
//! The low half goes first, for reads and writes: the busy bits of command registers sit in
//! the high half, and a command starts when that is written. Linux' qca8k remembers the page and
//! skips writing it when it seems right, so a transaction has to leave the page as it was.

use crate::bus::transaction::BuildError;
use crate::bus::{Address, Slot, Slot32, Transaction};
use std::fmt;

pub mod kernel;
#[cfg(test)]
mod model;
pub mod probe;

/// Register 0 of PHY 0x18 chooses the page.
pub const PAGE: Address = Address::truncated(0x18, 0);

/// PHY address of the window's first device.
const WINDOW: u32 = 0x10;

/// The page register has ten bits.
const PAGE_BITS: u16 = 0x3ff;

/// End of the registers that a page can reach.
const REGISTER_END: u32 = 0x8_0000;

/// Where a 32-bit register lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Value of the page register, 10 bits.
    pub page: u16,
    /// Bits 15:0.
    pub low: Address,
    /// Bits 31:16.
    pub high: Address,
}

impl Place {
    /// The place of the register at byte address `register`.
    ///
    /// # Errors
    /// [`Error::Register`] if it is no multiple of 4 or not below 0x80000.
    pub fn of(register: u32) -> Result<Place, Error> {
        if !register.is_multiple_of(4) || register >= REGISTER_END {
            return Err(Error::Register(register));
        }
        // Address bits 18:9 are the page, 8:6 the device in the window, 5:1 the MII register.
        let half = (register >> 1) & 0x1e;
        let phy = WINDOW | (register >> 6) & 0x7;
        let page = u16::try_from(register >> 9).map_err(|_| Error::Register(register))?;
        Ok(Place {
            page,
            low: Address::truncated(phy, half),
            high: Address::truncated(phy, half | 1),
        })
    }
}

/// How the page in force before is to be in force afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageAfter {
    /// It is read from the chip first and put back. Whether the chip lets it be read is
    /// UNVERIFIED, so only for a chip that has shown it. If what is read cannot be a page (more
    /// than ten bits, as from an empty bus) the transaction fails before it writes anything.
    ReadBack,
    /// The caller knows it.
    Known(u16),
    /// It does not matter: no driver in the kernel, or one that writes the page for each access
    /// (OpenWrt's ar8216).
    Any,
}

/// Time for the chip to settle on a new page, as reads that do nothing; a transfer takes about
/// 26 µs at 2.5 MHz. OpenWrt's ar8216 waits 5 µs, Linux' qca8k 1 to 2 ms, the vendor not at all; what
/// the chip needs is UNVERIFIED.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// Reads after each write of the page.
    pub reads: u8,
    /// A register that may be read at any time and answers: some controllers make an error of a
    /// read that no device answers.
    pub at: Address,
}

impl Default for Settle {
    /// One read of PHY 0's identifier, register 2, which no read changes.
    fn default() -> Settle {
        Settle { reads: 1, at: Address::truncated(0, 2) }
    }
}

/// Why an access cannot be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// No multiple of 4, or not below 0x80000.
    Register(u32),
    /// The page to restore has more than ten bits.
    Page(u16),
    /// A poll looks at bits in both halves, which cannot be read at once.
    BothHalves {
        /// The register to poll.
        register: u32,
        /// Bits that count.
        mask: u32,
    },
    /// The transaction is full, or the poll hopeless.
    Build(BuildError),
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Error {
        Error::Build(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Register(register) => write!(f, "{register:#07x} is no register address"),
            Error::Page(page) => write!(f, "restoring page {page:#06x}: above ten bits"),
            Error::BothHalves { register, mask } => {
                write!(f, "polling {register:#07x} for {mask:#010x}: bits in both halves")
            }
            Error::Build(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// 32-bit accesses that become one transaction. The page is written only where it changes.
///
/// After an error the translation is not to be used further: the access may be in it by half.
#[derive(Debug)]
pub struct Translation {
    transaction: Transaction,
    settle: Settle,
    page: Option<u16>,
}

impl Translation {
    /// Begins with the saving of the page, if it is to be read back.
    ///
    /// # Errors
    /// [`Error::Page`] if the known page has more than ten bits.
    pub fn new(after: PageAfter, settle: Settle) -> Result<Translation, Error> {
        let mut transaction = Transaction::new();
        match after {
            PageAfter::ReadBack => {
                // A poll of one read is a read that fails on a value that cannot be a page.
                let saved = transaction.poll(PAGE, !PAGE_BITS, 0, 1)?;
                transaction.restore(saved)?;
            }
            PageAfter::Known(page) if page > PAGE_BITS => return Err(Error::Page(page)),
            PageAfter::Known(page) => transaction.restore_value(PAGE, page)?,
            PageAfter::Any => {}
        }
        Ok(Translation { transaction, settle, page: None })
    }

    /// Reads a register: low half, high half.
    ///
    /// # Errors
    /// [`Error::Register`]; [`Error::Build`] when the transaction is full.
    pub fn read(&mut self, register: u32) -> Result<Slot32, Error> {
        let place = self.select(register)?;
        let low = self.transaction.read(place.low)?;
        let high = self.transaction.read(place.high)?;
        Ok(Slot32 { low, high })
    }

    /// Reads bits 15:0 of a register alone.
    ///
    /// # Errors
    /// As [`Translation::read`].
    pub fn read_low(&mut self, register: u32) -> Result<Slot, Error> {
        let place = self.select(register)?;
        Ok(self.transaction.read(place.low)?)
    }

    /// Reads bits 31:16 of a register alone.
    ///
    /// # Errors
    /// As [`Translation::read`].
    pub fn read_high(&mut self, register: u32) -> Result<Slot, Error> {
        let place = self.select(register)?;
        Ok(self.transaction.read(place.high)?)
    }

    /// Writes a register: low half, high half.
    ///
    /// # Errors
    /// As [`Translation::read`].
    pub fn write(&mut self, register: u32, value: u32) -> Result<(), Error> {
        let place = self.select(register)?;
        let [high, low] = halves(value);
        self.transaction.write(place.low, low)?;
        self.transaction.write(place.high, high)?;
        Ok(())
    }

    /// Changes single bits of a register that others change too: `(value & !clear) | set`. The slot
    /// gives the value before the change.
    ///
    /// Both halves are written if any bit is to change, low before high, as the chip takes a low
    /// half only together with the high one. If none is, this is a read.
    ///
    /// # Errors
    /// As [`Translation::read`].
    pub fn modify(&mut self, register: u32, clear: u32, set: u32) -> Result<Slot32, Error> {
        if clear | set == 0 {
            return self.read(register);
        }
        let place = self.select(register)?;
        let ([clear_high, clear_low], [set_high, set_low]) = (halves(clear), halves(set));
        let low = self.transaction.modify(place.low, clear_low, set_low)?;
        let high = self.transaction.modify(place.high, clear_high, set_high)?;
        Ok(Slot32 { low, high })
    }

    /// Waits until the bits of a register under `mask` equal `equals`, with at most `tries`
    /// reads of the one half that `mask` lies in.
    ///
    /// # Errors
    /// As [`Translation::read`]; [`Error::BothHalves`].
    pub fn poll(&mut self, register: u32, mask: u32, equals: u32, tries: u16) -> Result<(), Error> {
        let ([mask_high, mask_low], [high, low]) = (halves(mask), halves(equals));
        if mask_high != 0 && mask_low != 0 {
            return Err(Error::BothHalves { register, mask });
        }
        let place = self.select(register)?;
        // Awaited bits outside the mask must not get lost with the other half.
        if equals & !mask != 0 {
            return Err(Error::Build(BuildError::HopelessPoll(place.low)));
        }
        if mask_high != 0 {
            self.transaction.poll(place.high, mask_high, high, tries)?;
        } else {
            self.transaction.poll(place.low, mask_low, low, tries)?;
        }
        Ok(())
    }

    /// The transaction, which ends with the restoring of the page if that was asked for.
    pub fn finish(self) -> Transaction {
        self.transaction
    }

    /// Makes the window show the register.
    fn select(&mut self, register: u32) -> Result<Place, Error> {
        let place = Place::of(register)?;
        if self.page != Some(place.page) {
            self.transaction.write(PAGE, place.page)?;
            for _ in 0..self.settle.reads {
                self.transaction.read(self.settle.at)?;
            }
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
mod tests;
