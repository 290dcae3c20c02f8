// SPDX-License-Identifier: GPL-2.0-or-later
//! The table engine: one for the tables of flows (NAPT), of basic NAT and of hosts. An entry's image
//! goes into data words, then a command starts, and the answer is read from the same registers; all
//! of that is one transaction.

use super::napt::low16;
use super::registers::{data_words, ARP_LEARN, ROUTER_PTCTRL2, TABLE_COMMAND};
use super::{Model, Options, Words};
use crate::bus::{self, Fault, Op, Outcome, Slot, Slot32, Step, Transaction};
use crate::qca8k_page::{self, Translation};
use crate::table::Error;

const BUSY: u32 = 1 << 31;
/// The same in the high half, which is the one polled.
const BUSY_HALF: u16 = 1 << 15;
const STATUS: u32 = 1 << 7;
const INDEX: u32 = 0x3ff << 8;

/// All of an entry.
pub const WHOLE: Words = [u32::MAX; 7];

/// Reads until the engine has finished one of several commands of a transaction; the tries of all
/// its polls together are bounded.
const POLLS_OF_SEVERAL: u16 = 256;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Flows: 1024 entries.
    Napt,
    /// Basic NAT: 32 entries.
    Nat,
    /// Hosts: 128 entries.
    Host,
}

impl Table {
    /// The highest index.
    pub const fn last(self) -> u16 {
        match self {
            Table::Napt => 1023,
            Table::Nat => 31,
            Table::Host => 127,
        }
    }

    const fn selector(self) -> u32 {
        match self {
            Table::Napt => 0,
            Table::Nat => 2 << 4,
            Table::Host => 3 << 4,
        }
    }
}

/// What the engine is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Empty the table.
    Flush = 1,
    /// Put the image in.
    Add = 2,
    /// Take the entry out that the image names.
    Delete = 3,
    /// Give the first entry after an index, from the start after the last.
    Next = 4,
    /// Give the entry that the image names.
    Search = 5,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    table: Table,
    function: Function,
    index: u16,
    words: Words,
    /// The bits of the entry that are to be read.
    read: Words,
}

impl Command {
    /// Empties a table.
    pub const fn flush(table: Table) -> Command {
        Command { table, function: Function::Flush, index: 0, words: [0; 7], read: [0; 7] }
    }

    /// Puts an entry in; the chip chooses its index.
    pub const fn add(table: Table, words: Words) -> Command {
        Command { table, function: Function::Add, index: 0, words, read: [0; 7] }
    }

    /// Takes out the entry of this image.
    pub const fn delete(table: Table, words: Words) -> Command {
        Command { table, function: Function::Delete, index: 0, words, read: [0; 7] }
    }

    /// Looks for the entry of this image and reads it.
    pub const fn search(table: Table, words: Words) -> Command {
        Command { table, function: Function::Search, index: 0, words, read: WHOLE }
    }

    /// Gives the first entry from `index` on; it is the one there if the answer has the same
    /// index. An entry is read by way of the one before, as the chip has no other. Of its words the
    /// bits of `read` are read, and what comes along with them.
    pub const fn from(table: Table, index: u16, read: Words) -> Command {
        let index = index.wrapping_sub(1) & table.last();
        Command { table, function: Function::Next, index, words: [0; 7], read }
    }

    /// Its answer says what nothing else does: that it was done, and where. An entry's deletion is
    /// told by both the status and the index that was known before.
    const fn tells_news(&self) -> bool {
        matches!(self.function, Function::Flush | Function::Add)
    }
}

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Done or found; false for what was not found or had no room.
    pub status: bool,
    /// Index of the entry.
    pub index: u16,
    /// The entry, as far as it was to be read; else zeros.
    pub words: Words,
}

/// When the engine was busy for longer than a transaction has waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// Before the command was given; it has not been.
    Before,
    /// With the command.
    After,
}

/// The places of an answer.
#[derive(Debug)]
struct Places {
    /// The status that counts, with the index.
    look: Slot32,
    /// The same once more, where it has to be sure.
    again: Option<Slot32>,
    /// Low and high halves of the entry.
    words: [[Option<Slot>; 2]; 7],
}

/// Commands, or the rest of one, as a transaction, with the places of their answers.
#[derive(Debug)]
pub struct Operation {
    transaction: Transaction,
    answers: Vec<Places>,
}

impl Operation {
    /// The whole of a command. An engine that is known to be `free` is not waited for before its
    /// image is written.
    ///
    /// # Errors
    /// [`Error::Driver`] if the options make it longer than a transaction may be.
    pub fn new(
        command: &Command,
        model: Model,
        options: &Options,
        free: bool,
    ) -> Result<Operation, Error> {
        let mut access = Translation::new(options.page_after, options.settle)?;
        begin(&mut access, command, model, options, free)?;
        let end = end(&mut access, command, model, options)?;
        Ok(Operation { transaction: access.finish(), answers: vec![end] })
    }

    /// Several commands that change nothing, one after the other. An answer that comes late over
    /// the image of the next does no harm, as those that look for an index have none.
    ///
    /// # Errors
    /// As [`Operation::new`].
    pub fn several(
        commands: &[Command],
        model: Model,
        options: &Options,
        mut free: bool,
    ) -> Result<Operation, Error> {
        let options = Options { polls: options.polls.min(POLLS_OF_SEVERAL), ..*options };
        let mut access = Translation::new(options.page_after, options.settle)?;
        let mut answers = Vec::new();
        for command in commands {
            begin(&mut access, command, model, &options, free)?;
            answers.push(end(&mut access, command, model, &options)?);
            free = true;
        }
        Ok(Operation { transaction: access.finish(), answers })
    }

    /// A command without its end.
    ///
    /// # Errors
    /// As [`Operation::new`].
    pub fn started(command: &Command, model: Model, options: &Options) -> Result<Operation, Error> {
        let mut access = Translation::new(options.page_after, options.settle)?;
        begin(&mut access, command, model, options, false)?;
        Ok(Operation { transaction: access.finish(), answers: Vec::new() })
    }

    /// The end of a command that was given in another transaction.
    ///
    /// # Errors
    /// As [`Operation::new`].
    pub fn resumed(command: &Command, model: Model, options: &Options) -> Result<Operation, Error> {
        let mut access = Translation::new(options.page_after, options.settle)?;
        let end = end(&mut access, command, model, options)?;
        Ok(Operation { transaction: access.finish(), answers: vec![end] })
    }

    /// The transfers.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Whether the error is that the engine was busy, and with what.
    pub fn busy(&self, error: &bus::Error) -> Option<Busy> {
        let bus::Error::Failed(failure) = error else {
            return None;
        };
        let (Step::Operation(index), None) = (failure.step, failure.unrestored) else {
            return None;
        };
        let ops = self.transaction.ops();
        // The page is polled too, under another mask.
        if !matches!(ops.get(index), Some(Op::Poll { mask: BUSY_HALF, .. }))
            || !matches!(failure.fault, Fault::Exhausted { .. })
        {
            return None;
        }
        let last = ops.iter().rposition(|op| matches!(op, Op::Poll { .. })) == Some(index);
        Some(if last && !self.answers.is_empty() { Busy::After } else { Busy::Before })
    }

    /// What the outcome means, for each command.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the engine was busy again after it had finished, or its status another
    /// one at the second look, so that a bit was misread; [`Error::Driver`] for the outcome of
    /// another transaction.
    pub fn answers(&self, outcome: &Outcome) -> Result<Vec<Answer>, Error> {
        self.answers.iter().map(|places| places.answer(outcome)).collect()
    }
}

impl Places {
    fn answer(&self, outcome: &Outcome) -> Result<Answer, Error> {
        let found = value(self.look, outcome)?;
        if found & BUSY != 0 {
            return Err(Error::Mismatch { at: TABLE_COMMAND, wanted: found & !BUSY, found });
        }
        let again = value(self.again.unwrap_or(self.look), outcome)?;
        if (found ^ again) & (BUSY | STATUS | INDEX) != 0 {
            return Err(Error::Mismatch { at: TABLE_COMMAND, wanted: found, found: again });
        }
        let mut words = [0; 7];
        for (word, halves) in words.iter_mut().zip(self.words) {
            let [low, high] = halves.map(|slot| slot.map_or(Some(0), |slot| outcome.get(slot)));
            let (Some(low), Some(high)) = (low, high) else { return Err(NO_RESULT) };
            *word = u32::from(high) << 16 | u32::from(low);
        }
        Ok(Answer { status: found & STATUS != 0, index: low16((found & INDEX) >> 8), words })
    }
}

/// The image, then the command.
fn begin(
    access: &mut Translation,
    command: &Command,
    model: Model,
    options: &Options,
    free: bool,
) -> Result<(), Error> {
    // While the chip learns hosts by itself, commands for its hosts may fail.
    if command.table == Table::Host {
        access.modify(ROUTER_PTCTRL2, ARP_LEARN, 0)?;
    }
    // A command of which an error has hidden the end would put its answer over the image.
    if !free {
        access.poll(TABLE_COMMAND, BUSY, 0, options.polls_before)?;
    }
    for (word, register) in command.words.iter().zip(data_words(model)) {
        access.write(*register, *word)?;
    }
    let index = u32::from(command.index) << 8;
    access.write(TABLE_COMMAND, index)?;
    access.poll(TABLE_COMMAND, BUSY, 0, options.polls_before)?;
    let function = command.function as u32;
    access.write(TABLE_COMMAND, BUSY | index | command.table.selector() | function)?;
    Ok(())
}

/// Waits until the engine is free and reads the answer. The status counts from the second look at
/// it on, and busy is in the other half.
fn end(
    access: &mut Translation,
    command: &Command,
    model: Model,
    options: &Options,
) -> Result<Places, qca8k_page::Error> {
    access.poll(TABLE_COMMAND, BUSY, 0, options.polls)?;
    for _ in 0..options.looks {
        access.read_low(TABLE_COMMAND)?;
    }
    let look = access.read(TABLE_COMMAND)?;
    let again = match command.tells_news() {
        true => Some(access.read(TABLE_COMMAND)?),
        false => None,
    };
    let mut words = [[None; 2]; 7];
    let wanted = command.read.iter().zip(data_words(model));
    for ([low, high], (bits, register)) in words.iter_mut().zip(wanted) {
        if bits & 0xffff != 0 {
            *low = Some(access.read_low(*register)?);
        }
        if bits >> 16 != 0 {
            *high = Some(access.read_high(*register)?);
        }
    }
    Ok(Places { look, again, words })
}

const NO_RESULT: Error = Error::Driver("a read without a result");

/// Values of reads that a transaction of ours has made.
pub fn value(slot: Slot32, outcome: &Outcome) -> Result<u32, Error> {
    slot.value(outcome).ok_or(NO_RESULT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::transaction::{MAX_STEPS, MAX_TRANSFERS};
    use crate::bus::Address;

    const WORDS: Words = [0xcb00_710a, 0x9c40_01bb, 0x1640_9c40, 0x003c_0a80, 0xe, 0, 0];

    fn at(phy: u8, register: u8) -> Address {
        Address::new(phy, register).unwrap()
    }

    /// Page 7; QCA8337's words begin at PHY 0x12 register 0, the command is PHY 0x11 register 0xc.
    #[test]
    fn an_add_on_the_wire() {
        let options = Options::default();
        let add = Operation::new(&Command::add(Table::Napt, WORDS), Model::Qca8337, &options, true)
            .unwrap();
        let mut expected = vec![
            Op::Poll { at: at(0x18, 0), mask: 0xfc00, equals: 0, tries: 1 },
            Op::Write { at: at(0x18, 0), value: 7 },
            Op::Read { at: at(0, 2) },
        ];
        for (index, word) in WORDS.iter().enumerate() {
            let low = u8::try_from(index * 2).unwrap();
            expected.push(Op::Write { at: at(0x12, low), value: (word & 0xffff) as u16 });
            expected.push(Op::Write { at: at(0x12, low + 1), value: (word >> 16) as u16 });
        }
        let busy = |tries| Op::Poll { at: at(0x11, 0xd), mask: 0x8000, equals: 0, tries };
        let status = [Op::Read { at: at(0x11, 0xc) }, Op::Read { at: at(0x11, 0xd) }];
        expected.extend([
            Op::Write { at: at(0x11, 0xc), value: 0 },
            Op::Write { at: at(0x11, 0xd), value: 0 },
            busy(options.polls_before),
            Op::Write { at: at(0x11, 0xc), value: 2 },
            Op::Write { at: at(0x11, 0xd), value: 0x8000 },
            busy(options.polls),
        ]);
        // The first look does not count, the index is read twice.
        expected.push(Op::Read { at: at(0x11, 0xc) });
        expected.extend(status);
        expected.extend(status);
        assert_eq!(add.transaction().ops(), expected);
        assert_eq!(add.transaction().restores().len(), 1);
    }

    /// Unless it is known to be free, the engine is waited for before its words are overwritten.
    #[test]
    fn a_doubtful_engine_is_waited_for() {
        let (options, delete) = (Options::default(), Command::delete(Table::Napt, WORDS));
        let ops = |free| {
            let operation = Operation::new(&delete, Model::Qca8337, &options, free).unwrap();
            operation.transaction().ops().to_vec()
        };
        let mut doubtful = ops(false);
        let poll = doubtful.remove(3);
        assert!(matches!(poll, Op::Poll { mask: BUSY_HALF, tries, .. } if tries == 256));
        assert_eq!(doubtful, ops(true));
    }

    /// Of an entry no more is read than was asked for, in halves.
    #[test]
    fn what_is_read_of_an_entry() {
        let options = Options::default();
        let read = |wanted: Words| {
            let next = Command::from(Table::Napt, 9, wanted);
            let next = Operation::new(&next, Model::Qca8337, &options, true).unwrap();
            let words = |op: &Op| match op {
                Op::Read { at } if at.phy() == 0x12 => Some(at.register()),
                _ => None,
            };
            next.transaction().ops().iter().filter_map(words).collect::<Vec<_>>()
        };
        assert_eq!(read([0, 0, 0, 0, 0xf, 0, 0]), [8]);
        assert_eq!(read([1, 0, 0x1_0000, 0, 0, 0, u32::MAX]), [0, 5, 12, 13]);
        assert_eq!(read(WHOLE), (0..14).collect::<Vec<_>>());
    }

    /// NEXT from index 5 on begins after 4; from 0 on, after the last.
    #[test]
    fn an_entry_is_read_by_way_of_the_one_before() {
        assert_eq!(Command::from(Table::Napt, 5, WHOLE).index, 4);
        assert_eq!(Command::from(Table::Napt, 0, WHOLE).index, 1023);
        let next = Command::from(Table::Host, 0, WHOLE);
        assert_eq!(next.index, 127);
        let next = Operation::new(&next, Model::Ar8327, &Options::default(), false).unwrap();
        let command: Vec<_> = next
            .transaction()
            .ops()
            .iter()
            .filter_map(|op| match op {
                Op::Write { at, value } if at.phy() == 0x11 && at.register() >= 0xc => Some(*value),
                _ => None,
            })
            .collect();
        assert_eq!(command, [127 << 8, 0, 127 << 8 | 3 << 4 | 4, 0x8000]);
    }

    /// AR8327 has its words at PHY 0x11 register 4, and learning is stopped first.
    #[test]
    fn hosts_are_not_learned_meanwhile() {
        let options = Options::default();
        let add = Operation::new(&Command::add(Table::Host, WORDS), Model::Ar8327, &options, true)
            .unwrap();
        let ops = add.transaction().ops();
        assert_eq!(ops[3], Op::Modify { at: at(0x10, 6), clear: 0x7f7f, set: 0 });
        assert_eq!(ops[5], Op::Write { at: at(0x11, 4), value: 0x710a });
        assert_eq!(ops.iter().filter(|op| matches!(op, Op::Write { .. })).count(), 1 + 8 + 4);
    }

    #[test]
    fn every_command_fits_a_transaction() {
        let options = Options::default();
        for table in [Table::Napt, Table::Nat, Table::Host] {
            for command in [
                Command::flush(table),
                Command::add(table, WORDS),
                Command::delete(table, WORDS),
                Command::search(table, WORDS),
                Command::from(table, 0, WHOLE),
            ] {
                for model in [Model::Qca8337, Model::Ar8327] {
                    let whole = Operation::new(&command, model, &options, false).unwrap();
                    let transaction = whole.transaction();
                    assert!(transaction.steps() <= MAX_STEPS);
                    assert!(transaction.transfers() <= MAX_TRANSFERS);
                }
            }
        }
    }
}
