// SPDX-License-Identifier: GPL-2.0-or-later
//! A reply under construction, which cannot outgrow its bound.
//!
//! What no longer fits is left out and the reply says `truncated: true`; a record of a list is
//! put in whole or not at all, so that an absent key goes on meaning "unknown". Callers put the
//! short and important keys first and the lists last.

use ubus::{BlobBuilder, BlobMsgTable};

/// Longest message that a reply becomes, in bytes, headers included. The bus takes 1 MiB, but a
/// reply passes through three processes of a small router, each of which holds all of it.
pub const MAX_REPLY: usize = 64 * 1024;

/// Room for the message header, the envelope, the object id and the head of the data.
const ENVELOPE: usize = 8 + 4 + 8 + 4;

/// Key of the flag that says that something was left out.
const TRUNCATED: &str = "truncated";

/// A table under construction.
pub struct Reply {
    out: BlobBuilder,
    left: usize,
    truncated: bool,
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply {
    /// An empty reply.
    pub fn new() -> Self {
        Self::with_room(MAX_REPLY - ENVELOPE - size(TRUNCATED, 1) - size("total", 4))
    }

    fn with_room(left: usize) -> Self {
        let mut out = BlobBuilder::new();
        out.open_table(None);
        Reply { out, left, truncated: false }
    }

    /// Adds a string.
    pub fn text(&mut self, key: &str, value: &str) {
        self.put(size(key, value.len() + 1), |out| out.put_str(Some(key), value));
    }

    /// Adds a string, or nothing when it is empty.
    pub fn text_unless_empty(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    /// Adds an int32.
    pub fn number(&mut self, key: &str, value: i32) {
        self.put(size(key, 4), |out| out.put_i32(Some(key), value));
    }

    /// Adds a count as int32, which is signed on the bus: what exceeds it stays at its greatest.
    pub fn count(&mut self, key: &str, value: u32) {
        self.number(key, i32::try_from(value).unwrap_or(i32::MAX));
    }

    /// Adds a count as int64, which is signed on the bus: what exceeds it stays at its greatest.
    pub fn long_count(&mut self, key: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.put(size(key, 8), |out| out.put_i64(Some(key), value));
    }

    /// Adds a boolean, an int8 on the bus.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.put(size(key, 1), |out| out.put_bool(Some(key), value));
    }

    /// Adds a boolean, or nothing when it is unknown.
    pub fn flag_if_known(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.flag(key, value);
        }
    }

    /// Adds a table.
    pub fn table(&mut self, key: &str, fill: impl FnOnce(&mut Reply)) {
        self.record(Some(key), fill);
    }

    /// Adds an array of strings.
    pub fn strings(&mut self, key: &str, values: &[String]) {
        if !self.put(size(key, 0), |out| out.open_array(Some(key))) {
            return;
        }
        for value in values {
            if !self.put(size("", value.len() + 1), |out| out.put_str(None, value)) {
                break;
            }
        }
        self.out.close_array();
    }

    /// Adds an array of tables, one for each value.
    pub fn records<T>(&mut self, key: &str, values: &[T], fill: impl Fn(&mut Reply, &T)) {
        if !self.put(size(key, 0), |out| out.open_array(Some(key))) {
            return;
        }
        for value in values {
            if !self.record(None, |reply| fill(reply, value)) {
                break;
            }
        }
        self.out.close_array();
    }

    /// Adds an array of tables, one for each value as long as they fit, and returns how many did.
    /// Leaves room for `reserve` more bytes. To stop early is not to leave something out: the
    /// caller tells where the list goes on.
    pub fn records_that_fit<'v, T: 'v>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = &'v T>,
        reserve: usize,
        fill: impl Fn(&mut Reply, &T),
    ) -> usize {
        let mut fitted = 0;
        let Some(room) = self.left.checked_sub(reserve + size(key, 0)) else {
            self.truncated = true;
            return fitted;
        };
        let before = self.truncated;
        self.left = room;
        self.out.open_array(Some(key));
        for value in values {
            if !self.record(None, |reply| fill(reply, value)) {
                break;
            }
            fitted += 1;
        }
        self.out.close_array();
        self.left += reserve;
        self.truncated = before;
        fitted
    }

    /// Adds an array of int64, which is signed on the bus: what exceeds it stays at its greatest.
    pub fn long_counts(&mut self, key: &str, values: &[u64]) {
        self.put(size(key, values.len() * size("", 8)), |out| {
            out.open_array(Some(key));
            for value in values {
                out.put_i64(None, i64::try_from(*value).unwrap_or(i64::MAX));
            }
            out.close_array();
        });
    }

    /// Says that something was left out.
    pub fn set_truncated(&mut self) {
        self.truncated = true;
    }

    /// Something was left out.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// The finished reply. When something was left out it says so, and also how many records
    /// there are in all, where `total` is given.
    pub fn finish(mut self, total: Option<usize>) -> BlobMsgTable {
        if self.truncated {
            self.out.put_bool(Some(TRUNCATED), true);
            if let Some(total) = total {
                self.out.put_i32(Some("total"), i32::try_from(total).unwrap_or(i32::MAX));
            }
        }
        self.close()
    }

    fn close(mut self) -> BlobMsgTable {
        self.out.close_table();
        self.out.finish_table()
    }

    /// Adds a table whole or not at all; `false` when there was no room.
    fn record(&mut self, key: Option<&str>, fill: impl FnOnce(&mut Reply)) -> bool {
        let head = size(key.unwrap_or_default(), 0);
        let Some(room) = self.left.checked_sub(head) else {
            self.truncated = true;
            return false;
        };
        let mut inner = Reply::with_room(room);
        fill(&mut inner);
        if inner.truncated {
            self.truncated = true;
            return false;
        }
        self.left = inner.left;
        self.out.put_table(key, &inner.close());
        true
    }

    fn put(&mut self, size: usize, write: impl FnOnce(&mut BlobBuilder)) -> bool {
        match self.left.checked_sub(size) {
            Some(left) => {
                self.left = left;
                write(&mut self.out);
                true
            }
            None => {
                self.truncated = true;
                false
            }
        }
    }
}

/// Bytes that a string of this length takes under this key.
pub fn text_size(key: &str, length: usize) -> usize {
    size(key, length + 1)
}

/// Bytes that an attribute takes: head, name with its length and final zero, payload; the name
/// and the payload are padded to four bytes.
fn size(name: &str, payload: usize) -> usize {
    4 + (2 + name.len() + 1).next_multiple_of(4) + payload.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    #[test]
    fn room_is_accounted_exactly() {
        let start = Reply::new().left;
        let mut reply = Reply::new();
        reply.text("a", "some text");
        reply.number("numb", -3);
        reply.long_count("long", u64::MAX);
        reply.flag("flag", true);
        reply.strings("strings", &["one".into(), "three".into(), String::new()]);
        reply.records("records", &[1, 2], |r, n| r.number("n", *n));
        reply.table("table", |r| r.strings("none", &[]));
        reply.long_counts("longs", &[1, u64::MAX]);
        let fitted = reply.records_that_fit("some", &[1, 2, 3], 100, |r, n| r.number("n", *n));
        assert_eq!(fitted, 3);
        let used = start - reply.left;
        assert_eq!(reply.finish(None).contents().len(), used);
    }

    #[test]
    fn values_out_of_range_stay_at_the_greatest() {
        let mut reply = Reply::new();
        reply.count("count", u32::MAX);
        reply.long_count("long", u64::MAX);
        assert_eq!(
            json::render(reply.finish(None).contents()).unwrap(),
            r#"{"count":2147483647,"long":9223372036854775807}"#
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_said() {
        let mut reply = Reply::new();
        reply.text("huge", &"x".repeat(MAX_REPLY));
        reply.table("cut", |r| r.text("huge", &"x".repeat(MAX_REPLY)));
        reply.flag("small", true);
        assert!(reply.is_truncated());
        assert_eq!(
            json::render(reply.finish(Some(7)).contents()).unwrap(),
            r#"{"small":true,"truncated":true,"total":7}"#
        );
    }

    #[test]
    fn records_are_whole_and_the_bound_holds() {
        let mut reply = Reply::new();
        let long = vec!["y".repeat(1000); 40];
        reply.records("list", &[0; 10], |r, _| r.strings("strings", &long));
        let bytes = reply.finish(Some(10));
        assert!(bytes.contents().len() + ENVELOPE <= MAX_REPLY);
        let text = json::render(bytes.contents()).unwrap();
        assert_eq!(text.matches("strings").count(), 1);
        assert!(text.ends_with(r#""truncated":true,"total":10}"#));
    }
}
