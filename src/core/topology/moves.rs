// SPDX-License-Identifier: GPL-2.0-or-later
//! What has moved around the router since somebody asked: a flow that was offloaded before may go
//! on to where its packets should not go any more.

use std::net::IpAddr;

use crate::netlink::prefix::Prefix;
use crate::netlink::route::RouteChange;

/// Prefixes told apart; each is compared with each offloaded flow. More at once is a routing
/// protocol that starts, which concerns every flow.
const PREFIXES_MAX: usize = 64;

/// What has moved; each list is as long as there are devices at most.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Moves {
    /// Bridge ports behind which a station was that is behind another one now.
    pub ports: Vec<u32>,
    /// Devices behind which a neighbour has another MAC address.
    pub neighbours: Vec<u32>,
}

impl Moves {
    /// Nothing has moved.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.neighbours.is_empty()
    }

    pub(super) fn port(&mut self, index: u32) {
        note(&mut self.ports, index);
    }

    pub(super) fn neighbour(&mut self, index: u32) {
        note(&mut self.neighbours, index);
    }
}

fn note(list: &mut Vec<u32>, index: u32) {
    if !list.contains(&index) {
        list.push(index);
    }
}

/// Addresses to which routes or rules have changed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rerouted {
    prefixes: Vec<Prefix>,
    any: bool,
}

impl Rerouted {
    /// Nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && !self.any
    }

    /// Every address may be concerned.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Every address may be concerned, whatever has been noted.
    pub fn set_any(&mut self) {
        self.prefixes.clear();
        self.any = true;
    }

    /// True when packets to this address may go another way.
    pub fn concerns(&self, address: IpAddr) -> bool {
        self.any || self.prefixes.iter().any(|prefix| prefix.contains(address))
    }

    /// Notes a change, unless it is about addresses to which nothing is forwarded.
    pub fn note(&mut self, change: RouteChange) {
        match change {
            RouteChange::Any => self.set_any(),
            RouteChange::To(prefix) => {
                if self.any || self.prefixes.contains(&prefix) || !is_forwarded(prefix) {
                    return;
                }
                if self.prefixes.len() >= PREFIXES_MAX {
                    return self.set_any();
                }
                self.prefixes.push(prefix);
            }
        }
    }
}

/// Each device that is switched on brings routes to its own link and to groups.
fn is_forwarded(prefix: Prefix) -> bool {
    let near = match prefix.address() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_multicast() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_multicast() || address.is_unicast_link_local()
        }
    };
    // A prefix that is shorter than those of the kinds above holds other addresses too.
    prefix.length() < 4 || !near
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rerouted(prefixes: &[&str]) -> Rerouted {
        let mut rerouted = Rerouted::default();
        for prefix in prefixes {
            rerouted.note(RouteChange::To(prefix.parse().unwrap()));
        }
        rerouted
    }

    #[test]
    fn only_addresses_of_the_prefix_are_concerned() {
        let changed = rerouted(&["192.0.2.0/24", "::/0"]);
        let concerned = |address: &str| changed.concerns(address.parse().unwrap());
        assert!(concerned("192.0.2.9") && concerned("2001:db8::1"));
        assert!(!concerned("192.0.3.9"));
        assert!(!changed.is_any() && !changed.is_empty());
    }

    #[test]
    fn what_comes_with_every_device_is_nothing() {
        let near = ["ff00::/8", "fe80::/64", "fe80::1/128", "224.0.0.0/4", "127.0.0.0/8", "::1"];
        assert!(rerouted(&near).is_empty());
        assert!(!rerouted(&["0.0.0.0/0"]).is_empty() && !rerouted(&["e000::/3"]).is_empty());
    }

    #[test]
    fn many_prefixes_are_any() {
        let mut rerouted = Rerouted::default();
        let note = |rerouted: &mut Rerouted, number: u32| {
            let address = IpAddr::V4((0x0a00_0000 + number).into());
            rerouted.note(RouteChange::To(Prefix::new(address, 32)));
        };
        (0..PREFIXES_MAX as u32).for_each(|number| note(&mut rerouted, number));
        note(&mut rerouted, 5);
        assert!(!rerouted.is_any(), "one that is there already takes no room");
        note(&mut rerouted, PREFIXES_MAX as u32);
        assert!(rerouted.is_any() && rerouted.concerns("::1".parse().unwrap()));
    }
}
