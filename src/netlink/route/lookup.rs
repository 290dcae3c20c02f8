// SPDX-License-Identifier: GPL-2.0-or-later
//! Which way a packet goes: the kernel's own answer, with its rules, marks and nexthops.

use std::net::IpAddr;

use netlink_packet_core::DecodeError;

use super::{AF_INET, AF_INET6};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_GETROUTE: u16 = 26;

/// `struct rtmsg`: family, lengths of destination and source, TOS, table, protocol, scope, type,
/// flags.
const RTMSG_LEN: usize = 12;

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_IIF: u16 = 3;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_MARK: u16 = 16;
const RTA_VIA: u16 = 18;

const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTN_BROADCAST: u8 = 3;
const RTN_ANYCAST: u8 = 4;
const RTN_MULTICAST: u8 = 5;

/// A packet whose way is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lookup {
    /// Sender; must be given with `input`, of which the kernel checks it as it does of packets.
    pub from: Option<IpAddr>,
    /// Receiver.
    pub to: IpAddr,
    /// Index of the device that it came in by; `None` for a packet that the router itself sends.
    pub input: Option<u32>,
    /// Firewall mark, 0 for none.
    pub mark: u32,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteKind {
    /// It is sent to one station.
    Unicast,
    /// It is for the router itself; an anycast address of its own counts as such.
    Local,
    /// It is sent to all stations of a LAN.
    Broadcast,
    /// It is sent to a group.
    Multicast,
    /// It is dropped: no route, an unreachable, prohibiting or blackhole one, or a sender that is
    /// not accepted from that device.
    Unreachable,
}

/// The way of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Index of the device that it leaves by (the loopback device for [`RouteKind::Local`]).
    pub output: Option<u32>,
    /// Next station; `None` where the receiver itself is on that device's link. May be of IPv6 for
    /// a packet of IPv4.
    pub gateway: Option<IpAddr>,
    /// What becomes of it.
    pub kind: RouteKind,
}

impl Route {
    /// The packet goes nowhere.
    pub const NONE: Route = Route { output: None, gateway: None, kind: RouteKind::Unreachable };

    /// Reads the answer to a [`Lookup`]; `None` for messages of other kinds, such as a refusal.
    ///
    /// # Errors
    /// A malformed message.
    pub fn parse(message: &Message<'_>) -> Result<Option<Route>, DecodeError> {
        if message.kind != RTM_NEWROUTE {
            return Ok(None);
        }
        let Some((&[_, _, _, _, _, _, _, kind, _, _, _, _], attributes)) =
            message.payload.split_first_chunk::<RTMSG_LEN>()
        else {
            return Err(DecodeError::buffer_too_small(message.payload.len(), RTMSG_LEN));
        };
        let kind = match kind {
            RTN_UNICAST => RouteKind::Unicast,
            RTN_LOCAL | RTN_ANYCAST => RouteKind::Local,
            RTN_BROADCAST => RouteKind::Broadcast,
            RTN_MULTICAST => RouteKind::Multicast,
            // IPv6 answers with the route that drops the packet, where IPv4 refuses to answer.
            _ => return Ok(Some(Route::NONE)),
        };
        let mut route = Route { output: None, gateway: None, kind };
        attribute::for_each(attributes, |kind, value| {
            match kind {
                RTA_OIF => route.output = Some(attribute::u32_host(value)?),
                RTA_GATEWAY => route.gateway = Some(attribute::address(value)?),
                RTA_VIA => route.gateway = Some(via(value)?),
                _ => (),
            }
            Ok(())
        })?;
        Ok(Some(route))
    }
}

/// `struct rtvia`: a gateway of the other family, behind the number of that family.
fn via(value: &[u8]) -> Result<IpAddr, DecodeError> {
    const FAMILY_LEN: usize = 2;
    attribute::address(value.get(FAMILY_LEN..).unwrap_or_default())
}

impl Lookup {
    /// Sender and receiver are of the same family, as those of any packet.
    pub(super) fn is_possible(&self) -> bool {
        self.from.is_none_or(|from| from.is_ipv4() == self.to.is_ipv4())
    }

    /// The body of the request.
    pub(super) fn write(&self, writer: &mut Writer) {
        let (family, bits) = match self.to {
            IpAddr::V4(_) => (AF_INET, 32),
            IpAddr::V6(_) => (AF_INET6, 128),
        };
        let from_bits = if self.from.is_some() { bits } else { 0 };
        writer.raw(&[family, bits, from_bits, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        writer.address(RTA_DST, self.to);
        if let Some(from) = self.from {
            writer.address(RTA_SRC, from);
        }
        if let Some(input) = self.input {
            writer.u32_host(RTA_IIF, input);
        }
        if self.mark != 0 {
            writer.u32_host(RTA_MARK, self.mark);
        }
    }
}

/// Does this error number say that such a packet is dropped? Linux: no route, unreachable,
/// prohibit, blackhole (and a sender that no packet may have), reverse path filter.
pub(super) fn is_drop(errno: i32) -> bool {
    const DROPS: [i32; 5] =
        [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EACCES, libc::EINVAL, libc::EXDEV];
    DROPS.contains(&errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::{request, Messages};

    fn parse(kind: u8, fill: impl FnOnce(&mut Writer)) -> Route {
        let bytes = request(RTM_NEWROUTE, 0, 0, |writer| {
            writer.raw(&[AF_INET, 32, 0, 0, 0xfe, 0, 0, kind, 0, 2, 0, 0]);
            fill(writer);
        });
        Route::parse(&Messages::new(&bytes).next().unwrap().unwrap()).unwrap().unwrap()
    }

    #[test]
    fn gateways_of_either_family() {
        let v4 = parse(RTN_UNICAST, |w| {
            w.u32_host(RTA_OIF, 7);
            w.bytes(RTA_GATEWAY, &[192, 168, 1, 9]);
        });
        let gateway = Some(IpAddr::from([192, 168, 1, 9]));
        assert_eq!(v4, Route { output: Some(7), gateway, kind: RouteKind::Unicast });

        let address: IpAddr = "fe80::9".parse().unwrap();
        let mut rtvia = u16::from(AF_INET6).to_ne_bytes().to_vec();
        let IpAddr::V6(v6) = address else { panic!("{address}") };
        rtvia.extend(v6.octets());
        assert_eq!(parse(RTN_UNICAST, |w| w.bytes(RTA_VIA, &rtvia)).gateway, Some(address));
    }

    #[test]
    fn a_route_that_drops_leads_nowhere() {
        const RTN_BLACKHOLE: u8 = 6;
        const RTN_PROHIBIT: u8 = 8;
        for kind in RTN_BLACKHOLE..=RTN_PROHIBIT {
            assert_eq!(parse(kind, |w| w.u32_host(RTA_OIF, 1)), Route::NONE);
        }
        assert_eq!(parse(RTN_ANYCAST, |w| w.u32_host(RTA_OIF, 1)).kind, RouteKind::Local);
    }

    #[test]
    fn only_what_is_known_is_asked() {
        let to = IpAddr::from([203, 0, 113, 1]);
        let kinds = |lookup: Lookup| -> Vec<u16> {
            let mut writer = Writer::new();
            lookup.write(&mut writer);
            let attributes = writer.as_bytes()[RTMSG_LEN..].to_vec();
            attribute::attributes(&attributes).map(|attribute| attribute.unwrap().0).collect()
        };
        let bare = Lookup { from: None, to, input: None, mark: 0 };
        assert_eq!(kinds(bare), [RTA_DST]);
        let from = Some(IpAddr::from([192, 168, 1, 2]));
        let full = Lookup { from, input: Some(3), mark: 9, ..bare };
        assert_eq!(kinds(full), [RTA_DST, RTA_SRC, RTA_IIF, RTA_MARK]);
        assert!(full.is_possible() && bare.is_possible());
        assert!(!Lookup { from: Some("::1".parse().unwrap()), ..bare }.is_possible());
    }
}
