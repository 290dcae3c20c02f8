// SPDX-License-Identifier: GPL-2.0-or-later
//! What can be chosen about the chip: its model, what the kernel has set up, and everything that
//! no public source confirms. The defaults are what the vendor's SDK and daemon seem to rely on.

use std::time::Duration;

/// Ports of the switch, 0 to 6; 0 is the one towards the processor.
pub const PORTS: usize = 7;

/// Which chip. They have the same engine and command register; entries look different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// QCA8337: entries of seven words, private addresses whole.
    Qca8337,
    /// AR8327N: entries of four words, 12 bits of a private address.
    Ar8327,
}

/// How long the bus lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// For a whole transaction: who else wants the bus gets it afterwards.
    Transaction,
    /// For one transfer: anybody can get in between, as with the MII ioctls.
    Transfer,
}

/// The driver in the kernel that shares the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelDriver {
    /// Linux' qca8k: remembers the page and does not write it when it seems right.
    Qca8k,
    /// OpenWrt's ar8216: writes the page for each access.
    Ar8216,
}

/// What the high half of a write is joined with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latch {
    /// The low half written last, to whichever register that was.
    Plain,
    /// The low half written last if it was for the same register, else what the register holds.
    OfRegister,
}

/// What NEXT does when no entry with a greater index is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It reports that there is none; only after the last index does it begin at 0.
    EndsAtLast,
    /// It goes on at 0, so that it finds an entry as long as there is one.
    Wraps,
}

/// What ADD does when the key is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicate {
    /// The entry is replaced and keeps its index.
    Replaced,
    /// The command fails.
    Refused,
    /// There are two entries then, if there is room.
    Second,
}

/// What SEARCH and DEL compare in the NAPT table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NaptKey {
    /// Remote and private address and port, protocol.
    FiveTuple,
    /// Also the public address's index and the translated port.
    WithTranslation,
}

/// What ADD makes of a NAPT entry with an age of 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroAge {
    /// An invalid entry, that is none, though the command succeeds.
    Invalid,
    /// A fresh one.
    Fresh,
}

/// What an operation of the host table suffers while the chip may learn hosts from ARP
/// (ROUTER_PTCTRL2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learning {
    /// Nothing.
    Harmless,
    /// At random, a read of the status says that it failed, though it has not.
    DisturbsStatus,
    /// At random, the command fails.
    DisturbsCommand,
}

/// What becomes of a NAPT entry without traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgedOut {
    /// Its age stops at 1.
    Stays,
    /// Its age goes on to 0: it is gone.
    Vanishes,
}

/// Whether the member bitmap of a frame's ingress port (PORT_LOOKUP_CTL) also holds for routed
/// frames. What it keeps back is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberFilter {
    /// It does not.
    Bridged,
    /// It does.
    Routed,
    /// It does unless VLAN_TRANS.EG_FLTR_BYPASS_EN is set.
    RoutedUnlessBypassed,
}

/// The memory that NAPT and host counters lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterMemory {
    /// One: NAPT counter n is also host counters 2n and 2n + 1.
    Shared,
    /// Two, of which the registers show that of the NAPT counters.
    Apart,
}

/// Which direction a NAPT counter's first half ("ingress") counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingress {
    /// Frames to the private side.
    ToPrivate,
    /// Frames from the private side.
    FromPrivate,
}

/// Which routed packets the processor gets although there is an entry for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bypass {
    /// Fragments.
    pub fragments: bool,
    /// Packets with IP options.
    pub options: bool,
    /// Packets that would not outlive the hop.
    pub ttl: bool,
    /// TCP segments with SYN, FIN or RST.
    pub tcp_flags: bool,
}

/// What the driver in the kernel sets up whenever the chip was reset, so that frames get to the
/// processor: the default VLAN and the member bitmap of each port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer2 {
    /// VLAN of untagged frames (PORT_VLAN0), for each port.
    pub pvid: [u16; PORTS],
    /// The ports that frames may leave by (PORT_LOOKUP_CTL), for each port that they came by.
    pub members: [u8; PORTS],
}

impl Default for Layer2 {
    /// Ports 1 to 4 in VLAN 1, port 5 in VLAN 2; each sees the processor only.
    fn default() -> Layer2 {
        let user = 0x01;
        Layer2 { pvid: [1, 1, 1, 1, 1, 2, 1], members: [0x7e, user, user, user, user, user, 0] }
    }
}

/// The choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Layouts and places.
    pub model: Model,
    /// MASK_CTL bits 15:8.
    pub device: u8,
    /// MASK_CTL bits 7:0.
    pub revision: u8,
    /// The chip has the engine; the plain AR8327 has not, and its commands never succeed.
    pub engine: bool,
    /// What the kernel sets up after a reset.
    pub layer2: Layer2,

    /// How long the bus lock is held.
    pub lock: Lock,
    /// Who else is on the bus.
    pub kernel: KernelDriver,
    /// The page register can be read; else reads give 0xffff.
    pub page_readable: bool,
    /// Transfers that have to pass between the writing of a page and the first one that finds
    /// it in force.
    pub page_settles: u8,
    /// What the high half of a write is joined with.
    pub latch: Latch,

    /// Reads of its high half for which a command register stays busy. Time passing ends it as
    /// well, except at `u32::MAX`, which stands for a stuck engine.
    pub busy_reads: u32,
    /// The first read of a command's status after it has ended gives that of the command before.
    pub status_needs_second_read: bool,
    /// For how long after FLUSH of the NAPT table commands are ignored.
    pub flush_time: Duration,
    /// What NEXT does at the end.
    pub next: Next,
    /// Places in the NAPT table that a key may go to; a divisor of 1024.
    pub napt_ways: usize,
    /// ADD of a NAPT key in the table, NAT_CTRL.NAPT_OVERRIDE being off.
    pub napt_duplicate: Duplicate,
    /// The same, NAT_CTRL.NAPT_OVERRIDE being on.
    pub napt_duplicate_override: Duplicate,
    /// With NAT_CTRL.NAPT_OVERRIDE on, ADD also takes the place of an aged-out entry.
    pub override_takes_aged: bool,
    /// What SEARCH and DEL compare.
    pub napt_key: NaptKey,
    /// ADD with an age of 0.
    pub zero_age: ZeroAge,
    /// Places in the host table that an address may go to; a divisor of 128.
    pub host_ways: usize,
    /// ADD of a host in the table.
    pub host_duplicate: Duplicate,
    /// SEARCH finds a deleted host, with age 0, until its place is taken.
    pub deleted_hosts_found: bool,
    /// What learning does to operations of the host table.
    pub learning: Learning,
    /// For what happens at random.
    pub seed: u32,

    /// Time between two steps of NAPT ages.
    pub napt_age_period: Duration,
    /// By how much an age falls with each.
    pub napt_age_step: u8,
    /// How that ends.
    pub aged_out: AgedOut,
    /// Frames are still forwarded by an aged-out NAPT entry.
    pub aged_forwards: bool,

    /// Counters are 0 after they were read.
    pub counters_clear_on_read: bool,
    /// Where they lie.
    pub counter_memory: CounterMemory,
    /// Which direction comes first.
    pub ingress: Ingress,
    /// Bytes added to a frame's length when it is counted: 4 for its checksum (FCS), or none.
    pub counted_overhead: u8,

    /// What goes to the processor in spite of an entry.
    pub bypass: Bypass,
    /// A routed packet without next hop goes to the processor; else it is lost.
    pub lost_hosts_to_cpu: bool,
    /// Whether routed frames are filtered.
    pub member_filter: MemberFilter,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            model: Model::Qca8337,
            device: 0x13,
            revision: 2,
            engine: true,
            layer2: Layer2::default(),
            lock: Lock::Transaction,
            kernel: KernelDriver::Qca8k,
            page_readable: true,
            page_settles: 0,
            latch: Latch::Plain,
            busy_reads: 2,
            status_needs_second_read: true,
            flush_time: Duration::from_millis(10),
            next: Next::EndsAtLast,
            napt_ways: 4,
            napt_duplicate: Duplicate::Refused,
            napt_duplicate_override: Duplicate::Replaced,
            override_takes_aged: false,
            napt_key: NaptKey::FiveTuple,
            zero_age: ZeroAge::Invalid,
            host_ways: 128,
            host_duplicate: Duplicate::Replaced,
            deleted_hosts_found: true,
            learning: Learning::DisturbsStatus,
            seed: 1,
            napt_age_period: Duration::from_secs(28),
            napt_age_step: 4,
            aged_out: AgedOut::Stays,
            aged_forwards: true,
            counters_clear_on_read: true,
            counter_memory: CounterMemory::Shared,
            ingress: Ingress::ToPrivate,
            counted_overhead: 4,
            bypass: Bypass { fragments: true, options: true, ttl: true, tcp_flags: false },
            lost_hosts_to_cpu: true,
            member_filter: MemberFilter::Bridged,
        }
    }
}

impl Options {
    /// The defaults for a model.
    pub fn of(model: Model) -> Options {
        match model {
            Model::Qca8337 => Options::default(),
            Model::Ar8327 => Options { model, device: 0x12, revision: 4, ..Options::default() },
        }
    }
}
