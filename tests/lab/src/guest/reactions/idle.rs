// SPDX-License-Identifier: GPL-2.0-or-later
//! How often the daemon is woken while nothing happens: hosts are there and connections are open, but
//! no packet moves and nobody asks. What the kernel has to say after the last packet is waited for.

use super::router::{Router, DAEMON};
use crate::bench::figure::{Bound, Figure};
use crate::command::run;
use crate::error::{Context, Result};
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Measured.
const SPAN: Duration = Duration::from_secs(60);
/// Figures are of so much.
const PART_S: f64 = 10.0;
/// After the last packet the kernel tells that neighbours are stale (within a minute), and that the
/// connections of datagrams end (two or three minutes after they have left the flowtable, after half a
/// minute). That somebody has asked, or anything was committed, has long no effect by then.
const CALM: Duration = Duration::from_secs(300);

const FLOWS: &str = r#"
use four-flows
eventually 20s path web == "offload"
eventually 20s path dns6 == "offload"
"#;
const OFF: &str = r#"
edit firewall "flow_offloading '1'" -> "flow_offloading '0'"
run ubus call flowtable reload
eventually 20s status .effective == "classic"
"#;

/// The figures of an idle router.
///
/// # Errors
/// Something cannot be measured.
pub fn measure() -> Result<Vec<Figure>> {
    let mut router = Router::new()?;
    router.perform(DAEMON)?;
    router.perform(FLOWS)?;
    let on = wakes()?;
    router.perform(OFF)?;
    let off = wakes()?;
    let figure = |name: &str, wakes, most| {
        let name = format!("wake-ups in 10 s, idle with offload {name}");
        let value = wakes as f64 * PART_S / SPAN.as_secs_f64();
        Figure::new(name, value, "").bound(Bound::AtMost(most))
    };
    Ok(vec![figure("on", on, 1.0), figure("off", off, 0.0)])
}

/// How often the daemon has gone to sleep within the span, which is how often it was woken.
fn wakes() -> Result<u64> {
    thread::sleep(CALM);
    let before = switches()?;
    thread::sleep(SPAN);
    Ok(switches()?.saturating_sub(before))
}

/// Voluntary context switches of the daemon, which has one thread.
fn switches() -> Result<u64> {
    let id = run(Command::new("pidof").arg("flowtabled"))?;
    let path = format!("/proc/{}/status", id.trim());
    let text = fs::read_to_string(&path).context(&path)?;
    count(&text).context(format!("{path} counts no switches"))
}

fn count(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_of_this_process() {
        let text = "Threads:\t1\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n";
        assert_eq!(count(text), Some(150));
        assert_eq!(count("nonvoluntary_ctxt_switches:\t545\n"), None);
        assert!(count(&fs::read_to_string("/proc/self/status").unwrap()).is_some());
    }
}
