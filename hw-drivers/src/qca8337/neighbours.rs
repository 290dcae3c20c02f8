// SPDX-License-Identifier: GPL-2.0-or-later
//! What flows share: interfaces, host entries, the session, and the rule that leads to the gateway.
//! Each is in the chip for as long as a flow needs it. What could not be taken away, or of which it
//! is not known whether it is there, is kept in mind and taken away before the next flow.

use super::engine::{Command, Table};
use super::flow_table::UNTOLD;
use super::host::{Host, AGE_STATIC};
use super::napt::FORWARD;
use super::network::{self, write_all, Interface, Rule};
use super::registers::*;
use super::translate::{Plan, Way, GATEWAY};
use super::{Qca8337, Words};
use crate::bus::Bus;
use crate::table::{Error, Part, Resource};
use litemap::LiteMap;
use std::net::Ipv4Addr;

/// Hosts of the chip.
const HOSTS: usize = 128;

/// The session's index: there is one gateway.
const SESSION: u8 = 0;

/// Something written directly, which an error may have left half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Written<T> {
    /// It is not there.
    #[default]
    Off,
    /// It may be there, and be wrong.
    Unknown,
    /// It is there.
    On(T),
}

impl<T: Copy + PartialEq> Written<T> {
    fn is(&self, wanted: T) -> bool {
        *self == Written::On(wanted)
    }
}

/// A host entry.
#[derive(Debug, Clone, Copy)]
struct Known {
    way: Way,
    /// Its words and index; `None` while it is not known whether it is in the chip.
    there: Option<(Words, u16)>,
    /// Flows that need it.
    users: u32,
}

/// Something of it that can be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// An interface, by its index.
    Interface(u8),
    /// The rule.
    Rule,
    /// A host's entry.
    Host(Ipv4Addr),
}

/// What of it is in the chip.
#[derive(Debug, Clone, Default)]
pub struct Neighbours {
    interfaces: [Written<Interface>; INTERFACES as usize],
    hosts: LiteMap<Ipv4Addr, Known>,
    session: Written<u16>,
    rule: Written<Rule>,
    /// Modes of ports for routed frames that the driver has set: tagged or not.
    egress: LiteMap<u8, bool>,
    /// Written, and not read back since.
    unproved: LiteMap<Piece, ()>,
    /// Which was looked at last.
    audited: Option<Piece>,
}

impl Neighbours {
    /// What the last word of an interface has to be, if there is an interface.
    pub fn canary(&self) -> Option<network::Write> {
        (0..).zip(&self.interfaces).find_map(|(index, interface)| match interface {
            Written::On(interface) => {
                let [.., last] = interface.expected(index);
                Some(last)
            }
            Written::Off | Written::Unknown => None,
        })
    }

    /// One more flow needs the two ends of `plan`.
    pub fn hold(&mut self, plan: &Plan) {
        for address in [plan.napt.private, GATEWAY] {
            if let Some(known) = self.hosts.get_mut(&address) {
                known.users = known.users.saturating_add(1);
            }
        }
    }

    /// One flow less needs `private` and the gateway.
    pub fn release(&mut self, private: Ipv4Addr) {
        for address in [private, GATEWAY] {
            if let Some(known) = self.hosts.get_mut(&address) {
                known.users = known.users.saturating_sub(1);
            }
        }
    }

    /// What a flow of `private` needs and nobody has read back since it was written.
    pub fn unproved(&self, private: Ipv4Addr) -> Vec<Piece> {
        let vlan = |address| self.hosts.get(&address).map(|known| known.way.vlan);
        let vlans = [vlan(private), vlan(GATEWAY)];
        let needed = |piece: &&Piece| match **piece {
            Piece::Host(address) => [private, GATEWAY].contains(&address),
            Piece::Rule => true,
            Piece::Interface(index) => match self.interfaces.get(usize::from(index)) {
                Some(Written::On(interface)) => vlans.contains(&Some(interface.vlan)),
                Some(Written::Off | Written::Unknown) | None => false,
            },
        };
        self.unproved.keys().filter(needed).copied().collect()
    }

    /// The piece whose turn it is, of those that are known to be in the chip.
    fn next_audited(&mut self) -> Option<Piece> {
        let interfaces = (0..).zip(&self.interfaces);
        let interfaces = interfaces
            .filter(|(_, slot)| matches!(slot, Written::On(_)))
            .map(|(index, _)| Piece::Interface(index));
        let rule = matches!(self.rule, Written::On(_)).then_some(Piece::Rule);
        let hosts = self.hosts.iter().filter(|(_, known)| known.there.is_some());
        let hosts = hosts.map(|(address, _)| Piece::Host(*address));
        let all = interfaces.chain(rule).chain(hosts);
        let next = all.clone().filter(|piece| Some(*piece) > self.audited).min();
        self.audited = next.or(all.min());
        self.audited
    }

    /// Whether the flows that are there leave room for one of `plan`.
    pub fn conflicts(&self, plan: &Plan) -> Result<(), Error> {
        let refused = |part| Err(Error::NotExpressible(part));
        let used = || self.hosts.iter().filter(|(_, known)| known.users > 0);
        for (address, known) in used() {
            let theirs = &known.way;
            if *address == GATEWAY {
                // The rule leads to one next hop.
                if *theirs != plan.outward {
                    return Err(Error::Full(Resource::Rules));
                }
                continue;
            }
            if theirs.port == plan.outward.port {
                return refused(Part::Port(plan.outward.port));
            }
            if theirs.vlan == plan.outward.vlan {
                return refused(Part::Vlan(plan.outward.vlan));
            }
            // What is known of this host is out of date, then.
            if *address == plan.napt.private {
                continue;
            }
            // A VLAN has one address of the router, a port one way to send.
            if theirs.vlan == plan.inward.vlan && theirs.router != plan.inward.router {
                return refused(Part::Vlan(plan.inward.vlan));
            }
            if theirs.port == plan.inward.port && theirs.tagged != plan.inward.tagged {
                return refused(Part::Port(plan.inward.port));
            }
        }
        let others = used().filter(|(address, _)| ![plan.napt.private, GATEWAY].contains(address));
        let mut vlans: Vec<u16> = others.clone().map(|(_, known)| known.way.vlan).collect();
        vlans.extend([plan.inward.vlan, plan.outward.vlan]);
        vlans.sort_unstable();
        vlans.dedup();
        if vlans.len() > usize::from(INTERFACES) {
            return Err(Error::Full(Resource::Interfaces));
        }
        if others.count().saturating_add(2) > HOSTS {
            return Err(Error::Full(Resource::Hosts));
        }
        Ok(())
    }

    fn slot(&mut self, index: u8) -> Result<&mut Written<Interface>, Error> {
        self.interfaces.get_mut(usize::from(index)).ok_or(Error::Driver("no such interface"))
    }
}

impl<B: Bus> Qca8337<B> {
    /// Puts everything into the chip that a flow of `plan` needs apart from its own entry.
    pub(super) fn settle(&mut self, plan: &Plan) -> Result<(), Error> {
        self.tidy()?;
        let outer = self.interface(&plan.outward)?;
        let inner = self.interface(&plan.inward)?;
        if let Some(id) = plan.outward.session {
            self.session(id)?;
        }
        for way in [&plan.outward, &plan.inward] {
            self.egress(way)?;
        }
        self.host(GATEWAY, &plan.outward, outer)?;
        self.host(plan.napt.private, &plan.inward, inner)?;
        self.way_out(plan)
    }

    /// Takes away what no flow needs.
    pub(super) fn tidy(&mut self) -> Result<(), Error> {
        let hosts = &self.neighbours.hosts;
        let unused: Vec<(Ipv4Addr, Way)> = hosts
            .iter()
            .filter(|(_, known)| known.users == 0)
            .map(|(address, known)| (*address, known.way))
            .collect();
        let gateway = hosts.get(&GATEWAY).is_some_and(|known| known.users > 0);
        if !gateway && self.neighbours.rule != Written::Off {
            let rule = self.access.options().rule;
            self.access.run(|access| write_all(access, [Rule::off(rule)]))?;
            self.neighbours.rule = Written::Off;
        }
        for (address, way) in unused {
            self.delete_host(address, &way)?;
            self.neighbours.hosts.remove(&address);
        }
        for index in 0..INTERFACES {
            let hosts = &self.neighbours.hosts;
            let needed = match self.neighbours.interfaces.get(usize::from(index)) {
                Some(Written::On(interface)) => {
                    hosts.values().any(|known| known.way.vlan == interface.vlan)
                }
                Some(Written::Unknown) => false,
                Some(Written::Off) | None => true,
            };
            if !needed {
                self.access.run(|access| write_all(access, [Interface::off(index)]))?;
                *self.neighbours.slot(index)? = Written::Off;
            }
        }
        if !gateway && self.neighbours.session != Written::Off {
            self.access.run(|access| write_all(access, [network::session_off(SESSION)]))?;
            self.neighbours.session = Written::Off;
        }
        Ok(())
    }

    /// Reads a piece back. One that is not in the chip, as far as is known, is none.
    fn holds(&mut self, piece: Piece) -> Result<(), Error> {
        match piece {
            Piece::Interface(index) => match *self.neighbours.slot(index)? {
                Written::On(interface) => self.compare(&interface.expected(index)),
                Written::Off | Written::Unknown => Ok(()),
            },
            Piece::Rule => match self.neighbours.rule {
                Written::On(rule) => self.compare(&rule.expected(self.access.options().rule)),
                Written::Off | Written::Unknown => Ok(()),
            },
            Piece::Host(address) => {
                let known = self.neighbours.hosts.get(&address);
                let Some((words, index)) = known.and_then(|known| known.there) else {
                    return Ok(());
                };
                let compared = Host::compared(self.access.model());
                self.compare_entry(Table::Host, index, &words, &compared)?.ok_or(Error::Mismatch {
                    at: TABLE_COMMAND,
                    wanted: 1 << 7,
                    found: 0,
                })
            }
        }
    }

    /// Reads a piece back that was written.
    pub(super) fn prove(&mut self, piece: Piece) -> Result<(), Error> {
        self.holds(piece)?;
        self.neighbours.unproved.remove(&piece);
        Ok(())
    }

    /// Looks at one piece of what flows share, another one with each call. If it is not as it was
    /// written, flows may go wrong by it, and the driver gives up.
    pub(super) fn audit(&mut self) -> Result<(), Error> {
        let Some(piece) = self.neighbours.next_audited() else {
            return Ok(());
        };
        let lost = |held: &Result<(), Error>| matches!(held, Err(Error::Mismatch { .. }));
        let mut held = self.holds(piece);
        if lost(&held) {
            // It may have been misread.
            held = self.holds(piece);
        }
        if lost(&held) {
            self.give_up();
            return Err(Error::NotReady);
        }
        held
    }

    /// The index of the interface that frames of this way belong to.
    fn interface(&mut self, way: &Way) -> Result<u8, Error> {
        let wanted = Interface { router: way.router, vlan: way.vlan };
        let find = |of: &dyn Fn(&Written<Interface>) -> bool| {
            (0..)
                .zip(&self.neighbours.interfaces)
                .find(|(_, slot)| of(slot))
                .map(|(index, _)| index)
        };
        if let Some(index) = find(&|slot| slot.is(wanted)) {
            return Ok(index);
        }
        let same_vlan =
            find(&|slot| matches!(slot, Written::On(interface) if interface.vlan == way.vlan));
        let index = same_vlan
            .or_else(|| find(&|slot| *slot == Written::Off))
            .ok_or(Error::Full(Resource::Interfaces))?;
        *self.neighbours.slot(index)? = Written::Unknown;
        let piece = Piece::Interface(index);
        self.neighbours.unproved.insert(piece, ());
        let written = self.access.run(|access| write_all(access, wanted.on(index)));
        let written = match written {
            Ok(_) => {
                *self.neighbours.slot(index)? = Written::On(wanted);
                // Flows may be there that need the VLAN; else it is for the first to verify.
                if same_vlan.is_some() {
                    self.prove(piece)
                } else {
                    Ok(())
                }
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            *self.neighbours.slot(index)? = Written::Unknown;
            if same_vlan.is_some() {
                self.give_up();
            }
            return Err(error);
        }
        Ok(index)
    }

    fn session(&mut self, id: u16) -> Result<(), Error> {
        if self.neighbours.session.is(id) {
            return Ok(());
        }
        self.neighbours.session = Written::Unknown;
        self.access.run(|access| {
            access.modify(FRAME_ACK_CTL1, 0, PPPOE_EN)?;
            write_all(access, network::session_on(SESSION, id))
        })?;
        self.neighbours.session = Written::On(id);
        Ok(())
    }

    fn egress(&mut self, way: &Way) -> Result<(), Error> {
        if self.neighbours.egress.get(&way.port) == Some(&way.tagged) {
            return Ok(());
        }
        self.neighbours.egress.remove(&way.port);
        // The modes of all ports that flows leave by are written anew: a bit of another port's that
        // was misread would change what its frames look like.
        let known = self.neighbours.egress.iter().map(|(port, tagged)| (*port, *tagged));
        let all = known.chain([(way.port, way.tagged)]);
        let [clear, set] = all.fold([0, 0], |[clear, set], (port, tagged)| {
            let [bits, mode] = network::egress(port, tagged);
            [clear | bits, set | mode]
        });
        self.access.run(|access| access.modify(ROUTER_EG, clear, set))?;
        self.neighbours.egress.insert(way.port, way.tagged);
        Ok(())
    }

    /// Sees to the entry of a host. When flows depend on the entry that is there and it cannot be
    /// replaced, the driver gives up.
    fn host(&mut self, address: Ipv4Addr, way: &Way, interface: u8) -> Result<(), Error> {
        let wanted = image(address, way, interface).encode(self.access.model());
        let known = self.neighbours.hosts.get(&address).copied();
        if known.and_then(|known| known.there).is_some_and(|(words, _)| words == wanted) {
            return Ok(());
        }
        let users = known.map_or(0, |known| known.users);
        let replaced = self.replace_host(address, known.as_ref(), way, wanted);
        if replaced.is_err() && users > 0 {
            self.give_up();
        }
        replaced
    }

    fn replace_host(
        &mut self,
        address: Ipv4Addr,
        known: Option<&Known>,
        way: &Way,
        wanted: Words,
    ) -> Result<(), Error> {
        let users = known.map_or(0, |known| known.users);
        if let Some(known) = known {
            self.delete_host(address, &known.way)?;
        }
        self.neighbours.hosts.insert(address, Known { way: *way, there: None, users });
        let piece = Piece::Host(address);
        self.neighbours.unproved.insert(piece, ());
        let answer = self.access.command(&Command::add(Table::Host, wanted))?;
        if !answer.status {
            return Err(Error::Full(Resource::Hosts));
        }
        let known = Known { way: *way, there: Some((wanted, answer.index)), users };
        self.neighbours.hosts.insert(address, known);
        // Other flows go by it at once; else it is for the first to verify.
        if users > 0 || answer.index == UNTOLD {
            if let Err(error) = self.prove(piece) {
                let doubtful = Known { way: *way, there: None, users };
                self.neighbours.hosts.insert(address, doubtful);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes a host's entry out; that there is none is as good.
    fn delete_host(&mut self, address: Ipv4Addr, way: &Way) -> Result<(), Error> {
        let known = self.neighbours.hosts.get_mut(&address);
        let there = known.and_then(|known| known.there.take());
        let words = there
            .map_or_else(|| image(address, way, 0).encode(self.access.model()), |(words, _)| words);
        self.access.command(&Command::delete(Table::Host, words))?;
        Ok(())
    }

    /// Points the rule to the gateway, for all ports that hosts are behind.
    fn way_out(&mut self, plan: &Plan) -> Result<(), Error> {
        let around = self.around.as_ref().ok_or(Error::NotReady)?;
        let hosts = &self.neighbours.hosts;
        let gateway = hosts.get(&GATEWAY).and_then(|known| known.there);
        let (_, gateway) = gateway.ok_or(Error::Driver("no gateway to point to"))?;
        let ports = hosts
            .iter()
            .filter(|(address, _)| **address != GATEWAY)
            .fold(0, |ports: u8, (_, known)| {
                ports | 1_u8.checked_shl(known.way.port.into()).unwrap_or(0)
            });
        let options = *self.access.options();
        let force = plan.outward.session.is_some()
            || options.force_source_nat
            || !around.private.is_whole();
        let (network, mask) = (around.private.network(), around.private.mask());
        let wanted = Rule { network, mask, ports, gateway, force };
        if self.neighbours.rule.is(wanted) {
            return Ok(());
        }
        let others = self.neighbours.rule != Written::Off;
        self.neighbours.rule = Written::Unknown;
        self.neighbours.unproved.insert(Piece::Rule, ());
        let written = self.access.run(|access| write_all(access, wanted.on(options.rule)));
        let result = match written {
            Ok(_) => {
                self.neighbours.rule = Written::On(wanted);
                // Flows that are there go by this rule; else it is for the first to verify.
                if others {
                    self.prove(Piece::Rule)
                } else {
                    Ok(())
                }
            }
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.neighbours.rule = Written::Unknown;
            if others {
                self.give_up();
            }
        }
        result
    }
}

/// The host entry for a way.
fn image(address: Ipv4Addr, way: &Way, interface: u8) -> Host {
    Host {
        address,
        mac: way.mac,
        own: false,
        port: way.port,
        interface,
        vlan_offset: 0,
        age: AGE_STATIC,
        session: way.session.map(|_| SESSION),
        counter: None,
        action: FORWARD,
    }
}
