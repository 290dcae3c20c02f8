// SPDX-License-Identifier: GPL-2.0-or-later
//! The state machine against a broker played by the test, byte by byte. Local sockets deliver
//! at once, so a turn after a write sees what was written and no test waits.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream as StdStream};
use std::sync::atomic::{AtomicU32, Ordering};

use mio::Poll;
use proptest::prelude::*;
use ubus::envelope::EnvBuilder;
use ubus::wire::{Codec, Frame, HEADER_SIZE};

use super::*;
use crate::ubus::devices::DevicesQuery;
use crate::ubus::outbox::MAX_OUTBOX;
use crate::ubus::request::Request;

/// The captured start of a connection to the C broker: HELLO to the client, then data and status
/// that answer ADD_OBJECT.
const HELLO: [u8; 12] = [0, 0, 0, 0, 0x4f, 0xfa, 0x24, 0x86, 0, 0, 0, 4];
#[rustfmt::skip]
const ADDED: [u8; 28] = [
    0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20,
    3, 0, 0, 8, 0x56, 0xa0, 0x37, 0xb2, 5, 0, 0, 8, 0x9e, 0x54, 0xb1, 0x77,
];
const STATUS_OK: [u8; 20] = [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 12, 1, 0, 0, 8, 0, 0, 0, 0];
const OBJECT_ID: u32 = 0x56a0_37b2;

struct World {
    path: PathBuf,
    poll: Poll,
    bus: Bus,
    now: Instant,
}

impl World {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("flowtabled-bus-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let now = Instant::now();
        let bus = Bus::new(&path, Token(0), now);
        World { path, poll: Poll::new().unwrap(), bus, now }
    }

    fn turn(&mut self) -> Vec<Call> {
        self.bus.turn(self.poll.registry(), self.now)
    }

    fn listen(&self) -> UnixListener {
        let _ = std::fs::remove_file(&self.path);
        UnixListener::bind(&self.path).unwrap()
    }

    /// Moves on to the deadline and takes a turn.
    fn wait(&mut self) -> Vec<Call> {
        self.now = self.bus.deadline().unwrap();
        self.turn()
    }

    /// A registered bus and the broker's end of its connection.
    fn registered() -> (Self, StdStream) {
        let mut world = World::new();
        let listener = world.listen();
        world.turn();
        let broker = accept(&listener);
        world.greet(&broker);
        (world, broker)
    }

    fn greet(&mut self, mut broker: &StdStream) {
        broker.write_all(&HELLO).unwrap();
        self.turn();
        assert_eq!(receive(broker).hdr.ty, MsgType::AddObject);
        broker.write_all(&ADDED).unwrap();
        broker.write_all(&STATUS_OK).unwrap();
        assert!(self.turn().is_empty());
        assert!(self.bus.is_registered());
        assert_eq!(self.bus.deadline(), None);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Accepts the daemon. A test that waits for what never comes fails instead of hanging.
fn accept(listener: &UnixListener) -> StdStream {
    let (broker, _) = listener.accept().unwrap();
    broker.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    broker.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    broker
}

fn receive(mut broker: &StdStream) -> Frame {
    let mut head = [0; 12];
    broker.read_exact(&mut head).unwrap();
    let hdr = Header::decode(&head).unwrap();
    let length = u32::from_be_bytes([0, head[9], head[10], head[11]]) as usize;
    let mut payload = head[8..].to_vec();
    payload.resize(length, 0);
    broker.read_exact(&mut payload[4..]).unwrap();
    Frame { hdr, payload }
}

fn send(mut broker: &StdStream, ty: MsgType, seq: u16, peer: u32, env: EnvBuilder) {
    let frame = Frame::to_peer(ty, seq, peer, env.finish());
    broker.write_all(&Codec::write_frame(&frame)).unwrap();
}

fn invoke_bytes(seq: u16, peer: u32, method: &str) -> Vec<u8> {
    let mut env = EnvBuilder::new();
    env.push_u32(UbusAttr::ObjId, OBJECT_ID);
    env.push_str(UbusAttr::Method, method);
    env.push_data(&[]);
    Codec::write_frame(&Frame::to_peer(MsgType::Invoke, seq, peer, env.finish()))
}

fn invoke(mut broker: &StdStream, seq: u16, peer: u32, method: &str) {
    broker.write_all(&invoke_bytes(seq, peer, method)).unwrap();
}

/// Receives a status; returns sequence number, peer and code.
fn status(broker: &StdStream) -> (u16, u32, i32) {
    let frame = receive(broker);
    assert_eq!(frame.hdr.ty, MsgType::Status);
    let object = envelope::find(&frame.payload, UbusAttr::ObjId).unwrap().as_u32();
    assert_eq!(object, Some(OBJECT_ID));
    (frame.hdr.seq, frame.hdr.peer, envelope::read_status(&frame.payload).unwrap())
}

/// Nothing more is waiting for the broker.
fn quiet(broker: &StdStream) -> bool {
    broker.set_nonblocking(true).unwrap();
    let quiet =
        matches!((&*broker).read(&mut [0; 1]), Err(e) if e.kind() == io::ErrorKind::WouldBlock);
    broker.set_nonblocking(false).unwrap();
    quiet
}

fn table(text: &str) -> BlobMsgTable {
    BlobMsgTable::build(|b| b.put_str(Some("text"), text))
}

#[test]
fn add_object_has_the_bytes_of_libubus() {
    let mut world = World::new();
    let listener = world.listen();
    world.turn();
    let mut broker = accept(&listener);
    assert!(quiet(&broker), "nothing is sent before HELLO");
    broker.write_all(&HELLO).unwrap();
    world.turn();
    let frame = receive(&broker);
    let signature = methods::signature();
    let length = |more: usize| (signature.len() + more) as u32;
    let mut wanted = length(4 + 16 + 4).to_be_bytes().to_vec();
    wanted.extend_from_slice(&[2, 0, 0, 14]);
    wanted.extend_from_slice(b"flowtable\0\0\0");
    wanted.extend_from_slice(&(6 << 24 | length(4)).to_be_bytes());
    wanted.extend_from_slice(&signature);
    assert_eq!(frame.payload, wanted);
    assert_eq!((frame.hdr.seq, frame.hdr.peer), (1, 0));
    assert!(!world.bus.is_registered());
}

#[test]
fn without_a_broker_the_delay_doubles_to_its_bound() {
    let mut world = World::new();
    assert_eq!(world.bus.deadline(), Some(world.now));
    let mut delays = Vec::new();
    for _ in 0..8 {
        world.wait();
        assert!(matches!(world.bus.take_error(), Some(BusError::Connect(_))));
        assert!(world.bus.take_error().is_none());
        delays.push(world.bus.deadline().unwrap().duration_since(world.now).as_secs());
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30, 30]);
    let failures = world.bus.counters().failures;
    world.now += Duration::from_secs(29);
    world.turn();
    assert_eq!(world.bus.counters().failures, failures, "an attempt before its time");
}

#[test]
fn a_broker_that_comes_late_or_again_gets_the_object() {
    let mut world = World::new();
    world.turn();
    world.wait();
    for round in 1..=3 {
        let listener = world.listen();
        world.wait();
        let broker = accept(&listener);
        world.greet(&broker);
        assert_eq!(world.bus.counters().registrations, round);
        drop((listener, broker));
        world.turn();
        assert!(!world.bus.is_registered());
        assert!(matches!(world.bus.take_error(), Some(BusError::Closed)));
        let delay = world.bus.deadline().unwrap().duration_since(world.now);
        assert_eq!(delay, RETRY_FIRST, "success resets the delay");
    }
}

#[test]
fn a_silent_broker_times_out() {
    for greeting in [&[][..], &HELLO, &HELLO[..7]] {
        let mut world = World::new();
        let listener = world.listen();
        world.turn();
        let mut broker = accept(&listener);
        broker.write_all(greeting).unwrap();
        world.turn();
        assert_eq!(world.bus.deadline(), Some(world.now + HANDSHAKE_TIMEOUT));
        world.wait();
        assert!(matches!(world.bus.take_error(), Some(BusError::Timeout)));
    }
}

#[test]
fn a_refusal_and_a_strange_handshake_end_the_connection() {
    let refused = [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 12, 1, 0, 0, 8, 0, 0, 0, 2];
    let mut reserved = HELLO;
    reserved[4..8].copy_from_slice(&[0, 0, 0, 1]);
    let cases: [(&[&[u8]], &str); 5] = [
        (&[&HELLO, &refused], "ubus: the broker refused object flowtable: invalid argument"),
        (&[&HELLO, &STATUS_OK], "ubus: unexpected message in the handshake"),
        (&[&reserved], "ubus: unexpected message in the handshake"),
        (&[&STATUS_OK], "ubus: unexpected message in the handshake"),
        (&[&HELLO, &[7; 12]], "ubus: message of unknown version 7"),
    ];
    for (messages, wanted) in cases {
        let mut world = World::new();
        let listener = world.listen();
        world.turn();
        let mut broker = accept(&listener);
        for message in messages {
            broker.write_all(message).unwrap();
        }
        world.turn();
        assert_eq!(world.bus.take_error().unwrap().to_string(), wanted);
        assert_eq!(world.bus.deadline(), Some(world.now + RETRY_FIRST));
    }
}

#[test]
fn replies_in_any_order() {
    let (mut world, broker) = World::registered();
    invoke(&broker, 7, 100, "status");
    invoke(&broker, 7, 200, "devices");
    invoke(&broker, 8, 100, "reload");
    let mut calls = world.turn();
    let requests: Vec<_> = calls.iter().map(|c| c.request.clone()).collect();
    assert_eq!(requests, [Request::Status, Request::Devices(DevicesQuery::All), Request::Reload]);
    assert_eq!(world.bus.waiting(), 3);
    world.bus.reply(calls.remove(1).reply_to, Ok(table("second")));
    world.bus.reply(calls.remove(1).reply_to, Ok(BlobMsgTable::empty()));
    world.bus.reply(calls.remove(0).reply_to, Err(StatusCode::NotFound));
    assert_eq!(world.bus.waiting(), 0);
    let data = receive(&broker);
    assert_eq!((data.hdr.ty, data.hdr.seq, data.hdr.peer), (MsgType::Data, 7, 200));
    let body = envelope::find(&data.payload, UbusAttr::Data).unwrap().payload;
    assert_eq!(body, table("second").contents());
    assert_eq!(status(&broker), (7, 200, 0));
    assert_eq!(status(&broker), (8, 100, 0));
    assert_eq!(status(&broker), (7, 100, 4));
    assert!(quiet(&broker));
}

#[test]
fn refusals_have_the_codes_of_libubus() {
    let (mut world, mut broker) = World::registered();
    invoke(&broker, 1, 100, "nothing");
    let mut env = EnvBuilder::new();
    env.push_u32(UbusAttr::ObjId, 5);
    env.push_str(UbusAttr::Method, "status");
    send(&broker, MsgType::Invoke, 2, 100, env);
    let mut env = EnvBuilder::new();
    env.push_u32(UbusAttr::ObjId, OBJECT_ID);
    env.push_str(UbusAttr::Method, "status");
    send(&broker, MsgType::Invoke, 3, 100, env);
    // Ignored: no object, no peer, other kinds of messages, unknown kinds.
    send(&broker, MsgType::Invoke, 4, 100, EnvBuilder::new());
    invoke(&broker, 5, 0, "status");
    send(&broker, MsgType::Ping, 6, 0, EnvBuilder::new());
    send(&broker, MsgType::Notify, 7, 0, EnvBuilder::new());
    broker.write_all(&[0, 99, 0, 8, 0, 0, 0, 1, 0, 0, 0, 4]).unwrap();
    broker.write_all(&STATUS_OK).unwrap();
    assert!(world.turn().is_empty());
    assert_eq!(status(&broker), (1, 100, 3));
    assert_eq!(status(&broker), (2, 100, 4));
    assert_eq!(status(&broker), (3, 100, 2));
    assert!(quiet(&broker));
    assert_eq!(world.bus.counters().refused, 3);
    assert!(world.bus.is_registered());
}

#[test]
fn a_call_too_long_to_keep_is_refused() {
    let (mut world, broker) = World::registered();
    let mut env = EnvBuilder::new();
    env.push_u32(UbusAttr::ObjId, OBJECT_ID);
    env.push_str(UbusAttr::Method, "status");
    env.push_data(&vec![0; 100_000]);
    send(&broker, MsgType::Invoke, 1, 100, env);
    invoke(&broker, 2, 100, "status");
    let mut calls = world.turn();
    while world.bus.deadline().is_some() {
        calls.extend(world.wait());
    }
    assert_eq!(status(&broker), (1, 100, 2));
    assert_eq!(calls.len(), 1);
}

#[test]
fn who_wants_no_reply_gets_none() {
    let (mut world, broker) = World::registered();
    for method in ["status", "nothing"] {
        let mut env = EnvBuilder::new();
        env.push_u32(UbusAttr::ObjId, OBJECT_ID);
        env.push_str(UbusAttr::Method, method);
        env.push_u8(UbusAttr::NoReply, 1);
        env.push_data(&[]);
        send(&broker, MsgType::Invoke, 1, 100, env);
    }
    let mut calls = world.turn();
    assert_eq!(calls.len(), 1);
    world.bus.reply(calls.remove(0).reply_to, Ok(table("unheard")));
    assert!(quiet(&broker));
    assert_eq!(world.bus.waiting(), 0);
}

#[test]
fn a_reply_to_a_connection_that_is_gone_is_counted_and_dropped() {
    let (mut world, broker) = World::registered();
    invoke(&broker, 1, 100, "status");
    let mut calls = world.turn();
    drop(broker);
    world.turn();
    world.bus.reply(calls.remove(0).reply_to, Ok(table("late")));
    assert_eq!(world.bus.counters().late, 1);

    let (mut world, broker) = World::registered();
    invoke(&broker, 1, 100, "status");
    invoke(&broker, 2, 100, "status");
    let mut calls = world.turn();
    drop(broker);
    // The loss is noticed by the write first.
    world.bus.reply(calls.remove(0).reply_to, Ok(table("lost")));
    assert_eq!(world.bus.deadline(), Some(world.now));
    let listener = world.listen();
    world.turn();
    world.wait();
    let broker = accept(&listener);
    world.greet(&broker);
    world.bus.reply(calls.remove(0).reply_to, Ok(table("late")));
    assert!(quiet(&broker), "a reply of the old connection on the new one");
    assert_eq!((world.bus.counters().late, world.bus.waiting()), (1, 0));
}

#[test]
fn a_flood_is_read_in_portions_and_bounded() {
    let (mut world, mut broker) = World::registered();
    let flood = 600;
    // In one piece, as the socket's buffer holds few small ones.
    let bytes: Vec<u8> = (0..flood).flat_map(|seq| invoke_bytes(seq, 100, "status")).collect();
    broker.write_all(&bytes).unwrap();
    let mut calls = world.turn();
    assert_eq!(world.bus.deadline(), Some(world.now), "the rest is due at once");
    while world.bus.deadline().is_some() {
        calls.extend(world.wait());
    }
    assert_eq!(calls.len(), MAX_WAITING);
    for seq in MAX_WAITING as u16..flood {
        assert_eq!(status(&broker), (seq, 100, StatusCode::Timeout.code()));
    }
    for call in calls {
        world.bus.reply(call.reply_to, Ok(BlobMsgTable::empty()));
    }
    invoke(&broker, 1000, 100, "status");
    assert_eq!(world.turn().len(), 1);
}

/// Of answers that find no room their callers hear at least that, and no call is read that could not
/// be told.
#[test]
fn each_call_has_a_status_though_the_broker_does_not_read() {
    let (mut world, mut broker) = World::registered();
    let mut length = 50_000;
    let calls: u16 = 300;
    let bytes: Vec<u8> = (0..calls).flat_map(|seq| invoke_bytes(seq, 100, "status")).collect();
    broker.write_all(&bytes).unwrap();
    // Shorter and shorter ones, so that no room is left.
    let mut held = Vec::new();
    let mut answered = 0;
    while !world.bus.link.as_ref().unwrap().outbox.is_full() {
        held.extend(world.turn());
        if held.len() >= MAX_WAITING {
            for call in held.drain(..) {
                let dropped = world.bus.counters().dropped;
                world.bus.reply(call.reply_to, Ok(table(&"x".repeat(length))));
                if world.bus.counters().dropped > dropped {
                    length /= 2;
                }
                answered += 1;
            }
        }
        assert!(answered < calls, "the outbox has no bound");
    }
    let most = MAX_OUTBOX + 2 * MAX_WAITING * 64;
    assert!(world.bus.link.as_ref().unwrap().outbox.pending() <= most);
    assert!(world.bus.counters().dropped > 0);
    assert!(world.turn().is_empty(), "no further call is read");
    assert_eq!(world.bus.deadline(), None, "until the broker reads");

    let (mut whole, mut cut) = (0, 0);
    let mut owed: Vec<u16> = (0..calls).collect();
    while !owed.is_empty() {
        let frame = receive(&broker);
        if frame.hdr.ty == MsgType::Data {
            whole += 1;
        } else {
            let code = envelope::read_status(&frame.payload).unwrap();
            cut += u32::from(code == StatusCode::Timeout.code());
            let place = owed.iter().position(|seq| *seq == frame.hdr.seq);
            owed.remove(place.expect("one status for each call"));
        }
        // Reading makes room, which the event loop notices as writable.
        for call in world.turn() {
            world.bus.reply(call.reply_to, Ok(table("short")));
        }
    }
    assert_eq!(whole + cut, u32::from(calls), "each has its answer or hears that it has none");
    assert!(quiet(&broker));
    assert_eq!((world.bus.waiting(), world.bus.deadline()), (0, None));
}

/// What the C broker sends to the owner of OBJECT_ID when the first subscriber comes and when the
/// last one goes, as captured.
#[rustfmt::skip]
const ACTIVE: [u8; 28] = [
    0, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20,
    3, 0, 0, 8, 0x56, 0xa0, 0x37, 0xb2, 9, 0, 0, 5, 1, 0, 0, 0,
];
#[rustfmt::skip]
const INACTIVE: [u8; 28] = [
    0, 10, 0, 2, 0, 0, 0, 0, 0, 0, 0, 20,
    3, 0, 0, 8, 0x56, 0xa0, 0x37, 0xb2, 9, 0, 0, 5, 0, 0, 0, 0,
];

/// `ubus_notify(ctx, object, "mode", {"text": "second"}, -1)` of libubus, as captured.
#[rustfmt::skip]
const NOTIFICATION: [u8; 64] = [
    0, 10, 0, 2, 0x56, 0xa0, 0x37, 0xb2, 0, 0, 0, 56,
    3, 0, 0, 8, 0x56, 0xa0, 0x37, 0xb2,
    4, 0, 0, 9, b'm', b'o', b'd', b'e', 0, 0, 0, 0,
    7, 0, 0, 24, 0x83, 0, 0, 19, 0, 4, b't', b'e', b'x', b't', 0, 0,
    b's', b'e', b'c', b'o', b'n', b'd', 0, 0,
    10, 0, 0, 5, 1, 0, 0, 0,
];

#[test]
fn subscribers_are_sent_the_bytes_of_libubus() {
    let (mut world, mut broker) = World::registered();
    assert!(!world.bus.has_subscribers());
    assert!(!world.bus.notify("mode", &table("first")));
    assert!(quiet(&broker), "nothing is sent while nobody listens");

    broker.write_all(&ACTIVE).unwrap();
    assert!(world.turn().is_empty());
    assert!(world.bus.has_subscribers());
    assert!(world.bus.notify("mode", &table("second")));
    let frame = receive(&broker);
    assert_eq!(Codec::write_frame(&frame), NOTIFICATION);
    assert!(world.bus.notify("config", &BlobMsgTable::empty()));
    let frame = receive(&broker);
    assert_eq!((frame.hdr.ty, frame.hdr.seq), (MsgType::Notify, 3));
    assert!(envelope::find(&frame.payload, UbusAttr::Data).unwrap().payload.is_empty());
    // A subscriber that answers nevertheless, and a broker that refuses.
    broker.write_all(&STATUS_OK).unwrap();
    assert!(world.turn().is_empty());

    broker.write_all(&INACTIVE).unwrap();
    world.turn();
    assert!(!world.bus.has_subscribers());
    assert!(!world.bus.notify("mode", &table("third")));
    assert!(quiet(&broker));
    let counters = world.bus.counters();
    assert_eq!((counters.notices, counters.held_back), (2, 0));
    assert!(world.bus.is_registered());
}

#[test]
fn subscribers_of_others_are_none_of_ours() {
    let (mut world, mut broker) = World::registered();
    let mut other = ACTIVE;
    other[19] = 0xb3;
    broker.write_all(&other).unwrap();
    send(&broker, MsgType::Notify, 1, 0, EnvBuilder::new());
    let mut env = EnvBuilder::new();
    env.push_u32(UbusAttr::ObjId, OBJECT_ID);
    send(&broker, MsgType::Notify, 2, 0, env);
    world.turn();
    assert!(!world.bus.has_subscribers());
}

#[test]
fn subscribers_go_with_their_connection() {
    let (mut world, mut broker) = World::registered();
    broker.write_all(&ACTIVE).unwrap();
    world.turn();
    assert!(world.bus.has_subscribers());
    let listener = world.listen();
    drop(broker);
    world.turn();
    assert!(!world.bus.has_subscribers());
    assert!(!world.bus.notify("mode", &table("lost")));
    world.wait();
    let broker = accept(&listener);
    world.greet(&broker);
    assert!(!world.bus.has_subscribers(), "those of the old connection");
    assert!(quiet(&broker));
}

#[test]
fn notifications_are_held_back_and_leave_room_for_replies() {
    let (mut world, mut broker) = World::registered();
    broker.write_all(&ACTIVE).unwrap();
    world.turn();
    let long = table(&"x".repeat(5000));
    let mut sent = 0;
    while world.bus.counters().held_back < 3 {
        sent += u32::from(world.bus.notify("device", &long));
        assert!(sent < 1000, "the outbox has no bound");
    }
    assert_eq!(world.bus.counters().notices, sent);
    assert!(world.bus.link.as_ref().unwrap().outbox.pending() <= NOTICE_ROOM + HEADER_SIZE);
    invoke(&broker, 9, 100, "status");
    let mut calls = world.turn();
    world.bus.reply(calls.remove(0).reply_to, Ok(table(&"y".repeat(60_000))));
    assert_eq!(world.bus.counters().dropped, 0, "a reply found no room");
    for _ in 0..sent {
        assert_eq!(receive(&broker).hdr.ty, MsgType::Notify);
        world.turn();
    }
    assert_eq!(receive(&broker).hdr.ty, MsgType::Data);
    world.turn();
    assert_eq!(status(&broker), (9, 100, 0));
    assert!(world.bus.notify("mode", &long), "there is room again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_from_the_broker_panic(
        start in 0usize..4,
        bytes in proptest::collection::vec(
            prop_oneof![4 => Just(0u8), 2 => 1u8..16, 1 => any::<u8>()], 0..400),
    ) {
        let mut world = World::new();
        let listener = world.listen();
        world.turn();
        let mut broker = accept(&listener);
        for message in [&HELLO[..], &ADDED, &STATUS_OK].iter().take(start) {
            broker.write_all(message).unwrap();
            world.turn();
        }
        for piece in bytes.chunks(37) {
            // The bus may have hung up already.
            let _ = broker.write_all(piece);
            for call in world.turn() {
                world.bus.reply(call.reply_to, Ok(table("answer")));
            }
        }
        prop_assert!(world.bus.is_registered() || world.bus.deadline().is_some());
    }

    #[test]
    fn no_damage_to_a_call_panics(at in 0usize..56, with in any::<u8>()) {
        let (mut world, mut broker) = World::registered();
        let mut env = EnvBuilder::new();
        env.push_u32(UbusAttr::ObjId, OBJECT_ID);
        env.push_str(UbusAttr::Method, "devices");
        env.push_data(BlobMsgTable::build(|b| b.put_str(Some("name"), "lan1")).contents());
        let frame = Frame::to_peer(MsgType::Invoke, 3, 100, env.finish());
        let mut bytes = frame.hdr.encode().to_vec();
        bytes.extend_from_slice(&frame.payload);
        bytes[at] = with;
        broker.write_all(&bytes).unwrap();
        for call in world.turn() {
            world.bus.reply(call.reply_to, Ok(table("answer")));
        }
    }
}
