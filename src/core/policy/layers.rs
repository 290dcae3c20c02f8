// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules into groups that become one set each.
//!
//! The kernel's interval sets take no entries that overlap, and know no order. So a group has
//! entries of one kind and one action that do not meet, and the order of the groups is what is left
//! of the order of the rules. An entry goes into an earlier group if nothing between would decide
//! otherwise about anything in it; what overlaps its equals only in part gets a further group.

use super::entries::Entries;
use super::key::{apart, Family, Field, Key, Kind, Span};
use super::{Action, Rule, ALL_PROTOCOLS};
use crate::netlink::prefix::Prefix;

/// Rules; somebody who asks about flows has them read for each.
pub const RULES_MAX: usize = 1024;
/// Entries of all sets of a table together. Each is compared with those before it when the
/// configuration is read, and all go to the kernel in one datagram with all other tables.
pub const ENTRIES_MAX: usize = 2048;
/// Groups: each is a rule or four that a packet which is not offloaded yet has to pass.
pub const GROUPS_MAX: usize = 64;

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// More than [`RULES_MAX`].
    Rules,
    /// More than [`ENTRIES_MAX`].
    Entries,
    /// More than [`GROUPS_MAX`].
    Groups,
}

impl TooMany {
    /// What would be accepted.
    pub fn accepted(self) -> &'static str {
        match self {
            TooMany::Rules => "no more than 1024 rules",
            TooMany::Entries => "no more than 2048 combinations of values in all rules",
            TooMany::Groups => "no more than 64 changes between rules that overlap only in part",
        }
    }
}

/// Entries that one set holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub(super) kind: Kind,
    pub(super) action: Action,
    /// Empty when the kind has no fields: then it matches everything of its kind.
    pub(super) entries: Entries,
}

/// The groups of these rules, in the order in which they are asked.
pub(super) fn compile(rules: &[Rule]) -> Result<Vec<Group>, (usize, TooMany)> {
    if rules.len() > RULES_MAX {
        return Err((RULES_MAX, TooMany::Rules));
    }
    let mut groups = Vec::new();
    let mut entries = 0_usize;
    for (index, rule) in rules.iter().enumerate() {
        // Before they are told apart, which takes the square of their number.
        let longest = [rule.src_ip.len(), rule.dest_ip.len(), rule.src_port.len()]
            .into_iter()
            .fold(rule.dest_port.len().max(rule.dscp.len()), usize::max);
        if longest > ENTRIES_MAX {
            return Err((index, TooMany::Entries));
        }
        for (kind, spans) in kinds(rule) {
            let combinations =
                spans.iter().fold(1_usize, |product, spans| product.saturating_mul(spans.len()));
            entries = entries.saturating_add(combinations);
            if entries > ENTRIES_MAX {
                return Err((index, TooMany::Entries));
            }
            for number in 0..combinations {
                place(&mut groups, &kind, &rule.action, combination(&spans, number));
                if groups.len() > GROUPS_MAX {
                    return Err((index, TooMany::Groups));
                }
            }
        }
    }
    Ok(groups)
}

/// The kinds of a rule, one for each family if it matters, with the values of each field.
fn kinds(rule: &Rule) -> Vec<(Kind, Vec<Vec<Span>>)> {
    let by_family = !rule.src_ip.is_empty() || !rule.dest_ip.is_empty() || !rule.dscp.is_empty();
    let families: &[Option<Family>] =
        if by_family { &[Some(Family::V4), Some(Family::V6)] } else { &[None] };
    families.iter().flat_map(|family| of_family(rule, *family)).collect()
}

/// None when the rule is not about this family.
fn of_family(rule: &Rule, family: Option<Family>) -> Vec<(Kind, Vec<Vec<Span>>)> {
    let mut kind = Kind::new(rule.src.clone(), rule.dest.clone(), rule.device.clone());
    kind.family = family;
    let mut fields = Vec::new();
    for field in Field::ALL {
        let Some(spans) = spans(rule, field, family) else { return Vec::new() };
        if !spans.is_empty() {
            kind.add(field);
            fields.push(apart(spans));
        }
    }
    kind.mark_mask = rule.mark.map_or(0, |mark| mark.mask);
    let (low, high) = rule.protocols;
    if !fields.is_empty() {
        kind.add(Field::Protocol);
        fields.insert(0, vec![(vec![low], vec![high])]);
        return vec![(kind, fields)];
    }
    let mut protocols = vec![None];
    if rule.protocols != ALL_PROTOCOLS {
        // The protocol alone is no set of several fields.
        protocols = vec![Some(low), Some(high)];
        protocols.dedup();
    }
    let of = |protocol| {
        kind.protocol = protocol;
        (kind.clone(), Vec::new())
    };
    protocols.into_iter().map(of).collect()
}

/// The values of a field, none when any will do; `None` when no value is of this family.
fn spans(rule: &Rule, field: Field, family: Option<Family>) -> Option<Vec<Span>> {
    let ports = |ports: &[(u16, u16)]| {
        let span = |(first, last): &(u16, u16)| {
            (first.to_be_bytes().to_vec(), last.to_be_bytes().to_vec())
        };
        ports.iter().map(span).collect::<Vec<Span>>()
    };
    Some(match field {
        // Whether it is a field depends on the others.
        Field::Protocol => Vec::new(),
        Field::SrcIp | Field::DestIp => {
            let prefixes = if field == Field::SrcIp { &rule.src_ip } else { &rule.dest_ip };
            let spans = addresses(prefixes, family);
            if spans.is_empty() && !prefixes.is_empty() {
                return None;
            }
            spans
        }
        Field::SrcPort => ports(&rule.src_port),
        Field::DestPort => ports(&rule.dest_port),
        Field::Dscp => rule.dscp.iter().map(|value| dscp_span(*value, family)).collect(),
        Field::Mark => {
            let span = |bytes: [u8; 4]| (bytes.to_vec(), bytes.to_vec());
            rule.mark.iter().map(|mark| span(mark.value.to_be_bytes())).collect()
        }
    })
}

fn addresses(prefixes: &[Prefix], family: Option<Family>) -> Vec<Span> {
    let wanted = if family == Some(Family::V6) { 16 } else { 4 };
    prefixes.iter().map(|prefix| prefix.bounds()).filter(|(low, _)| low.len() == wanted).collect()
}

/// The bits where they stand in the header, the others 0: the second byte of IPv4, the first two
/// of IPv6.
pub(super) fn dscp_span(value: u8, family: Option<Family>) -> Span {
    let bytes = match family {
        Some(Family::V6) => (u16::from(value) << 6).to_be_bytes().to_vec(),
        _ => vec![value << 2],
    };
    (bytes.clone(), bytes)
}

/// The box of one choice from each field.
fn combination(fields: &[Vec<Span>], number: usize) -> Key {
    let mut rest = number;
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for spans in fields {
        let Some(chosen) = rest.checked_rem(spans.len()).and_then(|place| spans.get(place)) else {
            continue;
        };
        rest /= spans.len();
        for (bound, bytes) in [(&mut low, &chosen.0), (&mut high, &chosen.1)] {
            bound.extend_from_slice(bytes);
            bound.resize(bound.len().next_multiple_of(4), 0);
        }
    }
    low.extend(high);
    low
}

fn place(groups: &mut Vec<Group>, kind: &Kind, action: &Action, key: Key) {
    for group in groups.iter_mut().rev() {
        if group.action == *action {
            if group.kind == *kind && group.admit(&key) {
                return;
            }
        } else if group.meets(kind, &key) {
            break;
        }
    }
    let entries = Entries::new(kind);
    let mut group = Group { kind: kind.clone(), action: action.clone(), entries };
    group.admit(&key);
    groups.push(group);
}

impl Group {
    /// Takes an entry of its own kind, with what it meets made one; false when it meets one of them
    /// in part.
    fn admit(&mut self, key: &Key) -> bool {
        let mut union = key.clone();
        let mut absorbed = Vec::new();
        while let Some((place, entry)) = self.entries.meeting(&union, &absorbed) {
            let Some(both) = self.kind.union(&union, entry) else { return false };
            if both == *entry {
                // It has all of it, so it meets no other.
                return true;
            }
            union = both;
            absorbed.push(place);
        }
        if !union.is_empty() {
            self.entries.replace(&absorbed, union);
        }
        true
    }

    fn meets(&self, kind: &Kind, key: &[u8]) -> bool {
        if self.entries.is_empty() {
            return self.kind.meet(&[], kind, key);
        }
        if self.kind.is_alike(kind) {
            return self.entries.meeting(key, &[]).is_some();
        }
        self.entries.iter().any(|entry| self.kind.meet(entry, kind, key))
    }
}
