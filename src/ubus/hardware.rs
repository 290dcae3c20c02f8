// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `hardware`: the switches of the configuration, what they are at, and how full they are.
//!
//! The reply has the array `switches`, in the order of the configuration. Each has its `name`,
//! `driver` and `state`, `detail` where something is wrong, and the int32 `capacity` (flows that its
//! table holds at most) and `used` (flows in it), which is absent while nobody knows. One that the
//! daemon fills also has the int32 `queued` and the int64 counts `inserted`, `removed`, `full`,
//! `collisions`, `faults` and `resets`; one that the kernel fills the int32 `bound`, `unbound` and
//! `malformed`, which count entries and lines of the kernel's listing, once that has been read.

use ubus::BlobMsgTable;

use super::policy::{Method, Policy};
use super::reply::Reply;
use crate::core::hardware::view::{Condition, Listed, SwitchView};

/// The method takes no arguments.
pub const POLICY: Policy = Policy { method: Method::Hardware, name: "hardware", arguments: &[] };

/// The reply about switches.
pub fn encode(switches: &[SwitchView]) -> BlobMsgTable {
    let mut reply = Reply::new();
    reply.records("switches", switches, switch);
    reply.finish(Some(switches.len()))
}

fn switch(reply: &mut Reply, view: &SwitchView) {
    reply.text("name", &view.name);
    reply.text("driver", view.driver.name());
    reply.text("state", view.condition.code());
    if let Some(detail) = view.condition.detail() {
        reply.text("detail", detail);
    }
    reply.count("capacity", view.capacity);
    if let Some(used) = view.used {
        reply.count("used", used);
    }
    if view.driver.is_filled() && view.condition != Condition::Watched {
        let tally = &view.tally;
        reply.count("queued", view.queued);
        reply.long_count("inserted", tally.inserted);
        reply.long_count("removed", tally.removed);
        reply.long_count("full", tally.full);
        reply.long_count("collisions", tally.collisions);
        reply.long_count("faults", tally.faults);
        reply.long_count("resets", tally.resets);
    }
    if let Some(Listed { bound, unbound, malformed }) = view.listed {
        reply.count("bound", bound);
        reply.count("unbound", unbound);
        reply.count("malformed", malformed);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core::hardware::{State, Tally};
    use crate::core::settings::SwitchDriver;
    use crate::ubus::json;
    use crate::ubus::reply::MAX_REPLY;

    /// A switch that is left alone for a while, with a number in each place.
    pub(crate) fn quarantined() -> SwitchView {
        SwitchView {
            name: "main".into(),
            driver: SwitchDriver::Qca8337,
            condition: Condition::Driven(State::Quarantined("no answer from the chip".into())),
            capacity: 1024,
            used: Some(12),
            queued: 3,
            tally: Tally {
                inserted: 120,
                removed: 108,
                full: 7,
                collisions: 5,
                faults: 4,
                resets: u64::MAX,
            },
            listed: None,
        }
    }

    /// An engine that the kernel drives; its listing has not been read yet.
    pub(crate) fn watched() -> SwitchView {
        SwitchView {
            name: "ppe".into(),
            driver: SwitchDriver::Mt7621,
            condition: Condition::Watched,
            capacity: 7680,
            used: None,
            queued: 0,
            tally: Tally::default(),
            listed: None,
        }
    }

    /// The same with its listing.
    pub(crate) fn listed() -> SwitchView {
        let listed = Listed { bound: 1234, unbound: 56, malformed: 1 };
        SwitchView { listed: Some(listed), ..watched() }
    }

    fn rendered(switches: &[SwitchView]) -> String {
        json::render(encode(switches).contents()).unwrap()
    }

    #[test]
    fn every_key() {
        assert_eq!(
            rendered(&[quarantined(), listed()]),
            concat!(
                r#"{"switches":[{"name":"main","driver":"qca8337","state":"quarantined","#,
                r#""detail":"no answer from the chip","capacity":1024,"used":12,"queued":3,"#,
                r#""inserted":120,"removed":108,"full":7,"collisions":5,"faults":4,"#,
                r#""resets":9223372036854775807},"#,
                r#"{"name":"ppe","driver":"mt7621","state":"watched","capacity":7680,"#,
                r#""bound":1234,"unbound":56,"malformed":1}]}"#
            )
        );
        assert_eq!(rendered(&[]), r#"{"switches":[]}"#);
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let text = rendered(&[watched(), SwitchView { used: None, ..quarantined() }]);
        assert!(!text.contains("bound") && !text.contains("used"), "{text}");
        assert_eq!(text.matches("queued").count(), 1, "{text}");
        // Nobody counts what the kernel does, whether it can be looked at or not.
        let condition = Condition::Unusable("debugfs is not mounted".into());
        let text = rendered(&[SwitchView { condition, ..watched() }]);
        let expected = concat!(
            r#"{"switches":[{"name":"ppe","driver":"mt7621","state":"unusable","#,
            r#""detail":"debugfs is not mounted","capacity":7680}]}"#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn every_state_has_its_code() {
        let state = |condition: Condition| {
            let text = rendered(&[SwitchView { condition, ..quarantined() }]);
            let detail = text.contains("detail");
            let code = text.split(r#""state":""#).nth(1).and_then(|rest| rest.split('"').next());
            (code.unwrap().to_owned(), detail)
        };
        for (condition, code, detail) in [
            (Condition::Unusable("x".into()), "unusable", true),
            (Condition::Watched, "watched", false),
            (Condition::Driven(State::Off), "off", false),
            (Condition::Driven(State::SettingUp), "setting_up", false),
            (Condition::Driven(State::Ready), "ready", false),
            (Condition::Driven(State::Stopping), "stopping", false),
            (Condition::Driven(State::Quarantined("x".into())), "quarantined", true),
            (Condition::Driven(State::Wrong("x".into())), "wrong_chip", true),
        ] {
            assert_eq!(state(condition), (code.to_owned(), detail));
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let long = Condition::Unusable("x".repeat(MAX_REPLY / 2));
        let long = SwitchView { condition: long, ..quarantined() };
        let reply = encode(&[long.clone(), quarantined(), long]);
        assert!(reply.contents().len() < MAX_REPLY);
        let text = json::render(reply.contents()).unwrap();
        assert!(text.ends_with(r#""truncated":true,"total":3}"#), "{}", text.len());
    }
}
