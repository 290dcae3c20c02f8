// SPDX-License-Identifier: GPL-2.0-or-later
//! The event loop: waits, decodes, asks `core`, performs its effects.

pub mod answers;
pub mod check;
pub mod confinement;
pub mod effects;
mod event_loop;
pub mod flow_poll;
mod instance;
pub mod kernel;
pub mod knowledge;
pub mod lease_files;
pub mod logging;
pub mod options;
mod orders;
mod radios;
mod ready;
mod rerouting;
mod stations;
pub mod surroundings;
pub mod switches;
mod unread;
mod watches;

pub use event_loop::{Daemon, RunError};
