// SPDX-License-Identifier: GPL-2.0-or-later
//! The registers of a rule: sixty-four bytes in sixteen words.
//!
//! A key of several fields stands in consecutive words from the first on. The kernel has two names
//! for every fourth word and says the older one, `NFT_REG_1` to `NFT_REG_4`, so that is what we
//! say too.

const NFT_REG_1: u32 = 1;
const NFT_REG_4: u32 = 4;
const NFT_REG32_00: u32 = 8;
const NFT_REG32_15: u32 = 23;
/// The older registers are so many words long.
const WORDS: u32 = 4;

/// Where an expression begins to write or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Register {
    word: u8,
}

impl Register {
    /// The first; comparisons and look-ups of ours begin there.
    pub const FIRST: Register = Register { word: 0 };

    /// The register behind so many bytes, rounded up to words.
    pub fn behind(bytes: usize) -> Register {
        Register { word: u8::try_from(bytes.div_ceil(4)).unwrap_or(u8::MAX) }
    }

    pub(super) fn number(self) -> u32 {
        let word = u32::from(self.word);
        if word % WORDS == 0 {
            NFT_REG_1 + word / WORDS
        } else {
            NFT_REG32_00 + word
        }
    }

    /// `None` for the verdict's register and numbers that no kernel has.
    pub(super) fn from_number(number: u32) -> Option<Register> {
        let word = match number {
            NFT_REG_1..=NFT_REG_4 => (number - NFT_REG_1) * WORDS,
            NFT_REG32_00..=NFT_REG32_15 => number - NFT_REG32_00,
            _ => return None,
        };
        u8::try_from(word).ok().map(|word| Register { word })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_are_one_register() {
        assert_eq!(
            [0, 1, 4, 8, 24].map(|bytes| Register::behind(bytes).number()),
            [1, 9, 9, 10, 14]
        );
        assert_eq!(Register::behind(16).number(), 2);
        for word in 0..16 {
            let register = Register { word };
            assert_eq!(Register::from_number(register.number()), Some(register));
            assert_eq!(Register::from_number(NFT_REG32_00 + u32::from(word)), Some(register));
        }
        assert_eq!([0, 5, 7, 24].map(Register::from_number), [None; 4]);
    }
}
