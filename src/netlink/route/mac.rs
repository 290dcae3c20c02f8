// SPDX-License-Identifier: GPL-2.0-or-later
//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// Bytes of an Ethernet address.
const LEN: usize = 6;
/// Set in the first byte of an address that stands for several stations.
const GROUP_BIT: u8 = 1;

/// The address of one station on a LAN, or of a group of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; LEN]);

/// A text is not six two-digit hexadecimal numbers with colons between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacError;

impl Mac {
    /// From its bytes in the order of transmission.
    pub const fn new(bytes: [u8; LEN]) -> Mac {
        Mac(bytes)
    }

    /// From a link-layer address of the kernel; `None` when it has another length, as those of
    /// tunnels and InfiniBand have.
    pub fn from_slice(bytes: &[u8]) -> Option<Mac> {
        bytes.try_into().ok().map(Mac)
    }

    /// From twelve hexadecimal digits without anything between them.
    ///
    /// # Errors
    /// The text is anything else.
    pub fn from_digits(text: &str) -> Result<Mac, MacError> {
        let digits: [u8; 2 * LEN] = text.as_bytes().try_into().map_err(|_| MacError)?;
        let mut pairs = [[0; 2]; LEN];
        for (pair, digits) in pairs.iter_mut().zip(digits.chunks_exact(2)) {
            pair.copy_from_slice(digits);
        }
        read(pairs)
    }

    /// Its bytes in the order of transmission.
    pub fn bytes(self) -> [u8; LEN] {
        self.0
    }

    /// It stands for several stations: multicast or broadcast.
    pub fn is_group(self) -> bool {
        self.0[0] & GROUP_BIT != 0
    }

    /// All bytes are 0: nobody's address.
    pub fn is_zero(self) -> bool {
        self.0 == [0; LEN]
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Mac, MacError> {
        let mut words = text.split(':').map(str::as_bytes);
        let mut pairs = [[0; 2]; LEN];
        for pair in &mut pairs {
            *pair = words.next().and_then(|word| word.try_into().ok()).ok_or(MacError)?;
        }
        match words.next() {
            None => read(pairs),
            Some(_) => Err(MacError),
        }
    }
}

fn read(pairs: [[u8; 2]; LEN]) -> Result<Mac, MacError> {
    let mut bytes = [0; LEN];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(MacError);
        *byte = (digit(high)? << 4 | digit(low)?) as u8;
    }
    Ok(Mac(bytes))
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Display for MacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an Ethernet address like 02:00:5e:10:00:ff")
    }
}

impl std::error::Error for MacError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_cases_are_read_and_lower_case_is_written() {
        let mac: Mac = "02:AB:cd:00:09:fF".parse().unwrap();
        assert_eq!(mac, Mac::new([2, 0xab, 0xcd, 0, 9, 0xff]));
        assert_eq!(mac.to_string(), "02:ab:cd:00:09:ff");
        assert_eq!(Mac::from_digits("02ABcd0009fF"), Ok(mac));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "02:00:00:00:00:1",
            "02:00:00:00:00:+1",
            "02-00-00-00-00-01",
            "02:00:00:00:00:0g",
            "0200:0000:0001",
            "02:00:00:00:00:é",
        ] {
            assert_eq!(bad.parse::<Mac>(), Err(MacError), "{bad}");
        }
        for bad in ["", "02000000000", "0200000000011", "020000000001ff", "02000000000g"] {
            assert_eq!(Mac::from_digits(bad), Err(MacError), "{bad}");
        }
    }

    #[test]
    fn groups_and_nobody() {
        let all = Mac::new([0xff; 6]);
        assert!(all.is_group() && Mac::new([0x33, 0x33, 0, 0, 0, 1]).is_group());
        assert!(!Mac::new([2, 0, 0, 0, 0, 1]).is_group());
        assert!(Mac::new([0; 6]).is_zero() && !all.is_zero());
        assert_eq!(Mac::from_slice(&[1; 5]), None);
        assert_eq!(Mac::from_slice(&[0xff; 6]), Some(all));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in any::<[u8; 6]>(), text in "\\PC*") {
            let mac = Mac::new(bytes);
            prop_assert_eq!(mac.to_string().parse(), Ok(mac));
            prop_assert_eq!(Mac::from_digits(&mac.to_string().replace(':', "")), Ok(mac));
            let _ = (text.parse::<Mac>(), Mac::from_digits(&text));
        }
    }
}
