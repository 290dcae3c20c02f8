// SPDX-License-Identifier: GPL-2.0-or-later
//! JSON-RPC 2.0 on `/ubus` with the codes that uhttpd's ubus module answers with.

use super::session::Answer;
use super::uci::Uci;
use super::{objects, Bridge, Router};
use serde_json::{json, Value as Json};

/// What uhttpd answers a request with that reaches no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Parse,
    Method,
    Params,
    Object,
    Access,
}

impl Fault {
    fn code(self) -> i32 {
        match self {
            Fault::Parse => -32700,
            Fault::Method => -32601,
            Fault::Params => -32602,
            Fault::Object => -32000,
            Fault::Access => -32002,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Fault::Parse => "Parse error",
            Fault::Method => "Method not found",
            Fault::Params => "Invalid parameters",
            Fault::Object => "Object not found",
            Fault::Access => "Access denied",
        }
    }
}

/// Answers one request or a list of them.
pub fn answer(bridge: &mut Bridge, router: &mut dyn Router, body: &[u8]) -> Json {
    match serde_json::from_slice::<Json>(body) {
        Ok(Json::Array(list)) => list.iter().map(|one| reply(bridge, router, one)).collect(),
        Ok(one) => reply(bridge, router, &one),
        Err(_) => failed(&Json::Null, Fault::Parse),
    }
}

fn failed(id: &Json, fault: Fault) -> Json {
    let error = json!({ "code": fault.code(), "message": fault.text() });
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

fn reply(bridge: &mut Bridge, router: &mut dyn Router, request: &Json) -> Json {
    let id = request.get("id").cloned().unwrap_or_default();
    let version = request.get("jsonrpc").and_then(Json::as_str);
    let (Some("2.0"), Some(method)) = (version, request.get("method").and_then(Json::as_str))
    else {
        return failed(&id, Fault::Parse);
    };
    let params = request.get("params").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let result = match method {
        "call" => call(bridge, router, params),
        "list" if params.is_empty() => Ok(list(bridge)),
        // On a device this tells the methods' arguments. No page of ours asks for them.
        "list" => Err(Fault::Params),
        _ => Err(Fault::Method),
    };
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => failed(&id, fault),
    }
}

/// Names of all objects.
fn list(bridge: &Bridge) -> Json {
    let mut names: Vec<String> = objects::NAMES.iter().map(|name| name.to_string()).collect();
    names.extend(bridge.bus.names());
    names.into()
}

/// `[session, object, method, arguments]`
fn call(bridge: &mut Bridge, router: &mut dyn Router, params: &[Json]) -> Result<Json, Fault> {
    let [Json::String(session), Json::String(object), Json::String(method), args] = params else {
        return Err(Fault::Parse);
    };
    let Some(own) = args.as_object() else { return Err(Fault::Parse) };
    let is_own = objects::NAMES.contains(&object.as_str());
    let found = if is_own { None } else { bridge.bus.find(object) };
    if !is_own && found.is_none() {
        return Err(Fault::Object);
    }
    if !bridge.sessions.allow(session, "ubus", object, method) {
        return Err(Fault::Access);
    }
    if own.contains_key("ubus_rpc_session") {
        // uhttpd adds the caller's; one that comes from outside is an attempt.
        return Err(Fault::Params);
    }
    let answer = match found {
        Some(found) => {
            let mut args = own.clone();
            args.insert("ubus_rpc_session".into(), session.as_str().into());
            found.call(method, &args.into())
        }
        None => own_call(bridge, router, (session, object, method), args),
    };
    Ok(match answer {
        Ok(None) => json!([0]),
        Ok(Some(data)) => json!([0, data]),
        Err(code) => json!([code.code()]),
    })
}

/// Calls an object that is answered here.
fn own_call(
    bridge: &mut Bridge,
    router: &mut dyn Router,
    (session, object, method): (&str, &str, &str),
    args: &Json,
) -> Answer<Option<Json>> {
    match object {
        "session" => bridge.sessions.call(session, method, args),
        "uci" => uci(bridge, router, session, method, args),
        _ => objects::call(bridge, router, (session, object, method), args),
    }
}

/// Calls `uci` for a session.
///
/// # Errors
/// rpcd's codes.
pub fn uci(
    bridge: &mut Bridge,
    router: &mut dyn Router,
    session: &str,
    method: &str,
    args: &Json,
) -> Answer<Option<Json>> {
    let Bridge { sessions, uci, .. } = bridge;
    let mut may = |config: &str, what: &str| sessions.allow(session, "uci", config, what);
    Uci::call(uci, session, method, args, &mut may, router)
}

#[cfg(test)]
#[path = "rpc_tests.rs"]
pub(crate) mod tests;
