// SPDX-License-Identifier: GPL-2.0-or-later
//! dnsmasq's leases (`/tmp/dhcp.leases`), as lease_update_file in its src/lease.c writes them.
//!
//! `EXPIRY MAC ADDRESS NAME CLIENTID`, and after a line `duid SERVERID` those of DHCPv6,
//! `EXPIRY IAID ADDRESS NAME CLIENTID`. `*` stands for what is not known.

use std::net::IpAddr;

use super::Lease;

const UNKNOWN: &str = "*";
/// Lines about the server, and about what clients and relays said of themselves (2.92 and later).
const OTHERS: [&str; 3] = ["duid", "agent-info", "vendorclass"];

/// A line of the file; `None` when it has another form.
pub(super) fn lease(line: &str) -> Option<Lease<'_>> {
    let mut words = line.split_ascii_whitespace();
    let expiry = words.next()?;
    if OTHERS.contains(&expiry) {
        return Some(Lease::default());
    }
    if !expiry.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (station, address, name) = (words.next()?, words.next()?, words.next()?);
    let address: IpAddr = address.parse().ok()?;
    // Hardware other than Ethernet has its type in front, `20-`; then there is no such address.
    let mac = address.is_ipv4().then(|| station.parse().ok()).flatten();
    let name = Some(name).filter(|&name| name != UNKNOWN);
    Some(Lease { mac, addresses: vec![address], name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_other_than_ethernet_has_only_its_address() {
        let infiniband = "0 20-80:00:02:08:fe:80:00:00 192.168.1.7 storage *";
        let lease = lease(infiniband).unwrap();
        assert_eq!((lease.mac, lease.name), (None, Some("storage")));
    }

    #[test]
    fn an_identity_association_is_no_ethernet_address() {
        let lease = lease("1763770000 T5 fd00::1 * 00:03:00:01:02:00:00:00:00:01").unwrap();
        assert_eq!(lease, Lease { addresses: vec!["fd00::1".parse().unwrap()], ..lease });
        assert_eq!((lease.mac, lease.name), (None, None));
    }

    #[test]
    fn lines_about_others_are_understood() {
        for line in ["duid 00:01", "agent-info 192.168.1.7 01:02", "vendorclass fd00::1 61"] {
            assert_eq!(lease(line), Some(Lease::default()));
        }
        for line in ["", "12", "12 a b", "1x 02:00:00:00:00:01 10.0.0.1 a *", "1 m 10.0.0 a *"] {
            assert_eq!(lease(line), None, "{line}");
        }
    }
}
