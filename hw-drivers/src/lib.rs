// SPDX-License-Identifier: GPL-2.0-or-later
//! Switch flow-table drivers reached over MDIO.
