// SPDX-License-Identifier: GPL-2.0-or-later
//! What is built in from others: where it is from, under which licences, and how often.
//!
//! Whether a version has been withdrawn or is known to be faulty cannot be judged here: that is known
//! to the registry and to advisory databases, for which there is no asking without a network.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Licences that a program under GPL-2.0-or-later can take in.
const LICENCES: [&str; 9] = [
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "0BSD",
    "Zlib",
    "Unlicense",
    "Unicode-3.0",
    "GPL-2.0-or-later",
];
/// It can be taken in by version 3 of the GPL, and not by version 2.
const APACHE: &str = "Apache-2.0";
/// Crates in the daemon that have no other licence than that: a program with one of them can be passed
/// on under version 3.
const APACHE_ONLY: [&str; 1] = ["ubus-zero"];
/// What is in the lock file twice, all of it beside the daemon.
const TWICE: [&str; 3] = ["bitflags", "shlex", "syn"];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// Whether an SPDX expression can be met with these licences; exceptions only add permissions.
fn permits(expression: &str, licences: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let permitted = any(&mut words, licences);
    assert_eq!(words.next(), None, "{expression}");
    permitted
}

type Words<'t> = std::iter::Peekable<std::str::SplitWhitespace<'t>>;

fn any(words: &mut Words<'_>, licences: &[&str]) -> bool {
    let mut permitted = all(words, licences);
    while words.next_if_eq(&"OR").is_some() {
        permitted |= all(words, licences);
    }
    permitted
}

fn all(words: &mut Words<'_>, licences: &[&str]) -> bool {
    let mut permitted = one(words, licences);
    while words.next_if_eq(&"AND").is_some() {
        permitted &= one(words, licences);
    }
    permitted
}

fn one(words: &mut Words<'_>, licences: &[&str]) -> bool {
    let word = words.next().unwrap();
    if word == "(" {
        let permitted = any(words, licences);
        assert_eq!(words.next(), Some(")"));
        return permitted;
    }
    if words.next_if_eq(&"WITH").is_some() {
        words.next().unwrap();
    }
    licences.contains(&word)
}

#[test]
fn expressions_are_read() {
    let met = |expression| permits(expression, &["MIT", "Zlib"]);
    assert!(met("MIT") && met("MIT/Apache-2.0") && met("Apache-2.0 OR MIT") && met("MIT AND Zlib"));
    assert!(met("(MIT OR Apache-2.0) AND Zlib") && met("MIT WITH LLVM-exception"));
    assert!(!met("Apache-2.0") && !met("MIT AND Apache-2.0") && !met("Apache-2.0 OR ISC"));
    assert!(!met("(MIT OR Zlib) AND Apache-2.0"));
}

/// The packages that the daemon is built from on a router, by their names.
fn in_the_daemon(metadata: &Value) -> BTreeMap<String, Vec<Value>> {
    let list = |value: &Value, key: &str| value[key].as_array().unwrap().clone();
    let packages: BTreeMap<String, Value> = list(metadata, "packages")
        .into_iter()
        .map(|package| (text(&package, "id").to_owned(), package))
        .collect();
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"], "nodes")
        .into_iter()
        .map(|node| (text(&node, "id").to_owned(), node))
        .collect();
    let root = packages.iter().find(|(_, package)| package["name"] == "flowtabled").unwrap().0;
    let (mut wanted, mut seen) = (vec![root.clone()], BTreeSet::new());
    while let Some(id) = wanted.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        for dependency in list(&nodes[&id], "deps") {
            let built_in = |kind: &Value| {
                let elsewhere = kind["target"].as_str().unwrap_or_default();
                kind["kind"].is_null()
                    && !["windows", "wasi", "macos"].iter().any(|name| elsewhere.contains(name))
            };
            if list(&dependency, "dep_kinds").iter().any(built_in) {
                wanted.push(text(&dependency, "pkg").to_owned());
            }
        }
    }
    let mut named: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for id in seen {
        let package = packages[&id].clone();
        named.entry(text(&package, "name").to_owned()).or_default().push(package);
    }
    named
}

#[test]
fn every_licence_fits_and_exceptions_are_known() {
    let metadata = metadata();
    let everywhere = [&LICENCES[..], &[APACHE]].concat();
    for package in metadata["packages"].as_array().unwrap() {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        assert!(permits(licence, &everywhere), "{name}: {licence}");
    }
    let daemon = in_the_daemon(&metadata);
    assert!(daemon.contains_key("mio") && !daemon.contains_key("proptest"), "{:?}", daemon.keys());
    let other = daemon.iter().filter(|(_, packages)| {
        packages.iter().any(|package| !permits(text(package, "license"), &LICENCES))
    });
    let other: Vec<&str> = other.map(|(name, _)| name.as_str()).collect();
    assert_eq!(other, APACHE_ONLY);
}

#[test]
fn everything_is_from_one_registry_with_its_checksum() {
    let lock = include_str!("../../../Cargo.lock");
    let value = |package: &str, key: &str| {
        let prefix = format!("{key} = \"");
        let line = package.lines().find_map(|line| line.strip_prefix(&prefix)?.strip_suffix('"'));
        line.map(str::to_owned)
    };
    let mut sources = BTreeSet::new();
    let mut ours = BTreeSet::new();
    for package in lock.split("[[package]]\n").skip(1) {
        let name = value(package, "name").unwrap();
        match value(package, "source") {
            Some(source) => {
                let checksum = value(package, "checksum").unwrap_or_default();
                assert_eq!(checksum.len(), 64, "{name}");
                sources.insert(source);
            }
            None => drop(ours.insert(name)),
        }
    }
    assert_eq!(sources.len(), 1, "{sources:?}");
    let source = sources.pop_first().unwrap();
    assert!(source.starts_with("registry+") && source.ends_with("/crates.io-index"), "{source}");
    let members = ["c-differential", "flowtabled", "hw-drivers", "hw-simulators", "xtask"];
    assert_eq!(ours, members.map(str::to_owned).into());
}

#[test]
fn nothing_is_built_in_twice() {
    let metadata = metadata();
    for (name, packages) in in_the_daemon(&metadata) {
        assert_eq!(packages.len(), 1, "{name}");
    }
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        *versions.entry(text(package, "name")).or_default() += 1;
    }
    let twice: Vec<&str> =
        versions.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
    assert_eq!(twice, TWICE);
}
