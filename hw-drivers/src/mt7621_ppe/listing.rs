// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's listing of the table, `/sys/kernel/debug/ppe0/entries` and `bind`
//! (Linux `mtk_ppe_debugfs.c`).
//!
//! One line an entry. The kernel walks the table without a lock, so a line can show an entry
//! half changed: [`Line::torn`]. Kernels before 6.4 print no counters, those after print zeroes
//! for this chip; fields that nobody knows yet are skipped.

mod reader;
mod summary;

pub use reader::{Malformed, Reader};
pub use summary::Summary;

use super::entry::{Ib1, Ib2, Kind, State};
use super::hash::ENTRIES;
use crate::flow::{Flow, Mac, Protocol, Tuple};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest line that is read, bytes. The kernel's longest, IPv6 with ports and greatest counters,
/// has 267; the rest is for fields to come.
pub const LINE_LIMIT: usize = 512;

/// Both ends, with ports where the type has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Source.
    pub source: IpAddr,
    /// Destination.
    pub destination: IpAddr,
    /// Their ports.
    pub ports: Option<[u16; 2]>,
}

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Number of the entry.
    pub index: u16,
    /// Its state.
    pub state: State,
    /// Its type; `None` for one that the kernel does not know (UNKNOWN).
    pub kind: Option<Kind>,
    /// As packets come; `None` with an unknown type.
    pub original: Option<Ends>,
    /// As they leave, for IPv4. Of DS-Lite it is printed but means nothing: the layout is another.
    pub new: Option<Ends>,
    /// New source MAC address.
    pub source: Mac,
    /// New destination MAC address.
    pub destination: Mac,
    /// EtherType as in the entry; the listing has its bytes swapped.
    pub etype: u16,
    /// VLANs as in the entry.
    pub vlans: [u16; 2],
    /// First info block.
    pub ib1: Ib1,
    /// Second info block.
    pub ib2: Ib2,
    /// Packets and bytes, where the kernel prints them. This chip counts none of them: 0 is
    /// "unknown".
    pub counters: Option<[u64; 2]>,
}

/// Why a line is not one of the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than [`LINE_LIMIT`].
    TooLong,
    /// It is not text.
    NotText,
    /// There are more lines than the table has entries.
    TooMany,
    /// This field is not there.
    Missing(&'static str),
    /// This field cannot be read.
    Bad(&'static str),
    /// This field is there twice.
    Twice(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooLong => write!(f, "longer than {LINE_LIMIT} bytes"),
            Fault::NotText => write!(f, "not text"),
            Fault::TooMany => write!(f, "more lines than entries"),
            Fault::Missing(field) => write!(f, "no {field}"),
            Fault::Bad(field) => write!(f, "{field} cannot be read"),
            Fault::Twice(field) => write!(f, "{field} twice"),
        }
    }
}

impl std::error::Error for Fault {}

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From who opened it.
    Original,
    /// Back to him.
    Reply,
}

impl Line {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn parse(text: &str) -> Result<Line, Fault> {
        let (index, text) = text.split_once(' ').ok_or(Fault::Missing("state"))?;
        let index = u16::try_from(hex(index, 5).ok_or(Fault::Bad("index"))?)
            .ok()
            .filter(|index| u32::from(*index) < ENTRIES)
            .ok_or(Fault::Bad("index"))?;
        let (state, text) = text.split_once(' ').ok_or(Fault::Missing("type"))?;
        let state = match state {
            "UNB" => State::Unbound,
            "BND" => State::Bound,
            "FIN" => State::Fin,
            _ => return Err(Fault::Bad("state")),
        };
        // Names of types are seven wide, right aligned, and have blanks in them.
        let (kind, text) = text.split_once("orig=").ok_or(Fault::Missing("orig"))?;
        let kind = match kind.strip_suffix(' ').ok_or(Fault::Bad("type"))? {
            "IPv4 5T" => Some(Kind::V4Five),
            "IPv4 3T" => Some(Kind::V4Three),
            "DS-LITE" => Some(Kind::DsLite),
            "IPv6 3T" => Some(Kind::V6Three),
            "IPv6 5T" => Some(Kind::V6Five),
            "    6RD" => Some(Kind::SixRd),
            "UNKNOWN" => None,
            _ => return Err(Fault::Bad("type")),
        };
        let (original, text) = text.split_once(' ').ok_or(Fault::Missing("eth"))?;
        let original = match kind {
            Some(kind) => Some(ends(original, kind).ok_or(Fault::Bad("orig"))?),
            None => None,
        };
        Fields::of(text)?.line(index, state, kind, original)
    }

    /// Protocol and tuple of packets that the entry is for, where it has ports.
    pub fn tuple(&self) -> Option<(Protocol, Tuple)> {
        if !matches!(self.kind, Some(Kind::V4Five | Kind::V6Five)) {
            return None;
        }
        let Ends { source, destination, ports } = self.original?;
        let [from, to] = ports?;
        let protocol = if self.ib1.udp() { Protocol::Udp } else { Protocol::Tcp };
        let source = SocketAddr::new(source, from);
        Some((protocol, Tuple { source, destination: SocketAddr::new(destination, to) }))
    }

    /// Which direction of a flow the entry is for.
    pub fn direction(&self, flow: &Flow) -> Option<Direction> {
        let (protocol, tuple) = self.tuple()?;
        match tuple {
            _ if protocol != flow.protocol => None,
            tuple if tuple == flow.original => Some(Direction::Original),
            tuple if tuple == flow.reply => Some(Direction::Reply),
            _ => None,
        }
    }

    /// The line does not agree with itself: the entry was changed while it was printed.
    pub fn torn(&self) -> bool {
        let known = !matches!(self.ib1.kind(), Kind::Bridge | Kind::Reserved);
        self.ib1.state() != self.state || self.kind != known.then_some(self.ib1.kind())
    }
}

/// What stands behind the original tuple.
#[derive(Default)]
struct Fields<'a> {
    new: Option<&'a str>,
    eth: Option<&'a str>,
    etype: Option<&'a str>,
    vlan: Option<&'a str>,
    ib1: Option<&'a str>,
    ib2: Option<&'a str>,
    packets: Option<&'a str>,
    bytes: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Result<Fields<'a>, Fault> {
        let mut fields = Fields::default();
        for field in text.split(' ') {
            let (name, value) = field.split_once('=').ok_or(Fault::Bad("a field"))?;
            let (name, place) = match name {
                "new" => ("new", &mut fields.new),
                "eth" => ("eth", &mut fields.eth),
                "etype" => ("etype", &mut fields.etype),
                "vlan" => ("vlan", &mut fields.vlan),
                "ib1" => ("ib1", &mut fields.ib1),
                "ib2" => ("ib2", &mut fields.ib2),
                "packets" => ("packets", &mut fields.packets),
                "bytes" => ("bytes", &mut fields.bytes),
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Fault::Twice(name));
            }
        }
        Ok(fields)
    }

    fn line(
        &self,
        index: u16,
        state: State,
        kind: Option<Kind>,
        original: Option<Ends>,
    ) -> Result<Line, Fault> {
        let new = match kind {
            Some(kind @ (Kind::V4Five | Kind::V4Three | Kind::DsLite)) => {
                Some(field(self.new, "new", |text| ends(text, kind))?)
            }
            _ => None,
        };
        let [source, destination] = field(self.eth, "eth", |text| {
            let (source, destination) = text.split_once("->")?;
            Some([mac(source)?, mac(destination)?])
        })?;
        let etype = field(self.etype, "etype", |text| u16::try_from(hex(text, 4)?).ok())?;
        let vlans = field(self.vlan, "vlan", |text| {
            let (first, second) = text.split_once(',')?;
            Some([decimal(first)?, decimal(second)?])
        })?;
        let ib1 = Ib1(field(self.ib1, "ib1", |text| hex(text, 8))?);
        let ib2 = Ib2(field(self.ib2, "ib2", |text| hex(text, 8))?);
        let counters = match (self.packets, self.bytes) {
            (None, None) => None,
            (packets, bytes) => {
                Some([field(packets, "packets", decimal)?, field(bytes, "bytes", decimal)?])
            }
        };
        let etype = etype.swap_bytes();
        Ok(Line {
            index,
            state,
            kind,
            original,
            new,
            source,
            destination,
            etype,
            vlans,
            ib1,
            ib2,
            counters,
        })
    }
}

fn field<'a, T>(
    text: Option<&'a str>,
    name: &'static str,
    read: impl FnOnce(&'a str) -> Option<T>,
) -> Result<T, Fault> {
    read(text.ok_or(Fault::Missing(name))?).ok_or(Fault::Bad(name))
}

/// A number of exactly so many hexadecimal digits, as `%0*x` prints it.
fn hex(text: &str, digits: usize) -> Option<u32> {
    let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let right = text.len() == digits && text.bytes().all(plain);
    right.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let right = text.bytes().all(|byte| byte.is_ascii_digit());
    let right = right && (text == "0" || !text.starts_with('0'));
    right.then(|| text.parse().ok()).flatten()
}

fn mac(text: &str) -> Option<Mac> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        *byte = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    }
    parts.next().is_none().then_some(Mac(bytes))
}

/// `source->destination`, each with a port in types that have them.
fn ends(text: &str, kind: Kind) -> Option<Ends> {
    let v6 = matches!(kind, Kind::V6Three | Kind::V6Five | Kind::SixRd);
    let with_ports = matches!(kind, Kind::V4Five | Kind::DsLite | Kind::V6Five);
    let end = |text: &str| {
        let (address, port) = match with_ports {
            // An IPv6 address has colons as well: the last one is the port's.
            true => text.rsplit_once(':').and_then(|(a, port)| Some((a, Some(decimal(port)?))))?,
            false => (text, None),
        };
        let address = if v6 { v6_address(address)?.into() } else { v4_address(address)?.into() };
        Some((address, port))
    };
    let (source, destination) = text.split_once("->")?;
    let ((source, from), (destination, to)) = (end(source)?, end(destination)?);
    let ports = from.zip(to).map(|(from, to): (u16, u16)| [from, to]);
    Some(Ends { source, destination, ports })
}

fn v4_address(text: &str) -> Option<Ipv4Addr> {
    text.parse().ok()
}

/// Eight groups of four digits, as `%pI6` prints them.
fn v6_address(text: &str) -> Option<Ipv6Addr> {
    let mut groups = [0; 8];
    let mut parts = text.split(':');
    for group in &mut groups {
        *group = u16::try_from(hex(parts.next()?, 4)?).ok()?;
    }
    parts.next().is_none().then_some(Ipv6Addr::from(groups))
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = self.ports.map_or([None, None], |ports| ports.map(Some));
        for (address, port, behind) in [(self.source, from, "->"), (self.destination, to, "")] {
            match address {
                IpAddr::V4(address) => write!(f, "{address}")?,
                IpAddr::V6(address) => {
                    for (number, group) in address.segments().iter().enumerate() {
                        write!(f, "{}{group:04x}", if number == 0 { "" } else { ":" })?;
                    }
                }
            }
            if let Some(port) = port {
                write!(f, ":{port}")?;
            }
            f.write_str(behind)?;
        }
        Ok(())
    }
}

/// The line as the kernel prints it.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Invalid => "INV",
            State::Unbound => "UNB",
            State::Bound => "BND",
            State::Fin => "FIN",
        };
        write!(f, "{:05x} {state} {:>7} orig=", self.index, name(self.kind))?;
        match self.original {
            Some(ends) => write!(f, "{ends}")?,
            None => write!(f, "(null)->(null)")?,
        }
        if let Some(ends) = self.new {
            write!(f, " new={ends}")?;
        }
        let [first, second] = self.vlans;
        let etype = self.etype.swap_bytes();
        write!(f, " eth={}->{} etype={etype:04x}", self.source, self.destination)?;
        write!(f, " vlan={first},{second} ib1={:08x} ib2={:08x}", self.ib1.0, self.ib2.0)?;
        match self.counters {
            Some([packets, bytes]) => write!(f, " packets={packets} bytes={bytes}"),
            None => Ok(()),
        }
    }
}

/// The kernel's name of a type.
pub fn name(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::V4Five) => "IPv4 5T",
        Some(Kind::V4Three) => "IPv4 3T",
        Some(Kind::DsLite) => "DS-LITE",
        Some(Kind::V6Three) => "IPv6 3T",
        Some(Kind::V6Five) => "IPv6 5T",
        Some(Kind::SixRd) => "6RD",
        Some(Kind::Bridge | Kind::Reserved) | None => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests;
