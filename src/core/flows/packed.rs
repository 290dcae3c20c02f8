// SPDX-License-Identifier: GPL-2.0-or-later
//! A flow as the table keeps it, each part unpacked when somebody asks for it.
//!
//! Who looks through a full table wants a few flows of it, or a few words of each. A [`Flow`] has
//! more than twice the size of its record, and making one is most of what looking at it takes.

use super::aside::Aside;
use super::place::Place;
use super::record::Record;
use super::{Flow, FlowState};
use crate::netlink::conntrack::tcp_state::TcpState;
use crate::netlink::conntrack::tuple::Tuple;

/// A flow of the table. What it tells is what the [`Flow`] would that it makes.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'t> {
    pub(super) record: &'t Record,
    pub(super) aside: &'t Aside,
    pub(super) now_ms: u64,
    pub(super) keeps_closed: bool,
    /// A switch has it, so conntrack does not count what it carries.
    pub(super) switched: bool,
}

impl Packed<'_> {
    /// Which path its packets take.
    pub fn state(&self) -> FlowState {
        if self.switched {
            FlowState::Hardware
        } else {
            self.record.state()
        }
    }

    /// IP protocol number.
    pub fn protocol(&self) -> u8 {
        self.record.protocol()
    }

    /// Direction of the first packet.
    pub fn orig(&self) -> Tuple {
        self.record.orig(self.aside)
    }

    /// Direction of the answers, addresses translated back.
    pub fn reply(&self) -> Tuple {
        self.record.reply(self.aside)
    }

    /// The ports of both directions, or what [`Tuple`] has in their place.
    pub fn ports(&self) -> [u16; 4] {
        self.record.ports()
    }

    /// Where its ends are attached.
    pub fn place(&self) -> Place {
        self.record.place
    }
}

/// What a list can be sorted by.
pub trait Listed {
    /// Conntrack's number, by which those come that are equal.
    fn id(&self) -> u32;
    /// Bytes a second of both directions, where they are known.
    fn rate(&self) -> Option<(u32, u32)>;
    /// Bytes so far of both directions, where they are known.
    fn bytes(&self) -> Option<u64>;
    /// When it was first seen, in milliseconds since the daemon started.
    fn first_ms(&self) -> u64;
}

impl Listed for Flow {
    fn id(&self) -> u32 {
        self.id
    }

    fn rate(&self) -> Option<(u32, u32)> {
        self.rate
    }

    fn bytes(&self) -> Option<u64> {
        Flow::bytes(self)
    }

    fn first_ms(&self) -> u64 {
        self.first_ms
    }
}

impl Listed for Packed<'_> {
    fn id(&self) -> u32 {
        self.record.id
    }

    fn rate(&self) -> Option<(u32, u32)> {
        self.record.rate().filter(|_| !self.switched)
    }

    fn bytes(&self) -> Option<u64> {
        let [sent, received] = self.record.known(self.aside).filter(|_| !self.switched)?;
        Some(sent.bytes.saturating_add(received.bytes))
    }

    fn first_ms(&self) -> u64 {
        self.record.first_ms(self.now_ms)
    }
}

impl From<Packed<'_>> for Flow {
    fn from(packed: Packed<'_>) -> Flow {
        let flow = packed.record.show(packed.aside, packed.now_ms, packed.keeps_closed);
        if !packed.switched {
            return flow;
        }
        let closing = flow.tcp_state.is_some_and(TcpState::is_closing);
        let (sent, received, rate) = (None, None, None);
        let state = FlowState::Hardware;
        Flow { state, switched: true, closing, sent, received, rate, ..flow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::table::tests::{entry, poll, six};
    use crate::core::flows::table::{FlowTable, FLOWS_MAX};
    use crate::netlink::conntrack::entry::Entry;
    use crate::netlink::conntrack::status::IPS_OFFLOAD;

    /// Both families, great counters, none, not yet a rate, paths that count and do not, and a switch.
    #[test]
    fn it_tells_what_the_flow_does() {
        const GREAT: u64 = u32::MAX as u64 * 3;
        let offloaded = |entry: Entry| Entry { status: entry.status | IPS_OFFLOAD, ..entry };
        let list = |bytes: u64| {
            let uncounted = Entry { counters_orig: None, ..entry(5, bytes) };
            vec![
                entry(1, bytes),
                six(2, bytes),
                entry(3, bytes * GREAT),
                offloaded(entry(4, bytes)),
                uncounted,
                offloaded(six(6, bytes)),
            ]
        };
        let mut table = FlowTable::new(FLOWS_MAX);
        poll(&mut table, 1000, &list(1000));
        let inverse = list(1000)[1].reply.inverse();
        table.switched_mut().set([(6, true), (4, false)].into_iter());
        let young = entry(7, 9);
        poll(&mut table, 2000, &[list(3000), vec![young]].concat());

        let mut rates = Vec::new();
        for packed in table.packed(2500) {
            let flow = Flow::from(packed);
            let told = (packed.id(), packed.state(), packed.protocol(), packed.place());
            assert_eq!(told, (flow.id, flow.state, flow.orig.protocol, flow.place));
            assert_eq!((packed.orig(), packed.reply()), (flow.orig, flow.reply));
            let sums = (packed.rate(), packed.bytes(), packed.first_ms());
            assert_eq!(sums, (flow.rate, flow.bytes(), flow.first_ms));
            let ports = [flow.orig, flow.reply].map(|way| [way.source_port, way.destination_port]);
            assert_eq!(packed.ports(), ports.concat()[..]);
            rates.push((flow.id, flow.rate.is_some(), flow.bytes().is_some()));
        }
        assert_eq!(rates.len(), 7);
        assert_eq!(rates[4], (5, false, false), "nobody counts it");
        assert_eq!(rates[5], (6, false, false), "a switch has it");
        assert_eq!(rates[3], (4, true, true), "waits for a switch");
        let second = table.packed(2500).nth(1).map(|packed| packed.orig());
        assert_eq!(second, Some(inverse), "without translation");
    }
}
