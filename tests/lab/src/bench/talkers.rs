// SPDX-License-Identifier: GPL-2.0-or-later
//! Connections with real packets among those that are only entries: what they carry is known to the
//! byte by the kernel, and has to be by the daemon.

use crate::command::run_with_input;
use crate::error::{Context, Result};
use std::fs;
use std::net::UdpSocket;
use std::process::Command;

/// Connections that send.
pub const TALKERS: u32 = 64;
/// The kernel follows the connections of a namespace that has a rule which asks for them.
const RULES: &str = "\
table inet talkers {
	chain output {
		type filter hook output priority 0;
		ct state new accept
	}
}
";
/// Seconds without a packet after which the kernel would forget one.
const TIMEOUT: (&str, &str) = ("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "36000");
/// Bytes of the shortest datagram; that of each talker is longer by one.
const SHORTEST: usize = 100;

/// Their sockets.
#[derive(Debug)]
pub struct Talkers {
    sockets: Vec<UdpSocket>,
    /// Nobody reads: what it has no room for is lost behind conntrack.
    _listener: UdpSocket,
}

impl Talkers {
    /// Begins their connections; needs a namespace of its own, with loopback up.
    ///
    /// # Errors
    /// nft or the kernel refuses.
    pub fn new() -> Result<Talkers> {
        run_with_input(Command::new("nft").args(["-f", "-"]), RULES)?;
        fs::write(TIMEOUT.0, TIMEOUT.1).context(TIMEOUT.0)?;
        let open = || UdpSocket::bind(("127.0.0.1", 0)).context("opening a talker's socket");
        let listener = open()?;
        let to = listener.local_addr().context("the listener's address")?;
        let sockets = (0..TALKERS)
            .map(|_| {
                let socket = open()?;
                socket.connect(to).context("connecting a talker")?;
                Ok(socket)
            })
            .collect::<Result<Vec<_>>>()?;
        let talkers = Talkers { sockets, _listener: listener };
        (0..talkers.sockets.len()).try_for_each(|turn| talkers.say(turn))?;
        Ok(talkers)
    }

    /// The next one in turn sends a datagram.
    ///
    /// # Errors
    /// It cannot.
    pub fn say(&self, turn: usize) -> Result<()> {
        let place = turn % self.sockets.len().max(1);
        let socket = self.sockets.get(place).context("no talkers")?;
        socket.send(&vec![0; SHORTEST + place]).context("sending a datagram").map(drop)
    }
}
