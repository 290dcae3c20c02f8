// SPDX-License-Identifier: GPL-2.0-or-later
//! Shapers on devices at each place of a stack.

use super::*;
use crate::core::control::tests::{settings, World};
use crate::core::control::Event;
use crate::core::devices::resolve;
use crate::core::links::tests::link;
use crate::core::settings::{Interface, Mode, Settings, Zone};
use crate::core::status::DeviceState;
use crate::netlink::route::Link;

fn qdisc(index: u32, kind: &str) -> Qdisc {
    Qdisc { index, kind: kind.into(), limits: (kind == "cake").then_some(true) }
}

fn kind(index: u32, name: &str, kind: &str, lower: Option<u32>) -> Link {
    Link { kind: kind.into(), lower, ..link(index, name) }
}

fn port(index: u32, name: &str, master: u32) -> Link {
    Link { master: Some(master), ..link(index, name) }
}

/// A LAN bridge of two ports, and an uplink with a PPPoE session in one VLAN and IPTV in another.
fn router() -> (Settings, Links) {
    let interfaces =
        [("lan", "static", "br-lan"), ("wan", "pppoe", "eth1.7"), ("iptv", "dhcp", "eth1.8")];
    let interface = |(name, proto, device): (&str, &str, &str)| Interface {
        name: name.into(),
        proto: proto.into(),
        devices: vec![device.into()],
    };
    let zone =
        |name: &str| Zone { name: name.into(), networks: vec![name.into()], ..Zone::default() };
    let settings = Settings {
        requested: Mode::Software,
        zones: ["lan", "wan", "iptv"].map(zone).to_vec(),
        interfaces: interfaces.map(interface).to_vec(),
        ..Settings::default()
    };
    let mut links = Links::default();
    links.replace(vec![
        kind(2, "br-lan", "bridge", None),
        port(3, "lan1", 2),
        port(4, "lan2", 2),
        link(5, "eth1"),
        kind(6, "eth1.7", "vlan", Some(5)),
        kind(7, "eth1.8", "vlan", Some(5)),
        kind(8, "pppoe-wan", "ppp", None),
        kind(9, "ifb4wan", "ifb", None),
    ]);
    (settings, links)
}

/// Names of the devices left out with these queues, and of those covered.
fn left_out(qdiscs: &[Qdisc], redirects: &[(u32, u32)]) -> (Vec<String>, Vec<String>) {
    let (settings, links) = router();
    let mut devices = resolve(&settings, &links);
    let mut shapers = Shapers::default();
    shapers.take(Queues { qdiscs: qdiscs.to_vec(), redirects: redirects.to_vec() });
    bypass(&mut devices, &shapers, &links);
    let covered = devices.iter().filter(|d| matches!(d.coverage, Coverage::Covered { .. }));
    let covered = covered.map(|device| device.name.clone()).collect();
    (plan::shaped(&devices).collect(), covered)
}

#[test]
fn only_what_limits_a_rate_counts() {
    let unlimited = Qdisc { limits: Some(false), ..qdisc(5, "cake") };
    for other in [qdisc(5, "fq_codel"), qdisc(5, "mq"), qdisc(5, "prio"), unlimited] {
        let (shaped, covered) = left_out(std::slice::from_ref(&other), &[]);
        assert!(shaped.is_empty(), "{other:?}");
        assert_eq!(covered, ["eth1", "lan1", "lan2"]);
    }
    for kind in ["cake", "htb", "hfsc", "tbf", "cbq"] {
        assert_eq!(left_out(&[qdisc(5, kind)], &[]).1, ["lan1", "lan2"], "{kind}");
    }
}

#[test]
fn what_stands_on_a_shaped_device_is_left_out_with_it() {
    let (shaped, covered) = left_out(&[qdisc(5, "cake")], &[]);
    assert_eq!(shaped, ["eth1", "eth1.7", "eth1.8", "pppoe-wan"]);
    assert_eq!(covered, ["lan1", "lan2"]);
}

#[test]
fn what_carries_other_traffic_too_stays() {
    let (shaped, covered) = left_out(&[qdisc(8, "cake")], &[]);
    assert_eq!(shaped, ["eth1.7", "pppoe-wan"]);
    assert_eq!(covered, ["eth1", "lan1", "lan2"]);
    let (shaped, covered) = left_out(&[qdisc(8, "cake"), qdisc(7, "htb")], &[]);
    assert_eq!(shaped, ["eth1", "eth1.7", "eth1.8", "pppoe-wan"]);
    assert_eq!(covered, ["lan1", "lan2"]);
}

#[test]
fn a_shaped_bridge_takes_its_ports_and_a_shaped_port_only_itself() {
    assert_eq!(left_out(&[qdisc(2, "cake")], &[]).0, ["br-lan", "lan1", "lan2"]);
    let (shaped, covered) = left_out(&[qdisc(4, "tbf")], &[]);
    assert_eq!(shaped, ["lan2"]);
    assert_eq!(covered, ["eth1", "lan1"]);
    let (shaped, _) = left_out(&[qdisc(4, "tbf"), qdisc(3, "tbf")], &[]);
    assert_eq!(shaped, ["br-lan", "lan1", "lan2"]);
}

#[test]
fn a_redirection_counts_when_it_ends_in_a_shaper() {
    let ingress = [qdisc(8, "clsact")];
    assert!(left_out(&ingress, &[(8, 9)]).0.is_empty(), "qosify's look at DNS");
    let shaped = left_out(&[qdisc(8, "clsact"), qdisc(9, "cake")], &[(8, 9)]).0;
    assert_eq!(shaped, ["eth1.7", "pppoe-wan"]);
    assert!(left_out(&[qdisc(9, "cake")], &[]).0.is_empty());
}

#[test]
fn a_bandwidth_that_follows_the_line_is_no_news() {
    let mut shapers = Shapers::default();
    shapers
        .take(Queues { qdiscs: vec![qdisc(5, "cake"), qdisc(6, "fq_codel")], redirects: vec![] });
    assert!(!shapers.concerned(&QueueEvent::New(qdisc(5, "cake"))));
    let unlimited = Qdisc { limits: Some(false), ..qdisc(5, "cake") };
    assert!(shapers.concerned(&QueueEvent::New(unlimited)));
    assert!(shapers.concerned(&QueueEvent::New(qdisc(6, "cake"))));
    assert!(!shapers.concerned(&QueueEvent::New(qdisc(6, "fq_codel"))));
    assert!(!shapers.concerned(&QueueEvent::Gone(qdisc(6, "fq_codel"))));
    assert!(shapers.concerned(&QueueEvent::Gone(qdisc(5, "cake"))));
}

#[test]
fn only_filters_that_redirect_are_news() {
    use FilterChange::{Added, Gone, Replaced};
    let mut shapers = Shapers::default();
    shapers.take(Queues { qdiscs: vec![qdisc(5, "clsact")], redirects: vec![(5, 9)] });
    let concerned = |index: Option<u32>, redirect: Option<u32>, change: FilterChange| {
        shapers.concerned(&QueueEvent::Filter(FilterEvent { index, redirect, change }))
    };
    for change in [Added, Replaced] {
        assert!(!concerned(Some(5), Some(9), change), "known");
        assert!(concerned(Some(5), Some(8), change), "another target");
        assert!(concerned(Some(6), Some(9), change), "another device");
        assert!(concerned(None, Some(9), change), "of several devices");
    }
    assert!(concerned(Some(5), Some(9), Gone) && concerned(None, Some(9), Gone));
    assert!(!concerned(Some(5), Some(8), Gone) && !concerned(Some(6), Some(9), Gone));
    // A policer: a further one, one in the place of what may have redirected, and all at once.
    assert!(!concerned(Some(5), None, Added) && !concerned(None, None, Added));
    for change in [Replaced, Gone] {
        assert!(concerned(Some(5), None, change) && concerned(None, None, change));
        assert!(!concerned(Some(6), None, change), "it never redirected");
    }
}

#[test]
fn a_filter_makes_a_reading_due_only_when_it_redirects() {
    let mut world = World::started(Mode::Software);
    let filter = |redirect| {
        let event = FilterEvent { index: Some(3), redirect, change: FilterChange::Replaced };
        Event::Queue(QueueEvent::Filter(event))
    };
    let surveys = world.surveys;
    for _ in 0..100 {
        world.event(filter(None));
        world.rest();
    }
    assert_eq!(world.surveys, surveys);
    world.queues.qdiscs = vec![qdisc(3, "clsact"), qdisc(9, "cake")];
    world.queues.redirects = vec![(3, 9)];
    world.event(filter(Some(9)));
    world.rest();
    assert_eq!(world.surveys, surveys + 1);
    world.event(filter(Some(9)));
    world.rest();
    assert_eq!(world.surveys, surveys + 1, "it is known");
}

fn changed(world: &mut World, qdiscs: &[Qdisc], event: Qdisc) {
    world.queues.qdiscs = qdiscs.to_vec();
    world.event(Event::Queue(QueueEvent::New(event)));
    world.rest();
}

#[test]
fn a_shaper_comes_and_goes() {
    let mut world = World::started(Mode::Software);
    changed(&mut world, &[qdisc(3, "cake")], qdisc(3, "cake"));
    let state = |world: &World| {
        let devices = world.control.device_list();
        let wan = devices.into_iter().find(|device| device.name == "wan0").unwrap();
        (wan.state, wan.reason, wan.detail)
    };
    let off = (DeviceState::Off, Reason::DeviceShaped, "cake on wan0".to_owned());
    assert_eq!(state(&world), off);
    assert!(world.commits[1][0].starts_with("delete table"), "its flows are handed back");
    let chain = ["wan0".to_owned()];
    let why = world.control.not_covered(&chain).unwrap();
    assert_eq!(why, "wan0: a shaper is in charge of its traffic (cake on wan0)");

    world.queues.qdiscs.clear();
    world.event(Event::Queue(QueueEvent::Gone(qdisc(3, "cake"))));
    world.rest();
    assert_eq!(state(&world).0, DeviceState::Software);

    // What is left is not shaped, or is nobody's wish.
    let mut without = settings(Mode::Software);
    without.qos_bypass = false;
    world.event(Event::Settings(Ok((without, Vec::new()))));
    let commits = world.commits.len();
    changed(&mut world, &[qdisc(3, "cake")], qdisc(3, "cake"));
    assert_eq!(world.commits.len(), commits);
    assert_eq!(state(&world).0, DeviceState::Software);
}

#[test]
fn flows_of_a_session_are_handed_back_although_its_device_stays() {
    let mut world = World::new();
    let (settings, links) = router();
    world.links = links.iter().cloned().collect();
    world.event(Event::Started);
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
    let devices = world.kernel.flowtables[0].devices.clone();
    changed(&mut world, &[qdisc(8, "htb")], qdisc(8, "htb"));
    assert_eq!(world.kernel.flowtables[0].devices, devices);
    assert!(world.commits[1][0].starts_with("delete table"), "{:?}", world.commits[1]);

    // A new daemon finds it as it should be, and makes it anew once.
    world.control = Control::new(world.now);
    world.event(Event::Started);
    world.event(Event::Settings(Ok((router().0, Vec::new()))));
    world.rest();
    assert_eq!((world.commits.len(), world.control.deadline()), (3, None));
}
