// SPDX-License-Identifier: GPL-2.0-or-later
//! What the rules say about one flow, found as they are written: one after the other.

use std::net::IpAddr;

use super::{Action, Places, Policy, Rule};
use crate::netlink::prefix::Prefix;

/// A flow, seen as rules see it. What is `None` nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Address and port of the end that opened the connection, before translation.
    pub source: (IpAddr, u16),
    /// Address and port of the end that answers, behind translation.
    pub destination: (IpAddr, u16),
    /// TCP or UDP.
    pub protocol: u8,
    /// Mark of the connection.
    pub mark: Option<u32>,
    /// DSCP of its packets.
    pub dscp: Option<u8>,
    /// The device that packets of the end that opened the connection come in by.
    pub input: Option<&'a str>,
    /// The device that they go out by.
    pub output: Option<&'a str>,
}

/// The rule that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The first that matches, as far as is known; `None` when none does.
    pub rule: Option<&'a Rule>,
    /// Nothing that is not known could make another rule decide.
    pub certain: bool,
}

impl Policy {
    /// The first rule that matches, or may.
    pub fn judge(&self, subject: &Subject<'_>, places: &Places) -> Verdict<'_> {
        let mut verdict = Verdict { rule: None, certain: true };
        for rule in self.rules() {
            match matches(rule, subject, places) {
                Some(false) => (),
                Some(true) if verdict.certain => {
                    return Verdict { rule: Some(rule), certain: true }
                }
                // One before it may match, and would then do something else.
                Some(true) if verdict.rule.is_some_and(|first| first.action != rule.action) => {
                    return verdict;
                }
                Some(true) => return Verdict { certain: true, ..verdict },
                None if verdict.rule.is_none() => {
                    verdict = Verdict { rule: Some(rule), certain: false };
                }
                None => (),
            }
        }
        verdict
    }
}

impl Policy {
    /// The partition that the rules send an offloaded flow into, `Some(None)` for none; `None` when
    /// that depends on what is not known.
    pub fn partition(&self, subject: &Subject<'_>, places: &Places) -> Option<Option<&str>> {
        let mut found: Option<Option<&str>> = None;
        for rule in self.rules() {
            let matching = matches(rule, subject, places);
            if let (None | Some(true), Action::Offload { table, .. }) = (matching, &rule.action) {
                if found.is_some_and(|found| found != table.as_deref()) {
                    return None;
                }
                found = Some(table.as_deref());
            }
            if matching == Some(true) {
                return Some(found.unwrap_or_default());
            }
        }
        found.is_none_or(|found| found.is_none()).then_some(None)
    }
}

/// `None` when that depends on what is not known.
fn matches(rule: &Rule, subject: &Subject<'_>, places: &Places) -> Option<bool> {
    let (low, high) = rule.protocols;
    let known = in_any(&rule.src_ip, subject.source.0)
        && in_any(&rule.dest_ip, subject.destination.0)
        && in_range(&rule.src_port, subject.source.1)
        && in_range(&rule.dest_port, subject.destination.1)
        && (low..=high).contains(&subject.protocol);
    if !known {
        return Some(false);
    }
    let within = |zone: &Option<String>, device: Option<&str>| match zone {
        None => Some(true),
        Some(zone) => {
            let names = places.zone(zone);
            device.map(|device| names.is_some_and(|names| names.contains(device)))
        }
    };
    let conditions = [
        within(&rule.src, subject.input),
        within(&rule.dest, subject.output),
        match rule.dscp.as_slice() {
            [] => Some(true),
            values => subject.dscp.map(|dscp| values.contains(&dscp)),
        },
        match rule.mark {
            None => Some(true),
            Some(wanted) => subject.mark.map(|mark| mark & wanted.mask == wanted.value),
        },
        either_device(rule, subject, places),
    ];
    if conditions.contains(&Some(false)) {
        return Some(false);
    }
    (!conditions.contains(&None)).then_some(true)
}

fn either_device(rule: &Rule, subject: &Subject<'_>, places: &Places) -> Option<bool> {
    let Some(pattern) = &rule.device else { return Some(true) };
    let names = places.pattern(pattern).map(|(_, names)| names);
    let matching = [subject.input, subject.output]
        .map(|device| device.map(|device| names.is_some_and(|names| names.contains(device))));
    match matching {
        [Some(true), _] | [_, Some(true)] => Some(true),
        [Some(false), Some(false)] => Some(false),
        _ => None,
    }
}

fn in_any(prefixes: &[Prefix], address: IpAddr) -> bool {
    prefixes.is_empty() || prefixes.iter().any(|prefix| prefix.contains(address))
}

fn in_range(ranges: &[(u16, u16)], port: u16) -> bool {
    ranges.is_empty() || ranges.iter().any(|(first, last)| (*first..=*last).contains(&port))
}
