// SPDX-License-Identifier: GPL-2.0-or-later
//! Which network devices belong to a radio: rtnetlink does not tell, sysfs does.
//!
//! The kernel announces a device a moment before its entry is complete. What comes late is seen with
//! the device's next message, at the latest when it goes up or becomes a port.

use std::path::Path;

use crate::netlink::route::{self, Link, LinkEvent};
use crate::netlink::socket::Socket;
use crate::netlink::Error;

/// All devices.
pub fn links(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    let mut links = route::links(socket)?;
    links.iter_mut().for_each(mark);
    Ok(links)
}

/// What is new about a device.
pub fn marked(mut event: LinkEvent) -> LinkEvent {
    if let LinkEvent::New(link) = &mut event {
        mark(link);
    }
    event
}

fn mark(link: &mut Link) {
    // The kernel allows neither a slash nor the names of folders.
    link.wireless = Path::new("/sys/class/net").join(&link.name).join("phy80211").exists();
}
