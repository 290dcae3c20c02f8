// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading and changing nf_tables over a socket of our own.

use super::generation::{Generation, NFT_MSG_GETGEN};
use super::{chain, flowtable, kind, rule, set, table};
use super::{write_header, Batch, Chain, Command, Family, Flowtable, Rule, Set, Table};
use super::{NETLINK_NETFILTER, NFPROTO_UNSPEC};
use crate::netlink::ext_ack::{Ack, NLMSG_ERROR};
use crate::netlink::message::Messages;
use crate::netlink::socket::Socket;
use crate::netlink::Error;
use netlink_packet_core::DecodeError;

/// Everything that exists in some tables, read at one generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The generation it belongs to; a transaction built on it names it.
    pub generation: u32,
    /// Those of the tables asked for that exist.
    pub tables: Vec<Table>,
    /// Every flowtable of every table.
    pub flowtables: Vec<Flowtable>,
    /// Chains of the tables asked for.
    pub chains: Vec<Chain>,
    /// Other tables with a chain that forwarded packets pass.
    pub filtering: Vec<Table>,
    /// Sets of the tables asked for, with their elements.
    pub sets: Vec<Set>,
    /// Rules of the tables asked for, in order.
    pub rules: Vec<Rule>,
    /// What was asked for of another program; `None` when its flowtable does not exist.
    pub beside: Option<Found>,
}

/// A flowtable of another program, and the chain whose rules send flows into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The table of both.
    pub table: Table,
    /// The flowtable's name.
    pub flowtable: String,
    /// The chain's name.
    pub chain: String,
}

/// What exists of a [`Beside`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The flowtable.
    pub flowtable: Flowtable,
    /// How many rules refer to it, in all chains.
    pub users: u32,
    /// The rules of the chain, in order; not read while no rule refers to the flowtable.
    pub rules: Vec<Rule>,
}

/// A snapshot that other writers keep spoiling is read again this often.
const SNAPSHOT_TRIES: u32 = 8;

/// The request socket of nf_tables.
#[derive(Debug)]
pub struct Nftables {
    socket: Socket,
}

impl Nftables {
    /// Opens the socket.
    ///
    /// # Errors
    /// The kernel has no nfnetlink, or the process may not open it.
    pub fn open() -> Result<Nftables, Error> {
        let socket = Socket::open(NETLINK_NETFILTER, &[], "open the nf_tables socket")?;
        Ok(Nftables { socket })
    }

    /// The netlink port: events that carry it are our own doing.
    pub fn port(&self) -> u32 {
        self.socket.port()
    }

    /// The present generation.
    ///
    /// # Errors
    /// A refusal, a time-out or a malformed answer.
    pub fn generation(&mut self) -> Result<u32, Error> {
        let header = |writer: &mut _| write_header(writer, NFPROTO_UNSPEC, 0);
        self.socket.get("read the nf_tables generation", kind(NFT_MSG_GETGEN), header, |message| {
            parsed("generation", Generation::parse(message)).map(|generation| generation.id)
        })
    }

    /// Reads the tables of family inet that are `wanted`, and all flowtables, at one generation.
    ///
    /// # Errors
    /// A refusal, a time-out, a malformed answer, or other writers that never pause.
    pub fn snapshot(&mut self, wanted: &dyn Fn(&Table) -> bool) -> Result<Snapshot, Error> {
        self.snapshot_with(wanted, None)
    }

    /// Likewise, with something of another program.
    ///
    /// # Errors
    /// As [`Nftables::snapshot`].
    pub fn snapshot_with(
        &mut self,
        wanted: &dyn Fn(&Table) -> bool,
        beside: Option<&Beside>,
    ) -> Result<Snapshot, Error> {
        for _ in 0..SNAPSHOT_TRIES {
            let generation = self.generation()?;
            let snapshot = match self.read(generation, wanted, beside) {
                // An object that vanished between two lists; the generation has moved on.
                Err(error) if error.errno() == Some(libc::ENOENT) => continue,
                other => other?,
            };
            if self.generation()? == generation {
                return Ok(snapshot);
            }
        }
        Err(Error::Interrupted { doing: "reading nf_tables" })
    }

    fn read(
        &mut self,
        generation: u32,
        wanted: &dyn Fn(&Table) -> bool,
        beside: Option<&Beside>,
    ) -> Result<Snapshot, Error> {
        let tables = self.tables()?.into_iter().filter(|table| wanted(table));
        let mut snapshot = Snapshot { generation, tables: tables.collect(), ..Snapshot::default() };
        let flowtables = self.flowtables()?;
        if let Some(beside) = beside {
            let is = |(flowtable, _): &&(Flowtable, u32)| {
                flowtable.table == beside.table && flowtable.name == beside.flowtable
            };
            if let Some((flowtable, users)) = flowtables.iter().find(is) {
                let rules = match users {
                    0 => Vec::new(),
                    _ => self.rules(&beside.table, &beside.chain)?,
                };
                snapshot.beside =
                    Some(Found { flowtable: flowtable.clone(), users: *users, rules });
            }
        }
        snapshot.flowtables = flowtables.into_iter().map(|(flowtable, _)| flowtable).collect();
        if snapshot.tables.is_empty() {
            return Ok(snapshot);
        }
        for chain in self.chains()? {
            if snapshot.tables.contains(&chain.table) {
                snapshot.chains.push(chain);
            } else if chain.sees_forwarded() && !snapshot.filtering.contains(&chain.table) {
                snapshot.filtering.push(chain.table);
            }
        }
        for chain in &snapshot.chains {
            snapshot.rules.extend(self.rules(&chain.table, &chain.name)?);
        }
        for table in &snapshot.tables {
            snapshot.sets.extend(self.sets(table)?);
        }
        Ok(snapshot)
    }

    fn tables(&mut self) -> Result<Vec<Table>, Error> {
        let header = |writer: &mut _| write_header(writer, Family::Inet.number(), 0);
        self.socket.dump("list tables", kind(table::NFT_MSG_GETTABLE), header, |list, message| {
            list.push(parsed("table", Table::parse(message))?);
            Ok(())
        })
    }

    /// All flowtables of all families, and how many rules refer to each.
    fn flowtables(&mut self) -> Result<Vec<(Flowtable, u32)>, Error> {
        let header = |writer: &mut _| write_header(writer, NFPROTO_UNSPEC, 0);
        let number = kind(flowtable::NFT_MSG_GETFLOWTABLE);
        self.socket.dump("list flowtables", number, header, |list, message| {
            let users = parsed("flowtable", Flowtable::parse_users(message))?;
            list.push((parsed("flowtable", Flowtable::parse(message))?, users));
            Ok(())
        })
    }

    /// All chains of all families.
    fn chains(&mut self) -> Result<Vec<Chain>, Error> {
        let header = |writer: &mut _| write_header(writer, NFPROTO_UNSPEC, 0);
        self.socket.dump("list chains", kind(chain::NFT_MSG_GETCHAIN), header, |list, message| {
            list.push(parsed("chain", Chain::parse(message))?);
            Ok(())
        })
    }

    /// The rules of one chain, in order.
    ///
    /// # Errors
    /// As [`Nftables::snapshot`]; ENOENT when the table does not exist.
    pub fn rules(&mut self, table: &Table, chain: &str) -> Result<Vec<Rule>, Error> {
        let fill = |writer: &mut _| rule::emit_chain(writer, table, chain);
        self.socket.dump("list rules", kind(rule::NFT_MSG_GETRULE), fill, |list, message| {
            let rule = parsed("rule", Rule::parse(message))?;
            // Kernels differ in whether they honour the filter.
            if rule.table == *table && rule.chain == chain {
                list.push(rule);
            }
            Ok(())
        })
    }

    fn sets(&mut self, table: &Table) -> Result<Vec<Set>, Error> {
        let fill = |writer: &mut _| table.emit_name(writer);
        let listed =
            self.socket.dump("list sets", kind(set::NFT_MSG_GETSET), fill, |list, message| {
                list.push(parsed("set", Set::parse(message))?);
                Ok(())
            })?;
        let mut sets: Vec<Set> = listed.into_iter().filter(|set| set.table == *table).collect();
        // What rules add is gone in seconds, and may be as much as there are flows.
        for set in sets.iter_mut().filter(|set| !set.dynamic) {
            let name = set.clone();
            let fill = |writer: &mut _| name.emit_name(writer);
            let number = kind(set::NFT_MSG_GETSETELEM);
            let elements =
                self.socket.dump("list set elements", number, fill, |list, message| {
                    let mut part = name.clone();
                    parsed("set element", part.parse_elements(message))?;
                    list.extend(part.elements);
                    Ok(())
                })?;
            set.elements.extend(elements);
        }
        Ok(sets)
    }

    /// Gives back the room for answers until the next question.
    pub fn rest(&mut self) {
        self.socket.rest();
    }

    /// Applies the commands as one transaction, provided that nothing has changed since
    /// `generation`.
    ///
    /// # Errors
    /// [`Error::Refused`] names the first command that failed; nothing was applied then. With
    /// [`Error::Timeout`] and [`Error::Overrun`] it is unknown whether they were applied: read a
    /// new snapshot.
    pub fn commit(&mut self, commands: Vec<Command>, generation: u32) -> Result<(), Error> {
        self.transact(commands, Some(generation), true, "change nf_tables")
    }

    /// Lets the kernel check the commands without applying them.
    ///
    /// # Errors
    /// As [`Nftables::commit`].
    pub fn check(&mut self, commands: Vec<Command>) -> Result<(), Error> {
        self.transact(commands, None, false, "check an nf_tables change")
    }

    fn transact(
        &mut self,
        commands: Vec<Command>,
        generation: Option<u32>,
        commit: bool,
        doing: &'static str,
    ) -> Result<(), Error> {
        if commands.is_empty() {
            return Ok(());
        }
        let batch = Batch::new(commands);
        let first = self.socket.reserve_sequences(batch.sequences());
        let batch = batch.finish(first, generation, commit);
        self.socket.discard_stale();
        self.socket.send(batch.bytes(), doing)?;
        let mut refusal = None;
        loop {
            // The kernel has answered before the send call returned. A batch that it gave up half
            // way has no last acknowledgement, so a refusal with nothing behind it is the end.
            let datagram = match self.socket.receive(doing)? {
                Some(datagram) => datagram,
                None => match refusal {
                    Some(refusal) => return Err(Error::Refused(refusal)),
                    None => self.socket.receive_within(doing)?,
                },
            };
            for message in Messages::new(datagram) {
                let message = message.map_err(|error| Error::malformed("answer", &error))?;
                let ours = (first..=batch.last_sequence()).contains(&message.sequence);
                if !ours || message.kind != NLMSG_ERROR {
                    continue;
                }
                let Some(ack) = Ack::parse(&message) else { continue };
                if ack.errno != 0 && refusal.is_none() {
                    refusal = Some(batch.refusal(message.sequence, &ack));
                }
                if message.sequence == batch.last_sequence() {
                    return refusal.map_or(Ok(()), |refusal| Err(Error::Refused(refusal)));
                }
            }
        }
    }
}

fn parsed<T>(reading: &'static str, result: Result<T, DecodeError>) -> Result<T, Error> {
    result.map_err(|error| Error::malformed(reading, &error))
}
