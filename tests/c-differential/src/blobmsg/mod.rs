// SPDX-License-Identifier: GPL-2.0-or-later
//! Holds the daemon's use of blobmsg to libubox.
//!
//! [`compare`] lets both look at the same arguments of a call. What libubox refuses the daemon has to
//! refuse; what it takes, the daemon has to read as the same values, but for what it refuses on
//! purpose ([`Ours`] lists it). Two differences are left, and are counted ([`Verdict::Known`]):
//! libubox passes over an attribute whose padding is cut off and the daemon reads it, and libubox
//! refuses a name whose final NUL is another byte, which the crate `ubus-zero` does not look at.

pub mod reply;
pub mod sys;

use flowtabled::ubus::policy::{Arguments, Policy};
use flowtabled::ubus::StatusCode;
use sys::{Attribute, Read};
use ubus::BlobType;

/// More attributes than this in one call are refused.
const MOST: usize = 63;

/// How both took the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Both read the same.
    Accepted,
    /// Both refused them.
    Rejected,
    /// libubox took them, and the daemon refused them on purpose.
    Stricter,
    /// One of the two known differences.
    Known,
}

/// Why the daemon refuses what libubox takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// Bytes are left that are no attribute.
    Rest,
    /// An attribute without a name field.
    Plain,
    /// A name that is not UTF-8.
    Name,
    /// An argument of another type, a number that does not fit, or a string that is not UTF-8.
    Argument,
    /// A flood of attributes.
    Flood,
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a string.
    Text(Vec<u8>),
    /// Of an integer.
    Number(i32),
}

/// Lets both read `data` as the arguments of a method; `Err` says how they differ.
///
/// # Errors
/// A difference that is not known.
pub fn compare(policy: &Policy, data: &[u8]) -> Result<Verdict, String> {
    let ours = read(policy, data);
    let theirs = sys::read(data);
    if theirs.attributes.iter().any(|attribute| !attribute.name_ends) || theirs.cut {
        return Ok(Verdict::Known);
    }
    let parsed = sys::parse(policy, data);
    if theirs.refused != parsed.is_none() && !data.is_empty() {
        return Err(format!("libubox does not agree with itself: {theirs:?}"));
    }
    if theirs.refused {
        return match ours {
            Err(StatusCode::InvalidArgument) => Ok(Verdict::Rejected),
            other => Err(format!("only libubox refuses {theirs:?}: {other:?}")),
        };
    }
    match (expected(policy, &theirs), ours) {
        (Ok(expected), Ok(ours)) if expected == ours => {
            agrees_with_parse(policy, &ours, &parsed.unwrap_or_default())?;
            Ok(Verdict::Accepted)
        }
        (Err(_), Err(StatusCode::InvalidArgument)) => Ok(Verdict::Stricter),
        (expected, ours) => Err(format!("{theirs:?}\nexpected {expected:?}\nours {ours:?}")),
    }
}

/// The arguments as the daemon reads them, in the order of the policy.
fn read(policy: &Policy, data: &[u8]) -> Result<Vec<Option<Value>>, StatusCode> {
    let arguments = Arguments::check(policy, data)?;
    let value = |name: &str| match arguments.string(name) {
        Some(text) => Some(Value::Text(text.as_bytes().to_vec())),
        None => arguments.number(name).map(Value::Number),
    };
    Ok(policy.arguments.iter().map(|argument| value(argument.name)).collect())
}

/// What the daemon has to make of what libubox has found.
fn expected(policy: &Policy, read: &Read) -> Result<Vec<Option<Value>>, Ours> {
    let mut values: Vec<Option<Value>> = vec![None; policy.arguments.len()];
    for (number, attribute) in read.attributes.iter().enumerate() {
        if number >= MOST {
            return Err(Ours::Flood);
        }
        if !attribute.extended {
            return Err(Ours::Plain);
        }
        let name = std::str::from_utf8(&attribute.name).map_err(|_| Ours::Name)?;
        let place = policy.arguments.iter().position(|argument| argument.name == name);
        let Some((place, argument)) = place.and_then(|at| Some((at, policy.arguments.get(at)?)))
        else {
            continue;
        };
        let value = value(attribute, argument.ty).ok_or(Ours::Argument)?;
        if let Some(free) = values.get_mut(place).filter(|value| value.is_none()) {
            *free = Some(value);
        }
    }
    if read.attributes.len() > MOST {
        return Err(Ours::Flood);
    }
    if read.rest > 0 {
        return Err(Ours::Rest);
    }
    Ok(values)
}

/// libubox has checked that the data is as long as its type wants.
fn value(attribute: &Attribute, wanted: BlobType) -> Option<Value> {
    let data = attribute.data.as_slice();
    let number = match attribute.ty {
        ty if ty == BlobType::Int16 as u8 => i16::from_be_bytes(data.try_into().ok()?).into(),
        ty if ty == BlobType::Int32 as u8 => i32::from_be_bytes(data.try_into().ok()?),
        ty if ty == BlobType::Int64 as u8 => {
            i64::from_be_bytes(data.try_into().ok()?).try_into().ok()?
        }
        ty if ty == BlobType::String as u8 && wanted == BlobType::String => {
            let text = data.split(|byte| *byte == 0).next()?;
            return std::str::from_utf8(text).ok().map(|_| Value::Text(text.to_vec()));
        }
        _ => return None,
    };
    (wanted == BlobType::Int32).then_some(Value::Number(number))
}

/// `blobmsg_parse` takes the first attribute that has both the name and the type.
fn agrees_with_parse(
    policy: &Policy,
    ours: &[Option<Value>],
    parsed: &[Option<Vec<u8>>],
) -> Result<(), String> {
    for ((argument, ours), theirs) in policy.arguments.iter().zip(ours).zip(parsed) {
        let same = match (ours, theirs) {
            (Some(Value::Text(text)), Some(data)) => {
                data.split(|byte| *byte == 0).next() == Some(text)
            }
            // It may have passed over the same name with another width.
            (Some(Value::Number(_)), _) => true,
            (None, None) => true,
            _ => false,
        };
        if !same {
            return Err(format!("{}: ours {ours:?}, blobmsg_parse {theirs:?}", argument.name));
        }
    }
    Ok(())
}
