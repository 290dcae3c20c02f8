// SPDX-License-Identifier: GPL-2.0-or-later
//! What the running daemon has given up, and that the kernel holds it to that.

use std::fs;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use flowtabled::daemon::confinement::Confinement;
use flowtabled::sys::landlock;

use super::{eventually, in_namespace, text, Broker, Kind, Router, FIREWALL};

/// The value of a line of `/proc/PID/status`.
fn value(status: &str, key: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {status}")).trim().to_owned()
}

/// CAP_DAC_READ_SEARCH and CAP_NET_ADMIN.
const KEPT: &str = "0000000000001004";
const NONE: &str = "0000000000000000";

#[test]
fn the_daemon_gives_up_what_it_does_not_need() {
    in_namespace("confinement::the_daemon_gives_up_what_it_does_not_need", || {
        let router = Router::start("rights");
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["status"]).status.success());
        let path = format!("/proc/{}/status", router.child.id());
        let status = fs::read_to_string(path).unwrap();
        for (key, expected) in [
            ("CapEff", KEPT),
            ("CapPrm", KEPT),
            ("CapBnd", KEPT),
            ("CapInh", NONE),
            ("CapAmb", NONE),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
        ] {
            assert_eq!(value(&status, key), expected, "{key}");
        }
        let (_, log) = router.stop();
        assert!(log.contains("confined: capabilities, "), "{log}");
        assert!(!log.contains("cannot confine capabilities"), "{log}");
    });
}

#[test]
fn an_option_leaves_all_rights() {
    in_namespace("confinement::an_option_leaves_all_rights", || {
        let router = Router::start_with("unconfined", &["--no-sandbox"]);
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["status"]).status.success());
        let path = format!("/proc/{}/status", router.child.id());
        let status = fs::read_to_string(path).unwrap();
        assert_eq!(
            (value(&status, "NoNewPrivs"), value(&status, "Seccomp")),
            ("0".into(), "0".into())
        );
        assert_ne!(value(&status, "CapEff"), KEPT);
        assert!(router.stop().1.contains("not confined"));
    });
}

/// Files that come after the start, in the places where routers have them.
#[test]
fn what_comes_later_is_read() {
    in_namespace("confinement::what_comes_later_is_read", || {
        let router = Router::start("later");
        let named = FIREWALL.replace("config defaults", "config defaults 'all'");
        fs::write(router.dir.join("firewall"), &named).unwrap();
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["status"]).status.success());
        fs::remove_dir(router.dir.join("save")).unwrap();
        fs::create_dir(router.dir.join("save")).unwrap();
        let change = "firewall.all.flow_offloading='0'\n";
        fs::write(router.dir.join("save/firewall"), change).unwrap();
        assert!(router.command(&["reload"]).status.success());
        assert!(router.status().contains(r#""requested":"classic""#), "{}", router.status());
        fs::remove_file(router.dir.join("save/firewall")).unwrap();
        // As a commit does.
        fs::write(router.dir.join("firewall.new"), FIREWALL).unwrap();
        fs::rename(router.dir.join("firewall.new"), router.dir.join("firewall")).unwrap();
        assert!(router.command(&["reload"]).status.success());
        assert!(router.status().contains(r#""requested":"software""#), "{}", router.status());
    });
}

/// What is tried in a thread that has been confined: what it is called, and how it ended.
type Trials = Vec<(&'static str, Option<i32>)>;

/// Confines a thread of its own, as the daemon is confined, and tries.
fn confined(dir: &Path, trials: fn(&Path) -> Trials) -> Trials {
    let (dir, lease) = (dir.to_owned(), dir.join("leases/list"));
    let thread = std::thread::spawn(move || {
        let leases = [lease.to_str().unwrap().to_owned()];
        Confinement::new(&dir.join("config"), &dir.join("saved/changes"), true).begin(&leases);
        trials(&dir)
    });
    thread.join().unwrap()
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().map(|error| error.raw_os_error().unwrap())
}

/// `None` is a success.
fn attempts(dir: &Path) -> Trials {
    let write = |path: &Path| errno(fs::OpenOptions::new().write(true).open(path));
    vec![
        ("read the configuration", errno(fs::read(dir.join("config/firewall")))),
        ("list the leases", errno(fs::read_dir(dir.join("leases")))),
        ("read a clock of the kernel", errno(fs::read("/proc/uptime"))),
        ("begin a thread", errno(std::thread::Builder::new().spawn(|| ()))),
        ("connect to the bus", errno(UnixStream::connect(dir.join("nobody")))),
        ("change the configuration", write(&dir.join("config/firewall"))),
        ("make a file", errno(fs::File::create(dir.join("config/new")))),
        ("make a folder", errno(fs::create_dir(dir.join("config/folder")))),
        ("remove a file", errno(fs::remove_file(dir.join("config/firewall")))),
        ("move a file", errno(fs::rename(dir.join("config/firewall"), dir.join("moved")))),
        ("set a limit of the kernel", write(Path::new("/proc/sys/kernel/core_pattern"))),
        ("start a program", errno(Command::new("/bin/true").status())),
        ("listen to the network", errno(TcpListener::bind("127.0.0.1:0"))),
        ("send to the network", errno(UdpSocket::bind("127.0.0.1:0"))),
    ]
}

#[test]
fn the_kernel_refuses_what_was_given_up() {
    let dir = std::env::temp_dir().join(format!("flowtabled-refused-{}", std::process::id()));
    for folder in ["config", "leases", "saved"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    fs::write(dir.join("config/firewall"), "config defaults\n").unwrap();
    fs::write(dir.join("leases/list"), "").unwrap();
    // The same without: all of it can be done here, or the test would show nothing.
    let free = std::thread::spawn({
        let dir = dir.clone();
        move || attempts(&dir)
    });
    let free = free.join().unwrap();
    for (what, result) in &free[5..] {
        assert!(*result != Some(libc::EPERM), "{what}: {result:?}");
    }
    let _ = fs::remove_dir_all(dir.join("config"));
    fs::create_dir_all(dir.join("config")).unwrap();
    fs::write(dir.join("config/firewall"), "config defaults\n").unwrap();

    let tried = confined(&dir, attempts);
    let (allowed, refused) = tried.split_at(5);
    for (what, result) in allowed {
        let nobody = *what == "connect to the bus";
        assert_eq!(*result, nobody.then_some(libc::ENOENT), "{what}");
    }
    for (what, result) in refused {
        // Landlock is asked first by some calls, and says EACCES.
        assert!(matches!(result, Some(libc::EPERM | libc::EACCES)), "{what}: {result:?}");
    }
    assert!(!dir.join("config/new").exists() && dir.join("config/firewall").exists());
    fs::remove_dir_all(&dir).unwrap();
}

/// Only where the kernel has Landlock: elsewhere whatever root may read can be read.
#[test]
fn files_elsewhere_cannot_be_read_where_the_kernel_has_landlock() {
    let dir = std::env::temp_dir().join(format!("flowtabled-beyond-{}", std::process::id()));
    for folder in ["config", "leases", "saved", "elsewhere"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    fs::write(dir.join("elsewhere/key"), "secret").unwrap();
    let tried =
        confined(&dir, |dir| vec![("read a key", errno(fs::read(dir.join("elsewhere/key"))))]);
    let expected = landlock::version().is_ok().then_some(libc::EACCES);
    assert_eq!(tried, [("read a key", expected)]);
    fs::remove_dir_all(&dir).unwrap();
}

/// A lease file that a reload brings may be out of reach, which the log has to say.
#[test]
fn a_lease_file_out_of_reach_is_told() {
    in_namespace("confinement::a_lease_file_out_of_reach_is_told", || {
        let router = Router::start("reach");
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["status"]).status.success());
        let section = "config flowtable 'global'\n\tlist lease_file '/opt/dhcp/leases'\n";
        fs::write(router.dir.join("flowtable"), section).unwrap();
        assert!(router.command(&["reload"]).status.success());
        let hosts = router.command(&["hosts"]);
        assert!(hosts.status.success(), "{}", text(&hosts.stderr));
        let (_, log) = router.stop();
        let told =
            log.contains("/opt/dhcp/leases cannot be read before the daemon is started again");
        assert_eq!(told, !log.contains("this kernel cannot confine files"), "{log}");
    });
}
