// SPDX-License-Identifier: GPL-2.0-or-later
//! Which path packets took, without a rule that would cost them something: by the counters that the
//! kernel keeps anyway, and by conntrack's list.

use super::generator::Way;
use crate::command::run;
use crate::error::{Context, Result};
use std::fs;
use std::process::Command;

/// Packets that went out, and by which path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// They left by the device.
    pub forwarded: u64,
    /// The router's IP stack has forwarded them; the others took the fast path.
    pub routed: u64,
}

impl Counts {
    /// What was added since then.
    pub fn since(self, then: Counts) -> Counts {
        Counts {
            forwarded: self.forwarded.saturating_sub(then.forwarded),
            routed: self.routed.saturating_sub(then.routed),
        }
    }
}

/// The counts of this namespace.
///
/// # Errors
/// The kernel does not have them.
pub fn counts(device: &str, v6: bool) -> Result<Counts> {
    let read = |path: &str| fs::read_to_string(path).context(path.to_string());
    let path = format!("/sys/class/net/{device}/statistics/tx_packets");
    let forwarded = read(&path)?.trim().parse().context(path)?;
    let routed = match v6 {
        false => routed_v4(&read("/proc/net/snmp")?),
        true => routed_v6(&read("/proc/net/snmp6")?),
    };
    Ok(Counts { forwarded, routed: routed.context("no count of forwarded packets")? })
}

/// From two lines: names, then numbers.
fn routed_v4(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut pairs = names.split_whitespace().zip(numbers.split_whitespace());
    pairs.find(|(name, _)| *name == "ForwDatagrams")?.1.parse().ok()
}

fn routed_v6(text: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| match words.next() {
        Some("Ip6OutForwDatagrams") => words.next()?.parse().ok(),
        _ => None,
    })
}

/// Flows to the way's end that are assured and have had packets both ways; with `offloaded` only
/// those in a flowtable.
///
/// # Errors
/// The list cannot be had.
pub fn established(way: &Way, offloaded: bool) -> Result<usize> {
    let family = if way.to.is_ipv6() { "ipv6" } else { "ipv4" };
    let mut command = Command::new("conntrack");
    command.args(["-L", "-f", family, "-p", "udp", "-d", &way.to.to_string()]);
    let list = run(command.args(["--dport", &way.port.to_string()]))?;
    let wanted = list.lines().filter(|line| is_established(line, offloaded));
    Ok(wanted.count())
}

fn is_established(line: &str, offloaded: bool) -> bool {
    // Where it is offloaded, that stands in place of the word for assured, which the rule had asked for.
    let word = if offloaded { "[OFFLOAD]" } else { "[ASSURED]" };
    let mut packets = line.split_whitespace().filter_map(|word| word.strip_prefix("packets="));
    let has_some = |number: Option<&str>| number.is_some_and(|number| number != "0");
    line.contains(word) && has_some(packets.next()) && has_some(packets.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stacks_own_counts() {
        let v4 = "Ip: Forwarding DefaultTTL InReceives ForwDatagrams OutRequests\n\
                  Ip: 1 64 20 17 3\nIcmp: InMsgs\nIcmp: 0\n";
        assert_eq!(routed_v4(v4), Some(17));
        assert_eq!(routed_v4("Ip: Forwarding\n"), None);
        let v6 = "Ip6InReceives \t9\nIp6OutForwDatagrams             \t5\n";
        assert_eq!((routed_v6(v6), routed_v6("Ip6InReceives 9\n")), (Some(5), None));
    }

    #[test]
    fn counts_are_differences() {
        let (then, now) = ([3, 1], [10, 1]);
        let [then, now] = [then, now].map(|[forwarded, routed]| Counts { forwarded, routed });
        assert_eq!(now.since(then), Counts { forwarded: 7, routed: 0 });
    }

    #[test]
    fn conntracks_lines() {
        let line = |word: &str, back: u32| {
            format!(
                "udp 17 src=192.168.1.2 dst=203.0.113.2 sport=10000 dport=7 packets=4 bytes=200 \
                 src=203.0.113.2 dst=203.0.113.1 sport=7 dport=10000 packets={back} bytes=0 {word} \
                 mark=0 use=2"
            )
        };
        assert!(is_established(&line("[OFFLOAD]", 3), true));
        assert!(is_established(&line("[ASSURED]", 3), false));
        for (word, back, offloaded) in [
            ("[ASSURED]", 3, true),
            ("[OFFLOAD]", 3, false),
            ("", 3, false),
            ("[OFFLOAD]", 0, true),
        ] {
            assert!(!is_established(&line(word, back), offloaded), "{word} {back}");
        }
        assert!(!is_established("udp 17 29 src=1.1.1.1 [UNREPLIED] [OFFLOAD]", true));
    }
}
