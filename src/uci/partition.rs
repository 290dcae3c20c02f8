// SPDX-License-Identifier: GPL-2.0-or-later
//! `config table` in `/etc/config/flowtable`: further flowtables in tables of their own.

use super::error::Error;
use super::flowtable::{is_glob, PRIORITY};
use super::view::View;
use crate::core::plan::PARTITIONS_MAX;
use crate::core::settings::Partition;

/// The options of a table.
pub const KNOWN: [&str; 5] = ["name", "device", "priority", "counter", "hardware"];

/// The name ends that of a table, and people type it.
const NAME_MAX: usize = 16;

const NAME: &str = "a name of at most 16 small letters, digits and '_' that no table before has";
const DEVICE: &str = "device names or patterns of *, ? and [a-z], 32 at most";
const FEWER: &str = "no more than 8 tables";
/// Each device is compared with each pattern.
const DEVICES_MAX: usize = 32;

/// Reads one section behind those `before`.
///
/// # Errors
/// A value is not accepted.
pub fn read(view: &View<'_>, before: &[Partition]) -> Result<Partition, Error> {
    let name = view.single("name", NAME)?.ok_or_else(|| view.missing("name"))?;
    let legible = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let good = (1..=NAME_MAX).contains(&name.text.len()) && name.text.bytes().all(legible);
    if !good || before.iter().any(|table| table.name == name.text) {
        return Err(view.refuse("name", &name, NAME));
    }
    if before.len() >= PARTITIONS_MAX {
        return Err(view.refuse("name", &name, FEWER));
    }
    let devices = view.words("device");
    let bad = devices.iter().find(|word| !is_glob(&word.text)).or(devices.get(DEVICES_MAX));
    if let Some(word) = bad {
        return Err(view.refuse("device", word, DEVICE));
    }
    let priority = match view.single("priority", PRIORITY)? {
        None => None,
        Some(word) => {
            let number = word.text.parse();
            Some(number.map_err(|_| view.refuse("priority", &word, PRIORITY))?)
        }
    };
    let counter = match view.section.option("counter") {
        None => None,
        Some(_) => Some(view.boolean("counter", true)?),
    };
    let hardware = view.boolean("hardware", false)?;
    let devices = devices.into_iter().map(|word| word.text).collect();
    Ok(Partition { name: name.text, devices, priority, counter, hardware })
}
