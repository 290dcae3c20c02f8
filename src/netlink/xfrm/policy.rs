// SPDX-License-Identifier: GPL-2.0-or-later
//! IPsec policies.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::DecodeError;

use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;
use crate::netlink::prefix::Prefix;

const XFRM_MSG_NEWPOLICY: u16 = 0x13;
pub(super) const XFRM_MSG_GETPOLICY: u16 = 0x15;

/// `struct xfrm_userpolicy_id`, the header of the request: selector, index, direction.
const XFRM_USERPOLICY_ID_LEN: usize = 64;

/// `struct xfrm_userpolicy_info` without its padding: selector, two sets of lifetimes, priority,
/// index, direction, action, flags, share. The offsets below are the same on all machines.
const XFRM_USERPOLICY_INFO_LEN: usize = 164;
/// With its padding, which depends on how the machine aligns 64 bits: 168, but 164 on i386.
const ATTRIBUTES_OFFSET: usize = XFRM_USERPOLICY_INFO_LEN.next_multiple_of(align_of::<u64>());

const SEL_DADDR: usize = 0;
const SEL_SADDR: usize = 16;
const SEL_DPORT: usize = 32;
const SEL_SPORT: usize = 36;
const SEL_FAMILY: usize = 40;
const SEL_PREFIXLEN_D: usize = 42;
const SEL_PREFIXLEN_S: usize = 43;
const SEL_PROTO: usize = 44;
const SEL_IFINDEX: usize = 48;
const PRIORITY: usize = 152;
const DIR: usize = 160;
const ACTION: usize = 161;

/// `struct xfrm_user_tmpl`, and where it says that the packet may as well pass without.
const TMPL_LEN: usize = 64;
const TMPL_OPTIONAL: usize = 50;

const XFRMA_TMPL: u16 = 5;
const XFRMA_MARK: u16 = 21;
const XFRMA_IF_ID: u16 = 31;

const XFRM_POLICY_IN: u8 = 0;
const XFRM_POLICY_OUT: u8 = 1;
const XFRM_POLICY_FWD: u8 = 2;
const XFRM_POLICY_ALLOW: u8 = 0;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Which packets a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the router itself.
    In,
    /// From the router, and forwarded ones when they leave.
    Out,
    /// Forwarded ones, when they have come in.
    Forward,
}

/// Ports that agree in some bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The port.
    pub port: u16,
    /// Which of its bits count; 0 for all ports.
    pub mask: u16,
}

/// One IPsec policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Senders.
    pub source: Prefix,
    /// Receivers.
    pub destination: Prefix,
    /// Protocol above IP, 0 for all.
    pub protocol: u8,
    /// Ports of the senders.
    pub source_port: Ports,
    /// Ports of the receivers.
    pub destination_port: Ports,
    /// Index of the only device that it is for.
    pub interface: Option<u32>,
    /// Identifier of the only xfrm interface that it is for; 0 for packets of none.
    pub if_id: u32,
    /// Value and mask of the packets' mark; a mask of 0 for all marks.
    pub mark: (u32, u32),
    /// Which packets it is for.
    pub direction: Direction,
    /// Of several that match, the kernel follows the one with the lowest number.
    pub priority: u32,
    /// The packets are transformed (or dropped while there is no key for it). If not, the policy
    /// exempts its packets from others, or blocks them.
    pub transforms: bool,
}

impl Ports {
    /// Is the port one of these?
    pub fn contains(self, port: u16) -> bool {
        (self.port ^ port) & self.mask == 0
    }
}

impl Policy {
    /// Is it for packets of this protocol between these addresses and ports? What it asks of
    /// device, xfrm interface and mark is the caller's to compare.
    pub fn matches(&self, source: (IpAddr, u16), destination: (IpAddr, u16), protocol: u8) -> bool {
        (self.protocol == 0 || self.protocol == protocol)
            && self.source.contains(source.0)
            && self.destination.contains(destination.0)
            && self.source_port.contains(source.1)
            && self.destination_port.contains(destination.1)
    }

    /// Reads one message; `None` for other kinds, for families other than IPv4 and IPv6, and for
    /// policies of single sockets, which key daemons make for themselves.
    ///
    /// # Errors
    /// A malformed message.
    pub fn parse(message: &Message<'_>) -> Result<Option<Policy>, DecodeError> {
        if message.kind != XFRM_MSG_NEWPOLICY {
            return Ok(None);
        }
        let info = Info(message.payload);
        let Some(direction) = direction(info.byte(DIR)?) else { return Ok(None) };
        let (Some(source), Some(destination)) =
            (info.prefix(SEL_SADDR, SEL_PREFIXLEN_S)?, info.prefix(SEL_DADDR, SEL_PREFIXLEN_D)?)
        else {
            return Ok(None);
        };
        let mut policy = Policy {
            source,
            destination,
            protocol: info.byte(SEL_PROTO)?,
            source_port: info.ports(SEL_SPORT)?,
            destination_port: info.ports(SEL_DPORT)?,
            interface: Some(u32::from_ne_bytes(info.array(SEL_IFINDEX)?)).filter(|&i| i != 0),
            if_id: 0,
            mark: (0, 0),
            direction,
            priority: u32::from_ne_bytes(info.array(PRIORITY)?),
            transforms: false,
        };
        let allows = info.byte(ACTION)? == XFRM_POLICY_ALLOW;
        let attributes = message.payload.get(ATTRIBUTES_OFFSET..).ok_or_else(|| info.short())?;
        attribute::for_each(attributes, |kind, value| {
            match kind {
                XFRMA_TMPL => policy.transforms = allows && is_needed(value),
                XFRMA_IF_ID => policy.if_id = attribute::u32_host(value)?,
                XFRMA_MARK => policy.mark = mark(value)?,
                _ => (),
            }
            Ok(())
        })?;
        Ok(Some(policy))
    }
}

/// The fixed part of a message.
struct Info<'a>(&'a [u8]);

impl Info<'_> {
    fn short(&self) -> DecodeError {
        DecodeError::buffer_too_small(self.0.len(), ATTRIBUTES_OFFSET)
    }

    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], DecodeError> {
        let bytes = self.0.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or_else(|| self.short())
    }

    fn byte(&self, offset: usize) -> Result<u8, DecodeError> {
        self.array(offset).map(|[byte]| byte)
    }

    /// `None` for families that have other addresses.
    fn prefix(&self, address: usize, bits: usize) -> Result<Option<Prefix>, DecodeError> {
        let bits = self.byte(bits)?;
        // A union: an IPv4 address is its beginning.
        let address = match u16::from_ne_bytes(self.array(SEL_FAMILY)?) {
            AF_INET => IpAddr::V4(Ipv4Addr::from(self.array::<4>(address)?)),
            AF_INET6 => IpAddr::from(self.array::<16>(address)?),
            _ => return Ok(None),
        };
        Ok(Some(Prefix::new(address, bits)))
    }

    /// Port and mask are in network order, unlike all else here but the addresses.
    fn ports(&self, offset: usize) -> Result<Ports, DecodeError> {
        let [p0, p1, m0, m1] = self.array(offset)?;
        Ok(Ports { port: u16::from_be_bytes([p0, p1]), mask: u16::from_be_bytes([m0, m1]) })
    }
}

/// Per-socket policies have further numbers.
fn direction(number: u8) -> Option<Direction> {
    match number {
        XFRM_POLICY_IN => Some(Direction::In),
        XFRM_POLICY_OUT => Some(Direction::Out),
        XFRM_POLICY_FWD => Some(Direction::Forward),
        _ => None,
    }
}

/// Must one of the templates be applied?
fn is_needed(templates: &[u8]) -> bool {
    let mut optional =
        templates.chunks_exact(TMPL_LEN).filter_map(|template| template.get(TMPL_OPTIONAL));
    optional.any(|&optional| optional == 0)
}

/// `struct xfrm_mark`: value and mask.
fn mark(value: &[u8]) -> Result<(u32, u32), DecodeError> {
    let (value, mask) = value.split_at_checked(4).unwrap_or_default();
    Ok((attribute::u32_host(value)?, attribute::u32_host(mask)?))
}

/// The body of a request for all policies.
pub(super) fn write_dump(writer: &mut Writer) {
    writer.raw(&[0; XFRM_USERPOLICY_ID_LEN]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::{request, Messages};
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn info(direction: u8, action: u8) -> Vec<u8> {
        let mut info = vec![0; ATTRIBUTES_OFFSET];
        let mut put = |offset: usize, bytes: &[u8]| {
            info[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        put(SEL_DADDR, &[10, 2, 0, 0]);
        put(SEL_SADDR, &[10, 1, 0, 0]);
        put(SEL_DPORT, &[0x01, 0xbb, 0xff, 0xff]);
        put(SEL_FAMILY, &AF_INET.to_ne_bytes());
        put(SEL_PREFIXLEN_D, &[16, 24, 6]);
        put(SEL_IFINDEX, &3u32.to_ne_bytes());
        put(PRIORITY, &1000u32.to_ne_bytes());
        put(DIR, &[direction, action]);
        info
    }

    fn parse(info: &[u8], fill: impl FnOnce(&mut Writer)) -> Option<Policy> {
        let bytes = request(XFRM_MSG_NEWPOLICY, 0, 0, |writer| {
            writer.raw(info);
            fill(writer);
        });
        Policy::parse(&Messages::new(&bytes).next().unwrap().unwrap()).unwrap()
    }

    fn templates(optional: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; TMPL_LEN * optional.len()];
        for (template, &optional) in bytes.chunks_mut(TMPL_LEN).zip(optional) {
            template[TMPL_OPTIONAL] = optional;
        }
        bytes
    }

    #[test]
    fn every_part_is_where_the_kernel_puts_it() {
        let policy = parse(&info(XFRM_POLICY_FWD, XFRM_POLICY_ALLOW), |w| {
            w.bytes(XFRMA_TMPL, &templates(&[0]));
            w.u32_host(XFRMA_IF_ID, 9);
            let mark = [7u32.to_ne_bytes(), 0xffu32.to_ne_bytes()].concat();
            w.bytes(XFRMA_MARK, &mark);
        });
        let expected = Policy {
            source: Prefix::new(ip("10.1.0.0"), 24),
            destination: Prefix::new(ip("10.2.0.0"), 16),
            protocol: 6,
            source_port: Ports { port: 0, mask: 0 },
            destination_port: Ports { port: 443, mask: 0xffff },
            interface: Some(3),
            if_id: 9,
            mark: (7, 0xff),
            direction: Direction::Forward,
            priority: 1000,
            transforms: true,
        };
        assert_eq!(policy, Some(expected));
    }

    #[test]
    fn only_what_must_be_transformed_is() {
        const XFRM_POLICY_BLOCK: u8 = 1;
        let transforms = |action, optional: &[u8]| {
            let policy = parse(&info(XFRM_POLICY_OUT, action), |w| {
                w.bytes(XFRMA_TMPL, &templates(optional));
            });
            policy.unwrap().transforms
        };
        assert!(transforms(XFRM_POLICY_ALLOW, &[0]) && transforms(XFRM_POLICY_ALLOW, &[1, 0]));
        assert!(!transforms(XFRM_POLICY_ALLOW, &[1]) && !transforms(XFRM_POLICY_ALLOW, &[]));
        assert!(!transforms(XFRM_POLICY_BLOCK, &[0]));
        assert!(!parse(&info(XFRM_POLICY_OUT, XFRM_POLICY_ALLOW), |_| ()).unwrap().transforms);
    }

    #[test]
    fn policies_of_sockets_are_passed_over() {
        for direction in 3..6 {
            assert_eq!(parse(&info(direction, XFRM_POLICY_ALLOW), |_| ()), None);
        }
    }

    #[test]
    fn a_flow_matches_by_all_parts() {
        let policy = parse(&info(XFRM_POLICY_OUT, XFRM_POLICY_ALLOW), |_| ()).unwrap();
        let (from, to) = ((ip("10.1.0.9"), 50000), (ip("10.2.9.9"), 443));
        assert!(policy.matches(from, to, 6));
        assert!(!policy.matches(from, to, 17));
        assert!(!policy.matches((ip("10.1.1.9"), 50000), to, 6));
        assert!(!policy.matches(from, (ip("10.3.9.9"), 443), 6));
        assert!(!policy.matches(from, (ip("10.2.9.9"), 444), 6));
        assert!(!policy.matches((ip("::a01:9"), 50000), to, 6));
        assert!(Policy { protocol: 0, ..policy }.matches(from, to, 17));
    }

    #[test]
    fn prefixes_of_every_length() {
        let contains = |address, bits, other| Prefix::new(ip(address), bits).contains(ip(other));
        assert!(contains("0.0.0.0", 0, "255.255.255.255") && !contains("0.0.0.0", 0, "::"));
        assert!(contains("10.0.0.1", 32, "10.0.0.1") && !contains("10.0.0.1", 32, "10.0.0.0"));
        assert!(contains("fd00::", 8, "fdff::1") && !contains("fd00::", 8, "fe00::"));
        assert!(contains("fd00::1", 128, "fd00::1") && !contains("fd00::1", 255, "fd00::2"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            mut payload in proptest::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..300),
            direction in 0u8..4,
        ) {
            if let [_, .., family0, family1] = payload.get_mut(..SEL_FAMILY + 2).unwrap_or_default()
            {
                [*family0, *family1] = AF_INET6.to_ne_bytes();
            }
            if let Some(byte) = payload.get_mut(DIR) {
                *byte = direction;
            }
            let kind = XFRM_MSG_NEWPOLICY;
            let message = Message { kind, flags: 0, sequence: 0, port: 0, payload: &payload };
            let parsed = Policy::parse(&message);
            if payload.len() < XFRM_USERPOLICY_INFO_LEN && direction < 3 {
                prop_assert!(parsed.is_err());
            }
        }
    }
}
