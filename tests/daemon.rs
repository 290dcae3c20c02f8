// SPDX-License-Identifier: GPL-2.0-or-later
//! The whole daemon as a process, on the kernel that runs the tests, with a real broker.
//!
//! That kernel may lack flowtables; the daemon then has to say so. What needs flowtables is in the
//! lab's scenarios.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "daemon/confinement.rs"]
mod confinement;
mod fixture;
#[path = "daemon/instance.rs"]
mod instance;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use fixture::broker::{Broker, Kind};
use fixture::namespace::{in_namespace, run};
use fixture::router::{directory, text, Router, BINARY, FIREWALL, NETWORK};
use fixture::{eventually, PATIENCE};
use flowtabled::ubus::json;
use ubus::client::UbusClient;
use ubus::envelope::{self, UbusAttr};
use ubus::unix::UnixUbusTransport;
use ubus::{BlobMsgTable, Transport, UbusError};

fn daemon(words: &[&str], dir: &Path) -> Output {
    Command::new(BINARY).args(words).arg("--config-dir").arg(dir).output().unwrap()
}

#[test]
fn it_starts_before_the_bus_and_answers_when_it_comes() {
    in_namespace("it_starts_before_the_bus_and_answers_when_it_comes", || {
        let router = Router::start("answers");
        assert_eq!(router.command(&["status"]).status.code(), Some(3), "no bus yet");
        let broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["status"]).status.success());
        let status = router.status();
        assert!(status.contains("\"requested\":\"software\""), "{status}");
        assert!(status.contains("\"classic\":0"), "flows are counted: {status}");
        // With flowtables the devices are in one, without them the reason says so.
        let works = status.contains("\"devices\":[\"lan0\",\"wan0\"]");
        assert!(works || status.contains("\"reason\":\"no_kernel_support\""), "{status}");
        let devices = text(&router.command(&["devices", "--json"]).stdout);
        assert!(devices.contains("\"name\":\"lan0\"") && devices.contains("\"zones\":[\"wan\"]"));

        drop(broker);
        eventually("the bus is gone", || router.command(&["status"]).status.code() == Some(3));
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object is back", || router.command(&["status"]).status.success());
        let (code, log) = router.stop();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("flowtabled: stopped, our tables are removed"), "{log}");
    });
}

/// A lease that cannot be read is of use only to look for faults.
#[test]
fn verbose_tells_more() {
    in_namespace("verbose_tells_more", || {
        for options in [&["--verbose"][..], &[]] {
            let router = Router::start_with("verbose", options);
            let leases = router.dir.join("leases");
            fs::write(&leases, "no lease at all\n").unwrap();
            let config =
                format!("config flowtable 'global'\n\tlist lease_file '{}'\n", leases.display());
            fs::write(router.dir.join("flowtable"), config).unwrap();
            let _broker = Broker::start(&Kind::Rust, &router.socket());
            eventually("the object appears", || router.command(&["status"]).status.success());
            assert!(router.command(&["reload"]).status.success());
            assert!(router.command(&["hosts"]).status.success());
            let (_, log) = router.stop();
            let told = log.contains("lines with names are of no known form");
            assert_eq!(told, !options.is_empty(), "{log}");
            run("ip link delete lan0");
            run("ip link delete wan0");
        }
    });
}

/// More devices than fit one reply.
#[test]
fn many_devices_come_in_pages() {
    const PORTS: usize = 400;
    in_namespace("many_devices_come_in_pages", || {
        let router = Router::start("pages");
        let ports = |line: fn(usize) -> String| (1..=PORTS).map(line).collect::<String>();
        let batch = "link add br-lan type bridge\n".to_owned()
            + &ports(|n| format!("link add port{n} type veth peer name peer{n}\n"))
            + &ports(|n| format!("link set port{n} master br-lan\n"));
        fs::write(router.dir.join("batch"), batch).unwrap();
        run(&format!("ip -batch {}", router.dir.join("batch").display()));
        fs::write(router.dir.join("network"), NETWORK.replace("lan0", "br-lan")).unwrap();
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["reload"]).status.success());

        let replies = text(&router.command(&["devices", "--json"]).stdout);
        let pages: Vec<&str> = replies.lines().collect();
        assert!(pages.len() > 1, "{}", pages.len());
        let (last, before) = pages.split_last().unwrap();
        assert!(before.iter().all(|page| page.contains(r#","truncated":true,"total":402}"#)));
        assert!(!last.contains("truncated"), "{last}");
        let table = text(&router.command(&["devices"]).stdout);
        let shown = (1..=PORTS).filter(|n| table.contains(&format!("\nport{n} ")));
        assert_eq!(shown.count(), PORTS, "{table}");
        assert_eq!(table.lines().count(), 1 + 2 + PORTS);
    });
}

#[test]
fn a_broken_configuration_is_told_and_the_last_good_one_stays() {
    in_namespace("a_broken_configuration_is_told_and_the_last_good_one_stays", || {
        let router = Router::start("broken");
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["status"]).status.success());

        let broken = FIREWALL.replace("flow_offloading '1'", "flow_offloading 'maybe'");
        fs::write(router.dir.join("firewall"), broken).unwrap();
        let reload = router.command(&["reload"]);
        assert_eq!(reload.status.code(), Some(1));
        let line = text(&reload.stderr);
        assert!(line.contains("firewall:2") && line.contains("'maybe'"), "{line}");
        let status = router.status();
        assert!(status.contains("\"requested\":\"software\""), "{status}");
        assert!(status.contains("\"last_error\":\"") && status.contains("firewall:2"), "{status}");

        fs::write(router.dir.join("firewall"), FIREWALL.replace('1', "0")).unwrap();
        router.signal("HUP");
        eventually("the repaired file counts", || {
            router.status().contains("\"reason\":\"offload_off\"")
        });
        assert!(!router.status().contains("last_error"));
        let (code, log) = router.stop();
        assert_eq!(code, Some(0));
        let told = log.lines().filter(|line| line.contains("firewall:2")).count();
        assert_eq!(told, 1, "{log}");
    });
}

/// What a kernel with a packet engine says of it, two entries of which forward packets.
const LISTING: &str = "\
00010 BND IPv4 5T orig=192.168.1.2:4000->203.0.113.2:80 new=203.0.113.1:4000->203.0.113.2:80 \
eth=02:00:00:00:00:01->02:00:00:00:00:02 etype=0008 vlan=0,0 ib1=21411234 ib2=007ff037
00011 UNB IPv4 5T orig=192.168.1.2:4001->203.0.113.2:80 new=0.0.0.0:0->0.0.0.0:0 \
eth=00:00:00:00:00:00->00:00:00:00:00:00 etype=0000 vlan=0,0 ib1=10000102 ib2=00000000
00020 BND IPv4 5T orig=203.0.113.2:80->203.0.113.1:4000 new=203.0.113.2:80->192.168.1.2:4000 \
eth=02:00:00:00:00:03->02:00:00:00:00:04 etype=0008 vlan=0,0 ib1=21411234 ib2=007ff017
";

#[test]
fn a_switch_that_the_kernel_drives_is_shown() {
    in_namespace("a_switch_that_the_kernel_drives_is_shown", || {
        run("mount -t tmpfs debugfs /sys/kernel/debug");
        fs::create_dir("/sys/kernel/debug/ppe0").unwrap();
        fs::write("/sys/kernel/debug/ppe0/entries", LISTING).unwrap();
        let router = Router::start("switches");
        let _broker = Broker::start(&Kind::Rust, &router.socket());
        eventually("the object appears", || router.command(&["status"]).status.success());
        let hardware = |words: &[&str]| text(&router.command(words).stdout);
        assert_eq!(hardware(&["hardware"]), "no switch is configured\n");

        let section = "config switch\n\toption driver 'mt7621'\n\toption name 'engine'\n";
        fs::write(router.dir.join("flowtable"), section).unwrap();
        assert!(router.command(&["reload"]).status.success());
        assert_eq!(
            hardware(&["hardware", "--json"]),
            "{\"switches\":[{\"name\":\"engine\",\"driver\":\"mt7621\",\"state\":\"watched\",\
             \"capacity\":7680,\"bound\":2,\"unbound\":1,\"malformed\":0}]}\n"
        );
        let shown = hardware(&["hardware"]);
        assert!(shown.contains("\nengine:  2 entries forward packets, 1 others\n"), "{shown}");

        fs::write(router.dir.join("flowtable"), "").unwrap();
        router.signal("HUP");
        eventually("the section is gone", || {
            hardware(&["hardware"]) == "no switch is configured\n"
        });
    });
}

/// Reads what a subscriber is sent until `count` notifications are there, as name and JSON.
fn notifications(subscriber: &mut UbusClient<UnixUbusTransport>, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    while told.len() < count {
        let Some(frame) = subscriber.recv_frame().unwrap() else {
            subscriber.transport_mut().wait_recv();
            continue;
        };
        let find = |attr| envelope::find(&frame.payload, attr);
        if let Some(name) = find(UbusAttr::Method).and_then(|attr| attr.as_str()) {
            assert!(find(UbusAttr::NoReply).is_some_and(|attr| attr.as_bool_int8()));
            let data = find(UbusAttr::Data).map(|attr| attr.payload).unwrap_or_default();
            told.push(format!("{name} {}", json::render(data).unwrap()));
        }
    }
    told
}

#[test]
fn subscribers_are_told_of_changes_and_of_nothing_else() {
    in_namespace("subscribers_are_told_of_changes_and_of_nothing_else", || {
        let router = Router::start("subscribers");
        let broker = std::env::var_os("UBUSD").map_or(Kind::Rust, |path| Kind::C(path.into()));
        for _ in 0..2 {
            let _broker = Broker::start(&broker, &router.socket());
            eventually("the object appears", || router.command(&["status"]).status.success());
            // Devices are settled, or given up, before the first answer.
            let subscribe = || {
                let socket = router.socket();
                let mut transport = UnixUbusTransport::connect(socket.to_str().unwrap()).unwrap();
                transport.set_deadline(Some(PATIENCE));
                let mut client = UbusClient::connect(transport).unwrap();
                let object = client.lookup("flowtable").unwrap();
                let own = client.add_anonymous_object().unwrap();
                client.subscribe(own, object).unwrap();
                client
            };
            let (mut one, mut two) = (subscribe(), subscribe());
            assert!(router.command(&["reload"]).status.success(), "nothing changes by this");
            let broken = FIREWALL.replace("flow_offloading '1'", "flow_offloading 'maybe'");
            fs::write(router.dir.join("firewall"), broken).unwrap();
            assert_eq!(router.command(&["reload"]).status.code(), Some(1));
            let [told] = notifications(&mut one, 1).try_into().unwrap();
            assert!(
                told.starts_with(r#"config {"error":""#) && told.contains("firewall:2"),
                "{told}"
            );

            fs::write(router.dir.join("firewall"), FIREWALL.replace('1', "0")).unwrap();
            assert!(router.command(&["reload"]).status.success());
            let all = notifications(&mut one, 4);
            assert_eq!(all[0], "config {}");
            assert!(all[1].starts_with(r#"mode {"requested":"classic","effective":""#), "{all:?}");
            assert!(
                all.iter().any(|line| line.starts_with(r#"device {"name":"lan0","#)),
                "{all:?}"
            );
            assert_eq!(notifications(&mut two, 5)[0], told, "each subscriber is told");
            drop(one);
            fs::write(router.dir.join("firewall"), FIREWALL).unwrap();
            assert!(router.command(&["reload"]).status.success());
            let all = notifications(&mut two, 1);
            assert!(all[0].starts_with(r#"mode {"requested":"software","#), "{all:?}");
        }
    });
}

/// A list that is under way may have passed what is to be done something to.
#[test]
fn orders_wait_for_a_list_that_began_after_them() {
    in_namespace("orders_wait_for_a_list_that_began_after_them", || {
        let router = Router::start("orders");
        let broker = std::env::var_os("UBUSD").map_or(Kind::Rust, |path| Kind::C(path.into()));
        let _broker = Broker::start(&broker, &router.socket());
        let mut transport = UnixUbusTransport::connect(router.socket().to_str().unwrap()).unwrap();
        transport.set_deadline(Some(PATIENCE));
        let mut client = UbusClient::connect(transport).unwrap();
        // Any call would have flows listed.
        eventually("the object appears", || client.lookup("flowtable").is_ok());
        let object = client.lookup("flowtable").unwrap();
        router.signal("STOP");
        let nothing = BlobMsgTable::empty();
        let flows = client.send_invoke(object, "flows", &nothing).unwrap();
        let flush = client.send_invoke(object, "flush", &nothing).unwrap();
        // The broker has passed both on when it answers this.
        client.lookup("flowtable").unwrap();
        router.signal("CONT");
        client.recv_invoke_reply(flows).unwrap();
        let answer = client.recv_invoke_reply(flush);
        assert!(matches!(answer, Ok(_) | Err(UbusError::Status(_))), "{answer:?}");
        let status = router.status();
        assert!(!status.contains(r#""lists":1,"#) && status.contains(r#""lists":"#), "{status}");
    });
}

#[test]
fn options_need_no_bus_root_or_configuration() {
    let nowhere = Path::new("/nonexistent");
    let version = daemon(&["--version"], nowhere);
    assert_eq!(text(&version.stdout), concat!(env!("CARGO_PKG_VERSION"), "\n"));
    assert!(version.stderr.is_empty() && version.status.success());
    assert!(text(&daemon(&["--help"], nowhere).stdout).starts_with("Usage: flowtabled"));
    let unknown = daemon(&["--what"], nowhere);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(text(&unknown.stderr).lines().count(), 1);
}

#[test]
fn check_names_the_line_and_changes_nothing() {
    let dir = directory("check");
    let good = daemon(&["--check"], &dir);
    assert!(good.status.success(), "{}", text(&good.stderr));
    assert!(text(&good.stdout).starts_with("requested: software\n"));

    fs::write(dir.join("flowtable"), "config flowtable 'global'\n\toption counter 'perhaps'\n")
        .unwrap();
    let bad = daemon(&["--check"], &dir);
    assert_eq!(bad.status.code(), Some(3));
    let line = text(&bad.stderr);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("flowtable:2") && line.contains("'perhaps'"), "{line}");

    fs::remove_file(dir.join("firewall")).unwrap();
    let missing = daemon(&["--check"], &dir);
    assert_eq!(missing.status.code(), Some(3));
    assert!(text(&missing.stderr).contains("firewall"), "{}", text(&missing.stderr));
    fs::remove_dir_all(&dir).unwrap();
}
