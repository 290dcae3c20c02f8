// SPDX-License-Identifier: GPL-2.0-or-later
//! What is done while the kernel refuses what is wanted.

use super::*;
use crate::core::plan::{SET_BYPASS, TABLE_PARTITION, TABLE_SOFTWARE};
use crate::core::settings::Partition;
use crate::netlink::nftables::{Expression, Rule};

const SECOND: Duration = Duration::from_secs(1);

/// A router with a firewall and an offloaded flow or two, which wants a device more than the kernel
/// lets it have.
fn refused(mode: Mode, capable: &[&'static str]) -> World {
    let mut world = World::new();
    world.capable = capable.iter().copied().collect();
    world.kernel.filtering = vec![Table::inet("fw4")];
    world.start(mode);
    assert_eq!(world.commits.len(), 1);
    world.spiteful = ["lan1"].into();
    world.links.push(link(7, "lan1"));
    world.event(Event::Link(LinkEvent::New(link(7, "lan1"))));
    let mut settings = settings(mode);
    settings.interfaces[0].devices.push("lan1".into());
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
    assert_eq!(world.commits.len(), 1);
    assert!(world.control.backs_off(world.now));
    world
}

fn guests() -> Partition {
    Partition {
        name: "guests".into(),
        devices: vec!["lan0".into()],
        priority: None,
        counter: None,
        hardware: false,
    }
}

fn fault(world: &World) -> Option<String> {
    world.control.status(None, world.now).last_error
}

fn evictions(world: &World) -> u32 {
    world.control.status(None, world.now).evicted.count
}

fn errors(world: &World) -> usize {
    world.log.iter().filter(|(level, _)| *level == Level::Error).count()
}

fn rules_change(world: &mut World) {
    world.event(Event::Nftables(NftEvent::Rules(Table::inet("fw4"))));
}

/// What a table holds, without the generation.
fn contents(world: &World) -> Snapshot {
    Snapshot { generation: 0, ..world.kernel.clone() }
}

fn kept(world: &World) -> Vec<Vec<u8>> {
    let sets = world.kernel.sets.iter().filter(|set| set.name == SET_BYPASS);
    sets.flat_map(|set| set.elements.keys().cloned()).collect()
}

#[test]
fn stale_flows_return_without_what_is_refused() {
    let mut world = refused(Mode::Software, &[]);
    let (before, told) = (fault(&world), errors(&world));
    assert!(before.is_some());
    let (stands, retry) = (contents(&world), world.control.retry_at);
    rules_change(&mut world);
    world.pass(DEBOUNCE);
    assert_eq!(world.commits.len(), 2);
    assert_eq!(world.commits[1][0], "delete table inet flowtabled");
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["lan0", "wan0"], "as it stood");
    assert_eq!(contents(&world), stands);
    assert_eq!((evictions(&world), fault(&world), errors(&world)), (1, before.clone(), told));
    assert_eq!((world.control.retry_at, world.control.held), (retry, true));
    // A second change waits for its pause.
    rules_change(&mut world);
    world.pass(Cause::Firewall.pause());
    assert_eq!(evictions(&world), 2);
    // What is refused is tried in its own time, and done when it can be.
    world.spiteful.clear();
    world.pass(60 * SECOND);
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["lan0", "lan1", "wan0"]);
    assert_eq!((fault(&world), world.control.deadline()), (None, None));
    assert_eq!(evictions(&world), 2);
}

#[test]
fn evictions_do_not_bring_forward_what_is_refused() {
    let tries = |evicts: bool| {
        let mut world = refused(Mode::Software, &[]);
        let mut retries = Vec::new();
        let begin = world.now;
        for _ in 0..600 {
            if evicts {
                rules_change(&mut world);
            }
            world.pass(DEBOUNCE);
            let retry = world.control.retry_at.unwrap() - begin;
            if retries.last() != Some(&retry) {
                retries.push(retry);
            }
        }
        assert!(world.control.fault.is_some());
        assert_eq!(evictions(&world) > 20, evicts, "{} in a minute", evictions(&world));
        (retries, world.refusals)
    };
    assert_eq!(tries(true), tries(false));
}

#[test]
fn what_became_stale_along_with_the_refusal_is_not_held_up() {
    let mut world = World::new();
    world.kernel.filtering = vec![Table::inet("fw4")];
    world.start(Mode::Software);
    world.spiteful = ["wan0"].into();
    // The same debounce has both: a device that comes back, and a new rule.
    world.links.pop();
    world.kernel.flowtables[0].devices.pop();
    world.event(Event::Link(LinkEvent::Gone(3)));
    world.rest();
    world.links.push(link(9, "wan0"));
    world.event(Event::Link(LinkEvent::New(link(9, "wan0"))));
    rules_change(&mut world);
    world.rest();
    assert!(fault(&world).is_some());
    assert_eq!(evictions(&world), 1);
    assert_eq!(world.commits.last().unwrap()[0], "delete table inet flowtabled");
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["lan0"]);
}

#[test]
fn a_refused_table_leaves_the_others_to_be_made_anew() {
    let mut world = World::new();
    world.kernel.filtering = vec![Table::inet("fw4")];
    world.start(Mode::Software);
    let table = "flowtabled_p_guests";
    assert!(table.starts_with(TABLE_PARTITION));
    world.refuse_table = Some(table);
    let mut settings = settings(Mode::Software);
    settings.partitions = vec![guests()];
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
    assert!(fault(&world).is_some_and(|words| words.contains(table)));
    // By the plan lan0's flows are in the partition; they are where they have always been.
    world.event(Event::Link(LinkEvent::New(Link { mtu: 1400, ..link(2, "lan0") })));
    world.pass(Cause::Device.pause());
    assert_eq!(evictions(&world), 1);
    world.event(Event::Rerouted(Tables::Named(vec![table.into()])));
    world.pass(Cause::Routes.pause());
    assert_eq!(evictions(&world), 2);
    let anew = world.commits.iter().skip(1).map(|commit| commit[0].as_str());
    assert_eq!(anew.collect::<Vec<_>>(), ["delete table inet flowtabled"; 2]);
    assert!(fault(&world).is_some_and(|words| words.contains(table)));
    world.refuse_table = None;
    world.pass(60 * SECOND);
    assert_eq!((fault(&world), world.hooked(table)), (None, vec!["lan0".to_owned()]));
}

#[test]
fn tables_that_are_to_go_let_go_of_stale_flows_too() {
    let mut world = World::started(Mode::Software);
    world.capable = ["lan0", "wan0"].into();
    world.refuse_table = Some("flowtabled_p_guests");
    let mut settings = settings(Mode::Hardware);
    settings.partitions = vec![guests()];
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
    let wanted = world.control.wanted.iter().map(|class| class.flowtable.table.name.as_str());
    assert_eq!(wanted.collect::<Vec<_>>(), ["flowtabled_p_guests", TABLE_HARDWARE]);
    world.event(Event::Link(LinkEvent::New(Link { mtu: 1400, ..link(3, "wan0") })));
    world.pass(Cause::Device.pause());
    assert_eq!((evictions(&world), world.hooked(TABLE_HARDWARE)), (1, Vec::new()));
    assert_eq!(world.commits.last().unwrap()[0], "delete table inet flowtabled");
}

#[test]
fn flows_behind_a_route_may_be_in_any_table_that_stands() {
    let mut world = refused(Mode::Hardware, &["lan0"]);
    let named = |name: &str| Tables::Named(vec![name.to_owned()]);
    world.event(Event::Rerouted(named("flowtabled_p_new")));
    world.pass(DEBOUNCE);
    let tables = ["delete table inet flowtabled", "delete table inet flowtabled_hw"];
    let has = |line: &&str| world.commits[1].iter().any(|entry| entry == line);
    assert!(tables.iter().all(has), "{:?}", world.commits[1]);
    // One of them is not all, so what waits for its pause is not done along.
    world.event(Event::Rerouted(named(TABLE_SOFTWARE)));
    world.control.evict(Cause::Roaming, named(TABLE_SOFTWARE), world.now);
    world.pass(DEBOUNCE);
    assert_eq!(evictions(&world), 2);
    world.control.retry_at = Some(world.now + 100 * SECOND);
    world.pass(Cause::Routes.pause());
    assert_eq!(evictions(&world), 3);
}

#[test]
fn a_new_daemon_makes_anew_what_it_finds() {
    let mut world = refused(Mode::Hardware, &["lan0"]);
    let stands = contents(&world);
    assert_eq!(stands.tables.len(), 2);
    world.control = Control::new(world.now);
    let mut settings = settings(Mode::Hardware);
    settings.interfaces[0].devices.push("lan1".into());
    world.event(Event::Started);
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
    assert!(fault(&world).is_some());
    assert_eq!(world.commits.len(), 2, "nobody knows what has changed before it came");
    rules_change(&mut world);
    world.pass(Cause::Firewall.pause());
    assert_eq!(world.commits.len(), 3);
    let mut after = contents(&world);
    // In another order.
    after.tables.sort_by_key(|table| stands.tables.iter().position(|entry| entry == table));
    assert_eq!(after.tables, stands.tables);
    for flowtable in &stands.flowtables {
        assert!(after.flowtables.contains(flowtable), "{flowtable:?}");
    }
    assert_eq!(after.rules.len(), stands.rules.len());
}

#[test]
fn a_refused_eviction_is_told_once_and_keeps_its_pause() {
    let mut world = refused(Mode::Software, &[]);
    let (before, told) = (fault(&world), errors(&world));
    world.refuse_table = Some(TABLE_SOFTWARE);
    rules_change(&mut world);
    world.pass(DEBOUNCE);
    // The time until the fault's next try is not what this is about.
    world.control.retry_at = Some(world.now + 100 * SECOND);
    let surveys = world.surveys;
    world.pass(20 * SECOND);
    let surveys = world.surveys - surveys;
    assert!((9..=11).contains(&surveys), "{surveys} surveys in 20 s");
    assert_eq!((evictions(&world), fault(&world)), (0, before));
    assert_eq!(errors(&world), told + 1, "{:?}", world.log);
    assert!(world.log.last().unwrap().1.contains("cannot be handed back: "));
    world.refuse_table = None;
    world.pass(Cause::Firewall.pause());
    assert_eq!(evictions(&world), 1);
    // A later one is told again.
    world.refuse_table = Some(TABLE_SOFTWARE);
    rules_change(&mut world);
    world.pass(Cause::Firewall.pause() * 3);
    assert_eq!(errors(&world), told + 2);
}

#[test]
fn a_lost_race_delays_an_eviction_by_a_debounce() {
    let mut world = refused(Mode::Software, &[]);
    let told = world.log.len();
    world.refuse_all = Some(libc::ERESTART);
    rules_change(&mut world);
    world.pass(DEBOUNCE * 3);
    assert_eq!((evictions(&world), world.log.len()), (0, told));
    world.refuse_all = None;
    world.pass(DEBOUNCE);
    assert_eq!((evictions(&world), world.control.held), (1, true));
}

#[test]
fn a_device_that_vanishes_delays_an_eviction_and_is_no_fault_of_it() {
    let mut world = refused(Mode::Software, &[]);
    let told = world.log.len();
    // Gone between the survey and the transaction.
    world.ghosts = ["wan0"].into();
    rules_change(&mut world);
    world.pass(DEBOUNCE);
    world.kernel.flowtables[0].devices.pop();
    world.pass(DEBOUNCE);
    assert_eq!((evictions(&world), world.log.len()), (1, told + 1), "{:?}", world.log);
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["lan0"]);
}

#[test]
fn the_configurations_own_change_waits_for_the_configuration() {
    let mut world = refused(Mode::Software, &[]);
    // Only its rules would have kept the flows out; the old ones let them in again at once.
    world.control.evict(Cause::Settings, Tables::All, world.now);
    world.pass(DEBOUNCE);
    assert_eq!(world.commits.len(), 1);
    world.control.evict(Cause::Neighbour, Tables::All, world.now);
    world.pass(DEBOUNCE);
    assert_eq!((evictions(&world), world.commits.len()), (1, 2));
    let cause = |world: &World| world.control.status(None, world.now).evicted.last.unwrap().0;
    assert_eq!(cause(&world), Cause::Neighbour);
    world.spiteful.clear();
    world.pass(60 * SECOND);
    assert_eq!((evictions(&world), cause(&world)), (2, Cause::Settings));
    assert_eq!(fault(&world), None);
}

#[test]
fn a_table_that_cannot_be_said_again_goes() {
    let mut world = refused(Mode::Software, &[]);
    let foreign = Rule {
        expressions: vec![Expression::Other { name: "quota".into() }],
        ..world.kernel.rules[0].clone()
    };
    world.kernel.rules.insert(0, foreign);
    rules_change(&mut world);
    world.pass(DEBOUNCE);
    assert_eq!(world.commits[1], ["delete table inet flowtabled"]);
    assert_eq!(evictions(&world), 1);
    world.spiteful.clear();
    world.pass(60 * SECOND);
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
}

#[test]
fn orders_are_carried_out_on_what_stands() {
    let mut world = refused(Mode::Software, &[]);
    let (before, retry) = (fault(&world), world.control.retry_at);
    let evict = |ids: &[u32], tables: &[&str]| Order::Bypass {
        ids: ids.to_vec(),
        duration: 60 * SECOND,
        tables: tables.iter().map(|table| (*table).to_owned()).collect(),
        anywhere: false,
        unsettled: Vec::new(),
    };
    world.event(Event::Orders(vec![(1, evict(&[5], &[]))]));
    world.event(Event::Orders(vec![(2, evict(&[6], &["flowtabled_p_new"]))]));
    world.event(Event::Orders(vec![(3, Order::Flush)]));
    let kept_there = Done { bypassed: 1, ..Done::default() };
    let anew = Done { handed_back: true, ..Done::default() };
    let outcomes =
        [(1, Ok(kept_there)), (2, Ok(Done { handed_back: true, ..kept_there })), (3, Ok(anew))];
    assert_eq!(world.done, outcomes);
    assert_eq!(world.commits[1], ["add elements to set bypass of table inet flowtabled"]);
    assert_eq!(world.commits[2][0], "delete table inet flowtabled");
    assert_eq!(world.commits.len(), 4);
    assert_eq!(kept(&world), [5_u32, 6].map(|id| id.to_be_bytes().to_vec()));
    assert_eq!((fault(&world), world.control.retry_at), (before, retry));
    world.event(Event::Orders(vec![(4, Order::Release { ids: None })]));
    assert_eq!(world.done.last(), Some(&(4, Ok(Done { released: 2, ..Done::default() }))));
    assert!(kept(&world).is_empty());

    world.refuse_table = Some(TABLE_SOFTWARE);
    world.event(Event::Orders(vec![(5, Order::Flush)]));
    assert_eq!(world.done.last(), Some(&(5, Err(OrderError::Failed))));
}

#[test]
fn an_order_that_meets_the_refusal_is_carried_out_all_the_same() {
    let mut world = World::started(Mode::Software);
    world.spiteful = ["wan0"].into();
    world.kernel.flowtables[0].devices.pop();
    world.event(Event::Orders(vec![(1, Order::Flush)]));
    assert!(fault(&world).is_some());
    assert_eq!(world.done, [(1, Ok(Done { handed_back: true, ..Done::default() }))]);
    assert_eq!(world.commits[1][0], "delete table inet flowtabled");
}

#[test]
fn what_is_unknown_about_devices_holds_nothing_stale_up() {
    let mut world = World::new();
    world.kernel.filtering = vec![Table::inet("fw4")];
    world.start(Mode::Software);
    let error = Error::Timeout { doing: "list network devices" };
    world.event(Event::Links(Err(error)));
    assert!(fault(&world).is_some());
    rules_change(&mut world);
    world.pass(DEBOUNCE);
    assert_eq!(evictions(&world), 1);
}

#[test]
fn without_a_configuration_what_stands_is_looked_after() {
    let mut world = World::new();
    world.kernel.filtering = vec![Table::inet("fw4")];
    world.start(Mode::Software);
    let stands = contents(&world);
    world.control = Control::new(world.now);
    world.event(Event::Started);
    world.event(Event::Settings(Err("firewall:2: half a line".into())));
    world.pass(SECOND * 10);
    let commits = world.commits.len();
    rules_change(&mut world);
    world.pass(DEBOUNCE);
    assert_eq!(world.commits.len(), commits + 1);
    assert_eq!(world.commits[commits][0], "delete table inet flowtabled");
    world.event(Event::Link(LinkEvent::New(Link { mtu: 1400, ..link(2, "lan0") })));
    world.pass(Cause::Device.pause());
    assert_eq!(world.commits.len(), commits + 2);
    world.event(Event::Orders(vec![(1, Order::Flush)]));
    assert_eq!(world.done, [(1, Ok(Done { handed_back: true, ..Done::default() }))]);
    assert_eq!(contents(&world), stands, "as it stood");
    assert_eq!(world.mode(), (Mode::Software, Reason::NoConfiguration));
    assert_eq!(world.control.deadline(), None);
    // Mended, it is what stands.
    let commits = world.commits.len();
    world.event(Event::Settings(Ok((settings(Mode::Software), Vec::new()))));
    world.rest();
    assert_eq!((world.commits.len(), world.mode().1), (commits, Reason::AsConfigured));
}
