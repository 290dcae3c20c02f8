// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's packet generator, pktgen: a burst of UDP packets from a host, and what making them and
//! all that they met took.
//!
//! The generator belongs to the network namespace of whoever writes to its files, so a process in the
//! host's namespace does that, and takes its orders by lines: `again` forgets all, `start` sends and
//! answers with the generator's result, and any other line is for the generator. No shell is between,
//! whose forks would take longer than the burst.

use crate::error::{Context, Error, Result};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const CONTROL: &str = "/proc/net/pktgen/pgctrl";
/// The generator's thread on the only processor.
const THREAD: &str = "/proc/net/pktgen/kpktgend_0";
const DEVICE: &str = "/proc/net/pktgen/eth0";
/// Bytes from the Ethernet header on, as the generator counts them; what a packet of IPv6 needs more,
/// it gets.
const PACKET_LEN: u32 = 64;
/// Source port of the first flow; the others follow.
pub const FIRST_PORT: u16 = 10_000;

/// The process itself.
///
/// # Errors
/// The kernel has no generator, or its orders end in the middle.
pub fn serve() -> Result<()> {
    println!("ready");
    // Whatever the generator refuses makes the whole burst another one than was asked for.
    let mut refused = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("reading orders")?;
        match line.as_str() {
            "again" => {
                refused = order(THREAD, "rem_device_all").err();
                refused = refused.or(order(THREAD, "add_device eth0").err());
            }
            "start" => {
                let result = match refused.take() {
                    None => order(CONTROL, "start").and_then(|()| result()),
                    Some(e) => Err(e),
                };
                match result {
                    Ok(text) => println!("{text}"),
                    Err(e) => println!("error {e}"),
                }
            }
            other => refused = refused.or(order(DEVICE, other).err()),
        }
    }
    Ok(())
}

/// Each order is a write of its own.
fn order(file: &str, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().write(true).open(file).context(file)?;
    file.write_all(format!("{text}\n").as_bytes()).context(format!("pktgen: {text}"))
}

fn result() -> Result<String> {
    let text = fs::read_to_string(DEVICE).context(DEVICE)?;
    let (_, result) = text.split_once("Result:").context("pktgen has no result")?;
    Ok(result.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Where packets come from and go to.
#[derive(Debug, Clone)]
pub struct Way {
    /// Their source.
    pub from: IpAddr,
    /// Their destination, of the same family.
    pub to: IpAddr,
    /// Their destination's port.
    pub port: u16,
    /// The MAC address of the router.
    pub router: String,
    /// The VLAN that they are tagged with.
    pub vlan: Option<u16>,
}

/// A burst: packet after packet, of the flows in turns.
#[derive(Debug, Clone, Copy)]
pub struct Burst {
    /// Packets.
    pub packets: u32,
    /// Flows, which differ in their source port.
    pub flows: u32,
    /// Between the beginnings of two packets.
    pub pause: Duration,
    /// With checksums, without which no host takes them over IPv6.
    pub checksums: bool,
}

/// What the generator is told to do.
fn orders(way: &Way, burst: &Burst) -> Vec<String> {
    let Way { from, to, port, router, vlan } = way;
    let mut orders: Vec<String> = [
        format!("count {}", burst.packets),
        format!("delay {}", burst.pause.as_nanos()),
        format!("pkt_size {PACKET_LEN}"),
        format!("dst_mac {router}"),
        format!("udp_dst_min {port}"),
        format!("udp_dst_max {port}"),
        format!("udp_src_min {FIRST_PORT}"),
        // The first port that is not used, or the only one.
        match burst.flows {
            0 | 1 => format!("udp_src_max {FIRST_PORT}"),
            flows => format!("udp_src_max {}", u32::from(FIRST_PORT).saturating_add(flows)),
        },
    ]
    .into();
    orders.extend(match from {
        IpAddr::V4(from) => [format!("src_min {from}"), format!("src_max {from}")].to_vec(),
        IpAddr::V6(from) => vec![format!("src6 {from}")],
    });
    orders.extend(match to {
        IpAddr::V4(to) => [format!("dst_min {to}"), format!("dst_max {to}")].to_vec(),
        IpAddr::V6(to) => vec![format!("dst6 {to}")],
    });
    orders.extend(vlan.map(|id| format!("vlan_id {id}")));
    orders.extend(burst.checksums.then(|| "flag UDPCSUM".to_string()));
    orders
}

/// What became of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// From the first packet to the last one's end, all that happened meanwhile included. Where the clock
    /// counts instructions, each is a nanosecond.
    pub elapsed_us: u64,
    /// Of it, while other programs ran.
    pub idle_us: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that the device refused.
    pub errors: u64,
}

impl Sent {
    /// Reads `OK: 29555(c29540+d15) usec, 5000 (64byte,0frags) ... errors: 0`.
    pub fn parse(text: &str) -> Option<Sent> {
        let rest = text.trim().strip_prefix("OK: ")?;
        let (elapsed, rest) = rest.split_once("(c")?;
        let (busy_and_idle, rest) = rest.split_once(") usec, ")?;
        let (_, idle) = busy_and_idle.split_once("+d")?;
        let (packets, rest) = rest.split_once(' ')?;
        let (_, errors) = rest.split_once("errors: ")?;
        Some(Sent {
            elapsed_us: elapsed.parse().ok()?,
            idle_us: idle.parse().ok()?,
            packets: packets.parse().ok()?,
            errors: errors.split_whitespace().next()?.parse().ok()?,
        })
    }
}

/// Such a process under this one's control.
pub struct Generator {
    child: Child,
    orders: ChildStdin,
    results: BufReader<ChildStdout>,
}

impl Generator {
    /// Starts it on a host.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(host: &str) -> Result<Generator> {
        let mut child = Command::new("ip")
            .args(["netns", "exec", host, "lab-guest", "generator"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(format!("starting the generator on {host}"))?;
        let orders = child.stdin.take().context("the generator has no input")?;
        let output = child.stdout.take().context("the generator has no output")?;
        let mut generator = Generator { child, orders, results: BufReader::new(output) };
        match generator.answer()?.as_str() {
            "ready" => Ok(generator),
            other => Err(Error::new(format!("the generator on {host} did not start: {other}"))),
        }
    }

    /// Sends a burst, and returns when its last packet is gone.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn send(&mut self, way: &Way, burst: &Burst) -> Result<Sent> {
        let mut text = String::from("again\n");
        for order in orders(way, burst) {
            let _ = writeln!(text, "{order}");
        }
        text.push_str("start\n");
        self.orders.write_all(text.as_bytes()).context("the generator is gone")?;
        let answer = self.answer()?;
        Sent::parse(&answer).context(format!("the generator: {answer}"))
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.results.read_line(&mut line).context("the generator")?;
        Ok(line.trim().to_string())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(from: &str, to: &str, vlan: Option<u16>) -> Way {
        let router = "02:00:00:00:00:01".into();
        Way { from: from.parse().unwrap(), to: to.parse().unwrap(), port: 7, router, vlan }
    }

    const BURST: Burst = Burst { packets: 5000, flows: 1, pause: Duration::ZERO, checksums: false };

    #[test]
    fn results_are_read() {
        let text = "OK: 29555(c29540+d15) usec, 5000 (64byte,0frags) 169176pps 86Mb/sec \
                    (86618112bps) errors: 3";
        let sent = Sent { elapsed_us: 29_555, idle_us: 15, packets: 5000, errors: 3 };
        assert_eq!(Sent::parse(text), Some(sent));
        for text in ["", "Idle", "error no such device", "OK: 1(c1+d0) usec"] {
            assert_eq!(Sent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ports_of_flows() {
        let way = way("192.168.1.2", "203.0.113.2", Some(10));
        let one = orders(&way, &BURST);
        for order in ["count 5000", "delay 0", "udp_src_max 10000", "dst_max 203.0.113.2"] {
            assert!(one.iter().any(|line| line == order), "{order}: {one:?}");
        }
        assert!(one.contains(&"vlan_id 10".to_string()));
        let many = orders(&way, &Burst { flows: 16_000, ..BURST });
        assert!(many.contains(&"udp_src_max 26000".to_string()), "{many:?}");
    }

    #[test]
    fn the_other_family_has_orders_of_its_own() {
        let burst = Burst { pause: Duration::from_micros(500), checksums: true, ..BURST };
        let orders = orders(&way("fd00:1::2", "fd00:2::2", None), &burst);
        for order in ["src6 fd00:1::2", "dst6 fd00:2::2", "delay 500000", "flag UDPCSUM"] {
            assert!(orders.iter().any(|line| line == order), "{order}: {orders:?}");
        }
        assert!(!orders.iter().any(|line| line.starts_with("vlan_id")));
    }
}
