// SPDX-License-Identifier: GPL-2.0-or-later
//! Netlink message framing: one message out, many messages in from one datagram.

use netlink_packet_core::{DecodeError, NetlinkBuffer};

use super::attribute::Writer;

/// Length of a netlink message header.
pub const NETLINK_HEADER_LEN: usize = 16;

/// A request of one message: header, then the body that `fill` writes.
///
/// `kind` is nlmsg_type, `flags` are NLM_F_*; the port is left to the kernel.
pub fn request(kind: u16, flags: u16, sequence: u32, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(&[0; NETLINK_HEADER_LEN]);
    fill(&mut writer);
    let mut bytes = writer.into_bytes();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut header = NetlinkBuffer::new(&mut bytes);
    header.set_length(length);
    header.set_message_type(kind);
    header.set_flags(flags);
    header.set_sequence_number(sequence);
    header.set_port_number(0);
    bytes
}

/// One received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// nlmsg_type.
    pub kind: u16,
    /// NLM_F_* bits.
    pub flags: u16,
    /// Sequence number of the request that it answers, 0 for events.
    pub sequence: u32,
    /// Netlink port of the process that caused it (events), or ours (answers).
    pub port: u32,
    /// Everything behind the header.
    pub payload: &'a [u8],
}

/// Splits a datagram into its messages.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// The messages of one datagram.
    pub fn new(datagram: &'a [u8]) -> Messages<'a> {
        Messages { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let buffer = match NetlinkBuffer::new_checked(self.rest) {
            Ok(buffer) => buffer,
            Err(error) => {
                self.rest = &[];
                return Some(Err(error));
            }
        };
        let length = buffer.length() as usize;
        let message = Message {
            kind: buffer.message_type(),
            flags: buffer.flags(),
            sequence: buffer.sequence_number(),
            port: buffer.port_number(),
            payload: self.rest.get(NETLINK_HEADER_LEN..length).unwrap_or_default(),
        };
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_messages_in_one_datagram() {
        let mut datagram = request(16, 1, 7, |w| w.u8(1, 2));
        datagram.extend(request(17, 2, 8, |_| ()));
        let messages: Vec<Message> = Messages::new(&datagram).map(Result::unwrap).collect();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].kind, messages[0].sequence), (16, 7));
        assert_eq!(messages[0].payload.len(), 8);
        assert_eq!((messages[1].kind, messages[1].flags, messages[1].payload), (17, 2, &[][..]));
    }

    proptest! {
        #[test]
        fn arbitrary_datagrams_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Messages::new(&bytes).count() <= bytes.len());
        }
    }
}
