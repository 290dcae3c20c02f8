// SPDX-License-Identifier: GPL-2.0-or-later
//! VLANs of the kernel's driver: read, and watched while our tables change.
//!
//! The kernel writes a VLAN's entry in several accesses; if one of our commands falls between
//! them and the data words cannot be put back, the entry is wrong afterwards. So the VLANs in use
//! are read before a change of a rule and again after it.

use super::tables::{self, Table};
use crate::bus::Bus;
use crate::table::Error;

/// VLANs that are compared around a change. Each costs two table commands, some 2 ms of the bus,
/// and a router has a handful.
pub const MAX_WATCHED: usize = 64;

/// Words written last that a damaged entry is compared with: those of one change of a rule.
const MAX_WRITTEN: usize = 48;

/// A VLAN's entry as the chip holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// VAWD1 and VAWD2.
    pub words: [u32; 2],
}

impl Vlan {
    /// The entry counts.
    pub fn is_valid(&self) -> bool {
        self.words[0] & 1 != 0
    }

    /// Member ports, a bit each.
    pub fn members(&self) -> u8 {
        self.words[0].to_be_bytes()[1]
    }

    /// Addresses are learned for this VLAN alone.
    pub fn is_independent(&self) -> bool {
        self.words[0] & 1 << 30 != 0
    }

    /// The forwarding database, 0 to 7.
    pub fn fid(&self) -> u8 {
        (self.words[0] >> 1 & 7) as u8
    }

    /// Frames of the VLAN leave this port with a tag; `None` if the entry does not say it.
    pub fn is_tagged(&self, port: u8) -> Option<bool> {
        let says = self.words[0] & 1 << 28 != 0 && port < 8;
        says.then(|| self.words[1] >> (2 * u32::from(port & 7)) & 3 == 2)
    }
}

/// A VLAN whose entry was another one after a rule had been changed than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The VLAN, 0 to 4095.
    pub vlan: u16,
    /// The entry before.
    pub before: Vlan,
    /// The entry after.
    pub after: Vlan,
    /// It holds a word that was written for the rule: damage. If not, it may well be that the
    /// kernel has changed the VLAN.
    pub ours: bool,
}

/// The VLANs in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    vlans: Vec<(u16, Option<Vlan>)>,
    written: Vec<u32>,
    pub(super) damages: Vec<Damage>,
}

impl Watch {
    /// Adds a VLAN; false if there is no room.
    pub(super) fn add(&mut self, vlan: u16) -> bool {
        if self.vlans.iter().any(|(known, _)| *known == vlan) {
            return true;
        }
        let room = self.vlans.len() < MAX_WATCHED;
        if room {
            self.vlans.push((vlan & 0xfff, None));
        }
        room
    }

    pub(super) fn len(&self) -> usize {
        self.vlans.len()
    }

    /// Forgets what was written for the change before.
    pub(super) fn begin(&mut self) {
        self.written.clear();
    }

    /// A word that is about to be written.
    pub(super) fn wrote(&mut self, words: [u32; 2]) {
        // Zeros are everywhere: they prove nothing.
        let telling = words.into_iter().filter(|word| *word != 0);
        let room = MAX_WRITTEN.saturating_sub(self.written.len());
        self.written.extend(telling.take(room));
    }

    /// Reads the entry of the VLAN of this place before a change.
    pub(super) fn read_before<B: Bus>(&mut self, bus: &mut B, place: usize) -> Result<(), Error> {
        if let Some((vlan, before)) = self.vlans.get_mut(place) {
            *before = Some(read(bus, *vlan)?);
        }
        Ok(())
    }

    /// Reads it after the change and compares.
    pub(super) fn compare<B: Bus>(
        &mut self,
        bus: &mut B,
        place: usize,
    ) -> Result<Option<Damage>, Error> {
        let Some((vlan, Some(before))) = self.vlans.get(place).copied() else { return Ok(None) };
        let after = read(bus, vlan)?;
        if after == before {
            return Ok(None);
        }
        let ours = after.words.iter().zip(before.words);
        let ours = ours.filter(|(after, before)| *after != before);
        let ours = ours.into_iter().any(|(after, _)| self.written.contains(after));
        let damage = Damage { vlan, before, after, ours };
        self.damages.retain(|known| known.vlan != vlan);
        self.damages.push(damage);
        Ok(Some(damage))
    }
}

/// Reads a VLAN's entry.
pub(super) fn read<B: Bus>(bus: &mut B, vlan: u16) -> Result<Vlan, Error> {
    tables::read(bus, Table::Vlan, vlan & 0xfff).map(|words| Vlan { words })
}

/// Writes a VLAN's entry.
pub(super) fn write<B: Bus>(bus: &mut B, vlan: u16, entry: Vlan) -> Result<(), Error> {
    tables::write(bus, Table::Vlan, vlan & 0xfff, entry.words)
}
