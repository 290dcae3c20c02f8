// SPDX-License-Identifier: GPL-2.0-or-later
//! Defects that the small chip's driver can be given, and the cases that have to notice them.

/// One thing that the driver does wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The second direction does not fit or fails, and the first one stays in the chip.
    LeavesHalf,
    /// A transfer fails, and nothing is taken back.
    NeverUndoes,
    /// What the chip says that it did not take is not looked for; its word may be misread.
    UndoesErrorsOnly,
    /// What was written is not read back.
    TrustsStatus,
    /// What could not be taken back is forgotten.
    StaysReady,
    /// The page is left where it was wanted.
    ForgetsPage,
    /// A shared register is read in one transaction and written in another.
    ChangesInTwo,
    /// The chip is asked before a flow is looked at.
    ChecksOnTheChip,
    /// The same flow gets two entries.
    InsertsTwice,
    /// Where there is no room another flow has to go, and nobody is told.
    EvictsSilently,
    /// The way back stays in the chip.
    RemovesHalf,
    /// An entry that could not be removed is forgotten.
    ForgetsAtErrors,
    /// That an entry could not be removed is not told.
    SwallowsErrors,
    /// A hit is cleared in the chip before it is remembered.
    LosesHits,
    /// Only the part of an entry that the chip searches for is compared.
    VerifiesKeysOnly,
    /// A chip that answers is taken for one that is set up.
    IgnoresReset,
    /// Set-up does not empty the table.
    KeepsOldEntries,
    /// Set-up switches the engine on before the table is empty.
    EnablesFirst,
    /// Disable does not empty the table.
    OnlySwitchesOff,
}
