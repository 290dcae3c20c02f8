// SPDX-License-Identifier: GPL-2.0-or-later
//! `/etc/config/flowtable`: the daemon's own file.
//!
//! The file belongs to us, so what it holds beyond the known options is pointed out, with a
//! bounded number of warnings. A missing file means the defaults.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::device_glob::is_glob;
use super::error::Error;
use super::files::Source;
use super::view::{View, Word};
use super::warnings::Warnings;
use super::{partition, rule, switch};
use crate::core::policy::Policy;
use crate::core::settings::{DeviceOffload, DeviceRule, Partition, SwitchSettings, Zone};

/// Device rules kept: each device is compared with each rule, and routers have some dozens of
/// devices. More is an error, since dropping rules would offload what the user excluded.
pub const MAX_DEVICE_RULES: usize = 256;
/// Lease files read: a router has one or two DHCP servers, and each file is read whole.
pub const MAX_LEASE_FILES: usize = 8;

/// What the daemon's own configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flowtable {
    /// `enabled`.
    pub enabled: bool,
    /// `counter`.
    pub counter: bool,
    /// `accounting`.
    pub accounting: bool,
    /// `takeover`.
    pub takeover: bool,
    /// `qos_bypass`.
    pub qos_bypass: bool,
    /// `priority` of the ingress hook.
    pub priority: i32,
    /// `hardware_patience`.
    pub hardware_patience: Option<Duration>,
    /// `evict_on_reload`.
    pub evict_on_reload: bool,
    /// `config device` sections, one rule for each of their names.
    pub device_rules: Vec<DeviceRule>,
    /// `config rule` sections.
    pub policy: Policy,
    /// `config table` sections.
    pub partitions: Vec<Partition>,
    /// `config switch` sections.
    pub switches: Vec<SwitchSettings>,
    /// `lease_file`.
    pub lease_files: Vec<String>,
    /// Options and sections that are not known.
    pub warnings: Warnings,
}

const PATIENCE: &str = "0 or a number of seconds from 10 to 86400";
/// Evidence of live flows takes some seconds; who waits longer than a day wants no end.
const PATIENCE_S: RangeInclusive<u64> = 10..=86_400;
const GLOB: &str = "a device name or a pattern of *, ? and [a-z]";
const FEWER: &str = "no more than 256 device names in all";
const LEASE_FILE: &str = "the path of a file, beginning with '/'";
const FEWER_FILES: &str = "no more than 8 files";
const OFFLOAD: &str = "auto, hardware, software or off";

impl Flowtable {
    /// Reads the file over the given defaults (those of a missing file); rules may name the zones of
    /// the firewall.
    pub fn from_source(
        source: &Source,
        defaults: Flowtable,
        zones: &[Zone],
    ) -> Result<Self, Error> {
        let mut flowtable = defaults;
        let mut global_seen = false;
        for view in View::all(source) {
            let section = view.section;
            match (section.kind.as_str(), section.name.as_str()) {
                ("flowtable", "global") if !global_seen => {
                    global_seen = true;
                    flowtable.global(&view)?;
                }
                ("flowtable", _) => {
                    let what = "only config flowtable 'global' is read, this one is passed over";
                    flowtable.warn(&view, None, what.to_string());
                }
                ("device", _) => flowtable.device(&view)?,
                ("rule", _) => flowtable.unknown_options(&view, &rule::KNOWN),
                ("table", _) => flowtable.unknown_options(&view, &partition::KNOWN),
                ("switch", _) => {
                    flowtable.unknown_options(&view, &switch::KNOWN);
                    let switch = switch::read(&view, &flowtable.switches)?;
                    flowtable.switches.extend(switch);
                }
                (kind, _) => {
                    let what = format!("unknown section type '{}'", kind.escape_debug());
                    flowtable.warn(&view, None, what);
                }
            }
        }
        flowtable.policy(source, zones)?;
        Ok(flowtable)
    }

    /// Tables first: rules name them, wherever they stand.
    fn policy(&mut self, source: &Source, zones: &[Zone]) -> Result<(), Error> {
        for view in View::of_kind(source, "table") {
            let partition = partition::read(&view, &self.partitions)?;
            self.partitions.push(partition);
        }
        let mut views = Vec::new();
        let mut rules = Vec::new();
        for view in View::of_kind(source, "rule") {
            let known = rule::Known { zones, partitions: &self.partitions };
            if let Some(rule) = rule::read(&view, known)? {
                rules.push(rule);
                views.push(view);
            }
        }
        match Policy::new(rules) {
            Ok(policy) => self.policy = policy,
            Err((index, what)) => {
                if let Some(view) = views.get(index) {
                    return Err(rule::too_many(view, what.accepted()));
                }
            }
        }
        Ok(())
    }

    fn global(&mut self, view: &View<'_>) -> Result<(), Error> {
        let known = [
            "enabled",
            "counter",
            "accounting",
            "takeover",
            "qos_bypass",
            "priority",
            "hardware_patience",
            "evict_on_reload",
            "lease_file",
        ];
        self.unknown_options(view, &known);
        self.enabled = view.boolean("enabled", self.enabled)?;
        self.counter = view.boolean("counter", self.counter)?;
        self.accounting = view.boolean("accounting", self.accounting)?;
        self.takeover = view.boolean("takeover", self.takeover)?;
        self.qos_bypass = view.boolean("qos_bypass", self.qos_bypass)?;
        self.evict_on_reload = view.boolean("evict_on_reload", self.evict_on_reload)?;
        self.priority = view.integer("priority")?.unwrap_or(self.priority);
        if let Some(word) = view.single("hardware_patience", PATIENCE)? {
            let seconds = word.text.parse().ok().filter(|s| *s == 0 || PATIENCE_S.contains(s));
            let seconds =
                seconds.ok_or_else(|| view.refuse("hardware_patience", &word, PATIENCE))?;
            self.hardware_patience = Some(Duration::from_secs(seconds)).filter(|p| !p.is_zero());
        }
        let files = view.words("lease_file");
        if let Some(word) = files.get(MAX_LEASE_FILES) {
            return Err(view.refuse("lease_file", word, FEWER_FILES));
        }
        if let Some(word) = files.iter().find(|word| !is_path(&word.text)) {
            return Err(view.refuse("lease_file", word, LEASE_FILE));
        }
        if !files.is_empty() {
            self.lease_files = files.into_iter().map(|word| word.text).collect();
        }
        Ok(())
    }

    fn device(&mut self, view: &View<'_>) -> Result<(), Error> {
        self.unknown_options(view, &["name", "offload"]);
        let offload = match view.single("offload", OFFLOAD)? {
            None => DeviceOffload::Auto,
            Some(word) => match word.text.as_str() {
                "auto" => DeviceOffload::Auto,
                "hardware" => DeviceOffload::Hardware,
                "software" => DeviceOffload::Software,
                "off" => DeviceOffload::Off,
                _ => return Err(view.refuse("offload", &word, OFFLOAD)),
            },
        };
        let names = view.words("name");
        if names.is_empty() {
            return Err(view.missing("name"));
        }
        for Word { text, place } in names {
            if !is_glob(&text) {
                return Err(view.refuse("name", &Word { text, place }, GLOB));
            }
            if self.device_rules.len() >= MAX_DEVICE_RULES {
                return Err(view.refuse("name", &Word { text, place }, FEWER));
            }
            self.device_rules.push(DeviceRule { glob: text, offload });
        }
        Ok(())
    }

    fn unknown_options(&mut self, view: &View<'_>, known: &[&str]) {
        for option in &view.section.options {
            if !known.contains(&option.name.as_str()) {
                let what =
                    format!("unknown option '{}' in config {}", option.name, view.section.kind);
                self.warn(view, Some(option.place), what);
            }
        }
    }

    fn warn(&mut self, view: &View<'_>, place: Option<super::package::Place>, what: String) {
        self.warnings.push(view.warn(place.unwrap_or(view.section.place), &what));
    }
}

/// The daemon has no directory of its own that a path could begin at.
fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.chars().any(char::is_control)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::view::tests::source;
    use super::*;
    use crate::uci::view::INTEGER;
    use proptest::prelude::*;

    pub fn defaults() -> Flowtable {
        Flowtable {
            enabled: true,
            counter: true,
            accounting: false,
            takeover: true,
            qos_bypass: true,
            priority: 0,
            hardware_patience: Some(Duration::from_secs(180)),
            evict_on_reload: true,
            device_rules: Vec::new(),
            policy: Policy::default(),
            partitions: Vec::new(),
            switches: Vec::new(),
            lease_files: vec!["/tmp/dhcp.leases".into()],
            warnings: Warnings::default(),
        }
    }

    fn read(text: &str) -> Result<Flowtable, Error> {
        Flowtable::from_source(&source("flowtable", text), defaults(), &[])
    }

    fn error(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(read("").unwrap(), defaults());
    }

    #[test]
    fn the_global_section_is_read() {
        let flowtable = read(
            "config flowtable 'global'\noption enabled '0'\noption counter off\n\
             option accounting on\noption takeover 0\noption qos_bypass off\noption priority -10\n\
             option evict_on_reload no\n",
        )
        .unwrap();
        let expected = Flowtable {
            enabled: false,
            counter: false,
            accounting: true,
            takeover: false,
            qos_bypass: false,
            priority: -10,
            evict_on_reload: false,
            ..defaults()
        };
        assert_eq!(flowtable, expected);
    }

    #[test]
    fn patience_is_a_time_or_for_ever() {
        let patience = |value: &str| {
            let text = format!("config flowtable 'global'\noption hardware_patience {value}\n");
            read(&text).map(|read| read.hardware_patience)
        };
        assert_eq!(patience("0").unwrap(), None);
        assert_eq!(patience("10").unwrap(), Some(Duration::from_secs(10)));
        for bad in ["9", "86401", "-1", "1h"] {
            let message = patience(bad).unwrap_err().to_string();
            let option = format!("'{bad}' of option 'hardware_patience', expected {PATIENCE}");
            assert_eq!(message, format!("/c/flowtable:2: bad value {option}"));
        }
    }

    #[test]
    fn lease_files_replace_the_default() {
        let files = |options: &str| {
            read(&format!("config flowtable 'global'\n{options}")).map(|read| read.lease_files)
        };
        assert_eq!(files("").unwrap(), defaults().lease_files);
        assert_eq!(files("list lease_file /a\nlist lease_file '/b c'\n").unwrap(), ["/a", "/b c"]);
        assert_eq!(files("option lease_file '/a /b'\n").unwrap(), ["/a", "/b"]);
        let message = files("list lease_file /a\nlist lease_file b\n").unwrap_err().to_string();
        assert_eq!(
            message,
            format!("/c/flowtable:3: bad value 'b' of option 'lease_file', expected {LEASE_FILE}")
        );
        let most = "list lease_file /a\n".repeat(MAX_LEASE_FILES);
        assert_eq!(files(&most).unwrap().len(), MAX_LEASE_FILES);
        let message = files(&format!("{most}list lease_file /b\n")).unwrap_err().to_string();
        assert!(message.starts_with("/c/flowtable:10: bad value '/b'"), "{message}");
        assert!(FEWER_FILES.contains(&MAX_LEASE_FILES.to_string()));
    }

    #[test]
    fn devices_make_one_rule_for_each_name() {
        let flowtable = read(
            "config device\noption name eth0\noption offload off\n\
             config device\nlist name 'lan*'\nlist name 'wl[0-9]'\noption offload software\n\
             config device\noption name '*'\n",
        )
        .unwrap();
        let rules: Vec<_> =
            flowtable.device_rules.iter().map(|r| (r.glob.as_str(), r.offload)).collect();
        assert_eq!(
            rules,
            [
                ("eth0", DeviceOffload::Off),
                ("lan*", DeviceOffload::Software),
                ("wl[0-9]", DeviceOffload::Software),
                ("*", DeviceOffload::Auto),
            ]
        );
    }

    #[test]
    fn bad_values_say_what_is_accepted() {
        assert_eq!(
            error("config flowtable global\n\n\toption priority 1k\n"),
            format!("/c/flowtable:3: bad value '1k' of option 'priority', expected {INTEGER}")
        );
        assert_eq!(
            error("config device\noption name eth0\noption offload on\n"),
            format!("/c/flowtable:3: bad value 'on' of option 'offload', expected {OFFLOAD}")
        );
        assert_eq!(
            error("config device\noption offload off\n"),
            "/c/flowtable:1: missing option 'name' in config device"
        );
        assert!(
            error("config device\nlist name ok\nlist name 'wl['\n").starts_with("/c/flowtable:3: ")
        );
    }

    #[test]
    fn unknown_things_are_warned_of() {
        let flowtable = read(
            "config flowtable 'global'\noption foo 1\nconfig device\noption name a\nlist bar 2\n\
             config what\nconfig flowtable\n",
        )
        .unwrap();
        assert_eq!(
            flowtable.warnings.into_lines("x"),
            [
                "/c/flowtable:2: unknown option 'foo' in config flowtable",
                "/c/flowtable:5: unknown option 'bar' in config device",
                "/c/flowtable:6: unknown section type 'what'",
                "/c/flowtable:7: only config flowtable 'global' is read, this one is passed over",
            ]
        );
    }

    #[test]
    fn rules_are_bounded() {
        let most = format!("config device\n{}", "list name a\n".repeat(MAX_DEVICE_RULES));
        assert_eq!(read(&most).unwrap().device_rules.len(), MAX_DEVICE_RULES);
        let message = error(&format!("{most}list name b\n"));
        assert!(message.starts_with("/c/flowtable:258: bad value 'b'"), "{message}");
        assert!(FEWER.contains(&MAX_DEVICE_RULES.to_string()));
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_refused(
            command in "option|list",
            option in "name|offload|enabled|counter|accounting|priority|hardware_patience|lease_file",
            value in "[^'\\x00]*",
        ) {
            let line = format!("{command} {option} '{value}'\n");
            let _ = read(&format!("config flowtable global\n{line}config device\n{line}"));
        }

        #[test]
        fn every_priority_is_read(priority in any::<i32>()) {
            let read = read(&format!("config flowtable global\noption priority {priority}\n"));
            prop_assert_eq!(read.unwrap().priority, priority);
        }
    }
}
