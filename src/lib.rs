// SPDX-License-Identifier: GPL-2.0-or-later
//! The flow-offload daemon for OpenWrt, as a library so that its parts can be tested one by one.
//!
//! Dependencies point one way: `sys` (the only unsafe code) → the codecs `netlink`, `ubus`, `uci`
//! and `leases` → `core` (decisions, no I/O) → `daemon` (the event loop). `cli` is the `flowtable`
//! command, a client of the bus.

pub mod cli;
pub mod core;
pub mod daemon;
pub mod leases;
pub mod netlink;
pub mod sys;
pub mod ubus;
pub mod uci;

/// The version that `--version`, `status` and the package show.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
