// SPDX-License-Identifier: GPL-2.0-or-later
//! The lab: a router in a virtual machine, with its LAN and WAN hosts beside it as network
//! namespaces, on which the daemon has to prove itself against real kernels.
//!
//! `host` runs on the developer's machine: it fetches kernels, packs the initramfs, boots QEMU
//! and reads the results. `guest` runs inside: it builds the topology, starts the daemon, makes
//! traffic and checks expectations. `scenario` is the text that both understand, `console` the
//! lines by which the guest answers, `web` what a browser talks to.
//!
//! The guest's driver is this same crate and no shell script: a fork costs 5 ms under emulation
//! and polling for conditions in shell would be most of the running time, and expectations about
//! JSON are better made by a program that can read it.

pub mod bench;
pub mod command;
pub mod console;
pub mod error;
pub mod guest;
pub mod host;
pub mod scenario;
pub mod web;
