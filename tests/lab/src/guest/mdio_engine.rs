// SPDX-License-Identifier: GPL-2.0-or-later
//! The table engine of a QCA8337 by its own commands, without a driver: flows go into the NAPT
//! table, and what is there is compared by the engine's own list and by a look past the bus.
//! Registers, commands and entries are as in Qualcomm's qca-ssdk (`isisc_nat.c`).

use super::mdio::image;
use super::mdio_bus::SwitchBus;
use crate::error::{Context, Result};
use hw_drivers::bus::Bus;
use hw_drivers::qca8k_page::{PageAfter, Settle, Translation};
use serde_json::{json, Value as Json};
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

const COMMAND: u32 = 0xe58;
const DATA: u32 = 0xe80;
const BUSY: u32 = 1 << 31;
const STATUS: u32 = 1 << 7;
const FLUSH: u32 = 1;
const ADD: u32 = 2;
const DEL: u32 = 3;
const NEXT: u32 = 4;
/// Index after which NEXT gives the first entry.
const LAST: u32 = 1023;

/// Reads until a command has ended.
const TRIES: u16 = 200;
/// After a flush of NAPT the vendor waits this long.
const FLUSH_TIME: Duration = Duration::from_millis(10);

type Entry = [u32; 7];

struct Engine {
    bus: SwitchBus,
    after: PageAfter,
    errors: u32,
    first_error: Option<String>,
}

struct Answer {
    done: bool,
    index: u32,
    entry: Entry,
}

impl Engine {
    /// One command as one transaction; `None` when the bus failed.
    fn command(&mut self, function: u32, index: u32, entry: &Entry) -> Result<Option<Answer>> {
        let mut steps = Translation::new(self.after, Settle::default()).context("a page")?;
        let register = |word: usize| DATA + 4 * u32::try_from(word).unwrap_or_default();
        for (word, value) in entry.iter().enumerate() {
            steps.write(register(word), *value).context("a word")?;
        }
        steps.write(COMMAND, BUSY | index << 8 | function).context("the command")?;
        steps.poll(COMMAND, BUSY, 0, TRIES).context("the wait")?;
        // The first read after the end may show the status before.
        steps.read(COMMAND).context("the first status")?;
        let status = steps.read(COMMAND).context("the status")?;
        let mut words = Vec::new();
        for word in 0..entry.len() {
            words.push(steps.read(register(word)).context("a word")?);
        }
        let outcome = match self.bus.run(&steps.finish()) {
            Ok(outcome) => outcome,
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error.to_string());
                return Ok(None);
            }
        };
        let status = status.value(&outcome).context("no status")?;
        let mut read = [0; 7];
        for (into, slot) in read.iter_mut().zip(words) {
            *into = slot.value(&outcome).context("no word")?;
        }
        Ok(Some(Answer { done: status & STATUS != 0, index: status >> 8 & 0x3ff, entry: read }))
    }

    fn flush(&mut self) -> Result<bool> {
        let done = self.command(FLUSH, 0, &[0; 7])?.is_some_and(|answer| answer.done);
        thread::sleep(FLUSH_TIME);
        Ok(done)
    }

    /// How many of the commands the engine reported as done.
    fn each(&mut self, function: u32, entries: &[Entry]) -> Result<u32> {
        let mut done = 0;
        for entry in entries {
            done += u32::from(self.command(function, 0, entry)?.is_some_and(|a| a.done));
        }
        Ok(done)
    }

    /// All entries, as the engine lists them.
    fn list(&mut self) -> Result<BTreeSet<Entry>> {
        let (mut all, mut index) = (BTreeSet::new(), LAST);
        while let Some(answer) = self.command(NEXT, index, &[0; 7])? {
            if !answer.done {
                break;
            }
            all.insert(answer.entry);
            // A list that does not go on would never end.
            if answer.index == LAST || (index != LAST && answer.index <= index) {
                break;
            }
            index = answer.index;
        }
        Ok(all)
    }
}

/// TCP from 192.168.1.x to 203.0.113.10:443, translated to a port of its own, forwarded, fresh.
fn entry(number: u32) -> Entry {
    let host = 2 + number % 250;
    let private = 0xc0a8_0100 | host;
    let port = 40_000 + number;
    [
        0xcb00_710a,
        port << 16 | 443,
        (private & 0xfff) << 20 | (20_000 + number),
        0x0030_0000 | private >> 12,
        0xe,
        0,
        0,
    ]
}

fn valid(device: &str) -> Result<BTreeSet<Entry>> {
    let entries = image(device, "napt")?.into_iter();
    Ok(entries.filter(|entry| entry.get(4).is_some_and(|word| word & 0xf != 0)).collect())
}

/// Flushes, adds, lists, deletes every second one, flushes.
pub fn run(device: &str, bus: SwitchBus, flows: u32, after: PageAfter) -> Result<Json> {
    let mut engine = Engine { bus, after, errors: 0, first_error: None };
    let entries: Vec<Entry> = (0..flows).map(entry).collect();
    let wanted: BTreeSet<Entry> = entries.iter().copied().collect();
    let cleared = engine.flush()?;
    let added = engine.each(ADD, &entries)?;
    let held = valid(device)?;
    let listed = engine.list()?;
    let every_second: Vec<Entry> = entries.iter().step_by(2).copied().collect();
    let deleted = engine.each(DEL, &every_second)?;
    let rest: BTreeSet<Entry> = entries.iter().skip(1).step_by(2).copied().collect();
    let left = valid(device)?;
    let flushed = engine.flush()?;
    Ok(json!({
        "flushes": [cleared, flushed],
        "added": added,
        "held": held == wanted,
        "listed": listed == held,
        "deleted": deleted,
        "left": left == rest,
        "after": valid(device)?.len(),
        "errors": engine.errors,
        "error": engine.first_error,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the chip's description, with another host and port.
    #[test]
    fn entries_are_laid_out_as_the_chip_has_them() {
        let words = [0xcb00_710a, 0x9ca2_01bb, 0x1640_4e82, 0x003c_0a80, 0xe, 0, 0];
        assert_eq!(entry(98), words, "{:x?}", entry(98));
    }
}
