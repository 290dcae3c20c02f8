// SPDX-License-Identifier: GPL-2.0-or-later
//! What the suite has to know about a chip and its driver to judge them.

use crate::line::{Line, Spot, Trouble};
use hw_drivers::flow::Flow;
use hw_drivers::table::{FlowTable, Network, Part};
use hw_simulators::Chip;
use std::fmt::Debug;
use std::time::Duration;

/// A chip with its driver. It is never made; its functions are what counts.
pub trait Rig {
    /// The simulator. A clone is a chip of its own in the same state.
    type Chip: Chip + Clone;
    /// The driver. A clone believes the same.
    type Table: FlowTable + Clone;
    /// What nobody knows about the chip, and how the driver is told to treat it.
    type Options: Clone + Debug;

    /// Time between two sweeps in which the chip forgets that it has seen a packet. No entry is
    /// given up for want of packets within four times as long.
    const SWEEP: Duration;

    /// Set-up and disable take so many transfers that trouble is made at every so many-th only of
    /// the places where it is otherwise, unless that is everywhere.
    const LONG_STRIDE: usize;

    /// What can go wrong on the way to the chip.
    const TROUBLES: &'static [Trouble];

    /// Whether the driver is told of what has gone wrong on the way.
    const TELLS: bool;

    /// The chip forwards a connection no more whose end it has seen.
    const ENDS_AT_FIN: bool;

    /// The chip routes what is sent to the router's MAC address, and nothing else.
    const LOOKS_FOR_ROUTER: bool;

    /// The usual options, then every single deviation from them.
    fn variants() -> Vec<Self::Options>;

    /// A chip after power-on.
    fn chip(options: &Self::Options) -> Self::Chip;

    /// What the kernel's driver sets up after power-on or a reset: ports and VLANs.
    fn prepare(chip: &mut Self::Chip);

    /// The driver.
    fn table(options: &Self::Options, line: Line<Self::Chip>) -> Self::Table;

    /// A network, 0 or 1. They share no public address.
    fn network(number: u32) -> Network;

    /// A flow that the chip can express in a network. Different numbers are different
    /// connections; among the first eight is every kind that the chip takes (protocols, tags,
    /// sessions, kinds of translation). Few neighbours serve many flows.
    fn flow(network: u32, number: u32) -> Flow;

    /// A flow in network 0 with a neighbour of its own, none of which is one of [`Rig::flow`]'s.
    fn lonely(number: u32) -> Flow;

    /// Flows that the chip cannot express, beside those that no chip can.
    fn refused() -> Vec<(Flow, Part)>;

    /// Whether numbers of [`Rig::flow`] beyond the chip's capacity are refused with `Full` alone.
    fn never_collides(options: &Self::Options) -> bool;

    /// Whether a variant is about room in tables: only these are filled to the last entry.
    fn about_room(options: &Self::Options) -> bool;

    /// Entries in the chip's own tables, as many as it takes to notice a leaked one: flows first.
    fn held(chip: &Self::Chip) -> Vec<u32>;

    /// Registers that are the same after a call as before it: the page, and what the kernel's
    /// driver keeps in registers that both use.
    fn footprint(chip: &Self::Chip) -> Vec<u32>;

    /// Whether trouble may come at an access there; all others are like one of these.
    fn counts(_: Spot) -> bool {
        true
    }

    /// Whether a trouble excuses that a call has not left those as they were: one with the page
    /// itself, and a bit misread in what is written back.
    fn excuses(spot: Spot, trouble: Trouble) -> bool;

    /// The kernel's driver at work: it moves the page and changes its part of shared registers.
    fn intrude(chip: &mut Self::Chip);

    /// The kernel's driver puts the original direction of [`Rig::rival`] into the table, over an
    /// entry of flow 2 if that is there.
    fn overrun(_: &mut Self::Chip) {}

    /// A flow that the kernel's driver may have in the same table; `None` where it uses none.
    fn rival() -> Option<Flow> {
        None
    }

    /// The kernel's driver takes that entry out again.
    fn retreat(_: &mut Self::Chip) {}

    /// The kernel's driver is bound again, as far as it undoes what the driver has set up.
    fn rebind(chip: &mut Self::Chip);

    /// Changes the part `part` of a flow's entry behind the driver's back; false if it has fewer
    /// parts.
    fn corrupt(chip: &mut Self::Chip, flow: &Flow, part: u32) -> bool;
}
