// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's listing of the table (sheet, section 9.4).

use super::entry::{self, Words, ENTRIES};
use super::Mt7621Ppe;
use std::fmt::Write;
use std::net::Ipv4Addr;

impl Mt7621Ppe {
    /// The file `entries`, or with `bound` the file `bind`; `counters` is false for the kernels
    /// before 6.4, whose lines end with `ib2`.
    pub fn listing(&self, bound: bool, counters: bool) -> String {
        let mut text = String::new();
        for index in 0..ENTRIES {
            let words = self.store.entry(index);
            let state = entry::state(words[0]);
            if state == entry::INVALID || (bound && state != entry::BOUND) {
                continue;
            }
            line(&mut text, index, &words);
            text.push_str(if counters { " packets=0 bytes=0\n" } else { "\n" });
        }
        text
    }
}

/// One line as the kernel prints it, without the counters.
fn line(text: &mut String, index: usize, words: &Words) {
    let (word0, kind) = (words[0], entry::kind(words[0]));
    let state = ["INV", "UNB", "BND", "FIN"].get(entry::state(word0) as usize).unwrap_or(&"UNK");
    let name = match kind {
        entry::V4_FIVE => "IPv4 5T",
        entry::V4_THREE => "IPv4 3T",
        entry::DS_LITE => "DS-LITE",
        entry::V6_THREE => "IPv6 3T",
        entry::V6_FIVE => "IPv6 5T",
        entry::SIX_RD => "6RD",
        _ => "UNKNOWN",
    };
    let _ = write!(text, "{index:05x} {state} {name:>7} orig=");
    let ends = |text: &mut String, source: String, destination: String, ports: Option<u32>| {
        let _ = match ports {
            Some(ports) => {
                let (from, to) = (entry::high(ports), entry::low(ports));
                write!(text, "{source}:{from}->{destination}:{to}")
            }
            None => write!(text, "{source}->{destination}"),
        };
    };
    let v4 = |word: u32| Ipv4Addr::from(word).to_string();
    let v6 = |quad: [u32; 4]| {
        quad.map(|word| format!("{:04x}:{:04x}", entry::high(word), entry::low(word))).join(":")
    };
    let ports = |ports: u32| matches!(kind, 0 | 3 | 5).then_some(ports);
    match kind {
        0 | 1 | 3 => {
            ends(text, v4(words[1]), v4(words[2]), ports(words[3]));
            text.push_str(" new=");
            ends(text, v4(words[5]), v4(words[6]), ports(words[7]));
        }
        4 | 5 | 7 => {
            let source = v6([words[1], words[2], words[3], words[4]]);
            let destination = v6([words[5], words[6], words[7], words[8]]);
            ends(text, source, destination, ports(words[9]));
        }
        _ => text.push_str("(null)->(null)"),
    }
    let l2 = entry::l2(words);
    let mac = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
    let _ = write!(
        text,
        " eth={}->{} etype={:04x} vlan={},{} ib1={word0:08x} ib2={:08x}",
        mac(l2.source),
        mac(l2.destination),
        l2.etype.swap_bytes(),
        l2.vlan1,
        l2.vlan2,
        entry::ib2(words),
    );
}
