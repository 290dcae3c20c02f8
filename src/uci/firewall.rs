// SPDX-License-Identifier: GPL-2.0-or-later
//! `/etc/config/firewall`: the user's switch for offloading, and the zones.
//!
//! Only the options named here are read, the way firewall4 reads them; everything else in the
//! file is firewall4's to judge.

use super::error::Error;
use super::files::Source;
use super::view::{View, Word};
use super::warnings::Warnings;
use crate::core::settings::{Mode, Zone};

/// What the firewall's configuration says about offloading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Firewall {
    /// `flow_offloading` and `flow_offloading_hw` of the first `defaults` section.
    pub requested: Mode,
    /// Zones that are enabled, in file order.
    pub zones: Vec<Zone>,
    /// What firewall4 would warn of too.
    pub warnings: Warnings,
}

const ZONE_NAME: &str = "a name of letters, digits, '_', '.', '-' and '/'";
const MEMBER: &str = "a name, or '!' and a name";

impl Firewall {
    /// Reads the parts that matter.
    pub fn from_source(source: &Source) -> Result<Self, Error> {
        let mut firewall = Firewall::default();
        if let Some(defaults) = View::of_kind(source, "defaults").next() {
            firewall.requested = requested(&defaults)?;
        }
        for view in View::of_kind(source, "zone") {
            if view.boolean("enabled", true)? {
                match zone(&view, &mut firewall.warnings)? {
                    Some(zone) => firewall.zones.push(zone),
                    None => {
                        let warning = "zone without a name is left out";
                        firewall.warnings.push(view.warn(view.section.place, warning));
                    }
                }
            }
        }
        Ok(firewall)
    }
}

fn requested(defaults: &View<'_>) -> Result<Mode, Error> {
    let software = defaults.boolean("flow_offloading", false)?;
    let hardware = defaults.boolean("flow_offloading_hw", false)?;
    Ok(match (software, hardware) {
        (false, _) => Mode::Classic,
        (true, false) => Mode::Software,
        (true, true) => Mode::Hardware,
    })
}

/// A zone; `None` without a name.
fn zone(view: &View<'_>, warnings: &mut Warnings) -> Result<Option<Zone>, Error> {
    let Some(name) = view.single("name", ZONE_NAME)? else { return Ok(None) };
    if !is_identifier(&name.text) {
        return Err(view.refuse("name", &name, ZONE_NAME));
    }
    // firewall4 has no network called '*': there it matches nothing.
    let networks = members(view, "network")?.into_iter().map(|word| word.text);
    let networks = networks.filter(|network| network != "*").collect();
    let mut devices = Vec::new();
    for device in members(view, "device")? {
        let prefix = device.text.strip_suffix('+').unwrap_or(&device.text);
        if let Some(warning) = view.no_device(prefix, device.place) {
            warnings.push(warning);
        } else if device.text == "*" {
            devices.push("+".to_string());
        } else {
            devices.push(device.text);
        }
    }
    let masq = view.boolean("masq", false)? | view.boolean("masq6", false)?;
    Ok(Some(Zone { name: name.text, networks, devices, masq }))
}

/// The entries of a list that are not inverted: `!lan` takes no traffic into the zone.
fn members(view: &View<'_>, option: &str) -> Result<Vec<Word>, Error> {
    let mut members = Vec::new();
    for word in view.words(option) {
        let start = word.text.trim_start_matches([' ', '\t']);
        let inverted = start.strip_prefix('!');
        let member = inverted.unwrap_or(start).trim();
        if member.is_empty() {
            return Err(view.refuse(option, &word, MEMBER));
        }
        if inverted.is_none() {
            members.push(Word { text: member.to_string(), place: word.place });
        }
    }
    Ok(members)
}

/// firewall4's rule for the names of zones.
fn is_identifier(name: &str) -> bool {
    let first_ok = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '.');
    first_ok && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_.-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::source;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Firewall, Error> {
        Firewall::from_source(&source("firewall", text))
    }

    fn mode(defaults: &str) -> Mode {
        read(&format!("config defaults\n{defaults}")).unwrap().requested
    }

    #[test]
    fn the_switch_has_three_positions() {
        assert_eq!(read("").unwrap().requested, Mode::Classic);
        assert_eq!(mode("option flow_offloading_hw 1\n"), Mode::Classic);
        assert_eq!(mode("option flow_offloading yes\n"), Mode::Software);
        assert_eq!(
            mode("option flow_offloading 1\noption flow_offloading_hw true\n"),
            Mode::Hardware
        );
        let two = "option flow_offloading 1\nconfig defaults\noption flow_offloading 0\n";
        assert_eq!(mode(two), Mode::Software);
    }

    #[test]
    fn a_bad_switch_names_file_line_and_value() {
        let error = read("config defaults\n\toption flow_offloading 'maybe'\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/c/firewall:2: bad value 'maybe' of option 'flow_offloading', \
             expected 1, on, true, yes, 0, off, false or no"
        );
    }

    #[test]
    fn zones_take_lists_and_words_without_the_inverted() {
        let firewall = read(
            "config zone\noption name lan\nlist network lan\nlist network ' !guest'\n\
             config zone\noption name wan\noption network 'wan  wan6'\nlist device 'ppp+'\n\
             list device '*'\nconfig zone\noption name off\noption enabled 0\n",
        )
        .unwrap();
        let [lan, wan] = firewall.zones.as_slice() else { panic!("{firewall:?}") };
        assert_eq!((lan.name.as_str(), lan.networks.as_slice()), ("lan", &["lan".to_string()][..]));
        assert_eq!(wan.networks, ["wan", "wan6"]);
        assert_eq!(wan.devices, ["ppp+", "+"]);
    }

    /// Cut to the kernel's fifteen bytes it would be another device.
    #[test]
    fn a_name_that_no_device_can_have_is_left_out_with_a_warning() {
        let firewall = read(
            "config zone\noption name lan\nlist device wlan0-guest-net\n\
             list device wlan0-guest-network\nlist device wlan0-guest-net+\n\
             list device '!wlan0-guest-network'\n",
        )
        .unwrap();
        assert_eq!(firewall.zones[0].devices, ["wlan0-guest-net", "wlan0-guest-net+"]);
        assert_eq!(
            firewall.warnings.into_lines("x"),
            ["/c/firewall:4: device 'wlan0-guest-network' is left out, no device has a name of more \
              than 15 bytes"]
        );
    }

    #[test]
    fn a_zone_masquerades_in_either_family() {
        let masq = |options: &str| {
            read(&format!("config zone\noption name wan\n{options}")).map(|read| read.zones[0].masq)
        };
        assert!(!masq("").unwrap() && !masq("option masq 0\noption masq6 off\n").unwrap());
        assert!(masq("option masq 1\n").unwrap() && masq("option masq6 yes\n").unwrap());
        assert!(masq("option masq 1\noption masq6 0\n").unwrap());
        let error = masq("option masq maybe\n").unwrap_err().to_string();
        assert!(error.starts_with("/c/firewall:3: bad value 'maybe' of option 'masq'"), "{error}");
    }

    #[test]
    fn a_zone_without_a_name_is_left_out_with_a_warning() {
        let firewall = read("config zone\noption input ACCEPT\n").unwrap();
        assert!(firewall.zones.is_empty());
        assert_eq!(
            firewall.warnings.into_lines("x"),
            ["/c/firewall:1: zone without a name is left out"]
        );
    }

    #[test]
    fn bad_names_are_errors() {
        assert!(read("config zone\noption name 'l an'\n").is_err());
        assert!(read("config zone\noption name 1lan\n").is_err());
        assert!(read("config zone\noption name lan\noption network '!'\n").is_err());
    }

    #[test]
    fn other_peoples_options_are_not_judged() {
        let text = "config defaults\noption input NONSENSE\noption syn_flood maybe\n\
                    config rule\noption enabled perhaps\nconfig what\noption ever 1\n";
        assert_eq!(read(text).unwrap(), Firewall::default());
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_refused(option in "name|network|device|enabled|masq", value in "[^']*") {
            let value = value.replace('\0', "");
            let _ = read(&format!("config zone\noption name z\nlist {option} '{value}'\n"));
        }
    }
}
