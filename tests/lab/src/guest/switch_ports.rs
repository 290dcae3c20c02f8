// SPDX-License-Identifier: GPL-2.0-or-later
//! Where hosts are on a simulated switch: the port by the daemon's configuration, the MAC addresses by
//! what the hosts themselves have and know.

use super::{mdio_bus, CONFIG_DIR};
use crate::command::run;
use crate::error::{Context, Error, Result};
use hw_drivers::flow::Mac;
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::process::Command;

/// A host at a port of the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The port's number on the chip.
    pub port: u8,
    /// VLAN of its untagged frames inside the chip.
    pub vlan: u16,
    /// The host's MAC address.
    pub host: Mac,
    /// The router's, as the host knows it.
    pub router: Mac,
}

impl Place {
    /// Source and destination of what the host sends to the router.
    pub fn inwards(&self) -> [Mac; 2] {
        [self.host, self.router]
    }

    /// Source and destination of what the router sends to the host.
    pub fn outwards(&self) -> [Mac; 2] {
        [self.router, self.host]
    }
}

/// Where all hosts are.
pub struct Places<'a> {
    ports: BTreeMap<String, (u8, u16)>,
    devices: &'a BTreeMap<String, String>,
    found: BTreeMap<(String, IpAddr), Option<Place>>,
}

impl Places<'_> {
    /// By the configuration of the switch that `device` leads to, and the device of each host.
    pub fn of<'a>(device: &str, devices: &'a BTreeMap<String, String>) -> Result<Places<'a>> {
        let path = format!("{CONFIG_DIR}/flowtable");
        let text = fs::read_to_string(&path).context(&path)?;
        let ways = [("device", device.to_string()), ("bus", mdio_bus::name(device)?)];
        Ok(Places { ports: ports(&text, &ways), devices, found: BTreeMap::new() })
    }

    /// Where a host is that talks to this address; `None` if its port is not one of the switch.
    pub fn find(&mut self, host: &str, peer: IpAddr) -> Result<Option<Place>> {
        let key = (host.to_string(), peer);
        if let Some(known) = self.found.get(&key) {
            return Ok(*known);
        }
        let device = self.devices.get(host).context(format!("no host {host}"))?;
        let place = match self.ports.get(device) {
            Some((port, vlan)) => {
                let (host, router) = (mac_of(host)?, router_of(host, peer)?);
                Some(Place { port: *port, vlan: *vlan, host, router })
            }
            None => None,
        };
        self.found.insert(key, place);
        Ok(place)
    }
}

/// The ports in the sections with one of these options, by device.
fn ports(text: &str, ways: &[(&str, String)]) -> BTreeMap<String, (u8, u16)> {
    let (mut all, mut section, mut ours) = (BTreeMap::new(), BTreeMap::new(), false);
    for line in text.lines().chain(["config end"]) {
        let words: Vec<&str> =
            line.split_whitespace().map(|word| word.trim_matches(['\'', '"'])).collect();
        match words.as_slice() {
            ["config", ..] => {
                let done = std::mem::take(&mut section);
                all.extend(done.into_iter().filter(|_| ours));
                ours = false;
            }
            ["option", name, value] => {
                ours |= ways.iter().any(|(way, wanted)| name == way && value == wanted);
            }
            ["list", "port", value] => section.extend(port(value)),
            _ => {}
        }
    }
    all
}

/// `DEVICE=PORT/VLAN`
fn port(text: &str) -> Option<(String, (u8, u16))> {
    let (device, place) = text.split_once('=')?;
    let (port, vlan) = place.split_once('/')?;
    Some((device.to_string(), (port.parse().ok()?, vlan.parse().ok()?)))
}

/// The word behind another one.
fn behind<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_whitespace().skip_while(|word| *word != key).nth(1)
}

fn ip(host: &str, args: &[&str]) -> Result<String> {
    run(Command::new("ip").args(["-n", host]).args(args))
}

fn mac_of(host: &str) -> Result<Mac> {
    let text = ip(host, &["link", "show", "eth0"])?;
    mac(behind(&text, "link/ether"), &text)
}

/// Where a host sends what is for `peer`.
fn router_of(host: &str, peer: IpAddr) -> Result<Mac> {
    let peer = peer.to_string();
    let route = ip(host, &["route", "get", &peer])?;
    let next = behind(&route, "via").unwrap_or(&peer);
    let text = ip(host, &["neigh", "show", next])?;
    mac(behind(&text, "lladdr"), &format!("{host}'s neighbour {next}: {text}"))
}

fn mac(word: Option<&str>, context: &str) -> Result<Mac> {
    let byte = |byte| u8::from_str_radix(byte, 16).ok();
    let bytes = word.and_then(|word| word.split(':').map(byte).collect::<Option<Vec<u8>>>());
    let mac = bytes.and_then(|bytes| bytes.try_into().map(Mac).ok());
    mac.ok_or_else(|| Error::new(format!("no MAC address: {context}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_the_switch() {
        let text = "config switch\n    option device 'sw0'\n    list port 'lan0=2/1'\n\
                    \x20   list port 'wan0=5/2'\nconfig switch\n    list port 'x=1/1'\n\
                    \x20   option device 'sw1'\nconfig switch 'named'\n\
                    \x20   option bus 'labmdio-0'\n    list port \"y=6/4094\"\n";
        let ways = |device: &str| [("device", device.to_string()), ("bus", "labmdio-0".into())];
        let own = |list: &[(&str, (u8, u16))]| {
            list.iter().map(|(name, place)| (name.to_string(), *place)).collect::<BTreeMap<_, _>>()
        };
        let by_device = own(&[("lan0", (2, 1)), ("wan0", (5, 2)), ("y", (6, 4094))]);
        assert_eq!(ports(text, &ways("sw0")), by_device);
        assert_eq!(ports(text, &ways("sw9")), own(&[("y", (6, 4094))]));
    }

    #[test]
    fn words_of_ip() {
        let link = "2: eth0@if3: <UP> mtu 1500\n    link/ether 9a:01:02:03:04:ff brd ff:ff:ff";
        assert_eq!(mac(behind(link, "link/ether"), "").unwrap(), Mac([0x9a, 1, 2, 3, 4, 0xff]));
        let route = "203.0.113.2 via 192.168.1.1 dev eth0 src 192.168.1.2 uid 0";
        assert_eq!(behind(route, "via"), Some("192.168.1.1"));
        assert!(mac(behind("192.168.1.1 dev eth0 FAILED", "lladdr"), "").is_err());
        assert!(mac(Some("9a:01:02:03:04"), "").is_err());
    }
}
