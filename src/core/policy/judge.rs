// SPDX-License-Identifier: GPL-2.0-or-later
//! The verdict of the rules about one flow. Which rule decides is found as they are written, one after
//! the other; which partition has a flow is asked of all flows at once, and found as the kernel does.

use std::net::IpAddr;

use super::key::{Family, Field, Key, Kind};
use super::layers::dscp_span;
use super::{Action, Group, Places, Policy, Rule};
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

/// What the rules do with a flow that is offloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// It goes where it would without rules.
    Ordinary,
    /// It goes into this partition.
    Partition(&'a str),
    /// They keep it on the classic path: it was offloaded before they did.
    Nowhere,
}

impl Policy {
    /// The partition that the rules send an offloaded flow into, `Some(None)` for none; `None` when
    /// that depends on what is not known.
    pub fn partition(&self, subject: &Subject<'_>, places: &Places) -> Option<Option<&str>> {
        Some(match self.destination(subject, places)? {
            Destination::Partition(name) => Some(name),
            Destination::Ordinary | Destination::Nowhere => None,
        })
    }

    /// Where the rules send an offloaded flow; `None` when that depends on what is not known. That it
    /// is offloaded is known: rules that may keep it on the classic path do not.
    ///
    /// This is asked for each of 65,536 flows when a route changes: a group is one search, however
    /// many rules are in it.
    pub fn destination(&self, subject: &Subject<'_>, places: &Places) -> Option<Destination<'_>> {
        let groups = self.groups().iter();
        sent_to(groups.map(|group| (group.matches(subject, places), &group.action)))
    }
}

/// Where the first of these that matches sends a flow that is offloaded. Each comes with whether it
/// matches, if that is known.
pub(super) fn sent_to<'a>(
    list: impl Iterator<Item = (Option<bool>, &'a Action)>,
) -> Option<Destination<'a>> {
    let mut found: Option<Destination<'a>> = None;
    for (matching, action) in list {
        if let (None | Some(true), Action::Offload { table, .. }) = (matching, action) {
            let here = table.as_deref().map_or(Destination::Ordinary, Destination::Partition);
            if found.is_some_and(|found| found != here) {
                return None;
            }
            found = Some(here);
        }
        if matching == Some(true) {
            return Some(found.unwrap_or(Destination::Nowhere));
        }
    }
    found.is_none_or(|found| found == Destination::Ordinary).then_some(Destination::Ordinary)
}

impl Group {
    /// `None` when that depends on what is not known.
    fn matches(&self, subject: &Subject<'_>, places: &Places) -> Option<bool> {
        let kind = &self.kind;
        let family = if subject.source.0.is_ipv4() { Family::V4 } else { Family::V6 };
        let of_kind = kind.family.is_none_or(|wanted| wanted == family)
            && kind.protocol.is_none_or(|wanted| wanted == subject.protocol);
        let inside = of_kind
            && (self.entries.is_empty() || {
                self.entries.meeting(&whereabouts(kind, subject), &[]).is_some()
            });
        if !inside {
            return Some(false);
        }
        let known = |field| match field {
            Field::Dscp => subject.dscp.is_some(),
            Field::Mark => subject.mark.is_some(),
            _ => true,
        };
        all(&[
            within(kind.src.as_deref(), subject.input, places),
            within(kind.dest.as_deref(), subject.output, places),
            kind.fields().all(known).then_some(true),
            either_device(kind.device.as_deref(), subject, places),
        ])
    }
}

/// The box that the flow is in: a field that is not known has all values.
pub(super) fn whereabouts(kind: &Kind, subject: &Subject<'_>) -> Key {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut key = Key::new();
    for unknown in [0, u8::MAX] {
        for (field, _, length) in kind.layout() {
            let bytes = match field {
                Field::Protocol => Some(vec![subject.protocol]),
                Field::SrcIp => Some(octets(subject.source.0)),
                Field::SrcPort => Some(subject.source.1.to_be_bytes().to_vec()),
                Field::DestIp => Some(octets(subject.destination.0)),
                Field::DestPort => Some(subject.destination.1.to_be_bytes().to_vec()),
                Field::Dscp => subject.dscp.map(|dscp| dscp_span(dscp, kind.family).0),
                Field::Mark => {
                    subject.mark.map(|mark| (mark & kind.mark_mask).to_be_bytes().to_vec())
                }
            };
            let end = key.len() + length.next_multiple_of(4);
            match bytes {
                Some(bytes) => key.extend(bytes),
                None => key.resize(end, unknown),
            }
            key.resize(end, 0);
        }
    }
    key
}

/// `None` when that depends on what is not known.
pub(super) fn matches(rule: &Rule, subject: &Subject<'_>, places: &Places) -> Option<bool> {
    let (low, high) = rule.protocols;
    let known = in_any(&rule.src_ip, subject.source.0)
        && in_any(&rule.dest_ip, subject.destination.0)
        && in_range(&rule.src_port, subject.source.1)
        && in_range(&rule.dest_port, subject.destination.1)
        && (low..=high).contains(&subject.protocol);
    if !known {
        return Some(false);
    }
    all(&[
        within(rule.src.as_deref(), subject.input, places),
        within(rule.dest.as_deref(), subject.output, places),
        match rule.dscp.as_slice() {
            [] => Some(true),
            values => subject.dscp.map(|dscp| values.contains(&dscp)),
        },
        match rule.mark {
            None => Some(true),
            Some(wanted) => subject.mark.map(|mark| mark & wanted.mask == wanted.value),
        },
        either_device(rule.device.as_deref(), subject, places),
    ])
}

fn all(conditions: &[Option<bool>]) -> Option<bool> {
    if conditions.contains(&Some(false)) {
        return Some(false);
    }
    (!conditions.contains(&None)).then_some(true)
}

fn within(zone: Option<&str>, device: Option<&str>, places: &Places) -> Option<bool> {
    let Some(zone) = zone else { return Some(true) };
    let names = places.zone(zone);
    device.map(|device| names.is_some_and(|names| names.contains(device)))
}

fn either_device(pattern: Option<&str>, subject: &Subject<'_>, places: &Places) -> Option<bool> {
    let Some(pattern) = pattern else { return Some(true) };
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
