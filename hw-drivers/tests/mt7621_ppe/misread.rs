// SPDX-License-Identifier: GPL-2.0-or-later
//! One bit of one word is read wrong once, at each reading of it: nothing is forgotten for that, and
//! nothing of the kernel's is taken.

use super::rig::*;
use super::table::{rivals, strangers};
use hw_drivers::mt7621_ppe::direct::{Direct, DirectAccess, Options, Unseen};
use hw_drivers::mt7621_ppe::entry::{Ib2, State};
use hw_drivers::mt7621_ppe::memory::Memory;
use hw_drivers::mt7621_ppe::translate::translate;
use hw_drivers::table::FlowTable;
use hw_simulators::mt7621_ppe::{self as simulator, Mt7621Ppe};
use hw_simulators::Shared;
use std::cell::Cell;
use std::rc::Rc;

const KERNEL: u8 = 0x1f;
/// The lowest bit of the account group, in the second info block.
const GROUP: u32 = 1 << 18;
/// A bound entry looks free without it.
const BOUND: u32 = (State::Bound as u32) << 28;
const STATIC: u32 = 1 << 31;
/// Readings of a word in any one call, and more.
const READINGS: u32 = 12;

/// A word that is read wrong.
#[derive(Debug, Clone, Copy)]
struct Misread {
    index: u32,
    word: u32,
    bit: u32,
    /// So many readings before are right.
    after: u32,
}

/// The chip, with what is to be read wrong.
#[derive(Clone)]
struct Memories {
    chip: Chips,
    plan: Rc<Cell<Option<Misread>>>,
}

impl Memory for Memories {
    fn read(&mut self, register: u32) -> u32 {
        self.chip.read(register)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.chip.write(register, value);
    }

    fn table(&self) -> u32 {
        self.chip.table()
    }

    fn read_word(&mut self, at: u32) -> u32 {
        let value = self.chip.read_word(at);
        match self.plan.get() {
            Some(plan) if at == plan.index * 80 + plan.word * 4 => {
                let rest = plan.after.checked_sub(1);
                self.plan.set(rest.map(|after| Misread { after, ..plan }));
                value ^ if rest.is_none() { plan.bit } else { 0 }
            }
            _ => value,
        }
    }

    fn write_word(&mut self, at: u32, value: u32) {
        self.chip.write_word(at, value);
    }

    fn barrier(&mut self) {
        self.chip.barrier();
    }
}

fn driver() -> (Direct<Memories>, Memories) {
    let chip = Shared::new(Mt7621Ppe::started(simulator::Options::default()));
    let memories = Memories { chip, plan: Rc::default() };
    let options = Options { unseen: Unseen::TakeFree, counting: true };
    (Direct::new(memories.clone(), DirectAccess::KernelKeepsOff, options), memories)
}

fn bound(memories: &Memories) -> Vec<usize> {
    memories.chip.with(|chip| chip.bound_entries())
}

#[test]
fn what_looks_like_the_kernels_is_removed() {
    for after in 0..READINGS {
        let (mut driver, memories) = driver();
        set_up(&mut driver);
        let flows = strangers(30);
        let all = flows.iter().map(|flow| driver.insert(flow).unwrap()).collect::<Vec<_>>();
        // The flow whose group differs from the kernel's by one bit.
        let near = all.into_iter().find_map(|entry| {
            let indices = driver.indices(entry).unwrap().map(Option::unwrap);
            let group = |index: &u16| {
                let words = memories.chip.with(|chip| chip.entry(usize::from(*index)));
                Ib2(words[4]).group()
            };
            let index = indices.into_iter().find(|index| group(index) == KERNEL ^ 1)?;
            Some((entry, u32::from(index)))
        });
        let (entry, index) = near.expect("30 flows have 60 groups");
        memories.plan.set(Some(Misread { index, word: 4, bit: GROUP, after }));
        driver.remove(entry).unwrap();
        assert_eq!(bound(&memories).len(), 2 * 29, "after {after} readings");
    }
}

#[test]
fn the_last_entry_is_disabled() {
    for after in 0..READINGS {
        let (mut driver, memories) = driver();
        set_up(&mut driver);
        let entry = driver.insert(&rivals()[0]).unwrap();
        let [index, reply] = driver.indices(entry).unwrap().map(Option::unwrap);
        // The engine has given the reply up.
        memories.chip.with(|chip| chip.kernel_binds(usize::from(reply), &[0; 20]));
        memories.plan.set(Some(Misread { index: index.into(), word: 0, bit: BOUND, after }));
        driver.disable().unwrap();
        assert!(bound(&memories).is_empty(), "after {after} readings");
    }
}

#[test]
fn what_looks_like_ours_stays_the_kernels() {
    for after in 0..READINGS {
        let (mut driver, memories) = driver();
        set_up(&mut driver);
        let words = translate(&rivals()[0], [KERNEL; 2]).unwrap()[0].words().unwrap();
        memories.chip.with(|chip| chip.kernel_binds(2000, &words));
        memories.plan.set(Some(Misread { index: 2000, word: 4, bit: GROUP, after }));
        driver.disable().unwrap();
        assert_eq!(bound(&memories), [2000], "after {after} readings");
    }
}

#[test]
fn what_looks_fixed_is_fixed_and_what_looks_freed_is_not() {
    for after in 0..READINGS {
        let (mut driver, memories) = driver();
        let plan = Misread { index: 115, word: 0, bit: STATIC, after };
        // All but this one have been fixed before.
        set_up(&mut driver);
        memories.chip.with(|chip| chip.kernel_binds(115, &[0; 20]));
        memories.plan.set(Some(plan));
        set_up(&mut driver);
        memories.plan.set(None);
        assert_eq!(driver.alive(), Ok(()), "after {after} readings");
        memories.plan.set(Some(plan));
        assert_eq!(driver.alive(), Ok(()), "after {after} readings");
    }
}
