// SPDX-License-Identifier: GPL-2.0-or-later
//! Changes of routes, routing rules and nexthops: that there was one, not which.
//!
//! What a change means for a packet is asked of the kernel ([`super::lookup()`]), so nothing here
//! reads more than the flags. Routes of the local table count: they come with an address, and a
//! packet to it is for the router from then on.

use crate::netlink::message::Message;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

/// `struct rtmsg` up to its flags.
const RTM_FLAGS_OFFSET: usize = 8;
/// A cached copy of a route, made for one destination; IPv4 sets it in answers to look-ups too.
const RTM_F_CLONED: u32 = 0x200;

/// May packets go other ways than before this message? Too short a message counts as a change.
pub fn is_route_change(message: &Message<'_>) -> bool {
    match message.kind {
        RTM_NEWROUTE | RTM_DELROUTE => {
            let flags = message.payload.get(RTM_FLAGS_OFFSET..).and_then(|rest| rest.first_chunk());
            flags.is_none_or(|&flags| u32::from_ne_bytes(flags) & RTM_F_CLONED == 0)
        }
        RTM_NEWRULE | RTM_DELRULE | RTM_NEWNEXTHOP | RTM_DELNEXTHOP => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(kind: u16, flags: u32) -> bool {
        let mut payload = [0; 12];
        payload[8..].copy_from_slice(&flags.to_ne_bytes());
        is_route_change(&Message { kind, flags: 0, sequence: 0, port: 0, payload: &payload })
    }

    #[test]
    fn routes_but_not_their_cached_copies() {
        assert!(changes(RTM_NEWROUTE, 0) && changes(RTM_DELROUTE, 0x4000));
        assert!(!changes(RTM_NEWROUTE, RTM_F_CLONED) && !changes(RTM_DELROUTE, 0x4200));
        // The flags of a rule mean other things.
        assert!(changes(RTM_NEWRULE, RTM_F_CLONED) && changes(RTM_DELRULE, 0));
        assert!(changes(RTM_NEWNEXTHOP, 0) && changes(RTM_DELNEXTHOP, 0));
        const RTM_NEWLINK: u16 = 16;
        const RTM_GETROUTE: u16 = 26;
        assert!(!changes(RTM_NEWLINK, 0) && !changes(RTM_GETROUTE, 0));
    }
}
