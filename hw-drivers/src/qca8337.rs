// SPDX-License-Identifier: GPL-2.0-or-later
//! The NAPT engine of QCA8337 and AR8327.
