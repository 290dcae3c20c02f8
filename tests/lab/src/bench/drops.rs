// SPDX-License-Identifier: GPL-2.0-or-later
//! How many ends of connections the kernel could not deliver to the daemon.

use crate::error::{Context, Result};
use flowtabled::netlink::conntrack::NFNLGRP_CONNTRACK_DESTROY;
use std::fs;

const TABLE: &str = "/proc/net/netlink";
/// Columns of the table; "Groups" is a mask in hexadecimal.
const GROUPS: usize = 3;
const DROPS: usize = 8;

/// Messages dropped so far for the socket of this namespace that asks for ends: the daemon's, for
/// nothing else here does.
///
/// # Errors
/// The kernel does not tell, or there is not one such socket.
pub fn drops() -> Result<u64> {
    let text = fs::read_to_string(TABLE).context(TABLE)?;
    of(&text).context(format!("not one socket asks for ends: {text}"))
}

fn of(text: &str) -> Option<u64> {
    let mut found = text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let groups = u32::from_str_radix(columns.get(GROUPS)?, 16).ok()?;
        let asks = groups == 1 << (NFNLGRP_CONNTRACK_DESTROY - 1);
        columns.get(DROPS).filter(|_| asks)?.parse().ok()
    });
    let drops = found.next()?;
    found.next().is_none().then_some(drops)
}

#[cfg(test)]
mod tests {
    use super::of;

    const HEADING: &str =
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";
    const OTHER: &str =
        "000000004b1df9f1 12  4294963200 00000040 0        0        0     2        7        1812\n";
    const ENDS: &str =
        "00000000e2a5ad58 12  3735       00000004 2560     0        0     2        1234     1813\n";

    #[test]
    fn the_one_socket_is_found() {
        assert_eq!(of(&[HEADING, OTHER, ENDS].concat()), Some(1234));
        assert_eq!(of(&[HEADING, OTHER].concat()), None);
        assert_eq!(of(&[HEADING, ENDS, ENDS].concat()), None);
    }
}
