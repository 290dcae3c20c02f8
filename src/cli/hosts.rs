// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable hosts`: a table of the clients, a line each.

use super::quantity;
use super::text::{self, entries, integer, strings, table, text, unknown};
use super::Paged;

const COLUMNS: usize = 7;
const HEADING: [&str; COLUMNS] = ["STATE", "HOST", "ADDRESS", "PORT", "FLOWS", "RATE", "BYTES"];
/// The columns from here on are numbers, which stand on the right.
const NUMBERS: usize = 4;
const STATES: [&str; 3] = ["classic", "software", "hardware"];

/// A table that is written a page at a time.
#[derive(Debug, Default)]
pub struct HostTable {
    widths: [usize; COLUMNS],
    shown: usize,
    matched: Option<i64>,
}

impl Paged for HostTable {
    /// The lines of a reply; those of the first begin with the heading.
    fn page(&mut self, reply: &[u8]) -> String {
        let mut rows = Vec::new();
        if self.matched.is_none() {
            rows.push(HEADING.map(str::to_owned));
        }
        let hosts = entries(reply, "hosts").unwrap_or_default();
        self.shown += hosts.len();
        self.matched = Some(integer(reply, "matched").unwrap_or(0));
        rows.extend(hosts.into_iter().map(row));
        text::aligned(&rows, &mut self.widths, NUMBERS, 1)
    }

    fn footer(&self) -> String {
        format!("{} of {} hosts shown\n", self.shown, self.matched.unwrap_or(0))
    }
}

fn row(host: &[u8]) -> [String; COLUMNS] {
    // A sum of what is counted and what is not would be neither.
    let sum = |keys: &[&str]| {
        STATES.iter().try_fold(0u64, |sum, state| {
            let carried = table(host, state)?;
            keys.iter().try_fold(sum, |sum, key| {
                Some(sum.saturating_add(integer(carried, key)?.try_into().ok()?))
            })
        })
    };
    let name = ["name", "mac"].into_iter().find_map(|key| Some(text(host, key)).filter(known));
    let addresses = strings(host, "addresses").unwrap_or_default();
    let port = ["port", "device"].into_iter().find_map(|key| Some(text(host, key)).filter(known));
    [
        text(host, "state"),
        name.unwrap_or_else(unknown),
        addresses.first().cloned().unwrap_or_else(unknown),
        port.unwrap_or_else(unknown),
        sum(&["flows"]).map_or_else(unknown, |flows| flows.to_string()),
        sum(&["rate_sent", "rate_received"]).map_or_else(unknown, quantity::rate),
        sum(&["bytes_sent", "bytes_received"]).map_or_else(unknown, quantity::bytes),
    ]
}

fn known(text: &String) -> bool {
    *text != unknown()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::hosts::encode;
    use crate::ubus::hosts::tests::two;
    use proptest::prelude::*;

    #[test]
    fn a_table_of_hosts() {
        let mut table = HostTable::default();
        let reply = encode(&two(), [true; 3], 65_000);
        assert_eq!(
            table.page(reply.contents()),
            "\
STATE    HOST   ADDRESS  PORT FLOWS    RATE  BYTES
software laptop fd00::2  lan1     4 3.0kB/s 70.0MB
-        -      10.0.0.9 -        0    0B/s     0B
"
        );
        assert_eq!(table.footer(), "2 of 3 hosts shown\n");
    }

    #[test]
    fn what_is_not_counted_is_a_dash() {
        let reply = encode(&two(), [false; 3], 65_000);
        let text = HostTable::default().page(reply.contents());
        assert!(text.contains("     4    -     -\n"), "{text}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = HostTable::default().page(&bytes);
        }
    }
}
