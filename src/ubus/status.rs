// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `status`: what the daemon was asked for, what is in force, and why they differ.
//!
//! | key | type | meaning |
//! |---|---|---|
//! | `version` | string | version of the daemon |
//! | `uptime_s` | int64 | seconds since it started |
//! | `requested`, `effective` | string | `classic`, `software`, `mixed`, `hardware` |
//! | `reason`, `reason_text` | string | why; absent before the first decision |
//! | `detail` | string | object or kernel's words of the reason; absent when there is none |
//! | `flows` | table | int32 `classic`, `software`, `hardware`, and `closing`, those of them that are being closed; absent when unknown |
//! | `polling` | table | see [`Polling`]: int32 `interval_s`, `lists`, `failed`, `last_ms`, `cpu_ms`, `entries`, `overruns`; int64 `events`, `left_out`, `ended_unseen`; absent when unknown |
//! | `leaked_packets` | int64 | sum of `leaked`; absent when unknown |
//! | `leaked` | table | tables `software`, `hardware` with int64 `packets`, `rate` (packets a second) |
//! | `bypassed` | int32 | connections kept on the classic path; absent when unknown |
//! | `evictions` | table | int32 `count` of transactions that handed flows back because of a change; of the last one string `cause`, `cause_text` and int64 `age_s`, absent before it |
//! | `kernel` | table | `release`, booleans `flowtable`, `named_hooks`, `conntrack`, `accounting` |
//! | `commits` | int64 | how often the wanted state was committed |
//! | `left_out` | table | see [`LeftOut`]: int64 `links`, `neighbours`, `stations`, `hosts`, `chains`, `names` |
//! | `last_error` | string | absent when there is none |
//! | `tables` | array | tables `name`, `flowtable`, `hardware`, `counter`, `priority`, `devices`; of a partition `reason`, `reason_text`, `detail` |
//! | `foreign_flowtables` | array | strings `family table name` |
//! | `takeover` | table | firewall4's own offloading: string `state` (`none`, `left`, `taken`), int64 `count`; absent before the first look |
//! | `warnings` | array | strings, of the last configuration read |
//! | `truncated` | boolean | present when the lists did not fit |

use ubus::BlobMsgTable;

use super::policy::{Method, Policy};
use super::reply::Reply;
use crate::core::status::{Leak, LeftOut, Polling, Status};

/// The method takes no arguments.
pub const POLICY: Policy = Policy { method: Method::Status, name: "status", arguments: &[] };

/// The reply.
pub fn encode(status: &Status) -> BlobMsgTable {
    let mut reply = Reply::new();
    reply.text("version", crate::VERSION);
    reply.long_count("uptime_s", status.uptime_s);
    reply.text("requested", status.requested.name());
    reply.text("effective", status.effective.name());
    if let Some(reason) = status.reason {
        reply.text("reason", reason.code());
        reply.text("reason_text", reason.text());
    }
    reply.text_unless_empty("detail", &status.detail);
    if let Some(flows) = status.flows {
        reply.table("flows", |r| {
            r.count("classic", flows.classic);
            r.count("software", flows.software);
            r.count("hardware", flows.hardware);
            if let Some(closing) = status.closing {
                r.count("closing", closing);
            }
        });
    }
    if let Some(polling) = &status.polling {
        reply.table("polling", |r| encode_polling(r, polling));
    }
    if let Some(leaked) = status.leaked {
        reply.long_count("leaked_packets", leaked.packets());
        reply.table("leaked", |r| {
            r.table("software", |r| leak(r, leaked.software));
            r.table("hardware", |r| leak(r, leaked.hardware));
        });
    }
    if let Some(bypassed) = status.bypassed {
        reply.count("bypassed", u32::try_from(bypassed).unwrap_or(u32::MAX));
    }
    reply.table("evictions", |r| {
        r.count("count", status.evicted.count);
        if let Some((cause, age_s)) = status.evicted.last {
            r.text("cause", cause.code());
            r.text("cause_text", cause.text());
            r.long_count("age_s", age_s);
        }
    });
    reply.table("kernel", |r| {
        r.text_unless_empty("release", &status.kernel.release);
        r.flag_if_known("flowtable", status.kernel.flowtable);
        r.flag_if_known("named_hooks", status.kernel.named_hooks);
        r.flag_if_known("conntrack", status.kernel.conntrack);
        r.flag_if_known("accounting", status.kernel.accounting);
    });
    if let Some(takeover) = status.takeover {
        reply.table("takeover", |r| {
            r.text("state", takeover.state.name());
            r.long_count("count", takeover.count);
        });
    }
    reply.long_count("commits", status.commits);
    reply.table("left_out", |r| left_out(r, status.left_out));
    if let Some(error) = &status.last_error {
        reply.text("last_error", error);
    }
    reply.records("tables", &status.tables, |r, table| {
        r.text("name", &table.name);
        r.text("flowtable", &table.flowtable);
        r.flag("hardware", table.hardware);
        r.flag("counter", table.counter);
        r.number("priority", table.priority);
        r.strings("devices", &table.devices);
        if let Some((reason, detail)) = &table.reason {
            r.text("reason", reason.code());
            r.text("reason_text", reason.text());
            r.text_unless_empty("detail", detail);
        }
    });
    reply.strings("foreign_flowtables", &status.foreign_flowtables);
    reply.strings("warnings", &status.warnings);
    reply.finish(None)
}

fn encode_polling(r: &mut Reply, polling: &Polling) {
    if let Some(seconds) = polling.interval_s {
        r.count("interval_s", seconds);
    }
    r.count("lists", polling.lists);
    r.count("failed", polling.failed);
    if let Some(last) = polling.last {
        r.count("last_ms", last.took_ms);
        r.count("cpu_ms", last.cpu_ms);
        r.count("entries", last.entries);
    }
    r.long_count("events", polling.events);
    r.count("overruns", polling.overruns);
    r.long_count("left_out", polling.left_out);
    r.long_count("ended_unseen", polling.ended_unseen);
}

fn left_out(r: &mut Reply, left_out: LeftOut) {
    r.long_count("links", left_out.links);
    r.long_count("neighbours", left_out.neighbours);
    r.long_count("stations", left_out.stations);
    r.long_count("hosts", left_out.hosts);
    r.long_count("chains", left_out.chains);
    r.long_count("names", left_out.names);
}

fn leak(reply: &mut Reply, leak: Leak) {
    reply.long_count("packets", leak.packets);
    if let Some(rate) = leak.rate_pps {
        reply.long_count("rate", rate);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core::evict::{Cause, Evicted};
    use crate::core::reason::Reason;
    use crate::core::settings::Mode;
    use crate::core::status::TakeoverStatus;
    use crate::core::status::{FlowCounts, KernelAbilities, Leaked, ListCost, TableStatus};
    use crate::core::takeover::State;
    use crate::ubus::json;

    /// A status with every key.
    pub(crate) fn full() -> Status {
        Status {
            uptime_s: 5_000_000_000,
            requested: Mode::Hardware,
            effective: Mode::Mixed,
            reason: Some(Reason::SomeHardware),
            detail: "lan3".into(),
            tables: vec![
                TableStatus {
                    name: "flowtabled_hw".into(),
                    flowtable: "ft".into(),
                    hardware: true,
                    counter: true,
                    priority: -5,
                    devices: vec!["lan1".into(), "lan2".into(), "wan".into()],
                    reason: None,
                },
                TableStatus {
                    name: "flowtabled_p_iot".into(),
                    flowtable: "ft".into(),
                    reason: Some((Reason::SomeHardware, "iot0: no".into())),
                    ..Default::default()
                },
            ],
            foreign_flowtables: vec!["inet fw4 ft".into()],
            takeover: Some(TakeoverStatus { state: State::Left, count: 3 }),
            flows: Some(FlowCounts { classic: 12, software: 340, hardware: 88 }),
            closing: Some(5),
            polling: Some(Polling {
                interval_s: Some(30),
                lists: 1200,
                failed: 1,
                last: Some(ListCost { took_ms: 9, cpu_ms: 7, entries: 440 }),
                events: 5_000_000_000,
                overruns: 2,
                left_out: 3,
                ended_unseen: 4,
            }),
            leaked: Some(Leaked {
                software: Leak { packets: 12, rate_pps: Some(3) },
                hardware: Leak { packets: 5, rate_pps: None },
            }),
            bypassed: Some(2),
            evicted: Evicted { count: 7, last: Some((Cause::Firewall, 5_000_000_000)) },
            kernel: KernelAbilities {
                release: "6.12.55".into(),
                flowtable: Some(true),
                named_hooks: Some(false),
                conntrack: Some(true),
                accounting: None,
            },
            last_error: Some("nf_tables: table flowtabled_sw: device busy".into()),
            warnings: vec!["flowtable:12: unknown option 'enabeld'".into()],
            commits: 4,
            left_out: LeftOut {
                links: 1,
                neighbours: 0,
                stations: 7,
                hosts: 3,
                chains: 4,
                names: 5_000_000_000,
            },
        }
    }

    #[test]
    fn every_key() {
        let version = crate::VERSION;
        assert_eq!(
            json::render(encode(&full()).contents()).unwrap(),
            format!(r#"{{"version":"{version}","uptime_s":5000000000,"requested":"hardware","#)
                + r#""effective":"mixed","reason":"some_hardware","#
                + r#""reason_text":"only some devices accept hardware offload","detail":"lan3","#
                + r#""flows":{"classic":12,"software":340,"hardware":88,"closing":5},"#
                + r#""polling":{"interval_s":30,"lists":1200,"failed":1,"last_ms":9,"#
                + r#""cpu_ms":7,"entries":440,"events":5000000000,"overruns":2,"#
                + r#""left_out":3,"ended_unseen":4},"leaked_packets":17,"#
                + r#""leaked":{"software":{"packets":12,"rate":3},"hardware":{"packets":5}},"#
                + r#""bypassed":2,"evictions":{"count":7,"cause":"firewall","#
                + r#""cause_text":"the firewall's rules have changed","age_s":5000000000},"#
                + r#""kernel":{"release":"6.12.55","flowtable":true,"named_hooks":false,"#
                + r#""conntrack":true},"takeover":{"state":"left","count":3},"#
                + r#""commits":4,"left_out":{"links":1,"neighbours":0,"#
                + r#""stations":7,"hosts":3,"chains":4,"names":5000000000},"#
                + r#""last_error":"nf_tables: table flowtabled_sw: device busy","#
                + r#""tables":[{"name":"flowtabled_hw","flowtable":"ft","hardware":true,"#
                + r#""counter":true,"priority":-5,"devices":["lan1","lan2","wan"]},"#
                + r#"{"name":"flowtabled_p_iot","flowtable":"ft","hardware":false,"#
                + r#""counter":false,"priority":0,"devices":[],"reason":"some_hardware","#
                + r#""reason_text":"only some devices accept hardware offload","#
                + r#""detail":"iot0: no"}],"#
                + r#""foreign_flowtables":["inet fw4 ft"],"#
                + r#""warnings":["flowtable:12: unknown option 'enabeld'"]}"#
        );
    }

    #[test]
    fn the_unknown_is_absent() {
        let version = crate::VERSION;
        assert_eq!(
            json::render(encode(&Status::default()).contents()).unwrap(),
            format!(r#"{{"version":"{version}","uptime_s":0,"requested":"classic","#)
                + r#""effective":"classic","evictions":{"count":0},"kernel":{},"#
                + r#""commits":0,"left_out":{"links":0,"#
                + r#""neighbours":0,"stations":0,"hosts":0,"chains":0,"names":0},"tables":[],"#
                + r#""foreign_flowtables":[],"warnings":[]}"#
        );
    }

    #[test]
    fn no_list_has_no_cost() {
        let status = Status { polling: Some(Polling::default()), ..Status::default() };
        let text = json::render(encode(&status).contents()).unwrap();
        let polling = r#""polling":{"lists":0,"failed":0,"events":0,"overruns":0,"left_out":0,"#;
        assert!(text.contains(&format!(r#"{polling}"ended_unseen":0}}"#)), "{text}");
    }

    #[test]
    fn a_flood_of_warnings_is_cut() {
        let status = Status { warnings: vec!["w".repeat(200); 10_000], ..Status::default() };
        let reply = encode(&status);
        assert!(reply.contents().len() < 64 * 1024);
        assert!(reply.lookup("truncated").is_some());
        assert!(reply.lookup("commits").is_some());
    }
}
