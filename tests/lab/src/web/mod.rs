// SPDX-License-Identifier: GPL-2.0-or-later
//! What a browser talks to on the lab's router: the part that uhttpd, its ubus module and rpcd have on
//! an OpenWrt device, as far as LuCI's client asks for it.
//!
//! `http` serves files and takes requests, `rpc` answers JSON-RPC on `/ubus`, `session` knows who asks
//! and `acl` what they may. The objects that rpcd, netifd and procd have on a device are answered
//! here (`uci`, `objects`); every other object is asked for on the real bus (`bus`).
//!
//! Written after what uhttpd's and rpcd's sources do; the same codes for the same mistakes matter,
//! since a page reacts to them.

pub mod acl;
pub mod bus;
pub mod http;
pub mod menu;
pub mod objects;
pub mod rpc;
pub mod session;
pub mod uci;
mod uci_store;

use crate::error::Result;
use std::path::{Path, PathBuf};

/// Where the guest keeps what a browser loads.
pub const WWW_DIR: &str = "/www";
/// Where access lists are, as on a router.
pub const ACL_DIR: &str = "/usr/share/rpcd/acl.d";
/// Where menus are, as on a router.
pub const MENU_DIR: &str = "/usr/share/luci/menu.d";
/// Where sessions keep changes that are not applied yet, as rpcd does.
pub const STAGE_DIR: &str = "/var/run/rpcd";

/// What is done to the router itself on behalf of a page.
pub trait Router {
    /// Does what `/etc/init.d/NAME ACTION` does.
    ///
    /// # Errors
    /// There is no such service or action, or it failed.
    fn init(&mut self, name: &str, action: &str) -> Result<()>;
    /// The services that `/etc/init.d` has.
    fn services(&mut self) -> Vec<ServiceState>;
    /// These configuration files have changed: reload triggers fire.
    ///
    /// # Errors
    /// A service could not be told.
    fn changed(&mut self, configs: &[String]) -> Result<()>;
}

/// A service as `rc list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// Name of its init script.
    pub name: String,
    /// Its place in the order of the boot.
    pub start: u32,
    /// Started at boot?
    pub enabled: bool,
    /// Running now?
    pub running: bool,
}

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// What a browser may load.
    pub www: PathBuf,
    /// Access lists.
    pub acl: PathBuf,
    /// Menus.
    pub menu: PathBuf,
    /// UCI files.
    pub config: PathBuf,
    /// Changes that are not applied yet.
    pub stage: PathBuf,
    /// The bus.
    pub socket: PathBuf,
}

impl Places {
    /// Those of a router.
    pub fn router() -> Places {
        Places {
            www: WWW_DIR.into(),
            acl: ACL_DIR.into(),
            menu: MENU_DIR.into(),
            config: crate::guest::CONFIG_DIR.into(),
            stage: STAGE_DIR.into(),
            socket: crate::guest::UBUS_SOCKET.into(),
        }
    }
}

/// The bridge between a browser and the router.
pub struct Bridge {
    /// Who may what.
    pub sessions: session::Sessions,
    /// The configuration with each session's changes.
    pub uci: uci::Uci,
    /// The bus.
    pub bus: bus::Bus,
    places: Places,
}

impl Bridge {
    /// Reads the access lists.
    ///
    /// # Errors
    /// An access list cannot be read.
    pub fn open(places: Places) -> Result<Bridge> {
        Ok(Bridge {
            sessions: session::Sessions::new(acl::Lists::read(&places.acl)?),
            uci: uci::Uci::new(&places.config, &places.stage),
            bus: bus::Bus::new(&places.socket),
            places,
        })
    }

    /// What is due by the clock: a change that nobody confirmed is taken back.
    ///
    /// # Errors
    /// The old configuration could not be put back.
    pub fn tick(&mut self, router: &mut dyn Router) -> Result<()> {
        self.sessions.expire();
        self.uci.tick(router)
    }

    /// What a browser may load.
    pub fn www(&self) -> &Path {
        &self.places.www
    }

    /// The menus.
    pub fn menus(&self) -> &Path {
        &self.places.menu
    }
}
