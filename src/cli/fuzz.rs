// SPDX-License-Identifier: GPL-2.0-or-later
//! What the fuzz targets in `tests/fuzz` need of the parts that print; no other build has it.

use super::devices::DeviceTable;
use super::flows::FlowTable;
use super::hosts::HostTable;
use super::{explain, hardware, history, text, Paged};

pub use super::top::fuzz::{lines, type_keys};

/// A reply as every command would print it, whatever method it is of.
pub fn texts(reply: &[u8]) -> Vec<String> {
    let _ = (explain::is_worth_asking_again(reply), hardware::is_worth_asking_again(reply));
    let printers: [fn(&[u8]) -> String; 7] = [
        text::status,
        text::flush,
        text::evict,
        text::release,
        explain::explain,
        history::history,
        hardware::hardware,
    ];
    let mut texts: Vec<String> = printers.iter().map(|print| print(reply)).collect();
    let tables: [&mut dyn Paged; 3] =
        [&mut FlowTable::default(), &mut HostTable::default(), &mut DeviceTable::default()];
    for table in tables {
        // The second page has no heading.
        texts.extend([table.page(reply), table.page(reply), table.footer()]);
        // Where the next page begins is sent to the daemon, never printed.
        let _ = table.next(reply, None);
    }
    texts
}
