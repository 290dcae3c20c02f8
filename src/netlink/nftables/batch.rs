// SPDX-License-Identifier: GPL-2.0-or-later
//! Transactions in two stages: a [`Batch`] collects commands, a [`FinishedBatch`] is the one
//! datagram that the kernel applies whole or not at all, and can tell which command an error of
//! the kernel is about.

use std::fmt;
use std::ops::Range;

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST};

use super::{chain, flowtable, kind, rule, set, table, write_header};
use super::{Chain, Flowtable, Rule, Set, Table};
use crate::netlink::attribute::Writer;
use crate::netlink::error::Refusal;
use crate::netlink::ext_ack::{culprit, Ack};
use crate::netlink::message::request;

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_BATCH_GENID: u16 = 1;
const NFNL_SUBSYS_NFTABLES: u16 = 10;

/// One change of nf_tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make a table.
    AddTable(Table),
    /// Delete a table with everything in it; its flows return to the classic path.
    DeleteTable(Table),
    /// Make a flowtable, or add the devices named to an existing one and set its counter flag.
    AddFlowtable(Flowtable),
    /// Take the devices named out of a flowtable; flows already offloaded stay.
    RemoveDevices(Flowtable),
    /// Delete a flowtable that no rule refers to.
    DeleteFlowtable(Flowtable),
    /// Make a chain.
    AddChain(Chain),
    /// Delete an empty chain.
    DeleteChain(Chain),
    /// Delete all rules of a chain.
    FlushChain(Chain),
    /// Make a set with its elements.
    AddSet(Set),
    /// Delete a set that no rule refers to.
    DeleteSet(Set),
    /// Add elements to an existing set.
    AddElements(Set),
    /// Take elements out of a set.
    RemoveElements(Set),
    /// Append a rule to its chain.
    AddRule(Rule),
    /// Delete one rule by its handle.
    DeleteRule(Rule),
}

impl Command {
    /// The table that it changes.
    pub fn table(&self) -> &Table {
        match self {
            Command::AddTable(table) | Command::DeleteTable(table) => table,
            Command::AddFlowtable(flowtable)
            | Command::RemoveDevices(flowtable)
            | Command::DeleteFlowtable(flowtable) => &flowtable.table,
            Command::AddChain(chain) | Command::DeleteChain(chain) | Command::FlushChain(chain) => {
                &chain.table
            }
            Command::AddSet(set)
            | Command::DeleteSet(set)
            | Command::AddElements(set)
            | Command::RemoveElements(set) => &set.table,
            Command::AddRule(rule) | Command::DeleteRule(rule) => &rule.table,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::AddTable(table) => write!(f, "add {table}"),
            Command::DeleteTable(table) => write!(f, "delete {table}"),
            Command::AddFlowtable(flowtable) => {
                write!(f, "add {flowtable} devices {{ {} }}", flowtable.devices.join(", "))
            }
            Command::RemoveDevices(flowtable) => {
                write!(f, "take devices {{ {} }} out of {flowtable}", flowtable.devices.join(", "))
            }
            Command::DeleteFlowtable(flowtable) => write!(f, "delete {flowtable}"),
            Command::AddChain(chain) => write!(f, "add {chain}"),
            Command::DeleteChain(chain) => write!(f, "delete {chain}"),
            Command::FlushChain(chain) => write!(f, "flush {chain}"),
            Command::AddSet(set) => write!(f, "add {set}"),
            Command::DeleteSet(set) => write!(f, "delete {set}"),
            Command::AddElements(set) => write!(f, "add elements to {set}"),
            Command::RemoveElements(set) => write!(f, "take elements out of {set}"),
            Command::AddRule(rule) => write!(f, "add {rule}"),
            Command::DeleteRule(rule) => write!(f, "delete {rule}"),
        }
    }
}

/// First stage: commands in order.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    commands: Vec<Command>,
}

impl Batch {
    /// A batch of these commands.
    pub fn new(commands: Vec<Command>) -> Batch {
        Batch { commands }
    }

    /// How many sequence numbers the finished batch uses at most.
    pub fn sequences(&self) -> u32 {
        // Begin and end are one each; elements take as many as they need.
        let elements = |command: &Command| match command {
            Command::AddSet(set) | Command::AddElements(set) | Command::RemoveElements(set) => {
                set.element_messages()
            }
            _ => 0,
        };
        let elements: usize = self.commands.iter().map(elements).sum();
        u32::try_from(self.commands.len() + elements + 2).unwrap_or(u32::MAX)
    }

    /// Second stage. `first_sequence` begins the numbers of its messages. With a `generation` the
    /// kernel refuses the batch (ERESTART) when anything has changed since. Without `commit` the
    /// kernel checks everything and then undoes it, which is a dry run.
    pub fn finish(
        self,
        first_sequence: u32,
        generation: Option<u32>,
        commit: bool,
    ) -> FinishedBatch {
        let mut stage = Stage {
            batch: FinishedBatch { bytes: Vec::new(), parts: Vec::new(), begin: first_sequence },
            sequence: first_sequence,
        };
        stage.frame(NFNL_MSG_BATCH_BEGIN, |writer| {
            if let Some(generation) = generation {
                writer.u32_be(NFNL_BATCH_GENID, generation);
            }
        });
        let last = self.commands.len().saturating_sub(1);
        for (index, command) in self.commands.iter().enumerate() {
            // The kernel reports in order, so one acknowledgement at the end tells that every
            // error has been reported.
            stage.command(command, index as u32 + 1, index == last);
        }
        if commit {
            stage.frame(NFNL_MSG_BATCH_END, |_| ());
        }
        stage.batch
    }
}

struct Stage {
    batch: FinishedBatch,
    sequence: u32,
}

impl Stage {
    fn frame(&mut self, kind: u16, fill: impl FnOnce(&mut Writer)) {
        let bytes = request(kind, NLM_F_REQUEST, self.sequence, |writer| {
            write_header(writer, 0, NFNL_SUBSYS_NFTABLES);
            fill(writer);
        });
        self.sequence = self.sequence.wrapping_add(1);
        self.batch.bytes.extend_from_slice(&bytes);
    }

    fn message(
        &mut self,
        command: &Command,
        number: u16,
        flags: u16,
        fill: impl FnOnce(&mut Writer),
    ) {
        let bytes = request(kind(number), NLM_F_REQUEST | flags, self.sequence, fill);
        let start = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(&bytes);
        self.batch.parts.push(Part {
            sequence: self.sequence,
            range: start..self.batch.bytes.len(),
            object: command.to_string(),
            table: command.table().name.clone(),
        });
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn command(&mut self, command: &Command, set_id: u32, last: bool) {
        let ack = if last { NLM_F_ACK } else { 0 };
        let new = NLM_F_CREATE | ack;
        match command {
            Command::AddTable(table) => {
                self.message(command, table::NFT_MSG_NEWTABLE, new, |w| table.emit(w));
            }
            Command::DeleteTable(table) => {
                self.message(command, table::NFT_MSG_DELTABLE, ack, |w| table.emit_name(w));
            }
            Command::AddFlowtable(flowtable) => {
                self.message(command, flowtable::NFT_MSG_NEWFLOWTABLE, new, |w| flowtable.emit(w));
            }
            Command::RemoveDevices(flowtable) => {
                let number = flowtable::NFT_MSG_DELFLOWTABLE;
                self.message(command, number, ack, |w| flowtable.emit_devices(w));
            }
            Command::DeleteFlowtable(flowtable) => {
                let number = flowtable::NFT_MSG_DELFLOWTABLE;
                self.message(command, number, ack, |w| flowtable.emit_name(w));
            }
            Command::AddChain(chain) => {
                self.message(command, chain::NFT_MSG_NEWCHAIN, new, |w| chain.emit(w));
            }
            Command::DeleteChain(chain) => {
                self.message(command, chain::NFT_MSG_DELCHAIN, ack, |w| chain.emit_name(w));
            }
            Command::FlushChain(chain) => {
                self.message(command, rule::NFT_MSG_DELRULE, ack, |w| {
                    rule::emit_chain(w, &chain.table, &chain.name);
                });
            }
            Command::AddSet(set) => self.add_set(command, set, set_id, ack),
            Command::DeleteSet(set) => {
                self.message(command, set::NFT_MSG_DELSET, ack, |w| set.emit_name(w));
            }
            Command::AddElements(set) => self.add_elements(command, set, None, ack),
            Command::RemoveElements(set) => {
                let number = set::NFT_MSG_DELSETELEM;
                self.parts(command, number, (0, ack), set, &|w, part| set.emit_keys(w, part));
            }
            Command::AddRule(rule) => {
                let flags = NLM_F_APPEND | new;
                self.message(command, rule::NFT_MSG_NEWRULE, flags, |w| rule.emit(w));
            }
            Command::DeleteRule(rule) => {
                self.message(command, rule::NFT_MSG_DELRULE, ack, |w| rule.emit_handle(w));
            }
        }
    }

    fn add_set(&mut self, command: &Command, set: &Set, id: u32, ack: u16) {
        let ack_here = if set.elements.is_empty() { ack } else { 0 };
        let flags = NLM_F_CREATE | ack_here;
        self.message(command, set::NFT_MSG_NEWSET, flags, |w| set.emit(w, id));
        self.add_elements(command, set, Some(id), ack);
    }

    fn add_elements(&mut self, command: &Command, set: &Set, id: Option<u32>, ack: u16) {
        let emit = |w: &mut Writer, part| set.emit_elements(w, part, id);
        self.parts(command, set::NFT_MSG_NEWSETELEM, (NLM_F_CREATE, ack), set, &emit);
    }

    /// The elements of a set in as many messages as they take; the last may ask for an
    /// acknowledgement.
    fn parts(
        &mut self,
        command: &Command,
        number: u16,
        (flags, ack): (u16, u16),
        set: &Set,
        emit: &dyn Fn(&mut Writer, usize),
    ) {
        let count = set.element_messages();
        for part in 0..count {
            let ack = if part + 1 == count { ack } else { 0 };
            self.message(command, number, flags | ack, |w| emit(w, part));
        }
    }
}

/// Second stage: one datagram.
#[derive(Debug, Clone)]
pub struct FinishedBatch {
    bytes: Vec<u8>,
    parts: Vec<Part>,
    begin: u32,
}

#[derive(Debug, Clone)]
struct Part {
    sequence: u32,
    range: Range<usize>,
    object: String,
    table: String,
}

impl FinishedBatch {
    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sequence number of the acknowledgement that ends the kernel's answer.
    pub fn last_sequence(&self) -> u32 {
        self.parts.last().map_or(self.begin, |part| part.sequence)
    }

    /// Ties a negative acknowledgement to the command that it is about.
    pub fn refusal(&self, sequence: u32, ack: &Ack) -> Refusal {
        let part = self.parts.iter().find(|part| part.sequence == sequence);
        let request = part.and_then(|part| self.bytes.get(part.range.clone())).unwrap_or_default();
        Refusal {
            object: part.map_or_else(|| "begin a transaction".into(), |part| part.object.clone()),
            table: part.map(|part| part.table.clone()).unwrap_or_default(),
            culprit: ack.offset.and_then(|offset| culprit(request, offset)),
            errno: ack.errno,
            text: ack.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::Messages;

    fn flowtable(devices: &[&str]) -> Flowtable {
        Flowtable {
            table: Table::inet("t"),
            name: "ft".into(),
            priority: 0,
            devices: devices.iter().map(|name| (*name).to_owned()).collect(),
            hardware: false,
            counter: true,
            handle: 0,
        }
    }

    #[test]
    fn only_the_last_command_asks_for_an_acknowledgement() {
        let batch = Batch::new(vec![
            Command::AddTable(Table::inet("t")),
            Command::AddFlowtable(flowtable(&["lan0"])),
        ])
        .finish(10, Some(7), true);
        let messages: Vec<_> = Messages::new(batch.bytes()).map(Result::unwrap).collect();
        let kinds: Vec<u16> = messages.iter().map(|message| message.kind).collect();
        assert_eq!(kinds, [NFNL_MSG_BATCH_BEGIN, kind(0), kind(22), NFNL_MSG_BATCH_END]);
        let acks: Vec<bool> = messages.iter().map(|m| m.flags & NLM_F_ACK != 0).collect();
        assert_eq!(acks, [false, false, true, false]);
        assert_eq!(batch.last_sequence(), 12);
        // The attribute's header is in the host's order, what nf_tables puts around it is not.
        let (length, kind) = (8u16.to_ne_bytes(), 1u16.to_ne_bytes());
        let payload = [&[0, 0, 0, 10], &length[..], &kind[..], &[0, 0, 0, 7]].concat();
        assert_eq!(messages[0].payload, payload);
    }

    #[test]
    fn dry_run_has_no_end() {
        let batch = Batch::new(vec![Command::AddTable(Table::inet("t"))]).finish(1, None, false);
        assert_eq!(Messages::new(batch.bytes()).count(), 2);
    }

    #[test]
    fn a_refusal_names_command_and_device() {
        let batch = Batch::new(vec![
            Command::AddTable(Table::inet("t")),
            Command::AddFlowtable(flowtable(&["lan0", "lan9"])),
        ])
        .finish(1, None, true);
        let part = &batch.bytes[batch.parts[1].range.clone()];
        let name = part.windows(5).position(|window| window == b"lan9\0").unwrap();
        let ack = Ack { errno: libc::ENOENT, text: None, offset: Some(name - 4) };
        let refusal = batch.refusal(3, &ack);
        assert_eq!(refusal.culprit.as_deref(), Some("lan9"));
        assert!(refusal.object.starts_with("add flowtable ft of table inet t"), "{refusal}");
        assert_eq!(batch.refusal(1, &ack).object, "begin a transaction");
    }

    fn set(elements: u16) -> Set {
        let keys = (0..elements).map(|number| number.to_be_bytes().to_vec());
        Set::of(&Table::inet("t"), "s", set::KeyType::Other(13, 2), keys)
    }

    #[test]
    fn sequences_are_enough() {
        for elements in [0, 1, 500, 501, 4096] {
            let set = set(elements);
            let batch = Batch::new(vec![
                Command::AddSet(set.clone()),
                Command::AddElements(set.clone()),
                Command::RemoveElements(set),
                Command::AddTable(Table::inet("t")),
            ]);
            let bound = batch.sequences();
            let finished = batch.finish(1, None, true);
            assert!(Messages::new(finished.bytes()).count() as u32 <= bound);
        }
    }

    #[test]
    fn the_last_number_there_is_can_be_used() {
        let batch = Batch::new(vec![Command::AddTable(Table::inet("t"))]);
        let finished = batch.finish(u32::MAX - 2, None, true);
        let last = Messages::new(finished.bytes()).last().unwrap().unwrap();
        assert_eq!((last.kind, last.sequence), (NFNL_MSG_BATCH_END, u32::MAX));
    }

    #[test]
    fn many_elements_are_split_and_none_is_lost() {
        let set = set(1234);
        let batch = Batch::new(vec![Command::AddSet(set.clone())]).finish(1, None, true);
        let messages: Vec<_> = Messages::new(batch.bytes()).map(Result::unwrap).collect();
        let mut read = Set { elements: litemap::LiteMap::new(), ..set.clone() };
        for message in messages.iter().filter(|m| m.kind == kind(set::NFT_MSG_NEWSETELEM)) {
            read.parse_elements(message).unwrap();
        }
        assert_eq!(read, set);
        let acks: Vec<bool> = messages.iter().map(|m| m.flags & NLM_F_ACK != 0).collect();
        assert_eq!(acks, [false, false, false, false, true, false]);
    }
}
