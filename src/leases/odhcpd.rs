// SPDX-License-Identifier: GPL-2.0-or-later
//! odhcpd's leases (`/tmp/odhcpd.leases`, before November 2025 `/tmp/hosts/odhcpd`), as
//! src/statefiles.c and before it src/dhcpv6-ia.c write them.
//!
//! `# INTERFACE DUID IAID NAME EXPIRY ASSIGNED LENGTH ADDRESS/LENGTH...`; for IPv4 the IAID is
//! `ipv4` and the DUID an Ethernet address in digits. `-` stands for no name. The file also serves
//! as a hosts file, so lines `ADDRESS NAME...` stand between.

use std::net::IpAddr;

use super::{Lease, Mac};

const IPV4: &str = "ipv4";
const UNKNOWN: &str = "-";
/// Stands before a name that odhcpd keeps out of DNS because another client has it, too.
const BROKEN: &str = "broken\\x20";

/// A line that begins with `#`; `None` when it is an ordinary comment.
pub(super) fn lease(line: &str) -> Option<Lease<'_>> {
    let mut words = line.strip_prefix('#')?.split_ascii_whitespace();
    let (_interface, duid, iaid) = (words.next()?, words.next()?, words.next()?);
    let (name, expiry) = (words.next()?, words.next()?);
    let (_assigned, _length) = (words.next()?, words.next()?);
    expiry.parse::<i64>().ok()?;
    let mac = if iaid == IPV4 { Some(Mac::from_digits(duid).ok()?) } else { None };
    let name = Some(name.strip_prefix(BROKEN).unwrap_or(name)).filter(|&name| name != UNKNOWN);
    Some(Lease { mac, addresses: words.filter_map(address).collect(), name })
}

/// The address of a client; `None` for a prefix that was delegated to it.
fn address(word: &str) -> Option<IpAddr> {
    let (address, length) = word.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { "32" } else { "128" };
    (length == whole).then_some(address)
}

/// A line of a hosts file that begins with this address. The first name without a dot is the
/// client's own; odhcpd puts the one with its domain before it.
pub(super) fn host(address: IpAddr, line: &str) -> Option<Lease<'_>> {
    let line = line.split_once('#').map_or(line, |(line, _comment)| line);
    let mut names = line.split_ascii_whitespace().skip(1);
    let first = names.next()?;
    let own = std::iter::once(first).chain(names).find(|name| !name.contains('.'));
    Some(Lease { mac: None, addresses: vec![address], name: Some(own.unwrap_or(first)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ipv4_has_an_ethernet_address() {
        let line = "# br-lan 02000000000a ipv4 nas 1763770000 c0a8010a 32 192.168.1.10/32";
        let mac = Some(Mac::new([2, 0, 0, 0, 0, 10]));
        let expected = Lease { mac, addresses: vec![ip("192.168.1.10")], name: Some("nas") };
        assert_eq!(lease(line), Some(expected));
    }

    #[test]
    fn ipv6_has_addresses_and_delegated_prefixes() {
        let line =
            "# br-lan 0004ab 77f8a01 box -1 3e8 128 fd00::3e8/128 2001:db8::3e8/128 fd00:1::/62";
        let addresses = vec![ip("fd00::3e8"), ip("2001:db8::3e8")];
        assert_eq!(lease(line), Some(Lease { mac: None, addresses, name: Some("box") }));
        let expired = lease("# br-lan 0004ab 1 box 0 3e8 128").unwrap();
        assert!(expired.addresses.is_empty());
    }

    #[test]
    fn a_name_that_dns_does_not_get_is_still_a_name() {
        let name = |name: &str| {
            let line = format!("# lan 02000000000a ipv4 {name} 5 c0a8010a 32 192.168.1.10/32");
            lease(&line).unwrap().name.map(str::to_owned)
        };
        assert_eq!(name("broken\\x20nas").as_deref(), Some("nas"));
        assert_eq!(name("broken\\x20-"), None);
        assert_eq!(name("-"), None);
    }

    #[test]
    fn comments_are_no_leases() {
        for line in [
            "#",
            "# written by hand on a Sunday afternoon",
            "# lan 02000000000a ipv4 nas",
            "# lan 0200 ipv4 nas 5 c0a8010a 32 192.168.1.10/32",
        ] {
            assert_eq!(lease(line), None, "{line}");
        }
    }

    #[test]
    fn the_short_name_is_taken_from_a_hosts_line() {
        let name = |line| host(ip("fd00::1"), line).and_then(|lease| lease.name);
        assert_eq!(name("fd00::1\tnas.lan\tnas"), Some("nas"));
        assert_eq!(name("fd00::1 nas.example.org # nas"), Some("nas.example.org"));
        assert_eq!(name("fd00::1 nas"), Some("nas"));
        assert_eq!(name("fd00::1"), None);
    }
}
