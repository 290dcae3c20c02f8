// SPDX-License-Identifier: GPL-2.0-or-later
//! What every chip has to pass, by subject. Each case takes the options of one variant.

pub mod capacity;
pub mod faults;
pub mod forwarding;
pub mod lifecycle;
pub mod random;
pub mod watching;
