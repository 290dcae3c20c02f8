// SPDX-License-Identifier: GPL-2.0-or-later
//! blobmsg from the bus: as the arguments of every method, and as the reply that the command prints.
//! What is printed cannot steer a terminal, the JSON is JSON, and data that was copied prints the same.
#![no_main]

use flowtabled::cli::fuzz as cli;
use flowtabled::ubus::json;
use flowtabled::ubus::methods::METHODS;
use flowtabled::ubus::policy::Arguments;
use flowtabled::ubus::Request;
use libfuzzer_sys::fuzz_target;
use ubus::{BlobBuilder, BlobIter, BlobValue};

/// Widths of terminals.
const COLUMNS: [usize; 5] = [0, 1, 20, 80, 300];

/// Writes `body` anew; `None` where the builder has no such type.
fn copy(out: &mut BlobBuilder, body: &[u8]) -> Option<()> {
    for attribute in BlobIter::new(body) {
        match attribute.value().ok()? {
            BlobValue::String(text) => out.put_str(attribute.name, text),
            BlobValue::Int8(value @ (0 | 1)) => out.put_bool(attribute.name, value != 0),
            BlobValue::Int32(value) => out.put_i32(attribute.name, value),
            BlobValue::Int64(value) => out.put_i64(attribute.name, value),
            BlobValue::Table(inner) => {
                out.open_table(attribute.name);
                copy(out, inner)?;
                out.close_table();
            }
            BlobValue::Array(inner) => {
                out.open_array(attribute.name);
                copy(out, inner)?;
                out.close_array();
            }
            _ => return None,
        }
    }
    Some(())
}

fn as_arguments(data: &[u8]) {
    for policy in METHODS {
        let Ok(arguments) = Arguments::check(&policy, data) else { continue };
        let request = Request::of(policy.method, &arguments);
        // What comes twice counts once, so what is not known changes nothing.
        let mut more = BlobBuilder::new();
        more.put_str(Some("nobody knows me"), "x");
        let longer = [&more.finish(), data].concat();
        if let Ok(arguments) = Arguments::check(&policy, &longer) {
            assert_eq!(Request::of(policy.method, &arguments), request);
        }
    }
}

fn as_reply(data: &[u8]) {
    for text in cli::texts(data) {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
    for columns in COLUMNS {
        for line in cli::lines(data, columns) {
            assert!(
                line.chars().count() <= columns && !line.chars().any(char::is_control),
                "{line:?}"
            );
        }
    }
    let Ok(text) = json::render(data) else { return };
    let parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(parsed.is_object());
    let mut again = BlobBuilder::new();
    if copy(&mut again, data).is_some() {
        assert_eq!(json::render(&again.finish()).as_ref(), Ok(&text));
    }
}

fuzz_target!(|data: &[u8]| {
    as_arguments(data);
    as_reply(data);
});
