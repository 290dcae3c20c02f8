// SPDX-License-Identifier: GPL-2.0-or-later
//! Packets of a new TCP connection that take the classic path before the fast one has it, the
//! handshake's among them: the daemon's rule, a hand-written one in its place, and firewall4's own.

use super::minimal;
use super::router::{Router, DAEMON};
use crate::bench::figure::{median, quantile, Figure};
use crate::command::run;
use crate::error::{Context, Result};
use crate::guest::flow::{self, Flow, FIRST_PORT};
use crate::scenario::FlowKind;
use std::process::Command;

const ROUNDS: u16 = 3;
/// Of each connection; two packets each, and as many acknowledgements at most.
const ROUND_TRIPS: u32 = 50;
const KIND: FlowKind = FlowKind { tcp: true, v6: false };

/// Only the daemon's own table offloads.
const OURS: &str = "run /lab/openwrt/fw4 reload";
/// firewall4's own rule does, and nothing else.
const FIREWALL4: &str = "daemon stop\nrun /lab/openwrt/fw4 reload";
/// firewall4 without a rule of its own, as the switch has it when it is off.
const OFF: &str = r#"
edit firewall "flow_offloading '1'" -> "flow_offloading '0'"
run /lab/openwrt/fw4 reload
"#;
const ON: &str = r#"edit firewall "flow_offloading '0'" -> "flow_offloading '1'""#;

/// The figure of first packets.
///
/// # Errors
/// Something cannot be measured.
pub fn measure() -> Result<Vec<Figure>> {
    let mut router = Router::new()?;
    minimal::write()?;
    let (mut ours, mut firewall4, mut by_hand) = (Vec::new(), Vec::new(), Vec::new());
    let mut ports = FIRST_PORT..;
    for _ in 0..ROUNDS {
        router.perform(OURS)?;
        router.perform(DAEMON)?;
        ours.push(classic(ports.next())?);
        router.perform(FIREWALL4)?;
        firewall4.push(classic(ports.next())?);
        router.perform(OFF)?;
        run(Command::new("nft").args(["-f", minimal::FILE]))?;
        by_hand.push(classic(ports.next())?);
        minimal::delete()?;
        router.perform(ON)?;
    }
    let figure = Figure::new("packets before the first offloaded one, TCP", median(&ours), "");
    let figure = figure.peer("the most", quantile(&ours, 1.0));
    let figure = figure.peer("only a flowtable by nft", median(&by_hand));
    Ok(vec![figure.peer("firewall4's own rule", median(&firewall4))])
}

/// Packets of a connection to this port that the firewall sees, all told.
fn classic(port: Option<u16>) -> Result<f64> {
    let port = port.context("no port is left")?;
    let before = flow::counted(KIND)?;
    let mut flow = Flow::open(KIND, ("lan", "wan"), port, ("203.0.113.2", port))?;
    flow.exchange(ROUND_TRIPS)?;
    Ok(flow::counted(KIND)?.saturating_sub(before) as f64)
}
