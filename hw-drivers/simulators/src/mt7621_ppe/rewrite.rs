// SPDX-License-Identifier: GPL-2.0-or-later
//! A packet on its way out by a bound entry: new addresses, TTL, checksums and the whole new
//! Ethernet header (sheet, sections 4.2 and 4.6).

use super::entry::{self, Words};
use super::packet::{half, Packet};

/// The frame that leaves, and how many layers of tags it has got.
pub fn rewrite(packet: &Packet<'_>, words: &Words) -> Option<(Vec<u8>, u32)> {
    let mut inner = packet.bytes.to_vec();
    let mut changes = Changes::default();
    if entry::kind(words[0]) < entry::DS_LITE {
        changes.put(&mut inner, 12, words[5])?;
        changes.put(&mut inner, 16, words[6])?;
        if entry::kind(words[0]) == entry::V4_FIVE {
            changes.put(&mut inner, packet.l4, words[7])?;
        }
        if let Some(at) = packet.checksum_at() {
            let unchecked = packet.key.udp && half(&inner, at)? == 0;
            if !unchecked {
                changes.apply(&mut inner, at, packet.key.udp)?;
            }
        }
    }
    if words[0] & entry::TTL != 0 {
        let ttl = inner.get_mut(if packet.v6 { 7 } else { 8 })?;
        *ttl = ttl.checked_sub(1)?;
    }
    if !packet.v6 {
        set_half(&mut inner, 10, 0)?;
        let sum = super::packet::sum(inner.get(..packet.l4)?, 0);
        set_half(&mut inner, 10, !sum)?;
    }
    let layers = words[0] >> 16 & 7;
    let mut frame = header(words, packet.v6, layers, inner.len())?;
    frame.extend(inner);
    Some((frame, layers))
}

/// The Ethernet header, with PPPoE's if there is to be one.
fn header(words: &Words, v6: bool, layers: u32, inner: usize) -> Option<Vec<u8>> {
    let l2 = entry::l2(words);
    let pppoe = words[0] & entry::PPPOE != 0;
    let mut frame = Vec::new();
    frame.extend(l2.destination);
    frame.extend(l2.source);
    let normal = words[0] & entry::VLAN_TAG != 0;
    for (layer, vlan) in (0..layers).zip([l2.vlan1, l2.vlan2, 0, 0]) {
        // The first layer's type is the etype field itself unless it is a normal tag.
        let tpid = if layer == 0 && !normal { l2.etype } else { 0x8100 };
        frame.extend(tpid.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    let etype = match (layers > 0 && !normal, pppoe, v6) {
        (false, _, _) => l2.etype,
        (true, true, _) => 0x8864,
        (true, false, false) => 0x0800,
        (true, false, true) => 0x86dd,
    };
    frame.extend(etype.to_be_bytes());
    if pppoe {
        let length = u16::try_from(inner.checked_add(2)?).ok()?;
        let protocol = if v6 { 0x0057 } else { 0x0021 };
        for half in [0x1100, l2.pppoe, length, protocol] {
            frame.extend(u16::to_be_bytes(half));
        }
    }
    Some(frame)
}

fn set_half(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    bytes.get_mut(at..at.checked_add(2)?)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

/// Words that were replaced, for a checksum that is brought up to date and not computed anew: a
/// packet that came in broken goes out broken (RFC 1624, equation 3).
#[derive(Default)]
struct Changes(Vec<(u16, u16)>);

impl Changes {
    fn put(&mut self, bytes: &mut [u8], at: usize, word: u32) -> Option<()> {
        for (at, new) in [(at, entry::high(word)), (at.checked_add(2)?, entry::low(word))] {
            self.0.push((half(bytes, at)?, new));
            set_half(bytes, at, new)?;
        }
        Some(())
    }

    fn apply(&self, bytes: &mut [u8], at: usize, udp: bool) -> Option<()> {
        let mut sum = u32::from(!half(bytes, at)?);
        for (old, new) in &self.0 {
            for part in [!old, *new] {
                sum = sum.wrapping_add(u32::from(part));
                sum = (sum & 0xffff).wrapping_add(sum >> 16);
            }
        }
        let sum = !entry::low(sum);
        // Zero says that there is none in UDP; its other form stands for it (RFC 768).
        set_half(bytes, at, if udp && sum == 0 { 0xffff } else { sum })
    }
}
