// SPDX-License-Identifier: GPL-2.0-or-later
//! A line that is memory: nothing that fails is told.

use super::{Fired, Line, Spot, Trouble};
use hw_drivers::mt7621_ppe::memory::Memory;

impl<C: Memory> Line<C> {
    /// Whether nothing can happen; there are millions of such accesses.
    fn quiet(&self) -> bool {
        let state = &self.state;
        state.plan.get().is_none() && !state.dead.get() && state.stuck.get().is_none()
    }

    /// What may come before an access.
    fn before(&self, spot: Spot) {
        if (self.state.others.counts)(spot) {
            self.begin();
        }
    }

    fn load(&self, spot: Spot, read: impl FnOnce(&mut C) -> u32) -> u32 {
        if self.quiet() {
            self.state.total.set(self.state.total.get() + 1);
            return self.chip.with(read);
        }
        self.before(spot);
        let mut flip = 0;
        match self.count(spot) {
            Some(Trouble::Ones) => return u32::MAX,
            Some(Trouble::Dead) => self.state.dead.set(true),
            Some(Trouble::Flipped(bit)) => flip = 1 << bit,
            Some(_) => self.state.fired.set(Fired::Harmless),
            None => {}
        }
        if self.state.dead.get() {
            return u32::MAX;
        }
        self.chip.with(read) ^ flip
    }

    /// A store into a register arrives, unless nothing does: nobody could tell by reading whether
    /// it has been there, as with the clearing of a cache.
    fn store(&self, spot: Spot, write: impl FnOnce(&mut C)) {
        if self.quiet() {
            self.state.total.set(self.state.total.get() + 1);
            return self.chip.with(write);
        }
        self.before(spot);
        let word = matches!(spot, Spot::Word(_));
        match self.count(spot) {
            Some(Trouble::Lost) if word => return,
            Some(Trouble::Stuck) if word => self.state.stuck.set(Some(spot)),
            Some(Trouble::Dead) => self.state.dead.set(true),
            Some(_) => self.state.fired.set(Fired::Harmless),
            None => {}
        }
        if !self.state.dead.get() && self.state.stuck.get() != Some(spot) {
            self.chip.with(write);
        }
    }
}

impl<C: Memory> Memory for Line<C> {
    fn read(&mut self, register: u32) -> u32 {
        self.load(Spot::Register(register), |chip| chip.read(register))
    }

    fn write(&mut self, register: u32, value: u32) {
        self.store(Spot::Register(register), |chip| chip.write(register, value));
    }

    fn table(&self) -> u32 {
        self.chip.table()
    }

    fn read_word(&mut self, at: u32) -> u32 {
        self.load(Spot::Word(at), |chip| chip.read_word(at))
    }

    fn write_word(&mut self, at: u32, value: u32) {
        self.store(Spot::Word(at), |chip| chip.write_word(at, value));
    }

    fn barrier(&mut self) {
        self.begin();
        self.chip.barrier();
    }
}
