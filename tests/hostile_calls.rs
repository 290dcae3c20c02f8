// SPDX-License-Identifier: GPL-2.0-or-later
//! What anybody on the bus can do to the daemon: calls with arguments that no honest caller sends, a
//! caller that never reads, and very many callers. The whole daemon as a process behind a real
//! broker: the crate `ubusd`, or the C ubusd when the environment variable `UBUSD` names its binary.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use fixture::broker::{Broker, Kind};
use fixture::namespace::in_namespace;
use fixture::router::Router;
use fixture::{eventually, PATIENCE};
use flowtabled::ubus::inbox::{Fill, Inbox, Message};
use flowtabled::ubus::methods::METHODS;
use flowtabled::ubus::policy::{Argument, Policy};
use ubus::client::UbusClient;
use ubus::envelope::{self, EnvBuilder, UbusAttr};
use ubus::unix::UnixUbusTransport;
use ubus::wire::{Codec, Frame};
use ubus::{blobmsg, BlobBuilder, BlobMsgTable, BlobType, MsgType};

/// "Done", and the codes that the bus has for what is not (`UBUS_STATUS_*`).
const CODES: std::ops::RangeInclusive<i32> = 0..=13;
const INVALID_ARGUMENT: i32 = 2;
const METHOD_NOT_FOUND: i32 = 3;
const NOT_FOUND: i32 = 4;
const TIMEOUT: i32 = 7;
const UNKNOWN_ERROR: i32 = 9;

/// Deeper than any stack would go by recursion with a kilobyte each.
const DEEP: usize = 3000;
/// A string that fits a message, and one that does not.
const LONG: usize = 60_000;
const TOO_LONG: usize = 70_000;

/// The daemon keeps 64 KiB of what comes and 128 KiB of what goes for the broker, and at most 32
/// calls. Its allocator may hold twice that after they grew, and some pages of every size.
const GROWTH_KIB: u64 = 512;

fn broker() -> Kind {
    std::env::var_os("UBUSD").map_or(Kind::Rust, |path| Kind::C(path.into()))
}

/// A caller that puts its messages together by hand.
struct Caller {
    stream: UnixStream,
    inbox: Inbox,
    object: u32,
    seq: u16,
}

impl Caller {
    fn new(socket: &Path) -> Caller {
        let mut transport = UnixUbusTransport::connect(socket.to_str().unwrap()).unwrap();
        transport.set_deadline(Some(PATIENCE));
        let object = UbusClient::connect(transport).unwrap().lookup("flowtable").unwrap();
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Caller { stream, inbox: Inbox::new(), object, seq: 0 }
    }

    fn invocation(&mut self, method: &str, data: &[u8]) -> Vec<u8> {
        let mut env = EnvBuilder::new();
        env.push_u32(UbusAttr::ObjId, self.object);
        env.push_str(UbusAttr::Method, method);
        env.push_data(data);
        self.frame(env)
    }

    fn frame(&mut self, env: EnvBuilder) -> Vec<u8> {
        self.seq += 1;
        Codec::write_frame(&Frame::to_peer(MsgType::Invoke, self.seq, self.object, env.finish()))
    }

    fn call(&mut self, method: &str, data: &[u8]) -> i32 {
        let frame = self.invocation(method, data);
        self.send(&frame)
    }

    /// Sends the last message that was made, and waits for its status.
    fn send(&mut self, frame: &[u8]) -> i32 {
        self.stream.write_all(frame).unwrap();
        loop {
            while let Some(message) = self.inbox.pop().unwrap() {
                let Message::Whole(header, payload) = message else { continue };
                if (header.ty, header.seq) == (MsgType::Status, self.seq) {
                    return envelope::read_status(&payload).unwrap();
                }
            }
            match self.inbox.fill(&mut self.stream).unwrap() {
                Fill::Some(_) => (),
                end => panic!("no status: {end:?}"),
            }
        }
    }
}

/// A call, and whether the daemon has to refuse it for its arguments.
struct Case {
    what: String,
    data: Vec<u8>,
    refused: bool,
}

fn blob(build: impl FnOnce(&mut BlobBuilder)) -> Vec<u8> {
    BlobMsgTable::build(build).contents().to_vec()
}

fn nested_arrays(out: &mut BlobBuilder, name: &str) {
    out.open_array(Some(name));
    (1..DEEP).for_each(|_| out.open_array(None));
    (0..DEEP).for_each(|_| out.close_array());
}

fn nested_tables(out: &mut BlobBuilder, name: &str) {
    out.open_table(Some(name));
    (1..DEEP).for_each(|_| out.open_table(Some("t")));
    (0..DEEP).for_each(|_| out.close_table());
}

/// A value of each type under this name.
fn of_each_type(name: &str) -> Vec<(BlobType, Vec<u8>)> {
    vec![
        (BlobType::String, blob(|b| b.put_str(Some(name), "1"))),
        (BlobType::Int32, blob(|b| b.put_i32(Some(name), 1))),
        (BlobType::Int64, blob(|b| b.put_i64(Some(name), 1))),
        (BlobType::Int8, blob(|b| b.put_bool(Some(name), true))),
        (BlobType::Double, blob(|b| b.put_double(Some(name), f64::NAN))),
        (BlobType::Unspec, blob(|b| b.put_null(Some(name)))),
        (BlobType::Array, blob(|b| nested_arrays(b, name))),
        (BlobType::Table, blob(|b| nested_tables(b, name))),
        (
            BlobType::Table,
            blob(|b| {
                b.open_table(Some(name));
                b.put_str(Some(name), name);
                b.close_table();
            }),
        ),
    ]
}

/// What can be wrong with one argument.
fn wrong(Argument { name, ty }: &Argument) -> Vec<Case> {
    let case = |what: &str, data, refused| Case { what: format!("{name}: {what}"), data, refused };
    let text = *ty == BlobType::String;
    let mut cases: Vec<Case> = of_each_type(name)
        .into_iter()
        .map(|(given, data)| {
            let fits = given == *ty || !text && given == BlobType::Int64;
            case(&format!("{given:?}"), data, !fits)
        })
        .collect();
    if text {
        let mut bytes = blob(|b| b.put_str(Some(name), "abcdefg"));
        let at = bytes.len() - 4;
        bytes[at] = 0xff;
        cases.push(case("not UTF-8", bytes, true));
        for value in ["", "\u{1b}[2J\r\n", "%s%n", "../../etc/passwd", &"a".repeat(LONG)] {
            let data = blob(|b| b.put_str(Some(name), value));
            cases.push(case(&format!("{:.20}", value.escape_debug()), data, false));
        }
        let data = blob(|b| b.put_str(Some(name), &"a".repeat(TOO_LONG)));
        cases.push(case("too long", data, true));
    } else {
        for value in [-1, i32::MIN] {
            cases.push(case("negative", blob(|b| b.put_i32(Some(name), value)), true));
        }
        cases.push(case("huge", blob(|b| b.put_i32(Some(name), i32::MAX)), false));
        for value in [i64::MIN, i64::MAX] {
            cases.push(case("no int32", blob(|b| b.put_i64(Some(name), value)), true));
        }
    }
    let twice = blob(|b| {
        b.put_i32(Some(name), 1);
        b.put_str(Some(name), "1");
    });
    cases.push(case("of two types", twice, true));
    let often = |count: usize| {
        blob(|b| {
            (0..count).for_each(|number| match text {
                true => b.put_str(Some(name), &number.to_string()),
                false => b.put_i32(Some(name), number as i32),
            })
        })
    };
    cases.push(case("twice", often(2), false));
    cases.push(case("100 times", often(100), true));
    cases
}

/// What can be wrong with the arguments of any method.
fn wrong_for_all() -> Vec<Case> {
    let case = |what: &str, data, refused| Case { what: what.to_owned(), data, refused };
    let stranger = blob(|b| b.put_str(Some("stranger"), "x"));
    let mut cases = vec![
        case("nothing", Vec::new(), false),
        case("a stranger", stranger.clone(), false),
        case("a hundred strangers", stranger.repeat(100), true),
        case("a long name", blob(|b| b.put_bool(Some(&"n".repeat(LONG)), true)), false),
        case("no attribute", vec![0xff; 40], true),
        case("a cut attribute", stranger[..stranger.len() - 5].to_vec(), true),
        case("too much", blob(|b| b.put_str(Some("x"), &"x".repeat(TOO_LONG))), true),
        case("nameless", blob(|b| b.put_str(None, "x")), false),
    ];
    for (given, data) in of_each_type("stranger") {
        cases.push(case(&format!("a stranger of {given:?}"), data, false));
    }
    let mut unended = stranger;
    *unended.last_mut().unwrap() = b'y';
    let at = unended.len() - 3;
    unended[at] = b'y';
    cases.push(case("a stranger without its end", unended, true));
    cases
}

fn client(socket: &Path) -> UbusClient<UnixUbusTransport> {
    let mut transport = UnixUbusTransport::connect(socket.to_str().unwrap()).unwrap();
    transport.set_deadline(Some(PATIENCE));
    UbusClient::connect(transport).unwrap()
}

/// What a refused call must not change.
fn state(socket: &Path) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let mut client = client(socket);
    let object = client.lookup("flowtable").unwrap();
    let reply = client.invoke(object, "status", &BlobMsgTable::empty()).unwrap();
    let kept = [
        "requested",
        "effective",
        "reason",
        "bypassed",
        "evictions",
        "commits",
        "tables",
        "takeover",
        "warnings",
        "last_error",
        "foreign_flowtables",
    ];
    kept.map(|key| (key, blobmsg::lookup(&reply, key).map(|found| found.payload.to_vec()))).into()
}

/// A figure of a process's memory, KiB.
fn figure(process: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("Linux 4.5");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// Anonymous memory of a process, KiB: pages of its program do not count.
fn memory(process: u32) -> u64 {
    figure(process, "RssAnon")
}

/// The most anonymous memory that a process has had since [`forget_peak`], KiB: the least that it can
/// have been, as the kernel only keeps the most of all pages, and those of files only become more.
fn peak(process: u32) -> u64 {
    figure(process, "VmHWM").saturating_sub(figure(process, "RssFile"))
}

fn forget_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("CONFIG_PROC_PAGE_MONITOR");
}

/// Calls everything once, so that what is kept for ever is there.
fn warm_up(router: &mut Router) -> u64 {
    eventually("the object appears", || router.command(&["status"]).status.success());
    let mut caller = Caller::new(&router.socket());
    for _ in 0..20 {
        for policy in METHODS {
            assert!(CODES.contains(&caller.call(policy.name, &[])), "{}", policy.name);
        }
    }
    forget_peak(router.child.id());
    memory(router.child.id())
}

fn still_well(router: &mut Router, before: u64) {
    assert!(router.child.try_wait().unwrap().is_none(), "the daemon lives");
    assert!(router.command(&["status"]).status.success());
    let (now, peak) = (memory(router.child.id()), peak(router.child.id()));
    assert!(now.max(peak) <= before + GROWTH_KIB, "{before} KiB became {now}, at most {peak}");
    println!("anonymous memory: {before} KiB, then {now} KiB, meanwhile at least {peak} KiB");
}

#[test]
fn every_call_gets_a_code_and_what_is_refused_changes_nothing() {
    in_namespace("every_call_gets_a_code_and_what_is_refused_changes_nothing", || {
        let mut router = Router::start("hostile");
        let socket = router.socket();
        let _broker = Broker::start(&broker(), &socket);
        let before = warm_up(&mut router);
        let mut caller = Caller::new(&socket);
        let state_before = state(&socket);
        let mut counts = [0, 0];
        for policy in METHODS {
            let cases = wrong_for_all().into_iter().chain(policy.arguments.iter().flat_map(wrong));
            for Case { what, data, refused } in cases {
                let code = caller.call(policy.name, &data);
                let what = format!("{} with {what}: {code}", policy.name);
                assert!(CODES.contains(&code), "{what}");
                assert!(!refused || code == INVALID_ARGUMENT, "{what}");
                counts[usize::from(refused)] += 1;
            }
        }
        println!("{} calls of which {} were to be refused", counts[0] + counts[1], counts[1]);
        assert_eq!(state(&socket), state_before);
        still_well(&mut router, before);
        let (code, log) = router.stop();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("panic"), "{log}");
    });
}

#[test]
fn calls_that_lack_a_part_get_a_code() {
    in_namespace("calls_that_lack_a_part_get_a_code", || {
        let mut router = Router::start("parts");
        let socket = router.socket();
        let _broker = Broker::start(&broker(), &socket);
        let before = warm_up(&mut router);
        let mut caller = Caller::new(&socket);
        let object = caller.object;
        let mut refused = |what: &str, fill: &dyn Fn(&mut EnvBuilder)| {
            let mut env = EnvBuilder::new();
            env.push_u32(UbusAttr::ObjId, object);
            fill(&mut env);
            let frame = caller.frame(env);
            let code = caller.send(&frame);
            assert!(code > 0 && CODES.contains(&code), "{what}: {code}");
            code
        };
        refused("no method", &|env| env.push_data(&[]));
        refused("no data", &|env| env.push_str(UbusAttr::Method, "status"));
        refused("a method that is not UTF-8", &|env| {
            env.push_bytes_id(UbusAttr::Method as u8, b"stat\xff\0");
            env.push_data(&[]);
        });
        refused("an endless method", &|env| {
            env.push_bytes_id(UbusAttr::Method as u8, b"status");
            env.push_data(&[]);
        });
        for name in ["", "statu", "status ", &"m".repeat(LONG)] {
            let code = refused("another method", &|env| {
                env.push_str(UbusAttr::Method, name);
                env.push_data(&[]);
            });
            assert_eq!(code, METHOD_NOT_FOUND);
        }
        still_well(&mut router, before);
    });
}

/// Thousands of calls, of whose replies nobody takes a byte, while others are served.
#[test]
fn a_caller_that_never_reads_costs_nobody_anything() {
    in_namespace("a_caller_that_never_reads_costs_nobody_anything", || {
        let mut router = Router::start("deaf");
        let socket = router.socket();
        let _broker = Broker::start(&broker(), &socket);
        let before = warm_up(&mut router);
        let mut deaf = Caller::new(&socket);
        deaf.stream.set_nonblocking(true).unwrap();
        let (mut sent, mut served) = (0, 0);
        let mut honest = client(&socket);
        let object = honest.lookup("flowtable").unwrap();
        let end = Instant::now() + PATIENCE;
        'deaf: while sent < 5000 && Instant::now() < end {
            let frame = deaf.invocation("status", &[]);
            let mut rest = frame.as_slice();
            while !rest.is_empty() && Instant::now() < end {
                match deaf.stream.write(rest) {
                    Ok(count) => rest = &rest[count..],
                    // The broker takes no more, or has thrown the caller out.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        honest.invoke(object, "status", &BlobMsgTable::empty()).unwrap();
                    }
                    Err(_) => break 'deaf,
                }
            }
            sent += 1;
            if sent % 50 == 0 {
                let answer = honest.invoke(object, "devices", &BlobMsgTable::empty());
                assert!(answer.is_ok(), "{answer:?}");
                served += 1;
                let now = memory(router.child.id());
                assert!(now <= before + GROWTH_KIB, "{before} KiB became {now} after {sent} calls");
            }
        }
        println!("{sent} calls, {served} others served between them");
        assert!(sent > 500 && served >= 10, "{sent} {served}");
        drop(deaf);
        still_well(&mut router, before);
    });
}

/// What a caller that is alone is told by [`harmless`] calls, by method.
fn alone(router: &Router) -> [i32; METHODS.len()] {
    // Without flowtables nothing can be done to flows, and whoever wants it is told so.
    let orders = match router.status().contains(r#""reason":"no_kernel_support""#) {
        true => UNKNOWN_ERROR,
        false => 0,
    };
    let mut caller = Caller::new(&router.socket());
    METHODS.map(|policy| {
        let expected = match policy.name {
            "explain" => NOT_FOUND, // there is no such flow
            "flush" | "evict" | "release" => orders,
            _ => 0,
        };
        assert_eq!(caller.call(policy.name, &harmless(&policy)), expected, "{}", policy.name);
        expected
    })
}

/// Arguments with which every method is answered and none does anything to a flow.
fn harmless(policy: &Policy) -> Vec<u8> {
    // An address for documentation, which no flow here has.
    blob(|b| match policy.name {
        "evict" | "release" => b.put_str(Some("address"), "192.0.2.1"),
        "explain" => b.put_str(Some("source"), "192.0.2.1"),
        _ => (),
    })
}

/// What one caller was told.
#[derive(Debug, Default)]
struct Told {
    /// Calls that were done, by method.
    done: [usize; METHODS.len()],
    /// Calls that were to come later.
    busy: usize,
}

/// Calls a method until it is not too busy, within the time that a caller has.
fn insist(caller: &mut Caller, policy: &Policy, busy: &mut usize) -> i32 {
    let (data, end) = (harmless(policy), Instant::now() + PATIENCE);
    loop {
        match caller.call(policy.name, &data) {
            TIMEOUT => {
                *busy += 1;
                assert!(Instant::now() < end, "{}: always busy", policy.name);
            }
            code => return code,
        }
    }
}

#[test]
fn sixty_four_callers_at_once_are_all_served_by_every_method() {
    in_namespace("sixty_four_callers_at_once_are_all_served_by_every_method", || {
        const CALLERS: usize = 64;
        const ROUNDS: usize = 2;
        let mut router = Router::start("crowd");
        let socket = router.socket();
        let _broker = Broker::start(&broker(), &socket);
        let before = warm_up(&mut router);
        let alone = alone(&router);
        let calls = |number: usize| {
            let (mut caller, mut told) = (Caller::new(&socket), Told::default());
            // Each begins with another method.
            for call in number..number + ROUNDS * METHODS.len() {
                let method = call % METHODS.len();
                let policy = &METHODS[method];
                let code = insist(&mut caller, policy, &mut told.busy);
                assert_eq!(code, alone[method], "{}", policy.name);
                told.done[method] += 1;
            }
            told
        };
        let calls = &calls;
        let crowd: Vec<Told> = std::thread::scope(|scope| {
            let crowd: Vec<_> =
                (0..CALLERS).map(|number| scope.spawn(move || calls(number))).collect();
            crowd.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        assert!(crowd.iter().all(|told| told.done == [ROUNDS; METHODS.len()]));
        let busy: usize = crowd.iter().map(|told| told.busy).sum();
        let done = CALLERS * ROUNDS * METHODS.len();
        println!("{done} calls were done, and {busy} were told to come later");
        still_well(&mut router, before);
    });
}
