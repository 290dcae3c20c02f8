// SPDX-License-Identifier: GPL-2.0-or-later
//! The decisions: what the settings, the devices and the kernel's abilities add up to.
//!
//! Nothing here opens a socket, reads a clock or touches a file. Events and the present instant
//! come in, effects go out, so that every behaviour can be replayed in a test without a kernel.

mod accounting;
pub mod answers;
pub mod control;
pub mod device_names;
pub mod devices;
pub mod diff;
pub mod evict;
mod evidence;
pub mod explain;
mod fault;
pub mod flow_reason;
pub mod flows;
pub mod glob;
pub mod hardware;
mod interfaces;
mod leaks;
pub mod links;
mod marks;

pub mod notices;
pub mod orders;
pub mod plan;
pub mod policy;
pub mod reason;
pub mod report;
mod rulings;
pub mod settings;
pub mod shaper;
pub mod status;
pub mod takeover;
pub mod topology;
