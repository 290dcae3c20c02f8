// SPDX-License-Identifier: GPL-2.0-or-later
//! Every file of `corpus/`: both readers accept those in `accepted`, with the same tree, and
//! reject those in `rejected`. `NAME.delta` holds the uncommitted changes of `NAME.uci`.

// Shared steps of tests are tests as much as the functions that call them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use c_differential::uci::tree::Tree;
use c_differential::uci::{
    agree, compare, is_defined, load_ours, sys, Verdict, Workspace, PACKAGE,
};
use flowtabled::uci::files::Source;

fn inputs(dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(dir);
    let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "uci")).collect();
    inputs.sort();
    inputs
}

fn check(dir: &str, expected: Verdict, at_least: usize) {
    let workspace = Workspace::new(dir);
    let inputs = inputs(dir);
    assert!(inputs.len() >= at_least, "only {} files in {dir}", inputs.len());
    let mut wrong = Vec::new();
    for input in inputs {
        let config = fs::read(&input).unwrap();
        let delta = fs::read(input.with_extension("delta")).ok();
        assert!(delta.as_deref().is_none_or(is_defined), "{}", input.display());
        match compare(&workspace, &config, delta.as_deref()) {
            Ok(verdict) if verdict == expected => {}
            Ok(verdict) => wrong.push(format!("{}: {verdict:?}", input.display())),
            Err(difference) => wrong.push(format!("{}: {difference}", input.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn accepted_files_give_the_same_tree() {
    check("accepted", Verdict::Accepted, 50);
}

#[test]
fn rejected_files_are_rejected_by_both() {
    check("rejected", Verdict::Rejected, 25);
}

/// A comparison that finds nothing in different inputs would make the others worthless.
#[test]
fn a_difference_is_seen() {
    let base = "config a 'x'\n\toption k '1'\n\tlist l '2'\n";
    let others = [
        "config a 'y'\n\toption k '1'\n\tlist l '2'\n",
        "config b 'x'\n\toption k '1'\n\tlist l '2'\n",
        "config a 'x'\n\tlist k '1'\n\tlist l '2'\n",
        "config a 'x'\n\toption k '2'\n\tlist l '2'\n",
        "config a 'x'\n\tlist l '2'\n\toption k '1'\n",
        "config a 'x'\n\toption k '1'\n\tlist l '2'\n\tlist l ''\n",
        "config a 'x'\n\toption k '1'\n\tlist l '2'\nconfig a\n",
        "config a 'x'\n\toption k '1'\n\tlist l '2'\nbad\n",
    ];
    let (_, libuci) = both("seen", base);
    assert!(libuci.is_ok());
    for other in others {
        let (ours, _) = both("seen", other);
        assert!(agree(other.as_bytes(), ours, libuci.clone()).is_err(), "{other}");
    }
}

/// Where libuci of 2021 and the reader are known to differ; docs/uci.md lists them.
#[test]
fn known_differences_are_still_there() {
    let thrice = "config a x\nconfig a x\nconfig a x\n\toption k 1\n";
    let (ours, libuci) = both("known", thrice);
    assert!(ours.is_ok());
    assert!(libuci.unwrap_err().contains("before the first section"));

    let (ours, libuci) = both("known", "config a\n\toption k \0 1\n");
    assert!(ours.unwrap_err().contains("NUL byte"));
    assert!(libuci.is_ok());

    let (ours, libuci) = both("known", "config a\n\toption k 1\n\toption l 2\n\toption k 3\n");
    let ours = ours.unwrap().package.sections.remove(0);
    assert_eq!(ours.options.first().map(|o| o.name.as_str()), Some("k"));
    let libuci = libuci.unwrap().sections.remove(0);
    assert_eq!(libuci.options.first().map(|o| o.0 .0.as_slice()), Some(b"l".as_slice()));
}

/// libuci writes the text of all errors to one buffer; a test must not see another's.
#[test]
fn an_error_is_of_its_own_load() {
    let start = Barrier::new(2);
    let load_often = |label: &str, config: &str, message: &str| {
        let workspace = Workspace::new(label);
        workspace.write(config.as_bytes(), None);
        start.wait();
        for _ in 0..10_000 {
            let error = sys::load(&workspace.config_dir(), &workspace.save_dir(), PACKAGE);
            assert_eq!(error.unwrap_err(), message);
        }
    };
    let command = "Parse error (invalid command) at line 1, byte 0";
    let argument = "Parse error (insufficient arguments) at line 3, byte 10";
    thread::scope(|scope| {
        scope.spawn(|| load_often("own-command", "bad\n", command));
        scope.spawn(|| load_often("own-argument", "\nconfig a\n option  \n", argument));
    });
}

/// Loads a configuration with both readers.
fn both(label: &str, config: &str) -> (Result<Source, String>, Result<Tree, String>) {
    let workspace = Workspace::new(label);
    workspace.write(config.as_bytes(), None);
    let (config_dir, save_dir) = (workspace.config_dir(), workspace.save_dir());
    (load_ours(&config_dir, &save_dir), sys::load(&config_dir, &save_dir, PACKAGE))
}
