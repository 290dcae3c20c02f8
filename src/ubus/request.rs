// SPDX-License-Identifier: GPL-2.0-or-later
//! An INVOKE message as a typed request, and the address that its reply goes to.

use ubus::envelope::{self, UbusAttr};
use ubus::wire::{Header, ObjId, PeerId};

use super::devices::DevicesQuery;
use super::evict::Eviction;
use super::flow_filter;
use super::flows::FlowQuery;
use super::hosts::HostsQuery;
use super::methods;
use super::policy::{Arguments, Method};
use super::status_code::StatusCode;
use crate::core::explain::Wanted;
use crate::core::flows::selection::Selection;

/// What a caller asks for, with checked arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// State of the daemon.
    Status,
    /// State of the devices.
    Devices(DevicesQuery),
    /// A page of the flows.
    Flows(FlowQuery),
    /// A page of the clients.
    Hosts(HostsQuery),
    /// Why a flow takes the path that it takes.
    Explain(Wanted),
    /// What flows carried in the last minutes, in so many samples at most.
    History(usize),
    /// What the switches are at, and how full.
    Hardware,
    /// Return all flows to the classic path.
    Flush,
    /// Return some flows to the classic path and keep them there.
    Evict(Eviction),
    /// Let these flows leave the classic path.
    Release(Selection),
    /// Read the configuration again.
    Reload,
}

/// The address of a reply. It stays valid, and harmless, when the caller or the connection goes.
/// To drop one is to leave its caller waiting, and the call counted, until the connection ends.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a caller waits for the reply until its own time-out"]
pub struct ReplyTo {
    /// The connection that the call came by; addresses mean nothing on a later one.
    pub(super) connection: u32,
    pub(super) peer: PeerId,
    pub(super) seq: u16,
    pub(super) silent: bool,
}

/// A call to be answered with `Bus::reply`, at once or later, in any order.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Who asked.
    pub reply_to: ReplyTo,
}

/// The part of an INVOKE that is needed to refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub peer: PeerId,
    pub seq: u16,
    /// The caller set `UBUS_ATTR_NO_REPLY`.
    pub silent: bool,
}

impl Caller {
    /// Who sent a message; `None` for the broker itself, which never calls.
    pub fn of(header: &Header, payload: &[u8]) -> Option<Self> {
        let silent =
            envelope::find(payload, UbusAttr::NoReply).is_some_and(|attr| attr.as_bool_int8());
        Some(Caller { peer: PeerId::new(header.peer)?, seq: header.seq, silent })
    }
}

/// Decodes the body of an INVOKE on `object`. `Ok(None)` is a message to be ignored because it
/// names no object at all, as libubus ignores it.
pub(super) fn decode(payload: &[u8], object: ObjId) -> Result<Option<Request>, StatusCode> {
    let Some(id) = envelope::find(payload, UbusAttr::ObjId).and_then(|attr| attr.as_u32()) else {
        return Ok(None);
    };
    if id != object.get() {
        return Err(StatusCode::NotFound);
    }
    let method = envelope::find(payload, UbusAttr::Method)
        .and_then(|attr| attr.as_str())
        .ok_or(StatusCode::InvalidArgument)?;
    let policy = methods::find(method)?;
    let data = envelope::find(payload, UbusAttr::Data).ok_or(StatusCode::InvalidArgument)?;
    let arguments = Arguments::check(&policy, data.as_blobmsg())?;
    Request::of(policy.method, &arguments).map(Some)
}

impl Request {
    /// The request that a method and its arguments make.
    ///
    /// # Errors
    /// An argument makes no sense.
    pub fn of(method: Method, arguments: &Arguments<'_>) -> Result<Request, StatusCode> {
        Ok(match method {
            Method::Status => Request::Status,
            Method::Devices => Request::Devices(DevicesQuery::of(arguments)?),
            Method::Flows => Request::Flows(FlowQuery::of(arguments)?),
            Method::Hosts => Request::Hosts(HostsQuery::of(arguments)?),
            Method::Explain => Request::Explain(super::explain::wanted(arguments)?),
            Method::History => Request::History(super::history::points(arguments)?),
            Method::Hardware => Request::Hardware,
            Method::Flush => Request::Flush,
            Method::Evict => Request::Evict(Eviction::of(arguments)?),
            Method::Release => Request::Release(flow_filter::read(arguments)?),
            Method::Reload => Request::Reload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ubus::envelope::EnvBuilder;

    fn object() -> ObjId {
        ObjId::new(0x56a0_37b2).unwrap()
    }

    fn invoke(build: impl FnOnce(&mut EnvBuilder)) -> Result<Option<Request>, StatusCode> {
        let mut env = EnvBuilder::new();
        build(&mut env);
        decode(&env.finish(), object())
    }

    /// Body of `ubus call flowtable devices '{"name":"lan1"}'`, called by root, captured behind
    /// the C broker.
    #[rustfmt::skip]
    const DEVICES: [u8; 72] = [
        0, 0, 0, 72,
        3, 0, 0, 8, 0x56, 0xa0, 0x37, 0xb2,
        4, 0, 0, 12, b'd', b'e', b'v', b'i', b'c', b'e', b's', 0,
        12, 0, 0, 9, b'r', b'o', b'o', b't', 0, 0, 0, 0,
        13, 0, 0, 9, b'r', b'o', b'o', b't', 0, 0, 0, 0,
        7, 0, 0, 24,
        0x83, 0, 0, 17, 0, 4, b'n', b'a', b'm', b'e', 0, 0, b'l', b'a', b'n', b'1', 0, 0, 0, 0,
    ];

    #[test]
    fn a_captured_invoke() {
        assert_eq!(
            decode(&DEVICES, object()),
            Ok(Some(Request::Devices(DevicesQuery::Named("lan1".into()))))
        );
    }

    #[test]
    fn what_is_missing_decides_the_code() {
        assert_eq!(invoke(|_| ()), Ok(None));
        assert_eq!(invoke(|e| e.push_u32(UbusAttr::ObjId, 3)), Err(StatusCode::NotFound));
        assert_eq!(
            invoke(|e| e.push_u32(UbusAttr::ObjId, object().get())),
            Err(StatusCode::InvalidArgument)
        );
        assert_eq!(
            invoke(|e| {
                e.push_u32(UbusAttr::ObjId, object().get());
                e.push_str(UbusAttr::Method, "nothing");
            }),
            Err(StatusCode::MethodNotFound)
        );
        assert_eq!(
            invoke(|e| {
                e.push_u32(UbusAttr::ObjId, object().get());
                e.push_str(UbusAttr::Method, "status");
            }),
            Err(StatusCode::InvalidArgument)
        );
        assert_eq!(
            invoke(|e| {
                e.push_u32(UbusAttr::ObjId, object().get());
                e.push_str(UbusAttr::Method, "status");
                e.push_data(&[]);
            }),
            Ok(Some(Request::Status))
        );
    }

    #[test]
    fn the_broker_is_no_caller() {
        let header = super::super::inbox::header(ubus::MsgType::Invoke, 1, 0);
        assert_eq!(Caller::of(&header, &DEVICES), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0usize..DEVICES.len(),
            with in any::<u8>(),
        ) {
            let _ = decode(&bytes, object());
            let mut damaged = DEVICES;
            damaged[at] = with;
            let _ = decode(&damaged, object());
            let _ = decode(&damaged[..at], object());
        }
    }
}
