// SPDX-License-Identifier: GPL-2.0-or-later
//! A netlink socket: large buffers, extended acknowledgements, sequence numbers.
//!
//! Requests that the kernel answers at once (transactions, short lists) are made with
//! [`Socket::dump`] and [`Socket::receive_within`]; long lists and events are drained by the event
//! loop with [`Socket::receive`].

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use netlink_sys::{Socket as KernelSocket, SocketAddr};

use super::attribute::Writer;
use super::ext_ack::{Ack, NLMSG_DONE, NLMSG_ERROR};
use super::message::{self, Message, Messages};
use super::Error;
use crate::sys::{poll, sockopt};

/// Linux never builds a dump datagram larger than this (NLMSG_GOODSIZE grows with the reader's
/// buffer up to 32 KiB; net/netlink/af_netlink.c, netlink_dump).
const DATAGRAM_LEN: usize = 32 * 1024;
/// Room for the events of some thousand changes while the loop is busy; the kernel charges it only
/// while messages wait.
const RECEIVE_BUFFER: u32 = 1 << 20;
/// Room for one transaction, and the kernel takes twice as much: ten tables of ours, each with all the
/// connections and all the entries of rules that there may be, are 4 MB; two are 0.8 MB.
const SEND_BUFFER: u32 = 2048 * 1024;
/// More datagrams than the receive buffer holds: it is twice what is asked for, and each of them is
/// charged with a quarter of a kilobyte at least. After an overrun the kernel delivers nothing more
/// until all are read (net/netlink/af_netlink.c, netlink_rcv_wake), but from then on it does.
const WAITING_MAX: u32 = 2 * RECEIVE_BUFFER / 256;
/// The kernel answers within the send call; this is for the answers that a worker makes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// A dump that keeps being interrupted by other writers is repeated this often.
const DUMP_TRIES: u32 = 8;

/// How a dump ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// What it lists changed meanwhile.
    Interrupted,
    /// The reader had enough.
    Cut,
}

/// One netlink socket bound to a port of its own, non-blocking.
#[derive(Debug)]
pub struct Socket {
    socket: KernelSocket,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket of a netlink family (NETLINK_ROUTE, NETLINK_NETFILTER) and joins the
    /// multicast `groups`.
    ///
    /// # Errors
    /// The socket cannot be made, or joining a group is not allowed.
    pub fn open(protocol: isize, groups: &[u32], doing: &'static str) -> Result<Socket, Error> {
        let wrap = |source: io::Error| Error::Io { doing, source };
        let mut socket = KernelSocket::new(protocol).map_err(wrap)?;
        let port = socket.bind_auto().map_err(wrap)?.port_number();
        socket.set_non_blocking(true).map_err(wrap)?;
        // Kernels before 4.12 lack these two; acknowledgements are then read without them.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        sockopt::receive_buffer(socket.as_fd(), RECEIVE_BUFFER).map_err(wrap)?;
        sockopt::send_buffer(socket.as_fd(), SEND_BUFFER).map_err(wrap)?;
        for &group in groups {
            socket.add_membership(group).map_err(wrap)?;
        }
        Ok(Socket { socket, port, sequence: 0, buffer: Vec::new() })
    }

    /// Joins or leaves a multicast group.
    ///
    /// # Errors
    /// It is not allowed, or there is no such group.
    pub fn set_membership(
        &self,
        group: u32,
        member: bool,
        doing: &'static str,
    ) -> Result<(), Error> {
        let result = match member {
            true => self.socket.add_membership(group),
            false => self.socket.drop_membership(group),
        };
        result.map_err(|source| Error::Io { doing, source })
    }

    /// The netlink port of this socket: events that carry it were caused by its own requests.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// The next unused sequence number; 0 is left to events.
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.sequence
    }

    /// Reserves `count` consecutive sequence numbers and returns the first.
    pub fn reserve_sequences(&mut self, count: u32) -> u32 {
        if self.sequence.checked_add(count).is_none() {
            self.sequence = 0;
        }
        let first = self.sequence + 1;
        self.sequence += count;
        first
    }

    /// Sends one datagram to the kernel.
    ///
    /// # Errors
    /// The send call failed.
    pub fn send(&self, datagram: &[u8], doing: &'static str) -> Result<(), Error> {
        let kernel = SocketAddr::new(0, 0);
        match self.socket.send_to(datagram, &kernel, 0) {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Io { doing, source }),
        }
    }

    /// Receives one datagram of the kernel; `None` when none is waiting. Datagrams of other
    /// processes are dropped.
    ///
    /// # Errors
    /// [`Error::Overrun`] when messages were lost, otherwise what the receive call reports.
    pub fn receive(&mut self, doing: &'static str) -> Result<Option<&[u8]>, Error> {
        loop {
            // Not filled with zeros: what no datagram has needed yet takes no memory.
            self.buffer.clear();
            self.buffer.reserve_exact(DATAGRAM_LEN);
            match self.socket.recv_from(&mut self.buffer, 0) {
                Ok((_, sender)) if sender.port_number() != 0 => continue,
                Ok(_) => return Ok(Some(&self.buffer)),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(None),
                    Some(libc::EINTR) => continue,
                    Some(libc::ENOBUFS) => return Err(Error::Overrun),
                    _ => return Err(Error::Io { doing, source: error }),
                },
            }
        }
    }

    /// The datagram that [`Socket::receive`] gave last; empty when it gave none.
    pub fn received(&self) -> &[u8] {
        &self.buffer
    }

    /// Gives back the room for datagrams, and the last one with it, until the next one comes: a daemon
    /// that waits keeps none for each of its sockets.
    pub fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    /// Like [`Socket::receive`], but waits for the answer.
    ///
    /// # Errors
    /// As [`Socket::receive`], and [`Error::Timeout`].
    pub fn receive_within(&mut self, doing: &'static str) -> Result<&[u8], Error> {
        let waited = poll::readable(self.socket.as_fd(), ANSWER_TIMEOUT);
        if !waited.map_err(|source| Error::Io { doing, source })? {
            return Err(Error::Timeout { doing });
        }
        match self.receive(doing)? {
            Some(datagram) => Ok(datagram),
            None => Err(Error::Timeout { doing }),
        }
    }

    /// Throws away everything that waits, so that a late answer cannot be taken for a new one. Of what
    /// comes meanwhile some may be left, newer than all that was lost before.
    pub fn discard_stale(&mut self) {
        discard(|| {
            let received = self.receive("discard stale answers");
            matches!(received, Ok(Some(_)) | Err(Error::Overrun))
        });
    }

    /// Lists objects: sends the request of type `kind` whose body `fill` writes, and calls `each`
    /// with the list so far and every answer. A list that changed while it was read is read again
    /// from the start.
    ///
    /// # Errors
    /// A refusal by the kernel, [`Error::Interrupted`], or the first error of `each`.
    pub fn dump<T>(
        &mut self,
        doing: &'static str,
        kind: u16,
        fill: impl Fn(&mut Writer),
        each: impl Fn(&mut Vec<T>, &Message<'_>) -> Result<(), Error>,
    ) -> Result<Vec<T>, Error> {
        let each = |list: &mut Vec<T>, message: &Message<'_>| {
            each(list, message).map(ControlFlow::Continue)
        };
        self.dump_tries(doing, kind, fill, each).map(|(items, _)| items)
    }

    /// Lists objects like [`Socket::dump`] until `each` breaks; false when it did. The socket is of no
    /// use afterwards, for the kernel begins no other list while the rest of this one waits.
    ///
    /// # Errors
    /// As [`Socket::dump`].
    pub fn dump_some<T>(
        mut self,
        doing: &'static str,
        kind: u16,
        fill: impl Fn(&mut Writer),
        each: impl Fn(&mut Vec<T>, &Message<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(Vec<T>, bool), Error> {
        self.dump_tries(doing, kind, fill, each)
    }

    fn dump_tries<T>(
        &mut self,
        doing: &'static str,
        kind: u16,
        fill: impl Fn(&mut Writer),
        each: impl Fn(&mut Vec<T>, &Message<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(Vec<T>, bool), Error> {
        let mut items = Vec::new();
        for _ in 0..DUMP_TRIES {
            items.clear();
            let mut each = |message: &Message<'_>| each(&mut items, message);
            match self.dump_once(doing, kind, &fill, &mut each)? {
                End::Whole => return Ok((items, true)),
                End::Cut => return Ok((items, false)),
                End::Interrupted => (),
            }
        }
        Err(Error::Interrupted { doing })
    }

    /// Not generic, so that the code exists once.
    fn dump_once(
        &mut self,
        doing: &'static str,
        kind: u16,
        fill: &dyn Fn(&mut Writer),
        each: &mut dyn FnMut(&Message<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<End, Error> {
        self.discard_stale();
        let sequence = self.next_sequence();
        self.send(&message::request(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, fill), doing)?;
        let mut consistent = true;
        loop {
            let datagram = match self.receive_within(doing) {
                Err(Error::Overrun) => return Ok(End::Interrupted),
                other => other?,
            };
            for message in Messages::new(datagram) {
                let message = message.map_err(|error| Error::malformed("answer", &error))?;
                if message.sequence != sequence {
                    continue;
                }
                consistent &= message.flags & NLM_F_DUMP_INTR == 0;
                match message.kind {
                    // The end of a dump carries an error code of its own, 0 or negative.
                    NLMSG_DONE | NLMSG_ERROR if failed(&message) => {
                        return Err(Error::refused(doing, &message))
                    }
                    NLMSG_DONE if consistent => return Ok(End::Whole),
                    NLMSG_DONE => return Ok(End::Interrupted),
                    NLMSG_ERROR => (),
                    _ if each(&message)?.is_break() => return Ok(End::Cut),
                    _ => (),
                }
            }
        }
    }

    /// Asks for one object: sends the request and calls `answer` with the first message back.
    ///
    /// # Errors
    /// A refusal by the kernel, a time-out, or the error of `answer`.
    pub fn get<T>(
        &mut self,
        doing: &'static str,
        kind: u16,
        fill: impl FnOnce(&mut Writer),
        answer: impl Fn(&Message<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.discard_stale();
        let sequence = self.next_sequence();
        self.send(&message::request(kind, NLM_F_REQUEST, sequence, fill), doing)?;
        loop {
            let datagram = self.receive_within(doing)?;
            for message in Messages::new(datagram) {
                let message = message.map_err(|error| Error::malformed("answer", &error))?;
                match (message.sequence == sequence, message.kind) {
                    (true, NLMSG_ERROR) => return Err(Error::refused(doing, &message)),
                    (true, _) => return answer(&message),
                    (false, _) => (),
                }
            }
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Calls `one` for each datagram that may wait, until it finds none.
fn discard(mut one: impl FnMut() -> bool) {
    for _ in 0..WAITING_MAX {
        if !one() {
            return;
        }
    }
}

fn failed(message: &Message<'_>) -> bool {
    Ack::parse(message).is_some_and(|ack| ack.errno != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discarding_ends_though_events_never_do() {
        let mut read = 0;
        discard(|| {
            read += 1;
            true
        });
        assert_eq!(read, WAITING_MAX);
        let mut left = 9;
        discard(|| {
            left -= 1;
            left > 0
        });
        assert_eq!(left, 0);
    }
}
