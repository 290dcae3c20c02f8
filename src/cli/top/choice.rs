// SPDX-License-Identifier: GPL-2.0-or-later
//! What somebody has chosen to see by pressing keys: order, filters, page.

use ubus::BlobMsgTable;

use super::keys::Key;
use crate::core::flows::select::{Cursor, PAGE_MAX};
use crate::core::flows::FlowState;
use crate::netlink::prefix::Prefix;
use crate::ubus::flow_filter::{ADDRESS, PORT, PROTOCOL, STATE};
use crate::ubus::flows::{CURSOR, LIMIT, SORT};

/// Pages that can be gone back through. It bounds memory: who wants flow 100,000 wants a filter.
const PAGES_MAX: usize = 1000;
/// Longest text that can be entered: an IPv6 address of the longest spelling, with a prefix length.
const ENTRY_MAX: usize = 49;
/// What `p` goes through, beginning with no filter.
const PROTOCOLS: [Option<&str>; 3] = [None, Some("tcp"), Some("udp")];

/// What is to be done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Show what is known anew.
    Show,
    /// Show it anew on a cleared screen.
    Redraw,
    /// Ask the daemon, now.
    Ask,
    /// End.
    Quit,
}

/// What is being entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// An address or a prefix.
    Address,
    /// A port.
    Port,
}

/// A line being entered, and what is wrong with it as it was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is for.
    pub field: Field,
    /// What there is of it.
    pub text: String,
    /// Why Enter did not take it.
    pub fault: Option<String>,
}

/// Order, filters, page, and what is in front of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// `rate`, `bytes` or `age`.
    pub sort: &'static str,
    /// Only flows of this state.
    pub state: Option<FlowState>,
    /// Only flows of this protocol.
    pub protocol: Option<&'static str>,
    /// Only flows with this address or prefix.
    pub address: Option<String>,
    /// Only flows with this port.
    pub port: Option<u16>,
    /// The line being entered.
    pub entry: Option<Entry>,
    /// The help is shown.
    pub help: bool,
    /// Where each page behind the first begins, up to the one that is shown.
    pages: Vec<Cursor>,
    /// Where the page behind the one shown begins.
    next: Option<Cursor>,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice {
            sort: "rate",
            state: None,
            protocol: None,
            address: None,
            port: None,
            entry: None,
            help: false,
            pages: Vec::new(),
            next: None,
        }
    }
}

impl Choice {
    /// Takes a key.
    pub fn press(&mut self, key: Key) -> Action {
        match key {
            Key::Interrupt => Action::Quit,
            Key::Redraw => Action::Redraw,
            _ if self.entry.is_some() => self.edit(key),
            _ if self.help => {
                self.help = false;
                if key == Key::Char('q') {
                    Action::Quit
                } else {
                    Action::Show
                }
            }
            Key::Char(letter) => self.letter(letter),
            Key::Down => self.page_down(),
            Key::Up => self.page_up(),
            Key::Home if self.pages.is_empty() => Action::Nothing,
            Key::Home => self.first_page(),
            Key::Enter | Key::Escape | Key::Backspace | Key::Erase => Action::Nothing,
        }
    }

    fn letter(&mut self, letter: char) -> Action {
        match letter {
            'q' => return Action::Quit,
            'r' => self.sort = "rate",
            'b' => self.sort = "bytes",
            'a' => self.sort = "age",
            's' => {
                let following = self.state.map_or(0, |state| state as usize + 1);
                self.state = FlowState::ALL.get(following).copied();
            }
            'p' => {
                let known = PROTOCOLS.iter().position(|one| *one == self.protocol);
                let following = known.map_or(0, |index| index + 1);
                self.protocol = PROTOCOLS.get(following).copied().flatten();
            }
            'c' => {
                *self = Choice { sort: self.sort, ..Choice::default() };
            }
            '/' => return self.enter(Field::Address),
            ':' | 'o' => return self.enter(Field::Port),
            ' ' => return self.page_down(),
            '?' | 'h' => {
                self.help = true;
                return Action::Show;
            }
            _ => return Action::Nothing,
        }
        self.first_page()
    }

    /// Opens the line with what it holds at present.
    fn enter(&mut self, field: Field) -> Action {
        let text = match field {
            Field::Address => self.address.clone(),
            Field::Port => self.port.map(|port| port.to_string()),
        };
        self.entry = Some(Entry { field, text: text.unwrap_or_default(), fault: None });
        Action::Show
    }

    fn edit(&mut self, key: Key) -> Action {
        let Some(entry) = &mut self.entry else { return Action::Nothing };
        match key {
            Key::Char(letter) if entry.text.len() < ENTRY_MAX => entry.text.push(letter),
            Key::Backspace => {
                entry.text.pop();
            }
            Key::Erase => entry.text.clear(),
            Key::Escape => {
                self.entry = None;
                return Action::Show;
            }
            Key::Enter => return self.accept(),
            _ => return Action::Nothing,
        }
        entry.fault = None;
        Action::Show
    }

    /// Takes the entered line as a filter; an empty one takes the filter away.
    fn accept(&mut self) -> Action {
        let Some(entry) = &mut self.entry else { return Action::Nothing };
        let text = Some(entry.text.trim()).filter(|text| !text.is_empty());
        let taken = match (entry.field, text) {
            (Field::Address, None) => {
                self.address = None;
                Ok(())
            }
            (Field::Address, Some(text)) => text
                .parse::<Prefix>()
                .map(|_| self.address = Some(text.to_owned()))
                .map_err(|error| error.to_string()),
            (Field::Port, None) => {
                self.port = None;
                Ok(())
            }
            (Field::Port, Some(text)) => text
                .parse()
                .map(|port| self.port = Some(port))
                .map_err(|_| format!("'{text}' is no port")),
        };
        match taken {
            Ok(()) => {
                self.entry = None;
                self.first_page()
            }
            Err(fault) => {
                entry.fault = Some(fault);
                Action::Show
            }
        }
    }

    fn page_down(&mut self) -> Action {
        match self.next.take() {
            Some(next) if self.pages.len() < PAGES_MAX => {
                self.pages.push(next);
                Action::Ask
            }
            _ => Action::Nothing,
        }
    }

    fn page_up(&mut self) -> Action {
        match self.pages.pop() {
            Some(_) => {
                self.next = None;
                Action::Ask
            }
            None => Action::Nothing,
        }
    }

    /// Goes to the first page and asks for it.
    pub fn first_page(&mut self) -> Action {
        self.pages.clear();
        self.next = None;
        Action::Ask
    }

    /// Number of the page, from 1.
    pub fn page(&self) -> usize {
        self.pages.len() + 1
    }

    /// The daemon has told where the next page begins, or that there is none.
    pub fn set_next(&mut self, next: Option<Cursor>) {
        // Cursors go down; one that does not would lead round in a circle.
        self.next = next.filter(|next| self.pages.last().is_none_or(|last| next < last));
    }

    /// The arguments of `flows`, for as many as fit into `rows`.
    pub fn arguments(&self, rows: usize) -> BlobMsgTable {
        let limit = i32::try_from(rows.clamp(1, PAGE_MAX)).unwrap_or(i32::MAX);
        BlobMsgTable::build(|b| {
            b.put_str(Some(SORT), self.sort);
            b.put_i32(Some(LIMIT), limit);
            if let Some(state) = self.state {
                b.put_str(Some(STATE), state.name());
            }
            if let Some(protocol) = self.protocol {
                b.put_str(Some(PROTOCOL), protocol);
            }
            if let Some(address) = &self.address {
                b.put_str(Some(ADDRESS), address);
            }
            if let Some(port) = self.port {
                b.put_i32(Some(PORT), port.into());
            }
            if let Some(cursor) = self.pages.last() {
                b.put_str(Some(CURSOR), &cursor.to_string());
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::select::Order;
    use crate::ubus::flows::{FlowQuery, POLICY};
    use crate::ubus::json;
    use crate::ubus::policy::Arguments;
    use proptest::prelude::*;

    /// Presses what is typed: letters, `\n` for Enter, `\x08` for Backspace, `\x1b` for Escape.
    fn type_in(choice: &mut Choice, text: &str) -> Action {
        let mut action = Action::Nothing;
        for letter in text.chars() {
            action = choice.press(match letter {
                '\n' => Key::Enter,
                '\x08' => Key::Backspace,
                '\x15' => Key::Erase,
                '\x1b' => Key::Escape,
                letter => Key::Char(letter),
            });
        }
        action
    }

    fn asked(choice: &Choice) -> String {
        json::render(choice.arguments(16).contents()).unwrap()
    }

    #[test]
    fn keys_choose_the_order_and_the_filters() {
        let mut choice = Choice::default();
        assert_eq!(asked(&choice), r#"{"sort":"rate","limit":16}"#);
        for (keys, wanted) in [
            ("b", r#"{"sort":"bytes","limit":16}"#),
            ("a", r#"{"sort":"age","limit":16}"#),
            ("r", r#"{"sort":"rate","limit":16}"#),
            ("s", r#"{"sort":"rate","limit":16,"state":"classic"}"#),
            ("s", r#"{"sort":"rate","limit":16,"state":"software"}"#),
            ("s", r#"{"sort":"rate","limit":16,"state":"hardware"}"#),
            ("s", r#"{"sort":"rate","limit":16}"#),
            ("p", r#"{"sort":"rate","limit":16,"protocol":"tcp"}"#),
            ("p", r#"{"sort":"rate","limit":16,"protocol":"udp"}"#),
            ("p", r#"{"sort":"rate","limit":16}"#),
            ("/fd00::/8\n", r#"{"sort":"rate","limit":16,"address":"fd00::/8"}"#),
            ("/\x15192.0.2.11\x08\n", r#"{"sort":"rate","limit":16,"address":"192.0.2.1"}"#),
            (":443\n", r#"{"sort":"rate","limit":16,"address":"192.0.2.1","port":443}"#),
            ("o\x15\n", r#"{"sort":"rate","limit":16,"address":"192.0.2.1"}"#),
            ("bspc", r#"{"sort":"bytes","limit":16}"#),
        ] {
            assert_eq!(type_in(&mut choice, keys), Action::Ask, "{keys:?}");
            assert_eq!(asked(&choice), wanted, "{keys:?}");
        }
    }

    #[test]
    fn keys_without_a_request() {
        let mut choice = Choice::default();
        assert_eq!(choice.press(Key::Char('x')), Action::Nothing);
        assert_eq!(choice.press(Key::Escape), Action::Nothing);
        assert_eq!(choice.press(Key::Redraw), Action::Redraw);
        assert_eq!(choice.press(Key::Char('q')), Action::Quit);
        for help in ['?', 'h'] {
            assert_eq!(choice.press(Key::Char(help)), Action::Show);
            assert!(choice.help);
            assert_eq!(choice.press(Key::Char('b')), Action::Show, "any key leaves the help");
            assert_eq!(choice, Choice::default());
        }
        choice.press(Key::Char('h'));
        assert_eq!(choice.press(Key::Char('q')), Action::Quit);
    }

    #[test]
    fn the_line_takes_what_is_typed_until_enter() {
        let mut choice = Choice::default();
        assert_eq!(type_in(&mut choice, "/q"), Action::Show);
        assert_eq!(type_in(&mut choice, "\n"), Action::Show);
        let entry = choice.entry.clone().unwrap();
        assert_eq!(entry.fault.as_deref(), Some("'q' is neither an address nor a prefix"));
        assert_eq!(choice.press(Key::Down), Action::Nothing);
        type_in(&mut choice, "\x08");
        assert_eq!(choice.entry.as_ref().unwrap().fault, None);
        assert_eq!(type_in(&mut choice, "\x1b"), Action::Show);
        assert_eq!(choice, Choice::default());

        type_in(&mut choice, ":65536\n");
        let fault = choice.entry.as_ref().unwrap().fault.clone();
        assert_eq!(fault.as_deref(), Some("'65536' is no port"));
        assert_eq!(choice.press(Key::Interrupt), Action::Quit);
        type_in(&mut choice, &"7".repeat(1000));
        assert_eq!(choice.entry.as_ref().unwrap().text.len(), ENTRY_MAX);
    }

    #[test]
    fn pages_go_down_and_up() {
        let mut choice = Choice::default();
        assert_eq!(choice.press(Key::Down), Action::Nothing, "no page is known behind this one");
        choice.set_next(Cursor::parse("9-1"));
        assert_eq!(choice.press(Key::Char(' ')), Action::Ask);
        assert_eq!((choice.page(), choice.press(Key::Down)), (2, Action::Nothing));
        assert_eq!(asked(&choice), r#"{"sort":"rate","limit":16,"cursor":"9-1"}"#);
        choice.set_next(Cursor::parse("5-1"));
        choice.press(Key::Down);
        choice.set_next(Cursor::parse("5-1"));
        assert_eq!(choice.press(Key::Down), Action::Nothing, "a cursor that stands still");
        assert_eq!((choice.press(Key::Up), choice.page()), (Action::Ask, 2));
        assert_eq!((choice.press(Key::Home), choice.page()), (Action::Ask, 1));
        assert_eq!(choice.press(Key::Up), Action::Nothing);
        choice.set_next(Cursor::parse("9-1"));
        choice.press(Key::Down);
        type_in(&mut choice, "b");
        assert_eq!(choice.page(), 1, "another order begins at its first page");
    }

    #[test]
    fn a_page_has_bounds() {
        let choice = Choice::default();
        for (rows, limit) in [(0, 1), (1, 1), (100, 100), (5000, 100)] {
            let text = json::render(choice.arguments(rows).contents()).unwrap();
            assert_eq!(text, format!(r#"{{"sort":"rate","limit":{limit}}}"#));
        }
    }

    proptest! {
        #[test]
        fn the_daemon_takes_whatever_is_pressed(
            keys in "[rbaspc/:o0-9.a-f\n\u{8}\u{15}\u{1b} ?hx]{0,60}",
        ) {
            let mut choice = Choice::default();
            choice.set_next(Cursor::parse("9-1"));
            type_in(&mut choice, &keys);
            let table = choice.arguments(16);
            let arguments = Arguments::check(&POLICY, table.contents()).unwrap();
            let query = FlowQuery::of(&arguments).unwrap();
            prop_assert_eq!(query.limit, 16);
            prop_assert_eq!(Some(query.order), Order::named(choice.sort));
        }
    }
}
