// SPDX-License-Identifier: GPL-2.0-or-later
//! rtnetlink: the network devices and how they stand on one another, their addresses, the stations
//! on their links, and which way packets go.
//!
//! Lists and look-ups throw away what waits on their socket ([`Socket::discard_stale`]), so they need
//! another one than the events. Attributes are in host order here, unlike those of netfilter. Source:
//! include/uapi/linux/{rtnetlink,if_link,if_addr,neighbour,fib_rules,nexthop}.h.

pub mod address;
pub mod change;
pub mod link;
pub mod lookup;
pub mod mac;
pub mod neighbour;
pub mod qdisc;

use std::ops::ControlFlow;

use super::message::Message;
use super::socket::Socket;
use super::Error;

pub use address::{Address, AddressEvent};
pub use change::RouteChange;
pub use link::{Link, LinkEvent};
pub use lookup::{Lookup, Route, RouteKind};
pub use mac::{Mac, MacError};
pub use neighbour::{FdbEntry, Neighbour, NeighbourEvent, Station};
pub use qdisc::{FilterChange, FilterEvent, Qdisc, QueueEvent};

/// Netlink family of rtnetlink.
pub const NETLINK_ROUTE: isize = 0;
/// Multicast group of device changes.
pub const RTNLGRP_LINK: u32 = 1;
/// Multicast group of neighbours and of bridges' forwarding tables.
pub const RTNLGRP_NEIGH: u32 = 3;
/// Multicast group of queueing disciplines and filters.
pub const RTNLGRP_TC: u32 = 4;
/// Multicast group of IPv4 addresses.
pub const RTNLGRP_IPV4_IFADDR: u32 = 5;
/// Multicast group of IPv4 routes.
pub const RTNLGRP_IPV4_ROUTE: u32 = 7;
/// Multicast group of IPv4 routing rules.
pub const RTNLGRP_IPV4_RULE: u32 = 8;
/// Multicast group of IPv6 addresses.
pub const RTNLGRP_IPV6_IFADDR: u32 = 9;
/// Multicast group of IPv6 routes.
pub const RTNLGRP_IPV6_ROUTE: u32 = 11;
/// Multicast group of IPv6 routing rules.
pub const RTNLGRP_IPV6_RULE: u32 = 19;
/// Multicast group of nexthop objects, which routes refer to (Linux 5.3 and later; joining it
/// fails before). A changed one changes the ways of packets without any message about a route.
pub const RTNLGRP_NEXTHOP: u32 = 32;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_BRIDGE: u8 = 7;
const AF_INET6: u8 = 10;

/// A message of any of the groups above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// About a device.
    Link(LinkEvent),
    /// About how packets wait at a device.
    Queue(QueueEvent),
    /// About an address of a device.
    Address(AddressEvent),
    /// About a station on a link or behind a bridge port.
    Neighbour(NeighbourEvent),
    /// Packets may go other ways than before.
    Routes(RouteChange),
}

/// Lists all devices of this network namespace.
///
/// # Errors
/// A refusal, a time-out or a malformed answer.
pub fn links(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    socket.dump("list network devices", link::RTM_GETLINK, link::write_dump, |list, message| {
        if let Some(Event::Link(LinkEvent::New(link))) = parse(message)? {
            list.push(link);
        }
        Ok(())
    })
}

/// Lists the queueing disciplines of all devices; none where the kernel has no such thing.
///
/// # Errors
/// A refusal, a time-out or a malformed answer.
pub fn qdiscs(socket: &mut Socket) -> Result<Vec<Qdisc>, Error> {
    let get = qdisc::RTM_GETQDISC;
    let listed =
        socket.dump("list queueing disciplines", get, qdisc::write_dump, |list, message| {
            if let Some(Event::Queue(QueueEvent::New(qdisc))) = parse(message)? {
                list.push(qdisc);
            }
            Ok(())
        });
    match listed {
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => Ok(Vec::new()),
        other => other,
    }
}

/// Lists the devices to which filters redirect packets that come in by the device of this index.
///
/// # Errors
/// As [`qdiscs`].
pub fn redirects(socket: &mut Socket, index: u32) -> Result<Vec<(u32, u32)>, Error> {
    let fill = |writer: &mut _| qdisc::write_ingress_dump(writer, index);
    socket.dump("list filters", qdisc::RTM_GETTFILTER, fill, |list, message| {
        let redirect = qdisc::parse_redirect(message);
        let redirect = redirect.map_err(|error| Error::malformed("filter", &error))?;
        list.extend(redirect.filter(|(device, _)| *device == index));
        Ok(())
    })
}

/// Lists all IP addresses of this network namespace.
///
/// # Errors
/// A refusal, a time-out or a malformed answer.
pub fn addresses(socket: &mut Socket) -> Result<Vec<Address>, Error> {
    socket.dump("list addresses", address::RTM_GETADDR, address::write_dump, |list, message| {
        if let Some(Event::Address(AddressEvent::New(address))) = parse(message)? {
            list.push(address);
        }
        Ok(())
    })
}

/// Lists the stations whose IP address is known, of both families. The kernel bounds their number
/// (`gc_thresh3`, 1024 a family).
///
/// # Errors
/// A refusal, a time-out or a malformed answer.
pub fn neighbours(socket: &mut Socket) -> Result<Vec<Neighbour>, Error> {
    let fill = |writer: &mut _| neighbour::write_dump(writer, AF_UNSPEC);
    socket.dump("list neighbours", neighbour::RTM_GETNEIGH, fill, |list, message| {
        if let Some(Event::Neighbour(NeighbourEvent::New(neighbour))) = parse(message)? {
            list.push(neighbour);
        }
        Ok(())
    })
}

/// Lists the forwarding tables of all bridges and ports; false when that is not all of them. `most`
/// bounds the list and what the kernel has to make of it, since anybody on a link can fill a bridge's
/// table with invented addresses. The kernel names those of a bridge first that it learned last.
///
/// # Errors
/// A refusal, a time-out or a malformed answer.
pub fn fdb(socket: Socket, most: usize) -> Result<(Vec<FdbEntry>, bool), Error> {
    let fill = |writer: &mut _| neighbour::write_dump(writer, AF_BRIDGE);
    let get = neighbour::RTM_GETNEIGH;
    socket.dump_some("list forwarding tables", get, fill, |list: &mut Vec<_>, message| {
        if let Some(Event::Neighbour(NeighbourEvent::FdbNew(entry))) = parse(message)? {
            if list.len() >= most {
                return Ok(ControlFlow::Break(()));
            }
            list.push(entry);
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Asks for one entry of a bridge's forwarding table; `None` when it has none for the station. Linux
/// 5.0 and later.
///
/// # Errors
/// There is no such bridge, or the kernel does not know the question; a time-out or a malformed answer.
pub fn station(socket: &mut Socket, station: Station) -> Result<Option<FdbEntry>, Error> {
    let fill = |writer: &mut _| neighbour::write_get(writer, station);
    let answer = socket.get("find a station", neighbour::RTM_GETNEIGH, fill, parse);
    match answer {
        Ok(Some(Event::Neighbour(NeighbourEvent::FdbNew(entry)))) => Ok(Some(entry)),
        Ok(_) => Ok(None),
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks the kernel which way a packet goes.
///
/// # Errors
/// A refusal that is about the question and not about the packet (no such device), a time-out or
/// a malformed answer.
pub fn lookup(socket: &mut Socket, question: &Lookup) -> Result<Route, Error> {
    if !question.is_possible() {
        return Ok(Route::NONE);
    }
    let fill = |writer: &mut _| question.write(writer);
    let answer = socket.get("look up a route", lookup::RTM_GETROUTE, fill, |message| {
        let route = Route::parse(message).map_err(|error| Error::malformed("route", &error))?;
        Ok(route.unwrap_or(Route::NONE))
    });
    match answer {
        Err(Error::Refused(refusal)) if lookup::is_drop(refusal.errno) => Ok(Route::NONE),
        other => other,
    }
}

/// Reads one message of the groups above; `None` when it is about something else.
///
/// # Errors
/// A malformed message.
pub fn parse(message: &Message<'_>) -> Result<Option<Event>, Error> {
    if let Some(change) = RouteChange::parse(message) {
        return Ok(Some(Event::Routes(change)));
    }
    let malformed = |reading| move |error| Error::malformed(reading, &error);
    if let Some(event) = LinkEvent::parse(message).map_err(malformed("network device"))? {
        return Ok(Some(Event::Link(event)));
    }
    if let Some(event) = AddressEvent::parse(message).map_err(malformed("address"))? {
        return Ok(Some(Event::Address(event)));
    }
    if let Some(event) = QueueEvent::parse(message).map_err(malformed("queueing discipline"))? {
        return Ok(Some(Event::Queue(event)));
    }
    let event = NeighbourEvent::parse(message).map_err(malformed("neighbour"))?;
    Ok(event.map(Event::Neighbour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_panic(
            kind in 15u16..120,
            family in prop::sample::select(vec![AF_UNSPEC, AF_INET, AF_BRIDGE, AF_INET6]),
            rest in proptest::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..100),
        ) {
            let mut payload = vec![family];
            payload.extend(rest);
            let message = Message { kind, flags: 0, sequence: 0, port: 0, payload: &payload };
            let _ = (parse(&message), Route::parse(&message));
        }
    }
}
