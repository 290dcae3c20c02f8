// SPDX-License-Identifier: GPL-2.0-or-later
//! Conntrack, asked and changed synchronously: single entries, and lists short enough to wait for.
//!
//! The event loop reads long lists and events itself, with `request`, `Entry` and `CtEvent`.

use netlink_packet_core::NLM_F_ACK;

use super::entry::Entry;
use super::request::{self, Change, Filter, NewEntry};
use super::tuple::Tuple;
use super::{kind, IPCTNL_MSG_CT_GET};
use crate::netlink::ext_ack::{Ack, NLMSG_ERROR};
use crate::netlink::message::Messages;
use crate::netlink::nftables::NETLINK_NETFILTER;
use crate::netlink::socket::Socket;
use crate::netlink::{Error, Refusal};

/// Entries made or ended with one send call. Should all be refused, their errors still fit the socket's
/// receive buffer.
const BATCH_ENTRIES: usize = 256;

/// A socket to conntrack.
#[derive(Debug)]
pub struct Conntrack {
    socket: Socket,
}

impl Conntrack {
    /// Opens the socket.
    ///
    /// # Errors
    /// The kernel has no nfnetlink, or the process may not open it.
    pub fn open() -> Result<Conntrack, Error> {
        let socket = Socket::open(NETLINK_NETFILTER, &[], "open the conntrack socket")?;
        Ok(Conntrack { socket })
    }

    /// The netlink port: events that carry it were caused through this handle.
    pub fn port(&self) -> u32 {
        self.socket.port()
    }

    /// The entries that match, in no order; while connections come and go one may be missing or
    /// come twice.
    ///
    /// # Errors
    /// A refusal by the kernel, a time-out, or an answer that cannot be understood.
    pub fn list(&mut self, filter: &Filter) -> Result<Vec<Entry>, Error> {
        let fill = |writer: &mut _| filter.emit(writer);
        let number = kind(IPCTNL_MSG_CT_GET);
        self.socket.dump("list conntrack entries", number, fill, |list, message| {
            let entry = Entry::parse(message)
                .map_err(|error| Error::malformed("conntrack entry", &error))?;
            list.extend(entry.filter(|entry| filter.matches(entry)));
            Ok(())
        })
    }

    /// The entry that `tuple`, of either direction, belongs to; `None` when there is none.
    ///
    /// # Errors
    /// As [`Conntrack::list`]; a refusal names the tuple.
    pub fn get(&mut self, tuple: &Tuple, zone: u16) -> Result<Option<Entry>, Error> {
        let fill = |writer: &mut _| request::emit_key(writer, tuple, zone);
        let number = kind(IPCTNL_MSG_CT_GET);
        let answer = self.socket.get("get a conntrack entry", number, fill, |message| {
            Entry::parse(message).map_err(|error| Error::malformed("conntrack entry", &error))
        });
        match answer {
            Err(Error::Refused(refusal)) if refusal.errno == libc::ENOENT => Ok(None),
            Err(Error::Refused(refusal)) => {
                Err(Error::Refused(Refusal { object: words("get", tuple, zone), ..refusal }))
            }
            other => other,
        }
    }

    /// Deletes the entry that `tuple` belongs to, if it still has this id.
    ///
    /// # Errors
    /// As [`Conntrack::get`]; ENOENT when there is no such entry or it has another id.
    pub fn delete(&mut self, tuple: &Tuple, zone: u16, id: u32) -> Result<(), Error> {
        let sequence = self.socket.next_sequence();
        let request = request::delete_request(sequence, tuple, zone, id);
        self.acknowledged("delete a conntrack entry", &request, sequence, sequence, &|_| {
            words("delete", tuple, zone)
        })
    }

    /// Changes the entry that `tuple` belongs to.
    ///
    /// # Errors
    /// As [`Conntrack::get`]; ENOENT when there is no such entry.
    pub fn update(&mut self, tuple: &Tuple, zone: u16, change: Change) -> Result<(), Error> {
        let sequence = self.socket.next_sequence();
        let request = request::update_request(sequence, tuple, zone, change);
        self.acknowledged("change a conntrack entry", &request, sequence, sequence, &|_| {
            words("change", tuple, zone)
        })
    }

    /// Makes an entry.
    ///
    /// # Errors
    /// As [`Conntrack::get`]; EEXIST when one of its tuples exists.
    pub fn create(&mut self, entry: &NewEntry) -> Result<(), Error> {
        self.create_all(std::slice::from_ref(entry))
    }

    /// Makes many entries, many with one send call; only the last of each call is acknowledged.
    ///
    /// # Errors
    /// The first refusal, by its tuple. Entries that were sent with it are made all the same,
    /// those of later calls are not.
    pub fn create_all(&mut self, entries: &[NewEntry]) -> Result<(), Error> {
        self.for_all("make", "make conntrack entries", entries, NewEntry::request)
    }

    /// Ends many connections, many with one send call, by their addresses; for tests and benchmarks,
    /// as is making them.
    ///
    /// # Errors
    /// As [`Conntrack::create_all`]; ENOENT when there is no such entry.
    pub fn end_all(&mut self, entries: &[NewEntry]) -> Result<(), Error> {
        self.for_all("end", "end conntrack entries", entries, NewEntry::end_request)
    }

    /// `request` makes the message about an entry from its sequence number and flags.
    fn for_all(
        &mut self,
        verb: &str,
        doing: &'static str,
        entries: &[NewEntry],
        request: impl Fn(&NewEntry, u32, u16) -> Vec<u8>,
    ) -> Result<(), Error> {
        for entries in entries.chunks(BATCH_ENTRIES) {
            let first = self.socket.reserve_sequences(entries.len() as u32);
            let last = first + (entries.len() as u32 - 1);
            let mut datagram = Vec::new();
            for (sequence, entry) in (first..).zip(entries) {
                let flags = if sequence == last { NLM_F_ACK } else { 0 };
                datagram.extend(request(entry, sequence, flags));
            }
            self.acknowledged(doing, &datagram, first, last, &|position| {
                let entry = entries.get(position);
                entry.map_or_else(String::new, |entry| words(verb, &entry.orig, entry.zone))
            })?;
        }
        Ok(())
    }

    /// Sends messages with the sequence numbers `first` to `last`, of which the last asks for an
    /// acknowledgement, and waits for that. `object` says what the message at a position is about.
    fn acknowledged(
        &mut self,
        doing: &'static str,
        datagram: &[u8],
        first: u32,
        last: u32,
        object: &dyn Fn(usize) -> String,
    ) -> Result<(), Error> {
        self.socket.discard_stale();
        self.socket.send(datagram, doing)?;
        let mut refusal = None;
        loop {
            let answer = self.socket.receive_within(doing)?;
            for message in Messages::new(answer) {
                let message = message.map_err(|error| Error::malformed("answer", &error))?;
                let ours = (first..=last).contains(&message.sequence);
                if !ours || message.kind != NLMSG_ERROR {
                    continue;
                }
                let Some(ack) = Ack::parse(&message) else { continue };
                if ack.errno != 0 && refusal.is_none() {
                    let object = object((message.sequence - first) as usize);
                    let Ack { errno, text, .. } = ack;
                    let table = String::new();
                    refusal = Some(Refusal { object, table, culprit: None, errno, text });
                }
                if message.sequence == last {
                    return refusal.map_or(Ok(()), |refusal| Err(Error::Refused(refusal)));
                }
            }
        }
    }
}

fn words(doing: &str, tuple: &Tuple, zone: u16) -> String {
    match zone {
        0 => format!("{doing} conntrack entry {tuple}"),
        zone => format!("{doing} conntrack entry {tuple} in zone {zone}"),
    }
}
