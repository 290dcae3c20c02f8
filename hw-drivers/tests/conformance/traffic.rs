// SPDX-License-Identifier: GPL-2.0-or-later
//! Frames of a flow as they go into the chip, and what has to come out.

use hw_drivers::flow::{Flow, Mac, Protocol, Side, Tuple};
use hw_simulators::frame::{Frame, Packet};
use hw_simulators::{Chip, Out};
use std::net::SocketAddr;

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the end that opened the connection.
    Original,
    /// To it.
    Reply,
}

/// Both directions, in the order of a [`Flow`].
pub const BOTH: [Direction; 2] = [Direction::Original, Direction::Reply];

/// What has become of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The chip has forwarded it, exactly as the flow says.
    Hardware,
    /// It has come out at the processor's port as it went in.
    Cpu,
}

/// The frame as it comes into the chip, with its port.
pub fn incoming(flow: &Flow, direction: Direction) -> (u8, Frame) {
    let (from, tuple) = match direction {
        Direction::Original => (&flow.opener, flow.original),
        Direction::Reply => (&flow.answerer, flow.reply),
    };
    let frame = dress(from, from.router, from.neighbour, flow.protocol, tuple);
    (from.port, frame)
}

/// The frame as it has to leave, with its port.
pub fn leaving(flow: &Flow, direction: Direction, incoming: &Frame) -> (u8, Frame) {
    let (to, tuple) = match direction {
        Direction::Original => (&flow.answerer, flow.reply.inverse()),
        Direction::Reply => (&flow.opener, flow.original.inverse()),
    };
    let mut frame = dress(to, to.neighbour, to.router, flow.protocol, tuple);
    frame.packet = Packet {
        source: tuple.source,
        destination: tuple.destination,
        ttl: incoming.packet.ttl.wrapping_sub(1),
        ..incoming.packet.clone()
    };
    (to.port, frame)
}

fn dress(side: &Side, destination: Mac, source: Mac, protocol: Protocol, tuple: Tuple) -> Frame {
    Frame {
        destination,
        source,
        tags: if side.tagged { vec![side.vlan] } else { vec![] },
        pppoe: side.pppoe.map(|pppoe| pppoe.session),
        packet: Packet::new(protocol, tuple.source, tuple.destination),
    }
}

/// Sends a frame and judges what comes out.
///
/// # Errors
/// The frame has been neither forwarded exactly right nor left alone; in words.
pub fn judge(
    chip: &mut impl Chip,
    flow: &Flow,
    direction: Direction,
    frame: &Frame,
) -> Result<Way, String> {
    let port = incoming(flow, direction).0;
    let bytes = frame.emit();
    let out = chip.receive(port, &bytes);
    if out == [Out { port: chip.cpu_port(), bytes: bytes.clone() }] {
        return Ok(Way::Cpu);
    }
    let (right_port, right) = leaving(flow, direction, frame);
    if let [Out { port, bytes }] = &out[..] {
        if *port == right_port && Frame::parse(bytes).as_ref() == Some(&right) {
            return Ok(Way::Hardware);
        }
    }
    let seen: Vec<_> = out
        .iter()
        .map(|Out { port, bytes }| {
            let checksums = if Frame::checksums_ok(bytes) { "" } else { " with wrong checksums" };
            format!("port {port}{checksums}: {:?} {bytes:02x?}", Frame::parse(bytes))
        })
        .collect();
    Err(format!(
        "wrong forwarding of {direction:?}\n in, port {port}: {frame:?}\n right, port {right_port}: \
         {right:?}\n out: {seen:#?}"
    ))
}

/// Frames that are nearly the flow's but are not: one thing is another in each.
pub fn near_misses(flow: &Flow, direction: Direction) -> Vec<(&'static str, Frame)> {
    let (_, frame) = incoming(flow, direction);
    let mut misses = Vec::new();
    let mut miss = |name, change: &dyn Fn(&mut Frame)| {
        let mut changed = frame.clone();
        change(&mut changed);
        misses.push((name, changed));
    };
    miss("source port", &|frame| next_port(&mut frame.packet.source));
    miss("destination port", &|frame| next_port(&mut frame.packet.destination));
    // The far end's address is free to change; the near ones are the router's and the LAN's.
    let far_is_source = direction == Direction::Reply;
    miss("far address", &|frame| {
        let packet = &mut frame.packet;
        next_address(if far_is_source { &mut packet.source } else { &mut packet.destination });
    });
    miss("near address", &|frame| {
        let packet = &mut frame.packet;
        next_address(if far_is_source { &mut packet.destination } else { &mut packet.source });
    });
    miss("protocol", &|frame| {
        let Packet { source, destination, protocol, .. } = frame.packet;
        let other = match protocol {
            Protocol::Tcp => Protocol::Udp,
            Protocol::Udp => Protocol::Tcp,
        };
        frame.packet = Packet::new(other, source, destination);
    });
    misses
}

fn next_port(socket: &mut SocketAddr) {
    socket.set_port(socket.port() ^ 0x4001);
}

fn next_address(socket: &mut SocketAddr) {
    use std::net::IpAddr;
    socket.set_ip(match socket.ip() {
        IpAddr::V4(address) => (u32::from(address) ^ 0x80).to_be_bytes().into(),
        IpAddr::V6(address) => (u128::from(address) ^ 0x80).to_be_bytes().into(),
    });
}

/// Frames of the flow that a chip may leave to the processor although it knows the flow.
pub fn odd_frames(flow: &Flow, direction: Direction) -> Vec<(&'static str, Frame)> {
    let (_, frame) = incoming(flow, direction);
    let mut odd = Vec::new();
    let mut add = |name, change: &dyn Fn(&mut Packet)| {
        let mut changed = frame.clone();
        change(&mut changed.packet);
        odd.push((name, changed));
    };
    if flow.protocol == Protocol::Tcp {
        add("SYN", &|packet| packet.flags.syn = true);
        add("FIN", &|packet| packet.flags.fin = true);
        add("RST", &|packet| packet.flags.rst = true);
    } else if flow.is_v4() {
        add("without checksum", &|packet| packet.unchecked = true);
    }
    add("fragment", &|packet| packet.fragment = true);
    add("options", &|packet| packet.options = true);
    add("TTL 1", &|packet| packet.ttl = 1);
    add("TTL 2", &|packet| packet.ttl = 2);
    add("TTL 255", &|packet| packet.ttl = 255);
    add("no payload", &|packet| packet.payload.clear());
    add("odd length", &|packet| packet.payload = vec![0xff; 77]);
    add("full size", &|packet| packet.payload = vec![0xa5; 1400]);
    odd
}
