// SPDX-License-Identifier: GPL-2.0-or-later
//! Asking the running kernel what it can do, by dry runs where possible: versions lie, because
//! distributions carry patches both ways.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};

use crate::core::answers::Answer;
use crate::core::plan;
use crate::core::settings::Settings;
use crate::core::status::KernelAbilities;
use crate::netlink::conntrack::{self, stats};
use crate::netlink::ext_ack::{Ack, NLMSG_ERROR};
use crate::netlink::message::Messages;
use crate::netlink::nftables::{Chain, ChainHook, Expression, Rule};
use crate::netlink::nftables::{Command, Flowtable, Nftables, Table, NETLINK_NETFILTER};
use crate::netlink::socket::Socket;
use crate::netlink::{errno_text, Error, Refusal};

/// A table that never exists: it only occurs in dry runs.
const PROBE_TABLE: &str = "flowtabled_probe";
const ACCOUNTING: &str = "/proc/sys/net/netfilter/nf_conntrack_acct";
/// A device that nobody has.
const NO_DEVICE: &str = "flowtabled-none";

/// Asks for everything that `status` shows. What dry runs have shown `before` that it can do it goes on
/// to do: each dry run waits for a grace period of RCU, some milliseconds, and a change of the
/// configuration would have to wait for it.
pub fn abilities(nftables: Option<&mut Nftables>, before: &KernelAbilities) -> KernelAbilities {
    let mut abilities = KernelAbilities {
        release: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
        accounting: read(ACCOUNTING).map(|value| value == "1"),
        conntrack: conntrack_lists(),
        ..KernelAbilities::default()
    };
    if before.flowtable == Some(true) && before.named_hooks.is_some() {
        (abilities.flowtable, abilities.named_hooks) = (before.flowtable, before.named_hooks);
    } else if let Some(nftables) = nftables {
        let (flowtable, rule) = probe(&[], false);
        abilities.flowtable = accepted(nftables.check([flowtable, rule].concat()));
        if abilities.flowtable == Some(true) {
            abilities.named_hooks = accepted(nftables.check(probe(&[NO_DEVICE], false).0));
        }
    }
    abilities
}

/// Whether the kernel would take these devices into a flowtable, with the hardware flag or without.
pub fn ask(nftables: &mut Nftables, devices: &[&str], hardware: bool) -> Answer {
    let (flowtable, _) = probe(devices, hardware);
    answer(nftables.check(flowtable))
}

fn answer(result: Result<(), Error>) -> Answer {
    let refusal = match result {
        Ok(()) => return Answer::Takes,
        Err(Error::Refused(refusal)) => refusal,
        Err(error) => return Answer::Unknown(error.to_string()),
    };
    let errno = refusal.errno;
    let words = |refusal: Refusal| refusal.text.unwrap_or_else(|| errno_text(errno));
    match errno {
        // What `nft_netdev_hook_alloc()` says to a name that nobody has, and a driver to a device
        // that is being taken away.
        libc::ENOENT | libc::ENODEV => Answer::Gone(words(refusal)),
        errno if OF_THE_DEVICE.contains(&errno) => Answer::Refuses(words(refusal)),
        _ => Answer::Unknown(Error::Refused(refusal).to_string()),
    }
}

/// Errors of a driver or of a device's hook list; others are about memory, permission or luck.
const OF_THE_DEVICE: [i32; 5] =
    [libc::EOPNOTSUPP, libc::EBUSY, libc::EEXIST, libc::EINVAL, libc::E2BIG];

/// A table with a flowtable, and the chain and rule that complete it, so that every kernel module
/// that real ones need is asked for.
fn probe(devices: &[&str], hardware: bool) -> (Vec<Command>, Vec<Command>) {
    let table = Table::inet(PROBE_TABLE);
    let flowtable = vec![
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
    ];
    let rule = vec![
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
            comment: "probe".into(),
            handle: 0,
        }),
    ];
    (flowtable, rule)
}

/// Errors that mean that something is not built in or loaded.
const MISSING: [i32; 4] =
    [libc::EOPNOTSUPP, libc::ENOENT, libc::EPROTONOSUPPORT, libc::EAFNOSUPPORT];

/// Refusals for other reasons (permission, memory) say nothing about the kernel.
fn accepted(result: Result<(), Error>) -> Option<bool> {
    match result {
        Ok(()) => Some(true),
        Err(Error::Refused(refusal)) => MISSING.contains(&refusal.errno).then_some(false),
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
    match Ack::parse(&message).filter(|_| message.kind == NLMSG_ERROR) {
        Some(ack) => MISSING.contains(&ack.errno).then_some(false),
        None => stats::parse_entries(&message).ok()?.map(|_| true),
    }
}

/// The setting by which conntrack counts. Once the daemon is confined it can open nothing to be
/// written, so this is held open from the start.
#[derive(Debug, Default)]
pub struct Accounting {
    file: Option<File>,
    /// Why it could not be opened at the start.
    fault: Option<io::Error>,
}

impl Accounting {
    /// Opens the setting; that it cannot be is told when it is needed.
    pub fn hold(&mut self) {
        match OpenOptions::new().write(true).open(ACCOUNTING) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.fault = Some(error),
        }
    }

    /// Makes conntrack count connections that begin from now on; the fault in words.
    pub fn switch_on(&mut self) -> Result<(), String> {
        let words = |error: &io::Error| format!("writing {ACCOUNTING}: {error}");
        if self.file.is_none() {
            let opened = OpenOptions::new().write(true).open(ACCOUNTING);
            // Where that is forbidden now, what went wrong before is what can be helped.
            self.file = Some(opened.map_err(|error| match &self.fault {
                Some(fault) => format!("{}, when the daemon started", words(fault)),
                None => words(&error),
            })?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.rewind().and_then(|()| file.write_all(b"1\n")).map_err(|error| words(&error))
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_can_do_is_not_asked_again() {
        let known = |flowtable, named_hooks| KernelAbilities {
            flowtable,
            named_hooks,
            ..KernelAbilities::default()
        };
        // Without a socket nothing can be asked.
        let kept = |before: KernelAbilities| {
            let after = abilities(None, &before);
            (after.flowtable, after.named_hooks)
        };
        assert_eq!(kept(known(Some(true), Some(false))), (Some(true), Some(false)));
        // A module may have been loaded, and what could not be asked may be answered now.
        assert_eq!(kept(known(Some(false), None)), (None, None));
        assert_eq!(kept(known(Some(true), None)), (None, None));
    }

    #[test]
    fn a_device_that_is_gone_is_not_one_that_is_refused() {
        let refused = |errno, text: Option<&str>| {
            let (object, table) = ("flowtable ft".into(), PROBE_TABLE.into());
            let text = text.map(str::to_owned);
            answer(Err(Error::Refused(Refusal { object, table, culprit: None, errno, text })))
        };
        assert_eq!(answer(Ok(())), Answer::Takes);
        assert_eq!(refused(libc::ENOENT, None), Answer::Gone(errno_text(libc::ENOENT)));
        assert_eq!(refused(libc::ENODEV, Some("gone")), Answer::Gone("gone".into()));
        assert_eq!(refused(libc::EOPNOTSUPP, Some("no")), Answer::Refuses("no".into()));
        assert_eq!(refused(libc::EBUSY, None), Answer::Refuses(errno_text(libc::EBUSY)));
        assert!(matches!(refused(libc::ENOMEM, None), Answer::Unknown(_)));
        assert!(matches!(answer(Err(Error::Overrun)), Answer::Unknown(_)));
    }
}
