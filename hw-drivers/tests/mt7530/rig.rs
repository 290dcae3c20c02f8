// SPDX-License-Identifier: GPL-2.0-or-later
//! A driver on a switch, frames for it, and what should become of them.

use hw_drivers::bus::Bus;
use hw_drivers::flow::{Mac, Protocol};
use hw_drivers::mt7530::{Action, Match, Mt7530, Rule, RuleId, Settings};
use hw_drivers::table::{FlowTable, Network, Progress};
use hw_simulators::frame::{Frame, Packet};
use hw_simulators::mt7530 as sim;
use hw_simulators::mt7530::{HighHalf, Observation, Options, Precedence, Sampled, Words};
use hw_simulators::Shared;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub type Switch = Shared<sim::Mt7530>;

pub const SETTINGS: Settings = Settings { ports: 0x7f, trap: true };

/// Priority that ports give to frames when no rule does.
pub const OWN: u8 = 3;

/// The switch as each public uncertainty could have it, one at a time and then all together.
pub fn worlds() -> Vec<Options> {
    let usual = Options::default();
    let all = Options {
        revision: 3,
        busy_reads: 4,
        high_half: HighHalf::Live,
        words: Words::Separate,
        sampled: Sampled::AtEnd,
        index_invalid: false,
        precedence: Precedence::Highest,
        empty_mask_matches: true,
        priority_zero_counts: false,
        tagged_ether_type: true,
        ports_of_fragments: false,
        base_of_others: false,
        end_with_last: false,
        ..usual
    };
    vec![
        usual,
        Options { busy_reads: 0, ..usual },
        Options { busy_reads: 4, sampled: Sampled::AtEnd, ..usual },
        Options { high_half: HighHalf::Live, ..usual },
        Options { words: Words::Separate, ..usual },
        Options { precedence: Precedence::Highest, ..usual },
        Options { empty_mask_matches: true, ..usual },
        Options { priority_zero_counts: false, ..usual },
        Options { end_with_last: false, ..usual },
        all,
    ]
}

pub fn switch(options: Options) -> Switch {
    let mut switch = sim::Mt7530::new(options);
    for port in 0..u32::from(sim::PORTS) {
        let pcr = switch.peek(0x2004 + 0x100 * port);
        switch.poke(0x2004 + 0x100 * port, pcr | u32::from(OWN) << 24);
    }
    Shared::new(switch)
}

pub fn network() -> Network {
    Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public: Vec::new() }
}

pub fn set_up<B: Bus>(driver: &mut Mt7530<B>) {
    while driver.set_up(&network()).unwrap() != Progress::Done {}
}

pub fn disable<B: Bus>(driver: &mut Mt7530<B>) {
    while driver.disable().unwrap() != Progress::Done {}
}

pub fn finish<B: Bus>(driver: &mut Mt7530<B>) {
    while driver.advance().unwrap() != Progress::Done {}
}

pub fn insert<B: Bus>(driver: &mut Mt7530<B>, rule: &Rule) -> RuleId {
    let id = driver.insert_rule(rule).unwrap();
    finish(driver);
    id
}

pub fn remove<B: Bus>(driver: &mut Mt7530<B>, id: RuleId) {
    driver.remove_rule(id).unwrap();
    finish(driver);
}

/// A driver that is set up, and its switch.
pub fn ready(options: Options) -> (Mt7530<Switch>, Switch) {
    let switch = switch(options);
    let mut driver = Mt7530::new(switch.clone(), SETTINGS);
    set_up(&mut driver);
    (driver, switch)
}

/// A driver on a switch at a moment that can be gone back to, since a set-up takes its time.
pub struct Stage<B> {
    driver: Mt7530<B>,
    switch: Switch,
    image: sim::Mt7530,
}

impl<B: Bus + Clone> Stage<B> {
    pub fn new(driver: Mt7530<B>, switch: Switch) -> Stage<B> {
        let image = switch.with(|switch| switch.clone());
        Stage { driver, switch, image }
    }

    /// The driver and the switch as they were. Those of the time before are not to be used more.
    pub fn enter(&self) -> (Mt7530<B>, Switch) {
        self.switch.with(|switch| *switch = self.image.clone());
        (self.driver.clone(), self.switch.clone())
    }
}

pub fn v4(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    Some((address.parse().unwrap(), length.parse().unwrap()))
}

pub fn drop_of(what: Match) -> Rule {
    Rule { what, action: Action::Drop }
}

/// A frame from nobody known to nobody known, so that it goes to all other ports.
pub fn frame(protocol: Protocol, source: &str, destination: &str) -> Frame {
    let socket = |text: &str| text.parse::<SocketAddr>().unwrap();
    Frame {
        destination: Mac([2, 0, 0, 0, 0, 0x99]),
        source: Mac([2, 0, 0, 0, 0, 1]),
        tags: Vec::new(),
        pppoe: None,
        packet: Packet::new(protocol, socket(source), socket(destination)),
    }
}

pub fn udp(source: &str, destination: &str) -> Frame {
    frame(Protocol::Udp, source, destination)
}

pub fn tcp(source: &str, destination: &str) -> Frame {
    frame(Protocol::Tcp, source, destination)
}

/// What a frame looks like to a rule, for the tests' own idea of matching.
#[derive(Debug, Clone)]
pub struct Sample {
    pub port: u8,
    pub frame: Frame,
    /// It is a later fragment, so that where ports were there is payload.
    pub later: bool,
}

impl Sample {
    pub fn new(port: u8, frame: Frame) -> Sample {
        Sample { port, frame, later: false }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.frame.emit();
        if self.later && !self.frame.packet.is_v6() {
            bytes[20] = 0x00;
            bytes[21] = 0x07;
        }
        bytes
    }

    /// Whether a rule is about it, from the frame's fields and not from its words.
    pub fn matches(&self, what: &Match) -> bool {
        let packet = &self.frame.packet;
        let is = |wanted: Option<Mac>, mac| wanted.is_none_or(|wanted| wanted == mac);
        let of = |wanted: Option<(Ipv4Addr, u8)>, address: IpAddr| {
            wanted.is_none_or(|(network, length)| match address {
                IpAddr::V4(address) => {
                    let cut = |address| u64::from(u32::from(address)) >> (32 - length);
                    cut(address) == cut(network)
                }
                IpAddr::V6(_) => false,
            })
        };
        let number = match packet.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        };
        let port =
            |wanted: Option<u16>, port| wanted.is_none_or(|wanted| wanted == port && !self.later);
        let kind = if packet.is_v6() { 0x86dd } else { 0x0800 };
        what.ports >> self.port & 1 != 0
            && is(what.source_mac, self.frame.source)
            && is(what.destination_mac, self.frame.destination)
            && what.ether_type.is_none_or(|wanted| wanted == kind)
            && of(what.source, packet.source.ip())
            && of(what.destination, packet.destination.ip())
            && what.protocol.is_none_or(|wanted| wanted == number && !packet.is_v6())
            && port(what.source_port, packet.source.port())
            && port(what.destination_port, packet.destination.port())
    }

    pub fn observe(&self, switch: &Switch) -> Observation {
        switch.with(|switch| switch.observe(self.port, &self.bytes()))
    }

    /// Ports it left by, and its priority; `None` if it was lost.
    pub fn fate(&self, switch: &Switch) -> Option<(Vec<u8>, u8)> {
        let observed = self.observe(switch);
        let first = observed.departures.first()?;
        assert_eq!(first.queue, first.priority, "queues follow priorities here");
        let ports = observed.departures.iter().map(|departure| departure.port).collect();
        assert!(observed.departures.iter().all(|all| all.bytes == self.bytes()));
        Some((ports, first.priority))
    }

    /// What becomes of it without a rule: to all other ports.
    pub fn untouched(&self) -> Option<(Vec<u8>, u8)> {
        Some(((0..sim::PORTS).filter(|port| *port != self.port).collect(), OWN))
    }
}
