// SPDX-License-Identifier: GPL-2.0-or-later
//! From the end of an nft that adds a blocking rule to the last packet that still gets through, of a
//! flow that was offloaded. Without the daemon it would get through for as long as it lasts.

use super::router::{Router, DAEMON, OFFLOADED};
use super::watch::Told;
use crate::bench::figure::{median, quantile, Bound, Figure};
use crate::command::run;
use crate::console::Report;
use crate::error::Result;
use crate::guest::steady::clock;
use flowtabled::core::evict::Cause;
use std::process::Command;
use std::thread;
use std::time::Duration;

const ROUNDS: usize = 7;
/// Milliseconds.
const MOST: f64 = 100.0;

/// A table of the user's, whose chain stands in the way of what is forwarded.
const TABLE: &str = "
nft
    table inet blocking {
        chain forward { type filter hook forward priority filter - 1; policy accept; }
    }
flow dns udp4 lan -> wan
steady dns start
";
const BLOCK: &str = "add rule inet blocking forward udp dport 7001 drop";
const UNBLOCK: &str = "flush chain inet blocking forward";
/// Longer than any packet is on its way.
const SILENCE: Duration = Duration::from_millis(500);
const SILENT: &str = "expect steady dns .quiet_ms >= 450";

/// The figures of a blocking rule.
///
/// # Errors
/// Something cannot be measured.
pub fn measure() -> Result<Vec<Figure>> {
    let mut router = Router::new()?;
    router.perform(DAEMON)?;
    router.watch.forget();
    router.perform(TABLE)?;
    let handed_back = Told::Commit("flowtabled".into());
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        // Each round begins by a change that the daemon follows: the table, or that a rule goes.
        router.watch.wait(&handed_back)?;
        // In the pause that comes behind it flows would have to wait.
        thread::sleep(Cause::Firewall.pause());
        router.perform(OFFLOADED)?;
        run(Command::new("nft").args(BLOCK.split(' ')))?;
        let ended = clock();
        router.watch.wait(&handed_back)?;
        thread::sleep(SILENCE);
        router.perform(SILENT)?;
        let last = u128::from(router.steady("dns", "/last_at_us")?);
        let time = last.saturating_sub(ended.as_micros()) as f64 / 1000.0;
        Report::Phase(format!("leaked for {time} ms")).send();
        times.push(time);
        run(Command::new("nft").args(UNBLOCK.split(' ')))?;
    }
    let figure = |name: &str, value| {
        let name = format!("blocking rule to last leaked packet, {name}");
        Figure::new(name, value, "ms").bound(Bound::AtMost(MOST))
    };
    Ok(vec![figure("median", median(&times)), figure("worst", quantile(&times, 1.0))])
}
