// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes that go wrong without an error: nothing goes by a wrong entry for longer than until it is
//! verified, and none stays.

use super::{finish, flow, host_of, network, ready, rule, side, Chip, Shared};
use hw_drivers::bus::execute::{execute, Transfer};
use hw_drivers::bus::{self, Address, Bus, Outcome, Transaction};
use hw_drivers::flow::{Flow, Mac, Side};
use hw_drivers::qca8337::{Model, Options, Qca8337};
use hw_drivers::table::{Entry, FlowTable};
use hw_simulators::qca8337 as chip;
use std::net::Ipv4Addr;

/// What becomes of a write without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treason {
    /// These bits are other ones.
    Turned(u16),
    /// It is lost.
    Lost,
}

/// A bus that does this to one write, as a bad line, or the ioctls of older kernels do. What goes
/// to the page is spared: nobody knows where that would lead.
#[derive(Debug)]
struct Treacherous {
    chip: Shared<Chip>,
    /// Writes before the one.
    planned: Option<(u32, Treason)>,
    /// Reads before the one in which these bits are other ones; those of polls do not count.
    misread: Option<(u32, u16)>,
}

impl Treacherous {
    fn write(&mut self, at: Address, value: u16) -> Option<u16> {
        let page = at.phy() == 0x18;
        let (left, treason) = self.planned.take_if(|(left, _)| !page && *left == 0).unzip();
        if let Some((left, _)) = self.planned.as_mut().filter(|_| !page && left.is_none()) {
            *left -= 1;
        }
        match treason {
            None => Some(value),
            Some(Treason::Turned(bits)) => Some(value ^ bits),
            Some(Treason::Lost) => None,
        }
    }
}

impl Bus for Treacherous {
    fn atomic(&self) -> bool {
        true
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, bus::Error> {
        execute(transaction, |transfer| {
            let mut single = Transaction::new();
            let slot = match transfer {
                Transfer::Write(at, value) => match self.write(at, value) {
                    Some(value) => single.write(at, value),
                    None => return Ok(value),
                },
                Transfer::Read(at) | Transfer::Poll { at, .. } => single.read(at),
            };
            let value = self.chip.run(&single).unwrap().get(slot.unwrap()).unwrap();
            Ok(match (transfer, &mut self.misread) {
                (Transfer::Read(_), Some((0, bits))) => {
                    let value = value ^ *bits;
                    self.misread = None;
                    value
                }
                (Transfer::Read(_), Some((left, _))) => {
                    *left -= 1;
                    value
                }
                _ => value,
            })
        })
    }
}

/// Writes of an ADD or DEL: the image, the index, the command.
const WRITES: u32 = 14 + 2 + 2;

/// A driver on such a bus, with one flow.
fn betrayed() -> (Qca8337<Treacherous>, Shared<Chip>, Entry) {
    let mut chip = Shared::new(Chip::default());
    let bus = Treacherous { chip: chip.clone(), planned: None, misread: None };
    let mut driver = Qca8337::new(bus, Model::Qca8337, Options::default());
    finish(&mut chip, || driver.set_up(&network()));
    let entry = driver.insert(&flow(2, 0)).unwrap();
    driver.verify(entry).unwrap();
    (driver, chip, entry)
}

/// An entry is not read back when it is added: what was written wrongly without an error is found
/// when it is verified, and taken out whatever it is.
#[test]
fn an_entry_written_wrongly_is_found_and_taken_out() {
    let mut wrong = 0;
    // In the command itself a turned bit may ask for anything; so only its loss is looked at.
    let turned = (0..14 * 16).map(|bit| (bit / 16, Treason::Turned(1 << (bit % 16))));
    for planned in turned.chain((0..WRITES).map(|write| (write, Treason::Lost))) {
        let (mut driver, chip, other) = betrayed();
        let before = chip.with(|chip| chip.napt_entries());
        driver.bus_mut().planned = Some(planned);
        let inserted = driver.insert(&flow(2, 1));
        assert_eq!(driver.bus().planned, None, "nothing has happened");
        let entries = chip.with(|chip| chip.napt_entries());
        let right = entries.iter().any(|entry| {
            let ends = (entry.remote, entry.private, entry.translated);
            let rest = (entry.public, entry.protocol, entry.action, entry.counter);
            let remote = (Ipv4Addr::new(203, 0, 113, 9), 443);
            ends == (remote, (Ipv4Addr::new(192, 168, 1, 2), 10_001), 20_001)
                && rest == (0, 0, chip::Action::Forward, Some(1))
        });
        wrong += u32::from(!right);
        if let Ok(entry) = inserted {
            let verified = driver.verify(entry);
            assert!(right || verified.is_err(), "{planned:?}: {entries:?}");
            assert_eq!(driver.remove(entry), Ok(()), "{planned:?}: {entries:?}");
        }
        assert_eq!(chip.with(|chip| chip.napt_entries()), before, "{planned:?}");
        assert_eq!(driver.verify(other), Ok(()));
    }
    assert!(wrong > 100, "only {wrong} were wrong");
}

/// An entry that seems to be gone is gone, whatever index it has, even if the chip has never heard
/// the command and shows the status of the one before.
#[test]
fn a_removal_that_was_not_heard_is_made_again() {
    for first in [false, true] {
        for write in 0..WRITES {
            let (mut driver, chip, _) = betrayed();
            let before = chip.with(|chip| chip.napt_entries());
            let index = |chip: &Shared<Chip>| {
                let entries = chip.with(|chip| chip.napt_entries());
                entries.iter().find(|entry| !before.contains(entry)).unwrap().index
            };
            let entry = (1..).find_map(|number| {
                let entry = driver.insert(&flow(2, number)).unwrap();
                if first == (index(&chip) == 0) {
                    return Some(entry);
                }
                driver.remove(entry).unwrap();
                None
            });
            driver.bus_mut().planned = Some((write, Treason::Lost));
            assert_eq!(driver.remove(entry.unwrap()), Ok(()), "write {write}");
            assert_eq!(driver.bus().planned, None, "nothing has happened");
            assert_eq!(chip.with(|chip| chip.napt_entries()), before, "write {write}, {first}");
        }
    }
}

/// A status of before is no proof: the chip has to have said where the entry is.
#[test]
fn a_command_that_is_ignored_is_no_success() {
    let (mut driver, chip) = ready();
    driver.insert(&flow(2, 0)).unwrap();
    // FLUSH of the flows, by somebody else; for 10 ms nothing is heard.
    chip.with(|chip| {
        chip.set_busy_reads(0);
        chip.set_register(0x0e58, 0x8000_0001);
    });
    let inserted = driver.insert(&flow(2, 1));
    assert!(chip.with(|chip| chip.ignored_commands()) > 0);
    assert!(inserted.is_err(), "{inserted:?}");
}

/// On a bad line a read goes wrong as well: that an entry is gone does not rest on one of them.
#[test]
fn an_entry_that_is_still_there_is_not_taken_for_gone() {
    for (bit, read) in
        [0, 7, 8, 14].into_iter().flat_map(|bit| (0..).map(move |n| (bit, n)).take(40))
    {
        let (mut driver, chip, _) = betrayed();
        let before = chip.with(|chip| chip.napt_entries());
        let entry = driver.insert(&flow(2, 1)).unwrap();
        driver.bus_mut().planned = Some((WRITES - 1, Treason::Lost));
        driver.bus_mut().misread = Some((read, 1 << bit));
        let removed = driver.remove(entry);
        assert_eq!(driver.bus().planned, None, "nothing has happened");
        let left = chip.with(|chip| chip.napt_entries());
        assert!(removed.is_err() || left == before, "bit {bit} of read {read}: {removed:?}");
    }
}

/// What is written anew while flows go by it is right when the call returns, or the engine is off.
#[test]
fn what_others_go_by_is_read_back_at_once() {
    let (mut ok, mut off) = (0, 0);
    for write in 0.. {
        let (mut driver, chip, _) = betrayed();
        let mut moved = flow(2, 1);
        // The same VLAN, so that the interface stays; the way its frames leave is known by then.
        let neighbour = flow(3, 2);
        driver.insert(&Flow { opener: Side { port: 3, ..neighbour.opener }, ..neighbour }).unwrap();
        moved.opener = Side { port: 3, ..side(3, 1, 77) };
        driver.bus_mut().planned = Some((write, Treason::Lost));
        let inserted = driver.insert(&moved);
        if driver.bus().planned.is_some() {
            break;
        }
        let on = chip.with(|chip| chip.register(0x30)) & 4 != 0;
        if !on {
            assert!(inserted.is_err(), "write {write}");
            off += 1;
            continue;
        }
        // A second entry of the host may be there, if the old one could not be deleted.
        let host = host_of(&chip, 2).unwrap();
        assert_eq!((host.port, host.mac), (3, Mac([2, 0, 0, 0, 1, 77])), "write {write}");
        let [mask, ports, _] = rule(&chip);
        assert_eq!((mask, ports), (0xc2, 0b1000), "write {write}");
        ok += 1;
    }
    assert!(ok > 10 && off > 10, "{ok} right, {off} off");
}
