// SPDX-License-Identifier: GPL-2.0-or-later
//! blobmsg of libubox and of the daemon: the same bytes from the same values, and the same values
//! (or a refusal) from the same bytes, be they well-formed, damaged or anything.
//!
//! The seed is fixed; `BLOBMSG_TIMES=N` runs so many times the usual number of cases with another.

// Shared steps of tests are tests as much as the functions that call them.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

use std::cell::Cell;

use c_differential::blobmsg::sys::{self, Value};
use c_differential::blobmsg::{compare, Verdict};
use flowtabled::ubus::methods::METHODS;
use flowtabled::ubus::policy::Policy;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use ubus::BlobBuilder;

type Fields = Vec<(String, Value)>;

fn config(cases: u32) -> Config {
    let times: u32 = std::env::var("BLOBMSG_TIMES").map_or(1, |times| times.parse().unwrap());
    let cases = cases * times;
    let rng_seed = RngSeed::Fixed(times.into());
    Config { cases, rng_seed, failure_persistence: None, ..Config::default() }
}

/// Names that methods know, and others.
fn name() -> impl Strategy<Value = String> {
    let known: Vec<String> = METHODS
        .iter()
        .flat_map(|policy| policy.arguments.iter().map(|argument| argument.name.to_owned()))
        .collect();
    prop_oneof![4 => proptest::sample::select(known), 1 => "[a-zä\u{1}]{0,9}"]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "[ -~é\n]{0,12}".prop_map(Value::Text),
        3 => any::<i32>().prop_map(Value::Number),
        2 => any::<i64>().prop_map(Value::Long),
        1 => (-5_i64..70_000).prop_map(Value::Long),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<f64>().prop_map(Value::Double),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec((name(), inner.clone()), 0..4).prop_map(Value::Table),
            proptest::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

fn fields(most: usize) -> impl Strategy<Value = Fields> {
    proptest::collection::vec((name(), value()), 0..most)
}

/// The fields that a method takes, each of its own type, in any order and number.
fn arguments(policy: &'static Policy) -> impl Strategy<Value = Fields> {
    let argument = proptest::sample::select(policy.arguments.to_vec()).prop_flat_map(|argument| {
        let value = match argument.ty {
            ubus::BlobType::String => "[ -~]{0,12}".prop_map(Value::Text).boxed(),
            _ => prop_oneof![
                any::<i32>().prop_map(Value::Number),
                (-9_i64..99_999).prop_map(Value::Long)
            ]
            .boxed(),
        };
        value.prop_map(move |value| (argument.name.to_owned(), value))
    });
    let stranger = (name(), value()).prop_filter("a stranger", |(name, _)| {
        METHODS.iter().all(|policy| policy.arguments.iter().all(|known| known.name != name))
    });
    proptest::collection::vec(prop_oneof![4 => argument, 1 => stranger], 0..6)
}

fn write_ours(out: &mut BlobBuilder, name: Option<&str>, value: &Value) {
    match value {
        Value::Text(text) => out.put_str(name, text),
        Value::Bool(value) => out.put_bool(name, *value),
        Value::Number(value) => out.put_i32(name, *value),
        Value::Long(value) => out.put_i64(name, *value),
        Value::Double(value) => out.put_double(name, *value),
        Value::Table(fields) => {
            out.open_table(name);
            fields.iter().for_each(|(name, value)| write_ours(out, Some(name), value));
            out.close_table();
        }
        Value::Array(items) => {
            out.open_array(name);
            items.iter().for_each(|value| write_ours(out, None, value));
            out.close_array();
        }
    }
}

fn ours(fields: &Fields) -> Vec<u8> {
    let mut out = BlobBuilder::new();
    fields.iter().for_each(|(name, value)| write_ours(&mut out, Some(name), value));
    out.finish()
}

/// How often each verdict was given.
#[derive(Debug, Default)]
struct Tally([Cell<u32>; 4]);

impl Tally {
    fn of(&self, verdict: Verdict) -> &Cell<u32> {
        &self.0[verdict as usize]
    }

    fn get(&self, verdict: Verdict) -> u32 {
        self.of(verdict).get()
    }
}

/// Compares for every method what a strategy makes; there must be enough of each verdict, or the
/// generator has drifted to where nothing is tested.
fn run(cases: u32, least: [(Verdict, u32); 2], strategy: impl Strategy<Value = Vec<u8>>) {
    let tally = Tally::default();
    let outcome = TestRunner::new(config(cases)).run(&strategy, |data| {
        for policy in &METHODS {
            let verdict = compare(policy, &data).map_err(|difference| {
                TestCaseError::fail(format!("{}: {difference}\n{data:02x?}", policy.name))
            })?;
            tally.of(verdict).set(tally.get(verdict) + 1);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    println!("{tally:?}");
    for (verdict, least) in least {
        assert!(tally.get(verdict) >= least, "{verdict:?}: {tally:?}");
    }
}

#[test]
fn the_same_values_are_the_same_bytes() {
    let outcome = TestRunner::new(config(3000)).run(&fields(8), |fields| {
        prop_assert_eq!(ours(&fields), sys::write(&fields));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn well_formed_arguments_are_read_the_same() {
    for policy in METHODS.iter().filter(|policy| !policy.arguments.is_empty()) {
        let outcome = TestRunner::new(config(600)).run(&arguments(policy), |fields| {
            let data = sys::write(&fields);
            let verdict = compare(policy, &data).map_err(TestCaseError::fail)?;
            prop_assert_eq!(verdict, Verdict::Accepted, "{:?}", fields);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", policy.name));
    }
}

#[test]
fn any_values_are_read_or_refused_the_same() {
    let least = [(Verdict::Accepted, 1000), (Verdict::Stricter, 1000)];
    run(1500, least, fields(6).prop_map(|fields| sys::write(&fields)));
}

/// Well-formed but for some bytes that are others, a piece that is missing or one that is twice.
#[test]
fn damaged_values_are_read_or_refused_the_same() {
    let change = (any::<proptest::sample::Index>(), any::<u8>(), 0..6_u8);
    let damaged =
        (fields(5), proptest::collection::vec(change, 1..4)).prop_map(|(fields, changes)| {
            let mut data = sys::write(&fields);
            for (at, byte, kind) in changes {
                if data.is_empty() {
                    break;
                }
                let at = at.index(data.len());
                match kind {
                    0 | 1 => data[at] = byte,
                    2 => data[at] ^= 1 << (byte & 7),
                    // The heads of attributes are where the interesting bytes are.
                    3 => data[at & !3] = byte & 0x8f,
                    4 => drop(data.drain(at..data.len().min(at + usize::from(byte & 7)))),
                    _ => data.extend_from_within(at & !3..),
                }
            }
            data
        });
    run(6000, [(Verdict::Accepted, 1000), (Verdict::Rejected, 1000)], damaged);
}

#[test]
fn any_bytes_are_read_or_refused_the_same() {
    // Short heads of likely types and lengths, so that more than the first is looked at.
    let head = (0..0x90_u8, 0..24_u8).prop_map(|(ty, length)| vec![ty | 0x80, 0, 0, length]);
    let piece = prop_oneof![
        head,
        proptest::collection::vec(any::<u8>(), 4),
        proptest::sample::select(vec![
            vec![0; 4],
            b"\0\x04name\0\0".to_vec(),
            b"\0\0\0\0".to_vec()
        ]),
    ];
    let bytes = proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat());
    run(8000, [(Verdict::Accepted, 200), (Verdict::Rejected, 1000)], bytes);
}

/// The two differences that are left, and what the comparison would say of a third.
#[test]
fn known_differences_are_still_there() {
    let policy = &METHODS[1];
    let whole = ours(&vec![("name".to_owned(), Value::Text("lan12".to_owned()))]);
    assert_eq!(compare(policy, &whole), Ok(Verdict::Accepted));
    let cut = &whole[..whole.len() - 1];
    assert_eq!(whole.len() % 4, 0);
    assert_eq!(compare(policy, cut), Ok(Verdict::Known));
    let mut unended = whole.clone();
    // Head, length of the name, "name", and what should be its NUL.
    unended[4 + 2 + 4] = b'x';
    assert!(sys::read(&unended).refused);
    assert_eq!(compare(policy, &unended), Ok(Verdict::Known));
}
