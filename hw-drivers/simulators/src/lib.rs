// SPDX-License-Identifier: GPL-2.0-or-later
//! Chips for tests: a transfer on the bus in, a word out; a frame on a port in, frames out.
//!
//! Each is written from what is known about the chip, never from its driver, and has the chip's
//! limits, its busy times, its hash and its ageing. So a driver is judged by where frames come out
//! and what they look like, not by which registers it has written. What no public source confirms
//! is an option of the simulator, and a driver has to work under each.
#![deny(unsafe_code)]

pub mod frame;
pub mod mt7530;
pub mod mt7621_ppe;
pub mod qca8337;
pub mod shared;

pub use shared::Shared;
use std::time::Duration;

/// A frame that has come out of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    /// The port that it left by.
    pub port: u8,
    /// From the destination's MAC address to the end of the payload, without the checksum (FCS).
    pub bytes: Vec<u8>,
}

/// A chip as frames and the clock see it. Its registers are behind the bus that it is.
pub trait Chip {
    /// The port towards the router's processor: what the chip does not forward itself leaves by it,
    /// as it came in.
    fn cpu_port(&self) -> u8;

    /// A frame comes in by a port.
    fn receive(&mut self, port: u8, frame: &[u8]) -> Vec<Out>;

    /// Time passes.
    fn pass(&mut self, time: Duration);

    /// The reset line: all registers and tables are as after power-on.
    fn reset(&mut self);
}
