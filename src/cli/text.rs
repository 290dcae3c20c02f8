// SPDX-License-Identifier: GPL-2.0-or-later
//! Replies of the daemon as text for people.
//!
//! An absent key is a value that cannot be known and becomes a dash; a list that is known to be
//! empty becomes "none". Control characters, which device names and error texts may hold, are
//! shown as `?` so that they cannot steer the terminal.

use ubus::blobmsg::{lookup, BlobIter};
use ubus::{BlobRef, BlobValue};

/// What stands for a value that cannot be known.
const UNKNOWN: &str = "-";

/// Width of the labels of `status`, the longest with its colon and one space.
const LABEL: usize = 12;

/// The reply of `status`, a label and a value a line.
pub fn status(reply: &[u8]) -> String {
    let mut out = String::new();
    line(&mut out, "version", &text(reply, "version"));
    line(&mut out, "uptime", &integer(reply, "uptime_s").map_or_else(unknown, duration));
    line(&mut out, "requested", &text(reply, "requested"));
    line(&mut out, "effective", &text(reply, "effective"));
    line(&mut out, "reason", &reason(reply));
    line(&mut out, "flows", &flows(reply));
    lines(&mut out, "polling", table(reply, "polling").map(polling));
    let leaked = integer(reply, "leaked_packets");
    line(&mut out, "leaked", &leaked.map_or_else(unknown, |n| format!("{n} packets")));
    let bypassed = integer(reply, "bypassed");
    line(&mut out, "bypassed", &bypassed.map_or_else(unknown, |n| format!("{n} flows")));
    line(&mut out, "evictions", &table(reply, "evictions").map_or_else(unknown, evictions));
    lines(&mut out, "tables", tables(reply));
    if let Some(takeover) = table(reply, "takeover") {
        line(&mut out, "firewall4", &firewall4(takeover));
    }
    lines(&mut out, "foreign", strings(reply, "foreign_flowtables"));
    line(&mut out, "kernel", &kernel(reply));
    line(&mut out, "commits", &integer(reply, "commits").map_or_else(unknown, |n| n.to_string()));
    if let Some(left_out) = table(reply, "left_out").and_then(left_out) {
        line(&mut out, "left out", &left_out);
    }
    let error = lookup(reply, "last_error").map(|_| text(reply, "last_error"));
    line(&mut out, "last error", error.as_deref().unwrap_or("none"));
    lines(&mut out, "warnings", strings(reply, "warnings"));
    if flag(reply, "truncated") == Some(true) {
        out.push_str("(lists cut short: too long for one reply)\n");
    }
    out
}

fn firewall4(takeover: &[u8]) -> String {
    let state = text(takeover, "state");
    match (state.as_str(), integer(takeover, "count")) {
        ("taken", Some(count)) => format!("its own offloading is taken over ({count} times)"),
        ("left", _) => "its own offloading is in force".into(),
        ("none", _) => "no offloading of its own".into(),
        _ => state,
    }
}

/// The reply of `flush`, one line.
pub fn flush(reply: &[u8]) -> String {
    let flows = integer(reply, "flows").map_or_else(unknown, |n| n.to_string());
    format!("{flows} offloaded flows returned to the classic path\n")
}

/// The reply of `evict`, one line.
pub fn evict(reply: &[u8]) -> String {
    let count = |key| integer(reply, key).map_or_else(unknown, |n| n.to_string());
    format!(
        "{} offloaded flows returned to the classic path, {} of {} flows stay there\n",
        count("evicted"),
        count("bypassed"),
        count("matched")
    )
}

/// The reply of `release`, one line.
pub fn release(reply: &[u8]) -> String {
    let flows = integer(reply, "released").map_or_else(unknown, |n| n.to_string());
    format!("{flows} flows may leave the classic path\n")
}

/// Rows as lines whose columns stand below each other, `gap` apart; those from `numbers` on stand
/// on the right. `widths` are the least widths, and hold those that were used afterwards.
pub(super) fn aligned<const N: usize>(
    rows: &[[String; N]],
    widths: &mut [usize; N],
    numbers: usize,
    gap: usize,
) -> String {
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (width, cell)) in widths.iter().zip(row).enumerate() {
            if column >= numbers {
                pad(&mut line, "", width.saturating_sub(cell.chars().count()));
                pad(&mut line, cell, cell.chars().count() + gap);
            } else {
                pad(&mut line, cell, width + gap);
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// `text` without characters that could steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

pub(super) fn line(out: &mut String, label: &str, value: &str) {
    let label = if label.is_empty() { String::new() } else { format!("{label}:") };
    pad(out, &label, LABEL);
    out.push_str(value);
    out.push('\n');
}

fn lines(out: &mut String, label: &str, values: Option<Vec<String>>) {
    match values.as_deref() {
        None => line(out, label, UNKNOWN),
        Some([]) => line(out, label, "none"),
        Some([first, rest @ ..]) => {
            line(out, label, first);
            rest.iter().for_each(|value| line(out, "", value));
        }
    }
}

fn pad(out: &mut String, cell: &str, width: usize) {
    out.push_str(cell);
    let missing = width.saturating_sub(cell.chars().count());
    out.extend(std::iter::repeat_n(' ', missing));
}

/// The sentence of a reason, and what belongs to it in brackets.
pub(super) fn reason(table: &[u8]) -> String {
    match lookup(table, "detail") {
        Some(_) => format!("{} ({})", text(table, "reason_text"), text(table, "detail")),
        None => text(table, "reason_text"),
    }
}

fn flows(reply: &[u8]) -> String {
    let Some(flows) = table(reply, "flows") else {
        return unknown();
    };
    let count = |key| integer(flows, key).map_or_else(unknown, |n| n.to_string());
    let mut line = format!(
        "{} hardware, {} software, {} classic",
        count("hardware"),
        count("software"),
        count("classic")
    );
    if integer(flows, "closing").is_some_and(|closing| closing > 0) {
        line += &format!(" ({} of them closing)", count("closing"));
    }
    line
}

/// The lists in one line, the ends in another, with what went wrong if anything did.
fn evictions(evictions: &[u8]) -> String {
    let count = integer(evictions, "count").map_or_else(unknown, |n| n.to_string());
    match integer(evictions, "age_s") {
        Some(seconds) => {
            let why = text(evictions, "cause_text");
            format!("{count}, the last {} ago: {why}", duration(seconds))
        }
        None => count,
    }
}

fn polling(polling: &[u8]) -> Vec<String> {
    let count = |key| integer(polling, key).map_or_else(unknown, |n| n.to_string());
    let interval = match integer(polling, "interval_s") {
        Some(seconds) => format!("every {}", duration(seconds)),
        None => "on demand".to_owned(),
    };
    let last = match integer(polling, "entries") {
        Some(entries) => format!(
            "the last of {entries} flows in {} ms, {} ms of them busy",
            count("last_ms"),
            count("cpu_ms")
        ),
        None => "none yet".to_owned(),
    };
    let mut second = format!("{} ends told", count("events"));
    let troubles = [
        ("failed", "lists failed"),
        ("overruns", "times ends were lost"),
        ("left_out", "flows left out"),
        ("ended_unseen", "ended unseen"),
    ];
    for (key, words) in troubles {
        if integer(polling, key) != Some(0) {
            second.push_str(&format!(", {} {words}", count(key)));
        }
    }
    vec![format!("{interval}, {} lists, {last}", count("lists")), second]
}

/// What found no room; `None` when everything did.
fn left_out(left_out: &[u8]) -> Option<String> {
    let kinds = [
        ("links", "devices"),
        ("neighbours", "neighbours"),
        ("stations", "stations"),
        ("hosts", "flows of clients"),
        ("chains", "chains of devices"),
        ("names", "names"),
    ];
    let count = |key| integer(left_out, key).filter(|count| *count != 0);
    let words = kinds.iter().filter_map(|(key, words)| Some(format!("{} {words}", count(key)?)));
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn tables(reply: &[u8]) -> Option<Vec<String>> {
    let tables = entries(reply, "tables")?;
    Some(tables.into_iter().map(one_table).collect())
}

fn one_table(table: &[u8]) -> String {
    let path = match flag(table, "hardware") {
        Some(true) => "hardware",
        Some(false) => "software",
        None => UNKNOWN,
    };
    let counter = match flag(table, "counter") {
        Some(true) => "counting",
        Some(false) => "not counting",
        None => UNKNOWN,
    };
    let priority = integer(table, "priority").map_or_else(unknown, |n| n.to_string());
    let why = match text(table, "reason").as_str() {
        UNKNOWN | "as_configured" => String::new(),
        _ => format!("; {}", reason(table)),
    };
    format!(
        "{} {} ({path}, {counter}, priority {priority}): {}{why}",
        text(table, "name"),
        text(table, "flowtable"),
        match strings(table, "devices") {
            None => unknown(),
            Some(devices) if devices.is_empty() => "none".to_owned(),
            Some(devices) => devices.join(" "),
        }
    )
}

fn kernel(reply: &[u8]) -> String {
    let kernel = table(reply, "kernel").unwrap_or_default();
    let ability = |key| match flag(kernel, key) {
        Some(true) => "yes",
        Some(false) => "no",
        None => UNKNOWN,
    };
    format!(
        "{} (flowtable {}, named hooks {}, conntrack {}, accounting {})",
        text(kernel, "release"),
        ability("flowtable"),
        ability("named_hooks"),
        ability("conntrack"),
        ability("accounting")
    )
}

/// Days, hours, minutes and seconds, without leading zeros.
pub(super) fn duration(seconds: i64) -> String {
    let mut out = String::new();
    for (unit, length, size) in
        [('d', 86_400, i64::MAX), ('h', 3600, 24), ('m', 60, 60), ('s', 1, 60)]
    {
        let n = seconds.max(0) / length % size;
        if n > 0 || !out.is_empty() || unit == 's' {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&n.to_string());
            out.push(unit);
        }
    }
    out
}

pub(super) fn unknown() -> String {
    UNKNOWN.to_owned()
}

/// A string; a dash when it is absent or empty.
pub(super) fn text(table: &[u8], key: &str) -> String {
    let value = lookup(table, key).and_then(|a| a.as_str()).filter(|s| !s.is_empty());
    value.map_or_else(unknown, printable)
}

pub(super) fn flag(table: &[u8], key: &str) -> Option<bool> {
    lookup(table, key)?.as_bool()
}

pub(super) fn integer(table: &[u8], key: &str) -> Option<i64> {
    match lookup(table, key)?.value().ok()? {
        BlobValue::Int32(n) => Some(n.into()),
        BlobValue::Int64(n) => Some(n),
        _ => None,
    }
}

pub(super) fn table<'a>(table: &'a [u8], key: &str) -> Option<&'a [u8]> {
    contents(&lookup(table, key)?)
}

fn contents<'a>(attribute: &BlobRef<'a>) -> Option<&'a [u8]> {
    match attribute.value().ok()? {
        BlobValue::Table(body) | BlobValue::Array(body) => Some(body),
        _ => None,
    }
}

/// The tables of an array.
pub(super) fn entries<'a>(reply: &'a [u8], key: &str) -> Option<Vec<&'a [u8]>> {
    Some(BlobIter::new(table(reply, key)?).filter_map(|a| contents(&a)).collect())
}

/// The strings of an array.
pub(super) fn strings(reply: &[u8], key: &str) -> Option<Vec<String>> {
    let list = BlobIter::new(table(reply, key)?);
    Some(list.filter_map(|a| a.as_str().map(printable)).collect())
}

/// The strings of an array, or a dash.
pub(super) fn joined(table: &[u8], key: &str) -> String {
    strings(table, key).filter(|list| !list.is_empty()).map_or_else(unknown, |list| list.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::status::Status;
    use crate::ubus::evict::Evicted;
    use crate::ubus::status as status_method;
    use crate::ubus::{evict as evict_method, release as release_method};
    use proptest::prelude::*;
    use ubus::BlobMsgTable;

    #[test]
    fn a_full_status() {
        let reply = status_method::encode(&status_method::tests::full());
        assert_eq!(
            status(reply.contents()),
            "\
version:    0.1.0
uptime:     57870d 8h 53m 20s
requested:  hardware
effective:  mixed
reason:     only some devices accept hardware offload (lan3)
flows:      88 hardware, 340 software, 12 classic (5 of them closing)
polling:    every 30s, 1200 lists, the last of 440 flows in 9 ms, 7 ms of them busy
            5000000000 ends told, 1 lists failed, 2 times ends were lost, 3 flows left out, \
4 ended unseen
leaked:     17 packets
bypassed:   2 flows
evictions:  7, the last 57870d 8h 53m 20s ago: the firewall's rules have changed
tables:     flowtabled_hw ft (hardware, counting, priority -5): lan1 lan2 wan
            flowtabled_p_iot ft (software, not counting, priority 0): none; only some devices \
accept hardware offload (iot0: no)
firewall4:  its own offloading is in force
foreign:    inet fw4 ft
kernel:     6.12.55 (flowtable yes, named hooks no, conntrack yes, accounting -)
commits:    4
left out:   1 devices, 7 stations, 3 flows of clients, 4 chains of devices, 5000000000 names
last error: nf_tables: table flowtabled_sw: device busy
warnings:   flowtable:12: unknown option 'enabeld'
"
            .replace("0.1.0", crate::VERSION)
        );
    }

    #[test]
    fn a_status_that_knows_little() {
        let reply = status_method::encode(&Status::default());
        assert_eq!(
            status(reply.contents()),
            "\
version:    0.1.0
uptime:     0s
requested:  classic
effective:  classic
reason:     -
flows:      -
polling:    -
leaked:     -
bypassed:   -
evictions:  0
tables:     none
foreign:    none
kernel:     - (flowtable -, named hooks -, conntrack -, accounting -)
commits:    0
last error: none
warnings:   none
"
            .replace("0.1.0", crate::VERSION)
        );
    }

    #[test]
    fn what_became_of_flows() {
        let outcome = Evicted { matched: 5, evicted: 2, bypassed: 5 };
        let reply = evict_method::encode(Ok(outcome)).unwrap();
        assert_eq!(
            evict(reply.contents()),
            "2 offloaded flows returned to the classic path, 5 of 5 flows stay there\n"
        );
        let reply = release_method::encode(Ok(5)).unwrap();
        assert_eq!(release(reply.contents()), "5 flows may leave the classic path\n");
        assert_eq!(release(&[]), "- flows may leave the classic path\n");
    }

    #[test]
    fn durations() {
        for (seconds, wanted) in
            [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3661, "1h 1m 1s"), (86_400, "1d 0h 0m 0s")]
        {
            assert_eq!(duration(seconds), wanted);
        }
        assert_eq!(duration(-5), "0s");
    }

    #[test]
    fn wrong_types_are_unknown() {
        let reply = BlobMsgTable::build(|b| {
            b.put_i32(Some("version"), 1);
            b.put_str(Some("uptime_s"), "x");
            b.put_str(Some("tables"), "x");
        });
        let text = status(reply.contents());
        assert!(text.starts_with("version:    -\nuptime:     -\n"), "{text}");
        assert!(text.contains("tables:     -\n"), "{text}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = status(&bytes);
        }
    }
}
