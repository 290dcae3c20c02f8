// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7621's packet engine (PPE).
pub mod memory;
