// SPDX-License-Identifier: GPL-2.0-or-later
//! Neighbours: which station has an IP address, and behind which bridge port a station is.
//!
//! The kernel sends both in the same messages (`struct ndmsg`) and to the same group; the family
//! tells them apart.

use std::net::IpAddr;

use netlink_packet_core::DecodeError;

use super::{Mac, AF_BRIDGE, AF_INET, AF_INET6};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
pub(super) const RTM_GETNEIGH: u16 = 30;

/// `struct ndmsg`: family, three bytes of padding, index, state, flags, type.
const NDMSG_LEN: usize = 12;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_VLAN: u16 = 5;
const NDA_MASTER: u16 = 9;

const NUD_REACHABLE: u16 = 0x02;
const NUD_STALE: u16 = 0x04;
const NUD_DELAY: u16 = 0x08;
const NUD_PROBE: u16 = 0x10;
const NUD_PERMANENT: u16 = 0x80;
/// States in which packets are sent to the address that the entry holds. NUD_NOARP is none of
/// them: such an entry is made up for devices and groups that need no address.
const USABLE: u16 = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;

/// The router answers for the address; nobody is known to have it.
const NTF_PROXY: u8 = 0x08;

/// The station that has an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Neighbour {
    /// Index of the device over which it is reached.
    pub index: u32,
    /// IP address.
    pub address: IpAddr,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// Where frames for a station go: an entry of a bridge's forwarding table, or of a port's own
/// (switch chips and VXLAN keep one; then there is no `bridge`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FdbEntry {
    /// Index of the port behind which the station is; the bridge's index for its own addresses.
    pub port: u32,
    /// Index of the bridge whose table it is in.
    pub bridge: Option<u32>,
    /// The station.
    pub mac: Mac,
    /// VLAN of the bridge; `None` where it does not filter VLANs.
    pub vlan: Option<u16>,
    /// The address is the port's or the bridge's own, not that of a station behind it.
    pub own: bool,
}

/// What a bridge's forwarding table is searched by: MAC address, index of the bridge, VLAN.
pub type Station = (Mac, u32, Option<u16>);

impl FdbEntry {
    /// The station that it is about; `None` for a port's own address, and outside of bridges.
    pub fn station(&self) -> Option<Station> {
        let bridge = self.bridge.filter(|_| !self.own)?;
        Some((self.mac, bridge, self.vlan))
    }
}

/// A message about one neighbour or forwarding entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighbourEvent {
    /// The address is at this station.
    New(Neighbour),
    /// Nobody is known to have the address: its entry is gone, failed, not yet resolved, or needs
    /// no Ethernet address.
    Lost {
        /// Index of the device.
        index: u32,
        /// IP address.
        address: IpAddr,
    },
    /// The station is behind this port. One that moves makes only this message, with its new port.
    FdbNew(FdbEntry),
    /// The station is behind this port no longer.
    FdbGone(FdbEntry),
}

/// What the attributes say.
#[derive(Default)]
struct Attributes {
    address: Option<IpAddr>,
    /// `None` as well when it is not an Ethernet address.
    mac: Option<Mac>,
    vlan: Option<u16>,
    master: Option<u32>,
}

impl NeighbourEvent {
    /// Reads one rtnetlink message; `None` for other kinds and families, and for entries that are
    /// about no station (groups).
    pub(super) fn parse(message: &Message<'_>) -> Result<Option<NeighbourEvent>, DecodeError> {
        let gone = match message.kind {
            RTM_NEWNEIGH => false,
            RTM_DELNEIGH => true,
            _ => return Ok(None),
        };
        let Some((&[family, _, _, _, i0, i1, i2, i3, s0, s1, flags, _], attributes)) =
            message.payload.split_first_chunk::<NDMSG_LEN>()
        else {
            return Err(DecodeError::buffer_too_small(message.payload.len(), NDMSG_LEN));
        };
        let index = u32::from_ne_bytes([i0, i1, i2, i3]);
        let state = u16::from_ne_bytes([s0, s1]);
        match family {
            AF_INET | AF_INET6 if flags & NTF_PROXY == 0 => {
                let attributes = Attributes::parse(attributes, family)?;
                let usable = !gone && state & USABLE != 0;
                Ok(attributes.neighbour(index, usable))
            }
            AF_BRIDGE => {
                let entry = Attributes::parse(attributes, family)?.entry(index, state);
                Ok(entry.map(match gone {
                    false => NeighbourEvent::FdbNew,
                    true => NeighbourEvent::FdbGone,
                }))
            }
            _ => Ok(None),
        }
    }
}

impl Attributes {
    fn parse(bytes: &[u8], family: u8) -> Result<Attributes, DecodeError> {
        let mut attributes = Attributes::default();
        attribute::for_each(bytes, |kind, value| {
            match kind {
                // In a forwarding table it is a tunnel's far end.
                NDA_DST if family != AF_BRIDGE => {
                    attributes.address = Some(attribute::address(value)?);
                }
                NDA_LLADDR => attributes.mac = Mac::from_slice(value),
                NDA_VLAN => attributes.vlan = Some(attribute::u16_host(value)?),
                NDA_MASTER => attributes.master = Some(attribute::u32_host(value)?),
                _ => (),
            }
            Ok(())
        })?;
        Ok(attributes)
    }

    fn neighbour(self, index: u32, usable: bool) -> Option<NeighbourEvent> {
        let address = self.address?;
        Some(match self.mac {
            Some(mac) if usable => NeighbourEvent::New(Neighbour { index, address, mac }),
            _ => NeighbourEvent::Lost { index, address },
        })
    }

    fn entry(self, port: u32, state: u16) -> Option<FdbEntry> {
        // Devices list the groups that they listen to in the same way; VXLAN's default entry is 0.
        let mac = self.mac.filter(|mac| !mac.is_group() && !mac.is_zero())?;
        let own = state & NUD_PERMANENT != 0;
        Some(FdbEntry { port, bridge: self.master, mac, vlan: self.vlan, own })
    }
}

/// The body of a request for the neighbours of a family, AF_UNSPEC for those of IPv4 and IPv6.
///
/// For AF_BRIDGE kernels expect `struct ifinfomsg`, but take an exact `struct ndmsg` for it
/// (net/core/rtnetlink.c, valid_fdb_dump_legacy); so nothing may follow the header.
pub(super) fn write_dump(writer: &mut Writer, family: u8) {
    let mut header = [0; NDMSG_LEN];
    header[0] = family;
    writer.raw(&header);
}

/// The body of a request for one entry of a bridge's forwarding table.
pub(super) fn write_get(writer: &mut Writer, (mac, bridge, vlan): Station) {
    write_dump(writer, AF_BRIDGE);
    writer.bytes(NDA_LLADDR, &mac.bytes());
    writer.u32_host(NDA_MASTER, bridge);
    if let Some(vlan) = vlan {
        writer.bytes(NDA_VLAN, &vlan.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::{request, Messages};

    const NUD_INCOMPLETE: u16 = 0x01;
    const NUD_FAILED: u16 = 0x20;
    const NUD_NOARP: u16 = 0x40;

    const MAC: Mac = Mac::new([2, 0, 0, 0, 0, 9]);

    struct Header {
        kind: u16,
        family: u8,
        state: u16,
        flags: u8,
    }

    fn parse(header: &Header, fill: impl FnOnce(&mut Writer)) -> Option<NeighbourEvent> {
        let bytes = request(header.kind, 0, 0, |writer| {
            writer.raw(&[header.family, 0, 0, 0]);
            writer.raw(&7u32.to_ne_bytes());
            writer.raw(&header.state.to_ne_bytes());
            writer.raw(&[header.flags, 1]);
            fill(writer);
        });
        NeighbourEvent::parse(&Messages::new(&bytes).next().unwrap().unwrap()).unwrap()
    }

    fn neighbour(kind: u16, state: u16, lladdr: &[u8]) -> Option<NeighbourEvent> {
        parse(&Header { kind, family: AF_INET, state, flags: 0 }, |w| {
            w.bytes(NDA_DST, &[192, 168, 1, 9]);
            w.bytes(NDA_LLADDR, lladdr);
        })
    }

    fn address() -> IpAddr {
        IpAddr::from([192, 168, 1, 9])
    }

    #[test]
    fn a_station_is_known_while_packets_are_sent_to_it() {
        let known = NeighbourEvent::New(Neighbour { index: 7, address: address(), mac: MAC });
        let lost = NeighbourEvent::Lost { index: 7, address: address() };
        for state in [NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_PERMANENT] {
            assert_eq!(neighbour(RTM_NEWNEIGH, state, &MAC.bytes()), Some(known));
            assert_eq!(neighbour(RTM_DELNEIGH, state, &MAC.bytes()), Some(lost));
        }
        for state in [0, NUD_INCOMPLETE, NUD_FAILED, NUD_NOARP] {
            assert_eq!(neighbour(RTM_NEWNEIGH, state, &MAC.bytes()), Some(lost));
        }
        assert_eq!(neighbour(RTM_NEWNEIGH, NUD_REACHABLE, &[10, 0, 0, 1]), Some(lost));
    }

    #[test]
    fn proxies_are_nobody() {
        let header =
            Header { kind: RTM_NEWNEIGH, family: AF_INET, state: NUD_PERMANENT, flags: NTF_PROXY };
        assert_eq!(parse(&header, |w| w.bytes(NDA_DST, &[192, 168, 1, 9])), None);
    }

    fn entry(kind: u16, state: u16, mac: Mac) -> Option<NeighbourEvent> {
        parse(&Header { kind, family: AF_BRIDGE, state, flags: 0 }, |w| {
            w.bytes(NDA_LLADDR, &mac.bytes());
            w.u32_host(NDA_MASTER, 3);
            w.bytes(NDA_VLAN, &20u16.to_ne_bytes());
            // A tunnel's far end, which is not an address of the station.
            w.bytes(NDA_DST, &[203, 0, 113, 1]);
        })
    }

    #[test]
    fn stations_behind_a_port_and_its_own_addresses() {
        let expected = |own| FdbEntry { port: 7, bridge: Some(3), mac: MAC, vlan: Some(20), own };
        for (state, own) in
            [(NUD_REACHABLE, false), (NUD_STALE, false), (NUD_NOARP, false), (NUD_PERMANENT, true)]
        {
            let new = Some(NeighbourEvent::FdbNew(expected(own)));
            assert_eq!(entry(RTM_NEWNEIGH, state, MAC), new);
            let gone = Some(NeighbourEvent::FdbGone(expected(own)));
            assert_eq!(entry(RTM_DELNEIGH, state, MAC), gone);
        }
    }

    #[test]
    fn groups_are_no_stations() {
        for bytes in [[0x33, 0x33, 0, 0, 0, 1], [0xff; 6], [0; 6]] {
            assert_eq!(entry(RTM_NEWNEIGH, NUD_PERMANENT, Mac::new(bytes)), None);
        }
    }
}
