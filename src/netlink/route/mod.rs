// SPDX-License-Identifier: GPL-2.0-or-later
//! rtnetlink: the network devices and how they stand on one another.
//!
//! Attributes are in host order here, unlike those of netfilter. Source:
//! include/uapi/linux/{rtnetlink,if_link}.h.

pub mod link;

use super::message::Message;
use super::socket::Socket;
use super::Error;

pub use link::{Link, LinkEvent};

/// Netlink family of rtnetlink.
pub const NETLINK_ROUTE: isize = 0;
/// Multicast group of device changes.
pub const RTNLGRP_LINK: u32 = 1;

/// Lists all devices of this network namespace.
///
/// # Errors
/// A refusal, a time-out or a malformed answer.
pub fn links(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    socket.dump("list network devices", link::RTM_GETLINK, link::write_dump, |list, message| {
        if let Some(LinkEvent::New(link)) = parse(message)? {
            list.push(link);
        }
        Ok(())
    })
}

/// Reads one message of the link group; `None` when it is about something else.
///
/// # Errors
/// A malformed message.
pub fn parse(message: &Message<'_>) -> Result<Option<LinkEvent>, Error> {
    LinkEvent::parse(message).map_err(|error| Error::malformed("network device", &error))
}
