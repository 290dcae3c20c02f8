// SPDX-License-Identifier: GPL-2.0-or-later
//! IP addresses of network devices.

use std::net::IpAddr;

use netlink_packet_core::DecodeError;

use super::{AF_INET, AF_INET6, AF_UNSPEC};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
pub(super) const RTM_GETADDR: u16 = 22;

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
const IFADDRMSG_LEN: usize = 8;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// An address that a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Index of the device.
    pub index: u32,
    /// The device's own address.
    pub address: IpAddr,
    /// Length of the prefix that is reached over the device, in bits: of the peer's address where
    /// there is a peer, otherwise of `address`.
    pub prefix: u8,
    /// Address at the other end of a point-to-point link.
    pub peer: Option<IpAddr>,
}

/// A message about one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressEvent {
    /// It is new, or its lifetime or flags have changed.
    New(Address),
    /// The device has it no longer.
    Gone(Address),
}

impl AddressEvent {
    /// Reads one rtnetlink message; `None` for other kinds and families.
    pub(super) fn parse(message: &Message<'_>) -> Result<Option<AddressEvent>, DecodeError> {
        let event = match message.kind {
            RTM_NEWADDR => AddressEvent::New,
            RTM_DELADDR => AddressEvent::Gone,
            _ => return Ok(None),
        };
        let Some((&[family, prefix, _, _, index @ ..], attributes)) =
            message.payload.split_first_chunk::<IFADDRMSG_LEN>()
        else {
            return Err(DecodeError::buffer_too_small(message.payload.len(), IFADDRMSG_LEN));
        };
        if family != AF_INET && family != AF_INET6 {
            return Ok(None);
        }
        let (mut local, mut address) = (None, None);
        attribute::for_each(attributes, |kind, value| {
            match kind {
                IFA_LOCAL => local = Some(attribute::address(value)?),
                IFA_ADDRESS => address = Some(attribute::address(value)?),
                _ => (),
            }
            Ok(())
        })?;
        // IPv4 always gives both, IPv6 the local one only beside a peer.
        let Some(own) = local.or(address) else { return Ok(None) };
        Ok(Some(event(Address {
            index: u32::from_ne_bytes(index),
            address: own,
            prefix,
            peer: address.filter(|&address| address != own),
        })))
    }
}

/// The body of a request for all addresses of both families.
pub(super) fn write_dump(writer: &mut Writer) {
    let mut header = [0; IFADDRMSG_LEN];
    header[0] = AF_UNSPEC;
    writer.raw(&header);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::{request, Messages};

    fn parse(kind: u16, family: u8, fill: impl FnOnce(&mut Writer)) -> Option<AddressEvent> {
        let bytes = request(kind, 0, 0, |writer| {
            writer.raw(&[family, 24, 0, 0]);
            writer.raw(&7u32.to_ne_bytes());
            fill(writer);
        });
        AddressEvent::parse(&Messages::new(&bytes).next().unwrap().unwrap()).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_plain_address_has_no_peer() {
        let expected = |address| Address { index: 7, address: ip(address), prefix: 24, peer: None };
        let v4 = parse(RTM_NEWADDR, AF_INET, |w| {
            w.address(IFA_ADDRESS, ip("192.168.1.1"));
            w.address(IFA_LOCAL, ip("192.168.1.1"));
        });
        assert_eq!(v4, Some(AddressEvent::New(expected("192.168.1.1"))));
        let v6 = parse(RTM_DELADDR, AF_INET6, |w| w.address(IFA_ADDRESS, ip("fd00::1")));
        assert_eq!(v6, Some(AddressEvent::Gone(expected("fd00::1"))));
    }

    #[test]
    fn the_other_end_is_the_peer() {
        for (family, own, other) in
            [(AF_INET, "10.0.0.1", "10.9.9.9"), (AF_INET6, "fd00::1", "fe80::9")]
        {
            let event = parse(RTM_NEWADDR, family, |w| {
                w.address(IFA_ADDRESS, ip(other));
                w.address(IFA_LOCAL, ip(own));
            });
            let Some(AddressEvent::New(address)) = event else { panic!("{event:?}") };
            assert_eq!((address.address, address.peer), (ip(own), Some(ip(other))));
        }
    }

    #[test]
    fn other_families_and_kinds_are_passed_over() {
        const AF_PHONET: u8 = 35;
        assert_eq!(parse(RTM_NEWADDR, AF_PHONET, |w| w.u8(IFA_LOCAL, 1)), None);
        assert_eq!(parse(RTM_GETADDR, AF_INET, |w| w.address(IFA_LOCAL, ip("10.0.0.1"))), None);
        assert_eq!(parse(RTM_NEWADDR, AF_INET, |_| ()), None);
    }
}
