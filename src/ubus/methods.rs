// SPDX-License-Identifier: GPL-2.0-or-later
//! The methods that the object has, as the broker is told and as callers name them.

use ubus::BlobBuilder;

use super::policy::Policy;
use super::status_code::StatusCode;
use super::{
    devices, evict, explain, flows, flush, hardware, history, hosts, release, reload, status,
};

/// All methods, in the order of the signature.
pub const METHODS: [Policy; 11] = [
    status::POLICY,
    devices::POLICY,
    flows::POLICY,
    hosts::POLICY,
    explain::POLICY,
    history::POLICY,
    hardware::POLICY,
    flush::POLICY,
    evict::POLICY,
    release::POLICY,
    reload::POLICY,
];

/// Body of `UBUS_ATTR_SIGNATURE`: a table per method, an int32 per argument that holds its type.
pub fn signature() -> Vec<u8> {
    let mut out = BlobBuilder::new();
    for policy in METHODS {
        out.open_table(Some(policy.name));
        for argument in policy.arguments {
            out.put_i32(Some(argument.name), argument.ty as i32);
        }
        out.close_table();
    }
    out.finish()
}

/// The policy of the method called `name`.
pub fn find(name: &str) -> Result<Policy, StatusCode> {
    METHODS.into_iter().find(|p| p.name == name).ok_or(StatusCode::MethodNotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ubus::{BlobIter, BlobValue};

    #[test]
    fn signature_has_the_bytes_of_libubus() {
        #[rustfmt::skip]
        let first = [
            0x82, 0, 0, 16, 0, 6, b's', b't', b'a', b't', b'u', b's', 0, 0, 0, 0,
            0x82, 0, 0, 52, 0, 7, b'd', b'e', b'v', b'i', b'c', b'e', b's', 0, 0, 0,
            0x85, 0, 0, 16, 0, 4, b'n', b'a', b'm', b'e', 0, 0, 0, 0, 0, 3,
            0x85, 0, 0, 20, 0, 6, b'c', b'u', b'r', b's', b'o', b'r', 0, 0, 0, 0, 0, 0, 0, 3,
            0x82, 0, 0, 192, 0, 5, b'f', b'l', b'o', b'w', b's', 0,
            0x85, 0, 0, 16, 0, 5, b's', b't', b'a', b't', b'e', 0, 0, 0, 0, 3,
            0x85, 0, 0, 20, 0, 7, b'a', b'd', b'd', b'r', b'e', b's', b's', 0, 0, 0, 0, 0, 0, 3,
            0x85, 0, 0, 16, 0, 4, b'p', b'o', b'r', b't', 0, 0, 0, 0, 0, 5,
        ];
        assert!(signature().starts_with(&first));
        let last = [0x82, 0, 0, 16, 0, 6, b'r', b'e', b'l', b'o', b'a', b'd', 0, 0, 0, 0];
        assert!(signature().ends_with(&last));
    }

    #[test]
    fn signature_has_every_method_with_its_arguments() {
        let signature = signature();
        let mut methods = BlobIter::new(&signature);
        for policy in METHODS {
            let method = methods.next().unwrap();
            assert_eq!(method.name, Some(policy.name));
            let Ok(BlobValue::Table(body)) = method.value() else { panic!("{}", policy.name) };
            let arguments: Vec<_> =
                BlobIter::new(body).map(|a| (a.name.unwrap(), a.as_i32().unwrap())).collect();
            let wanted: Vec<_> = policy
                .arguments
                .iter()
                .map(|argument| (argument.name, argument.ty as i32))
                .collect();
            assert_eq!(arguments, wanted, "{}", policy.name);
        }
        assert!(methods.next().is_none());
    }

    #[test]
    fn methods_are_found_by_name() {
        for policy in METHODS {
            assert_eq!(find(policy.name), Ok(policy));
        }
        assert_eq!(find("statu"), Err(StatusCode::MethodNotFound));
        assert_eq!(find(""), Err(StatusCode::MethodNotFound));
    }
}
