// SPDX-License-Identifier: GPL-2.0-or-later
//! The daemon's object on the bus: bytes from ubusd to typed requests, plain values to replies.
//!
//! `connection` owns the socket to the broker and its life: handshake, registration, loss,
//! reconnection. `methods` lists what can be called, `policy` checks what callers pass; each method has
//! its own file that turns a value of `core` into a reply. Message layouts come from the crate
//! `ubus`; the behaviour follows libubus unless a comment says otherwise.

pub mod carried;
pub mod connection;
pub mod devices;
pub mod evict;
pub mod explain;
pub mod flow_filter;
pub mod flows;
pub mod flush;
pub mod hardware;
pub mod history;
pub mod hosts;
pub mod inbox;
pub mod json;
pub mod methods;
pub mod notice;
pub mod outbox;
pub mod policy;
pub mod release;
pub mod reload;
pub mod reply;
pub mod request;
pub mod status;
pub mod status_code;

pub use connection::{Bus, BusError};
pub use policy::Method;
pub use request::{Call, ReplyTo, Request};
pub use status_code::StatusCode;

/// Name of our object.
pub const OBJECT: &str = "flowtable";

/// Where the broker listens, in the order to try: OpenWrt since 21.02, then before it.
pub const SOCKETS: [&str; 2] = ["/var/run/ubus/ubus.sock", "/var/run/ubus.sock"];
