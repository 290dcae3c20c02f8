// SPDX-License-Identifier: GPL-2.0-or-later
use super::*;
use crate::web::ServiceState;
use std::path::PathBuf;

const FIREWALL: &str =
    "\nconfig defaults\n\toption flow_offloading '0'\n\toption note 'it'\\''s'\n\n\
                        config zone\n\toption name 'lan'\n\tlist network 'lan'\n";

/// A folder of configuration, and what the router was told.
struct Rig {
    dir: PathBuf,
    uci: Uci,
    told: Told,
}

#[derive(Default)]
struct Told(Vec<Vec<String>>);

impl Router for Told {
    fn init(&mut self, _name: &str, _action: &str) -> Result<()> {
        Ok(())
    }

    fn services(&mut self) -> Vec<ServiceState> {
        Vec::new()
    }

    fn changed(&mut self, configs: &[String]) -> Result<()> {
        self.0.push(configs.to_vec());
        Ok(())
    }
}

impl Rig {
    fn new(name: &str) -> Rig {
        let dir = std::env::temp_dir().join(format!("lab-uci-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("config")).unwrap();
        fs::write(dir.join("config/firewall"), FIREWALL).unwrap();
        let uci = Uci::new(&dir.join("config"), &dir.join("stage"));
        Rig { dir, uci, told: Told::default() }
    }

    fn call(&mut self, session: &str, method: &str, args: Json) -> Answer<Option<Json>> {
        self.uci.call(session, method, &args, &mut |_, _| true, &mut self.told)
    }

    fn ok(&mut self, method: &str, args: Json) -> Json {
        self.call("s", method, args).unwrap().unwrap_or_default()
    }

    fn file(&self) -> String {
        fs::read_to_string(self.dir.join("config/firewall")).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn set_switch(rig: &mut Rig, value: &str) {
    let args = json!({ "config": "firewall", "section": "@defaults[0]",
                       "values": { "flow_offloading": value } });
    rig.ok("set", args);
}

#[test]
fn changes_are_the_sessions_until_they_are_applied() {
    let mut rig = Rig::new("staged");
    set_switch(&mut rig, "1");
    let one =
        json!({ "config": "firewall", "section": "@defaults[0]", "option": "flow_offloading" });
    assert_eq!(rig.ok("get", one.clone()), json!({ "value": "1" }));
    let of_other = rig.call("other", "get", one).unwrap().unwrap();
    assert_eq!(of_other, json!({ "value": "0" }));
    assert_eq!(rig.file(), FIREWALL);
    let changes = rig.ok("changes", json!({}));
    let name = changes.pointer("/changes/firewall/0/1").unwrap().as_str().unwrap().to_string();
    let wanted = json!({ "changes": { "firewall": [["set", name, "flow_offloading", "1"]] } });
    assert_eq!(changes, wanted);
    rig.ok("apply", json!({ "rollback": false }));
    assert_eq!(rig.file(), FIREWALL.replace("flow_offloading '0'", "flow_offloading '1'"));
    assert_eq!(rig.told.0, [["firewall"]]);
    assert_eq!(rig.ok("changes", json!({})), json!({ "changes": {} }));
    assert_eq!(rig.call("s", "apply", json!({})), Err(StatusCode::NoData));
}

#[test]
fn what_is_not_confirmed_is_taken_back() {
    let mut rig = Rig::new("rollback");
    set_switch(&mut rig, "1");
    rig.ok("apply", json!({ "rollback": true, "timeout": 0 }));
    assert!(rig.file().contains("flow_offloading '1'"));
    let again = rig.call("s", "apply", json!({ "rollback": true }));
    assert_eq!(again, Err(StatusCode::PermissionDenied));
    rig.uci.tick(&mut rig.told).unwrap();
    assert_eq!(rig.file(), FIREWALL);
    assert_eq!(rig.told.0.len(), 2);
    assert_eq!(rig.uci.shown("s", "firewall").len(), 1, "to be mended");
    assert_eq!(rig.call("s", "confirm", json!({})), Err(StatusCode::NoData));
    rig.ok("apply", json!({ "rollback": true, "timeout": 3600 }));
    assert_eq!(rig.call("other", "confirm", json!({})), Err(StatusCode::PermissionDenied));
    rig.ok("confirm", json!({}));
    rig.uci.tick(&mut rig.told).unwrap();
    assert!(rig.file().contains("flow_offloading '1'"));
}

#[test]
fn sections_come_go_and_move() {
    let mut rig = Rig::new("sections");
    let rule = json!({ "config": "firewall", "type": "rule",
                       "values": { "name": "voice", "proto": ["tcp", "udp"], "enabled": true } });
    let added = rig.ok("add", rule);
    let name = added.get("section").unwrap().as_str().unwrap().to_string();
    rig.ok("add", json!({ "config": "firewall", "type": "include", "name": "mine" }));
    let first = json!({ "config": "firewall", "sections": ["mine", name] });
    rig.ok("order", first);
    let drop = json!({ "config": "firewall", "section": "@zone[-1]", "option": "network" });
    rig.ok("delete", drop.clone());
    assert_eq!(rig.call("s", "delete", drop), Err(StatusCode::NotFound));
    rig.ok("apply", json!({}));
    let wanted = "\nconfig include 'mine'\n\nconfig rule\n\toption enabled '1'\n\
                  \toption name 'voice'\n\tlist proto 'tcp'\n\tlist proto 'udp'\n";
    let file = rig.file();
    assert!(file.starts_with(wanted), "{file}");
    assert!(file.ends_with("config zone\n\toption name 'lan'\n"), "{file}");
}

#[test]
fn a_list_becomes_a_value_and_back() {
    let mut rig = Rig::new("lists");
    let set = |value: Json| {
        json!({ "config": "firewall", "type": "zone", "match": { "name": "lan" },
                "values": { "network": value } })
    };
    rig.ok("set", set(json!("wan")));
    rig.ok("set", set(json!(["a", "b"])));
    let get = json!({ "config": "firewall", "section": "@zone[0]" });
    assert_eq!(rig.ok("get", get).pointer("/values/network"), Some(&json!(["a", "b"])));
    rig.ok("apply", json!({}));
    assert!(rig.file().ends_with("\tlist network 'a'\n\tlist network 'b'\n"), "{}", rig.file());
}

#[test]
fn what_rpcd_refuses() {
    let mut rig = Rig::new("refused");
    let mut may = |config: &str, what: &str| (config, what) == ("firewall", "read");
    let mut told = Told::default();
    let mut call = |method: &str, args: Json| rig.uci.call("s", method, &args, &mut may, &mut told);
    let denied = Err(StatusCode::PermissionDenied);
    assert!(call("get", json!({ "config": "firewall" })).is_ok());
    assert_eq!(call("get", json!({ "config": "network" })), denied);
    assert_eq!(call("add", json!({ "config": "firewall", "type": "zone" })), denied);
    assert_eq!(call("get", json!({})), Err(StatusCode::InvalidArgument));
    let gone = json!({ "config": "firewall", "section": "gone" });
    assert_eq!(call("get", gone.clone()), Err(StatusCode::NotFound));
    assert_eq!(rig.call("s", "get", json!({ "config": "gone" })), Err(StatusCode::NotFound));
    assert_eq!(rig.call("s", "delete", gone), Err(StatusCode::NotFound));
    let outside = json!({ "config": "../passwd" });
    assert_eq!(rig.call("s", "get", outside), Err(StatusCode::InvalidArgument));
    assert_eq!(
        rig.call("s", "dance", json!({ "config": "firewall" })),
        Err(StatusCode::MethodNotFound)
    );
}
