// SPDX-License-Identifier: GPL-2.0-or-later
//! Switch flow tables reached over MDIO: so far, the [`bus`] whose unit is a transaction.
#![deny(unsafe_code)]

pub mod bus;
#[allow(unsafe_code)]
mod sys;
