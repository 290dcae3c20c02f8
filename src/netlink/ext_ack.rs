// SPDX-License-Identifier: GPL-2.0-or-later
//! Acknowledgements and extended acknowledgements (NLMSG_ERROR).
//!
//! Layout: `i32 error`, the header of the request, the rest of the request unless NLM_F_CAPPED,
//! then attributes if NLM_F_ACK_TLVS. Source: include/uapi/linux/netlink.h, net/netlink/af_netlink.c.

use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED};

use super::attribute;
use super::message::{Message, NETLINK_HEADER_LEN};

/// nlmsg_type of an acknowledgement.
pub const NLMSG_ERROR: u16 = 2;
/// nlmsg_type of the end of a dump.
pub const NLMSG_DONE: u16 = 3;

const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;

const ERROR_LEN: usize = 4;

/// A positive or negative acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// 0, or a positive error number.
    pub errno: i32,
    /// The kernel's own words.
    pub text: Option<String>,
    /// Byte offset of the offending attribute from the start of the request's header.
    pub offset: Option<usize>,
}

impl Ack {
    /// Reads the payload of a message whose kind is [`NLMSG_ERROR`]; `None` when it is shorter
    /// than an error code. A damaged extension is left out, the code itself still counts.
    pub fn parse(message: &Message<'_>) -> Option<Ack> {
        let (code, rest) = message.payload.split_at_checked(ERROR_LEN)?;
        let code = i32::from_ne_bytes(code.try_into().ok()?);
        let mut ack = Ack { errno: code.checked_neg().unwrap_or(i32::MAX), ..Ack::default() };
        if message.flags & NLM_F_ACK_TLVS != 0 {
            ack.read_extension(rest, message.flags & NLM_F_CAPPED != 0);
        }
        Some(ack)
    }

    fn read_extension(&mut self, request: &[u8], capped: bool) {
        let echoed = if capped {
            NETLINK_HEADER_LEN
        } else {
            let length = request.get(..4).and_then(|bytes| bytes.try_into().ok());
            length.map_or(usize::MAX, |bytes| u32::from_ne_bytes(bytes) as usize)
        };
        let start = echoed.checked_next_multiple_of(4);
        let extension = start.and_then(|start| request.get(start..)).unwrap_or_default();
        for attribute in attribute::attributes(extension) {
            let Ok((kind, value)) = attribute else { return };
            match kind {
                NLMSGERR_ATTR_MSG => self.text = Some(attribute::string(value)),
                // Host order, unlike the attributes of nf_tables.
                NLMSGERR_ATTR_OFFS => {
                    self.offset = attribute::u32_host(value).ok().map(|offset| offset as usize);
                }
                _ => (),
            }
        }
    }
}

/// The printable value of the attribute that starts at `offset` of `request`: the name that the
/// kernel pointed at. `None` when there is no readable string there.
pub fn culprit(request: &[u8], offset: usize) -> Option<String> {
    let (_, value) = attribute::attributes(request.get(offset..)?).next()?.ok()?;
    let (ending, text) = value.split_last()?;
    let printable = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    (*ending == 0 && printable).then(|| attribute::string(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute::Writer;
    use crate::netlink::message::{request, Messages};
    use proptest::prelude::*;

    fn error_payload(errno: i32, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.raw(&(-errno).to_ne_bytes());
        writer.raw(&[0; NETLINK_HEADER_LEN]);
        fill(&mut writer);
        writer.into_bytes()
    }

    fn message(flags: u16, payload: &[u8]) -> Message<'_> {
        Message { kind: NLMSG_ERROR, flags, sequence: 1, port: 0, payload }
    }

    #[test]
    fn reads_code_text_and_offset() {
        let payload = error_payload(libc::ENOENT, |w| {
            w.string(NLMSGERR_ATTR_MSG, "no such device");
            w.u32_host(NLMSGERR_ATTR_OFFS, 40);
        });
        let ack = Ack::parse(&message(NLM_F_CAPPED | NLM_F_ACK_TLVS, &payload)).unwrap();
        assert_eq!(ack.errno, libc::ENOENT);
        assert_eq!(ack.text.as_deref(), Some("no such device"));
        assert_eq!(ack.offset, Some(40));
    }

    #[test]
    fn plain_ack_is_zero() {
        let ack = Ack::parse(&message(0, &error_payload(0, |_| ()))).unwrap();
        assert_eq!(ack, Ack::default());
        assert_eq!(Ack::parse(&message(0, &[0, 0])), None);
    }

    #[test]
    fn culprit_is_the_string_at_the_offset() {
        let bytes = request(1, 0, 1, |w| {
            w.u32_be(7, 1);
            w.string(3, "lan0");
        });
        assert_eq!(culprit(&bytes, 24).as_deref(), Some("lan0"));
        assert_eq!(culprit(&bytes, 16), None);
        assert_eq!(culprit(&bytes, 4000), None);
    }

    proptest! {
        #[test]
        fn arbitrary_errors_are_read(
            flags in any::<u16>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            offset in 0usize..200,
        ) {
            let _ = Ack::parse(&message(flags, &bytes));
            let _ = culprit(&bytes, offset);
            for message in Messages::new(&bytes).flatten() {
                let _ = Ack::parse(&message);
            }
        }
    }
}
