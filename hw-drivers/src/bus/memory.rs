// SPDX-License-Identifier: GPL-2.0-or-later
//! A bus of plain memory for tests: 32 devices of 32 registers that keep what is written. It has
//! no pages and no side effects; models of real chips are made with [`super::execute`].

use super::execute::{execute, Transfer};
use super::{Address, Bus, Error, Outcome, Transaction};

const REGISTERS: usize = Address::LIMIT as usize * Address::LIMIT as usize;

/// The register file. All registers start at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryBus {
    registers: [u16; REGISTERS],
}

impl Default for MemoryBus {
    fn default() -> MemoryBus {
        MemoryBus { registers: [0; REGISTERS] }
    }
}

impl MemoryBus {
    /// The present value of a register.
    pub fn peek(&self, at: Address) -> u16 {
        self.registers.get(index(at)).copied().unwrap_or_default()
    }

    /// Sets a register from outside the bus.
    pub fn poke(&mut self, at: Address, value: u16) {
        if let Some(register) = self.registers.get_mut(index(at)) {
            *register = value;
        }
    }
}

fn index(at: Address) -> usize {
    usize::from(at.phy()) << 5 | usize::from(at.register())
}

impl Bus for MemoryBus {
    /// True: the exclusive borrow keeps others out.
    fn atomic(&self) -> bool {
        true
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        execute(transaction, |transfer| {
            Ok(match transfer {
                Transfer::Read(at) | Transfer::Poll { at, .. } => self.peek(at),
                Transfer::Write(at, value) => {
                    self.poke(at, value);
                    value
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Last write wins, and no register is another's neighbour by mistake.
        #[test]
        fn keeps_what_is_written(
            writes in prop::collection::vec((0u8..32, 0u8..32, any::<u16>()), 1..40)
        ) {
            let (mut bus, mut transaction) = (MemoryBus::default(), Transaction::new());
            let mut expected = std::collections::BTreeMap::new();
            for (phy, register, value) in writes {
                let at = Address::new(phy, register).unwrap();
                transaction.write(at, value).unwrap();
                expected.insert(at, value);
            }
            bus.run(&transaction).unwrap();
            for phy in 0..32 {
                for register in 0..32 {
                    let at = Address::new(phy, register).unwrap();
                    prop_assert_eq!(bus.peek(at), expected.get(&at).copied().unwrap_or(0));
                }
            }
        }
    }
}
