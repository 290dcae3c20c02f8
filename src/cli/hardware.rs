// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable hardware`: a line for each switch, then what there is to say about it.

use std::time::Duration;

use ubus::blobmsg::lookup;

use super::text::{aligned, entries, flag, integer, text, unknown};
use crate::core::settings::SwitchDriver;

/// Between two questions while the daemon reads a listing.
pub const PAUSE: Duration = Duration::from_millis(250);
/// Questions more than the first: two seconds, longer than a router needs to write a full listing.
pub const TRIES: u32 = 8;

/// Counts of a switch that the daemon fills, and how they are called.
const COUNTS: [(&str, &str); 6] = [
    ("inserted", "inserted"),
    ("removed", "removed"),
    ("full", "found it full"),
    ("collisions", "collisions"),
    ("faults", "faults"),
    ("resets", "resets"),
];

/// True while the daemon reads the listing of an engine that the kernel drives: asking again tells
/// how full it is.
pub fn is_worth_asking_again(reply: &[u8]) -> bool {
    let unread = |switch: &&[u8]| {
        text(switch, "driver") == SwitchDriver::Mt7621.name()
            && text(switch, "state") == "watched"
            && lookup(switch, "bound").is_none()
    };
    entries(reply, "switches").unwrap_or_default().iter().any(unread)
}

/// The reply of `hardware`.
pub fn hardware(reply: &[u8]) -> String {
    let switches = entries(reply, "switches").unwrap_or_default();
    if switches.is_empty() {
        return "no switch is configured\n".to_owned();
    }
    let heading = ["SWITCH", "DRIVER", "STATE", "FLOWS", "CAPACITY", "QUEUED"];
    let mut rows = vec![heading.map(str::to_owned)];
    let mut more = Vec::new();
    for switch in switches {
        let count = |key| integer(switch, key).map_or_else(unknown, |count| count.to_string());
        let name = text(switch, "name");
        rows.push([
            name.clone(),
            text(switch, "driver"),
            text(switch, "state"),
            count("used"),
            count("capacity"),
            count("queued"),
        ]);
        let mut label = format!("{name}:");
        more.extend(details(switch).into_iter().map(|line| [std::mem::take(&mut label), line]));
    }
    let mut out = aligned(&rows, &mut [0; 6], 3, 2);
    if !more.is_empty() {
        out.push('\n');
        out.push_str(&aligned(&more, &mut [0; 2], 2, 2));
    }
    if flag(reply, "truncated") == Some(true) {
        out.push_str("(cut short: too long for one reply)\n");
    }
    out
}

fn details(switch: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    if lookup(switch, "detail").is_some() {
        lines.push(text(switch, "detail"));
    }
    let counts = COUNTS.iter().filter_map(|(key, words)| {
        let count = integer(switch, key)?;
        Some(format!("{count} {words}"))
    });
    let counts: Vec<String> = counts.collect();
    if !counts.is_empty() {
        lines.push(counts.join(", "));
    }
    if let (Some(bound), Some(unbound)) = (integer(switch, "bound"), integer(switch, "unbound")) {
        let mut line = format!("{bound} entries forward packets, {unbound} others");
        if let Some(malformed) = integer(switch, "malformed").filter(|count| *count != 0) {
            line += &format!(", {malformed} lines of the listing could not be read");
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hardware::view::{Condition, SwitchView};
    use crate::ubus::hardware::encode;
    use crate::ubus::hardware::tests::{listed, quarantined, watched};
    use crate::ubus::reply::MAX_REPLY;
    use proptest::prelude::*;

    fn shown(switches: &[SwitchView]) -> String {
        hardware(encode(switches).contents())
    }

    #[test]
    fn a_line_for_each_switch_and_what_there_is_to_say() {
        assert_eq!(
            shown(&[quarantined(), listed()]),
            "\
SWITCH  DRIVER   STATE        FLOWS  CAPACITY  QUEUED
main    qca8337  quarantined     12      1024       3
ppe     mt7621   watched          -      7680       -

main:  no answer from the chip
       120 inserted, 108 removed, 7 found it full, 5 collisions, 4 faults, 9223372036854775807 resets
ppe:   1234 entries forward packets, 56 others, 1 lines of the listing could not be read
"
        );
    }

    #[test]
    fn little_is_said_where_little_is_known() {
        assert_eq!(
            shown(&[watched()]),
            "\
SWITCH  DRIVER  STATE    FLOWS  CAPACITY  QUEUED
ppe     mt7621  watched      -      7680       -
"
        );
        let mut sound = listed();
        sound.listed.as_mut().unwrap().malformed = 0;
        let text = shown(&[sound]);
        assert!(text.ends_with("\nppe:  1234 entries forward packets, 56 others\n"), "{text}");
        assert_eq!(shown(&[]), "no switch is configured\n");
        assert_eq!(hardware(&[]), "no switch is configured\n");
    }

    #[test]
    fn a_listing_that_is_being_read_is_asked_for_again() {
        let worth = |view: &SwitchView| {
            is_worth_asking_again(encode(&[quarantined(), view.clone()]).contents())
        };
        assert!(worth(&watched()));
        assert!(!worth(&listed()));
        let condition = Condition::Unusable("debugfs is not mounted".into());
        assert!(!worth(&SwitchView { condition, ..watched() }));
        // The MT7530 has no table of flows at all.
        assert!(!worth(&SwitchView { driver: SwitchDriver::Mt7530, ..watched() }));
        assert!(!is_worth_asking_again(encode(&[]).contents()));
    }

    #[test]
    fn nothing_steers_the_terminal_and_a_cut_is_told() {
        let steering = Condition::Unusable("\x1b[2J\nx".into());
        let text = shown(&[SwitchView { condition: steering, ..quarantined() }]);
        assert!(text.contains("\nmain:  ?[2J?x\n"), "{text}");
        let long = Condition::Unusable("x".repeat(MAX_REPLY));
        let text = shown(&[quarantined(), SwitchView { condition: long, ..quarantined() }]);
        assert!(text.ends_with("resets\n(cut short: too long for one reply)\n"), "{text}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = hardware(&bytes);
            let _ = is_worth_asking_again(&bytes);
        }
    }
}
