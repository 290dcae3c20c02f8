// SPDX-License-Identifier: GPL-2.0-or-later
//! Changes of routes, routing rules and nexthops: that there was one, and packets to whom it is
//! about.
//!
//! What a change means for a packet is asked of the kernel ([`super::lookup()`]), so nothing else is
//! read here. Routes of the local table count: they come with an address, and a packet to it is for
//! the router from then on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AF_INET, AF_INET6};
use crate::netlink::attribute;
use crate::netlink::message::Message;
use crate::netlink::prefix::Prefix;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

/// `struct rtmsg`: family, lengths of destination and source, TOS, table, protocol, scope, type,
/// flags.
const RTMSG_LEN: usize = 12;
const RTA_DST: u16 = 1;
/// A cached copy of a route, made for one destination; IPv4 sets it in answers to look-ups too.
const RTM_F_CLONED: u32 = 0x200;

/// Packets that may go another way than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteChange {
    /// Those to an address of this prefix.
    To(Prefix),
    /// Any.
    Any,
}

impl RouteChange {
    /// Reads one message; `None` when it is not about routing. One that makes no sense is about any
    /// packet.
    pub(super) fn parse(message: &Message<'_>) -> Option<RouteChange> {
        match message.kind {
            RTM_NEWROUTE | RTM_DELROUTE => {
                let Some((header, attributes)) = message.payload.split_first_chunk() else {
                    return Some(RouteChange::Any);
                };
                let &[family, length, _, _, _, _, _, _, flags @ ..]: &[u8; RTMSG_LEN] = header;
                if u32::from_ne_bytes(flags) & RTM_F_CLONED != 0 {
                    return None;
                }
                let prefix = destination(family, attributes).map(|to| Prefix::new(to, length));
                Some(prefix.map_or(RouteChange::Any, RouteChange::To))
            }
            RTM_NEWRULE | RTM_DELRULE | RTM_NEWNEXTHOP | RTM_DELNEXTHOP => Some(RouteChange::Any),
            _ => None,
        }
    }
}

/// Default routes have no destination.
fn destination(family: u8, attributes: &[u8]) -> Option<IpAddr> {
    let mut to = match family {
        AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let read = |kind, value: &[u8]| {
        if kind == RTA_DST {
            to = attribute::address(value)?;
        }
        Ok(())
    };
    attribute::for_each(attributes, read).ok().map(|()| to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute::Writer;

    fn change(kind: u16, flags: u32, length: u8, to: Option<&str>) -> Option<RouteChange> {
        let mut writer = Writer::new();
        let family = if to.is_some_and(|to| to.contains(':')) { AF_INET6 } else { AF_INET };
        writer.raw(&[family, length, 0, 0, 254, 0, 0, 1]);
        writer.raw(&flags.to_ne_bytes());
        if let Some(to) = to {
            writer.address(RTA_DST, to.parse().unwrap());
        }
        let payload = writer.as_bytes();
        RouteChange::parse(&Message { kind, flags: 0, sequence: 0, port: 0, payload })
    }

    fn to(text: &str) -> Option<RouteChange> {
        Some(RouteChange::To(text.parse().unwrap()))
    }

    #[test]
    fn routes_but_not_their_cached_copies() {
        assert_eq!(change(RTM_NEWROUTE, 0, 24, Some("192.0.2.0")), to("192.0.2.0/24"));
        assert_eq!(change(RTM_DELROUTE, 0x4000, 48, Some("2001:db8::")), to("2001:db8::/48"));
        assert_eq!(change(RTM_NEWROUTE, 0, 0, None), to("0.0.0.0/0"));
        assert_eq!(change(RTM_NEWROUTE, RTM_F_CLONED, 0, None), None);
        assert_eq!(change(RTM_DELROUTE, 0x4200, 0, None), None);
        // The flags of a rule mean other things.
        for kind in [RTM_NEWRULE, RTM_DELRULE, RTM_NEWNEXTHOP, RTM_DELNEXTHOP] {
            assert_eq!(change(kind, RTM_F_CLONED, 0, None), Some(RouteChange::Any));
        }
        assert_eq!(change(16, 0, 0, None), None);
    }

    #[test]
    fn what_cannot_be_read_is_about_anything() {
        let mut unknown_family = vec![0; RTMSG_LEN];
        unknown_family[0] = 28;
        for payload in [&[AF_INET, 0, 0][..], &unknown_family] {
            let kind = RTM_NEWROUTE;
            let message = Message { kind, flags: 0, sequence: 0, port: 0, payload };
            assert_eq!(RouteChange::parse(&message), Some(RouteChange::Any));
        }
    }
}
