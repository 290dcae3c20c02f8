// SPDX-License-Identifier: GPL-2.0-or-later
//! QCA8337 and AR8327: switches that route IPv4 and translate addresses and ports by a table of
//! 1024 connections.
//!
//! Written from what is public about the chips (Qualcomm's switch SDK, Linux' qca8k); no silicon
//! has been met. What the sources leave open is in [`Options`]. A flow needs more than its entry: an
//! interface for each of its two VLANs, a host entry for each of its two neighbours, and a rule
//! that leads out of the LAN, as the chip knows no prefixes. So all flows share one gateway.

pub mod access;
mod bringup;
pub mod counters;
pub mod engine;
mod flow_table;
pub mod host;
pub mod napt;
pub mod nat;
mod neighbours;
pub mod network;
pub mod options;
pub mod private;
pub mod registers;
pub mod translate;

pub use options::{Options, Outward};

use crate::bus::Bus;
use crate::table::Network;
use access::Access;
use bringup::{Found, State};
use counters::Verdict;
use flow_table::Held;
use litemap::LiteMap;
use neighbours::Neighbours;
use translate::Surroundings;

/// An entry of any of the tables as the engine takes it. AR8327 has only the first four words.
pub type Words = [u32; 7];

/// Which chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// QCA8337.
    Qca8337,
    /// AR8327N; the one without N has no such engine and the same identification.
    Ar8327,
}

impl Model {
    /// What its identification register says.
    pub const fn device_id(self) -> u32 {
        match self {
            Model::Qca8337 => 0x13,
            Model::Ar8327 => 0x12,
        }
    }

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Model::Qca8337 => "QCA8337",
            Model::Ar8327 => "AR8327",
        }
    }
}

/// The driver. A clone of it is another who believes the same about the chip: for tests that go
/// back in time.
#[derive(Debug, Clone)]
pub struct Qca8337<B> {
    access: Access<B>,
    state: State,
    network: Option<Network>,
    around: Option<Surroundings>,
    found: Option<Found>,
    neighbours: Neighbours,
    /// Flows by the numbers of their entries.
    held: LiteMap<u32, Held>,
    /// A number that was not used for the longest time.
    next: u32,
    /// The number that the sweep goes on with.
    sweep_from: u32,
    counting: Verdict,
    /// A flush of the flows was begun, after which the chip needs time.
    flushing: bool,
}

impl<B: Bus> Qca8337<B> {
    /// A driver for the chip `model` behind `bus`; nothing is touched yet.
    pub fn new(bus: B, model: Model, options: Options) -> Qca8337<B> {
        Qca8337 {
            access: Access::new(bus, model, options),
            state: State::Idle,
            network: None,
            around: None,
            found: None,
            neighbours: Neighbours::default(),
            held: LiteMap::new(),
            next: 0,
            sweep_from: 0,
            counting: Verdict::default(),
            flushing: false,
        }
    }

    /// The bus.
    pub fn bus(&self) -> &B {
        self.access.bus()
    }

    /// The bus, for changes behind the driver's back.
    pub fn bus_mut(&mut self) -> &mut B {
        self.access.bus_mut()
    }

    /// The bus alone.
    pub fn into_bus(self) -> B {
        self.access.into_bus()
    }
}
