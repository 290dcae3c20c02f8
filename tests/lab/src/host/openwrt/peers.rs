// SPDX-License-Identifier: GPL-2.0-or-later
//! The hosts beside an image: a second machine with the lab's own kernel, a card on the image's LAN and one
//! on its second WAN, and the guest's driver, which opens connections between the two on command.

use super::console::Console;
use super::wires::{End, Wires};
use super::{LABWAN, LAN};
use crate::error::{Context, Error, Result};
use crate::host::{artifacts, initramfs, kernel, machine, paths, suite};
use crate::scenario::FlowKind;
use std::net::SocketAddr;
use std::time::Duration;

/// The lab's base kernel, whatever the image runs on.
const KERNEL: &str = "6.1";
/// Emulated, beside another machine that boots.
const BOOT: Duration = Duration::from_secs(300);
/// A command; a reply that is lost takes some seconds to be missed.
const COMMAND: Duration = Duration::from_secs(120);

/// Addresses of the cards: QEMU gives the first cards of any machine the same.
const MACS: [&str; 2] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];

/// The hosts.
pub struct Peers {
    console: Console,
}

/// A connection that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The server's port.
    pub port: u16,
    /// Who the server sees calling.
    pub caller: SocketAddr,
}

impl Peers {
    /// Switches the machine on; it comes up while others do.
    pub fn start(wires: &Wires) -> Result<Peers> {
        let source = kernel::source(KERNEL)?;
        suite::ensure_tools(source.architecture)?;
        let kernel = source.kernel()?;
        let archive = initramfs::pack_peers(&kernel, &artifacts::driver()?)?;
        let mut command = machine::qemu(&kernel, &archive, "peers");
        for (cable, mac) in [LAN, LABWAN].into_iter().zip(MACS) {
            command.args(["-netdev", &wires.netdev(cable, End::Hosts)?]);
            command.args(["-device", &format!("virtio-net-pci,netdev={cable},mac={mac},romfile=")]);
        }
        command.args(["-serial", "stdio", "-monitor", "none"]);
        let log = paths::cache("logs")?.join("openwrt-peers.log");
        Ok(Peers { console: Console::start(command, log)? })
    }

    /// Waits until they can be asked.
    pub fn wait(&mut self) -> Result<()> {
        answer(&self.console.answer(BOOT)?).map(drop).context("the hosts beside the image")
    }

    /// Opens a connection from the LAN to the WAN under a name, and makes a round trip.
    pub fn open(&mut self, name: &str, kind: FlowKind) -> Result<Opened> {
        opened(&self.ask(&format!("open {name} {}", kind.name()))?)
    }

    /// Makes round trips.
    pub fn exchange(&mut self, name: &str, rounds: u32) -> Result<()> {
        self.ask(&format!("exchange {name} {rounds}")).map(drop)
    }

    /// Starts round trips that go on until [`Peers::stop`].
    pub fn stream(&mut self, name: &str) -> Result<()> {
        self.ask(&format!("stream {name}")).map(drop)
    }

    /// Ends them; an error if one was lost or none was made.
    pub fn stop(&mut self, name: &str) -> Result<()> {
        self.ask(&format!("stop {name}")).map(drop)
    }

    fn ask(&mut self, order: &str) -> Result<String> {
        let line = self.console.ask(order, COMMAND)?;
        answer(&line).context(format!("the hosts: {order}"))
    }
}

fn answer(line: &str) -> Result<String> {
    match line.trim().split_once(' ') {
        Some(("ok", text)) => Ok(text.to_string()),
        Some(("error", why)) => Err(Error::new(why)),
        _ => Err(Error::new(format!("no answer: {line:?}"))),
    }
}

fn opened(text: &str) -> Result<Opened> {
    let (port, caller) =
        text.split_once(' ').context(format!("not a port and a caller: {text}"))?;
    Ok(Opened {
        port: port.parse().context("the port")?,
        caller: caller.parse().context("the caller")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert_eq!(answer("ok 12\r\n").unwrap(), "12");
        assert_eq!(answer("error no reply\r").unwrap_err().to_string(), "no reply");
        assert!(answer("[ 1.0] virtio").is_err());
        let opened = opened("7002 [fd00:1::2]:40000").unwrap();
        assert_eq!((opened.port, opened.caller.port()), (7002, 40000));
        assert!(super::opened("7002").is_err());
    }
}
