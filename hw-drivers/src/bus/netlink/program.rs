// SPDX-License-Identifier: GPL-2.0-or-later
//! Programs for mdio-netlink: instructions, and their form on the wire.
//!
//! The machine has eight registers of 16 bits, zero at the start, and no memory. An instruction is
//! a 64-bit word of C bit fields, and a C compiler lays these out from the other end on a
//! big-endian host (github.com/wkz/mdio-tools v1.3.2, `include/linux/mdio-netlink.h`). Both forms
//! are written here whatever the host, so that each can be tested on either.

/// Most bytes of a program that the module takes.
pub const MAX_BYTES: usize = 4096;

/// Bytes of an instruction.
pub const INSTRUCTION_LEN: usize = 8;

/// Most instructions of a program: 512.
pub const MAX_INSTRUCTIONS: usize = MAX_BYTES / INSTRUCTION_LEN;

const READ: u8 = 1;
const WRITE: u8 = 2;
const AND: u8 = 3;
const OR: u8 = 4;
const ADD: u8 = 5;
const JEQ: u8 = 6;
const JNE: u8 = 7;
const EMIT: u8 = 8;

// An argument is 18 bits: mode, then value.
const MODE_SHIFT: u32 = 16;
const MODE_NONE: u32 = 0;
const MODE_REGISTER: u32 = 1;
const MODE_IMMEDIATE: u32 = 2;

/// Order of bytes, and with it of bit fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endian {
    /// Least significant first.
    Little,
    /// Most significant first.
    Big,
}

impl Endian {
    /// The order of the machine this runs on.
    pub const HOST: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };

    /// A 16-bit number as bytes.
    pub const fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    /// A 32-bit number as bytes.
    pub const fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    /// A 16-bit number from bytes.
    pub const fn read_u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Endian::Little => u16::from_le_bytes(bytes),
            Endian::Big => u16::from_be_bytes(bytes),
        }
    }

    /// A 32-bit number from bytes.
    pub const fn read_u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// One of the machine's registers, 0 to 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(pub u8);

/// A register or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// What the register holds.
    Register(Register),
    /// The number itself.
    Immediate(u16),
}

impl From<Register> for Value {
    fn from(register: Register) -> Value {
        Value::Register(register)
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Value {
        Value::Immediate(value)
    }
}

/// One instruction. A jump taken goes to its own index + 1 + `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    /// Bus read of a device's register.
    Read(Value, Value, Register),
    /// Bus write to a device's register.
    Write(Value, Value, Value),
    /// Bits of both.
    And(Value, Value, Register),
    /// Bits of either.
    Or(Value, Value, Register),
    /// Sum modulo 2^16.
    Add(Value, Value, Register),
    /// Jump if equal.
    JumpEqual(Value, Value, i16),
    /// Jump if not equal.
    JumpNotEqual(Value, Value, i16),
    /// Appends a word to the answer.
    Emit(Value),
}

/// Positions of the fields in the word.
struct Layout {
    op: u32,
    arguments: [u32; 3],
}

impl Layout {
    const fn of(endian: Endian) -> Layout {
        match endian {
            Endian::Little => Layout { op: 0, arguments: [10, 28, 46] },
            Endian::Big => Layout { op: 56, arguments: [36, 18, 0] },
        }
    }
}

impl Instruction {
    /// The instruction as a number of this byte order's machine.
    pub fn word(self, endian: Endian) -> u64 {
        let (op, arguments) = self.fields();
        let layout = Layout::of(endian);
        let mut word = u64::from(op) << layout.op;
        for (argument, shift) in arguments.into_iter().zip(layout.arguments) {
            word |= u64::from(argument) << shift;
        }
        word
    }

    /// The instruction as it lies in that machine's memory.
    pub fn bytes(self, endian: Endian) -> [u8; INSTRUCTION_LEN] {
        match endian {
            Endian::Little => self.word(endian).to_le_bytes(),
            Endian::Big => self.word(endian).to_be_bytes(),
        }
    }

    fn fields(self) -> (u8, [u32; 3]) {
        let jump = |offset: i16| value(Value::Immediate(offset.cast_unsigned()));
        match self {
            Instruction::Read(a, b, to) => (READ, [value(a), value(b), value(to.into())]),
            Instruction::Write(a, b, c) => (WRITE, [value(a), value(b), value(c)]),
            Instruction::And(a, b, to) => (AND, [value(a), value(b), value(to.into())]),
            Instruction::Or(a, b, to) => (OR, [value(a), value(b), value(to.into())]),
            Instruction::Add(a, b, to) => (ADD, [value(a), value(b), value(to.into())]),
            Instruction::JumpEqual(a, b, offset) => (JEQ, [value(a), value(b), jump(offset)]),
            Instruction::JumpNotEqual(a, b, offset) => (JNE, [value(a), value(b), jump(offset)]),
            Instruction::Emit(a) => (EMIT, [value(a), MODE_NONE, MODE_NONE]),
        }
    }
}

fn value(value: Value) -> u32 {
    match value {
        Value::Register(Register(number)) => MODE_REGISTER << MODE_SHIFT | u32::from(number & 7),
        Value::Immediate(number) => MODE_IMMEDIATE << MODE_SHIFT | u32::from(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: [Register; 4] = [Register(0), Register(1), Register(2), Register(3)];

    fn number(value: u16) -> Value {
        Value::Immediate(value)
    }

    /// Reading MT7530's register 0x7ffc: the page register, then low and high half.
    #[test]
    fn words_of_an_mt7530_read() {
        let dev = number(0x1f);
        for (instruction, word, bytes) in [
            (
                Instruction::Write(dev, number(0x1f), number(0x1ff)),
                0x807f_e001_f800_7c02,
                [0x02, 0x7c, 0x00, 0xf8, 0x01, 0xe0, 0x7f, 0x80],
            ),
            (
                Instruction::Read(dev, number(0x0f), R[0]),
                0x4000_2000_f800_7c01,
                [0x01, 0x7c, 0x00, 0xf8, 0x00, 0x20, 0x00, 0x40],
            ),
            (
                Instruction::Read(dev, number(0x10), R[1]),
                0x4000_6001_0800_7c01,
                [0x01, 0x7c, 0x00, 0x08, 0x01, 0x60, 0x00, 0x40],
            ),
            (
                Instruction::Emit(R[0].into()),
                0x0000_0000_0400_0008,
                [0x08, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00],
            ),
            (
                Instruction::Emit(R[1].into()),
                0x0000_0000_0400_0408,
                [0x08, 0x04, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00],
            ),
        ] {
            assert_eq!(instruction.word(Endian::Little), word, "{instruction:?}");
            assert_eq!(instruction.bytes(Endian::Little), bytes, "{instruction:?}");
        }
    }

    /// Waiting for QCA8337's table engine, then reading its command word.
    #[test]
    fn words_of_a_qca8337_poll() {
        let window = number(0x11);
        for (instruction, word) in [
            (Instruction::Write(number(0x18), number(0), number(7)), 0x8001_e000_0800_6002),
            (Instruction::Read(window, number(0x0d), R[0]), 0x4000_2000_d800_4401),
            (Instruction::And(R[0].into(), number(0x8000), R[1]), 0x4000_6800_0400_0003),
            (Instruction::JumpNotEqual(R[1].into(), number(0), -3), 0xbfff_6000_0400_0407),
            (Instruction::Read(window, number(0x0c), R[2]), 0x4000_a000_c800_4401),
            (Instruction::Read(window, number(0x0d), R[3]), 0x4000_e000_d800_4401),
            (Instruction::Emit(R[2].into()), 0x0000_0000_0400_0808),
            (Instruction::Emit(R[3].into()), 0x0000_0000_0400_0c08),
        ] {
            assert_eq!(instruction.word(Endian::Little), word, "{instruction:?}");
        }
    }

    #[test]
    fn big_endian_fills_from_the_other_end() {
        let write = Instruction::Write(number(0x1f), number(0x1f), number(0x1ff));
        assert_eq!(write.word(Endian::Big), 0x0220_01f8_007e_01ff);
        assert_eq!(write.bytes(Endian::Big), [0x02, 0x20, 0x01, 0xf8, 0x00, 0x7e, 0x01, 0xff]);
    }

    #[test]
    fn every_operation_has_its_number() {
        let (a, r) = (number(0), R[0]);
        let all = [
            Instruction::Read(a, a, r),
            Instruction::Write(a, a, a),
            Instruction::And(a, a, r),
            Instruction::Or(a, a, r),
            Instruction::Add(a, a, r),
            Instruction::JumpEqual(a, a, 0),
            Instruction::JumpNotEqual(a, a, 0),
            Instruction::Emit(a),
        ];
        for (instruction, op) in all.into_iter().zip(1u8..) {
            assert_eq!(instruction.bytes(Endian::Little)[0], op, "{instruction:?}");
            assert_eq!(instruction.bytes(Endian::Big)[0], op, "{instruction:?}");
        }
    }
}
