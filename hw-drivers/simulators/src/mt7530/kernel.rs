// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's driver as another user of the bus: it changes the members of a VLAN in steps of
//! whole 32-bit accesses, each under the bus lock, and others can get in between two steps.

use super::Mt7530;
use hw_drivers::bus::execute::Transfer;
use hw_drivers::bus::Address;
use std::collections::VecDeque;

const VTCR: u32 = 0x0090;
const VAWD1: u32 = 0x0094;
const VAWD2: u32 = 0x0098;
const BUSY: u32 = 1 << 31;

/// Polls of the command register that the kernel makes at most.
const POLLS: u32 = 1000;

/// Where the kernel's accesses fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Between transactions, as on a bus that runs a transaction under its lock.
    Transaction,
    /// Between transfers, as on a bus that does not.
    Transfer,
}

/// A change of a VLAN's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The VLAN.
    pub vlan: u16,
    /// Ports to add.
    pub add: u8,
    /// How frames leave, two bits a port.
    pub egress: u32,
}

#[derive(Debug, Clone)]
struct Job {
    change: Change,
    grain: Grain,
    /// For each step left, the transaction or transfer that it comes before.
    moments: VecDeque<u32>,
    step: usize,
    members: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Kernel {
    job: Option<Job>,
}

impl Kernel {
    pub(super) fn between_transfers(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.grain == Grain::Transfer)
    }
}

impl Mt7530 {
    /// Steps of a change: command to read, poll, read the words, write each word, command to
    /// write, poll.
    pub const CHANGE_STEPS: usize = 7;

    /// The kernel changes a VLAN: step by step before the transactions (or transfers) of these
    /// numbers, counted from the switch's beginning, in rising order. What has no number is done by
    /// [`Mt7530::finish_change`].
    pub fn change_vlan(&mut self, change: Change, grain: Grain, moments: &[u32]) {
        let moments = moments.iter().copied().collect();
        self.kernel.job = Some(Job { change, grain, moments, step: 0, members: 0 });
    }

    /// The kernel does what is left of its change.
    pub fn finish_change(&mut self) {
        if let Some(mut job) = self.kernel.job.take() {
            while job.step < Mt7530::CHANGE_STEPS {
                self.step(&mut job);
            }
        }
    }

    pub(super) fn let_kernel_in(&mut self, grain: Grain, moment: u32) {
        let Some(mut job) = self.kernel.job.take() else { return };
        if job.grain == grain {
            while job.moments.front().is_some_and(|due| *due <= moment) {
                job.moments.pop_front();
                self.step(&mut job);
            }
        }
        if job.step < Mt7530::CHANGE_STEPS {
            self.kernel.job = Some(job);
        }
    }

    fn step(&mut self, job: &mut Job) {
        let Change { vlan, add, egress } = job.change;
        match job.step {
            0 => self.kernel_write(VTCR, BUSY | u32::from(vlan)),
            1 | 6 => {
                for _ in 0..POLLS {
                    if self.kernel_read(VTCR) & BUSY == 0 {
                        break;
                    }
                }
            }
            2 => job.members = self.kernel_read(VAWD1) >> 16 & 0xff,
            // IVL, per-port egress control, valid.
            3 => {
                let members = job.members | u32::from(add);
                self.kernel_write(VAWD1, 1 << 30 | 1 << 28 | members << 16 | 1);
            }
            4 => self.kernel_write(VAWD2, egress),
            5 => self.kernel_write(VTCR, BUSY | 1 << 12 | u32::from(vlan)),
            _ => {}
        }
        job.step += 1;
    }

    fn kernel_read(&mut self, register: u32) -> u32 {
        let low = self.kernel_select(register);
        let low = self.transfer(Transfer::Read(low));
        let high = self.transfer(Transfer::Read(Address::truncated(0x1f, 0x10)));
        u32::from(high) << 16 | u32::from(low)
    }

    fn kernel_write(&mut self, register: u32, value: u32) {
        let low = self.kernel_select(register);
        self.transfer(Transfer::Write(low, (value & 0xffff) as u16));
        self.transfer(Transfer::Write(Address::truncated(0x1f, 0x10), (value >> 16) as u16));
    }

    fn kernel_select(&mut self, register: u32) -> Address {
        let page = (register >> 6 & 0x3ff) as u16;
        self.transfer(Transfer::Write(Address::truncated(0x1f, 0x1f), page));
        Address::truncated(0x1f, register >> 2 & 0xf)
    }
}
