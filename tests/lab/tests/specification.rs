// SPDX-License-Identifier: GPL-2.0-or-later
//! SPECIFICATION.md and README.md name only benchmarks that there are, the first names all of them, and
//! the files and pictures that the first leads to are there. docs/proofs.md names every scenario.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used)]

use lab::host::bench::NAMES;
use lab::host::paths;
use std::collections::BTreeSet;
use std::fs;

const COMMAND: &str = "cargo xtask bench";

/// The benchmarks that a text has commands for; a placeholder in capitals or an option is none.
fn named(text: &str) -> BTreeSet<&str> {
    text.split(COMMAND)
        .skip(1)
        .filter_map(|rest| {
            let rest = rest.strip_prefix(' ')?;
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-' && c != '_');
            let name = rest.get(..end.unwrap_or(rest.len()))?;
            (!name.is_empty() && !name.starts_with('-')).then_some(name)
        })
        .collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(paths::repository().join(name)).unwrap()
}

#[test]
fn commands_are_found() {
    let text = "`cargo xtask bench flows`, `cargo xtask bench [NAME] --against REV`, \
                cargo xtask bench --list; cargo xtask bench NAME; cargo xtask bench mdio --against v1";
    assert_eq!(named(text), ["flows", "mdio"].into());
}

#[test]
fn every_scenario_proves_something() {
    let text = read("docs/proofs.md");
    let files = fs::read_dir(paths::repository().join("tests/lab/scenarios")).unwrap();
    let names = files.filter_map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".scenario").map(String::from)
    });
    let names: BTreeSet<String> = names.collect();
    let silent: Vec<&String> =
        names.iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(names.len() > 80 && silent.is_empty(), "{silent:?} of {}", names.len());
}

#[test]
fn every_command_names_a_benchmark() {
    for file in ["SPECIFICATION.md", "README.md", "docs/lab.md"] {
        let text = read(file);
        let unknown: Vec<&str> = named(&text).into_iter().filter(|n| !NAMES.contains(n)).collect();
        assert_eq!(unknown, [""; 0], "{file}");
    }
}

#[test]
fn every_benchmark_is_specified() {
    let text = read("SPECIFICATION.md");
    let named = named(&text);
    let missing: Vec<&str> = NAMES.into_iter().filter(|name| !named.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
    let lab = read("docs/lab.md");
    let missing: Vec<&str> =
        NAMES.into_iter().filter(|name| !lab.contains(&format!("| `{name}` |"))).collect();
    assert_eq!(missing, [""; 0], "docs/lab.md");
}

#[test]
fn links_lead_somewhere() {
    let text = read("SPECIFICATION.md");
    let links: Vec<&str> = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link)
        .collect();
    assert!(links.len() > 5, "{links:?}");
    for link in links {
        let file = link.split('#').next().unwrap();
        assert!(file.is_empty() || paths::repository().join(file).exists(), "{link}");
    }
}
