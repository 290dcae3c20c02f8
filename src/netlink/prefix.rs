// SPDX-License-Identifier: GPL-2.0-or-later
//! Addresses and prefixes of both families.

use std::fmt;
use std::net::IpAddr;

/// An address or a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text is no prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixError(String);

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is neither an address nor a prefix", self.0)
    }
}

impl std::error::Error for PrefixError {}

impl std::str::FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Prefix, PrefixError> {
        let error = || PrefixError(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let whole = bits(address);
        let length = match length {
            None => whole,
            Some(length) => length.parse().ok().filter(|bits| *bits <= whole).ok_or_else(error)?,
        };
        Ok(Prefix { address, length })
    }
}

/// Bits of an address.
fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl Prefix {
    /// The prefix of `length` bits that `address` is in; of one that has fewer bits, the address
    /// itself.
    pub fn new(address: IpAddr, length: u8) -> Prefix {
        Prefix { address, length: length.min(bits(address)) }
    }

    /// True for IPv4.
    pub fn is_v4(self) -> bool {
        self.address.is_ipv4()
    }

    /// The address, of which only the bits that are shared matter.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits the addresses share.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Its first and its last address, in the order of transmission.
    pub fn bounds(self) -> (Vec<u8>, Vec<u8>) {
        let octets = match self.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let bound = |last: bool| {
            let mut bits = usize::from(self.length);
            let mut bound = octets.clone();
            for octet in &mut bound {
                let host = u8::MAX.checked_shr(bits.min(8) as u32).unwrap_or(0);
                *octet = if last { *octet | host } else { *octet & !host };
                bits = bits.saturating_sub(8);
            }
            bound
        };
        (bound(false), bound(true))
    }

    /// True when the address is inside.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let differ = u32::from(a) ^ u32::from(b);
                differ.leading_zeros() >= u32::from(self.length)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let differ = u128::from(a) ^ u128::from(b);
                differ.leading_zeros() >= u32::from(self.length)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let inside = |prefix: &str, address: &str| {
            prefix.parse::<Prefix>().unwrap().contains(address.parse().unwrap())
        };
        assert!(inside("192.168.1.0/24", "192.168.1.77"));
        assert!(!inside("192.168.1.0/24", "192.168.2.1"));
        assert!(inside("0.0.0.0/0", "8.8.8.8") && !inside("0.0.0.0/0", "::1"));
        assert!(inside("fd00::/8", "fd12::1") && inside("::1", "::1"));
        for bad in ["192.168.1.0/33", "::/129", "x", "1.2.3.4/", "1.2.3.4/-1"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_prefix_is_longer_than_its_address() {
        for (address, whole) in [("10.2.0.0", 32), ("fd00::", 128)] {
            let address: IpAddr = address.parse().unwrap();
            let prefix = Prefix::new(address, u8::MAX);
            assert_eq!((prefix.length(), Prefix::new(address, whole)), (whole, prefix));
            assert!(prefix.contains(address));
        }
    }
}
