// SPDX-License-Identifier: GPL-2.0-or-later
//! How many flows there are now, and how fast, by device or by client: what the ledger does not
//! keep, because the flows themselves hold it.

use litemap::LiteMap;

use super::account::ByState;
use super::hosts::Hosts;
use super::ledger::Ledger;
use super::packed::{Listed, Packed};
use super::FlowState;
use crate::core::status::FlowCounts;
use crate::netlink::conntrack::entry::Counters;

/// Numbers of flows and bytes a second, each by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Present {
    /// Number of flows.
    pub flows: FlowCounts,
    /// Bytes a second that come in (from a device or a client), by state.
    pub in_rate: [u64; 3],
    /// Bytes a second that go out.
    pub out_rate: [u64; 3],
}

/// What a device carries now, and what it has carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceSums {
    /// At present.
    pub present: Present,
    /// What came in by it since the daemon started.
    pub received: ByState,
    /// What went out by it.
    pub sent: ByState,
}

impl Present {
    fn add(&mut self, state: FlowState, in_rate: u32, out_rate: u32) {
        let count = match state {
            FlowState::Classic => &mut self.flows.classic,
            FlowState::Software => &mut self.flows.software,
            FlowState::Hardware => &mut self.flows.hardware,
        };
        *count += 1;
        for (rates, rate) in [(&mut self.in_rate, in_rate), (&mut self.out_rate, out_rate)] {
            if let Some(sum) = rates.get_mut(state as usize) {
                *sum += u64::from(rate);
            }
        }
    }

    fn plus(&mut self, other: &Present) {
        self.flows.classic += other.flows.classic;
        self.flows.software += other.flows.software;
        self.flows.hardware += other.flows.hardware;
        for (rates, others) in
            [(&mut self.in_rate, &other.in_rate), (&mut self.out_rate, &other.out_rate)]
        {
            rates.iter_mut().zip(others).for_each(|(rate, other)| *rate += other);
        }
    }
}

/// Sums of the flows by client's number.
pub fn by_host<'t>(
    flows: impl Iterator<Item = Packed<'t>>,
    hosts: &Hosts,
) -> LiteMap<u16, Present> {
    let mut sums: LiteMap<u16, Present> = LiteMap::new();
    for flow in flows {
        let place = flow.place();
        let Some(host) = place.host() else { continue };
        let (orig, reply) = flow.rate().unwrap_or_default();
        let (sent, received) = if place.host_answers() { (reply, orig) } else { (orig, reply) };
        sums.entry(hosts.client(host)).or_default().add(flow.state(), sent, received);
    }
    sums
}

/// Sums of the flows by device's name. A flow that comes in and goes out by one device is one flow
/// of that device.
pub fn by_device<'t>(
    flows: impl Iterator<Item = Packed<'t>>,
    ledger: &Ledger,
) -> LiteMap<String, DeviceSums> {
    let mut present: LiteMap<(Option<u16>, Option<u16>), Present> = LiteMap::new();
    for flow in flows {
        let place = flow.place();
        let ends = (place.opener().attachment(), place.answerer().attachment());
        let (orig, reply) = flow.rate().unwrap_or_default();
        present.entry(ends).or_default().add(flow.state(), orig, reply);
    }
    let mut sums: LiteMap<String, DeviceSums> = LiteMap::new();
    let names = |number: Option<u16>| {
        let attachment = number.and_then(|number| ledger.attachments.get(number));
        attachment.map_or(&[][..], |attachment| &attachment.devices)
    };
    for ((opener, answerer), carried) in &present {
        let turned = Present { in_rate: carried.out_rate, out_rate: carried.in_rate, ..*carried };
        for name in names(*opener) {
            sums.entry(name.clone()).or_default().present.plus(carried);
        }
        for name in names(*answerer) {
            let both_ways = names(*opener).contains(name);
            let flows = if both_ways { FlowCounts::default() } else { turned.flows };
            let sum = sums.entry(name.clone()).or_default();
            sum.present.plus(&Present { flows, ..turned });
        }
    }
    for (_, attachment) in ledger.attachments.iter() {
        for name in &attachment.devices {
            let sum = sums.entry(name.clone()).or_default();
            sum.received = added(sum.received, attachment.received);
            sum.sent = added(sum.sent, attachment.sent);
        }
    }
    sums
}

/// Both together.
pub(super) fn added(sums: ByState, others: ByState) -> ByState {
    let mut all = [Counters::default(); 3];
    for ((sum, one), other) in all.iter_mut().zip(sums).zip(others) {
        *sum = one.plus(other);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::names::{hosts_called, Names};
    use crate::core::flows::table::tests::{entry, poll};
    use crate::core::flows::table::{FlowTable, FLOWS_MAX};
    use crate::core::flows::Flow;
    use crate::core::topology::tests::{router, MAC};
    use crate::netlink::conntrack::entry::Entry;
    use crate::netlink::conntrack::status::IPS_OFFLOAD;
    use crate::netlink::conntrack::tuple::Tuple;
    use crate::netlink::route::{Mac, Neighbour};
    use std::net::IpAddr;

    #[test]
    fn devices_and_clients_get_what_their_flows_carried() {
        let mut table = FlowTable::new(FLOWS_MAX);
        *table.topology_mut() = router();
        poll(&mut table, 0, &[]);
        // 192.168.1.2 is behind lan1 of br-lan, 192.168.1.3 somewhere on br-lan.
        let mut offloaded = entry(2, 1000);
        offloaded.status |= IPS_OFFLOAD;
        offloaded.counters_reply = Some(Counters { packets: 5, bytes: 5000 });
        poll(&mut table, 1000, &[entry(2, 0), entry(3, 100)]);
        poll(&mut table, 2000, &[offloaded, entry(3, 100)]);

        let devices = by_device(table.packed(2000), table.ledger());
        let names: Vec<&str> = devices.keys().map(String::as_str).collect();
        assert_eq!(names, ["br-lan", "lan1", "wan", "wan.7"]);
        let of = |name| devices.get(name).unwrap();
        let (bridge, port, wan) = (of("br-lan"), of("lan1"), of("wan.7"));
        assert_eq!((bridge.present.flows.classic, bridge.present.flows.software), (1, 1));
        assert_eq!((port.present.flows.classic, port.present.flows.software), (0, 1));
        let bytes = |sums: ByState| sums.map(|counters| counters.bytes);
        assert_eq!((bytes(bridge.received), bytes(bridge.sent)), ([100, 1000, 0], [100, 5000, 0]));
        assert_eq!((bytes(wan.received), bytes(wan.sent)), ([100, 5000, 0], [100, 1000, 0]));
        assert_eq!((port.present.in_rate, port.present.out_rate), ([0, 1000, 0], [0, 5000, 0]));
        assert_eq!((wan.present.in_rate, wan.present.out_rate), ([0, 5000, 0], [0, 1000, 0]));

        let clients = by_host(table.packed(2000), &table.ledger().hosts);
        let (number, host) = table.ledger().hosts.iter().next().unwrap();
        assert_eq!((bytes(host.sent), bytes(host.received)), ([0, 1000, 0], [0, 5000, 0]));
        assert_eq!(clients[&number].out_rate, [0, 5000, 0]);
        assert_eq!(clients.len(), 2);
    }

    /// Until the next list a flow goes by the number of the client as it was known before.
    #[test]
    fn flows_of_one_client_count_as_one() {
        let mut table = FlowTable::new(FLOWS_MAX);
        *table.topology_mut() = router();
        poll(&mut table, 0, &[]);
        let orig =
            Tuple::new(6, ("fd00:1::2".parse().unwrap(), 5), ("fd00:1::9".parse().unwrap(), 80));
        let orig = orig.unwrap();
        let over_six = Entry { orig, reply: orig.inverse(), ..entry(1, 0) };
        poll(&mut table, 1000, &[entry(3, 0), over_six]);
        let address = "192.168.1.3".parse().unwrap();
        table.topology_mut().set_neighbours(vec![Neighbour { index: 2, address, mac: MAC }]);
        let another = Entry { id: 99, ..entry(3, 0) };
        let orig = Tuple::new(6, (another.orig.source(), 9), ("203.0.113.2".parse().unwrap(), 80));
        let ended = Entry { orig: orig.unwrap(), ..another };
        table.destroyed(&ended, 1500, &mut |_| panic!("asked"));

        let ledger = table.ledger();
        let clients = by_host(table.packed(1500), &ledger.hosts);
        let counts: Vec<u32> = clients.values().map(|present| present.flows.classic).collect();
        assert_eq!(counts, [2]);
        assert_eq!(ledger.hosts.iter().map(|(number, _)| number).collect::<Vec<_>>(), [1]);
        let called = hosts_called("192.168.1.3", ledger, &Nameless);
        let of = |flow: &Flow| flow.place.host().is_some_and(|host| called.contains(&host));
        assert_eq!(table.flows(1500).filter(of).count(), 2, "also when they are looked for");
    }

    struct Nameless;

    impl Names for Nameless {
        fn name(&self, _: Option<Mac>, _: &[IpAddr]) -> Option<String> {
            None
        }
    }
}
