// SPDX-License-Identifier: GPL-2.0-or-later
//! Options, open the world, run.

fn main() {}
