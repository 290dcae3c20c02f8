// SPDX-License-Identifier: GPL-2.0-or-later
//! What subscribers are told: the difference between what they were told last and what is now.
//!
//! Level-triggered, as the control loop is: a notice that could not be sent is not kept. It follows
//! anew from the next comparison, if there still is a difference then, so that nothing has to be
//! queued and a subscriber is never left with a state that has passed. Whoever subscribes asks for
//! the present state, so the first comparison tells nothing.

use super::hardware::view::SwitchNotice;
use super::reason::Reason;
use super::settings::Mode;
use super::status::{DeviceState, DeviceStatus};

/// The mode, as subscribers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeNotice {
    /// What the configuration asks for.
    pub requested: Mode,
    /// What is in force.
    pub effective: Mode,
    /// Why.
    pub reason: Reason,
    /// What belongs to the reason; may be empty.
    pub detail: String,
}

/// A device, as subscribers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNotice {
    /// Its name.
    pub name: String,
    /// State in force.
    pub state: DeviceState,
    /// Why.
    pub reason: Reason,
    /// What belongs to the reason; may be empty.
    pub detail: String,
}

impl From<DeviceStatus> for DeviceNotice {
    fn from(device: DeviceStatus) -> DeviceNotice {
        let DeviceStatus { name, state, reason, detail, .. } = device;
        DeviceNotice { name, state, reason, detail }
    }
}

/// Everything that subscribers are told about, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The mode.
    pub mode: ModeNotice,
    /// The devices that are considered, each name once.
    pub devices: Vec<DeviceNotice>,
    /// Switches, each name once.
    pub switches: Vec<SwitchNotice>,
    /// Why the last configuration was refused.
    pub config_error: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The configuration is refused for this reason, or accepted again.
    Config(Option<String>),
    /// The mode or its reason is another one.
    Mode(ModeNotice),
    /// The state of the device or its reason is another one.
    Device(DeviceNotice),
    /// The device of this name is not considered any more.
    DeviceGone(String),
    /// The state of the switch or its reason is another one.
    Switch(SwitchNotice),
    /// The switch of this name is not configured any more.
    SwitchGone(String),
}

/// What subscribers know, if there are any.
#[derive(Debug, Default)]
pub struct Notices {
    told: Option<Present>,
}

impl Notices {
    /// There are no subscribers: nobody knows anything.
    pub fn forget(&mut self) {
        self.told = None;
    }

    /// Nobody has been told anything yet, so the next comparison begins anew.
    pub fn is_new(&self) -> bool {
        self.told.is_none()
    }

    /// What has changed. [`Self::told`] is to be called with each notice that was sent.
    pub fn changes(&mut self, present: Present) -> Vec<Notice> {
        match &self.told {
            Some(told) => told.difference(present),
            None => {
                self.told = Some(present);
                Vec::new()
            }
        }
    }

    /// Subscribers have been told this.
    pub fn told(&mut self, notice: Notice) {
        let Some(told) = &mut self.told else { return };
        match notice {
            Notice::Config(error) => told.config_error = error,
            Notice::Mode(mode) => told.mode = mode,
            Notice::Device(device) => {
                match told.devices.iter_mut().find(|known| known.name == device.name) {
                    Some(known) => *known = device,
                    None => told.devices.push(device),
                }
            }
            Notice::DeviceGone(name) => told.devices.retain(|known| known.name != name),
            Notice::Switch(switch) => {
                match told.switches.iter_mut().find(|known| known.name == switch.name) {
                    Some(known) => *known = switch,
                    None => told.switches.push(switch),
                }
            }
            Notice::SwitchGone(name) => told.switches.retain(|known| known.name != name),
        }
    }
}

impl Present {
    fn device(&self, name: &str) -> Option<&DeviceNotice> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// The notices that lead from here to `present`: causes before effects.
    fn difference(&self, present: Present) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.config_error != present.config_error {
            notices.push(Notice::Config(present.config_error.clone()));
        }
        if self.mode != present.mode {
            notices.push(Notice::Mode(present.mode.clone()));
        }
        for device in &self.devices {
            if present.device(&device.name).is_none() {
                notices.push(Notice::DeviceGone(device.name.clone()));
            }
        }
        for device in present.devices {
            if self.device(&device.name) != Some(&device) {
                notices.push(Notice::Device(device));
            }
        }
        for switch in &self.switches {
            if !present.switches.iter().any(|now| now.name == switch.name) {
                notices.push(Notice::SwitchGone(switch.name.clone()));
            }
        }
        let new = |switch: &SwitchNotice| !self.switches.contains(switch);
        notices.extend(present.switches.into_iter().filter(new).map(Notice::Switch));
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(name: &str, state: DeviceState, reason: Reason) -> DeviceNotice {
        DeviceNotice { name: name.into(), state, reason, detail: String::new() }
    }

    fn switch(name: &str, state: &'static str) -> SwitchNotice {
        SwitchNotice { name: name.into(), state, detail: String::new() }
    }

    /// Software on lan1 and wan, as configured, and a switch that takes flows.
    fn present() -> Present {
        let devices = ["lan1", "wan"];
        Present {
            mode: ModeNotice {
                requested: Mode::Software,
                effective: Mode::Software,
                reason: Reason::AsConfigured,
                detail: String::new(),
            },
            devices: devices
                .map(|name| device(name, DeviceState::Software, Reason::AsConfigured))
                .to_vec(),
            switches: vec![switch("main", "ready")],
            config_error: None,
        }
    }

    fn tell(notices: &mut Notices, present: &Present) -> Vec<Notice> {
        let changes = notices.changes(present.clone());
        changes.iter().for_each(|notice| notices.told(notice.clone()));
        changes
    }

    #[test]
    fn only_changes_are_told_and_only_once() {
        let mut notices = Notices::default();
        assert!(notices.is_new());
        assert_eq!(tell(&mut notices, &present()), [], "who subscribes asks");
        assert!(!notices.is_new());
        assert_eq!(tell(&mut notices, &present()), []);

        let mut now = present();
        now.config_error = Some("firewall:2: no".into());
        let error = Notice::Config(now.config_error.clone());
        assert_eq!(tell(&mut notices, &now), [error]);
        now.config_error = None;
        now.mode.effective = Mode::Classic;
        now.mode.reason = Reason::OffloadOff;
        now.devices[1] = device("wan", DeviceState::Off, Reason::OffloadOff);
        assert_eq!(
            tell(&mut notices, &now),
            [
                Notice::Config(None),
                Notice::Mode(now.mode.clone()),
                Notice::Device(now.devices[1].clone())
            ]
        );
        assert_eq!(tell(&mut notices, &now), []);
    }

    #[test]
    fn devices_come_and_go() {
        let mut notices = Notices::default();
        tell(&mut notices, &present());
        let mut now = present();
        let gone = now.devices.remove(0);
        assert_eq!(tell(&mut notices, &now), [Notice::DeviceGone("lan1".into())]);
        assert_eq!(tell(&mut notices, &present()), [Notice::Device(gone)]);
        assert_eq!(tell(&mut notices, &present()), []);
    }

    #[test]
    fn switches_change_and_go() {
        let mut notices = Notices::default();
        tell(&mut notices, &present());
        let mut now = present();
        now.switches = vec![switch("main", "quarantined"), switch("other", "off")];
        let told = now.switches.clone().into_iter().map(Notice::Switch).collect::<Vec<_>>();
        assert_eq!(tell(&mut notices, &now), told);
        assert_eq!(tell(&mut notices, &now), []);
        now.switches.remove(0);
        assert_eq!(tell(&mut notices, &now), [Notice::SwitchGone("main".into())]);
    }

    #[test]
    fn what_was_not_sent_follows_again_until_it_has_passed() {
        let mut notices = Notices::default();
        tell(&mut notices, &present());
        let mut now = present();
        now.mode.detail = "first".into();
        assert_eq!(notices.changes(now.clone()), [Notice::Mode(now.mode.clone())]);
        now.mode.detail = "second".into();
        assert_eq!(notices.changes(now.clone()), [Notice::Mode(now.mode.clone())]);
        assert_eq!(notices.changes(present()), []);
    }

    #[test]
    fn with_the_subscribers_goes_what_they_knew() {
        let mut notices = Notices::default();
        tell(&mut notices, &present());
        notices.forget();
        let mut now = present();
        now.mode.effective = Mode::Classic;
        assert_eq!(tell(&mut notices, &now), []);
        assert_eq!(tell(&mut notices, &present()), [Notice::Mode(present().mode)]);
    }

    proptest! {
        /// However many notices are lost, whoever follows those sent ends with what is.
        #[test]
        fn subscribers_end_with_what_is(
            steps in proptest::collection::vec((0usize..4, 0usize..3, any::<bool>()), 1..30),
        ) {
            let mut notices = Notices::default();
            let mut now = present();
            tell(&mut notices, &now);
            for (number, reason, sent) in steps {
                let reason = Reason::ALL[reason];
                now.mode.reason = reason;
                now.devices = (0..number)
                    .map(|n| device(&format!("lan{n}"), DeviceState::Off, reason))
                    .collect();
                for notice in notices.changes(now.clone()) {
                    if sent {
                        notices.told(notice);
                    }
                }
            }
            tell(&mut notices, &now);
            let mut known = notices.told.unwrap();
            known.devices.sort_by(|a, b| a.name.cmp(&b.name));
            prop_assert_eq!(known, now);
        }
    }
}
