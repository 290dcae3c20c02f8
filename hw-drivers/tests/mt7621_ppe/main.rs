// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7621's driver against its simulator: by where frames come out and what they look like.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod counting;
mod forwarding;
mod kernel;
mod listing;
mod misread;
mod model;
mod races;
mod rig;
mod table;
