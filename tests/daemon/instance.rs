// SPDX-License-Identifier: GPL-2.0-or-later
//! One daemon in a network namespace, whoever else takes its name.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::daemon;
use crate::fixture::broker::{Broker, Kind};
use crate::fixture::eventually;
use crate::fixture::namespace::{in_namespace, run};
use crate::fixture::router::{directory, text, Router};

/// Set in the process that takes the name.
const HOLDER: &str = "FLOWTABLED_TEST_HOLDER";
const NOBODY: u32 = 65534;

fn name() -> SocketAddr {
    SocketAddr::from_abstract_name("flowtabled").unwrap()
}

#[test]
fn a_second_daemon_ends() {
    in_namespace("instance::a_second_daemon_ends", || {
        let _first = UnixListener::bind_addr(&name()).unwrap();
        let dir = directory("second");
        let output = daemon(&["--foreground"], &dir);
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!(output.status.code(), Some(1));
        let log = text(&output.stderr);
        assert!(log.contains("another flowtabled runs in this network namespace"), "{log}");
    });
}

/// A process of another user that ends when it is dropped.
struct Holder(Child);

impl Holder {
    fn start() -> Holder {
        let this = "instance::another_users_process_keeps_no_daemon_from_starting";
        let mut command = Command::new("/proc/self/exe");
        command.args(["--exact", this]).env(HOLDER, "1").uid(NOBODY).gid(NOBODY);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let holder = Holder(child);
        eventually("the name is taken", || UnixStream::connect_addr(&name()).is_ok());
        holder
    }

    /// Takes the name until standard input ends.
    fn hold() {
        let _listener = UnixListener::bind_addr(&name()).unwrap();
        std::io::read_to_string(std::io::stdin()).unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// The log of a daemon that starts, answers and stops.
fn log_of_a_start() -> String {
    let router = Router::start("named");
    let broker = Broker::start(&Kind::Rust, &router.socket());
    eventually("the object appears", || router.command(&["status"]).status.success());
    let (code, log) = router.stop();
    assert_eq!(code, Some(0), "{log}");
    drop(broker);
    run("ip link delete lan0");
    run("ip link delete wan0");
    log
}

#[test]
fn another_users_process_keeps_no_daemon_from_starting() {
    if std::env::var_os(HOLDER).is_some() {
        return Holder::hold();
    }
    in_namespace("instance::another_users_process_keeps_no_daemon_from_starting", || {
        let users = std::fs::read_to_string("/proc/self/uid_map").unwrap();
        if users.split_whitespace().nth(2) == Some("1") {
            eprintln!("skipped: only root can start a process of another user");
            return;
        }
        let holder = Holder::start();
        let log = log_of_a_start();
        let told = format!("process {} of user {NOBODY} has the name", holder.0.id());
        assert!(log.contains(&told), "{log}");
        // Who lets nobody ask is no daemon either: connecting must not wait.
        while mio::net::UnixStream::connect_addr(&name()).is_ok() {}
        let log = log_of_a_start();
        assert!(log.contains("has the name of a flowtabled and does not say who"), "{log}");
        drop(holder);
        let log = log_of_a_start();
        assert!(!log.contains("has the name"), "{log}");
    });
}
