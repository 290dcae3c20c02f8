// SPDX-License-Identifier: GPL-2.0-or-later
//! What the control loop tells about itself: mode, reason, tables and devices.
//!
//! The state shown is the state read from the kernel, never the state intended.

use crate::core::device_names::DeviceNames;
use std::time::Instant;

use super::control::Control;
use super::devices::{self, Coverage, Device};
use super::fault::Fault;
use super::flows::FlowState;
use super::leaks::Finding;
use super::links::Links;
use super::notices::{DeviceNotice, ModeNotice, Present};
use super::plan::{self, is_ordinary, is_ours, TABLE_PARTITION};
use super::reason::Reason;
use super::settings::{DeviceRule, Mode, Partition, Settings, SwitchSettings};
use super::status::{
    DeviceState, DeviceStatus, FlowCounts, Leak, Leaked, LeftOut, Status, TableStatus,
};
use super::takeover::{self, State};
use crate::netlink::nftables::Flowtable;

/// Reasons of a mode in which flows are offloaded; what leaks tells more than these.
const LEAKS_MATTER: [Reason; 4] =
    [Reason::AsConfigured, Reason::NoHardware, Reason::SomeHardware, Reason::NoHardwareSeen];

impl Control {
    /// The answer of `status`; `flows` are counted by the caller, who also knows of polling.
    pub fn status(&self, flows: Option<FlowCounts>, now: Instant) -> Status {
        let ModeNotice { requested, effective, reason, detail } = self.shown_mode();
        let last_error = self.config_error.clone();
        let fault = self.fault.as_ref().map(Fault::line);
        Status {
            uptime_s: now.saturating_duration_since(self.started).as_secs(),
            requested,
            effective,
            reason: Some(reason),
            detail,
            tables: self.flowtables(true).map(|flowtable| self.table_status(flowtable)).collect(),
            foreign_flowtables: self
                .flowtables(false)
                .filter(|flowtable| !self.is_emptied(flowtable))
                .map(|flowtable| {
                    let table = &flowtable.table;
                    format!("{} {} {}", table.family, table.name, flowtable.name)
                })
                .collect(),
            takeover: self.takeover_status(),
            flows,
            closing: None,
            polling: None,
            leaked: self.leaked(),
            bypassed: self.bypassed_count(now),
            evicted: self.evicted(now),
            kernel: self.kernel.clone(),
            last_error: last_error
                .or(fault)
                .or_else(|| self.left_out())
                .or_else(|| self.takeover.left_because().map(takeover::left)),
            warnings: self.warnings.iter().chain(&self.accounting_fault).cloned().collect(),
            commits: self.commits,
            left_out: LeftOut { links: self.links.left_out, ..LeftOut::default() },
        }
    }

    /// What subscribers are told about.
    pub fn present(&self) -> Present {
        Present {
            mode: self.shown_mode(),
            devices: self.device_list().into_iter().map(DeviceNotice::from).collect(),
            // Whoever drives them adds them.
            switches: Vec::new(),
            config_error: self.config_error.clone(),
        }
    }

    /// True while a flowtable of ours exists, or firewall4's in place of it.
    pub fn offloads(&self) -> bool {
        self.in_force().next().is_some()
    }

    /// True while a flowtable of ours exists.
    pub(super) fn has_tables(&self) -> bool {
        self.flowtables(true).next().is_some()
    }

    /// Whether what flows of each state carry is counted.
    pub fn counted(&self) -> [bool; 3] {
        let accounting = self.kernel.accounting != Some(false);
        let offloaded = accounting && self.counts();
        // Chips have counters for a few flows at most.
        let fills = |switch: &SwitchSettings| switch.driver.is_filled();
        let switches = self.wants_switches() && self.switches().iter().any(fills);
        [accounting, offloaded, offloaded && !switches]
    }

    /// False when a flowtable in force leaves out counting.
    pub fn counts(&self) -> bool {
        self.in_force().all(|flowtable| flowtable.counter)
    }

    /// The answer of `devices`, by name.
    pub fn device_list(&self) -> Vec<DeviceStatus> {
        self.devices.iter().map(|device| self.device(device)).collect()
    }

    /// All devices, those that the zones lead to, and the names of those that lead outside.
    pub fn surroundings(&self) -> (&Links, &[Device], DeviceNames) {
        let settings = self.settings.as_ref();
        let uplinks = settings.map(|settings| devices::uplinks(settings, &self.devices));
        (&self.links, &self.devices, uplinks.unwrap_or_default())
    }

    /// Files with names of clients.
    pub fn lease_files(&self) -> &[String] {
        self.settings.as_ref().map_or(&[], |settings| &settings.lease_files)
    }

    /// Switches of the configuration.
    pub fn switches(&self) -> &[SwitchSettings] {
        self.settings.as_ref().map_or(&[], |settings| &settings.switches)
    }

    /// Hardware is asked for, and flows are offloaded: switches may take some.
    pub fn wants_switches(&self) -> bool {
        let hardware = |settings: &Settings| settings.requested == Mode::Hardware;
        self.settings.as_ref().is_some_and(hardware) && self.offloads()
    }

    /// What the configuration says of single devices and tables, hardware among it.
    pub fn overrides(&self) -> Option<(Vec<DeviceRule>, Vec<Partition>)> {
        let settings = self.settings.as_ref()?;
        Some((settings.device_rules.clone(), settings.partitions.clone()))
    }

    /// Why the configuration keeps flows over these devices, of this table, from switches, in words.
    pub fn kept_from_switches<'d>(
        &self,
        table: Option<&str>,
        mut devices: impl Iterator<Item = &'d String>,
    ) -> Option<String> {
        let software = Coverage::Covered { hardware: false };
        let of = |name: &&String| {
            self.devices.iter().any(|device| device.name == **name && device.coverage == software)
        };
        if let Some(name) = devices.find(of) {
            return Some(format!("{name} is to offload in software only"));
        }
        let own = table?.strip_prefix(TABLE_PARTITION)?;
        let partitions = &self.settings.as_ref()?.partitions;
        let in_hardware = partitions.iter().any(|known| known.name == own && known.hardware);
        (!in_hardware).then(|| format!("table '{own}' is to offload in software only"))
    }

    /// Why nothing is offloaded, in words; `None` while a flowtable is in force.
    pub fn nothing_offloaded(&self) -> Option<String> {
        if self.offloads() {
            return None;
        }
        let (_, reason, detail) = self.mode();
        Some(with_detail(reason.text(), &detail))
    }

    /// Why no flowtable of ours sees packets by this chain of devices, the lowest last: which
    /// device, in words. `None` when one does.
    pub fn not_covered(&self, chain: &[String]) -> Option<String> {
        let lowest = chain.last()?;
        let Some(device) = self.devices.iter().find(|device| device.name == *lowest) else {
            // Somebody else's device below one of ours.
            let covered = chain.iter().any(|name| self.is_hooked(name));
            return (!covered).then(|| format!("{lowest}: no firewall zone leads to it"));
        };
        if let Some((name, why)) = self.shaped(chain) {
            return Some(format!("{name}: {}", with_detail(Reason::DeviceShaped.text(), why)));
        }
        // firewall4 lists the bridge, not its ports.
        if self.observes() && chain.iter().any(|name| self.is_hooked(name)) {
            return None;
        }
        let status = self.device(device);
        // The port of a bridge may be unknown: then any of them stands for it.
        if status.state != DeviceState::Off || status.reason == Reason::LowerCovered {
            return None;
        }
        let words = with_detail(status.reason.text(), &status.detail);
        Some(format!("{lowest}: {words}"))
    }

    /// What shows that offloaded flows of this state take the classic path, in words.
    pub fn leaking(&self, state: FlowState) -> Option<String> {
        let [software, hardware] = self.leaks.findings();
        let finding = match state {
            FlowState::Classic => None,
            FlowState::Software => software,
            FlowState::Hardware => hardware,
        }?;
        let Finding { leaked, carried } = finding;
        Some(format!("as did {leaked} of {carried} packets of flows in {}", state.name()))
    }

    /// The kernel keeps closed TCP connections in the flowtable for a while. Nothing shows that but
    /// its version: 6.14 brought it.
    pub fn keeps_closed(&self) -> bool {
        let mut numbers = self.kernel.release.split(['.', '-']).map_while(|n| n.parse().ok());
        let version: (u32, u32) =
            (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        version >= (6, 14)
    }

    /// One line for the log about what is in force.
    pub(super) fn summary(&self) -> String {
        let (effective, reason, detail) = self.mode();
        let mut names: Vec<&str> = self
            .in_force()
            .flat_map(|flowtable| flowtable.devices.iter().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut line = format!("{} path", effective.name());
        if !names.is_empty() {
            line += &format!(" on {}", names.join(", "));
        }
        line += &format!(": {}", with_detail(reason.text(), &detail));
        line
    }

    /// One line about the devices that the kernel lets into no flowtable.
    fn left_out(&self) -> Option<String> {
        let (name, words) = self.refused.refusals().next()?;
        Some(match self.refused.refusals().count() {
            1 => format!("device {name} is left out: {words}"),
            number => format!("{number} devices are left out, the first {name}: {words}"),
        })
    }

    fn requested(&self) -> Mode {
        self.settings.as_ref().map_or(Mode::Classic, |settings| settings.requested)
    }

    pub(super) fn flowtables(&self, ours: bool) -> impl Iterator<Item = &Flowtable> {
        let list = self.snapshot.iter().flat_map(|snapshot| &snapshot.flowtables);
        list.filter(move |flowtable| is_ours(&flowtable.table) == ours)
    }

    /// Our flowtables but for partitions, which say nothing about the mode.
    fn ordinary(&self) -> impl Iterator<Item = &Flowtable> {
        self.flowtables(true).filter(|flowtable| is_ordinary(&flowtable.table.name))
    }

    /// The flowtables that take flows: ours, or firewall4's for an observer.
    fn in_force(&self) -> impl Iterator<Item = &Flowtable> {
        self.flowtables(true).chain(self.observed())
    }

    fn is_hooked(&self, name: &str) -> bool {
        self.in_force().any(|flowtable| flowtable.devices.iter().any(|device| device == name))
    }

    /// The mode, as `status` and subscribers are told.
    fn shown_mode(&self) -> ModeNotice {
        let (effective, mut reason, mut detail) = self.mode();
        if let (true, Some(finding)) = (LEAKS_MATTER.contains(&reason), self.leaks.finding()) {
            (reason, detail) = (Reason::OffloadedInName, finding);
        }
        ModeNotice { requested: self.requested(), effective, reason, detail }
    }

    /// Mode in force, why, and what belongs to the reason, whatever leaks.
    fn mode(&self) -> (Mode, Reason, String) {
        let in_hardware = self.ordinary().filter(|flowtable| flowtable.hardware);
        let bound: Vec<&String> = in_hardware.flat_map(|flowtable| &flowtable.devices).collect();
        let hardware = bound.iter().any(|name| !self.evidence.unseen(name));
        let software = bound.iter().any(|name| self.evidence.unseen(name))
            || self.ordinary().any(|flowtable| !flowtable.hardware);
        let built = match (hardware, software) {
            (true, true) => Mode::Mixed,
            (true, false) => Mode::Hardware,
            (false, true) => Mode::Software,
            (false, false) => Mode::Classic,
        };
        let nothing = String::new();
        let Some(settings) = &self.settings else {
            return (built, Reason::NoConfiguration, nothing);
        };
        if let Some(fault) = &self.fault {
            return (built, fault.reason, fault.detail.clone());
        }
        if !settings.enabled {
            return (built, Reason::Disabled, nothing);
        }
        if settings.requested == Mode::Classic {
            return (built, Reason::OffloadOff, nothing);
        }
        if self.observes() {
            return self.observed_mode();
        }
        // Flows go where its rule sends them, ahead of all that ours are judged by.
        let left = self.takeover.left_because().filter(|_| self.takeover_state() == State::Left);
        if let (true, Some(words)) = (built != Mode::Classic, left) {
            return (built, Reason::TakeoverLeft, words.to_owned());
        }
        // Some drivers and all of OpenWrt's kernels accept the flag without offloading anything.
        let unseen = self.evidence.names();
        if built != Mode::Classic && settings.requested == Mode::Hardware && !unseen.is_empty() {
            return (built, Reason::NoHardwareSeen, unseen.join(", "));
        }
        match built {
            Mode::Classic => self.why_classic(),
            Mode::Software if settings.requested == Mode::Hardware => {
                let refusal = self.hardware.refusals().next().map(|(_, words)| words.to_owned());
                (built, Reason::NoHardware, refusal.unwrap_or_default())
            }
            Mode::Mixed => (built, Reason::SomeHardware, nothing),
            Mode::Software | Mode::Hardware => (built, Reason::AsConfigured, nothing),
        }
    }

    /// Offload is wanted and nothing is wrong, yet there is nothing to offload on.
    fn why_classic(&self) -> (Mode, Reason, String) {
        let (reason, detail) = if let Some(line) = self.left_out() {
            (Reason::Refused, line)
        } else if let Some(why) = self.devices.iter().find_map(shaped) {
            (Reason::DeviceShaped, why)
        } else if self.devices.iter().any(switched_off) {
            (Reason::DeviceOverride, String::new())
        } else {
            (Reason::NoDevice, String::new())
        };
        (Mode::Classic, reason, detail)
    }

    fn leaked(&self) -> Option<Leaked> {
        let [software, hardware] = self.leaks.totals()?;
        let [software_rate, hardware_rate] = self.leaks.rates();
        let leak = |packets, rate_pps| Leak { packets, rate_pps };
        Some(Leaked {
            software: leak(software, software_rate),
            hardware: leak(hardware, hardware_rate),
        })
    }

    fn device(&self, device: &Device) -> DeviceStatus {
        let holder = |hardware: bool| {
            self.ordinary().chain(self.observed()).find(|flowtable| {
                flowtable.hardware == hardware && flowtable.devices.contains(&device.name)
            })
        };
        let (state, table) = match (holder(true), holder(false)) {
            (Some(flowtable), _) if self.evidence.unseen(&device.name) => {
                (DeviceState::Software, Some(flowtable.table.name.clone()))
            }
            (Some(flowtable), _) => (DeviceState::Hardware, Some(flowtable.table.name.clone())),
            (None, Some(flowtable)) => (DeviceState::Software, Some(flowtable.table.name.clone())),
            (None, None) => (DeviceState::Off, None),
        };
        let (reason, detail) = self.device_reason(device, state);
        DeviceStatus {
            name: device.name.clone(),
            ifindex: device.ifindex,
            kind: device.kind.clone(),
            zones: device.zones.clone(),
            upper: device.upper.clone(),
            state,
            reason,
            detail,
            table,
        }
    }

    fn device_reason(&self, device: &Device, state: DeviceState) -> (Reason, String) {
        if self.observes() && device.ifindex.is_some() {
            return (Reason::Observing, String::new());
        }
        let hardware_allowed = match &device.coverage {
            Coverage::Off(reason, detail) => return (*reason, detail.clone()),
            Coverage::Covered { hardware } => *hardware,
        };
        if let Some(Some(words)) = self.refused.get(&device.name) {
            return (Reason::Refused, words.to_owned());
        }
        if state == DeviceState::Off {
            let (_, reason, detail) = self.mode();
            return (reason, detail);
        }
        if state == DeviceState::Software && self.requested() == Mode::Hardware {
            return match self.hardware.get(&device.name) {
                _ if !hardware_allowed => (Reason::DeviceOverride, String::new()),
                Some(Some(words)) => (Reason::DeviceNoHardware, words.to_owned()),
                _ if self.evidence.unseen(&device.name) => (Reason::NoHardwareSeen, String::new()),
                _ => (Reason::AsConfigured, String::new()),
            };
        }
        (Reason::AsConfigured, String::new())
    }

    fn table_status(&self, flowtable: &Flowtable) -> TableStatus {
        TableStatus {
            name: flowtable.table.name.clone(),
            flowtable: flowtable.name.clone(),
            hardware: flowtable.hardware,
            counter: flowtable.counter,
            priority: flowtable.priority,
            devices: flowtable.devices.clone(),
            reason: self.table_reason(flowtable),
        }
    }

    /// Why a partition's flows go to hardware or not; `None` for our other tables, of which the
    /// mode tells, and for a partition on its way out.
    fn table_reason(&self, flowtable: &Flowtable) -> Option<(Reason, String)> {
        let settings = self.settings.as_ref()?;
        let name = flowtable.table.name.strip_prefix(TABLE_PARTITION)?;
        let partition = settings.partitions.iter().find(|partition| partition.name == name)?;
        let as_configured = (Reason::AsConfigured, String::new());
        if !partition.hardware || settings.requested != Mode::Hardware {
            return Some(as_configured);
        }
        let of_table = |device: &&Device| flowtable.devices.contains(&device.name);
        let devices = || self.devices.iter().filter(of_table);
        let names = |is: &dyn Fn(&Device) -> bool| {
            let names = devices().filter(|device| is(device)).map(|device| device.name.as_str());
            Some(names.collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
        };
        let refusal = |device: &Device| self.hardware.get(&device.name).flatten();
        let overridden = || Some((Reason::DeviceOverride, names(&|d| !plan::may_offload(d))?));
        let refused = || {
            let (first, words) = devices().find_map(|d| Some((d.name.as_str(), refusal(d)?)))?;
            Some(match devices().all(|device| refusal(device).is_some()) {
                true => (Reason::NoHardware, words.to_owned()),
                false => (Reason::SomeHardware, format!("{first}: {words}")),
            })
        };
        let unseen = || Some((Reason::NoHardwareSeen, names(&|d| self.evidence.unseen(&d.name))?));
        let as_a_whole = || {
            let words = self.kept_in_software.get(&flowtable.table.name)?;
            Some((Reason::Refused, words.clone()))
        };
        let why = match flowtable.hardware {
            true => unseen(),
            false => overridden().or_else(refused).or_else(unseen).or_else(as_a_whole),
        };
        Some(why.unwrap_or(as_configured))
    }
}

fn with_detail(text: &str, detail: &str) -> String {
    match detail {
        "" => text.to_owned(),
        detail => format!("{text} ({detail})"),
    }
}

fn shaped(device: &Device) -> Option<String> {
    match &device.coverage {
        Coverage::Off(Reason::DeviceShaped, why) => Some(why.clone()),
        _ => None,
    }
}

fn switched_off(device: &Device) -> bool {
    matches!(device.coverage, Coverage::Off(Reason::DeviceOverride, _))
}
