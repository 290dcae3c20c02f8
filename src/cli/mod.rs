// SPDX-License-Identifier: GPL-2.0-or-later
//! The `flowtable` command, a client of the bus.
