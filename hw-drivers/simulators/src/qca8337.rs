// SPDX-License-Identifier: GPL-2.0-or-later
//! The QCA8337 and AR8327 switches.
