// SPDX-License-Identifier: GPL-2.0-or-later
//! From a connection to its two entries, one for each direction, as Linux builds them
//! (`mtk_ppe_offload.c`, `mtk_foe_entry_set_dsa`, `_vlan`, `_pppoe`, `_queue`).
//!
//! Ports of a [`Side`] are 1 and 2 for frames that leave a MAC as they are (GDM1, GDM2), and 8 to
//! 13 for the ports 0 to 5 of a MediaTek switch behind GDM1, which get that switch's tag.

use super::entry::{Content, FoeEntry, Ib1, Ib2, Kind, State, L2};
use crate::flow::{Flow, Mac, Protocol, Side, Translation, Tuple};
use crate::table::Part;
use std::net::{Ipv4Addr, SocketAddr};

/// Port of a side for the switch's port 0.
pub const SWITCH_PORT_0: u8 = 8;
/// Ports of the switch that are not its processor's.
const SWITCH_PORTS: u8 = 6;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_PPPOE: u16 = 0x8864;
/// In the switch's tag: a VLAN follows.
const TAG_WITH_VLAN: u16 = 1 << 8;
/// Queues below belong to the MACs (Linux `mtk_flow_set_output_device`).
const FIRST_SWITCH_QUEUE: u8 = 3;
/// Bytes of a PPPoE header with the protocol's number.
const PPPOE_BYTES: u16 = 8;

/// Where frames leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// By a MAC, 1 or 2, as they are.
    Mac(u8),
    /// By a port of the switch behind GDM1.
    Switch(u8),
}

impl Output {
    /// What a side's port stands for.
    pub fn of(port: u8) -> Option<Output> {
        match (port, port.checked_sub(SWITCH_PORT_0)) {
            (1 | 2, _) => Some(Output::Mac(port)),
            (_, Some(port)) if port < SWITCH_PORTS => Some(Output::Switch(port)),
            _ => None,
        }
    }

    /// The MAC that frames go through, 1 or 2.
    pub fn mac(self) -> u8 {
        match self {
            Output::Mac(mac) => mac,
            Output::Switch(_) => 1,
        }
    }
}

/// Looks for what the engine cannot do. `limit` is the longest IP packet without tags that it
/// lets out: it knows one length for all ports, so a port with a shorter one cannot be used.
///
/// # Errors
/// The part of the flow that it cannot.
pub fn check(flow: &Flow, limit: u16) -> Result<(), Part> {
    match (flow.is_v4(), flow.is_v6()) {
        (true, _) => {
            for tuple in [flow.original, flow.reply] {
                for end in [tuple.source, tuple.destination] {
                    if let SocketAddr::V4(end) = end {
                        unicast(*end.ip())?;
                    }
                }
            }
        }
        (_, true) => match flow.translation() {
            Translation::None => {}
            translation => return Err(Part::Translation(translation)),
        },
        _ => return Err(Part::Family),
    }
    for side in [&flow.opener, &flow.answerer] {
        Output::of(side.port).ok_or(Part::Port(side.port))?;
        if side.tagged && !(1..=4094).contains(&side.vlan) {
            return Err(Part::Vlan(side.vlan));
        }
        let header = if side.pppoe.is_some() { PPPOE_BYTES } else { 0 };
        if side.mtu < limit.saturating_sub(header) {
            return Err(Part::Mtu(side.mtu));
        }
        for mac in [neighbour(side), side.router] {
            let Mac([first, ..]) = mac;
            if mac == Mac([0; 6]) || first & 1 == 1 {
                return Err(Part::Neighbour);
            }
        }
    }
    Ok(())
}

/// Addresses that no flow can have.
fn unicast(address: Ipv4Addr) -> Result<(), Part> {
    if address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
        return Err(Part::Address(address));
    }
    Ok(())
}

/// Who gets the frames: the concentrator where there is a session.
fn neighbour(side: &Side) -> Mac {
    side.pppoe.map_or(side.neighbour, |session| session.peer)
}

/// The entries of the original direction and of the reply, bound but without a time, each
/// counted in its account group.
///
/// # Errors
/// As [`check`], without its limit.
pub fn translate(flow: &Flow, groups: [u8; 2]) -> Result<[FoeEntry; 2], Part> {
    check(flow, 0)?;
    let [first, second] = groups;
    Ok([
        direction(flow.protocol, flow.original, flow.reply.inverse(), &flow.answerer, first)?,
        direction(flow.protocol, flow.reply, flow.original.inverse(), &flow.opener, second)?,
    ])
}

fn direction(
    protocol: Protocol,
    comes: Tuple,
    leaves: Tuple,
    side: &Side,
    group: u8,
) -> Result<FoeEntry, Part> {
    use SocketAddr::{V4, V6};
    let (kind, etype, content) =
        match (comes.source, comes.destination, leaves.source, leaves.destination) {
            (V4(a), V4(b), V4(c), V4(d)) => {
                (Kind::V4Five, ETHERTYPE_IPV4, Content::V4 { original: [a, b], new: [c, d] })
            }
            (V6(a), V6(b), V6(_), V6(_)) => (Kind::V6Five, ETHERTYPE_IPV6, Content::V6([a, b])),
            _ => return Err(Part::Family),
        };
    let output = Output::of(side.port).ok_or(Part::Port(side.port))?;
    let mut ib1 = Ib1::binding(kind, protocol == Protocol::Udp).with_state(State::Bound);
    let mut l2 =
        L2 { etype, vlans: [0, 0], destination: neighbour(side), source: side.router, pppoe: 0 };
    if side.tagged {
        ib1 = ib1.with_layers(1).with_vlan_tag(true);
        l2.vlans = [side.vlan, 0];
    }
    if let Some(session) = side.pppoe {
        ib1 = ib1.with_pppoe();
        l2.etype = ETHERTYPE_PPPOE;
        l2.pppoe = session.session;
    }
    let queue = match output {
        Output::Mac(mac) => mac.saturating_sub(1),
        Output::Switch(port) => {
            // The switch's tag takes the place of a VLAN tag and has room for its id; what type
            // follows the engine knows by itself.
            ib1 = ib1.with_layers(1).with_vlan_tag(false);
            l2.etype = 1 << port | if side.tagged { TAG_WITH_VLAN } else { 0 };
            FIRST_SWITCH_QUEUE.saturating_add(port)
        }
    };
    Ok(FoeEntry { ib1, content, ib2: Ib2::output(output.mac(), queue, group), l2 })
}

#[cfg(test)]
mod tests;
