// SPDX-License-Identifier: GPL-2.0-or-later
//! Sessions as rpcd's object `session` has them: who asks, what they may, and until when.

use super::acl::{Grants, Lists, Rights, UNAUTHENTICATED};
use crate::error::{Context, Result};
use flowtabled::ubus::StatusCode;
use serde_json::{json, Map, Value as Json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

/// The session of whoever has not logged in; it never ends.
pub const NOBODY: &str = "00000000000000000000000000000000";

/// How long a session lasts after its last use, unless the login says so; as rpcd has it.
const TIMEOUT_S: u32 = 300;

/// The password of every account. The lab's router is reached from this machine only.
pub const PASSWORD: &str = "lab";

/// What stands in `/etc/config/rpcd` of a router.
const ACCOUNTS: [(&str, Rights); 2] = [
    ("root", Rights { read: &["*"], write: &["*"] }),
    ("reader", Rights { read: &["*"], write: &[] }),
];

#[derive(Debug)]
struct Session {
    username: Option<&'static str>,
    grants: Grants,
    timeout: Duration,
    ends: Option<Instant>,
    values: Map<String, Json>,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    lists: Lists,
    all: BTreeMap<String, Session>,
}

impl Sessions {
    /// Nobody has logged in yet.
    pub fn new(lists: Lists) -> Sessions {
        let grants = lists.grants(Rights { read: &[UNAUTHENTICATED], write: &[] });
        let nobody = Session {
            username: None,
            grants,
            timeout: Duration::ZERO,
            ends: None,
            values: Map::new(),
        };
        Sessions { lists, all: BTreeMap::from([(NOBODY.to_string(), nobody)]) }
    }

    /// Ends the sessions that nobody has used for too long.
    pub fn expire(&mut self) {
        let now = Instant::now();
        self.all.retain(|_, session| session.ends.is_none_or(|ends| ends > now));
    }

    /// May this session do that? Asking counts as use, as it does in rpcd.
    pub fn allow(&mut self, id: &str, scope: &str, object: &str, function: &str) -> bool {
        self.touch(id).is_some_and(|session| session.grants.allow(scope, object, function))
    }

    /// Is there such a session?
    pub fn exists(&self, id: &str) -> bool {
        self.all.contains_key(id)
    }

    fn touch(&mut self, id: &str) -> Option<&mut Session> {
        let session = self.all.get_mut(id)?;
        if session.ends.is_some() {
            session.ends = Some(Instant::now() + session.timeout);
        }
        Some(session)
    }

    /// Answers a call of the object `session`; `id` is the caller's.
    ///
    /// # Errors
    /// rpcd's codes.
    pub fn call(&mut self, id: &str, method: &str, args: &Json) -> Answer<Option<Json>> {
        match method {
            "login" => self.login(args).map(Some),
            "access" => self.access(id, args).map(Some),
            "destroy" => {
                self.all.remove(id).filter(|_| id != NOBODY).ok_or(StatusCode::NotFound)?;
                Ok(None)
            }
            "get" => {
                let session = self.touch(id).ok_or(StatusCode::NotFound)?;
                let keys = args.get("keys").and_then(Json::as_array);
                let wanted = |key: &str| keys.is_none_or(|keys| keys.iter().any(|k| k == key));
                let values: Map<String, Json> = session
                    .values
                    .iter()
                    .filter(|(key, _)| wanted(key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                Ok(Some(json!({ "values": values })))
            }
            "set" => {
                let session = self.touch(id).ok_or(StatusCode::NotFound)?;
                let values = args.get("values").and_then(Json::as_object);
                session.values.extend(values.ok_or(StatusCode::InvalidArgument)?.clone());
                Ok(None)
            }
            _ => Err(StatusCode::MethodNotFound),
        }
    }

    /// A session of an account without its password; `None` if there is no such account.
    pub fn enter(&mut self, account: &str) -> Option<String> {
        let login = json!({ "username": account, "password": PASSWORD, "timeout": 3600 });
        let reply = self.login(&login).ok()?;
        reply.get("ubus_rpc_session").and_then(Json::as_str).map(str::to_string)
    }

    fn login(&mut self, args: &Json) -> Answer<Json> {
        let text = |key| args.get(key).and_then(Json::as_str).ok_or(StatusCode::InvalidArgument);
        let (name, password) = (text("username")?, text("password")?);
        let account = ACCOUNTS.iter().find(|(known, _)| *known == name && password == PASSWORD);
        let (username, rights) = account.ok_or(StatusCode::PermissionDenied)?;
        let seconds = args.get("timeout").and_then(Json::as_u64).and_then(|s| s.try_into().ok());
        let seconds = seconds.unwrap_or(TIMEOUT_S);
        let timeout = Duration::from_secs(seconds.into());
        let session = Session {
            username: Some(username),
            grants: self.lists.grants(*rights),
            timeout,
            ends: (seconds > 0).then(|| Instant::now() + timeout),
            values: Map::from_iter([("username".into(), json!(username))]),
        };
        let id = fresh_id().map_err(|_| StatusCode::UnknownError)?;
        let reply = json!({
            "ubus_rpc_session": id,
            "timeout": seconds,
            "expires": seconds,
            "acls": session.grants.dump(),
            "data": { "username": session.username },
        });
        self.all.insert(id, session);
        Ok(reply)
    }

    fn access(&mut self, id: &str, args: &Json) -> Answer<Json> {
        let session = self.touch(id).ok_or(StatusCode::NotFound)?;
        let text = |key| args.get(key).and_then(Json::as_str);
        match (text("object"), text("function")) {
            (Some(object), Some(function)) => {
                let scope = text("scope").unwrap_or("ubus");
                Ok(json!({ "access": session.grants.allow(scope, object, function) }))
            }
            _ => Ok(session.grants.dump()),
        }
    }
}

/// An answer or the bus's code.
pub type Answer<T> = std::result::Result<T, StatusCode>;

/// 32 hexadecimal digits that nobody can guess.
pub fn fresh_id() -> Result<String> {
    let mut bytes = [0; 16];
    let path = "/dev/urandom";
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).context(path)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::paths;

    fn sessions() -> Sessions {
        let dir = paths::repository().join("luci-app/root/usr/share/rpcd/acl.d");
        Sessions::new(Lists::read(&dir).unwrap())
    }

    fn login(sessions: &mut Sessions, name: &str, timeout: u32) -> String {
        let args = json!({ "username": name, "password": PASSWORD, "timeout": timeout });
        let reply = sessions.call(NOBODY, "login", &args).unwrap().unwrap();
        reply.get("ubus_rpc_session").unwrap().as_str().unwrap().to_string()
    }

    #[test]
    fn only_who_knows_the_password_gets_in() {
        let mut sessions = sessions();
        let wrong = json!({ "username": "root", "password": "x" });
        assert_eq!(sessions.call(NOBODY, "login", &wrong), Err(StatusCode::PermissionDenied));
        assert_eq!(sessions.call(NOBODY, "login", &json!({})), Err(StatusCode::InvalidArgument));
        let id = login(&mut sessions, "root", 60);
        assert!(sessions.allow(&id, "uci", "firewall", "write"));
        assert!(!sessions.allow(NOBODY, "uci", "firewall", "read"));
        let reader = login(&mut sessions, "reader", 60);
        assert!(!sessions.allow(&reader, "uci", "firewall", "write"));
        assert!(sessions.allow(&reader, "uci", "firewall", "read"));
    }

    #[test]
    fn a_session_ends_by_time_and_by_hand() {
        let mut sessions = sessions();
        let id = login(&mut sessions, "root", 60);
        sessions.all.get_mut(&id).unwrap().ends = Some(Instant::now());
        sessions.expire();
        assert!(!sessions.exists(&id) && sessions.exists(NOBODY));
        let id = login(&mut sessions, "root", 60);
        assert_eq!(sessions.call(&id, "destroy", &json!({})), Ok(None));
        assert!(!sessions.allow(&id, "uci", "firewall", "read"));
        assert_eq!(sessions.call(&id, "access", &json!({})), Err(StatusCode::NotFound));
    }

    #[test]
    fn use_prolongs_a_session() {
        let mut sessions = sessions();
        let id = login(&mut sessions, "root", 60);
        let soon = Instant::now() + Duration::from_secs(1);
        sessions.all.get_mut(&id).unwrap().ends = Some(soon);
        sessions.allow(&id, "uci", "firewall", "read");
        assert!(sessions.all.get(&id).unwrap().ends.unwrap() > soon);
    }

    #[test]
    fn values_are_kept() {
        let mut sessions = sessions();
        let id = login(&mut sessions, "root", 60);
        sessions.call(&id, "set", &json!({ "values": { "token": "t" } })).unwrap();
        let got = sessions.call(&id, "get", &json!({ "keys": ["token"] })).unwrap().unwrap();
        assert_eq!(got, json!({ "values": { "token": "t" } }));
    }
}
