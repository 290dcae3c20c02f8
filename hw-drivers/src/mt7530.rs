// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7530 switch, which classifies and does not translate.
