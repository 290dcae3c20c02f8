// SPDX-License-Identifier: GPL-2.0-or-later
//! Switch flow tables reached over MDIO.
//!
//! The way to the registers is the [`bus`], whose unit is a transaction; a chip is a driver that
//! fulfils the contract of [`table`] for connections as [`flow`] describes them. Drivers get a bus given to them; they never open a device, sleep or log.
#![deny(unsafe_code)]

pub mod bus;
pub mod flow;
pub mod mt7530;
pub mod mt7621_ppe;
pub mod qca8337;
pub mod qca8k_page;
#[allow(unsafe_code)]
mod sys;
pub mod table;
