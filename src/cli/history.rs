// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable history`: what was carried by each path, in all and between polls.

use ubus::blobmsg::BlobIter;
use ubus::BlobValue;

use super::quantity;
use super::text::{aligned, duration, entries, flag, integer, table, unknown};
use crate::core::flows::FlowState;

/// The reply of `history`: a table of totals, and one of rates with a line for each sample.
pub fn history(reply: &[u8]) -> String {
    let totals = table(reply, "totals").unwrap_or_default();
    let mut rows = vec![["TOTAL", "PACKETS", "BYTES"].map(str::to_owned)];
    rows.extend(FlowState::ALL.map(|state| {
        let of = |key| integer(table(totals, state.name())?, key);
        [
            state.name().to_owned(),
            of("packets").map_or_else(unknown, |packets| packets.to_string()),
            of("bytes").and_then(unsigned).map_or_else(unknown, quantity::bytes),
        ]
    }));
    let mut out = aligned(&rows, &mut [0; 3], 1, 2);
    let mut rows = vec![["AT", "CLASSIC", "SOFTWARE", "HARDWARE"].map(str::to_owned)];
    rows.extend(entries(reply, "samples").unwrap_or_default().into_iter().map(sample));
    out.push('\n');
    out.push_str(&aligned(&rows, &mut [0; 4], 1, 2));
    if flag(reply, "truncated") == Some(true) {
        out.push_str("(the oldest are left out: too long for one reply)\n");
    }
    out
}

/// Bytes a second by state between the last two polls, in the order of [`FlowState::ALL`].
pub(super) fn latest(reply: &[u8]) -> [String; 3] {
    let last = entries(reply, "samples").unwrap_or_default().pop();
    let [_, classic, software, hardware] = sample(last.unwrap_or_default());
    [classic, software, hardware]
}

fn sample(sample: &[u8]) -> [String; 4] {
    let span_ms = integer(sample, "span_ms").and_then(unsigned);
    let rate = |state: FlowState| {
        let bytes = bytes(table(sample, state.name())?)?;
        let rate = bytes.saturating_mul(1000).checked_div(span_ms?)?;
        Some(quantity::rate(rate))
    };
    let [classic, software, hardware] =
        FlowState::ALL.map(|state| rate(state).unwrap_or_else(unknown));
    [integer(sample, "at_s").map_or_else(unknown, duration), classic, software, hardware]
}

/// The second of packets and bytes.
fn bytes(pair: &[u8]) -> Option<u64> {
    match BlobIter::new(pair).nth(1)?.value().ok()? {
        BlobValue::Int64(bytes) => unsigned(bytes),
        _ => None,
    }
}

fn unsigned(number: i64) -> Option<u64> {
    number.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::account::Sample;
    use crate::ubus::history as method;
    use proptest::prelude::*;

    #[test]
    fn totals_and_rates() {
        assert_eq!(
            history(method::tests::two().contents()),
            "\
TOTAL     PACKETS    BYTES
classic         7    7.0kB
software       70   70.0kB
hardware      700  700.0kB

AT  CLASSIC  SOFTWARE   HARDWARE
2s   500B/s   5.0kB/s   50.0kB/s
4s  1.0kB/s  10.0kB/s  100.0kB/s
"
        );
    }

    #[test]
    fn the_latest_rates() {
        assert_eq!(latest(method::tests::two().contents()), ["1.0kB/s", "10.0kB/s", "100.0kB/s"]);
        assert_eq!(latest(&[]), ["-", "-", "-"]);
    }

    #[test]
    fn the_unknown_is_a_dash() {
        let samples = [Sample { at_ms: 0, span_ms: 0, carried: Default::default() }];
        let text =
            history(method::encode(samples.iter(), Default::default(), [true; 3]).contents());
        assert!(text.contains("\n0s        -         -         -\n"), "{text}");
        assert!(history(&[]).contains("\nclassic         -      -\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = history(&bytes);
        }
    }
}
