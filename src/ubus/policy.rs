// SPDX-License-Identifier: GPL-2.0-or-later
//! What a method takes, and holding a call against it.
//!
//! The same policies are sent to the broker when the object is registered, so that
//! `ubus -v list flowtable` shows them, and are held against the arguments of each call before the
//! method runs. Attributes that a policy does not name are ignored, as libubus ignores them, but one
//! that is malformed is refused whatever its name, as libubox refuses it. A wrong type is refused, where libubus drops the attribute and calls the method without it: a
//! filter that is silently forgotten is an answer to another question. JSON does not tell int32
//! from int64, and callers send either.

use ubus::{BlobIter, BlobRef, BlobType, BlobValue};

use super::status_code::StatusCode;

/// A method of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// State of the daemon.
    Status,
    /// State of each network device.
    Devices,
    /// Flows, a page at a time.
    Flows,
    /// Clients, a page at a time.
    Hosts,
    /// Why a flow takes the path that it takes.
    Explain,
    /// What flows carried in the last minutes.
    History,
    /// What the switches are at, and how full.
    Hardware,
    /// Returns all flows to the classic path.
    Flush,
    /// Returns some flows to the classic path and keeps them there.
    Evict,
    /// Lets flows leave the classic path.
    Release,
    /// Reads the configuration again.
    Reload,
}

/// An argument: its name and its blobmsg type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// Name of the attribute.
    pub name: &'static str,
    /// Type it must have; for an int32 any integer will do that fits into one.
    pub ty: BlobType,
}

/// What a method takes. Every argument is optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The method.
    pub method: Method,
    /// Its name on the bus.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: &'static [Argument],
}

/// Longest run of attributes looked at in one call; a request has a handful.
const MAX_ATTRIBUTES: usize = 64;

/// The arguments of a call that its policy names. Of several with one name the first counts.
#[derive(Debug, Default)]
pub struct Arguments<'a> {
    found: Vec<(&'static str, BlobRef<'a>)>,
}

impl<'a> Arguments<'a> {
    /// Checks `data`, the body of `UBUS_ATTR_DATA`, against `policy`.
    pub fn check(policy: &Policy, data: &'a [u8]) -> Result<Self, StatusCode> {
        let mut found: Vec<(&'static str, BlobRef<'a>)> = Vec::new();
        let mut attributes = BlobIter::new(data);
        for _ in 0..MAX_ATTRIBUTES {
            let attribute = attributes.try_next().map_err(|_| StatusCode::InvalidArgument)?;
            let Some(attribute) = attribute else {
                return Ok(Arguments { found });
            };
            if !is_well_formed(&attribute) {
                return Err(StatusCode::InvalidArgument);
            }
            let Some(argument) = policy.arguments.iter().find(|a| Some(a.name) == attribute.name)
            else {
                continue;
            };
            let valid = match argument.ty {
                BlobType::Int32 => integer(&attribute).is_some(),
                ty => attribute.ty == ty && attribute.value().is_ok(),
            };
            if !valid {
                return Err(StatusCode::InvalidArgument);
            }
            if found.iter().all(|(name, _)| *name != argument.name) {
                found.push((argument.name, attribute));
            }
        }
        Err(StatusCode::InvalidArgument)
    }

    /// The argument `name` of type string, when it was passed.
    pub fn string(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    /// The argument `name` of type int32, when it was passed.
    pub fn number(&self, name: &str) -> Option<i32> {
        integer(self.get(name)?)
    }

    fn get(&self, name: &str) -> Option<&BlobRef<'a>> {
        self.found.iter().find(|(known, _)| *known == name).map(|(_, attribute)| attribute)
    }
}

/// What libubox asks of the data of each type (`blob_check_type`).
pub(super) fn is_well_formed(attribute: &BlobRef<'_>) -> bool {
    let data = attribute.payload;
    match attribute.ty {
        BlobType::String => data.last() == Some(&0),
        BlobType::Int8 => data.len() == 1,
        BlobType::Int16 => data.len() == 2,
        BlobType::Int32 => data.len() == 4,
        BlobType::Int64 => data.len() == 8,
        BlobType::Double => data.len() >= 8,
        BlobType::Table | BlobType::Array | BlobType::Unspec => true,
    }
}

/// A number of any width but that of booleans, which are int8 on the bus.
fn integer(attribute: &BlobRef<'_>) -> Option<i32> {
    match attribute.value().ok()? {
        BlobValue::Int16(number) => Some(number.into()),
        BlobValue::Int32(number) => Some(number),
        BlobValue::Int64(number) => number.try_into().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::devices::POLICY;
    use crate::ubus::flow_filter::PORT;
    use crate::ubus::flows;
    use ubus::{BlobBuilder, BlobMsgTable};

    fn devices() -> Policy {
        POLICY
    }

    fn table(f: impl FnOnce(&mut BlobBuilder)) -> Vec<u8> {
        BlobMsgTable::build(f).contents().to_vec()
    }

    #[test]
    fn the_first_of_several_counts_and_strangers_are_ignored() {
        let data = table(|b| {
            b.put_i32(Some("stranger"), 5);
            b.put_str(Some("name"), "lan1");
            b.put_str(Some("name"), "lan2");
            b.put_str(None, "nameless");
        });
        let arguments = Arguments::check(&devices(), &data).unwrap();
        assert_eq!(arguments.string("name"), Some("lan1"));
        assert_eq!(arguments.string("stranger"), None);
        assert_eq!(Arguments::check(&devices(), &[]).unwrap().string("name"), None);
    }

    #[test]
    fn a_wrong_type_is_refused() {
        let refused = |data: &[u8]| {
            assert_eq!(Arguments::check(&devices(), data).unwrap_err(), StatusCode::InvalidArgument)
        };
        refused(&table(|b| b.put_i32(Some("name"), 1)));
        refused(&table(|b| {
            b.open_array(Some("name"));
            b.close_array();
        }));
        // A string without its final zero byte, one that is not UTF-8, a cut attribute.
        let good = table(|b| b.put_str(Some("name"), "abc"));
        let mut bytes = good.clone();
        *bytes.last_mut().unwrap() = b'd';
        refused(&bytes);
        let mut bytes = good.clone();
        let at = bytes.len() - 2;
        bytes[at] = 0xff;
        refused(&bytes);
        refused(&good[..good.len() - 1]);
    }

    #[test]
    fn a_malformed_attribute_is_refused_whatever_its_name() {
        for name in ["name", "stranger"] {
            // Without the zero byte at the end, though there is one before it.
            let mut text = table(|b| b.put_str(Some(name), "abc\0def"));
            *text.last_mut().unwrap() = b'g';
            let mut number = table(|b| b.put_i64(Some(name), 1));
            number[0] = number[0] & 0x80 | BlobType::Int32 as u8;
            let mut short = table(|b| b.put_i32(Some(name), 1));
            short[0] = short[0] & 0x80 | BlobType::Double as u8;
            for data in [text, number, short] {
                let checked = Arguments::check(&devices(), &data);
                assert_eq!(checked.unwrap_err(), StatusCode::InvalidArgument, "{data:?}");
            }
        }
    }

    #[test]
    fn a_number_may_have_any_width_that_holds_it() {
        let number = |data: &[u8]| Arguments::check(&flows::POLICY, data).map(|a| a.number(PORT));
        for value in [i32::MIN, -1, 0, 443, i32::MAX] {
            assert_eq!(number(&table(|b| b.put_i32(Some(PORT), value))), Ok(Some(value)));
            assert_eq!(number(&table(|b| b.put_i64(Some(PORT), value.into()))), Ok(Some(value)));
        }
        // The builder makes no int16: type 6 of two bytes in place of type 5 of four.
        let mut short = table(|b| b.put_i32(Some(PORT), i32::from_be_bytes([0xff, 0xfe, 0, 0])));
        short[0] = short[0] & 0x80 | BlobType::Int16 as u8;
        short[3] -= 2;
        assert_eq!(number(&short), Ok(Some(-2)));

        let refused = Err(StatusCode::InvalidArgument);
        for value in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1, i64::MIN, i64::MAX] {
            assert_eq!(number(&table(|b| b.put_i64(Some(PORT), value))), refused);
        }
        assert_eq!(number(&table(|b| b.put_bool(Some(PORT), true))), refused);
        assert_eq!(number(&table(|b| b.put_str(Some(PORT), "443"))), refused);
        let mut cut = table(|b| b.put_i32(Some(PORT), 443));
        cut[0] = cut[0] & 0x80 | BlobType::Int64 as u8;
        assert_eq!(number(&cut), refused, "four bytes are no int64");
    }

    #[test]
    fn a_flood_of_attributes_is_refused() {
        let data = table(|b| (0..=MAX_ATTRIBUTES).for_each(|_| b.put_bool(Some("x"), true)));
        assert!(Arguments::check(&devices(), &data).is_err());
    }
}
