// SPDX-License-Identifier: GPL-2.0-or-later
//! Bits in registers that the kernel's driver uses too, and looking at the chip's identity.

use super::access::Translation;
use super::registers::{CHIP, CREV, PCR, PORT_STEP, TRAP};
use crate::bus::Bus;
use crate::table::Error;

/// Bits to change in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) register: u32,
    pub(super) clear: u32,
    pub(super) set: u32,
}

/// The register PCR of a port.
pub(super) fn pcr(port: u8) -> u32 {
    PCR + PORT_STEP * u32::from(port)
}

/// Reads registers, in one transaction.
pub(super) fn read<B: Bus>(bus: &mut B, registers: &[u32]) -> Result<Vec<u32>, Error> {
    let mut access = Translation::new();
    let slots: Result<Vec<_>, _> = registers.iter().map(|at| access.read(*at)).collect();
    let slots = slots?;
    let outcome = bus.run(&access.finish())?;
    slots.iter().map(|slot| slot.get(&outcome)).collect()
}

/// Registers changed in one transaction: nine steps each, on pages of their own.
const CHANGES: usize = 6;

/// Changes bits and looks whether they and no others have changed. A register holds bits of the
/// kernel's, and all of it goes over the bus twice to change one; so what it held is what two of
/// three reads say, and bits that are wrong afterwards are put right, once.
///
/// # Errors
/// The bus; [`Error::Mismatch`], also when what was wrong could be put right.
pub(super) fn change<B: Bus>(bus: &mut B, changes: &[Change]) -> Result<(), Error> {
    changes.chunks(CHANGES).try_for_each(|changes| change_some(bus, changes))
}

fn change_some<B: Bus>(bus: &mut B, changes: &[Change]) -> Result<(), Error> {
    let mut access = Translation::new();
    let mut slots = Vec::with_capacity(changes.len());
    for Change { register, clear, set } in changes {
        let before = [
            access.read(*register)?,
            access.read(*register)?,
            access.modify(*register, *clear, *set)?,
        ];
        slots.push((before, access.read(*register)?));
    }
    let outcome = bus.run(&access.finish())?;
    let mut result = Ok(());
    for (Change { register, clear, set }, ([a, b, c], after)) in changes.iter().zip(&slots) {
        let (a, b, c) = (a.get(&outcome)?, b.get(&outcome)?, c.get(&outcome)?);
        let before = a & b | a & c | b & c;
        let (wanted, found) = (before & !clear | set, after.get(&outcome)?);
        let wrong = wanted ^ found;
        if wrong != 0 {
            let mut access = Translation::new();
            access.modify(*register, wrong, wanted & wrong)?;
            result = result.and(Err(Error::Mismatch { at: *register, wanted, found }));
            bus.run(&access.finish())?;
        }
    }
    result
}

/// Whether the chip is an MT7530 that is out of reset; gives its revision.
///
/// # Errors
/// [`Error::WrongChip`] with what the identification register holds; [`Error::NotReady`] while
/// the chip is in reset; the bus.
pub(super) fn identify<B: Bus>(bus: &mut B) -> Result<u8, Error> {
    let values = read(bus, &[CREV, TRAP])?;
    let [crev, trap] = values.as_slice() else { return Err(Error::NotReady) };
    if crev >> 16 != CHIP {
        return Err(Error::WrongChip(*crev));
    }
    if *trap == 0 {
        return Err(Error::NotReady);
    }
    Ok((crev & 0xf) as u8)
}
