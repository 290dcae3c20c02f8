// SPDX-License-Identifier: GPL-2.0-or-later
//! How clients are called.

use std::net::IpAddr;

use super::hosts::Host;
use super::ledger::Ledger;
use crate::netlink::route::Mac;

/// Gives clients their names.
pub trait Names {
    /// The hostname of the client with these addresses.
    fn name(&self, mac: Option<Mac>, addresses: &[IpAddr]) -> Option<String>;
}

/// Numbers of the clients that `text` names: a MAC address, an IP address, or a hostname.
pub fn hosts_called(text: &str, ledger: &Ledger, names: &dyn Names) -> Vec<u16> {
    let mac: Option<Mac> = text.parse().ok();
    let address: Option<IpAddr> = text.parse().ok();
    let called = |host: &Host| match (mac, address) {
        (Some(_), _) => host.mac == mac,
        (None, Some(address)) => host.addresses.contains(&address),
        (None, None) => names
            .name(host.mac, &host.addresses)
            .is_some_and(|name| name.eq_ignore_ascii_case(text)),
    };
    ledger.hosts.numbers().filter(|(_, host)| called(host)).map(|(number, _)| number).collect()
}

/// What a client is called in a list: its hostname, else its latest address.
pub(super) fn label(host: &Host, names: &dyn Names) -> Option<String> {
    let name = names.name(host.mac, &host.addresses);
    name.or_else(|| host.addresses.first().map(ToString::to_string))
}
