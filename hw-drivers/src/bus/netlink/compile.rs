// SPDX-License-Identifier: GPL-2.0-or-later
//! A transaction as one program, and the words that the program gives as an outcome.
//!
//! Every operation emits when it is through, so the number of words tells where a program stopped.
//! A poll that is exhausted jumps to the restores. Which of them may be made is known only then,
//! so a register collects one bit for each value that has been read.

use super::program::{Instruction, Register, Value, MAX_INSTRUCTIONS};
use crate::bus::transaction::{MAX_RESTORES, MAX_STEPS};
use crate::bus::{Address, Done, Failure, Fault, Op, Restore, Slot, Step, Transaction};

/// What was read, if no restore wants it.
const SCRATCH: Register = Register(0);
/// Reads that a poll has left.
const LEFT: Register = Register(1);
/// What was read, masked or changed.
const MASKED: Register = Register(2);
/// Bit N is set when the value of the Nth restore of a value read is in its register.
const KNOWN: Register = Register(3);
/// The value of the first of them; the others follow.
const FIRST_VALUE: u8 = 4;

/// Words of one program at most: a poll emits two, everything else one.
pub const MAX_WORDS: usize = 2 * MAX_STEPS;

// The longest operation is a poll of 9 instructions, a value to keep takes one more, a restore 4.
const _: () = assert!(MAX_STEPS * 9 <= MAX_INSTRUCTIONS);
const _: () = assert!(
    (MAX_STEPS - MAX_RESTORES) * 9 + MAX_RESTORES * (1 + 4) <= MAX_INSTRUCTIONS
        && FIRST_VALUE as usize + MAX_RESTORES <= 8
);

/// The program of a transaction.
pub fn compile(transaction: &Transaction) -> Vec<Instruction> {
    let mut program = Vec::new();
    // Jumps to the restores, whose place is not known yet.
    let mut exits = Vec::new();
    for (index, op) in transaction.ops().iter().enumerate() {
        let keep = Keep::of(transaction, index);
        operation(op, &keep, &mut program, &mut exits);
        if keep.bits != 0 {
            program.push(Instruction::Or(KNOWN.into(), keep.bits.into(), KNOWN));
        }
    }
    let end = program.len();
    for exit in exits {
        if let Some(jump) = program.get_mut(exit) {
            let offset = i16::try_from(end.saturating_sub(exit + 1)).unwrap_or(i16::MAX);
            *jump = Instruction::JumpEqual(LEFT.into(), 0.into(), offset);
        }
    }
    for restore in transaction.restores() {
        match *restore {
            Restore::Value { at, value } => write(at, value.into(), &mut program),
            Restore::Read { at, slot } => {
                let keep = Keep::of(transaction, slot.index());
                program.push(Instruction::And(KNOWN.into(), keep.bits.into(), SCRATCH));
                program.push(Instruction::JumpEqual(SCRATCH.into(), 0.into(), 2));
                write(at, keep.register.into(), &mut program);
            }
        }
    }
    program
}

/// A program that only writes, for restores that the first one could not make.
pub fn compile_writes(writes: &[(Address, u16)]) -> Vec<Instruction> {
    let mut program = Vec::new();
    for (at, value) in writes {
        write(*at, (*value).into(), &mut program);
    }
    program
}

/// Where an operation leaves its value, and the bits of the restores that want it.
struct Keep {
    register: Register,
    bits: u16,
}

impl Keep {
    fn of(transaction: &Transaction, index: usize) -> Keep {
        let mut keep = Keep { register: SCRATCH, bits: 0 };
        let reads = transaction.restores().iter().filter_map(|restore| match restore {
            Restore::Read { slot, .. } => Some(slot.index()),
            Restore::Value { .. } => None,
        });
        // Their numbers are below MAX_RESTORES.
        for (read, number) in reads.zip(0u8..) {
            let wanted = read == index;
            if wanted && keep.bits == 0 {
                keep.register = Register(FIRST_VALUE + number);
            }
            keep.bits |= u16::from(wanted) << number;
        }
        keep
    }
}

fn operation(op: &Op, keep: &Keep, program: &mut Vec<Instruction>, exits: &mut Vec<usize>) {
    let value = keep.register;
    let at = op.address();
    let (phy, register) = (Value::from(u16::from(at.phy())), u16::from(at.register()).into());
    match *op {
        Op::Read { .. } => program
            .extend([Instruction::Read(phy, register, value), Instruction::Emit(value.into())]),
        Op::Write { at, value } => write(at, value.into(), program),
        Op::Modify { clear, set, .. } => program.extend([
            Instruction::Read(phy, register, value),
            Instruction::And(value.into(), (!clear).into(), MASKED),
            Instruction::Or(MASKED.into(), set.into(), MASKED),
            Instruction::Write(phy, register, MASKED.into()),
            Instruction::Emit(value.into()),
        ]),
        Op::Poll { mask, equals, tries, .. } => {
            program.extend([
                Instruction::Add(tries.into(), 0.into(), LEFT),
                Instruction::Read(phy, register, value),
                Instruction::And(value.into(), mask.into(), MASKED),
                Instruction::JumpEqual(MASKED.into(), equals.into(), 2),
                Instruction::Add(LEFT.into(), u16::MAX.into(), LEFT),
                Instruction::JumpNotEqual(LEFT.into(), 0.into(), -5),
                Instruction::Emit(LEFT.into()),
                Instruction::Emit(value.into()),
            ]);
            exits.push(program.len());
            program.push(Instruction::JumpEqual(LEFT.into(), 0.into(), 0));
        }
    }
}

fn write(at: Address, value: Value, program: &mut Vec<Instruction>) {
    let (phy, register) = (u16::from(at.phy()), u16::from(at.register()));
    program.push(Instruction::Write(phy.into(), register.into(), value));
    program.push(Instruction::Emit(value));
}

/// What a program has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// One entry for each operation that went well.
    pub done: Vec<Done>,
    /// The first step that failed.
    pub failure: Option<Failure>,
    /// Restores, by index and in order, that are still to be made, or to be tried again.
    pub pending: Vec<usize>,
}

/// The words do not belong to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonsense;

/// What the words, and the error that ended the program, say about the transaction.
///
/// # Errors
/// [`Nonsense`] if the program cannot have given these words.
pub fn decode(
    transaction: &Transaction,
    words: &[u16],
    error: Option<Fault>,
) -> Result<Ended, Nonsense> {
    let mut words = words.iter().copied();
    let mut ended = Ended { done: Vec::new(), failure: None, pending: Vec::new() };
    for (index, op) in transaction.ops().iter().enumerate() {
        let fault = match operation_words(op, &mut words)? {
            Some(Ok(done)) => {
                ended.done.push(done);
                continue;
            }
            Some(Err(exhausted)) => exhausted,
            // The words end here, so the bus has failed here and no restore was made.
            None => {
                let fault = error.ok_or(Nonsense)?;
                ended.fail(Step::Operation(index), op.address(), fault);
                ended.pending = known(transaction, &ended.done);
                return Ok(ended);
            }
        };
        ended.fail(Step::Operation(index), op.address(), fault);
        break;
    }
    let mut restores = known(transaction, &ended.done).into_iter();
    while let Some(index) = restores.next() {
        let (address, value) = restored(transaction, index, &ended.done).ok_or(Nonsense)?;
        match words.next() {
            Some(word) if word == value => {}
            Some(_) => return Err(Nonsense),
            None => {
                let fault = error.ok_or(Nonsense)?;
                ended.fail(Step::Restore(index), address, fault);
                // It may be the program's time that has run out and not the transfer's.
                if fault == Fault::TimedOut {
                    ended.pending.push(index);
                } else {
                    ended.unrestored(fault);
                }
                ended.pending.extend(restores);
                return Ok(ended);
            }
        }
    }
    // Nothing is left to fail, and nothing to be emitted.
    match (words.next(), error) {
        (None, None) => Ok(ended),
        _ => Err(Nonsense),
    }
}

impl Ended {
    fn fail(&mut self, step: Step, address: Address, fault: Fault) {
        self.failure.get_or_insert(Failure { step, address, fault, unrestored: None });
    }

    /// Notes that a restore has failed.
    pub fn unrestored(&mut self, fault: Fault) {
        if let Some(failure) = &mut self.failure {
            failure.unrestored.get_or_insert(fault);
        }
    }
}

/// What one operation has emitted: `None` if it was not through.
fn operation_words(
    op: &Op,
    words: &mut impl Iterator<Item = u16>,
) -> Result<Option<Result<Done, Fault>>, Nonsense> {
    let Some(word) = words.next() else { return Ok(None) };
    let through = |value, transfers| Ok(Some(Ok(Done { value, transfers })));
    match *op {
        Op::Read { .. } => through(word, 1),
        Op::Modify { .. } => through(word, 2),
        Op::Write { value, .. } if value == word => through(value, 1),
        Op::Write { .. } => Err(Nonsense),
        Op::Poll { mask, equals, tries, .. } => {
            let left = word;
            let Some(last) = words.next() else { return Ok(None) };
            let met = last & mask == equals;
            match tries.checked_sub(left).ok_or(Nonsense)? {
                transfers if left > 0 && met => through(last, transfers.saturating_add(1)),
                _ if left == 0 && !met => Ok(Some(Err(Fault::Exhausted { tries, last }))),
                _ => Err(Nonsense),
            }
        }
    }
}

/// The restores whose values are known when these operations have gone well.
fn known(transaction: &Transaction, done: &[Done]) -> Vec<usize> {
    let count = transaction.restores().len();
    (0..count).filter(|index| restored(transaction, *index, done).is_some()).collect()
}

/// Register and value of a restore; `None` if its value is not known.
pub fn restored(transaction: &Transaction, index: usize, done: &[Done]) -> Option<(Address, u16)> {
    let value_of = |slot: Slot| done.get(slot.index()).map(|done| done.value);
    match *transaction.restores().get(index)? {
        Restore::Value { at, value } => Some((at, value)),
        Restore::Read { at, slot } => Some((at, value_of(slot)?)),
    }
}

#[cfg(test)]
mod tests;
