// SPDX-License-Identifier: GPL-2.0-or-later
//! Frames: made, taken apart, and checked.
