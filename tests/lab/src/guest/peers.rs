// SPDX-License-Identifier: GPL-2.0-or-later
//! Hosts for a router that is another machine: this one has two cards, each in the namespace of a host,
//! and opens and keeps connections from one to the other on command.
//!
//! A line of the console is a command, and one line that starts with `@@ok` or `@@error` is the answer:
//! `open NAME KIND` (answers the server's port and who it sees calling), `exchange NAME ROUNDS`,
//! `stream NAME`, `stop NAME` (answers the round trips; an error if one was lost).

use super::flow::{Flow, FIRST_PORT};
use super::topology;
use crate::command::run;
use crate::error::{Context, Error, Result};
use crate::scenario::FlowKind;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::Command;

/// A host beside the router.
#[derive(Debug)]
pub struct Host {
    /// Of its namespace.
    pub name: &'static str,
    /// Its card, as this machine's kernel calls it.
    card: &'static str,
    /// With the length of the prefix, IPv4 first.
    pub addresses: [&'static str; 2],
    /// Gateways of its default routes, which are the router's addresses.
    pub via: &'static [&'static str],
}

/// On the LAN of a router that has OpenWrt's address.
pub const LAN: Host = Host {
    name: "lan",
    card: "eth0",
    addresses: ["192.168.1.2/24", "fd00:1::2/64"],
    via: &["192.168.1.1", "fd00:1::1"],
};

/// On the WAN. Over IPv4 it has no way back into the LAN, so that a missing masquerade is noticed.
pub const WAN: Host = Host {
    name: "wan",
    card: "eth1",
    addresses: ["198.51.100.2/24", "fd00:2::2/64"],
    via: &["fd00:2::1"],
};

impl Host {
    /// The address of a family, without the length of the prefix.
    pub fn address(&self, v6: bool) -> &'static str {
        let [v4, other] = self.addresses;
        let address = if v6 { other } else { v4 };
        address.split_once('/').map_or(address, |(address, _)| address)
    }

    fn set_up(&self) -> Result<()> {
        run(Command::new("ip").args(["netns", "add", self.name]))?;
        let mut give = Command::new("ip");
        give.args(["link", "set", self.card, "netns", self.name, "name", "eth0"]);
        run(&mut give).context(format!("the card of host {}", self.name))?;
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        topology::host(self.name, None, &owned(&self.addresses), &owned(self.via))
    }
}

/// Obeys until the console ends.
pub fn serve() -> Result<()> {
    LAN.set_up()?;
    WAN.set_up()?;
    let mut hosts = Hosts { flows: BTreeMap::new(), next_port: FIRST_PORT };
    println!("@@ok ready");
    for line in std::io::stdin().lock().lines() {
        match hosts.obey(&line.context("reading the console")?) {
            Ok(text) => println!("@@ok {text}"),
            Err(e) => println!("@@error {}", e.to_string().replace('\n', " | ")),
        }
    }
    Ok(())
}

struct Hosts {
    flows: BTreeMap<String, Flow>,
    next_port: u16,
}

impl Hosts {
    fn obey(&mut self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["open", name, kind] => self.open(name, FlowKind::named(kind)?),
            ["exchange", name, rounds] => {
                self.flow(name)?.exchange(rounds.parse().context("how many")?)?;
                Ok(rounds.to_string())
            }
            ["stream", name] => self.flow(name)?.start_stream(false).map(|()| name.to_string()),
            ["stop", name] => self.flow(name)?.stop_stream().map(|rounds| rounds.to_string()),
            _ => Err(Error::new(format!("not understood: {line}"))),
        }
    }

    fn open(&mut self, name: &str, kind: FlowKind) -> Result<String> {
        let port = self.next_port;
        // The server of an attempt that failed keeps its port.
        self.next_port = port.saturating_add(1);
        let to = (WAN.address(kind.v6), port);
        let mut flow = Flow::open(kind, (LAN.name, WAN.name), port, to)?;
        let caller = flow.caller()?;
        self.flows.insert(name.to_string(), flow);
        Ok(format!("{port} {caller}"))
    }

    fn flow(&mut self, name: &str) -> Result<&mut Flow> {
        self.flows.get_mut(name).context(format!("no flow {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_an_error() {
        let mut hosts = Hosts { flows: BTreeMap::new(), next_port: FIRST_PORT };
        for line in ["", "open web", "open web sctp4", "exchange web 5", "stop web", "stream"] {
            assert!(hosts.obey(line).is_err(), "{line}");
        }
        assert_eq!(hosts.next_port, FIRST_PORT);
    }

    #[test]
    fn hosts_by_family() {
        assert_eq!((LAN.address(false), WAN.address(true)), ("192.168.1.2", "fd00:2::2"));
    }
}
