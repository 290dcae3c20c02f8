// SPDX-License-Identifier: GPL-2.0-or-later
//! blobmsg as JSON text, for `flowtable --json`.
//!
//! int8 is a boolean, as it is throughout the bus. A double becomes `null`: no reply of ours has
//! one, and printing them would bring the tables of float formatting into the binary.

use std::fmt::{self, Write};

use ubus::{BlobIter, BlobValue};

use super::policy::is_well_formed;

/// Deepest nesting printed. Our replies nest four levels; the bound keeps a hostile peer from
/// exhausting the stack.
const MAX_DEPTH: usize = 16;

/// Why bytes have no JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonError {
    /// They are not well-formed blobmsg, or a string is not UTF-8.
    Malformed,
    /// They nest more deeply than 16 levels.
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JsonError::Malformed => "reply is not well-formed",
            JsonError::TooDeep => "reply nests too deeply",
        })
    }
}

/// The contents of a table as a JSON object, without white space.
pub fn render(contents: &[u8]) -> Result<String, JsonError> {
    let mut out = String::new();
    container(&mut out, contents, true, 0)?;
    Ok(out)
}

fn container(out: &mut String, body: &[u8], table: bool, depth: usize) -> Result<(), JsonError> {
    if depth >= MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    out.push(if table { '{' } else { '[' });
    let mut attributes = BlobIter::new(body);
    let mut first = true;
    while let Some(attribute) = attributes.try_next().map_err(|_| JsonError::Malformed)? {
        if !first {
            out.push(',');
        }
        first = false;
        if table {
            string(out, attribute.name.unwrap_or_default());
            out.push(':');
        }
        if !is_well_formed(&attribute) {
            return Err(JsonError::Malformed);
        }
        match attribute.value().map_err(|_| JsonError::Malformed)? {
            BlobValue::String(s) => string(out, s),
            BlobValue::Int8(n) => out.push_str(if n != 0 { "true" } else { "false" }),
            BlobValue::Int16(n) => integer(out, n.into()),
            BlobValue::Int32(n) => integer(out, n.into()),
            BlobValue::Int64(n) => integer(out, n),
            BlobValue::Double(_) | BlobValue::Raw(_) => out.push_str("null"),
            BlobValue::Table(inner) => container(out, inner, true, depth + 1)?,
            BlobValue::Array(inner) => container(out, inner, false, depth + 1)?,
        }
    }
    out.push(if table { '}' } else { ']' });
    Ok(())
}

fn integer(out: &mut String, n: i64) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{n}");
}

fn string(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ubus::{BlobBuilder, BlobMsgTable};

    fn json(f: impl FnOnce(&mut BlobBuilder)) -> Result<String, JsonError> {
        render(BlobMsgTable::build(f).contents())
    }

    #[test]
    fn every_type() {
        let text = json(|b| {
            b.put_bool(Some("yes"), true);
            b.put_bool(Some("no"), false);
            b.put_i32(Some("i32"), i32::MIN);
            b.put_i64(Some("i64"), i64::MAX);
            b.put_double(Some("double"), 0.5);
            b.put_null(Some("null"));
            b.open_array(Some("array"));
            b.put_str(None, "a");
            b.put_i32(None, 1);
            b.open_table(None);
            b.put_str(Some("k"), "v");
            b.close_table();
            b.open_array(None);
            b.close_array();
            b.close_array();
        });
        assert_eq!(
            text.unwrap(),
            concat!(
                r#"{"yes":true,"no":false,"i32":-2147483648,"i64":9223372036854775807,"#,
                r#""double":null,"null":null,"array":["a",1,{"k":"v"},[]]}"#
            )
        );
        assert_eq!(json(|_| ()).unwrap(), "{}");
    }

    #[test]
    fn strings_are_escaped() {
        let text = json(|b| b.put_str(Some("k\"\\"), "\"\\\n\r\t\u{1}\u{1b}\u{7f}é😀"));
        assert_eq!(text.unwrap(), r#"{"k\"\\":"\"\\\n\r\t\u0001\u001b\u007fé😀"}"#);
    }

    #[test]
    fn what_is_no_blobmsg_is_refused() {
        let good = BlobMsgTable::build(|b| b.put_str(Some("key"), "value"));
        let bytes = good.contents();
        // The last bytes are padding, which may be missing.
        for end in 1..bytes.len() - 2 {
            assert_eq!(render(&bytes[..end]), Err(JsonError::Malformed), "{end}");
        }
    }

    /// As libubox refuses them: an int32 of five bytes, a string whose NUL is not its last byte.
    #[test]
    fn values_of_the_wrong_length_are_refused_at_any_level() {
        let nested = |ty: u8, data: [u8; 5]| {
            let body = [[0x80 | ty, 0, 0, 13, 0, 0, 0, 0].as_slice(), &data, &[0; 3]].concat();
            [[0x81, 0, 0, 24, 0, 0, 0, 0].as_slice(), &body].concat()
        };
        assert_eq!(render(&nested(3, *b"abcd\0")).as_deref(), Ok(r#"{"":["abcd"]}"#));
        assert_eq!(render(&nested(3, *b"ab\0de")), Err(JsonError::Malformed));
        assert_eq!(render(&nested(5, [0; 5])), Err(JsonError::Malformed));
    }

    #[test]
    fn nesting_is_bounded() {
        let nest = |levels: usize| {
            json(|b| {
                (0..levels).for_each(|_| b.open_array(Some("x")));
                (0..levels).for_each(|_| b.close_array());
            })
        };
        assert!(nest(MAX_DEPTH - 1).is_ok());
        assert_eq!(nest(MAX_DEPTH), Err(JsonError::TooDeep));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = render(&bytes);
        }
    }
}
