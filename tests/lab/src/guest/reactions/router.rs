// SPDX-License-Identifier: GPL-2.0-or-later
//! The router of a part: brought along by steps of scenarios, measured in between.

use super::watch::Watch;
use crate::error::{Context, Error, Result};
use crate::guest::driver::{Driver, Verdict};
use crate::guest::files;
use crate::guest::flow::Flow;

/// The daemon runs, has taken firewall4's own offloading out of the way, and has settled.
pub const DAEMON: &str = r#"
daemon start
eventually 20s status .takeover.state == "taken"
eventually 20s status .effective == "software"
"#;

/// The flow `dns` streams by the fast path.
pub const OFFLOADED: &str = r#"
eventually 20s path dns == "offload"
eventually 20s steady dns .quiet_ms <= 100
"#;

/// A router, and an ear for what its kernel tells.
pub struct Router {
    /// It performs steps.
    driver: Driver,
    /// It has heard all since the router was made.
    pub watch: Watch,
}

impl Router {
    /// A router with LAN bridge, uplink, firewall4's ruleset and the bus, without the daemon.
    ///
    /// # Errors
    /// A step fails.
    pub fn new() -> Result<Router> {
        let watch = Watch::start()?;
        let mut router = Router { driver: Driver::as_shipped(false)?, watch };
        router.perform("use firewall4")?;
        Ok(router)
    }

    /// Performs steps.
    ///
    /// # Errors
    /// One fails, or does not apply here.
    pub fn perform(&mut self, steps: &str) -> Result<()> {
        match self.driver.perform(&files::steps(steps)?)? {
            Verdict::Passed => Ok(()),
            Verdict::Skipped(why) => Err(Error::new(why)),
        }
    }

    /// A flow that a step has opened.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn flow(&mut self, name: &str) -> Result<&mut Flow> {
        self.driver.flows.get_mut(name).context(format!("no flow {name}"))
    }

    /// What was seen of the replies to the steady datagrams of a flow, a whole number.
    ///
    /// # Errors
    /// There is no such flow, or nothing of the kind was seen.
    pub fn steady(&mut self, name: &str, pointer: &str) -> Result<u64> {
        let seen = self.flow(name)?.steady(pointer)?;
        seen.as_u64().context(format!("{name} has no {pointer}"))
    }
}
