// SPDX-License-Identifier: GPL-2.0-or-later
//! Setting the engine up and switching it off, a stage with each call. Both empty all tables in
//! between, as what an earlier program has left there is not known.

use super::engine::value;
use super::engine::{Command, Table};
use super::neighbours::Neighbours;
use super::network::{self, write_all, Interface, Rule};
use super::registers::*;
use super::translate::Surroundings;
use super::{Model, Qca8337};
use crate::bus::Bus;
use crate::qca8k_page;
use crate::table::{Error, Network, Progress};
use std::time::Duration;

/// How long the chip needs after its flows were flushed (vendor).
const FLUSHED: Duration = Duration::from_millis(10);

/// How far the driver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is set up.
    Idle,
    /// On the way.
    Under(Goal, Stage),
    /// Flows may be put in.
    Ready,
}

/// Where the stages lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The engine is on.
    SetUp,
    /// It is off.
    Disable,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Look which chip it is and what the kernel has set up, and switch the engine off.
    Begin,
    /// Empty the table of basic NAT.
    FlushNat,
    /// Begin to empty the table of flows.
    FlushFlows,
    /// It is to be empty now.
    FlushedFlows,
    /// Take the public addresses away.
    ClearPublic,
    /// Empty the table of hosts.
    FlushHosts,
    /// Take the interfaces and sessions away.
    ClearInterfaces,
    /// Put the shared registers as the engine needs them, and tell it the LAN.
    Control,
    /// Tell it the public address of this number and those after.
    Public(u8),
    /// Switch the engine on.
    SwitchOn,
    /// Put the shared registers as the kernel had them.
    Restore,
}

/// What shared registers held before the driver touched them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    modules: u32,
    frame_ack: u32,
    vlan_trans: u32,
    forward: u32,
    packets: u32,
    egress: u32,
    learning: u32,
}

/// Bits of a shared register that the driver changes, and what they were.
type Shared = (u32, u32, u32);

impl Found {
    /// Where each is.
    const REGISTERS: [u32; 7] =
        [MOD_ENABLE, FRAME_ACK_CTL1, VLAN_TRANS, FORWARD_CTL0, PKT_CTRL, ROUTER_EG, ROUTER_PTCTRL2];

    /// What they hold, in the same order.
    fn new(values: [u32; 7]) -> Found {
        let [modules, frame_ack, vlan_trans, forward, packets, egress, learning] = values;
        Found { modules, frame_ack, vlan_trans, forward, packets, egress, learning }
    }

    /// Register, bits, what they were. The private base of AR8327 is no shared register.
    fn shared(&self, model: Model) -> impl Iterator<Item = Shared> {
        let isolation = (model == Model::Qca8337).then_some((VLAN_TRANS, NET_ISO, self.vlan_trans));
        let rest = [
            (FRAME_ACK_CTL1, PPPOE_EN, self.frame_ack),
            (FORWARD_CTL0, CPU_PORT_EN | NAT_NOT_FOUND_DROP, self.forward),
            (PKT_CTRL, PKT_CTRL_BITS, self.packets),
            (ROUTER_EG, 0x0333_3333, self.egress),
            (ROUTER_PTCTRL2, ARP_LEARN, self.learning),
        ];
        rest.into_iter().chain(isolation)
    }
}

impl<B: Bus> Qca8337<B> {
    /// One stage towards a set-up engine.
    pub(super) fn set_up_stage(&mut self, network: &Network) -> Result<Progress, Error> {
        let under_way = matches!(self.state, State::Under(Goal::SetUp, _));
        if !under_way || self.network.as_ref() != Some(network) {
            self.state = State::Idle;
            self.around = Some(Surroundings::new(self.access.model(), network)?);
            self.network = Some(network.clone());
            self.state = State::Under(Goal::SetUp, Stage::Begin);
        }
        let State::Under(Goal::SetUp, stage) = self.state else {
            return Err(Error::Driver("a stage of something else"));
        };
        match self.stage(Goal::SetUp, stage) {
            Ok((next, progress)) => {
                self.state = next;
                Ok(progress)
            }
            Err(error) => {
                self.state = State::Idle;
                // Nothing is touched of a chip that is another one, or not known yet.
                if self.found.is_some() && !matches!(error, Error::WrongChip(_)) {
                    // The first error is the one to tell; set-up begins with the same anyway.
                    let _ = self.switch_off(Goal::SetUp);
                }
                Err(error)
            }
        }
    }

    /// One stage towards an engine that is off. An error leaves the stage where it is.
    pub(super) fn disable_stage(&mut self) -> Result<Progress, Error> {
        let stage = match self.state {
            State::Under(Goal::Disable, stage) => stage,
            _ => Stage::Begin,
        };
        self.state = State::Under(Goal::Disable, stage);
        let (next, progress) = self.stage(Goal::Disable, stage)?;
        self.state = next;
        Ok(progress)
    }

    /// Switches the engine off as well as the bus lets it, when it cannot be made sure what it
    /// would forward.
    pub(super) fn give_up(&mut self) {
        self.state = State::Idle;
        // The driver is not ready whether or not this helps.
        let _ = self.switch_off(Goal::SetUp);
    }

    fn stage(&mut self, goal: Goal, stage: Stage) -> Result<(State, Progress), Error> {
        let then = |stage| Ok((State::Under(goal, stage), Progress::More));
        match stage {
            Stage::Begin => {
                self.identify()?;
                self.switch_off(goal)?;
                self.forget();
                // A flush that was begun and not seen to its end.
                let progress = if self.flushing { Progress::Wait(FLUSHED) } else { Progress::More };
                self.flushing = false;
                Ok((State::Under(goal, Stage::FlushNat), progress))
            }
            Stage::FlushNat => {
                self.flush(Table::Nat)?;
                then(Stage::FlushFlows)
            }
            Stage::FlushFlows if self.flushing => {
                self.flushing = false;
                Ok((State::Under(goal, Stage::FlushFlows), Progress::Wait(FLUSHED)))
            }
            Stage::FlushFlows => {
                self.flushing = true;
                self.access.start(&Command::flush(Table::Napt))?;
                Ok((State::Under(goal, Stage::FlushedFlows), Progress::Wait(FLUSHED)))
            }
            Stage::FlushedFlows => {
                let answer = self.access.finish(&Command::flush(Table::Napt))?;
                self.flushing = false;
                if !answer.status {
                    self.state = State::Under(goal, Stage::FlushFlows);
                }
                flushed(answer.status)?;
                then(Stage::ClearPublic)
            }
            Stage::ClearPublic => {
                let bitmap = public_bitmap(self.access.model());
                self.access.run(|access| {
                    write_all(access, (0..PUBLICS).map(network::public_off))?;
                    access.write(bitmap, 0)
                })?;
                then(Stage::FlushHosts)
            }
            Stage::FlushHosts => {
                self.flush(Table::Host)?;
                then(Stage::ClearInterfaces)
            }
            Stage::ClearInterfaces => {
                self.access.run(|access| {
                    write_all(access, (0..INTERFACES).map(Interface::off))?;
                    write_all(access, (0..SESSIONS).map(network::session_off))
                })?;
                then(if goal == Goal::SetUp { Stage::Control } else { Stage::Restore })
            }
            Stage::Control => {
                self.control()?;
                then(Stage::Public(0))
            }
            Stage::Public(index) => {
                let address = self
                    .around
                    .as_ref()
                    .and_then(|around| around.public.get(usize::from(index)).copied());
                let Some(address) = address else {
                    return then(Stage::SwitchOn);
                };
                self.public_on(index, address)?;
                then(Stage::Public(index.saturating_add(1)))
            }
            Stage::SwitchOn => {
                self.switch_on()?;
                self.canary()?;
                Ok((State::Ready, Progress::Done))
            }
            Stage::Restore => {
                self.restore()?;
                Ok((State::Idle, Progress::Done))
            }
        }
    }

    /// Reads which chip it is, and what shared registers hold unless that is known already.
    fn identify(&mut self) -> Result<(), Error> {
        let (slots, outcome) = self.access.run(|access| {
            let id = access.read(MASK_CTL)?;
            let mut found = [None; 7];
            for (slot, at) in found.iter_mut().zip(Found::REGISTERS) {
                *slot = Some(access.read(at)?);
            }
            Ok((id, found))
        })?;
        let (id, slots) = slots;
        let id = value(id, &outcome)?;
        if (id & DEVICE_ID) >> 8 != self.access.model().device_id() {
            return Err(Error::WrongChip(id));
        }
        if self.found.is_none() {
            let mut found = [0; 7];
            for (found, slot) in found.iter_mut().zip(slots.into_iter().flatten()) {
                *found = value(slot, &outcome)?;
            }
            self.found = Some(Found::new(found));
        }
        Ok(())
    }

    /// No packet is forwarded by an entry after this.
    fn switch_off(&mut self, goal: Goal) -> Result<(), Error> {
        let rule = self.access.options().rule;
        // The classifier serves nobody else while the rule is off, so the bit may wait.
        let classifier = match (goal, self.found) {
            (Goal::Disable, Some(found)) if found.modules & ACL_EN == 0 => ACL_EN,
            _ => 0,
        };
        self.access.run(|access| {
            access.modify(ROUTER_CTRL, ROUTER_EN, 0)?;
            access.write(NAT_CTRL, 0)?;
            access.modify(MOD_ENABLE, L3_EN | classifier, 0)?;
            write_all(access, [Rule::off(rule)])
        })?;
        Ok(())
    }

    /// The tables are about to be emptied.
    fn forget(&mut self) {
        self.held.clear();
        self.access.doubt();
        self.neighbours = Neighbours::default();
        self.sweep_from = 0;
    }

    fn flush(&mut self, table: Table) -> Result<(), Error> {
        flushed(self.access.command(&Command::flush(table))?.status)
    }

    fn control(&mut self) -> Result<(), Error> {
        let around = self.around.as_ref().ok_or(Error::NotReady)?;
        let private = around.private;
        self.access.run(|access| {
            access.modify(FORWARD_CTL0, NAT_NOT_FOUND_DROP, CPU_PORT_EN)?;
            access.modify(PKT_CTRL, 0, PKT_CTRL_BITS)?;
            access.modify(ROUTER_PTCTRL2, ARP_LEARN, 0)?;
            match private.base() {
                Some(base) => {
                    access.modify(VLAN_TRANS, BASEADDR_SEL | BASEADDR, base.register())?;
                    access.modify(BASEADDR_COPY, BASEADDR, base.register() & BASEADDR)?;
                }
                None => {
                    access.modify(VLAN_TRANS, 0, NET_ISO)?;
                    access.write(PRVIP_MASK, private.mask())?;
                    access.write(PRVIP_ADDR, private.network())?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    fn public_on(&mut self, index: u8, address: std::net::Ipv4Addr) -> Result<(), Error> {
        let model = self.access.model();
        let [edit, offload, lookup, valid] = network::public_on(model, index, address);
        // They are told in order, so the bitmap is known and is not read: a misread bit would take
        // another address out.
        let told = u32::MAX.checked_shr(31_u32.saturating_sub(index.into())).unwrap_or(0);
        self.access.run(|access| {
            write_all(access, [edit, offload])?;
            access.write(public_bitmap(model), told)?;
            write_all(access, [lookup, valid])
        })?;
        self.compare(&[lookup, valid])
    }

    fn switch_on(&mut self) -> Result<(), Error> {
        let nat = self.nat_control();
        self.access.run(|access| {
            access.write(NAT_CTRL, nat)?;
            let router = ROUTER_EN | ARP_AGE_MODE | GLB_LOCKTIME_100US;
            access.modify(ROUTER_CTRL, GLB_LOCKTIME, router)?;
            access.modify(MOD_ENABLE, 0, L3_EN | ACL_EN)
        })?;
        Ok(())
    }

    fn nat_control(&self) -> u32 {
        NAT_CTRL_START | if self.access.options().override_entries { NAPT_OVERRIDE } else { 0 }
    }

    /// Reads what a reset, or the kernel's driver bound again, would have changed.
    pub(super) fn canary(&mut self) -> Result<(), Error> {
        let interface = self.neighbours.canary();
        let model = self.access.model();
        let private = self.around.as_ref().and_then(|around| match model {
            Model::Qca8337 => Some((PRVIP_ADDR, around.private.network())),
            Model::Ar8327 => around.private.base().map(|base| (VLAN_TRANS, base.register())),
        });
        let nat = self.nat_control();
        let wanted = [
            Some((MASK_CTL, DEVICE_ID, model.device_id() << 8)),
            Some((MOD_ENABLE, L3_EN | ACL_EN, L3_EN | ACL_EN)),
            private.map(|(at, wanted)| match model {
                Model::Qca8337 => (at, u32::MAX, wanted),
                Model::Ar8327 => (at, BASEADDR_SEL | BASEADDR, wanted),
            }),
            Some((ROUTER_CTRL, ROUTER_EN, ROUTER_EN)),
            Some((NAT_CTRL, u32::MAX, nat)),
            interface.map(|(at, wanted)| (at, u32::MAX, wanted)),
        ];
        let (slots, outcome) = self.access.run(|access| {
            let slots = wanted.iter().flatten().map(|(at, ..)| access.read(*at));
            slots.collect::<Result<Vec<_>, qca8k_page::Error>>()
        })?;
        for ((at, mask, wanted), slot) in wanted.iter().flatten().zip(slots) {
            let found = value(slot, &outcome)?;
            if found & mask != *wanted {
                return Err(Error::Mismatch { at: *at, wanted: *wanted, found });
            }
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Error> {
        let model = self.access.model();
        if let Some(found) = self.found {
            self.access.run(|access| {
                for (at, bits, value) in found.shared(model) {
                    access.modify(at, bits, value & bits)?;
                }
                Ok(())
            })?;
        }
        self.found = None;
        (self.network, self.around) = (None, None);
        Ok(())
    }

    /// Reads back what was written.
    pub(super) fn compare(&mut self, wanted: &[network::Write]) -> Result<(), Error> {
        let (slots, outcome) = self.access.run(|access| {
            let slots = wanted.iter().map(|(at, _)| access.read(*at));
            slots.collect::<Result<Vec<_>, qca8k_page::Error>>()
        })?;
        for ((at, wanted), slot) in wanted.iter().zip(slots) {
            let found = value(slot, &outcome)?;
            if found != *wanted {
                return Err(Error::Mismatch { at: *at, wanted: *wanted, found });
            }
        }
        Ok(())
    }
}

/// An empty table is flushed with success too.
fn flushed(status: bool) -> Result<(), Error> {
    if status {
        return Ok(());
    }
    Err(Error::Mismatch { at: TABLE_COMMAND, wanted: 1 << 7, found: 0 })
}
