// SPDX-License-Identifier: GPL-2.0-or-later
//! Files that others write: leases of DHCP servers, the kernel's listing of the MT7621's table, and
//! its PPPoE sessions. All readers take every input.
#![no_main]

use flowtabled::daemon::switches::fuzz as sessions;
use flowtabled::leases::Leases;
use flowtabled::netlink::route::Mac;
use hw_drivers::mt7621_ppe::listing::{Line, Malformed, Reader, Summary};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

fn lines(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<Result<Line, Malformed>> {
    let (mut reader, mut lines) = (Reader::new(), Vec::new());
    pieces.for_each(|piece| reader.feed(piece, &mut |line| lines.push(line)));
    reader.finish(&mut |line| lines.push(line));
    lines
}

fn listing(data: &[u8]) {
    let whole = lines(&mut std::iter::once(data));
    assert_eq!(lines(&mut data.chunks(7)), whole, "in pieces");
    let mut summary = Summary::default();
    for line in &whole {
        summary.add(line);
        match line {
            Ok(line) => {
                let _ = (line.torn(), line.tuple());
                assert_eq!(Line::parse(&line.to_string()), Ok(*line), "{line}");
            }
            Err(malformed) => assert!(malformed.line > 0),
        }
    }
    assert!(summary.bound() <= summary.occupied());
}

/// Every name that anything in the file could be known by.
fn names(data: &[u8], leases: &Leases) -> Vec<Option<String>> {
    let words = data.split(|byte| byte.is_ascii_whitespace() || *byte == b'/');
    let words = words.filter_map(|word| std::str::from_utf8(word).ok());
    words
        .flat_map(|word| {
            let mac = word.parse::<Mac>().or_else(|_| Mac::from_digits(word)).ok();
            let address: Option<IpAddr> = word.parse().ok();
            [leases.name(mac, &[]), leases.name(None, address.as_slice())]
        })
        .map(|name| name.map(str::to_owned))
        .collect()
}

fn leases(data: &[u8]) {
    let mut leases = Leases::default();
    leases.read(data);
    let found = names(data, &leases);
    for name in found.iter().flatten() {
        let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(plain && !name.is_empty() && name.len() <= 255, "{name:?}");
    }
    // Line by line is the same as whole, and a second time changes no name.
    let mut pieces = Leases::default();
    data.split_inclusive(|byte| *byte == b'\n').for_each(|line| pieces.read(line));
    assert_eq!(pieces, leases);
    leases.read(data);
    assert_eq!(names(data, &leases), found);
}

fuzz_target!(|data: &[u8]| {
    listing(data);
    leases(data);
    if let Ok(text) = std::str::from_utf8(data) {
        for session in sessions::sessions(text) {
            assert!(!session.device.is_empty());
        }
    }
});
