// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable devices`: a table of the network devices, a line each.

use ubus::blobmsg::lookup;

use super::text::{self, entries, integer, joined, reason, text};
use super::Paged;
use crate::ubus::flows::NEXT;

const COLUMNS: usize = 7;
const HEADING: [&str; COLUMNS] = ["DEVICE", "STATE", "ZONES", "KIND", "UPPER", "TABLE", "REASON"];

/// A table that is written a page at a time.
#[derive(Debug, Default)]
pub struct DeviceTable {
    widths: [usize; COLUMNS],
    begun: bool,
    shown: usize,
    /// How many there are, when the last page was cut short.
    total: Option<i64>,
}

impl Paged for DeviceTable {
    /// The lines of a reply; those of the first begin with the heading.
    fn page(&mut self, reply: &[u8]) -> String {
        let mut rows = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            rows.push(HEADING.map(str::to_owned));
        }
        let devices = entries(reply, "devices").unwrap_or_default();
        self.shown += devices.len();
        self.total = integer(reply, "total");
        rows.extend(devices.into_iter().map(row));
        text::aligned(&rows, &mut self.widths, COLUMNS, 2)
    }

    /// Nothing, unless the last page was cut short and no other follows.
    fn footer(&self) -> String {
        let cut = |total| format!("({} of {total} devices: too long for one reply)\n", self.shown);
        self.total.map(cut).unwrap_or_default()
    }

    /// Pages go up by name.
    fn next(&self, reply: &[u8], last: Option<&str>) -> Option<String> {
        let next = lookup(reply, NEXT)?.as_str()?;
        last.is_none_or(|last| next > last).then(|| next.to_owned())
    }
}

fn row(device: &[u8]) -> [String; COLUMNS] {
    [
        text(device, "name"),
        text(device, "state"),
        joined(device, "zones"),
        text(device, "kind"),
        joined(device, "upper"),
        text(device, "table"),
        reason(device),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::status::DeviceStatus;
    use crate::ubus::devices::tests::two;
    use crate::ubus::devices::{encode, DevicesQuery};
    use proptest::prelude::*;

    fn reply(devices: &[DeviceStatus], query: &DevicesQuery) -> Vec<u8> {
        encode(devices, None, query).unwrap().contents().to_vec()
    }

    #[test]
    fn a_device_table() {
        let mut table = DeviceTable::default();
        let reply = reply(&two(), &DevicesQuery::All);
        assert_eq!(
            table.page(&reply),
            "\
DEVICE     STATE     ZONES      KIND  UPPER   TABLE          REASON
lan1       software  lan,guest  dsa   br-lan  flowtabled_sw  \
the device does not accept hardware offload (Operation not supported)
pppoe-wan  off       wan        -     -       -              \
there is no such device at present
"
        );
        assert_eq!((table.footer(), table.next(&reply, None)), (String::new(), None));
        assert_eq!(
            DeviceTable::default().page(&[]),
            "DEVICE  STATE  ZONES  KIND  UPPER  TABLE  REASON\n"
        );
    }

    #[test]
    fn pages_follow_each_other() {
        let device = |n| DeviceStatus { name: format!("lan{n}"), ..two().remove(1) };
        let many: Vec<_> = (1000..2000).map(device).collect();
        let mut table = DeviceTable::default();
        let first = reply(&many, &DevicesQuery::All);
        assert!(table.page(&first).starts_with("DEVICE"));
        assert!(table.footer().ends_with(" of 1000 devices: too long for one reply)\n"));
        let next = table.next(&first, None).unwrap();
        assert_eq!(table.next(&first, Some(&next)), None, "the same again leads nowhere");
        let last = reply(&many, &DevicesQuery::Behind("lan1996".into()));
        assert_eq!(table.page(&last).lines().count(), 3);
        assert_eq!((table.footer(), table.next(&last, Some(&next))), (String::new(), None));
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let mut device = two().remove(0);
        device.name = "lan\x1b[2J1".into();
        device.zones = vec!["a\nb".into()];
        let text = DeviceTable::default().page(&reply(&[device], &DevicesQuery::All));
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("lan?[2J1") && text.contains("a?b"), "{text}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut table = DeviceTable::default();
            let _ = (table.page(&bytes), table.footer(), table.next(&bytes, Some("")));
        }
    }
}
