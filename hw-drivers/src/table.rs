// SPDX-License-Identifier: GPL-2.0-or-later
//! What every chip with a table of flows can be asked: the contract between drivers and whoever
//! decides which flows are worth an entry.
//!
//! No call sleeps, and none takes the bus for longer than one table operation (some
//! milliseconds): what takes longer is asked for again and again until it says that it is done.
//! A flow that a chip cannot express is refused before a register is touched. After any error
//! packets are forwarded as before, by the entry if it is in the table or by the router's
//! processor, never by half an entry.

use crate::bus;
use crate::flow::{Flow, Protocol, Translation};
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

/// An entry, by a number that stays the same for as long as it is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry(pub u32);

/// What a table can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Name of the chip, for people.
    pub chip: &'static str,
    /// Flows it can hold at best; 0 for a chip that only classifies.
    pub entries: u32,
    /// Translations of IPv4 that it makes.
    pub v4: &'static [Translation],
    /// Translations of IPv6 that it makes.
    pub v6: &'static [Translation],
    /// Protocols.
    pub protocols: &'static [Protocol],
    /// Frames can go into a PPPoE session.
    pub pppoe: bool,
    /// Flows whose packets and bytes it can count at once; the others only show that they were
    /// hit.
    pub counted: u32,
}

/// The networks around the chip: what it has to know before the first flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The LAN's addresses that are translated: network and prefix length.
    pub private: (Ipv4Addr, u8),
    /// The router's public IPv4 addresses.
    pub public: Vec<Ipv4Addr>,
}

/// How far something that takes several calls has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is done.
    Done,
    /// It is to be called again.
    More,
    /// It is to be called again, not before this time has passed.
    Wait(Duration),
}

/// Packets and bytes of a direction since the entry was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Packets.
    pub packets: u64,
    /// Bytes, as the chip counts them.
    pub bytes: u64,
}

/// What a sweep has seen of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// The entry.
    pub entry: Entry,
    /// Packets have met it since the sweep before.
    pub hit: bool,
    /// What both directions have carried, original first; `None` where the chip does not count.
    pub counted: Option<[Counted; 2]>,
}

/// A part of a flow that a chip cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// IPv6, or IPv4 and IPv6 mixed.
    Family,
    /// The protocol.
    Protocol,
    /// What translation does.
    Translation(Translation),
    /// An address outside of the range that the chip can hold.
    Address(Ipv4Addr),
    /// A public address that the chip was not told of.
    PublicAddress(Ipv4Addr),
    /// A port that the chip does not have.
    Port(u8),
    /// A VLAN, or one VLAN on both sides.
    Vlan(u16),
    /// A PPPoE session.
    Pppoe,
    /// The longest packet of a side.
    Mtu(u16),
    /// A MAC address that no frame may carry: multicast or zero.
    Neighbour,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Family => write!(f, "the address family"),
            Part::Protocol => write!(f, "the protocol"),
            Part::Translation(Translation::None) => write!(f, "a flow without translation"),
            Part::Translation(Translation::Source) => write!(f, "translation of the source"),
            Part::Translation(Translation::Destination) => {
                write!(f, "translation of the destination")
            }
            Part::Translation(Translation::Both) => {
                write!(f, "translation of source and destination")
            }
            Part::Address(address) => write!(f, "address {address}"),
            Part::PublicAddress(address) => write!(f, "public address {address}"),
            Part::Port(port) => write!(f, "port {port}"),
            Part::Vlan(vlan) => write!(f, "VLAN {vlan}"),
            Part::Pppoe => write!(f, "the PPPoE session"),
            Part::Mtu(mtu) => write!(f, "an MTU of {mtu} bytes"),
            Part::Neighbour => write!(f, "a neighbour's MAC address"),
        }
    }
}

/// Which of a chip's tables an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Flows.
    Flows,
    /// Neighbours (hosts).
    Hosts,
    /// The router's own MAC addresses with their VLANs.
    Interfaces,
    /// Public addresses.
    PublicAddresses,
    /// PPPoE sessions.
    Sessions,
    /// Rules of the packet classifier.
    Rules,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Resource::Flows => "flows",
            Resource::Hosts => "hosts",
            Resource::Interfaces => "interfaces",
            Resource::PublicAddresses => "public addresses",
            Resource::Sessions => "PPPoE sessions",
            Resource::Rules => "rules",
        };
        f.write_str(name)
    }
}

/// Why a table did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The chip cannot express this part of the flow; no register was touched.
    NotExpressible(Part),
    /// The table is full.
    Full(Resource),
    /// The table has room, but not where the chip's hash puts this flow.
    Collision,
    /// The chip begins an entry itself at a flow's first packet, and has not seen one in each
    /// direction lately: to be tried again while packets flow.
    Unseen,
    /// The flow is in the table already.
    Exists(Entry),
    /// There is no such entry.
    NoEntry(Entry),
    /// The chip is not the one that was expected: what its identification register holds.
    WrongChip(u32),
    /// The chip is not set up, or has been reset since.
    NotReady,
    /// The chip did not finish an operation in time.
    Stuck(bus::Error),
    /// A transfer failed.
    Bus(bus::Error),
    /// The chip does not hold what was written: register, what was written, what was read.
    Mismatch {
        /// Byte address of the register or the number of the word in the entry.
        at: u32,
        /// What was written.
        wanted: u32,
        /// What was read.
        found: u32,
    },
    /// A driver asked for what the bus does not offer; a fault of the driver.
    Driver(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotExpressible(part) => write!(f, "the chip cannot express {part}"),
            Error::Full(resource) => write!(f, "the chip's table of {resource} is full"),
            Error::Collision => write!(f, "the chip has no room where it would look for the flow"),
            Error::Unseen => {
                write!(f, "the chip has not seen packets of the flow in both directions")
            }
            Error::Exists(Entry(number)) => write!(f, "the flow is entry {number} already"),
            Error::NoEntry(Entry(number)) => write!(f, "there is no entry {number}"),
            Error::WrongChip(found) => write!(f, "not the chip expected: it says {found:#010x}"),
            Error::NotReady => write!(f, "the chip is not set up"),
            Error::Stuck(error) => write!(f, "the chip does not finish: {error}"),
            Error::Bus(error) => write!(f, "the bus: {error}"),
            Error::Mismatch { at, wanted, found } => {
                write!(f, "at {at:#x} the chip holds {found:#010x} in place of {wanted:#010x}")
            }
            Error::Driver(what) => write!(f, "driver: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<bus::Error> for Error {
    fn from(error: bus::Error) -> Error {
        match error {
            bus::Error::Failed(bus::Failure { fault: bus::Fault::Exhausted { .. }, .. }) => {
                Error::Stuck(error)
            }
            error => Error::Bus(error),
        }
    }
}

/// A chip with a table of flows.
pub trait FlowTable {
    /// What the chip can do.
    fn capabilities(&self) -> Capabilities;

    /// Identifies the chip and sets its engine up for `network`, with empty tables; a piece with
    /// each call. While it is not done packets take the way through the router's processor. To be
    /// begun anew after an error, and when `network` has changed.
    ///
    /// # Errors
    /// [`Error::WrongChip`], or what kept it from going on; the engine is off then.
    fn set_up(&mut self, network: &Network) -> Result<Progress, Error>;

    /// Whether the chip could take the flow. No register is touched.
    ///
    /// # Errors
    /// [`Error::NotExpressible`] with the part that it cannot.
    fn check(&self, flow: &Flow) -> Result<(), Error>;

    /// Puts a flow, both of its directions, into the table. When this returns an entry, packets
    /// may be forwarded by it at once. That the chip holds what was written may be left to
    /// [`FlowTable::verify`], which is to follow soon.
    ///
    /// # Errors
    /// As [`FlowTable::check`]; [`Error::Full`], [`Error::Collision`], [`Error::Unseen`],
    /// [`Error::Exists`] and [`Error::NotReady`]; or the bus failed. After any of them no entry of this flow is in the
    /// table, or, when even that could not be made sure, the driver is no longer ready and
    /// [`FlowTable::disable`] or [`FlowTable::set_up`] is called for.
    fn insert(&mut self, flow: &Flow) -> Result<Entry, Error>;

    /// Takes an entry out; when this returns no packet is forwarded by it any more.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::NotReady`]; or the bus failed, and the entry may still be in
    /// the table, so that it is to be tried again.
    fn remove(&mut self, entry: Entry) -> Result<(), Error>;

    /// Looks which entries packets have met, a piece of the table with each call; `seen` is told
    /// of each entry once in a whole sweep, which begins anew after [`Progress::Done`].
    ///
    /// # Errors
    /// [`Error::NotReady`]; or the bus failed, and the sweep goes on where it was.
    fn sweep(&mut self, seen: &mut dyn FnMut(Sight)) -> Result<Progress, Error>;

    /// Reads an entry back and compares it with what was written, and so with anything that it
    /// shares with others and that was not read back since it was written.
    ///
    /// # Errors
    /// [`Error::NoEntry`], also when the chip has lost it; [`Error::Mismatch`]; the bus.
    fn verify(&mut self, entry: Entry) -> Result<(), Error>;

    /// Looks whether the chip is as it was set up: a reset, or a driver of the kernel that was
    /// bound again, loses everything. A driver may look at a piece of what flows share with each call.
    ///
    /// # Errors
    /// [`Error::NotReady`] when it is not; the bus.
    fn alive(&mut self) -> Result<(), Error>;

    /// Switches the engine off, then empties its tables, a piece with each call; what the kernel
    /// set up stays. After the first call that succeeds nothing is forwarded by an entry.
    ///
    /// # Errors
    /// The bus failed; to be tried again.
    fn disable(&mut self) -> Result<Progress, Error>;

    /// Flows in the table.
    fn used(&self) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Address, Failure, Fault, Step};

    #[test]
    fn a_poll_without_end_is_the_chips_fault() {
        let failure = |fault| {
            let (step, address) = (Step::Operation(0), Address::truncated(0, 0));
            bus::Error::Failed(Failure { step, address, fault, unrestored: None })
        };
        let stuck = failure(Fault::Exhausted { tries: 1, last: 0 });
        assert_eq!(Error::from(stuck), Error::Stuck(stuck));
        let bus = failure(Fault::TimedOut);
        assert_eq!(Error::from(bus), Error::Bus(bus));
    }

    #[test]
    fn errors_name_what_they_are_about() {
        let told = |error: Error| error.to_string();
        let part = Part::Translation(Translation::Both);
        assert_eq!(
            told(Error::NotExpressible(part)),
            "the chip cannot express translation of source and destination"
        );
        assert_eq!(told(Error::Full(Resource::Hosts)), "the chip's table of hosts is full");
        assert_eq!(
            told(Error::Mismatch { at: 0x30, wanted: 6, found: 2 }),
            "at 0x30 the chip holds 0x00000002 in place of 0x00000006"
        );
    }
}
