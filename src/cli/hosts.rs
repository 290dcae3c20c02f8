// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable hosts`: a table of the clients, a line each.

use super::quantity;
use super::text::{self, entries, integer, strings, table, text, unknown};

const COLUMNS: usize = 7;
const HEADING: [&str; COLUMNS] = ["STATE", "HOST", "ADDRESS", "PORT", "FLOWS", "RATE", "BYTES"];
/// The columns from here on are numbers, which stand on the right.
const NUMBERS: usize = 4;
const STATES: [&str; 3] = ["classic", "software", "hardware"];

/// The lines of a reply, the heading first, and at the end how many there are.
pub fn hosts(reply: &[u8]) -> String {
    let hosts = entries(reply, "hosts").unwrap_or_default();
    let mut rows = vec![HEADING.map(str::to_owned)];
    rows.extend(hosts.iter().map(|host| row(host)));
    let mut out = text::aligned(&rows, &mut [0; COLUMNS], NUMBERS, 1);
    let matched = integer(reply, "matched").unwrap_or(0);
    out.push_str(&format!("{} of {matched} hosts shown\n", hosts.len()));
    out
}

fn row(host: &[u8]) -> [String; COLUMNS] {
    let sum = |keys: &[&str]| {
        let amounts = STATES.iter().filter_map(|state| table(host, state)).flat_map(|carried| {
            keys.iter().filter_map(|key| integer(carried, key)?.try_into().ok())
        });
        amounts.reduce(u64::saturating_add)
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
        let reply = encode(&two(), [true; 3], 65_000);
        assert_eq!(
            hosts(reply.contents()),
            "\
STATE    HOST   ADDRESS  PORT FLOWS    RATE  BYTES
software laptop fd00::2  lan1     4 3.0kB/s 70.0MB
-        -      10.0.0.9 -        0    0B/s     0B
2 of 3 hosts shown
"
        );
    }

    #[test]
    fn what_is_not_counted_is_a_dash() {
        let reply = encode(&two(), [false; 3], 65_000);
        assert!(hosts(reply.contents()).contains("     4    -     -\n"));
    }

    #[test]
    fn no_hosts() {
        assert!(hosts(&[]).ends_with("\n0 of 0 hosts shown\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = hosts(&bytes);
        }
    }
}
