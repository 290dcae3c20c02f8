// SPDX-License-Identifier: GPL-2.0-or-later
//! Holds the command's reader of replies, which prints them as JSON, to libubox at every level.
//!
//! libubox walks the attributes of each table and array and checks each of them; what it finds is
//! printed here once more and has to be the same text. What it refuses at any level the command has
//! to refuse as a whole.

use flowtabled::ubus::json::{self, JsonError};
use ubus::BlobType;

use super::sys::{self, Attribute};
use super::Verdict;

/// Tables and arrays within one another that the command prints, the outermost included.
const LEVELS: usize = 16;

/// What libubox makes of a reply.
#[derive(Debug, Default)]
struct Seen {
    /// The text that it has to be printed as.
    text: String,
    /// It refuses an attribute at some level.
    refused: bool,
    /// One of the two known differences is at some level.
    known: bool,
    /// It takes what the command refuses on purpose: bytes that are no attribute, an attribute
    /// without a name field, a text that is not UTF-8.
    ours: bool,
    /// It nests more deeply than the command goes.
    deep: bool,
}

/// Lets both read `data` as a reply; `Err` says how they differ.
///
/// # Errors
/// A difference that is not known.
pub fn compare(data: &[u8]) -> Result<Verdict, String> {
    let mut seen = Seen::default();
    seen.container(data, true, 0);
    match (json::render(data), &seen) {
        (_, Seen { known: true, .. }) => Ok(Verdict::Known),
        (Err(_), Seen { refused: true, .. }) => Ok(Verdict::Rejected),
        (Err(JsonError::TooDeep), Seen { deep: true, .. }) => Ok(Verdict::Stricter),
        (Err(JsonError::Malformed), Seen { ours: true, .. }) => Ok(Verdict::Stricter),
        (Ok(text), Seen { refused: false, deep: false, ours: false, .. }) if text == seen.text => {
            Ok(Verdict::Accepted)
        }
        (ours, seen) => Err(format!("ours {ours:?}\nlibubox {seen:?}")),
    }
}

impl Seen {
    fn container(&mut self, body: &[u8], table: bool, depth: usize) {
        if depth >= LEVELS {
            self.deep = true;
            return;
        }
        let read = sys::read(body);
        self.refused |= read.refused;
        self.known |= read.cut || read.attributes.iter().any(|attribute| !attribute.name_ends);
        self.ours |= read.rest > 0;
        self.text.push(if table { '{' } else { '[' });
        for (number, attribute) in read.attributes.iter().enumerate() {
            if number > 0 {
                self.text.push(',');
            }
            self.ours |= !attribute.extended;
            let name = self.utf8(&attribute.name);
            if table {
                self.text.push_str(&quoted(&name));
                self.text.push(':');
            }
            self.value(attribute, depth);
        }
        self.text.push(if table { '}' } else { ']' });
    }

    fn value(&mut self, attribute: &Attribute, depth: usize) {
        let data = attribute.data.as_slice();
        let is = |ty: BlobType| attribute.ty == ty as u8;
        if is(BlobType::Table) || is(BlobType::Array) {
            return self.container(data, is(BlobType::Table), depth + 1);
        }
        let text = if is(BlobType::String) {
            let text = data.split(|byte| *byte == 0).next().unwrap_or_default();
            quoted(&self.utf8(text))
        } else if is(BlobType::Int8) {
            data.first().map_or_else(String::new, |byte| (*byte != 0).to_string())
        } else if is(BlobType::Int16) || is(BlobType::Int32) || is(BlobType::Int64) {
            let sign = data.first().map_or(0, |byte| if byte & 0x80 == 0 { 0 } else { -1 });
            data.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte)).to_string()
        } else {
            "null".to_owned()
        };
        self.text.push_str(&text);
    }

    fn utf8(&mut self, bytes: &[u8]) -> String {
        self.ours |= std::str::from_utf8(bytes).is_err();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// A JSON string. RFC 8259 wants quotes, backslashes and control characters escaped; which of the
/// allowed forms is the command's choice.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..=' ' | '\u{7f}' if character != ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}
