// SPDX-License-Identifier: GPL-2.0-or-later
//! The menu as LuCI's dispatcher makes it of the files in `menu.d`: a tree by the paths, without what the
//! session may not read, and marked where it may not write.

use super::session::Sessions;
use crate::error::{Context, Result};
use serde_json::{json, Map, Value as Json};
use std::fs;
use std::path::Path;

/// Every entry of every file, by path.
fn entries(dir: &Path) -> Result<Map<String, Json>> {
    let mut all = Map::new();
    for path in dir.read_dir().context(dir.display())?.flatten().map(|entry| entry.path()) {
        let text = fs::read_to_string(&path).context(path.display())?;
        let own: Map<String, Json> = serde_json::from_str(&text).context(path.display())?;
        all.extend(own);
    }
    Ok(all)
}

/// The tree for a session.
///
/// # Errors
/// A file cannot be read.
pub fn tree(dir: &Path, sessions: &mut Sessions, session: &str) -> Result<Json> {
    let mut root = json!({ "satisfied": true });
    for (path, entry) in entries(dir)? {
        let groups = entry.pointer("/depends/acl").and_then(Json::as_array);
        let groups: Vec<&str> = groups.into_iter().flatten().filter_map(Json::as_str).collect();
        let mut may = |permission: &str| {
            groups.is_empty()
                || groups.iter().any(|g| sessions.allow(session, "access-group", g, permission))
        };
        if !may("read") {
            continue;
        }
        let readonly = !may("write");
        let mut node = &mut root;
        for name in path.split('/') {
            let children = node
                .as_object_mut()
                .map(|node| node.entry("children").or_insert_with(|| json!({})))
                .and_then(Json::as_object_mut)
                .context("a node of the menu is no object")?;
            node = children.entry(name).or_insert_with(|| json!({ "satisfied": true }));
        }
        let node = node.as_object_mut().context("a node of the menu is no object")?;
        for key in ["title", "order", "action"] {
            if let Some(value) = entry.get(key) {
                node.insert(key.into(), value.clone());
            }
        }
        node.insert("readonly".into(), readonly.into());
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::paths;
    use crate::web::acl::Lists;
    use crate::web::session::{NOBODY, PASSWORD};

    #[test]
    fn who_may_not_read_has_no_entry() {
        let root = paths::repository().join("luci-app/root/usr/share");
        let mut sessions = Sessions::new(Lists::read(&root.join("rpcd/acl.d")).unwrap());
        let place = "/children/admin/children/status/children/flowtable";
        let dir = root.join("luci/menu.d");
        let seen = tree(&dir, &mut sessions, NOBODY).unwrap();
        assert_eq!(seen.pointer(place), None);
        for (name, readonly) in [("reader", true), ("root", false)] {
            let login = json!({ "username": name, "password": PASSWORD });
            let reply = sessions.call(NOBODY, "login", &login).unwrap().unwrap();
            let id = reply.get("ubus_rpc_session").unwrap().as_str().unwrap();
            let seen = tree(&dir, &mut sessions, id).unwrap();
            let node = seen.pointer(place).unwrap();
            assert_eq!(node.get("readonly"), Some(&json!(readonly)), "{name}");
            assert_eq!(node.pointer("/action/path"), Some(&json!("flowtable/status")));
        }
    }
}
