// SPDX-License-Identifier: GPL-2.0-or-later
//! Which network devices carry forwarded traffic, and which of them a flowtable must hook.
//!
//! From the zones of the firewall through the interfaces of the network down to the lowest real
//! devices: the ports of a bridge, the device below a VLAN. Naming the lowest devices is the only
//! choice that offloads on every kernel: since Linux 6.19 a flow is refused unless the real device
//! of both directions is listed, and a bridge listed by name offloads nothing.

use crate::core::device_names::DeviceNames;
use litemap::LiteMap;

use super::glob;
use super::interfaces::Interfaces;
use super::links::Links;
use super::reason::Reason;
use super::settings::{DeviceOffload, Settings};
use crate::netlink::route::Link;

/// Devices stand on one another at most this deep; deeper chains can only be a mistake.
const DEPTH_MAX: usize = 8;

/// What is to become of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// A flowtable must hook it.
    Covered {
        /// The user lets it offload to hardware.
        hardware: bool,
    },
    /// No flowtable hooks it, for this reason; the detail belongs to it and may be empty.
    Off(Reason, String),
}

/// A device that the zones lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index; `None` when it does not exist.
    pub ifindex: Option<u32>,
    /// IFLA_INFO_KIND; empty for physical devices.
    pub kind: String,
    /// Zones that lead to it, sorted.
    pub zones: Vec<String>,
    /// Devices above it by which they lead to it, sorted; empty when a zone names it itself.
    pub upper: Vec<String>,
    /// What is to become of it.
    pub coverage: Coverage,
}

/// The devices that the zones lead to, by name.
pub fn resolve(settings: &Settings, links: &Links) -> Vec<Device> {
    let interfaces = Interfaces::of(settings);
    let mut resolver = Resolver { settings, links, interfaces, found: LiteMap::new() };
    for zone in &settings.zones {
        for pattern in &zone.devices {
            match pattern.strip_suffix('+') {
                Some(prefix) => {
                    for link in links.iter().filter(|link| link.name.starts_with(prefix)) {
                        resolver.descend(link, &zone.name, &mut Vec::new());
                    }
                }
                None => resolver.start(pattern, &zone.name),
            }
        }
        let networks: Vec<&str> = zone.networks.iter().map(String::as_str).collect();
        for name in resolver.interfaces.devices(&networks) {
            resolver.start(&name, &zone.name);
        }
        for network in networks {
            if let Some(session) = links.named(&format!("pppoe-{network}")) {
                resolver.descend(session, &zone.name, &mut Vec::new());
            }
        }
    }
    resolver.found.into_iter().map(|(_, device)| device).collect()
}

/// Names of the devices by which the zones that lead outside are reached: those that masquerade, or
/// if none does, the one that is called `wan`.
pub fn uplinks(settings: &Settings, devices: &[Device]) -> DeviceNames {
    let masquerades =
        |name: &String| settings.zones.iter().any(|zone| zone.name == *name && zone.masq);
    let any = settings.zones.iter().any(|zone| zone.masq);
    let outside = |name: &String| if any { masquerades(name) } else { name == "wan" };
    let reached = devices.iter().filter(|device| device.zones.iter().any(outside));
    reached.map(|device| device.name.clone()).collect()
}

/// Names by which routing sees what comes from a zone and goes to it: what the firewall matches.
pub fn routed(settings: &Settings, links: &Links, zone: &str) -> DeviceNames {
    let interfaces = Interfaces::of(settings);
    let mut names = DeviceNames::new();
    for zone in settings.zones.iter().filter(|entry| entry.name == zone) {
        for pattern in &zone.devices {
            match pattern.strip_suffix('+') {
                Some(prefix) => {
                    let known = links.iter().map(|link| &link.name);
                    names.extend(known.filter(|name| name.starts_with(prefix)).cloned());
                }
                None => names.extend([pattern.clone()]),
            }
        }
        for network in &zone.networks {
            names.extend(interfaces.routed(network));
        }
    }
    names
}

struct Resolver<'a> {
    settings: &'a Settings,
    links: &'a Links,
    interfaces: Interfaces<'a>,
    found: LiteMap<String, Device>,
}

impl<'a> Resolver<'a> {
    fn start(&mut self, name: &str, zone: &str) {
        match self.links.named(name) {
            Some(link) => {
                self.descend(link, zone, &mut Vec::new());
            }
            None => {
                let absent = Coverage::Off(Reason::DeviceAbsent, String::new());
                self.add(name, None, zone, &[], absent);
            }
        }
    }

    /// Adds `link` and what it stands on; returns the names of the lowest devices.
    fn descend(&mut self, link: &Link, zone: &str, path: &mut Vec<String>) -> Vec<String> {
        // The kernel allows names that are not UTF-8, but we cannot say them back to it.
        let nameless = link.name.contains(char::REPLACEMENT_CHARACTER);
        if link.loopback || nameless || path.len() >= DEPTH_MAX || path.contains(&link.name) {
            return Vec::new();
        }
        let below: Vec<&Link> = match link.kind.as_str() {
            "bridge" => self.links.ports_of(link.index).collect(),
            "vlan" if !link.lower_elsewhere => {
                link.lower.and_then(|lower| self.links.indexed(lower)).into_iter().collect()
            }
            "ppp" => self.below_session(&link.name),
            _ => Vec::new(),
        };
        path.push(link.name.clone());
        let mut lowest: Vec<String> = Vec::new();
        for lower in below {
            for name in self.descend(lower, zone, path) {
                if !lowest.contains(&name) {
                    lowest.push(name);
                }
            }
        }
        path.pop();
        let coverage = match link.kind.as_str() {
            "vlan" if link.lower_elsewhere => Coverage::Off(Reason::LowerElsewhere, String::new()),
            "bridge" | "vlan" if path.is_empty() && self.hides_wireless(&lowest) => {
                self.allowed(&link.name, path)
            }
            "bridge" | "vlan" if lowest.is_empty() => Coverage::Off(Reason::NoLower, String::new()),
            "bridge" | "vlan" => Coverage::Off(Reason::LowerCovered, lowest.join(" ")),
            "ppp" if !lowest.is_empty() => Coverage::Off(Reason::LowerCovered, lowest.join(" ")),
            _ => {
                lowest.push(link.name.clone());
                self.allowed(&link.name, path)
            }
        };
        self.add(&link.name, Some(link), zone, path, coverage);
        lowest
    }

    /// True when the kernel may be unable to look through the device that routing sees down to these:
    /// most Wi-Fi drivers that take 802.3 frames name no forwarding path (`ieee80211_netdev_fill_
    /// forward_path` fails), and then kernels before 6.19 file a flow under the device that routing
    /// sees. Packets come by it a second time, behind the lowest; from 6.19 on it finds nothing there.
    fn hides_wireless(&self, lowest: &[String]) -> bool {
        lowest.iter().any(|name| {
            let covered = self
                .found
                .get(name)
                .is_some_and(|device| matches!(device.coverage, Coverage::Covered { .. }));
            covered && self.links.named(name).is_some_and(|link| link.wireless)
        })
    }

    /// What the user allows for a lowest device: the first section that matches its own name, else
    /// the first that matches a device above it, the nearest first.
    fn allowed(&self, name: &str, path: &[String]) -> Coverage {
        let names = std::iter::once(name).chain(path.iter().rev().map(String::as_str));
        let rule = names.into_iter().find_map(|name| {
            self.settings.device_rules.iter().find(|rule| glob::matches(&rule.glob, name))
        });
        match rule {
            None => Coverage::Covered { hardware: true },
            Some(rule) => match rule.offload {
                DeviceOffload::Auto | DeviceOffload::Hardware => {
                    Coverage::Covered { hardware: true }
                }
                DeviceOffload::Software => Coverage::Covered { hardware: false },
                DeviceOffload::Off => Coverage::Off(Reason::DeviceOverride, rule.glob.clone()),
            },
        }
    }

    /// The devices below a PPPoE session: it has no link to them in rtnetlink, but netifd names it
    /// after its interface. The kernel puts no session on another one, whatever the settings say.
    fn below_session(&self, session: &str) -> Vec<&'a Link> {
        let Some(network) = session.strip_prefix("pppoe-") else { return Vec::new() };
        let interface = self.interfaces.named(network).filter(|entry| entry.proto == "pppoe");
        let Some(interface) = interface else { return Vec::new() };
        let names = self.interfaces.devices(&[&interface.name]);
        let links = names.iter().filter_map(|name| self.links.named(name));
        links.filter(|link| link.kind != "ppp").collect()
    }

    fn add(
        &mut self,
        name: &str,
        link: Option<&Link>,
        zone: &str,
        path: &[String],
        coverage: Coverage,
    ) {
        let device = self.found.entry(name.to_owned()).or_insert_with(|| Device {
            name: name.to_owned(),
            ifindex: link.map(|link| link.index),
            kind: link.map(|link| link.kind.clone()).unwrap_or_default(),
            zones: Vec::new(),
            upper: Vec::new(),
            coverage: coverage.clone(),
        });
        insert_sorted(&mut device.zones, zone);
        for upper in path {
            insert_sorted(&mut device.upper, upper);
        }
        // A device reached by two ways carries the traffic of both: the more permissive way wins.
        match (&device.coverage, &coverage) {
            (Coverage::Off(..), Coverage::Covered { .. })
            | (Coverage::Covered { hardware: false }, Coverage::Covered { hardware: true }) => {
                device.coverage = coverage;
            }
            _ => (),
        }
    }
}

fn insert_sorted(list: &mut Vec<String>, item: &str) {
    if let Err(position) = list.binary_search_by(|entry| entry.as_str().cmp(item)) {
        list.insert(position, item.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::links::tests::link;
    use crate::core::settings::{DeviceRule, Interface, Zone};

    fn settings(zones: &[(&str, &[&str])], interfaces: &[(&str, &str, &[&str])]) -> Settings {
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Settings {
            zones: zones
                .iter()
                .map(|(name, networks)| Zone {
                    name: (*name).into(),
                    networks: strings(networks),
                    ..Zone::default()
                })
                .collect(),
            interfaces: interfaces
                .iter()
                .map(|(name, proto, devices)| Interface {
                    name: (*name).into(),
                    proto: (*proto).into(),
                    devices: strings(devices),
                })
                .collect(),
            ..Settings::default()
        }
    }

    fn kind(index: u32, name: &str, kind: &str, lower: Option<u32>) -> Link {
        Link { kind: kind.into(), lower, ..link(index, name) }
    }

    fn port(index: u32, name: &str, master: u32) -> Link {
        Link { master: Some(master), ..link(index, name) }
    }

    fn covered(devices: &[Device]) -> Vec<&str> {
        let hooked = |device: &&Device| matches!(device.coverage, Coverage::Covered { .. });
        devices.iter().filter(hooked).map(|device| device.name.as_str()).collect()
    }

    fn find<'a>(devices: &'a [Device], name: &str) -> &'a Device {
        devices.iter().find(|device| device.name == name).unwrap()
    }

    fn links(list: Vec<Link>) -> Links {
        let mut links = Links::default();
        links.replace(list);
        links
    }

    fn two_zones() -> Settings {
        settings(
            &[("lan", &["lan"]), ("wan", &["wan", "wan6"])],
            &[
                ("lan", "static", &["br-lan"]),
                ("wan", "dhcp", &["wan0"]),
                ("wan6", "dhcpv6", &["@wan"]),
            ],
        )
    }

    #[test]
    fn bridge_ports_stand_in_for_the_bridge() {
        let links = links(vec![
            kind(2, "br-lan", "bridge", None),
            port(3, "lan1", 2),
            port(4, "lan2", 2),
            link(5, "wan0"),
            link(6, "other"),
        ]);
        let devices = resolve(&two_zones(), &links);
        assert_eq!(covered(&devices), ["lan1", "lan2", "wan0"]);
        let bridge = find(&devices, "br-lan");
        assert_eq!(bridge.coverage, Coverage::Off(Reason::LowerCovered, "lan1 lan2".into()));
        assert_eq!(find(&devices, "lan1").upper, ["br-lan"]);
        assert_eq!(find(&devices, "wan0").zones, ["wan"]);
    }

    #[test]
    fn vlans_lead_to_the_device_below_on_ports_and_bridges() {
        let links = links(vec![
            kind(2, "br-lan", "bridge", None),
            Link { master: Some(2), ..kind(3, "eth0.10", "vlan", Some(4)) },
            link(4, "eth0"),
            kind(5, "wan0", "vlan", Some(6)),
            link(6, "eth1"),
        ]);
        let devices = resolve(&two_zones(), &links);
        assert_eq!(covered(&devices), ["eth0", "eth1"]);
        assert_eq!(find(&devices, "eth0").upper, ["br-lan", "eth0.10"]);
    }

    #[test]
    fn absent_devices_are_named() {
        let devices = resolve(&two_zones(), &links(vec![link(5, "wan0")]));
        assert_eq!(covered(&devices), ["wan0"]);
        let bridge = find(&devices, "br-lan");
        assert_eq!(bridge.ifindex, None);
        assert_eq!(bridge.coverage, Coverage::Off(Reason::DeviceAbsent, String::new()));
    }

    #[test]
    fn a_bridge_without_ports_says_so() {
        let devices = resolve(&two_zones(), &links(vec![kind(2, "br-lan", "bridge", None)]));
        let bridge = find(&devices, "br-lan");
        assert_eq!(bridge.coverage, Coverage::Off(Reason::NoLower, String::new()));
    }

    #[test]
    fn overrides_reach_devices_through_their_bridge() {
        let links = links(vec![
            kind(2, "br-lan", "bridge", None),
            port(3, "lan1", 2),
            port(4, "lan2", 2),
            link(5, "wan0"),
        ]);
        let rule = |glob: &str, offload| DeviceRule { glob: glob.into(), offload };
        let mut settings = two_zones();
        settings.device_rules =
            vec![rule("lan1", DeviceOffload::Software), rule("br-*", DeviceOffload::Off)];
        let devices = resolve(&settings, &links);
        assert_eq!(covered(&devices), ["lan1", "wan0"]);
        assert_eq!(find(&devices, "lan1").coverage, Coverage::Covered { hardware: false });
        let off = Coverage::Off(Reason::DeviceOverride, "br-*".into());
        assert_eq!(find(&devices, "lan2").coverage, off);
    }

    #[test]
    fn pppoe_leads_to_its_ethernet_device() {
        let settings = settings(&[("wan", &["wan"])], &[("wan", "pppoe", &["eth1.7"])]);
        let links = links(vec![
            kind(2, "eth1.7", "vlan", Some(3)),
            link(3, "eth1"),
            kind(4, "pppoe-wan", "ppp", None),
        ]);
        let devices = resolve(&settings, &links);
        assert_eq!(covered(&devices), ["eth1"]);
        assert_eq!(find(&devices, "eth1").upper, ["eth1.7", "pppoe-wan"]);
        let session = &find(&devices, "pppoe-wan").coverage;
        assert_eq!(*session, Coverage::Off(Reason::LowerCovered, "eth1".into()));

        // A zone may name the session's device in place of the interface.
        let mut settings = settings;
        settings.zones[0].networks.clear();
        settings.zones[0].devices = vec!["pppoe-wan".into()];
        assert_eq!(covered(&resolve(&settings, &links)), ["eth1"]);

        // Without its interface nobody knows what is below it.
        settings.interfaces.clear();
        assert_eq!(covered(&resolve(&settings, &links)), ["pppoe-wan"]);
    }

    #[test]
    fn tunnels_cover_themselves_and_modems_have_no_device() {
        let settings = settings(
            &[("vpn", &["wg0", "gone", "modem"])],
            &[("wg0", "wireguard", &[]), ("modem", "qmi", &["/dev/cdc-wdm0"])],
        );
        let devices = resolve(&settings, &links(vec![kind(7, "wg0", "wireguard", None)]));
        assert_eq!(covered(&devices), ["wg0"]);
        assert_eq!(devices.len(), 1);
    }

    #[test]
    fn zone_devices_with_a_plus_match_by_prefix() {
        let mut settings = Settings::default();
        settings.zones.push(Zone {
            name: "vpn".into(),
            devices: vec!["tun+".into(), "eth9".into()],
            ..Zone::default()
        });
        let devices = resolve(&settings, &links(vec![link(2, "tun0"), link(3, "tun1")]));
        assert_eq!(covered(&devices), ["tun0", "tun1"]);
        assert_eq!(find(&devices, "eth9").ifindex, None);
    }

    #[test]
    fn uplinks_are_what_the_masquerading_zones_lead_to() {
        let links = links(vec![
            kind(2, "br-lan", "bridge", None),
            port(3, "lan1", 2),
            kind(4, "wan0", "vlan", Some(5)),
            link(5, "eth0"),
        ]);
        let mut settings = two_zones();
        let names = |settings: &Settings| {
            let devices = resolve(settings, &links);
            uplinks(settings, &devices).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(names(&settings), ["eth0", "wan0"], "no zone masquerades, one is called wan");
        settings.zones[0].masq = true;
        assert_eq!(names(&settings), ["br-lan", "lan1"]);
    }

    #[test]
    fn what_routing_sees_above_a_radio_is_covered_too() {
        let radio = |index, master| Link { wireless: true, ..port(index, "phy0-ap0", master) };
        let bridge =
            || vec![kind(2, "br-lan", "bridge", None), port(3, "lan1", 2), link(5, "wan0")];
        let with = |more: &[Link]| links([bridge(), more.to_vec()].concat());
        let settings = two_zones();
        let devices = resolve(&settings, &with(&[radio(4, 2)]));
        assert_eq!(covered(&devices), ["br-lan", "lan1", "phy0-ap0", "wan0"]);

        let vlan = kind(6, "br-lan.10", "vlan", Some(2));
        let mut tagged = settings.clone();
        tagged.interfaces[0].devices = vec!["br-lan.10".into()];
        let devices = resolve(&tagged, &with(&[radio(4, 2), vlan]));
        assert_eq!(covered(&devices), ["br-lan.10", "lan1", "phy0-ap0", "wan0"]);

        let mut off = settings.clone();
        let rule = DeviceRule { glob: "phy*".into(), offload: DeviceOffload::Off };
        off.device_rules = vec![rule];
        let devices = resolve(&off, &with(&[radio(4, 2)]));
        assert_eq!(covered(&devices), ["lan1", "wan0"], "nothing of the radio's is offloaded");
    }

    #[test]
    fn loops_end() {
        let settings = settings(
            &[("lan", &["a"])],
            &[("a", "static", &["@b", "x"]), ("b", "static", &["@a"])],
        );
        let links = links(vec![kind(2, "x", "vlan", Some(3)), kind(3, "y", "vlan", Some(2))]);
        assert_eq!(covered(&resolve(&settings, &links)), Vec::<&str>::new());
    }

    /// What settings say of sessions must not multiply either: eight, each on all others.
    #[test]
    fn sessions_stand_on_no_sessions() {
        let names: Vec<String> = (0..8).map(|number| format!("pppoe-s{number}")).collect();
        let mut below: Vec<&str> = names.iter().map(String::as_str).collect();
        below.push("eth0");
        let networks: Vec<&str> = below[..8].iter().map(|name| &name["pppoe-".len()..]).collect();
        let sessions: Vec<_> =
            networks.iter().map(|network| (*network, "pppoe", below.as_slice())).collect();
        let settings = settings(&[("wan", &networks)], &sessions);
        let session = |(index, name): (u32, &String)| kind(index, name, "ppp", None);
        let mut list: Vec<Link> = (10..).zip(&names).map(session).collect();
        list.push(link(2, "eth0"));
        let devices = resolve(&settings, &links(list));
        assert_eq!(covered(&devices), ["eth0"]);
        let lower = Coverage::Off(Reason::LowerCovered, "eth0".into());
        assert_eq!(find(&devices, "pppoe-s3").coverage, lower);
        assert_eq!(find(&devices, "pppoe-s3").upper, Vec::<String>::new());
    }

    #[test]
    fn a_port_reached_twice_is_named_once() {
        let links = links(vec![
            kind(2, "br-lan", "bridge", None),
            Link { master: Some(2), ..kind(3, "eth0.10", "vlan", Some(5)) },
            Link { master: Some(2), ..kind(4, "eth0.20", "vlan", Some(5)) },
            link(5, "eth0"),
        ]);
        let devices = resolve(&two_zones(), &links);
        let bridge = Coverage::Off(Reason::LowerCovered, "eth0".into());
        assert_eq!(find(&devices, "br-lan").coverage, bridge);
    }
}
