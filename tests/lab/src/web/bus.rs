// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls to objects of the real bus, with JSON in and out as uhttpd's ubus module has them.

use super::session::Answer;
use flowtabled::cli::client::{Client, ClientError};
use flowtabled::ubus::{json, StatusCode};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use ubus::blobmsg::BlobBuilder;
use ubus::BlobMsgTable;

/// How long an object may take for an answer, as uhttpd has it (`script_timeout`).
const PATIENCE: Duration = Duration::from_secs(60);

/// The bus.
#[derive(Debug, Clone)]
pub struct Bus {
    sockets: Vec<PathBuf>,
}

/// An object that was found on the bus.
#[derive(Debug)]
pub struct Object(Client);

impl Bus {
    /// The bus behind this socket; nobody need be there yet.
    pub fn new(socket: &Path) -> Bus {
        Bus { sockets: vec![socket.into()] }
    }

    /// Looks an object up; `None` when it is not there, nor is a bus.
    pub fn find(&self, object: &str) -> Option<Object> {
        Client::connect_to(object, &self.sockets, Instant::now() + PATIENCE).ok().map(Object)
    }

    /// The names of all objects of the bus, as `ubus list` prints them.
    pub fn names(&self) -> Vec<String> {
        let output = Command::new("ubus").arg("list").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().lines().map(str::to_string).collect()
    }
}

impl Object {
    /// Calls a method; `None` when the answer carries nothing.
    ///
    /// # Errors
    /// The object's own code, or that there was no answer in time.
    pub fn call(mut self, method: &str, args: &Json) -> Answer<Option<Json>> {
        let reply = self.0.call(method, &table(args)).map_err(|error| match error {
            ClientError::Status(code, _) => code,
            ClientError::Timeout => StatusCode::Timeout,
            _ => StatusCode::ConnectionFailed,
        })?;
        if reply.is_empty() {
            return Ok(None);
        }
        let text = json::render(&reply).map_err(|_| StatusCode::ParseError)?;
        serde_json::from_str(&text).map(Some).map_err(|_| StatusCode::ParseError)
    }
}

/// Arguments with the types that uhttpd gives them: numbers are 32 bits wide where they fit.
fn table(args: &Json) -> BlobMsgTable {
    BlobMsgTable::build(|builder| {
        for (name, value) in args.as_object().into_iter().flatten() {
            put(builder, Some(name), value);
        }
    })
}

fn put(builder: &mut BlobBuilder, name: Option<&str>, value: &Json) {
    match value {
        Json::Null => builder.put_null(name),
        Json::Bool(yes) => builder.put_bool(name, *yes),
        Json::String(text) => builder.put_str(name, text),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => match i32::try_from(whole) {
                Ok(small) => builder.put_i32(name, small),
                Err(_) => builder.put_i64(name, whole),
            },
            None => builder.put_double(name, number.as_f64().unwrap_or_default()),
        },
        Json::Array(items) => {
            builder.open_array(name);
            items.iter().for_each(|item| put(builder, None, item));
            builder.close_array();
        }
        Json::Object(entries) => {
            builder.open_table(name);
            entries.iter().for_each(|(name, item)| put(builder, Some(name), item));
            builder.close_table();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_keep_their_types() {
        let args = json!({
            "text": "a", "yes": true, "small": -3, "large": 5_000_000_000_i64,
            "list": ["x", 1], "inner": { "y": false }
        });
        let table = table(&args);
        let text = flowtabled::ubus::json::render(table.contents()).unwrap();
        let wanted: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(wanted, args);
        assert_eq!(table.lookup("small").unwrap().as_i32(), Some(-3));
        assert_eq!(table.lookup("large").unwrap().as_i32(), None);
    }

    #[test]
    fn no_bus_has_no_objects() {
        assert!(Bus::new(Path::new("/nowhere/ubus.sock")).find("flowtable").is_none());
    }
}
