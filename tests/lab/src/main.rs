// SPDX-License-Identifier: GPL-2.0-or-later
//! Commands for developers of flowtabled: demo, test, lab.

fn main() {}
