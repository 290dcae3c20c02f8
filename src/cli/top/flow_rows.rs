// SPDX-License-Identifier: GPL-2.0-or-later
//! The table of flows of a given width: columns are left out where it is too narrow for them, and
//! both ends of a connection are shortened in the middle, so that no row is wider.

use super::cells::{cut, plain};
use crate::cli::flows::{row, COLUMNS, HEADING, NUMBERS};
use crate::cli::text::entries;

const PROTOCOL: usize = 1;
const SOURCE: usize = 2;
const DESTINATION: usize = 3;
const BYTES: usize = 5;
const AGE: usize = 6;

/// Widest that columns other than the ends become. A daemon's words are not wider.
const WIDEST: [usize; COLUMNS] = [8, 6, usize::MAX, usize::MAX, 9, 7, 4];
/// An IPv4 address with its port; ends that need more are worth no further column.
const END_WANTED: usize = 21;
/// What goes first when it is narrow.
const SPARE: [usize; 3] = [AGE, PROTOCOL, BYTES];
/// What stands for characters left out.
const GAP: &str = "..";

/// The heading and a line for each flow of a reply, none wider than `columns`.
pub fn lines(reply: &[u8], columns: usize) -> Vec<String> {
    let mut rows = vec![HEADING.map(str::to_owned)];
    rows.extend(entries(reply, "flows").unwrap_or_default().into_iter().map(row));
    for row in &mut rows {
        for (cell, widest) in row.iter_mut().zip(WIDEST) {
            *cell = cut(&plain(cell), widest);
        }
    }
    let widths = fit(&mut rows, columns);
    rows.iter().map(|row| cut(&line(row, &widths), columns)).collect()
}

/// The width of each column, 0 for those left out. The state is cut to a letter when nothing else
/// helps.
fn fit(rows: &mut [[String; COLUMNS]], columns: usize) -> [usize; COLUMNS] {
    let mut widths = natural(rows);
    let wanted = |widths: &[usize; COLUMNS]| {
        let [_, _, source, destination, ..] = widths;
        (*source).min(END_WANTED).saturating_add((*destination).min(END_WANTED))
    };
    for spare in SPARE {
        if room(&widths, columns) >= wanted(&widths) {
            break;
        }
        if let Some(width) = widths.get_mut(spare) {
            *width = 0;
        }
    }
    if room(&widths, columns) < wanted(&widths) {
        for [state, ..] in rows.iter_mut() {
            state.truncate(1);
        }
        let [state, ..] = &mut widths;
        *state = 1;
    }
    let room = room(&widths, columns);
    let [_, _, source, destination, ..] = &mut widths;
    let half = (*source).min((room / 2).max(room.saturating_sub(*destination)));
    (*source, *destination) = (half, (*destination).min(room - half));
    widths
}

fn natural(rows: &[[String; COLUMNS]]) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    widths
}

/// What the other columns leave to the two ends.
fn room(widths: &[usize; COLUMNS], columns: usize) -> usize {
    let others = widths.iter().enumerate().filter(|(column, _)| !is_end(*column));
    let taken: usize = others.filter(|(_, width)| **width > 0).map(|(_, width)| width + 1).sum();
    // A space between the ends.
    columns.saturating_sub(taken + 1)
}

fn is_end(column: usize) -> bool {
    column == SOURCE || column == DESTINATION
}

fn line(row: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let mut cells = Vec::new();
    for (column, (cell, width)) in row.iter().zip(*widths).enumerate() {
        if width == 0 {
            continue;
        }
        let cell = if is_end(column) { shorten(cell, width) } else { cell.clone() };
        cells.push(match column {
            NUMBERS.. => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
    }
    cells.join(" ").trim_end().to_owned()
}

/// `text` of at most `width` characters: a third of them from the beginning, which tells the network,
/// the others from the end, which tells the host and the port.
fn shorten(text: &str, width: usize) -> String {
    if text.len() <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(GAP.len());
    let (head, tail) = (kept / 3, kept - kept / 3);
    let head = text.get(..head).unwrap_or_default();
    let tail = text.get(text.len().saturating_sub(tail)..).unwrap_or_default();
    cut(&format!("{head}{GAP}{tail}"), width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Paged;
    use crate::core::flows::select::Order;
    use crate::core::flows::view::FlowPage;
    use crate::core::flows::Flow;
    use crate::netlink::conntrack::tuple::Tuple;
    use crate::ubus::flows::encode;
    use crate::ubus::flows::tests::{download, ping};

    fn reply(flows: Vec<Flow>) -> Vec<u8> {
        encode(&FlowPage::bare(flows), Order::Rate).contents().to_vec()
    }

    fn six() -> Flow {
        let end = |host: u16, port| ([0x2001, 0xdb8, 0x1234, 0x5678, 9, 10, 11, host].into(), port);
        Flow { orig: Tuple::new(6, end(1, 50_000), end(0xffff, 443)).unwrap(), ..download() }
    }

    #[test]
    fn a_wide_table_is_that_of_flows() {
        let reply = reply(vec![download(), six(), ping()]);
        let whole = crate::cli::flows::FlowTable::default().page(&reply);
        assert_eq!(lines(&reply, 200), whole.lines().collect::<Vec<_>>());
    }

    #[test]
    fn ends_are_shortened_in_the_middle_and_columns_left_out() {
        let reply = reply(vec![download(), six()]);
        for (columns, heading, last) in [
            (
                80,
                "STATE    PROTO SOURCE                  DESTINATION                RATE BYTES AGE",
                "hardware tcp   [2001:d..9:a:b:1]:50000 [2001:d..:a:b:ffff]:443 4.2GB/s 3.0MB  1m",
            ),
            (
                70,
                "STATE    SOURCE                  DESTINATION                RATE BYTES",
                "hardware [2001:d..9:a:b:1]:50000 [2001:d..:a:b:ffff]:443 4.2GB/s 3.0MB",
            ),
            (
                60,
                "STATE    SOURCE                DESTINATION              RATE",
                "hardware [2001:..:a:b:1]:50000 [2001:..a:b:ffff]:443 4.2GB/s",
            ),
            (
                50,
                "S SOURCE              DESTINATION             RATE",
                "h [2001..a:b:1]:50000 [2001:..:b:ffff]:443 4.2GB/s",
            ),
            (
                40,
                "S SOURCE         DESTINATION        RATE",
                "h [200..1]:50000 [200..ffff]:443 4.2GB/s",
            ),
        ] {
            let lines = lines(&reply, columns);
            assert_eq!((lines[0].as_str(), lines[2].as_str()), (heading, last), "{columns}");
        }
    }

    #[test]
    fn shortening_keeps_both_ends() {
        for (width, wanted) in
            [(9, "192.0.2.1"), (8, "19...2.1"), (3, "..1"), (2, ".."), (1, "."), (0, "")]
        {
            assert_eq!(shorten("192.0.2.1", width), wanted);
        }
    }
}
