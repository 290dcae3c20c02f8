// SPDX-License-Identifier: GPL-2.0-or-later
//! Measurements, in a network namespace of their own and in a program built as the daemon is.
//!
//! A figure is compared with its peers of the same run, taken in turns, so that what the machine
//! does beside concerns all of them alike.

pub mod accountant;
pub mod agreement;
pub mod churn;
pub mod comparison;
pub mod daemon;
pub mod days;
pub mod drops;
pub mod entries;
pub mod events;
pub mod figure;
pub mod flows;
pub mod forwarding;
pub mod listing;
pub mod mdio;
pub mod memory;
pub mod networks;
pub mod pictures;
pub mod plot;
mod programming;
pub mod talkers;
