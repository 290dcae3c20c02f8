// SPDX-License-Identifier: GPL-2.0-or-later
//! What the fuzz targets in `tests/fuzz` need of the live view; no other build has it.

use std::time::{Duration, Instant};

use super::choice::Choice;
use super::keys::{Key, Keys};
use super::view::{frame, Answers, Size};
use crate::ubus::policy::{Arguments, Method};
use crate::ubus::{flows, Request};

/// A frame of so many columns in which every answer is this reply.
pub fn lines(reply: &[u8], columns: usize) -> Vec<String> {
    let answer = || Some(reply.to_vec());
    let answers = Answers { status: answer(), flows: answer(), history: answer(), fault: None };
    frame(&answers, &Choice::default(), Size { columns, rows: 24 })
}

fn keys<'a>(pieces: impl Iterator<Item = &'a [u8]>, now: Instant) -> Vec<Key> {
    let mut keys = Keys::default();
    pieces.for_each(|piece| keys.push(piece, now));
    keys.expire(now + Duration::from_secs(1));
    std::iter::from_fn(|| keys.pop()).collect()
}

/// Takes what a person, or a hostile terminal, types.
///
/// # Panics
/// Keys depend on how the bytes came, a frame is not as large as the screen, or the view asks for
/// what the daemon refuses.
#[allow(clippy::panic)]
pub fn type_keys(bytes: &[u8]) {
    let now = Instant::now();
    let whole = keys(std::iter::once(bytes), now);
    assert_eq!(keys(bytes.chunks(1), now), whole);
    let mut choice = Choice::default();
    for key in whole {
        let _ = choice.press(key);
        let table = choice.arguments(20);
        let arguments = Arguments::check(&flows::POLICY, table.contents());
        let request = arguments.and_then(|arguments| Request::of(Method::Flows, &arguments));
        assert!(request.is_ok(), "{choice:?}");
    }
    for columns in [0, 1, 7, 80] {
        let lines = frame(&Answers::default(), &choice, Size { columns, rows: 24 });
        assert_eq!(lines.len(), 24);
        assert!(lines.iter().all(|line| line.chars().count() <= columns), "{lines:?}");
    }
}
