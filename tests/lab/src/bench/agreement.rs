// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether the daemon's flows are the kernel's: the same ones, with the same bytes.

use super::daemon::Daemon;
use crate::error::{Context, Error, Result};
use flowtabled::netlink::conntrack::{Conntrack, Filter};
use flowtabled::ubus::json;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};
use ubus::BlobMsgTable;

/// A flow that the kernel has no more is let go when two lists have missed it, and lists come every
/// two seconds; the rest is for machines that have other things to do.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
/// Flows of a page, the most that the daemon gives.
const PAGE: i32 = 100;

/// Bytes sent and received, by addresses and ports; unknown where nobody counts.
type Flows = BTreeMap<String, Option<[u64; 2]>>;

/// Waits until the daemon's flows are the kernel's, of which none may begin, end or carry anything
/// meanwhile.
///
/// # Errors
/// They do not become so, which the error describes; or one of both does not tell.
pub fn reach(daemon: &mut Daemon, conntrack: &mut Conntrack) -> Result<()> {
    let kernels = in_kernel(conntrack)?;
    let begun = Instant::now();
    loop {
        let listed = listed(daemon)?;
        if listed == kernels {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::new(difference(&listed, &kernels)));
        }
        thread::sleep(PAUSE);
    }
}

fn in_kernel(conntrack: &mut Conntrack) -> Result<Flows> {
    let entries = conntrack.list(&Filter::default()).context("conntrack")?;
    let flow = |entry: &flowtabled::netlink::conntrack::Entry| {
        let (source, destination) = (entry.orig.source(), entry.orig.destination());
        let ports = [entry.orig.source_port, entry.orig.destination_port];
        let bytes = entry.counters_orig.zip(entry.counters_reply);
        let key = key(&source.to_string(), &destination.to_string(), ports.map(u64::from));
        (key, bytes.map(|(sent, received)| [sent.bytes, received.bytes]))
    };
    Ok(entries.iter().map(flow).collect())
}

fn listed(daemon: &mut Daemon) -> Result<Flows> {
    let mut flows = Flows::new();
    let mut cursor: Option<String> = None;
    loop {
        let arguments = BlobMsgTable::build(|table| {
            // The order does not change while nothing is carried, as that by rate would.
            table.put_str(Some("sort"), "bytes");
            table.put_i32(Some("limit"), PAGE);
            if let Some(cursor) = &cursor {
                table.put_str(Some("cursor"), cursor);
            }
        });
        let reply = json::render(&daemon.ask("flows", &arguments)?.0).context("flows")?;
        let page: Json = serde_json::from_str(&reply).context("flows")?;
        let found = page.get("flows").and_then(Json::as_array).context("no flows")?;
        for flow in found {
            let text = |key| flow.get(key).and_then(Json::as_str).unwrap_or_default();
            let number = |key| flow.get(key).and_then(Json::as_u64);
            let ports = ["source_port", "destination_port"].map(|key| number(key).unwrap_or(0));
            let bytes = number("bytes_sent").zip(number("bytes_received"));
            let key = key(text("source"), text("destination"), ports);
            flows.insert(key, bytes.map(|(sent, received)| [sent, received]));
        }
        match page.get("next").and_then(Json::as_str) {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(flows),
        }
    }
}

fn key(source: &str, destination: &str, [from, to]: [u64; 2]) -> String {
    format!("{source} {from} {destination} {to}")
}

fn difference(listed: &Flows, kernels: &Flows) -> String {
    let bytes = |flows: &Flows| flows.values().flatten().flatten().sum::<u64>();
    let alone =
        |one: &Flows, other: &Flows| one.keys().filter(|key| !other.contains_key(*key)).count();
    format!(
        "the daemon's flows are not the kernel's: {} with {} bytes, and {} with {}; {} of the \
         daemon's are no flows of the kernel's, {} of the kernel's are missing",
        listed.len(),
        bytes(listed),
        kernels.len(),
        bytes(kernels),
        alone(listed, kernels),
        alone(kernels, listed),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_described() {
        let flow = |port, bytes| (key("192.168.1.2", "203.0.113.2", [port, 80]), bytes);
        let listed = Flows::from([flow(1, Some([3, 4])), flow(2, None)]);
        let kernels = Flows::from([flow(1, Some([3, 5]))]);
        let told = difference(&listed, &kernels);
        assert!(told.contains("2 with 7 bytes, and 1 with 8; 1 of the daemon's"), "{told}");
        assert!(told.ends_with("0 of the kernel's are missing"), "{told}");
    }
}
