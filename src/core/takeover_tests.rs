// SPDX-License-Identifier: GPL-2.0-or-later
//! firewall4 loads beside us, against a kernel in memory.

use super::*;
use crate::core::control::tests::{settings, World};
use crate::core::control::Event;
use crate::core::flows::pairs::Pair;
use crate::core::flows::table::tests::{entry, table_of};
use crate::core::plan::TABLE_SOFTWARE;
use crate::core::settings::{DeviceOffload, DeviceRule};
use crate::core::status::DeviceState;
use crate::netlink::nftables::event::NftEvent;
use crate::netlink::nftables::query::Found;

fn rule(handle: u64, expressions: &[Expression]) -> Rule {
    Rule {
        table: Table::inet(TABLE),
        chain: CHAIN.into(),
        expressions: expressions.to_vec(),
        comment: String::new(),
        handle,
    }
}

fn into(flowtable: &str) -> Expression {
    Expression::FlowOffload { flowtable: flowtable.into() }
}

fn offload_rule(handle: u64) -> Rule {
    let [meta, lookup] = Expression::meta_in(MetaKey::L4Proto, "__set0");
    rule(handle, &[meta, lookup, into(FLOWTABLE)])
}

fn users_rule(handle: u64) -> Rule {
    rule(handle, &[Expression::counter(), into(FLOWTABLE)])
}

/// What firewall4 leaves behind when it has loaded.
fn load(world: &mut World) {
    let flowtable = Flowtable {
        table: Table::inet(TABLE),
        name: FLOWTABLE.into(),
        priority: 0,
        devices: vec!["lan0".into(), "wan0".into()],
        hardware: false,
        counter: true,
        handle: 7,
    };
    let accept = rule(9, &[Expression::Other { name: "immediate".into() }]);
    world.kernel.flowtables.retain(|entry| entry.table != flowtable.table);
    world.kernel.flowtables.push(flowtable.clone());
    let rules = vec![offload_rule(8), accept];
    world.kernel.beside = Some(Found { flowtable, users: 1, rules });
    world.kernel.generation += 1;
}

fn told(world: &mut World) {
    world.event(Event::Nftables(NftEvent::Flowtable(Table::inet(TABLE))));
    world.rest();
}

fn with(takeover: bool) -> Settings {
    Settings { takeover, ..settings(Mode::Software) }
}

fn configure(world: &mut World, settings: Settings) {
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
}

fn beside_firewall4(takeover: bool) -> World {
    let mut world = World::new();
    load(&mut world);
    world.event(Event::Started);
    configure(&mut world, with(takeover));
    world
}

fn state(world: &World) -> (State, u64) {
    let status = world.control.status(None, world.now).takeover.unwrap();
    (status.state, status.count)
}

#[test]
fn theirs_goes_in_the_transaction_that_makes_ours() {
    let world = beside_firewall4(true);
    assert_eq!(world.commits.len(), 1);
    let taken = &world.commits[0][world.commits[0].len() - 3..];
    assert!(taken[0].starts_with("delete rule"), "{taken:?}");
    assert_eq!(taken[1], "delete flowtable ft of table inet fw4");
    assert_eq!(taken[2], "add flowtable ft of table inet fw4 devices {  }");
    assert_eq!(state(&world), (State::Taken, 1));
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    let found = world.kernel.beside.as_ref().unwrap();
    assert_eq!(found.rules.len(), 1, "no other rule is touched");
    let status = world.control.status(None, world.now);
    assert_eq!(status.foreign_flowtables, [""; 0]);
    assert_eq!(world.control.deadline(), None);
}

#[test]
fn only_the_rule_that_firewall4_writes_is_recognised() {
    let [meta, lookup] = Expression::meta_in(MetaKey::L4Proto, "__set0");
    let [_, inverted] = Expression::meta_not_in(MetaKey::L4Proto, "__set0");
    assert!(is_offload_rule(&offload_rule(1)));
    assert!(!is_offload_rule(&users_rule(1)));
    assert!(!is_offload_rule(&rule(1, &[meta.clone(), lookup.clone(), into("mine")])));
    assert!(!is_offload_rule(&rule(1, &[meta.clone(), inverted, into(FLOWTABLE)])));
    assert!(!is_offload_rule(&rule(1, &[into(FLOWTABLE)])));
    assert!(!is_offload_rule(&rule(1, &[meta, lookup])));
}

#[test]
fn each_load_is_followed_and_is_no_quarrel() {
    let mut world = beside_firewall4(true);
    for loads in 2..=20 {
        load(&mut world);
        told(&mut world);
        assert_eq!(state(&world), (State::Taken, loads));
    }
    assert_eq!(world.commits.len(), 20);
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    let mentions = world.log.iter().filter(|(_, line)| line.contains("firewall4")).count();
    assert_eq!(mentions, 1, "the log is told once: {:?}", world.log);
}

#[test]
fn a_load_is_followed_in_one_transaction_however_long_reading_it_takes() {
    let mut world = World::new();
    world.kernel.filtering = vec![Table::inet(TABLE)];
    load(&mut world);
    world.event(Event::Started);
    configure(&mut world, with(true));
    load(&mut world);
    world.event(Event::Nftables(NftEvent::Flowtable(Table::inet(TABLE))));
    let late = Duration::from_millis(40);
    world.pass(late);
    world.event(Event::Nftables(NftEvent::Rules(Table::inet(TABLE))));
    world.pass(DEBOUNCE - late);
    assert_eq!(world.commits.len(), 1, "it waits for what the rules make stale");
    world.pass(late);
    assert_eq!((world.commits.len(), state(&world)), (2, (State::Taken, 2)));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.commits.len(), 2);
    assert_eq!(world.control.status(None, world.now).evicted.count, 1);
}

#[test]
fn loads_without_end_are_given_time() {
    let mut world = beside_firewall4(true);
    for _ in 0..2 * OFTEN {
        load(&mut world);
        told(&mut world);
    }
    assert_eq!(world.commits.len(), OFTEN);
    let status = world.control.status(None, world.now);
    assert_eq!(state(&world), (State::Left, OFTEN as u64));
    assert!(status.last_error.unwrap().contains("loaded 30 times within a minute"));
    assert_eq!(world.mode(), (Mode::Software, Reason::TakeoverLeft), "ours is there all the same");
    assert_eq!(status.detail, "it has loaded 30 times within a minute");
    world.pass(Duration::from_secs(130));
    assert_eq!(state(&world), (State::Taken, OFTEN as u64 + 1));
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    assert_eq!(world.control.status(None, world.now).last_error, None);
}

#[test]
fn a_flowtable_that_others_use_keeps_its_devices() {
    let mut world = World::new();
    load(&mut world);
    let found = world.kernel.beside.as_mut().unwrap();
    found.rules.push(users_rule(20));
    found.users = 2;
    world.event(Event::Started);
    configure(&mut world, with(true));
    assert_eq!(state(&world), (State::Taken, 1));
    let found = world.kernel.beside.as_ref().unwrap();
    assert_eq!(found.flowtable.devices, ["lan0", "wan0"]);
    assert_eq!(found.rules.iter().map(|rule| rule.handle).collect::<Vec<_>>(), [9, 20]);
    let status = world.control.status(None, world.now);
    assert_eq!(status.foreign_flowtables, ["inet fw4 ft"]);
    assert_eq!(world.commits.len(), 1);

    // From a chain that is not read.
    let mut world = World::new();
    load(&mut world);
    world.kernel.beside.as_mut().unwrap().users = 2;
    world.event(Event::Started);
    configure(&mut world, with(true));
    assert_eq!(state(&world), (State::Taken, 1));
    assert_eq!(world.kernel.beside.as_ref().unwrap().flowtable.devices.len(), 2);
}

#[test]
fn a_refusal_does_not_keep_ours_from_being_made() {
    let mut world = World::new();
    load(&mut world);
    world.refuse_firewall = Some(libc::EPERM);
    world.event(Event::Started);
    configure(&mut world, with(true));
    assert_eq!(world.mode(), (Mode::Software, Reason::TakeoverLeft));
    assert_eq!(state(&world), (State::Left, 0));
    let error = world.control.status(None, world.now).last_error.unwrap();
    assert!(error.starts_with("firewall4's own offloading is left as it is: "), "{error}");
    world.pass(Duration::from_secs(20));
    let warnings = world.log.iter().filter(|(level, _)| *level == Level::Warn).count();
    assert_eq!(warnings, 1, "{:?}", world.log);
    world.refuse_firewall = None;
    world.pass(Duration::from_secs(60));
    assert_eq!(state(&world), (State::Taken, 1));
    assert_eq!(world.control.status(None, world.now).last_error, None);
}

#[test]
fn what_the_user_leaves_out_is_not_left_to_theirs() {
    let mut world = World::new();
    load(&mut world);
    let rule = DeviceRule { glob: "*".into(), offload: DeviceOffload::Off };
    world.event(Event::Started);
    configure(&mut world, Settings { device_rules: vec![rule], ..with(true) });
    assert_eq!(world.mode().0, Mode::Classic);
    assert_eq!(state(&world), (State::Taken, 1));
    assert_eq!(world.commits.len(), 1);
}

#[test]
fn without_anything_of_ours_theirs_stays() {
    let nothing = |change: &dyn Fn(&mut Settings)| {
        let mut world = World::new();
        load(&mut world);
        let mut settings = with(true);
        change(&mut settings);
        world.event(Event::Started);
        configure(&mut world, settings);
        assert_eq!(world.commits.len(), 0);
        assert_eq!(state(&world), (State::Left, 0));
    };
    nothing(&|settings| settings.enabled = false);
    nothing(&|settings| settings.requested = Mode::Classic);
    nothing(&|settings| settings.zones.clear());

    let mut world = World::new();
    load(&mut world);
    world.refuse_all = Some(libc::EPERM);
    world.event(Event::Started);
    configure(&mut world, with(true));
    assert_eq!(world.mode(), (Mode::Classic, Reason::NoPermission));
    assert_eq!(state(&world), (State::Left, 0));
}

#[test]
fn an_observer_changes_nothing_and_tells_what_is_there() {
    let mut world = beside_firewall4(false);
    assert_eq!(world.commits.len(), 0);
    assert_eq!(world.mode(), (Mode::Software, Reason::Observing));
    let status = world.control.status(None, world.now);
    assert_eq!(status.detail, "flowtable ft of table inet fw4: lan0 wan0");
    assert_eq!(status.takeover.unwrap().state, State::Left);
    assert_eq!(status.foreign_flowtables, ["inet fw4 ft"]);
    assert!(status.tables.is_empty());
    assert!(world.control.offloads(), "its flows are followed");
    let flow = table_of(&[entry(1, 100)]).flows(0).next().unwrap();
    assert_eq!(world.control.table_of(&flow, "lan0", "wan0"), Some(TABLE));
    assert_eq!(world.control.nothing_offloaded(), None);
    let devices = world.control.device_list();
    let hooked = devices
        .iter()
        .all(|device| (device.state, device.reason) == (DeviceState::Software, Reason::Observing));
    assert!(hooked, "{devices:?}");

    world.kernel.beside.as_mut().unwrap().flowtable.hardware = true;
    told(&mut world);
    let mut effective = |hardware, software| {
        let devices = ["lan0".to_owned(), "wan0".to_owned()];
        for _ in 0..8 {
            world.now += Duration::from_secs(2);
            let pair =
                Pair { devices: devices.clone(), routed: devices.clone(), hardware, software };
            world.event(Event::Offloaded(vec![pair]));
        }
        world.mode().0
    };
    assert_eq!(effective(0, 0), Mode::Hardware);
    assert_eq!(effective(3, 0), Mode::Hardware);
    assert_eq!(effective(0, 2), Mode::Software);
    assert_eq!(effective(1, 2), Mode::Hardware);

    world.kernel.beside = None;
    told(&mut world);
    assert_eq!(world.mode(), (Mode::Classic, Reason::Observing));
    assert_eq!(world.commits.len(), 0);
}

#[test]
fn ours_stays_until_firewall4_has_put_back_what_was_taken() {
    let mut world = beside_firewall4(true);
    configure(&mut world, with(false));
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    assert_eq!(world.commits.len(), 1);
    load(&mut world);
    told(&mut world);
    assert_eq!(world.commits[1], [format!("delete table inet {TABLE_SOFTWARE}")]);
    assert_eq!(world.mode(), (Mode::Software, Reason::Observing));

    configure(&mut world, with(true));
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    assert_eq!(state(&world), (State::Taken, 2));
    configure(&mut world, Settings { enabled: false, ..with(true) });
    assert_eq!(world.mode(), (Mode::Classic, Reason::Disabled));
    load(&mut world);
    told(&mut world);
    assert_eq!(state(&world), (State::Left, 2));
}
