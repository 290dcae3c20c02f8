// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests to generic netlink's controller and to mdio-netlink, and their answers.
//!
//! The numbers are those of Linux `include/uapi/linux/netlink.h` and `genetlink.h` and of
//! mdio-netlink 1.3.2. All of it is in the host's byte order, which is a parameter here so that
//! both can be tested on either.

use super::compile::MAX_WORDS;
use super::program::{Endian, Instruction};

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLMSG_HDRLEN: usize = 16;
const GENL_HDRLEN: usize = 4;
const NLA_HDRLEN: usize = 4;
const NLA_TYPE_MASK: u16 = 0x3fff;

const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

const MDIO_GENL_NAME: &[u8] = b"mdio";
const MDIO_GENL_VERSION: u8 = 1;
const MDIO_GENL_XFER: u8 = 1;
const MDIO_NLA_BUS_ID: u16 = 1;
const MDIO_NLA_TIMEOUT: u16 = 2;
const MDIO_NLA_PROG: u16 = 3;
const MDIO_NLA_DATA: u16 = 4;
const MDIO_NLA_ERROR: u16 = 5;

/// Most bytes of a bus name, without its NUL (`MII_BUS_ID_SIZE` of Linux `include/linux/phy.h`).
pub const MAX_BUS_NAME: usize = 60;

/// An answer that does not keep to the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// A message being written.
struct Writer {
    endian: Endian,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(endian: Endian, kind: u16, sequence: u32, command: u8, version: u8) -> Writer {
        let mut writer = Writer { endian, bytes: vec![0; 4] };
        writer.bytes.extend(endian.u16(kind));
        writer.bytes.extend(endian.u16(NLM_F_REQUEST | NLM_F_ACK));
        writer.bytes.extend(endian.u32(sequence));
        // The sender's port: the kernel knows it.
        writer.bytes.extend([0; 4]);
        writer.bytes.extend([command, version, 0, 0]);
        writer
    }

    /// Every payload here is some kilobytes at most.
    fn attribute(&mut self, kind: u16, payload: &[u8]) {
        let len = u16::try_from(NLA_HDRLEN.saturating_add(payload.len())).unwrap_or(u16::MAX);
        self.bytes.extend(self.endian.u16(len));
        self.bytes.extend(self.endian.u16(kind));
        self.bytes.extend(payload);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        for (byte, value) in self.bytes.iter_mut().zip(self.endian.u32(len)) {
            *byte = value;
        }
        self.bytes
    }
}

/// Asks the controller for the number of the family.
pub fn family_request(endian: Endian, sequence: u32) -> Vec<u8> {
    let mut writer = Writer::new(endian, GENL_ID_CTRL, sequence, CTRL_CMD_GETFAMILY, 1);
    writer.attribute(CTRL_ATTR_FAMILY_NAME, &[MDIO_GENL_NAME, b"\0"].concat());
    writer.finish()
}

/// Hands a program to the module.
///
/// `timeout_ms` is left out for a big-endian kernel: the module fetches 32 bits of this 16-bit
/// attribute, so the number would count 65536 times there. On little endian it fetches the zeros
/// of the padding along with it.
pub fn program_request(
    endian: Endian,
    family: u16,
    sequence: u32,
    bus: &str,
    timeout_ms: Option<u16>,
    program: &[Instruction],
) -> Vec<u8> {
    let mut writer = Writer::new(endian, family, sequence, MDIO_GENL_XFER, MDIO_GENL_VERSION);
    writer.attribute(MDIO_NLA_BUS_ID, &[bus.as_bytes(), b"\0"].concat());
    if let (Some(timeout_ms), Endian::Little) = (timeout_ms, endian) {
        writer.attribute(MDIO_NLA_TIMEOUT, &endian.u16(timeout_ms));
    }
    let bytes: Vec<u8> = program.iter().flat_map(|instruction| instruction.bytes(endian)).collect();
    writer.attribute(MDIO_NLA_PROG, &bytes);
    writer.finish()
}

/// What has come in answer to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Number of the family, if it was asked for.
    pub family: Option<u16>,
    /// What the program has emitted.
    pub words: Vec<u16>,
    /// The positive errno that ended the program.
    pub error: Option<i32>,
    /// The result of the request, which comes last: 0 or a positive errno. That a program was
    /// ended by an error is no failure of the request.
    pub acknowledged: Option<i32>,
}

/// Adds the messages of a datagram to a reply. Messages with another sequence number are leftovers
/// of an earlier request and are passed over, as is everything after the acknowledgement.
///
/// # Errors
/// [`Malformed`] if a length is wrong, or a value or message is not one of this format.
pub fn parse(
    endian: Endian,
    family: Option<u16>,
    sequence: u32,
    mut datagram: &[u8],
    reply: &mut Reply,
) -> Result<(), Malformed> {
    while !datagram.is_empty() && reply.acknowledged.is_none() {
        let len = endian.read_u32(field(datagram, 0)?);
        let len = usize::try_from(len).map_err(|_| Malformed)?;
        let kind = endian.read_u16(field(datagram, 4)?);
        let ours = endian.read_u32(field(datagram, 8)?) == sequence;
        let body = datagram.get(NLMSG_HDRLEN..len).ok_or(Malformed)?;
        // The last message may come without its padding.
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
        match kind {
            NLMSG_OVERRUN => return Err(Malformed),
            // The module ends its answer with a DONE without the usual number in it. The
            // acknowledgement that follows says all.
            _ if !ours || kind == NLMSG_NOOP || kind == NLMSG_DONE => {}
            NLMSG_ERROR => {
                let code = endian.read_u32(field(body, 0)?).cast_signed();
                reply.acknowledged = Some(errno(code)?);
            }
            GENL_ID_CTRL if family.is_none() => {
                for attribute in Attributes::after_header(endian, body)? {
                    if let (CTRL_ATTR_FAMILY_ID, payload) = attribute? {
                        reply.family = Some(endian.read_u16(field(payload, 0)?));
                    }
                }
            }
            _ if family == Some(kind) => transferred(endian, body, reply)?,
            _ => return Err(Malformed),
        }
    }
    Ok(())
}

/// One message of the family: words, and perhaps the error that ended the program.
fn transferred(endian: Endian, body: &[u8], reply: &mut Reply) -> Result<(), Malformed> {
    for attribute in Attributes::after_header(endian, body)? {
        match attribute? {
            (MDIO_NLA_DATA, payload) => {
                for word in payload.chunks(4) {
                    let word = endian.read_u32(field(word, 0)?);
                    if reply.words.len() >= MAX_WORDS {
                        return Err(Malformed);
                    }
                    reply.words.push(u16::try_from(word).map_err(|_| Malformed)?);
                }
            }
            (MDIO_NLA_ERROR, payload) => {
                let code = endian.read_u32(field(payload, 0)?).cast_signed();
                reply.error = Some(errno(code)?).filter(|errno| *errno != 0);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Positive, from the kernel's negative.
fn errno(code: i32) -> Result<i32, Malformed> {
    code.checked_neg().filter(|errno| *errno >= 0).ok_or(Malformed)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().ok_or(Malformed)
}

/// The attributes of a message.
struct Attributes<'a> {
    endian: Endian,
    bytes: &'a [u8],
}

impl<'a> Attributes<'a> {
    fn after_header(endian: Endian, body: &'a [u8]) -> Result<Attributes<'a>, Malformed> {
        Ok(Attributes { endian, bytes: body.get(GENL_HDRLEN..).ok_or(Malformed)? })
    }

    fn take(&mut self) -> Result<(u16, &'a [u8]), Malformed> {
        let len = usize::from(self.endian.read_u16(field(self.bytes, 0)?));
        let kind = self.endian.read_u16(field(self.bytes, 2)?) & NLA_TYPE_MASK;
        let payload = self.bytes.get(NLA_HDRLEN..len).ok_or(Malformed)?;
        self.bytes = self.bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Ok((kind, payload))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let attribute = self.take();
        if attribute.is_err() {
            self.bytes = &[];
        }
        Some(attribute)
    }
}

#[cfg(test)]
mod tests;
