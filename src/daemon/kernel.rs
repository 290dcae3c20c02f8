// SPDX-License-Identifier: GPL-2.0-or-later
//! Asking the running kernel what it can do, by dry runs where possible: versions lie, because
//! distributions carry patches both ways.

use crate::core::plan;
use crate::core::settings::{Mode, Settings};
use crate::core::status::KernelAbilities;
use crate::netlink::conntrack::{self, stats};
use crate::netlink::message::Messages;
use crate::netlink::nftables::{Chain, ChainHook, Expression, Rule};
use crate::netlink::nftables::{Command, Flowtable, Nftables, Table, NETLINK_NETFILTER};
use crate::netlink::socket::Socket;
use crate::netlink::{errno_text, Error};

/// A table that never exists: it only occurs in dry runs.
const PROBE_TABLE: &str = "flowtabled_probe";
/// A device that nobody has.
const NO_DEVICE: &str = "flowtabled-none";

/// Asks for everything that `status` shows.
pub fn abilities(nftables: Option<&mut Nftables>) -> KernelAbilities {
    let mut abilities = KernelAbilities {
        release: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
        accounting: read("/proc/sys/net/netfilter/nf_conntrack_acct").map(|value| value == "1"),
        conntrack: conntrack_lists(),
        ..KernelAbilities::default()
    };
    if let Some(nftables) = nftables {
        abilities.flowtable = accepted(nftables.check(probe(&[], false)));
        if abilities.flowtable == Some(true) {
            abilities.named_hooks = accepted(nftables.check(probe(&[NO_DEVICE], false)));
        }
    }
    abilities
}

/// Whether the kernel would take `device` into a flowtable, with the hardware flag or without:
/// `None` when it would, else its refusal in words.
pub fn refusal(nftables: &mut Nftables, device: &str, hardware: bool) -> Option<String> {
    match nftables.check(probe(&[device], hardware)) {
        Ok(()) => None,
        Err(Error::Refused(refusal)) => {
            Some(refusal.text.unwrap_or_else(|| errno_text(refusal.errno)))
        }
        Err(other) => Some(other.to_string()),
    }
}

/// A whole offload table, so that every kernel module that a real one needs is asked for.
fn probe(devices: &[&str], hardware: bool) -> Vec<Command> {
    let table = Table::inet(PROBE_TABLE);
    vec![
        Command::AddTable(table.clone()),
        Command::AddFlowtable(Flowtable {
            table: table.clone(),
            name: plan::FLOWTABLE.into(),
            priority: Settings::default().priority,
            devices: devices.iter().map(|name| (*name).to_owned()).collect(),
            hardware,
            counter: true,
            handle: 0,
        }),
        Command::AddChain(Chain {
            table: table.clone(),
            name: plan::CHAIN.into(),
            hook: Some(ChainHook::forward(0)),
            accepts: true,
        }),
        Command::AddRule(Rule {
            table,
            chain: plan::CHAIN.into(),
            expressions: vec![Expression::FlowOffload { flowtable: plan::FLOWTABLE.into() }],
            comment: Mode::Software.name().into(),
            handle: 0,
        }),
    ]
}

/// A refusal for lack of permission says nothing about the kernel.
fn accepted(result: Result<(), Error>) -> Option<bool> {
    match result {
        Ok(()) => Some(true),
        Err(Error::Refused(refusal)) if refusal.errno == libc::EPERM => None,
        Err(Error::Refused(_)) => Some(false),
        Err(_) => None,
    }
}

fn conntrack_lists() -> Option<bool> {
    let doing = "ask conntrack for its statistics";
    let mut socket = Socket::open(NETLINK_NETFILTER, &[], doing).ok()?;
    let sequence = socket.next_sequence();
    socket.send(&conntrack::stats_request(sequence), doing).ok()?;
    let datagram = socket.receive_within(doing).ok()?;
    let message = Messages::new(datagram).next()?.ok()?;
    Some(stats::parse_entries(&message).is_ok_and(|entries| entries.is_some()))
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
