// SPDX-License-Identifier: GPL-2.0-or-later
//! Configurations with uncommitted changes: two readers agree about what is well-formed, what was
//! read can be written and read again, and what the typed views accept can be planned and sent.
//!
//! An input is up to four texts with NUL between them: `firewall`, `network`, `flowtable`, and
//! changes of each. (A NUL inside a file is a fault by itself; that one is tried with the whole
//! input.)
#![no_main]

use flowtabled::core::device_names::DeviceNames;
use flowtabled::core::devices::{self, Coverage, Device};
use flowtabled::core::diff::{difference, Surplus};
use flowtabled::core::links::Links;
use flowtabled::core::plan;
use flowtabled::core::policy::Places;
use flowtabled::core::settings::{Mode, Settings};
use flowtabled::netlink::message::Messages;
use flowtabled::netlink::nftables::query::Snapshot;
use flowtabled::netlink::nftables::Batch;
use flowtabled::netlink::route::Link;
use flowtabled::uci::delta;
use flowtabled::uci::files::Source;
use flowtabled::uci::firewall::Firewall;
use flowtabled::uci::flowtable::Flowtable;
use flowtabled::uci::network::Network;
use flowtabled::uci::package::{Package, Value};
use flowtabled::uci::statement::Statements;
use flowtabled::uci::warnings::Warnings;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = ["firewall", "network", "flowtable"];

/// A section without the places where it was written.
type Plain = (String, String, bool, Vec<(String, bool, Vec<Vec<u8>>)>);

fn plain(package: &Package) -> Vec<Plain> {
    let section = |section: &flowtabled::uci::package::Section| {
        let options = section.options.iter().map(|option| match &option.value {
            Value::Text(value) => (option.name.clone(), false, vec![value.clone()]),
            Value::List(items) => {
                let values = items.iter().map(|item| item.value.clone()).collect();
                (option.name.clone(), true, values)
            }
        });
        (section.kind.clone(), section.name.clone(), section.anonymous, options.collect())
    };
    package.sections.iter().map(section).collect()
}

fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'\'');
    for &byte in value {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            byte => out.push(byte),
        }
    }
    out.extend_from_slice(b"'\n");
}

/// The package as `uci export` would write it.
fn written(sections: &[Plain]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, name, anonymous, options) in sections {
        out.extend_from_slice(b"\nconfig ");
        quoted(&mut out, kind.as_bytes());
        if !anonymous {
            out.pop();
            out.push(b' ');
            quoted(&mut out, name.as_bytes());
        }
        for (name, list, values) in options {
            for value in values {
                out.extend_from_slice(if *list { b"\tlist " } else { b"\toption " });
                out.extend_from_slice(name.as_bytes());
                out.push(b' ');
                quoted(&mut out, value);
            }
        }
    }
    out
}

fn package(name: &str, text: &[u8]) -> Option<Package> {
    let statements: Result<Vec<_>, _> = Statements::new(text).collect();
    let package = Package::parse(name, text);
    match (&statements, &package) {
        (Ok(statements), Ok(package)) => assert!(package.sections.len() <= statements.len()),
        (Err(_), Ok(_)) => panic!("a package of malformed statements"),
        (_, Err(located)) => drop(located.fault.to_string()),
    }
    let package = package.ok()?;
    let sections = plain(&package);
    let again = Package::parse(name, &written(&sections)).expect("what we have written");
    assert_eq!(plain(&again), sections);
    Some(package)
}

fn source(name: &str, text: &[u8], changes: &[u8]) -> Option<Source> {
    let mut package = package(name, text)?;
    let unread = delta::apply(&mut package, changes);
    assert_eq!(unread.first.is_some(), unread.count > 0);
    let (config_path, delta_path) = (format!("/c/{name}").into(), format!("/s/{name}").into());
    Some(Source { package, config_path, delta_path, warnings: Vec::new() })
}

fn defaults() -> Flowtable {
    let Settings {
        enabled,
        counter,
        accounting,
        hardware_patience,
        takeover,
        qos_bypass,
        priority,
        evict_on_reload,
        device_rules,
        policy,
        partitions,
        switches,
        lease_files,
        ..
    } = Settings::default();
    Flowtable {
        enabled,
        counter,
        accounting,
        hardware_patience,
        takeover,
        qos_bypass,
        priority,
        evict_on_reload,
        device_rules,
        policy,
        partitions,
        switches,
        lease_files,
        warnings: Warnings::default(),
    }
}

/// A router on whose devices zones and interfaces come out: a bridge of two ports, VLANs on one
/// another, a session, a tunnel.
fn links() -> Links {
    let link = |index: u32, name: &str, kind: &str, master, lower| Link {
        index,
        name: name.into(),
        kind: kind.into(),
        loopback: false,
        master,
        lower,
        lower_elsewhere: false,
        vlan_id: None,
        wireless: false,
        mac: None,
        mtu: 1500,
        up: true,
    };
    let mut links = Links::default();
    links.replace(vec![
        link(2, "br-lan", "bridge", None, None),
        link(3, "lan0", "", Some(2), None),
        link(4, "lan1", "", Some(2), None),
        link(5, "wan0", "", None, None),
        link(6, "wan0.7", "vlan", None, Some(5)),
        link(7, "wan0.7.8", "vlan", Some(2), Some(6)),
        link(8, "pppoe-wan", "ppp", None, None),
        link(9, "pppoe-wan6", "ppp", None, None),
        link(10, "wg0", "wireguard", None, None),
    ]);
    links
}

/// Everything from zones and interfaces to devices: each once, and each by some zone.
fn places(settings: &Settings) -> Places {
    let links = links();
    let found = devices::resolve(settings, &links);
    assert!(found.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(found.iter().all(|device| !device.zones.is_empty()));
    let known = |name: &String| found.iter().any(|device| device.name == *name);
    assert!(devices::uplinks(settings, &found).iter().all(known));
    for zone in &settings.zones {
        drop(devices::routed(settings, &links, &zone.name));
    }
    Places::resolve(settings, &links)
}

/// Everything from the settings to the bytes for the kernel.
fn plan(flowtable: Flowtable, settings: Settings, requested: Mode) {
    let settings = Settings {
        enabled: true,
        requested: if requested == Mode::Classic { Mode::Hardware } else { requested },
        counter: flowtable.counter,
        priority: flowtable.priority,
        device_rules: flowtable.device_rules,
        policy: flowtable.policy,
        partitions: flowtable.partitions,
        ..settings
    };
    let places = places(&settings);
    let device = |name: &str, hardware| Device {
        name: name.into(),
        ifindex: None,
        kind: String::new(),
        zones: vec!["lan".into()],
        upper: Vec::new(),
        coverage: Coverage::Covered { hardware },
    };
    let devices = [device("lan0", true), device("wan0", true), device("wg0", false)];
    let capable: DeviceNames = ["lan0".to_owned(), "wan0".to_owned()].into_iter().collect();
    let wanted = plan::wanted(&settings, &devices, &places, &capable, &DeviceNames::new());
    let commands = difference(&Snapshot::default(), &wanted, &|_| Surplus::Stale);
    let batch = Batch::new(commands).finish(1, None, true);
    assert!(Messages::new(batch.bytes()).all(|message| message.is_ok()));
}

fuzz_target!(|data: &[u8]| {
    let _ = Package::parse("whole", data);
    let mut texts = data.split(|byte| *byte == 0);
    let mut text = || texts.next().unwrap_or_default();
    let (texts, changes) = ([text(), text(), text()], text());
    let mut sources = NAMES.iter().zip(texts).map(|(name, text)| source(name, text, changes));
    let [firewall, network, flowtable] = std::array::from_fn(|_| sources.next().flatten());
    let network = network.and_then(|source| Network::from_source(&source).ok()).unwrap_or_default();
    let _ = network.warnings.into_lines("network");
    let firewall = firewall.map(|source| Firewall::from_source(&source));
    if let Some(Err(error)) = &firewall {
        let _ = error.to_string();
    }
    let firewall = firewall.and_then(Result::ok).unwrap_or_default();
    let settings =
        Settings { zones: firewall.zones, interfaces: network.interfaces, ..Settings::default() };
    let _ = places(&settings);
    let Some(source) = flowtable else { return };
    match Flowtable::from_source(&source, defaults(), &settings.zones) {
        Ok(flowtable) => plan(flowtable, settings, firewall.requested),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
