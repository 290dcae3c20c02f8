// SPDX-License-Identifier: GPL-2.0-or-later
//! Which tables may hold a flow that a change has made stale.
//!
//! What is about devices is answered from the devices of each flowtable, so that a flow which no list
//! has named yet is not missed. What is about addresses is answered from a list of flows.

use super::{Cause, Control};
use crate::core::devices::Device;
use crate::core::flows::{Flow, FlowState};
use crate::core::links::Links;
use crate::core::plan::{self, Class, TABLE_HARDWARE, TABLE_SOFTWARE};
use crate::core::topology::moves::{Moves, Rerouted};
use crate::netlink::nftables::{Command, Flowtable, Table};
use crate::netlink::route::{Link, LinkEvent};
use std::time::Instant;

/// Devices stand on one another at most this deep; deeper chains can only be a mistake.
const DEPTH_MAX: usize = 8;

/// Tables of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tables {
    /// None of them.
    #[default]
    None,
    /// Those of these names.
    Named(Vec<String>),
    /// All of them.
    All,
}

impl Tables {
    /// True when there are none.
    pub fn is_none(&self) -> bool {
        *self == Tables::None
    }

    /// The table of this name is one of them.
    pub fn have(&self, name: &str) -> bool {
        match self {
            Tables::None => false,
            Tables::Named(names) => names.iter().any(|known| known == name),
            Tables::All => true,
        }
    }

    /// Those that may have an offloaded flow. `hardware` are the names of those whose flowtables
    /// have the hardware flag, `table` is asked for the one that takes such flows at present.
    pub fn that_may_have(
        flow: &Flow,
        hardware: &[String],
        table: impl FnOnce() -> Option<String>,
    ) -> Tables {
        let state = flow.in_kernel();
        let in_hardware = state == FlowState::Hardware;
        match (state, hardware) {
            (FlowState::Classic, _) => return Tables::None,
            // There is no hardware elsewhere.
            (FlowState::Hardware, [only]) => return Tables::Named(vec![only.clone()]),
            _ => (),
        }
        let mut names = match table() {
            None if in_hardware && !hardware.is_empty() => hardware.to_vec(),
            None => return Tables::All,
            // Its own class may have lost hardware just now.
            Some(name) if in_hardware && !hardware.contains(&name) => {
                hardware.iter().cloned().chain([name]).collect()
            }
            // Devices find out at run time whether they have hardware, so it may be in either.
            Some(name) if !in_hardware && name == TABLE_SOFTWARE => {
                vec![name, TABLE_HARDWARE.to_owned()]
            }
            Some(name) => vec![name],
        };
        names.sort_unstable();
        Tables::Named(names)
    }

    /// Takes those away; true when there are none left.
    pub fn remove(&mut self, those: &Tables) -> bool {
        match (&mut *self, those) {
            (_, Tables::All) => *self = Tables::None,
            (Tables::Named(names), those) => {
                names.retain(|name| !those.have(name));
                if names.is_empty() {
                    *self = Tables::None;
                }
            }
            _ => (),
        }
        self.is_none()
    }

    /// The tables that commands make anew, out of those that exist.
    pub(in crate::core) fn made_anew(commands: &[Command], exist: &[Table]) -> Tables {
        let anew = |table: &Table| {
            commands.iter().any(|c| matches!(c, Command::DeleteTable(gone) if gone == table))
        };
        let names: Vec<String> =
            exist.iter().filter(|table| anew(table)).map(|table| table.name.clone()).collect();
        match names.len() {
            0 => Tables::None,
            number if number == exist.len() => Tables::All,
            _ => Tables::Named(names),
        }
    }

    /// The tables that commands delete or add.
    pub(in crate::core) fn touched(commands: &[Command]) -> Tables {
        let mut names: Vec<String> = Vec::new();
        for command in commands {
            if let Command::DeleteTable(table) | Command::AddTable(table) = command {
                if !names.contains(&table.name) {
                    names.push(table.name.clone());
                }
            }
        }
        match names.is_empty() {
            true => Tables::None,
            false => Tables::Named(names),
        }
    }

    /// These and those.
    pub fn add(&mut self, more: Tables) {
        match (&mut *self, more) {
            (Tables::All, _) | (_, Tables::None) => (),
            (Tables::Named(names), Tables::Named(more)) => {
                names.extend(more);
                names.sort_unstable();
                names.dedup();
            }
            (_, more) => *self = more,
        }
    }
}

/// The tables that hold offloaded flows with packets to an address that may go another way now.
/// `whereabouts` knows the table of a flow. Finding that out takes the rules, so it is asked as seldom
/// as can be, and nothing is when all tables are found.
pub fn concerned(
    rerouted: &Rerouted,
    flows: impl Iterator<Item = Flow>,
    whereabouts: &impl Whereabouts,
) -> Tables {
    let mut tables = Tables::None;
    let all = whereabouts.tables();
    let hardware = whereabouts.in_hardware();
    let mut found_of_hardware = Tables::None;
    for flow in flows.filter(|flow| flow.state != FlowState::Classic) {
        // Before translation and behind it: the router's own address may be what has changed.
        let ends = [&flow.orig, &flow.reply];
        let mut addresses = ends.iter().flat_map(|tuple| [tuple.source(), tuple.destination()]);
        if !addresses.any(|address| rerouted.concerns(address)) {
            continue;
        }
        let enough = match flow.in_kernel() {
            FlowState::Hardware => &found_of_hardware,
            _ => &tables,
        };
        let known = || match flow.in_kernel() {
            FlowState::Hardware if hardware.len() == 1 => true,
            _ => whereabouts.is_only_in(&flow, enough),
        };
        if !enough.is_none() && known() {
            continue;
        }
        tables.add(Tables::that_may_have(&flow, &hardware, || whereabouts.table(&flow)));
        if tables == Tables::All {
            break;
        }
        let found: Vec<_> = hardware.iter().filter(|table| tables.have(table)).cloned().collect();
        if !found.is_empty() {
            found_of_hardware = Tables::Named(found);
        }
        if all.iter().all(|table| tables.have(table)) {
            break;
        }
    }
    tables
}

/// Which tables offloaded flows are in.
pub trait Whereabouts {
    /// Names of all tables that there are.
    fn tables(&self) -> Vec<String>;
    /// Names of those whose flowtables have the hardware flag.
    fn in_hardware(&self) -> Vec<String>;
    /// The table that has a flow; `None` when nobody knows.
    fn table(&self, flow: &Flow) -> Option<String>;
    /// True when a flow cannot be but in one of these, whatever the rules say about it.
    fn is_only_in(&self, flow: &Flow, tables: &Tables) -> bool;
}

impl Control {
    /// A device is about to change or go.
    pub(in crate::core) fn link_changes(&mut self, event: &LinkEvent, now: Instant) {
        let tables = match event {
            LinkEvent::Gone(index) => self.left_behind(*index, None),
            LinkEvent::New(link) => self.left_behind(link.index, Some(link)),
        };
        self.evict(Cause::Device, tables, now);
    }

    /// All devices are about to be replaced by these.
    pub(in crate::core) fn links_change(&mut self, links: &[Link], now: Instant) {
        let indexes: Vec<u32> = self.links.iter().map(|link| link.index).collect();
        for index in indexes {
            let new = links.iter().find(|link| link.index == index);
            let tables = self.left_behind(index, new);
            self.evict(Cause::Device, tables, now);
        }
    }

    /// Clients have moved behind bridges, or neighbours have other MAC addresses.
    pub(in crate::core) fn moved(&mut self, moves: &Moves, now: Instant) {
        for port in &moves.ports {
            let holds = |flowtable: &Flowtable, name: &str| holds(flowtable, name, &self.devices);
            let tables = self.tables_with(*port, holds);
            self.evict(Cause::Roaming, tables, now);
        }
        for index in &moves.neighbours {
            // Else the kernel looks the neighbour up for each packet.
            let bridged = crosses_bridge(&self.links, *index);
            let keeps = |flowtable: &Flowtable, name: &str| {
                (flowtable.hardware || bridged) && holds(flowtable, name, &self.devices)
            };
            let tables = self.tables_with(*index, keeps);
            self.evict(Cause::Neighbour, tables, now);
        }
    }

    /// The tables whose flows do not fit to a device any more that becomes `new`, or goes.
    fn left_behind(&self, index: u32, new: Option<&Link>) -> Tables {
        let Some(old) = self.links.indexed(index) else { return Tables::None };
        let look = |link: &Link| (link.mtu, link.master, lower(link));
        // One that is down carries nothing: the kernel has ended its flows.
        let changed = new.is_some_and(|new| old.up && new.up && look(new) != look(old));
        let off = new.is_none_or(|new| old.up && !new.up);
        // The kernel lets go of flows by the lowest device itself, but knows none above it.
        let stale = |flowtable: &Flowtable, name: &str| {
            (changed && holds(flowtable, name, &self.devices))
                || (off && stands_on(name, flowtable, &self.devices))
        };
        self.tables_with(index, stale)
    }

    /// Those wanted, and those that stand: they are others while the kernel refuses what is wanted.
    fn tables_with(&self, index: u32, stale: impl Fn(&Flowtable, &str) -> bool) -> Tables {
        let mut tables = Tables::None;
        let Some(link) = self.links.indexed(index) else { return tables };
        let wanted = self.wanted.iter().map(|class| &class.flowtable);
        let stand = self.snapshot.iter().flat_map(|snapshot| &snapshot.flowtables);
        for flowtable in wanted.chain(stand.filter(|entry| plan::is_ours(&entry.table))) {
            if stale(flowtable, &link.name) {
                tables.add(Tables::Named(vec![flowtable.table.name.clone()]));
            }
        }
        tables
    }

    /// The rules are others than before because the configuration is: what they let in may not be
    /// what is in the flowtables. Devices are not meant; who takes one out ends its flows.
    pub(in crate::core) fn rules_change(&mut self, wanted: &[Class], now: Instant) {
        if !std::mem::take(&mut self.settings_changed) {
            return;
        }
        let mut tables = Tables::None;
        for class in wanted {
            let same = |old: &&Class| old.flowtable.table == class.flowtable.table;
            let before = self.wanted.iter().find(same);
            if before.is_some_and(|old| old.rules != class.rules || old.sets != class.sets) {
                tables.add(Tables::Named(vec![class.flowtable.table.name.clone()]));
            }
        }
        let asked = now.checked_sub(super::DEBOUNCE).unwrap_or(now);
        self.evict(Cause::Settings, tables, asked);
    }
}

/// The device that this one stands on. What a veth names in its place is its peer, which is no way
/// of its packets' and is told only after the device itself.
fn lower(link: &Link) -> Option<u32> {
    link.lower.filter(|_| link.kind != "veth")
}

/// The flowtable has the device, or one below it.
fn holds(flowtable: &Flowtable, name: &str, devices: &[Device]) -> bool {
    flowtable.devices.iter().any(|device| device == name) || stands_on(name, flowtable, devices)
}

/// The device stands on one that the flowtable has.
fn stands_on(name: &str, flowtable: &Flowtable, devices: &[Device]) -> bool {
    let above = |device: &&Device| device.upper.iter().any(|upper| upper == name);
    let mut lower = devices.iter().filter(above);
    lower.any(|device| flowtable.devices.contains(&device.name))
}

/// Packets to neighbours by this device cross a bridge, so the kernel keeps their MAC addresses.
fn crosses_bridge(links: &Links, index: u32) -> bool {
    let mut next = links.indexed(index);
    for _ in 0..DEPTH_MAX {
        match next {
            Some(link) if link.kind == "bridge" => return true,
            Some(link) if link.kind == "vlan" && !link.lower_elsewhere => {
                next = link.lower.and_then(|lower| links.indexed(lower));
            }
            _ => return false,
        }
    }
    false
}
