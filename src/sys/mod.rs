// SPDX-License-Identifier: GPL-2.0-or-later
//! The only unsafe code of the daemon: what neither the standard library nor a crate offers.

pub mod capabilities;
pub mod clock;
pub mod landlock;
pub mod poll;
pub mod seccomp;
pub mod signal;
pub mod sockopt;
pub mod terminal;
