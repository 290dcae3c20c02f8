// SPDX-License-Identifier: GPL-2.0-or-later
//! The translation against the model of the chip.

use super::model::Chip;
use super::*;
use crate::bus::execute::Transfer;
use crate::bus::fault::{FaultBus, Kind};
use crate::bus::{Bus, Error as BusError, Failure, Fault, Step};
use proptest::prelude::*;

const NO_SETTLE: Settle = Settle { reads: 0, at: PAGE };

fn at(phy: u8, register: u8) -> Address {
    Address::new(phy, register).unwrap()
}

fn translation(after: PageAfter) -> Translation {
    Translation::new(after, NO_SETTLE).unwrap()
}

/// Register, page, PHY, low half: at least one register with each of the fields set.
#[test]
fn known_places() {
    for (register, page, phy, low) in [
        (0x00000, 0x000, 0x10, 0x00),
        (0x0009c, 0x000, 0x12, 0x0e),
        (0x00600, 0x003, 0x10, 0x00),
        (0x00e38, 0x007, 0x10, 0x1c),
        (0x00e58, 0x007, 0x11, 0x0c),
        (0x00e80, 0x007, 0x12, 0x00),
        (0x2b000, 0x158, 0x10, 0x00),
        (0x5a900, 0x2d4, 0x14, 0x00),
        (0x5aa04, 0x2d5, 0x10, 0x02),
        (0x7fffc, 0x3ff, 0x17, 0x1e),
    ] {
        let expected = Place { page, low: at(phy, low), high: at(phy, low + 1) };
        assert_eq!(Place::of(register), Ok(expected), "{register:#x}");
    }
    for register in [0x00001, 0x00002, 0x80000, u32::MAX] {
        assert_eq!(Place::of(register), Err(Error::Register(register)));
    }
}

/// The exact transfers of a write: page, settling read, low half, high half, page back.
#[test]
fn order_on_the_wire() {
    let mut chip = Chip { page: 0x123, ..Chip::default() };
    let mut access = Translation::new(PageAfter::ReadBack, Settle::default()).unwrap();
    access.write(0x0e58, 0x8000_0112).unwrap();
    chip.run(&access.finish()).unwrap();
    let expected = [
        Transfer::Poll { at: at(0x18, 0), mask: 0xfc00, equals: 0 },
        Transfer::Write(at(0x18, 0), 7),
        Transfer::Read(at(0, 2)),
        Transfer::Write(at(0x11, 0x0c), 0x0112),
        Transfer::Write(at(0x11, 0x0d), 0x8000),
        Transfer::Write(at(0x18, 0), 0x123),
    ];
    assert_eq!(chip.log, expected);
    assert_eq!(chip.registers.get(&0x0e58), Some(&0x8000_0112));
}

#[test]
fn page_is_written_only_where_it_changes() {
    let mut access = translation(PageAfter::Any);
    for register in [0x0e80, 0x0e84, 0x0e58, 0x0620, 0x0e80] {
        access.read(register).unwrap();
    }
    assert_eq!(access.finish().ops().len(), 5 * 2 + 3);
}

/// A page that cannot be read back stops the transaction before it has written anything.
#[test]
fn hidden_page_is_noticed_in_time() {
    let mut chip = Chip { page: 0x123, page_hidden: true, ..Chip::default() };
    let mut access = translation(PageAfter::ReadBack);
    access.write(0x0e58, 1).unwrap();
    let Err(BusError::Failed(failure)) = chip.run(&access.finish()) else { panic!("went on") };
    assert_eq!(failure.fault, Fault::Exhausted { tries: 1, last: 0xffff });
    assert_eq!((failure.step, chip.page, chip.log.len()), (Step::Operation(0), 0x123, 1));
}

#[test]
fn known_page_needs_no_read() {
    let mut chip = Chip { page: 0x123, page_hidden: true, ..Chip::default() };
    let mut access = translation(PageAfter::Known(0x123));
    access.write(0x0e58, 1).unwrap();
    chip.run(&access.finish()).unwrap();
    assert_eq!(chip.page, 0x123);
    let refused = Translation::new(PageAfter::Known(0x400), NO_SETTLE);
    assert_eq!(refused.unwrap_err(), Error::Page(0x400));
}

#[test]
fn busy_bit_is_polled_in_its_half() {
    let mut access = translation(PageAfter::ReadBack);
    access.poll(0x0e58, 0x8000_0000, 0, 3).unwrap();
    let transaction = access.finish();
    let mut chip = Chip { page: 2, ..Chip::default() };
    chip.run(&transaction).unwrap();
    chip.registers.insert(0x0e58, 0x8000_0000);
    let Err(BusError::Failed(Failure { fault, address, .. })) = chip.run(&transaction) else {
        panic!("not busy")
    };
    assert_eq!(fault, Fault::Exhausted { tries: 3, last: 0x8000 });
    assert_eq!((address, chip.page), (at(0x11, 0x0d), 2));
}

/// The transfers of a modify: each half is read and written at once, low first, and the low half
/// is written even if only the high one changes.
#[test]
fn modify_on_the_wire() {
    let mut chip = Chip::default();
    chip.registers.insert(0x0e38, 0x0000_0012);
    let mut access = translation(PageAfter::Any);
    let slot = access.modify(0x0e38, 0, 0x0004_0000).unwrap();
    let outcome = chip.run(&access.finish()).unwrap();
    let expected = [
        Transfer::Write(at(0x18, 0), 7),
        Transfer::Read(at(0x10, 0x1c)),
        Transfer::Write(at(0x10, 0x1c), 0x0012),
        Transfer::Read(at(0x10, 0x1d)),
        Transfer::Write(at(0x10, 0x1d), 0x0004),
    ];
    assert_eq!(chip.log, expected);
    assert_eq!(slot.value(&outcome), Some(0x12));
}

#[test]
fn polls_that_cannot_be_are_refused() {
    let (register, mask) = (0x0e58, 0x0001_0001);
    let refused = translation(PageAfter::Any).poll(register, mask, 0, 3);
    assert_eq!(refused, Err(Error::BothHalves { register, mask }));
    for (mask, equals) in [(0x8000_0000, 1), (1, 0x8000_0000), (0, 0)] {
        let refused = translation(PageAfter::Any).poll(register, mask, equals, 3);
        assert!(matches!(refused, Err(Error::Build(BuildError::HopelessPoll(_)))), "{mask:#x}");
    }
}

/// Why a bus that is not atomic refuses: a foreign page between the halves, and the value lands
/// in a register that nobody named.
#[test]
fn foreign_page_between_the_halves_hits_a_wrong_register() {
    let mut chip = Chip { foreign: Some((2, 3)), ..Chip::default() };
    let mut access = translation(PageAfter::Any);
    access.write(0x0e58, 0x8000_0112).unwrap();
    chip.run(&access.finish()).unwrap();
    assert_eq!(chip.registers.get(&0x0e58), None);
    assert_eq!(chip.registers.get(&0x0658), Some(&0x8000_0000));
}

proptest! {
    /// What is written is read, in one transaction, and the page is as before.
    #[test]
    fn writes_are_read_back(
        accesses in prop::collection::btree_map(0u32..0x2_0000, any::<u32>(), 1..9),
        page in 0u16..0x400,
    ) {
        let mut chip = Chip { page, ..Chip::default() };
        let mut access = translation(PageAfter::ReadBack);
        for (word, value) in &accesses {
            access.write(word * 4, *value).unwrap();
        }
        let slots: Vec<_> = accesses.keys().map(|word| access.read(word * 4).unwrap()).collect();
        let outcome = chip.run(&access.finish()).unwrap();
        for (slot, value) in slots.iter().zip(accesses.values()) {
            prop_assert_eq!(slot.value(&outcome), Some(*value));
        }
        let expected = accesses.iter().map(|(word, value)| (word * 4, *value)).collect();
        prop_assert_eq!(chip.registers, expected);
        prop_assert_eq!(chip.page, page);
    }

    /// A modify changes its bits and no others, and gives what was there.
    #[test]
    fn modify_changes_its_bits(
        before in any::<u32>(),
        clear in any::<u32>(),
        set in any::<u32>(),
        halves in 0usize..4,
    ) {
        let mask = [0, 0xffff, 0xffff_0000, u32::MAX][halves];
        let (clear, set) = (clear & mask, set & mask);
        let mut chip = Chip { page: 0x55, ..Chip::default() };
        chip.registers.insert(0x0030, before);
        let mut access = translation(PageAfter::ReadBack);
        let slot = access.modify(0x0030, clear, set).unwrap();
        let after = access.read(0x0030).unwrap();
        let outcome = chip.run(&access.finish()).unwrap();
        prop_assert_eq!(slot.value(&outcome), Some(before));
        prop_assert_eq!(after.value(&outcome), Some(before & !clear | set));
        prop_assert_eq!(chip.registers.get(&0x0030), Some(&(before & !clear | set)));
        prop_assert_eq!((chip.latched, chip.page), (None, 0x55));
    }

    /// Whichever transfer times out, the page is as before, unless the restore itself failed,
    /// and then the error says so.
    #[test]
    fn page_survives_a_time_out(number in 0u32..11, page in 0u16..0x400) {
        let mut bus = FaultBus::new(Chip { page, ..Chip::default() }, 1);
        bus.inject(number, Kind::TimeOut).unwrap();
        let mut access = translation(PageAfter::ReadBack);
        access.write(0x0e80, 0x1234_5678).unwrap();
        access.write(0x0620, 0x9abc_def0).unwrap();
        access.read(0x0e80).unwrap();
        let result = bus.run(&access.finish());
        let unrestored = match result {
            Err(BusError::Failed(Failure { unrestored, .. })) => unrestored,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(unrestored.is_some(), number == 10);
        prop_assert_eq!(bus.inner().page, if number == 10 { 7 } else { page });
    }
}
