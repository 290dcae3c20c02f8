// SPDX-License-Identifier: GPL-2.0-or-later
//! The files of `uci`: packages, each session's changes in libuci's own format, and writing a package
//! whole. Read by the daemon's own reader, which is compared with libuci elsewhere.

use super::session::Answer;
use flowtabled::ubus::StatusCode;
use flowtabled::uci::files::Source;
use flowtabled::uci::package::{Package, Section, Value};
use flowtabled::uci::Dirs;
use serde_json::{json, Map, Value as Json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A list item or option as a word of the shell, as libuci writes it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// One change: what libuci appends to a session's file, and what `uci changes` shows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The line, without the package's name.
    verb: &'static str,
    path: String,
    value: Option<String>,
    /// For `uci changes`.
    pub shown: Json,
}

impl Change {
    /// A section; without a name of its own `anonymous`.
    pub fn add(section: &str, kind: &str, anonymous: bool) -> Change {
        let (verb, word) = if anonymous { ("+", "add") } else { ("", "set") };
        Change::new(verb, section.into(), Some(kind), json!([word, section, kind]))
    }

    /// An option with one value.
    pub fn set(section: &str, option: &str, value: &str) -> Change {
        let path = format!("{section}.{option}");
        Change::new("", path, Some(value), json!(["set", section, option, value]))
    }

    /// One more value of a list.
    pub fn append(section: &str, option: &str, value: &str) -> Change {
        let path = format!("{section}.{option}");
        Change::new("|", path, Some(value), json!(["list-add", section, option, value]))
    }

    /// A section, or an option of it, is gone.
    pub fn remove(section: &str, option: Option<&str>) -> Change {
        match option {
            None => Change::new("-", section.into(), None, json!(["remove", section])),
            Some(option) => {
                let shown = json!(["remove", section, option]);
                Change::new("-", format!("{section}.{option}"), None, shown)
            }
        }
    }

    /// A section or option has another name.
    pub fn rename(section: &str, option: Option<&str>, name: &str) -> Change {
        let path = option.map_or_else(|| section.into(), |option| format!("{section}.{option}"));
        Change::new("@", path, Some(name), json!(["rename", section, option, name]))
    }

    /// A section stands at another place.
    pub fn order(section: &str, index: usize) -> Change {
        let shown = json!(["order", section, index]);
        Change::new("^", section.into(), Some(&index.to_string()), shown)
    }

    fn new(verb: &'static str, path: String, value: Option<&str>, shown: Json) -> Change {
        Change { verb, path, value: value.map(str::to_string), shown }
    }

    fn line(&self, package: &str) -> String {
        let value = self.value.as_deref().map(|value| format!("={}", quoted(value)));
        format!("{}{package}.{}{}\n", self.verb, self.path, value.unwrap_or_default())
    }
}

/// The folder of committed files, and one of uncommitted changes for each session.
#[derive(Debug, Clone)]
pub struct Store {
    config: PathBuf,
    stage: PathBuf,
}

impl Store {
    /// Files are where they are; a session's changes will be below `stage`.
    pub fn new(config: &Path, stage: &Path) -> Store {
        Store { config: config.into(), stage: stage.into() }
    }

    /// A committed file.
    pub fn file(&self, package: &str) -> PathBuf {
        self.config.join(package)
    }

    fn changes_dir(&self, session: &str) -> PathBuf {
        self.stage.join(format!("uci-{session}"))
    }

    /// Names of all packages, sorted.
    pub fn packages(&self) -> Vec<String> {
        let entries = self.config.read_dir().into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| is_name(name)).collect();
        names.sort();
        names
    }

    /// A package with the session's changes.
    pub fn load(&self, session: &str, package: &str) -> Answer<Package> {
        let save = self.changes_dir(session);
        let dirs = Dirs { config: &self.config, replace: None, save: Some(&save) };
        match Source::read(&dirs, package) {
            Ok(Some(source)) => Ok(source.package),
            Ok(None) => Err(StatusCode::NotFound),
            Err(_) => Err(StatusCode::InvalidCommand),
        }
    }

    /// Adds changes to the session's file.
    pub fn stage(&self, session: &str, package: &str, changes: &[Change]) -> Answer<()> {
        let dir = self.changes_dir(session);
        let text: String = changes.iter().map(|change| change.line(package)).collect();
        let write = || {
            fs::create_dir_all(&dir)?;
            let mut options = fs::OpenOptions::new();
            let mut file = options.create(true).append(true).open(dir.join(package))?;
            file.write_all(text.as_bytes())
        };
        write().map_err(|_| StatusCode::UnknownError)
    }

    /// Forgets the session's changes of a package.
    pub fn forget(&self, session: &str, package: &str) {
        // There need not be any.
        let _ = fs::remove_file(self.changes_dir(session).join(package));
    }

    /// Makes the session's changes of a package the committed file.
    pub fn commit(&self, session: &str, package: &str) -> Answer<()> {
        let merged = self.load(session, package)?;
        self.replace(package, &text_of(&merged))?;
        self.forget(session, package);
        Ok(())
    }

    /// Writes a committed file by a rename, as libuci does.
    pub fn replace(&self, package: &str, text: &str) -> Answer<()> {
        let new = self.config.join(format!(".{package}.new"));
        let write = || {
            fs::write(&new, text)?;
            fs::rename(&new, self.file(package))
        };
        write().map_err(|_| StatusCode::UnknownError)
    }
}

/// May a package, section or option be called so?
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A package as libuci writes it.
pub fn text_of(package: &Package) -> String {
    let mut text = String::new();
    for section in &package.sections {
        let name = if section.anonymous { String::new() } else { quoted(&section.name) };
        text.push_str(format!("\nconfig {} {name}", section.kind).trim_end());
        text.push('\n');
        for option in &section.options {
            let mut line = |word: &str, value: &[u8]| {
                let value = quoted(&String::from_utf8_lossy(value));
                text.push_str(&format!("\t{word} {} {value}\n", option.name));
            };
            match &option.value {
                Value::Text(value) => line("option", value),
                Value::List(items) => items.iter().for_each(|item| line("list", &item.value)),
            }
        }
    }
    text
}

/// An option's value as a page gets it.
pub fn value_of(value: &Value) -> Json {
    match value {
        Value::Text(text) => String::from_utf8_lossy(text).into(),
        Value::List(items) => {
            items.iter().map(|item| Json::from(String::from_utf8_lossy(&item.value))).collect()
        }
    }
}

/// A section as a page gets it; `index` only in lists of sections.
pub fn section_of(section: &Section, index: Option<usize>) -> Json {
    let mut map = Map::new();
    map.insert(".anonymous".into(), section.anonymous.into());
    map.insert(".type".into(), section.kind.clone().into());
    map.insert(".name".into(), section.name.clone().into());
    if let Some(index) = index {
        map.insert(".index".into(), index.into());
    }
    for option in &section.options {
        map.insert(option.name.clone(), value_of(&option.value));
    }
    Json::Object(map)
}
