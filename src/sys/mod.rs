// SPDX-License-Identifier: GPL-2.0-or-later
//! What neither the standard library nor a crate offers, and the only unsafe code of the daemon.

pub mod capabilities;
pub mod clock;
pub mod landlock;
pub mod plain_file;
pub mod poll;
pub mod seccomp;
pub mod signal;
pub mod sockopt;
pub mod terminal;
