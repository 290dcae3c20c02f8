// SPDX-License-Identifier: GPL-2.0-or-later
//! The shape of a packet that a scenario sends into a flow.

use crate::error::{Context, Error, Result};

/// What hosts send unless told otherwise.
const DEFAULT_TTL: u8 = 64;
/// Bytes of a whole IP packet; a fragmented one has to be longer than its first fragment.
const DEFAULT_SIZE: usize = 128;
const FRAGMENTED_SIZE: usize = 1200;
/// The hosts' Ethernet, and headers with room for a payload.
const SIZES: std::ops::RangeInclusive<usize> = 100..=1500;

/// How a probe differs from an ordinary packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// TTL or hop limit.
    pub ttl: u8,
    /// Bytes of the IP packet, before it is cut into fragments.
    pub size: usize,
    /// Routers may not fragment it. IPv6 is always so.
    pub dont_fragment: bool,
    /// It is sent as two fragments.
    pub fragments: bool,
    /// It has IPv4 options or an IPv6 extension header.
    pub options: bool,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            ttl: DEFAULT_TTL,
            size: DEFAULT_SIZE,
            dont_fragment: false,
            fragments: false,
            options: false,
        }
    }
}

impl Shape {
    /// Reads words such as `ttl=1`, `size=1450`, `df`, `fragments`, `options`.
    pub fn parse(words: &[&str]) -> Result<Shape> {
        let mut shape = Shape::default();
        let mut size = None;
        for word in words {
            let bad = || format!("not a shape: {word}");
            match word.split_once('=') {
                Some(("ttl", number)) => shape.ttl = number.parse().context(bad())?,
                Some(("size", number)) => size = Some(number.parse().context(bad())?),
                None if *word == "df" => shape.dont_fragment = true,
                None if *word == "fragments" => shape.fragments = true,
                None if *word == "options" => shape.options = true,
                _ => return Err(Error::new(bad())),
            }
        }
        let default = if shape.fragments { FRAGMENTED_SIZE } else { DEFAULT_SIZE };
        shape.size = size.unwrap_or(default);
        if !SIZES.contains(&shape.size) {
            return Err(Error::new(format!("a size is {} to {}", SIZES.start(), SIZES.end())));
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shape() {
        assert_eq!(Shape::parse(&[]).unwrap(), Shape::default());
        let shape = Shape::parse(&["ttl=1", "size=1450", "df", "options"]).unwrap();
        assert_eq!((shape.ttl, shape.size), (1, 1450));
        assert!(shape.dont_fragment && shape.options && !shape.fragments);
        assert_eq!(Shape::parse(&["fragments"]).unwrap().size, FRAGMENTED_SIZE);
        for bad in ["ttl=300", "ttl", "size=9000", "round"] {
            assert!(Shape::parse(&[bad]).is_err(), "{bad}");
        }
    }
}
