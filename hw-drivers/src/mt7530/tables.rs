// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables behind VTCR, which holds the kernel's VLANs and our ACL alike.
//!
//! Linux' driver uses the same command register and data words in several accesses that anybody
//! can get in between of; its mutex is out of reach. So each command here is one transaction that
//! first waits until the chip is idle and in the end puts the data words back that it found: who
//! was about to use them finds them as before. That a read of the data words gives what was
//! written to them is UNVERIFIED, so VLANs are compared afterwards all the same (`vlan.rs`).

use super::access::Translation;
use super::registers::{VAWD1, VAWD2, VTCR, VTCR_BUSY, VTCR_INVALID};
use crate::bus::{Bus, Slot32};
use crate::table::Error;

/// Reads before a command: it may be the kernel's that still runs.
const IDLE_READS: u16 = 2;

/// Reads after a command, 52 µs each. The kernel looks after 20 µs first; what the chip needs is
/// UNVERIFIED. With both commands of a checked write this fits one transaction.
const BUSY_READS: u16 = 6;

/// A table, by its functions' codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// VLANs, 4096.
    Vlan,
    /// Patterns of the ACL, 64.
    Pattern,
    /// Masks, 32: the patterns of each rule.
    Mask,
    /// Actions, 32.
    Action,
    /// Rate limiters, 32.
    Rate,
}

impl Table {
    /// The code of the function that reads; the one that writes follows it.
    const fn function(self) -> u32 {
        match self {
            Table::Vlan => 0,
            Table::Pattern => 4,
            Table::Mask => 8,
            Table::Action => 10,
            Table::Rate => 12,
        }
    }

    fn read_command(self, index: u16) -> u32 {
        VTCR_BUSY | self.function() << 12 | u32::from(index & 0xfff)
    }

    fn write_command(self, index: u16) -> u32 {
        VTCR_BUSY | (self.function() + 1) << 12 | u32::from(index & 0xfff)
    }
}

/// The beginning of each command: idle, and the data words saved.
fn begin() -> Result<Translation, Error> {
    let mut access = Translation::new();
    access.wait(VTCR, VTCR_BUSY, 0, IDLE_READS)?;
    access.save(VAWD1)?;
    access.save(VAWD2)?;
    Ok(access)
}

fn run_read(access: &mut Translation, table: Table, index: u16) -> Result<[Slot32; 3], Error> {
    access.write(VTCR, table.read_command(index))?;
    let status = access.wait(VTCR, VTCR_BUSY, 0, BUSY_READS)?;
    Ok([status, access.read(VAWD1)?, access.read(VAWD2)?])
}

/// Reads an entry.
///
/// # Errors
/// [`Error::Stuck`], the bus; [`Error::Mismatch`] if the chip says that it has no such entry.
pub(super) fn read<B: Bus>(bus: &mut B, table: Table, index: u16) -> Result<[u32; 2], Error> {
    let mut access = begin()?;
    let [status, first, second] = run_read(&mut access, table, index)?;
    let outcome = bus.run(&access.finish())?;
    valid(status.get(&outcome)?)?;
    Ok([first.get(&outcome)?, second.get(&outcome)?])
}

/// Writes an entry and reads it back, in one transaction.
///
/// # Errors
/// As [`read`]; [`Error::Mismatch`] if it holds something else then. After any of them the entry
/// may hold anything.
pub(super) fn write<B: Bus>(
    bus: &mut B,
    table: Table,
    index: u16,
    words: [u32; 2],
) -> Result<(), Error> {
    let mut access = begin()?;
    access.write(VAWD1, words[0])?;
    access.write(VAWD2, words[1])?;
    access.write(VTCR, table.write_command(index))?;
    let written = access.wait(VTCR, VTCR_BUSY, 0, BUSY_READS)?;
    let [status, first, second] = run_read(&mut access, table, index)?;
    let outcome = bus.run(&access.finish())?;
    valid(written.get(&outcome)?)?;
    valid(status.get(&outcome)?)?;
    for (at, wanted, slot) in [(VAWD1, words[0], first), (VAWD2, words[1], second)] {
        let found = slot.get(&outcome)?;
        if found != wanted {
            return Err(Error::Mismatch { at, wanted, found });
        }
    }
    Ok(())
}

/// Indices are cut to what the tables have, so a chip that calls one invalid is not as it should be.
fn valid(status: u32) -> Result<(), Error> {
    match status & !VTCR_INVALID {
        wanted if wanted == status => Ok(()),
        wanted => Err(Error::Mismatch { at: VTCR, wanted, found: status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_called_invalid_is_the_chips_fault() {
        assert_eq!(valid(5), Ok(()));
        let found = VTCR_INVALID | 5;
        assert_eq!(valid(found), Err(Error::Mismatch { at: VTCR, wanted: 5, found }));
    }
}
