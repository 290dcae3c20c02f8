// SPDX-License-Identifier: GPL-2.0-or-later
//! Wires, bridges, VLANs and hosts. The router is the namespace that this process runs in.

use super::LAB_DIR;
use crate::command::{run, run_with_input};
use crate::error::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Name of the namespace that plays the router.
pub const ROUTER: &str = "router";

/// The lab's own module of ports that flows can be offloaded to.
pub const PORTS_MODULE: &str = "labhw";
/// The lab's own module of a switch behind MDIO.
pub const SWITCH_MODULE: &str = "labmdio";

/// Switches that OpenWrt has on.
const ROUTER_SYSCTLS: [(&str, &str); 4] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/netfilter/nf_conntrack_acct", "1"),
    ("net/netfilter/nf_conntrack_tcp_be_liberal", "0"),
];

/// `ip` with lines of its batch mode, in this namespace or another.
pub(super) fn ip(namespace: Option<&str>, batch: &str) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    run_with_input(command.args(["-batch", "-"]), batch).map(drop)
}

/// What a router has before it has any device.
pub fn prepare_router() -> Result<()> {
    for (key, value) in ROUTER_SYSCTLS {
        fs::write(format!("/proc/sys/{key}"), value).context(format!("setting {key}"))?;
    }
    ip(None, "link set lo up\n")
}

/// The namespace of a host, and a cable from its `eth0` to the router's `device`. A port with
/// hardware comes with a cable end of its own, called like it with a `c` behind.
pub fn cable(host: &str, device: &str, hardware: bool) -> Result<()> {
    let pair = if hardware {
        load(PORTS_MODULE)?;
        format!(
            "link add {device} type labhw\n\
             link set {device}c netns {host} name eth0\n"
        )
    } else {
        format!("link add {device} type veth peer name eth0 netns {host}\n")
    };
    ip(None, &format!("netns add {host}\n{pair}link set {device} up\n"))
}

/// A simulated switch behind a real MDIO bus, reached by the ioctls of `device`.
pub fn switch(device: &str) -> Result<()> {
    load(SWITCH_MODULE)?;
    ip(None, &format!("link add {device} type labmdio\nlink set {device} up\n"))
}

/// Loads one of the lab's own modules, unless it is there.
fn load(module: &str) -> Result<()> {
    if Path::new("/sys/module").join(module).exists() {
        return Ok(());
    }
    run(Command::new("insmod").arg(file_of(module))).map(drop)
}

/// Was this module of the lab's own built for the kernel that runs?
pub fn has_module(module: &str) -> bool {
    Path::new(&file_of(module)).exists()
}

fn file_of(module: &str) -> String {
    format!("{LAB_DIR}/{module}.ko")
}

/// The addresses and routes of a host.
pub fn host(name: &str, vlan: Option<u16>, addresses: &[String], via: &[String]) -> Result<()> {
    let mut batch = String::from("link set lo up\nlink set eth0 up\n");
    let talks_on = match vlan {
        Some(id) => {
            let _ = writeln!(batch, "link add link eth0 name eth0.{id} type vlan id {id}");
            let _ = writeln!(batch, "link set eth0.{id} up");
            format!("eth0.{id}")
        }
        None => "eth0".to_string(),
    };
    for address in addresses {
        let _ = writeln!(batch, "{}", address_line(&talks_on, address));
    }
    for gateway in via {
        let _ = writeln!(batch, "route add default via {gateway} dev {talks_on}");
    }
    ip(Some(name), &batch)
}

fn address_line(device: &str, address: &str) -> String {
    // Duplicate address detection would make the first seconds of every scenario useless.
    let nodad = if address.contains(':') { " nodad" } else { "" };
    format!("address add {address} dev {device}{nodad}")
}

/// Gives a device of the router its addresses.
pub fn address(device: &str, addresses: &[String]) -> Result<()> {
    let mut batch = String::new();
    for address in addresses {
        let _ = writeln!(batch, "{}", address_line(device, address));
    }
    ip(None, &batch)
}

/// Makes a bridge and adds its ports.
pub fn bridge(name: &str, ports: &[String]) -> Result<()> {
    let mut batch = format!("link add {name} type bridge\nlink set {name} up\n");
    for port in ports {
        let _ = writeln!(batch, "link set {port} master {name}");
    }
    ip(None, &batch)
}

/// Makes the VLAN device `LOWER.ID`.
pub fn vlan(lower: &str, id: u16) -> Result<()> {
    ip(
        None,
        &format!(
            "link add link {lower} name {lower}.{id} type vlan id {id}\nlink set {lower}.{id} up\n"
        ),
    )
}
