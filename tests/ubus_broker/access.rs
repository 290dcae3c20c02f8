// SPDX-License-Identifier: GPL-2.0-or-later
//! Who may call what, by ubusd's access lists: the package's own, and the one of the manual that lets
//! somebody look and not touch. Callers are processes of other users, which only root can start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use flowtabled::ubus::methods::METHODS;
use flowtabled::ubus::{StatusCode, OBJECT};
use ubus::client::UbusClient;
use ubus::unix::UnixUbusTransport;
use ubus::{BlobMsgTable, UbusError};

use super::fixture::broker::Broker;
use super::fixture::PATIENCE;
use super::{each_broker, Answers, Daemon};

/// Set for a process that is to call: the socket, and the number of the object.
const CALLER: &str = "FLOWTABLED_TEST_CALLER";
const TEST: &str = "access::lists_say_who_may_call";

/// Users of every Debian: their names in place of those that only a router has, and their numbers.
const DAEMON: (&str, u32) = ("daemon", 1);
const COLLECTOR: (&str, u32) = ("nobody", 65_534);
const STRANGER: u32 = 2;

fn client(socket: &str) -> UbusClient<UnixUbusTransport> {
    let mut transport = UnixUbusTransport::connect(socket).unwrap();
    transport.set_deadline(Some(PATIENCE));
    UbusClient::connect(transport).unwrap()
}

/// Calls every method and prints what the bus says: the object's number is no secret.
fn call_all(words: &str) {
    let (socket, object) = words.split_once(' ').unwrap();
    let (mut client, object) = (client(socket), object.parse().unwrap());
    for policy in METHODS {
        let sequence = client.send_invoke(object, policy.name, &BlobMsgTable::empty()).unwrap();
        let code = match client.recv_invoke_reply(sequence) {
            Ok(_) => 0,
            Err(UbusError::Status(code)) => code,
            Err(error) => panic!("{}: {error}", policy.name),
        };
        println!("\ncalled {} {code}", policy.name);
    }
}

/// The methods that a user reaches.
fn reached(user: u32, socket: &Path, object: u32) -> Vec<&'static str> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CALLER, format!("{} {object}", socket.display()))
        .current_dir("/")
        .uid(user)
        .gid(user)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let called = text.lines().filter_map(|line| line.strip_prefix("called ")?.split_once(' '));
    let codes: BTreeMap<&str, i32> =
        called.map(|(name, code)| (name, code.parse().unwrap())).collect();
    assert_eq!(codes.len(), METHODS.len(), "{text}");
    // The broker does not tell a stranger what there is.
    let refused = [StatusCode::NotFound.code(), StatusCode::PermissionDenied.code()];
    let reached = METHODS.iter().map(|policy| policy.name);
    reached.filter(|name| codes.get(name).is_some_and(|code| !refused.contains(code))).collect()
}

/// The access list in the manual.
fn example() -> &'static str {
    let manual = include_str!("../../docs/security.md");
    let section = manual.split("\n## Who may call\n").nth(1).unwrap();
    section.split("```\n").nth(1).unwrap()
}

fn write_list(path: PathBuf, text: &str) {
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn lists_say_who_may_call() {
    if let Ok(words) = std::env::var(CALLER) {
        return call_all(&words);
    }
    let uid = Command::new("id").arg("-u").output().unwrap();
    if uid.stdout != b"0\n" {
        return eprintln!("skipped: processes of other users take root to start");
    }
    let lists = std::env::temp_dir().join(format!("flowtabled-lists-{}", std::process::id()));
    fs::create_dir(&lists).unwrap();
    let own = include_str!("../../files/usr/share/acl.d/flowtabled.json");
    assert!(own.contains("\"flowtabled\"") && example().contains("\"collector\""));
    write_list(lists.join("flowtabled.json"), &own.replace("flowtabled", DAEMON.0));
    write_list(lists.join("collector.json"), &example().replace("collector", COLLECTOR.0));

    each_broker(|kind, socket| {
        let _broker = Broker::start_with_lists(kind, socket, &lists);
        let daemon = Daemon::start(socket, Answers::AtOnce);
        daemon.wait_registered(true);
        let object = client(socket.to_str().unwrap()).lookup(OBJECT).unwrap();
        let all: Vec<&str> = METHODS.iter().map(|policy| policy.name).collect();
        assert_eq!(reached(0, socket, object), all);
        let none: [&str; 0] = [];
        assert_eq!(reached(STRANGER, socket, object), none);
        assert_eq!(reached(DAEMON.1, socket, object), none, "it may announce the object only");
        let looks = ["status", "devices", "flows", "hosts", "history"];
        assert_eq!(reached(COLLECTOR.1, socket, object), looks);
    });
    fs::remove_dir_all(&lists).unwrap();
}
