// SPDX-License-Identifier: GPL-2.0-or-later
//! How full the packet engine of the MT7621 is, from the listing that the kernel has in debugfs.
//!
//! The kernel writes the whole listing within the first read of the file (`single_open` in Linux'
//! `mtk_ppe_debugfs.c`), and anew each time its buffer has proved too small. A full table is four
//! megabytes of formatted text, which takes such a router far longer than the few milliseconds that
//! the event loop may be held, in one call that cannot be cut into pieces. So a thread reads it,
//! which exists only meanwhile and only when somebody has asked; the loop answers with what the
//! last reading has found, unless that is too old to be told.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use hw_drivers::mt7621_ppe::listing::{Reader, Summary};

use crate::core::hardware::view::{Condition, Listed, SwitchView};
use crate::core::hardware::Tally;
use crate::core::settings::SwitchDriver;

/// Where debugfs is mounted.
const DEBUGFS: &str = "/sys/kernel/debug";
/// The file below it, as kernels since 5.19 name it, and before.
const FILES: [&str; 2] = ["ppe0/entries", "mtk_ppe/entries"];
/// A reading keeps one of the router's processors busy for a while, so who asks more often than
/// this has the last one again.
const FRESH: Duration = Duration::from_secs(5);
/// A reading that is older says nothing about the present. Until then it is told while the next one
/// is under way, so that who asks now and then always has one.
const STALE: Duration = Duration::from_secs(30);
/// Bytes taken at once from what the kernel has written.
const PIECE: usize = 16 * 1024;
/// Stack of the thread: the piece is on the heap, and nothing there is recursive.
const STACK: usize = 128 * 1024;

/// What a reading has found, or in words why there is none.
type Found = Result<Listed, String>;

/// The listing, and the last that was read of it.
#[derive(Debug)]
pub struct PpeListing {
    debugfs: PathBuf,
    /// When the reading under way has begun, and its thread.
    reading: Option<(Instant, JoinHandle<Found>)>,
    /// When the last one had begun, and what it found.
    last: Option<(Instant, Found)>,
}

impl Default for PpeListing {
    fn default() -> PpeListing {
        PpeListing::new(PathBuf::from(DEBUGFS))
    }
}

impl PpeListing {
    /// A listing that nobody has read yet, below this directory.
    pub fn new(debugfs: PathBuf) -> PpeListing {
        PpeListing { debugfs, reading: None, last: None }
    }

    /// Somebody wants to know: takes what has been read, and begins to read again unless that was
    /// done lately. Does not wait for it.
    pub fn look(&mut self, now: Instant) {
        let over = |(_, thread): &mut (Instant, JoinHandle<Found>)| thread.is_finished();
        if let Some((begun, thread)) = self.reading.take_if(over) {
            let found = thread.join().unwrap_or_else(|_| Err("the listing cannot be read".into()));
            self.last = Some((begun, found));
        }
        let age = |(begun, _): &(Instant, Found)| now.saturating_duration_since(*begun);
        if self.reading.is_none() && self.last.as_ref().is_none_or(|last| age(last) >= FRESH) {
            let debugfs = self.debugfs.clone();
            let thread = Builder::new().name("ppe listing".into()).stack_size(STACK);
            match thread.spawn(move || read(&debugfs)) {
                Ok(thread) => self.reading = Some((now, thread)),
                Err(error) => {
                    self.last = Some((now, Err(format!("cannot start to read: {error}"))))
                }
            }
        }
        if self.last.as_ref().is_some_and(|last| age(last) >= STALE) {
            self.last = None;
        }
    }

    /// The engine under the name that the configuration has for it, as it was found lately.
    pub fn view(&self, name: &str) -> SwitchView {
        let (condition, listed) = match &self.last {
            Some((_, Err(words))) => (Condition::Unusable(words.clone()), None),
            Some((_, Ok(listed))) => (Condition::Watched, Some(*listed)),
            None => (Condition::Watched, None),
        };
        SwitchView {
            name: name.to_owned(),
            driver: SwitchDriver::Mt7621,
            condition,
            // A flow has an entry for each direction.
            capacity: Summary::usable() / 2,
            // Entries can be counted; whether both directions of a flow have theirs cannot.
            used: None,
            queued: 0,
            tally: Tally::default(),
            listed,
        }
    }
}

/// Reads the listing to its end.
fn read(debugfs: &Path) -> Found {
    let mut file = None;
    for name in FILES {
        let path = debugfs.join(name);
        match File::open(&path) {
            Ok(opened) => file = Some((opened, path)),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("cannot open {}: {error}", path.display())),
        }
        break;
    }
    let (mut file, path) = file.ok_or_else(|| why_absent(debugfs))?;
    let (mut reader, mut summary) = (Reader::new(), Summary::default());
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => {
                let bytes = piece.get(..length).unwrap_or_default();
                reader.feed(bytes, &mut |line| summary.add(&line));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        }
    }
    reader.finish(&mut |line| summary.add(&line));
    let bound = summary.bound();
    let unbound = summary.occupied().saturating_sub(bound);
    Ok(Listed { bound, unbound, malformed: summary.malformed().0 })
}

/// Why the file is not there. The directory exists on every kernel that has debugfs, and is empty
/// until that is mounted.
fn why_absent(debugfs: &Path) -> String {
    let shown = debugfs.display();
    match std::fs::read_dir(debugfs).map(|mut entries| entries.next().is_some()) {
        Ok(true) => format!("the kernel drives no packet engine: {shown} has no {}", FILES[0]),
        Ok(false) => format!("debugfs is not mounted on {shown}"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("the kernel has no debugfs: no {shown}")
        }
        Err(error) => format!("cannot look into {shown}: {error}"),
    }
}

#[cfg(test)]
#[path = "ppe_listing_tests.rs"]
mod tests;
