// SPDX-License-Identifier: GPL-2.0-or-later
//! Benchmark `days`: days of routers that are not here, replayed through the daemon's decisions
//! without a kernel.
//!
//! `clients` draws the connections (`kinds`, `random`), `traffic` is what one carries over time, and
//! `connections` what conntrack would hold of all. `replay` makes lists of them and has a switch (`chip`) filled by
//! whoever decides (`contestant`); `shares` compares these, `cost` measures the daemon's tables, and `report` tells
//! and draws both.

pub mod chip;
pub mod clients;
pub mod connections;
pub mod contestant;
pub mod cost;
pub mod kinds;
pub mod random;
pub mod replay;
pub mod report;
pub mod shares;
pub mod traffic;
