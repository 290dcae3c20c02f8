// SPDX-License-Identifier: GPL-2.0-or-later
//! What the daemon tells about itself, as plain values: the answers of `status` and `devices`
//! before they become bytes on the bus.

use super::evict::Evicted;
use super::reason::Reason;
use super::settings::Mode;
use super::takeover;

/// The answer of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// What the configuration asks for.
    pub requested: Mode,
    /// What is in force.
    pub effective: Mode,
    /// Why they differ, or that they do not.
    pub reason: Option<Reason>,
    /// The object or the kernel's words that belong to the reason; may be empty.
    pub detail: String,
    /// Our nf_tables tables that exist.
    pub tables: Vec<TableStatus>,
    /// Flowtables that other programs made, as `family table name`.
    pub foreign_flowtables: Vec<String>,
    /// What has become of firewall4's own offloading; `None` before the first look.
    pub takeover: Option<TakeoverStatus>,
    /// Live flows by state; `None` while conntrack cannot be read.
    pub flows: Option<FlowCounts>,
    /// How many of them are being closed.
    pub closing: Option<u32>,
    /// What it costs to know the flows; `None` while conntrack cannot be read.
    pub polling: Option<Polling>,
    /// Packets of offloaded flows that still crossed the forward hook; `None` when unknown.
    pub leaked: Option<Leaked>,
    /// Connections that are kept on the classic path; `None` when unknown.
    pub bypassed: Option<usize>,
    /// Flows handed back because of a change.
    pub evicted: Evicted,
    /// What the kernel can do.
    pub kernel: KernelAbilities,
    /// The last error, until the condition behind it is gone.
    pub last_error: Option<String>,
    /// Warnings of the last configuration read, one line each.
    pub warnings: Vec<String>,
    /// How often the wanted state was committed since start.
    pub commits: u64,
    /// What found no room in a table.
    pub left_out: LeftOut,
}

/// What found no room in a table, whose lengths are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Network devices, which are not looked at.
    pub links: u64,
    /// Neighbours at the last reading; their MAC addresses are not known.
    pub neighbours: u64,
    /// Stations behind bridges at the last reading; their ports are not known.
    pub stations: u64,
    /// Flows since the daemon started that count for no client.
    pub hosts: u64,
    /// Times that a chain of devices was not kept, so that flows count for no device.
    pub chains: u64,
    /// Names of clients at the last reading.
    pub names: u64,
}

/// firewall4's own offloading beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakeoverStatus {
    /// What has become of it.
    pub state: takeover::State,
    /// How often it was taken out of the way since the daemon started.
    pub count: u64,
}

/// One of our tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableStatus {
    /// Name of the nf_tables table (family inet).
    pub name: String,
    /// Name of its flowtable.
    pub flowtable: String,
    /// It carries the hardware flag.
    pub hardware: bool,
    /// It counts packets and bytes.
    pub counter: bool,
    /// Priority of its ingress hook.
    pub priority: i32,
    /// Devices hooked, sorted.
    pub devices: Vec<String>,
    /// Of a partition: why its flows go to hardware or do not, and what belongs to that.
    pub reason: Option<(Reason, String)>,
}

/// Number of conntrack entries by the path that their packets take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowCounts {
    /// Entries that are not offloaded.
    pub classic: u32,
    /// Entries with `[OFFLOAD]` but not `[HW_OFFLOAD]`.
    pub software: u32,
    /// Entries with `[HW_OFFLOAD]`.
    pub hardware: u32,
}

/// How the flows are followed and what that costs; counts are since the daemon started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Polling {
    /// Seconds between two lists when this was asked; `None` when none was made.
    pub interval_s: Option<u32>,
    /// Complete lists.
    pub lists: u32,
    /// Lists that failed.
    pub failed: u32,
    /// The last complete list; `None` before the first.
    pub last: Option<ListCost>,
    /// Ends of connections that the kernel told.
    pub events: u64,
    /// How often some of those were lost, so that the next lists had to find out.
    pub overruns: u32,
    /// Flows not kept because the table was full.
    pub left_out: u64,
    /// Flows that ended without telling what they carried last.
    pub ended_unseen: u64,
}

/// What one list cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListCost {
    /// Milliseconds from the question to the end of the list.
    pub took_ms: u32,
    /// Milliseconds that the processor was busy with it, the kernel's part included.
    pub cpu_ms: u32,
    /// Entries listed.
    pub entries: u32,
}

/// What leaks to the classic path, by the path that the flows should take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leaked {
    /// Flows in software only.
    pub software: Leak,
    /// Flows in hardware.
    pub hardware: Leak,
}

/// What leaks of one kind of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leak {
    /// Packets since our rule was made, or this daemon's first look at it.
    pub packets: u64,
    /// Packets a second between the last looks; `None` before the second.
    pub rate_pps: Option<u64>,
}

impl Leaked {
    /// Packets of both kinds.
    pub fn packets(&self) -> u64 {
        self.software.packets.saturating_add(self.hardware.packets)
    }
}

/// What the running kernel can do; `None` where it could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelAbilities {
    /// `uname -r`.
    pub release: String,
    /// nf_tables flowtables of family inet exist.
    pub flowtable: Option<bool>,
    /// A flowtable may name a device that does not exist yet (Linux 6.16).
    pub named_hooks: Option<bool>,
    /// Conntrack entries can be listed.
    pub conntrack: Option<bool>,
    /// Conntrack counts packets and bytes (`nf_conntrack_acct`).
    pub accounting: Option<bool>,
}

/// State of a device, as `devices` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum DeviceState {
    /// In no flowtable.
    #[default]
    Off,
    /// In a flowtable of the software path.
    Software,
    /// In a flowtable with the hardware flag.
    Hardware,
}

impl DeviceState {
    /// The name used on the bus.
    pub fn name(self) -> &'static str {
        match self {
            DeviceState::Off => "off",
            DeviceState::Software => "software",
            DeviceState::Hardware => "hardware",
        }
    }
}

/// One line of `devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// Name of the network device.
    pub name: String,
    /// Its index; `None` when it does not exist.
    pub ifindex: Option<u32>,
    /// `IFLA_INFO_KIND` (`bridge`, `vlan`, `dsa`, ...); empty for plain devices.
    pub kind: String,
    /// Firewall zones whose traffic it carries.
    pub zones: Vec<String>,
    /// The devices above it by which the zones reach it, when it is not named itself.
    pub upper: Vec<String>,
    /// State in force.
    pub state: DeviceState,
    /// Why.
    pub reason: Reason,
    /// The kernel's words or the name that belongs to the reason; may be empty.
    pub detail: String,
    /// The nf_tables table whose flowtable holds it.
    pub table: Option<String>,
}
