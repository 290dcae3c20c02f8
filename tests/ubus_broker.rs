// SPDX-License-Identifier: GPL-2.0-or-later
//! The daemon's object behind a real broker: the crate `ubusd`, and also the C ubusd of OpenWrt
//! when the environment variable `UBUSD` names its binary (it then needs root, as on a router).
//!
//! The daemon's side runs in a thread with a clock ten times too fast, so that back-off does not
//! slow the tests down.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[path = "ubus_broker/access.rs"]
mod access;
mod fixture;
#[path = "ubus_broker/top.rs"]
mod top;

use fixture::broker::{Broker, Kind};
use fixture::{eventually, PATIENCE};
use flowtabled::cli;
use flowtabled::cli::client::{Client, ClientError};
use flowtabled::core::flows::select;
use flowtabled::core::flows::table::FlowTable;
use flowtabled::core::flows::view::{FlowPage, FlowView};
use flowtabled::core::hardware::view::{Condition, Listed, SwitchView};
use flowtabled::core::hardware::Tally;
use flowtabled::core::orders::OrderError;
use flowtabled::core::reason::Reason;
use flowtabled::core::settings::SwitchDriver;
use flowtabled::core::status::{DeviceState, DeviceStatus, Status};
use flowtabled::core::topology::Answer;
use flowtabled::netlink::conntrack::entry::{Counters, Entry};
use flowtabled::netlink::conntrack::tuple::Tuple;
use flowtabled::ubus::devices::DevicesQuery;
use flowtabled::ubus::flows::FlowQuery;
use flowtabled::ubus::{
    devices, flows, flush, hardware, history, json, methods, reload, status, Bus, Call, Request,
    StatusCode,
};
use flowtabled::ubus::{evict, release};
use mio::{Events, Poll, Token};
use ubus::client::UbusClient;
use ubus::envelope::{EnvBuilder, UbusAttr};
use ubus::unix::UnixUbusTransport;
use ubus::wire::{Codec, Frame};
use ubus::{blobmsg, BlobMsgTable, MsgType, UbusError};

/// Speed of the daemon's clock.
const HURRY: u32 = 10;

/// Runs a test against every broker there is.
fn each_broker(test: impl Fn(&Kind, &Path)) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let c = std::env::var_os("UBUSD").map(|path| Kind::C(path.into()));
    for kind in [Some(Kind::Rust), c].into_iter().flatten() {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("flowtabled-broker-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        test(&kind, &path);
        let _ = std::fs::remove_file(&path);
    }
}

/// When the daemon answers.
#[derive(Clone, Copy)]
enum Answers {
    AtOnce,
    /// When that many calls are waiting, the latest first.
    InReverse(usize),
    Never,
}

/// The daemon's side: the object and an event loop around it.
struct Daemon {
    stop: Arc<AtomicBool>,
    registered: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    fn start(path: &Path, answers: Answers) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let registered = Arc::new(AtomicBool::new(false));
        let (stopped, is_registered, path) = (stop.clone(), registered.clone(), path.to_owned());
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            let clock = || start + start.elapsed() * HURRY;
            let mut poll = Poll::new().unwrap();
            let mut events = Events::with_capacity(8);
            let mut bus = Bus::new(path, Token(3), clock());
            let mut held = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let due = bus.deadline().map(|t| t.saturating_duration_since(clock()) / HURRY);
                let tick = Duration::from_millis(5);
                poll.poll(&mut events, Some(due.unwrap_or(tick).min(tick))).unwrap();
                let ready = !events.is_empty();
                if ready || bus.deadline().is_some_and(|t| t <= clock()) {
                    held.extend(bus.turn(poll.registry(), clock()));
                }
                let enough = match answers {
                    Answers::AtOnce => true,
                    Answers::InReverse(n) => held.len() >= n,
                    Answers::Never => false,
                };
                let answered = if enough { held.len() } else { 0 };
                for Call { request, reply_to } in held.drain(held.len() - answered..).rev() {
                    bus.reply(reply_to, answer(&request));
                }
                is_registered.store(bus.is_registered(), Ordering::Relaxed);
            }
        });
        Daemon { stop, registered, thread: Some(thread) }
    }

    fn wait_registered(&self, wanted: bool) {
        eventually("registered", || self.registered.load(Ordering::Relaxed) == wanted);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(request: &Request) -> Result<BlobMsgTable, StatusCode> {
    match request {
        Request::Status => Ok(status::encode(&Status { uptime_s: 77, ..Status::default() })),
        Request::Devices(query) => devices::encode(&some_devices(), None, query),
        Request::Flows(query) => Ok(some_flows(query)),
        Request::Hosts(_) | Request::Explain(_) => Err(StatusCode::NoData),
        Request::History(points) => {
            Ok(history::of(&FlowTable::new(1).ledger().account, [true; 3], *points))
        }
        Request::Hardware => Ok(hardware::encode(&[a_switch()])),
        Request::Flush => flush::encode(Some(3)),
        Request::Evict(_) => evict::encode(Err(OrderError::TooMany)),
        Request::Release(_) => release::encode(Ok(3)),
        Request::Reload => reload::encode(true),
    }
}

/// A switch that the kernel drives.
fn a_switch() -> SwitchView {
    SwitchView {
        name: "engine".into(),
        driver: SwitchDriver::Mt7621,
        condition: Condition::Watched,
        capacity: 7680,
        used: None,
        queued: 0,
        tally: Tally::default(),
        listed: Some(Listed { bound: 2, unbound: 1, malformed: 0 }),
    }
}

/// Enough devices for a reply of some 60 kB, sorted by name.
fn some_devices() -> Vec<DeviceStatus> {
    let device = |n| DeviceStatus {
        name: format!("lan{n}"),
        ifindex: Some(n),
        kind: "dsa".into(),
        zones: vec!["lan".into()],
        upper: vec!["br-lan".into()],
        state: DeviceState::Software,
        reason: Reason::AsConfigured,
        detail: String::new(),
        table: Some("flowtabled_sw".into()),
    };
    let mut devices: Vec<_> = (1..=200).map(device).collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    devices
}

/// Flows in plenty, of 192.0.2.0/24 to ports 1 to 250.
fn some_flows(query: &FlowQuery) -> BlobMsgTable {
    let mut table = FlowTable::new(1000);
    table.begin(0);
    for id in 1..=250u8 {
        let client = ([192, 0, 2, id].into(), 40_000);
        let orig = Tuple::new(6, client, ([198, 51, 100, 1].into(), id.into())).unwrap();
        let counters = Some(Counters { packets: 1, bytes: 100 * u64::from(id) });
        let entry = Entry {
            orig,
            reply: orig.inverse(),
            status: 0,
            mark: 0,
            zone: 0,
            id: id.into(),
            timeout_s: None,
            tcp_state: None,
            counters_orig: counters,
            counters_reply: counters,
            start_ns: None,
            stop_ns: None,
            has_helper: false,
            has_seq_adj: false,
            has_master: false,
        };
        table.observe(&entry, &mut |_| Answer::Nowhere);
    }
    table.end(true);
    let matching = table.packed(1000).filter(|flow| query.selection.filter.matches(flow));
    let page = select::page(matching, query.order, query.limit, query.after);
    let views = page.flows.into_iter().map(|flow| FlowView::bare(flow.into())).collect();
    let page = FlowPage { flows: views, matched: page.matched, next: page.next };
    flows::encode(&page, query.order)
}

fn caller(path: &Path) -> UbusClient<UnixUbusTransport> {
    let mut transport = UnixUbusTransport::connect(path.to_str().unwrap()).unwrap();
    transport.set_deadline(Some(PATIENCE));
    UbusClient::connect(transport).unwrap()
}

fn call(path: &Path, method: &str, args: &BlobMsgTable) -> Result<Vec<Vec<u8>>, UbusError> {
    let mut caller = caller(path);
    let object = caller.lookup("flowtable").unwrap();
    caller.invoke_many(object, method, args)
}

fn code(result: Result<Vec<Vec<u8>>, UbusError>) -> i32 {
    match result {
        Err(UbusError::Status(code)) => code,
        other => panic!("no status code: {other:?}"),
    }
}

fn name(value: &str) -> BlobMsgTable {
    BlobMsgTable::build(|b| b.put_str(Some("name"), value))
}

#[test]
fn the_object_is_listed_with_its_types() {
    each_broker(|kind, path| {
        let _broker = Broker::start(kind, path);
        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        let objects = caller(path).lookup_objects(Some("flowtable")).unwrap();
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0].signature, methods::signature());
        let signature = json::render(&objects[0].signature).unwrap();
        assert_eq!(
            signature,
            concat!(
                r#"{"status":{},"devices":{"name":3,"cursor":3},"flows":{"state":3,"address":3,"port":5,"#,
                r#""protocol":3,"device":3,"host":3,"partition":3,"sort":3,"limit":5,"cursor":3},"#,
                r#""hosts":{"host":3,"sort":3,"limit":5,"cursor":3},"#,
                r#""explain":{"source":3,"source_port":5,"destination":3,"#,
                r#""destination_port":5,"protocol":3},"history":{"points":5},"hardware":{},"flush":{},"#,
                r#""evict":{"state":3,"address":3,"port":5,"protocol":3,"device":3,"host":3,"#,
                r#""partition":3,"duration_s":5},"#,
                r#""release":{"state":3,"address":3,"port":5,"protocol":3,"device":3,"host":3,"#,
                r#""partition":3},"reload":{}}"#
            )
        );
    });
}

#[test]
fn methods_answer_and_mistakes_have_codes() {
    each_broker(|kind, path| {
        let _broker = Broker::start(kind, path);
        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        let empty = BlobMsgTable::empty();

        let reply = call(path, "status", &empty).unwrap();
        assert_eq!(reply, [answer(&Request::Status).unwrap().contents()]);
        let reply = call(path, "devices", &empty).unwrap();
        let all = Request::Devices(DevicesQuery::All);
        assert_eq!(reply, [answer(&all).unwrap().contents()]);
        let reply = call(path, "devices", &name("lan7")).unwrap();
        let one = json::render(&reply[0]).unwrap();
        assert!(one.starts_with(r#"{"devices":[{"name":"lan7","ifindex":7,"#), "{one}");
        assert!(call(path, "reload", &empty).unwrap().is_empty(), "a reply without data");
        let reply = call(path, "hardware", &empty).unwrap();
        let switches = json::render(&reply[0]).unwrap();
        assert!(switches.ends_with(r#""capacity":7680,"bound":2,"unbound":1,"malformed":0}]}"#));
        let stranger = BlobMsgTable::build(|b| b.put_i32(Some("stranger"), 1));
        assert!(call(path, "reload", &stranger).is_ok(), "unknown attributes are ignored");

        assert_eq!(code(call(path, "devices", &name("lan777"))), 4);
        let wrong = BlobMsgTable::build(|b| b.put_i32(Some("name"), 7));
        assert_eq!(code(call(path, "devices", &wrong)), 2);
        assert_eq!(code(call(path, "nothing", &empty)), 3);
    });
}

#[test]
fn flows_are_filtered_sorted_and_paged() {
    each_broker(|kind, path| {
        let _broker = Broker::start(kind, path);
        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        let ask = |cursor: Option<&str>| {
            let args = BlobMsgTable::build(|b| {
                b.put_str(Some("state"), "classic");
                b.put_str(Some("address"), "192.0.2.0/29");
                b.put_str(Some("protocol"), "tcp");
                b.put_str(Some("sort"), "bytes");
                b.put_i32(Some("limit"), 5);
                if let Some(cursor) = cursor {
                    b.put_str(Some("cursor"), cursor);
                }
            });
            let reply = call(path, "flows", &args).unwrap().remove(0);
            let next = blobmsg::lookup(&reply, "next").and_then(|next| next.as_str());
            (json::render(&reply).unwrap(), next.map(str::to_owned))
        };
        let (first, next) = ask(None);
        assert!(first.starts_with(r#"{"matched":7,"flows":[{"source":"192.0.2.7","#), "{first}");
        assert_eq!(first.matches("state_age_s").count(), 5);
        let (second, end) = ask(next.as_deref());
        assert!(second.starts_with(r#"{"matched":7,"flows":[{"source":"192.0.2.2","#), "{second}");
        assert_eq!((second.matches("state_age_s").count(), end), (2, None));

        let port = |port| BlobMsgTable::build(|b| b.put_i32(Some("port"), port));
        let reply = call(path, "flows", &port(77)).unwrap();
        assert!(json::render(&reply[0]).unwrap().starts_with(r#"{"matched":1,"#));
        assert_eq!(code(call(path, "flows", &port(65_536))), 2);
        let wrong = BlobMsgTable::build(|b| b.put_str(Some("port"), "77"));
        assert_eq!(code(call(path, "flows", &wrong)), 2);
        let reply = call(path, "history", &BlobMsgTable::empty()).unwrap();
        assert!(json::render(&reply[0]).unwrap().ends_with(r#""samples":[]}"#));
        let points = |number| BlobMsgTable::build(|b| b.put_i32(Some("points"), number));
        assert!(call(path, "history", &points(1)).is_ok());
        assert_eq!(code(call(path, "history", &points(301))), 2);
    });
}

#[test]
fn the_object_comes_back_with_the_broker() {
    each_broker(|kind, path| {
        let daemon = Daemon::start(path, Answers::AtOnce);
        for _ in 0..3 {
            let broker = Broker::start(kind, path);
            daemon.wait_registered(true);
            assert!(call(path, "status", &BlobMsgTable::empty()).is_ok());
            drop(broker);
            daemon.wait_registered(false);
        }
    });
}

#[test]
fn a_second_daemon_takes_over_when_the_first_ends() {
    each_broker(|kind, path| {
        let _broker = Broker::start(kind, path);
        let first = Daemon::start(path, Answers::Never);
        first.wait_registered(true);
        let second = Daemon::start(path, Answers::AtOnce);
        if matches!(kind, Kind::C(_)) {
            // The crate's broker lets a later object displace an earlier one of the same name.
            std::thread::sleep(Duration::from_millis(50));
            assert!(!second.registered.load(Ordering::Relaxed));
        }
        drop(first);
        second.wait_registered(true);
        assert!(call(path, "status", &BlobMsgTable::empty()).is_ok());
    });
}

#[test]
fn deferred_replies_reach_their_callers_in_any_order() {
    each_broker(|kind, path| {
        let _broker = Broker::start(kind, path);
        let daemon = Daemon::start(path, Answers::InReverse(3));
        daemon.wait_registered(true);
        let (mut one, mut two) = (caller(path), caller(path));
        let object = one.lookup("flowtable").unwrap();
        let status = one.send_invoke(object, "status", &BlobMsgTable::empty()).unwrap();
        let device = one.send_invoke(object, "devices", &name("lan1")).unwrap();
        let other = two.send_invoke(object, "devices", &name("lan2")).unwrap();
        let text = |bytes: Vec<u8>| json::render(&bytes).unwrap();
        assert!(text(one.recv_invoke_reply(status).unwrap()).contains(r#""uptime_s":77"#));
        assert!(text(two.recv_invoke_reply(other).unwrap()).contains(r#""name":"lan2""#));
        assert!(text(one.recv_invoke_reply(device).unwrap()).contains(r#""name":"lan1""#));
    });
}

#[test]
fn callers_that_leave_or_do_not_read_harm_nobody() {
    each_broker(|kind, path| {
        let _broker = Broker::start(kind, path);
        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        let object = caller(path).lookup("flowtable").unwrap();
        let flood: Vec<u8> = (1..=64)
            .flat_map(|seq| {
                let mut env = EnvBuilder::new();
                env.push_u32(UbusAttr::ObjId, object);
                env.push_str(UbusAttr::Method, "devices");
                env.push_data(&[]);
                Codec::write_frame(&Frame::to_peer(MsgType::Invoke, seq, object, env.finish()))
            })
            .collect();
        // 64 replies of some 50 kB: more than sockets and the broker's queues hold.
        let mut slow = UnixStream::connect(path).unwrap();
        slow.write_all(&flood).unwrap();
        for _ in 0..20 {
            let mut leaver = UnixStream::connect(path).unwrap();
            leaver.write_all(&flood).unwrap();
            drop(leaver);
            let reply = call(path, "devices", &name("lan3")).unwrap();
            assert!(json::render(&reply[0]).unwrap().contains(r#""name":"lan3""#));
        }
        assert!(daemon.registered.load(Ordering::Relaxed));
        drop(slow);
        assert!(call(path, "status", &BlobMsgTable::empty()).is_ok());
    });
}

#[test]
fn the_command_gets_answers_and_reasons() {
    each_broker(|kind, path| {
        let sockets = [PathBuf::from("/nonexistent"), path.to_owned()];
        let soon = || Instant::now() + PATIENCE;
        let failure = |deadline| Client::connect(&sockets, deadline).unwrap_err();
        assert!(matches!(failure(soon()), ClientError::NoBus(..)));

        let _broker = Broker::start(kind, path);
        assert!(matches!(failure(soon()), ClientError::NoDaemon));
        assert!(matches!(failure(Instant::now()), ClientError::Timeout));

        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        let mut client = Client::connect(&sockets, soon()).unwrap();
        let reply = client.call("status", &BlobMsgTable::empty()).unwrap();
        assert_eq!(reply, answer(&Request::Status).unwrap().contents());
        let error = client.call("devices", &name("x")).unwrap_err();
        assert!(matches!(error, ClientError::Status(StatusCode::NotFound, None)));
        assert_eq!(client.call("reload", &BlobMsgTable::empty()).unwrap(), b"");
        drop(daemon);

        let daemon = Daemon::start(path, Answers::Never);
        daemon.wait_registered(true);
        let brief = Instant::now() + Duration::from_millis(300);
        let mut client = Client::connect(&sockets, brief).unwrap();
        let error = client.call("status", &BlobMsgTable::empty()).unwrap_err();
        assert!(matches!(error, ClientError::Timeout));
    });
}

#[test]
fn the_command_ends_with_the_documented_codes() {
    each_broker(|kind, path| {
        let run = |line: &str| {
            let socket = ["--ubus-socket".into(), path.as_os_str().to_owned()];
            cli::run(line.split_whitespace().map(Into::into).chain(socket))
        };
        assert_eq!(run("status"), ExitCode::from(3));
        assert_eq!(run("what"), ExitCode::from(2));
        assert_eq!(run("--help"), ExitCode::SUCCESS);
        let _broker = Broker::start(kind, path);
        assert_eq!(run("status"), ExitCode::from(4));
        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        assert_eq!(run("status"), ExitCode::SUCCESS);
        assert_eq!(run("devices lan1 --json"), ExitCode::SUCCESS);
        assert_eq!(run("devices"), ExitCode::SUCCESS);
        assert_eq!(run("devices lan999"), ExitCode::from(1));
        assert_eq!(run("reload"), ExitCode::SUCCESS);
        assert_eq!(run("flows --port=7 --sort age"), ExitCode::SUCCESS);
        assert_eq!(run("flows --all"), ExitCode::SUCCESS);
        assert_eq!(run("flows --all --json"), ExitCode::SUCCESS);
        assert_eq!(run("flows --state fast"), ExitCode::from(2));
        assert_eq!(run("history"), ExitCode::SUCCESS);
        assert_eq!(run("hardware"), ExitCode::SUCCESS);
        assert_eq!(run("hardware --json"), ExitCode::SUCCESS);
        assert_eq!(run("hardware engine"), ExitCode::from(2));
        assert_eq!(run("evict --port 7 --for 1m"), ExitCode::from(1), "too many flows");
        assert_eq!(run("evict --for 2d"), ExitCode::from(2));
        assert_eq!(run("release --address 192.0.2.0/24"), ExitCode::SUCCESS);
    });
}
