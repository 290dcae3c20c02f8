// SPDX-License-Identifier: GPL-2.0-or-later
//! A frame as the chip takes it apart: only as far as forwarding and the ACL look at it.

use super::Options;

const TPIDS: [u16; 2] = [0x8100, 0x88a8];

/// Where the parts of a frame begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
    /// Offset of the type that no tag stands before.
    kind: usize,
    /// Offset of the IP header, or of what stands in its place.
    network: Option<usize>,
    transport: Option<usize>,
    payload: Option<usize>,
}

impl<'a> View<'a> {
    /// `None` for less than a header.
    pub(super) fn of(bytes: &'a [u8], options: &Options) -> Option<View<'a>> {
        let mut kind = 12;
        while TPIDS.contains(&word(bytes, kind)?) {
            kind += 4;
        }
        let ethertype = word(bytes, kind)?;
        // A PPPoE session's header is skipped when IP follows.
        let network = match ethertype {
            0x0800 | 0x86dd => Some(kind + 2),
            0x8864 if matches!(word(bytes, kind + 8), Some(0x0021 | 0x0057)) => Some(kind + 10),
            _ => None,
        };
        let mut view = View { bytes, kind, network, transport: None, payload: None };
        view.transport = network.and_then(|network| view.find_transport(network, options));
        view.payload = view.transport.and_then(|transport| match view.protocol()? {
            6 => Some(transport + usize::from(bytes.get(transport + 12)? >> 4) * 4),
            17 => Some(transport + 8),
            _ => None,
        });
        if options.base_of_others {
            view.network = view.network.or(Some(kind + 2));
        }
        Some(view)
    }

    fn find_transport(&self, network: usize, options: &Options) -> Option<usize> {
        let first = *self.bytes.get(network)?;
        match first >> 4 {
            4 => {
                let later = word(self.bytes, network + 6)? & 0x1fff != 0;
                (!later || options.ports_of_fragments)
                    .then_some(network + usize::from(first & 0xf) * 4)
            }
            6 => Some(network + 40),
            _ => None,
        }
    }

    fn protocol(&self) -> Option<u8> {
        let network = self.network?;
        match self.bytes.get(network)? >> 4 {
            4 => self.bytes.get(network + 9).copied(),
            6 => self.bytes.get(network + 6).copied(),
            _ => None,
        }
    }

    /// Destination and source.
    pub(super) fn macs(&self) -> [[u8; 6]; 2] {
        let mac = |from: usize| {
            self.bytes.get(from..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
        };
        [mac(0), mac(6)]
    }

    /// Priority and VLAN of the outermost tag.
    pub(super) fn tag(&self) -> Option<(u8, u16)> {
        let tci = (self.kind > 12).then(|| word(self.bytes, 14))??;
        Some(((tci >> 13) as u8, tci & 0xfff))
    }

    /// The code point of an IP packet.
    pub(super) fn dscp(&self) -> Option<u8> {
        let ethertype = word(self.bytes, self.kind)?;
        let network = self.network?;
        match ethertype {
            0x0800 => Some(self.bytes.get(network + 1)? >> 2),
            0x86dd => Some((word(self.bytes, network)? >> 6 & 0x3f) as u8),
            _ => None,
        }
    }

    /// The word that a pattern looks at; `None` where the frame has none, which never matches.
    pub(super) fn word(&self, base: u32, number: usize, options: &Options) -> Option<u16> {
        let start = match base {
            0 if number == 6 && options.tagged_ether_type => self.kind.checked_sub(12)?,
            0 => 0,
            2 => self.network?,
            4 => self.transport?,
            5 => self.payload?,
            // The other codes' meanings are not public.
            _ => return None,
        };
        word(self.bytes, start + number * 2)
    }
}

fn word(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}
