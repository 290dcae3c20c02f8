// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables as a test may look at them, with addresses whole and entries taken apart.

use super::host::Host;
use super::napt::{Action, Napt, Nat};
use super::{direct, napt, Options, Qca8337};
use hw_drivers::flow::Mac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// An entry of the NAPT table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NaptEntry {
    /// Its place.
    pub index: usize,
    /// The end in the Internet.
    pub remote: (Ipv4Addr, u16),
    /// The end in the LAN.
    pub private: (Ipv4Addr, u16),
    /// Number of the public address.
    pub public: u8,
    /// The port at the public address.
    pub translated: u16,
    /// 0 TCP, 1 UDP, 2 other, 3 GRE.
    pub protocol: u8,
    /// What is done with its packets.
    pub action: Action,
    /// The counter that counts it, 0 to 7.
    pub counter: Option<u8>,
    /// 1 aged out, 0xe fresh, 0xf static.
    pub age: u8,
}

/// An entry of the NAT table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatEntry {
    /// Its place.
    pub index: usize,
    /// Address on the Internet's side.
    pub public: Ipv4Addr,
    /// Address on the LAN's side.
    pub private: Ipv4Addr,
    /// First port and how many, if it is for some only.
    pub ports: Option<(u16, u8)>,
    /// 0 TCP, 1 UDP, 2 both, 3 any.
    pub protocol: u8,
}

/// An entry of the host table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostEntry {
    /// Its place, which rules name.
    pub index: usize,
    /// Its address.
    pub address: IpAddr,
    /// Where frames to it go.
    pub mac: Mac,
    /// The port they leave by; 7 for none.
    pub port: u8,
    /// The interface that they leave from, 0 to 7.
    pub interface: u8,
    /// What is added to the interface's lowest VLAN.
    pub vlan_offset: u16,
    /// Number of the PPPoE session they are put into.
    pub pppoe: Option<u8>,
    /// The counter that counts them, 0 to 15.
    pub counter: Option<u8>,
    /// What is done with packets to it.
    pub action: Action,
    /// 1 aged out, 6 fresh, 7 static.
    pub age: u8,
}

impl Qca8337 {
    /// How the chip is.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What the page register holds.
    pub fn page(&self) -> u16 {
        self.front.page()
    }

    /// The page that the kernel's driver takes to be in force, if it remembers one.
    pub fn kernel_page(&self) -> Option<u16> {
        self.kernel_page
    }

    /// Transfers through the bus since the beginning.
    pub fn transfers(&self) -> u32 {
        self.transfers
    }

    /// Time passed since the beginning.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Commands that came while the engine was busy or flushing, and were ignored.
    pub fn ignored_commands(&self) -> u32 {
        self.engine.ignored
    }

    /// Number of valid NAPT entries.
    pub fn napt_used(&self) -> usize {
        self.tables.napt.iter().count()
    }

    /// The NAPT entries, by place.
    pub fn napt_entries(&self) -> Vec<NaptEntry> {
        let whole = |stored| direct::whole(&self.registers, self.options.model, stored).into();
        let entry = |(index, words)| {
            let entry = Napt::of(self.options.model, words);
            NaptEntry {
                index,
                remote: (entry.remote.into(), entry.remote_port),
                private: (whole(entry.private), entry.private_port),
                public: entry.public,
                translated: entry.translated,
                protocol: entry.protocol,
                action: entry.action,
                counter: entry.counter,
                age: entry.age,
            }
        };
        self.tables.napt.iter().map(entry).collect()
    }

    /// The valid NAT entries, by place.
    pub fn nat_entries(&self) -> Vec<NatEntry> {
        let whole = |stored| direct::whole(&self.registers, self.options.model, stored).into();
        let entry = |(index, words)| {
            let entry = Nat::of(self.options.model, words);
            entry.valid.then(|| NatEntry {
                index,
                public: entry.public.into(),
                private: whole(entry.private),
                ports: entry.port_enabled.then_some((entry.port, entry.range)),
                protocol: entry.protocol,
            })
        };
        self.tables.nat.iter().filter_map(entry).collect()
    }

    /// The valid host entries, by place.
    pub fn host_entries(&self) -> Vec<HostEntry> {
        let entry = |(index, words)| {
            let host = Host::of(self.options.model, words);
            let [low, ..] = host.address;
            let address = match host.v6 {
                true => Ipv6Addr::from(
                    host.address
                        .iter()
                        .rev()
                        .fold(0, |whole, word| whole << 32 | u128::from(*word)),
                )
                .into(),
                false => Ipv4Addr::from(low).into(),
            };
            (host.age != 0).then_some(HostEntry {
                index,
                address,
                mac: host.mac,
                port: host.port,
                interface: napt::small(u32::from(host.interface), 0, 3),
                vlan_offset: host.interface >> 3,
                pppoe: host.pppoe,
                counter: host.counter,
                action: host.action,
                age: host.age,
            })
        };
        self.tables.hosts.iter().filter_map(entry).collect()
    }
}
