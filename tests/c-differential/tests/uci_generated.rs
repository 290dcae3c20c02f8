// SPDX-License-Identifier: GPL-2.0-or-later
//! Generated configurations and changes, each loaded by both readers.
//!
//! The seed is fixed, so every run compares the same inputs; docs/uci.md says how to look further.

// Shared steps of tests are tests as much as the functions that call them.
#![allow(clippy::panic)]

use std::env;
use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use c_differential::uci::{compare, is_defined, Tally, Workspace, PACKAGE};

/// The seed unless another is asked for: a run must not fail for what an earlier one passed.
const SEED: u64 = 1;

/// `UCI_DIFFERENTIAL_SEED`, a number or `random`; a fresh one for each test if random.
fn seed() -> u64 {
    match env::var("UCI_DIFFERENTIAL_SEED").as_deref() {
        Err(env::VarError::NotPresent) => SEED,
        Ok("random") => RandomState::new().hash_one(SEED),
        other => other
            .ok()
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("UCI_DIFFERENTIAL_SEED is neither a number nor 'random'")),
    }
}

/// `UCI_DIFFERENTIAL_TIMES`: how often the usual number of cases is run.
fn times() -> u32 {
    match env::var("UCI_DIFFERENTIAL_TIMES") {
        Err(env::VarError::NotPresent) => 1,
        other => other
            .ok()
            .and_then(|number| number.parse().ok())
            .filter(|times| *times > 0)
            .unwrap_or_else(|| panic!("UCI_DIFFERENTIAL_TIMES is no number above 0")),
    }
}

/// Runs a strategy of configurations and changes; at least `accepted` and `rejected` of the
/// inputs must have been taken so, or the generator has drifted to where nothing is tested.
fn run(
    label: &str,
    cases: u32,
    (accepted, rejected): (u32, u32),
    strategy: impl Strategy<Value = (Vec<u8>, Option<Vec<u8>>)>,
) {
    let workspace = Workspace::new(label);
    let tally = Tally::default();
    let (seed, times) = (seed(), times());
    println!("{label}: UCI_DIFFERENTIAL_SEED={seed}");
    let defaults = Config::default();
    let mut runner = TestRunner::new(Config {
        cases: cases.saturating_mul(times),
        max_global_rejects: defaults.max_global_rejects.saturating_mul(times),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..defaults
    });
    let outcome = runner.run(&strategy, |(config, delta)| {
        let shown = || {
            format!(
                "config {:?} delta {:?}",
                config.escape_ascii().to_string(),
                delta.as_ref().map(|d| d.escape_ascii().to_string())
            )
        };
        prop_assume!(delta.as_deref().is_none_or(is_defined));
        let verdict = compare(&workspace, &config, delta.as_deref())
            .map_err(|difference| TestCaseError::fail(format!("{difference}\n{}", shown())))?;
        tally.count(verdict);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("UCI_DIFFERENTIAL_SEED={seed}: {error}");
    }
    let counted = tally.get();
    println!("{label}: {} accepted, {} rejected", counted.0, counted.1);
    assert!(counted.0 >= accepted && counted.1 >= rejected, "{label}: {counted:?}");
}

/// A piece of UCI text. Never NUL: the reader rejects it, libuci reads past it by its buffer's size.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"config",
        b"option",
        b"list",
        b"package",
        b"c",
        b"o",
        b"l",
        b"p",
        b"a",
        b"b",
        b"k1",
        b"x_y",
        b"a-b",
        b"z!",
        b"\xc3\xa4",
        b"\xff",
        b"\x01",
        b"\x0b",
    ];
    let signs: &[&[u8]] = &[
        b"'", b"'", b"\"", b"\"", b"\\", b"\\\n", b"\\\r\n", b"#", b";", b"''", b"\"\"", b"'a b'",
        b"\"a b\"", b"=", b".", b",", b"\\'", b"\\\"", b"\r",
    ];
    let gaps: &[&[u8]] = &[b" ", b"\t", b"\n", b"\n\t", b"\r\n", b"  "];
    prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        2 => proptest::sample::select(signs.to_vec()).prop_map(<[u8]>::to_vec),
        3 => proptest::sample::select(gaps.to_vec()).prop_map(<[u8]>::to_vec),
        1 => (1..=255u8).prop_map(|byte| vec![byte]),
    ]
}

fn soup(tokens: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(token(), 0..tokens).prop_map(|tokens| tokens.concat())
}

/// A word in one of UCI's ways to write it, or several joined.
fn written(value: &'static str) -> impl Strategy<Value = String> {
    let piece = (value, 0..4u8).prop_map(|(value, style)| match style {
        0 => format!("'{}'", value.replace('\'', r"'\''")),
        1 => format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\"")),
        2 => value.chars().flat_map(|c| ['\\', c]).filter(|c| *c != '\n').collect(),
        _ => value.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect(),
    });
    proptest::collection::vec(piece, 1..3).prop_map(|pieces| pieces.concat())
}

/// A command that is nearly always right, with the noise that may stand around it.
fn statement() -> impl Strategy<Value = String> {
    let name = "[ab]?[c0_]";
    let value = "[ -~\n\tä]{0,8}";
    let command = prop_oneof![
        2 => ("c|config", "[a-c]", proptest::option::of("[x-z]")).prop_map(|(command, kind, name)| {
            // One type to a name, or the name could not be opened again.
            let kind = name.as_deref().map_or(kind, |name| format!("t{name}"));
            format!("{command} {kind} {}", name.unwrap_or_default())
        }),
        5 => ("o|option|l|list", name, written(value))
            .prop_map(|(command, name, value)| format!("{command} {name} {value}")),
        1 => Just("package some-thing".to_string()),
    ];
    let end = prop_oneof![
        8 => Just("\n"), 1 => Just(" # why\n"), 1 => Just(" ; "), 1 => Just("\r\n"),
        1 => Just(";\n"), 1 => Just("\n\n# x\n"), 1 => Just(" '' "),
    ];
    ("[ \t]{0,2}", command, end)
        .prop_map(|(indent, command, end)| format!("{indent}{command}{end}"))
}

fn package(statements: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(statement(), 0..statements)
        .prop_map(|statements| format!("config t x\n{}", statements.concat()).into_bytes())
}

/// A package that both accept, for changes to be applied to.
fn base() -> impl Strategy<Value = Vec<u8>> {
    let option = ("option|list", "[k-m]", "[ab1 ]{0,3}")
        .prop_map(|(command, name, value)| format!("\t{command} {name} '{value}'\n"));
    let section = (proptest::option::of("[x-z]"), proptest::collection::vec(option, 0..5))
        .prop_map(|(name, options)| {
            format!("config t {}\n{}", name.unwrap_or_default(), options.concat())
        });
    proptest::collection::vec(section, 0..4).prop_map(|sections| sections.concat().into_bytes())
}

/// A line of changes, right or nearly so.
fn change() -> impl Strategy<Value = String> {
    let owner = prop_oneof![20 => Just(PACKAGE), 1 => Just("other"), 1 => Just("")];
    // The last two are the names of the first and second anonymous section of type t.
    let section = prop_oneof![
        6 => "[x-z]", 1 => Just("w".to_string()), 1 => Just("@t[0]".to_string()),
        1 => Just("cfg01b619".to_string()), 1 => Just("cfg02b619".to_string()),
    ];
    let option = proptest::option::weighted(0.7, prop_oneof![9 => "[k-m]", 1 => "[!.-]"]);
    let value = prop_oneof![
        4 => "[ab1 ]{0,3}", 2 => "[0-3]", 1 => "-?[0-9]x?", 1 => "[x-z]", 1 => "[ -~\n\täß\u{1}]{0,5}",
    ];
    let value = proptest::option::weighted(0.9, value);
    let end = prop_oneof![12 => Just("\n"), 1 => Just(" \n"), 1 => Just("\r\n"), 1 => Just(";x\n")];
    ("[-+@^|~]?", owner, section, option, value, any::<bool>(), end).prop_map(
        |(verb, owner, section, option, value, quoted, end)| {
            let option = option.map(|o| format!(".{o}")).unwrap_or_default();
            let value = match (value, quoted) {
                (None, _) => String::new(),
                (Some(value), true) => format!("='{}'", value.replace('\'', r"'\''")),
                (Some(value), false) => format!("={value}"),
            };
            format!("{verb}{owner}.{section}{option}{value}{end}")
        },
    )
}

fn changes(lines: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(change(), 0..lines).prop_map(|lines| lines.concat().into_bytes())
}

#[test]
fn soups() {
    run("soup", 6000, (300, 1000), soup(14).prop_map(|config| (config, None)));
}

/// Values full of quotes, escapes and comments inside an otherwise right file.
#[test]
fn values() {
    let value = soup(7).prop_map(|value| {
        let text = [b"config a\n\toption k ", value.as_slice(), b"\n\tlist l '1'\n"].concat();
        (text, None)
    });
    run("value", 5000, (1000, 500), value);
}

#[test]
fn packages() {
    run("package", 4000, (1000, 300), package(12).prop_map(|config| (config, None)));
}

#[test]
fn changed_packages() {
    let strategy = (base(), changes(8)).prop_map(|(config, delta)| (config, Some(delta)));
    run("changes", 5000, (4000, 0), strategy);
}

#[test]
fn soups_of_changes() {
    let line = (change(), soup(4)).prop_map(|(change, soup)| [change.into_bytes(), soup].concat());
    let delta = proptest::collection::vec(line, 0..6).prop_map(|lines| lines.concat());
    let strategy = (base(), delta).prop_map(|(config, delta)| (config, Some(delta)));
    run("change soup", 3000, (2000, 0), strategy);
}
