// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `history`: what flows carried since the daemon started, and between the polls of the
//! last ten minutes.
//!
//! The optional int32 argument `points` asks for so many of the newest samples and no more, 0 to 300;
//! one that is out of this range fails the call with "invalid argument".
//!
//! The reply has the table `totals`, with a table of the int64 `packets` and `bytes` for each of
//! `classic`, `software` and `hardware`, and the array `samples`, the oldest first. A sample has
//! the int32 `at_s`, when its poll ended, in seconds since the daemon started (from 0 again after
//! 49 days), the int32 `span_ms`, the time since the poll before, and for each state an array of
//! packets and bytes. A state whose bytes nobody counts is absent. When they do not fit the oldest are left out and the reply says `truncated`.

use ubus::{BlobMsgTable, BlobType};

use super::policy::{Argument, Arguments, Method, Policy};
use super::reply::Reply;
use super::status_code::StatusCode;
use crate::core::flows::account::{Account, ByState, Sample, SAMPLES_MAX};
use crate::core::flows::FlowState;
use crate::netlink::conntrack::entry::Counters;

/// The argument that says how many samples.
pub const POINTS: &str = "points";

/// The method takes a number of samples.
pub const POLICY: Policy = Policy {
    method: Method::History,
    name: "history",
    arguments: &[Argument { name: POINTS, ty: BlobType::Int32 }],
};

/// How many samples the arguments ask for at most.
///
/// # Errors
/// The number makes no sense.
pub fn points(arguments: &Arguments<'_>) -> Result<usize, StatusCode> {
    let Some(number) = arguments.number(POINTS) else { return Ok(SAMPLES_MAX) };
    let points = usize::try_from(number).ok().filter(|points| *points <= SAMPLES_MAX);
    points.ok_or(StatusCode::InvalidArgument)
}

/// The reply about an account with its newest samples, `points` at most; `counted` tells for each
/// state whether what it carries is known.
pub fn of(account: &Account, counted: [bool; 3], points: usize) -> BlobMsgTable {
    let older = account.history().len().saturating_sub(points);
    encode(account.history().skip(older), account.totals(), counted)
}

/// The reply; `samples` are those of an account, the oldest first.
pub fn encode<'s>(
    samples: impl Iterator<Item = &'s Sample>,
    totals: ByState,
    counted: [bool; 3],
) -> BlobMsgTable {
    let sample = |r: &mut Reply, s: &Sample| sample(r, s, counted);
    let samples: Vec<&Sample> = samples.collect();
    // All samples have the same size, so as many fit at the end of the list as at its beginning.
    let all = samples.iter().copied();
    let fitting = begin(&totals, counted).records_that_fit("samples", all, 0, sample);
    let newest = samples.get(samples.len() - fitting..).unwrap_or_default();
    let mut reply = begin(&totals, counted);
    reply.records("samples", newest, |r, s| sample(r, s));
    if fitting < samples.len() {
        reply.set_truncated();
    }
    reply.finish(None)
}

fn begin(totals: &ByState, counted: [bool; 3]) -> Reply {
    let mut reply = Reply::new();
    reply.table("totals", |r| {
        for (state, carried) in known(totals, counted) {
            r.table(state.name(), |r| {
                r.long_count("packets", carried.packets);
                r.long_count("bytes", carried.bytes);
            });
        }
    });
    reply
}

fn sample(reply: &mut Reply, sample: &Sample, counted: [bool; 3]) {
    reply.count("at_s", sample.at_ms / 1000);
    reply.count("span_ms", sample.span_ms);
    for (state, carried) in known(&sample.carried, counted) {
        reply.long_counts(state.name(), &[carried.packets, carried.bytes]);
    }
}

fn known(carried: &ByState, counted: [bool; 3]) -> impl Iterator<Item = (FlowState, &Counters)> {
    let all = FlowState::ALL.into_iter().zip(carried).zip(counted);
    all.filter_map(|(state, counted)| counted.then_some(state))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ubus::json;

    fn carried(n: u64) -> ByState {
        [n, 10 * n, 100 * n].map(|n| Counters { packets: n, bytes: 1000 * n })
    }

    fn samples(count: u32) -> Vec<Sample> {
        let sample = |n: u32| Sample { at_ms: n * 2000, span_ms: 2000, carried: carried(n.into()) };
        (1..=count).map(sample).collect()
    }

    /// A history of two samples.
    pub(crate) fn two() -> BlobMsgTable {
        encode(samples(2).iter(), carried(7), [true; 3])
    }

    #[test]
    fn every_key() {
        assert_eq!(
            json::render(two().contents()).unwrap(),
            concat!(
                r#"{"totals":{"classic":{"packets":7,"bytes":7000},"#,
                r#""software":{"packets":70,"bytes":70000},"#,
                r#""hardware":{"packets":700,"bytes":700000}},"samples":["#,
                r#"{"at_s":2,"span_ms":2000,"classic":[1,1000],"software":[10,10000],"#,
                r#""hardware":[100,100000]},"#,
                r#"{"at_s":4,"span_ms":2000,"classic":[2,2000],"software":[20,20000],"#,
                r#""hardware":[200,200000]}]}"#
            )
        );
    }

    #[test]
    fn what_nobody_counts_is_absent() {
        let reply = encode(samples(1).iter(), carried(7), [true, false, false]);
        assert_eq!(
            json::render(reply.contents()).unwrap(),
            concat!(
                r#"{"totals":{"classic":{"packets":7,"bytes":7000}},"samples":["#,
                r#"{"at_s":2,"span_ms":2000,"classic":[1,1000]}]}"#
            )
        );
    }

    #[test]
    fn a_full_ring_fits() {
        let mut account = Account::default();
        (0..=1000).for_each(|tick| account.sample(tick * 2000));
        let reply = of(&account, [true; 3], SAMPLES_MAX);
        assert!(reply.lookup("truncated").is_none());
        assert_eq!(json::render(reply.contents()).unwrap().matches("at_s").count(), 300);
    }

    #[test]
    fn the_newest_are_told_and_no_more_than_asked_for() {
        let mut account = Account::default();
        (0..=3).for_each(|tick| account.sample(tick * 2000));
        let times = |points| {
            let reply = of(&account, [true, false, false], points);
            assert!(reply.lookup("truncated").is_none() && reply.lookup("totals").is_some());
            let text = json::render(reply.contents()).unwrap();
            let at = |n: &u32| text.contains(&format!(r#""at_s":{n},"#));
            [2, 4, 6].into_iter().filter(at).collect::<Vec<u32>>()
        };
        assert_eq!(times(0), [0; 0]);
        assert_eq!(times(1), [6]);
        assert_eq!(times(2), [4, 6]);
        assert_eq!(times(300), [2, 4, 6]);
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        let asked = |number| {
            let data = BlobMsgTable::build(|b| b.put_i32(Some(POINTS), number));
            points(&Arguments::check(&POLICY, data.contents()).unwrap())
        };
        assert_eq!([asked(0), asked(1), asked(300)], [Ok(0), Ok(1), Ok(300)]);
        assert_eq!([asked(-1), asked(301)], [Err(StatusCode::InvalidArgument); 2]);
        assert_eq!(points(&Arguments::default()), Ok(SAMPLES_MAX));
    }

    #[test]
    fn the_oldest_are_left_out() {
        let reply = encode(samples(1000).iter(), carried(u64::MAX / 100_000), [true; 3]);
        assert!(reply.contents().len() < 64 * 1024);
        assert_eq!(reply.lookup("truncated").and_then(|a| a.as_bool()), Some(true));
        let text = json::render(reply.contents()).unwrap();
        assert!(text.matches("at_s").count() > 300);
        assert!(text.contains(r#"{"at_s":2000,"#) && !text.contains(r#"{"at_s":2,"#));
    }
}
