// SPDX-License-Identifier: GPL-2.0-or-later
//! Partitions whose flows may go to hardware: when they do, and why when they do not.

use super::*;
use crate::core::plan::TABLE_SOFTWARE;
use crate::core::settings::{DeviceOffload, DeviceRule, Partition};
use crate::core::status::TableStatus;

const A: &str = "flowtabled_p_a";
const B: &str = "flowtabled_p_b";

fn partition(name: &str, devices: &[&str]) -> Partition {
    Partition {
        name: name.into(),
        devices: devices.iter().map(|glob| (*glob).into()).collect(),
        priority: None,
        counter: None,
        hardware: true,
    }
}

/// Hardware for LAN, WAN and two further networks, of which `a` has one and `b` the other.
fn wanted() -> Settings {
    let mut wanted = settings(Mode::Hardware);
    wanted.interfaces[0].devices = ["lan0", "opt0", "opt1"].map(str::to_owned).to_vec();
    wanted.partitions = vec![partition("a", &["opt0", "wan0"]), partition("b", &["opt1", "wan0"])];
    wanted
}

fn world(capable: &[&'static str]) -> World {
    let mut world = World::new();
    world.capable = capable.iter().copied().collect();
    world.set_links(vec![link(2, "lan0"), link(3, "wan0"), link(4, "opt0"), link(5, "opt1")]);
    world.event(Event::Started);
    world
}

const ALL: [&str; 4] = ["lan0", "opt0", "opt1", "wan0"];

impl World {
    fn take(&mut self, settings: Settings) {
        self.event(Event::Settings(Ok((settings, Vec::new()))));
        self.rest();
    }

    fn table(&self, name: &str) -> TableStatus {
        let tables = self.control.status(None, self.now).tables;
        tables.into_iter().find(|table| table.name == name).unwrap()
    }

    /// Whether the table has the hardware flag, and what is told of it.
    fn of(&self, name: &str) -> (bool, Reason, String) {
        let TableStatus { hardware, reason, .. } = self.table(name);
        let (reason, detail) = reason.unwrap();
        (hardware, reason, detail)
    }
}

fn as_configured(hardware: bool) -> (bool, Reason, String) {
    (hardware, Reason::AsConfigured, String::new())
}

#[test]
fn they_have_hardware_when_it_is_asked_for_and_all_their_devices_have_it() {
    let mut world = world(&ALL);
    world.take(wanted());
    assert_eq!([A, B].map(|table| world.of(table)), [as_configured(true), as_configured(true)]);
    assert_eq!(world.hooked(A), ["opt0", "wan0"]);
    assert_eq!(world.hooked(TABLE_HARDWARE), ALL);
    assert_eq!(world.table(TABLE_HARDWARE).reason, None, "the mode tells");
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    assert_eq!(world.control.tables_in_hardware(), [A, B, TABLE_HARDWARE]);
    let commits = world.commits.len();

    // What is bound is not asked again, and a daemon that starts anew only makes it anew.
    let mut restarted = self::world(&[]);
    restarted.kernel = world.kernel.clone();
    restarted.take(wanted());
    assert_eq!((restarted.commits.len(), restarted.asked.len()), (1, 0));
    let same = |table: &&str| restarted.hooked(table) == world.hooked(table);
    assert!([A, B, TABLE_HARDWARE].iter().all(same));

    // Without the option, or without the firewall's switch, they are of software.
    let mut software = wanted();
    software.partitions[1].hardware = false;
    world.take(software);
    assert_eq!(world.commits.len(), commits + 1);
    assert!(world.commits[commits].iter().all(|line| line.contains(B)), "{:?}", world.commits);
    assert_eq!([A, B].map(|table| world.of(table)), [as_configured(true), as_configured(false)]);
    world.take(Settings { requested: Mode::Software, ..wanted() });
    assert_eq!([A, B].map(|table| world.of(table)), [as_configured(false), as_configured(false)]);
}

#[test]
fn one_device_without_hardware_makes_its_own_table_software() {
    let mut world = world(&["lan0", "opt1", "wan0"]);
    world.take(wanted());
    let why = (false, Reason::SomeHardware, "opt0: Operation not supported".into());
    assert_eq!([A, B].map(|table| world.of(table)), [why, as_configured(true)]);
    let opt = world.control.device_list().into_iter().find(|device| device.name == "opt0");
    assert_eq!(opt.unwrap().reason, Reason::DeviceNoHardware);
    assert_eq!(world.mode(), (Mode::Mixed, Reason::SomeHardware));

    let mut alone = wanted();
    alone.partitions = vec![partition("a", &["opt0"])];
    world.take(alone);
    let why = (false, Reason::NoHardware, "Operation not supported".into());
    assert_eq!(world.of(A), why);

    let mut chosen = wanted();
    chosen.device_rules =
        vec![DeviceRule { glob: "opt*".into(), offload: DeviceOffload::Software }];
    chosen.partitions = vec![partition("a", &[]), partition("b", &["opt1", "wan0"])];
    world.take(chosen);
    assert_eq!(world.of(A), (false, Reason::DeviceOverride, "opt0, opt1".into()));
    assert_eq!(world.of(B), (false, Reason::DeviceOverride, "opt1".into()));
}

#[test]
fn a_device_that_gets_hardware_takes_its_table_along() {
    let mut world = world(&["lan0", "opt1", "wan0"]);
    world.take(wanted());
    world.capable.insert("opt0");
    world.take(wanted());
    assert_eq!([A, B].map(|table| world.of(table)), [as_configured(true), as_configured(true)]);
    let made = |table: &str| {
        let line = format!("delete table inet {table}");
        world.commits.last().unwrap().contains(&line)
    };
    assert!(made(A) && made(TABLE_SOFTWARE) && !made(B), "{:?}", world.commits.last());
}

#[test]
fn one_for_rules_alone_takes_nothing_over() {
    let mut world = world(&ALL);
    let mut wanted = wanted();
    wanted.partitions.clear();
    world.take(wanted.clone());
    wanted.partitions = vec![partition("a", &[])];
    world.take(wanted);
    assert_eq!(world.of(A), as_configured(true));
    assert_eq!(world.hooked(A), ALL);
    let commands = world.commits.last().unwrap();
    assert!(!commands.iter().any(|line| line.starts_with("delete")), "{commands:?}");
}

#[test]
fn a_table_that_is_refused_steps_down_alone_and_is_tried_again() {
    let mut world = world(&ALL);
    world.without_hardware = [A].into();
    world.take(wanted());
    let (hardware, reason, detail) = world.of(A);
    assert_eq!((hardware, reason), (false, Reason::Refused));
    assert!(detail.contains("busy"), "{detail}");
    assert_eq!(world.of(B), as_configured(true));
    assert_eq!(world.hooked(A), ["opt0", "wan0"]);
    assert_eq!(world.hooked(TABLE_HARDWARE), ALL);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    assert_eq!(world.control.status(None, world.now).last_error, None);
    let commits = world.commits.len();
    world.pass(Duration::from_secs(600));
    assert_eq!(world.commits.len(), commits, "what is refused changes nothing");
    assert!(world.refusals > 5);
    let told = |(level, _): &&(Level, String)| *level == Level::Warn;
    assert_eq!(world.log.iter().filter(told).count(), 1, "{:?}", world.log);
    world.without_hardware.clear();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.of(A), as_configured(true));
    assert_eq!(world.control.deadline(), None);
}

#[test]
fn where_a_device_can_be_bound_once_the_hardware_class_comes_first() {
    let mut world = world(&ALL);
    world.bound_once = true;
    world.take(wanted());
    assert_eq!(world.hooked(TABLE_HARDWARE), ALL);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    for table in [A, B] {
        let (hardware, reason, _) = world.of(table);
        assert_eq!((hardware, reason), (false, Reason::Refused));
    }
}

#[test]
fn without_partitions_in_the_way_the_hardware_class_steps_down_itself() {
    let mut world = world(&ALL);
    world.without_hardware = [TABLE_HARDWARE].into();
    world.take(wanted());
    assert_eq!(world.mode(), (Mode::Software, Reason::NoHardware));
    let (hardware, reason, _) = world.of(A);
    assert_eq!((hardware, reason), (false, Reason::NoHardware), "its devices have none now");
    world.without_hardware.clear();
    world.pass(Duration::from_secs(60));
    assert_eq!([A, B].map(|table| world.of(table)), [as_configured(true), as_configured(true)]);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
}

#[test]
fn what_is_to_offload_in_software_is_kept_from_switches() {
    let mut world = World::new();
    let both = ["lan0", "wan0"];
    let software = Partition { hardware: false, ..partition("a", &both) };
    let wanted = Settings {
        device_rules: vec![DeviceRule { glob: "lan0".into(), offload: DeviceOffload::Software }],
        partitions: vec![software, partition("b", &both)],
        ..settings(Mode::Hardware)
    };
    world.event(Event::Started);
    world.event(Event::Settings(Ok((wanted, Vec::new()))));
    world.rest();
    let kept = |table: Option<&str>, devices: &[&str]| {
        let devices: Vec<String> = devices.iter().map(|name| (*name).to_owned()).collect();
        world.control.kept_from_switches(table, devices.iter())
    };
    let ordinary = Some("flowtabled");
    assert_eq!(kept(ordinary, &["wan0"]), None);
    let told = Some("lan0 is to offload in software only".to_owned());
    assert_eq!(kept(ordinary, &["lan0", "wan0"]), told);
    let told = Some("table 'a' is to offload in software only".to_owned());
    assert_eq!(kept(Some("flowtabled_p_a"), &["wan0"]), told);
    assert_eq!(kept(Some("flowtabled_p_b"), &["wan0"]), None);
    assert!(kept(Some("flowtabled_p_gone"), &["wan0"]).is_some());
    assert_eq!(kept(None, &["wan0"]), None);
}
