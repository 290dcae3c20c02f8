// SPDX-License-Identifier: GPL-2.0-or-later
//! The control loop against a kernel that keeps exactly what it is told, in a time of its own.

mod kernel;
mod meanwhile;
mod partitions;
mod refusals;

use std::collections::BTreeSet;

pub use kernel::apply;

use super::*;
use crate::core::links::tests::link;
use crate::core::orders::{Done, Order, OrderError};
use crate::core::plan::TABLE_HARDWARE;
use crate::core::settings::{Interface, Mode, Zone};
use crate::core::shaper::Queues;
use crate::core::status::DeviceState;
use crate::netlink::nftables::{Flowtable, Table};
use crate::netlink::route::{Link, LinkEvent};
use crate::netlink::{Error, Refusal};

/// What the kernel says of a device that it does not know.
const GONE: &str = "No such file or directory";

/// A kernel in memory.
pub struct World {
    pub control: Control,
    pub now: Instant,
    pub links: Vec<Link>,
    pub queues: Queues,
    pub kernel: Snapshot,
    /// Devices that offload to hardware.
    pub capable: BTreeSet<&'static str>,
    /// Devices that no flowtable takes.
    unhookable: BTreeSet<&'static str>,
    /// Linux 6.1 does not say which device a refusal is about.
    silent: bool,
    /// Nothing can be asked, listed or committed.
    out_of_memory: bool,
    /// Others change devices all the time while they are listed.
    interrupted: bool,
    /// Devices asked about hardware.
    asked: Vec<String>,
    /// This table is refused as a whole.
    refuse_table: Option<&'static str>,
    /// These tables are refused the hardware flag.
    without_hardware: BTreeSet<&'static str>,
    /// A device can be bound by one flowtable with the hardware flag only.
    bound_once: bool,
    /// Devices that are taken when they are asked about one by one, and not into a table.
    spiteful: BTreeSet<&'static str>,
    /// Devices that are listed, although the kernel knows none of their names.
    ghosts: BTreeSet<&'static str>,
    /// Error number of what concerns firewall4 while set.
    pub refuse_firewall: Option<i32>,
    /// Error number of every commit while set.
    pub refuse_all: Option<i32>,
    pub abilities: KernelAbilities,
    /// Why accounting cannot be switched on.
    pub no_accounting: Option<String>,
    pub commits: Vec<Vec<String>>,
    /// Transactions that were refused.
    refusals: usize,
    pub surveys: usize,
    pub log: Vec<(Level, String)>,
    /// Tables whose flows have just left switches.
    pub handed_back: Tables,
    /// Ends of orders.
    pub done: Vec<(u32, Result<Done, OrderError>)>,
}

pub fn settings(mode: Mode) -> Settings {
    let zone =
        |name: &str| Zone { name: name.into(), networks: vec![name.into()], ..Zone::default() };
    let interface = |name: &str| Interface {
        name: name.into(),
        proto: "static".into(),
        devices: vec![format!("{name}0")],
    };
    Settings {
        requested: mode,
        zones: vec![zone("lan"), zone("wan")],
        interfaces: vec![interface("lan"), interface("wan")],
        ..Settings::default()
    }
}

impl World {
    pub fn new() -> World {
        let now = Instant::now();
        World {
            control: Control::new(now),
            now,
            links: vec![link(2, "lan0"), link(3, "wan0")],
            queues: Queues::default(),
            kernel: Snapshot { generation: 1, ..Snapshot::default() },
            capable: BTreeSet::new(),
            unhookable: BTreeSet::new(),
            silent: false,
            out_of_memory: false,
            interrupted: false,
            asked: Vec::new(),
            refuse_table: None,
            without_hardware: BTreeSet::new(),
            bound_once: false,
            spiteful: BTreeSet::new(),
            ghosts: BTreeSet::new(),
            refuse_firewall: None,
            refuse_all: None,
            abilities: KernelAbilities { flowtable: Some(true), ..KernelAbilities::default() },
            no_accounting: None,
            commits: Vec::new(),
            refusals: 0,
            surveys: 0,
            log: Vec::new(),
            handed_back: Tables::None,
            done: Vec::new(),
        }
    }

    /// A world in which the daemon has started with these settings and come to rest.
    pub fn started(mode: Mode) -> World {
        let mut world = World::new();
        world.start(mode);
        world
    }

    pub fn start(&mut self, mode: Mode) {
        self.event(Event::Started);
        self.event(Event::Settings(Ok((settings(mode), Vec::new()))));
        self.rest();
    }

    pub fn event(&mut self, event: Event) {
        let mut effects = std::collections::VecDeque::from(self.control.handle(event, self.now));
        while let Some(effect) = effects.pop_front() {
            let answer = match effect {
                Effect::Log(level, line) => {
                    self.log.push((level, line));
                    continue;
                }
                Effect::Done(ticket, outcome) => {
                    self.done.push((ticket, outcome));
                    continue;
                }
                Effect::HandBack(tables) => {
                    self.handed_back = tables;
                    continue;
                }
                Effect::SwitchAccounting => {
                    let result = self.no_accounting.clone().map_or(Ok(()), Err);
                    self.abilities.accounting = Some(result.is_ok());
                    Event::AccountingSwitched(result)
                }
                Effect::ProbeKernel => Event::Kernel(self.abilities.clone()),
                Effect::ListLinks => Event::Links(self.list()),
                Effect::ListQueues => Event::Queues(Ok(self.queues.clone())),
                Effect::Survey => {
                    self.surveys += 1;
                    Event::Surveyed(Ok(self.kernel.clone()))
                }
                Effect::ProbeHardware(names) => {
                    self.asked.extend(names.clone());
                    let answer = |name: String| {
                        let answer = match self.capable.contains(name.as_str()) {
                            _ if self.out_of_memory => Answer::Unknown("no memory".into()),
                            _ if !self.exists(&name) => Answer::Gone(GONE.into()),
                            true => Answer::Takes,
                            false => Answer::Refuses("Operation not supported".into()),
                        };
                        (name, answer)
                    };
                    Event::HardwareProbed(names.into_iter().map(answer).collect())
                }
                Effect::ProbeDevices(names) => {
                    let answer = |name: String| {
                        let answer = match self.takes(&name) {
                            _ if self.out_of_memory => Answer::Unknown("no memory".into()),
                            _ if !self.exists(&name) => Answer::Gone(GONE.into()),
                            true => Answer::Takes,
                            false => Answer::Refuses("Device or resource busy".into()),
                        };
                        (name, answer)
                    };
                    Event::DevicesProbed(names.into_iter().map(answer).collect())
                }
                Effect::Commit(commands, generation) => {
                    let left = std::mem::take(&mut self.handed_back);
                    assert_eq!(left, Tables::touched(&commands), "what is in switches goes first");
                    assert_eq!(generation, self.kernel.generation);
                    let result = self.commit(commands);
                    self.refusals += usize::from(result.is_err());
                    Event::Committed(result)
                }
            };
            effects.extend(self.control.handle(answer, self.now));
        }
    }

    /// Lets time pass until no timer is left that is due within `span`.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.control.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.event(Event::Timer);
        }
        self.now = end;
    }

    pub fn rest(&mut self) {
        self.pass(DEBOUNCE);
    }

    fn commit(&mut self, commands: Vec<Command>) -> Result<(), Error> {
        let refusal = |command: &Command, culprit: Option<&str>, errno| {
            Err(Error::Refused(Refusal {
                object: command.to_string(),
                table: command.table().name.clone(),
                culprit: culprit.map(str::to_owned),
                errno,
                text: None,
            }))
        };
        if let (Some(errno), Some(first)) = (self.refuse_all, commands.first()) {
            return refusal(first, None, errno);
        }
        if self.out_of_memory {
            return refusal(&commands[0], None, libc::ENOMEM);
        }
        let theirs = |command: &&Command| command.table().name == takeover::TABLE;
        if let Some((errno, command)) = self.refuse_firewall.zip(commands.iter().find(theirs)) {
            return refusal(command, None, errno);
        }
        let there = |command: &&Command| Some(command.table().name.as_str()) == self.refuse_table;
        if let Some(command) = commands.iter().find(there) {
            return refusal(command, None, libc::EOPNOTSUPP);
        }
        let mut next = self.kernel.clone();
        for command in &commands {
            if let Command::AddFlowtable(flowtable) = command {
                if let Some(name) = flowtable.devices.iter().find(|name| !self.takes(name)) {
                    let culprit = (!self.silent).then_some(name.as_str());
                    return refusal(command, culprit, libc::ENOENT);
                }
                let table = flowtable.table.name.as_str();
                let bound = |other: &&Flowtable| other.hardware && other.table != flowtable.table;
                let others: Vec<&Flowtable> = next.flowtables.iter().filter(bound).collect();
                let mut names = flowtable.devices.iter();
                let twice = self.bound_once
                    && names.any(|name| others.iter().any(|other| other.devices.contains(name)));
                if flowtable.hardware && (twice || self.without_hardware.contains(table)) {
                    return refusal(command, None, libc::EBUSY);
                }
                if flowtable.devices.iter().any(|name| self.spiteful.contains(name.as_str())) {
                    return refusal(command, None, libc::EINVAL);
                }
            }
            apply(&mut next, command);
        }
        next.generation += 1;
        self.kernel = next;
        self.commits.push(commands.iter().map(ToString::to_string).collect());
        Ok(())
    }

    fn list(&self) -> Result<Vec<Link>, Error> {
        let doing = "list network devices";
        match (self.out_of_memory, self.interrupted) {
            (true, _) => Err(Error::Timeout { doing }),
            (_, true) => Err(Error::Interrupted { doing }),
            _ => Ok(self.links.clone()),
        }
    }

    fn takes(&self, device: &str) -> bool {
        self.exists(device) && !self.unhookable.contains(device)
    }

    fn exists(&self, device: &str) -> bool {
        let listed = self.links.iter().any(|link| link.name == device);
        listed && !self.ghosts.contains(device)
    }

    pub fn hooked(&self, table: &str) -> Vec<String> {
        let table = Table::inet(table);
        let of_table = self.kernel.flowtables.iter().filter(|entry| entry.table == table);
        of_table.flat_map(|flowtable| flowtable.devices.clone()).collect()
    }

    pub fn links(&self) -> Vec<Link> {
        self.links.clone()
    }

    pub fn set_links(&mut self, links: Vec<Link>) {
        self.links = links;
    }

    pub fn mode(&self) -> (Mode, Reason) {
        let status = self.control.status(None, self.now);
        (status.effective, status.reason.unwrap())
    }
}

#[test]
fn one_transaction_then_silence() {
    let mut world = World::started(Mode::Software);
    assert_eq!(world.commits.len(), 1);
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    assert_eq!(world.control.deadline(), None);

    world.event(Event::Settings(Ok((settings(Mode::Software), Vec::new()))));
    world.rest();
    assert_eq!(world.commits.len(), 1, "a second run sends nothing");
}

#[test]
fn a_new_daemon_adopts_what_it_finds_and_has_its_flows_judged_again() {
    let mut world = World::started(Mode::Software);
    let evicted = |world: &World| world.control.status(None, world.now).evicted;
    assert_eq!(evicted(&world).count, 0, "there was nothing");
    // With something else to do, and without.
    for counter in [true, false] {
        let before = (world.commits.len(), world.kernel.rules.len());
        world.control = Control::new(world.now);
        let mut settings = settings(Mode::Software);
        settings.counter = counter;
        world.event(Event::Started);
        world.event(Event::Settings(Ok((settings, Vec::new()))));
        world.rest();
        assert_eq!(world.commits.len(), before.0 + 1, "one transaction");
        assert_eq!(world.commits.last().unwrap()[0], "delete table inet flowtabled");
        assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
        assert_eq!(world.kernel.rules.len(), before.1);
        assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
        assert_eq!((evicted(&world).count, world.control.deadline()), (1, None));
        assert_eq!(evicted(&world).last, Some((Cause::Restart, 0)));
    }
}

#[test]
fn the_switch_goes_off_and_on() {
    let mut world = World::started(Mode::Software);
    world.event(Event::Settings(Ok((settings(Mode::Classic), Vec::new()))));
    world.rest();
    assert_eq!(world.commits[1], ["delete table inet flowtabled"]);
    assert_eq!(world.mode(), (Mode::Classic, Reason::OffloadOff));
    world.event(Event::Settings(Ok((settings(Mode::Software), Vec::new()))));
    world.rest();
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
}

#[test]
fn hardware_falls_back_with_its_reason() {
    let world = World::started(Mode::Hardware);
    assert_eq!(world.mode(), (Mode::Software, Reason::NoHardware));
    let devices = world.control.device_list();
    assert!(devices.iter().all(|device| device.reason == Reason::DeviceNoHardware));
    assert!(devices.iter().all(|device| device.detail == "Operation not supported"));
}

#[test]
fn mixed_when_one_device_can_and_hardware_when_all_can() {
    let mut world = World::new();
    world.capable = ["lan0"].into();
    world.start(Mode::Hardware);
    assert_eq!(world.mode(), (Mode::Mixed, Reason::SomeHardware));
    let states: Vec<DeviceState> =
        world.control.device_list().iter().map(|device| device.state).collect();
    assert_eq!(states, [DeviceState::Hardware, DeviceState::Software]);

    world.capable = ["lan0", "wan0"].into();
    world.event(Event::Settings(Ok((settings(Mode::Hardware), Vec::new()))));
    world.rest();
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
}

#[test]
fn a_deleted_table_comes_back_within_one_debounce() {
    let mut world = World::started(Mode::Software);
    let table = Table::inet(plan::TABLE_SOFTWARE);
    apply(&mut world.kernel, &Command::DeleteTable(table.clone()));
    world.kernel.generation += 1;
    world.event(Event::Nftables(NftEvent::Chains(table)));
    world.event(Event::Nftables(NftEvent::Rules(Table::inet("fw4"))));
    world.rest();
    assert_eq!(world.commits.len(), 2);
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
}

#[test]
fn changes_elsewhere_cost_nothing() {
    let mut world = World::started(Mode::Software);
    let surveys = world.surveys;
    world.event(Event::Nftables(NftEvent::Rules(Table::inet("fw4"))));
    world.event(Event::Link(LinkEvent::New(link(3, "wan0"))));
    assert_eq!(world.control.deadline(), None);
    world.rest();
    assert_eq!(world.surveys, surveys);
}

#[test]
fn devices_are_joined_when_they_appear() {
    let mut world = World::new();
    world.links.pop();
    world.start(Mode::Software);
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0"]);
    world.links.push(link(9, "wan0"));
    world.event(Event::Link(LinkEvent::New(link(9, "wan0"))));
    world.rest();
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
    assert_eq!(world.commits[1].len(), 1, "{:?}", world.commits[1]);
}

#[test]
fn a_kernel_without_flowtables_is_left_alone() {
    let mut world = World::new();
    world.abilities.flowtable = Some(false);
    world.start(Mode::Hardware);
    assert!(world.commits.is_empty());
    assert_eq!(world.mode(), (Mode::Classic, Reason::NoKernelSupport));
    world.abilities.flowtable = Some(true);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.mode(), (Mode::Software, Reason::NoHardware));
}

#[test]
fn a_bad_configuration_keeps_the_last_good_one() {
    let mut world = World::started(Mode::Software);
    world.event(Event::Settings(Err("/etc/config/firewall:3: bad value".into())));
    world.rest();
    assert_eq!(world.commits.len(), 1);
    let status = world.control.status(None, world.now);
    assert_eq!(status.effective, Mode::Software);
    assert_eq!(status.last_error.as_deref(), Some("/etc/config/firewall:3: bad value"));
    world.event(Event::Settings(Ok((settings(Mode::Software), Vec::new()))));
    world.rest();
    assert_eq!(world.control.status(None, world.now).last_error, None);
}

#[test]
fn without_a_configuration_nothing_is_made() {
    let mut world = World::new();
    world.event(Event::Started);
    world.event(Event::Settings(Err("no file".into())));
    world.pass(Duration::from_secs(60));
    assert!(world.commits.is_empty());
    assert_eq!(world.mode(), (Mode::Classic, Reason::NoConfiguration));
}

#[test]
fn lost_events_are_made_up_for() {
    let mut world = World::started(Mode::Software);
    world.links.push(link(4, "lan1"));
    world.links.remove(0);
    world.links[1].name = "lan0".into();
    world.kernel.flowtables[0].devices.clear();
    world.event(Event::EventsLost);
    world.rest();
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
}

#[test]
fn a_device_that_flaps_is_no_quarrel() {
    let mut world = World::started(Mode::Software);
    for index in 10..30 {
        // Gone and back within a debounce; kernels before 6.16 forget it then.
        for flowtable in &mut world.kernel.flowtables {
            flowtable.devices.retain(|name| name != "lan0");
        }
        world.event(Event::Link(LinkEvent::Gone(world.control.links.named("lan0").unwrap().index)));
        world.event(Event::Link(LinkEvent::New(link(index, "lan0"))));
        world.pass(DEBOUNCE);
        assert_eq!(world.kernel.flowtables[0].devices, ["lan0", "wan0"]);
    }
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
}

#[test]
fn a_quarrel_ends_in_a_fault_and_growing_pauses() {
    let mut world = World::started(Mode::Software);
    let table = Table::inet(plan::TABLE_SOFTWARE);
    for _ in 0..600 {
        // Another program deletes our table as soon as it is there.
        if world.kernel.tables.contains(&table) {
            apply(&mut world.kernel, &Command::DeleteTable(table.clone()));
            world.kernel.generation += 1;
            world.event(Event::Nftables(NftEvent::Chains(table.clone())));
        }
        world.pass(DEBOUNCE);
    }
    assert_eq!(world.mode().1, Reason::Refused);
    assert!(world.commits.len() < 40, "{} commits in a minute", world.commits.len());
    world.pass(Duration::from_secs(120));
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
}

#[test]
fn a_list_that_cannot_be_read_keeps_what_is_there() {
    let mut world = World::started(Mode::Software);
    world.control = Control::new(world.now);
    world.out_of_memory = true;
    world.start(Mode::Software);
    assert_eq!(world.commits.len(), 1, "the adopted table stays");
    assert_eq!(world.mode().0, Mode::Software);
    world.out_of_memory = false;
    world.pass(Duration::from_secs(10));
    assert_eq!(world.commits.len(), 2, "made anew when it can be");
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
}

#[test]
fn bound_devices_are_not_asked_again_and_others_only_when_they_change() {
    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.start(Mode::Hardware);
    assert_eq!(world.asked, ["lan0", "wan0"]);
    // A new daemon, and a driver that would refuse a second binding.
    world.control = Control::new(world.now);
    world.capable.clear();
    world.start(Mode::Hardware);
    world.event(Event::Link(LinkEvent::New(link(40, "veth1"))));
    world.rest();
    assert_eq!(world.asked.len(), 2);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
}

#[test]
fn all_devices_switched_off_is_a_reason_of_its_own() {
    let mut world = World::started(Mode::Software);
    let mut settings = settings(Mode::Software);
    settings.device_rules.push(crate::core::settings::DeviceRule {
        glob: "*".into(),
        offload: crate::core::settings::DeviceOffload::Off,
    });
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
    assert_eq!(world.mode(), (Mode::Classic, Reason::DeviceOverride));
}

#[test]
fn an_answer_that_sees_something_missing_leads_to_a_repair() {
    let mut world = World::started(Mode::Software);
    apply(&mut world.kernel, &Command::DeleteTable(Table::inet(plan::TABLE_SOFTWARE)));
    world.kernel.generation += 1;
    world.event(Event::Refreshed(Ok(world.kernel.clone())));
    world.rest();
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
}
