// SPDX-License-Identifier: GPL-2.0-or-later
//! The QCA8337 driver on a real MDIO bus: set-up, flows in and out, the end. What the chip then
//! holds is looked at past the bus and read by the simulator's decoder, which was written from the facts
//! about the chip, so that the driver is not compared with itself.

use super::mdio::switch;
use super::mdio_bus::SwitchBus;
use super::switch::{connections, engine};
use crate::error::{Context, Result};
use crate::scenario::Beside;
use hw_drivers::flow::{Flow, Mac, Protocol, Side, Tuple};
use hw_drivers::qca8337::{Model, Options, Qca8337};
use hw_drivers::qca8k_page::PageAfter;
use hw_drivers::table::{self, Entry, FlowTable, Network, Progress};
use hw_simulators::qca8337::Action;
use serde_json::{json, Value as Json};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::thread;

const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const REMOTE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), 443);
const PRIVATE: (Ipv4Addr, u8) = (Ipv4Addr::new(192, 168, 1, 0), 24);
/// Hosts in the LAN; the flows take turns.
const HOSTS: u32 = 20;

/// What an entry of the chip says: protocol, private end, remote end, public port.
type Said = (u8, SocketAddrV4, SocketAddrV4, u16);

/// What is to be in the table for a flow of this number, and the flow.
fn flow(number: u32) -> Result<(Said, Flow)> {
    let number16 = u16::try_from(number).context("a number of a flow")?;
    let last = u8::try_from(2 + number % HOSTS).context("a host")?;
    let udp = number % 2 == 1;
    let inner = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, last), 40_000 + number16);
    let public = SocketAddrV4::new(PUBLIC, 20_000 + number16);
    let side = |port, vlan, last| {
        Side::ethernet(port, vlan, Mac([2, 0, 0, 0, port, last]), Mac([2, 0, 0, 0, 0xff, port]))
    };
    let flow = Flow {
        protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
        original: Tuple { source: SocketAddr::V4(inner), destination: SocketAddr::V4(REMOTE) },
        reply: Tuple { source: SocketAddr::V4(REMOTE), destination: SocketAddr::V4(public) },
        opener: side(2, 1, last),
        answerer: side(5, 2, 1),
    };
    Ok(((u8::from(udp), inner, REMOTE, public.port()), flow))
}

/// What the valid entries of the table say; those that would not forward say nothing.
fn said(device: &str) -> Result<BTreeSet<Said>> {
    let forwarding = connections(device)?.into_iter().filter(|it| it.action == Action::Forward);
    let said = forwarding.map(|it| {
        let (private, remote) = (SocketAddrV4::new(it.private.0, it.private.1), it.remote);
        (it.protocol, private, SocketAddrV4::new(remote.0, remote.1), it.translated)
    });
    Ok(said.collect())
}

struct Run<'a> {
    device: &'a str,
    beside: Beside,
    table: Qca8337<SwitchBus>,
}

impl Run<'_> {
    /// Between two calls of the driver.
    fn pause(&self) -> Result<()> {
        match self.beside {
            Beside::Accesses => switch(self.device, "driver_step", "1"),
            Beside::Nothing | Beside::Reset => Ok(()),
        }
    }

    /// Calls until it is done; null, or the error.
    fn all(
        &mut self,
        mut call: impl FnMut(&mut Qca8337<SwitchBus>) -> std::result::Result<Progress, table::Error>,
    ) -> Result<Json> {
        loop {
            self.pause()?;
            match call(&mut self.table) {
                Ok(Progress::Done) => return Ok(Json::Null),
                Ok(Progress::More) => {}
                Ok(Progress::Wait(time)) => thread::sleep(time),
                Err(error) => return Ok(error.to_string().into()),
            }
        }
    }

    /// Calls for each; what each gave that went well, and the first error.
    fn each<I, O>(
        &mut self,
        inputs: impl IntoIterator<Item = I>,
        call: impl Fn(&mut Qca8337<SwitchBus>, I) -> std::result::Result<O, table::Error>,
    ) -> Result<(Vec<O>, Json)> {
        let (mut good, mut first) = (Vec::new(), Json::Null);
        for input in inputs {
            self.pause()?;
            match call(&mut self.table, input) {
                Ok(output) => good.push(output),
                Err(error) if first.is_null() => first = error.to_string().into(),
                Err(_) => {}
            }
        }
        Ok((good, first))
    }
}

/// Set-up, so many flows in, all looked at, every second one out, the end.
pub fn run(
    device: &str,
    bus: SwitchBus,
    flows: u32,
    after: PageAfter,
    beside: Beside,
) -> Result<Json> {
    let options = Options { page_after: after, ..Options::default() };
    let table = Qca8337::new(bus, Model::Qca8337, options);
    let mut run = Run { device, beside, table };
    let network = Network { private: PRIVATE, public: vec![PUBLIC] };
    let flows = (0..flows).map(flow).collect::<Result<Vec<_>>>()?;
    let wanted: BTreeSet<Said> = flows.iter().map(|(said, _)| *said).collect();
    let rest: BTreeSet<Said> = flows.iter().skip(1).step_by(2).map(|(said, _)| *said).collect();

    let set_up = run.all(|table| table.set_up(&network))?;
    let on = engine(device)?;
    let (inserted, insert_error) =
        run.each(&flows, |table, (said, flow)| table.insert(flow).map(|entry| (*said, entry)))?;
    let believed: BTreeSet<Said> = inserted.iter().map(|(said, _)| *said).collect();
    let entries: Vec<Entry> = inserted.into_iter().map(|(_, entry)| entry).collect();
    let held = said(device)?;
    if beside == Beside::Reset {
        switch(device, "reset", "1")?;
    }
    let (verified, verify_error) = run.each(entries.clone(), |table, entry| table.verify(entry))?;
    let mut seen = Vec::new();
    let sweep = run.all(|table| table.sweep(&mut |sight| seen.push(sight.entry)))?;
    let (_, alive) = run.each([()], |table, ()| table.alive())?;
    let every_second: Vec<Entry> = entries.iter().step_by(2).copied().collect();
    let (removed, remove_error) = run.each(every_second, |table, entry| table.remove(entry))?;
    let left = said(device)?;
    let used = run.table.used();
    let disable = run.all(|table| table.disable())?;
    Ok(json!({
        "set_up": set_up,
        "engine": [on, engine(device)?],
        "inserted": entries.len(),
        "held": held == wanted,
        "believed": held == believed,
        "verified": verified.len(),
        "seen": seen.len(),
        "alive": alive,
        "removed": removed.len(),
        "left": left == rest,
        "used": used,
        "disable": disable,
        "after": said(device)?.len(),
        "errors": [insert_error, verify_error, sweep, remove_error],
    }))
}
