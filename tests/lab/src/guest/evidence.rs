// SPDX-License-Identifier: GPL-2.0-or-later
//! What a person wants to see when a scenario failed.

use super::SCRATCH_DIR;
use crate::command::text_of;
use crate::console::Report;
use std::process::Command;

/// Lines of each piece that are kept.
const LINES: usize = 80;

/// Sends the state of the router to the console.
pub fn send() {
    let log = format!("tail -n 40 {SCRATCH_DIR}/*.log");
    let pieces = [
        ("log", log.as_str()),
        ("status", "ubus -p call flowtable status"),
        ("devices", "ubus call flowtable devices"),
        ("hardware", "ubus -p call flowtable hardware"),
        ("conntrack", "conntrack -L; conntrack -L -f ipv6"),
        ("ruleset", "nft list ruleset"),
        ("links", "ip -d -br link; ip -br address; ip route; ip -6 route"),
        ("config", "head -n 200 /etc/config/*"),
        ("kernel", "dmesg | tail -n 15"),
    ];
    for (title, command) in pieces {
        Report::Evidence(format!("--- {title}")).send();
        let Ok(output) = Command::new("sh").args(["-c", command]).output() else { continue };
        let text = text_of(&output);
        for line in text.lines().take(LINES) {
            Report::Evidence(line.to_string()).send();
        }
        if text.lines().nth(LINES).is_some() {
            Report::Evidence("(cut)".into()).send();
        }
    }
}
