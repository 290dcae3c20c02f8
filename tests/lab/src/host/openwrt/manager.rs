// SPDX-License-Identifier: GPL-2.0-or-later
//! The package manager of an image: opkg up to 24.10, apk from 25.12 on. What is sent to it over the
//! console, and what it is asked for.

use super::console::Console;
use super::{COMMAND, TRANSFER};
use crate::error::{Context, Error, Result};
use crate::host::cross::Toolchain;
use crate::host::package::{self, Packages};

/// Where the kit is unpacked there.
const KIT: &str = "/tmp/flowtabled.kit";

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Packages are `.ipk`.
    Opkg,
    /// Packages are `.apk` of version 3.
    Apk,
}

impl Manager {
    /// The one that is there.
    pub fn of(console: &mut Console) -> Result<Manager> {
        for manager in [Manager::Apk, Manager::Opkg] {
            let (code, _) = console.attempt(&format!("command -v {}", manager.name()), COMMAND)?;
            if code == 0 {
                return Ok(manager);
            }
        }
        Err(Error::new("an image with neither opkg nor apk"))
    }

    fn name(self) -> &'static str {
        match self {
            Manager::Opkg => "opkg",
            Manager::Apk => "apk",
        }
    }

    /// Where the package lies there.
    fn parcel(self) -> &'static str {
        match self {
            Manager::Opkg => "/tmp/flowtabled.ipk",
            Manager::Apk => "/tmp/flowtabled.apk",
        }
    }

    /// Puts the daemon's package there. Where this machine has no apk that makes one, the image's own is
    /// given what it is made of.
    pub fn send(self, console: &mut Console, toolchain: &Toolchain) -> Result<()> {
        let Packages { daemon, daemon_apk, .. } = package::make(toolchain)?;
        match (self, daemon_apk) {
            (Manager::Opkg, _) => console.send(&package::read(&daemon)?, self.parcel()),
            (Manager::Apk, Some(apk)) => console.send(&package::read(&apk)?, self.parcel()),
            (Manager::Apk, None) => make_there(console, toolchain, self.parcel()),
        }
    }

    /// Installs it, with what it depends on from the image or the network.
    pub fn install(self) -> String {
        let verb = match self {
            Manager::Opkg => "install",
            // It is signed by nobody, and from no feed, which an image that lives in memory alone refuses.
            Manager::Apk => "add --allow-untrusted --force-non-repository",
        };
        format!("{} {verb} {}", self.name(), self.parcel())
    }

    /// Fetches the lists of what the network has.
    pub fn update(self) -> String {
        format!("{} update", self.name())
    }

    /// Lists the package's files, with or without a slash in front.
    pub fn files(self) -> &'static str {
        match self {
            Manager::Opkg => "opkg files flowtabled",
            Manager::Apk => "apk info -L flowtabled",
        }
    }

    /// Removes it.
    pub fn remove(self) -> &'static str {
        match self {
            Manager::Opkg => "opkg remove flowtabled",
            Manager::Apk => "apk del flowtabled",
        }
    }
}

/// Has the image's own apk make the package.
fn make_there(console: &mut Console, toolchain: &Toolchain, parcel: &str) -> Result<()> {
    let archive = format!("{KIT}.tar.gz");
    console.send(&package::apk_kit(toolchain, parcel)?, &archive)?;
    console.run(&format!("mkdir -p {KIT} && tar -xzf {archive} -C {KIT}"), COMMAND)?;
    let script = package::KIT_SCRIPT;
    console.run(&format!("cd {KIT} && sh ./{script} && cd / && rm -r {KIT}*"), TRANSFER).map(drop).context(
        "the image's apk makes no package (built with `minimal` it lacks the applet mkpkg), and there is no apk of \
         version 3 on this machine's path, which would make it here (docs/openwrt.md)",
    )
}
