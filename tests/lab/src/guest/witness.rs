// SPDX-License-Identifier: GPL-2.0-or-later
//! A process on a host that sees each IP packet as it is on the wire, and sends what it is given.
//!
//! It runs in the host's namespace and has no opinion: packets go in and out as lines of
//! hexadecimal, and whoever started it does the reading. It sees both what the host receives and
//! what it sends.

use super::packet::Packet;
use crate::error::{Context, Error, Result};
use rustix::net::{eth, ipproto, recv, sendto, socket, AddressFamily, RecvFlags};
use rustix::net::{SendFlags, SocketType};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any packet on a veth device with the usual MTU, also when receive offload joins.
const LONGEST: usize = 1 << 16;

/// The process itself: prints `ready`, then a line per packet; sends each packet that it reads.
pub fn serve() -> Result<()> {
    // Without the link layer, so that a packet begins with its IP header.
    let ear = socket(AddressFamily::PACKET, SocketType::DGRAM, Some(eth::ALL))
        .context("a socket that hears everything")?;
    println!("ready");
    thread::spawn(|| {
        for line in std::io::stdin().lock().lines().map_while(|line| line.ok()) {
            if let Err(e) = bytes_of(&line).context("not hexadecimal").and_then(|b| send(&b)) {
                eprintln!("witness: {e}");
            }
        }
        // Whoever started this is gone.
        std::process::exit(0);
    });
    let mut buffer = vec![0; LONGEST];
    loop {
        let (_, len) =
            recv(&ear, buffer.as_mut_slice(), RecvFlags::empty()).context("listening")?;
        println!("{}", hex(buffer.get(..len).unwrap_or_default()));
    }
}

/// Raw sockets of this protocol take the IP header from the sender.
fn send(bytes: &[u8]) -> Result<()> {
    let mut to = Packet::parse(bytes).context("no IP packet")?.destination;
    to.set_port(0);
    let family = if to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let mouth = socket(family, SocketType::RAW, Some(ipproto::RAW)).context("a raw socket")?;
    sendto(&mouth, bytes, SendFlags::empty(), &to).context(format!("sending to {to}")).map(drop)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}

/// Such a process under this one's control.
pub struct Witness {
    child: Child,
    orders: ChildStdin,
    packets: Receiver<Packet>,
}

impl Witness {
    /// Starts it on a host; when this returns it misses nothing.
    pub fn start(host: &str) -> Result<Witness> {
        let mut child = Command::new("ip")
            .args(["netns", "exec", host, "lab-guest", "witness"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(format!("starting a witness on {host}"))?;
        let orders = child.stdin.take().context("the witness has no input")?;
        let mut lines = BufReader::new(child.stdout.take().context("the witness has no output")?);
        let mut ready = String::new();
        lines.read_line(&mut ready).context("the witness")?;
        if ready.trim() != "ready" {
            return Err(Error::new(format!("the witness on {host} did not start: {ready}")));
        }
        let (sender, packets) = channel();
        thread::spawn(move || {
            for line in lines.lines().map_while(|line| line.ok()) {
                let packet = bytes_of(&line).and_then(|bytes| Packet::parse(&bytes));
                if packet.is_some_and(|packet| sender.send(packet).is_err()) {
                    return;
                }
            }
        });
        Ok(Witness { child, orders, packets })
    }

    /// Sends a packet from the host.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        writeln!(self.orders, "{}", hex(bytes)).context("the witness is gone")
    }

    /// The next packet, if one comes before the deadline.
    pub fn next(&self, deadline: Instant) -> Option<Packet> {
        self.packets.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }

    /// All packets that it has seen until the host has sent one more, which marks the end.
    pub fn until_now(&mut self, mark: &[u8], patience: Duration) -> Result<Vec<Packet>> {
        let wanted = Packet::parse(mark).context("the mark is no packet")?;
        self.send(mark)?;
        let deadline = Instant::now() + patience;
        let mut seen = Vec::new();
        while let Some(packet) = self.next(deadline) {
            if packet.destination == wanted.destination && packet.body == wanted.body {
                return Ok(seen);
            }
            seen.push(packet);
        }
        Err(Error::new("the witness went blind"))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A packet from a host to itself, which no router sees: to mark the end of what a witness saw.
pub fn mark() -> Vec<u8> {
    let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let shape = crate::scenario::Shape::default();
    super::packet::build(here(1), here(1), b"the end", &shape).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_bytes() {
        assert_eq!(hex(&[0x45, 0, 0xff]), "4500ff");
        assert_eq!(bytes_of("4500ff\n").unwrap(), [0x45, 0, 0xff]);
        assert_eq!(bytes_of("45x0"), None);
    }

    #[test]
    fn the_mark_is_a_packet() {
        assert_eq!(Packet::parse(&mark()).unwrap().destination, "127.0.0.1:1".parse().unwrap());
    }
}
