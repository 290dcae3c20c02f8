// SPDX-License-Identifier: GPL-2.0-or-later
//! When commits to nf_tables end and devices come up: the kernel tells, and the instant is kept at
//! which it was heard. Whoever is measured is measured by the same ear.

use crate::error::{Context, Error, Result};
use flowtabled::netlink::message::{Message, Messages};
use flowtabled::netlink::nftables::event::NftEvent;
use flowtabled::netlink::nftables::{NETLINK_NETFILTER, NFNLGRP_NFTABLES};
use flowtabled::netlink::route::{self, LinkEvent, NETLINK_ROUTE, RTNLGRP_LINK};
use flowtabled::netlink::socket::Socket;
use flowtabled::netlink::Error as NetlinkError;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// What takes longer did not happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A commit ended, made by this program (15 bytes of its name at most).
    Commit(String),
    /// The device of this name is on, and a port of a bridge.
    Port(String),
}

type Heard = (Instant, Result<Told>);

/// The ear.
pub struct Watch {
    heard: Receiver<Heard>,
}

impl Watch {
    /// Listens from now on.
    ///
    /// # Errors
    /// The kernel does not let us.
    pub fn start() -> Result<Watch> {
        let (sender, heard) = channel();
        let open = |protocol, group| Socket::open(protocol, &[group], "listen").context("listen");
        let nftables = open(NETLINK_NETFILTER, NFNLGRP_NFTABLES)?;
        listen(nftables, sender.clone(), |message| match NftEvent::parse(message) {
            Ok(NftEvent::Generation(generation)) => Some(Told::Commit(generation.program)),
            _ => None,
        });
        listen(open(NETLINK_ROUTE, RTNLGRP_LINK)?, sender, |message| match route::parse(message) {
            Ok(Some(route::Event::Link(LinkEvent::New(link)))) => {
                let port = link.up && link.master.is_some();
                port.then_some(Told::Port(link.name))
            }
            _ => None,
        });
        Ok(Watch { heard })
    }

    /// Forgets what was heard so far.
    pub fn forget(&self) {
        while self.heard.try_recv().is_ok() {}
    }

    /// Waits until this is told; returns when that was.
    ///
    /// # Errors
    /// It is not, or something may have been missed.
    pub fn wait(&self, wanted: &Told) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let heard = self.heard.recv_timeout(left);
            let (at, told) = heard.context(format!("nobody told of {wanted:?}"))?;
            if told? == *wanted {
                return Ok(at);
            }
        }
    }

    /// How often this was told since what was waited for last, or forgotten.
    ///
    /// # Errors
    /// Something may have been missed.
    pub fn more(&self, wanted: &Told) -> Result<usize> {
        let mut times = 0;
        while let Ok((_, told)) = self.heard.try_recv() {
            times += usize::from(told? == *wanted);
        }
        Ok(times)
    }
}

/// Hears what a socket is told, until nobody wants to know.
fn listen(
    mut socket: Socket,
    sender: Sender<Heard>,
    parse: impl Fn(&Message<'_>) -> Option<Told> + Send + 'static,
) {
    thread::spawn(move || loop {
        let told: Vec<Result<Told>> = match socket.receive_within("listen") {
            Ok(datagram) => {
                Messages::new(datagram).flatten().filter_map(|m| parse(&m)).map(Ok).collect()
            }
            Err(NetlinkError::Timeout { .. }) => Vec::new(),
            Err(e) => vec![Err(Error::new(format!("listening: {e}")))],
        };
        let at = Instant::now();
        for told in told {
            if sender.send((at, told)).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_passed_over_and_counted_apart() {
        let (sender, heard) = channel();
        let watch = Watch { heard };
        let (ours, other) = (Told::Commit("flowtabled".into()), Told::Commit("nft".into()));
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        for (ms, told) in [(1, &other), (2, &ours), (3, &ours), (4, &other)] {
            sender.send((at(ms), Ok(told.clone()))).unwrap();
        }
        assert_eq!(watch.wait(&ours).unwrap(), at(2));
        assert_eq!(watch.more(&ours).unwrap(), 1);
        sender.send((at(5), Ok(ours.clone()))).unwrap();
        watch.forget();
        assert_eq!(watch.more(&ours).unwrap(), 0);
        sender.send((at(6), Err(Error::new("lost")))).unwrap();
        assert!(watch.wait(&ours).is_err());
    }
}
