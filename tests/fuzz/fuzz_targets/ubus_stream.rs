// SPDX-License-Identifier: GPL-2.0-or-later
//! A broker that says anything: the daemon's connection over a real socket.
//!
//! The first byte of an input tells whether the handshake is an honest one and whether calls are
//! answered at once or when all is read; the second how the rest is cut into pieces. As long as the
//! stream makes sense, every call gets exactly one status.
#![no_main]

use flowtabled::ubus::inbox::{Inbox, Message};
use flowtabled::ubus::{Bus, Call, StatusCode};
use libfuzzer_sys::fuzz_target;
use mio::{Poll, Token};
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Instant;
use ubus::envelope::{self, EnvBuilder, UbusAttr};
use ubus::wire::{Codec, Frame};
use ubus::{BlobMsgTable, MsgType};

const OBJECT: u32 = 0x56a0_37b2;
const CLIENT: u32 = 0x4ffa_2486;
/// Most turns for one piece: the bytes of an input are few.
const TURNS: usize = 64;

struct World {
    listener: UnixListener,
    path: PathBuf,
    poll: Poll,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new({
        let path = std::env::temp_dir().join(format!("flowtabled-fuzz-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket");
        World { listener, path, poll: Poll::new().expect("epoll") }
    });
}

fn honest() -> Vec<u8> {
    let mut id = EnvBuilder::new();
    id.push_u32(UbusAttr::ObjId, OBJECT);
    let mut status = EnvBuilder::new();
    status.push_i32(UbusAttr::Status, 0);
    let frames = [
        Frame::to_peer(MsgType::Hello, 0, CLIENT, EnvBuilder::new().finish()),
        Frame::to_peer(MsgType::Data, 1, CLIENT, id.finish()),
        Frame::to_peer(MsgType::Status, 1, CLIENT, status.finish()),
    ];
    frames.iter().flat_map(Codec::write_frame).collect()
}

/// Calls among these bytes that have to be answered, unless the stream breaks.
fn calls(bytes: &[u8]) -> Option<usize> {
    let (mut inbox, mut count) = (Inbox::new(), 0);
    inbox.push(bytes);
    while let Some(message) = inbox.pop().ok()? {
        let (header, payload) = match message {
            Message::Whole(header, payload) => (header, Some(payload)),
            Message::TooLong(header) => (header, None),
        };
        if header.ty != MsgType::Invoke || header.peer == 0 {
            continue;
        }
        count += payload.is_none_or(|payload| {
            let has = |what| envelope::find(&payload, what);
            let silent = has(UbusAttr::NoReply).is_some_and(|attr| attr.as_bool_int8());
            !silent && has(UbusAttr::ObjId).and_then(|attr| attr.as_u32()).is_some()
        }) as usize;
    }
    Some(count)
}

/// The daemon's end and the broker's.
struct Pair {
    bus: Bus,
    broker: UnixStream,
    /// What the daemon has sent.
    sent: Vec<u8>,
    held: Vec<Call>,
}

impl Pair {
    fn turn(&mut self, poll: &Poll, now: Instant, at_once: bool) {
        for _ in 0..TURNS {
            let before = self.sent.len();
            let calls = self.bus.turn(poll.registry(), now);
            let came = calls.len();
            self.held.extend(calls);
            if at_once {
                self.answer();
            }
            self.read();
            if came == 0 && before == self.sent.len() && self.bus.deadline() != Some(now) {
                break;
            }
        }
    }

    fn answer(&mut self) {
        for (number, Call { reply_to, .. }) in self.held.drain(..).enumerate() {
            let answer = match number % 3 {
                0 => Err(StatusCode::NoData),
                1 => Ok(BlobMsgTable::empty()),
                _ => Ok(BlobMsgTable::build(|b| b.put_str(Some("a"), "b"))),
            };
            self.bus.reply(reply_to, answer);
        }
    }

    fn read(&mut self) {
        let mut chunk = [0; 4096];
        loop {
            match self.broker.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => self.sent.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The daemon has closed its end with bytes unread.
                Err(_) => return,
            }
        }
    }

    /// How many statuses the daemon has sent; every frame of it is whole.
    fn statuses(&self) -> usize {
        let (mut rest, mut count) = (self.sent.as_slice(), 0);
        while !rest.is_empty() {
            let (frame, length) = Codec::read_frame(rest).expect("a whole frame");
            count += usize::from(frame.hdr.ty == MsgType::Status);
            rest = &rest[length..];
        }
        count
    }
}

fn run(world: &World, flags: u8, piece: usize, data: &[u8]) {
    let now = Instant::now();
    let mut bus = Bus::new(&world.path, Token(0), now);
    let _ = bus.turn(world.poll.registry(), now);
    let (broker, _) = world.listener.accept().expect("the daemon connects");
    broker.set_nonblocking(true).expect("a socket");
    let mut pair = Pair { bus, broker, sent: Vec::new(), held: Vec::new() };
    let (is_honest, at_once) = (flags & 1 != 0, flags & 2 != 0);
    if is_honest {
        pair.broker.write_all(&honest()).expect("room for the handshake");
        pair.turn(&world.poll, now, at_once);
        assert!(pair.bus.is_registered());
    }
    for piece in data.chunks(piece) {
        if pair.broker.write_all(piece).is_err() {
            break;
        }
        pair.turn(&world.poll, now, at_once);
    }
    pair.answer();
    pair.turn(&world.poll, now, true);
    assert_eq!(pair.bus.waiting(), 0);
    let _ = pair.bus.take_error().map(|error| error.to_string());
    if let (true, true, Some(calls)) = (is_honest, pair.bus.is_registered(), calls(data)) {
        assert_eq!(pair.statuses(), calls);
        assert_eq!(pair.bus.counters().dropped, 0);
    }
}

fuzz_target!(|data: &[u8]| {
    let [flags, piece, rest @ ..] = data else { return };
    let piece = match piece {
        0 => usize::MAX,
        piece => usize::from(*piece),
    };
    WORLD.with_borrow(|world| run(world, *flags, piece, rest));
});
