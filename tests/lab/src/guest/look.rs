// SPDX-License-Identifier: GPL-2.0-or-later
//! Looking at the router: replies of the bus, objects of nf_tables.

use crate::command::{run, text_of};
use crate::error::{Context, Error, Result};
use serde_json::{json, Value as Json};
use std::process::Command;

fn ubus(method: &str) -> Result<Json> {
    let text = run(Command::new("ubus").args(["call", "flowtable", method]))?;
    serde_json::from_str(&text).context(format!("ubus call flowtable {method}: {text}"))
}

/// What a JSON pointer points at; null when it is absent.
pub fn at(reply: &Json, pointer: &str) -> Json {
    reply.pointer(pointer).cloned().unwrap_or(Json::Null)
}

/// A key of the `status` reply; null when it is absent.
pub fn status(pointer: &str) -> Result<Json> {
    Ok(at(&ubus("status")?, pointer))
}

/// A key of one device of the `devices` reply; null when it is not listed.
pub fn device(name: &str, pointer: &str) -> Result<Json> {
    let reply = ubus("devices")?;
    let list = reply.get("devices").and_then(Json::as_array).context("no devices in the reply")?;
    let found = list.iter().find(|device| device.get("name") == Some(&json!(name)));
    Ok(found.map_or(Json::Null, |device| at(device, pointer)))
}

/// A key of one switch of the `hardware` reply; null when it is not listed.
pub fn hardware(name: &str, pointer: &str) -> Result<Json> {
    let reply = ubus("hardware")?;
    let list =
        reply.get("switches").and_then(Json::as_array).context("no switches in the reply")?;
    let found = list.iter().find(|switch| switch.get("name") == Some(&json!(name)));
    Ok(found.map_or(Json::Null, |switch| at(switch, pointer)))
}

/// A key of the only flow of this protocol and port that is listed; null when none is.
pub fn flow(protocol: &str, port: u16, pointer: &str) -> Result<Json> {
    let port = port.to_string();
    let mut command = Command::new("flowtable");
    command.args(["flows", "--json", "--protocol", protocol, "--port", &port]);
    let text = run(&mut command)?;
    let reply: Json = serde_json::from_str(&text).context(format!("flowtable flows: {text}"))?;
    let list = reply.get("flows").and_then(Json::as_array).context("no flows in the reply")?;
    match list.as_slice() {
        [] => Ok(Json::Null),
        [flow] => Ok(at(flow, pointer)),
        _ => Err(Error::new(format!("more than one flow with port {port}: {text}"))),
    }
}

/// A key of what `explain` answers about the only flow of this protocol and port.
pub fn explained(protocol: &str, port: u16, pointer: &str) -> Result<Json> {
    let flow = flow(protocol, port, "")?;
    let end = |address: &str, port: &str| match (flow.get(address), flow.get(port)) {
        (Some(Json::String(address)), Some(port)) if address.contains(':') => {
            Ok(format!("[{address}]:{port}"))
        }
        (Some(Json::String(address)), Some(port)) => Ok(format!("{address}:{port}")),
        _ => Err(Error::new(format!("no {address} and {port} of a flow: {flow}"))),
    };
    let source = end("source", "source_port")?;
    let destination = end("destination", "destination_port")?;
    let mut command = Command::new("flowtable");
    command.args(["explain", "--json", &source, &destination, protocol]);
    let text = run(&mut command)?;
    let reply: Json = serde_json::from_str(&text).context(format!("flowtable explain: {text}"))?;
    Ok(at(&reply, pointer))
}

/// A key of the client with this address; null when there is none.
pub fn client(address: &str, pointer: &str) -> Result<Json> {
    let reply = ubus_with("hosts", &json!({ "host": address }))?;
    let list = reply.get("hosts").and_then(Json::as_array).context("no hosts in the reply")?;
    match list.as_slice() {
        [] => Ok(Json::Null),
        [host] => Ok(at(host, pointer)),
        _ => Err(Error::new(format!("more than one client with {address}: {reply}"))),
    }
}

fn ubus_with(method: &str, arguments: &Json) -> Result<Json> {
    let mut command = Command::new("ubus");
    command.args(["call", "flowtable", method, &arguments.to_string()]);
    let text = run(&mut command)?;
    serde_json::from_str(&text).context(format!("ubus call flowtable {method}: {text}"))
}

fn nft_objects(args: &[&str], kind: &str) -> Result<Vec<Json>> {
    let text = run(Command::new("nft").arg("-j").args(args))?;
    let reply: Json = serde_json::from_str(&text).context(format!("nft -j {args:?}"))?;
    let objects = reply.get("nftables").and_then(Json::as_array).context("nft -j: no list")?;
    Ok(objects.iter().filter_map(|object| object.get(kind)).cloned().collect())
}

/// A key of the flowtable in an inet table; `dev` is always a sorted list.
pub fn flowtable(table: &str, pointer: &str) -> Result<Json> {
    let all = nft_objects(&["list", "flowtables"], "flowtable")?;
    let ours = |object: &&Json| {
        object.get("table") == Some(&json!(table)) && object.get("family") == Some(&json!("inet"))
    };
    let Some(mut found) = all.iter().find(ours).cloned() else { return Ok(Json::Null) };
    if let Some(dev) = found.get_mut("dev") {
        let mut names = match dev.take() {
            Json::Array(names) => names,
            one => vec![one],
        };
        names.sort_by_key(|name| name.to_string());
        *dev = Json::Array(names);
    }
    Ok(at(&found, pointer))
}

/// `family name` of every table, sorted.
pub fn tables() -> Result<Json> {
    let text = |object: &Json, key| object.get(key).and_then(Json::as_str).map(str::to_string);
    let mut names: Vec<String> = nft_objects(&["list", "tables"], "table")?
        .iter()
        .filter_map(|table| Some(format!("{} {}", text(table, "family")?, text(table, "name")?)))
        .collect();
    names.sort();
    Ok(json!(names))
}

/// Output of a shell command, whether it succeeds or not.
pub fn output(command: &str) -> Result<Json> {
    let output = Command::new("sh").args(["-c", command]).output().context(command)?;
    Ok(json!(text_of(&output)))
}

/// Exit code of a shell command.
pub fn exit(command: &str) -> Result<Json> {
    let output = Command::new("sh").args(["-c", command]).output().context(command)?;
    Ok(json!(output.status.code()))
}
