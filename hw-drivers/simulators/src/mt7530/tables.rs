// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables behind VTCR: VLANs and the ACL's, with one command register and one pair of words.

use super::{Options, Sampled, Words};

const BUSY: u32 = 1 << 31;
const INVALID: u32 = 1 << 16;

/// A table behind VTCR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// VLANs, 4096.
    Vlan,
    /// Patterns, 64.
    Pattern,
    /// trTCM meters, 32.
    Meter,
    /// Masks: which patterns make a rule, 32.
    Mask,
    /// Actions, 32.
    Action,
    /// Rate limiters, 32.
    Rate,
}

const ALL: [(Table, usize); 6] = [
    (Table::Vlan, 4096),
    (Table::Pattern, 64),
    (Table::Meter, 32),
    (Table::Mask, 32),
    (Table::Action, 32),
    (Table::Rate, 32),
];

/// What a command does.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Read(Table),
    Write(Table),
    Valid(bool),
}

fn verb(function: u32) -> Option<Verb> {
    Some(match function {
        0 => Verb::Read(Table::Vlan),
        1 => Verb::Write(Table::Vlan),
        2 => Verb::Valid(false),
        3 => Verb::Valid(true),
        4 => Verb::Read(Table::Pattern),
        5 => Verb::Write(Table::Pattern),
        6 => Verb::Read(Table::Meter),
        7 => Verb::Write(Table::Meter),
        8 => Verb::Read(Table::Mask),
        9 => Verb::Write(Table::Mask),
        10 => Verb::Read(Table::Action),
        11 => Verb::Write(Table::Action),
        12 => Verb::Read(Table::Rate),
        13 => Verb::Write(Table::Rate),
        _ => return None,
    })
}

#[derive(Debug, Clone)]
pub(super) struct Tables {
    entries: Vec<Vec<[u32; 2]>>,
    command: u32,
    busy: u16,
    /// Words as written; with shared words also as read.
    written: [u32; 2],
    found: [u32; 2],
    overrun: u32,
}

impl Tables {
    pub(super) fn new() -> Tables {
        Tables {
            entries: ALL.iter().map(|(_, size)| vec![[0; 2]; *size]).collect(),
            command: 0,
            busy: 0,
            written: [0; 2],
            found: [0; 2],
            overrun: 0,
        }
    }

    fn table(&self, table: Table) -> &[[u32; 2]] {
        let place = ALL.iter().position(|(name, _)| *name == table).unwrap_or_default();
        self.entries.get(place).map_or(&[], Vec::as_slice)
    }

    pub(super) fn get(&self, table: Table, index: u16) -> [u32; 2] {
        self.table(table).get(usize::from(index)).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, table: Table, index: u16, words: [u32; 2]) {
        let place = ALL.iter().position(|(name, _)| *name == table).unwrap_or_default();
        let entry = self.entries.get_mut(place).and_then(|all| all.get_mut(usize::from(index)));
        if let Some(entry) = entry {
            *entry = words;
        }
    }

    pub(super) fn overrun(&self) -> u32 {
        self.overrun
    }

    pub(super) fn read(&mut self, register: u32, options: &Options) -> u32 {
        let words = match options.words {
            Words::Shared => self.written,
            Words::Separate => self.found,
        };
        match register {
            0x0090 => self.status(options),
            0x0094 => words[0],
            _ => words[1],
        }
    }

    fn status(&mut self, options: &Options) -> u32 {
        if self.command & BUSY != 0 {
            match self.busy.checked_sub(1) {
                Some(left) => self.busy = left,
                None => {
                    self.command &= !BUSY;
                    if options.sampled == Sampled::AtEnd {
                        self.perform(options);
                    }
                }
            }
        }
        self.command
    }

    pub(super) fn write(&mut self, register: u32, value: u32, options: &Options) {
        match register {
            0x0094 => self.written[0] = value,
            0x0098 => self.written[1] = value,
            _ if value & BUSY == 0 => self.command = value,
            _ => {
                if self.command & BUSY != 0 {
                    self.overrun = self.overrun.saturating_add(1);
                }
                self.command = value & !INVALID;
                self.busy = options.busy_reads;
                if options.sampled == Sampled::AtStart {
                    self.perform(options);
                }
            }
        }
    }

    fn perform(&mut self, options: &Options) {
        let index = (self.command & 0xfff) as u16;
        let Some(verb) = verb(self.command >> 12 & 0xf) else { return };
        let table = match verb {
            Verb::Read(table) | Verb::Write(table) => table,
            Verb::Valid(_) => Table::Vlan,
        };
        let beyond = usize::from(index) >= self.table(table).len()
            || table == Table::Vlan && index >= options.vlans;
        if beyond {
            if options.index_invalid {
                self.command |= INVALID;
            }
            return;
        }
        match verb {
            Verb::Read(table) => {
                let words = self.get(table, index);
                match options.words {
                    Words::Shared => self.written = words,
                    Words::Separate => self.found = words,
                }
            }
            Verb::Write(table) => self.set(table, index, self.written),
            Verb::Valid(valid) => {
                let [first, second] = self.get(Table::Vlan, index);
                self.set(Table::Vlan, index, [first & !1 | u32::from(valid), second]);
            }
        }
    }
}
