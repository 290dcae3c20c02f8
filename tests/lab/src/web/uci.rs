// SPDX-License-Identifier: GPL-2.0-or-later
//! rpcd's object `uci`: the configuration with the changes that a session has not applied yet, and
//! applying them with a way back.

use super::session::Answer;
use super::uci_store::{is_name, section_of, value_of, Change, Store};
use super::Router;
use crate::error::Result;
use flowtabled::ubus::StatusCode;
use flowtabled::uci::package::{Package, Section, Value};
use serde_json::{json, Map, Value as Json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Seconds until a change is taken back, unless the call says so; as rpcd has it.
const ROLLBACK_S: u64 = 60;

/// Methods that only read.
const READING: [&str; 4] = ["configs", "get", "state", "changes"];

/// Changes that were applied and wait to be confirmed.
#[derive(Debug)]
struct Pending {
    session: String,
    deadline: Instant,
    /// Each package with its text from before and the changes.
    before: Vec<(String, String, Vec<Change>)>,
}

/// The object.
#[derive(Debug)]
pub struct Uci {
    store: Store,
    /// By session and package, for `changes`; what counts is in the files.
    staged: BTreeMap<(String, String), Vec<Change>>,
    pending: Option<Pending>,
}

/// A text of the arguments.
fn text<'a>(args: &'a Json, key: &str) -> Option<&'a str> {
    args.get(key).and_then(Json::as_str)
}

/// What a value becomes in a file; rpcd takes texts, numbers and booleans.
fn plain(value: &Json) -> Answer<String> {
    match value {
        Json::String(text) => Ok(text.clone()),
        Json::Bool(yes) => Ok(u8::from(*yes).to_string()),
        Json::Number(number) => Ok(number.to_string()),
        _ => Err(StatusCode::InvalidArgument),
    }
}

impl Uci {
    /// Files of `config`; sessions keep their changes below `stage`.
    pub fn new(config: &Path, stage: &Path) -> Uci {
        Uci { store: Store::new(config, stage), staged: BTreeMap::new(), pending: None }
    }

    /// Takes back what nobody has confirmed in time.
    ///
    /// # Errors
    /// The old files could not be written.
    pub fn tick(&mut self, router: &mut dyn Router) -> Result<()> {
        if self.pending.as_ref().is_some_and(|pending| pending.deadline <= Instant::now()) {
            return self.take_back(router);
        }
        Ok(())
    }

    /// Does this method want the right to read the package of the call, or to write it?
    pub fn permission(method: &str) -> &'static str {
        if READING.contains(&method) {
            "read"
        } else {
            "write"
        }
    }

    /// Answers a call. `may` tells whether the session has the right to `read` or `write` a package.
    ///
    /// # Errors
    /// rpcd's codes.
    pub fn call(
        &mut self,
        session: &str,
        method: &str,
        args: &Json,
        may: &mut dyn FnMut(&str, &str) -> bool,
        router: &mut dyn Router,
    ) -> Answer<Option<Json>> {
        match method {
            "configs" => return Ok(Some(json!({ "configs": self.store.packages() }))),
            "changes" if text(args, "config").is_none() => {
                return Ok(Some(self.all_changes(session, may)));
            }
            "apply" => return self.apply(session, args, may, router).map(|()| None),
            "confirm" => return self.confirm(session).map(|()| None),
            "rollback" => {
                let pending = self.pending.as_ref().ok_or(StatusCode::NoData)?;
                if pending.session != session {
                    return Err(StatusCode::PermissionDenied);
                }
                return self.take_back(router).map(|()| None).map_err(|_| StatusCode::UnknownError);
            }
            _ => {}
        }
        let config = text(args, "config").ok_or(StatusCode::InvalidArgument)?;
        if !may(config, Uci::permission(method)) {
            return Err(StatusCode::PermissionDenied);
        }
        if !is_name(config) {
            return Err(StatusCode::InvalidArgument);
        }
        match method {
            "get" | "state" => self.get(session, config, args).map(Some),
            "changes" => Ok(Some(json!({ "changes": self.shown(session, config) }))),
            "add" => self.add(session, config, args).map(Some),
            "set" => self.set(session, config, args).map(|()| None),
            "delete" => self.delete(session, config, args).map(|()| None),
            "order" => self.order(session, config, args).map(|()| None),
            "rename" => self.rename(session, config, args).map(|()| None),
            "revert" | "commit" if self.pending.is_some() => Err(StatusCode::PermissionDenied),
            "revert" => {
                self.forget(session, config);
                Ok(None)
            }
            "commit" => {
                self.store.commit(session, config)?;
                self.forget(session, config);
                router.changed(&[config.into()]).map_err(|_| StatusCode::UnknownError)?;
                Ok(None)
            }
            _ => Err(StatusCode::MethodNotFound),
        }
    }

    fn key(session: &str, config: &str) -> (String, String) {
        (session.into(), config.into())
    }

    fn stage(&mut self, session: &str, config: &str, changes: Vec<Change>) -> Answer<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.store.stage(session, config, &changes)?;
        self.staged.entry(Uci::key(session, config)).or_default().extend(changes);
        Ok(())
    }

    fn forget(&mut self, session: &str, config: &str) {
        self.store.forget(session, config);
        self.staged.remove(&Uci::key(session, config));
    }

    fn shown(&self, session: &str, config: &str) -> Vec<Json> {
        let changes = self.staged.get(&Uci::key(session, config));
        changes.into_iter().flatten().map(|change| change.shown.clone()).collect()
    }

    fn of_session(&self, session: &str) -> Vec<String> {
        let own = self.staged.keys().filter(|(owner, _)| owner == session);
        own.map(|(_, config)| config.clone()).collect()
    }

    fn all_changes(&self, session: &str, may: &mut dyn FnMut(&str, &str) -> bool) -> Json {
        let mut all = Map::new();
        for config in self.of_session(session) {
            if may(&config, "read") {
                let shown = self.shown(session, &config);
                all.insert(config, shown.into());
            }
        }
        json!({ "changes": all })
    }

    fn get(&self, session: &str, config: &str, args: &Json) -> Answer<Json> {
        let package = self.store.load(session, config)?;
        let Some(name) = text(args, "section") else {
            let all = package.sections.iter().enumerate();
            let values: Map<String, Json> = all
                .filter(|(_, section)| wanted(section, args))
                .map(|(index, section)| (section.name.clone(), section_of(section, Some(index))))
                .collect();
            return Ok(json!({ "values": values }));
        };
        let section = find(&package, name)?;
        match text(args, "option") {
            None => Ok(json!({ "values": section_of(section, None) })),
            Some(option) => {
                let option = section.option(option).ok_or(StatusCode::NotFound)?;
                Ok(json!({ "value": value_of(&option.value) }))
            }
        }
    }

    fn add(&mut self, session: &str, config: &str, args: &Json) -> Answer<Json> {
        let kind = text(args, "type").ok_or(StatusCode::InvalidArgument)?;
        let package = self.store.load(session, config)?;
        let given = text(args, "name");
        if given.is_some_and(|name| !is_name(name)) || !is_name(kind) {
            return Err(StatusCode::InvalidArgument);
        }
        let name = given.map_or_else(|| fresh_name(&package), str::to_string);
        let mut changes = vec![Change::add(&name, kind, given.is_none())];
        for (option, value) in args.get("values").and_then(Json::as_object).into_iter().flatten() {
            changes.extend(values(&name, option, value)?);
        }
        self.stage(session, config, changes)?;
        Ok(json!({ "section": name }))
    }

    fn set(&mut self, session: &str, config: &str, args: &Json) -> Answer<()> {
        let new = args.get("values").and_then(Json::as_object);
        let new = new.ok_or(StatusCode::InvalidArgument)?;
        let package = self.store.load(session, config)?;
        let mut changes = Vec::new();
        for section in chosen(&package, args)? {
            for (option, value) in new {
                let old = section.option(option).map(|option| &option.value);
                let keeps = matches!(old, Some(Value::Text(_)) | None) && !value.is_array();
                if keeps && old.map(value_of).as_ref() == Some(&plain(value)?.into()) {
                    continue;
                }
                if !keeps && old.is_some() {
                    changes.push(Change::remove(&section.name, Some(option)));
                }
                changes.extend(values(&section.name, option, value)?);
            }
        }
        self.stage(session, config, changes)
    }

    fn delete(&mut self, session: &str, config: &str, args: &Json) -> Answer<()> {
        let package = self.store.load(session, config)?;
        let list = args.get("options").and_then(Json::as_array);
        let many = list.map(|list| list.iter().filter_map(Json::as_str).collect::<Vec<_>>());
        let options = many.or_else(|| text(args, "option").map(|option| vec![option]));
        let mut changes = Vec::new();
        for section in chosen(&package, args)? {
            match &options {
                None => changes.push(Change::remove(&section.name, None)),
                Some(names) => {
                    let there = names.iter().filter(|name| section.option(name).is_some());
                    changes.extend(there.map(|name| Change::remove(&section.name, Some(name))));
                }
            }
        }
        if changes.is_empty() {
            return Err(StatusCode::NotFound);
        }
        self.stage(session, config, changes)
    }

    fn order(&mut self, session: &str, config: &str, args: &Json) -> Answer<()> {
        let names = args.get("sections").and_then(Json::as_array);
        let package = self.store.load(session, config)?;
        let mut changes = Vec::new();
        for (index, name) in names.ok_or(StatusCode::InvalidArgument)?.iter().enumerate() {
            let name = name.as_str().ok_or(StatusCode::InvalidArgument)?;
            changes.push(Change::order(&find(&package, name)?.name, index));
        }
        self.stage(session, config, changes)
    }

    fn rename(&mut self, session: &str, config: &str, args: &Json) -> Answer<()> {
        let argument = |key| text(args, key).ok_or(StatusCode::InvalidArgument);
        let (section, name) = (argument("section")?, argument("name")?);
        if !is_name(name) {
            return Err(StatusCode::InvalidArgument);
        }
        let package = self.store.load(session, config)?;
        let section = find(&package, section)?;
        let change = Change::rename(&section.name, text(args, "option"), name);
        self.stage(session, config, vec![change])
    }

    fn apply(
        &mut self,
        session: &str,
        args: &Json,
        may: &mut dyn FnMut(&str, &str) -> bool,
        router: &mut dyn Router,
    ) -> Answer<()> {
        let rollback = args.get("rollback").and_then(Json::as_bool).unwrap_or(false);
        let seconds = args.get("timeout").and_then(Json::as_u64).unwrap_or(ROLLBACK_S);
        if self.pending.is_some() {
            return if rollback { Err(StatusCode::PermissionDenied) } else { Ok(()) };
        }
        let configs = self.of_session(session);
        if configs.is_empty() {
            return Err(StatusCode::NoData);
        }
        if configs.iter().any(|config| !may(config, "write")) {
            return Err(StatusCode::PermissionDenied);
        }
        let mut before = Vec::new();
        for config in &configs {
            let old = fs::read_to_string(self.store.file(config));
            let old = old.map_err(|_| StatusCode::NotFound)?;
            self.store.commit(session, config)?;
            let changes = self.staged.remove(&Uci::key(session, config)).unwrap_or_default();
            before.push((config.clone(), old, changes));
        }
        if rollback {
            let deadline = Instant::now() + Duration::from_secs(seconds);
            self.pending = Some(Pending { session: session.into(), deadline, before });
        }
        router.changed(&configs).map_err(|_| StatusCode::UnknownError)
    }

    fn confirm(&mut self, session: &str) -> Answer<()> {
        match &self.pending {
            None => Err(StatusCode::NoData),
            Some(pending) if pending.session != session => Err(StatusCode::PermissionDenied),
            Some(_) => {
                self.pending = None;
                Ok(())
            }
        }
    }

    /// The session whose changes wait to be confirmed.
    pub fn waiting(&self) -> Option<&str> {
        self.pending.as_ref().map(|pending| pending.session.as_str())
    }

    fn take_back(&mut self, router: &mut dyn Router) -> Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let mut configs = Vec::new();
        for (config, old, changes) in pending.before {
            let failed = |code: StatusCode| crate::error::Error::new(code.text());
            self.store.replace(&config, &old).map_err(failed)?;
            // The changes are the session's again, to be mended.
            self.stage(&pending.session, &config, changes).map_err(failed)?;
            configs.push(config);
        }
        router.changed(&configs)
    }
}

/// What setting an option to this value takes; a list has a change for each item.
fn values(section: &str, option: &str, value: &Json) -> Answer<Vec<Change>> {
    if !is_name(option) {
        return Err(StatusCode::InvalidArgument);
    }
    match value {
        Json::Array(items) => {
            items.iter().map(|item| Ok(Change::append(section, option, &plain(item)?))).collect()
        }
        one => Ok(vec![Change::set(section, option, &plain(one)?)]),
    }
}

/// A section by its name, or by `@type[index]`.
fn find<'a>(package: &'a Package, name: &str) -> Answer<&'a Section> {
    let by_place = || {
        let (kind, rest) = name.strip_prefix('@')?.split_once('[')?;
        let index: isize = rest.strip_suffix(']')?.parse().ok()?;
        let of_kind = || package.sections.iter().filter(|section| section.kind == kind);
        match usize::try_from(index) {
            Ok(index) => of_kind().nth(index),
            Err(_) => of_kind().rev().nth(index.unsigned_abs() - 1),
        }
    };
    package.section(name).or_else(by_place).ok_or(StatusCode::NotFound)
}

/// The sections that a call is about: one by name, or all of a type whose options match.
fn chosen<'a>(package: &'a Package, args: &Json) -> Answer<Vec<&'a Section>> {
    match text(args, "section") {
        Some(name) => Ok(vec![find(package, name)?]),
        None if text(args, "type").is_none() && args.get("match").is_none() => {
            Err(StatusCode::InvalidArgument)
        }
        None => {
            let all: Vec<_> = package.sections.iter().filter(|s| wanted(s, args)).collect();
            if all.is_empty() {
                return Err(StatusCode::NotFound);
            }
            Ok(all)
        }
    }
}

fn wanted(section: &Section, args: &Json) -> bool {
    let kind = text(args, "type").is_none_or(|kind| section.kind == kind);
    let options = args.get("match").and_then(Json::as_object).into_iter().flatten();
    kind && options
        .into_iter()
        .all(|(name, value)| section.option(name).is_some_and(|o| value_of(&o.value) == *value))
}

/// A name for a section without one that no other section has.
fn fresh_name(package: &Package) -> String {
    let names = (package.sections.len() + 1..).map(|number| format!("cfg{number:02x}1ab0"));
    let mut free = names.filter(|name| package.section(name).is_none());
    free.next().unwrap_or_default()
}

#[cfg(test)]
#[path = "uci_tests.rs"]
mod tests;
