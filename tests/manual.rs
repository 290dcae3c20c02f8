// SPDX-License-Identifier: GPL-2.0-or-later
//! The manual and the program share the lists of reasons.

use flowtabled::core::flow_reason::FlowReason;
use flowtabled::core::reason::Reason;

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
