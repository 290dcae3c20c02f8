// SPDX-License-Identifier: GPL-2.0-or-later
//! `--check`: what the configuration would lead to, without changing anything.

use crate::core::device_names::DeviceNames;
use std::io::{self, Write};
use std::path::Path;

use super::radios;
use crate::core::devices::{self, Coverage};
use crate::core::links::Links;
use crate::core::plan;
use crate::core::policy::Places;
use crate::core::settings::{Mode, Settings};
use crate::core::takeover;
use crate::netlink::route::{Link, NETLINK_ROUTE};
use crate::netlink::socket::Socket;
use crate::netlink::Error;
use crate::uci;

/// Writes the plan for the configuration in `config_dir`, with the uncommitted changes in
/// `save_dir`; `Ok(false)` when the configuration has a fault, which `errors` gets as one line.
///
/// # Errors
/// Writing failed.
pub fn check(
    config_dir: &Path,
    save_dir: &Path,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> io::Result<bool> {
    let loaded = match uci::load(config_dir, Some(save_dir)) {
        Ok(loaded) => loaded,
        Err(error) => {
            writeln!(errors, "flowtabled: {error}")?;
            return Ok(false);
        }
    };
    for warning in &loaded.warnings {
        writeln!(errors, "flowtabled: {warning}")?;
    }
    let links = match list_links() {
        Ok(links) => links,
        Err(error) => {
            writeln!(errors, "flowtabled: {error}; devices are taken as absent")?;
            Vec::new()
        }
    };
    write_plan(&loaded.settings, links, out)?;
    Ok(true)
}

fn list_links() -> Result<Vec<Link>, Error> {
    let mut socket = Socket::open(NETLINK_ROUTE, &[], "open the rtnetlink socket")?;
    radios::links(&mut socket)
}

fn write_plan(settings: &Settings, list: Vec<Link>, out: &mut impl Write) -> io::Result<()> {
    let mut links = Links::default();
    links.replace(list);
    let devices = devices::resolve(settings, &links);
    writeln!(out, "requested: {}", settings.requested.name())?;
    for device in &devices {
        let zones = device.zones.join(", ");
        match &device.coverage {
            Coverage::Covered { .. } => {
                writeln!(out, "device {} (zones: {zones}): covered", device.name)?;
            }
            Coverage::Off(reason, detail) => {
                let space = if detail.is_empty() { "" } else { ": " };
                let text = reason.text();
                writeln!(out, "device {} (zones: {zones}): {text}{space}{detail}", device.name)?;
            }
        }
    }
    // Which devices offload to hardware is found out at run time; here all that may are listed.
    let capable: DeviceNames = devices
        .iter()
        .filter(|device| plan::may_offload(device))
        .map(|device| device.name.clone())
        .collect();
    if takeover::is_observer(settings) {
        writeln!(out, "nothing would be made: firewall4's own offloading is only observed")?;
        return Ok(());
    }
    let places = Places::resolve(settings, &links);
    let classes = plan::wanted(settings, &devices, &places, &capable, &DeviceNames::new());
    if classes.is_empty() {
        writeln!(out, "nothing would be made")?;
    }
    for class in &classes {
        writeln!(out, "{class}")?;
    }
    if settings.requested == Mode::Hardware && !classes.is_empty() {
        writeln!(out, "# devices that refuse hardware offload move to table inet flowtabled")?;
        if settings.partitions.iter().any(|partition| partition.hardware) {
            writeln!(out, "# a table of your own with such a device offloads in software")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn written(firewall: &str) -> (bool, String, String) {
        let dir = std::env::temp_dir().join(format!(
            "flowtabled-check-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("firewall"), firewall).unwrap();
        fs::write(dir.join("network"), "config interface 'lan'\n\toption device 'lo9'\n").unwrap();
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let good = check(&dir, &dir.join("none"), &mut out, &mut errors).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        (good, String::from_utf8(out).unwrap(), String::from_utf8(errors).unwrap())
    }

    #[test]
    fn absent_devices_are_told() {
        let (good, out, errors) = written(
            "config defaults\n\toption flow_offloading '1'\n\
             config zone\n\toption name 'lan'\n\tlist network 'lan'\n",
        );
        assert!(good, "{errors}");
        assert!(out.contains("requested: software\n"), "{out}");
        assert!(out.contains("device lo9 (zones: lan): there is no such device"), "{out}");
        assert!(out.contains("nothing would be made\n"), "{out}");
    }

    #[test]
    fn a_fault_is_one_line_with_file_and_line_number() {
        let (good, out, errors) = written("config defaults\n\toption flow_offloading 'perhaps'\n");
        assert!(!good);
        assert_eq!(out, "");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains("firewall:2"), "{errors}");
        assert!(errors.contains("flow_offloading"), "{errors}");
    }
}
