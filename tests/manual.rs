// SPDX-License-Identifier: GPL-2.0-or-later
//! The manual and the program share one list of reasons.

use flowtabled::core::reason::Reason;

#[test]
fn the_manual_lists_every_reason_and_no_other() {
    let manual = include_str!("../docs/manual.md");
    let section = manual.split("## Reasons").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(listed, codes);
}
