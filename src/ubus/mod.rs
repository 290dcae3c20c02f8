// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes on the bus and back.
