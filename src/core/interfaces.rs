// SPDX-License-Identifier: GPL-2.0-or-later
//! The devices of interfaces, through the aliases that stand on other interfaces.
//!
//! Each interface is visited once, however often it is named: an alias may name itself, and the
//! ways through a list of aliases would double with each step.

use litemap::LiteMap;

use super::settings::{Interface, Settings};
use crate::netlink::nftables::set::IFNAME_MAX;

/// The interfaces of the settings by name.
#[derive(Debug)]
pub(super) struct Interfaces<'a> {
    by_name: LiteMap<&'a str, &'a Interface>,
}

/// What is to be visited.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Interface(&'a str),
    Device(&'a str),
}

impl<'a> Step<'a> {
    /// What an interface names as one of its devices.
    fn named(device: &'a str) -> Option<Step<'a>> {
        match device.strip_prefix('@') {
            Some(other) => Some(Step::Interface(other)),
            // Modems name their control node (/dev/cdc-wdm0), which is no network device.
            None if device.contains('/') => None,
            None => Some(Step::Device(device)),
        }
    }
}

impl<'a> Interfaces<'a> {
    /// All interfaces; of several with the same name the first.
    pub fn of(settings: &'a Settings) -> Interfaces<'a> {
        let mut by_name = LiteMap::new();
        for interface in &settings.interfaces {
            by_name.entry(interface.name.as_str()).or_insert(interface);
        }
        Interfaces { by_name }
    }

    /// The interface of this name.
    pub fn named(&self, name: &str) -> Option<&'a Interface> {
        self.by_name.get(name).copied()
    }

    /// The devices of these interfaces, each once, in the order in which they are named: those that
    /// an interface names, or the one that its protocol makes.
    pub fn devices(&self, networks: &[&'a str]) -> Vec<String> {
        let mut visited: LiteMap<&str, ()> = LiteMap::new();
        let mut listed: LiteMap<&str, ()> = LiteMap::new();
        let mut names = Vec::new();
        // The next one is last.
        let mut ahead: Vec<Step<'a>> =
            networks.iter().rev().map(|network| Step::Interface(network)).collect();
        while let Some(step) = ahead.pop() {
            match step {
                Step::Device(name) => {
                    if listed.insert(name, ()).is_none() {
                        names.push(name.to_owned());
                    }
                }
                Step::Interface(name) if visited.insert(name, ()).is_none() => {
                    let Some(interface) = self.named(name) else { continue };
                    if interface.devices.is_empty() {
                        names.extend(own_device(interface).filter(|own| !names.contains(own)));
                    }
                    let named = interface.devices.iter().rev();
                    ahead.extend(named.filter_map(|device| Step::named(device)));
                }
                Step::Interface(_) => (),
            }
        }
        names
    }

    /// The devices that have the addresses of an interface.
    pub fn routed(&self, network: &'a str) -> Vec<String> {
        let mut visited: LiteMap<&str, ()> = LiteMap::new();
        let mut network = network;
        while visited.insert(network, ()).is_none() {
            let Some(interface) = self.named(network) else { return Vec::new() };
            if interface.proto == "pppoe" {
                return own_device(interface).into_iter().collect();
            }
            match interface.devices.iter().find_map(|device| device.strip_prefix('@')) {
                Some(other) => network = other,
                None => return self.devices(&[network]),
            }
        }
        Vec::new()
    }
}

/// The name of the device that the protocol itself makes, by netifd's conventions; none where the
/// kernel would not take it.
fn own_device(interface: &Interface) -> Option<String> {
    let name = match interface.proto.as_str() {
        "" | "none" | "static" | "dhcp" | "dhcpv6" => return None,
        "wireguard" | "openvpn" | "vti" | "xfrm" => interface.name.clone(),
        proto => format!("{proto}-{}", interface.name),
    };
    Some(name).filter(|name| name.len() <= IFNAME_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(interfaces: &[(&str, &str, &[&str])]) -> Settings {
        let interface = |(name, proto, devices): &(&str, &str, &[&str])| Interface {
            name: (*name).into(),
            proto: (*proto).into(),
            devices: devices.iter().map(|name| (*name).to_owned()).collect(),
        };
        Settings { interfaces: interfaces.iter().map(interface).collect(), ..Settings::default() }
    }

    /// By ten ways at each of eight steps this would be a hundred million names.
    #[test]
    fn an_alias_of_itself_is_visited_once() {
        let named = [["@lan"; 10].as_slice(), &["eth0"]].concat();
        let settings = settings(&[("lan", "static", &named)]);
        assert_eq!(Interfaces::of(&settings).devices(&["lan"; 10]), ["eth0"]);
        assert_eq!(Interfaces::of(&settings).routed("lan"), Vec::<String>::new());
    }

    #[test]
    fn what_two_aliases_lead_to_is_there_once_and_in_order() {
        let settings = settings(&[
            ("top", "static", &["eth9", "@left", "@right", "eth9"]),
            ("left", "static", &["eth2", "@bottom"]),
            ("right", "static", &["eth1", "@bottom", "@top"]),
            ("bottom", "static", &["eth3", "/dev/cdc-wdm0", "@nowhere"]),
            ("wan", "pppoe", &["eth4"]),
            ("wan6", "dhcpv6", &["@wan"]),
            ("wg0", "wireguard", &[]),
        ]);
        let interfaces = Interfaces::of(&settings);
        assert_eq!(interfaces.devices(&["top"]), ["eth9", "eth2", "eth3", "eth1"]);
        assert_eq!(interfaces.devices(&["wan6", "wg0", "right"])[..2], ["eth4", "wg0"]);
        assert_eq!(interfaces.routed("wan6"), ["pppoe-wan"]);
    }

    #[test]
    fn a_name_that_the_kernel_does_not_take_is_none() {
        let settings = settings(&[
            ("wg_to_the_office", "wireguard", &[]),
            ("wg_to_an_office", "wireguard", &[]),
            ("longname", "pppoe", &["eth0"]),
            ("long_name", "l2tp", &[]),
        ]);
        let interfaces = Interfaces::of(&settings);
        let all = ["wg_to_the_office", "wg_to_an_office", "long_name"];
        assert_eq!(interfaces.devices(&all), ["wg_to_an_office", "l2tp-long_name"]);
        assert_eq!(interfaces.routed("longname"), ["pppoe-longname"]);
        assert_eq!(interfaces.routed("wg_to_the_office"), Vec::<String>::new());
    }

    /// A chain is as deep as the file has sections.
    #[test]
    fn a_long_chain_of_aliases_ends_at_its_device() {
        let names: Vec<String> = (0..=4000).map(|number| format!("i{number}")).collect();
        let interface = |pair: &[String]| Interface {
            name: pair[0].clone(),
            proto: "static".into(),
            devices: vec![format!("@{}", pair[1])],
        };
        let mut settings = Settings::default();
        settings.interfaces.extend(names.windows(2).map(interface));
        let last =
            Interface { name: "i4000".into(), proto: "dhcp".into(), devices: vec!["eth0".into()] };
        settings.interfaces.push(last);
        assert_eq!(Interfaces::of(&settings).devices(&["i0"]), ["eth0"]);
        assert_eq!(Interfaces::of(&settings).routed("i0"), ["eth0"]);
    }
}
