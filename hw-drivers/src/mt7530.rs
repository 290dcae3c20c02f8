// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7530 switch, which classifies and does not translate.
//!
//! It forwards by MAC address and VLAN; its ACL can drop frames, give them a priority, limit their
//! rate, or send them to the processor. It has no routing and no NAT: on the MT7621 that is the
//! packet engine's work. So as a [`FlowTable`] it has room for no flow and says why, and what it
//! can do is asked of it by rules. The kernel's driver keeps ports, VLANs and addresses; of the
//! registers that it uses too, single bits are changed inside one transaction and put back when
//! the classifier is taken down.

pub mod access;
mod classifier;
mod counters;
mod mac;
pub mod registers;
mod rule;
mod set_up;
mod shared;
mod tables;
mod vlan;

pub use classifier::{Error, RuleId, MAX_PATTERNS, MAX_RULES};
pub use counters::{Counter, Counters};
pub use mac::{Dump, Scope, Station, MAX_ADDRESSES};
pub use rule::{Action, Inexpressible, Match, Rule, ALL_PORTS, MAX_RATE};
pub use vlan::{Damage, Vlan, MAX_WATCHED};

use crate::bus::Bus;
use crate::flow::{Flow, Mac};
use crate::table::{self, Capabilities, Entry, FlowTable, Network, Part, Progress, Sight};
use classifier::Classifier;
use set_up::{Found, State};

/// Entries of the VLAN table.
const VLANS: u16 = 4096;

/// What the owner decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Ports whose frames meet the rules, a bit each.
    pub ports: u8,
    /// [`Action::ToCpu`] is allowed, though its code is known by analogy only.
    pub trap: bool,
}

impl Default for Settings {
    /// All ports, no traps.
    fn default() -> Settings {
        Settings { ports: ALL_PORTS, trap: false }
    }
}

/// The switch on a bus.
#[derive(Debug, Clone)]
pub struct Mt7530<B> {
    bus: B,
    settings: Settings,
    state: State,
    found: Option<Found>,
    classifier: Classifier,
    /// Where the search for VLANs goes on.
    searched: u16,
}

impl<B: Bus> Mt7530<B> {
    /// A driver for the switch on this bus; touches no register.
    pub fn new(bus: B, settings: Settings) -> Mt7530<B> {
        let settings = Settings { ports: settings.ports & ALL_PORTS, ..settings };
        let (state, classifier) = (State::Off, Classifier::new());
        Mt7530 { bus, settings, state, found: None, classifier, searched: 0 }
    }

    /// The bus.
    pub fn bus(&self) -> &B {
        &self.bus
    }

    /// The bus, for accesses besides the driver's.
    pub fn bus_mut(&mut self) -> &mut B {
        &mut self.bus
    }

    /// Whether the chip is an MT7530 out of reset: its revision.
    ///
    /// # Errors
    /// [`table::Error::WrongChip`]; [`table::Error::NotReady`] in reset; the bus.
    pub fn identify(&mut self) -> Result<u8, table::Error> {
        shared::identify(&mut self.bus)
    }

    /// Looks a MAC address up.
    ///
    /// The command's words are shared with the kernel's driver and cannot be read, so they cannot be
    /// put back: if the kernel is just about to write an address, it writes this one in its
    /// place. [`Mt7530::dump_stations`] does not use them.
    ///
    /// # Errors
    /// [`table::Error::Stuck`]; the bus.
    pub fn station(&mut self, mac: Mac, scope: Scope) -> Result<Option<Station>, table::Error> {
        mac::read(&mut self.bus, mac, scope)
    }

    /// Goes through the address table, at most eight entries with each call; `seen` is told of
    /// each MAC address. Begins with a new [`Dump`], or one that has come to [`Progress::Done`].
    ///
    /// The chip has one cursor: a dump of the kernel's (`bridge fdb show`) at the same time goes
    /// wrong, and this one begins anew when it notices.
    ///
    /// # Errors
    /// [`table::Error::Stuck`]; the bus. The dump goes on with the next call, and may have missed
    /// one address.
    pub fn dump_stations(
        &mut self,
        dump: &mut Dump,
        seen: &mut dyn FnMut(Station),
    ) -> Result<Progress, table::Error> {
        mac::dump(&mut self.bus, dump, seen)
    }

    /// Reads a VLAN's entry, 0 to 4095.
    ///
    /// # Errors
    /// [`table::Error::Stuck`]; the bus.
    pub fn vlan(&mut self, vlan: u16) -> Result<Vlan, table::Error> {
        vlan::read(&mut self.bus, vlan)
    }

    /// Has a VLAN compared around each change of a rule; false if [`MAX_WATCHED`] already are.
    pub fn watch_vlan(&mut self, vlan: u16) -> bool {
        self.classifier.watch.add(vlan)
    }

    /// Searches the table for VLANs in use and watches them, one entry (0.8 ms of the bus) with
    /// each call: for an owner that does not know them.
    ///
    /// # Errors
    /// [`table::Error::Stuck`], the bus; the search goes on with the next call.
    pub fn find_vlans(&mut self) -> Result<Progress, table::Error> {
        let vlan = self.searched;
        if self.vlan(vlan)?.is_valid() {
            self.watch_vlan(vlan);
        }
        self.searched = (vlan + 1) % VLANS;
        Ok(if self.searched == 0 { Progress::Done } else { Progress::More })
    }

    /// VLANs that changed with a rule, one entry for each.
    pub fn damages(&self) -> &[Damage] {
        &self.classifier.watch.damages
    }

    /// Writes a damaged VLAN as it was before, and forgets the damage.
    ///
    /// # Errors
    /// [`table::Error::Mismatch`], [`table::Error::Stuck`], the bus; to be tried again.
    pub fn restore_vlan(&mut self, damage: &Damage) -> Result<(), table::Error> {
        vlan::write(&mut self.bus, damage.vlan, damage.before)?;
        self.accept_vlan(damage.vlan);
        Ok(())
    }

    /// Forgets a damage: the kernel itself has changed the VLAN.
    pub fn accept_vlan(&mut self, vlan: u16) {
        self.classifier.watch.damages.retain(|damage| damage.vlan != vlan);
    }

    /// Reads a port's counters; `None` if the switch does not count.
    ///
    /// # Errors
    /// [`table::Error::NotExpressible`] for a port that is not there; the bus.
    pub fn counters(&mut self, port: u8) -> Result<Option<Counters>, table::Error> {
        counters::read(&mut self.bus, port)
    }

    /// Begins to put a rule in; [`Mt7530::advance`] does it. Touches no register.
    ///
    /// # Errors
    /// All of [`Error`] but those of the chip and of VLANs; nothing has changed then.
    pub fn insert_rule(&mut self, rule: &Rule) -> Result<RuleId, Error> {
        self.ready()?;
        self.classifier.insert(rule, self.settings.ports, self.settings.trap)
    }

    /// Begins to take a rule out. Touches no register.
    ///
    /// # Errors
    /// [`Error::NotReady`], [`Error::Busy`], [`Error::NoRule`].
    pub fn remove_rule(&mut self, id: RuleId) -> Result<(), Error> {
        self.ready()?;
        self.classifier.remove(id)
    }

    /// Makes one table operation of the change at hand; [`Progress::Done`] when there is none left.
    ///
    /// # Errors
    /// [`Error::Chip`]: the operation is made again with the next call. Until an insertion is
    /// done, frames that match the whole rule may meet it, others never. [`Error::Vlan`]: the
    /// change goes on, and the VLAN is among the [`Mt7530::damages`].
    pub fn advance(&mut self) -> Result<Progress, Error> {
        self.ready()?;
        self.classifier.advance(&mut self.bus)
    }

    /// Gives an insertion up that is not done: from now on [`Mt7530::advance`] takes it out.
    pub fn abandon(&mut self) {
        self.classifier.abandon();
    }

    /// A change is not done.
    pub fn is_changing(&self) -> bool {
        self.classifier.is_busy()
    }

    /// The rules, without the one that is being changed.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, Rule)> + '_ {
        self.classifier.rules()
    }

    /// Patterns in use, of [`MAX_PATTERNS`].
    pub fn patterns_used(&self) -> usize {
        self.classifier.patterns_used()
    }

    /// Compares one entry of the ACL with what it should be, and writes it if it is not: a sweep
    /// over all, which begins anew after [`Progress::Done`].
    ///
    /// # Errors
    /// [`Error::Chip`] with [`table::Error::Mismatch`] for an entry that was wrong and has been
    /// put right; [`Error::Busy`]; the bus.
    pub fn audit(&mut self) -> Result<Progress, Error> {
        self.ready()?;
        self.classifier.audit(&mut self.bus)
    }

    fn ready(&self) -> Result<(), Error> {
        match self.state {
            State::Ready => Ok(()),
            _ => Err(Error::NotReady),
        }
    }
}

/// The switch has no flows, but the rest of the contract holds for its classifier.
impl<B: Bus> FlowTable for Mt7530<B> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            chip: "MT7530",
            entries: 0,
            v4: &[],
            v6: &[],
            protocols: &[],
            pppoe: false,
            counted: 0,
        }
    }

    fn set_up(&mut self, _: &Network) -> Result<Progress, table::Error> {
        self.set_up_piece()
    }

    fn check(&self, flow: &Flow) -> Result<(), table::Error> {
        Err(table::Error::NotExpressible(Part::Translation(flow.translation())))
    }

    fn insert(&mut self, flow: &Flow) -> Result<Entry, table::Error> {
        self.check(flow)?;
        Err(table::Error::NotReady)
    }

    fn remove(&mut self, entry: Entry) -> Result<(), table::Error> {
        Err(table::Error::NoEntry(entry))
    }

    fn sweep(&mut self, _: &mut dyn FnMut(Sight)) -> Result<Progress, table::Error> {
        self.ready()?;
        Ok(Progress::Done)
    }

    fn verify(&mut self, entry: Entry) -> Result<(), table::Error> {
        Err(table::Error::NoEntry(entry))
    }

    fn alive(&mut self) -> Result<(), table::Error> {
        self.look()
    }

    fn disable(&mut self) -> Result<Progress, table::Error> {
        self.disable_piece()
    }

    fn used(&self) -> u32 {
        0
    }
}
