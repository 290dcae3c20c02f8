// SPDX-License-Identifier: GPL-2.0-or-later
//! What it costs to read 64k conntrack entries: received and dropped, and received and parsed.
//!
//! ```text
//! cargo build --release --example conntrack_cost
//! unshare --map-root-user --net target/release/examples/conntrack_cost [ROUNDS]
//! ```
//!
//! They take turns, and the fastest round of each counts, as what disturbs can only add. The ratio
//! is what may be compared between machines. Between the two stands what the framing alone costs.

use std::error::Error;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use flowtabled::netlink::conntrack::request::dump_request;
use flowtabled::netlink::conntrack::tuple::{IPPROTO_TCP, IPPROTO_UDP};
use flowtabled::netlink::conntrack::{Conntrack, Entry, Filter, NewEntry, TcpState, Tuple};
use flowtabled::netlink::ext_ack::NLMSG_DONE;
use flowtabled::netlink::message::Messages;
use flowtabled::netlink::nftables::NETLINK_NETFILTER;
use flowtabled::netlink::socket::Socket;

const ENTRIES: u32 = 65_536;
const ROUNDS: usize = 25;
const DOING: &str = "list conntrack entries";

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |text| text.parse())?;
    let mut conntrack = Conntrack::open()?;
    if !conntrack.list(&Filter::default())?.is_empty() {
        return Err("there are connections here; run it in a network namespace of its own".into());
    }
    // As on OpenWrt: entries have counters.
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_acct", "1")?;
    let entries: Vec<NewEntry> = (0..ENTRIES).filter_map(entry).collect();
    conntrack.create_all(&entries)?;

    let mut socket = Socket::open(NETLINK_NETFILTER, &[], "open the conntrack socket")?;
    let (mut dropped, mut framed, mut parsed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        dropped.push(timed(&mut socket, drop_all)?);
        framed.push(timed(&mut socket, frame_all)?);
        parsed.push(timed(&mut socket, parse_all)?);
    }
    let [dropped, framed, parsed] = [dropped, framed, parsed].map(fastest);
    println!("receive and drop   {dropped:7.1} ns per entry");
    println!("receive and frame  {framed:7.1} ns per entry, ratio {:.3}", framed / dropped);
    println!("receive and parse  {parsed:7.1} ns per entry, ratio {:.3}", parsed / dropped);
    Ok(())
}

/// Mostly IPv4 behind source NAT, three quarters TCP, some with a mark.
fn entry(number: u32) -> Option<NewEntry> {
    let port = 1024 + (number % 60_000) as u16;
    let (protocol, server_port) =
        if number % 4 == 3 { (IPPROTO_UDP, 443) } else { (IPPROTO_TCP, 80) };
    let host = (number / 60_000) as u8;
    let mark = if number.is_multiple_of(8) { 0x10 } else { 0 };
    let tcp_state = (protocol == IPPROTO_TCP).then_some(TcpState::Established);
    let entry = if number % 5 == 4 {
        let client = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(host) + 2);
        let server = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let orig = Tuple::new(protocol, (client.into(), port), (server.into(), server_port))?;
        NewEntry::new(orig, 3600)
    } else {
        let client = (Ipv4Addr::new(192, 168, 1, host + 2).into(), port);
        let server = (Ipv4Addr::new(203, 0, 113, 1 + host).into(), server_port);
        let outside = (Ipv4Addr::new(198, 51, 100, 7).into(), port);
        let reply = Tuple::new(protocol, server, outside)?;
        NewEntry { reply, ..NewEntry::new(Tuple::new(protocol, client, server)?, 3600) }
    };
    Some(NewEntry { mark, tcp_state, ..entry })
}

/// What is done with a datagram: how many entries were looked at, `None` at the end of the list.
type Look = fn(&[u8]) -> Result<Option<u32>, Box<dyn Error>>;

/// Only the first message is looked at: the end comes in a datagram of its own.
fn drop_all(datagram: &[u8]) -> Result<Option<u32>, Box<dyn Error>> {
    let first = Messages::new(datagram).next().ok_or("empty datagram")??;
    Ok((first.kind != NLMSG_DONE).then_some(0))
}

fn frame_all(datagram: &[u8]) -> Result<Option<u32>, Box<dyn Error>> {
    let mut count = 0;
    for message in Messages::new(datagram) {
        if black_box(message?).kind == NLMSG_DONE {
            return Ok(None);
        }
        count += 1;
    }
    Ok(Some(count))
}

fn parse_all(datagram: &[u8]) -> Result<Option<u32>, Box<dyn Error>> {
    let mut count = 0;
    for message in Messages::new(datagram) {
        let message = message?;
        if message.kind == NLMSG_DONE {
            return Ok(None);
        }
        if let Some(entry) = Entry::parse(&message)? {
            black_box(&entry);
            count += 1;
        }
    }
    Ok(Some(count))
}

fn timed(socket: &mut Socket, look: Look) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let sequence = socket.next_sequence();
    socket.send(&dump_request(sequence, &Filter::default()), DOING)?;
    let mut count = 0;
    loop {
        let datagram = match socket.receive(DOING)? {
            Some(datagram) => datagram,
            None => socket.receive_within(DOING)?,
        };
        match look(datagram)? {
            Some(more) => count += more,
            None => break,
        }
    }
    if count != 0 && count != ENTRIES {
        return Err(format!("{count} entries instead of {ENTRIES}").into());
    }
    Ok(started.elapsed())
}

fn fastest(times: Vec<Duration>) -> f64 {
    let time = times.into_iter().min().unwrap_or_default();
    time.as_nanos() as f64 / f64::from(ENTRIES)
}
