// SPDX-License-Identifier: GPL-2.0-or-later
//! The clients of the router's own networks and what they have carried.
//!
//! A client is a MAC address with all its IP addresses of both families; one that is no neighbour
//! (behind another router, or a tunnel) is its IP address.

use litemap::LiteMap;
use std::net::IpAddr;

use super::account::ByState;
use super::sums::added;
use super::FlowState;
use crate::core::topology::Client;
use crate::netlink::conntrack::entry::Counters;
use crate::netlink::route::Mac;

/// Clients kept: some times what a home or a small office has.
const HOSTS_MAX: usize = 1024;
/// Addresses kept of each, the latest: privacy extensions make a new one every day.
const ADDRESSES_MAX: usize = 8;

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its MAC address, when it is a neighbour.
    pub mac: Option<Mac>,
    /// Its addresses, the latest first; empty when others have taken all of them over.
    pub addresses: Vec<IpAddr>,
    /// Number of the chain of devices that it was last seen behind.
    pub attachment: Option<u16>,
    /// What it has sent.
    pub sent: ByState,
    /// What it was sent.
    pub received: ByState,
    /// When it was first seen, in milliseconds since the daemon started.
    pub first_ms: u64,
    /// When one of its flows carried something last.
    pub active_ms: u64,
    /// Its flows that are kept.
    flows: u32,
    /// The client that this one turned out to be. Its sums are there; only its number is still in
    /// use, by flows that were placed before.
    became: Option<u16>,
}

/// Clients by number. A number is not given away while a flow has it.
#[derive(Debug, Default)]
pub struct Hosts {
    list: Vec<Host>,
    by_mac: LiteMap<Mac, u16>,
    by_address: LiteMap<IpAddr, u16>,
    /// Flows whose client was not kept because the table was full.
    pub left_out: u64,
}

impl Hosts {
    /// The number of a client, which gets one more flow.
    pub(crate) fn join(
        &mut self,
        client: &Client,
        attachment: Option<u16>,
        now_ms: u64,
    ) -> Option<u16> {
        let number = match self.find(client) {
            Some(number) => number,
            None => self.place(Host {
                mac: client.mac,
                addresses: vec![client.address],
                attachment,
                sent: ByState::default(),
                received: ByState::default(),
                first_ms: now_ms,
                active_ms: now_ms,
                flows: 0,
                became: None,
            })?,
        };
        if let Some(mac) = client.mac {
            self.by_mac.insert(mac, number);
        }
        let before = self.by_address.insert(client.address, number);
        if let Some(former) = before.filter(|former| *former != number) {
            self.hand_over(client.address, former, number);
        }
        let host = self.list.get_mut(usize::from(number))?;
        host.flows += 1;
        host.mac = host.mac.or(client.mac);
        host.attachment = attachment.or(host.attachment);
        host.addresses.retain(|address| *address != client.address);
        host.addresses.insert(0, client.address);
        for address in host.addresses.drain(ADDRESSES_MAX.min(host.addresses.len())..) {
            self.by_address.remove(&address);
        }
        Some(number)
    }

    /// An address that moved on belongs to its former client no more. One that was only known by
    /// it is the new client, whose MAC address was not known then.
    fn hand_over(&mut self, address: IpAddr, former: u16, number: u16) {
        let Some(host) = self.list.get_mut(usize::from(former)) else { return };
        host.addresses.retain(|held| *held != address);
        if host.mac.is_some() || !host.addresses.is_empty() {
            return;
        }
        host.became = Some(number);
        let (sent, received) = (std::mem::take(&mut host.sent), std::mem::take(&mut host.received));
        let (first_ms, active_ms, flows) = (host.first_ms, host.active_ms, host.flows);
        let Some(host) = self.list.get_mut(usize::from(number)) else { return };
        host.sent = added(host.sent, sent);
        host.received = added(host.received, received);
        host.first_ms = host.first_ms.min(first_ms);
        host.active_ms = host.active_ms.max(active_ms);
        // While a flow has the former number this client must not make room for another one.
        host.flows += flows;
    }

    /// One of its flows is gone, or belongs to somebody else now.
    pub(super) fn leave(&mut self, number: u16) {
        let Some(host) = self.list.get_mut(usize::from(number)) else { return };
        host.flows = host.flows.saturating_sub(1);
        if let Some(client) = host.became {
            // One with a MAC address, which never becomes another one.
            self.leave(client);
        }
    }

    /// The number of the client that this number stands for.
    pub(super) fn client(&self, number: u16) -> u16 {
        let host = self.list.get(usize::from(number));
        host.and_then(|host| host.became).unwrap_or(number)
    }

    pub(super) fn add(
        &mut self,
        number: u16,
        state: FlowState,
        (sent, received): (Counters, Counters),
        now_ms: u64,
    ) {
        let number = self.client(number);
        let Some(host) = self.list.get_mut(usize::from(number)) else { return };
        for (sums, carried) in [(&mut host.sent, sent), (&mut host.received, received)] {
            if let Some(sum) = sums.get_mut(state as usize) {
                *sum = sum.plus(carried);
            }
        }
        if sent.packets + received.packets > 0 {
            host.active_ms = now_ms;
        }
    }

    /// No flow is kept any more.
    pub(super) fn forget_flows(&mut self) {
        self.list.iter_mut().for_each(|host| host.flows = 0);
    }

    /// The client of this number.
    pub fn get(&self, number: u16) -> Option<&Host> {
        self.list.get(usize::from(self.client(number)))
    }

    /// All clients with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Host)> {
        (0u16..).zip(&self.list).filter(|(_, host)| host.became.is_none())
    }

    /// All numbers that flows may have, with their clients; several may have the same.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (u16, &Host)> {
        (0u16..).zip(&self.list).filter_map(|(number, _)| Some((number, self.get(number)?)))
    }

    /// By MAC address, else by IP address. A client whose MAC address was not known at first is
    /// the one that had the address without a MAC address.
    fn find(&self, client: &Client) -> Option<u16> {
        let holder = self.by_address.get(&client.address).copied();
        let Some(mac) = client.mac else { return holder };
        let nameless = |number: &u16| self.get(*number).is_some_and(|host| host.mac.is_none());
        self.by_mac.get(&mac).copied().or_else(|| holder.filter(nameless))
    }

    /// A place that is free, a new one, or that of the client without flows that has been silent
    /// longest.
    fn place(&mut self, host: Host) -> Option<u16> {
        let is_free = |(_, host): &(u16, &mut Host)| host.became.is_some() && host.flows == 0;
        if let Some((number, free)) = (0u16..).zip(&mut self.list).find(is_free) {
            *free = host;
            return Some(number);
        }
        if self.list.len() < HOSTS_MAX {
            self.list.push(host);
            return u16::try_from(self.list.len() - 1).ok();
        }
        let now_ms = host.active_ms;
        let silent = |(_, host): &(u16, &mut Host)| now_ms.saturating_sub(host.active_ms);
        let idle = (0u16..).zip(&mut self.list).filter(|(_, host)| host.flows == 0);
        let Some((number, oldest)) = idle.max_by_key(silent) else {
            self.left_out += 1;
            return None;
        };
        let gone = std::mem::replace(oldest, host);
        self.by_address.retain(|_, holder| *holder != number);
        if let Some(mac) = gone.mac {
            self.by_mac.remove(&mac);
        }
        Some(number)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A client on the link; without a MAC address when that is 0.
    pub fn client(address: &str, mac: u8) -> Client {
        let mac = (mac != 0).then_some(Mac::new([2, 0, 0, 0, 0, mac]));
        Client { address: address.parse().unwrap(), mac, answers: false }
    }

    fn addresses(host: &Host) -> Vec<String> {
        host.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_of_both_families_are_one_client() {
        let mut hosts = Hosts::default();
        let first = hosts.join(&client("192.168.1.2", 7), Some(3), 10).unwrap();
        assert_eq!(hosts.join(&client("fd00::2", 7), None, 10), Some(first));
        assert_ne!(hosts.join(&client("192.168.1.3", 8), None, 10), Some(first));
        let host = hosts.get(first).unwrap();
        assert_eq!(addresses(host), ["fd00::2", "192.168.1.2"]);
        assert_eq!(host.attachment, Some(3));
    }

    #[test]
    fn a_mac_address_that_comes_later_joins() {
        let mut hosts = Hosts::default();
        let first = hosts.join(&client("192.168.1.2", 0), None, 10);
        hosts.add(first.unwrap(), FlowState::Classic, (count(1), count(2)), 20);
        assert_eq!(hosts.join(&client("192.168.1.2", 7), None, 30), first);
        assert_eq!(hosts.join(&client("192.168.1.2", 0), None, 40), first);
        assert_eq!(hosts.get(first.unwrap()).unwrap().sent[0].bytes, 1);
        // Another machine takes over the address.
        assert_ne!(hosts.join(&client("192.168.1.2", 8), None, 50), first);
    }

    /// Its flows over IPv4 were seen before it was a neighbour, those over IPv6 after.
    #[test]
    fn a_client_that_was_known_twice_becomes_one() {
        let mut hosts = Hosts::default();
        let early = hosts.join(&client("192.168.1.2", 0), None, 10).unwrap();
        hosts.add(early, FlowState::Software, (count(3), count(5)), 40);
        let late = hosts.join(&client("fd00::2", 7), Some(3), 20).unwrap();
        hosts.add(late, FlowState::Software, (count(10), count(20)), 30);
        assert_eq!(hosts.join(&client("192.168.1.2", 7), None, 50), Some(late));

        let all: Vec<u16> = hosts.iter().map(|(number, _)| number).collect();
        assert_eq!(all, [late]);
        let numbers: Vec<u16> = hosts.numbers().map(|(number, _)| number).collect();
        assert_eq!(numbers, [early, late]);
        // A flow that was placed before still goes by its former number.
        hosts.add(early, FlowState::Software, (count(100), count(200)), 60);
        let host = hosts.get(early).unwrap();
        assert_eq!(addresses(host), ["192.168.1.2", "fd00::2"]);
        assert_eq!((host.sent[1].bytes, host.received[1].bytes), (113, 225));
        assert_eq!((host.first_ms, host.active_ms, host.flows), (10, 60, 3));
        hosts.leave(late);
        hosts.leave(late);
        assert_eq!(hosts.get(late).unwrap().flows, 1, "so that it stays");
        hosts.leave(early);
        assert_eq!(hosts.get(late).unwrap().flows, 0);
        assert_eq!(hosts.join(&client("10.0.0.9", 0), None, 70), Some(early), "free again");
        assert_eq!(hosts.get(late).unwrap().sent[1].bytes, 113);
    }

    fn count(bytes: u64) -> Counters {
        Counters { packets: 1, bytes }
    }

    #[test]
    fn only_clients_without_flows_make_room() {
        let mut hosts = Hosts::default();
        let address = |number: usize| format!("10.0.{}.{}", number / 256, number % 256);
        for number in 0..HOSTS_MAX {
            hosts.join(&client(&address(number), 0), None, number as u64);
        }
        assert_eq!(hosts.join(&client("10.9.0.1", 0), None, 5000), None);
        assert_eq!(hosts.left_out, 1);
        hosts.leave(7);
        hosts.leave(9);
        assert_eq!(hosts.join(&client("10.9.0.1", 0), None, 5000), Some(7), "silent for longer");
        assert_eq!(addresses(hosts.get(7).unwrap()), ["10.9.0.1"]);
    }

    #[test]
    fn the_latest_addresses_are_kept() {
        let mut hosts = Hosts::default();
        for number in 0..20 {
            hosts.join(&client(&format!("fd00::{number}"), 7), None, 0);
        }
        let (_, host) = hosts.iter().next().unwrap();
        assert_eq!(host.addresses.len(), ADDRESSES_MAX);
        assert_eq!(addresses(host)[0], "fd00::19");
    }
}
