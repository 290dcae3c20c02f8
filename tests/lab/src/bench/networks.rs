// SPDX-License-Identifier: GPL-2.0-or-later
//! The networks of the router whose flows are measured: clients of both families behind one device,
//! the way out by another.

use crate::command::{run, run_with_input};
use crate::error::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

/// Clients; a prime, so that each has flows of all kinds.
pub const CLIENTS: u32 = 47;
/// The address that the clients' IPv4 flows leave with.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// What the daemon has to read to know which device leads where.
pub const CONFIG: [(&str, &str); 2] = [
    (
        "firewall",
        "config zone\n\toption name 'lan'\n\tlist device 'lan0'\n\
         config zone\n\toption name 'wan'\n\toption masq '1'\n\tlist device 'wan0'\n",
    ),
    ("network", ""),
];

const FORWARDING: [&str; 2] = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];

/// Makes the devices, addresses, routes and neighbours.
///
/// # Errors
/// The kernel refuses; this needs an empty namespace.
pub fn make() -> Result<()> {
    for name in FORWARDING {
        let path = format!("/proc/sys/{name}");
        fs::write(&path, "1").context(path)?;
    }
    let mut batch = String::from(
        "link set lo up\n\
         link add lan0 type veth peer name lan0-peer\n\
         link add wan0 type veth peer name wan0-peer\n\
         link set lan0 up\nlink set lan0-peer up\nlink set wan0 up\nlink set wan0-peer up\n\
         address add 192.168.1.1/24 dev lan0\n\
         address add fd00::ff/64 dev lan0 nodad\n",
    );
    let _ = writeln!(batch, "address add {OUTSIDE}/24 dev wan0");
    batch.push_str("route add default via 198.51.100.1\nroute add 2001:db8::/32 dev wan0\n");
    for client in 0..CLIENTS {
        for address in [v4(client).to_string(), v6(client).to_string()] {
            let _ = writeln!(batch, "{}", neighbour(&address, client, 0));
        }
    }
    run_with_input(Command::new("ip").args(["-batch", "-"]), &batch).map(drop)
}

/// The first client's IPv4 address is that of another machine now, a different one each turn: all
/// flows are to be placed anew.
///
/// # Errors
/// The kernel refuses.
pub fn change(turn: u32) -> Result<()> {
    let words = neighbour(&v4(0).to_string(), 0, turn as u8 % 2 + 1);
    run(Command::new("ip").args(words.split_whitespace())).map(drop)
}

/// A client's IPv4 address.
pub fn v4(client: u32) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1, client as u8 + 2)
}

/// A client's IPv6 address.
pub fn v6(client: u32) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, client as u16 + 2)
}

fn neighbour(address: &str, client: u32, machine: u8) -> String {
    format!("neighbour replace {address} lladdr 02:00:00:00:{machine:02x}:{client:02x} dev lan0")
}
