// SPDX-License-Identifier: GPL-2.0-or-later
//! The event loop: waits, decodes, asks `core`, performs its effects.
