// SPDX-License-Identifier: GPL-2.0-or-later
//! From a new port of the LAN's bridge that comes up to the kernel's flowtable having it. firewall4
//! does nothing when a port comes, so it is no peer.

use super::router::{Router, DAEMON};
use super::watch::Told;
use crate::bench::figure::{median, milliseconds, quantile, Figure};
use crate::command::run;
use crate::console::Report;
use crate::error::Result;
use flowtabled::core::control::DEBOUNCE;
use flowtabled::core::evict::Cause;
use std::process::Command;
use std::thread;

const ROUNDS: usize = 5;

const ADD: &str = "link add lan9 up master br-lan type veth peer name lan9c netns lan";
const REMOVE: &str = "link del lan9";
const COVERED: &str = r#"expect flowtable flowtabled .dev == ["lan1", "lan9", "wan0"]"#;
const GONE: &str = r#"eventually 20s flowtable flowtabled .dev == ["lan1", "wan0"]"#;

/// The figure of coverage.
///
/// # Errors
/// Something cannot be measured.
pub fn measure() -> Result<Vec<Figure>> {
    let mut router = Router::new()?;
    router.perform(DAEMON)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        router.perform(GONE)?;
        // Whatever follows from what was before is over.
        thread::sleep(Cause::Device.pause() + 2 * DEBOUNCE);
        router.watch.forget();
        run(Command::new("ip").args(ADD.split(' ')))?;
        let up = router.watch.wait(&Told::Port("lan9".into()))?;
        let committed = router.watch.wait(&Told::Commit("flowtabled".into()))?;
        router.perform(COVERED)?;
        let time = milliseconds(committed.duration_since(up));
        Report::Phase(format!("covered after {time} ms")).send();
        times.push(time);
        run(Command::new("ip").args(REMOVE.split(' ')))?;
    }
    let figure = Figure::new("bridge port up to covered", median(&times), "ms");
    Ok(vec![figure.peer("the longest", quantile(&times, 1.0))])
}
