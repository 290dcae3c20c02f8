// SPDX-License-Identifier: GPL-2.0-or-later
//! The switches of the configuration, as far as the kernel drives them.

use std::time::Instant;

use super::ppe_listing::PpeListing;
use crate::core::hardware::view::SwitchView;
use crate::core::settings::{SwitchDriver, SwitchSettings};

/// All of them.
#[derive(Debug, Default)]
pub struct Switches {
    /// Names of those that are the packet engine.
    engines: Vec<String>,
    listing: PpeListing,
}

impl Switches {
    /// Somebody wants to see those that are configured: what takes its time is begun, and shown
    /// when it is there.
    pub fn look(&mut self, settings: &[SwitchSettings], now: Instant) {
        let engines = settings.iter().filter(|switch| switch.driver == SwitchDriver::Mt7621);
        self.engines = engines.map(|switch| switch.name.clone()).collect();
        if !self.engines.is_empty() {
            self.listing.look(now);
        }
    }

    /// As they are shown.
    pub fn views(&self) -> Vec<SwitchView> {
        self.engines.iter().map(|name| self.listing.view(name)).collect()
    }
}
