// SPDX-License-Identifier: GPL-2.0-or-later
//! Which tables are made anew after which change, and when.

use std::cell::Cell;

use super::*;
use crate::core::control::tests::{settings, World};
use crate::core::control::Event;
use crate::core::flows::table::tests::{entry, table_of as flows_of};
use crate::core::flows::{Flow, FlowState};
use crate::core::links::tests::link;
use crate::core::orders::Order;
use crate::core::plan::{TABLE_HARDWARE, TABLE_SOFTWARE};
use crate::core::settings::{DeviceOffload, DeviceRule, Mode, Settings};
use crate::core::topology::moves::{Moves, Rerouted};
use crate::netlink::route::{Link, LinkEvent, RouteChange};

const MS: Duration = Duration::from_millis(1);
const PAUSE: Duration = Cause::Firewall.pause();

fn fw4() -> Table {
    Table::inet("fw4")
}

/// A router with a firewall, whose switch does hardware for these devices.
fn router(capable: &[&'static str]) -> World {
    let mut world = World::new();
    world.capable = capable.iter().copied().collect();
    world.kernel.filtering = vec![fw4()];
    world.start(if capable.is_empty() { Mode::Software } else { Mode::Hardware });
    assert_eq!(world.commits.len(), 1);
    world
}

fn rules_change(world: &mut World) {
    world.event(Event::Nftables(NftEvent::Rules(fw4())));
}

/// Names of the tables that the last transaction made anew.
fn anew(world: &World) -> Vec<String> {
    let lines = world.commits.last().unwrap().iter();
    lines.filter_map(|line| line.strip_prefix("delete table inet ").map(str::to_owned)).collect()
}

fn last(world: &World) -> Option<(Cause, u64)> {
    world.control.status(None, world.now).evicted.last
}

#[test]
fn a_changed_rule_evicts_within_one_debounce_and_once() {
    let mut world = router(&[]);
    rules_change(&mut world);
    rules_change(&mut world);
    world.pass(DEBOUNCE - MS);
    assert_eq!(world.commits.len(), 1);
    world.pass(MS);
    assert_eq!(world.commits.len(), 2);
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.commits.len(), 2, "our own change is none of others");
    assert_eq!(last(&world), Some((Cause::Firewall, 60)));
    assert!(world.log.contains(&(
        Level::Info,
        "flows are handed back: the firewall's rules have changed".into()
    )));
}

#[test]
fn what_is_not_shown_stays_away_until_its_table_is_freed() {
    let mut world = router(&[]);
    world.event(Event::Unshown(vec![7]));
    let marked = |world: &World| world.control.bypassed(7, world.now).is_some();
    assert_eq!((world.commits.len(), anew(&world).len()), (2, 0), "first it is kept away");
    assert!(marked(&world));
    world.pass(DEBOUNCE);
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
    assert!(marked(&world), "in the new table too");
    assert_eq!(last(&world), Some((Cause::Unshown, 0)));
    // What is found again waits for its time, and stays away for as long.
    world.event(Event::Unshown(vec![7]));
    world.pass(Cause::Unshown.pause());
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
    assert!(marked(&world));
    world.pass(APART);
    assert!(!marked(&world));
}

#[test]
fn what_waits_is_done_along_with_something_else() {
    let mut world = router(&["lan0"]);
    rules_change(&mut world);
    world.pass(DEBOUNCE);
    assert_eq!(anew(&world), [TABLE_HARDWARE, TABLE_SOFTWARE]);
    rules_change(&mut world);
    world.event(Event::Orders(vec![(1, Order::Flush)]));
    let flushed = world.commits.len();
    world.pass(PAUSE + DEBOUNCE);
    assert_eq!(world.commits.len(), flushed, "the flush has made both anew");
    let names = |names: &[&str]| Tables::Named(names.iter().map(|name| (*name).into()).collect());
    let mut waits = names(&["a", "b"]);
    assert!(!waits.remove(&names(&["b", "c"])));
    assert_eq!(waits, names(&["a"]));
    assert!(waits.remove(&names(&["a"])) && waits.is_none());
    let mut waits = Tables::All;
    assert!(!waits.remove(&names(&["a"])), "there may be others");
    assert!(waits.remove(&Tables::All));
}

#[test]
fn a_source_that_never_pauses_is_held_back() {
    let mut world = router(&[]);
    for _ in 0..100 {
        rules_change(&mut world);
        world.pass(100 * MS);
    }
    let evictions = world.control.status(None, world.now).evicted.count;
    assert!((5..=6).contains(&evictions), "{evictions} in ten seconds");
    world.pass(PAUSE);
    let after = world.control.status(None, world.now).evicted.count;
    assert_eq!(after, evictions + 1, "the last change is not forgotten");
    let told = world.log.iter().filter(|(_, line)| line.contains("handed back"));
    assert_eq!(told.count(), 1);
    // Another cause does not wait for it.
    rules_change(&mut world);
    world.event(Event::Rerouted(Tables::All));
    world.rest();
    assert_eq!(last(&world), Some((Cause::Routes, 0)));
}

#[test]
fn tables_that_no_forwarded_packet_passes_concern_nobody() {
    let mut world = router(&[]);
    let bans = Table::inet("bans");
    for event in [
        NftEvent::Rules(bans.clone()),
        NftEvent::Chains(bans.clone()),
        NftEvent::Object(fw4()),
        NftEvent::Flowtable(fw4()),
    ] {
        world.event(Event::Nftables(event));
        world.rest();
    }
    assert_eq!(world.commits.len(), 1);
    // Its first chain in the way.
    world.kernel.filtering.push(bans.clone());
    world.event(Event::Nftables(NftEvent::Chains(bans.clone())));
    world.event(Event::Nftables(NftEvent::Rules(bans.clone())));
    world.rest();
    assert_eq!(world.commits.len(), 2);
    // It goes with its rules.
    world.pass(PAUSE);
    world.kernel.filtering.pop();
    world.event(Event::Nftables(NftEvent::Chains(bans)));
    world.rest();
    assert_eq!(world.commits.len(), 3);
    // Too many at once to look at each.
    world.pass(PAUSE);
    for number in 0..=SUSPECTS_MAX {
        world.event(Event::Nftables(NftEvent::Chains(Table::inet(&format!("t{number}")))));
    }
    world.rest();
    assert_eq!(world.commits.len(), 4);
}

#[test]
fn it_can_be_switched_off() {
    let mut world = router(&[]);
    let off = Settings { evict_on_reload: false, ..settings(Mode::Software) };
    world.event(Event::Settings(Ok((off, Vec::new()))));
    rules_change(&mut world);
    world.event(Event::Nftables(NftEvent::Chains(Table::inet("new"))));
    world.rest();
    assert_eq!(world.commits.len(), 1);
}

#[test]
fn lost_events_may_have_been_about_rules() {
    let mut world = router(&[]);
    world.event(Event::EventsLost);
    world.rest();
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
}

#[test]
fn nothing_waits_where_nothing_is_offloaded() {
    let mut world = router(&[]);
    world.event(Event::Settings(Ok((settings(Mode::Classic), Vec::new()))));
    world.rest();
    world.kernel.filtering.clear(); // not read any more
    let commits = world.commits.len();
    rules_change(&mut world);
    world.event(Event::Rerouted(Tables::All));
    world.rest();
    assert_eq!((world.commits.len(), world.control.deadline()), (commits, None));
    world.event(Event::Settings(Ok((settings(Mode::Software), Vec::new()))));
    world.pass(PAUSE);
    assert_eq!(world.commits.len(), commits + 1, "what was due then is not done now");
}

#[test]
fn a_refused_eviction_is_tried_again() {
    let mut world = router(&[]);
    world.refuse_all = Some(libc::ENOMEM);
    rules_change(&mut world);
    world.rest();
    assert_eq!(world.control.status(None, world.now).evicted.count, 0);
    world.refuse_all = None;
    world.pass(Duration::from_secs(2));
    assert_eq!(world.control.status(None, world.now).evicted.count, 1);
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
}

#[test]
fn what_others_do_to_our_table_is_repaired_in_the_same_transaction() {
    let mut world = router(&[]);
    world.kernel.rules.clear();
    world.kernel.generation += 1;
    world.event(Event::Nftables(NftEvent::Rules(Table::inet(TABLE_SOFTWARE))));
    rules_change(&mut world);
    world.rest();
    assert_eq!(world.commits.len(), 2);
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
}

/// A world in which `change` happens to a device, and what is made anew by it.
fn after(world: &mut World, event: LinkEvent) -> Vec<String> {
    let before = world.commits.len();
    world.event(Event::Link(event));
    world.pass(PAUSE);
    if world.commits.len() == before {
        return Vec::new();
    }
    anew(world)
}

#[test]
fn an_mtu_evicts_only_the_tables_with_the_device() {
    let mut world = router(&["lan0", "wan0"]);
    let lan0 = || Link { mtu: 1400, ..link(2, "lan0") };
    assert_eq!(after(&mut world, LinkEvent::New(lan0())), [TABLE_HARDWARE]);
    assert_eq!(last(&world).map(|(cause, _)| cause), Some(Cause::Device));
    assert_eq!(after(&mut world, LinkEvent::New(lan0())), Vec::<String>::new());
    let other = |mtu| LinkEvent::New(Link { mtu, ..link(9, "lo") });
    assert_eq!(after(&mut world, other(1500)), Vec::<String>::new());
    assert_eq!(after(&mut world, other(1400)), Vec::<String>::new(), "nobody's device");
    let paired = Link { kind: "veth".into(), lower: Some(9), ..lan0() };
    assert_eq!(after(&mut world, LinkEvent::New(paired)), Vec::<String>::new(), "only its peer");
    let stands = Link { kind: "macvlan".into(), lower: Some(9), ..lan0() };
    assert_eq!(after(&mut world, LinkEvent::New(stands)), [TABLE_HARDWARE]);
    let down = Link { up: false, ..lan0() };
    assert_eq!(after(&mut world, LinkEvent::New(down)), Vec::<String>::new(), "as when it goes");
    assert_eq!(after(&mut world, LinkEvent::New(lan0())), Vec::<String>::new());
    let moved = Link { master: Some(9), ..lan0() };
    assert_eq!(after(&mut world, LinkEvent::New(moved)), [TABLE_HARDWARE]);
}

/// A bridge `lan0` with the ports `p1` and `p2`, which does hardware on none of them.
fn bridged() -> World {
    let mut world = World::new();
    world.kernel.filtering = vec![fw4()];
    world.set_links(vec![
        Link { kind: "bridge".into(), ..link(2, "lan0") },
        link(3, "wan0"),
        Link { master: Some(2), ..link(4, "p1") },
        Link { master: Some(2), ..link(5, "p2") },
    ]);
    world.start(Mode::Software);
    world
}

#[test]
fn the_kernel_lets_go_of_ports_but_not_of_bridges() {
    let mut world = bridged();
    let down = Link { master: Some(2), up: false, ..link(4, "p1") };
    assert_eq!(after(&mut world, LinkEvent::New(down)), Vec::<String>::new());
    let down = |up| LinkEvent::New(Link { kind: "bridge".into(), up, ..link(2, "lan0") });
    assert_eq!(after(&mut world, down(false)), [TABLE_SOFTWARE]);
    assert_eq!(after(&mut world, down(true)), Vec::<String>::new());
    // The list tells what an event that was lost would have.
    let mut links = world.links();
    links[0].mtu = 1300;
    world.set_links(links);
    world.event(Event::Links(Ok(world.links())));
    world.pass(PAUSE);
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
    assert_eq!(last(&world).map(|(cause, _)| cause), Some(Cause::Device));
}

#[test]
fn the_last_radio_that_leaves_a_bridge_ends_no_flows() {
    let mut world = World::new();

    let port = |index, name| Link { master: Some(2), ..link(index, name) };
    let bridge = Link { kind: "bridge".into(), ..link(2, "lan0") };
    world.set_links(vec![
        bridge,
        link(3, "wan0"),
        port(4, "p1"),
        Link { wireless: true, ..port(5, "phy0-ap0") },
    ]);
    world.start(Mode::Software);
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["lan0", "p1", "phy0-ap0", "wan0"]);
    let commits = world.commits.len();
    world.set_links(world.links().into_iter().filter(|link| link.index != 5).collect());
    world.event(Event::Link(LinkEvent::Gone(5)));
    world.pass(PAUSE);
    let new: Vec<&String> = world.commits[commits..].iter().flatten().collect();
    assert!(new.iter().all(|line| line.starts_with("take devices { phy0-ap0 }")), "{new:?}");
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["lan0", "p1", "wan0"]);
    // Whatever makes the table anew leaves the bridge out, and nothing puts it back.
    world.event(Event::Orders(vec![(1, Order::Flush)]));
    world.rest();
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["p1", "wan0"]);
    // One that is to be left out is not merely superfluous.
    let mut world = bridged();
    world.kernel.flowtables[0].devices.push("lan0".into());
    let mut off = settings(Mode::Software);
    off.device_rules = vec![DeviceRule { glob: "p2".into(), offload: DeviceOffload::Off }];
    world.event(Event::Settings(Ok((off, Vec::new()))));
    world.rest();
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
    assert_eq!(world.hooked(TABLE_SOFTWARE), ["p1", "wan0"]);
}

#[test]
fn roaming_evicts_tables_with_the_port() {
    let mut world = bridged();
    let moved = |ports: &[u32]| Event::Moved(Moves { ports: ports.to_vec(), neighbours: vec![] });
    world.event(moved(&[77]));
    world.rest();
    assert_eq!(last(&world), None, "nobody's port");
    world.event(moved(&[4]));
    world.rest();
    assert_eq!(anew(&world), [TABLE_SOFTWARE]);
    assert_eq!(last(&world), Some((Cause::Roaming, 0)));
}

#[test]
fn a_new_mac_evicts_only_where_the_kernel_keeps_it() {
    let moved = |index| Event::Moved(Moves { ports: vec![], neighbours: vec![index] });
    let mut world = bridged();
    world.event(moved(3));
    world.rest();
    assert_eq!(last(&world), None, "the kernel looks it up");
    world.event(moved(2));
    world.rest();
    assert_eq!(last(&world), Some((Cause::Neighbour, 0)));

    let mut world = router(&["lan0"]);
    world.event(moved(3));
    world.rest();
    assert_eq!(last(&world), None, "in software only");
    world.event(moved(2));
    world.rest();
    assert_eq!(anew(&world), [TABLE_HARDWARE], "hardware has it, the software table does not");
}

#[test]
fn routes_evict_the_tables_named() {
    let mut world = router(&["lan0"]);
    world.event(Event::Rerouted(Tables::Named(vec![TABLE_HARDWARE.into()])));
    world.rest();
    assert_eq!(anew(&world), [TABLE_HARDWARE]);
}

#[test]
fn our_own_rules_evict_when_the_configuration_changes_them() {
    let mut world = router(&[]);
    let mut wanted = world.control.wanted.clone();
    wanted[0].rules.pop();
    let due = |world: &mut World, wanted: &[_]| {
        world.control.rules_change(wanted, world.now);
        world.control.evictions.are_due(TABLE_SOFTWARE, world.now)
    };
    assert!(!due(&mut world, &wanted), "a device that comes makes rules for itself");
    let same = world.control.wanted.clone();
    world.control.settings_changed = true;
    assert!(!due(&mut world, &same));
    world.control.settings_changed = true;
    assert!(due(&mut world, &wanted));
}

fn rerouted(prefix: &str) -> Rerouted {
    let mut rerouted = Rerouted::default();
    rerouted.note(RouteChange::To(prefix.parse().unwrap()));
    rerouted
}

#[test]
fn only_flows_with_an_end_behind_the_route_are_concerned() {
    let table = flows_of(&[entry(1, 0)]);
    let flow = table.flows(0).next().unwrap();
    let source = flow.orig.source().to_string();
    let offloaded = || {
        let flow = table.flows(0).next().unwrap();
        std::iter::once(Flow { state: FlowState::Software, ..flow })
    };
    let found = |prefix: &str, flows: &mut dyn Iterator<Item = Flow>, table: Option<&str>| {
        concerned(&rerouted(prefix), flows, &Asked::new(table))
    };
    let hit = found(&source, &mut offloaded(), Some("a"));
    assert_eq!(hit, Tables::Named(vec!["a".into()]));
    let either = found(&source, &mut offloaded(), Some(TABLE_SOFTWARE));
    assert!(either.have(TABLE_SOFTWARE) && either.have(TABLE_HARDWARE) && !either.have("a"));
    let mut hardware = offloaded().map(|flow| Flow { state: FlowState::Hardware, ..flow });
    let there = found(&source, &mut hardware, None);
    assert_eq!(there, Tables::Named(vec![TABLE_HARDWARE.into()]));
    assert_eq!(found(&source, &mut offloaded(), None), Tables::All);
    assert_eq!(found("192.0.2.0/24", &mut offloaded(), None), Tables::None);
    assert_eq!(found(&source, &mut std::iter::once(flow), None), Tables::None);
}

/// Tables, one of which has every flow, and how often that was asked.
struct Asked {
    tables: Vec<String>,
    table: Option<String>,
    asked: Cell<usize>,
}

impl Asked {
    fn new(table: Option<&str>) -> Asked {
        let tables = ["a", "b", TABLE_SOFTWARE, TABLE_HARDWARE].map(str::to_owned).to_vec();
        Asked { tables, table: table.map(str::to_owned), asked: Cell::new(0) }
    }
}

impl Whereabouts for Asked {
    fn tables(&self) -> Vec<String> {
        self.tables.clone()
    }

    fn in_hardware(&self) -> Vec<String> {
        self.tables.iter().filter(|table| table.ends_with("hw")).cloned().collect()
    }

    fn table(&self, _: &Flow) -> Option<String> {
        self.asked.set(self.asked.get() + 1);
        self.table.clone()
    }

    fn is_only_in(&self, flow: &Flow, tables: &Tables) -> bool {
        // As if rules could send flows of one client only elsewhere.
        flow.id == 1 && self.table.as_ref().is_some_and(|table| tables.have(table))
    }
}

#[test]
fn a_flow_in_hardware_is_in_a_table_of_hardware() {
    const PARTITION: &str = "p_hw";
    let flow = flows_of(&[entry(2, 0)]).flows(0).next().unwrap();
    let flow = Flow { state: FlowState::Hardware, ..flow };
    let tables = ["a", PARTITION, TABLE_SOFTWARE, TABLE_HARDWARE].map(str::to_owned).to_vec();
    let found = |table: Option<&str>| {
        let asked = Asked { tables: tables.clone(), ..Asked::new(table) };
        concerned(&rerouted("0.0.0.0/0"), std::iter::repeat_n(flow.clone(), 2), &asked)
    };
    let named = |names: &[&str]| Tables::Named(names.iter().map(|name| (*name).into()).collect());
    assert_eq!(found(Some(PARTITION)), named(&[PARTITION]));
    assert_eq!(found(Some(TABLE_HARDWARE)), named(&[TABLE_HARDWARE]));
    assert_eq!(found(None), named(&[TABLE_HARDWARE, PARTITION]));
    assert_eq!(found(Some("a")), named(&["a", TABLE_HARDWARE, PARTITION]));

    // One in software before it says nothing about it.
    let asked = Asked::new(Some("a"));
    let software = Flow { state: FlowState::Software, ..flow.clone() };
    let both = concerned(&rerouted("0.0.0.0/0"), [software, flow].into_iter(), &asked);
    assert_eq!(both, named(&["a", TABLE_HARDWARE]));
}

#[test]
fn a_route_of_all_flows_costs_no_judgement_of_each() {
    const FLOWS: usize = 65_536;
    let flow = flows_of(&[entry(1, 0)]).flows(0).next().unwrap();
    let flow = Flow { state: FlowState::Software, ..flow };
    let all = rerouted("0.0.0.0/0");
    let run = |flow: &Flow, asked: &Asked| {
        let read = Cell::new(0);
        let flows = std::iter::repeat_n(flow.clone(), FLOWS);
        let found = concerned(&all, flows.inspect(|_| read.set(read.get() + 1)), asked);
        (found, read.get(), asked.asked.get())
    };
    let asked = Asked::new(Some(TABLE_SOFTWARE));
    let (found, read, judged) = run(&flow, &asked);
    assert!(found.have(TABLE_SOFTWARE) && found.have(TABLE_HARDWARE) && !found.have("a"));
    assert_eq!((read, judged), (FLOWS, 1), "others may be elsewhere, but not of this client");
    let asked = Asked::new(Some(TABLE_SOFTWARE));
    let other = Flow { id: 2, ..flow.clone() };
    assert_eq!(run(&other, &asked).2, FLOWS, "nothing else tells where they are");
    let tables = [TABLE_SOFTWARE, TABLE_HARDWARE].map(str::to_owned).to_vec();
    let asked = Asked { tables, ..Asked::new(Some(TABLE_SOFTWARE)) };
    let (found, read, judged) = run(&other, &asked);
    assert!(found.have(TABLE_SOFTWARE) && found.have(TABLE_HARDWARE));
    assert_eq!((read, judged), (1, 1), "there are no more tables");
}

#[test]
fn tables_add_up() {
    let named = |names: &[&str]| Tables::Named(names.iter().map(|name| (*name).into()).collect());
    let mut tables = Tables::None;
    tables.add(Tables::None);
    assert!(tables.is_none() && !tables.have("a"));
    tables.add(named(&["b"]));
    tables.add(named(&["a", "b"]));
    assert_eq!(tables, named(&["a", "b"]));
    assert!(tables.have("a") && !tables.have("c"));
    tables.add(Tables::All);
    tables.add(named(&["a"]));
    assert!(tables.have("c"));
}
