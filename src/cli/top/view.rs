// SPDX-License-Identifier: GPL-2.0-or-later
//! A frame: what the daemon answered and what was chosen, as lines that fit the screen.
//!
//! A frame is a header that every view has, the body of the view, and a line for what is being
//! entered, what is wrong, or the keys. Whatever comes from the bus becomes printable ASCII, so
//! that a character is a column and nothing steers the terminal.

use super::cells::{cut, plain};
use super::choice::{Choice, Entry, Field};
use super::flow_rows;
use crate::cli::history;
use crate::cli::text::{entries, integer, reason, table, text, unknown};
use crate::core::flows::FlowState;

/// A screen from which on the header has room for the leaked packets beside the states.
const WIDE: usize = 51;
/// Lines of the header, the leaked packets on a line of their own left aside.
const HEADER: usize = 5;
/// The heading of the table, and the last line.
const AROUND: usize = 2;

const HINT: &str = "q quit  ? help  r b a order  s state  p protocol  / address  : port  c clear";

const HELP: &[&str] = &[
    "q, Ctrl-C     quit",
    "r, b, a       order by rate, bytes, age",
    "s             state: classic, software,",
    "              hardware, all",
    "p             protocol: tcp, udp, all",
    "/             with address or prefix",
    ":, o          with port",
    "c             clear the filters",
    "Space, PgDn   next page",
    "PgUp, Home    page before, first page",
    "Ctrl-L        draw the screen anew",
    "?, h          this help",
    "",
    "Any key goes back.",
];

/// Columns and rows of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

/// What the daemon answered last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// The reply of `status`.
    pub status: Option<Vec<u8>>,
    /// The reply of `flows`.
    pub flows: Option<Vec<u8>>,
    /// The reply of `history`.
    pub history: Option<Vec<u8>>,
    /// Why an answer is missing.
    pub fault: Option<String>,
}

/// Flows that fit on the screen.
pub fn rows_that_fit(size: Size) -> usize {
    let leaked = usize::from(size.columns < WIDE);
    size.rows.saturating_sub(HEADER + leaked + AROUND).max(1)
}

/// Exactly as many lines as the screen has rows, none wider than it.
pub fn frame(answers: &Answers, choice: &Choice, size: Size) -> Vec<String> {
    let mut lines = match choice.help {
        true => HELP.iter().map(|line| cut(line, size.columns)).collect(),
        false => once(answers, choice, size),
    };
    lines.resize(size.rows.saturating_sub(1), String::new());
    lines.push(last_line(answers, choice, size.columns));
    lines.truncate(size.rows);
    lines
}

/// A frame without its last line, and no longer than it needs to be.
pub fn once(answers: &Answers, choice: &Choice, size: Size) -> Vec<String> {
    let mut lines = header(answers, size.columns);
    let flows = answers.flows.as_deref();
    lines.push(cut(&chosen(flows, choice), size.columns));
    let mut body = flow_rows::lines(flows.unwrap_or_default(), size.columns);
    body.truncate(1 + rows_that_fit(size));
    lines.append(&mut body);
    lines
}

fn header(answers: &Answers, columns: usize) -> Vec<String> {
    let status = answers.status.as_deref().unwrap_or_default();
    let states = FlowState::ALL.map(FlowState::name);
    let counted = table(status, "flows").unwrap_or_default();
    let count = |key| integer(counted, key).map_or_else(unknown, |n: i64| n.to_string());
    let leaked = integer(status, "leaked_packets").map_or_else(unknown, |n| n.to_string());
    let rates = history::latest(answers.history.as_deref().unwrap_or_default());
    let beside = |word: &str| if columns < WIDE { String::new() } else { format!("{word:>11}") };
    let row = |label: &str, cells: [String; 3], word: &str| {
        let [classic, software, hardware] = cells;
        format!("{label:<7}{classic:>11}{software:>11}{hardware:>11}{}", beside(word))
    };
    let mut lines = vec![
        mode(status),
        row("", states.map(str::to_owned), "leaked"),
        row("flows", states.map(count), &leaked),
        row("rate", rates, ""),
    ];
    if columns < WIDE {
        lines.push(format!("leaked {leaked} packets"));
    }
    lines.iter().map(|line| cut(plain(line).trim_end(), columns)).collect()
}

/// What was asked for, what is in force when that is something else, and why.
fn mode(status: &[u8]) -> String {
    let (requested, effective) = (text(status, "requested"), text(status, "effective"));
    if status.is_empty() {
        return format!("mode {}", unknown());
    }
    if requested == effective {
        format!("mode {effective}: {}", reason(status))
    } else {
        format!("mode {requested} -> {effective}: {}", reason(status))
    }
}

/// How many flows there are, and of which kind.
fn chosen(flows: Option<&[u8]>, choice: &Choice) -> String {
    let matched = flows.and_then(|reply| integer(reply, "matched"));
    let shown = flows.and_then(|reply| entries(reply, "flows")).map_or(0, |flows| flows.len());
    let mut line = match matched {
        Some(matched) => format!("{shown} of {matched} flows by {}", choice.sort),
        None => format!("{} flows by {}", unknown(), choice.sort),
    };
    if choice.page() > 1 {
        line += &format!(", page {}", choice.page());
    }
    if let Some(state) = choice.state {
        line += &format!(", {}", state.name());
    }
    if let Some(protocol) = choice.protocol {
        line += &format!(", {protocol}");
    }
    if let Some(address) = &choice.address {
        line += &format!(", with {address}");
    }
    if let Some(port) = choice.port {
        line += &format!(", port {port}");
    }
    plain(&line)
}

fn last_line(answers: &Answers, choice: &Choice, columns: usize) -> String {
    let line = match (&choice.entry, &answers.fault) {
        (Some(entry), _) => return entered(entry, columns),
        (None, Some(fault)) => plain(fault),
        (None, None) => HINT.to_owned(),
    };
    cut(&line, columns)
}

/// The line being entered; of one that is too wide its end.
fn entered(entry: &Entry, columns: usize) -> String {
    if let Some(fault) = &entry.fault {
        return cut(&plain(fault), columns);
    }
    let label = match entry.field {
        Field::Address => "address or prefix",
        Field::Port => "port",
    };
    let line = plain(&format!("{label}: {}_", entry.text));
    line.get(line.len().saturating_sub(columns)..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::keys::Key;
    use super::*;
    use crate::core::flows::select::{Cursor, Order};
    use crate::core::flows::view::FlowPage;
    use crate::core::flows::Flow;
    use crate::netlink::conntrack::tuple::Tuple;
    use crate::ubus::flows::tests::{download, ping, plain as plain_flow};
    use crate::ubus::{flows, history as history_method, status};
    use proptest::prelude::*;
    use ubus::BlobBuilder;

    fn some() -> Answers {
        let six = |n: u16| ([0x2001, 0xdb8, 0x1234, 0x5678, n, n, n, n].into(), n.max(10_000));
        let long = Flow { orig: Tuple::new(17, six(1), six(65_000)).unwrap(), ..download() };
        let list = vec![download(), long, plain_flow(), ping()];
        let page = FlowPage { matched: 440, ..FlowPage::bare(list) };
        Answers {
            status: Some(status::encode(&status::tests::full()).contents().to_vec()),
            flows: Some(flows::encode(&page, Order::Rate).contents().to_vec()),
            history: Some(history_method::tests::two().contents().to_vec()),
            fault: None,
        }
    }

    fn of(lines: &[String]) -> String {
        lines.join("\n") + "\n"
    }

    #[test]
    fn a_frame_of_80_by_24() {
        let size = Size { columns: 80, rows: 24 };
        assert_eq!(rows_that_fit(size), 17);
        let mut wanted = "\
mode hardware -> mixed: only some devices accept hardware offload (lan3)
           classic   software   hardware     leaked
flows           12        340         88         17
rate       1.0kB/s   10.0kB/s  100.0kB/s
4 of 440 flows by rate
STATE    PROTO SOURCE                  DESTINATION                RATE BYTES AGE
hardware tcp   192.168.1.100:49152     203.0.113.2:443         4.2GB/s 3.0MB  1m
hardware udp   [2001:d..1:1:1:1]:10000 [2001:d..e8:fde8]:65000 4.2GB/s 3.0MB  1m
classic  tcp   [2001:db8::1]:1         [2001:db8::2]:65535           -     -  0s
classic  icmp  192.168.1.2             192.0.2.1                     -     -  0s
"
        .to_owned();
        wanted += &"\n".repeat(13);
        wanted += HINT;
        wanted += "\n";
        assert_eq!(of(&frame(&some(), &Choice::default(), size)), wanted);
    }

    #[test]
    fn a_frame_of_40_by_10() {
        let size = Size { columns: 40, rows: 10 };
        assert_eq!(rows_that_fit(size), 2);
        assert_eq!(
            of(&frame(&some(), &Choice::default(), size)),
            "\
mode hardware -> mixed: only some devi..
           classic   software   hardware
flows           12        340         88
rate       1.0kB/s   10.0kB/s  100.0kB/s
leaked 17 packets
4 of 440 flows by rate
S SOURCE         DESTINATION        RATE
h 192...00:49152 203.0.113.2:443 4.2GB/s
h [200..1]:10000 [200..e8]:65000 4.2GB/s
q quit  ? help  r b a order  s state  ..
"
        );
    }

    #[test]
    fn nothing_known_is_a_frame_of_dashes() {
        let size = Size { columns: 60, rows: 8 };
        let fault = Some("status: flowtabled is not on the bus; is it running?\x1b[2J".into());
        let answers = Answers { fault, ..Answers::default() };
        assert_eq!(
            of(&frame(&answers, &Choice::default(), size)),
            "\
mode -
           classic   software   hardware     leaked
flows            -          -          -          -
rate             -          -          -
- flows by rate
STATE PROTO SOURCE DESTINATION RATE BYTES AGE

status: flowtabled is not on the bus; is it running??[2J
"
        );
    }

    #[test]
    fn the_choice_is_told() {
        let mut choice = Choice::default();
        choice.set_next(Cursor::parse("9-1"));
        choice.press(Key::Down);
        let size = Size { columns: 80, rows: 24 };
        let told = |choice: &Choice| once(&some(), choice, size).swap_remove(4);
        assert_eq!(told(&choice), "4 of 440 flows by rate, page 2");
        for key in "bsp:443\n/192.0.2.0/24\n".chars() {
            choice.press(if key == '\n' { Key::Enter } else { Key::Char(key) });
        }
        let wanted = "4 of 440 flows by bytes, classic, tcp, with 192.0.2.0/24, port 443";
        assert_eq!(told(&choice), wanted);
    }

    #[test]
    fn the_last_line_is_what_is_being_entered() {
        let mut choice = Choice::default();
        let last = |choice: &Choice, columns| {
            frame(&some(), choice, Size { columns, rows: 24 }).pop().unwrap()
        };
        choice.press(Key::Char('/'));
        assert_eq!(last(&choice, 80), "address or prefix: _");
        "fe80".chars().for_each(|c| {
            choice.press(Key::Char(c));
        });
        assert_eq!(last(&choice, 80), "address or prefix: fe80_");
        assert_eq!(last(&choice, 8), "x: fe80_", "the end of it");
        choice.press(Key::Enter);
        assert_eq!(last(&choice, 80), "'fe80' is neither an address nor a prefix");
    }

    #[test]
    fn the_help_fits_small_screens() {
        assert!(HELP.iter().all(|line| line.len() <= 40), "wider than the narrowest screen");
        assert!(HELP.len() < 24 && HINT.len() <= 80);
        let mut choice = Choice::default();
        choice.press(Key::Char('?'));
        let lines = frame(&some(), &choice, Size { columns: 80, rows: 24 });
        assert_eq!((lines[0].as_str(), lines.len()), (HELP[0], 24));
    }

    /// A reply with the keys that a frame reads, and any values.
    fn reply(texts: &[String], numbers: &[i64]) -> Vec<u8> {
        let mut texts = texts.iter().cycle();
        let mut numbers = numbers.iter().cycle();
        let mut out = BlobBuilder::new();
        for key in ["requested", "effective", "reason_text", "detail"] {
            out.put_str(Some(key), texts.next().unwrap());
        }
        for key in ["leaked_packets", "matched"] {
            out.put_i64(Some(key), *numbers.next().unwrap());
        }
        out.open_array(Some("flows"));
        for _ in 0..3 {
            out.open_table(None);
            for key in ["state", "protocol", "source", "destination"] {
                out.put_str(Some(key), texts.next().unwrap());
            }
            for key in [
                "source_port",
                "destination_port",
                "rate_sent",
                "rate_received",
                "bytes_sent",
                "bytes_received",
                "age_s",
            ] {
                out.put_i64(Some(key), *numbers.next().unwrap());
            }
            out.close_table();
        }
        out.close_array();
        out.finish()
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_screen(
            columns in 1usize..200,
            rows in 1usize..40,
            texts in proptest::collection::vec("\\PC{0,40}|.{0,20}|[0-9a-f:.]{0,60}", 1..20),
            numbers in proptest::collection::vec(any::<i64>(), 1..20),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            entry in "[ -~]{0,60}",
            whole in any::<bool>(),
        ) {
            let size = Size { columns, rows };
            let body = if whole { reply(&texts, &numbers) } else { bytes };
            let answers = Answers {
                status: Some(body.clone()),
                flows: Some(body.clone()),
                history: Some(body),
                fault: texts.first().cloned(),
            };
            let mut choice = Choice::default();
            choice.address = texts.last().cloned();
            for entering in [false, true] {
                if entering {
                    choice.press(Key::Char('/'));
                    entry.chars().for_each(|c| { choice.press(Key::Char(c)); });
                }
                let lines = frame(&answers, &choice, size);
                prop_assert_eq!(lines.len(), rows);
                for line in lines.iter().chain(&once(&answers, &choice, size)) {
                    prop_assert!(line.len() <= columns, "{} > {}: {}", line.len(), columns, line);
                    prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
                }
            }
        }
    }
}
