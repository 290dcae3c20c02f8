// SPDX-License-Identifier: GPL-2.0-or-later
//! Conntrack entries as a router has them: mostly IPv4 behind source NAT, a fifth IPv6, three
//! quarters TCP, some with a mark.

use super::networks::{v4, v6, CLIENTS, OUTSIDE};
use crate::error::{Context, Error, Result};
use flowtabled::netlink::conntrack::tuple::{IPPROTO_TCP, IPPROTO_UDP};
use flowtabled::netlink::conntrack::{Conntrack, Filter, NewEntry, TcpState, Tuple};
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Long enough for any measurement.
const TIMEOUT_S: u32 = 36_000;
/// Servers with IPv6 that the clients talk to.
const SERVERS: u32 = 13;

/// The namespace's conntrack, empty at first, with accounting as OpenWrt has it.
///
/// # Errors
/// This is not a namespace of our own, or conntrack refuses.
pub fn prepare() -> Result<Conntrack> {
    let mut conntrack = Conntrack::open().context("conntrack")?;
    if !conntrack.list(&Filter::default()).context("conntrack")?.is_empty() {
        return Err(Error::new("there are connections here; this needs a namespace of its own"));
    }
    set("nf_conntrack_acct")?;
    // Ends are told of entries that were made before anybody listened, too.
    set("nf_conntrack_events")?;
    Ok(conntrack)
}

fn set(name: &str) -> Result<()> {
    let path = format!("/proc/sys/net/netfilter/{name}");
    fs::write(&path, "1").context(path)
}

/// Makes the entries with these numbers.
///
/// # Errors
/// Conntrack refuses one; its table may be too small.
pub fn make(conntrack: &mut Conntrack, numbers: std::ops::Range<u32>) -> Result<()> {
    let entries: Vec<NewEntry> = numbers.filter_map(entry).collect();
    conntrack.create_all(&entries).context("making conntrack entries")
}

/// Ends the entries with these numbers and makes them anew.
///
/// # Errors
/// Conntrack refuses, or one is not there.
pub fn renew(conntrack: &mut Conntrack, numbers: impl Iterator<Item = u32>) -> Result<()> {
    let entries: Vec<NewEntry> = numbers.filter_map(entry).collect();
    conntrack.end_all(&entries).context("ending conntrack entries")?;
    conntrack.create_all(&entries).context("making conntrack entries")
}

/// The entry with this number.
pub fn entry(number: u32) -> Option<NewEntry> {
    let (client, port) = (number % CLIENTS, 1024 + (number / CLIENTS) as u16);
    let (protocol, server_port) =
        if number % 4 == 3 { (IPPROTO_UDP, 443) } else { (IPPROTO_TCP, 80) };
    let new = if number % 5 == 4 {
        let server = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, (number % SERVERS) as u16 + 1);
        let client = (v6(client).into(), port);
        let orig = Tuple::new(protocol, client, (server.into(), server_port))?;
        NewEntry::new(orig, TIMEOUT_S)
    } else {
        let server = (Ipv4Addr::new(203, 0, 113, client as u8 + 1).into(), server_port);
        let reply = Tuple::new(protocol, server, (OUTSIDE.into(), port))?;
        let client = (v4(client).into(), port);
        NewEntry { reply, ..NewEntry::new(Tuple::new(protocol, client, server)?, TIMEOUT_S) }
    };
    let mark = if number.is_multiple_of(8) { 0x10 } else { 0 };
    let tcp_state = (protocol == IPPROTO_TCP).then_some(TcpState::Established);
    Some(NewEntry { mark, tcp_state, ..new })
}

#[cfg(test)]
mod tests {
    use super::entry;
    use std::collections::BTreeSet;

    #[test]
    fn every_number_has_an_entry_of_its_own() {
        let tuples = |reply: bool| {
            let pick = move |n| entry(n).map(|e| if reply { e.reply } else { e.orig });
            (0..200_000).filter_map(pick).collect::<BTreeSet<_>>().len()
        };
        assert_eq!((tuples(false), tuples(true)), (200_000, 200_000));
    }
}
