// SPDX-License-Identifier: GPL-2.0-or-later
//! `config rule` in `/etc/config/flowtable`: which connections are offloaded, when and where.
//!
//! The names are those of firewall4's rules. A rule that names a zone or a table that does not
//! exist is an error: left out, it would offload what the user keeps on the classic path, or the
//! other way round.

use std::str::FromStr;

use super::device_glob::is_glob;
use super::error::Error;
use super::view::{View, Word};
use crate::core::policy::{Action, Mark, Rule, ALL_PROTOCOLS, WITH_PORTS};
use crate::core::settings::{Partition, Zone};
use crate::netlink::conntrack::tuple::{IPPROTO_GRE, IPPROTO_TCP, IPPROTO_UDP};
use crate::netlink::prefix::Prefix;

/// The options of a rule.
pub const KNOWN: [&str; 16] = [
    "name",
    "enabled",
    "src",
    "dest",
    "src_ip",
    "dest_ip",
    "src_port",
    "dest_port",
    "proto",
    "dscp",
    "mark",
    "device",
    "target",
    "min_packets",
    "min_bytes",
    "table",
];

/// A name is shown in a line with other things.
const NAME_MAX: usize = 64;

const NAME: &str = "a text of at most 64 characters";
const ZONE: &str = "* or the name of a zone in /etc/config/firewall";
const ADDRESS: &str = "an address or a prefix of IPv4 or IPv6";
const FAMILY: &str = "an address of the family that the other addresses of the rule have";
const PORT: &str = "a port from 0 to 65535, or two as in 8000-8099";
const PROTOCOL: &str = "tcp, udp, gre or any, or tcp and udp";
const DSCP: &str = "a name as EF, CS1 or AF41, or a number from 0 to 63";
const MARK: &str = "a number of 32 bits, or VALUE/MASK with a bit in MASK and no others in VALUE";
const DEVICE: &str = "a device name or a pattern of *, ? and [a-z]";
const TARGET: &str = "offload or bypass";
const COUNT: &str = "a whole number from 0 to 18446744073709551615";
const TABLE: &str = "the name of a config table";
const OFFLOAD_ONLY: &str = "it only with option target 'offload'";

/// What rules may name.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Zones of the firewall.
    pub zones: &'a [Zone],
    /// Partitions of our own file.
    pub partitions: &'a [Partition],
}

/// Reads one section; `None` when it is not enabled.
///
/// # Errors
/// A value is not accepted.
pub fn read(view: &View<'_>, known: Known<'_>) -> Result<Option<Rule>, Error> {
    if !view.boolean("enabled", true)? {
        return Ok(None);
    }
    let name = name(view)?.unwrap_or_else(|| view.section.name.clone());
    let rule = Rule {
        src: zone(view, "src", known)?,
        dest: zone(view, "dest", known)?,
        src_ip: list(view, "src_ip", ADDRESS, |text| Prefix::from_str(text).ok())?,
        dest_ip: list(view, "dest_ip", ADDRESS, |text| Prefix::from_str(text).ok())?,
        src_port: list(view, "src_port", PORT, ports)?,
        dest_port: list(view, "dest_port", PORT, ports)?,
        protocols: protocols(view)?,
        dscp: list(view, "dscp", DSCP, dscp)?,
        mark: value(view, "mark", MARK, mark)?,
        device: value(view, "device", DEVICE, |text| is_glob(text).then(|| text.to_owned()))?,
        ..Rule::all(&name, action(view, known)?)
    };
    let of = |v4: bool, list: &[Prefix]| {
        list.is_empty() || list.iter().any(|prefix| prefix.is_v4() == v4)
    };
    let possible = |v4| of(v4, &rule.src_ip) && of(v4, &rule.dest_ip);
    match view.words("dest_ip").first() {
        Some(word) if !possible(true) && !possible(false) => {
            Err(view.refuse("dest_ip", word, FAMILY))
        }
        _ => Ok(Some(rule)),
    }
}

/// One value, as `parse` makes it.
fn value<T>(
    view: &View<'_>,
    option: &'static str,
    accepted: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let Some(word) = view.single(option, accepted)? else { return Ok(None) };
    parse(&word.text).map(Some).ok_or_else(|| view.refuse(option, &word, accepted))
}

/// All values of a list, or the words of a single one.
fn list<T>(
    view: &View<'_>,
    option: &'static str,
    accepted: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut values = Vec::new();
    for word in view.words(option) {
        values.push(parse(&word.text).ok_or_else(|| view.refuse(option, &word, accepted))?);
    }
    Ok(values)
}

fn name(view: &View<'_>) -> Result<Option<String>, Error> {
    value(view, "name", NAME, |text| {
        let fits = text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control);
        fits.then(|| text.to_owned())
    })
}

fn zone(view: &View<'_>, option: &'static str, known: Known<'_>) -> Result<Option<String>, Error> {
    let zone = value(view, option, ZONE, |text| {
        let known = text == "*" || known.zones.iter().any(|zone| zone.name == text);
        known.then(|| text.to_owned())
    })?;
    Ok(zone.filter(|zone| zone != "*"))
}

fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn protocols(view: &View<'_>) -> Result<(u8, u8), Error> {
    let one = |text: &str| match text.to_ascii_lowercase().as_str() {
        "tcp" | "6" => Some((IPPROTO_TCP, IPPROTO_TCP)),
        "udp" | "17" => Some((IPPROTO_UDP, IPPROTO_UDP)),
        "gre" | "47" => Some((IPPROTO_GRE, IPPROTO_GRE)),
        "tcpudp" => Some(WITH_PORTS),
        "all" | "any" => Some(ALL_PROTOCOLS),
        _ => None,
    };
    let mut words = view.words("proto").into_iter();
    let Some(first) = words.next() else {
        // As in the firewall: what names ports is about what has them.
        let ports = !view.words("src_port").is_empty() || !view.words("dest_port").is_empty();
        return Ok(if ports { WITH_PORTS } else { ALL_PROTOCOLS });
    };
    let refuse = |word: &Word| view.refuse("proto", word, PROTOCOL);
    let mut protocols = one(&first.text).ok_or_else(|| refuse(&first))?;
    for word in words {
        // TCP and UDP together are a range; with GRE they would take in what is between.
        let more = one(&word.text).filter(|more| *more == protocols || more.1 <= WITH_PORTS.1);
        let (low, high) =
            more.filter(|_| protocols.1 <= WITH_PORTS.1).ok_or_else(|| refuse(&word))?;
        protocols = (protocols.0.min(low), protocols.1.max(high));
    }
    Ok(protocols)
}

/// As firewall4 names them: class selectors, assured forwarding, expedited forwarding, best effort.
fn dscp(text: &str) -> Option<u8> {
    let upper = text.to_ascii_uppercase();
    let digits = |text: &str| match *text.as_bytes() {
        [class] => Some((class.checked_sub(b'0')?, 0)),
        [class, drop] => Some((class.checked_sub(b'0')?, drop.checked_sub(b'0')?)),
        _ => None,
    };
    match upper.as_str() {
        "EF" => return Some(46),
        "BE" => return Some(0),
        "LE" => return Some(1),
        _ => (),
    }
    if let Some(class) = upper.strip_prefix("CS") {
        return digits(class)
            .filter(|(class, drop)| *class <= 7 && *drop == 0 && upper.len() == 3)
            .map(|(class, _)| class * 8);
    }
    if let Some(class) = upper.strip_prefix("AF") {
        return digits(class)
            .filter(|(class, drop)| (1..=4).contains(class) && (1..=3).contains(drop))
            .map(|(class, drop)| class * 8 + drop * 2);
    }
    number(text).and_then(|number| u8::try_from(number).ok()).filter(|number| *number < 64)
}

fn mark(text: &str) -> Option<Mark> {
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (number(value)?, number(mask)?),
        None => (number(text)?, u32::MAX),
    };
    (mask != 0 && value & !mask == 0).then_some(Mark { value, mask })
}

/// Decimal, or hexadecimal behind `0x`.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
        _ => text.parse().ok(),
    }
}

fn action(view: &View<'_>, known: Known<'_>) -> Result<Action, Error> {
    let offload = value(view, "target", TARGET, |text| match text {
        "offload" => Some(true),
        "bypass" => Some(false),
        _ => None,
    })?;
    let min_packets = value(view, "min_packets", COUNT, |text| text.parse().ok())?;
    let min_bytes = value(view, "min_bytes", COUNT, |text| text.parse().ok())?;
    let table = value(view, "table", TABLE, |text| {
        known.partitions.iter().any(|table| table.name == text).then(|| text.to_owned())
    })?;
    if offload == Some(true) {
        let (min_packets, min_bytes) = (min_packets.unwrap_or(0), min_bytes.unwrap_or(0));
        return Ok(Action::Offload { min_packets, min_bytes, table });
    }
    for option in ["min_packets", "min_bytes", "table"] {
        if let Some(word) = view.words(option).first() {
            return Err(view.refuse(option, word, OFFLOAD_ONLY));
        }
    }
    Ok(Action::Bypass)
}

/// The error for a rule of which there is too much.
pub fn too_many(view: &View<'_>, accepted: &'static str) -> Error {
    let word = Word { text: view.section.name.clone(), place: view.section.place };
    view.refuse("rule", &word, accepted)
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
