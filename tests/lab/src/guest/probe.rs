// SPDX-License-Identifier: GPL-2.0-or-later
//! What packets of a flow look like at its two ends: those of its own round trips, and crafted
//! ones that are sent into it beside them.
//!
//! Conntrack says with which addresses the flow goes out on either side; a packet that comes with
//! others is not found. Packets are seen at the hosts, so all that the router did has been done.

use super::packet::{build, overhead, reassemble, transport_right, IcmpError, Packet};
use super::peer::PROBE_MARK;
use super::witness::{mark, Witness};
use crate::error::{Context, Error, Result};
use crate::scenario::Shape;
use serde_json::{json, Value as Json};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A packet that takes longer is lost; also how long a loss takes to be found.
const PATIENCE: Duration = Duration::from_secs(3);
const UDP: u8 = 17;

/// A flow's addresses on the side of the host that opened it, and on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Of the host that opened it, as it sends.
    pub client: SocketAddr,
    /// Where it sends to.
    pub called: SocketAddr,
    /// Where the other host sees it come from.
    pub caller: SocketAddr,
    /// The other host, as packets arrive there.
    pub server: SocketAddr,
}

impl Ends {
    /// Reads the only line of a conntrack listing.
    pub fn parse(listing: &str) -> Result<Ends> {
        let mut lines = listing.lines().filter(|line| line.contains("dport="));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(Error::new(format!("not one flow: {listing}")));
        };
        Ends::of_line(line).context(format!("not a flow with ports: {line}"))
    }

    /// Reads a line of a conntrack listing; `None` if it is about no flow with ports.
    pub fn of_line(line: &str) -> Option<Ends> {
        let all = |key: &str| -> Vec<&str> {
            line.split_whitespace().filter_map(|word| word.strip_prefix(key)).collect()
        };
        let end = |addresses: &[&str], ports: &[&str], at: usize| -> Option<SocketAddr> {
            let address: IpAddr = addresses.get(at)?.parse().ok()?;
            Some(SocketAddr::from((address, ports.get(at)?.parse().ok()?)))
        };
        let (from, to) = (all("src="), all("dst="));
        let (sports, dports) = (all("sport="), all("dport="));
        Some(Ends {
            client: end(&from, &sports, 0)?,
            called: end(&to, &dports, 0)?,
            caller: end(&to, &dports, 1)?,
            server: end(&from, &sports, 1)?,
        })
    }
}

/// Both hosts of a flow, watched.
pub struct Watch {
    ends: Ends,
    client: Witness,
    server: Witness,
}

/// A packet of this pair of addresses; later fragments show no ports.
fn is_between(packet: &Packet, from: SocketAddr, to: SocketAddr) -> bool {
    match packet.fragment {
        Some((offset, _)) if offset > 0 => {
            packet.protocol == UDP
                && packet.source.ip() == from.ip()
                && packet.destination.ip() == to.ip()
        }
        _ => packet.source == from && packet.destination == to,
    }
}

/// What is common to the packets of one direction: the values that were seen, and whether there
/// were as many as round trips.
fn described(packets: &[Packet], rounds: u32) -> Json {
    let all = |value: fn(&Packet) -> u8| packets.iter().map(value).collect::<BTreeSet<u8>>();
    let wrong = packets.iter().filter(|packet| !packet.right()).count();
    json!({
        "all": u32::try_from(packets.len()).is_ok_and(|len| len >= rounds),
        "ttl": all(|packet| packet.ttl),
        "tos": all(|packet| packet.tos),
        "wrong_checksums": wrong,
    })
}

impl Watch {
    /// Watches both hosts from now on.
    pub fn start(ends: Ends, client: &str, server: &str) -> Result<Watch> {
        Ok(Watch { ends, client: Witness::start(client)?, server: Witness::start(server)? })
    }

    /// What has arrived at either host since the start of so many round trips, with the addresses
    /// that conntrack has for it.
    pub fn arrived(mut self, rounds: u32) -> Result<Json> {
        let ends = self.ends;
        let mut there = self.server.until_now(&mark(), PATIENCE)?;
        let mut back = self.client.until_now(&mark(), PATIENCE)?;
        there.retain(|packet| is_between(packet, ends.caller, ends.server));
        back.retain(|packet| is_between(packet, ends.called, ends.client));
        let (there, back) = (described(&there, rounds), described(&back, rounds));
        let text = |end: SocketAddr| end.to_string();
        Ok(json!({
            "packets": { "there": there, "back": back },
            "called": text(ends.called), "caller": text(ends.caller), "server": text(ends.server),
        }))
    }

    /// Sends one packet of the flow from the host that opened it, and says what became of it.
    pub fn probe(mut self, shape: &Shape) -> Result<Json> {
        let ends = self.ends;
        let payload_len = shape.size.saturating_sub(overhead(ends.client.is_ipv6(), shape));
        let mut payload = PROBE_MARK.to_vec();
        payload.extend((0..=u8::MAX).cycle().take(payload_len.saturating_sub(payload.len())));
        for packet in build(ends.client, ends.called, &payload, shape) {
            self.client.send(&packet)?;
        }
        // It is over when its echo or an error is back; what gets lost takes until the deadline.
        let deadline = Instant::now() + PATIENCE;
        let (mut answer, mut echoed) = (None, false);
        while answer.is_none() && !echoed {
            let Some(packet) = self.client.next(deadline) else { break };
            let about = |e: &IcmpError| e.source == ends.client && e.destination == ends.called;
            answer = packet.icmp_error().filter(about).map(|error| error.text);
            echoed = is_between(&packet, ends.called, ends.client) && is_probe(&packet);
        }
        let mut arrived = self.server.until_now(&mark(), PATIENCE)?;
        arrived.retain(|p| is_between(p, ends.caller, ends.server) && is_probe(p));
        Ok(fate(&arrived, &payload, answer))
    }
}

/// It, or its first fragment, carries what probes carry; later fragments are taken for some.
fn is_probe(packet: &Packet) -> bool {
    let later = packet.fragment.is_some_and(|(offset, _)| offset > 0);
    later || packet.body.get(8..).is_some_and(|payload| payload.starts_with(&PROBE_MARK))
}

/// The report about a probe.
fn fate(arrived: &[Packet], payload: &[u8], answer: Option<String>) -> Json {
    let mut report = json!({ "packets": arrived.len(), "answer": answer });
    let (Some(first), Some(keys)) = (arrived.first(), report.as_object_mut()) else {
        return report;
    };
    let body = reassemble(arrived);
    let right = body.as_ref().and_then(|body| {
        let (from, to) = (first.source.ip(), first.destination.ip());
        transport_right(from, to, first.protocol, body)
    });
    let headers = arrived.iter().all(|packet| packet.header_right);
    keys.insert("ttl".into(), first.ttl.into());
    keys.insert("options".into(), first.options.into());
    keys.insert("whole".into(), (body.as_deref().and_then(|b| b.get(8..)) == Some(payload)).into());
    keys.insert("checksums_right".into(), (headers && right == Some(true)).into());
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_translated_flow() {
        let line = "udp      17 src=192.168.1.2 dst=203.0.113.2 sport=40000 dport=7001 packets=1 \
                    bytes=2 src=203.0.113.2 dst=203.0.113.1 sport=7001 dport=1024 packets=1 \
                    bytes=2 [OFFLOAD] mark=0 use=2\n";
        let ends = Ends::parse(line).unwrap();
        assert_eq!(ends.client.to_string(), "192.168.1.2:40000");
        assert_eq!(ends.called.to_string(), "203.0.113.2:7001");
        assert_eq!(ends.caller.to_string(), "203.0.113.1:1024");
        assert_eq!(ends.server.to_string(), "203.0.113.2:7001");
        assert!(Ends::parse("").is_err());
        assert!(Ends::parse(&line.repeat(2)).is_err());
    }

    #[test]
    fn a_probe_that_arrived_otherwise_is_told() {
        let (from, to) = ("[fd00::1]:1".parse().unwrap(), "[fd00::2]:2".parse().unwrap());
        let bytes = build(from, to, &PROBE_MARK, &Shape::default()).concat();
        let mut packet = Packet::parse(&bytes).unwrap();
        let good = fate(&[packet.clone()], &PROBE_MARK, None);
        assert_eq!(good["whole"], true);
        assert_eq!(good["checksums_right"], true);
        assert!(is_probe(&packet));
        if let Some(last) = packet.body.last_mut() {
            *last ^= 1;
        }
        let bad = fate(&[packet], &PROBE_MARK, None);
        assert_eq!((&bad["whole"], &bad["checksums_right"]), (&json!(false), &json!(false)));
        assert_eq!(fate(&[], &PROBE_MARK, None), json!({ "packets": 0, "answer": null }));
    }
}
