// SPDX-License-Identifier: GPL-2.0-or-later
//! Elements of sets: what belongs to a key.

use std::time::Duration;

use netlink_packet_core::DecodeError;

use super::expression::Expression;
use crate::netlink::attribute::{self, Writer};

const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
const NFTA_SET_ELEM_EXPIRATION: u16 = 5;
const NFTA_SET_ELEM_EXPR: u16 = 7;
const NFTA_SET_ELEM_KEY_END: u16 = 10;
const NFTA_DATA_VALUE: u16 = 1;

/// What an element holds besides its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Element {
    /// Time until the kernel takes it out, in whole milliseconds. `None` stays until it is removed.
    pub expires: Option<Duration>,
    /// What it has counted, in a set whose elements count. Sent, it is where the count begins.
    pub counted: Option<Counted>,
}

/// A key, or the two ends of a range, the second else empty.
pub(super) type Key<'a> = (&'a [u8], &'a [u8]);

/// A count of packets that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Packets.
    pub packets: u64,
    /// Bytes, IP layer and above.
    pub bytes: u64,
}

impl Element {
    /// Reads the inside of one NFTA_LIST_ELEM; `None` for one without a key (a catch-all).
    pub(super) fn parse(attributes: &[u8]) -> Result<Option<(Vec<u8>, Element)>, DecodeError> {
        let (mut key, mut element) = (None::<Vec<u8>>, Element::default());
        attribute::for_each(attributes, |kind, value| {
            match kind {
                // The end of a range comes behind its beginning.
                NFTA_SET_ELEM_KEY | NFTA_SET_ELEM_KEY_END => {
                    attribute::for_each(value, |kind, value| {
                        if kind == NFTA_DATA_VALUE {
                            key.get_or_insert_default().extend_from_slice(value);
                        }
                        Ok(())
                    })?;
                }
                // A new element has all of its time; the kernel tells what is left.
                NFTA_SET_ELEM_TIMEOUT => {
                    let timeout = Duration::from_millis(attribute::u64_be(value)?);
                    element.expires = element.expires.or(Some(timeout));
                }
                NFTA_SET_ELEM_EXPIRATION => {
                    element.expires = Some(Duration::from_millis(attribute::u64_be(value)?));
                }
                NFTA_SET_ELEM_EXPR => {
                    if let Expression::Counter { packets, bytes } = Expression::parse(value)? {
                        element.counted = Some(Counted { packets, bytes });
                    }
                }
                _ => (),
            }
            Ok(())
        })?;
        Ok(key.map(|key| (key, element)))
    }

    /// Writes the inside of one NFTA_LIST_ELEM.
    pub(super) fn emit(&self, key: Key<'_>, writer: &mut Writer) {
        emit_key(key, writer);
        if let Some(expires) = self.expires {
            // The kernel counts in ticks, and a timeout that rounds to none lasts for ever.
            let expires = u64::try_from(expires.as_millis()).unwrap_or(u64::MAX);
            writer.u64_be(NFTA_SET_ELEM_TIMEOUT, expires.max(LONGEST_TICK_MS));
        }
        if let Some(Counted { packets, bytes }) = self.counted {
            let counter = Expression::Counter { packets, bytes };
            writer.nest(NFTA_SET_ELEM_EXPR, |nest| counter.emit(nest));
        }
    }
}

/// Kernels have at least 100 ticks a second.
const LONGEST_TICK_MS: u64 = 10;

/// Writes the key alone: taking an element away.
pub(super) fn emit_key((key, end): Key<'_>, writer: &mut Writer) {
    writer.nest(NFTA_SET_ELEM_KEY, |nest| nest.bytes(NFTA_DATA_VALUE, key));
    if !end.is_empty() {
        writer.nest(NFTA_SET_ELEM_KEY_END, |nest| nest.bytes(NFTA_DATA_VALUE, end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(element: Element) -> Vec<u8> {
        let mut writer = Writer::new();
        element.emit((&[1, 2, 3, 4], &[]), &mut writer);
        writer.into_bytes()
    }

    #[test]
    fn timeouts_never_round_to_for_ever() {
        let timeout = |ms| {
            let bytes = sent(Element { expires: Some(Duration::from_millis(ms)), counted: None });
            u64::from_be_bytes(bytes[bytes.len() - 8..].try_into().unwrap())
        };
        assert_eq!([timeout(0), timeout(9), timeout(600_000)], [10, 10, 600_000]);
    }

    #[test]
    fn counts_survive_being_sent() {
        let counted = Some(Counted { packets: 7, bytes: 1 << 40 });
        let element = Element { expires: None, counted };
        assert_eq!(Element::parse(&sent(element)).unwrap(), Some((vec![1, 2, 3, 4], element)));
    }

    #[test]
    fn a_range_is_read_as_both_ends() {
        let mut writer = Writer::new();
        Element::default().emit((&[1, 2, 3, 4], &[5, 6, 7, 8]), &mut writer);
        let read = Element::parse(&writer.into_bytes()).unwrap();
        assert_eq!(read, Some(((1..=8).collect(), Element::default())));
    }

    #[test]
    fn an_element_without_a_key_is_none() {
        assert_eq!(Element::parse(&[]).unwrap(), None);
    }
}
