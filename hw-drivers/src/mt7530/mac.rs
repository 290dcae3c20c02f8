// SPDX-License-Identifier: GPL-2.0-or-later
//! The address table: where the switch sends frames for a MAC address. It is only read; the
//! kernel's bridge writes it.

use super::access::Translation;
use super::registers::{
    ATA1, ATA2, ATC, ATC_BUSY, ATC_INVALID, ATC_READ_MAC, ATC_SEARCH_END, ATC_SEARCH_HIT,
    ATC_SEARCH_NEXT, ATC_SEARCH_START, ATRD, TSRA1, TSRA2,
};
use crate::bus::{Bus, Slot32};
use crate::flow::Mac;
use crate::table::{Error, Progress};

/// Reads of the command register at most; the kernel waits 20 ms at most, which is 770 transfers.
const BUSY_READS: u16 = 770;

/// Entries that the table has for all kinds together.
pub const MAX_ADDRESSES: u16 = 2048;

/// Steps of a search in one call, each a transaction of 0.4 ms.
const STEPS_A_CALL: usize = 8;

/// What an address is looked up by besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Its VLAN: independent learning.
    Vlan(u16),
    /// A forwarding database that VLANs share, 0 to 7.
    Shared(u8),
}

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    /// The address.
    pub mac: Mac,
    /// What it is looked up by.
    pub scope: Scope,
    /// Forwarding database, 0 to 7.
    pub fid: u8,
    /// Ports that frames for it go to.
    pub ports: u8,
    /// It does not age.
    pub is_static: bool,
    /// The chip's age field; 255 for an entry that was set.
    pub age: u8,
    /// User priority of frames for it.
    pub priority: u8,
}

impl Station {
    fn new(first: u32, second: u32, data: u32) -> Station {
        let ([a, b, c, d], [e, g, _, _]) = (first.to_be_bytes(), second.to_be_bytes());
        let fid = (second >> 12 & 7) as u8;
        let scope = match second & 1 << 15 {
            0 => Scope::Shared(fid),
            _ => Scope::Vlan((second & 0xfff) as u16),
        };
        Station {
            mac: Mac([a, b, c, d, e, g]),
            scope,
            fid,
            ports: (data >> 4 & 0xff) as u8,
            is_static: data >> 2 & 3 == 3,
            age: (data >> 24) as u8,
            priority: (data >> 16 & 7) as u8,
        }
    }
}

/// How far a dump is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dump {
    /// Place of the entry found last.
    last: Option<u16>,
    found: u16,
    restarts: u16,
}

impl Dump {
    /// How often somebody else has searched the table meanwhile and the dump began anew, so that
    /// entries have been told more than once.
    pub fn restarts(&self) -> u16 {
        self.restarts
    }
}

/// The command, until it is done; then its status and what it has found.
fn command(access: &mut Translation, command: u32) -> Result<[Slot32; 4], Error> {
    access.write(ATC, ATC_BUSY | command)?;
    access.poll(ATC, ATC_BUSY, 0, BUSY_READS)?;
    Ok([access.read(ATC)?, access.read(TSRA1)?, access.read(TSRA2)?, access.read(ATRD)?])
}

/// Begins when no command runs any more.
fn idle() -> Result<Translation, Error> {
    let mut access = Translation::new();
    access.poll(ATC, ATC_BUSY, 0, BUSY_READS)?;
    Ok(access)
}

/// Looks an address up.
pub(super) fn read<B: Bus>(bus: &mut B, mac: Mac, scope: Scope) -> Result<Option<Station>, Error> {
    let Mac([a, b, c, d, e, g]) = mac;
    let by = match scope {
        Scope::Vlan(vlan) => 1 << 15 | u32::from(vlan & 0xfff),
        Scope::Shared(fid) => u32::from(fid & 7) << 12,
    };
    let mut access = idle()?;
    access.write(ATA1, u32::from_be_bytes([a, b, c, d]))?;
    access.write(ATA2, u32::from_be_bytes([e, g, 0, 0]) | by)?;
    let [status, first, second, data] = command(&mut access, ATC_READ_MAC)?;
    let outcome = bus.run(&access.finish())?;
    if status.get(&outcome)? & ATC_INVALID != 0 {
        return Ok(None);
    }
    let station = Station::new(first.get(&outcome)?, second.get(&outcome)?, data.get(&outcome)?);
    Ok(Some(station))
}

/// Goes on with a dump.
pub(super) fn dump<B: Bus>(
    bus: &mut B,
    dump: &mut Dump,
    seen: &mut dyn FnMut(Station),
) -> Result<Progress, Error> {
    for _ in 0..STEPS_A_CALL {
        let mut access = idle()?;
        let how = if dump.last.is_none() { ATC_SEARCH_START } else { ATC_SEARCH_NEXT };
        let [status, first, second, data] = command(&mut access, how)?;
        let outcome = bus.run(&access.finish())?;
        let status = status.get(&outcome)?;
        if status & ATC_SEARCH_HIT == 0 {
            *dump = Dump { last: None, found: 0, ..*dump };
            return Ok(Progress::Done);
        }
        let place = (status >> 16 & 0xfff) as u16;
        // A search goes up through the table. If not, another search has moved the chip's cursor.
        if dump.last.is_some_and(|last| place <= last) {
            *dump = Dump { restarts: dump.restarts.saturating_add(1), ..Dump::default() };
            return Ok(Progress::More);
        }
        seen(Station::new(first.get(&outcome)?, second.get(&outcome)?, data.get(&outcome)?));
        *dump = Dump { last: Some(place), found: dump.found.saturating_add(1), ..*dump };
        if status & ATC_SEARCH_END != 0 || dump.found >= MAX_ADDRESSES {
            *dump = Dump { last: None, found: 0, ..*dump };
            return Ok(Progress::Done);
        }
    }
    Ok(Progress::More)
}
