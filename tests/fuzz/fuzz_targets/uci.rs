// SPDX-License-Identifier: GPL-2.0-or-later
//! Configurations with uncommitted changes: two readers agree about what is well-formed, what was
//! read can be written and read again, and what the typed views accept can be planned and sent.
//!
//! An input is up to four texts with NUL between them: `firewall`, `network`, `flowtable`, and
//! changes of each. (A NUL inside a file is a fault by itself; that one is tried with the whole
//! input.)
#![no_main]

use flowtabled::core::device_names::DeviceNames;
use flowtabled::core::devices::{Coverage, Device};
use flowtabled::core::diff::{difference, Surplus};
use flowtabled::core::plan;
use flowtabled::core::policy::Places;
use flowtabled::core::settings::{Mode, Settings};
use flowtabled::netlink::message::Messages;
use flowtabled::netlink::nftables::query::Snapshot;
use flowtabled::netlink::nftables::Batch;
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

/// Everything from the settings to the bytes for the kernel.
fn plan(flowtable: Flowtable, firewall: Firewall) {
    let settings = Settings {
        enabled: true,
        requested: if firewall.requested == Mode::Classic {
            Mode::Hardware
        } else {
            firewall.requested
        },
        counter: flowtable.counter,
        priority: flowtable.priority,
        zones: firewall.zones,
        device_rules: flowtable.device_rules,
        policy: flowtable.policy,
        partitions: flowtable.partitions,
        ..Settings::default()
    };
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
    let wanted =
        plan::wanted(&settings, &devices, &Places::default(), &capable, &DeviceNames::new());
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
    if let Some(network) = network.and_then(|source| Network::from_source(&source).ok()) {
        let _ = network.warnings.into_lines("network");
    }
    let firewall = firewall.map(|source| Firewall::from_source(&source));
    if let Some(Err(error)) = &firewall {
        let _ = error.to_string();
    }
    let firewall = firewall.and_then(Result::ok).unwrap_or_default();
    let Some(source) = flowtable else { return };
    match Flowtable::from_source(&source, defaults(), &firewall.zones) {
        Ok(flowtable) => plan(flowtable, firewall),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
