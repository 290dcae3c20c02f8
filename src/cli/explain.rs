// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable explain`: what is known about one flow, a label and a value a line.

use std::net::IpAddr;
use std::time::Duration;

use ubus::blobmsg::lookup;

use super::flows::end;
use super::text::{self, integer, line, strings, text, unknown};

/// How long an offloaded flow is watched before the answer is shown: long enough for one that
/// carries anything to show by which path.
pub const WATCH: Duration = Duration::from_secs(2);

/// One end of a flow as a user names it: `192.168.1.2`, `192.168.1.2:80`, `[fd00::2]:80`,
/// `fd00::2`.
pub fn endpoint(word: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = word.parse() {
        return Some((address, None));
    }
    let (address, port) = word.rsplit_once(':')?;
    let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = inner.unwrap_or(address).parse().ok()?;
    // Without brackets the last part of an IPv6 address could be a port.
    let clear = address.is_ipv4() != inner.is_some();
    clear.then(|| Some((address, Some(port.parse().ok()?))))?
}

/// True when the flow is offloaded and has not been watched yet: asking again tells more.
pub fn is_worth_asking_again(reply: &[u8]) -> bool {
    let offloaded = lookup(reply, "state").and_then(|state| state.as_str());
    offloaded.is_some_and(|state| state != "classic") && lookup(reply, "leaked_packets").is_none()
}

/// The lines about a flow.
pub fn explain(reply: &[u8]) -> String {
    let mut out = String::new();
    let ends = |table: &[u8]| {
        let source = end(table, "source", "source_port");
        format!("{source} -> {}", end(table, "destination", "destination_port"))
    };
    line(&mut out, "flow", &format!("{} {}", text(reply, "protocol"), ends(reply)));
    if let Some(translated) = text::table(reply, "translated") {
        line(&mut out, "translated", &ends(translated));
    }
    let client = match lookup(reply, "client_mac") {
        Some(_) => format!("{} ({})", text(reply, "client"), text(reply, "client_mac")),
        None => text(reply, "client"),
    };
    line(&mut out, "client", &client);
    line(
        &mut out,
        "devices",
        &format!("{} -> {}", device(reply, "ingress"), device(reply, "egress")),
    );
    let state = match lookup(reply, "partition") {
        Some(_) => format!("{}, in table {}", text(reply, "state"), text(reply, "partition")),
        None => text(reply, "state"),
    };
    line(&mut out, "state", &state);
    if lookup(reply, "reason").is_some() {
        line(&mut out, "reason", &text::reason(reply));
    }
    line(&mut out, "passed", &strings(reply, "passed").map_or_else(unknown, |p| p.join(" ")));
    if let Some(leaked) = integer(reply, "leaked_packets") {
        let of = integer(reply, "carried_packets");
        let of = of.map_or_else(String::new, |carried| format!(" of {carried}"));
        let evidence = format!("{leaked}{of} packets took the classic path while watched");
        line(&mut out, "evidence", &evidence);
    }
    if let Some(others) = integer(reply, "matched").filter(|matched| *matched > 1) {
        line(&mut out, "note", &format!("{others} flows match, this is the fastest"));
    }
    out
}

/// The lowest device, and in parentheses the one that routing sees when that is another.
fn device(reply: &[u8], key: &str) -> String {
    match strings(reply, key).as_deref() {
        None | Some([]) => unknown(),
        Some([device]) => device.clone(),
        Some([device, .., lowest]) => format!("{lowest} ({device})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flow_reason::FlowReason;
    use crate::core::flows::view::FlowView;
    use crate::netlink::route::Mac;
    use crate::ubus::explain::{encode, Evidence};
    use crate::ubus::flows::tests::{download, plain};
    use proptest::prelude::*;

    #[test]
    fn endpoints() {
        let of = |word| endpoint(word).map(|(address, port)| (address.to_string(), port));
        assert_eq!(of("192.168.1.2"), Some(("192.168.1.2".into(), None)));
        assert_eq!(of("192.168.1.2:80"), Some(("192.168.1.2".into(), Some(80))));
        assert_eq!(of("[fd00::2]:80"), Some(("fd00::2".into(), Some(80))));
        assert_eq!(of("fd00::2"), Some(("fd00::2".into(), None)));
        for bad in ["", ":80", "host:80", "1.2.3.4:", "1.2.3.4:65536", "[1.2.3.4]:80", "[::1]"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_offloaded_flow() {
        let view = FlowView {
            ingress: vec!["br-lan".into(), "lan1".into()],
            egress: vec!["wan".into()],
            client: Some("laptop".into()),
            client_mac: Some(Mac::new([2, 0, 0, 0, 0, 7])),
            table: Some("flowtabled".into()),
            ..FlowView::bare(download())
        };
        let passed = [FlowReason::OffloadOff, FlowReason::Local];
        let first = encode(&view, 1, &passed, None);
        assert!(is_worth_asking_again(first.contents()));
        let evidence = Evidence { leaked: 0, carried: Some(250) };
        let second = encode(&view, 2, &passed, Some(evidence));
        assert!(!is_worth_asking_again(second.contents()));
        assert_eq!(
            explain(second.contents()),
            "\
flow:       tcp 192.168.1.100:49152 -> 203.0.113.2:443
translated: 198.51.100.7:50001 -> 203.0.113.2:443
client:     laptop (02:00:00:00:00:07)
devices:    lan1 (br-lan) -> wan
state:      hardware, in table flowtabled
passed:     offload_off local
evidence:   0 of 250 packets took the classic path while watched
note:       2 flows match, this is the fastest
"
        );
    }

    #[test]
    fn a_classic_flow() {
        let reason = Some((FlowReason::DeviceNotCovered, "wg0: in no zone".to_owned()));
        let view = FlowView { reason, ..FlowView::bare(plain()) };
        let reply = encode(&view, 1, &[], None);
        assert!(!is_worth_asking_again(reply.contents()));
        let text = explain(reply.contents());
        let expected = "reason:     one of its devices is in no flowtable (wg0: in no zone)\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("devices:    - -> -\n"), "{text}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = explain(&bytes);
            let _ = is_worth_asking_again(&bytes);
        }
    }
}
