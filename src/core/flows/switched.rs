// SPDX-License-Identifier: GPL-2.0-or-later
//! Flows that the daemon itself has put into a switch, of which conntrack tells nothing.

use litemap::LiteMap;

/// The flows that switches have, or are to get, by conntrack's id; as many as switches take.
#[derive(Debug, Default)]
pub struct Switched {
    /// True for those in hardware.
    held: LiteMap<u32, bool>,
    /// Those whose connection has ended.
    ended: Vec<u32>,
}

impl Switched {
    /// Switches have these, with true for those in hardware, and no others.
    pub fn set(&mut self, held: impl Iterator<Item = (u32, bool)>) {
        self.held = held.collect();
    }

    /// Those whose connection has ended since this was asked last.
    pub fn take_ended(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.ended)
    }

    /// The connection is in hardware.
    pub fn in_hardware(&self, id: u32) -> bool {
        self.held.get(&id).is_some_and(|hardware| *hardware)
    }

    /// A switch has the connection, or is to get it.
    pub fn has(&self, id: u32) -> bool {
        self.held.contains_key(&id)
    }

    pub(super) fn end(&mut self, id: u32) {
        if self.held.remove(&id).is_some() {
            self.ended.push(id);
        }
    }

    pub(super) fn end_all(&mut self) {
        self.ended.extend(std::mem::take(&mut self.held).keys());
    }
}
