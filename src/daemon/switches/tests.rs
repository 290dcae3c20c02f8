// SPDX-License-Identifier: GPL-2.0-or-later
//! The driver of a QCA8337 on a simulated one, with flows of a router with a bridge.

use hw_drivers::flow;
use hw_drivers::qca8337::{Model, Options, Qca8337};
use hw_simulators::qca8337::Qca8337 as Chip;
use hw_simulators::{Chip as _, Shared};

use super::*;
use crate::core::hardware::resolve::tests::{switch, topology, via_gateway, web, WAN};

const RATE: u64 = 1_000_000;
const PORTS: [(&str, u8, u16); 2] = [("lan1", 2, 1), ("wan", 5, 2)];

struct World {
    switches: Switches,
    chip: Shared<Chip>,
    /// The instant that the chip's clock shows.
    clock: Instant,
    topology: Topology,
    barred: Option<String>,
}

impl World {
    /// A switch that takes flows.
    fn new(ports: &[(&str, u8, u16)]) -> World {
        let chip = Shared::new(Chip::default());
        let now = Instant::now();
        let table: Table = Box::new(Qca8337::new(chip.clone(), Model::Qca8337, Options::default()));
        let mut switches = Switches::default();
        let mut driven = Driven {
            settings: switch(ports),
            way: Way::Closed(String::new(), now + REOPEN),
            switch: Switch::new(0, now),
            capacity: 0,
            offers: Vec::new(),
            left_out: litemap::LiteMap::new(),
            left_out_before: litemap::LiteMap::new(),
            told: String::new(),
        };
        driven.take(Access::Open(table), now);
        switches.list.push(driven);
        let topology = topology();
        switches.set_networks(&topology, true, now);
        let mut world = World { switches, chip, clock: now, topology, barred: None };
        world.work_until(|world| world.state() == &State::Ready);
        world
    }

    fn state(&self) -> &State {
        self.switches.list[0].switch.state()
    }

    fn used(&self) -> u32 {
        self.switches.views()[0].used.unwrap()
    }

    /// Turns of the loop; the chip's clock goes with ours.
    fn work_until(&mut self, done: impl Fn(&World) -> bool) {
        let begun = Instant::now();
        loop {
            // Before the work, so that the chip is never behind what the daemon has waited for.
            let now = Instant::now();
            self.chip.pass(now - self.clock);
            self.clock = now;
            self.switches.work(now);
            if done(self) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", self.switches.views());
            if let Some(due) = self.switches.deadline(now) {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// A list that begins when what was handed back is long gone.
    fn offer(&mut self, flow: Flow) {
        self.offer_from(flow, Instant::now() + CALM);
    }

    fn offer_from(&mut self, flow: Flow, begun: Instant) {
        let candidates = vec![(Flow { age_ms: 60_000, ..flow }, RATE)];
        let picked = Picked { candidates, closing: Vec::new() };
        self.switches.pick(picked, begun, Instant::now());
        let devices = ["br-lan", "wan"].map(|name| Some(name.to_owned()));
        let table = Some("flowtabled".to_owned());
        let barred = self.barred.clone();
        let about = |_: &Flow| Whereabouts {
            devices: devices.clone(),
            table: table.clone(),
            barred: barred.clone(),
        };
        while self.switches.picked.open {
            self.switches.consider(&self.topology, &about, &mut via_gateway, Instant::now());
        }
    }

    fn with_flow() -> World {
        let mut world = World::new(&PORTS);
        world.offer(web());
        world.work_until(|world| world.used() == 1);
        world
    }

    fn in_chip(&self) -> usize {
        self.chip.with(|chip| chip.napt_used())
    }
}

#[test]
fn a_flow_is_in_hardware_once_its_entry_was_read_back() {
    let mut world = World::new(&PORTS);
    world.switches.take_held(Instant::now() + TELL_WITHIN);
    world.offer(web());
    let id = web().id;
    assert_eq!(world.switches.take_held(Instant::now() + TELL_WITHIN), Some(vec![(id, false)]));
    assert_eq!(world.switches.about(id), Some(("sw", "waits for its entry".into())));
    world.work_until(|world| world.used() == 1);
    assert_eq!(world.switches.take_held(Instant::now() + TELL_WITHIN), Some(vec![(id, true)]));
    assert_eq!(world.switches.take_held(Instant::now() + TELL_WITHIN), None, "nothing has changed");
    let entries = world.chip.with(|chip| chip.napt_entries());
    assert_eq!(entries.len(), 1);
    assert!(format!("{entries:?}").contains("192.168.1.2"), "{entries:?}");
}

#[test]
fn what_is_stale_has_left_when_the_call_returns() {
    let mut world = World::with_flow();
    let now = Instant::now();
    let named = |name: &str| Tables::Named(vec![name.into()]);
    world.switches.hand_back(&named("flowtabled_p_guests"), now);
    world.switches.moved(&Moves { neighbours: vec![99], ports: vec![98] }, now);
    assert_eq!(world.in_chip(), 1, "that was about others");
    world.switches.hand_back(&named("flowtabled"), now);
    assert_eq!((world.in_chip(), world.used()), (0, 0));
    for moves in [
        Moves { neighbours: vec![WAN], ports: Vec::new() },
        Moves { neighbours: Vec::new(), ports: vec![WAN] },
    ] {
        world.offer(web());
        world.work_until(|world| world.used() == 1);
        world.switches.moved(&moves, Instant::now());
        assert_eq!(world.in_chip(), 0, "{moves:?}");
    }
}

#[test]
fn what_a_list_says_of_the_time_before_is_not_believed() {
    let mut world = World::with_flow();
    let named = Tables::Named(vec!["flowtabled".into()]);
    let candidates = vec![(Flow { age_ms: 60_000, id: 99, ..web() }, RATE)];
    let now = Instant::now();
    world.switches.pick(Picked { candidates, closing: Vec::new() }, now, now);
    world.switches.hand_back(&named, now);
    assert!(!world.switches.picked.open, "nor what has yet to be looked at");
    world.offer_from(web(), now + CALM - Duration::from_millis(1));
    assert_eq!(world.switches.take_held(Instant::now() + TELL_WITHIN), Some(Vec::new()));
    world.switches.moved(&Moves { neighbours: vec![WAN], ports: Vec::new() }, now + CALM / 2);
    world.offer_from(web(), now + CALM);
    assert_eq!(
        world.switches.take_held(Instant::now() + TELL_WITHIN),
        Some(vec![(web().id, false)])
    );
}

#[test]
fn a_connection_that_ends_or_closes_leaves() {
    let mut world = World::with_flow();
    world.switches.release(web().id, Instant::now());
    assert_eq!(world.used(), 0, "it does not count any more");
    world.work_until(|world| world.in_chip() == 0);
    world.offer(web());
    world.work_until(|world| world.used() == 1);
    let closing = vec![web().id];
    let (picked, now) = (Picked { candidates: Vec::new(), closing }, Instant::now());
    world.switches.pick(picked, now, now);
    world.work_until(|world| world.in_chip() == 0);
}

#[test]
fn why_a_flow_is_not_taken_is_told() {
    let mut world = World::new(&[("lan1", 2, 1), ("guest", 5, 2), ("wan", 4, 1)]);
    world.offer(web());
    let (_, words) = world.switches.about(web().id).unwrap();
    assert_eq!(words, "the chip cannot express VLAN 1");
    let elsewhere = Flow { zone: 5, ..web() };
    world.offer(elsewhere);
    let (_, words) = world.switches.about(web().id).unwrap();
    assert_eq!(words, "in a conntrack zone of its own");
    let now = Instant::now();
    world.switches.pick(Picked::default(), now, now);
    assert!(world.switches.about(web().id).is_some(), "until the next list is through");
}

#[test]
fn what_the_configuration_keeps_in_software_stays_there() {
    let mut world = World::new(&PORTS);
    world.barred = Some("lan1 is to offload in software only".into());
    world.offer(web());
    assert_eq!(world.switches.take_held(Instant::now() + TELL_WITHIN), Some(Vec::new()));
    let (_, words) = world.switches.about(web().id).unwrap();
    assert_eq!(words, "lan1 is to offload in software only");
}

#[test]
fn without_networks_and_at_the_end_the_engine_is_off() {
    let engine_on = |world: &World| world.chip.with(|chip| chip.register(0x30)) & 1 << 2 != 0;
    let mut world = World::with_flow();
    assert!(engine_on(&world));
    world.switches.set_networks(&topology(), false, Instant::now());
    world.work_until(|world| world.state() == &State::Off);
    assert!(!engine_on(&world));
    let mut world = World::with_flow();
    // The chip's clock stands still while the daemon waits for it, which must not matter.
    world.switches.stop();
    assert!(!engine_on(&world));
}

#[test]
fn a_section_that_changes_is_opened_anew() {
    let mut world = World::with_flow();
    let now = Instant::now();
    assert!(!world.switches.configure(&[switch(&PORTS)], now));
    assert_eq!(world.in_chip(), 1, "it is the same");
    let other = SwitchSettings { way: None, ..switch(&PORTS) };
    assert!(world.switches.configure(std::slice::from_ref(&other), now));
    assert_eq!(world.in_chip(), 0);
    let [view] = &world.switches.views()[..] else { panic!("one") };
    assert_eq!(view.condition, Condition::Unusable("no bus or device is configured".into()));
    assert!(world.switches.configure(&[], now) && world.switches.is_empty());
    assert_eq!(world.switches.take_held(now), Some(Vec::new()));
    assert_eq!(world.switches.deadline(now), None);
}

#[test]
fn who_asks_again_has_what_failed_opened_anew() {
    let mut world = World::with_flow();
    let now = Instant::now();
    world.switches.try_again(now);
    assert_eq!((world.state(), world.in_chip()), (&State::Ready, 1), "nothing is wrong");
    let other = Qca8337::new(world.chip.clone(), Model::Ar8327, Options::default());
    world.switches.list[0].take(Access::Open(Box::new(other)), now);
    world.work_until(|world| matches!(world.state(), State::Wrong(_)));
    world.switches.try_again(now);
    assert!(matches!(&world.switches.list[0].way, Way::Closed(_, due) if *due == now));
    world.switches.work(now);
    let reason = Condition::Unusable("mdio: the kernel module".into());
    let [view] = &world.switches.views()[..] else { panic!("one") };
    assert_eq!(view.condition.code(), reason.code(), "there is no such bus here: {view:?}");
}

/// The sides of the flow are the ports of the configuration.
#[test]
fn entries_lead_to_the_configured_ports() {
    let world = World::with_flow();
    let taken = world.switches.list[0].switch.flow(web().id).copied().unwrap();
    let ports = |flow: flow::Flow| [flow.opener, flow.answerer].map(|side| (side.port, side.vlan));
    assert_eq!(ports(taken), [(2, 1), (5, 2)]);
    let hosts = world.chip.with(|chip| chip.host_entries());
    assert_eq!(hosts.len(), 2, "{hosts:?}");
}
