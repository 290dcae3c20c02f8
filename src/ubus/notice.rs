// SPDX-License-Identifier: GPL-2.0-or-later
//! What subscribers of the object are sent, with the keys of `status` and `devices`.
//!
//! | notification | keys |
//! |---|---|
//! | `mode` | strings `requested`, `effective`, `reason`, `reason_text`; `detail` unless it is empty |
//! | `device` | strings `name`, `state`, `reason`, `reason_text`; `detail` unless it is empty; of a device that is not considered any more only `name` |
//! | `hardware` | strings `name` of a switch, `state` as in [`hardware`](super::hardware); `detail` unless it is empty; of a switch that is not configured any more only `name` |
//! | `config` | string `error`; absent when the configuration is accepted again |

use ubus::BlobMsgTable;

use super::reply::Reply;
use crate::core::notices::Notice;
use crate::core::reason::Reason;

/// The name of the notification and what it carries.
pub fn encode(notice: &Notice) -> (&'static str, BlobMsgTable) {
    let mut data = Reply::new();
    let name = match notice {
        Notice::Config(error) => {
            if let Some(error) = error {
                data.text("error", error);
            }
            "config"
        }
        Notice::Mode(mode) => {
            data.text("requested", mode.requested.name());
            data.text("effective", mode.effective.name());
            reason(&mut data, mode.reason, &mode.detail);
            "mode"
        }
        Notice::Device(device) => {
            data.text("name", &device.name);
            data.text("state", device.state.name());
            reason(&mut data, device.reason, &device.detail);
            "device"
        }
        Notice::DeviceGone(name) => {
            data.text("name", name);
            "device"
        }
        Notice::Switch(switch) => {
            data.text("name", &switch.name);
            data.text("state", switch.state);
            data.text_unless_empty("detail", &switch.detail);
            "hardware"
        }
        Notice::SwitchGone(name) => {
            data.text("name", name);
            "hardware"
        }
    };
    (name, data.finish(None))
}

fn reason(data: &mut Reply, reason: Reason, detail: &str) {
    data.text("reason", reason.code());
    data.text("reason_text", reason.text());
    data.text_unless_empty("detail", detail);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hardware::view::SwitchNotice;
    use crate::core::notices::{DeviceNotice, ModeNotice};
    use crate::core::settings::Mode;
    use crate::core::status::DeviceState;
    use crate::ubus::json;

    #[test]
    fn every_key() {
        let mode = ModeNotice {
            requested: Mode::Hardware,
            effective: Mode::Mixed,
            reason: Reason::SomeHardware,
            detail: "lan3".into(),
        };
        let device = DeviceNotice {
            name: "lan1".into(),
            state: DeviceState::Software,
            reason: Reason::AsConfigured,
            detail: String::new(),
        };
        for (notice, name, text) in [
            (
                Notice::Mode(mode),
                "mode",
                concat!(
                    r#"{"requested":"hardware","effective":"mixed","reason":"some_hardware","#,
                    r#""reason_text":"only some devices accept hardware offload","detail":"lan3"}"#
                ),
            ),
            (
                Notice::Device(device),
                "device",
                concat!(
                    r#"{"name":"lan1","state":"software","reason":"as_configured","#,
                    r#""reason_text":"as configured"}"#
                ),
            ),
            (Notice::DeviceGone("lan2".into()), "device", r#"{"name":"lan2"}"#),
            (
                Notice::Switch(SwitchNotice {
                    name: "sw".into(),
                    state: "quarantined",
                    detail: "the bus".into(),
                }),
                "hardware",
                r#"{"name":"sw","state":"quarantined","detail":"the bus"}"#,
            ),
            (Notice::SwitchGone("sw".into()), "hardware", r#"{"name":"sw"}"#),
            (
                Notice::Config(Some("firewall:2: no".into())),
                "config",
                r#"{"error":"firewall:2: no"}"#,
            ),
            (Notice::Config(None), "config", "{}"),
        ] {
            let (told, data) = encode(&notice);
            assert_eq!((told, json::render(data.contents()).unwrap().as_str()), (name, text));
        }
    }
}
