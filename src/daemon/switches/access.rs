// SPDX-License-Identifier: GPL-2.0-or-later
//! Opening the way to a switch's registers, and making sure that using it harms nobody.
//!
//! Linux' qca8k remembers the page of its switch, so it has to be seen that the page can be read
//! back before anything is written. That takes looks while the kernel moves it, one now and then.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hw_drivers::bus::mii::{MiiBus, Racing};
use hw_drivers::bus::netlink::NetlinkBus;
use hw_drivers::bus::repeat::RepeatBus;
use hw_drivers::bus::Bus;
use hw_drivers::mt7530::{self, Mt7530};
use hw_drivers::qca8337::{Model, Options, Qca8337};
use hw_drivers::qca8k_page::kernel::{may_probe, page_after, Bound, Facts, Refusal};
use hw_drivers::qca8k_page::probe::{read_back, transaction, ReadBack, Watch};
use hw_drivers::qca8k_page::{PageAfter, Settle, PAGE};
use hw_drivers::table::FlowTable;

use crate::core::settings::{SwitchDriver, SwitchSettings, SwitchWay};

/// The kernel asks its ports about their links once a second, which moves the page.
const LOOK_EVERY: Duration = Duration::from_millis(230);
/// A page that is not seen where it should be is looked at ever more seldom, but for this.
const LOOK_AT_LEAST: Duration = Duration::from_secs(10);

/// Where the kernel tells of its devices.
#[derive(Debug, Clone)]
pub struct Sysfs(PathBuf);

impl Default for Sysfs {
    fn default() -> Sysfs {
        Sysfs("/sys".into())
    }
}

/// A driver and its bus.
pub type Table = Box<dyn FlowTable>;

/// How far a switch has been reached.
pub enum Access {
    /// It can be driven.
    Open(Table),
    /// The kernel's use of the page is being watched.
    Watching(Box<Watching>),
    /// It takes no flows, but answers.
    Watched,
}

/// A switch whose page has not been seen to be readable.
pub struct Watching {
    bus: Box<dyn Bus>,
    model: Model,
    name: String,
    /// The user answers for what the kernel's driver may suffer.
    force: bool,
    sysfs: Sysfs,
    watch: Watch,
    next: Instant,
    pause: Duration,
}

/// Opens a switch.
///
/// # Errors
/// In words: there is no such bus or device, or the kernel's own driver would be harmed.
pub fn open(settings: &SwitchSettings, sysfs: &Sysfs, now: Instant) -> Result<Access, String> {
    let model = match settings.driver {
        SwitchDriver::Qca8337 => Model::Qca8337,
        SwitchDriver::Ar8327 => Model::Ar8327,
        SwitchDriver::Mt7530 => {
            let (bus, _) = open_bus(settings, sysfs)?;
            let mut switch = Mt7530::new(bus, mt7530::Settings::default());
            return switch.identify().map(|_| Access::Watched).map_err(|error| error.to_string());
        }
        // Its table is behind no bus; the kernel lists it.
        SwitchDriver::Mt7621 => return Ok(Access::Watched),
    };
    let (bus, name) = open_bus(settings, sysfs)?;
    let watch = Watch::new(model.device_id() as u8);
    let sysfs = sysfs.clone();
    let force = settings.force;
    Watching { bus, model, name, force, sysfs, watch, next: now, pause: LOOK_EVERY }.go_on(now)
}

/// The bus, and its name.
fn open_bus(settings: &SwitchSettings, sysfs: &Sysfs) -> Result<(Box<dyn Bus>, String), String> {
    match &settings.way {
        Some(SwitchWay::Bus(name)) => {
            let bus = NetlinkBus::open(name, None).map_err(|error| format!("{name}: {error}"))?;
            Ok((Box::new(bus), name.clone()))
        }
        Some(SwitchWay::Device(device)) => {
            let racing = if settings.force { Racing::Forced } else { Racing::Refused };
            let bus = MiiBus::open(device, racing).map_err(|error| error.to_string())?;
            let name = sysfs.bus_of(device).ok_or_else(|| format!("{device} has no PHY"))?;
            if !settings.force {
                return Err(format!(
                    "mii ioctls of {device} cannot keep the kernel out: load mdio-netlink and name \
                     bus '{name}', or set force when no driver of the kernel uses this switch"
                ));
            }
            Ok((Box::new(RepeatBus::new(bus, vec![PAGE])), name))
        }
        None => Err("no bus or device is configured".into()),
    }
}

impl Watching {
    /// When it is to be gone on with.
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// Looks at the page, if it has to be watched and that is due, and opens what may be opened.
    ///
    /// # Errors
    /// In words: as [`open`].
    pub fn go_on(mut self, now: Instant) -> Result<Access, String> {
        let name = self.name.clone();
        let links = self.sysfs.drivers();
        let bound: Vec<Bound<'_>> =
            links.iter().map(|(device, driver)| Bound { device, driver }).collect();
        let mut facts = Facts {
            bus: &name,
            atomic: self.bus.atomic(),
            bound: &bound,
            follows: self.watch.follows(),
            read_back: None,
        };
        let page_after = match page_after(&facts) {
            Ok(page_after) => page_after,
            Err(Refusal::NotAtomic | Refusal::PageUnknown) if self.force => PageAfter::ReadBack,
            Err(Refusal::PageUnknown) if may_probe(&facts).is_err() => {
                self.look().map_err(|error| error.to_string())?;
                self.next = now + self.pause;
                self.pause = (self.pause * 9 / 8).min(LOOK_AT_LEAST);
                return Ok(Access::Watching(Box::new(self)));
            }
            Err(Refusal::PageUnknown) => {
                facts.read_back = Some(self.probe().map_err(|error| error.to_string())?);
                page_after(&facts).map_err(|refusal| refusal.to_string())?
            }
            Err(refusal) => return Err(refusal.to_string()),
        };
        let options = Options { page_after, ..Options::default() };
        Ok(Access::Open(Box::new(Qca8337::new(self.bus, self.model, options))))
    }

    fn look(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let (transaction, slots) = Watch::transaction()?;
        self.watch.observe(&self.bus.run(&transaction)?, slots);
        Ok(())
    }

    fn probe(&mut self) -> Result<ReadBack, Box<dyn std::error::Error>> {
        Ok(read_back(&mut self.bus, &transaction(Settle::default())?)?)
    }
}

impl Sysfs {
    /// The MDIO bus that a network device's PHY is on: its folder is called BUS:ADDRESS.
    fn bus_of(&self, device: &str) -> Option<String> {
        let phy = fs::read_link(self.0.join("class/net").join(device).join("phydev")).ok()?;
        let (bus, _) = phy.file_name()?.to_str()?.rsplit_once(':')?;
        Some(bus.to_owned())
    }

    /// Devices on MDIO buses, and where the links to their drivers lead.
    fn drivers(&self) -> Vec<(String, String)> {
        let devices = fs::read_dir(self.0.join("bus/mdio_bus/devices"));
        let text = |path: &Path| Some(path.to_str()?.to_owned());
        let of = |device: fs::DirEntry| {
            let driver = fs::read_link(device.path().join("driver")).ok()?;
            Some((text(&device.path())?, text(&driver)?))
        };
        devices.into_iter().flatten().flatten().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests;
