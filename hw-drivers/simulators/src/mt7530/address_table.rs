// SPDX-License-Identifier: GPL-2.0-or-later
//! The address table: MAC addresses and multicast groups, one command register for all.

use super::Options;
use std::time::Duration;

/// Places of the table.
const PLACES: usize = 2048;

const BUSY: u32 = 1 << 15;
const SEARCH_END: u32 = 1 << 14;
const SEARCH_HIT: u32 = 1 << 13;
const INVALID: u32 = 1 << 12;
const IVL: u32 = 1 << 15;

/// Status of an entry that does not age.
const STATIC: u32 = 3;
const DYNAMIC: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// 0 MAC, 1 group, 2 group and source.
    kind: u32,
    key: [u32; 2],
    data: u32,
    unseen: Duration,
}

impl Entry {
    fn status(&self) -> u32 {
        self.data >> 2 & 3
    }
}

#[derive(Debug, Clone)]
pub(super) struct AddressTable {
    places: Vec<Option<Entry>>,
    key: [u32; 2],
    data: u32,
    command: u32,
    busy: u16,
    found: [u32; 3],
    /// Where the next step of a search begins.
    cursor: usize,
    overrun: u32,
}

/// What the key of an entry is compared by: with IVL the VLAN counts, without the FID.
fn identity(kind: u32, [first, second]: [u32; 2]) -> [u32; 2] {
    match kind {
        0 if second & IVL != 0 => [first, second & (0xffff_0000 | IVL | 0xfff)],
        0 => [first, second & 0xffff_7000],
        1 => [first, 0],
        _ => [first, second],
    }
}

fn mac_words([a, b, c, d, e, f]: [u8; 6]) -> [u32; 2] {
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, 0, 0])]
}

impl AddressTable {
    pub(super) fn new() -> AddressTable {
        AddressTable {
            places: vec![None; PLACES],
            key: [0; 2],
            data: 0,
            command: 0,
            busy: 0,
            found: [0; 3],
            cursor: 0,
            overrun: 0,
        }
    }

    pub(super) fn overrun(&self) -> u32 {
        self.overrun
    }

    pub(super) fn read(&mut self, register: u32, _: &Options) -> u32 {
        match register {
            0x0080 => {
                match self.busy.checked_sub(1) {
                    Some(left) => self.busy = left,
                    None => self.command &= !BUSY,
                }
                self.command
            }
            0x0084 => self.found[0],
            0x0088 => self.found[1],
            0x008c => self.found[2],
            // The words to write cannot be read.
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, register: u32, value: u32, options: &Options) {
        match register {
            0x0074 => self.key[0] = value,
            0x0078 => self.key[1] = value,
            0x007c => self.data = value,
            0x0080 if value & BUSY != 0 => {
                if self.command & BUSY != 0 {
                    self.overrun = self.overrun.saturating_add(1);
                }
                self.busy = options.busy_reads;
                self.command = value & 0x0f37 | BUSY;
                self.perform(value, options);
            }
            _ => {}
        }
    }

    fn perform(&mut self, command: u32, options: &Options) {
        let kind = command >> 4 & 3;
        match command & 7 {
            0 => match self.find(kind, self.key) {
                Some(place) => self.show(place),
                None => self.command |= INVALID,
            },
            1 => self.put(kind, self.key, self.data),
            2 => {
                let kind = command >> 8 & 0xf;
                let gone = |place: &Option<Entry>| place.is_some_and(|entry| entry.kind == kind);
                self.places.iter_mut().filter(|place| gone(place)).for_each(|place| *place = None);
            }
            4 => {
                self.cursor = 0;
                self.search(command >> 8 & 0xf, options);
            }
            5 => self.search(command >> 8 & 0xf, options),
            _ => {}
        }
    }

    fn search(&mut self, kind: u32, options: &Options) {
        let next = |from: usize, places: &[Option<Entry>]| {
            let of_kind = |place: &Option<Entry>| place.is_some_and(|entry| entry.kind == kind);
            (from..PLACES).find(|place| places.get(*place).is_some_and(of_kind))
        };
        match next(self.cursor, &self.places) {
            Some(place) => {
                self.cursor = place.saturating_add(1);
                self.command |= SEARCH_HIT;
                self.show(place);
                if options.end_with_last && next(self.cursor, &self.places).is_none() {
                    self.command |= SEARCH_END;
                }
            }
            None => self.command |= SEARCH_END | 0x7ff << 16,
        }
    }

    fn show(&mut self, place: usize) {
        if let Some(Some(entry)) = self.places.get(place) {
            self.found = [entry.key[0], entry.key[1], entry.data];
            self.command = self.command & 0xffff | (place as u32 & 0xfff) << 16;
        }
    }

    fn find(&self, kind: u32, key: [u32; 2]) -> Option<usize> {
        let wanted = identity(kind, key);
        self.places.iter().position(|place| {
            place.is_some_and(|entry| entry.kind == kind && identity(kind, entry.key) == wanted)
        })
    }

    /// Writes an entry; status 0 erases it. The chip's hash is not public: the place is a sum of
    /// the bytes, or the first free one after it.
    fn put(&mut self, kind: u32, key: [u32; 2], data: u32) {
        let erased = data >> 2 & 3 == 0;
        let place = self.find(kind, key).or_else(|| {
            let bytes = key.iter().flat_map(|word| word.to_be_bytes());
            let start = bytes.fold(0usize, |sum, byte| sum * 31 % 65_521 + usize::from(byte));
            (0..PLACES)
                .map(|step| (start + step) % PLACES)
                .find(|place| matches!(self.places.get(*place), Some(None)))
        });
        if let Some(slot) = place.and_then(|place| self.places.get_mut(place)) {
            let entry = Entry { kind, key, data, unseen: Duration::ZERO };
            *slot = (!erased).then_some(entry);
        }
    }

    /// A source address is seen. A static entry stays as it is.
    pub(super) fn learn(&mut self, mac: [u8; 6], vlan: u16, ivl: bool, fid: u8, port: u8) {
        let key = forwarding_key(mac, vlan, ivl, fid);
        let known = self.find(0, key).and_then(|place| self.places.get(place).copied().flatten());
        if known.is_none_or(|entry| entry.status() != STATIC) {
            self.put(0, key, 0x9500_0000 | 1 << (4 + u32::from(port)) | DYNAMIC << 2);
        }
    }

    /// Ports and priority of an address.
    pub(super) fn look_up(&self, mac: [u8; 6], vlan: u16, ivl: bool, fid: u8) -> Option<(u8, u8)> {
        let place = self.find(0, forwarding_key(mac, vlan, ivl, fid))?;
        let data = self.places.get(place).copied().flatten()?.data;
        Some(((data >> 4) as u8, (data >> 16 & 7) as u8))
    }

    pub(super) fn pass(&mut self, time: Duration, age: Option<Duration>) {
        let Some(age) = age else { return };
        for place in &mut self.places {
            if let Some(entry) = place {
                entry.unseen = entry.unseen.saturating_add(time);
                if entry.status() != STATIC && entry.unseen >= age {
                    *place = None;
                }
            }
        }
    }
}

fn forwarding_key(mac: [u8; 6], vlan: u16, ivl: bool, fid: u8) -> [u32; 2] {
    let [first, second] = mac_words(mac);
    let by = if ivl { IVL | u32::from(vlan) } else { 0 };
    [first, second | by | u32::from(fid & 7) << 12]
}
