// SPDX-License-Identifier: GPL-2.0-or-later
//! Orders, marks and leaks in the control loop, against the kernel in memory.

use log::Level;

use super::*;
use crate::core::control::tests::{apply, settings, World};
use crate::core::control::Event;
use crate::core::flows::place::{End, Place};
use crate::core::flows::table::tests::{entry, table_of};
use crate::core::flows::Flow;
use crate::core::plan::{leak_key, SET_LEAKED, SET_WATCHED};
use crate::core::plan::{TABLE_HARDWARE, TABLE_SOFTWARE};
use crate::core::reason::Reason;
use crate::core::settings::{Mode, Settings};
use crate::core::status::Leak;
use crate::netlink::conntrack::entry::Entry;
use crate::netlink::conntrack::status::IPS_OFFLOAD;
use crate::netlink::conntrack::tuple::Tuple;
use crate::netlink::nftables::event::NftEvent;
use crate::netlink::nftables::{Batch, Element, Table};
use crate::netlink::{Error, Refusal};

const MINUTE: Duration = Duration::from_secs(60);

fn bypass(ids: impl IntoIterator<Item = u32>, duration: Duration) -> Order {
    let ids = ids.into_iter().collect();
    Order::Bypass { ids, duration, tables: Vec::new(), anywhere: false, unsettled: Vec::new() }
}

fn evict(ids: impl IntoIterator<Item = u32>, duration: Duration) -> Order {
    let ids = ids.into_iter().collect();
    Order::Bypass { ids, duration, tables: Vec::new(), anywhere: true, unsettled: Vec::new() }
}

impl World {
    /// Gives an order and returns how it ended, which must be at once.
    fn order(&mut self, order: Order) -> Result<Done, OrderError> {
        self.event(Event::Orders(vec![(7, order)]));
        let (ticket, outcome) = self.done.pop().expect("an answer");
        assert_eq!((ticket, self.done.len()), (7, 0));
        outcome
    }

    /// Lets time pass in the kernel too: elements expire.
    fn expire(&mut self, span: Duration) {
        for set in &mut self.kernel.sets {
            let expiring = set.elements.iter_mut().filter_map(|(_, e)| e.expires.as_mut());
            expiring.for_each(|left| *left = left.saturating_sub(span));
            set.elements.retain(|_, element| !element.expires.is_some_and(|left| left.is_zero()));
        }
        self.pass(span);
        self.refresh();
    }

    fn refresh(&mut self) {
        self.event(Event::Refreshed(Ok(self.kernel.clone())));
    }

    fn set(&self, table: &str, name: &str) -> Vec<(u32, Element)> {
        let same = |set: &&Set| set.table.name == table && set.name == name;
        let set = self.kernel.sets.iter().find(same).expect("the set");
        let id = |key: &Vec<u8>| u32::from_be_bytes(key.as_slice().try_into().unwrap());
        set.elements.iter().map(|(key, element)| (id(key), *element)).collect()
    }

    fn kept(&self, table: &str) -> Vec<u32> {
        self.set(table, SET_BYPASS).into_iter().map(|(id, _)| id).collect()
    }

    /// The kernel has counted so many leaked packets of each path.
    fn leak(&mut self, counts: [u64; 2]) {
        for set in self.kernel.sets.iter_mut().filter(|set| set.name == SET_LEAKED) {
            for (hardware, packets) in [false, true].into_iter().zip(counts) {
                let element = set.elements.get_mut(&leak_key(hardware)).unwrap();
                element.counted = Some(Counted { packets, bytes: 100 * packets });
            }
        }
    }
}

#[test]
fn a_flush_makes_the_tables_anew_in_one_transaction() {
    let mut world = World::started(Mode::Software);
    assert_eq!(world.order(Order::Flush), Ok(Done { handed_back: true, ..Done::default() }));
    assert_eq!(world.commits.len(), 2);
    assert_eq!(world.commits[1][0], "delete table inet flowtabled");
    assert_eq!(world.commits[1].len(), 22);
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    world.event(Event::Settings(Ok((settings(Mode::Software), Vec::new()))));
    world.rest();
    assert_eq!(world.commits.len(), 2, "once");

    let mut off = World::started(Mode::Classic);
    assert_eq!(off.order(Order::Flush), Ok(Done::default()));
    assert!(off.commits.is_empty());
}

#[test]
fn evicted_flows_are_in_the_set_before_the_kernel_lets_go() {
    let mut world = World::started(Mode::Software);
    let done = Done { bypassed: 2, released: 0, handed_back: true };
    assert_eq!(world.order(evict([1, 0xdead_beef], MINUTE)), Ok(done));
    assert_eq!(world.commits.len(), 2, "one transaction");
    assert_eq!(world.commits[1][0], "delete table inet flowtabled");
    assert_eq!(world.kept(TABLE_SOFTWARE), [1, 0xdead_beef]);
    assert_eq!(world.control.bypassed(0xdead_beef, world.now), Some(MINUTE));
    assert_eq!(world.control.bypassed(2, world.now), None);

    world.expire(MINUTE / 2);
    assert_eq!(world.control.bypassed(1, world.now), Some(MINUTE / 2));
    assert_eq!(world.control.status(None, world.now).bypassed, Some(2));
    world.expire(MINUTE / 2);
    assert_eq!(world.control.bypassed(1, world.now), None);
    assert_eq!(world.control.status(None, world.now).bypassed, Some(0));
    assert_eq!(world.commits.len(), 2, "they go by themselves");
}

#[test]
fn without_offloaded_flows_no_table_is_replaced() {
    let mut world = World::started(Mode::Software);
    let done = Done { bypassed: 1, ..Done::default() };
    assert_eq!(world.order(bypass([5], MINUTE)), Ok(done));
    assert_eq!(world.commits[1], ["add elements to set bypass of table inet flowtabled"]);
    // A second time counts from then on, on kernels too that do not change an element.
    world.expire(MINUTE / 2);
    assert_eq!(world.order(bypass([5], MINUTE)), Ok(done));
    assert_eq!(world.commits[2].len(), 2);
    assert_eq!(world.control.bypassed(5, world.now), Some(MINUTE));
}

#[test]
fn what_waits_to_be_kept_counts_as_kept() {
    let mut world = World::started(Mode::Software);
    world.order(bypass([7, 5], MINUTE)).unwrap();
    assert_eq!(world.control.kept_away(), [5, 7]);
    let order = bypass([9, 5], MINUTE);
    world.control.take_orders(vec![(8, order)], world.now);
    assert_eq!(world.control.kept_away(), [5, 7, 9]);
}

#[test]
fn a_flow_that_may_be_offloaded_since_the_list_is_handed_back() {
    let mut world = World::started(Mode::Software);
    let classic = |id, duration| {
        let flows: Vec<Flow> = table_of(&[entry(id, 100)]).flows(0).collect();
        Order::bypass(&flows, duration, &[], &|_| None)
    };
    let handed_back = Done { bypassed: 1, released: 0, handed_back: true };
    let kept = Done { handed_back: false, ..handed_back };
    assert_eq!(world.order(classic(1, MINUTE)), Ok(handed_back));
    assert_eq!(world.commits[1][0], "delete table inet flowtabled");
    assert_eq!(world.order(classic(1, MINUTE)), Ok(kept), "the set holds it");
    world.expire(MINUTE - HOLDS);
    assert_eq!(world.order(classic(1, MINUTE)), Ok(handed_back), "not for long enough");
    world.order(Order::Release { ids: None }).unwrap();
    assert_eq!(world.order(classic(1, MINUTE)), Ok(handed_back), "not any more");
    let commits = world.commits.len();
    assert_eq!(world.order(classic(2, Duration::ZERO)), Ok(Done::default()));
    assert_eq!(world.commits.len(), commits, "it may be offloaded anyway");
}

#[test]
fn what_is_never_offloaded_costs_the_others_nothing() {
    let flow = |entry: Entry| table_of(&[entry]).flows(0).next().unwrap();
    let unsettled = |flow: Flow| match Order::bypass(&[flow], MINUTE, &[], &|_| None) {
        Order::Bypass { unsettled, .. } => !unsettled.is_empty(),
        other => panic!("{other:?}"),
    };
    let one = || entry(1, 100);
    let sctp = Tuple { protocol: 132, ..one().orig };
    assert!(unsettled(flow(one())) && unsettled(flow(Entry { status: 0, ..one() })));
    assert!(!unsettled(flow(Entry { orig: sctp, ..one() })));
    assert!(!unsettled(flow(Entry { has_helper: true, ..one() })));
    assert!(!unsettled(flow(Entry { status: IPS_OFFLOAD, ..one() })), "it is offloaded already");
    let local = Place::new(End::Attached(1), End::Router, None);
    assert!(!unsettled(Flow { place: local, ..flow(one()) }));
}

#[test]
fn zero_seconds_only_hand_back() {
    let mut world = World::started(Mode::Software);
    let done = Done { handed_back: true, ..Done::default() };
    assert_eq!(world.order(evict([1], Duration::ZERO)), Ok(done));
    assert!(world.kept(TABLE_SOFTWARE).is_empty());
    assert_eq!(world.order(bypass([1], Duration::ZERO)), Ok(Done::default()));
    assert_eq!(world.commits.len(), 2);
}

#[test]
fn released_flows_leave_the_set() {
    let mut world = World::started(Mode::Software);
    world.order(evict([1, 2, 3], MINUTE)).unwrap();
    let released = |released| Ok(Done { released, ..Done::default() });
    assert_eq!(world.order(Order::Release { ids: Some(vec![2, 9]) }), released(1));
    assert_eq!(world.kept(TABLE_SOFTWARE), [1, 3]);
    let line = "take elements out of set bypass of table inet flowtabled";
    assert_eq!(world.commits.last().unwrap(), &[line]);
    assert_eq!(world.order(Order::Release { ids: None }), released(2));
    assert!(world.kept(TABLE_SOFTWARE).is_empty());
    let commits = world.commits.len();
    assert_eq!(world.order(Order::Release { ids: None }), released(0));
    assert_eq!(world.commits.len(), commits);
}

#[test]
fn nothing_is_done_while_offload_is_off() {
    let mut world = World::started(Mode::Classic);
    assert_eq!(world.order(evict([1], MINUTE)), Ok(Done::default()));
    assert_eq!(world.order(Order::Release { ids: None }), Ok(Done::default()));
    assert!(world.commits.is_empty());
}

#[test]
fn only_the_tables_that_hold_the_flows_are_replaced() {
    let mixed = || {
        let mut world = World::new();
        world.capable = ["lan0"].into();
        world.start(Mode::Hardware);
        assert_eq!(world.mode().0, Mode::Mixed);
        world
    };
    let deleted = |world: &World| {
        let lines = world.commits.last().unwrap().iter();
        lines.filter(|line| line.starts_with("delete")).cloned().collect::<Vec<_>>()
    };
    let mut world = mixed();
    let in_hardware = |unsettled| Order::Bypass {
        ids: vec![1],
        duration: MINUTE,
        tables: vec![TABLE_HARDWARE.to_owned()],
        anywhere: false,
        unsettled,
    };
    world.order(in_hardware(Vec::new())).unwrap();
    assert_eq!(deleted(&world), ["delete table inet flowtabled_hw"]);
    assert_eq!([TABLE_HARDWARE, TABLE_SOFTWARE].map(|table| world.kept(table)), [[1], [1]]);
    world.order(evict([2], MINUTE)).unwrap();
    assert_eq!(deleted(&world).len(), 2);
    assert_eq!([TABLE_HARDWARE, TABLE_SOFTWARE].map(|t| world.kept(t)), [[1, 2], [1, 2]]);
    world.order(in_hardware(vec![2])).unwrap();
    assert_eq!(deleted(&world), ["delete table inet flowtabled_hw"], "2 cannot have left");
    world.order(in_hardware(vec![3])).unwrap();
    assert_eq!(deleted(&world).len(), 2);
}

#[test]
fn marks_follow_the_flows_into_every_new_table() {
    let mut world = World::started(Mode::Software);
    world.order(evict([1], MINUTE)).unwrap();
    world.order(Order::Watch { id: 2 }).unwrap();
    world.leak([20, 0]);
    world.expire(MINUTE / 4);
    // From the software class to the hardware class.
    world.capable = ["lan0", "wan0"].into();
    world.event(Event::Settings(Ok((settings(Mode::Hardware), Vec::new()))));
    world.rest();
    assert_eq!(world.mode().0, Mode::Hardware);
    assert_eq!(world.kept(TABLE_HARDWARE), [1]);
    let left = world.control.bypassed(1, world.now).unwrap();
    assert!(left <= MINUTE * 3 / 4 && left > MINUTE / 2, "{left:?}");
    assert_eq!(world.control.watched(2, world.now), Some(0));
    assert_eq!(world.control.status(None, world.now).leaked.unwrap().packets(), 20);

    // A new daemon adopts them, and takes them along into the table that it makes anew.
    let commits = world.commits.len();
    world.control = Control::new(world.now);
    world.start(Mode::Hardware);
    assert_eq!(world.commits.len(), commits + 1);
    assert_eq!(world.kept(TABLE_HARDWARE), [1]);
    assert!(world.control.bypassed(1, world.now).is_some());

    // They outlive tables that another program deletes.
    let table = Table::inet(TABLE_HARDWARE);
    apply(&mut world.kernel, &Command::DeleteTable(table.clone()));
    world.kernel.generation += 1;
    world.event(Event::Nftables(NftEvent::Chains(table)));
    world.rest();
    assert_eq!(world.kept(TABLE_HARDWARE), [1]);
    assert_eq!(world.control.status(None, world.now).leaked.unwrap().packets(), 20);
}

#[test]
fn flows_are_kept_again_when_offload_is_on_again_unless_released() {
    let mut world = World::started(Mode::Software);
    let switch = |world: &mut World, mode| {
        world.event(Event::Settings(Ok((settings(mode), Vec::new()))));
        world.rest();
    };
    world.order(evict([1, 2], MINUTE)).unwrap();
    switch(&mut world, Mode::Classic);
    assert_eq!(world.control.status(None, world.now).bypassed, Some(0));
    assert_eq!(world.control.bypassed(1, world.now), None);
    let released = world.order(Order::Release { ids: Some(vec![2]) });
    assert_eq!(released, Ok(Done { released: 1, ..Done::default() }));
    switch(&mut world, Mode::Software);
    assert_eq!(world.kept(TABLE_SOFTWARE), [1]);
}

#[test]
fn an_order_outlives_a_lost_race() {
    let mut world = World::started(Mode::Software);
    world.refuse_all = Some(libc::ERESTART);
    world.event(Event::Orders(vec![(3, evict([1], MINUTE))]));
    world.rest();
    world.rest();
    assert!(world.done.is_empty(), "the caller still waits");
    world.refuse_all = None;
    world.rest();
    let done = Done { bypassed: 1, released: 0, handed_back: true };
    assert_eq!(world.done, [(3, Ok(done))]);
    assert_eq!(world.kept(TABLE_SOFTWARE), [1]);
    assert_eq!(world.commits.len(), 2);
}

#[test]
fn an_element_that_expires_meanwhile_is_no_fault_of_the_hardware() {
    let mut world = World::new();
    world.capable = ["lan0", "wan0"].into();
    world.start(Mode::Hardware);
    world.order(bypass([1], MINUTE)).unwrap();
    let now = world.now;
    world.control.take_orders(vec![(3, Order::Release { ids: None })], now);
    let effects = world.control.handle(Event::Surveyed(Ok(world.kernel.clone())), now);
    assert!(matches!(effects[..], [Effect::Commit(..)]), "{effects:?}");
    world.kernel.sets.iter_mut().filter(|set| set.expiring).for_each(|set| set.elements.clear());
    let refusal = Refusal {
        object: "take elements out of set bypass".into(),
        table: TABLE_HARDWARE.into(),
        culprit: None,
        errno: libc::ENOENT,
        text: None,
    };
    world.event(Event::Committed(Err(Error::Refused(refusal))));
    assert_eq!(world.done, [(3, Ok(Done::default()))]);
    assert_eq!(world.mode(), (Mode::Hardware, Reason::AsConfigured));
}

#[test]
fn nobody_waits_for_ever() {
    let mut world = World::started(Mode::Software);
    world.refuse_all = Some(libc::ERESTART);
    world.event(Event::Orders(vec![(3, evict([1], MINUTE))]));
    world.pass(PATIENCE * 2);
    assert_eq!(std::mem::take(&mut world.done), [(3, Err(OrderError::Failed))]);
    world.refuse_all = None;
    world.rest();
    assert!(world.kept(TABLE_SOFTWARE).is_empty(), "what failed does not happen later");

    world.refuse_all = Some(libc::EPERM);
    assert_eq!(world.order(Order::Flush), Err(OrderError::Failed));
    assert_eq!(world.mode().1, Reason::NoPermission);

    let mut unconfigured = World::new();
    assert_eq!(unconfigured.order(Order::Flush), Err(OrderError::Failed));
}

#[test]
fn orders_leave_the_time_of_a_refused_repair_alone() {
    let mut world = World::started(Mode::Software);
    apply(&mut world.kernel, &Command::DeleteTable(Table::inet(TABLE_SOFTWARE)));
    world.refuse_all = Some(libc::ENOMEM);
    world.event(Event::EventsLost);
    world.rest();
    let fault = |world: &World| world.control.status(None, world.now).detail;
    let refusal = fault(&world);
    assert!(refusal.contains("flowtabled"), "{refusal}");
    let retry = world.control.deadline();
    for _ in 0..6 {
        world.refresh();
        assert_eq!(world.order(evict([1], MINUTE)), Err(OrderError::Failed));
        assert_eq!((fault(&world), world.control.deadline()), (refusal.clone(), retry));
    }
    world.refuse_all = None;
    world.pass(MINUTE);
    assert_eq!(world.mode(), (Mode::Software, Reason::AsConfigured));
    assert!(world.order(evict([1], MINUTE)).is_ok());
}

#[test]
fn an_order_that_loses_a_race_takes_no_repair_off_the_count() {
    let mut world = World::started(Mode::Software);
    let undo = |world: &mut World| {
        apply(&mut world.kernel, &Command::DeleteTable(Table::inet(TABLE_SOFTWARE)));
        world.event(Event::EventsLost);
        world.rest();
    };
    // The start was the first of five.
    for _ in 0..4 {
        undo(&mut world);
        world.refuse_all = Some(libc::ERESTART);
        world.event(Event::Orders(vec![(1, bypass([1], MINUTE))]));
        world.refuse_all = None;
        world.rest();
    }
    assert_eq!(world.mode().1, Reason::AsConfigured);
    undo(&mut world);
    assert_eq!(world.mode(), (Mode::Classic, Reason::Refused), "a quarrel");
}

#[test]
fn orders_that_wait_together_are_done_together() {
    let mut world = World::started(Mode::Software);
    world.refuse_all = Some(libc::ERESTART);
    world.event(Event::Orders(vec![(1, evict([1, 2], MINUTE))]));
    world.event(Event::Orders(vec![(2, Order::Release { ids: Some(vec![2]) })]));
    world.refuse_all = None;
    world.rest();
    let first = Done { bypassed: 2, released: 0, handed_back: true };
    let second = Done { released: 1, ..Done::default() };
    assert_eq!(world.done, [(1, Ok(first)), (2, Ok(second))]);
    assert_eq!(world.kept(TABLE_SOFTWARE), [1]);
}

#[test]
fn too_many_flows_are_refused_as_a_whole() {
    let mut world = World::started(Mode::Software);
    let many = BYPASS_MAX as u32;
    assert_eq!(world.order(evict(0..=many, MINUTE)), Err(OrderError::TooMany));
    assert_eq!(world.commits.len(), 1);
    assert_eq!(world.order(evict(0..many, MINUTE)).unwrap().bypassed, BYPASS_MAX);
    assert_eq!(world.order(bypass([many], MINUTE)), Err(OrderError::TooMany));
    assert_eq!(world.order(bypass([7], MINUTE)).unwrap().bypassed, 1, "it is there already");
    world.expire(MINUTE);
    assert_eq!(world.order(bypass([many], MINUTE)).unwrap().bypassed, 1);
}

#[test]
fn the_greatest_transaction_fits_a_datagram() {
    let mut world = World::new();
    world.capable = ["lan0"].into();
    world.start(Mode::Hardware);
    world.order(bypass(0..BYPASS_MAX as u32, MINUTE)).unwrap();
    for id in 0..WATCHED_MAX as u32 {
        world.order(Order::Watch { id }).unwrap();
    }
    world.control.take_orders(vec![(1, Order::Flush)], world.now);
    let commands = world.control.transaction(&world.kernel, world.now).commands;
    let batch = Batch::new(commands).finish(1, None, true);
    // Twice net.core.wmem_max as kernels have it, which is what they allow.
    assert!((200_000..2 * 212_992).contains(&batch.bytes().len()), "{}", batch.bytes().len());
}

#[test]
fn a_watched_flow_tells_what_leaked() {
    let mut world = World::started(Mode::Software);
    world.order(Order::Watch { id: 4 }).unwrap();
    assert_eq!(world.commits[1], ["add elements to set watched of table inet flowtabled"]);
    assert_eq!(world.control.watched(4, world.now), Some(0));
    assert_eq!(world.control.watched(5, world.now), None);
    let watched = |set: &&mut Set| set.name == SET_WATCHED;
    let set = world.kernel.sets.iter_mut().find(watched).unwrap();
    set.elements.iter_mut().for_each(|(_, e)| e.counted = Some(Counted { packets: 9, bytes: 900 }));
    world.refresh();
    assert_eq!(world.control.watched(4, world.now), Some(9));
    // Asked again soon, nothing changes; later the watch is prolonged and the count goes on.
    world.order(Order::Watch { id: 4 }).unwrap();
    assert_eq!(world.commits.len(), 2);
    world.expire(MINUTE * 3 / 4);
    world.order(Order::Watch { id: 4 }).unwrap();
    let element =
        Element { expires: Some(WATCH), counted: Some(Counted { packets: 9, bytes: 900 }) };
    assert_eq!(world.set(TABLE_SOFTWARE, SET_WATCHED), [(4, element)]);
    world.expire(WATCH);
    assert_eq!(world.control.watched(4, world.now), None);
}

#[test]
fn watched_flows_are_bounded() {
    let mut world = World::started(Mode::Software);
    for id in 0..WATCHED_MAX as u32 {
        world.order(Order::Watch { id }).unwrap();
    }
    assert_eq!(world.order(Order::Watch { id: 1000 }), Err(OrderError::TooMany));
    assert!(world.order(Order::Watch { id: 3 }).is_ok());
    world.expire(WATCH);
    assert!(world.order(Order::Watch { id: 1000 }).is_ok());
}

#[test]
fn leaks_are_told_by_path_and_judged() {
    let mut world = World::started(Mode::Software);
    let mut look = |leaked: [u64; 2], carried: [u64; 2]| {
        world.now += Duration::from_secs(2);
        world.leak(leaked);
        world.refresh();
        world.event(Event::Carried(carried));
        let status = world.control.status(None, world.now);
        (status.leaked.unwrap(), status.effective, status.reason.unwrap(), status.detail)
    };
    let (leaked, ..) = look([4, 2], [1000, 0]);
    assert_eq!(leaked.packets(), 6);
    let (leaked, mode, reason, _) = look([12, 2], [2000, 0]);
    assert_eq!(leaked.software, Leak { packets: 12, rate_pps: Some(4) });
    assert_eq!((mode, reason), (Mode::Software, Reason::AsConfigured));
    let (_, mode, reason, detail) = look([1012, 2], [4000, 0]);
    assert_eq!((mode, reason), (Mode::Software, Reason::OffloadedInName));
    assert_eq!(detail, "software: 1008 of 3000 packets");
    for second in 0..5 {
        look([1012, 2], [5000 + second, 0]);
    }
    let (_, _, reason, detail) = look([1012, 2], [6000, 0]);
    assert_eq!((reason, detail.as_str()), (Reason::AsConfigured, ""));
    let told: Vec<Level> = world.log[1..].iter().map(|(level, _)| *level).collect();
    assert_eq!(told, [Level::Warn, Level::Info]);
}

#[test]
fn leaks_outlive_a_flush_and_cannot_be_judged_without_counts() {
    let mut world = World::started(Mode::Software);
    world.leak([500, 0]);
    world.order(Order::Flush).unwrap();
    assert_eq!(world.control.status(None, world.now).leaked.unwrap().packets(), 500);
    world.abilities.accounting = Some(false);
    world.event(Event::Settings(Ok((settings(Mode::Software), Vec::new()))));
    world.rest();
    for leaked in [500, 5000] {
        world.leak([leaked, 0]);
        world.refresh();
        world.event(Event::Carried([0, 0]));
    }
    assert_eq!(world.mode().1, Reason::AsConfigured);
    assert_eq!(world.control.status(None, world.now).reason, Some(Reason::AsConfigured));
}

#[test]
fn subscribers_are_told_what_status_says() {
    let mut world = World::started(Mode::Software);
    let now = |world: &World| {
        let mode = world.control.present().mode;
        let status = world.control.status(None, world.now);
        assert_eq!(status.reason, Some(mode.reason));
        assert_eq!((status.effective, &status.detail), (mode.effective, &mode.detail));
        (mode.effective, mode.reason)
    };
    for leaked in [0, 500] {
        world.now += Duration::from_secs(2);
        world.leak([leaked, 0]);
        world.refresh();
        world.event(Event::Carried([leaked, 0]));
    }
    assert_eq!(now(&world), (Mode::Software, Reason::OffloadedInName));
    world.order(Order::Watch { id: 2 }).unwrap();
    assert_eq!(now(&world), (Mode::Software, Reason::OffloadedInName));
    world.event(Event::Settings(Ok((settings(Mode::Classic), Vec::new()))));
    world.rest();
    assert_eq!(now(&world), (Mode::Classic, Reason::OffloadOff));
}

#[test]
fn accounting_is_switched_on_when_asked_for_and_never_off() {
    let mut world = World::new();
    world.abilities.accounting = Some(false);
    world.start(Mode::Software);
    assert_eq!(world.abilities.accounting, Some(false), "not asked for");
    let wanted = || Settings { accounting: true, ..settings(Mode::Software) };
    world.no_accounting = Some("read-only file system".into());
    for _ in 0..2 {
        world.event(Event::Settings(Ok((wanted(), vec!["a:1: b".into()]))));
        world.rest();
    }
    let status = world.control.status(None, world.now);
    let fault = "conntrack's accounting cannot be switched on: read-only file system";
    assert_eq!(status.warnings, ["a:1: b", fault]);
    assert_eq!(status.kernel.accounting, Some(false));
    let told = |world: &World, line: &str| world.log.iter().filter(|(_, l)| l == line).count();
    assert_eq!(told(&world, fault), 1);
    world.no_accounting = None;
    for _ in 0..2 {
        world.event(Event::Settings(Ok((wanted(), Vec::new()))));
        world.rest();
    }
    let status = world.control.status(None, world.now);
    assert!(status.warnings.is_empty());
    assert_eq!(status.kernel.accounting, Some(true));
    let on = "conntrack's accounting is on for connections made from now on";
    assert_eq!(told(&world, on), 1);
    world.event(Event::Settings(Ok((settings(Mode::Software), Vec::new()))));
    world.rest();
    assert_eq!(world.abilities.accounting, Some(true));
}
