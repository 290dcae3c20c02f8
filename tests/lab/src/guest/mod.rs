// SPDX-License-Identifier: GPL-2.0-or-later
//! What runs inside the virtual machine.
//!
//! `plan` runs the scenarios one after another, each in a process of its own inside a fresh
//! network namespace that plays the router, so that nothing of one scenario reaches the next.
//! That process is `driver`; it performs the steps with the help of `topology` (wires),
//! `service` (the daemon and the bus broker), `peer` (hosts that talk), `look` (values) and `probe`
//! (packets as `witness`es on the hosts see them). `mdio` reaches a simulated switch, `switch` looks at
//! what it would do with packets. `memory` measures the daemon's, `reactions` how soon it acts,
//! `forwarding` what a packet costs. `live` shows the router to people, `page` to a browser.
//! `peers` are hosts for a router in another machine.
//! `capture` and its siblings print what this kernel answers, for the tests of the codecs.

pub mod capture;
pub mod capture_route;
pub mod capture_xfrm;
pub mod churn;
pub mod driver;
pub mod engine;
mod evidence;
pub mod files;
pub mod flow;
pub mod forwarding;
pub mod generation;
pub mod live;
mod logd;
pub mod look;
pub mod mdio;
mod mdio_bus;
mod mdio_driver;
mod mdio_engine;
pub mod memory;
pub mod packet;
pub mod page;
pub mod peer;
pub mod peers;
pub mod plan;
pub mod probe;
mod procd;
pub mod reactions;
mod refusals;
pub mod service;
pub mod steady;
mod storm;
pub mod switch;
mod switch_ports;
pub mod topology;
pub mod witness;

/// Where scenarios and other files of the lab are in the guest.
pub const LAB_DIR: &str = "/lab";
/// Where a scenario may write; emptied before each.
pub const SCRATCH_DIR: &str = "/tmp/lab";
/// UCI files, as on a router.
pub const CONFIG_DIR: &str = "/etc/config";
/// Uncommitted UCI changes, as on a router.
pub const SAVE_DIR: &str = "/tmp/.uci";
/// The bus, as on a router.
pub const UBUS_SOCKET: &str = "/var/run/ubus/ubus.sock";
