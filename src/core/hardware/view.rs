// SPDX-License-Identifier: GPL-2.0-or-later
//! Switches as they are shown.

use super::{State, Tally};
use crate::core::settings::SwitchDriver;

/// What a switch is at, the daemon's way to it included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It cannot be used, for the reason in words: no way to its registers, or the kernel's own
    /// driver would be harmed.
    Unusable(String),
    /// The kernel fills its table, or it has none; it is only looked at.
    Watched,
    /// The daemon fills its table.
    Driven(State),
}

/// A table of flows that the kernel fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Listed {
    /// Entries that packets are forwarded by.
    pub bound: u32,
    /// Entries that wait for more packets, or for their time-out.
    pub unbound: u32,
    /// Lines of the listing that could not be read.
    pub malformed: u32,
}

/// A switch as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchView {
    /// Its name in the configuration.
    pub name: String,
    /// Its driver.
    pub driver: SwitchDriver,
    /// What it is at.
    pub condition: Condition,
    /// Flows that its table holds at most; 0 where there is none.
    pub capacity: u32,
    /// Flows in hardware; `None` where nobody knows.
    pub used: Option<u32>,
    /// Flows that wait for their entry, or for it to be read back.
    pub queued: u32,
    /// What has happened.
    pub tally: Tally,
    /// Of a table that the kernel fills.
    pub listed: Option<Listed>,
}

/// A switch, as subscribers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchNotice {
    /// Its name.
    pub name: String,
    /// What it is at: [`Condition::code`].
    pub state: &'static str,
    /// Why it takes no flows, in words; may be empty.
    pub detail: String,
}

impl From<&SwitchView> for SwitchNotice {
    fn from(view: &SwitchView) -> SwitchNotice {
        let detail = view.condition.detail().unwrap_or_default().to_owned();
        SwitchNotice { name: view.name.clone(), state: view.condition.code(), detail }
    }
}

impl Condition {
    /// The stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Condition::Unusable(_) => "unusable",
            Condition::Watched => "watched",
            Condition::Driven(State::Off) => "off",
            Condition::Driven(State::SettingUp) => "setting_up",
            Condition::Driven(State::Ready) => "ready",
            Condition::Driven(State::Stopping) => "stopping",
            Condition::Driven(State::Quarantined(_)) => "quarantined",
            Condition::Driven(State::Wrong(_)) => "wrong_chip",
        }
    }

    /// Why it takes no flows, in words; `None` where nothing is wrong.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Condition::Unusable(words)
            | Condition::Driven(State::Quarantined(words) | State::Wrong(words)) => Some(words),
            Condition::Watched | Condition::Driven(_) => None,
        }
    }
}
