// SPDX-License-Identifier: GPL-2.0-or-later
//! The router's pages: the bridge to a browser, and what a page does to the router's services.

use super::driver::{uname, Driver};
use super::files;
use super::LAB_DIR;
use crate::command::run;
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::scenario::Action;
use crate::web::http::Web;
use crate::web::{Bridge, Places, Router, ServiceState};
use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The machine's own network card, beside the router: QEMU's network ends there.
const CARD: &str = "eth0";
/// The address that QEMU's user network expects a guest at.
const ADDRESS: &str = "10.0.2.15/24";
/// Where the machine is asked for pages; the host forwards a port of its own to it.
pub const PORT: u16 = 80;
/// The service's init script, as the package has it.
const INIT_SCRIPT: &str = "files/etc/init.d/flowtabled";
const SERVICE: &str = "flowtabled";
/// Its place in the order of the boot.
const START: u32 = 21;
/// There while the service is to be started at boot.
const ENABLED: &str = "/tmp/lab/enabled";
/// The configuration files whose changes procd tells the service, by its `service_triggers`.
const TRIGGERS: [&str; 3] = ["firewall", "network", "flowtable"];
/// Room for more flows than a page shows; less where the kernel counts by the machine's memory.
const CONNTRACK_MAX: (&str, &str) = ("/proc/sys/net/netfilter/nf_conntrack_max", "65536");
/// Time between two looks at things that a browser has not asked for.
const TURN: Duration = Duration::from_secs(1);

/// Opens the machine's own port and hands it over as standard input: a socket stays in the network
/// namespace that it was made in, so the router's own devices are not touched.
///
/// # Errors
/// The machine has no network card.
pub fn listener() -> Result<Stdio> {
    // One number for all namespaces, which only this one can set.
    fs::write(CONNTRACK_MAX.0, CONNTRACK_MAX.1).context(CONNTRACK_MAX.0)?;
    run(Command::new("ip").args(["address", "add", ADDRESS, "dev", CARD]))?;
    run(Command::new("ip").args(["link", "set", CARD, "up"]))?;
    let listener = TcpListener::bind(("0.0.0.0", PORT)).context("listening")?;
    Ok(Stdio::from(OwnedFd::from(listener)))
}

/// The web server on the socket that is our standard input. `commands`: for tests.
///
/// # Errors
/// It is no socket, or the access lists cannot be read.
pub fn web(commands: bool) -> Result<Web> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().context("the socket")?;
    Web::new(TcpListener::from(socket), Bridge::open(Places::router())?, commands)
}

/// The router for tests in a browser; ends when the machine is switched off.
///
/// # Errors
/// The router could not be made, or its web server ended.
pub fn serve() -> Result<()> {
    let mut web = web(true)?;
    let mut driver = router(false)?;
    Report::Booted(uname()?).send();
    loop {
        web.serve(&mut driver, TURN)?;
    }
}

/// The router that pages are shown on, with traffic.
///
/// # Errors
/// A step failed.
pub fn router(switch_off: bool) -> Result<Driver> {
    let mut driver = Driver::new(switch_off)?;
    driver.perform(&files::load("live")?)?;
    for flow in driver.flows.values_mut().filter(|flow| !flow.is_streaming()) {
        flow.start_gentle()?;
    }
    fs::write(ENABLED, "").context(ENABLED)?;
    Ok(driver)
}

/// Runs the init script as procd's shell would.
fn init_script(action: &str) -> Result<()> {
    let mut command = Command::new("busybox");
    command.args(["ash", &format!("{LAB_DIR}/openwrt/rc.common")]);
    run(command.arg(format!("{LAB_DIR}/{INIT_SCRIPT}")).arg(action)).map(drop)
}

impl Driver {
    fn is_running(&mut self) -> bool {
        self.daemon_state() == "running"
    }
}

impl Router for Driver {
    fn init(&mut self, name: &str, action: &str) -> Result<()> {
        if name != SERVICE {
            return Err(Error::new(format!("no service {name}")));
        }
        match action {
            // What procd does itself: it starts what is not running yet.
            "start" if self.is_running() => Ok(()),
            "start" => self.daemon(Action::StartUnprivileged),
            "stop" if !self.is_running() => Ok(()),
            "stop" => init_script("stop"),
            "restart" => {
                self.init(name, "stop")?;
                self.init(name, "start")
            }
            "reload" if self.is_running() => init_script("reload"),
            "reload" => self.init(name, "start"),
            "enable" => fs::write(ENABLED, "").context(ENABLED),
            "disable" if Path::new(ENABLED).exists() => fs::remove_file(ENABLED).context(ENABLED),
            "disable" => Ok(()),
            _ => Err(Error::new(format!("no action {action}"))),
        }
    }

    fn services(&mut self) -> Vec<ServiceState> {
        vec![ServiceState {
            name: SERVICE.into(),
            start: START,
            enabled: Path::new(ENABLED).exists(),
            running: self.is_running(),
        }]
    }

    fn changed(&mut self, configs: &[String]) -> Result<()> {
        let concerns = configs.iter().any(|config| TRIGGERS.contains(&config.as_str()));
        if concerns && self.is_running() {
            return init_script("reload");
        }
        Ok(())
    }
}
