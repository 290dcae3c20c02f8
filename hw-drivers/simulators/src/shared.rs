// SPDX-License-Identifier: GPL-2.0-or-later
//! A simulator with two owners: the driver has it as its bus, the test sends frames into it.

use crate::{Chip, Out};
use hw_drivers::bus::{Bus, Error, Outcome, Transaction};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// One simulator, held in several places; each clone is the same chip.
#[derive(Debug, Default)]
pub struct Shared<S>(Rc<RefCell<S>>);

impl<S> Shared<S> {
    /// Takes the simulator.
    pub fn new(simulator: S) -> Shared<S> {
        Shared(Rc::new(RefCell::new(simulator)))
    }

    /// Does something with the simulator. Within, none of its clones may be used.
    pub fn with<T>(&self, act: impl FnOnce(&mut S) -> T) -> T {
        act(&mut self.0.borrow_mut())
    }
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Shared<S> {
        Shared(Rc::clone(&self.0))
    }
}

impl<S: Bus> Bus for Shared<S> {
    fn atomic(&self) -> bool {
        self.0.borrow().atomic()
    }

    fn refuses(&self, transaction: &Transaction) -> bool {
        self.0.borrow().refuses(transaction)
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        self.0.borrow_mut().run(transaction)
    }
}

impl<S: Chip> Chip for Shared<S> {
    fn cpu_port(&self) -> u8 {
        self.0.borrow().cpu_port()
    }

    fn receive(&mut self, port: u8, frame: &[u8]) -> Vec<Out> {
        self.0.borrow_mut().receive(port, frame)
    }

    fn pass(&mut self, time: Duration) {
        self.0.borrow_mut().pass(time);
    }

    fn reset(&mut self) {
        self.0.borrow_mut().reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_drivers::bus::memory::MemoryBus;
    use hw_drivers::bus::Address;

    #[test]
    fn every_clone_is_the_same_chip() {
        let at = Address::truncated(1, 2);
        let shared = Shared::new(MemoryBus::default());
        let mut bus = shared.clone();
        let mut write = Transaction::new();
        write.write(at, 7).unwrap();
        bus.run(&write).unwrap();
        assert_eq!(shared.with(|memory| memory.peek(at)), 7);
        assert!(bus.atomic() && !bus.refuses(&write));
    }
}
