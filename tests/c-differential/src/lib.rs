// SPDX-License-Identifier: GPL-2.0-or-later
//! Holds the daemon's readers to OpenWrt's libraries in C, which the crate `libuci-sys` brings as
//! source: UCI files to libuci, and the arguments of calls on the bus to libubox's blobmsg.

pub mod blobmsg;
pub mod uci;
