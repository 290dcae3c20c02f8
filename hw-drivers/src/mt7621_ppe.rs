// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7621's packet engine (PPE).
//!
//! Linux drives it itself, through flowtables with the hardware flag. So the first use of this
//! module is to read what the kernel has put there ([`listing`]); [`direct`] programs the table
//! without the kernel and is for those who debug it.

pub mod direct;
pub mod entry;
pub mod hash;
pub mod listing;
pub mod memory;
pub mod registers;
pub mod translate;
