// SPDX-License-Identifier: GPL-2.0-or-later
use super::*;
use crate::error::Result;
use crate::host::paths;
use crate::web::session::{NOBODY, PASSWORD};
use crate::web::{Places, ServiceState};
use std::fs;
use std::path::PathBuf;

/// A bridge over a folder, without a bus; and what it asked of the router.
pub struct Rig {
    _dir: Dir,
    pub bridge: Bridge,
    pub told: Told,
}

/// Removed when dropped.
struct Dir(PathBuf);

#[derive(Default)]
pub struct Told(pub Vec<String>);

impl Router for Told {
    fn init(&mut self, name: &str, action: &str) -> Result<()> {
        self.0.push(format!("{name} {action}"));
        Ok(())
    }

    fn services(&mut self) -> Vec<ServiceState> {
        let name = "flowtabled".to_string();
        vec![ServiceState { name, start: 21, enabled: true, running: false }]
    }

    fn changed(&mut self, configs: &[String]) -> Result<()> {
        self.0.extend(configs.iter().cloned());
        Ok(())
    }
}

impl Rig {
    pub fn new(name: &str) -> Rig {
        let dir = std::env::temp_dir().join(format!("lab-rpc-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let root = paths::repository();
        let acl = dir.join("acl");
        fs::create_dir_all(dir.join("config")).unwrap();
        fs::create_dir_all(&acl).unwrap();
        let ours = root.join("luci-app/root/usr/share/rpcd/acl.d/luci-app-flowtable.json");
        fs::copy(ours, acl.join("ours.json")).unwrap();
        fs::copy(root.join("tests/luci/harness/acl.d/lab-base.json"), acl.join("base.json"))
            .unwrap();
        // Links, so that the folders are served together as in the guest.
        let www = dir.join("www");
        fs::create_dir_all(&www).unwrap();
        let link = std::os::unix::fs::symlink::<PathBuf, PathBuf>;
        link(root.join("luci-app/htdocs/luci-static"), www.join("luci-static")).unwrap();
        link(root.join("tests/luci/harness/lab"), www.join("lab")).unwrap();
        fs::write(dir.join("config/firewall"), "config defaults\n").unwrap();
        let places = Places {
            www: dir.join("www"),
            acl,
            menu: root.join("luci-app/root/usr/share/luci/menu.d"),
            config: dir.join("config"),
            stage: dir.join("stage"),
            socket: dir.join("ubus.sock"),
        };
        let bridge = Bridge::open(places).unwrap();
        Rig { _dir: Dir(dir), bridge, told: Told::default() }
    }

    fn raw(&mut self, body: &str) -> Json {
        answer(&mut self.bridge, &mut self.told, body.as_bytes())
    }

    fn call(&mut self, session: &str, object: &str, method: &str, args: Json) -> Json {
        let params = json!([session, object, method, args]);
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "call", "params": params });
        let reply = self.raw(&body.to_string());
        assert_eq!(reply.get("id"), Some(&json!(7)));
        reply.get("result").or(reply.pointer("/error/code")).cloned().unwrap()
    }

    pub fn login(&mut self, name: &str) -> String {
        let args = json!({ "username": name, "password": PASSWORD });
        let reply = self.call(NOBODY, "session", "login", args);
        reply.pointer("/1/ubus_rpc_session").unwrap().as_str().unwrap().to_string()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn who_may_what() {
    let mut rig = Rig::new("access");
    let root = rig.login("root");
    let reader = rig.login("reader");
    let get = json!({ "config": "firewall" });
    let set = json!({ "config": "firewall", "section": "@defaults[0]", "values": { "a": "1" } });
    assert_eq!(rig.call(NOBODY, "uci", "get", get.clone()), json!(-32002));
    assert_eq!(rig.call("no session", "uci", "get", get.clone()), json!(-32002));
    assert_eq!(rig.call(&reader, "uci", "get", get.clone()).get(0), Some(&json!(0)));
    assert_eq!(rig.call(&reader, "uci", "set", set.clone()), json!(-32002));
    assert_eq!(rig.call(&root, "uci", "set", set), json!([0]));
    let other = json!({ "config": "passwd" });
    assert_eq!(rig.call(&root, "uci", "get", other), json!([6]), "rpcd's code, not uhttpd's");
    let start = json!({ "name": "flowtabled", "action": "start" });
    assert_eq!(rig.call(&reader, "rc", "init", start), json!(-32002));
    assert!(rig.told.0.is_empty());
    let list = |path: &str| json!({ "path": path });
    let views = "/www/luci-static/resources/view/flowtable";
    assert_eq!(rig.call(&root, "file", "list", list(views)).get(0), Some(&json!(0)));
    assert_eq!(rig.call(&root, "file", "list", list("/etc")), json!([6]));
}

#[test]
fn a_request_that_reaches_nobody() {
    let mut rig = Rig::new("faults");
    let root = rig.login("root");
    assert_eq!(rig.raw("{").pointer("/error/code"), Some(&json!(-32700)));
    let dance = r#"{"jsonrpc":"2.0","id":1,"method":"dance","params":[]}"#;
    assert_eq!(rig.raw(dance).pointer("/error/code"), Some(&json!(-32601)));
    assert_eq!(rig.call(&root, "flowtable", "status", json!({})), json!(-32000), "no bus");
    assert_eq!(rig.call(NOBODY, "flowtable", "status", json!({})), json!(-32000));
    let forged = json!({ "ubus_rpc_session": NOBODY, "config": "firewall" });
    assert_eq!(rig.call(&root, "uci", "get", forged), json!(-32602));
    let text = json!({ "jsonrpc": "2.0", "id": 1, "method": "call", "params": [root, "uci"] });
    assert_eq!(rig.raw(&text.to_string()).pointer("/error/code"), Some(&json!(-32700)));
}

#[test]
fn a_list_of_requests_is_answered_in_order() {
    let mut rig = Rig::new("batch");
    let root = rig.login("root");
    let call = |id: u32, object: &str, method: &str| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "call",
                "params": [root, object, method, {}] })
    };
    let body = json!([call(1, "session", "access"), call(2, "gone", "gone")]).to_string();
    let reply = rig.raw(&body);
    assert_eq!(reply.pointer("/0/id"), Some(&json!(1)));
    assert!(reply.pointer("/0/result/1/access-group").is_some(), "{reply}");
    assert_eq!(reply.pointer("/1/error/code"), Some(&json!(-32000)));
}
