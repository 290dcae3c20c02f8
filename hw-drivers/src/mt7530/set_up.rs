// SPDX-License-Identifier: GPL-2.0-or-later
//! Setting the classifier up, looking whether it still is, and taking it down, in pieces.

use super::classifier::Classifier;
use super::registers::{CHIP, CREV, PCR_ACL, PORTS, WEIGHTS, WEIGHTS_ACL, WEIGHTS_MASK};
use super::shared::{self, pcr, Change};
use super::Mt7530;
use crate::bus::Bus;
use crate::table::{Error, Progress};

/// How far the classifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not set up, or its set-up has failed.
    Off,
    /// Being set up: the rules' entries up to this number are empty.
    Clearing(u16),
    /// They all are.
    Cleared,
    /// Rules count.
    Ready,
    /// The chip was found changed.
    Lost,
    /// Being taken down: the same.
    Emptying(u16),
    /// They all are.
    Emptied,
}

/// Shared bits as they were before the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Ports whose frames met the ACL.
    acl: u8,
    weights: u32,
}

impl<B: Bus> Mt7530<B> {
    /// One piece of the set-up.
    pub(super) fn set_up_piece(&mut self) -> Result<Progress, Error> {
        // An error begins it anew.
        let state = std::mem::replace(&mut self.state, State::Off);
        self.state = match state {
            State::Clearing(number) => match Classifier::clear(&mut self.bus, number)? {
                true => State::Clearing(number.saturating_add(1)),
                false => State::Cleared,
            },
            State::Cleared => {
                let found = self.found.ok_or(Error::NotReady)?;
                self.set_weights(raised(found.weights))?;
                self.set_acl(self.settings.ports)?;
                State::Ready
            }
            _ => {
                self.begin()?;
                State::Clearing(0)
            }
        };
        Ok(if self.state == State::Ready { Progress::Done } else { Progress::More })
    }

    /// Identifies the chip, keeps what is found, and has no frame meet the ACL.
    fn begin(&mut self) -> Result<(), Error> {
        shared::identify(&mut self.bus)?;
        if self.found.is_none() {
            // What is put back in the end is worth a second look.
            let found = self.read_found()?;
            if found != self.read_found()? {
                return Err(Error::NotReady);
            }
            self.found = Some(found);
        }
        self.set_acl(0)?;
        self.classifier.forget();
        Ok(())
    }

    /// Whether the bits that a reset clears are still set.
    pub(super) fn look(&mut self) -> Result<(), Error> {
        if self.state != State::Ready {
            return Err(Error::NotReady);
        }
        let [crev, weights] = self.read_shared([CREV, WEIGHTS])?;
        let acl = self.read_acl()?;
        // Nobody answers with ones everywhere, so the identity counts too.
        let same = crev >> 16 == CHIP
            && acl & self.settings.ports == self.settings.ports
            && weights & WEIGHTS_ACL == WEIGHTS_ACL;
        if !same {
            self.state = State::Lost;
            return Err(Error::NotReady);
        }
        Ok(())
    }

    /// One piece of taking it down; after the first no frame meets a rule.
    pub(super) fn disable_piece(&mut self) -> Result<Progress, Error> {
        let Some(found) = self.found else {
            self.state = State::Off;
            return Ok(Progress::Done);
        };
        self.state = match self.state {
            State::Emptying(number) => match Classifier::clear(&mut self.bus, number)? {
                true => State::Emptying(number.saturating_add(1)),
                false => State::Emptied,
            },
            State::Emptied => {
                self.set_weights(found.weights)?;
                self.set_acl(found.acl)?;
                self.found = None;
                State::Off
            }
            _ => {
                // What is done until this has succeeded is unknown, and rules are not to come.
                self.state = State::Lost;
                self.set_acl(0)?;
                self.classifier.forget();
                State::Emptying(0)
            }
        };
        Ok(if self.state == State::Off { Progress::Done } else { Progress::More })
    }

    fn read_shared<const N: usize>(&mut self, registers: [u32; N]) -> Result<[u32; N], Error> {
        let values = shared::read(&mut self.bus, &registers)?;
        values.try_into().map_err(|_| Error::Driver("an MT7530 transaction lost a value"))
    }

    fn read_found(&mut self) -> Result<Found, Error> {
        let [weights] = self.read_shared([WEIGHTS])?;
        Ok(Found { acl: self.read_acl()?, weights })
    }

    /// Ports whose frames meet the ACL.
    fn read_acl(&mut self) -> Result<u8, Error> {
        let registers: Vec<_> = (0..PORTS).map(pcr).collect();
        let values = shared::read(&mut self.bus, &registers)?;
        Ok((0..PORTS)
            .zip(values)
            .fold(0, |ports, (port, value)| ports | u8::from(value & PCR_ACL != 0) << port))
    }

    /// Has the frames of these ports meet the ACL, of the others we have to do with none.
    fn set_acl(&mut self, ports: u8) -> Result<(), Error> {
        let ours = (0..PORTS).filter(|port| self.settings.ports >> port & 1 != 0);
        let changes: Vec<_> = ours
            .map(|port| {
                let set = if ports >> port & 1 != 0 { PCR_ACL } else { 0 };
                Change { register: pcr(port), clear: PCR_ACL, set }
            })
            .collect();
        shared::change(&mut self.bus, &changes)
    }

    fn set_weights(&mut self, weights: u32) -> Result<(), Error> {
        let set = weights & WEIGHTS_MASK;
        let change = Change { register: WEIGHTS, clear: WEIGHTS_MASK, set };
        shared::change(&mut self.bus, &[change])
    }
}

/// The weights with the ACL's above all others; those that were as high lose one.
fn raised(weights: u32) -> u32 {
    (1..6).map(|source| 4 * source).fold(weights | WEIGHTS_ACL, |weights, shift| {
        match weights >> shift & 7 {
            7 => weights & !(1 << shift),
            _ => weights,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_acl_weighs_most() {
        assert_eq!(raised(0x0065_4321), 0x0065_4327);
        assert_eq!(raised(0x0072_7070), 0x0062_6067);
        assert_eq!(raised(0xff88_8880), 0xff88_8887, "no bits besides the weights");
    }
}
