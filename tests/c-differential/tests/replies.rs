// SPDX-License-Identifier: GPL-2.0-or-later
//! Replies at every level: what libubox reads the command prints as the same, what it refuses the
//! command refuses.

// Shared steps of tests are tests as much as the functions that call them.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

use std::cell::Cell;

use c_differential::blobmsg::reply::compare;
use c_differential::blobmsg::sys::{self, Value};
use c_differential::blobmsg::Verdict;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => "[ -~é\n\t\"\\\\\u{1}]{0,12}".prop_map(Value::Text),
        2 => any::<i32>().prop_map(Value::Number),
        2 => any::<i64>().prop_map(Value::Long),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<f64>().prop_map(Value::Double),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec((name(), inner.clone()), 0..4).prop_map(Value::Table),
            proptest::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    "[a-zä\"\u{1}]{0,9}"
}

fn replies() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec((name(), value()), 0..5).prop_map(|fields| sys::write(&fields))
}

/// Compares what a strategy makes; there must be enough of each verdict, or nothing is tested.
fn run(cases: u32, least: &[(Verdict, u32)], strategy: impl Strategy<Value = Vec<u8>>) {
    let times: u32 = std::env::var("BLOBMSG_TIMES").map_or(1, |times| times.parse().unwrap());
    let rng_seed = RngSeed::Fixed(times.into());
    let config =
        Config { cases: cases * times, rng_seed, failure_persistence: None, ..Config::default() };
    let tally: [Cell<u32>; 4] = Default::default();
    let outcome = TestRunner::new(config).run(&strategy, |data| {
        let verdict = compare(&data)
            .map_err(|difference| TestCaseError::fail(format!("{difference}\n{data:02x?}")))?;
        let count = &tally[verdict as usize];
        count.set(count.get() + 1);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    println!("{tally:?}");
    for (verdict, least) in least {
        assert!(tally[*verdict as usize].get() >= *least, "{verdict:?}: {tally:?}");
    }
}

#[test]
fn what_libubox_writes_is_printed_the_same() {
    run(3000, &[(Verdict::Accepted, 3000)], replies());
}

/// With some bytes that are others, a piece that is missing or one that is twice, at any level.
#[test]
fn damaged_replies_are_printed_or_refused_the_same() {
    let change = (any::<proptest::sample::Index>(), any::<u8>(), 0..6_u8);
    let damaged =
        (replies(), proptest::collection::vec(change, 1..3)).prop_map(|(mut data, changes)| {
            for (at, byte, kind) in changes {
                if data.is_empty() {
                    break;
                }
                let at = at.index(data.len());
                match kind {
                    0 => data[at] = byte,
                    1 => data[at] ^= 1 << (byte & 7),
                    // The heads of attributes are where the interesting bytes are: types, lengths.
                    2 | 3 => data[at & !3] = byte & 0x8f,
                    4 => drop(data.drain(at..data.len().min(at + usize::from(byte & 7)))),
                    _ => data.extend_from_within(at & !3..),
                }
            }
            data
        });
    run(20_000, &[(Verdict::Accepted, 1000), (Verdict::Rejected, 1000)], damaged);
}

#[test]
fn nesting_is_followed_as_deep_as_replies_go() {
    let nested = |levels: usize| {
        let inner = Value::Table(vec![("end".to_owned(), Value::Number(1))]);
        let wrap = |inner, level| match level % 2 {
            0 => Value::Array(vec![inner]),
            _ => Value::Table(vec![("in".to_owned(), inner)]),
        };
        sys::write(&[("out".to_owned(), (0..levels).fold(inner, wrap))])
    };
    assert_eq!(compare(&nested(14)), Ok(Verdict::Accepted));
    assert_eq!(compare(&nested(15)), Ok(Verdict::Stricter));
    assert_eq!(compare(&nested(500)), Ok(Verdict::Stricter));
}
