// SPDX-License-Identifier: GPL-2.0-or-later
//! Single operations on a switch, and how they ended.

use hw_drivers::flow::Flow;
use hw_drivers::table::{Entry, Error, FlowTable, Network, Progress, Sight};

/// What is to be done next. Each takes the bus for some milliseconds at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A piece of setting the engine up.
    SetUp(Network),
    /// A piece of switching it off.
    Disable,
    /// A look whether the chip is as it was set up.
    Alive,
    /// A flow is to get an entry.
    Insert {
        /// Conntrack's id.
        id: u32,
        /// The flow as the chip sees it.
        flow: Flow,
    },
    /// An entry is to be read back.
    Verify {
        /// Conntrack's id.
        id: u32,
        /// The entry.
        entry: Entry,
    },
    /// An entry is to go.
    Remove {
        /// Conntrack's id.
        id: u32,
        /// The entry.
        entry: Entry,
    },
    /// A piece of looking which entries packets have met.
    Sweep,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Of [`Work::SetUp`].
    SetUp(Result<Progress, Error>),
    /// Of [`Work::Disable`].
    Disabled(Result<Progress, Error>),
    /// Of [`Work::Alive`].
    Alive(Result<(), Error>),
    /// Of [`Work::Insert`].
    Inserted(u32, Result<Entry, Error>),
    /// Of [`Work::Verify`].
    Verified(u32, Entry, Result<(), Error>),
    /// Of [`Work::Remove`].
    Removed(u32, Entry, Result<(), Error>),
    /// Of [`Work::Sweep`], with what it saw.
    Swept(Vec<Sight>, Result<Progress, Error>),
}

impl Work {
    /// Does it.
    pub fn perform(self, table: &mut dyn FlowTable) -> Ended {
        match self {
            Work::SetUp(network) => Ended::SetUp(table.set_up(&network)),
            Work::Disable => Ended::Disabled(table.disable()),
            Work::Alive => Ended::Alive(table.alive()),
            Work::Insert { id, flow } => Ended::Inserted(id, table.insert(&flow)),
            Work::Verify { id, entry } => Ended::Verified(id, entry, table.verify(entry)),
            Work::Remove { id, entry } => Ended::Removed(id, entry, table.remove(entry)),
            Work::Sweep => {
                let mut seen = Vec::new();
                let progress = table.sweep(&mut |sight| seen.push(sight));
                Ended::Swept(seen, progress)
            }
        }
    }
}
