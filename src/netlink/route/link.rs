// SPDX-License-Identifier: GPL-2.0-or-later
//! Network devices.

use netlink_packet_core::DecodeError;

use super::{Mac, AF_UNSPEC};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;

/// `struct ifinfomsg`: family, padding, type, index, flags, change mask.
const IFINFOMSG_LEN: usize = 16;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_WIRELESS: u16 = 11;
const IFLA_LINKINFO: u16 = 18;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;

/// Leaves the statistics out, which are most of a device's message.
const RTEXT_FILTER_SKIP_STATS: u32 = 8;

const ARPHRD_LOOPBACK: u16 = 772;
/// In the flags: switched on, whether there is a carrier or not.
const IFF_UP: u32 = 1;

/// One network device, as far as flow offload cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Index, unique and never 0.
    pub index: u32,
    /// Name; may contain U+FFFD where the kernel's bytes are not UTF-8.
    pub name: String,
    /// IFLA_INFO_KIND (`bridge`, `vlan`, `dsa`, ...); empty for physical devices.
    pub kind: String,
    /// The loopback device.
    pub loopback: bool,
    /// Index of the bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// Index of the device that it stands on.
    pub lower: Option<u32>,
    /// `lower` is an index of another network namespace.
    pub lower_elsewhere: bool,
    /// VLAN id of a device of kind `vlan`.
    pub vlan_id: Option<u16>,
    /// A radio's device. The kernel's messages do not say so: whoever can look it up fills it in.
    pub wireless: bool,
    /// Its Ethernet address; `None` for devices of other kinds.
    pub mac: Option<Mac>,
    /// Longest packet that it sends, in bytes.
    pub mtu: u32,
    /// It is switched on.
    pub up: bool,
}

/// A message about one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is new or has changed.
    New(Link),
    /// The device of this index is gone.
    Gone(u32),
}

impl LinkEvent {
    /// Reads one rtnetlink message. `None` for other kinds, for the bridge's own view of its ports
    /// (family AF_BRIDGE), whose deletion does not mean that the device is gone, and for wireless
    /// events, which carry nothing of the device but its name (net/wireless/wext-core.c).
    pub(super) fn parse(message: &Message<'_>) -> Result<Option<LinkEvent>, DecodeError> {
        let gone = match message.kind {
            RTM_NEWLINK => false,
            RTM_DELLINK => true,
            _ => return Ok(None),
        };
        let short = || DecodeError::buffer_too_small(message.payload.len(), IFINFOMSG_LEN);
        let (header, attributes) =
            message.payload.split_at_checked(IFINFOMSG_LEN).ok_or_else(short)?;
        let [family, _, type0, type1, index @ .., f0, f1, f2, f3, _, _, _, _] = header else {
            return Err(short());
        };
        let flags = u32::from_ne_bytes([*f0, *f1, *f2, *f3]);
        if *family != AF_UNSPEC {
            return Ok(None);
        }
        let index = attribute::u32_host(index)?;
        if gone {
            return Ok(Some(LinkEvent::Gone(index)));
        }
        let mut link = Link {
            index,
            name: String::new(),
            kind: String::new(),
            loopback: u16::from_ne_bytes([*type0, *type1]) == ARPHRD_LOOPBACK,
            master: None,
            lower: None,
            lower_elsewhere: false,
            vlan_id: None,
            wireless: false,
            mac: None,
            mtu: 0,
            up: flags & IFF_UP != 0,
        };
        let mut partial = false;
        attribute::for_each(attributes, |kind, value| {
            partial |= kind == IFLA_WIRELESS;
            link.read(kind, value)
        })?;
        if partial {
            return Ok(None);
        }
        // A device without a lower one names itself, or 0 (tunnels).
        link.lower =
            link.lower.filter(|&lower| lower != 0 && (lower != index || link.lower_elsewhere));
        Ok(Some(LinkEvent::New(link)))
    }
}

impl Link {
    fn read(&mut self, kind: u16, value: &[u8]) -> Result<(), DecodeError> {
        match kind {
            IFLA_ADDRESS => self.mac = Mac::from_slice(value),
            IFLA_IFNAME => self.name = attribute::string(value),
            IFLA_MTU => self.mtu = attribute::u32_host(value)?,
            IFLA_LINK => self.lower = Some(attribute::u32_host(value)?),
            IFLA_MASTER => self.master = Some(attribute::u32_host(value)?),
            IFLA_LINK_NETNSID => self.lower_elsewhere = true,
            IFLA_LINKINFO => attribute::for_each(value, |kind, value| {
                match kind {
                    IFLA_INFO_KIND => self.kind = attribute::string(value),
                    // What the data mean depends on the kind, which comes first.
                    IFLA_INFO_DATA if self.kind == "vlan" => {
                        attribute::for_each(value, |kind, value| self.read_vlan(kind, value))?;
                    }
                    _ => (),
                }
                Ok(())
            })?,
            _ => (),
        }
        Ok(())
    }

    fn read_vlan(&mut self, kind: u16, value: &[u8]) -> Result<(), DecodeError> {
        if kind == IFLA_VLAN_ID {
            self.vlan_id = Some(attribute::u16_host(value)?);
        }
        Ok(())
    }
}

/// The body of a request for all devices.
pub(super) fn write_dump(writer: &mut Writer) {
    writer.raw(&[0; IFINFOMSG_LEN]);
    writer.u32_host(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::{request, Messages};

    fn parse(fill: impl FnOnce(&mut Writer)) -> Option<LinkEvent> {
        let bytes = request(RTM_NEWLINK, 0, 0, |writer| {
            let mut header = [0; IFINFOMSG_LEN];
            header[4..8].copy_from_slice(&7u32.to_ne_bytes());
            writer.raw(&header);
            fill(writer);
        });
        let message = Messages::new(&bytes).next().unwrap().unwrap();
        LinkEvent::parse(&message).unwrap()
    }

    #[test]
    fn wireless_events_are_no_news_of_the_device() {
        let full = parse(|w| {
            w.string(IFLA_IFNAME, "wlan0");
            w.u32_host(IFLA_MASTER, 3);
        });
        assert!(matches!(full, Some(LinkEvent::New(link)) if link.master == Some(3)));
        let event = parse(|w| {
            w.string(IFLA_IFNAME, "wlan0");
            w.bytes(IFLA_WIRELESS, &[1, 2, 3, 4]);
        });
        assert_eq!(event, None);
    }

    #[test]
    fn a_device_that_names_itself_stands_on_nothing() {
        for lower in [0, 7] {
            let event = parse(|w| w.u32_host(IFLA_LINK, lower));
            assert!(matches!(event, Some(LinkEvent::New(link)) if link.lower.is_none()));
        }
        let elsewhere = parse(|w| {
            w.u32_host(IFLA_LINK, 7);
            w.u32_host(IFLA_LINK_NETNSID, 0);
        });
        let Some(LinkEvent::New(link)) = elsewhere else { panic!("not a device") };
        assert_eq!((link.lower, link.lower_elsewhere), (Some(7), true));
    }
}
