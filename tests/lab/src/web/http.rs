// SPDX-License-Identifier: GPL-2.0-or-later
//! The web server: files, JSON-RPC, and the few addresses of LuCI's dispatcher that its client calls.
//!
//! Requests are answered one after another by whoever calls [`Web::serve`], so that nothing of the router
//! is changed by two at once; reading and writing the connections is done by threads of the server.

use super::session::{fresh_id, NOBODY};
use super::{menu, rpc, Bridge, Router};
use crate::command::text_of;
use crate::error::{Context, Error, Result};
use flowtabled::ubus::StatusCode;
use serde_json::{json, Value as Json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::net::TcpListener;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tiny_http::{Header, Method, Request, Response, Server};

/// Longest request that is read; a page's are some kilobytes.
const MAX_BODY: u64 = 1 << 20;
/// Where LuCI's dispatcher is on a router.
const DISPATCHER: &str = "/cgi-bin/luci";
/// The page that starts LuCI's client with a view.
const PAGE: &str = "lab/page.html";
/// Those that are there are loaded, in this order; older releases of LuCI have the second one.
const SCRIPTS: [&str; 3] = ["cbi.js", "promis.min.js", "luci.js"];
/// Where LuCI's client and its classes are.
const RESOURCES: &str = "luci-static/resources";
/// Who opens a page without having logged in. The router is reached from one machine only.
const DEFAULT_ACCOUNT: &str = "root";
/// The cookie of the session.
const COOKIE: &str = "sysauth_http";

type Reply = Response<Cursor<Vec<u8>>>;

/// The server on the lab's router.
pub struct Web {
    server: Server,
    bridge: Bridge,
    /// May a test run commands on the router?
    commands: bool,
    token: Option<String>,
}

impl Web {
    /// Serves on a socket that listens already. With `commands`, `POST /lab/run` runs a shell command as
    /// root, by which a test looks at the router past the page.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub fn new(listener: TcpListener, bridge: Bridge, commands: bool) -> Result<Web> {
        let server =
            Server::from_listener(listener, None).map_err(|e| Error::new(e.to_string()))?;
        Ok(Web { server, bridge, commands, token: None })
    }

    /// Answers requests until the time is over.
    ///
    /// # Errors
    /// The socket failed, or a change could not be taken back.
    pub fn serve(&mut self, router: &mut dyn Router, time: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            self.bridge.tick(router)?;
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            let request = self.server.recv_timeout(left).context("waiting for a request")?;
            let Some(mut request) = request else { return Ok(()) };
            let reply = self.answer(&mut request, router);
            // A browser that has gone away misses nothing.
            let _ = request.respond(reply);
        }
    }

    fn answer(&mut self, request: &mut Request, router: &mut dyn Router) -> Reply {
        let mut body = Vec::new();
        if request.as_reader().take(MAX_BODY).read_to_end(&mut body).is_err() {
            return status(400, "the request ended early");
        }
        let url = request.url().to_string();
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let post = *request.method() == Method::Post;
        let below = path.strip_prefix(DISPATCHER).map(|rest| rest.trim_matches('/'));
        match (path.trim_end_matches('/'), below) {
            ("/ubus", _) if post => json_reply(&rpc::answer(&mut self.bridge, router, &body)),
            ("/lab/run", _) if post && self.commands => run(&body),
            ("", _) => redirect(&format!("{DISPATCHER}/admin/status/flowtable")),
            (_, Some("admin/menu")) => self.menu(&cookie(request)),
            (_, Some(below)) if below.starts_with("admin/uci/") && post => {
                let action = below.strip_prefix("admin/uci/").unwrap_or_default();
                let mut all = BTreeMap::from([("sid".to_string(), cookie(request))]);
                all.extend(fields(query));
                all.extend(fields(&String::from_utf8_lossy(&body)));
                self.uci(action, &all, router)
            }
            (_, Some(below)) if below.starts_with("admin/translations") => {
                typed(b"window.TR={};".to_vec(), "js")
            }
            (_, Some(below)) => {
                let page = self.page(below, &fields(query), &cookie(request));
                page.unwrap_or_else(|e| status(404, &e.to_string()))
            }
            _ => self.file(Path::new(path.trim_start_matches('/'))),
        }
    }

    /// What LuCI's dispatcher makes of a view: a page that starts the client. Where LuCI would ask for a
    /// name and a password, `account` in the query logs in, and nothing means root.
    fn page(
        &mut self,
        path: &str,
        fields: &BTreeMap<String, String>,
        cookie: &str,
    ) -> Result<Reply> {
        let known = cookie != NOBODY && self.bridge.sessions.exists(cookie);
        let session = match fields.get("account") {
            None if known => cookie.to_string(),
            account => {
                let account = account.map_or(DEFAULT_ACCOUNT, String::as_str);
                self.bridge.sessions.enter(account).context(format!("no account {account}"))?
            }
        };
        let menus = self.bridge.menus().to_path_buf();
        let tree = menu::tree(&menus, &mut self.bridge.sessions, &session)?;
        let place: String = path.split('/').map(|name| format!("/children/{name}")).collect();
        let node = tree.pointer(&place).context("no such page, or not for this account")?;
        let view = node.pointer("/action/path").and_then(Json::as_str);
        let view = view.context("this entry of the menu has no page")?;
        let names: Vec<&str> = path.split('/').collect();
        let env = json!({
            "media": "/luci-static/bootstrap",
            "resource": format!("/{RESOURCES}"),
            "base_url": format!("/{RESOURCES}"),
            "scriptname": DISPATCHER,
            "pathinfo": format!("/{path}"),
            "documentroot": "/www",
            "requestpath": names,
            "dispatchpath": names,
            "pollinterval": 5,
            "ubuspath": "/ubus/",
            "sessionid": session,
            "token": "lab",
            "nodespec": node,
            "apply_rollback": 90,
            "apply_holdoff": 1,
            "apply_timeout": 5,
            "apply_display": 1.5,
        });
        let scripts = SCRIPTS.iter().map(|name| format!("{RESOURCES}/{name}"));
        let scripts = scripts.filter(|path| self.bridge.www().join(path).is_file());
        let scripts: Vec<String> =
            scripts.map(|path| format!("<script src=\"/{path}\"></script>")).collect();
        let template = fs::read_to_string(self.bridge.www().join(PAGE)).context(PAGE)?;
        let title = node.get("title").and_then(Json::as_str).unwrap_or("LuCI");
        let page = template
            .replace("@TITLE@", title)
            .replace("@SCRIPTS@", &scripts.join("\n\t\t"))
            // A slash never ends the script early when it is escaped.
            .replace("@ENV@", &env.to_string().replace('/', "\\/"))
            .replace("@VIEW@", view);
        let reply = typed(page.into_bytes(), "html");
        Ok(with(reply, "Set-Cookie", &format!("{COOKIE}={session}; path=/; SameSite=Strict")))
    }

    fn file(&self, path: &Path) -> Reply {
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        let path: PathBuf = self.bridge.www().join(path);
        let ending = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        match fs::read(&path) {
            Ok(data) if inside => typed(data, &ending),
            _ => status(404, "no such file"),
        }
    }

    fn menu(&mut self, session: &str) -> Reply {
        let menus = self.bridge.menus().to_path_buf();
        match menu::tree(&menus, &mut self.bridge.sessions, session) {
            Ok(tree) => json_reply(&tree),
            Err(e) => status(500, &e.to_string()),
        }
    }

    /// What LuCI's controller `admin/uci` does: apply with a way back, confirm by a token, revert.
    fn uci(
        &mut self,
        action: &str,
        fields: &BTreeMap<String, String>,
        router: &mut dyn Router,
    ) -> Reply {
        let text = |key: &str| fields.get(key).cloned().unwrap_or_default();
        let session = text("sid");
        let mut call = |session: &str, method: &str, args: Json| {
            rpc::uci(&mut self.bridge, router, session, method, &args)
        };
        let result = match action {
            "apply_rollback" => {
                let applied = call(&session, "apply", json!({ "rollback": true, "timeout": 90 }));
                match applied.and_then(|_| fresh_id().map_err(|_| StatusCode::UnknownError)) {
                    Ok(token) => {
                        self.token = Some(token.clone());
                        return json_reply(&json!({ "token": token }));
                    }
                    Err(code) => Err(code),
                }
            }
            "apply_unchecked" => call(&session, "apply", json!({ "rollback": false })).map(|_| ()),
            // By the token alone: the address of the router may have changed, and the session with it.
            "confirm" if self.token.is_some() && self.token == fields.get("token").cloned() => {
                let waiting = self.bridge.uci.waiting().unwrap_or_default().to_string();
                rpc::uci(&mut self.bridge, router, &waiting, "confirm", &json!({})).map(|_| ())
            }
            "confirm" => Err(StatusCode::PermissionDenied),
            "revert" => {
                let changes = call(&session, "changes", json!({})).ok().flatten();
                let changes = changes.as_ref().and_then(|c| c.get("changes")?.as_object().cloned());
                changes.into_iter().flatten().try_for_each(|(config, _)| {
                    call(&session, "revert", json!({ "config": config })).map(|_| ())
                })
            }
            _ => return status(404, "no such action"),
        };
        match result {
            Ok(()) => status(200, "OK"),
            Err(StatusCode::NoData) => status(204, ""),
            Err(StatusCode::PermissionDenied) => status(403, "Permission denied"),
            Err(StatusCode::NotFound) => status(404, "Not found"),
            Err(code) => status(500, code.text()),
        }
    }
}

/// The session of LuCI's cookie; that of nobody without one.
fn cookie(request: &Request) -> String {
    let cookies = request.headers().iter().filter(|header| header.field.equiv("Cookie"));
    let mut pairs = cookies.flat_map(|header| header.value.as_str().split(';'));
    let session = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    session.unwrap_or(NOBODY).to_string()
}

/// `a=1&b=2`
fn fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Runs `{"command": "..."}` by the shell: `{"output": "...", "code": 0}`.
fn run(body: &[u8]) -> Reply {
    let request: Json = serde_json::from_slice(body).unwrap_or_default();
    let Some(command) = request.get("command").and_then(Json::as_str) else {
        return status(400, "no command");
    };
    match Command::new("sh").args(["-c", command]).output() {
        Ok(output) => {
            json_reply(&json!({ "output": text_of(&output), "code": output.status.code() }))
        }
        Err(e) => status(500, &e.to_string()),
    }
}

fn header(name: &str, value: &str) -> Option<Header> {
    Header::from_bytes(name.as_bytes(), value.as_bytes()).ok()
}

fn with(mut reply: Reply, name: &str, value: &str) -> Reply {
    if let Some(header) = header(name, value) {
        reply.add_header(header);
    }
    reply
}

fn json_reply(value: &Json) -> Reply {
    typed(value.to_string().into_bytes(), "json")
}

fn typed(data: Vec<u8>, ending: &str) -> Reply {
    let kind = match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "gif" => "image/gif",
        _ => "application/octet-stream",
    };
    let reply = with(Response::from_data(data), "Content-Type", kind);
    with(reply, "Cache-Control", "no-store")
}

fn status(code: u16, text: &str) -> Reply {
    Response::from_string(text).with_status_code(code)
}

fn redirect(to: &str) -> Reply {
    with(status(302, ""), "Location", to)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
