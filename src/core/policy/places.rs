// SPDX-License-Identifier: GPL-2.0-or-later
//! Which devices the zones and patterns of rules mean at present, as the forward hook sees them.

use crate::core::device_names::DeviceNames;
use crate::core::devices;
use crate::core::glob;
use crate::core::links::Links;
use crate::core::settings::Settings;

/// Names of devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// By zone.
    zones: Vec<(String, DeviceNames)>,
    /// By pattern.
    patterns: Vec<(String, DeviceNames)>,
}

impl Places {
    /// What the rules name, on these devices.
    pub fn resolve(settings: &Settings, links: &Links) -> Places {
        let mut places = Places::default();
        for rule in settings.policy.rules() {
            for zone in [&rule.src, &rule.dest].into_iter().flatten() {
                if find(&places.zones, zone).is_none() {
                    let names = devices::routed(settings, links, zone);
                    places.zones.push((zone.clone(), names));
                }
            }
            if let Some(pattern) = &rule.device {
                if find(&places.patterns, pattern).is_none() {
                    let named = links.iter().map(|link| &link.name);
                    let names = named.filter(|name| glob::matches(pattern, name)).cloned();
                    places.patterns.push((pattern.clone(), names.collect()));
                }
            }
        }
        places
    }

    /// Names of the devices of a zone.
    pub fn zone(&self, name: &str) -> Option<&DeviceNames> {
        find(&self.zones, name).map(|(_, names)| names)
    }

    /// The number of a pattern among those of the rules, and the names that it matches.
    pub fn pattern(&self, pattern: &str) -> Option<(usize, &DeviceNames)> {
        find(&self.patterns, pattern)
    }
}

fn find<'a>(list: &'a [(String, DeviceNames)], wanted: &str) -> Option<(usize, &'a DeviceNames)> {
    let place = list.iter().position(|(name, _)| name == wanted)?;
    list.get(place).map(|(_, names)| (place, names))
}
