// SPDX-License-Identifier: GPL-2.0-or-later
//! firewall4's stand-in on a router that is measured: its default ruleset without the lab's counters, and
//! as many rules of the user as are asked for.

use crate::command::run;
use crate::error::{Context, Error, Result};
use crate::guest::{look, LAB_DIR, SCRATCH_DIR};
use serde_json::Value as Json;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long the daemon may take to follow.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Flows are handed back every two seconds at most, and are offloaded by the rules of before until then:
/// when nothing has happened for longer nothing is due.
const SETTLED: Duration = Duration::from_millis(2500);

/// The firewall, loaded.
pub struct Firewall4 {
    /// The users' rules match addresses of IPv6.
    v6: bool,
    rules: u32,
}

impl Firewall4 {
    /// Loads it, in place of whatever the router had.
    ///
    /// # Errors
    /// The stand-in fails.
    pub fn start(v6: bool) -> Result<Firewall4> {
        let dir = format!("{SCRATCH_DIR}/chain-pre/forward");
        fs::create_dir_all(&dir).context(&dir)?;
        let plain = format!("{SCRATCH_DIR}/fw4.plain");
        fs::write(&plain, "").context(plain)?;
        run(Command::new("nft").args(["flush", "ruleset"]))?;
        act("start")?;
        Ok(Firewall4 { v6, rules: 0 })
    }

    /// Has so many rules of the user ahead of the one for established connections. With the daemon,
    /// waits until it has taken over again and has handed back all flows.
    ///
    /// # Errors
    /// The stand-in fails, or the daemon does not follow.
    pub fn load(&mut self, rules: u32, daemon: bool) -> Result<()> {
        if rules == self.rules {
            return Ok(());
        }
        let path = format!("{SCRATCH_DIR}/chain-pre/forward/users.nft");
        fs::write(&path, users(rules, self.v6)).context(path)?;
        let before = if daemon { Some(reactions()?) } else { None };
        act("reload")?;
        self.rules = rules;
        before.map_or(Ok(()), |before| followed(&before))
    }
}

/// Waits until the daemon has done all that it does after a reload.
fn followed(before: &[Json; 2]) -> Result<()> {
    let begun = Instant::now();
    let (mut last, mut since) = (before.clone(), begun);
    loop {
        let now = reactions()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let both = last.iter().zip(before).all(|(last, before)| last != before);
        if both && since.elapsed() > SETTLED {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::new("the daemon has not followed firewall4's reload"));
        }
        thread::sleep(POLL);
    }
}

fn act(word: &str) -> Result<()> {
    run(Command::new("sh").arg(format!("{LAB_DIR}/openwrt/fw4")).arg(word)).map(drop)
}

/// How often the daemon has taken firewall4's objects out of the way, and handed flows back.
fn reactions() -> Result<[Json; 2]> {
    Ok([look::status("/takeover/count")?, look::status("/evictions/count")?])
}

/// Rules that match nothing: prefixes of the nets for benchmarks (RFC 2544, RFC 5180) with a port and a
/// counter, as lists for accounting and bans have them.
fn users(rules: u32, v6: bool) -> String {
    let mut text = String::new();
    for number in 0..rules {
        let port = number % 1000 + 20_000;
        let _ = match v6 {
            true => writeln!(text, "ip6 saddr 2001:2:0:{number:x}::/64 udp dport {port} counter"),
            false => {
                let [.., high, low] = number.to_be_bytes();
                let high = 18 + high % 2;
                writeln!(text, "ip saddr 198.{high}.{low}.0/24 udp dport {port} counter")
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rules_of_users_differ() {
        for v6 in [false, true] {
            let text = users(400, v6);
            let rules: BTreeSet<&str> = text.lines().collect();
            assert_eq!(rules.len(), 400);
            let first = if v6 { "ip6 saddr 2001:2:0:0::/64 " } else { "ip saddr 198.18.0.0/24 " };
            assert!(text.starts_with(&format!("{first}udp dport 20000 counter\n")), "{text}");
        }
        assert!(users(400, false).contains("198.19.143.0/24 udp dport 20399 counter"));
        assert_eq!(users(0, true), "");
    }
}
