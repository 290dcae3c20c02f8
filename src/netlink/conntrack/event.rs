// SPDX-License-Identifier: GPL-2.0-or-later
//! Notifications of connections that begin, change and end.
//!
//! Becoming offloaded and ceasing to be are no events (no kernel up to 7.2 tells of them); entries
//! made while nobody listened never give one, not even at their end, unless the sysctl
//! `nf_conntrack_events` is 1.

use netlink_packet_core::{DecodeError, NLM_F_CREATE};

use super::entry::Entry;
use super::{kind, IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_NEW};
use crate::netlink::message::Message;

/// One notification of the groups NFNLGRP_CONNTRACK_NEW, _UPDATE and _DESTROY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtEvent {
    /// A connection began.
    New(Entry),
    /// Something about it changed.
    Updated(Entry),
    /// It has left the table; its counters are final.
    Destroyed(Entry),
}

impl CtEvent {
    /// Reads an event; `None` when the message is something else.
    ///
    /// # Errors
    /// The message is shorter than its lengths say, or lacks a tuple.
    pub fn parse(message: &Message<'_>) -> Result<Option<CtEvent>, DecodeError> {
        let event = match message.kind {
            number if number == kind(IPCTNL_MSG_CT_DELETE) => CtEvent::Destroyed,
            number if number != kind(IPCTNL_MSG_CT_NEW) => return Ok(None),
            // The two have one number; the kernel tells them apart by this flag.
            _ if message.flags & NLM_F_CREATE != 0 => CtEvent::New,
            _ => CtEvent::Updated,
        };
        Ok(Entry::parse_payload(message.payload)?.map(event))
    }

    /// The entry that it is about.
    pub fn entry(&self) -> &Entry {
        match self {
            CtEvent::New(entry) | CtEvent::Updated(entry) | CtEvent::Destroyed(entry) => entry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::conntrack::request::NewEntry;
    use crate::netlink::conntrack::tuple::{Tuple, IPPROTO_UDP};
    use crate::netlink::message::Messages;
    use proptest::prelude::*;

    #[test]
    fn kinds_are_told_apart() {
        let port = |number| ("10.0.0.1".parse().unwrap(), number);
        let tuple = Tuple::new(IPPROTO_UDP, port(1), port(2)).unwrap();
        let bytes = NewEntry::new(tuple, 30).request(1, 0);
        let created = Messages::new(&bytes).next().unwrap().unwrap();
        let entry = Entry::parse(&created).unwrap().unwrap();
        let parse = |kind, flags| CtEvent::parse(&Message { kind, flags, ..created }).unwrap();
        assert_eq!(parse(0x100, 0x600), Some(CtEvent::New(entry)));
        assert_eq!(parse(0x100, 0), Some(CtEvent::Updated(entry)));
        assert_eq!(parse(0x102, 0), Some(CtEvent::Destroyed(entry)));
        assert_eq!(parse(0x101, 0), None);
        assert_eq!(parse(0x200, 0), None, "expectations have a subsystem of their own");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_survived(
            kind in 0x100u16..0x104,
            flags in any::<u16>(),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = CtEvent::parse(&Message { kind, flags, sequence: 0, port: 0, payload: &payload });
        }
    }
}
