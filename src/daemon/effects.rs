// SPDX-License-Identifier: GPL-2.0-or-later
//! Performing what `core` decides: the request sockets and the configuration directory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::debug;

use super::kernel::{self, Accounting};
use super::radios;
use crate::core::answers::Answer;
use crate::core::control::{Effect, Event};
use crate::core::diff::removal;
use crate::core::plan::is_ours;
use crate::core::shaper::Queues;
use crate::core::status::KernelAbilities;
use crate::core::takeover;
use crate::netlink::nftables::Nftables;
use crate::netlink::route::{self, Link, NETLINK_ROUTE};
use crate::netlink::socket::Socket;
use crate::netlink::Error;
use crate::uci;

/// Other programs' commits may come between our look and our removal this often.
const REMOVE_TRIES: u32 = 8;
/// The kernel takes 255 devices in one message.
const ASKED_TOGETHER: usize = 255;

/// The world outside the control loop.
#[derive(Debug)]
pub struct World {
    config_dir: PathBuf,
    save_dir: PathBuf,
    nftables: Option<Nftables>,
    route: Option<Socket>,
    surveyed: Option<Instant>,
    accounting: Accounting,
    /// What the kernel could do when it was asked last.
    abilities: KernelAbilities,
}

impl World {
    /// A world that opens its sockets when they are needed.
    pub fn new(config_dir: PathBuf, save_dir: PathBuf) -> World {
        World {
            config_dir,
            save_dir,
            nftables: None,
            route: None,
            surveyed: None,
            accounting: Accounting::default(),
            abilities: KernelAbilities::default(),
        }
    }

    /// Opens the one setting that the daemon may change, while it may open files to write.
    pub fn hold_accounting(&mut self) {
        self.accounting.hold();
    }

    /// Netlink port of our transactions, once there was one.
    pub fn port(&self) -> Option<u32> {
        self.nftables.as_ref().map(Nftables::port)
    }

    /// Gives back what is only needed while something is read.
    pub fn rest(&mut self) {
        self.nftables.iter_mut().for_each(Nftables::rest);
        self.route.iter_mut().for_each(Socket::rest);
    }

    /// True when nf_tables has not been read within `age`.
    pub fn survey_older_than(&self, age: Duration, now: Instant) -> bool {
        self.surveyed.is_none_or(|instant| now.saturating_duration_since(instant) > age)
    }

    /// Reads the configuration.
    pub fn settings(&self) -> Event {
        let loaded = uci::load(&self.config_dir, Some(&self.save_dir));
        Event::Settings(
            loaded
                .map(|loaded| (loaded.settings, loaded.warnings))
                .map_err(|error| error.to_string()),
        )
    }

    /// Performs one effect; the answer goes back to the control loop.
    pub fn perform(&mut self, effect: Effect, now: Instant) -> Option<Event> {
        Some(match effect {
            Effect::Log(level, line) => {
                log::log!(level, "{line}");
                return None;
            }
            Effect::ProbeKernel => {
                let before = std::mem::take(&mut self.abilities);
                self.abilities = kernel::abilities(self.nftables().ok(), &before);
                Event::Kernel(self.abilities.clone())
            }
            Effect::ListLinks => Event::Links(self.links()),
            Effect::ListQueues => Event::Queues(self.queues()),
            Effect::Survey => {
                self.surveyed = Some(now);
                let beside = takeover::beside();
                let read =
                    |nftables: &mut Nftables| nftables.snapshot_with(&is_ours, Some(&beside));
                Event::Surveyed(self.nftables().and_then(read))
            }
            Effect::ProbeHardware(devices) => Event::HardwareProbed(self.probe(devices, true)),
            Effect::ProbeDevices(devices) => Event::DevicesProbed(self.probe(devices, false)),
            Effect::SwitchAccounting => Event::AccountingSwitched(self.accounting.switch_on()),
            // The loop answers the caller, and has the switches.
            Effect::Done(..) | Effect::HandBack(_) => return None,
            Effect::Commit(commands, generation) => {
                for command in &commands {
                    debug!("on generation {generation}: {command}");
                }
                let change = |nftables: &mut Nftables| nftables.commit(commands, generation);
                Event::Committed(self.nftables().and_then(change))
            }
        })
    }

    /// Removes everything of ours.
    ///
    /// # Errors
    /// The kernel refused, or other programs never paused.
    pub fn remove_all(&mut self) -> Result<(), Error> {
        for _ in 0..REMOVE_TRIES {
            let nftables = self.nftables()?;
            let snapshot = nftables.snapshot(&is_ours)?;
            match nftables.commit(removal(&snapshot), snapshot.generation) {
                Err(error) if error.errno() == Some(libc::ERESTART) => (),
                Err(Error::Timeout { .. } | Error::Overrun) => (),
                result => return result,
            }
        }
        Err(Error::Interrupted { doing: "removing our tables" })
    }

    fn links(&mut self) -> Result<Vec<Link>, Error> {
        radios::links(self.route()?)
    }

    fn queues(&mut self) -> Result<Queues, Error> {
        let socket = self.route()?;
        let qdiscs = route::qdiscs(socket)?;
        let mut redirects = Vec::new();
        for device in Queues::filtered(&qdiscs) {
            match route::redirects(socket, device) {
                Ok(list) => redirects.extend(list),
                // The device has gone since; another event tells.
                Err(Error::Refused(_)) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(Queues { qdiscs, redirects })
    }

    fn route(&mut self) -> Result<&mut Socket, Error> {
        match &mut self.route {
            Some(socket) => Ok(socket),
            empty => {
                let doing = "open the rtnetlink socket";
                Ok(empty.insert(Socket::open(NETLINK_ROUTE, &[], doing)?))
            }
        }
    }

    /// Asks for each device whether a flowtable, with the hardware flag or without, takes it.
    fn probe(&mut self, devices: Vec<String>, hardware: bool) -> Vec<(String, Answer)> {
        let nftables = match self.nftables() {
            Ok(nftables) => nftables,
            Err(error) => {
                let unknown = Answer::Unknown(error.to_string());
                return devices.into_iter().map(|device| (device, unknown.clone())).collect();
            }
        };
        // Hooking takes the kernel some milliseconds a device, so all are asked at once first.
        let names: Vec<&str> = devices.iter().map(String::as_str).collect();
        let together = devices.len() <= ASKED_TOGETHER
            && kernel::ask(nftables, &names, hardware) == Answer::Takes;
        let mut ask = |device: String| {
            let answer = match together {
                true => Answer::Takes,
                false => kernel::ask(nftables, &[device.as_str()], hardware),
            };
            (device, answer)
        };
        devices.into_iter().map(&mut ask).collect()
    }

    fn nftables(&mut self) -> Result<&mut Nftables, Error> {
        match &mut self.nftables {
            Some(nftables) => Ok(nftables),
            empty => Ok(empty.insert(Nftables::open()?)),
        }
    }
}
