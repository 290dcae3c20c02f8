// SPDX-License-Identifier: GPL-2.0-or-later
//! Refusals: which device they are about, what goes on without it, and when it is tried again.

use super::*;

#[test]
fn a_device_that_vanishes_takes_no_hardware_along() {
    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.set_links(vec![link(2, "lan0")]);
    world.start(Mode::Hardware);
    // Gone before the transaction, whose refusal names no device on Linux 6.1.
    world.silent = true;
    world.event(Event::Link(LinkEvent::New(link(4, "wan0"))));
    world.rest();
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0"]);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
}

#[test]
fn a_refusing_device_does_not_take_the_others_down() {
    for silent in [false, true] {
        let mut world = World::new();
        world.silent = silent;
        world.unhookable = ["wan0"].into();
        world.start(Mode::Software);
        assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0"]);
        let wan = world.control.device_list().into_iter().find(|d| d.name == "wan0").unwrap();
        assert_eq!((wan.state, wan.reason), (DeviceState::Off, Reason::Refused));
        assert!(wan.detail.contains("busy"), "{}", wan.detail);
        world.unhookable.clear();
        world.pass(Duration::from_secs(2));
        assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
        assert_eq!(world.control.deadline(), None);
    }
}

#[test]
fn a_device_that_vanishes_during_the_commit_is_dropped() {
    let mut world = World::started(Mode::Software);
    world.links.pop();
    world.kernel.flowtables[0].devices.pop();
    let table = Table::inet(plan::TABLE_SOFTWARE);
    world.event(Event::Nftables(NftEvent::Chains(table)));
    world.rest();
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0"]);
    let wan = world.control.device_list().into_iter().find(|d| d.name == "wan0").unwrap();
    assert_eq!(wan.reason, Reason::DeviceAbsent);
}

#[test]
fn a_refused_transaction_is_told_once_and_tried_again() {
    let mut world = World::new();
    world.refuse_all = Some(libc::EPERM);
    world.start(Mode::Software);
    assert_eq!(world.mode(), (Mode::Classic, Reason::NoPermission));
    let errors = |world: &World| world.log.iter().filter(|(l, _)| *l == Level::Error).count();
    assert_eq!(errors(&world), 1);
    world.pass(Duration::from_secs(200));
    assert_eq!(errors(&world), 1);
    assert!(world.surveys < 14, "{} surveys in 200 s", world.surveys);
    world.refuse_all = None;
    world.pass(Duration::from_secs(60));
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    assert_eq!(world.control.deadline(), None);
    assert_eq!(world.control.status(None, world.now).last_error, None);
}

#[test]
fn a_passing_shortage_takes_nothing_down() {
    let mut world = World::new();
    world.capable = ["lan0", "wan0", "lan1"].into();
    world.start(Mode::Hardware);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    world.out_of_memory = true;
    let mut settings = settings(Mode::Hardware);
    settings.interfaces[0].devices.push("lan1".into());
    world.links.push(link(7, "lan1"));
    world.event(Event::Link(LinkEvent::New(link(7, "lan1"))));
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0", "wan0"]);
    assert_eq!(world.mode().0, Mode::Hardware);
    world.out_of_memory = false;
    world.pass(Duration::from_secs(10));
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0", "lan1", "wan0"]);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
}

#[test]
fn a_refused_hardware_class_steps_down_to_software() {
    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.refuse_table = Some(TABLE_HARDWARE);
    world.start(Mode::Hardware);
    assert_eq!(world.mode(), (Mode::Software, Reason::NoHardware));
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
    let commits = world.commits.len();
    world.pass(Duration::from_secs(100));
    assert_eq!(world.commits.len(), commits, "trying again disturbs no flow");
    world.refuse_table = None;
    world.pass(Duration::from_secs(60));
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    assert_eq!(world.control.deadline(), None);
}

#[test]
fn a_lost_race_is_no_fault() {
    let mut world = World::new();
    world.refuse_all = Some(libc::ERESTART);
    world.start(Mode::Software);
    world.pass(DEBOUNCE * 20);
    assert_eq!(world.control.status(None, world.now).last_error, None);
    assert!((15..=25).contains(&world.surveys), "{} surveys", world.surveys);
    world.refuse_all = None;
    world.pass(DEBOUNCE * 2);
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
}

#[test]
fn a_device_that_has_gone_when_it_is_asked_is_not_left_out() {
    let mut world = World::started(Mode::Software);
    let spare = |index| LinkEvent::New(link(index, "lan1"));
    let mut settings = settings(Mode::Software);
    settings.interfaces[0].devices.push("lan1".into());
    world.event(Event::Settings(Ok((settings, Vec::new()))));
    world.rest();
    world.silent = true;
    world.links.push(link(7, "lan1"));
    world.ghosts = ["lan1"].into();
    world.event(Event::Link(spare(7)));
    world.pass(DEBOUNCE);
    let (asked, told) = (world.control.gone, world.log.len());
    assert_eq!((asked, world.control.refused.get("lan1")), (1, None));
    // The next list is right.
    world.links.pop();
    world.ghosts.clear();
    world.pass(DEBOUNCE);
    assert_eq!((world.log.len(), world.control.gone), (told, 0), "{:?}", world.log);
    assert_eq!(world.control.deadline(), None);
    world.links.push(link(8, "lan1"));
    world.event(Event::Link(spare(8)));
    world.rest();
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "lan1", "wan0"]);
    assert!(!world.log.iter().any(|(_, line)| line.contains("left out")), "{:?}", world.log);
}

#[test]
fn a_device_that_is_for_ever_gone_yet_listed_is_left_out() {
    let mut world = World::new();
    world.ghosts = ["wan0"].into();
    world.start(Mode::Software);
    world.pass(DEBOUNCE * 4);
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0"]);
    let line = "device wan0 is left out: No such file or directory".to_owned();
    assert!(world.log.contains(&(Level::Warn, line.clone())), "{:?}", world.log);
    world.pass(Duration::from_secs(200));
    assert_eq!(world.log.iter().filter(|(_, told)| *told == line).count(), 1);
    assert!(world.surveys < 80, "{} surveys in 200 s", world.surveys);
    world.ghosts.clear();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
}

#[test]
fn a_device_that_has_gone_says_nothing_about_hardware() {
    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.ghosts = ["wan0"].into();
    world.event(Event::Started);
    world.event(Event::Settings(Ok((settings(Mode::Hardware), Vec::new()))));
    world.pass(Duration::ZERO);
    assert!(world.commits.is_empty());
    assert_eq!((world.control.hardware.get("lan0"), world.control.gone), (Some(None), 1));
    assert_eq!(world.control.hardware.get("wan0"), None);
    // A moment later it is there again, with the index that it had.
    world.ghosts.clear();
    world.rest();
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
    assert_eq!(world.asked, ["lan0", "wan0", "wan0"]);
    assert!(world.log.iter().all(|(level, _)| *level == Level::Info), "{:?}", world.log);

    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.ghosts = ["wan0"].into();
    world.start(Mode::Hardware);
    world.pass(DEBOUNCE * 8);
    assert_eq!(world.asked, ["lan0", "wan0", "wan0", "wan0"], "not for ever");
    assert_eq!(world.hooked(TABLE_HARDWARE), ["lan0"]);
}

#[test]
fn an_interrupted_list_of_devices_is_read_again() {
    let mut world = World::new();
    world.kernel.filtering = vec![Table::inet("fw4")];
    world.links.pop();
    world.start(Mode::Software);
    world.interrupted = true;
    world.event(Event::EventsLost);
    world.links.push(link(9, "wan0"));
    world.rest();
    let evictions = |world: &World| world.control.status(None, world.now).evicted.count;
    assert_eq!(evictions(&world), 1, "what is stale does not wait for the list");
    world.event(Event::Orders(vec![(1, Order::Flush)]));
    assert!(
        matches!(world.done[..], [(1, Ok(Done { handed_back: true, .. }))]),
        "{:?}",
        world.done
    );
    world.pass(PAUSE * 5);
    assert!(world.surveys < 20, "{} surveys", world.surveys);
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0"]);
    world.interrupted = false;
    world.pass(PAUSE);
    assert_eq!(world.hooked(plan::TABLE_SOFTWARE), ["lan0", "wan0"]);
    assert_eq!((world.mode().1, world.control.deadline()), (Reason::AsConfigured, None));
}
