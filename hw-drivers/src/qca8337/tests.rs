// SPDX-License-Identifier: GPL-2.0-or-later
//! The driver, transfer by transfer.
