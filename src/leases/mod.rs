// SPDX-License-Identifier: GPL-2.0-or-later
//! Names of LAN clients, from the files in which the DHCP servers keep their leases.
//!
//! Each line tells by its first word what it is, so one reader takes the files of dnsmasq and of
//! odhcpd and files like `/etc/hosts`, in any order. Names come from the clients themselves, who
//! may send anything: one that is not plain is as good as none. Nothing here opens a file.

mod dnsmasq;
mod odhcpd;

use litemap::LiteMap;
use std::net::IpAddr;

use crate::netlink::route::Mac;

/// What a reader takes of one file at most: room for [`NAMES_MAX`] leases of both families with
/// the longest identifiers that clients send.
pub const FILE_MAX: usize = 1 << 20;
/// Names kept by Ethernet address, and as many by IP address. dnsmasq gives out 1000 leases unless
/// told otherwise.
pub const NAMES_MAX: usize = 4096;
/// Names are added so many at a time, which are sorted in at once: one by one each would move all that
/// are behind it.
const BATCH: usize = 1024;
/// Longest name of DNS.
const NAME_LEN_MAX: usize = 255;

/// Names of LAN clients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leases {
    by_mac: LiteMap<Mac, String>,
    by_address: LiteMap<IpAddr, String>,
    /// Lines that are of no known form.
    pub skipped: u64,
    /// Names that were not kept because the table was full.
    pub left_out: u64,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq, Default)]
struct Lease<'a> {
    mac: Option<Mac>,
    addresses: Vec<IpAddr>,
    name: Option<&'a str>,
}

impl Leases {
    /// Adds the names of one file; where they contradict, the later line counts.
    pub fn read(&mut self, file: &[u8]) {
        let mut batch = Batch::default();
        for line in file.split(|&byte| byte == b'\n') {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            match std::str::from_utf8(line).ok().and_then(parse) {
                Some(lease) => batch.add(lease),
                None => self.skipped += 1,
            }
            if batch.is_full() {
                self.add(&mut batch);
            }
        }
        self.add(&mut batch);
    }

    fn add(&mut self, batch: &mut Batch<'_>) {
        self.left_out += add(&mut self.by_mac, &mut batch.by_mac);
        self.left_out += add(&mut self.by_address, &mut batch.by_address);
    }

    /// The name of a client: by its Ethernet address, which outlives its IP addresses, else by the
    /// first of these that has one.
    pub fn name(&self, mac: Option<Mac>, addresses: &[IpAddr]) -> Option<&str> {
        let by_mac = mac.and_then(|mac| self.by_mac.get(&mac));
        let mut by_address = addresses.iter().filter_map(|address| self.by_address.get(address));
        by_mac.or_else(|| by_address.next()).map(String::as_str)
    }
}

/// Names of one file on their way into the tables.
#[derive(Default)]
struct Batch<'a> {
    by_mac: Vec<(Mac, &'a str)>,
    by_address: Vec<(IpAddr, &'a str)>,
}

impl<'a> Batch<'a> {
    fn add(&mut self, lease: Lease<'a>) {
        let Some(name) = lease.name.filter(|name| is_plain(name)) else { return };
        self.by_mac.extend(lease.mac.map(|mac| (mac, name)));
        self.by_address.extend(lease.addresses.into_iter().map(|address| (address, name)));
    }

    fn is_full(&self) -> bool {
        self.by_mac.len().max(self.by_address.len()) >= BATCH
    }
}

fn parse(line: &str) -> Option<Lease<'_>> {
    let first = line.split_ascii_whitespace().next()?;
    if first.starts_with('#') {
        odhcpd::lease(line)
    } else if let Ok(address) = first.parse() {
        odhcpd::host(address, line)
    } else {
        dnsmasq::lease(line)
    }
}

/// Nothing that a terminal or a page could take for anything but letters.
fn is_plain(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Empties a batch into a table. Returns how many names were left out.
fn add<K: Ord + Copy>(names: &mut LiteMap<K, String>, batch: &mut Vec<(K, &str)>) -> u64 {
    // Of those with one key the later comes first, and stays.
    batch.reverse();
    batch.sort_by_key(|(key, _)| *key);
    batch.dedup_by_key(|(key, _)| *key);
    let room = NAMES_MAX.saturating_sub(names.len());
    let (mut new, mut left_out) = (Vec::new(), 0);
    for (key, name) in batch.drain(..) {
        match names.get_mut(&key) {
            Some(known) => name.clone_into(known),
            None if new.len() < room => new.push((key, name.to_owned())),
            None => left_out += 1,
        }
    }
    names.extend(new);
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn mac(text: &str) -> Option<Mac> {
        Some(text.parse().unwrap())
    }

    fn read(files: &[&str]) -> Leases {
        let mut leases = Leases::default();
        files.iter().for_each(|file| leases.read(file.as_bytes()));
        leases
    }

    const DNSMASQ: &str = "\
        1763770000 02:00:00:00:00:01 192.168.1.101 laptop 01:02:00:00:00:00:01\n\
        0 02:00:00:00:00:02 192.168.1.102 * *\n\
        duid 00:01:00:01:2e:aa:bb:cc:02:00:00:00:00:fe\n\
        1763770000 1234 fd00::101 laptop 00:01:00:01:2e:00:00:01:02:00:00:00:00:01\n";
    const ODHCPD: &str = "\
        # br-lan 020000000003 ipv4 phone 1763770000 c0a80167 32 192.168.1.103/32\n\
        192.168.1.103\tphone.lan\tphone\n\
        # br-lan 00010001aabb02000000003 1 - 1763770000 5 128 fd00::5/128\n";

    #[test]
    fn names_of_both_servers() {
        let leases = read(&[DNSMASQ, ODHCPD]);
        assert_eq!(leases.name(mac("02:00:00:00:00:01"), &[]), Some("laptop"));
        assert_eq!(leases.name(None, &[ip("fd00::101")]), Some("laptop"));
        assert_eq!(leases.name(None, &[ip("192.168.1.9"), ip("192.168.1.101")]), Some("laptop"));
        assert_eq!(leases.name(mac("02:00:00:00:00:03"), &[]), Some("phone"));
        assert_eq!(leases.name(mac("02:00:00:00:00:02"), &[ip("192.168.1.102")]), None);
        assert_eq!(leases.name(None, &[ip("fd00::5")]), None);
        assert_eq!(leases.name(mac("02:00:00:00:00:09"), &[ip("192.168.1.103")]), Some("phone"));
        assert_eq!((leases.skipped, leases.left_out), (0, 0));
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let leases = read(&[
            "nonsense\n# a comment\n1 2 3\n-5 02:00:00:00:00:01 192.168.1.1 a *\n\n",
            "1 02:00:00:00:00:01 192.168.1.1 good *",
        ]);
        assert_eq!(leases.skipped, 4);
        assert_eq!(leases.name(None, &[ip("192.168.1.1")]), Some("good"));
        let mut leases = Leases::default();
        leases.read(b"1 02:00:00:00:00:01 192.168.1.1 b\xffd *\r\n\xfe\n");
        assert_eq!(leases, Leases { skipped: 2, ..Leases::default() });
    }

    #[test]
    fn names_that_are_not_plain_are_none() {
        let long = "a".repeat(NAME_LEN_MAX);
        for (name, kept) in [
            ("a-b_c.d", true),
            (long.as_str(), true),
            (&format!("{long}a"), false),
            ("a\u{1b}[31m", false),
            ("a\u{202e}b", false),
            ("m\u{fc}ller", false),
        ] {
            let leases = read(&[&format!("1 02:00:00:00:00:01 192.168.1.1 {name} *\n")]);
            assert_eq!(leases.name(None, &[ip("192.168.1.1")]), kept.then_some(name));
        }
    }

    #[test]
    fn the_later_line_counts() {
        let leases = read(&["192.168.1.1 old\n", "1 02:00:00:00:00:01 192.168.1.1 new *\n"]);
        assert_eq!(leases.name(None, &[ip("192.168.1.1")]), Some("new"));
    }

    #[test]
    fn the_tables_are_bounded() {
        let line = |n: usize| format!("10.0.{}.{} host{n}\n", n / 256, n % 256);
        let mut leases = read(&[&(0..NAMES_MAX + 3).map(line).collect::<String>()]);
        assert_eq!((leases.by_address.len(), leases.left_out), (NAMES_MAX, 3));
        // In any order, and however often. One that is there already may still change its name.
        let lines: Vec<String> = (0..NAMES_MAX).rev().map(line).collect();
        assert_eq!(read(&[&lines.concat(), &lines.concat()]).by_address, leases.by_address);
        leases.read(b"10.0.0.0 other\n");
        assert_eq!(leases.left_out, 3);
        assert_eq!(leases.name(None, &[ip("10.0.0.0")]), Some("other"));
    }

    proptest! {
        #[test]
        fn any_file_is_read(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            words in proptest::collection::vec(
                "#|ipv4|duid|[0-9]{1,3}|02:00:00:00:00:01|020000000001|192\\.168\\.1\\.1(/32)?|\
                 fd00::1(/128)?|-|\\*|\n|[a-z\\\\]{1,5}",
                0..40,
            ),
        ) {
            let mut leases = Leases::default();
            leases.read(&bytes);
            let text = words.join(" ");
            leases.read(text.as_bytes());
            let names = leases.by_mac.values().chain(leases.by_address.values());
            prop_assert!(names.into_iter().all(|name| is_plain(name)));
        }
    }
}
