// SPDX-License-Identifier: GPL-2.0-or-later
//! `config switch` in `/etc/config/flowtable`: switch chips that are looked at or filled.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::error::Error;
use super::view::{View, Word};
use crate::core::settings::{SwitchDriver, SwitchPort, SwitchSettings, SwitchWay};

/// The options of a switch.
pub const KNOWN: [&str; 8] =
    ["name", "driver", "bus", "device", "force", "port", "private", "enabled"];

/// Switches read: routers have one, some boards two.
pub const MAX_SWITCHES: usize = 4;
/// People type the name, and it stands in the first column of a table.
const NAME_MAX: usize = 16;
/// Longest name that Linux gives an MDIO bus, bytes (`MII_BUS_ID_SIZE` in `linux/phy.h`, less the
/// final zero).
const BUS_MAX: usize = 60;
/// Longest name of a network device, bytes (`IFNAMSIZ` in `linux/if.h`, less the final zero).
const DEVICE_MAX: usize = 15;
/// All chips here have seven ports, those of the processor included.
const PORTS: RangeInclusive<u8> = 0..=6;
const VLANS: RangeInclusive<u16> = 1..=4094;
/// What is shorter is no private network, and what is longer has no room for a client.
const LENGTHS: RangeInclusive<u8> = 8..=30;
/// A port towards the LAN, and one to the Internet.
const PORTS_MIN: usize = 2;

const NAME: &str =
    "a name of at most 16 small letters, digits, '_' and '-' that no switch before has";
const DRIVER: &str = "qca8337, ar8327, mt7530 or mt7621";
const BUS: &str = "the name of an MDIO bus, as in /sys/class/mdio_bus";
const DEVICE: &str = "the name of a network device";
const ONE_WAY: &str = "it without option bus";
const NO_WAY: &str = "no way to the registers with driver mt7621, which the kernel drives";
const FORCE: &str = "it only with option device";
const PORT: &str =
    "DEVICE=PORT or DEVICE=PORT/VLAN with a port from 0 to 6 and a VLAN from 1 to 4094";
const PORT_ONCE: &str = "each device and each port number once";
const NO_PORT: &str = "no ports with driver mt7621, which the kernel drives";
const TWO_PORTS: &str = "two ports at least, one towards each side";
const PRIVATE: &str = "an IPv4 prefix as 192.168.1.0/24, of 8 to 30 bits, without bits of a host";
const NO_PRIVATE: &str = "it only with driver qca8337 or ar8327, which translate";
const FEWER: &str = "no more than 4 switches";

/// Reads one section behind those `before`; `None` when it is not enabled.
///
/// # Errors
/// A value is not accepted.
pub fn read(view: &View<'_>, before: &[SwitchSettings]) -> Result<Option<SwitchSettings>, Error> {
    if !view.boolean("enabled", true)? {
        return Ok(None);
    }
    let word = view.single("driver", DRIVER)?.ok_or_else(|| view.missing("driver"))?;
    let driver = SwitchDriver::ALL.into_iter().find(|driver| driver.name() == word.text);
    let driver = driver.ok_or_else(|| view.refuse("driver", &word, DRIVER))?;
    if before.len() >= MAX_SWITCHES {
        return Err(view.refuse("driver", &word, FEWER));
    }
    let name = view.single("name", NAME)?.unwrap_or_else(|| word.clone());
    if !is_name(&name.text) || before.iter().any(|switch| switch.name == name.text) {
        return Err(view.refuse("name", &name, NAME));
    }
    let way = way(view, driver)?;
    let force = view.boolean("force", false)?;
    if force && !matches!(way, Some(SwitchWay::Device(_))) {
        if let Some(word) = view.single("force", FORCE)? {
            return Err(view.refuse("force", &word, FORCE));
        }
    }
    let ports = ports(view, driver)?;
    let private = private(view, driver)?;
    Ok(Some(SwitchSettings { name: name.text, driver, way, force, ports, private }))
}

/// How its registers are reached: by exactly one of two options, unless the kernel does it.
fn way(view: &View<'_>, driver: SwitchDriver) -> Result<Option<SwitchWay>, Error> {
    let bus = checked(view, "bus", BUS, is_bus)?;
    let device = checked(view, "device", DEVICE, is_device)?;
    match (bus, device) {
        (bus, device) if driver == SwitchDriver::Mt7621 => {
            let named = bus.map(|bus| ("bus", bus)).or(device.map(|device| ("device", device)));
            named.map_or(Ok(None), |(option, word)| Err(view.refuse(option, &word, NO_WAY)))
        }
        (Some(_), Some(device)) => Err(view.refuse("device", &device, ONE_WAY)),
        (Some(bus), None) => Ok(Some(SwitchWay::Bus(bus.text))),
        (None, Some(device)) => Ok(Some(SwitchWay::Device(device.text))),
        (None, None) => Err(view.missing("bus' or 'device")),
    }
}

fn ports(view: &View<'_>, driver: SwitchDriver) -> Result<Vec<SwitchPort>, Error> {
    let mut ports: Vec<SwitchPort> = Vec::new();
    let words = view.words("port");
    for word in &words {
        let port = port(&word.text).ok_or_else(|| view.refuse("port", word, PORT))?;
        if driver == SwitchDriver::Mt7621 {
            return Err(view.refuse("port", word, NO_PORT));
        }
        if ports.iter().any(|other| other.device == port.device || other.port == port.port) {
            return Err(view.refuse("port", word, PORT_ONCE));
        }
        ports.push(port);
    }
    if !driver.is_filled() || ports.len() >= PORTS_MIN {
        return Ok(ports);
    }
    match words.last() {
        Some(word) => Err(view.refuse("port", word, TWO_PORTS)),
        None => Err(view.missing("port")),
    }
}

fn private(view: &View<'_>, driver: SwitchDriver) -> Result<Option<(Ipv4Addr, u8)>, Error> {
    let Some(word) = view.single("private", PRIVATE)? else { return Ok(None) };
    if !driver.is_filled() {
        return Err(view.refuse("private", &word, NO_PRIVATE));
    }
    prefix(&word.text).map(Some).ok_or_else(|| view.refuse("private", &word, PRIVATE))
}

/// The single value of an option, if it is one that can be.
fn checked(
    view: &View<'_>,
    option: &'static str,
    accepted: &'static str,
    good: impl Fn(&str) -> bool,
) -> Result<Option<Word>, Error> {
    match view.single(option, accepted)? {
        Some(word) if !good(&word.text) => Err(view.refuse(option, &word, accepted)),
        word => Ok(word),
    }
}

fn is_name(text: &str) -> bool {
    let legible = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(legible)
}

/// Could this be the name of a file in `/sys/class/mdio_bus`?
fn is_bus(text: &str) -> bool {
    (1..=BUS_MAX).contains(&text.len()) && is_word(text)
}

/// Does the kernel take this as the name of a network device?
fn is_device(text: &str) -> bool {
    (1..=DEVICE_MAX).contains(&text.len()) && is_word(text) && !text.contains(':')
}

fn is_word(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '/';
    text != "." && text != ".." && text.chars().all(plain)
}

/// A device's name may hold `=`, what stands behind the last one may not.
fn port(text: &str) -> Option<SwitchPort> {
    let (device, place) = text.rsplit_once('=')?;
    let (port, vlan) = place.split_once('/').unwrap_or((place, "1"));
    let port = digits(port).filter(|port| PORTS.contains(port))?;
    let vlan = digits(vlan).filter(|vlan| VLANS.contains(vlan))?;
    is_device(device).then(|| SwitchPort { device: device.to_owned(), port, vlan })
}

fn prefix(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length = digits(length).filter(|length| LENGTHS.contains(length))?;
    let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
    (u32::from(address) & host == 0).then_some((address, length))
}

/// A number without a sign.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
#[path = "switch_tests.rs"]
mod tests;
