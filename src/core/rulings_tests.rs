// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules and tables of one's own in the control loop: what is made, replaced and told.

use std::time::Duration;

use super::*;
use crate::core::control::tests::{settings, World};
use crate::core::control::Event;
use crate::core::evict::Tables;
use crate::core::flows::table::tests::{entry, poll, table_of};
use crate::core::flows::table::{FlowTable, FLOWS_MAX};
use crate::core::flows::FlowState;
use crate::core::links::tests::link;
use crate::core::orders::{Done, Order};
use crate::core::plan::{TABLE_HARDWARE, TABLE_PARTITION, TABLE_SOFTWARE};
use crate::core::policy::{Mark, Policy, Rule};
use crate::core::reason::Reason;
use crate::core::settings::{Mode, Partition, Settings};
use crate::core::topology::tests::router;
use crate::netlink::conntrack::entry::Entry;
use crate::netlink::conntrack::status::{IPS_HW_OFFLOAD, IPS_OFFLOAD};
use crate::netlink::nftables::Table;
use crate::netlink::route::LinkEvent;

fn partition(name: &str, devices: &[&str]) -> Partition {
    Partition {
        name: name.into(),
        devices: devices.iter().map(|glob| (*glob).into()).collect(),
        priority: None,
        counter: None,
        hardware: false,
    }
}

fn with(rules: &[Rule], partitions: &[Partition]) -> Settings {
    let policy = Policy::new(rules.to_vec()).unwrap();
    Settings { policy, partitions: partitions.to_vec(), ..settings(Mode::Software) }
}

impl World {
    fn configured(settings: Settings) -> World {
        let mut world = World::new();
        world.event(Event::Started);
        world.configure(settings);
        world
    }

    /// Takes settings and returns what was committed for them, a line a command.
    fn configure(&mut self, settings: Settings) -> Vec<String> {
        let before = self.commits.len();
        self.event(Event::Settings(Ok((settings, Vec::new()))));
        self.rest();
        let new = self.commits.get(before..).unwrap();
        assert!(new.len() <= 1, "one transaction: {new:?}");
        new.concat()
    }

    fn tables(&self) -> Vec<&str> {
        self.kernel.tables.iter().map(|table| table.name.as_str()).collect()
    }
}

fn deleted(commands: &[String]) -> Vec<&str> {
    commands.iter().filter_map(|line| line.strip_prefix("delete table inet ")).collect()
}

fn web(action: Action) -> Rule {
    Rule { dest_port: vec![(80, 80)], ..Rule::all("web", action) }
}

fn into(table: &str) -> Action {
    Action::Offload { min_packets: 0, min_bytes: 0, table: Some(table.into()) }
}

#[test]
fn without_rules_no_chain_decides() {
    let mut world = World::configured(settings(Mode::Software));
    let chains: Vec<&str> = world.kernel.chains.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(chains, ["forward", "take", "seen"]);
    assert_eq!(world.configure(settings(Mode::Software)), Vec::<String>::new());
}

#[test]
fn other_rules_replace_the_table_once_and_the_same_rules_never() {
    let mut world = World::configured(settings(Mode::Software));
    let bypass = with(&[web(Action::Bypass)], &[]);
    assert_eq!(deleted(&world.configure(bypass.clone())), [TABLE_SOFTWARE]);
    assert_eq!(world.configure(bypass.clone()), Vec::<String>::new());
    let mut restarted = World::new();
    restarted.kernel = world.kernel.clone();
    restarted.event(Event::Started);
    assert_eq!(deleted(&restarted.configure(bypass.clone())), [TABLE_SOFTWARE], "made anew once");
    assert_eq!(restarted.configure(bypass), Vec::<String>::new());
    let port = Rule { dest_port: vec![(81, 81)], ..web(Action::Bypass) };
    assert_eq!(deleted(&world.configure(with(&[port], &[]))), [TABLE_SOFTWARE]);
    assert_eq!(deleted(&world.configure(settings(Mode::Software))), [TABLE_SOFTWARE]);
}

#[test]
fn a_device_that_comes_changes_sets_in_place() {
    let rule = Rule { device: Some("wg*".into()), ..Rule::all("wg", Action::Bypass) };
    let mut world = World::configured(with(&[rule], &[]));
    let before = world.commits.len();
    world.event(Event::Link(LinkEvent::New(link(9, "wg0"))));
    world.rest();
    let commands = world.commits[before..].concat();
    assert_eq!(commands, ["add elements to set device_0 of table inet flowtabled"]);
}

#[test]
fn tables_come_and_go_without_the_others() {
    let mut world = World::configured(with(&[], &[]));
    let partitions = [partition("a", &["lan0", "wan0"]), partition("b", &[])];
    let commands = world.configure(with(&[], &partitions));
    assert_eq!(deleted(&commands), [TABLE_SOFTWARE], "a takes its flows over");
    assert_eq!(world.tables().len(), 3);
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    let [a, _] = partitions.clone();
    assert_eq!(world.configure(with(&[], &[a])), ["delete table inet flowtabled_p_b"]);
    assert_eq!(world.configure(with(&[], &[])), ["delete table inet flowtabled_p_a"]);
    // One for rules alone takes nothing over.
    let commands = world.configure(with(&[], &[partition("c", &[])]));
    assert_eq!(deleted(&commands), Vec::<&str>::new());
    let absent = world.configure(with(&[], &[partition("d", &["tun*"])]));
    assert_eq!(absent, ["delete table inet flowtabled_p_c"], "no device, no table");
}

#[test]
fn tables_that_nobody_wants_go_after_a_restart() {
    let mut world = World::new();
    world.kernel.tables =
        vec![Table::inet("flowtabled_p_old"), Table::inet("flowtabled_other"), Table::inet("fw4")];
    world.event(Event::Started);
    let commands = world.configure(settings(Mode::Software));
    assert_eq!(deleted(&commands), ["flowtabled_p_old"]);
}

#[test]
fn evictions_reach_only_the_tables_that_have_the_flows() {
    let partitions = [partition("a", &[]), partition("b", &[])];
    let rules = [web(into("a")), Rule { dest_port: vec![(443, 443)], ..web(into("b")) }];
    let mut world = World::configured(with(&rules, &partitions));
    let flow = offloaded();
    let table = world.control.table_of(&flow, "lan0", "wan0");
    assert_eq!(table, Some("flowtabled_p_a"));
    let order = |flows: &[Flow], world: &World| {
        let table_of =
            |flow: &Flow| world.control.table_of(flow, "lan0", "wan0").map(str::to_owned);
        Order::bypass(flows, Duration::from_secs(60), &[], &table_of)
    };
    let order = order(&[flow], &world);
    world.event(Event::Orders(vec![(1, order)]));
    let (_, outcome) = world.done.pop().unwrap();
    assert_eq!(outcome, Ok(Done { bypassed: 1, released: 0, handed_back: true }));
    let commands = world.commits.last().unwrap();
    assert_eq!(deleted(commands), ["flowtabled_p_a"]);
    // The connection is in the sets of all of them.
    let kept = commands.iter().filter(|line| line.contains("set bypass")).count();
    assert_eq!(kept, 3, "{commands:?}");
    world.event(Event::Orders(vec![(2, Order::Flush)]));
    assert_eq!(deleted(world.commits.last().unwrap()).len(), 3);
}

#[test]
fn a_flow_in_hardware_is_handed_back_with_its_own_table() {
    let hardware = |name, devices| Partition { hardware: true, ..partition(name, devices) };
    let partitions = [hardware("a", &["lan0", "wan0"]), hardware("b", &[]), partition("c", &[])];
    let to = |port: u16, action| Rule { dest_port: vec![(port, port)], ..web(action) };
    let marked = Rule { mark: Some(Mark { value: 1, mask: 1 }), ..to(444, into("b")) };
    let rules = [to(80, into("b")), to(443, into("c")), marked];
    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.event(Event::Started);
    world.configure(Settings { requested: Mode::Hardware, ..with(&rules, &partitions) });
    let (a, b, c) = ("flowtabled_p_a", "flowtabled_p_b", "flowtabled_p_c");
    let in_hardware = world.control.tables_in_hardware();
    assert_eq!(in_hardware, [a, b, TABLE_HARDWARE]);
    let tables = |port: u16| {
        let mut entry = entry(1, 100);
        entry.status |= IPS_OFFLOAD | IPS_HW_OFFLOAD;
        entry.orig.destination_port = port;
        entry.reply.source_port = port;
        let flow = table_of(&[entry]).flows(0).next().unwrap();
        assert_eq!(flow.state, FlowState::Hardware);
        let table_of =
            |flow: &Flow| world.control.table_of(flow, "lan0", "wan0").map(str::to_owned);
        match Order::bypass(&[flow], Duration::from_secs(60), &in_hardware, &table_of) {
            Order::Bypass { tables, anywhere: false, .. } => tables,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(tables(80), [b]);
    assert_eq!(tables(81), [a]);
    assert_eq!(tables(443), [TABLE_HARDWARE, a, b, c], "when another table took it");
    assert_eq!(tables(444), [TABLE_HARDWARE, a, b], "by the mark that it had");
}

#[test]
fn only_rules_make_it_open_where_a_flow_is() {
    let only = |rules: &[Rule], tables: &[&str]| {
        let partitions = [partition("a", &["lan0", "wan0"]), partition("b", &[])];
        let world = World::configured(with(rules, &partitions));
        assert_eq!(world.control.tables().len(), 3);
        let names = tables.iter().map(|name| (*name).to_owned()).collect();
        world.control.is_only_in(&Tables::Named(names), "lan0", "wan0")
    };
    let (a, b) = ("flowtabled_p_a", "flowtabled_p_b");
    assert!(only(&[], &[a]) && !only(&[], &[TABLE_SOFTWARE, b]));
    let rules = [web(into("b"))];
    assert!(!only(&rules, &[a]) && !only(&rules, &[b]) && only(&rules, &[a, b]));
}

#[test]
fn which_flows_the_rules_leave_to_the_rest() {
    let flow = offloaded();
    let rest = |rules: &[Rule]| {
        let world = World::configured(with(rules, &[partition("a", &[])]));
        assert_eq!(world.control.has_rules(), !rules.is_empty());
        world.control.goes_with_the_rest(&flow, Some("lan0"), Some("wan0"))
    };
    let voice = |action| Rule { dscp: vec![46], ..web(action) };
    assert!(rest(&[]) && rest(&[web(Action::OFFLOAD)]));
    assert!(!rest(&[web(into("a"))]), "in a partition");
    assert!(!rest(&[web(Action::Bypass)]), "it is on its way back");
    assert!(!rest(&[voice(into("a"))]), "only its packets show where it is");
    assert!(rest(&[voice(Action::Bypass)]), "it is offloaded, so this rule did not match");
    let marked = Rule { mark: Some(Mark { value: 1, mask: 1 }), ..web(into("a")) };
    assert!(!rest(&[marked]), "its mark may have been another");
    let other = Rule { dest_port: vec![(443, 443)], ..web(into("a")) };
    assert!(rest(&[other, voice(Action::OFFLOAD)]));

    // Counted by what is known of it.
    let world = World::configured(with(&[web(into("a"))], &[partition("a", &[])]));
    let place = |entry: &mut Entry, port: u16| {
        entry.reply.source_port = port;
        entry.orig.destination_port = port;
    };
    let mut flows = FlowTable::new(FLOWS_MAX);
    *flows.topology_mut() = router();
    for (at_ms, bytes) in [(0, 100), (2000, 200), (4000, 300)] {
        let mut entries = [entry(2, bytes), entry(3, bytes)];
        let [first, second] = &mut entries;
        place(first, 80);
        place(second, 443);
        entries.iter_mut().for_each(|entry| entry.status |= IPS_OFFLOAD);
        poll(&mut flows, at_ms, &entries);
    }
    let software = |ordinary: Option<&dyn Fn(&Flow) -> bool>| {
        let pairs = flows.pairs(4000, ordinary);
        pairs.iter().map(|pair| pair.software).sum::<u32>()
    };
    assert_eq!(software(None), 2);
    let known = |flow: &Flow| world.control.goes_with_the_rest(flow, None, None);
    assert_eq!(software(Some(&known)), 1);
}

#[test]
fn a_partition_is_not_the_mode() {
    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.event(Event::Started);
    let partitions = vec![partition("a", &["lan0"])];
    world.configure(Settings { partitions, ..settings(Mode::Hardware) });
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    assert!(world.tables().contains(&format!("{TABLE_PARTITION}a").as_str()));
}

fn offloaded() -> Flow {
    let mut entry = entry(1, 100);
    entry.status |= IPS_OFFLOAD;
    table_of(&[entry]).flows(0).next().unwrap()
}

fn told(rules: &[Rule], flow: &Flow) -> Option<(FlowReason, String)> {
    let world = World::configured(with(rules, &[partition("a", &["lan0"])]));
    world.control.ruled_out(flow, Some("lan0"), Some("wan0"))
}

#[test]
fn the_rule_is_named() {
    let flow = table_of(&[entry(1, 100)]).flows(0).next().unwrap();
    assert_eq!(flow.orig.destination_port, 80);
    let (sent, received) = (flow.sent.unwrap(), flow.received.unwrap());
    let (packets, bytes) = (sent.packets + received.packets, sent.bytes + received.bytes);
    assert_eq!(told(&[], &flow), None);
    let reason = told(&[web(Action::Bypass)], &flow);
    assert_eq!(reason, Some((FlowReason::PolicyBypass, "rule 'web'".into())));
    let voice = Rule { dscp: vec![46], ..web(Action::Bypass) };
    let reason = told(&[voice], &flow);
    assert_eq!(reason, Some((FlowReason::PolicyBypass, "perhaps rule 'web'".into())));
    let wait = |min_packets, min_bytes| {
        let action = Action::Offload { min_packets, min_bytes, table: None };
        told(&[web(action)], &flow).map(|(reason, detail)| {
            assert_eq!(reason, FlowReason::BelowThreshold);
            detail
        })
    };
    assert_eq!(wait(packets, bytes), None);
    let detail = format!("rule 'web': {packets} of {} packets", packets + 1);
    assert_eq!(wait(packets + 1, 0), Some(detail));
    let detail = format!("rule 'web': {bytes} of {} bytes", bytes + 1);
    assert_eq!(wait(packets, bytes + 1), Some(detail));
    let uncounted = Flow { sent: None, received: None, ..flow.clone() };
    let action = Action::Offload { min_packets: 1, min_bytes: 0, table: None };
    let detail = "rule 'web': nobody counts its packets".to_owned();
    assert_eq!(told(&[web(action)], &uncounted), Some((FlowReason::BelowThreshold, detail)));
    let detail = "rule 'web': table a has not both devices".to_owned();
    assert_eq!(told(&[web(into("a"))], &flow), Some((FlowReason::DeviceNotCovered, detail)));
}
