// SPDX-License-Identifier: GPL-2.0-or-later
//! A processor for which nobody has looked up the calls of its C library: there is no filter.

use super::program::Call;

/// The processor, as the kernel's audit calls it.
pub const ARCHITECTURE: Option<u32> = None;
/// What is allowed.
pub const CALLS: &[Call] = &[];
/// What is answered as by a kernel that does not know the call.
pub const ABSENT: &[u32] = &[];
