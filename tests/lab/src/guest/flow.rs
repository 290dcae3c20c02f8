// SPDX-License-Identifier: GPL-2.0-or-later
//! One connection through the router: its server and client processes and what the router's
//! conntrack and firewall say about it.

use super::peer::{LARGE_LEN, MESSAGE_LEN};
use super::probe::{Ends, Watch};
use super::{engine, look};
use crate::command::run;
use crate::error::{Context, Error, Result};
use crate::scenario::{FlowKind, Shape};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Ports count up from here, so that a port names a flow.
pub const FIRST_PORT: u16 = 7001;

/// Bytes of the UDP header, and of the IP headers below it, without options or extensions.
const UDP_HEADER: u64 = 8;
const IPV4_HEADER: u64 = 20;
const IPV6_HEADER: u64 = 40;

/// A connection that is kept open.
pub struct Flow {
    /// Protocol and family.
    pub kind: FlowKind,
    /// The port that the client connects to.
    pub port: u16,
    /// The host that opened it.
    pub from: String,
    /// The host that answers.
    pub to: String,
    server: Child,
    server_orders: ChildStdin,
    server_says: BufReader<ChildStdout>,
    client: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    streaming: bool,
    /// Bytes of the messages of the round trips that are under way.
    message: usize,
    /// Round trips made, those of ended streams included.
    rounds: u64,
    /// Bytes that they sent, without headers.
    payload: u64,
}

/// A flow at one moment.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The path that conntrack shows.
    pub path: &'static str,
    /// Packets in both directions as conntrack's accounting has them.
    pub packets: u64,
    /// Packets of flows of this kind that the firewall's forward chain saw.
    pub forwarded: u64,
}

fn spawn_peer(host: &str, args: &[&str]) -> Result<Child> {
    Command::new("ip")
        .args(["netns", "exec", host, "lab-guest"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context(format!("starting a peer on {host}"))
}

impl Flow {
    /// Starts the server at the second host's port `served` and connects from the first host to
    /// `address` and `port`.
    pub fn open(
        kind: FlowKind,
        (from, to): (&str, &str),
        served: u16,
        (address, port): (&str, u16),
    ) -> Result<Flow> {
        let protocol = if kind.tcp { "tcp" } else { "udp" };
        let mut server = spawn_peer(to, &["echo", protocol, &served.to_string()])?;
        let server_orders = server.stdin.take().context("the server has no input")?;
        let stdout = server.stdout.take().context("the server has no output")?;
        let mut server_says = BufReader::new(stdout);
        let mut line = String::new();
        server_says.read_line(&mut line).context("the server")?;
        if line.trim() != "ready" {
            return Err(Error::new(format!("the server on {to} did not start: {line}")));
        }
        let target =
            if kind.v6 { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
        let mut client = spawn_peer(from, &["client", protocol, &target])?;
        let orders = client.stdin.take().context("the client has no input")?;
        let answers = BufReader::new(client.stdout.take().context("the client has no output")?);
        let mut flow = Flow {
            kind,
            port,
            from: from.to_string(),
            to: to.to_string(),
            server,
            server_orders,
            server_says,
            client,
            orders,
            answers,
            streaming: false,
            message: MESSAGE_LEN,
            rounds: 0,
            payload: 0,
        };
        flow.answer()?;
        // UDP is assured by packets more than two seconds apart: the sooner the first, the better.
        flow.exchange(1)?;
        Ok(flow)
    }

    fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}").context("the client is gone")
    }

    fn answer(&mut self) -> Result<u32> {
        let mut line = String::new();
        self.answers.read_line(&mut line).context("the client is gone")?;
        match line.trim().strip_prefix("ok ").map(str::parse) {
            Some(Ok(rounds)) => {
                self.rounds += u64::from(rounds);
                self.payload += u64::from(rounds) * self.message as u64;
                Ok(rounds)
            }
            _ => Err(Error::new(format!("the client: {}", line.trim()))),
        }
    }

    /// Makes round trips and waits for the last reply.
    pub fn exchange(&mut self, rounds: u32) -> Result<()> {
        if self.streaming {
            return Err(Error::new("the flow is streaming, its packets cannot be counted"));
        }
        self.order(&format!("exchange {rounds}"))?;
        self.answer().map(drop)
    }

    /// Starts round trips that go on beside the following steps, with messages that fill a packet if
    /// they are to be large.
    pub fn start_stream(&mut self, large: bool) -> Result<()> {
        self.streaming = true;
        if large {
            self.message = LARGE_LEN;
        }
        self.order(if large { "large" } else { "stream" })
    }

    /// Large round trips with pauses that leave the guest's processor to others.
    pub fn start_gentle(&mut self) -> Result<()> {
        self.streaming = true;
        self.message = LARGE_LEN;
        self.order("gentle")
    }

    /// Round trips are being made.
    pub fn is_streaming(&self) -> bool {
        self.streaming
    }

    /// Ends them; an error if one was lost or none was made.
    pub fn stop_stream(&mut self) -> Result<u32> {
        self.order("stop")?;
        self.streaming = false;
        let answer = self.answer();
        self.message = MESSAGE_LEN;
        match answer? {
            0 => Err(Error::new("the stream made no round trip at all")),
            rounds => Ok(rounds),
        }
    }

    /// Ends the connection, by a reset or in good order; an error if what the server had to say
    /// after our end was lost.
    pub fn close(&mut self, reset: bool) -> Result<()> {
        self.order(if reset { "reset" } else { "close" })?;
        self.answer().map(drop)
    }

    /// Starts datagrams at a steady rate, which go on whether or not they are answered.
    pub fn start_steady(&mut self) -> Result<()> {
        self.streaming = true;
        self.order("steady")
    }

    /// What is seen of the replies counts from now.
    pub fn mark_steady(&mut self) -> Result<()> {
        self.order("mark")?;
        self.answer().map(drop)
    }

    /// Ends them.
    pub fn stop_steady(&mut self) -> Result<()> {
        self.order("stop")?;
        self.streaming = false;
        self.answer().map(drop)
    }

    /// The next address and port that the server has been called from; there is one as soon as the
    /// flow is open.
    pub fn caller(&mut self) -> Result<String> {
        let mut line = String::new();
        self.server_says.read_line(&mut line).context("the server is gone")?;
        let caller = line.trim().strip_prefix("caller ");
        Ok(caller.context(format!("the server: {line}"))?.to_string())
    }

    /// All addresses and ports that the server has been called from so far, sorted: one, unless the
    /// router's translation of the flow has changed.
    pub fn callers(&mut self) -> Result<Json> {
        writeln!(self.server_orders, "callers").context("the server is gone")?;
        loop {
            let mut line = String::new();
            self.server_says.read_line(&mut line).context("the server is gone")?;
            match line.trim().split_once(' ') {
                // Told when it called first.
                Some(("caller", _)) => {}
                Some(("callers", all)) => return Ok(all.split(' ').collect()),
                _ => return Err(Error::new(format!("the server: {line}"))),
            }
        }
    }

    /// A key of what was seen of the replies.
    pub fn steady(&mut self, pointer: &str) -> Result<Json> {
        self.order("look")?;
        let mut line = String::new();
        self.answers.read_line(&mut line).context("the client is gone")?;
        let seen = line.trim().strip_prefix("seen ").context(format!("the client: {line}"))?;
        let seen: Json = serde_json::from_str(seen).context("what the client has seen")?;
        Ok(seen.pointer(pointer).cloned().unwrap_or(Json::Null))
    }

    /// The path that conntrack shows: `none`, `new`, `assured`, `offload` or `hw_offload`. A
    /// packet passes first, unless the flow streams anyway, because only packets move a flow.
    pub fn path(&mut self) -> Result<Json> {
        if !self.streaming {
            self.exchange(1)?;
        }
        Ok(path_of(&self.listing()?).into())
    }

    /// What conntrack says about the flow; empty when it knows nothing.
    fn listing(&self) -> Result<String> {
        let family = if self.kind.v6 { "ipv6" } else { "ipv4" };
        let protocol = if self.kind.tcp { "tcp" } else { "udp" };
        let port = self.port.to_string();
        run(Command::new("conntrack")
            .args(["-L", "-f", family, "-p", protocol])
            .args(["--orig-port-dst", &port]))
    }

    /// The flow at this moment, for the live view.
    pub fn sample(&self) -> Result<Sample> {
        let listing = self.listing()?;
        let packets = packets_of(&listing);
        Ok(Sample { path: path_of(&listing), packets, forwarded: counted(self.kind)? })
    }

    /// Packets that the firewall's forward chain saw during so many round trips.
    pub fn forwarded(&mut self, rounds: u32) -> Result<Json> {
        let before = counted(self.kind)?;
        self.exchange(rounds)?;
        Ok(counted(self.kind)?.saturating_sub(before).into())
    }

    /// A key of what arrived at either host during so many round trips.
    pub fn received(&mut self, rounds: u32, pointer: &str) -> Result<Json> {
        let watch = self.watch()?;
        self.exchange(rounds)?;
        Ok(look::at(&watch.arrived(rounds)?, pointer))
    }

    /// A key of what became of one packet that was sent into the flow; `forwarded` is how many
    /// packets of this kind of flow the firewall's forward chain saw meanwhile, and the echo.
    pub fn probe(&mut self, shape: &Shape, pointer: &str) -> Result<Json> {
        if self.kind.tcp || self.streaming {
            return Err(Error::new(
                "only a UDP flow that does not stream takes a packet from aside",
            ));
        }
        let watch = self.watch()?;
        let before = counted(self.kind)?;
        let mut report = watch.probe(shape)?;
        if let Some(keys) = report.as_object_mut() {
            let seen = counted(self.kind)?.saturating_sub(before);
            keys.insert("forwarded".into(), seen.into());
        }
        Ok(look::at(&report, pointer))
    }

    fn watch(&self) -> Result<Watch> {
        Watch::start(Ends::parse(&self.listing()?)?, &self.from, &self.to)
    }

    /// Packets that simulated hardware forwarded during so many round trips.
    pub fn engine_forwarded(&mut self, rounds: u32) -> Result<Json> {
        let before = engine::counts()?.forwarded;
        self.exchange(rounds)?;
        Ok(engine::counts()?.forwarded.saturating_sub(before).into())
    }

    /// Packets that simulated hardware left to the router's stack during so many round trips.
    pub fn punted(&mut self, rounds: u32) -> Result<Json> {
        let before = engine::counts()?.punted;
        self.exchange(rounds)?;
        Ok(engine::counts()?.punted.saturating_sub(before).into())
    }

    /// Bytes of the IP packets that the round trips were, each way. One datagram is one packet, so
    /// for UDP this is known; how TCP cuts its stream into packets is not.
    pub fn sent(&self) -> Result<Json> {
        if self.kind.tcp || self.streaming {
            return Err(Error::new("only what a UDP flow sent that does not stream is known"));
        }
        let ip_header = if self.kind.v6 { IPV6_HEADER } else { IPV4_HEADER };
        Ok((self.payload + self.rounds * (UDP_HEADER + ip_header)).into())
    }

    /// A key of the flow as the daemon lists it; null when it does not.
    pub fn listed(&self, pointer: &str) -> Result<Json> {
        look::flow(self.protocol(), self.port, pointer)
    }

    /// A key of what the daemon explains about the flow.
    pub fn explained(&self, pointer: &str) -> Result<Json> {
        look::explained(self.protocol(), self.port, pointer)
    }

    fn protocol(&self) -> &'static str {
        if self.kind.tcp {
            "tcp"
        } else {
            "udp"
        }
    }
}

/// Packets of flows of this kind that the firewall's forward chain has seen so far.
pub fn counted(kind: FlowKind) -> Result<u64> {
    let args = ["-j", "list", "counter", "inet", "fw4", kind.name()];
    let text = run(Command::new("nft").args(args))?;
    counter_packets(&text).context(format!("no counter in nft's reply: {text}"))
}

impl Drop for Flow {
    fn drop(&mut self) {
        for child in [&mut self.client, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn path_of(listing: &str) -> &'static str {
    let Some(line) = listing.lines().find(|line| line.contains("dport=")) else { return "none" };
    if line.contains("[HW_OFFLOAD]") {
        "hw_offload"
    } else if line.contains("[OFFLOAD]") {
        "offload"
    } else if line.contains("[ASSURED]") {
        "assured"
    } else {
        "new"
    }
}

/// Sum of both directions' `packets=` in a conntrack line.
fn packets_of(listing: &str) -> u64 {
    let words = listing.split_whitespace().filter_map(|word| word.strip_prefix("packets="));
    words.filter_map(|number| number.parse::<u64>().ok()).sum()
}

fn counter_packets(text: &str) -> Option<u64> {
    let reply: Json = serde_json::from_str(text).ok()?;
    let objects = reply.get("nftables")?.as_array()?;
    objects.iter().find_map(|object| object.pointer("/counter/packets")?.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conntracks_words() {
        let line = "tcp      6 src=192.168.1.2 dst=203.0.113.2 sport=40000 dport=7001 [OFFLOAD]";
        assert_eq!(path_of(&format!("{line} mark=0 use=3\n")), "offload");
        assert_eq!(path_of(&line.replace("[OFFLOAD]", "[HW_OFFLOAD]")), "hw_offload");
        assert_eq!(path_of(&line.replace("[OFFLOAD]", "[ASSURED]")), "assured");
        assert_eq!(path_of("udp 17 29 src=1.1.1.1 dport=1 [UNREPLIED]"), "new");
        assert_eq!(path_of(""), "none");
        assert_eq!(packets_of("tcp 6 packets=3 bytes=9 src=x packets=4 bytes=7 [OFFLOAD]"), 7);
    }

    #[test]
    fn nfts_counter() {
        let text = r#"{"nftables": [{"metainfo": {}}, {"counter": {"packets": 7, "bytes": 9}}]}"#;
        assert_eq!(counter_packets(text), Some(7));
        assert_eq!(counter_packets("{}"), None);
    }
}
