// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes for the codecs' tests: asks the guest's kernel for one object of each kind and prints its
//! answers, `NAME KIND FLAGS PAYLOAD`, the last in hexadecimal digits.
//!
//! The ruleset is the daemon's own plan, sent with its own codec, so a capture shows what the
//! kernel made of it. `tests/captured` holds the captures and the tests that read them.

use flowtabled::core::device_names::DeviceNames;
use std::fmt::Write;
use std::process::Command as Process;
use std::time::Duration;

use flowtabled::core::devices::{self, Coverage, Device};
use flowtabled::core::diff::{difference, Surplus};
use flowtabled::core::plan::{self, is_ours};
use flowtabled::core::policy::Places;
use flowtabled::core::settings::{Mode, Settings};
use flowtabled::netlink::attribute::Writer;
use flowtabled::netlink::conntrack;
use flowtabled::netlink::message::Messages;
use flowtabled::netlink::nftables::query::Snapshot;
use flowtabled::netlink::nftables::{Batch, Counted, Element, Nftables, NETLINK_NETFILTER};
use flowtabled::netlink::route::NETLINK_ROUTE;
use flowtabled::netlink::socket::Socket;

use crate::error::{Context, Error, Result};

/// A list request: name of the capture, nlmsg_type, and attributes; the header is family inet.
type List = (&'static str, u16, &'static [(u16, &'static str)]);
const NFT_LISTS: [List; 6] = [
    ("table", 0x0a01, &[]),
    ("flowtable", 0x0a17, &[]),
    ("chain", 0x0a04, &[]),
    ("rule", 0x0a07, &[(1, "flowtabled"), (2, "forward")]),
    ("rule", 0x0a07, &[(1, "flowtabled"), (2, "take")]),
    ("rule", 0x0a07, &[(1, "flowtabled"), (2, "seen")]),
];
const NFT_MSG_GETSET: u16 = 0x0a0a;
const NFT_MSG_GETSETELEM: u16 = 0x0a0d;
const SETS: [&str; 7] = [
    "protocols",
    plan::SET_BYPASS,
    plan::SET_LEAKED,
    plan::SET_WATCHED,
    "asked",
    "answered",
    "greeted",
];
const NFT_MSG_GETGEN: u16 = 0x0a10;
const RTM_GETLINK: u16 = 18;
const IPCTNL_MSG_CT_GET: u16 = 0x0101;
const NFPROTO_INET: u8 = 1;

/// Prints the captures; to be run on a router without devices.
pub fn capture() -> Result<()> {
    for line in [
        "ip link add lan0 type veth peer name lan0-peer",
        "ip link add wan0 type veth peer name wan0-peer",
        "ip link add br-lan type bridge",
        "ip link set lan0 master br-lan",
        "ip link add link wan0 name wan0.7 type vlan id 7",
    ] {
        perform(line)?;
    }
    let mut nft = Socket::open(NETLINK_NETFILTER, &[], "open").context("netfilter")?;
    refusal(&mut nft, "refused-hardware", true, &["lan0", "wan0"])?;
    refusal(&mut nft, "refused-device", false, &["lan0", "nobody0"])?;
    make_tables()?;
    for (name, kind, attributes) in NFT_LISTS {
        let fill = |writer: &mut Writer| {
            writer.raw(&[NFPROTO_INET, 0, 0, 0]);
            for (number, value) in attributes {
                writer.string(*number, value);
            }
        };
        list(&mut nft, name, kind, fill)?;
    }
    for set in SETS {
        let fill = |writer: &mut Writer| {
            writer.raw(&[NFPROTO_INET, 0, 0, 0]);
            writer.string(1, "flowtabled");
            writer.string(2, set);
        };
        one(&mut nft, "set", NFT_MSG_GETSET, fill)?;
        list(&mut nft, "element", NFT_MSG_GETSETELEM, fill)?;
    }
    let header = |writer: &mut Writer| writer.raw(&[0; 4]);
    one(&mut nft, "generation", NFT_MSG_GETGEN, header)?;
    let sequence = nft.next_sequence();
    nft.send(&conntrack::stats_request(sequence), "ask").context("conntrack")?;
    print_answers(&mut nft, "conntrack-stats")?;
    let mut route = Socket::open(NETLINK_ROUTE, &[], "open").context("rtnetlink")?;
    list(&mut route, "link", RTM_GETLINK, |writer| {
        writer.raw(&[0; 16]);
        writer.u32_host(29, 8);
    })?;
    Ok(())
}

/// Prints the conntrack entries of the namespace that it is run in.
pub fn capture_conntrack() -> Result<()> {
    let mut netfilter = Socket::open(NETLINK_NETFILTER, &[], "open").context("netfilter")?;
    list(&mut netfilter, "conntrack", IPCTNL_MSG_CT_GET, |writer| writer.raw(&[0; 4]))
}

/// Runs a program with its words.
pub(super) fn perform(line: &str) -> Result<()> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let status = Process::new(program).args(words).status();
    if !status.is_ok_and(|status| status.success()) {
        return Err(Error::new(format!("{line} failed")));
    }
    Ok(())
}

fn plan_for(names: &[&str]) -> Vec<plan::Class> {
    let device = |name: &&str| Device {
        name: (*name).to_owned(),
        ifindex: None,
        kind: String::new(),
        zones: Vec::new(),
        upper: Vec::new(),
        coverage: Coverage::Covered { hardware: false },
    };
    let devices: Vec<devices::Device> = names.iter().map(device).collect();
    let settings = Settings { requested: Mode::Software, ..Settings::default() };
    plan::wanted(&settings, &devices, &Places::default(), &DeviceNames::new(), &DeviceNames::new())
}

fn make_tables() -> Result<()> {
    let mut nftables = Nftables::open().context("nf_tables")?;
    let snapshot = nftables.snapshot(&is_ours).context("nf_tables")?;
    let mut classes = plan_for(&["lan0", "wan0"]);
    let sets = classes.iter_mut().flat_map(|class| &mut class.sets);
    for set in sets.filter(|set| !set.dynamic) {
        // What the daemon puts into its sets at run time.
        let expires = set.expiring.then_some(Duration::from_secs(600));
        let counted = set.counting.then_some(Counted { packets: 7, bytes: 700 });
        if set.expiring {
            set.elements.insert(vec![0xde, 0xad, 0xbe, 0xef], Element::default());
        }
        set.elements.iter_mut().for_each(|(_, element)| *element = Element { expires, counted });
    }
    let commands = difference(&snapshot, &classes, &|_| Surplus::Stale);
    nftables.commit(commands, snapshot.generation).context("the daemon's tables")
}

/// What a dry run with such a flowtable is answered.
fn refusal(socket: &mut Socket, name: &str, hardware: bool, devices: &[&str]) -> Result<()> {
    let mut classes = plan_for(devices);
    for class in &mut classes {
        class.flowtable.hardware = hardware;
    }
    let batch = Batch::new(difference(&Snapshot::default(), &classes, &|_| Surplus::Stale));
    let first = socket.reserve_sequences(batch.sequences());
    let batch = batch.finish(first, None, false);
    socket.send(batch.bytes(), "ask").context("nf_tables")?;
    print_answers(socket, name)?;
    // Rules that miss the refused flowtable are refused as well; the cause comes first.
    socket.discard_stale();
    Ok(())
}

pub(super) fn list(
    socket: &mut Socket,
    name: &str,
    kind: u16,
    fill: impl Fn(&mut Writer),
) -> Result<()> {
    let lines = socket.dump("list", kind, fill, |lines, message| {
        lines.push(line(name, message.kind, message.flags, message.payload));
        Ok(())
    });
    let lines = lines.context(name)?;
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn one(socket: &mut Socket, name: &str, kind: u16, fill: impl FnOnce(&mut Writer)) -> Result<()> {
    let answer = socket.get("ask", kind, fill, |message| {
        Ok(line(name, message.kind, message.flags, message.payload))
    });
    let answer = answer.context(name)?;
    println!("{answer}");
    Ok(())
}

pub(super) fn print_answers(socket: &mut Socket, name: &str) -> Result<()> {
    let datagram = socket.receive_within("wait").context(name)?;
    for message in Messages::new(datagram).flatten() {
        println!("{}", line(name, message.kind, message.flags, message.payload));
    }
    Ok(())
}

fn line(name: &str, kind: u16, flags: u16, payload: &[u8]) -> String {
    let mut line = format!("{name} {kind:04x} {flags:04x} ");
    for byte in payload {
        // Writing to a String cannot fail.
        let _ = write!(line, "{byte:02x}");
    }
    line
}
