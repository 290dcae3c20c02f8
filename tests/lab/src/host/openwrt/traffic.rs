// SPDX-License-Identifier: GPL-2.0-or-later
//! Packets through an image: connections from its LAN to a second WAN, on the fast path while the switch is
//! on and on the classic one while it is off, and none of them ever breaks.
//!
//! What the daemon says is held against three others: conntrack's file, a counter in the forward hook, which
//! an offloaded packet never meets, and the hosts, which miss a reply that is lost.

use super::trials::{set_offloading, until};
use super::{Bench, COMMAND, PATIENCE, POLL};
use crate::error::{Context, Error, Result};
use crate::guest::peer::MESSAGE_LEN;
use crate::guest::peers as hosts;
use crate::scenario::FlowKind;
use serde_json::Value as Json;
use std::thread;
use std::time::Instant;

/// Round trips of a measurement, each at least two packets.
const ROUNDS: u32 = 50;
/// Packets on the classic path that may be left when a flow has just been offloaded: acknowledgements.
const STRAYS: u64 = 4;

/// The image's addresses on the second WAN, with the length of the prefix.
const WAN_ADDRESSES: [&str; 2] = ["198.51.100.1/24", "fd00:2::1/64"];
/// The one that the LAN's host has as gateway of IPv6.
const LAN_ADDRESS: &str = "fd00:1::1/64";
/// The third card, as the image calls it.
const THIRD_CARD: &str = "eth2";

/// A connection between the hosts.
pub struct Connection {
    kind: FlowKind,
    port: u16,
}

impl Connection {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn protocol(&self) -> &'static str {
        if self.kind.tcp {
            "tcp"
        } else {
            "udp"
        }
    }
}

/// Opens them, and flips the switch while they run.
pub fn traffic(bench: &mut Bench) -> Result<()> {
    set_up(bench)?;
    for kind in FlowKind::ALL {
        open(bench, kind).context(kind.name())?;
    }
    offloaded(bench)?;
    for on in [false, true] {
        stream(bench)?;
        set_offloading(&mut bench.console, on)?;
        let wanted = if on { "software" } else { "classic" };
        until(&mut bench.console, "/effective", |seen| seen == wanted)?;
        still(bench)?;
        if on {
            offloaded(bench)?;
        } else {
            classic(bench)?;
        }
    }
    Ok(())
}

/// A second WAN on the third card, IPv6 on the LAN, and the counter.
fn set_up(bench: &mut Bench) -> Result<()> {
    let console = &mut bench.console;
    let zone = console.run("uci get 'firewall.@zone[1].name'", COMMAND)?;
    if zone != "wan" {
        return Err(Error::new(format!("the second zone of the firewall is {zone:?}, not wan")));
    }
    let [v4, v6] = WAN_ADDRESSES;
    for change in [
        "set network.labwan=interface".to_string(),
        "set network.labwan.proto=static".to_string(),
        format!("set network.labwan.device={THIRD_CARD}"),
        format!("set network.labwan.ipaddr={v4}"),
        format!("set network.labwan.ip6addr={v6}"),
        format!("set network.lan.ip6addr={LAN_ADDRESS}"),
        "add_list 'firewall.@zone[1].network=labwan'".to_string(),
        "commit".to_string(),
    ] {
        console.run(&format!("uci {change}"), COMMAND)?;
    }
    console.run("reload_config", COMMAND)?;
    for object in [
        "table inet lab",
        "counter inet lab seen",
        "chain inet lab seen '{ type filter hook forward priority -5; }'",
        "rule inet lab seen meta l4proto '{ tcp, udp }' counter name seen",
    ] {
        console.run(&format!("nft add {object}"), COMMAND)?;
    }
    Ok(())
}

/// Opens a connection; the server has to see the address that belongs to its family.
fn open(bench: &mut Bench, kind: FlowKind) -> Result<()> {
    let begun = Instant::now();
    // The router's interfaces and its firewall come up by themselves.
    let opened = loop {
        match bench.peers.open(kind.name(), kind) {
            Ok(opened) => break opened,
            Err(e) if begun.elapsed() > PATIENCE => return Err(e),
            Err(_) => thread::sleep(POLL),
        }
    };
    let [translated, _] = WAN_ADDRESSES;
    let own = hosts::LAN.address(true);
    let wanted = if kind.v6 { own } else { translated.split('/').next().unwrap_or_default() };
    if opened.caller.ip().to_string() != wanted {
        return Err(Error::new(format!("the server sees {}, not {wanted}", opened.caller)));
    }
    bench.connections.push(Connection { kind, port: opened.port });
    Ok(())
}

/// Traffic on all that goes on beside what is done next.
pub fn stream(bench: &mut Bench) -> Result<()> {
    bench.connections.iter().try_for_each(|connection| bench.peers.stream(connection.name()))
}

/// Ends it; an error if one reply was lost.
pub fn still(bench: &mut Bench) -> Result<()> {
    bench.connections.iter().try_for_each(|connection| bench.peers.stop(connection.name()))
}

/// All of them are on the fast path, and what they carry is counted nevertheless.
pub fn offloaded(bench: &mut Bench) -> Result<()> {
    each(bench, |bench, connection| {
        eventually(bench, connection, |bench, connection| {
            expect("its state", &state(bench, connection)?, "software")?;
            let line = conntrack(bench, connection)?;
            if line.contains("[OFFLOAD]") {
                return Ok(());
            }
            Err(Error::new(format!("not offloaded: {line}")))
        })?;
        let before = carried(bench, connection)?;
        let seen = forwarded(bench, connection)?;
        if seen > STRAYS {
            return Err(Error::new(format!("{seen} of its packets took the classic path")));
        }
        let least = u64::from(ROUNDS) * 2 * MESSAGE_LEN as u64;
        eventually(bench, connection, |bench, connection| {
            let more = carried(bench, connection)?.saturating_sub(before);
            if more >= least {
                return Ok(());
            }
            Err(Error::new(format!("{more} bytes are shown of at least {least}")))
        })
    })
}

/// All of them are on the classic path.
pub fn classic(bench: &mut Bench) -> Result<()> {
    each(bench, |bench, connection| {
        eventually(bench, connection, |bench, connection| {
            let line = conntrack(bench, connection)?;
            if line.contains("OFFLOAD]") {
                return Err(Error::new(format!("still offloaded: {line}")));
            }
            Ok(())
        })?;
        let (seen, least) = (forwarded(bench, connection)?, u64::from(ROUNDS) * 2);
        if seen < least {
            return Err(Error::new(format!("{seen} of at least {least} packets were forwarded")));
        }
        Ok(())
    })
}

fn each(bench: &mut Bench, act: fn(&mut Bench, &Connection) -> Result<()>) -> Result<()> {
    let connections = std::mem::take(&mut bench.connections);
    let result = connections
        .iter()
        .try_for_each(|connection| act(bench, connection).context(connection.name()));
    bench.connections = connections;
    result
}

/// Looks until it holds, with a round trip before each look: only packets move a flow.
fn eventually(
    bench: &mut Bench,
    connection: &Connection,
    holds: impl Fn(&mut Bench, &Connection) -> Result<()>,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        bench.peers.exchange(connection.name(), 1)?;
        match holds(bench, connection) {
            Ok(()) => return Ok(()),
            Err(e) if begun.elapsed() > PATIENCE => return Err(e),
            Err(_) => thread::sleep(POLL),
        }
    }
}

fn expect(what: &str, seen: &str, wanted: &str) -> Result<()> {
    if seen == wanted {
        return Ok(());
    }
    Err(Error::new(format!("{what} is {seen:?}, not {wanted:?}")))
}

/// The connection as the daemon lists it.
fn listed(bench: &mut Bench, connection: &Connection) -> Result<Json> {
    let (protocol, port) = (connection.protocol(), connection.port);
    let command = format!("flowtable flows --json --protocol {protocol} --port {port}");
    let text = bench.console.run(&command, COMMAND)?;
    let reply: Json = serde_json::from_str(&text).context(format!("{command}: {text}"))?;
    reply.pointer("/flows/0").cloned().context(format!("no flow with port {port}: {text}"))
}

fn state(bench: &mut Bench, connection: &Connection) -> Result<String> {
    let listed = listed(bench, connection)?;
    Ok(listed.get("state").and_then(Json::as_str).unwrap_or_default().to_string())
}

/// Bytes of both directions as the daemon shows them.
fn carried(bench: &mut Bench, connection: &Connection) -> Result<u64> {
    let listed = listed(bench, connection)?;
    let bytes = |key: &str| {
        listed.get(key).and_then(Json::as_u64).context(format!("no {key} of a flow: {listed}"))
    };
    Ok(bytes("bytes_sent")? + bytes("bytes_received")?)
}

/// The kernel's own line about it: from its file, or by conntrack's tool where there is none.
fn conntrack(bench: &mut Bench, connection: &Connection) -> Result<String> {
    let family = if connection.kind.v6 { "ipv6" } else { "ipv4" };
    let find = format!("grep {} | grep 'dport={} '", connection.protocol(), connection.port);
    let list =
        format!("cat /proc/net/nf_conntrack 2>/dev/null || conntrack -L -f {family} 2>/dev/null");
    bench.console.run(&format!("{{ {list}; }} | {find}"), COMMAND)
}

/// Packets in the forward hook during the round trips of a measurement.
fn forwarded(bench: &mut Bench, connection: &Connection) -> Result<u64> {
    let before = counter(bench)?;
    bench.peers.exchange(connection.name(), ROUNDS)?;
    Ok(counter(bench)?.saturating_sub(before))
}

fn counter(bench: &mut Bench) -> Result<u64> {
    let text = bench.console.run("nft list counter inet lab seen", COMMAND)?;
    packets(&text).context(format!("no counter: {text}"))
}

fn packets(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    words.find(|word| *word == "packets")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nfts_counter() {
        let text = "table inet lab {\n\tcounter seen {\n\t\tpackets 70 bytes 900\n\t}\n}";
        assert_eq!(packets(text), Some(70));
        assert_eq!(packets("table inet lab {\n}"), None);
    }

    #[test]
    fn the_image_is_the_hosts_gateway() {
        let plain = |address: &str| address.split('/').next().unwrap_or_default().to_string();
        assert!(hosts::LAN.via.contains(&plain(LAN_ADDRESS).as_str()));
        assert!(hosts::WAN.via.contains(&plain(WAN_ADDRESSES[1]).as_str()));
        // No way back into the LAN without translation.
        assert!(hosts::WAN.via.iter().all(|gateway| gateway.contains(':')));
    }
}
