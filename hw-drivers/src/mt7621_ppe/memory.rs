// SPDX-License-Identifier: GPL-2.0-or-later
//! The registers and the table as memory of 32-bit words.

/// Registers of the frame engine and its flow table, mapped uncached.
///
/// Accesses are aligned and 32 bits wide: the engine reads entries word by word at any time, so a
/// backend may neither split nor merge them. They cannot fail; what is not mapped is not offered.
/// What does not answer reads as ones and takes no writes.
pub trait Memory {
    /// Reads the register at a byte offset from the frame engine's base (0x1e10_0000).
    fn read(&mut self, register: u32) -> u32;

    /// Writes a register.
    fn write(&mut self, register: u32, value: u32);

    /// Physical address of the table that is mapped: what the register TB_BASE held then.
    fn table(&self) -> u32;

    /// Reads a word of the table at a byte offset from its beginning.
    fn read_word(&mut self, at: u32) -> u32;

    /// Writes a word of the table.
    fn write_word(&mut self, at: u32, value: u32);

    /// All writes before are seen by the engine before all writes after (`sync` on MIPS).
    fn barrier(&mut self);
}
