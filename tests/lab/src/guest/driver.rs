// SPDX-License-Identifier: GPL-2.0-or-later
//! Performs the steps of one scenario on the router that this process runs in.

use super::flow::{Flow, FIRST_PORT};
use super::service::Service;
use super::{files, generation, logd, look, mdio, procd, refusals, storm, switch, topology};
use super::{CONFIG_DIR, LAB_DIR, SAVE_DIR, SCRATCH_DIR, UBUS_SOCKET};
use crate::command::{run, run_with_input};
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::scenario::{Action, Line, Operand, Pace, Relation, Scenario, Step, Streaming, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks at a condition that is not true yet.
const POLL: Duration = Duration::from_millis(50);

/// Characters of a value that are shown when it is what was expected.
const BRIEF_CHARS: usize = 100;

/// How a scenario ended when no step failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All steps were performed.
    Passed,
    /// It does not apply here.
    Skipped(String),
}

/// The router and everything that hangs on it.
pub struct Driver {
    daemon: Service,
    ubusd: Service,
    /// Flows by name.
    pub flows: BTreeMap<String, Flow>,
    addresses: BTreeMap<String, Vec<String>>,
    /// The router's ends of the hosts' cables.
    devices: BTreeMap<String, String>,
    remembered: BTreeMap<String, Json>,
    /// What became of the last storm.
    storm: Json,
    next_port: u16,
    switch_off: bool,
    /// Calls of the daemon that the kernel had refused before this scenario.
    refused: usize,
}

/// Where everything that the daemon says is written.
const DAEMON_LOG: &str = "/tmp/lab/flowtabled.log";

impl Driver {
    /// A router without devices, in the network namespace of this process. With `switch_off`,
    /// every `flow_offloading '1'` that the scenario configures becomes `'0'`.
    pub fn new(switch_off: bool) -> Result<Driver> {
        Driver::with(switch_off, &["--verbose"])
    }

    /// The same for what is measured: the daemon logs what it does on a router, and no more.
    pub fn as_shipped(switch_off: bool) -> Result<Driver> {
        Driver::with(switch_off, &[])
    }

    fn with(switch_off: bool, more: &[&'static str]) -> Result<Driver> {
        files::reset()?;
        topology::prepare_router()?;
        let options = [
            "--foreground",
            "--config-dir",
            CONFIG_DIR,
            "--save-dir",
            SAVE_DIR,
            "--ubus-socket",
            UBUS_SOCKET,
        ];
        let daemon = if procd::has_package() {
            logd::start(Path::new(logd::SOCKET), DAEMON_LOG)?;
            Service::of_package("flowtabled", DAEMON_LOG)
        } else {
            Service::new("flowtabled", &[&options, more].concat(), DAEMON_LOG)
        };
        let bus_options = ["--socket", UBUS_SOCKET, "--acl-dir", "/usr/share/acl.d"];
        let bus_log = format!("{SCRATCH_DIR}/ubusd.log");
        Ok(Driver {
            daemon,
            ubusd: Service::new("ubusd", &bus_options, &bus_log),
            flows: BTreeMap::new(),
            addresses: BTreeMap::new(),
            devices: BTreeMap::new(),
            remembered: BTreeMap::new(),
            storm: Json::Null,
            next_port: FIRST_PORT,
            switch_off,
            refused: refusals::read().len(),
        })
    }

    /// Performs all steps; the error names the place.
    pub fn perform(&mut self, scenario: &Scenario) -> Result<Verdict> {
        for line in &scenario.lines {
            let module = match line.step {
                Step::Host { hardware: true, .. } => Some(topology::PORTS_MODULE),
                Step::Switch { .. } => Some(topology::SWITCH_MODULE),
                _ => None,
            };
            if let Some(module) = module.filter(|module| !topology::has_module(module)) {
                let why = format!("needs {module}, which is not built for this kernel");
                return Ok(Verdict::Skipped(why));
            }
            if line.step == Step::NeedsPackage && !procd::has_package() {
                return Ok(Verdict::Skipped(format!("{}, this is cargo's", line.text)));
            }
            let needed = match line.step {
                Step::Needs { release } => Some((release, false)),
                Step::NeedsBefore { release } => Some((release, true)),
                _ => None,
            };
            if let Some((release, before)) = needed {
                let running = uname()?;
                if (crate::scenario::release(&running)? < release) != before {
                    let why = format!("{}, this is {running}", line.text);
                    return Ok(Verdict::Skipped(why));
                }
            }
            self.step(line).context(format!("{}: {}", line.place, line.text))?;
        }
        // A daemon that nobody stopped must have survived everything.
        let state = self.daemon.state();
        match state.as_str() {
            "running" | "absent" | "exit 0" | "signal 9" => {}
            _ => return Err(Error::new(format!("in the end the daemon's state is: {state}"))),
        }
        if read_log().contains("panicked at") {
            return Err(Error::new("the daemon panicked, see its log"));
        }
        if let Some(record) = refusals::read().get(self.refused) {
            return Err(Error::new(format!("the daemon was refused a system call: {record}")));
        }
        Ok(Verdict::Passed)
    }

    /// Starts, stops or signals the daemon.
    ///
    /// # Errors
    /// It is not in a state for that, or does not end.
    pub fn daemon(&mut self, action: Action) -> Result<()> {
        self.daemon.act(action)
    }

    /// As the scenarios' `daemon` shows it: `running`, `exit N`, `signal N` or `absent`.
    pub fn daemon_state(&mut self) -> String {
        self.daemon.state()
    }

    fn step(&mut self, line: &Line) -> Result<()> {
        match &line.step {
            Step::Host { name, device, hardware, vlan, addresses, via } => {
                self.addresses.insert(name.clone(), addresses.clone());
                self.devices.insert(name.clone(), device.clone());
                topology::cable(name, device, *hardware)?;
                topology::host(name, *vlan, addresses, via)
            }
            Step::Bridge { name, ports } => topology::bridge(name, ports),
            Step::Switch { device } => topology::switch(device),
            Step::Vlan { lower, id } => topology::vlan(lower, *id),
            Step::Address { device, addresses } => topology::address(device, addresses),
            Step::Firewall { wan } => firewall(wan),
            Step::Config { file, text } => self.config(file, text),
            Step::Edit { file, old, new } => files::edit_config(file, old, new),
            Step::Nft { ruleset } => nft(ruleset),
            Step::Ubusd(action) => self.ubusd.act(*action),
            Step::Daemon(action) => self.daemon.act(*action),
            Step::Storm { ubusd, times, within, command } => {
                let service = if *ubusd { &mut self.ubusd } else { &mut self.daemon };
                self.storm = storm::rage(service, *times, *within, command)?.report();
                Report::Held(format!("{}: {}", line.text, self.storm)).send();
                Ok(())
            }
            Step::Flow { name, kind, from, to, target } => {
                let served = self.next_port;
                let (address, port) = match target {
                    Some(target) => (target.address.clone(), target.port.unwrap_or(served)),
                    None => (self.address_of(to, kind.v6)?, served),
                };
                let flow = Flow::open(*kind, (from, to), served, (&address, port))?;
                self.next_port = self.next_port.saturating_add(1);
                self.flows.insert(name.clone(), flow);
                Ok(())
            }
            Step::Stream { flow, streaming } => match streaming {
                Streaming::Start => self.flow(flow)?.start_stream(false),
                Streaming::StartLarge => self.flow(flow)?.start_stream(true),
                Streaming::Stop => {
                    let rounds = self.flow(flow)?.stop_stream()?;
                    Report::Held(format!("{}: {rounds} round trips, none lost", line.text)).send();
                    Ok(())
                }
            },
            Step::Meet { device, flow } => switch::meet(device, flow, &self.flows, &self.devices),
            Step::Close { flow, reset } => self.flow(flow)?.close(*reset),
            Step::Steady { flow, pace } => {
                let flow = self.flow(flow)?;
                match pace {
                    Pace::Start => flow.start_steady(),
                    Pace::Mark => flow.mark_steady(),
                    Pace::Stop => flow.stop_steady(),
                }
            }
            Step::Run { command } => run(Command::new("sh").args(["-ec", command])).map(drop),
            Step::Remember { name, value } => {
                let seen = self.value(value)?;
                self.remembered.insert(name.clone(), seen);
                Ok(())
            }
            Step::Check { patience, value, relation, operand } => {
                let seen = self.check(*patience, value, *relation, operand)?;
                Report::Held(format!("{} (saw {})", line.text, brief(&seen))).send();
                Ok(())
            }
            Step::Throughout { time, value, relation, operand } => {
                let seen = self.throughout(*time, value, *relation, operand)?;
                Report::Held(format!("{} (saw {})", line.text, brief(&seen))).send();
                Ok(())
            }
            Step::Needs { .. }
            | Step::NeedsBefore { .. }
            | Step::NeedsPackage
            | Step::Long
            | Step::Soak { .. } => Ok(()),
            Step::Phase { text } => {
                Report::Phase(text.clone()).send();
                Ok(())
            }
        }
    }

    fn config(&self, file: &str, text: &str) -> Result<()> {
        if self.switch_off {
            files::write_config(file, &text.replace("flow_offloading '1'", "flow_offloading '0'"))
        } else {
            files::write_config(file, text)
        }
    }

    fn address_of(&self, host: &str, v6: bool) -> Result<String> {
        let all = self.addresses.get(host).context(format!("no host {host}"))?;
        let found = all.iter().find(|address| address.contains(':') == v6);
        let address = found.context(format!("{host} has no address of that family"))?;
        Ok(address.split('/').next().unwrap_or_default().to_string())
    }

    fn flow(&mut self, name: &str) -> Result<&mut Flow> {
        self.flows.get_mut(name).context(format!("no flow {name}"))
    }

    /// Looks at a value until the relation holds or the time is over; returns what was seen.
    fn check(
        &mut self,
        patience: Option<Duration>,
        value: &Value,
        relation: Relation,
        operand: &Operand,
    ) -> Result<Json> {
        let wanted = self.wanted(operand)?;
        let begun = Instant::now();
        loop {
            let seen = self.value(value);
            match &seen {
                Ok(seen) if relation.holds(seen, &wanted) => return Ok(seen.clone()),
                _ if patience.is_some_and(|patience| begun.elapsed() < patience) => {
                    thread::sleep(POLL);
                }
                Ok(seen) => return Err(Error::new(format!("saw {seen}"))),
                Err(e) => return Err(Error::new(e.to_string())),
            }
        }
    }

    fn wanted(&self, operand: &Operand) -> Result<Json> {
        match operand {
            Operand::Literal(json) => Ok(json.clone()),
            Operand::Remembered(name) => {
                self.remembered.get(name).cloned().context(format!("nothing remembered as {name}"))
            }
        }
    }

    /// Looks again and again for the whole time; returns what was seen last.
    fn throughout(
        &mut self,
        time: Duration,
        value: &Value,
        relation: Relation,
        operand: &Operand,
    ) -> Result<Json> {
        let wanted = self.wanted(operand)?;
        let begun = Instant::now();
        loop {
            let seen = self.value(value)?;
            if !relation.holds(&seen, &wanted) {
                return Err(Error::new(format!("saw {seen} after {:?}", begun.elapsed())));
            }
            if begun.elapsed() > time {
                return Ok(seen);
            }
            thread::sleep(POLL);
        }
    }

    fn value(&mut self, value: &Value) -> Result<Json> {
        match value {
            Value::Status(pointer) => look::status(pointer),
            Value::Device(name, pointer) => look::device(name, pointer),
            Value::Flowtable(table, pointer) => look::flowtable(table, pointer),
            Value::Tables => look::tables(),
            Value::Generation => generation::current().map(Json::from),
            Value::Path(flow) => self.flow(flow)?.path(),
            Value::Forwarded(flow, rounds) => self.flow(flow)?.forwarded(*rounds),
            Value::Received(flow, rounds, pointer) => self.flow(flow)?.received(*rounds, pointer),
            Value::Probe(flow, shape, pointer) => self.flow(flow)?.probe(shape, pointer),
            Value::EngineForwarded(flow, rounds) => self.flow(flow)?.engine_forwarded(*rounds),
            Value::Punted(flow, rounds) => self.flow(flow)?.punted(*rounds),
            Value::Sent(flow) => self.flow(flow)?.sent(),
            Value::Steady(flow, pointer) => self.flow(flow)?.steady(pointer),
            Value::Callers(flow) => self.flow(flow)?.callers(),
            Value::Storm(pointer) => Ok(look::at(&self.storm, pointer)),
            Value::Listed(flow, pointer) => self.flow(flow)?.listed(pointer),
            Value::Explained(flow, pointer) => self.flow(flow)?.explained(pointer),
            Value::Mdio(device, door, task, pointer) => mdio::look(device, *door, *task, pointer),
            Value::Entries(device) => switch::entries(device, &self.flows, &self.devices),
            Value::Engine(device) => switch::engine(device),
            Value::Hardware(name, pointer) => look::hardware(name, pointer),
            Value::Client(address, pointer) => look::client(address, pointer),
            Value::Daemon => Ok(self.daemon.state().into()),
            Value::Log => Ok(read_log().into()),
            Value::Output(command) => look::output(command),
            Value::Exit(command) => look::exit(command),
        }
    }
}

/// A value for people: not longer than a line or two.
fn brief(seen: &Json) -> String {
    let text = seen.to_string();
    match text.char_indices().nth(BRIEF_CHARS) {
        Some((at, _)) => format!("{} ...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn read_log() -> String {
    fs::read_to_string(DAEMON_LOG).unwrap_or_default()
}

fn nft(ruleset: &str) -> Result<()> {
    run_with_input(Command::new("nft").args(["-f", "-"]), ruleset).map(drop)
}

fn firewall(wan: &str) -> Result<()> {
    let path = format!("{LAB_DIR}/firewall.nft");
    let template = fs::read_to_string(&path).context(format!("reading {path}"))?;
    nft(&template.replace("@WAN@", wan))
}

/// The running kernel's release.
pub fn uname() -> Result<String> {
    let path = "/proc/sys/kernel/osrelease";
    Ok(fs::read_to_string(path).context(path)?.trim().to_string())
}
