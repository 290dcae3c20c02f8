// SPDX-License-Identifier: GPL-2.0-or-later
//! The scan that takes old entries out, once a second (sheet, section 6).

use super::entry;
use super::registers as reg;
use super::Mt7621Ppe;

impl Mt7621Ppe {
    /// One second is over.
    pub(super) fn tick(&mut self) {
        self.seconds = self.seconds.wrapping_add(1) & 0xffff;
        let config = self.registers.get(reg::TB_CFG);
        let running = self.registers.get(reg::GLO_CFG) & reg::EN != 0;
        if !running || config >> 16 & 3 == 0 {
            return;
        }
        for index in 0..entry::ENTRIES {
            let word0 = self.store.memory(index * entry::WORDS);
            if self.old(config, word0) {
                self.store.set(index, 0, entry::with_state(word0, entry::INVALID));
                self.cache.forget(index);
            }
        }
    }

    fn old(&self, config: u32, word0: u32) -> bool {
        let (age0, age1) = (self.registers.get(reg::BIND_AGE0), self.registers.get(reg::BIND_AGE1));
        let three = matches!(entry::kind(word0), entry::V4_THREE | entry::V6_THREE);
        let (bit, limit) = match entry::state(word0) {
            entry::UNBOUND => {
                let limits = self.registers.get(reg::UNBIND_AGE);
                let age = self.seconds.wrapping_sub(word0) & entry::UNBOUND_TIME;
                return config & reg::AGE_UNBOUND != 0
                    && age > limits & 0xff
                    && entry::count(word0) < limits >> 16;
            }
            entry::BOUND if three => (reg::AGE_NON_L4, age0 >> 16),
            entry::BOUND if word0 & entry::UDP != 0 => (reg::AGE_UDP, age0),
            entry::BOUND => (reg::AGE_TCP, age1),
            entry::FIN => (reg::AGE_FIN, age1 >> 16),
            _ => return false,
        };
        let age = self.seconds.wrapping_sub(word0) & entry::BOUND_TIME;
        config & bit != 0 && age > limit & entry::BOUND_TIME
    }
}
