// SPDX-License-Identifier: GPL-2.0-or-later
//! The only unsafe code: sockets, signals, clock.
