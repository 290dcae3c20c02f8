// SPDX-License-Identifier: GPL-2.0-or-later
//! Evidence of live flows, alone and with the control loop.

use super::*;
use crate::core::control::tests::{settings, World};
use crate::core::control::Event;
use crate::core::links::tests::link;
use crate::core::plan::{TABLE_HARDWARE, TABLE_SOFTWARE};
use crate::core::reason::Reason;
use crate::core::settings::{Mode, Partition, Settings};
use crate::core::status::DeviceState;
use crate::netlink::route::Link;

const PATIENCE: Duration = Duration::from_secs(180);

fn pair(one: &str, other: &str, hardware: u32, software: u32) -> Pair {
    let devices = [one, other].map(str::to_owned);
    Pair { routed: devices.clone(), devices, hardware, software }
}

/// Devices `a`, `b`, `c` in the hardware class, and lists of flows every two seconds.
struct Lists {
    evidence: Evidence,
    links: Links,
    now: Instant,
    log: Vec<String>,
}

impl Lists {
    fn new() -> Lists {
        let mut links = Links::default();
        links.replace(vec![link(1, "a"), link(2, "b"), link(3, "c")]);
        Lists { evidence: Evidence::default(), links, now: Instant::now(), log: Vec::new() }
    }

    /// Takes the same list for so many seconds; devices that are barred are in it no more.
    fn pass(&mut self, seconds: u64, pairs: &[Pair]) {
        for _ in 0..seconds / 2 {
            self.now += Duration::from_secs(2);
            let bound = ["a", "b", "c"].map(str::to_owned).into_iter();
            let bound = bound.filter(|name| !self.evidence.bars(name)).collect();
            let effects = self.evidence.judge(pairs, &bound, &self.links, Some(PATIENCE), self.now);
            for effect in effects {
                let Effect::Log(_, line) = effect else { panic!("{effect:?}") };
                self.log.push(line);
            }
        }
    }
}

#[test]
fn only_the_device_that_takes_no_flow_is_blamed() {
    let mut lists = Lists::new();
    let flows = [pair("a", "b", 2, 1), pair("a", "c", 0, 3), pair("b", "c", 0, 1)];
    lists.pass(6, &flows);
    assert!(lists.evidence.names().is_empty(), "that may be chance");
    lists.pass(2, &flows);
    assert_eq!(lists.evidence.names(), ["c"]);
    // Without flows between the two that work, their earlier ones still speak for them.
    lists.pass(60, &flows[1..]);
    assert_eq!(lists.evidence.names(), ["c"]);
    assert_eq!(lists.log.len(), 1, "{:?}", lists.log);
    lists.pass(2, &[pair("b", "c", 1, 0)]);
    assert!(lists.evidence.names().is_empty());
    assert_eq!(lists.log[1], "device c: flows are in hardware");
}

#[test]
fn without_a_flow_in_hardware_both_devices_are_blamed() {
    let mut lists = Lists::new();
    lists.pass(12, &[pair("a", "b", 0, 1)]);
    assert_eq!(lists.evidence.names(), ["a", "b"]);
}

#[test]
fn silence_says_nothing() {
    let mut lists = Lists::new();
    for _ in 0..20 {
        lists.pass(2, &[pair("a", "b", 0, 1)]);
        lists.pass(2, &[]);
    }
    assert!(lists.evidence.names().is_empty(), "never twice in a row");
    lists.pass(12, &[pair("a", "other", 0, 1)]);
    assert!(lists.evidence.names().is_empty(), "not in the hardware class");
    lists.pass(12, &[pair("a", "b", 0, 1)]);
    lists.pass(3600, &[]);
    assert_eq!(lists.evidence.names(), ["a", "b"], "nothing has shown the contrary");
}

#[test]
fn a_device_without_hardware_is_left_to_software_with_growing_pauses() {
    let mut lists = Lists::new();
    let flows = [pair("a", "b", 1, 0), pair("a", "c", 0, 1)];
    lists.pass(PATIENCE.as_secs(), &flows);
    assert!(!lists.evidence.bars("c"));
    lists.pass(2, &flows);
    assert!(lists.evidence.bars("c") && !lists.evidence.bars("a"));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let until = lists.evidence.deadline().unwrap();
        pauses.push(until.duration_since(lists.now).as_secs());
        assert!(!lists.evidence.release(until - Duration::from_secs(1)));
        assert!(lists.evidence.release(until));
        assert!(lists.evidence.unseen("c"), "until a flow shows the contrary");
        lists.now = until;
        lists.pass(PATIENCE.as_secs(), &flows);
        assert!(!lists.evidence.bars("c"));
        lists.pass(2, &flows);
        assert!(lists.evidence.bars("c"));
    }
    assert_eq!(pauses, [720, 1440, 2880, 5760, 11_520, 21_600, 21_600, 21_600]);
    assert_eq!(lists.log.len(), 2, "told once: {:?}", lists.log);
}

#[test]
fn a_full_table_bars_nobody_who_has_worked_but_a_dead_one_does() {
    let mut lists = Lists::new();
    lists.pass(2, &[pair("a", "b", 1, 0), pair("a", "c", 1, 0)]);
    lists.pass(600, &[pair("a", "b", 4, 2), pair("b", "c", 0, 9)]);
    assert_eq!(lists.evidence.names(), ["c"]);
    assert_eq!(lists.evidence.deadline(), None);
    lists.pass(200, &[pair("a", "b", 0, 6), pair("b", "c", 0, 9)]);
    assert_eq!(lists.evidence.names(), ["a", "b", "c"]);
    assert!(lists.evidence.bars("a") && lists.evidence.bars("b") && lists.evidence.bars("c"));
}

#[test]
fn a_port_stays_while_another_of_its_bridge_works() {
    let mut lists = Lists::new();
    let port = |index, name| Link { master: Some(7), ..link(index, name) };
    lists.links.replace(vec![link(1, "a"), port(2, "b"), port(3, "c"), link(7, "bridge")]);
    let flows = [pair("a", "b", 1, 0), pair("a", "c", 0, 1)];
    lists.pass(4 * PATIENCE.as_secs(), &flows);
    assert_eq!(lists.evidence.names(), ["c"], "what is seen is said");
    // The other port is silent, and has worked.
    lists.pass(4 * PATIENCE.as_secs(), &flows[1..]);
    assert!(!lists.evidence.bars("c"));
    // It works no more: the bridge is better off in software.
    lists.pass(PATIENCE.as_secs() + 12, &[pair("a", "b", 0, 1), pair("a", "c", 0, 1)]);
    assert!(lists.evidence.bars("b") && lists.evidence.bars("c"));
}

#[test]
fn a_port_of_another_bridge_holds_nobody() {
    let mut lists = Lists::new();
    let port = |index, name, master| Link { master: Some(master), ..link(index, name) };
    lists.links.replace(vec![link(1, "a"), port(2, "b", 7), port(3, "c", 8)]);
    lists.pass(PATIENCE.as_secs() + 6, &[pair("a", "b", 1, 0), pair("a", "c", 0, 1)]);
    assert!(lists.evidence.bars("c"));
}

#[test]
fn another_device_of_the_name_is_another_device() {
    let mut lists = Lists::new();
    lists.pass(12, &[pair("a", "b", 0, 1)]);
    lists.links.replace(vec![link(1, "a"), link(9, "b")]);
    lists.evidence.prune(&lists.links);
    assert_eq!(lists.evidence.names(), ["a"]);
}

impl World {
    /// Lists of flows for so many seconds.
    fn lists(&mut self, seconds: u64, pairs: &[Pair]) {
        for _ in 0..seconds / 2 {
            self.now += Duration::from_secs(2);
            self.event(Event::Offloaded(pairs.to_vec()));
        }
        self.rest();
    }

    fn told(&self, name: &str) -> (DeviceState, Reason) {
        let devices = self.control.device_list();
        let device = devices.iter().find(|device| device.name == name).unwrap();
        (device.state, device.reason)
    }
}

fn hardware_world(patience: Option<Duration>) -> World {
    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.start(Mode::Hardware);
    let wanted = Settings { hardware_patience: patience, ..settings(Mode::Hardware) };
    world.event(Event::Settings(Ok((wanted, Vec::new()))));
    world.rest();
    world
}

#[test]
fn the_mode_steps_down_with_the_flows_and_up_again() {
    let mut world = hardware_world(None);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    world.lists(14, &[pair("lan0", "wan0", 0, 3)]);
    assert_eq!(world.mode(), (Mode::Software, Reason::NoHardwareSeen));
    let status = world.control.status(None, world.now);
    assert_eq!(status.detail, "lan0, wan0");
    let present = world.control.present();
    assert_eq!((present.mode.effective, present.mode.reason), world.mode());
    assert_eq!(world.told("lan0"), (DeviceState::Software, Reason::NoHardwareSeen));
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0", "wan0"], "nobody asked for less");
    world.lists(600, &[pair("lan0", "wan0", 0, 3)]);
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0", "wan0"], "nor for an end");
    world.lists(2, &[pair("lan0", "wan0", 1, 2)]);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    assert_eq!(world.told("lan0"), (DeviceState::Hardware, Reason::AsConfigured));
}

#[test]
fn devices_leave_the_hardware_class_and_are_tried_again() {
    let mut world = hardware_world(Some(PATIENCE));
    let commits = world.commits.len();
    world.lists(184, &[pair("lan0", "wan0", 0, 3)]);
    assert_eq!(world.commits.len(), commits + 1);
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["lan0", "wan0"]);
    assert_eq!(world.hooked(TABLE_HARDWARE), Vec::<String>::new());
    assert_eq!(world.mode(), (Mode::Software, Reason::NoHardwareSeen));
    assert_eq!(world.told("wan0"), (DeviceState::Software, Reason::NoHardwareSeen));
    world.now = world.control.deadline().unwrap();
    world.event(Event::Timer);
    world.rest();
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0", "wan0"]);
    assert_eq!(world.mode(), (Mode::Software, Reason::NoHardwareSeen), "not yet shown to work");
    world.lists(2, &[pair("lan0", "wan0", 1, 0)]);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    assert_eq!(world.control.deadline(), None);
}

#[test]
fn flows_that_our_rules_send_into_software_say_nothing() {
    let mut world = World::new();
    world.capable = ["lan1", "lan2", "wan0"].into();
    let port = |index, name| Link { master: Some(2), ..link(index, name) };
    let bridge = Link { kind: "bridge".into(), ..link(2, "br-lan") };
    let mut links = vec![bridge, link(3, "wan0"), port(4, "lan1"), port(5, "lan2")];
    links.push(Link { wireless: true, ..port(6, "phy0-ap0") });
    world.set_links(links);
    let mut wanted = settings(Mode::Hardware);
    wanted.interfaces[0].devices = vec!["br-lan".into()];
    wanted.hardware_patience = Some(PATIENCE);
    world.event(Event::Started);
    world.event(Event::Settings(Ok((wanted, Vec::new()))));
    world.rest();
    let bound = ["lan1", "lan2", "wan0"];
    assert_eq!(world.hooked(TABLE_HARDWARE), bound);
    let flows =
        Pair { routed: ["br-lan", "wan0"].map(str::to_owned), ..pair("lan1", "wan0", 0, 3) };
    world.lists(600, std::slice::from_ref(&flows));
    assert_eq!(world.hooked(TABLE_HARDWARE), bound);
    assert_eq!(world.told("lan1"), (DeviceState::Hardware, Reason::AsConfigured));

    // Without the port in software they go into the hardware class, and do count.
    let mut links = world.links();
    links.pop();
    world.set_links(links.clone());
    world.event(Event::Links(Ok(links)));
    world.rest();
    world.lists(14, &[flows]);
    assert_eq!(world.told("lan1"), (DeviceState::Software, Reason::NoHardwareSeen));
    assert_eq!(world.told("lan2"), (DeviceState::Hardware, Reason::AsConfigured));
}

/// A router that does hardware, with a partition for the flows between two devices.
fn partitioned(hardware: bool) -> (World, Settings) {
    let mut world = World::new();
    world.capable = ["lan0", "opt0", "wan0"].into();
    world.set_links(vec![link(2, "lan0"), link(3, "wan0"), link(4, "opt0")]);
    let mut wanted = settings(Mode::Hardware);
    wanted.interfaces[0].devices = vec!["lan0".into(), "opt0".into()];
    wanted.partitions = vec![Partition {
        name: "a".into(),
        devices: vec!["opt0".into(), "wan0".into()],
        priority: None,
        counter: None,
        hardware,
    }];
    world.event(Event::Started);
    world.event(Event::Settings(Ok((wanted.clone(), Vec::new()))));
    world.rest();
    (world, wanted)
}

#[test]
fn flows_of_partitions_say_nothing_and_the_others_do() {
    let (mut world, mut wanted) = partitioned(false);
    assert_eq!(world.hooked("flowtabled_p_a"), ["opt0", "wan0"]);
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0", "opt0", "wan0"]);
    assert!(world.control.wants_evidence());
    world.lists(14, &[pair("opt0", "wan0", 0, 3)]);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured), "the partition has them");
    world.lists(14, &[pair("lan0", "wan0", 0, 3), pair("opt0", "wan0", 0, 3)]);
    assert_eq!(world.told("lan0"), (DeviceState::Software, Reason::NoHardwareSeen));
    assert_eq!(world.told("opt0"), (DeviceState::Hardware, Reason::AsConfigured));

    // What the kernel still has of one that is wanted no more may have any flow.
    world.refuse_all = Some(libc::ENOMEM);
    wanted.partitions.clear();
    world.event(Event::Settings(Ok((wanted, Vec::new()))));
    world.rest();
    assert_eq!(world.hooked("flowtabled_p_a"), ["opt0", "wan0"]);
    assert!(!world.control.wants_evidence());
}

#[test]
fn flows_of_a_partition_with_hardware_say_what_they_see() {
    let (mut world, _) = partitioned(true);
    let table = |world: &World| {
        let tables = world.control.status(None, world.now).tables;
        let table = tables.into_iter().find(|table| table.name == "flowtabled_p_a").unwrap();
        (table.hardware, table.reason.unwrap())
    };
    let flows = [pair("lan0", "wan0", 3, 0), pair("opt0", "wan0", 0, 3)];
    world.lists(14, &flows);
    assert_eq!(world.told("opt0"), (DeviceState::Software, Reason::NoHardwareSeen));
    assert_eq!(world.told("wan0"), (DeviceState::Hardware, Reason::AsConfigured));
    assert_eq!(table(&world), (true, (Reason::NoHardwareSeen, "opt0".into())));
    world.lists(184, &flows);
    world.rest();
    assert_eq!(table(&world), (false, (Reason::NoHardwareSeen, "opt0".into())));
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0", "wan0"]);
}

#[test]
fn a_bar_does_not_grow_while_the_kernel_refuses_the_move() {
    let mut world = hardware_world(Some(PATIENCE));
    let flows = [pair("lan0", "wan0", 0, 3)];
    world.refuse_all = Some(libc::ENOMEM);
    world.lists(184, &flows);
    let until = world.control.evidence.deadline().unwrap();
    let surveys = world.surveys;
    (0..30).for_each(|_| world.lists(2, &flows));
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0", "wan0"], "still refused");
    assert_eq!(world.control.evidence.deadline(), Some(until));
    assert!(world.surveys - surveys < 10, "{} surveys", world.surveys - surveys);
    world.refuse_all = None;
    world.pass(Duration::from_secs(120));
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["lan0", "wan0"]);
    assert_eq!(world.control.evidence.deadline(), Some(until));
}

#[test]
fn a_new_configuration_is_a_new_chance() {
    let mut world = hardware_world(Some(PATIENCE));
    world.lists(200, &[pair("lan0", "wan0", 0, 3)]);
    world.event(Event::Settings(Ok((settings(Mode::Hardware), Vec::new()))));
    world.rest();
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    assert_eq!(world.control.deadline(), None);
}

#[test]
fn flows_in_a_foreign_flowtable_say_nothing() {
    let mut world = hardware_world(None);
    assert!(world.control.wants_evidence());
    let mut foreign = world.kernel.flowtables[0].clone();
    foreign.table.name = "other".into();
    world.kernel.flowtables.push(foreign);
    world.event(Event::Refreshed(Ok(world.kernel.clone())));
    assert!(world.control.wants_evidence(), "it has the flag as well");
    world.kernel.flowtables[1].hardware = false;
    world.event(Event::Refreshed(Ok(world.kernel.clone())));
    assert!(!world.control.wants_evidence());
}
