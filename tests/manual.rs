// SPDX-License-Identifier: GPL-2.0-or-later
//! The manual and the program share the lists of reasons, the man page and the program the options.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::expect_used)]

use flowtabled::core::flow_reason::FlowReason;
use flowtabled::core::reason::Reason;

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The codes in the table of a section.
fn listed(heading: &str) -> Vec<&'static str> {
    let manual = include_str!("../docs/manual.md");
    let section = manual.split(heading).nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

#[test]
fn the_manual_lists_every_reason_and_no_other() {
    let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(listed("\n## Reasons\n"), codes);
}

#[test]
fn the_manual_lists_every_reason_of_flows_and_no_other() {
    let codes: Vec<&str> = FlowReason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(listed("\n## Reasons of flows\n"), codes);
}

/// What the program says about itself under one of its names.
fn help(name: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtabled"));
    let output = command.arg0(name).arg("--help").output().expect("the program starts");
    String::from_utf8(output.stdout).expect("help is text")
}

/// The long options in a text: words behind `marker` before each of them.
fn options<'t>(text: &'t str, marker: &str) -> BTreeSet<&'t str> {
    let words = text.split(marker).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
        rest.split_at(end).0
    });
    words.filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_man_page_has_every_option_and_command_and_no_other() {
    let page = include_str!("../files/man/flowtabled.8");
    let helps = [help("flowtabled"), help("flowtable")];
    let told: BTreeSet<&str> = helps.iter().flat_map(|help| options(help, "--")).collect();
    assert!(told.contains("config-dir") && told.contains("interval"), "{told:?}");
    assert_eq!(options(page, "Fl Fl "), told);

    let commands = helps[1].split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    let commands = commands.unwrap_or_default().lines().filter(|line| !line.starts_with("     "));
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"status"), "{commands:?}");
    let section = page.split(".Ss Commands").nth(1).unwrap_or_default();
    let listed = section.split(".El").next().unwrap_or_default().lines();
    let listed = listed.filter_map(|line| line.strip_prefix(".It Cm ")?.split(' ').next());
    assert_eq!(listed.collect::<Vec<_>>(), commands);
}
