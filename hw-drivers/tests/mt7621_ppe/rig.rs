// SPDX-License-Identifier: GPL-2.0-or-later
//! A chip, its driver, and what frames have to look like on either side.

use hw_drivers::flow::{Flow, Mac, Pppoe, Protocol, Side, Tuple};
use hw_drivers::mt7621_ppe::direct::{Direct, DirectAccess, Options, Unseen};
use hw_drivers::mt7621_ppe::listing::Direction;
use hw_drivers::mt7621_ppe::translate::SWITCH_PORT_0;
use hw_drivers::table::{FlowTable, Network, Progress};
use hw_simulators::frame::{Frame, Packet, TcpFlags};
use hw_simulators::mt7621_ppe::{self as simulator, Mt7621Ppe};
use hw_simulators::{Chip, Out, Shared};
use std::net::Ipv4Addr;

pub use Direction::{Original, Reply};

pub const LAN_ROUTER: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub const WAN_ROUTER: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub const NAT: [&str; 4] =
    ["192.168.1.2:40000", "203.0.113.9:443", "203.0.113.9:443", "198.51.100.1:50000"];
pub const TAKE_FREE: Options = Options { unseen: Unseen::TakeFree, counting: false };

pub type Chips = Shared<Mt7621Ppe>;

pub struct Rig {
    pub chip: Chips,
    pub driver: Direct<Chips>,
}

pub fn network() -> Network {
    let private = (Ipv4Addr::new(192, 168, 1, 0), 24);
    Network { private, public: vec![Ipv4Addr::new(198, 51, 100, 1)] }
}

pub fn driver(chip: &Chips, options: Options) -> Direct<Chips> {
    Direct::new(chip.clone(), DirectAccess::KernelKeepsOff, options)
}

pub fn set_up(driver: &mut impl FlowTable) {
    for _ in 0..64 {
        if driver.set_up(&network()).unwrap() == Progress::Done {
            return;
        }
    }
    panic!("no end of setting up");
}

impl Rig {
    pub fn new(chip: simulator::Options, options: Options) -> Rig {
        let chip = Shared::new(Mt7621Ppe::started(chip));
        let mut driver = driver(&chip, options);
        set_up(&mut driver);
        Rig { chip, driver }
    }

    /// Packets of each direction, as the processor sees them before a flow is in hardware. With
    /// the second one the engine has its own entry in its cache.
    pub fn show(&mut self, flow: &Flow) {
        for direction in [Original, Reply, Original, Reply] {
            let (port, bytes) = wire(flow, direction);
            self.chip.receive(port, &bytes);
        }
    }

    pub fn send(&mut self, flow: &Flow, direction: Direction) -> Fate {
        let (port, bytes) = wire(flow, direction);
        fate(flow, direction, &bytes, &self.chip.receive(port, &bytes))
    }

    /// Both directions.
    pub fn fates(&mut self, flow: &Flow) -> [Fate; 2] {
        [self.send(flow, Original), self.send(flow, Reply)]
    }
}

/// What became of a packet. Anything but these two fails the test at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Forwarded,
    Processor,
}

/// Judges what came out for a frame of a flow.
pub fn fate(flow: &Flow, direction: Direction, sent: &[u8], out: &[Out]) -> Fate {
    let [out] = out else { panic!("{} frames for {flow:?}", out.len()) };
    if out.port == 0 {
        assert_eq!(out.bytes, sent, "to the processor as it was");
        return Fate::Processor;
    }
    let (port, frame) = read(flow, out);
    let side = egress(flow, direction);
    assert_eq!((port, frame), (side.port, expected(flow, direction)), "{direction:?} {flow:?}");
    Fate::Forwarded
}

pub fn egress(flow: &Flow, direction: Direction) -> &Side {
    match direction {
        Original => &flow.answerer,
        Reply => &flow.opener,
    }
}

fn packet(flow: &Flow, tuple: Tuple, ttl: u8) -> Packet {
    Packet {
        protocol: flow.protocol,
        source: tuple.source,
        destination: tuple.destination,
        ttl,
        flags: TcpFlags { ack: flow.protocol == Protocol::Tcp, ..TcpFlags::default() },
        fragment: false,
        options: false,
        unchecked: false,
        payload: b"some payload!".to_vec(),
    }
}

/// A frame as it comes to the router.
pub fn incoming(flow: &Flow, direction: Direction) -> (&Side, Frame) {
    let (side, tuple) = match direction {
        Original => (&flow.opener, flow.original),
        Reply => (&flow.answerer, flow.reply),
    };
    let frame = Frame {
        destination: side.router,
        source: side.pppoe.map_or(side.neighbour, |session| session.peer),
        tags: if side.tagged { vec![side.vlan] } else { Vec::new() },
        pppoe: side.pppoe.map(|session| session.session),
        packet: packet(flow, tuple, 64),
    };
    (side, frame)
}

fn expected(flow: &Flow, direction: Direction) -> Frame {
    let leaves = match direction {
        Original => flow.reply.inverse(),
        Reply => flow.original.inverse(),
    };
    let side = egress(flow, direction);
    Frame {
        destination: side.pppoe.map_or(side.neighbour, |session| session.peer),
        source: side.router,
        tags: if side.tagged { vec![side.vlan] } else { Vec::new() },
        pppoe: side.pppoe.map(|session| session.session),
        packet: packet(flow, leaves, 63),
    }
}

/// Port of the chip and bytes of a frame that comes in by a side. What a switch puts before it:
/// the kind of tag, its port, and the tag's VLAN merged with its own.
pub fn put(side: &Side, frame: &Frame) -> (u8, Vec<u8>) {
    let Some(port) = side.port.checked_sub(SWITCH_PORT_0) else {
        return (side.port, frame.emit());
    };
    let vlan = frame.tags.first().copied();
    let bytes = Frame { tags: Vec::new(), ..frame.clone() }.emit();
    let mut tagged = bytes[..12].to_vec();
    tagged.extend([u8::from(vlan.is_some()), port]);
    tagged.extend(vlan.unwrap_or(0).to_be_bytes());
    tagged.extend(&bytes[12..]);
    (1, tagged)
}

pub fn wire(flow: &Flow, direction: Direction) -> (u8, Vec<u8>) {
    let (side, frame) = incoming(flow, direction);
    put(side, &frame)
}

/// A frame that came out, with the port of a side: what stands behind the switch's tag.
fn read(flow: &Flow, out: &Out) -> (u8, Frame) {
    let switch = [flow.opener, flow.answerer].iter().any(|side| side.port >= SWITCH_PORT_0);
    if !(switch && out.port == 1) {
        return (out.port, Frame::parse(&out.bytes).expect("a frame with right checksums"));
    }
    let tag = &out.bytes[12..16];
    let port = u8::try_from(tag[1].trailing_zeros()).unwrap();
    assert_eq!(tag[1], 1 << port, "one port of the switch");
    let mut bytes = out.bytes.clone();
    bytes.drain(12..16);
    let mut frame = Frame::parse(&bytes).expect("a frame with right checksums");
    let vlan = u16::from_be_bytes([tag[2], tag[3]]);
    match tag[0] {
        0 => assert_eq!(vlan, 0),
        1 => frame.tags.insert(0, vlan),
        kind => panic!("kind {kind} of the switch's tag"),
    }
    (port + SWITCH_PORT_0, frame)
}

pub fn lan() -> Side {
    Side::ethernet(1, 10, Mac([2, 0, 0, 0, 1, 2]), LAN_ROUTER)
}

pub fn wan() -> Side {
    Side::ethernet(2, 20, Mac([2, 0, 0, 0, 2, 2]), WAN_ROUTER)
}

pub fn session() -> Option<Pppoe> {
    Some(Pppoe { session: 0x2345, peer: Mac([2, 0, 0, 0, 2, 3]) })
}

pub fn flow(protocol: Protocol, ends: [&str; 4]) -> Flow {
    let [a, b, c, d] = ends.map(|end| end.parse().unwrap());
    Flow {
        protocol,
        original: Tuple { source: a, destination: b },
        reply: Tuple { source: c, destination: d },
        opener: lan(),
        answerer: wan(),
    }
}

/// Masqueraded flows, different ones for different numbers, all over the table.
pub fn numbered(number: u16) -> Flow {
    let [a, b, c, d] = (u32::from(number) + 1).wrapping_mul(0x9e37_79b1).to_be_bytes();
    let server = format!("203.{a}.{b}.{c}:{}", 1000 + u16::from(d));
    let client = format!("192.168.1.{}:{}", 2 + b % 200, 5000 + u16::from(c) * 200 + u16::from(a));
    let public = format!("198.51.100.1:{}", 1024 + number);
    flow(Protocol::Udp, [&client, &server, &server, &public])
}
