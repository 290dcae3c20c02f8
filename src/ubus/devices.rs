// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `devices`: every network device that the daemon considered, its state and the reason,
//! sorted by name.
//!
//! The optional argument `name` asks for one device; when there is none of that name the call
//! fails with "not found". The reply has the array `devices`; each entry has the strings `name`,
//! `kind` (empty for plain devices), `state` (`off`, `software`, `hardware`), `reason` and
//! `reason_text`, the string arrays `zones` and `upper`, and where they exist the int32
//! `ifindex` and the strings `detail` and `table`. While the flows are known, what it carries
//! follows by state, as [`carried`](super::carried) has it; "sent" is what goes out by it.
//!
//! A list that is too long for one reply ends early and says `truncated`, with `total` devices in
//! all, and the string `next`: as argument `cursor` of another call it makes the list go on behind
//! what was there. Both arguments at once make no sense and fail with "invalid argument".

use litemap::LiteMap;

use ubus::{BlobMsgTable, BlobType};

use super::carried::Carried;
use super::flows::{CURSOR, NEXT};
use super::policy::{Argument, Arguments, Method, Policy};
use super::reply::{text_size, Reply};
use super::status_code::StatusCode;
use crate::core::flows::sums::DeviceSums;
use crate::core::status::DeviceStatus;

/// The argument that asks for one device.
pub const NAME: &str = "name";

/// The method takes a name or where the list goes on.
pub const POLICY: Policy = Policy {
    method: Method::Devices,
    name: "devices",
    arguments: &[
        Argument { name: NAME, ty: BlobType::String },
        Argument { name: CURSOR, ty: BlobType::String },
    ],
};

/// What a caller wants to see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DevicesQuery {
    /// All devices, or as many as fit.
    #[default]
    All,
    /// Those behind this name.
    Behind(String),
    /// The device of this name.
    Named(String),
}

impl DevicesQuery {
    /// The query that the arguments make.
    ///
    /// # Errors
    /// The arguments make no sense together.
    pub fn of(arguments: &Arguments<'_>) -> Result<DevicesQuery, StatusCode> {
        match (arguments.string(NAME), arguments.string(CURSOR)) {
            (None, None) => Ok(DevicesQuery::All),
            (None, Some(name)) => Ok(DevicesQuery::Behind(name.to_owned())),
            (Some(name), None) => Ok(DevicesQuery::Named(name.to_owned())),
            (Some(_), Some(_)) => Err(StatusCode::InvalidArgument),
        }
    }

    /// Those of the sorted list that are wanted.
    fn of_list<'d>(&self, devices: &'d [DeviceStatus]) -> Result<&'d [DeviceStatus], StatusCode> {
        let behind = match self {
            DevicesQuery::All => 0,
            DevicesQuery::Behind(last) => devices.partition_point(|d| d.name <= *last),
            DevicesQuery::Named(name) => {
                let found = devices.iter().find(|d| d.name == *name);
                return found.map(std::slice::from_ref).ok_or(StatusCode::NotFound);
            }
        };
        Ok(devices.get(behind..).unwrap_or_default())
    }
}

/// The reply about `devices`, which are sorted by name: as many of those asked for as fit.
///
/// `sums` is what devices carry, by name, and `counted` tells for each state whether bytes are known.
pub fn encode(
    devices: &[DeviceStatus],
    sums: Option<(&LiteMap<String, DeviceSums>, [bool; 3])>,
    query: &DevicesQuery,
) -> Result<BlobMsgTable, StatusCode> {
    let wanted = query.of_list(devices)?;
    let mut reply = Reply::new();
    let none = DeviceSums::default();
    let longest = wanted.iter().map(|device| device.name.len()).max().unwrap_or_default();
    let reserve = text_size(NEXT, longest);
    let fitted = reply.records_that_fit("devices", wanted, reserve, |reply, entry| {
        device(reply, entry);
        if let Some((sums, counted)) = sums {
            carried(reply, sums.get(&entry.name).unwrap_or(&none), counted);
        }
    });
    if fitted < wanted.len() {
        // Who does not know about pages must see that this is not all.
        reply.set_truncated();
        if let Some(last) = fitted.checked_sub(1).and_then(|last| wanted.get(last)) {
            reply.text(NEXT, &last.name);
        }
    }
    Ok(reply.finish(Some(devices.len())))
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
            json::render(encode(&two(), None, &DevicesQuery::All).unwrap().contents()).unwrap(),
            format!(r#"{{"devices":[{LAN1},{WAN}]}}"#)
        );
    }

    fn named(name: &str) -> DevicesQuery {
        DevicesQuery::Named(name.into())
    }

    #[test]
    fn one_of_them_or_none() {
        let reply = encode(&two(), None, &named("lan1")).unwrap();
        assert_eq!(json::render(reply.contents()).unwrap(), format!(r#"{{"devices":[{LAN1}]}}"#));
        assert_eq!(encode(&two(), None, &named("lan")), Err(StatusCode::NotFound));
        assert_eq!(encode(&two(), None, &named("")), Err(StatusCode::NotFound));
    }

    #[test]
    fn the_list_goes_on_behind_a_name() {
        let behind = |name: &str| {
            let query = DevicesQuery::Behind(name.into());
            let reply = encode(&two(), None, &query).unwrap();
            json::render(reply.contents()).unwrap()
        };
        assert_eq!(behind(""), format!(r#"{{"devices":[{LAN1},{WAN}]}}"#));
        assert_eq!(behind("lan1"), format!(r#"{{"devices":[{WAN}]}}"#));
        assert_eq!(behind("lan2"), format!(r#"{{"devices":[{WAN}]}}"#), "it went away");
        assert_eq!(behind("wan"), r#"{"devices":[]}"#);
    }

    #[test]
    fn arguments() {
        let of = |names: &[&str]| {
            let table = BlobMsgTable::build(|b| {
                names.iter().for_each(|name| b.put_str(Some(name), "lan1"));
            });
            DevicesQuery::of(&Arguments::check(&POLICY, table.contents()).unwrap())
        };
        assert_eq!(of(&[]), Ok(DevicesQuery::All));
        assert_eq!(of(&[NAME]), Ok(named("lan1")));
        assert_eq!(of(&[CURSOR]), Ok(DevicesQuery::Behind("lan1".into())));
        assert_eq!(of(&[NAME, CURSOR]), Err(StatusCode::InvalidArgument));
    }

    /// With sums not half of two hundred devices fit one reply.
    #[test]
    fn a_long_list_is_had_in_pages() {
        let mut many = Vec::new();
        for index in 100..300 {
            let mut device = two().remove(0);
            device.name = format!("lan{index}");
            many.push(device);
        }
        let sums = LiteMap::new();
        let (mut query, mut seen, mut pages) = (DevicesQuery::All, Vec::new(), 0);
        loop {
            let reply = encode(&many, Some((&sums, [true; 3])), &query).unwrap();
            assert!(reply.contents().len() < 64 * 1024);
            let text = json::render(reply.contents()).unwrap();
            let names = text.split(r#"{"name":""#).skip(1);
            seen.extend(names.map(|rest| rest.split('"').next().unwrap().to_owned()));
            pages += 1;
            let next = reply.lookup(NEXT).and_then(|a| a.as_str()).map(str::to_owned);
            let truncated = reply.lookup("truncated").and_then(|a| a.as_bool());
            let total = reply.lookup("total").and_then(|a| a.as_i32());
            match next {
                Some(next) => {
                    assert_eq!((truncated, total), (Some(true), Some(200)));
                    assert_eq!(Some(&next), seen.last());
                    query = DevicesQuery::Behind(next);
                }
                None => {
                    assert_eq!((truncated, total), (None, None));
                    break;
                }
            }
        }
        let all: Vec<String> = many.into_iter().map(|device| device.name).collect();
        assert_eq!(seen, all);
        assert!(pages > 2, "{pages}");
    }
}
