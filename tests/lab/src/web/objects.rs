// SPDX-License-Identifier: GPL-2.0-or-later
//! Objects that rpcd's plugins, netifd and procd have on a device: what LuCI's client asks about
//! services, devices, interfaces and clients, told from what the lab's router has.

use super::session::Answer;
use super::{Bridge, Router};
use crate::command::run;
use crate::error::{Context, Result};
use flowtabled::ubus::StatusCode;
use flowtabled::uci::files::Source;
use flowtabled::uci::package::{Package, Value};
use flowtabled::uci::Dirs;
use serde_json::{json, Map, Value as Json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The objects that are answered here.
pub const NAMES: [&str; 9] =
    ["session", "uci", "rc", "luci", "luci-rpc", "network", "network.interface", "file", "system"];

/// Where `dnsmasq` tells its leases, and where a scenario of the lab does.
const LEASES: [&str; 2] = ["/tmp/dhcp.leases", "/tmp/lab/leases"];

/// Answers a call of a session that may call this method.
///
/// # Errors
/// The bus's codes.
pub fn call(
    bridge: &mut Bridge,
    router: &mut dyn Router,
    (session, object, method): (&str, &str, &str),
    args: &Json,
) -> Answer<Option<Json>> {
    let config = bridge.places.config.clone();
    let network = || package(&config, "network");
    let told = |result: Result<Json>| result.map(Some).map_err(|_| StatusCode::UnknownError);
    match (object, method) {
        ("rc", "list") => Ok(Some(services(router, args))),
        ("rc", "init") => init(router, args).map(|()| None),
        ("luci", "getFeatures") => Ok(Some(json!({ "firewall": true, "firewall4": true }))),
        ("luci-rpc", "getBoardJSON") => Ok(Some(json!({ "model": { "name": "flowtabled lab" } }))),
        ("luci-rpc", "getNetworkDevices") => told(devices()),
        ("luci-rpc", "getWirelessDevices") => Ok(Some(json!({}))),
        ("luci-rpc", "getHostHints") => told(hints()),
        ("network", "get_proto_handlers") => {
            Ok(Some(json!({ "static": { "no_device": false }, "none": { "no_device": false } })))
        }
        ("network.interface", "dump") => told(network().and_then(|n| interfaces(&n))),
        ("file", "list") => {
            let path = args.get("path").and_then(Json::as_str);
            let path = path.ok_or(StatusCode::InvalidArgument)?;
            if !bridge.sessions.allow(session, "file", path, "list") {
                return Err(StatusCode::PermissionDenied);
            }
            files(bridge.www(), path).map(Some)
        }
        ("system", "board") => told(board()),
        _ => Err(StatusCode::MethodNotFound),
    }
}

fn services(router: &mut dyn Router, args: &Json) -> Json {
    let wanted = args.get("name").and_then(Json::as_str);
    let all = router.services().into_iter();
    let shown = all.filter(|service| wanted.is_none_or(|name| name == service.name));
    shown
        .map(|s| (s.name, json!({ "start": s.start, "enabled": s.enabled, "running": s.running })))
        .collect::<Map<String, Json>>()
        .into()
}

fn init(router: &mut dyn Router, args: &Json) -> Answer<()> {
    let text = |key| args.get(key).and_then(Json::as_str).ok_or(StatusCode::InvalidArgument);
    let (name, action) = (text("name")?, text("action")?);
    let known = ["start", "stop", "restart", "reload", "enable", "disable"];
    if !known.contains(&action) {
        return Err(StatusCode::InvalidArgument);
    }
    if !router.services().iter().any(|service| service.name == name) {
        return Err(StatusCode::NotFound);
    }
    router.init(name, action).map_err(|_| StatusCode::UnknownError)
}

fn package(config: &Path, name: &str) -> Result<Package> {
    let dirs = Dirs { config, replace: None, save: None };
    Ok(Source::require(&dirs, name).context(name)?.package)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::List(items) => {
            { items.first().map(|item| String::from_utf8_lossy(&item.value).into_owned()) }
                .unwrap_or_default()
        }
    }
}

fn ip_json(args: &[&str]) -> Result<Vec<Json>> {
    let text = run(Command::new("ip").args(["-j", "-d"]).args(args))?;
    // ip prints nothing where there is nothing.
    let text = if text.trim().is_empty() { "[]" } else { text.as_str() };
    serde_json::from_str(text).context(format!("ip -j {args:?}"))
}

/// The devices of this network namespace.
fn devices() -> Result<Json> {
    let all = ip_json(&["address"])?;
    let name_of = |link: &Json| link.get("ifname").and_then(Json::as_str).map(str::to_string);
    let mut devices = Map::new();
    for link in &all {
        let Some(name) = name_of(link) else { continue };
        let none = Json::Null;
        let addresses = link.get("addr_info").unwrap_or(&none);
        let of = |family: &str| -> Vec<Json> {
            let list = addresses.as_array().into_iter().flatten();
            list.filter(|a| a.get("family").and_then(Json::as_str) == Some(family))
                .filter_map(|a| {
                    let prefix = a.get("prefixlen")?.as_u64()?;
                    Some(json!({ "address": a.get("local")?, "netmask": prefix.to_string() }))
                })
                .collect()
        };
        let flag = |flag: &str| {
            let flags = link.get("flags").and_then(Json::as_array);
            flags.is_some_and(|flags| flags.iter().any(|f| f == flag))
        };
        let kind = link.pointer("/linkinfo/info_kind").and_then(Json::as_str).unwrap_or_default();
        let ports: Vec<String> = all
            .iter()
            .filter(|port| port.get("master").and_then(Json::as_str) == Some(name.as_str()))
            .filter_map(name_of)
            .collect();
        let mut device = json!({
            "name": name, "up": flag("UP"), "mtu": link.get("mtu"), "mac": link.get("address"),
            "type": if flag("LOOPBACK") { 772 } else { 1 },
            "devtype": match kind { "bridge" => "bridge", "vlan" => "vlan", _ => "ethernet" },
            "ipaddrs": of("inet"), "ip6addrs": of("inet6"), "bridge": kind == "bridge",
            "wireless": false, "stats": {},
            "flags": { "up": flag("UP"), "broadcast": flag("BROADCAST"),
                       "multicast": flag("MULTICAST"), "loopback": flag("LOOPBACK"),
                       "noarp": flag("NOARP"), "promisc": flag("PROMISC"),
                       "pointtopoint": flag("POINTOPOINT") },
        });
        if let Some(device) = device.as_object_mut() {
            if kind == "bridge" {
                device.insert("ports".into(), ports.into());
            }
            if let Some(lower) = link.get("link").filter(|_| kind == "vlan") {
                device.insert("parent".into(), lower.clone());
            }
        }
        devices.insert(name, device);
    }
    Ok(devices.into())
}

/// The interfaces of `/etc/config/network`, as netifd would have brought them up.
fn interfaces(network: &Package) -> Result<Json> {
    let links = devices()?;
    let list: Vec<Json> = network
        .of_kind("interface")
        .map(|section| {
            let option = |name: &str| section.option(name).map(|option| text_of(&option.value));
            let device = option("device").unwrap_or_default();
            let link = links.get(&device);
            let addresses = |key: &str| -> Vec<Json> {
                let list = link.and_then(|link| link.get(key)).and_then(Json::as_array);
                let list = list.into_iter().flatten();
                list.filter_map(|a| {
                    let mask: u8 = a.get("netmask")?.as_str()?.parse().ok()?;
                    Some(json!({ "address": a.get("address")?, "mask": mask }))
                })
                .collect()
            };
            json!({
                "interface": section.name, "up": link.is_some(), "pending": false,
                "available": true, "autostart": true, "dynamic": false, "uptime": 1,
                "proto": option("proto").unwrap_or_else(|| "none".into()),
                "device": device, "l3_device": device, "metric": 0, "dns_metric": 0,
                "delegation": true, "ipv4-address": addresses("ipaddrs"),
                "ipv6-address": addresses("ip6addrs"), "ipv6-prefix": [],
                "ipv6-prefix-assignment": [], "route": [], "dns-server": [], "dns-search": [],
                "neighbors": [], "data": {},
                "inactive": { "ipv4-address": [], "ipv6-address": [], "route": [],
                              "dns-server": [], "dns-search": [], "neighbors": [] },
            })
        })
        .collect();
    Ok(json!({ "interface": list }))
}

/// Clients by MAC address: from the neighbours, with the names of their leases.
fn hints() -> Result<Json> {
    let mut hints = Map::new();
    for neighbour in ip_json(&["neighbour"])? {
        let text = |key| neighbour.get(key).and_then(Json::as_str);
        let (Some(mac), Some(address)) = (text("lladdr"), text("dst")) else { continue };
        let hint = hints.entry(mac.to_uppercase());
        let hint = hint.or_insert_with(|| json!({ "ipaddrs": [], "ip6addrs": [] }));
        let key = if address.contains(':') { "ip6addrs" } else { "ipaddrs" };
        if let Some(list) = hint.get_mut(key).and_then(Json::as_array_mut) {
            list.push(address.into());
        }
    }
    let leases: String =
        LEASES.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
    for line in leases.lines() {
        // expiry, MAC, address, name, client identifier
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, mac, _, name, ..] = words.as_slice() {
            if let Some(hint) = hints.get_mut(&mac.to_uppercase()).and_then(Json::as_object_mut) {
                hint.insert("name".into(), (*name).into());
            }
        }
    }
    Ok(hints.into())
}

/// Names in a folder; what a browser may load is where it is on a router.
fn files(www: &Path, path: &str) -> Answer<Json> {
    if path.split('/').any(|part| part == "..") {
        return Err(StatusCode::PermissionDenied);
    }
    let dir = path.strip_prefix("/www/").map_or_else(|| path.into(), |below| www.join(below));
    let entries = dir.read_dir().map_err(|_| StatusCode::NotFound)?;
    let mut names: Vec<(String, bool)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path().is_dir())))
        .collect();
    names.sort();
    let kind = |dir: bool| if dir { "directory" } else { "file" };
    let entries: Vec<Json> =
        names.into_iter().map(|(name, dir)| json!({ "name": name, "type": kind(dir) })).collect();
    Ok(json!({ "entries": entries }))
}

fn board() -> Result<Json> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_string());
    let kernel = read("/proc/sys/kernel/osrelease").context("the kernel's release")?;
    let hostname = read("/proc/sys/kernel/hostname").context("the host's name")?;
    Ok(json!({ "kernel": kernel, "hostname": hostname, "model": "flowtabled lab" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_listed() {
        let www = crate::host::paths::repository().join("luci-app/htdocs");
        let list = |path: &str| files(&www, path);
        let views = list("/www/luci-static/resources/view/flowtable").unwrap();
        let status = json!({ "name": "status.js", "type": "file" });
        assert!(views.get("entries").unwrap().as_array().unwrap().contains(&status), "{views}");
        assert_eq!(list("/www/../etc"), Err(StatusCode::PermissionDenied));
        assert_eq!(list("/www/gone"), Err(StatusCode::NotFound));
    }

    #[test]
    fn interfaces_follow_the_configuration() {
        let text = b"config interface 'loopback'\n\toption device 'lo'\n\toption proto 'static'\n";
        let network = Package::parse("network", text).unwrap();
        let dump = interfaces(&network).unwrap();
        let first = dump.pointer("/interface/0").unwrap();
        assert_eq!(first.get("interface"), Some(&json!("loopback")));
        assert_eq!(first.get("up"), Some(&json!(true)));
        assert_eq!(first.pointer("/ipv4-address/0/address"), Some(&json!("127.0.0.1")));
    }
}
