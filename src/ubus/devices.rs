// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `devices`: every network device that the daemon considered, its state and the reason.
//!
//! The optional argument `name` asks for one device; when there is none of that name the call
//! fails with "not found". The reply has the array `devices`; each entry has the strings `name`,
//! `kind` (empty for plain devices), `state` (`off`, `software`, `hardware`), `reason` and
//! `reason_text`, the string arrays `zones` and `upper`, and where they exist the int32
//! `ifindex` and the strings `detail` and `table`. While the flows are known, what it carries
//! follows by state, as [`carried`](super::carried) has it; "sent" is what goes out by it. A list that is too long for one reply ends
//! early and says `truncated`, with `total` entries in all; the others are had by name.

use std::collections::BTreeMap;

use ubus::{BlobMsgTable, BlobType};

use super::carried::Carried;
use super::policy::{Argument, Method, Policy};
use super::reply::Reply;
use super::status_code::StatusCode;
use crate::core::flows::sums::DeviceSums;
use crate::core::status::DeviceStatus;

/// The argument that asks for one device.
pub const NAME: &str = "name";

/// The method takes one optional string.
pub const POLICY: Policy = Policy {
    method: Method::Devices,
    name: "devices",
    arguments: &[Argument { name: NAME, ty: BlobType::String }],
};

/// The reply for all devices, or for the one called `name`.
///
/// `sums` is what devices carry, by name, and `counted` tells for each state whether bytes are known.
pub fn encode(
    devices: &[DeviceStatus],
    sums: Option<(&BTreeMap<String, DeviceSums>, [bool; 3])>,
    name: Option<&str>,
) -> Result<BlobMsgTable, StatusCode> {
    let wanted = match name {
        None => devices,
        Some(name) => {
            let found = devices.iter().find(|d| d.name == name).ok_or(StatusCode::NotFound)?;
            std::slice::from_ref(found)
        }
    };
    let mut reply = Reply::new();
    let none = DeviceSums::default();
    reply.records("devices", wanted, |reply, entry| {
        device(reply, entry);
        if let Some((sums, counted)) = sums {
            carried(reply, sums.get(&entry.name).unwrap_or(&none), counted);
        }
    });
    Ok(reply.finish(Some(wanted.len())))
}

fn device(reply: &mut Reply, device: &DeviceStatus) {
    reply.text("name", &device.name);
    if let Some(ifindex) = device.ifindex {
        reply.count("ifindex", ifindex);
    }
    reply.text("kind", &device.kind);
    reply.strings("zones", &device.zones);
    reply.strings("upper", &device.upper);
    reply.text("state", device.state.name());
    reply.text("reason", device.reason.code());
    reply.text("reason_text", device.reason.text());
    reply.text_unless_empty("detail", &device.detail);
    if let Some(table) = &device.table {
        reply.text("table", table);
    }
}

fn carried(reply: &mut Reply, sums: &DeviceSums, counted: [bool; 3]) {
    let carried = Carried {
        present: &sums.present,
        sent: &sums.sent,
        received: &sums.received,
        sent_rate: &sums.present.out_rate,
        received_rate: &sums.present.in_rate,
    };
    carried.encode(reply, counted);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core::reason::Reason;
    use crate::core::status::DeviceState;
    use crate::ubus::json;

    /// A device with every key and one with as few as possible.
    pub(crate) fn two() -> Vec<DeviceStatus> {
        vec![
            DeviceStatus {
                name: "lan1".into(),
                ifindex: Some(4),
                kind: "dsa".into(),
                zones: vec!["lan".into(), "guest".into()],
                upper: vec!["br-lan".into()],
                state: DeviceState::Software,
                reason: Reason::DeviceNoHardware,
                detail: "Operation not supported".into(),
                table: Some("flowtabled_sw".into()),
            },
            DeviceStatus {
                name: "pppoe-wan".into(),
                ifindex: None,
                kind: String::new(),
                zones: vec!["wan".into()],
                upper: Vec::new(),
                state: DeviceState::Off,
                reason: Reason::DeviceAbsent,
                detail: String::new(),
                table: None,
            },
        ]
    }

    const LAN1: &str = concat!(
        r#"{"name":"lan1","ifindex":4,"kind":"dsa","zones":["lan","guest"],"upper":["br-lan"],"#,
        r#""state":"software","reason":"device_no_hardware","#,
        r#""reason_text":"the device does not accept hardware offload","#,
        r#""detail":"Operation not supported","table":"flowtabled_sw"}"#
    );

    const WAN: &str = concat!(
        r#"{"name":"pppoe-wan","kind":"","zones":["wan"],"upper":[],"state":"off","#,
        r#""reason":"device_absent","reason_text":"there is no such device at present"}"#
    );

    #[test]
    fn all_of_them() {
        assert_eq!(
            json::render(encode(&two(), None, None).unwrap().contents()).unwrap(),
            format!(r#"{{"devices":[{LAN1},{WAN}]}}"#)
        );
    }

    #[test]
    fn one_of_them_or_none() {
        assert_eq!(
            json::render(encode(&two(), None, Some("lan1")).unwrap().contents()).unwrap(),
            format!(r#"{{"devices":[{LAN1}]}}"#)
        );
        assert_eq!(encode(&two(), None, Some("lan")), Err(StatusCode::NotFound));
        assert_eq!(encode(&two(), None, Some("")), Err(StatusCode::NotFound));
    }

    #[test]
    fn a_long_list_ends_early_and_says_so() {
        let mut many = Vec::new();
        for index in 0..1000 {
            let mut device = two().remove(0);
            device.name = format!("lan{index}");
            many.push(device);
        }
        let reply = encode(&many, None, None).unwrap();
        assert!(reply.contents().len() < 64 * 1024);
        assert_eq!(reply.lookup("truncated").and_then(|a| a.as_bool()), Some(true));
        assert_eq!(reply.lookup("total").and_then(|a| a.as_i32()), Some(1000));
        let text = json::render(reply.contents()).unwrap();
        assert!(text.matches("ifindex").count() > 100);
        assert_eq!(text.matches("ifindex").count(), text.matches("flowtabled_sw").count());
    }
}
