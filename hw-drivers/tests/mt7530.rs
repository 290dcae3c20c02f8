// SPDX-License-Identifier: GPL-2.0-or-later
//! The driver of the MT7530 on the simulated switch: judged by what becomes of frames.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "mt7530/faults.rs"]
mod faults;
#[path = "mt7530/model.rs"]
mod model;
#[path = "mt7530/readings.rs"]
mod readings;
#[path = "mt7530/rig.rs"]
mod rig;
#[path = "mt7530/rules.rs"]
mod rules;
#[path = "mt7530/set_up.rs"]
mod set_up;
#[path = "mt7530/vlan_race.rs"]
mod vlan_race;
