// SPDX-License-Identifier: GPL-2.0-or-later
//! rpcd's access lists: named groups of grants to read and to write, and what an account gets of them.

use crate::error::{Context, Result};
use serde_json::{Map, Value as Json};
use std::fs;
use std::path::Path;

/// The group that is granted to whoever has not logged in.
pub const UNAUTHENTICATED: &str = "unauthenticated";

/// All groups of all files.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    groups: Vec<(String, Json)>,
}

/// What a session may: scope, object, function, each a pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(Vec<(String, String, String)>);

/// Which groups an account may read and write; `*` stands for all. Write implies read.
#[derive(Debug, Clone, Copy)]
pub struct Rights {
    /// Patterns of groups.
    pub read: &'static [&'static str],
    /// Patterns of groups.
    pub write: &'static [&'static str],
}

impl Lists {
    /// Reads every `*.json` of a folder.
    ///
    /// # Errors
    /// A file is not there or no JSON; rpcd would pass it over, here it is a mistake of ours.
    pub fn read(dir: &Path) -> Result<Lists> {
        let mut lists = Lists::default();
        let entries = dir.read_dir().context(format!("reading {}", dir.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|ending| ending == "json") {
                let text = fs::read_to_string(&path).context(path.display())?;
                let groups: Map<String, Json> =
                    serde_json::from_str(&text).context(path.display())?;
                lists.groups.extend(groups);
            }
        }
        Ok(lists)
    }

    /// What an account with these rights may do.
    pub fn grants(&self, rights: Rights) -> Grants {
        let mut grants = Grants::default();
        let holds = |patterns: &[&str], group: &str| patterns.iter().any(|p| matches(p, group));
        for (group, list) in &self.groups {
            let write = holds(rights.write, group);
            let read = write || holds(rights.read, group);
            for (permission, held) in [("read", read), ("write", write)] {
                if let (true, Some(scopes)) = (held, list.get(permission)) {
                    grants.add_scopes(permission, scopes);
                    grants.add("access-group", group, permission);
                }
            }
        }
        grants
    }
}

impl Grants {
    fn add(&mut self, scope: &str, object: &str, function: &str) {
        self.0.push((scope.into(), object.into(), function.into()));
    }

    /// `{"ubus": {"object": ["method"]}, "uci": ["package"]}`
    fn add_scopes(&mut self, permission: &str, scopes: &Json) {
        for (scope, content) in scopes.as_object().into_iter().flatten() {
            match content {
                Json::Array(objects) => {
                    for object in objects.iter().filter_map(Json::as_str) {
                        self.add(scope, object, permission);
                    }
                }
                Json::Object(objects) => {
                    for (object, functions) in objects {
                        let functions = functions.as_array().into_iter().flatten();
                        for function in functions.filter_map(Json::as_str) {
                            self.add(scope, object, function);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Is this allowed?
    pub fn allow(&self, scope: &str, object: &str, function: &str) -> bool {
        self.0.iter().any(|(s, o, f)| s == scope && matches(o, object) && matches(f, function))
    }

    /// As `session access` without arguments shows them: scope, object, functions.
    pub fn dump(&self) -> Json {
        let mut all = Map::new();
        for (scope, object, function) in &self.0 {
            let scope = all.entry(scope.clone()).or_insert_with(|| Json::Object(Map::new()));
            if let Some(objects) = scope.as_object_mut() {
                let list = objects.entry(object.clone()).or_insert_with(|| Json::Array(vec![]));
                if let Some(functions) = list.as_array_mut() {
                    functions.push(function.clone().into());
                }
            }
        }
        Json::Object(all)
    }
}

/// A shell pattern with `*` and `?`, as far as access lists use them.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern.get(1..).unwrap_or_default();
            let mut tails = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            tails.any(|at| matches(rest, text.get(at..).unwrap_or_default()))
        }
        Some(wanted) => text.chars().next().is_some_and(|seen| {
            (wanted == '?' || wanted == seen)
                && matches(
                    pattern.get(wanted.len_utf8()..).unwrap_or_default(),
                    text.get(seen.len_utf8()..).unwrap_or_default(),
                )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::paths;
    use serde_json::json;

    fn ours() -> Lists {
        Lists::read(&paths::repository().join("luci-app/root/usr/share/rpcd/acl.d")).unwrap()
    }

    #[test]
    fn patterns() {
        assert!(matches("*", "") && matches("*", "x") && matches("/etc/*", "/etc/a/b"));
        assert!(matches("luci-?pp", "luci-app") && !matches("luci-?", "luci-app"));
        assert!(!matches("uci", "ucix") && !matches("ucix", "uci"));
    }

    #[test]
    fn who_may_read_may_not_write() {
        let all: &[&str] = &["*"];
        let reader = ours().grants(Rights { read: all, write: &[] });
        assert!(reader.allow("ubus", "flowtable", "status"));
        assert!(reader.allow("uci", "firewall", "read"));
        assert!(!reader.allow("uci", "firewall", "write"));
        assert!(reader.allow("access-group", "luci-app-flowtable", "read"));
        assert!(!reader.allow("access-group", "luci-app-flowtable", "write"));
        let writer = ours().grants(Rights { read: &[], write: all });
        assert!(writer.allow("ubus", "flowtable", "status"), "write implies read");
        assert!(writer.allow("uci", "firewall", "write"));
        assert_eq!(ours().grants(Rights { read: &["x"], write: &[] }), Grants::default());
    }

    #[test]
    fn dumped_by_scope() {
        let lists = Lists {
            groups: vec![("g".into(), json!({"read": {"ubus": {"o": ["a", "b"]}, "uci": ["p"]}}))],
        };
        let dump = lists.grants(Rights { read: &["g"], write: &[] }).dump();
        let wanted = json!({
            "ubus": {"o": ["a", "b"]}, "uci": {"p": ["read"]}, "access-group": {"g": ["read"]}
        });
        assert_eq!(dump, wanted);
    }
}
