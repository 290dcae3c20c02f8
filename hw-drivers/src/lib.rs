// SPDX-License-Identifier: GPL-2.0-or-later
//! Switch flow tables reached over MDIO.
//!
//! So far the crate holds the way to the registers: the [`bus`] whose unit is a transaction, one
//! backend for real devices ([`bus::mii`]), and the paged 32-bit access of the QCA8337 family
//! ([`qca8k_page`]). Drivers get a bus given to them; they never open a device, sleep or log.
#![deny(unsafe_code)]

pub mod bus;
pub mod qca8k_page;
#[allow(unsafe_code)]
mod sys;
