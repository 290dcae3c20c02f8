// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel's driver does behind another driver's back (sheet, sections 9 and 10), and
//! when: before any access of that driver, so that every race can be tried.

use super::entry::{self, Words, ENTRIES};
use super::{Mt7621Ppe, PHYSICAL};
use crate::{Chip, Out};

/// Something that happens between two accesses.
#[derive(Debug, Clone)]
pub enum Event {
    /// The kernel binds an entry at this index, whatever was there.
    Bind(usize, Words),
    /// An interface goes down and up: the kernel zeroes the table and begins anew.
    Restart,
    /// A frame comes in by a port.
    Frame(u8, Vec<u8>),
    /// A second passes.
    Second,
}

/// What is to happen, and what came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Between {
    /// Accesses so far.
    pub(super) accesses: u64,
    planned: Vec<(u64, Event)>,
    always: Vec<Event>,
    out: Vec<Out>,
}

impl Mt7621Ppe {
    /// Registers and table as after the kernel's start of the engine.
    pub fn start_as_kernel(&mut self) {
        self.registers.as_kernel(PHYSICAL, self.options.switch_on_gdm1);
        self.store.barrier();
        self.store.zero();
        self.cache.clear();
        for group in (0..ENTRIES).step_by(128) {
            // 115 crosses as well; the kernel leaves it out.
            for crossing in [12, 25, 38, 51, 76, 89, 102] {
                self.store.set(group.saturating_add(crossing), 0, entry::STATIC);
            }
        }
    }

    /// The kernel commits an entry: its words, then word 0, then the cache.
    pub fn kernel_binds(&mut self, index: usize, words: &Words) {
        self.store.set_entry(index, words);
        self.cache.clear();
    }

    /// Has something happen before the access with this number from now, 0 for the next.
    pub fn before_access(&mut self, number: u64, event: Event) {
        let at = self.between.accesses.saturating_add(number);
        self.between.planned.push((at, event));
    }

    /// Has something happen before every access; `None` ends it.
    pub fn before_every_access(&mut self, event: Option<Event>) {
        self.between.always = event.into_iter().collect();
    }

    /// Accesses of the driver so far.
    pub fn accesses(&self) -> u64 {
        self.between.accesses
    }

    /// What left the chip because of frames that came in between accesses.
    pub fn out_between(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.between.out)
    }

    /// An access is about to be made.
    pub(super) fn access(&mut self) {
        let now = self.between.accesses;
        self.between.accesses = now.saturating_add(1);
        if self.between.planned.is_empty() && self.between.always.is_empty() {
            return;
        }
        let mut events = self.between.always.clone();
        self.between.planned.retain(|(at, event)| {
            let due = *at == now;
            if due {
                events.push(event.clone());
            }
            !due
        });
        for event in events {
            match event {
                Event::Bind(index, words) => self.kernel_binds(index, &words),
                Event::Restart => self.start_as_kernel(),
                Event::Second => self.tick(),
                Event::Frame(port, frame) => {
                    let out = self.receive(port, &frame);
                    self.between.out.extend(out);
                }
            }
        }
    }
}
