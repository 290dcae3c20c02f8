// SPDX-License-Identifier: GPL-2.0-or-later
//! What the control loop does when the kernel refuses: find out which device it is about, step down
//! the ladder, and try again in its own time.

use std::time::Instant;

use log::Level;

use super::{plan, Answer, Control, Coverage, Device, Effect};
use super::{BACKOFF, DEBOUNCE, PAUSE, VANISHED_MAX};
use crate::core::fault::Fault;
use crate::core::plan::{Class, TABLE_HARDWARE};
use crate::core::reason::Reason;
use crate::core::takeover;
use crate::netlink::{Error, Refusal};

impl Control {
    pub(super) fn not_committed(&mut self, error: Error, now: Instant) -> Vec<Effect> {
        if std::mem::take(&mut self.as_it_stands) {
            return self.not_done_meanwhile(&error, now);
        }
        let refusal = match error {
            // Somebody was faster: look again when they may be done.
            Error::Refused(refusal) if refusal.errno == libc::ERESTART => {
                if self.repairing {
                    self.repairs.pop_back();
                }
                self.survey_by(now + DEBOUNCE);
                return self.give_up_old_orders(now);
            }
            Error::Refused(refusal) => refusal,
            other => return self.failed(&other, now),
        };
        if refusal.table == takeover::TABLE {
            return self.takeover_refused(&refusal);
        }
        if matches!(refusal.errno, libc::EPERM | libc::EACCES | libc::ENOMEM) {
            self.is_anothers(&refusal);
            return self.failed(&Error::Refused(refusal), now);
        }
        // A device that has just gone, or an element that has just expired, says nothing about
        // hardware.
        if refusal.errno == libc::ENOENT && self.vanished < VANISHED_MAX {
            self.vanished += 1;
            return vec![Effect::ListLinks, Effect::Survey];
        }
        if refusal.table == TABLE_HARDWARE || self.hardware_partitions().contains(&refusal.table) {
            return self.step_down(&refusal);
        }
        let names = self.askable();
        if names.is_empty() {
            return self.failed(&Error::Refused(refusal), now);
        }
        self.unexplained = Some(refusal);
        vec![Effect::ProbeDevices(names)]
    }

    /// Devices that may be behind a refusal: those to be hooked that are not hooked yet.
    fn askable(&self) -> Vec<String> {
        let flowtables = self.snapshot.iter().flat_map(|snapshot| &snapshot.flowtables);
        let ours = flowtables.filter(|entry| plan::is_ours(&entry.table));
        let hooked: Vec<&String> = ours.flat_map(|entry| &entry.devices).collect();
        let askable = |device: &&Device| {
            matches!(device.coverage, Coverage::Covered { .. })
                && self.refused.get(&device.name).is_none()
                && !hooked.contains(&&device.name)
        };
        self.devices.iter().filter(askable).map(|device| device.name.clone()).collect()
    }

    /// Partitions that were refused hardware have the same devices without it.
    pub(super) fn leave_in_software(&self, classes: &mut [Class]) {
        for Class { flowtable, .. } in classes {
            flowtable.hardware &= !self.kept_in_software.contains_key(&flowtable.table.name);
        }
    }

    /// Tables of partitions that are to have the hardware flag.
    fn hardware_partitions(&self) -> Vec<String> {
        let partitions = self.wanted.iter().filter(|class| class.is_partition());
        let flowtables = partitions.map(|class| &class.flowtable).filter(|entry| entry.hardware);
        flowtables.map(|flowtable| flowtable.table.name.clone()).collect()
    }

    /// A table was refused the hardware flag although its devices were taken one by one. A
    /// partition goes on in software alone. When it is the hardware class, partitions with its
    /// devices make way first, since some drivers can be bound by one flowtable only; without any,
    /// the device that the kernel points at, or all of them, go on in software.
    fn step_down(&mut self, refusal: &Refusal) -> Vec<Effect> {
        let words = refusal.to_string();
        let mut tables = self.hardware_partitions();
        tables.retain(|table| match refusal.table == TABLE_HARDWARE {
            true => self.may_be_in_the_way(table, refusal.culprit.as_deref()),
            false => *table == refusal.table,
        });
        if !tables.is_empty() {
            let mut effects = Vec::new();
            for table in tables {
                if self.told_left_out.get(&table) != Some(&words) {
                    let line = format!("table {table} goes on in software: {words}");
                    effects.push(Effect::Log(Level::Warn, line));
                    self.told_left_out.insert(table.clone(), words.clone());
                }
                self.kept_in_software.insert(table, words.clone());
            }
            effects.push(Effect::Survey);
            return effects;
        }
        let ordinary = self.wanted.iter().filter(|class| !class.is_partition());
        let classes = ordinary.filter(|class| class.flowtable.hardware);
        let mut names: Vec<String> =
            classes.flat_map(|class| class.flowtable.devices.iter().cloned()).collect();
        if let Some(culprit) = refusal.culprit.as_ref().filter(|name| names.contains(name)) {
            names = vec![culprit.clone()];
        }
        for name in names {
            self.hardware.keep(&name, Some(words.clone()), &self.links);
        }
        self.stepped_down = true;
        vec![Effect::Log(Level::Warn, words), Effect::Survey]
    }

    /// The table of a partition has the device that the kernel points at, if it points at any.
    fn may_be_in_the_way(&self, table: &str, culprit: Option<&str>) -> bool {
        let Some(culprit) = culprit else { return true };
        let mut classes = self.wanted.iter().filter(|class| class.flowtable.table.name == table);
        classes.any(|class| class.flowtable.devices.iter().any(|name| name == culprit))
    }

    /// Each device was asked after a refusal: those that refuse are left out, so that they do not
    /// take the others down with them; when none does, the refusal is about something else.
    pub(super) fn explain(&mut self, answers: Vec<(String, Answer)>, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut culprits = false;
        let looks_again = self.looks_again(&answers);
        for (name, answer) in answers {
            let words = match answer {
                Answer::Refuses(words) => words,
                Answer::Gone(words) if !looks_again => words,
                _ => continue,
            };
            culprits = true;
            if self.told_left_out.get(&name) != Some(&words) {
                let line = format!("device {name} is left out: {words}");
                effects.push(Effect::Log(Level::Warn, line));
                self.told_left_out.insert(name.clone(), words.clone());
            }
            self.refused.keep(&name, Some(words), &self.links);
        }
        let unexplained = self.unexplained.take();
        if looks_again {
            effects.extend(self.look_again(now));
            return effects;
        }
        match unexplained {
            Some(refusal) if !culprits => self.failed(&Error::Refused(refusal), now),
            _ => {
                // If a device has just vanished, the list will tell.
                effects.extend([Effect::ListLinks, Effect::Survey]);
                effects
            }
        }
    }

    /// A device has gone before it was asked, so the next list is to tell whether there is anything
    /// to ask: not when that has been so very often without an end, as if the kernel meant something
    /// else by it.
    pub(super) fn looks_again(&self, answers: &[(String, Answer)]) -> bool {
        let gone = answers.iter().any(|(_, answer)| matches!(answer, Answer::Gone(_)));
        gone && self.gone < VANISHED_MAX
    }

    /// What goes in one moment may come back in the next, as a radio that restarts.
    pub(super) fn look_again(&mut self, now: Instant) -> Vec<Effect> {
        self.gone += 1;
        self.survey_by(now + DEBOUNCE);
        vec![Effect::ListLinks]
    }

    pub(super) fn failed(&mut self, error: &Error, now: Instant) -> Vec<Effect> {
        let reason = match error {
            // Other writers never paused; that is no fault of the kernel.
            Error::Interrupted { .. } => {
                self.look_by(now + PAUSE);
                return self.give_up_old_orders(now);
            }
            error if matches!(error.errno(), Some(libc::EPERM | libc::EACCES)) => {
                Reason::NoPermission
            }
            Error::Io { source, .. } if source.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
                Reason::NoKernelSupport
            }
            _ => Reason::Refused,
        };
        self.fail(reason, error.to_string(), now)
    }

    pub(super) fn fail(&mut self, reason: Reason, detail: String, now: Instant) -> Vec<Effect> {
        self.try_again_later(now);
        let mut effects = self.hold(now);
        let fault = Fault { reason, detail };
        if self.fault.as_ref() != Some(&fault) {
            effects.push(Effect::Log(Level::Error, fault.line()));
            self.fault = Some(fault);
        }
        effects
    }

    /// Something was refused, and is tried again in its own time.
    pub(in crate::core) fn backs_off(&self, now: Instant) -> bool {
        self.fault.is_some() && self.retry_at.is_some_and(|instant| instant > now)
    }

    pub(super) fn try_again_later(&mut self, now: Instant) {
        if self.retry_at.is_none() {
            self.retry_at = Some(now + self.backoff);
            self.backoff = (self.backoff * 2).min(BACKOFF.1);
        }
    }
}
