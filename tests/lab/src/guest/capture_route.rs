// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes for the tests of the rtnetlink codecs, printed as in `capture`: a LAN bridge that
//! filters VLANs, with stations behind it, and routes that depend on the mark.

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use flowtabled::netlink::attribute::Writer;
use flowtabled::netlink::message;
use flowtabled::netlink::route::{self, NETLINK_ROUTE};
use flowtabled::netlink::socket::Socket;

use super::capture::{list, perform, print_answers};
use crate::error::{Context, Error, Result};

const NLM_F_REQUEST: u16 = 1;

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_GETROUTE: u16 = 26;
const RTM_GETNEIGH: u16 = 30;
const RTM_GETRULE: u16 = 34;

const AF_INET: u8 = 2;
const AF_BRIDGE: u8 = 7;
const AF_INET6: u8 = 10;

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_IIF: u16 = 3;
const RTA_MARK: u16 = 16;

/// What the bridge is to learn from the frames of its own accord.
const LEARNT: &str = "02:00:00:00:00:0b";
const LEARNT_WITHIN: Duration = Duration::from_secs(10);

const DEVICES: [&str; 9] = [
    "ip link add br-lan type bridge vlan_filtering 1 vlan_default_pvid 7",
    "ip link add lan0 address 02:00:00:00:00:0a type veth peer name lan0-peer",
    "ip link add wan0 address 02:00:00:00:00:0c type veth peer name wan0-peer",
    "ip link add ppp0 type dummy",
    "ip link set lan0 master br-lan",
    "ip link set lan0-peer address 02:00:00:00:00:0b",
    "ip link set lo up",
    "ip link set br-lan up",
    "ip link set lan0 up",
];

const STATIONS: [&str; 15] = [
    "ip link set lan0-peer up",
    "ip link set wan0 up",
    "ip link set wan0-peer up",
    "ip link set ppp0 up",
    "ip address add 192.168.1.1/24 dev br-lan",
    "ip address add fd00:1::1/64 dev br-lan nodad",
    "ip address add 203.0.113.1/24 dev wan0",
    "ip address add 10.0.0.1 peer 10.9.9.9/32 dev ppp0",
    "ip address add fd00:9::1 peer fd00:9::9/128 dev ppp0 nodad",
    "ip neighbour add 192.168.1.2 lladdr 02:00:00:00:00:02 dev br-lan nud permanent",
    "ip neighbour add fd00:1::2 lladdr 02:00:00:00:00:02 dev br-lan nud reachable",
    "ip neighbour add 192.168.1.3 dev br-lan nud failed",
    "ip neighbour add 192.168.1.4 lladdr 02:00:00:00:00:04 dev br-lan nud noarp",
    "bridge fdb add 02:00:00:00:00:02 dev lan0 master static vlan 7",
    "ip rule add fwmark 7 table 100",
];

const ROUTES: [&str; 7] = [
    "ip route add default via 203.0.113.2",
    "ip route add default via 10.9.9.9 table 100",
    "ip route add 198.51.100.0/24 via inet6 fd00:9::9",
    "ip route add blackhole 198.51.101.0/24",
    "ip route add prohibit 198.51.102.0/24",
    "ip -6 route add default via fd00:1::2",
    "ip -6 route add unreachable 2001:db8::/32",
];

/// Sender and input device of a forwarded packet.
type From = Option<(&'static str, &'static str)>;
/// The marks, senders and receivers that are asked for.
const LOOKUPS: [(&str, u32, From, &str); 10] = [
    ("lookup-default", 0, None, "192.0.2.1"),
    ("lookup-marked", 7, None, "192.0.2.1"),
    ("lookup-forward", 0, Some(("192.168.1.2", "br-lan")), "192.0.2.1"),
    ("lookup-local", 0, Some(("192.168.1.2", "br-lan")), "203.0.113.1"),
    ("lookup-via6", 0, None, "198.51.100.1"),
    ("lookup-blackhole", 0, None, "198.51.101.1"),
    ("lookup-prohibit", 0, None, "198.51.102.1"),
    ("lookup-spoofed", 0, Some(("127.0.0.1", "br-lan")), "192.0.2.1"),
    ("lookup6-default", 0, None, "2001:db9::1"),
    ("lookup6-unreachable", 0, None, "2001:db8::1"),
];

/// Prints the captures; to be run in an empty network namespace.
pub fn capture() -> Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("ip_forward")?;
    DEVICES.iter().chain(&STATIONS).chain(&ROUTES).try_for_each(|line| perform(line))?;
    let mut socket = Socket::open(NETLINK_ROUTE, &[], "open").context("rtnetlink")?;
    await_learnt()?;
    let header = |family: u8, length: usize| {
        move |writer: &mut Writer| {
            let mut header = vec![0; length];
            if let Some(first) = header.first_mut() {
                *first = family;
            }
            writer.raw(&header);
        }
    };
    list(&mut socket, "device", RTM_GETLINK, |writer| {
        writer.raw(&[0; 16]);
        writer.u32_host(29, 8);
    })?;
    list(&mut socket, "address", RTM_GETADDR, header(0, 8))?;
    list(&mut socket, "neighbour", RTM_GETNEIGH, header(0, 12))?;
    list(&mut socket, "fdb", RTM_GETNEIGH, header(AF_BRIDGE, 12))?;
    list(&mut socket, "route", RTM_GETROUTE, header(AF_INET, 12))?;
    list(&mut socket, "fib-rule", RTM_GETRULE, header(AF_INET, 12))?;
    LOOKUPS.iter().try_for_each(|(name, mark, from, to)| {
        look_up(&mut socket, name, *mark, *from, to.parse().context("address")?)
    })
}

/// Stations announce themselves when they come up, so nothing need be sent.
fn await_learnt() -> Result<()> {
    let end = Instant::now() + LEARNT_WITHIN;
    let learnt = LEARNT.parse().context("address")?;
    while Instant::now() < end {
        let socket = Socket::open(NETLINK_ROUTE, &[], "open").context("rtnetlink")?;
        let (entries, _) = route::fdb(socket, usize::MAX).context("forwarding tables")?;
        if entries.iter().any(|entry| entry.mac == learnt && entry.bridge.is_some()) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Error::new("the bridge has learnt nothing"))
}

/// Written by hand and not with the codec, which hides the refusals.
fn look_up(socket: &mut Socket, name: &str, mark: u32, from: From, to: IpAddr) -> Result<()> {
    let (family, bits) = if to.is_ipv4() { (AF_INET, 32) } else { (AF_INET6, 128) };
    let from = from.map(|(address, device)| -> Result<(IpAddr, u32)> {
        let path = format!("/sys/class/net/{device}/ifindex");
        let index = fs::read_to_string(&path).context(path)?;
        Ok((address.parse().context("address")?, index.trim().parse().context("index")?))
    });
    let from = from.transpose()?;
    let sequence = socket.next_sequence();
    let request = message::request(RTM_GETROUTE, NLM_F_REQUEST, sequence, |writer| {
        let from_bits = if from.is_some() { bits } else { 0 };
        writer.raw(&[family, bits, from_bits, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        writer.address(RTA_DST, to);
        if let Some((address, index)) = from {
            writer.address(RTA_SRC, address);
            writer.u32_host(RTA_IIF, index);
        }
        if mark != 0 {
            writer.u32_host(RTA_MARK, mark);
        }
    });
    socket.send(&request, "ask").context(name)?;
    print_answers(socket, name)
}
