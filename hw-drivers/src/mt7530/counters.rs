// SPDX-License-Identifier: GPL-2.0-or-later
//! The counters of a port. They run freely from the kernel's last clearing of them; they are never
//! cleared here.

use super::access::Translation;
use super::registers::{MIB, MIB_CCR, MIB_ENABLE, PORTS, PORT_STEP};
use crate::bus::{Bus, Outcome, Slot32};
use crate::table::{Error, Part};

/// A counter of 32 bits, by its offset among the port's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)] // the names are the sheet's own
pub enum Counter {
    TxDrop = 0x00,
    TxCrcErr = 0x04,
    TxUnicast = 0x08,
    TxMulticast = 0x0c,
    TxBroadcast = 0x10,
    TxCollision = 0x14,
    TxSingleCollision = 0x18,
    TxMultipleCollision = 0x1c,
    TxDeferred = 0x20,
    TxLateCollision = 0x24,
    TxExcessiveCollision = 0x28,
    TxPause = 0x2c,
    TxSize64 = 0x30,
    TxSize65To127 = 0x34,
    TxSize128To255 = 0x38,
    TxSize256To511 = 0x3c,
    TxSize512To1023 = 0x40,
    TxSize1024ToMax = 0x44,
    RxDrop = 0x60,
    RxFiltering = 0x64,
    RxUnicast = 0x68,
    RxMulticast = 0x6c,
    RxBroadcast = 0x70,
    RxAlignErr = 0x74,
    RxCrcErr = 0x78,
    RxUnderSize = 0x7c,
    RxFragment = 0x80,
    RxOverSize = 0x84,
    RxJabber = 0x88,
    RxPause = 0x8c,
    RxSize64 = 0x90,
    RxSize65To127 = 0x94,
    RxSize128To255 = 0x98,
    RxSize256To511 = 0x9c,
    RxSize512To1023 = 0xa0,
    RxSize1024ToMax = 0xa4,
    RxCtrlDrop = 0xb0,
    RxIngressDrop = 0xb4,
    RxArlDrop = 0xb8,
}

/// Offsets of the octet counters, low word first.
const TX_OCTETS: u32 = 0x48;
const RX_OCTETS: u32 = 0xa8;

/// Words up to the last counter.
const WORDS: usize = 0xbc / 4;

/// Offsets of one transaction each: a page is 0x40 bytes, and the whole would not fit one.
const PAGES: [(u32, u32); 3] = [(0x00, 0x3c), (0x40, 0x7c), (0x80, 0xb8)];

/// All counters of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    words: [u32; WORDS],
    /// Octets sent.
    pub tx_octets: u64,
    /// Octets received.
    pub rx_octets: u64,
}

impl Counters {
    /// A counter's value; it wraps.
    pub fn get(&self, counter: Counter) -> u32 {
        self.words.get(usize::from(counter as u8) / 4).copied().unwrap_or_default()
    }
}

/// A counter of two words that cannot be read at once: high, low, and both again.
struct Wide([Slot32; 4]);

impl Wide {
    fn read(access: &mut Translation, low: u32) -> Result<Wide, Error> {
        let high = low + 4;
        let pairs = [access.read(high)?, access.read(low)?, access.read(high)?, access.read(low)?];
        Ok(Wide(pairs))
    }

    /// If the high word has moved, the low one has wrapped just before and will not do so again.
    fn value(&self, outcome: &Outcome) -> Result<u64, Error> {
        let [high, low, high_again, low_again] = &self.0;
        let (first, again) = (high.get(outcome)?, high_again.get(outcome)?);
        let low = if first == again { low.get(outcome)? } else { low_again.get(outcome)? };
        Ok(u64::from(again) << 32 | u64::from(low))
    }
}

/// Whether a word of a port's counters is there and no half of a wide one.
fn is_counter(offset: u32) -> bool {
    !matches!(offset, 0x48..=0x5c | 0xa8..=0xac)
}

/// Reads a port's counters, in three transactions.
pub(super) fn read<B: Bus>(bus: &mut B, port: u8) -> Result<Option<Counters>, Error> {
    if port >= PORTS {
        return Err(Error::NotExpressible(Part::Port(port)));
    }
    let base = MIB + PORT_STEP * u32::from(port);
    let mut counters = Counters { words: [0; WORDS], tx_octets: 0, rx_octets: 0 };
    for (first, last) in PAGES {
        let mut access = Translation::new();
        let control = access.read(MIB_CCR)?;
        let mut slots = Vec::with_capacity(16);
        let mut wide = None;
        for offset in (first..=last).step_by(4) {
            if is_counter(offset) {
                slots.push((offset, access.read(base + offset)?));
            } else if offset == TX_OCTETS || offset == RX_OCTETS {
                wide = Some((offset, Wide::read(&mut access, base + offset)?));
            }
        }
        let outcome = bus.run(&access.finish())?;
        if control.get(&outcome)? & MIB_ENABLE == 0 {
            return Ok(None);
        }
        for (offset, slot) in slots {
            if let Some(word) = counters.words.get_mut((offset / 4) as usize) {
                *word = slot.get(&outcome)?;
            }
        }
        match wide {
            Some((TX_OCTETS, wide)) => counters.tx_octets = wide.value(&outcome)?,
            Some((_, wide)) => counters.rx_octets = wide.value(&outcome)?,
            None => {}
        }
    }
    Ok(Some(counters))
}
