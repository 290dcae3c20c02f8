// SPDX-License-Identifier: GPL-2.0-or-later
//! The wires of a router that is measured: who its two hosts are, where their packets are dropped, and
//! how many have left it.

use super::generator::Way;
use super::paths::{self, Counts};
use crate::bench::forwarding::Kind;
use crate::command::{run, run_with_input};
use crate::error::{Context, Error, Result};
use crate::guest::topology;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};

/// The host that sends.
pub const LAN: &str = "lan";
/// The host that packets go to.
const WAN: &str = "wan";
/// The devices below all VLANs and sessions, on the router and on the hosts.
const ROUTER_LAN: &str = "lan0";
const ROUTER_WAN: &str = "wan0";
const HOST_DEVICE: &str = "eth0";
/// A bridge, and the port that is below it in place of the LAN's device.
const BRIDGE: &str = "br-lan";
const PORT: &str = "lan1";
/// Where the host on the WAN answers.
const ECHO: u16 = 7;

/// The router's two sides. The host on the WAN answers as long as this is kept.
pub struct Uplink {
    kind: Kind,
    _echo: Echo,
}

impl Uplink {
    /// Of the networks that stand: every neighbour known for good, and the host on the WAN answering.
    ///
    /// # Errors
    /// A device is missing, or the host's server does not start.
    pub fn of(kind: Kind) -> Result<Uplink> {
        know(kind)?;
        // What comes back is not sent by any program that would wait for it, and no host is to say so.
        block(Some(LAN), HOST_DEVICE)?;
        Ok(Uplink { kind, _echo: Echo::start(WAN)? })
    }

    /// The way of the packets that are counted.
    ///
    /// # Errors
    /// The router has no such device.
    pub fn way(&self) -> Result<Way> {
        let (from, to) = match self.kind {
            Kind::V6 => ("fd00:1::2", "fd00:2::2"),
            _ => ("192.168.1.2", "203.0.113.2"),
        };
        let parse = |address: &str| address.parse::<IpAddr>().context(address);
        let lan = if self.kind == Kind::Bridge { BRIDGE } else { ROUTER_LAN };
        Ok(Way {
            from: parse(from)?,
            to: parse(to)?,
            port: ECHO,
            router: mac(None, lan)?,
            vlan: (self.kind == Kind::Vlan).then_some(10),
        })
    }

    /// A flowtable as people write it by hand.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn minimal_flowtable(&self) -> Result<()> {
        run_with_input(Command::new("nft").args(["-f", "-"]), &minimal(self.port())).map(drop)
    }

    /// The router drops what comes from the LAN at its ingress, until the result is dropped.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn drop_at_router(&self) -> Result<Sink> {
        block(None, self.port()).map(|()| Sink { host: None })
    }

    /// The device by which the LAN's packets come in, below all others.
    fn port(&self) -> &'static str {
        if self.kind == Kind::Bridge {
            PORT
        } else {
            ROUTER_LAN
        }
    }

    /// The host on the WAN drops everything at its ingress, until the result is dropped.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn drop_at_host(&self) -> Result<Sink> {
        block(Some(WAN), HOST_DEVICE).map(|()| Sink { host: Some(WAN) })
    }

    /// Packets that have left by the WAN, and those of them that the router's own stack has forwarded.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn counts(&self) -> Result<Counts> {
        paths::counts(ROUTER_WAN, self.kind == Kind::V6)
    }
}

/// The hand-written peer: one flowtable, one rule, and no counters.
fn minimal(port: &str) -> String {
    format!(
        "table inet minimal {{\n\
         \tflowtable ft {{\n\
         \t\thook ingress priority 0\n\
         \t\tdevices = {{ {port}, {ROUTER_WAN} }}\n\
         \t}}\n\
         \tchain forward {{\n\
         \t\ttype filter hook forward priority 1; policy accept;\n\
         \t\tmeta l4proto {{ tcp, udp }} flow add @ft\n\
         \t}}\n\
         }}\n"
    )
}

/// Tells router and hosts each other's MAC addresses. Asking for one that has become old would be a packet
/// that nobody has sent.
fn know(kind: Kind) -> Result<()> {
    let (lan, wan) = match kind {
        Kind::Vlan => (("lan0.10", "eth0.10"), ("wan0.7", "eth0.7")),
        Kind::Bridge => ((BRIDGE, HOST_DEVICE), (ROUTER_WAN, HOST_DEVICE)),
        _ => ((ROUTER_LAN, HOST_DEVICE), (ROUTER_WAN, HOST_DEVICE)),
    };
    let mut sides = vec![(LAN, lan, ["192.168.1", "fd00:1:"])];
    // The ends of a session need not look for each other.
    if kind != Kind::Pppoe {
        sides.push((WAN, wan, ["203.0.113", "fd00:2:"]));
    }
    for (host, (routers, hosts), nets) in sides {
        let (router_mac, host_mac) = (mac(None, routers)?, mac(Some(host), hosts)?);
        for (net, dot) in nets.into_iter().zip([".", ":"]) {
            let line = |number: u8, mac: &str, device: &str| {
                let address = format!("{net}{dot}{number}");
                format!("neigh replace {address} lladdr {mac} dev {device} nud permanent\n")
            };
            topology::ip(None, &line(2, &host_mac, routers))?;
            topology::ip(Some(host), &line(1, &router_mac, hosts))?;
        }
    }
    Ok(())
}

fn mac(host: Option<&str>, device: &str) -> Result<String> {
    let mut command = Command::new("ip");
    if let Some(host) = host {
        command.args(["-n", host]);
    }
    let text = run(command.args(["-br", "link", "show", "dev", device]))?;
    let mac = text.split_whitespace().nth(2).context(format!("no MAC address of {device}"))?;
    Ok(mac.to_string())
}

/// A device whose packets are dropped as they come in.
pub struct Sink {
    host: Option<&'static str>,
}

/// `nft` for the router or a host.
fn nft(host: Option<&str>) -> Command {
    match host {
        None => Command::new("nft"),
        Some(host) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", host, "nft"]);
            command
        }
    }
}

fn block(host: Option<&str>, device: &str) -> Result<()> {
    let ruleset = format!(
        "table netdev sink {{\n\
         \tchain input {{ type filter hook ingress device {device} priority 0; policy drop; }}\n\
         }}\n"
    );
    run_with_input(nft(host).args(["-f", "-"]), &ruleset).map(drop)
}

impl Drop for Sink {
    fn drop(&mut self) {
        // If it stays, the next measurement finds that nothing comes through.
        let _ = run(nft(self.host).args(["delete", "table", "netdev", "sink"]));
    }
}

/// The server on the WAN.
struct Echo(Child);

impl Echo {
    fn start(host: &str) -> Result<Echo> {
        let mut child = Command::new("ip")
            .args(["netns", "exec", host, "lab-guest", "echo", "udp", &ECHO.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context(format!("starting a server on {host}"))?;
        let output = child.stdout.take().context("the server has no output")?;
        let echo = Echo(child);
        let mut ready = String::new();
        BufReader::new(output).read_line(&mut ready).context("the server")?;
        match ready.trim() {
            "ready" => Ok(echo),
            other => Err(Error::new(format!("the server on {host} did not start: {other}"))),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_has_one_rule() {
        let text = minimal(ROUTER_LAN);
        assert_eq!(text.matches("flow add @ft").count(), 1);
        assert!(text.contains("devices = { lan0, wan0 }"), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
