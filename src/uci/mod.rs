// SPDX-License-Identifier: GPL-2.0-or-later
//! Configuration files into settings.
//!
//! [`load`] reads `firewall`, `network` and `flowtable` as libuci would, uncommitted changes
//! included, and reduces them to [`Settings`]. Every section and option keeps its line, so that
//! errors can name it. `docs/uci.md` lists the corners of the format; `tests/c-differential`
//! compares the reader with libuci itself.

pub mod delta;
mod device_glob;
pub mod error;
pub mod files;
pub mod firewall;
pub mod flowtable;
pub mod lexer;
pub mod network;
pub mod package;
mod partition;
mod rule;
pub mod statement;
mod switch;
pub mod view;
pub mod warnings;

use std::path::Path;

use crate::core::settings::Settings;

pub use error::Error;
pub use files::{Dirs, CONFIG_DIR, OVERRIDE_DIR, SAVE_DIR};

/// Settings, and what should be pointed out although it did not stop them from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What the three files say together.
    pub settings: Settings,
    /// One line each, with file and line number.
    pub warnings: Vec<String>,
}

/// Reads the configuration in `config_dir` with the uncommitted changes in `save_dir` (`None`
/// leaves them out). `firewall` and `network` must exist; without `flowtable` its defaults apply.
///
/// If `config_dir` is the system's own, files in [`OVERRIDE_DIR`] replace those in it, as they do
/// for every other reader on the router.
pub fn load(config_dir: &Path, save_dir: Option<&Path>) -> Result<Loaded, Error> {
    let replace = (config_dir == Path::new(CONFIG_DIR)).then_some(Path::new(OVERRIDE_DIR));
    load_from(&Dirs { config: config_dir, replace, save: save_dir })
}

/// As [`load`], with every directory given.
pub fn load_from(dirs: &Dirs<'_>) -> Result<Loaded, Error> {
    let defaults = Settings::default();
    let mut warnings = Vec::new();

    let mut source = files::Source::require(dirs, "firewall")?;
    let firewall = firewall::Firewall::from_source(&source)?;
    warnings.append(&mut source.warnings);
    warnings.extend(firewall.warnings.into_lines(&source.shown()));

    let mut source = files::Source::require(dirs, "network")?;
    let network = network::Network::from_source(&source)?;
    warnings.append(&mut source.warnings);
    warnings.extend(network.warnings.into_lines(&source.shown()));

    let mut flowtable = flowtable::Flowtable {
        enabled: defaults.enabled,
        counter: defaults.counter,
        accounting: defaults.accounting,
        hardware_patience: defaults.hardware_patience,
        takeover: defaults.takeover,
        qos_bypass: defaults.qos_bypass,
        priority: defaults.priority,
        evict_on_reload: defaults.evict_on_reload,
        device_rules: defaults.device_rules,
        policy: defaults.policy,
        partitions: defaults.partitions,
        switches: defaults.switches,
        lease_files: defaults.lease_files,
        warnings: warnings::Warnings::default(),
    };
    if let Some(mut source) = files::Source::read(dirs, "flowtable")? {
        flowtable = flowtable::Flowtable::from_source(&source, flowtable, &firewall.zones)?;
        warnings.append(&mut source.warnings);
        warnings.extend(std::mem::take(&mut flowtable.warnings).into_lines(&source.shown()));
    }

    let settings = Settings {
        enabled: flowtable.enabled,
        requested: firewall.requested,
        counter: flowtable.counter,
        accounting: flowtable.accounting,
        hardware_patience: flowtable.hardware_patience,
        takeover: flowtable.takeover,
        qos_bypass: flowtable.qos_bypass,
        priority: flowtable.priority,
        evict_on_reload: flowtable.evict_on_reload,
        zones: firewall.zones,
        interfaces: network.interfaces,
        device_rules: flowtable.device_rules,
        policy: flowtable.policy,
        partitions: flowtable.partitions,
        switches: flowtable.switches,
        lease_files: flowtable.lease_files,
    };
    Ok(Loaded { settings, warnings })
}

#[cfg(test)]
mod tests {
    use super::files::tests::TempDir;
    use super::*;
    use crate::core::settings::{DeviceOffload, Mode};

    const FIREWALL: &str = "config defaults\n\toption flow_offloading '1'\n\n\
        config zone\n\toption name 'lan'\n\tlist network 'lan'\n";
    const NETWORK: &str = "config interface 'lan'\n\toption device 'br-lan'\n";

    #[test]
    fn the_three_files_become_settings() {
        let config = TempDir::new();
        config.write("firewall", FIREWALL).write("network", NETWORK);
        config.write("flowtable", "config device\n\toption name 'wl*'\n\toption offload off\n");
        let loaded = load(config.path(), None).unwrap();
        assert_eq!(loaded.settings.requested, Mode::Software);
        assert_eq!(loaded.settings.zones[0].networks, ["lan"]);
        assert_eq!(loaded.settings.interfaces[0].devices, ["br-lan"]);
        assert_eq!(loaded.settings.device_rules[0].offload, DeviceOffload::Off);
        assert!(loaded.settings.enabled);
        assert!(loaded.warnings.is_empty());
    }

    #[test]
    fn only_our_own_file_may_be_missing() {
        let config = TempDir::new();
        config.write("firewall", FIREWALL);
        let missing = load(config.path(), None).unwrap_err();
        assert_eq!(missing.path(), config.path().join("network"));
        config.write("network", NETWORK);
        assert!(load(config.path(), None).is_ok());
    }

    #[test]
    fn uncommitted_changes_count_and_are_named_in_errors() {
        let (config, save) = (TempDir::new(), TempDir::new());
        config.write("firewall", FIREWALL).write("network", NETWORK);
        save.write("firewall", "firewall.cfg01e63d.flow_offloading='0'\n");
        let loaded = load(config.path(), Some(save.path())).unwrap();
        assert_eq!(loaded.settings.requested, Mode::Classic);
        save.write("firewall", "firewall.cfg01e63d.flow_offloading='2'\n");
        let error = load(config.path(), Some(save.path())).unwrap_err().to_string();
        let start = format!("{}:1: bad value '2'", save.path().join("firewall").display());
        assert!(error.starts_with(&start), "{error}");
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        let config = TempDir::new();
        config.write("firewall", "").write("network", "");
        config.write("flowtable", include_str!("../../files/etc/config/flowtable"));
        let loaded = load(config.path(), None).unwrap();
        assert_eq!(loaded.settings, Settings::default());
        assert!(loaded.warnings.is_empty());
    }

    #[test]
    fn the_shipped_file_explains_every_option_of_sections() {
        let text = include_str!("../../files/etc/config/flowtable");
        for (section, known) in [
            ("rule", &rule::KNOWN[..]),
            ("table", &partition::KNOWN[..]),
            ("switch", &switch::KNOWN[..]),
        ] {
            // What is explained stands before the section's first example.
            let before = text.split(&format!("\n# config {section}\n")).next().unwrap();
            let before = before.rsplit("\n\n").next().unwrap();
            let explained = |option: &str| {
                let words = |line: &str| -> Vec<String> {
                    let names = line.trim_start_matches(['#', ' ']).split("  ").next();
                    names.unwrap_or_default().split(", ").map(str::to_owned).collect()
                };
                before.lines().any(|line| words(line).iter().any(|word| word == option))
            };
            for option in known {
                assert!(explained(option), "{section}: {option}");
            }
        }
    }
}
