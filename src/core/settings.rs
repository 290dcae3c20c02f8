// SPDX-License-Identifier: GPL-2.0-or-later
//! What the user asked for, independent of the file format it was written in.
//!
//! The `uci` room fills these in; everything in `core` reads only these.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::policy::Policy;

/// How far forwarding may be accelerated. The order is the ladder: a later mode includes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub enum Mode {
    /// Every packet takes the kernel's ordinary forwarding path.
    #[default]
    Classic,
    /// Flows are offloaded to the kernel's software flowtable.
    Software,
    /// Some devices offload to hardware, the others in software.
    Mixed,
    /// Flows are offloaded to the hardware of every device.
    Hardware,
}

impl Mode {
    /// The name used on the bus, by the command line and in the manual.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Classic => "classic",
            Mode::Software => "software",
            Mode::Mixed => "mixed",
            Mode::Hardware => "hardware",
        }
    }
}

/// What one device may be used for (`config device`, `option offload`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceOffload {
    /// As the mode and the device's own abilities allow.
    #[default]
    Auto,
    /// Like `Auto`; stated so that a user can take a device out of a wider `software` glob.
    Hardware,
    /// Never in hardware.
    Software,
    /// In no flowtable at all.
    Off,
}

/// A `config device` section: the first whose glob matches a device's name applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRule {
    /// Shell-style pattern over the device name: `*`, `?`, `[a-z]`.
    pub glob: String,
    /// What the matching devices may be used for.
    pub offload: DeviceOffload,
}

/// A `config switch` section: a switch chip that is looked at, or whose table of flows the daemon
/// fills itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchSettings {
    /// What it is called on the bus; unique.
    pub name: String,
    /// Which chip it is.
    pub driver: SwitchDriver,
    /// The way to its registers; the kernel-managed engine of [`SwitchDriver::Mt7621`] has none.
    pub way: Option<SwitchWay>,
    /// No driver in the kernel uses this switch, so transactions may be made of single transfers.
    pub force: bool,
    /// Its ports that network devices stand for.
    pub ports: Vec<SwitchPort>,
    /// The LAN's prefix that is translated; `None`: that of the first port's network.
    pub private: Option<(Ipv4Addr, u8)>,
}

/// The drivers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchDriver {
    /// QCA8337: 1024 translated connections of IPv4.
    Qca8337,
    /// AR8327N.
    Ar8327,
    /// MT7530, which only classifies.
    Mt7530,
    /// The packet engine of MT7621 and its kin, which the kernel fills.
    Mt7621,
}

impl SwitchDriver {
    /// All drivers.
    pub const ALL: [SwitchDriver; 4] =
        [SwitchDriver::Qca8337, SwitchDriver::Ar8327, SwitchDriver::Mt7530, SwitchDriver::Mt7621];

    /// The daemon itself fills its table of flows.
    pub fn is_filled(self) -> bool {
        matches!(self, SwitchDriver::Qca8337 | SwitchDriver::Ar8327)
    }

    /// The name used in the configuration and on the bus.
    pub fn name(self) -> &'static str {
        match self {
            SwitchDriver::Qca8337 => "qca8337",
            SwitchDriver::Ar8327 => "ar8327",
            SwitchDriver::Mt7530 => "mt7530",
            SwitchDriver::Mt7621 => "mt7621",
        }
    }
}

/// How the registers of a switch are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchWay {
    /// By the kernel module mdio-netlink: the name of the MDIO bus, as in `/sys/class/mdio_bus`.
    Bus(String),
    /// By the MII ioctls of this network device.
    Device(String),
}

/// A port of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchPort {
    /// The network device that stands for it.
    pub device: String,
    /// Its number on the chip.
    pub port: u8,
    /// VLAN of its untagged frames inside the switch, 1 to 4094.
    pub vlan: u16,
}

/// A `config table` section: a flowtable in a table of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name, of lower-case letters, digits and `_`.
    pub name: String,
    /// Patterns over the names of devices. Flows between two of them go into it; without any it has
    /// all devices, and only the flows that rules send there.
    pub devices: Vec<String>,
    /// Priority of the ingress hook; `None` for that of the other flowtables.
    pub priority: Option<i32>,
    /// The flowtable counts; `None` as the other flowtables.
    pub counter: Option<bool>,
    /// Its flows may go to hardware, if hardware is asked for and all of its devices have it.
    pub hardware: bool,
}

/// A firewall zone, reduced to where its traffic enters and leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zone {
    /// The zone's name (`lan`, `wan`).
    pub name: String,
    /// Names of `config interface` sections in `network`.
    pub networks: Vec<String>,
    /// Devices named directly (`list device`); a trailing `+` stands for any ending.
    pub devices: Vec<String>,
    /// What leaves by it is masqueraded (`masq` or `masq6`): it leads outside.
    pub masq: bool,
}

/// A `config interface` section of `network`, reduced to its devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Section name (`lan`, `wan6`).
    pub name: String,
    /// `option proto`; empty when it is missing.
    pub proto: String,
    /// Devices below it (`option device`, or `ifname` of older releases). An entry `@other` is
    /// an alias of another interface. Empty for protocols that make their own device.
    pub devices: Vec<String>,
}

/// Everything that the three configuration files say about offloading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `flowtable.global.enabled`.
    pub enabled: bool,
    /// From `firewall.@defaults[0]`: `Classic`, `Software` or `Hardware`, never `Mixed`.
    pub requested: Mode,
    /// `flowtable.global.counter`: the flowtable counts into conntrack's accounting.
    pub counter: bool,
    /// `flowtable.global.accounting`: conntrack's accounting is switched on where it is off.
    pub accounting: bool,
    /// `flowtable.global.takeover`: firewall4's own offloading makes way for ours; else it is only
    /// observed.
    pub takeover: bool,
    /// `flowtable.global.qos_bypass`: devices that a shaper is in charge of are not offloaded.
    pub qos_bypass: bool,
    /// `flowtable.global.priority`: priority of the ingress hook, lower runs earlier.
    pub priority: i32,
    /// `flowtable.global.hardware_patience`: so long a device may have nothing in hardware before
    /// it goes on in software; `None`: for ever.
    pub hardware_patience: Option<Duration>,
    /// `flowtable.global.evict_on_reload`: flows are handed back when another program changes rules.
    pub evict_on_reload: bool,
    /// Zones of the firewall in file order.
    pub zones: Vec<Zone>,
    /// Interfaces of the network in file order.
    pub interfaces: Vec<Interface>,
    /// Overrides in file order.
    pub device_rules: Vec<DeviceRule>,
    /// Which connections are offloaded, when and where.
    pub policy: Policy,
    /// Further flowtables, in file order.
    pub partitions: Vec<Partition>,
    /// Switches, in file order.
    pub switches: Vec<SwitchSettings>,
    /// Paths of the files that hold the names of LAN clients; any of them may be missing.
    pub lease_files: Vec<String>,
}

/// Some minutes: long enough for a firewall's restart or a full table to pass, and each flow that
/// is refused costs the processor a call a second meanwhile.
const HARDWARE_PATIENCE: Duration = Duration::from_secs(180);

/// Where the DHCP servers of OpenWrt keep their leases: dnsmasq, and odhcpd of releases before and
/// since November 2025.
const LEASE_FILES: [&str; 3] = ["/tmp/dhcp.leases", "/tmp/hosts/odhcpd", "/tmp/odhcpd.leases"];

impl Default for Settings {
    /// What applies when the configuration says nothing: OpenWrt's own defaults, offload off.
    fn default() -> Self {
        Settings {
            enabled: true,
            requested: Mode::Classic,
            counter: true,
            accounting: false,
            takeover: true,
            qos_bypass: true,
            priority: 0,
            hardware_patience: Some(HARDWARE_PATIENCE),
            evict_on_reload: true,
            zones: Vec::new(),
            interfaces: Vec::new(),
            device_rules: Vec::new(),
            policy: Policy::default(),
            partitions: Vec::new(),
            switches: Vec::new(),
            lease_files: LEASE_FILES.map(str::to_owned).to_vec(),
        }
    }
}
