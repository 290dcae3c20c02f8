// SPDX-License-Identifier: GPL-2.0-or-later
//! The way of a frame through the chip: router, classifier, translation, next hop, and out.
//!
//! The order of the stages is not confirmed by any public source. CPU headers, ARP and IP source
//! guards, MIB counters and speed limits are not modelled; frames of the processor are bridged.

use super::acl::{self, Command, Fields, L3Mode, Verdict};
use super::ageing::{hit_host, hit_napt};
use super::counters::{count_policer, Direction};
use super::direct::{self, Tagging};
use super::host::{Host, DROP};
use super::napt::{small, Action, Napt, Nat};
use super::options::{MemberFilter, Model};
use super::packet::{emit, Kind, Link, Packet};
use super::registers as reg;
use super::{Qca8337, CPU};
use crate::Out;
use hw_drivers::flow::Mac;

const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN_FIN_RST: u8 = 0x07;

/// What becomes of a frame.
enum Fate {
    /// The processor gets it as it came.
    ToCpu,
    /// It is lost.
    Lost,
    /// It leaves, and copies go with it.
    Leaves { packet: Packet, host: usize, copies: Copies },
}

/// Ports that also get the frame as it came.
#[derive(Clone, Copy, Default)]
struct Copies {
    cpu: bool,
    mirror: bool,
}

impl Copies {
    fn add(&mut self, action: Action) {
        self.cpu |= action == Action::Copy;
        self.mirror |= action == Action::Mirror;
    }
}

/// What translation did.
enum Translated {
    /// The packet is as it is to leave, or one that none is needed for.
    Done(Action),
    /// There is no entry.
    Missed,
    /// It must not get where it wants to.
    Lost,
}

impl Qca8337 {
    pub(super) fn forward(&mut self, port: u8, frame: &[u8]) -> Vec<Out> {
        let Some(link) = Link::of(frame).filter(|_| direct::exists(port)) else {
            return Vec::new();
        };
        let vid = match link.tag.map(|tag| tag & 0xfff) {
            Some(vid @ 1..) => vid,
            Some(0) | None => direct::pvid(&self.registers, port),
        };
        self.learn(port, link.source, vid);
        let enabled = self.registers.has(reg::MOD_ENABLE, reg::L3_EN)
            && self.registers.has(reg::ROUTER_CTRL, reg::ROUTER_EN);
        let v6 = match link.kind {
            Kind::V6 | Kind::Session { v6: Some(true), .. } => true,
            Kind::V4 | Kind::Session { .. } | Kind::Other => false,
        };
        if !enabled || !direct::routes(&self.registers, link.destination, vid, v6) {
            return self.bridge(port, vid, &link, frame);
        }
        match self.route(port, &link, frame) {
            Fate::ToCpu => self.redirected(frame).into_iter().collect(),
            Fate::Lost => Vec::new(),
            Fate::Leaves { packet, host, copies } => self.leave(&link, frame, packet, host, copies),
        }
    }

    /// A frame to the router's MAC address.
    fn route(&mut self, port: u8, link: &Link, frame: &[u8]) -> Fate {
        if let Kind::Session { session, .. } = link.kind {
            if !direct::removes_session(&self.registers, session) {
                return Fate::ToCpu;
            }
        }
        let Some(mut packet) = link.packet(frame) else { return Fate::ToCpu };
        if self.bypasses(&packet) {
            return Fate::ToCpu;
        }
        let verdict = self.classify(port, &packet, frame);
        let mut copies = Copies::default();
        match verdict.command {
            Command::Forward => {}
            Command::Copy => copies.cpu = true,
            Command::Redirect => return Fate::ToCpu,
            Command::Drop => return Fate::Lost,
        }
        let translated = match packet.v6 {
            true => Translated::Done(Action::Forward),
            false => self.translate(&mut packet, verdict.mode, frame),
        };
        match translated {
            Translated::Done(Action::Redirect) => return Fate::ToCpu,
            Translated::Done(action) => copies.add(action),
            Translated::Missed
                if self.registers.has(reg::FORWARD_CTL0, reg::NAT_NOT_FOUND_DROP) =>
            {
                return Fate::Lost;
            }
            Translated::Missed => return Fate::ToCpu,
            Translated::Lost => return Fate::Lost,
        }
        let Some((index, host)) = self.next_hop(&packet, verdict) else {
            return if self.options.lost_hosts_to_cpu { Fate::ToCpu } else { Fate::Lost };
        };
        if host.own || host.action == Action::Redirect {
            return Fate::ToCpu;
        }
        copies.add(host.action);
        if host.port == DROP || self.filters(port, host.port) {
            return Fate::Lost;
        }
        packet.hop();
        Fate::Leaves { packet, host: index, copies }
    }

    fn bypasses(&self, packet: &Packet) -> bool {
        let bypass = &self.options.bypass;
        bypass.fragments && packet.is_fragment()
            || bypass.options && packet.has_options()
            || bypass.ttl && packet.ttl() <= 1
            || bypass.tcp_flags && packet.flags() & SYN_FIN_RST != 0
    }

    fn classify(&mut self, port: u8, packet: &Packet, frame: &[u8]) -> Verdict {
        if packet.v6 {
            return Verdict::NONE;
        }
        let fields = Fields {
            port,
            source: packet.source(),
            destination: packet.destination(),
            protocol: packet.protocol(),
            dscp: packet.dscp(),
            ports: packet.ports(),
            flags: packet.flags(),
        };
        let verdict = acl::classify(&self.registers, &fields);
        if let Some(policer) = verdict.policer {
            let bytes = self.counted(frame);
            count_policer(&mut self.registers, policer, bytes);
        }
        verdict
    }

    /// Which translation a packet needs, and the translation.
    fn translate(&mut self, packet: &mut Packet, forced: L3Mode, frame: &[u8]) -> Translated {
        let (registers, model) = (&self.registers, self.options.model);
        let from_private = direct::is_private(registers, model, packet.source());
        let to_private = direct::is_private(registers, model, packet.destination());
        let to_public = direct::is_public(registers, packet.destination());
        match forced {
            L3Mode::Snat => self.snat(packet, frame),
            L3Mode::Dnat => self.dnat(packet, frame),
            L3Mode::None if to_public => self.dnat(packet, frame),
            L3Mode::None if from_private && !to_private => self.snat(packet, frame),
            L3Mode::None => {
                let isolated =
                    model == Model::Qca8337 && registers.has(reg::VLAN_TRANS, reg::NET_ISO);
                if to_private && !from_private && isolated {
                    return Translated::Lost;
                }
                Translated::Done(Action::Forward)
            }
        }
    }

    /// From the LAN: the source becomes a public one.
    fn snat(&mut self, packet: &mut Packet, frame: &[u8]) -> Translated {
        let model = self.options.model;
        let private = direct::stored(&self.registers, model, packet.source());
        let ports = packet.ports();
        if self.registers.has(reg::NAT_CTRL, reg::NAPT_EN) {
            let found = self.find_napt(packet, |entry, (source, destination)| {
                direct::public_valid(&self.registers, model, entry.public)
                    && direct::is_private(&self.registers, model, packet.source())
                    && (entry.private, entry.private_port) == (private, source)
                    && (entry.remote, entry.remote_port) == (packet.destination(), destination)
            });
            if let Some((index, entry)) = found {
                let public = direct::public_for_egress(&self.registers, entry.public);
                packet.set_source(public, Some(entry.translated));
                self.hit(index, entry.counter, Direction::FromPrivate, frame);
                return Translated::Done(entry.action);
            }
        }
        if self.registers.has(reg::NAT_CTRL, reg::NAT_EN) {
            let port = ports.map(|(source, _)| source);
            let found = self
                .find_nat(|entry| entry.private == private && entry.takes(packet.protocol(), port));
            if let Some(entry) = found {
                packet.set_source(entry.public, None);
                self.count(entry.counter, Direction::FromPrivate, frame);
                return Translated::Done(entry.action);
            }
        }
        Translated::Missed
    }

    /// To a public address: the destination becomes the private one.
    fn dnat(&mut self, packet: &mut Packet, frame: &[u8]) -> Translated {
        let model = self.options.model;
        let control = self.registers.get(reg::NAT_CTRL);
        let (restricted, symmetric) = (control >> 2 & 3 != 0, control >> 3 & 1 != 0);
        if control & reg::NAPT_EN != 0 {
            let found = self.find_napt(packet, |entry, (source, destination)| {
                let public = packet.destination();
                direct::public_is(&self.registers, model, entry.public, public)
                    && entry.translated == destination
                    && (!restricted || entry.remote == packet.source())
                    && (!symmetric || entry.remote_port == source)
            });
            if let Some((index, entry)) = found {
                let private = direct::whole(&self.registers, model, entry.private);
                packet.set_destination(private, Some(entry.private_port));
                self.hit(index, entry.counter, Direction::ToPrivate, frame);
                return Translated::Done(entry.action);
            }
        }
        if control & reg::NAT_EN != 0 {
            let port = packet.ports().map(|(_, destination)| destination);
            let found = self.find_nat(|entry| {
                entry.public == packet.destination() && entry.takes(packet.protocol(), port)
            });
            if let Some(entry) = found {
                let private = direct::whole(&self.registers, model, entry.private);
                packet.set_destination(private, None);
                self.count(entry.counter, Direction::ToPrivate, frame);
                return Translated::Done(entry.action);
            }
        }
        Translated::Missed
    }

    /// The NAPT entry that `matches` a packet, which is also told the packet's ports.
    fn find_napt(
        &self,
        packet: &Packet,
        matches: impl Fn(&Napt, (u16, u16)) -> bool,
    ) -> Option<(usize, Napt)> {
        let code = match packet.protocol() {
            TCP => 0,
            UDP => 1,
            _ => return None,
        };
        let ports = packet.ports()?;
        let forwards = |entry: &Napt| entry.age > 1 || self.options.aged_forwards;
        self.tables
            .napt
            .iter()
            .map(|(index, words)| (index, Napt::of(self.options.model, words)))
            .find(|(_, entry)| entry.protocol == code && forwards(entry) && matches(entry, ports))
    }

    fn find_nat(&self, matches: impl Fn(&Nat) -> bool) -> Option<Nat> {
        let entries = self.tables.nat.iter().map(|(_, words)| Nat::of(self.options.model, words));
        entries.into_iter().find(matches)
    }

    fn hit(&mut self, index: usize, counter: Option<u8>, way: Direction, frame: &[u8]) {
        hit_napt(&mut self.tables, &self.options, index);
        self.count(counter, way, frame);
    }

    fn count(&mut self, counter: Option<u8>, way: Direction, frame: &[u8]) {
        let bytes = self.counted(frame);
        if let Some(id) = counter {
            self.counters.count_napt(id, way, bytes, &self.options);
        }
    }

    /// What a frame adds to a counter of bytes.
    fn counted(&self, frame: &[u8]) -> u32 {
        let overhead = u32::from(self.options.counted_overhead);
        u32::try_from(frame.len()).unwrap_or(u32::MAX).saturating_add(overhead)
    }

    /// The host that a packet goes to: that of the rule, or that of its destination.
    fn next_hop(&self, packet: &Packet, verdict: Verdict) -> Option<(usize, Host)> {
        let model = self.options.model;
        let living = |index: usize| {
            let host = Host::of(model, self.tables.hosts.get(index)?);
            (host.age != 0).then_some((index, host))
        };
        if let Some(index) = verdict.next_hop {
            return living(usize::from(index));
        }
        let address = packet.destination_words();
        let wanted = |words: &_| {
            let host = Host::of(model, words);
            host.age != 0 && host.v6 == packet.v6 && host.address == address
        };
        living(self.tables.hosts.find(0..self.tables.hosts.len(), wanted)?)
    }

    /// Whether a routed frame is kept back by the bitmap of the port that it came by.
    fn filters(&self, from: u8, to: u8) -> bool {
        let bypassed = self.options.model == Model::Qca8337
            && self.registers.has(reg::VLAN_TRANS, reg::EG_FLTR_BYPASS_EN);
        let filtered = match self.options.member_filter {
            MemberFilter::Bridged => false,
            MemberFilter::Routed => true,
            MemberFilter::RoutedUnlessBypassed => !bypassed,
        };
        filtered && direct::members(&self.registers, from) >> to & 1 == 0
    }

    /// A routed frame leaves.
    fn leave(
        &mut self,
        link: &Link,
        frame: &[u8],
        packet: Packet,
        index: usize,
        copies: Copies,
    ) -> Vec<Out> {
        let Some(words) = self.tables.hosts.get(index) else { return Vec::new() };
        let host = Host::of(self.options.model, words);
        hit_host(&mut self.tables, &self.options, index);
        if let Some(id) = host.counter {
            let bytes = self.counted(frame);
            self.counters.count_host(id, bytes, &self.options);
        }
        let egress = direct::egress(&self.registers, host.interface);
        let vid = egress.vid_low.wrapping_add(host.interface >> 3) & 0xfff;
        let priority = link.tag.unwrap_or(0) & 0xf000;
        let tag = match Tagging::routed(&self.registers, host.port) {
            Tagging::Unmodified => link.tag.map(|_| priority | vid),
            Tagging::Untagged => None,
            Tagging::Tagged => Some(priority | vid),
            Tagging::Untouched => link.tag,
        };
        let session = host.pppoe.and_then(|index| direct::inserts_session(&self.registers, index));
        let bytes = emit((host.mac, egress.mac), tag, session, &packet, frame.len());
        let mut outs = vec![Out { port: host.port, bytes }];
        let mirror = small(self.registers.get(reg::FORWARD_CTL0), 4, 4);
        if copies.mirror && direct::exists(mirror) {
            outs.push(Out { port: mirror, bytes: frame.to_vec() });
        }
        if copies.cpu {
            outs.extend(self.redirected(frame));
        }
        outs
    }

    /// A frame that the engine hands to the processor, as it came. It is lost if none is there.
    fn redirected(&self, frame: &[u8]) -> Option<Out> {
        let present = self.registers.has(reg::FORWARD_CTL0, reg::CPU_PORT_EN);
        present.then(|| Out { port: CPU, bytes: frame.to_vec() })
    }

    /// Remembers where a station is, if the port is to learn.
    fn learn(&mut self, port: u8, station: Mac, vid: u16) {
        let lookup = reg::PORT_LOOKUP_CTL + 12 * u32::from(port);
        if self.registers.has(lookup, reg::PORT_LEARN) {
            self.stations.insert((vid, station), port);
        }
    }

    /// A frame that the router does not want.
    fn bridge(&self, port: u8, vid: u16, link: &Link, frame: &[u8]) -> Vec<Out> {
        let [unicast, multicast, broadcast, _] =
            self.registers.get(reg::FORWARD_CTL1).to_le_bytes();
        let Mac(destination) = link.destination;
        let [first, ..] = destination;
        let wanted = match self.stations.get(&(vid, link.destination)) {
            _ if destination == [0xff; 6] => broadcast,
            _ if first & 1 == 1 => multicast,
            Some(port) => 1 << port,
            None => unicast,
        };
        // What the processor sends it sends to a port of its choice, by a header that is not
        // modelled: to all that it may.
        let wanted = if port == CPU && !self.stations.contains_key(&(vid, link.destination)) {
            0x7f
        } else {
            wanted
        };
        let members = direct::members(&self.registers, port) & !(1 << port) & 0x7f;
        (0..7)
            .filter(|to| (wanted & members) >> to & 1 == 1)
            .map(|to| Out { port: to, bytes: self.bridged(to, vid, link, frame) })
            .collect()
    }

    /// The frame as it leaves; towards the processor as it came.
    fn bridged(&self, to: u8, vid: u16, link: &Link, frame: &[u8]) -> Vec<u8> {
        let untagged = || match (frame.split_at_checked(12), link.tag) {
            (Some((macs, rest)), Some(_)) => [macs, rest.get(4..).unwrap_or(&[])].concat(),
            _ => frame.to_vec(),
        };
        let tagging = Tagging::bridged(&self.registers, to);
        match tagging {
            _ if to == CPU => frame.to_vec(),
            Tagging::Unmodified | Tagging::Untouched => frame.to_vec(),
            Tagging::Untagged => untagged(),
            Tagging::Tagged => {
                let tag = (link.tag.unwrap_or(0) & 0xf000 | vid).to_be_bytes();
                let bare = untagged();
                match bare.split_at_checked(12) {
                    Some((macs, rest)) => [macs, &[0x81, 0], &tag, rest].concat(),
                    None => bare,
                }
            }
        }
    }
}
