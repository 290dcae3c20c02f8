// SPDX-License-Identifier: GPL-2.0-or-later
//! What the control loop is told, and what it wants done.

use log::Level;

use crate::core::answers::Answer;
use crate::core::evict::Tables;
use crate::core::flows::pairs::Pair;
use crate::core::orders::{Done, Order, OrderError};
use crate::core::settings::Settings;
use crate::core::shaper::Queues;
use crate::core::status::KernelAbilities;
use crate::core::topology::moves::Moves;
use crate::netlink::nftables::event::NftEvent;
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::Command;
use crate::netlink::route::{Link, LinkEvent, QueueEvent};
use crate::netlink::Error;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The daemon starts.
    Started,
    /// The configuration was read, or why it could not be.
    Settings(Result<(Settings, Vec<String>), String>),
    /// The list of all devices.
    Links(Result<Vec<Link>, Error>),
    /// One device changed.
    Link(LinkEvent),
    /// How packets wait at devices.
    Queues(Result<Queues, Error>),
    /// That has changed at one device.
    Queue(QueueEvent),
    /// Somebody else changed nf_tables.
    Nftables(NftEvent),
    /// Events were lost; everything must be read again.
    EventsLost,
    /// What the kernel can do.
    Kernel(KernelAbilities),
    /// Answer to [`Effect::Survey`].
    Surveyed(Result<Snapshot, Error>),
    /// A reading for an answer to somebody; it only leads to a survey when something is wrong.
    Refreshed(Result<Snapshot, Error>),
    /// Clients or neighbours are elsewhere than before.
    Moved(Moves),
    /// Routes have changed, and these tables have flows that they are about.
    Rerouted(Tables),
    /// The flows with these ids are offloaded, but conntrack shows them on the classic path.
    Unshown(Vec<u32>),
    /// Callers want something done to flows; each number comes back with [`Effect::Done`].
    Orders(Vec<(u32, Order)>),
    /// A list of all flows: the packets that they have carried in all, in software and in hardware.
    Carried([u64; 2]),
    /// The same list: its offloaded flows by the devices that they are between.
    Offloaded(Vec<Pair>),
    /// Answer to [`Effect::ProbeHardware`], for each device.
    HardwareProbed(Vec<(String, Answer)>),
    /// Answer to [`Effect::ProbeDevices`], for each device.
    DevicesProbed(Vec<(String, Answer)>),
    /// Answer to [`Effect::Commit`].
    Committed(Result<(), Error>),
    /// Answer to [`Effect::SwitchAccounting`]: the fault in words.
    AccountingSwitched(Result<(), String>),
    /// The instant of [`Control::deadline`] has come.
    Timer,
}

/// What is to be done. Each is performed at once and in order; an answer comes as an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the kernel what it can do.
    ProbeKernel,
    /// List all devices.
    ListLinks,
    /// Read how packets wait at devices.
    ListQueues,
    /// Read nf_tables.
    Survey,
    /// Ask the kernel for each device, without changing anything, whether it offloads to hardware.
    ProbeHardware(Vec<String>),
    /// Likewise, whether a flowtable without hardware takes each device: a refusal does not always
    /// say which one it is about (on Linux 6.1 never).
    ProbeDevices(Vec<String>),
    /// These tables are about to be made anew: flows of theirs that are in a switch leave it.
    HandBack(Tables),
    /// Apply the commands as one transaction, provided the generation is still this.
    Commit(Vec<Command>, u32),
    /// Make conntrack count packets and bytes of connections that begin from now on.
    SwitchAccounting,
    /// The order of this number has been carried out, or will not be.
    Done(u32, Result<Done, OrderError>),
    /// Tell the log.
    Log(Level, String),
}
