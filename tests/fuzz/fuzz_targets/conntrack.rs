// SPDX-License-Identifier: GPL-2.0-or-later
//! Conntrack entries and events: the short way through a tuple and the long one agree, and what was
//! read can be sent and read again.
use flowtabled::netlink::attribute::{attributes, Writer};
use flowtabled::netlink::conntrack::{stats, CtEvent, Entry, Filter, Masked, NewEntry};
use flowtabled::netlink::message::{Message, Messages};

/// `CTA_TUPLE_ORIG` and `CTA_TUPLE_REPLY`.
const TUPLES: [u16; 2] = [1, 2];
/// An attribute that no kernel has.
const STRANGE: u16 = 0x3000;
/// `struct nfgenmsg`.
const HEADER: usize = 4;

/// The same entry written in another way: with an unknown attribute in each tuple and behind all.
fn estranged(payload: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = payload.split_at_checked(HEADER)?;
    let mut writer = Writer::new();
    writer.raw(header);
    for attribute in attributes(rest) {
        let (kind, value) = attribute.ok()?;
        if TUPLES.contains(&kind) {
            let missing = value.len().next_multiple_of(4) - value.len();
            writer.nest(kind, |nest| {
                nest.raw(value);
                nest.raw(&[0; 3][..missing]);
                nest.u8(STRANGE, 1);
            });
        } else {
            writer.bytes(kind, value);
        }
    }
    writer.string(STRANGE, "strange");
    Some(writer.into_bytes())
}

fn check(message: &Message<'_>, entry: &Entry) {
    let event = CtEvent::parse(message).expect("an entry is an event").expect("of this type");
    assert_eq!(event.entry(), entry);
    let other = estranged(message.payload).expect("it could be read");
    let again = Entry::parse(&Message { payload: &other, ..*message });
    assert_eq!(again.expect("unknown attributes are skipped").as_ref(), Some(entry));

    for tuple in [entry.orig, entry.reply] {
        assert_eq!(tuple.inverse().inverse(), tuple, "{tuple}");
        let _ = (tuple.to_string(), tuple.icmp());
    }
    let exactly = Filter {
        family: Some(entry.orig.family()),
        status: Some(Masked { value: entry.status, mask: u32::MAX }),
        mark: Some(Masked { value: entry.mark, mask: 0xff }),
        zone: Some(entry.zone),
    };
    assert!(exactly.matches(entry));

    let sent = NewEntry {
        zone: entry.zone,
        status: entry.status,
        mark: entry.mark,
        tcp_state: entry.tcp_state,
        reply: entry.reply,
        ..NewEntry::new(entry.orig, 60)
    };
    let bytes = sent.request(9, 0);
    let message = Messages::new(&bytes).next().expect("one message").expect("our own framing");
    let read = Entry::parse(&message).expect("our own entry").expect("of this type");
    assert_eq!((read.orig, read.reply), (entry.orig, entry.reply));
    assert_eq!((read.zone, read.status), (entry.zone, entry.status));
    assert_eq!((read.mark, read.tcp_state), (entry.mark, entry.tcp_state));
    assert_eq!(read.timeout_s, Some(60));
}

/// Reads a message.
pub fn read(message: &Message<'_>) {
    let _ = (stats::parse_entries(message), CtEvent::parse(message));
    if let Ok(Some(entry)) = Entry::parse(message) {
        check(message, &entry);
    }
}
