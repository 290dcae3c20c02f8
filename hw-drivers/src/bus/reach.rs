// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether a bus reaches the device that it is meant for.
//!
//! Over the MII ioctls writes are lost without an error, and which devices an interface reaches
//! depends on its driver, so this comes before everything else.

use super::{Bus, Error, Slot, Transaction};

/// What a register of known content has shown about the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is the device that was expected.
    Expected,
    /// Nobody answers: ones only, as an empty bus gives, and so does an interface with a fixed link
    /// for whatever is not its own emulated PHY.
    Nobody,
    /// Another device answers.
    Another {
        /// The operation whose value is not the expected one.
        slot: Slot,
        /// What it gave.
        found: u16,
    },
}

/// Whether the bus reaches a device: `identity` reads registers that never change, and the bits
/// under the mask of each slot are known.
///
/// # Errors
/// As [`Bus::run`].
pub fn reaches<B: Bus>(
    bus: &mut B,
    identity: &Transaction,
    expected: &[(Slot, u16, u16)],
) -> Result<Reach, Error> {
    let outcome = bus.run(identity)?;
    let read = |slot: &Slot| outcome.get(*slot);
    if expected.iter().all(|(slot, ..)| read(slot) == Some(u16::MAX)) {
        return Ok(Reach::Nobody);
    }
    for (slot, mask, value) in expected {
        if let Some(found) = read(slot).filter(|found| found & mask != *value) {
            return Ok(Reach::Another { slot: *slot, found });
        }
    }
    Ok(Reach::Expected)
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryBus;
    use super::super::Address;
    use super::*;

    const WINDOW: Address = Address::truncated(0x10, 0);
    const NEXT: Address = Address::truncated(0x10, 1);

    #[test]
    fn devices_are_known_by_their_identity() {
        let mut identity = Transaction::new();
        let slots = [WINDOW, NEXT].map(|at| identity.read(at).unwrap());
        let expected = [(slots[0], 0xff00, 0x1300), (slots[1], 0xffff, 0)];
        for (values, reach) in [
            ([0x1302, 0], Reach::Expected),
            ([0xffff, 0xffff], Reach::Nobody),
            ([0x1402, 0], Reach::Another { slot: slots[0], found: 0x1402 }),
            ([0x13ff, 0xffff], Reach::Another { slot: slots[1], found: 0xffff }),
        ] {
            let mut bus = MemoryBus::default();
            bus.poke(WINDOW, values[0]);
            bus.poke(NEXT, values[1]);
            assert_eq!(reaches(&mut bus, &identity, &expected), Ok(reach));
        }
    }
}
