// SPDX-License-Identifier: GPL-2.0-or-later
//! The chip's end of the MDIO bus: the page register, the window that it moves, and the latch for
//! the low half of a write. It finds out which register a transfer is for, and does nothing to it.

use super::options::{Latch, Options};
use hw_drivers::bus::Address;

/// The device with the page register, which is its register 0.
const PAGE_DEVICE: u8 = 0x18;

/// The page register has ten bits.
const PAGE_BITS: u16 = 0x3ff;

/// What nobody answers reads as.
pub(super) const ABSENT: u16 = 0xffff;

/// What a transfer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// One half of the register at this byte address.
    Half { register: u32, high: bool },
    /// A register of a PHY inside the chip.
    Phy { device: u8, register: u8 },
    /// The page register.
    Page,
    /// No device of the chip.
    Nobody,
}

/// Page and latch.
#[derive(Debug, Clone, Default)]
pub(super) struct FrontEnd {
    /// What the page register holds.
    page: u16,
    /// The page still in force, and the transfers for which it remains so.
    leaving: Option<(u16, u8)>,
    /// Register and low half of the write that waits for its high half.
    latch: (u32, u16),
}

impl FrontEnd {
    /// What the page register holds.
    pub(super) fn page(&self) -> u16 {
        self.page
    }

    /// What the next transfer is for. Each transfer asks once, which is what settles a page.
    pub(super) fn target(&mut self, at: Address) -> Target {
        let page = match self.leaving {
            Some((old, left @ 1..)) => {
                self.leaving = Some((old, left - 1));
                old
            }
            _ => {
                self.leaving = None;
                self.page
            }
        };
        match at.phy() {
            device @ 0..=4 => Target::Phy { device, register: at.register() },
            device @ 0x10..=0x17 => {
                // The window is eight devices of 32 halves; a page is all of it.
                let half =
                    u32::from(page) << 8 | u32::from(device & 7) << 5 | u32::from(at.register());
                Target::Half { register: (half >> 1) << 2, high: half & 1 == 1 }
            }
            PAGE_DEVICE if at.register() == 0 => Target::Page,
            _ => Target::Nobody,
        }
    }

    pub(super) fn read_page(&self, options: &Options) -> u16 {
        if options.page_readable {
            self.page
        } else {
            ABSENT
        }
    }

    pub(super) fn write_page(&mut self, value: u16, options: &Options) {
        let in_force = self.leaving.map_or(self.page, |(old, _)| old);
        self.page = value & PAGE_BITS;
        self.leaving = (options.page_settles > 0).then_some((in_force, options.page_settles));
    }

    /// Keeps a low half.
    pub(super) fn latch(&mut self, register: u32, low: u16) {
        self.latch = (register, low);
    }

    /// The word that a high half makes; `present` is what the register holds.
    pub(super) fn join(&self, register: u32, high: u16, present: u32, options: &Options) -> u32 {
        let (latched, low) = self.latch;
        let low = match options.latch {
            Latch::OfRegister if latched != register => present & 0xffff,
            Latch::OfRegister | Latch::Plain => u32::from(low),
        };
        u32::from(high) << 16 | low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Register, page, device, low half: the check values of the sheet.
    const PLACES: [(u32, u16, u8, u8); 13] = [
        (0x00000, 0x000, 0x10, 0x00),
        (0x0009c, 0x000, 0x12, 0x0e),
        (0x00600, 0x003, 0x10, 0x00),
        (0x00e00, 0x007, 0x10, 0x00),
        (0x00e38, 0x007, 0x10, 0x1c),
        (0x00e58, 0x007, 0x11, 0x0c),
        (0x00e80, 0x007, 0x12, 0x00),
        (0x01000, 0x008, 0x10, 0x00),
        (0x2b000, 0x158, 0x10, 0x00),
        (0x2f040, 0x178, 0x11, 0x00),
        (0x58000, 0x2c0, 0x10, 0x00),
        (0x5a900, 0x2d4, 0x14, 0x00),
        (0x5aa04, 0x2d5, 0x10, 0x02),
    ];

    #[test]
    fn places_are_those_of_the_sheet() {
        let (mut front, options) = (FrontEnd::default(), Options::default());
        for (register, page, device, low) in PLACES {
            front.write_page(page, &options);
            for (mii, high) in [(low, false), (low + 1, true)] {
                let at = Address::new(device, mii).unwrap();
                assert_eq!(front.target(at), Target::Half { register, high }, "{register:#x}");
            }
        }
    }

    #[test]
    fn other_devices_are_no_window() {
        let mut front = FrontEnd::default();
        let mut target = |phy, register| front.target(Address::new(phy, register).unwrap());
        assert_eq!(target(0x18, 0), Target::Page);
        assert_eq!(target(0x18, 1), Target::Nobody);
        assert_eq!(target(0x0f, 0), Target::Nobody);
        assert_eq!(target(5, 2), Target::Nobody);
        assert_eq!(target(4, 2), Target::Phy { device: 4, register: 2 });
    }

    #[test]
    fn a_page_settles_after_as_many_transfers_as_it_needs() {
        let options = Options { page_settles: 2, ..Options::default() };
        let (mut front, at) = (FrontEnd::default(), Address::truncated(0x10, 0));
        front.write_page(7, &options);
        let half = |register| Target::Half { register, high: false };
        assert_eq!(front.page(), 7);
        assert_eq!(front.target(at), half(0));
        assert_eq!(front.target(at), half(0));
        assert_eq!(front.target(at), half(0xe00));
        // A second page while the first one settles: what is in force is still the oldest.
        front.write_page(1, &options);
        front.write_page(2, &options);
        assert_eq!([front.target(at), front.target(at)], [half(0xe00); 2]);
        assert_eq!(front.target(at), half(0x400));
        front.write_page(0xfc07, &options);
        assert_eq!(front.page(), 7);
    }

    #[test]
    fn the_latch_joins_what_it_is_told_to() {
        let mut front = FrontEnd::default();
        front.latch(0xe58, 0x1234);
        let addressed = Options { latch: Latch::OfRegister, ..Options::default() };
        assert_eq!(front.join(0xe58, 0x8000, 0xffff_ffff, &addressed), 0x8000_1234);
        assert_eq!(front.join(0x658, 0x8000, 0xffff_5678, &addressed), 0x8000_5678);
        assert_eq!(front.join(0x658, 0x8000, 0xffff_5678, &Options::default()), 0x8000_1234);
    }
}
