// SPDX-License-Identifier: GPL-2.0-or-later
//! What a simulated switch would do with the packets of the scenario's flows. The module `labmdio`
//! forwards nothing, so what its chip holds is read past the bus and loaded into the simulator of that
//! chip, which was written from facts and not from a driver; there packets of the flows go in by one
//! port and have to come out by the other as the kernel would send them.

use super::flow::Flow;
use super::mdio::image;
use super::probe::Ends;
use super::switch_ports::{self, Place};
use crate::command::run;
use crate::error::{Context, Result};
use hw_drivers::flow::Protocol;
use hw_simulators::frame::{Frame, Packet};
use hw_simulators::qca8337::{NaptEntry, Options, Qca8337};
use hw_simulators::Chip;
use serde_json::{json, Value as Json};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

const MOD_ENABLE: u32 = 0x30;
const L3_EN: u32 = 1 << 2;
const ROUTER_CTRL: u32 = 0xe00;
const ROUTER_EN: u32 = 1;
const NAT_CTRL: u32 = 0xe38;
const NAPT_EN: u32 = 1;

/// Ends of what is not plain memory: identification, the table engine, counters.
const NOT_LOADED: [std::ops::RangeInclusive<u32>; 5] =
    [0x0..=0x0, 0xe44..=0xe44, 0xe58..=0xe58, 0xe80..=0xe98, 0x2_b000..=0x2_b07c];

/// A flow whose ends are on ports of the switch.
struct Talk {
    name: String,
    protocol: Protocol,
    ends: Ends,
    opener: Place,
    answerer: Place,
}

/// The names of the flows whose packets the switch would forward, one for each of its entries, sorted.
/// An entry that is no flow's is told by its addresses, and what is wrong with one that is by words
/// behind the name.
pub fn entries(
    device: &str,
    flows: &BTreeMap<String, Flow>,
    devices: &BTreeMap<String, String>,
) -> Result<Json> {
    let talks = talks(device, flows, devices)?;
    let mut chip = chip(device, &talks)?;
    let entries = chip.napt_entries();
    let mut told: Vec<String> =
        entries.iter().map(|entry| told(&mut chip, entry, &talks)).collect();
    told.sort();
    Ok(json!(told))
}

/// Packets of a flow meet its entry: it ages no more than by that, in the chip too.
pub fn meet(
    device: &str,
    name: &str,
    flows: &BTreeMap<String, Flow>,
    devices: &BTreeMap<String, String>,
) -> Result<()> {
    let talks = talks(device, flows, devices)?;
    let talk = talks.iter().find(|talk| talk.name == name);
    let talk = talk.context("conntrack knows no such flow between ports of the switch")?;
    let mut chip = chip(device, &talks)?;
    let met = |entry: &&NaptEntry| is_for(entry, talk);
    let index = chip.napt_entries().iter().find(met).map(|entry| entry.index);
    let index = index.context("the switch has no entry for it")?;
    chip.receive(talk.opener.port, &talk.sent().emit());
    let after = chip.napt_entries().into_iter().find(|entry| entry.index == index);
    let age = after.context("the entry is gone")?.age;
    super::mdio::switch(device, "napt_age", &format!("{age} {index}"))
}

/// The valid entries of the chip, forwarding or not.
pub fn connections(device: &str) -> Result<Vec<NaptEntry>> {
    Ok(chip(device, &[])?.napt_entries())
}

/// Whether the switches of the engine are all on, or all off.
pub fn engine(device: &str) -> Result<Json> {
    let registers = registers(device)?;
    let register = |at: u32| {
        let place = usize::try_from(at / 4).ok();
        place.and_then(|place| registers.get(place)).copied().context("a register")
    };
    let switches = [
        register(MOD_ENABLE)? & L3_EN != 0,
        register(ROUTER_CTRL)? & ROUTER_EN != 0,
        register(NAT_CTRL)? & NAPT_EN != 0,
    ];
    Ok(match switches {
        [true, true, true] => json!("on"),
        [false, false, false] => json!("off"),
        _ => json!(switches),
    })
}

fn registers(device: &str) -> Result<Vec<u32>> {
    let path = format!("/sys/class/net/{device}/labmdio/registers");
    let bytes = fs::read(&path).context(&path)?;
    let words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok());
    Ok(words.map(u32::from_ne_bytes).collect())
}

/// The simulator with all that the switch holds; untagged frames are in the VLANs of the ports.
fn chip(device: &str, talks: &[Talk]) -> Result<Qca8337> {
    let mut options = Options::default();
    for place in talks.iter().flat_map(|talk| [&talk.opener, &talk.answerer]) {
        if let Some(pvid) = options.layer2.pvid.get_mut(usize::from(place.port)) {
            *pvid = place.vlan;
        }
    }
    let mut chip = Qca8337::new(options);
    for (at, value) in (0..).step_by(4).zip(registers(device)?) {
        if value != 0 && !NOT_LOADED.iter().any(|range| range.contains(&at)) {
            chip.set_register(at, value);
        }
    }
    for (index, words) in image(device, "napt")?.into_iter().enumerate() {
        let [.., age, _, _] = words;
        if age & 0xf != 0 {
            chip.place_napt(index, words);
        }
    }
    for (index, words) in image(device, "hosts")?.into_iter().enumerate() {
        let [.., state] = words;
        if state & 0x7000 != 0 {
            chip.place_host(index, words);
        }
    }
    Ok(chip)
}

/// The flows of IPv4 that conntrack knows and whose hosts are on ports of the switch.
fn talks(
    device: &str,
    flows: &BTreeMap<String, Flow>,
    devices: &BTreeMap<String, String>,
) -> Result<Vec<Talk>> {
    let mut places = switch_ports::Places::of(device, devices)?;
    let listing = run(Command::new("conntrack").args(["-L", "-f", "ipv4"]))?;
    let mut talks = Vec::new();
    for (name, flow) in flows.iter().filter(|(_, flow)| !flow.kind.v6) {
        let word = if flow.kind.tcp { "tcp " } else { "udp " };
        let lines = listing.lines().filter(|line| line.starts_with(word));
        let mut ends = lines.filter_map(Ends::of_line);
        let Some(ends) = ends.find(|ends| ends.called.port() == flow.port) else { continue };
        let opener = places.find(&flow.from, ends.called.ip())?;
        let answerer = places.find(&flow.to, ends.caller.ip())?;
        let (Some(opener), Some(answerer)) = (opener, answerer) else { continue };
        let protocol = if flow.kind.tcp { Protocol::Tcp } else { Protocol::Udp };
        talks.push(Talk { name: name.clone(), protocol, ends, opener, answerer });
    }
    Ok(talks)
}

/// The entry is for this connection, translated as conntrack has it.
fn is_for(entry: &NaptEntry, talk: &Talk) -> bool {
    let Ends { client, called, caller, server } = talk.ends;
    let (private, remote, public) =
        if client == caller { (server, client, called) } else { (client, server, caller) };
    let code = match talk.protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => 1,
    };
    entry.protocol == code
        && SocketAddr::from(entry.private) == private
        && SocketAddr::from(entry.remote) == remote
        && entry.translated == public.port()
}

/// What there is to tell of an entry.
fn told(chip: &mut Qca8337, entry: &NaptEntry, talks: &[Talk]) -> String {
    let Some(talk) = talks.iter().find(|talk| is_for(entry, talk)) else {
        let (private, remote) = (SocketAddr::from(entry.private), SocketAddr::from(entry.remote));
        let protocol = match entry.protocol {
            0 => "tcp",
            1 => "udp",
            _ => "?",
        };
        return format!("{protocol} {private} {remote} as {}", entry.translated);
    };
    let mut text = talk.name.clone();
    let ways = [
        ("there", talk.opener.port, talk.sent(), (talk.answerer.port, talk.forwarded())),
        ("back", talk.answerer.port, talk.answered(), (talk.opener.port, talk.returned())),
    ];
    for (way, port, sent, wanted) in ways {
        let outs = chip.receive(port, &sent.emit());
        let seen: Vec<_> = outs.iter().map(|out| (out.port, Frame::parse(&out.bytes))).collect();
        match seen.as_slice() {
            [(port, Some(frame))] if (*port, frame) == (wanted.0, &wanted.1) => {}
            [] => text.push_str(&format!(" ({way}: lost)")),
            [(port, _)] if *port == chip.cpu_port() => {
                text.push_str(&format!(" ({way}: left to the processor)"));
            }
            other => text.push_str(&format!(" ({way}: {other:?} and not {wanted:?})")),
        }
    }
    text
}

impl Talk {
    /// A packet as the host sends it that opened the connection.
    fn sent(&self) -> Frame {
        self.frame(64, self.opener.inwards(), self.ends.client, self.ends.called)
    }

    /// The same as it is to arrive.
    fn forwarded(&self) -> Frame {
        self.frame(63, self.answerer.outwards(), self.ends.caller, self.ends.server)
    }

    /// A packet as the other host sends it.
    fn answered(&self) -> Frame {
        self.frame(64, self.answerer.inwards(), self.ends.server, self.ends.caller)
    }

    /// The same as it is to arrive.
    fn returned(&self) -> Frame {
        self.frame(63, self.opener.outwards(), self.ends.called, self.ends.client)
    }

    fn frame(
        &self,
        ttl: u8,
        [source, destination]: [hw_drivers::flow::Mac; 2],
        from: SocketAddr,
        to: SocketAddr,
    ) -> Frame {
        let packet = Packet { ttl, ..Packet::new(self.protocol, from, to) };
        Frame { destination, source, tags: Vec::new(), pppoe: None, packet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_drivers::flow::{Flow, Mac, Side, Tuple};
    use hw_drivers::qca8337::{Model, Options as DriverOptions, Qca8337 as Driver};
    use hw_drivers::table::{FlowTable, Network, Progress};
    use hw_simulators::Shared;
    use std::net::Ipv4Addr;

    fn talk(name: &str, port: u16) -> Talk {
        let server = SocketAddr::from((Ipv4Addr::new(203, 0, 113, 2), 7001));
        let lan = Place {
            port: 2,
            vlan: 1,
            host: Mac([2, 0, 0, 0, 1, 1]),
            router: Mac([2, 0, 0, 0, 1, 0]),
        };
        let wan = Place {
            port: 5,
            vlan: 2,
            host: Mac([2, 0, 0, 0, 2, 1]),
            router: Mac([2, 0, 0, 0, 2, 0]),
        };
        let ends = Ends {
            client: (Ipv4Addr::new(192, 168, 1, 2), port).into(),
            called: server,
            caller: (Ipv4Addr::new(203, 0, 113, 1), port + 1).into(),
            server,
        };
        Talk { name: name.into(), protocol: Protocol::Udp, ends, opener: lan, answerer: wan }
    }

    /// As the driver is asked to take it.
    fn flow(talk: &Talk) -> Flow {
        let side = |place: &Place| Side {
            port: place.port,
            vlan: place.vlan,
            tagged: false,
            neighbour: place.host,
            router: place.router,
            mtu: 1500,
            pppoe: None,
        };
        Flow {
            protocol: talk.protocol,
            original: Tuple { source: talk.ends.client, destination: talk.ends.called },
            reply: Tuple { source: talk.ends.server, destination: talk.ends.caller },
            opener: side(&talk.opener),
            answerer: side(&talk.answerer),
        }
    }

    #[test]
    fn entries_are_told_by_what_they_do() {
        let mut options = Options { napt_ways: 1024, ..Options::default() };
        options.layer2.pvid[5] = 2;
        let simulator = Shared::new(Qca8337::new(options));
        let mut driver = Driver::new(simulator.clone(), Model::Qca8337, DriverOptions::default());
        let public = vec![Ipv4Addr::new(203, 0, 113, 1)];
        let network = Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public };
        loop {
            match driver.set_up(&network).unwrap() {
                Progress::Done => break,
                Progress::More => (),
                Progress::Wait(time) => simulator.with(|chip| chip.pass(time)),
            }
        }
        let talks = [talk("dns", 40_000), talk("web", 41_000)];
        for talk in &talks {
            driver.insert(&flow(talk)).unwrap();
        }
        let told = |talks: &[Talk]| {
            simulator.with(|chip| {
                let entries = chip.napt_entries();
                let mut told: Vec<String> =
                    entries.iter().map(|entry| told(chip, entry, talks)).collect();
                told.sort();
                told
            })
        };
        assert_eq!(told(&talks), ["dns", "web"]);
        let [dns, web] = talks;
        let stale = "udp 192.168.1.2:41000 203.0.113.2:7001 as 41001";
        assert_eq!(told(&[talk("dns", 40_000)]), ["dns", stale]);
        // A host that has moved, one that has another address, and an engine that is off.
        let mut moved = talk("dns", 40_000);
        moved.opener.port = 3;
        let text = told(&[moved, web]).concat();
        assert!(text.starts_with("dns (there: left to the processor) (back: "), "{text}");
        let mut other = talk("dns", 40_000);
        other.answerer.host = Mac([2, 0, 0, 0, 2, 9]);
        let text = told(&[other, talk("web", 41_000)]).concat();
        assert!(text.contains("(there: [(5, ") && !text.contains("(back: "), "{text}");
        simulator.with(|chip| chip.set_register(ROUTER_CTRL, 0));
        let text = told(&[dns, talk("web", 41_000)]).concat();
        assert!(text.starts_with("dns (there: left to the processor) (back: left"), "{text}");
    }
}
