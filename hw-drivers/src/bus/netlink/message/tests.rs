// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests byte by byte, and answers as the module builds them.

use super::*;
use proptest::prelude::*;

#[test]
fn family_request_is_this() {
    let expected = [
        0x20, 0, 0, 0, 0x10, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, // header
        3, 1, 0, 0, // GETFAMILY
        9, 0, 2, 0, b'm', b'd', b'i', b'o', 0, 0, 0, 0,
    ];
    assert_eq!(family_request(Endian::Little, 7), expected);
    let expected = [
        0, 0, 0, 0x20, 0, 0x10, 0, 5, 0, 0, 0, 7, 0, 0, 0, 0, // header
        3, 1, 0, 0, // GETFAMILY
        0, 9, 0, 2, b'm', b'd', b'i', b'o', 0, 0, 0, 0,
    ];
    assert_eq!(family_request(Endian::Big, 7), expected);
}

/// Name with its NUL, a 16-bit time-out followed by zeros, the program.
#[test]
fn program_request_is_this() {
    let program = [Instruction::Emit(1.into())];
    let expected = [
        0x30, 0, 0, 0, 0x21, 0, 5, 0, 2, 1, 0, 0, 0, 0, 0, 0, // header
        1, 1, 0, 0, // XFER, version 1
        7, 0, 1, 0, b'b', b'u', 0, 0, // BUS_ID
        6, 0, 2, 0, 0xfa, 0, 0, 0, // TIMEOUT
        12, 0, 3, 0, 8, 4, 0, 8, 0, 0, 0, 0, // PROG
    ];
    let request = program_request(Endian::Little, 0x21, 0x102, "bu", Some(250), &program);
    assert_eq!(request, expected);
}

#[test]
fn big_endian_leaves_the_time_out_to_the_module() {
    let program = [Instruction::Emit(1.into())];
    let expected = [
        0, 0, 0, 0x28, 0, 0x21, 0, 5, 0, 0, 1, 2, 0, 0, 0, 0, // header
        1, 1, 0, 0, // XFER, version 1
        0, 7, 0, 1, b'b', b'u', 0, 0, // BUS_ID
        0, 12, 0, 3, 8, 0x20, 0, 0x10, 0, 0, 0, 0, // PROG
    ];
    let request = program_request(Endian::Big, 0x21, 0x102, "bu", Some(250), &program);
    assert_eq!(request, expected);
}

const FAMILY: u16 = 0x21;

fn message(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut message = (16 + body.len() as u32).to_le_bytes().to_vec();
    message.extend(kind.to_le_bytes());
    message.extend([6, 0]);
    message.extend(sequence.to_le_bytes());
    message.extend([0; 4]);
    message.extend(body);
    message
}

fn collect(datagrams: &[Vec<u8>]) -> Result<Reply, Malformed> {
    let mut reply = Reply::default();
    for datagram in datagrams {
        parse(Endian::Little, Some(FAMILY), 3, datagram, &mut reply)?;
    }
    Ok(reply)
}

/// Two messages of words, the second with an error and, in the same datagram, a DONE without
/// payload; then the acknowledgement, whose code is 0 all the same.
#[test]
fn words_over_two_messages_and_an_error() {
    let first = message(FAMILY, 3, &[1, 1, 0, 0, 8, 0, 4, 0x80, 0x34, 0x12, 0, 0]);
    let mut second = message(
        FAMILY,
        3,
        &[1, 1, 0, 0, 8, 0, 4, 0x80, 0x78, 0x56, 0, 0, 8, 0, 5, 0, 0xfb, 0xff, 0xff, 0xff],
    );
    second.extend(message(NLMSG_DONE, 3, &[]));
    let ack = message(NLMSG_ERROR, 3, &[0; 20]);
    let expected = Reply {
        family: None,
        words: vec![0x1234, 0x5678],
        error: Some(libc::EIO),
        acknowledged: Some(0),
    };
    assert_eq!(collect(&[first, second, ack]), Ok(expected));
}

#[test]
fn nothing_emitted_is_an_answer_too() {
    let mut datagram = message(FAMILY, 3, &[1, 1, 0, 0, 4, 0, 4, 0x80]);
    datagram.extend(message(NLMSG_DONE, 3, &[]));
    let reply = collect(&[datagram]).unwrap();
    assert_eq!((reply.words.len(), reply.acknowledged), (0, None));
}

#[test]
fn leftovers_are_passed_over() {
    let stale = message(FAMILY, 2, &[1, 1, 0, 0, 8, 0, 4, 0x80, 9, 0, 0, 0]);
    let stale_ack = message(NLMSG_ERROR, 2, &[0xea, 0xff, 0xff, 0xff]);
    let ack = message(NLMSG_ERROR, 3, &[0; 4]);
    let reply = collect(&[stale, stale_ack, ack]).unwrap();
    assert_eq!((reply.words.len(), reply.acknowledged), (0, Some(0)));
}

#[test]
fn refusals_are_positive() {
    let refused = message(NLMSG_ERROR, 3, &[0xea, 0xff, 0xff, 0xff, 1, 2, 3]);
    assert_eq!(collect(&[refused]).unwrap().acknowledged, Some(libc::EINVAL));
}

#[test]
fn what_is_not_the_format_is_malformed() {
    let words = |payload: &[u8]| {
        let mut body = vec![1, 1, 0, 0];
        body.extend((4 + payload.len() as u16).to_le_bytes());
        body.extend([4, 0x80]);
        body.extend(payload);
        message(FAMILY, 3, &body)
    };
    let mut overlong = words(&[0; 4]);
    overlong[0] += 1;
    for (datagram, why) in [
        (words(&[1, 2, 3]), "not a whole word"),
        (words(&[0, 0, 1, 0]), "above 16 bits"),
        (words(&[0; 4 * (MAX_WORDS + 1)]), "more than any program emits"),
        (overlong, "longer than the datagram"),
        (message(FAMILY, 3, &[1, 1, 0]), "no header"),
        (message(FAMILY, 3, &[1, 1, 0, 0, 3, 0, 4, 0]), "attribute without header"),
        (message(FAMILY, 3, &[1, 1, 0, 0, 6, 0, 5, 0, 1, 1]), "short error"),
        (message(FAMILY, 3, &[1, 1, 0, 0, 8, 0, 5, 0, 1, 0, 0, 0]), "positive error"),
        (message(NLMSG_ERROR, 3, &[0; 3]), "short acknowledgement"),
        (message(NLMSG_ERROR, 3, &[0, 0, 0, 0x80]), "no errno"),
        (message(NLMSG_OVERRUN, 3, &[]), "data lost"),
        (message(0x99, 3, &[0; 4]), "another family"),
        (vec![0; 15], "no message"),
        (vec![0; 16], "length 0"),
    ] {
        assert_eq!(collect(&[datagram]), Err(Malformed), "{why}");
    }
}

proptest! {
    /// No datagram makes the parser panic or collect more than there can be.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), big in any::<bool>()) {
        let endian = if big { Endian::Big } else { Endian::Little };
        for family in [None, Some(FAMILY)] {
            let mut reply = Reply::default();
            let _ = parse(endian, family, 3, &bytes, &mut reply);
            prop_assert!(reply.words.len() <= bytes.len() / 4);
        }
    }

    /// The same with a valid message that is damaged in one byte.
    #[test]
    fn damaged(at in 0usize..52, value in any::<u8>()) {
        let body = [1, 1, 0, 0, 8, 0, 4, 0x80, 9, 0, 0, 0, 8, 0, 5, 0, 0xfb, 0xff, 0xff, 0xff];
        let mut bytes = message(FAMILY, 3, &body);
        bytes.extend(message(NLMSG_DONE, 3, &[]));
        bytes[at] = value;
        let mut reply = Reply::default();
        let _ = parse(Endian::Little, Some(FAMILY), 3, &bytes, &mut reply);
        prop_assert!(reply.words.len() <= 2);
    }
}
