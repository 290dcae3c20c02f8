// SPDX-License-Identifier: GPL-2.0-or-later
//! What becomes of a frame: ACL, VLAN, learning, destination, priority, tag.

use super::acl::Verdict;
use super::counters::Way;
use super::registers::{Mode, Stp};
use super::view::View;
use super::{Mt7530, Table, CPU, PORTS};

/// A frame on its way out, with where it was queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The port.
    pub port: u8,
    /// Its user priority inside the switch, 0 to 7.
    pub priority: u8,
    /// The queue of the port, 0 to 7.
    pub queue: u8,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// Why a frame goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Less than an Ethernet header, or a port that is not there.
    Malformed,
    /// The ACL drops it.
    Rule,
    /// The rate limiter of its rule has no room.
    Rate,
    /// The port is not to receive.
    PortState,
    /// The VLAN is not there, or the port not in it.
    Vlan,
    /// No port is left that it may go to.
    NoPort,
}

/// What the switch has done with a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The frames that left.
    pub departures: Vec<Departure>,
    /// Why there are none.
    pub loss: Option<Loss>,
    /// The ACL rule that has counted.
    pub rule: Option<u8>,
}

/// The VLAN of a frame inside the switch.
#[derive(Debug, Clone, Copy)]
struct Vlan {
    id: u16,
    /// Members; `None` where the table does not count.
    members: Option<u8>,
    ivl: bool,
    fid: u8,
    /// Two bits a port, if the entry says how frames leave.
    egress: Option<u32>,
}

impl Mt7530 {
    /// A frame comes in by a port: what becomes of it, queues included.
    pub fn observe(&mut self, port: u8, frame: &[u8]) -> Observation {
        if port < PORTS {
            self.counters.frame(Way::Rx, port, frame);
        }
        let mut rule = None;
        match self.forward(port, frame, &mut rule) {
            Ok(departures) => {
                for departure in &departures {
                    self.counters.frame(Way::Tx, departure.port, &departure.bytes);
                }
                Observation { departures, loss: None, rule }
            }
            Err(loss) => {
                self.counters.filtered(port);
                Observation { departures: Vec::new(), loss: Some(loss), rule }
            }
        }
    }

    /// Sets an octet counter of a port, to see it wrap: sent, or received.
    pub fn set_octets(&mut self, port: u8, sent: bool, octets: u64) {
        let base = if sent { 0x48 } else { 0xa8 };
        self.counters.set(port, base, (octets & 0xffff_ffff) as u32);
        self.counters.set(port, base + 4, (octets >> 32) as u32);
    }

    fn forward(
        &mut self,
        port: u8,
        frame: &[u8],
        rule: &mut Option<u8>,
    ) -> Result<Vec<Departure>, Loss> {
        let options = self.options;
        let view = View::of(frame, &options).filter(|_| port < PORTS).ok_or(Loss::Malformed)?;
        let verdict = self.classify(port, &view, frame.len());
        *rule = verdict.map(|verdict| verdict.rule);
        let forward = verdict.map_or(0, |verdict| verdict.forward);
        if forward == 7 {
            return Err(Loss::Rule);
        }
        if verdict.is_some_and(|verdict| verdict.limited) {
            return Err(Loss::Rate);
        }
        let vlan = self.vlan(port, &view)?;
        let state = self.registers.stp(port, vlan.fid);
        let [destination, source] = view.macs();
        if state >= Stp::Learning && self.registers.learns(port) && source[0] & 1 == 0 {
            self.addresses.learn(source, vlan.id, vlan.ivl, vlan.fid, port);
        }
        if state < Stp::Forwarding {
            return Err(Loss::PortState);
        }
        let known = self.addresses.look_up(destination, vlan.id, vlan.ivl, vlan.fid);
        let [broadcast, multicast, unicast] = self.registers.floods();
        let unknown = match destination {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => broadcast,
            [first, ..] if first & 1 != 0 => multicast,
            _ => unicast,
        };
        let wanted = known.map_or(unknown, |(ports, _)| ports);
        let allowed = wanted & self.registers.matrix(port) & vlan.members.unwrap_or(0xff);
        let ports = match forward {
            4 => allowed & !(1 << CPU),
            5 => allowed | 1 << CPU,
            6 => 1 << CPU,
            _ => allowed,
        };
        let priority = self.priority(port, &view, verdict, known.map(|(_, priority)| priority));
        let queue = self.registers.queue(priority);
        let departures: Vec<_> = (0..PORTS)
            .filter(|out| *out != port && ports >> out & 1 != 0)
            .filter(|out| self.registers.stp(*out, vlan.fid) == Stp::Forwarding)
            .map(|out| {
                let bytes = retag(frame, &view, &vlan, out, priority);
                Departure { port: out, priority, queue, bytes }
            })
            .collect();
        if departures.is_empty() {
            return Err(Loss::NoPort);
        }
        Ok(departures)
    }

    fn vlan(&self, port: u8, view: &View) -> Result<Vlan, Loss> {
        let pvid = self.registers.pvid(port);
        // A tag of VLAN 0 carries a priority only.
        let id = view.tag().map(|(_, id)| id).filter(|id| *id != 0).unwrap_or(pvid);
        let [first, second] = self.tables.get(Table::Vlan, id);
        let valid = first & 1 != 0;
        let members = (first >> 16) as u8;
        let fid = if valid { (first >> 1 & 7) as u8 } else { 0 };
        let full = Vlan {
            id,
            members: Some(members),
            ivl: first & 1 << 30 != 0,
            fid,
            egress: (first & 1 << 28 != 0).then_some(second),
        };
        let free = Vlan { id, members: None, ivl: false, fid, egress: None };
        match self.registers.mode(port) {
            Mode::Matrix => Ok(free),
            Mode::Fallback if !valid => Ok(free),
            Mode::Fallback => Ok(full),
            Mode::Check if valid => Ok(full),
            Mode::Security if valid && members >> port & 1 != 0 => Ok(full),
            Mode::Check | Mode::Security => Err(Loss::Vlan),
        }
    }

    /// The source of priority with the highest weight, among those that say something.
    fn priority(&self, port: u8, view: &View, acl: Option<Verdict>, arl: Option<u8>) -> u8 {
        let tag = view.tag().map(|(priority, _)| priority);
        let sources = [
            acl.and_then(|verdict| verdict.priority),
            None, // S-tags are not told from C-tags here
            tag,
            view.dscp().map(|code| self.registers.dscp_priority(code)),
            Some(self.registers.port_priority(port)),
            arl,
        ];
        let weighed = sources.iter().zip(0u32..).filter_map(|(priority, source)| {
            Some((self.registers.weight(source), std::cmp::Reverse(source), (*priority)?))
        });
        weighed.max().map_or(0, |(_, _, priority)| priority)
    }
}

/// The frame as it leaves a port: with or without a tag where the VLAN's entry says so.
fn retag(frame: &[u8], view: &View, vlan: &Vlan, port: u8, priority: u8) -> Vec<u8> {
    let how = vlan.egress.map(|egress| egress >> (2 * u32::from(port)) & 3);
    let (macs, rest) = frame.split_at(frame.len().min(12));
    let inner = if view.tag().is_some() { rest.get(4..).unwrap_or(&[]) } else { rest };
    match how {
        Some(0) => [macs, inner].concat(),
        Some(2) => {
            let [a, b] = (u16::from(priority) << 13 | vlan.id).to_be_bytes();
            [macs, &[0x81, 0x00, a, b], inner].concat()
        }
        _ => frame.to_vec(),
    }
}
